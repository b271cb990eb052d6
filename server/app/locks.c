/* Locks that have a name: who holds one, for how long, and the number that fences him off.
 *
 * DESIGN. A lock that is held is a document, {"id", "fence", "token", "holder", "until"}; one that
 * is free is none. The numbers of all locks come from one count, {"id": "#", "fence"}, so that they
 * grow also over locks that come and go. Whoever takes a lock also takes away two that are over, so
 * that names used once do not gather. */
#include "base/hash.h"
#include "server/app/app_private.h"

#include <stdio.h>

#define COUNT_ID  "#" /* no name of a lock */
#define SWEEP_MAX 2
#define LEASE     30000 /* ms */

static const struct index_spec by_end = {.fields = "until", .sparse = true};
static const struct app_collection collections[] = {{"_locks", &by_end, 1}};

static struct collection *locks_of(struct app *app)
{
    return app_collection(app, "locks", 0);
}

/* ---- Documents. */

struct held {
    int64_t fence, until_ms;
    struct buf token, holder;
    bool now; /* and not only in the past */
};

static void held_release(struct held *held)
{
    buf_release(&held->token);
    buf_release(&held->holder);
}

/* ERR_NOT_FOUND: there is none. To be released in any case. */
static enum err find_held(struct app *app, struct txn *txn, const char *name, struct held *out)
{
    struct doc doc;
    *out = (struct held){0};
    enum err err = doc_get(txn, locks_of(app), slice_str(name), &doc);
    if (err)
        return err;
    out->fence = json_find_int(doc.json, "fence", 0);
    out->until_ms = json_find_int(doc.json, "until", 0);
    out->now = out->until_ms > txn_now_ms(txn);
    json_find_str(doc.json, "token", &out->token);
    json_find_str(doc.json, "holder", &out->holder);
    return ERR_OK;
}

static enum err write_held(struct app *app, struct txn *txn, const char *name, const char *holder,
                           const struct lock_grant *grant, bool replaces)
{
    struct buf json = BUF_INIT;
    json_printf(&json, "{'id':%s,'fence':%ld,'token':%s,'holder':%s,'until':%ld}", name,
                grant->fence, grant->token, holder, grant->until_ms);
    enum err err = replaces ? doc_replace_text(txn, locks_of(app), buf_slice(&json), 0)
                            : doc_insert_text(txn, locks_of(app), buf_slice(&json));
    buf_release(&json);
    return err;
}

static bool note_highest(struct slice id, const struct doc *doc, void *arg)
{
    int64_t *highest = arg, fence = json_find_int(doc->json, "fence", 0);
    (void)id;
    *highest = fence > *highest ? fence : *highest;
    return true;
}

/* The first number of all, or behind those that are there if the count was lost. */
static enum err begin_count(struct txn *txn, struct collection *locks, int64_t *fence)
{
    struct doc_scan scan = {0};
    int64_t highest = 0;
    enum err err = doc_walk(txn, locks, &scan, note_highest, &highest);
    struct buf json = BUF_INIT;
    *fence = highest + 1;
    json_printf(&json, "{'id':%s,'fence':%ld}", COUNT_ID, *fence);
    err = err ? err : doc_insert_text(txn, locks, buf_slice(&json));
    buf_release(&json);
    return err;
}

static enum err next_fence(struct txn *txn, struct collection *locks, int64_t *fence)
{
    enum err err = doc_add(txn, locks, slice_str(COUNT_ID), "fence", 1, 0, fence, NULL);
    return err == ERR_NOT_FOUND ? begin_count(txn, locks, fence) : err;
}

struct sweep {
    int64_t now_ms;
    const char *but; /* the lock that is being taken */
    unsigned count;
    char names[SWEEP_MAX][LOCK_NAME_MAX + 1];
};

static bool note_over(struct slice id, const struct doc *doc, void *arg)
{
    struct sweep *sweep = arg;
    if (json_find_int(doc->json, "until", 0) > sweep->now_ms)
        return false;
    if (!slice_is(id, sweep->but))
        snprintf(sweep->names[sweep->count++], sizeof sweep->names[0], "%.*s", SLICE_ARG(id));
    return sweep->count < SWEEP_MAX;
}

static void sweep_some(struct txn *txn, struct collection *locks, const char *but)
{
    struct sweep sweep = {.now_ms = txn_now_ms(txn), .but = but};
    struct doc_scan scan = {.index = "until", .limit = SWEEP_MAX + 1};
    doc_walk(txn, locks, &scan, note_over, &sweep);
    for (unsigned i = 0; i < sweep.count; i++)
        doc_delete(txn, locks, slice_str(sweep.names[i]));
}

/* ---- In a transaction. */

static uint64_t key_of(const char *name)
{
    return hash_keyed(slice_str(name));
}

static void make_token(char out[LOCK_TOKEN_SIZE])
{
    uint8_t bytes[(LOCK_TOKEN_SIZE - 1) / 2];
    random_bytes(bytes, sizeof bytes);
    for (unsigned i = 0; i < sizeof bytes; i++)
        snprintf(out + 2 * (size_t)i, 3, "%02x", bytes[i]);
}

static bool is_good_name(const char *name)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:-";
    size_t len = strlen(name);
    return len > 0 && len <= LOCK_NAME_MAX && strspn(name, letters) == len;
}

enum err app_lock(struct app *app, struct txn *txn, const char *holder, const char *name,
                  int64_t lease_ms, struct lock_grant *out)
{
    struct held held;
    *out = (struct lock_grant){0};
    enum err err = is_good_name(name) ? find_held(app, txn, name, &held) : ERR_VALIDATION;
    if (err && err != ERR_NOT_FOUND)
        return txn_fail(txn, err);
    bool replaces = !err;
    out->until_ms = held.until_ms;
    held_release(&held);
    if (replaces && held.now)
        return ERR_CONFLICT;
    out->until_ms = txn_now_ms(txn) + lease_ms;
    make_token(out->token);
    err = next_fence(txn, locks_of(app), &out->fence);
    if (!err)
        err = write_held(app, txn, name, holder, out, replaces);
    if (!err)
        sweep_some(txn, locks_of(app), name);
    return err ? err : txn_error(txn);
}

/* Whether the token holds the lock. */
static enum err find_own(struct app *app, struct txn *txn, const char *name, const char *token,
                         struct held *out)
{
    enum err err = find_held(app, txn, name, out);
    if (err && err != ERR_NOT_FOUND)
        return err;
    return !err && out->now && slice_is(buf_slice(&out->token), token) ? ERR_OK : ERR_STALE;
}

enum err app_lock_renew(struct app *app, struct txn *txn, const char *name, const char *token,
                        int64_t lease_ms, struct lock_grant *out)
{
    struct held held;
    *out = (struct lock_grant){0};
    enum err err = find_own(app, txn, name, token, &held);
    if (!err) {
        *out = (struct lock_grant){.fence = held.fence, .until_ms = txn_now_ms(txn) + lease_ms};
        snprintf(out->token, sizeof out->token, "%s", token);
        buf_append_char(&held.holder, '\0');
        err = write_held(app, txn, name, held.holder.data, out, true);
    }
    held_release(&held);
    return err;
}

struct freed {
    struct waits *waits;
    uint64_t key;
};

static void wake(void *arg)
{
    const struct freed *freed = arg;
    if (freed->waits)
        waits_raise(freed->waits, freed->key);
}

enum err app_unlock(struct app *app, struct txn *txn, const char *name, const char *token)
{
    struct held held;
    enum err err = find_own(app, txn, name, token, &held);
    held_release(&held);
    if (!err)
        err = doc_delete(txn, locks_of(app), slice_str(name));
    if (err)
        return err;
    struct freed *freed = txn_alloc(txn, sizeof *freed);
    *freed = (struct freed){app->waits, key_of(name)};
    txn_on_commit(txn, wake, NULL, freed);
    return ERR_OK;
}

/* ---- In a call. */

enum err call_lock(struct call *call, const char *name, int64_t lease_ms, int64_t wait_ms,
                   struct lock_grant *out)
{
    enum err err = app_lock(call->app, call->txn, call_user(call), name, lease_ms, out);
    if (err != ERR_CONFLICT)
        return err;
    int64_t left_ms = out->until_ms - txn_now_ms(call->txn);
    if (call_may_wait(call, key_of(name), wait_ms, left_ms))
        return ERR_CONFLICT; /* and runs again */
    call_fail(call, ERR_CONFLICT, "LOCKED", "Somebody else holds the lock.");
    char after[24];
    snprintf(after, sizeof after, "%ld", (long)((left_ms + 999) / 1000));
    response_header(call->response, "Retry-After", slice_str(after));
    return ERR_CONFLICT;
}

enum err call_unlock(struct call *call, const char *name, const char *token)
{
    return app_unlock(call->app, call->txn, name, token);
}

/* ---- Over HTTP. */

static enum err name_of(struct call *call, const char **out)
{
    struct slice name = call_param(call, "name");
    char *copy = call_alloc(call, name.len + 1);
    memcpy(copy, name.ptr, name.len);
    *out = copy;
    if (!memchr(name.ptr, 0, name.len) && is_good_name(copy))
        return ERR_OK;
    return call_fail_field(call, "name", "invalid",
                           "A lock's name is 1 to 128 letters, digits and any of . _ : -.");
}

static enum err answer(struct call *call, const char *name, const struct lock_grant *grant)
{
    char until[CLOCK_RFC3339_SIZE];
    clock_rfc3339(grant->until_ms, until);
    json_printf(&call->response->body, "{'name':%s,'fence':%ld,'token':%s,'expiresAt':%s}", name,
                grant->fence, grant->token, until);
    response_header(call->response, "Cache-Control", slice_str("no-store"));
    response_json(call->response, 200);
    return ERR_OK;
}

static int64_t lease_of(const struct call *call)
{
    return json_int(call->request->json, "leaseMs", LEASE);
}

static enum err take_lock(struct call *call)
{
    const char *name;
    struct lock_grant grant;
    enum err err = name_of(call, &name);
    if (!err)
        err = call_lock(call, name, lease_of(call), json_int(call->request->json, "waitMs", 0),
                        &grant);
    return err ? err : answer(call, name, &grant);
}

static enum err renew_lock(struct call *call)
{
    const char *name;
    struct lock_grant grant;
    enum err err = name_of(call, &name);
    if (!err)
        err = app_lock_renew(call->app, call->txn, name, call_str(call, "token"), lease_of(call),
                             &grant);
    return err ? err : answer(call, name, &grant);
}

static enum err release_lock(struct call *call)
{
    const char *name;
    enum err err = name_of(call, &name);
    if (!err)
        err = call_unlock(call, name, call_str(call, "token"));
    return err ? err : call_answer(call, 200, json_pack("{s:s}", "status", "released"));
}

static enum err show_lock(struct call *call)
{
    const char *name;
    struct held held;
    enum err err = name_of(call, &name);
    if (err)
        return err;
    err = find_held(call->app, call->txn, name, &held);
    if (!err && held.now) {
        char until[CLOCK_RFC3339_SIZE];
        clock_rfc3339(held.until_ms, until);
        json_printf(&call->response->body,
                    "{'name':%s,'held':true,'holder':%.*s,'fence':%ld,'expiresAt':%s}", name,
                    SLICE_ARG(buf_slice(&held.holder)), held.fence, until);
    } else if (!err || err == ERR_NOT_FOUND) {
        json_printf(&call->response->body, "{'name':%s,'held':false}", name);
        err = ERR_OK;
    }
    held_release(&held);
    if (!err)
        response_json(call->response, 200);
    return err;
}

/* clang-format off */
static const char take_schema[] = APP_JSON({
    "type": "object",
    "additionalProperties": false,
    "properties": {
        "leaseMs": {"type": "integer", "minimum": 100, "maximum": 86400000},
        "waitMs": {"type": "integer", "minimum": 0, "maximum": 60000}
    }
});

static const char renew_schema[] = APP_JSON({
    "type": "object",
    "additionalProperties": false,
    "required": ["token"],
    "properties": {
        "token": {"type": "string", "minLength": 1, "maxLength": 64},
        "leaseMs": {"type": "integer", "minimum": 100, "maximum": 86400000}
    }
});

static const char release_schema[] = APP_JSON({
    "type": "object",
    "additionalProperties": false,
    "required": ["token"],
    "properties": {"token": {"type": "string", "minLength": 1, "maxLength": 64}}
});

static const struct app_route routes[] = {
    {METHOD_GET, "/api/v1/locks/{name}", APP_PERSONAL, APP_READ, NULL, show_lock, NULL},
    {METHOD_POST, "/api/v1/locks/{name}", APP_SIGNED_IN, APP_WRITE, take_schema, take_lock, NULL},
    {METHOD_POST, "/api/v1/locks/{name}/renew", APP_SIGNED_IN, APP_WRITE, renew_schema, renew_lock, NULL},
    {METHOD_POST, "/api/v1/locks/{name}/release", APP_SIGNED_IN, APP_WRITE, release_schema, release_lock, NULL},
};
/* clang-format on */

const struct app_module locks_module = {
    .name = "locks",
    .help = "Locks with leases over HTTP (docs/named-locks.md).",
    .spare = true,
    .routes = routes,
    .route_count = sizeof routes / sizeof routes[0],
    .collections = collections,
    .collection_count = sizeof collections / sizeof collections[0],
};
