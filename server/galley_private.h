/* What the process is made of; for the files of this folder. */
#ifndef GALLEY_SERVER_GALLEY_PRIVATE_H
#define GALLEY_SERVER_GALLEY_PRIVATE_H

#include "base/lock.h"
#include "base/ticker.h"
#include "cache/cache.h"
#include "queue/queue.h"
#include "server/account.h"
#include "server/app/app.h"
#include "server/front/front.h"
#include "server/galley.h"
#include "server/gateway/gateway.h"
#include "server/identity/administrators.h"
#include "server/identity/logins.h"
#include "server/identity/users.h"
#include "server/notify.h"
#include "server/upstream/upstream.h"
#include "server/watchdog.h"
#include "storage/store.h"

struct admin;
struct change_feed;
struct changes;
struct data_set;
struct checks;
struct data;
struct discovery;
struct listeners;
struct mirrors;
struct scrub;
struct stored;

/* In the order of starting; stopping runs it backwards. */
struct galley {
    const struct config *config; /* of the start; for what a change of takes a restart */
    struct account account;
    struct notify notify;
    char data_dir[4096];
    int data_fd;
    struct ticker *ticker;      /* what neither blocks nor commits */
    struct ticker *maintenance; /* what does */
    struct store *store;
    struct timer *store_timer;
    struct stored *stored;
    struct scrub *scrub;
    struct cache *cache;
    struct timer *cache_timer;
    struct queues *queues;
    struct jwt *jwt;
    struct logins *logins;
    struct users *users;
    struct timer *users_timer;
    struct administrators *administrators;
    struct change_feed *change_feed;
    struct changes *changes;
    struct timer *feed_timer;
    _Atomic int64_t feed_keep_ms, feed_size_bytes;
    struct app *app;
    struct data *data;
    struct admin *admin;
    struct upstreams *upstreams;
    struct checks *checks;
    struct discovery *discovery;
    struct mirrors *mirrors;
    struct schema *registration_schema;
    struct timer *upstreams_timer;
    struct gateway *gateway;
    struct timer *gateway_timer, *gateway_second_timer;
    struct listeners *listeners;
    struct front *front;
    struct watchdog watchdog;
    unsigned admin_listener;  /* the place of [admin] listen among the front's; 0: there is none */
    char authority[128];      /* that it listens on: "127.0.0.1:8080", "[::1]:8080" */
    int64_t started_ms;       /* wall clock */
    _Atomic bool draining;    /* set under the reload lock */
    int64_t stop_by_ns;       /* monotonic; set when stopping */
    unsigned connections_cut; /* by the stop */

    struct config_source source;
    struct lock reload_lock;
    struct config *reloaded;     /* what was loaded last; NULL: never; guarded by it */
    _Atomic uint64_t reloads[2]; /* done, and refused */
    _Atomic int64_t token_ttl_ms;
};

/* The configuration that holds now. Threads: holds reload_lock, or nothing serves. */
static inline const struct config *galley_config(const struct galley *galley)
{
    return galley->reloaded ? galley->reloaded : galley->config;
}

/* Of the time for stopping. However little is left, a step gets enough to end what is at rest. */
int64_t galley_remaining_ms(const struct galley *galley);

/* serving.c: steps of starting and stopping. Loading the certificates and listening come early,
 * while we may still be root; connections wait from then on until all that they meet is there. */
enum err serving_load(struct galley *galley, char *why, size_t why_size);
enum err serving_open(struct galley *galley, char *why, size_t why_size);
enum err serving_begin(struct galley *galley, char *why, size_t why_size);
void serving_end(struct galley *galley);
void serving_close(struct galley *galley); /* NULL-safe */
void serving_unload(struct galley *galley);

/* proxying.c: the upstreams; what a configuration says of them is read beside what is in use, and
 * taken over or forgotten while the configuration is still there. Both set NULL. */
struct upstreams_read;
enum err proxying_open(struct galley *galley, char *why, size_t why_size);
void proxying_close(struct galley *galley);
enum err proxying_read(struct galley *galley, const struct config *config,
                       struct upstreams_read **out, char *why, size_t why_size);
void proxying_take_over(struct galley *galley, struct upstreams_read **read);
void proxying_forget(struct upstreams_read **read);

/* feeding.c: the change feed. Opened before the collections that it tells of; then told which these
 * are. */
enum err feeding_open(struct galley *galley, char *why, size_t why_size);
void feeding_close(struct galley *galley);
enum err feeding_begin(struct galley *galley, char *why, size_t why_size);
void feeding_take_over(struct galley *galley, const struct config *config);
/* Appends what is wrong with what [storage] says of it. */
bool feeding_check(const struct config *config, const struct app_module *const *modules,
                   const char *path, struct buf *errors);
/* Whether any collection has a feed; the argument of its route, which counts as one of the set, and
 * what gives that back. */
bool feeding_is_wanted(const struct config *config);
void *feeding_place(struct galley *galley, const struct config *config, struct data_set *set);
void feeding_drop(void *place);

/* registration.c: a target, arg is the struct galley; and what it reads. */
#define REGISTRATION_PATH "/api/v1/upstreams/{name}/servers"
void registration_target(struct request *request, struct response *response, void *galley);
struct schema *registration_schema(void);

/* reload.c: takes over what is not the plan's. */
void reload_settings(struct galley *galley, const struct config *config);

/* routes.c: every route of the process: the operations pages, the admin, the modules' mounted by
 * [route] sections. */
bool routes_check(const struct config *config, const struct app_module *const *modules,
                  const char *path, struct buf *errors); /* see galley_check */
void routes_warn(const struct config *config, const struct app_module *const *modules,
                 const char *path, struct buf *out); /* see galley_warn */
/* The table of a configuration, to look at: its routes lead nowhere. */
struct route_table;
enum err routes_look(const struct config *config, const struct app_module *const *modules,
                     struct route_table **out, char *why, size_t why_size);
enum err routes_plan(struct galley *galley, const struct config *config, struct plan **out,
                     char *why, size_t why_size);

/* route_cache.c: what a [route] section says about storing its answers. */
void route_cache_read(const struct config_section *section, struct route_cache *out);

/* acme.c: a target, arg is the struct galley. */
#define ACME_PATH "/.well-known/acme-challenge/"
void acme_target(struct request *request, struct response *response, void *galley);

/* ops.c: targets, arg is the struct galley. */
void ops_healthz(struct request *request, struct response *response, void *galley);
void ops_readyz(struct request *request, struct response *response, void *galley);
void ops_metrics(struct request *request, struct response *response, void *galley);

/* ops.c: writes sentences into an array that is open: what is served all the same, but should be
 * looked at. Threads: any. */
void ops_write_alarms(void *galley, struct json_writer *w);

/* ---- data_dir.c: steps of the start. Threads: main. */

enum err data_dir_open(struct galley *galley, char *why, size_t why_size);
void data_dir_close(struct galley *galley);
/* From here on it is not root's any more, if it is to be somebody else's: what is opened later is
 * that one's. */
enum err data_dir_become_user(struct galley *galley, char *why, size_t why_size);
/* A shop whose database is gone must not open as a new one: its tokens would be valid, its orders
 * not there. */
enum err data_dir_check(const struct galley *galley, char *why, size_t why_size);

#endif
