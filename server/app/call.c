/* What a handler may do: read its request, answer, use the cache. */
#include "server/app/app_private.h"

#include "base/hash.h"
#include "base/mem.h"
#include "server/identity/logins.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

/* How long a request waits for another that loads the same key before it loads for itself. */
#define CACHED_WAIT_MS 1000

struct collection *call_collection(const struct call *call, unsigned i)
{
    assert(i < call->entry->module->collection_count);
    return call->entry->collections[i];
}

void call_new_id(const struct call *call, char out[CALL_ID_SIZE])
{
    _Static_assert(CALL_ID_SIZE == ID_TEXT_SIZE, "an id must fit");
    struct id id = id_make(txn_now_ms(call->txn));
    id_format(&id, out);
}

/* ---- The request */

struct slice call_param(const struct call *call, const char *name)
{
    return request_param(call->request, name);
}

int64_t call_int(const struct call *call, const char *member)
{
    return json_int(call->request->json, member, 0);
}

const char *call_str(const struct call *call, const char *member)
{
    return json_str(call->request->json, member, NULL);
}

const char *call_user(const struct call *call)
{
    return call->request->user.id;
}

bool call_user_is(const struct call *call, const char *role)
{
    return principal_has_role(&call->request->user, role);
}

/* ---- Memory of the call */

struct call_memory {
    struct call_memory *next;
    _Alignas(16) char bytes[];
};

void *call_alloc(struct call *call, size_t size)
{
    size_t taken = (size + 15) & ~(size_t)15;
    if (taken <= CALL_ROOM - call->used) {
        call->used += taken;
        return memset(call->room + call->used - taken, 0, taken);
    }
    struct call_memory *memory = mem_zalloc(sizeof *memory + size);
    memory->next = call->memory;
    call->memory = memory;
    return memory->bytes;
}

void call_release(struct call *call)
{
    for (struct call_memory *memory = call->memory, *next; memory; memory = next) {
        next = memory->next;
        free(memory);
    }
    call->memory = NULL;
}

const char *call_string(struct call *call, struct slice value)
{
    if (value.len == 0)
        return "";
    /* Unescaped it is shorter, so the buffer does not grow out of the call's memory. */
    struct buf text = {.data = call_alloc(call, value.len + 1), .cap = value.len + 1};
    json_append_unescaped(&text, value);
    return text.data;
}

const char *call_text(struct call *call, struct slice json, const char *member)
{
    struct slice value;
    return json_find(json, member, &value) ? call_string(call, value) : "";
}

/* ---- Wrong requests */

/* Takes ownership of `details`. */
static enum err fail_validation(struct call *call, const char *message, json_t *details)
{
    response_error(call->response, call->request, ERR_VALIDATION, NULL, message, details);
    json_decref(details);
    call->failed = ERR_VALIDATION;
    return ERR_VALIDATION;
}

enum err call_query_int(struct call *call, const char *name, int64_t min, int64_t max,
                        int64_t fallback, int64_t *out)
{
    struct buf scratch = BUF_INIT;
    struct slice text = request_query(call->request, name, &scratch);
    int64_t value = fallback;
    bool good = !text.ptr || (slice_to_i64(text, &value) && value >= min && value <= max);
    buf_release(&scratch);
    *out = value;
    if (good)
        return ERR_OK;
    return fail_validation(call, "A query parameter is not a whole number of the allowed range.",
                           json_pack("[{s:s, s:s, s:I, s:I}]", "field", name, "reason", "range",
                                     "minimum", (json_int_t)min, "maximum", (json_int_t)max));
}

/* ---- The answer */

enum err call_answer(struct call *call, int status, json_t *body)
{
    json_append(&call->response->body, body);
    json_decref(body);
    response_json(call->response, status);
    return ERR_OK;
}

enum err call_answer_text(struct call *call, int status, struct slice json)
{
    buf_append_slice(&call->response->body, json);
    response_json(call->response, status);
    return ERR_OK;
}

enum err call_created(struct call *call, const char *location, const char *pattern, ...)
{
    va_list args;
    va_start(args, pattern);
    json_vprintf(&call->response->body, pattern, args);
    va_end(args);
    response_header(call->response, "Location", slice_str(location));
    response_json(call->response, 201);
    return ERR_OK;
}

/* What two clients see may differ if one of them has signed in. */
static void add_tag(struct call *call, struct slice json)
{
    if (call->entry->route->who == APP_PERSONAL)
        return; /* who may not keep it has nothing to compare */
    response_revalidate(call->response, hash_bytes(json), call->request->user.id[0] == '\0');
}

struct page {
    struct buf *out;
    int64_t limit, rows;
    size_t last; /* where the last row begins in out */
    bool more;
    call_row_fn outside; /* or NULL */
};

static bool take_row(struct slice id, const struct doc *doc, void *arg)
{
    (void)id;
    struct page *page = arg;
    page->more = page->rows == page->limit;
    if (page->more)
        return false;
    if (page->rows++ > 0)
        buf_append_char(page->out, ',');
    page->last = page->out->len;
    if (page->outside)
        page->outside(page->out, doc->json);
    else
        buf_append_slice(page->out, doc->json);
    return true;
}

/* The cursor is the last row's id, as clients see it. */
static void end_page(const struct page *page)
{
    struct buf *out = page->out;
    struct buf id = BUF_INIT;
    struct slice value = slice_str("null");
    if (page->more)
        json_find(slice_of(out->data + page->last, out->len - page->last), "id", &value);
    buf_append_slice(&id, value); /* appending to `out` may move it */
    buf_append_str(out, "],\"pagination\":{\"limit\":");
    buf_append_i64(out, page->limit);
    buf_append_str(out, ",\"nextCursor\":");
    buf_append_slice(out, buf_slice(&id));
    buf_append_str(out, page->more ? ",\"hasNext\":true}}" : ",\"hasNext\":false}}");
    buf_release(&id);
}

enum err call_answer_page(struct call *call, const struct collection *collection,
                          struct doc_scan *scan, int64_t limit, call_row_fn outside)
{
    struct page page = {.out = &call->response->body, .limit = limit, .outside = outside};
    bool late = false;
    scan->limit = (unsigned)limit + 1; /* one more tells whether there is a next page */
    scan->more = &late;
    buf_append_str(page.out, "{\"data\":[");
    enum err err = doc_walk(call->txn, collection, scan, take_row, &page);
    scan->more = NULL;
    if (!err && late && page.rows == 0)
        err = ERR_OVERLOADED; /* there is no row to go on behind */
    if (err) {
        buf_clear(page.out);
        return err;
    }
    page.more |= late;
    end_page(&page);
    response_json(call->response, 200);
    add_tag(call, buf_slice(page.out));
    return ERR_OK;
}

enum err call_fail(struct call *call, enum err err, const char *code, const char *format, ...)
{
    char message[256];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    response_error(call->response, call->request, err, code, message, NULL);
    call->failed = err;
    return err;
}

enum err call_fail_field(struct call *call, const char *field, const char *reason,
                         const char *message)
{
    return fail_validation(call, message,
                           json_pack("[{s:s, s:s}]", "field", field, "reason", reason));
}

/* ---- The cache */

struct load {
    struct call *call;
    call_load_fn fn;
    const void *arg;
    struct buf *out;
};

static enum err run_load(struct txn *txn, void *arg)
{
    struct load *load = arg;
    return load->fn(txn, load->call, load->arg, load->out);
}

static int64_t mono_ms(const struct call *call)
{
    return clock_mono_ns(call->app->options.clock) / 1000000;
}

enum err call_cached(struct call *call, const char *key, int64_t ttl_ms, call_load_fn load,
                     const void *arg, struct cached *out)
{
    assert(!call->txn); /* loading takes a snapshot of its own */
    struct cache *cache = call->app->options.cache;
    struct cache_lease *lease = NULL;
    *out = (struct cached){0};
    if (cache_get(cache, slice_str(key), mono_ms(call), CACHED_WAIT_MS, &out->value, &lease) ==
        CACHE_HIT) {
        out->bytes = cache_value_bytes(out->value);
        return ERR_OK;
    }
    struct load job = {call, load, arg, &out->own};
    enum err err = store_read(call->app->options.store, run_load, &job);
    out->bytes = buf_slice(&out->own);
    if (err) {
        cache_lease_release(cache, lease);
        cached_release(out);
    } else if (lease) {
        cache_fill(cache, lease, out->bytes, mono_ms(call), ttl_ms);
    }
    return err;
}

bool call_peek(struct call *call, const char *key, struct cached *out)
{
    *out = (struct cached){0};
    out->value = cache_peek(call->app->options.cache, slice_str(key), mono_ms(call));
    if (out->value)
        out->bytes = cache_value_bytes(out->value);
    return out->value;
}

void cached_release(struct cached *cached)
{
    cache_value_release(cached->value);
    buf_release(&cached->own);
    *cached = (struct cached){0};
}

static void release_value(void *value)
{
    cache_value_release(value);
}

enum err call_answer_cached(struct call *call, int status, struct cached *cached)
{
    if (status == 200)
        add_tag(call, cached->bytes);
    if (cached->value) { /* sent from the cache's own memory, which is counted until then */
        response_borrow(call->response, status, "application/json", cached->bytes, release_value,
                        cached->value);
        return ERR_OK;
    }
    buf_append_slice(&call->response->body, cached->bytes);
    response_json(call->response, status);
    cached_release(cached);
    return ERR_OK;
}

struct invalidation {
    struct cache *cache;
    size_t len;
    char key[];
};

static void invalidate(void *arg)
{
    struct invalidation *invalidation = arg;
    cache_invalidate(invalidation->cache, slice_of(invalidation->key, invalidation->len));
}

void call_invalidate(struct call *call, const char *key)
{
    size_t len = strlen(key);
    struct invalidation *invalidation = txn_alloc(call->txn, sizeof *invalidation + len);
    invalidation->cache = call->app->options.cache;
    invalidation->len = len;
    memcpy(invalidation->key, key, len);
    txn_on_commit(call->txn, invalidate, NULL, invalidation);
}

/* ---- Identity */

enum err call_check_password(struct call *call, const char *name, const char *password,
                             const char *hash)
{
    struct login login = {.door = LOGIN_USERS,
                          .network = call->request->network,
                          .name = slice_str(name),
                          .password = slice_str(password),
                          .hash = hash};
    uint32_t retry_after_s;
    enum err err = logins_check(call->app->options.logins, &login, &retry_after_s);
    if (err == ERR_UNAUTHENTICATED)
        return call_fail(call, err, "WRONG_CREDENTIALS", "The name or the password is wrong.");
    if (err) {
        call_fail(call, err, NULL,
                  "Too many try to sign in, or too often in vain; try again in %u s.",
                  retry_after_s);
        response_retry_after(call->response, retry_after_s);
    }
    return err;
}

enum err call_hash_password(struct call *call, const char *password, char *out)
{
    uint32_t retry_after_s;
    enum err err = logins_hash(call->app->options.logins, LOGIN_USERS, call->request->network,
                               slice_str(password), out, &retry_after_s);
    if (err) {
        call_fail(call, err, NULL, "Too many want to sign in or to register; try again in %u s.",
                  retry_after_s);
        response_retry_after(call->response, retry_after_s);
    }
    return err;
}

enum err call_issue_token(struct call *call, const struct principal *user, struct buf *out,
                          int64_t *expires_in_s)
{
    const struct app_options *options = &call->app->options;
    call->issued = true;
    return options->issue_token(options->issue_token_arg, user, out, expires_in_s);
}
