/* What app.c and call.c share. */
#ifndef GALLEY_SERVER_APP_APP_PRIVATE_H
#define GALLEY_SERVER_APP_APP_PRIVATE_H

#include "server/app/app.h"

/* One route of one module: the argument of app_target. */
struct app_entry {
    struct app *app;
    const struct app_module *module;
    const struct app_route *route;
    struct schema *schema;           /* or NULL */
    void **state;                    /* of the module */
    struct collection **collections; /* of the module */
};

struct app_opened {
    const struct app_module *module;
    void *state;
    struct collection **collections;
};

struct app {
    struct app_options options;
    struct app_opened *modules; /* in the order of opening */
    unsigned module_count;
    struct app_entry *entries;
    unsigned entry_count;
};

/* Frees what call_alloc handed out. */
void call_release(struct call *call);

/* profile.c: users_watch's; arg is the app. */
void app_forget_profile(void *arg, const char *user_id);

#endif
