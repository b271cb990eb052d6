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
    struct waits *waits;        /* or NULL */
    struct app_opened *modules; /* in the order of opening */
    unsigned module_count;
    struct app_entry *entries;
    unsigned entry_count;
};

/* Frees what call_alloc handed out. */
void call_release(struct call *call);

/* ---- waits.c */

struct waits *waits_create(const struct clock *clock, struct ticker *ticker);
void waits_destroy(struct waits **waits);
/* Has those run again that wait for the key. Threads: any. */
void waits_raise(struct waits *waits, uint64_t key);
/* All run again, and nobody waits any more. Threads: any. */
void waits_stop(struct waits *waits);
/* Lays down a call that wanted to wait; false: it is to run again at once. Threads: any. */
bool waits_add(struct waits *waits, struct call *call);
/* In a handler's transaction that has written nothing: whether the call may wait, counted from the
 * first time it asks. Then the handler returns ERR_CONFLICT, and runs again when the key is raised,
 * or in look_ms. */
bool call_may_wait(struct call *call, uint64_t key, int64_t wait_ms, int64_t look_ms);

/* profile.c: users_watch's; arg is the app. */
void app_forget_profile(void *arg, const char *user_id);

#endif
