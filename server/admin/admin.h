/* The admin UI and its API, under /_/. Looks at every component, through their public headers. */
#ifndef GALLEY_SERVER_ADMIN_ADMIN_H
#define GALLEY_SERVER_ADMIN_ADMIN_H

#include "base/ticker.h"
#include "cache/cache.h"
#include "queue/queue.h"
#include "server/config/config.h"
#include "server/front/front.h"
#include "server/gateway/gateway.h"
#include "server/identity/administrators.h"
#include "server/identity/logins.h"
#include "server/identity/users.h"
#include "server/listeners.h"
#include "server/scrub.h"
#include "storage/store.h"

struct admin;
struct upstreams;

/* The components that it looks at. All live longer than the admin; the front may be what it will
 * be, not serving yet. */
struct admin_options {
    struct ticker *ticker, *maintenance; /* what waits for the disk is done by the latter */
    struct store *store;
    struct cache *cache;
    struct queues *queues;
    struct logins *logins;
    struct users *users;
    struct administrators *administrators;
    struct gateway *gateway;
    struct listeners *listeners;
    struct scrub *scrub;
    struct upstreams *upstreams;
    struct front *front;
    const char *authority; /* that the process listens on, for people */
    int64_t started_ms;    /* wall clock */
    const _Atomic bool *draining;
    /* As galley_reload. */
    enum err (*reload)(void *arg, struct buf *report);
    /* As galley_each_setting. */
    void (*each_setting)(void *arg, config_setting_fn show, void *show_arg);
    /* As ops_write_alarms. */
    void (*write_alarms)(void *arg, struct json_writer *w);
    void *galley; /* the arg of all three */
    const char *config_path, *data_dir;
};

/* Begins to keep a history of the metrics (history.h). The options are copied. Threads: main. */
struct admin *admin_create(const struct admin_options *options);
void admin_destroy(struct admin **admin);

/* Samples begin once the front listens, and end before it is torn down. Threads: main. */
void admin_started(struct admin *admin);
void admin_stopping(struct admin *admin); /* NULL-safe; also without admin_started */

/* "/_/setup?token=..." or NULL when an administrator exists. Valid until admin_destroy. */
const char *admin_setup_path(const struct admin *admin);

/* The gateway's target for a page at / that leads on. Threads: any. */
void landing_target(struct request *request, struct response *response, void *arg);

/* The gateway's target for all routes below /_/; arg is the struct admin. Threads: any. */
void admin_target(struct request *request, struct response *response, void *arg);

#endif
