/* The module API: how business logic is written.
 *
 * A module is one C file in modules/, NAME.c, that defines a struct app_module NAME_module: its
 * routes, its job handlers, and what to do at start. A handler gets one struct call. A handler that
 * writes (APP_WRITE) runs inside the store's write transaction: the documents it changes, the jobs
 * it enqueues and the record of the request's Idempotency-Key commit together, or not at all, and
 * its answer leaves after they are on disk.  docs/module.md tells the story of one, and
 * modules/shop.c is the reference. */
#ifndef GALLEY_SERVER_APP_APP_H
#define GALLEY_SERVER_APP_APP_H

#include "base/ticker.h"
#include "cache/cache.h"
#include "queue/queue.h"
#include "server/config/config.h"
#include "server/config/schema.h"
#include "server/http/message.h"
#include "storage/collection.h"
#include "storage/store.h"

#include <sys/queue.h>

struct app;
struct users;
struct app_entry; /* app_private.h */

#define CALL_ROOM 512 /* bytes */

struct call {
    struct app *app;
    struct request *request;
    struct response *response;
    struct txn *txn; /* APP_READ, APP_WRITE: the transaction; APP_PLAIN: NULL */
    void *state;     /* what the module's open() made */
    void *prepared;  /* what the route's before() left for the handler, see call_alloc */

    /* app.c's own */
    const struct app_entry *entry;
    enum err failed; /* what call_fail has answered */
    bool issued;     /* a token, with call_issue_token */
    struct {
        bool wanted; /* it is to run again instead of being answered */
        uint64_t key, seen;
        int64_t until_ns, look_ns; /* monotonic; 0: it has not waited */
        TAILQ_ENTRY(call) link;
    } wait;
    struct pending_write write;
    void *memory; /* call_alloc's, a list; what is small lies in room[] */
    size_t used;  /* of it */
    _Alignas(16) char room[CALL_ROOM];
};

/* Returns ERR_OK after answering; any other error aborts the transaction and is answered as such,
 * unless call_fail has already said it better. */
typedef enum err (*app_handler)(struct call *call);

enum app_access {
    APP_PLAIN, /* no transaction; may block */
    APP_READ,  /* on a snapshot */
    APP_WRITE, /* in the write transaction: may run again, must not block */
};

/* JSON as a C string, written as it is. */
#define APP_JSON(...) #__VA_ARGS__

enum app_who {
    APP_ANYONE,
    APP_SIGNED_IN,
    APP_PERSONAL, /* signed in, and the answer is about that user: nobody may keep it */
};

struct app_route {
    enum method method;
    const char *pattern;
    enum app_who who;
    enum app_access access;
    const char *schema; /* JSON Schema of the body, or NULL: no body */
    app_handler handler;
    app_handler before; /* runs first, outside the transaction, once; an error ends it; or NULL */
};

/* A collection that a module keeps its documents in; opened, and made, before its open(). */
struct app_collection {
    const char *name;
    const struct index_spec *indexes;
    unsigned index_count;
};

struct app_module {
    const char *name;                  /* also its section in config.ini and its target, app:NAME */
    const char *help;                  /* what it is, a sentence */
    const struct config_key *settings; /* the keys of its section; NULL: none */
    unsigned setting_count;
    bool always; /* served also where no [route] section mounts it */
    bool spare;  /* nobody need mount it: it is left unmentioned then */
    const struct app_route *routes;
    unsigned route_count;
    const struct app_collection *collections;
    unsigned collection_count;
    const struct job_handler *jobs; /* .arg is replaced by the module's state; by the app if the
                                       module has no open() */
    unsigned job_count;
    const char *(*trouble)(const void *state); /* what is not as it should be, a clause for /readyz;
                                                  NULL: nothing; or NULL */
    const char *queue; /* for them; made with its defaults if config.ini has no [queue] of that
                          name; or NULL */
    /* What no row can say about the settings: NULL, or the key that is wrong, with a clause in
     * `why`. Before anything is open, of `galley check` too: it changes nothing. Or NULL. */
    const char *(*check)(const struct config_section *settings, char *why, size_t why_size);
    /* Opens collections, seeds; settings is the module's section, or NULL if it has no
     * routes and no keys. */
    enum err (*open)(struct app *app, const struct config_section *settings, void **state,
                     char *why, size_t why_size);
    void (*close)(void *state); /* also after a failed open, with what that had set, or NULL */
};

/* The module's i-th collection, of call.app. */
struct collection *call_collection(const struct call *call, unsigned i);

/* ---- The request. What is not here is in call->request: the body as a tree (json), request_query,
 * request_header. */

struct slice call_param(const struct call *call, const char *name); /* of the path */
int64_t call_int(const struct call *call, const char *member);      /* of the validated body */
const char *call_str(const struct call *call, const char *member);
const char *call_user(const struct call *call); /* the id of who is signed in */
bool call_user_is(const struct call *call, const char *role);
/* `size` zeroed bytes that live until the answer was sent. */
void *call_alloc(struct call *call, size_t size);
/* A string member of an object's text, such as a stored document, in such memory; "" if it is
 * missing. */
const char *call_text(struct call *call, struct slice json, const char *member);
/* The same of a string that was found already (json_find_all). */
const char *call_string(struct call *call, struct slice value);
/* A whole number in the query between min and max; ERR_VALIDATION answered otherwise. */
enum err call_query_int(struct call *call, const char *name, int64_t min, int64_t max,
                        int64_t fallback, int64_t *out);

/* In a transaction: a new id, for a document. Ids sort by the time that they were made. */
#define CALL_ID_SIZE 37
void call_new_id(const struct call *call, char out[CALL_ID_SIZE]);

/* ---- The answer. Each returns what the handler returns. */

typedef void (*call_row_fn)(struct buf *out, struct slice json);

/* Answers with JSON; takes ownership of `body`. */
enum err call_answer(struct call *call, int status, json_t *body);
/* Answers with JSON text, copied. */
enum err call_answer_text(struct call *call, int status, struct slice json);
/* 201 with a Location header, and JSON by a pattern (json_printf). */
enum err call_created(struct call *call, const char *location, const char *pattern, ...)
    __attribute__((format(printf, 3, 4)));
/* 200 with up to `limit` documents and the cursor behind the last: {"data": [...], "pagination":
 * {...}}, with an ETag. `outside`, if given, makes of a stored document what clients see. */
enum err call_answer_page(struct call *call, const struct collection *collection,
                          struct doc_scan *scan, int64_t limit, call_row_fn outside);
/* Answers with an error; `code` NULL: the table's. Returns err. */
enum err call_fail(struct call *call, enum err err, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* ERR_VALIDATION with the one member or parameter that no schema could refuse. */
enum err call_fail_field(struct call *call, const char *field, const char *reason,
                         const char *message);

/* ---- The cache, beside the store. */

/* Makes the value of a key, on a snapshot: appends it to out. An error is not cached. */
typedef enum err (*call_load_fn)(struct txn *txn, struct call *call, const void *arg,
                                 struct buf *out);

/* The cached bytes of `key`, loaded and kept for ttl_ms if they are not there. One loader at a time
 * for each key. The value is never older than an acknowledged write that called call_invalidate.
 * The caller releases *out (cache_value_release) unless it is handed to call_answer_cached. */
struct cached {
    struct slice bytes;
    struct cache_value *value; /* or NULL: bytes are in `own` */
    struct buf own;
};
enum err call_cached(struct call *call, const char *key, int64_t ttl_ms, call_load_fn load,
                     const void *arg, struct cached *out);
void cached_release(struct cached *cached);

/* Only looks: false, and nothing to release, when the key is not in the cache. */
bool call_peek(struct call *call, const char *key, struct cached *out);

/* Answers with cached JSON; takes ownership of what *cached holds. With 200 it gets an ETag. */
enum err call_answer_cached(struct call *call, int status, struct cached *cached);

/* In a write: drops the key once the transaction is durable, before the answer leaves. */
void call_invalidate(struct call *call, const char *key);

/* ---- Jobs. */

/* In a write: adds a job that exists if and only if the transaction commits. Its payload is JSON by
 * a pattern (json_printf). */
enum err call_enqueue(struct call *call, const char *queue, const char *type, const char *pattern,
                      ...) __attribute__((format(printf, 4, 5)));
/* The same for one that runs after a time, up to ten years. */
enum err call_enqueue_later(struct call *call, int64_t delay_ms, const char *queue,
                            const char *type, const char *pattern, ...)
    __attribute__((format(printf, 5, 6)));

/* What a job itself does with the store it does by store_read and store_write (app_store), whose
 * function gets a transaction: with the i-th collection of the module of that name, and with more
 * jobs, which commit with it (delay_ms 0: at once). Threads: any. */
struct collection *app_collection(struct app *app, const char *module, unsigned i);
enum err app_enqueue(struct app *app, struct txn *txn, int64_t delay_ms, const char *queue,
                     const char *type, const char *pattern, ...)
    __attribute__((format(printf, 6, 7)));

/* ---- Locks that have a name (docs/named-locks.md): for what one alone may do at a time, over
 * transactions. Whoever takes one holds it for the lease, which he may renew; the numbers of those
 * who have ever held one only grow, so that whom he works for can refuse who was outrun. Names are
 * 1 to 128 letters, digits and . _ : -. */

#define LOCK_NAME_MAX   128
#define LOCK_TOKEN_SIZE 33

struct lock_grant {
    int64_t fence;               /* grows with each one granted, of any name */
    int64_t until_ms;            /* wall clock */
    char token[LOCK_TOKEN_SIZE]; /* to renew and release it with */
};

/* In a write, before the handler has written anything: the lock, for lease_ms, as soon as nobody
 * holds it, at most wait_ms later. The handler returns any error at once: while it waits, which
 * takes no thread, that is how it is run again, from its beginning. */
enum err call_lock(struct call *call, const char *name, int64_t lease_ms, int64_t wait_ms,
                   struct lock_grant *out);
/* In a write: ERR_STALE if the token does not hold it any more. */
enum err call_unlock(struct call *call, const char *name, const char *token);

/* The same in any write, such as a job's, without waiting: ERR_CONFLICT, which does not stick, and
 * in out->until_ms until when, if somebody holds it. */
enum err app_lock(struct app *app, struct txn *txn, const char *holder, const char *name,
                  int64_t lease_ms, struct lock_grant *out);
enum err app_lock_renew(struct app *app, struct txn *txn, const char *name, const char *token,
                        int64_t lease_ms, struct lock_grant *out);
enum err app_unlock(struct app *app, struct txn *txn, const char *name, const char *token);

/* ---- Identity. */

/* What the cache has of who is signed in, released as call_cached's: {"id", "username", "name",
 * "email", "roles", "createdAt"}. Answers 401 if there is no such user, as a token may be of
 * somebody else's making. For APP_PLAIN and before(). */
enum err call_profile(struct call *call, struct cached *out);
enum err call_user_is_gone(struct call *call); /* that 401 */

/* In a write outside any call, such as a module's seed: a user with this id, name and role, unless
 * there is one of the name. The hash is of password.h. */
enum err app_seed_user(struct app *app, struct txn *txn, const char *id, const char *name,
                       const char *email, const char *role, const char *password_hash);

/* Whether `password` made `hash` (password.h), which is NULL if nobody is called `name`: the same
 * answer after the same time. ERR_OK, or it has answered: 401, or 429 and 503 with Retry-After to
 * who has been wrong too often or when too many wait. Blocks (logins.h): for APP_PLAIN. */
enum err call_check_password(struct call *call, const char *name, const char *password,
                             const char *hash);

/* Hashes a new password; errors as call_check_password's. Blocks. `out` has PASSWORD_HASH_SIZE
 * bytes. */
enum err call_hash_password(struct call *call, const char *password, char *out);

/* A token for the user, valid for the time of [auth] token_ttl, whose seconds go to *expires_in_s.
 */
enum err call_issue_token(struct call *call, const struct principal *user, struct buf *out,
                          int64_t *expires_in_s);

/* ---- The app itself. */

struct app_options {
    struct store *store;
    struct cache *cache;
    struct queues *queues;
    struct ticker *ticker; /* NULL: nobody waits */
    const struct clock *clock;
    const struct config *config;
    const char *data_dir;
    struct logins *logins;
    struct users *users;                     /* watched by the app while it is open */
    const struct app_module *const *modules; /* NULL-terminated */
    enum err (*issue_token)(void *arg, const struct principal *user, struct buf *out,
                            int64_t *expires_in_s);
    void *issue_token_arg;
};

/* Opens every module and hands its job handlers to the queues. Threads: main. */
enum err app_open(const struct app_options *options, struct app **out, char *why, size_t why_size);
void app_close(struct app **app);

/* Calls wait for no lock any more: the front is about to drain, and waits for them. Threads: any.
 */
void app_wait_no_more(struct app *app);
/* How many calls wait for one. Threads: any. */
unsigned app_waiting(struct app *app);

/* Of the module that opened as number i, below app_module_count; NULL: nothing. Threads: any. */
unsigned app_module_count(const struct app *app);
const char *app_module_name(const struct app *app, unsigned i);
const char *app_module_trouble(const struct app *app, unsigned i);

/* Shows each module's collections. Threads: any. */
void app_each_collection(const struct app *app,
                         void (*show)(void *arg, const char *name, struct collection *collection),
                         void *arg);

struct store *app_store(struct app *app);
struct users *app_users(struct app *app);
const struct clock *app_clock(const struct app *app);
const char *app_data_dir(const struct app *app);

/* Whether a job that waits for another machine should give up, with ERR_DRAINING (queue.h).
 * Threads: any. */
bool app_stopping(const struct app *app);

/* The routes of all modules, for the gateway: route i's description, its compiled schema (or NULL)
 * and the argument for app_target. Borrowed for the app's life. */
unsigned app_route_count(const struct app *app);
struct app_route_info {
    const struct app_module *module;
    const struct app_route *route;
    const struct schema *schema;
    void *arg;
};
struct app_route_info app_route(const struct app *app, unsigned i);

/* The gateway's target for app routes. Threads: any. */
void app_target(struct request *request, struct response *response, void *arg);

#endif
