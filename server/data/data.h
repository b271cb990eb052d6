/* The data API: the collections that config.ini declares, [collection NAME], over HTTP at
 * /api/v1/collections/NAME (docs/collections.md).
 *
 * struct data is of the process: the collections that were opened, which stay open. A struct
 * data_set is what one configuration says of them (rules, schemas): immutable and counted, as
 * requests that began with it may outlive a reload. */
#ifndef GALLEY_SERVER_DATA_DATA_H
#define GALLEY_SERVER_DATA_DATA_H

#include "base/clock.h"
#include "queue/queue.h"
#include "server/config/config.h"
#include "server/http/message.h"
#include "storage/change_feed.h"
#include "storage/store.h"

struct data;
struct data_set;

struct data_options {
    struct store *store;
    struct queues *queues;
    const struct clock *clock;
};

/* Threads: main. */
struct data *data_create(const struct data_options *options);
/* No set is in use any more. NULL-safe; sets NULL. */
void data_destroy(struct data **data);

/* Appends what is wrong with the [collection] sections, a line each; `path` is that of the file,
 * in whose folder the schemas are looked for. Opens nothing. */
bool data_check(const struct config *config, const char *path, struct buf *errors);

/* What a configuration that was checked says; opens collections that are new. On an error why says
 * what: another set of indexes than the documents were stored with, a schema that was changed
 * meanwhile. The caller has one count of *out. Threads: one at a time. */
enum err data_read(struct data *data, const struct config *config, const char *path,
                   struct data_set **out, char *why, size_t why_size);
void data_set_release(struct data_set *set);
struct data_set *data_set_hold(struct data_set *set); /* one count more */

/* ---- The change feed (storage/change_feed.h) */

#define DATA_STORED_PREFIX "data/" /* of the names of their documents' collections */

/* Has the feed tell of those that say so in the configuration, and of no other. */
enum err data_cover(struct data *data, const struct config *config, struct change_feed *feed);
/* Whether any says so. */
bool data_has_feed(const struct config *config);

/* What who asks may see of a collection's documents. ERR_NOT_FOUND: there is no such collection
 * with a feed; ERR_UNAUTHENTICATED, ERR_FORBIDDEN: none of them. Counts as one of the set, and
 * outlives the request. */
struct data_sight;
enum err data_sight_create(struct data_set *set, const struct request *request, struct slice name,
                           struct data_sight **out);
/* Appends what he sees of a document's text; false: it is not there for him. Threads: one at a
 * time. */
bool data_sight_show(void *sight, struct slice json, struct buf *out);
void data_sight_destroy(void *sight);

/* The JSON Schema of the documents of the i-th section as clients see them, those of the server's
 * own members being readOnly; the caller's. Opens nothing. */
json_t *data_describe(const struct config *config, const char *path, unsigned i);

/* ---- Its routes */

struct data_route {
    enum method method;
    char pattern[128]; /* valid until the next call */
    const char *collection;
    bool has_body;
    bool idempotent; /* honours Idempotency-Key */
    void (*target)(struct request *request, struct response *response, void *arg);
    void *arg;               /* counts as one of the set; NULL without a set */
    void (*drop)(void *arg); /* gives that back */
};

/* How many there are. */
unsigned data_route_count(const struct config *config);
/* The i-th. `set` NULL: to look at. */
void data_route(const struct config *config, struct data_set *set, unsigned i,
                struct data_route *out);

#endif
