#include "server/gateway/response_cache.h"

#include "base/hash.h"
#include "base/mem.h"
#include "server/http/path.h"

#include <ctype.h>
#include <stdatomic.h>
#include <stdlib.h>

#define MARK_SLOTS  16384 /* fits the 16 bits of a mark */
#define DEPTH_MAX   24    /* slashes of a path that can be prefixes of a purge */
#define ROOM_PART   4     /* of the budget, for what is collected */
#define NAME_PREFIX '\1'  /* no key of a module begins so */

struct response_cache {
    struct cache *cache;
    _Atomic uint64_t purges;
    atomic_size_t collected;            /* bytes of answers that stream */
    _Atomic uint64_t marks[MARK_SLOTS]; /* the number of the last purge of each */
};

/* Before the bytes of a stored value; key, names, marks, fields and body follow. */
struct stored_head {
    struct caching caching;
    uint64_t generation, purges;
    uint32_t key_len, names_len, mark_count, fields_len;
    int32_t status;
    uint16_t kind, passed_on;
};

struct response_cache *response_cache_create(struct cache *cache)
{
    struct response_cache *made = mem_zalloc(sizeof *made);
    made->cache = cache;
    return made;
}

void response_cache_destroy(struct response_cache **cache)
{
    free(*cache);
    *cache = NULL;
}

/* ---- Keys */

void response_cache_url(bool secure, struct slice host, struct slice path, struct slice query,
                        struct buf *out)
{
    buf_reserve(out, host.len + path.len + query.len + 16);
    buf_append_str(out, secure ? "https://" : "http://");
    for (size_t i = 0; i < host.len; i++)
        buf_append_char(out, (char)tolower((unsigned char)host.ptr[i]));
    path_encode(path, out); /* an escaped '?' stays apart from the query's */
    if (query.len > 0) {
        buf_append_char(out, '?');
        buf_append_slice(out, query);
    }
}

struct cached_name response_cache_name(struct slice key)
{
    struct cached_name name;
    uint64_t hashes[2] = {hash_keyed(key), hash_bytes(key)};
    name.bytes[0] = NAME_PREFIX;
    memcpy(name.bytes + 1, hashes, sizeof hashes);
    return name;
}

static struct slice name_slice(const struct cached_name *name)
{
    return slice_of(name->bytes, sizeof name->bytes);
}

/* ---- Marks */

struct mark_list {
    unsigned count;
    bool too_many;
    uint16_t items[CACHED_MARKS_MAX];
};

/* `kind` keeps a tag apart from a path that reads the same. */
static uint16_t mark_of(char kind, struct slice host, struct slice text)
{
    char stack[512];
    size_t size = 1 + host.len + text.len;
    char *bytes = size <= sizeof stack ? stack : mem_alloc(size);
    bytes[0] = kind;
    if (host.len > 0)
        memcpy(bytes + 1, host.ptr, host.len);
    if (text.len > 0)
        memcpy(bytes + 1 + host.len, text.ptr, text.len);
    uint16_t mark = (uint16_t)(hash_keyed(slice_of(bytes, size)) % MARK_SLOTS);
    if (bytes != stack)
        free(bytes);
    return mark;
}

static void add_mark(struct mark_list *list, uint16_t mark)
{
    if (list->count < CACHED_MARKS_MAX)
        list->items[list->count++] = mark;
    else
        list->too_many = true;
}

/* Cuts "host/path?query" at its first slash. */
static struct slice cut_host(struct slice *url)
{
    const char *slash = url->len > 0 ? memchr(url->ptr, '/', url->len) : NULL;
    struct slice host = slice_of(url->ptr, slash ? (size_t)(slash - url->ptr) : url->len);
    *url = slice_of(url->ptr + host.len, url->len - host.len);
    return host;
}

static void add_prefixes(struct mark_list *list, struct slice host, struct slice path)
{
    struct slice none = {NULL, 0};
    unsigned depth = 0;
    for (size_t i = 0; i < path.len && depth < DEPTH_MAX; i++) {
        if (path.ptr[i] != '/')
            continue;
        add_mark(list, mark_of('p', host, slice_of(path.ptr, i + 1)));
        add_mark(list, mark_of('p', none, slice_of(path.ptr, i + 1)));
        depth++;
    }
}

static struct slice cut_tag(struct slice *tags)
{
    size_t at = 0;
    while (at < tags->len && !strchr(" \t,", tags->ptr[at]))
        at++;
    struct slice tag = slice_of(tags->ptr, at);
    size_t used = at < tags->len ? at + 1 : at;
    *tags = slice_of(tags->ptr + used, tags->len - used);
    return tag;
}

static void add_tags(struct mark_list *list, struct slice tags)
{
    struct slice none = {NULL, 0};
    while (tags.len > 0) {
        struct slice tag = cut_tag(&tags);
        if (tag.len > 0)
            add_mark(list, mark_of('t', none, tag));
    }
}

static void list_marks(const struct to_store *what, struct mark_list *out)
{
    struct slice url = what->url, none = {NULL, 0};
    struct slice host = cut_host(&url);
    struct slice rest = url;
    out->count = 0;
    out->too_many = false;
    add_mark(out, mark_of('u', host, url));
    add_mark(out, mark_of('u', none, url));
    add_prefixes(out, host, slice_cut(&rest, '?'));
    add_tags(out, what->tags);
}

/* Purges are rare: what was stored after the last one need not look at its marks. */
static bool is_void(const struct response_cache *cache, const struct stored_head *head,
                    const char *marks)
{
    if (atomic_load(&cache->purges) <= head->purges)
        return false;
    for (uint32_t i = 0; i < head->mark_count; i++) {
        uint16_t mark;
        memcpy(&mark, marks + i * sizeof mark, sizeof mark);
        if (atomic_load(&cache->marks[mark]) > head->purges)
            return true;
    }
    return false;
}

uint64_t response_cache_purges(const struct response_cache *cache)
{
    return atomic_load(&cache->purges);
}

static void make_mark(struct response_cache *cache, uint16_t mark)
{
    uint64_t number = atomic_fetch_add(&cache->purges, 1) + 1;
    uint64_t before = atomic_load(&cache->marks[mark]);
    while (before < number && !atomic_compare_exchange_weak(&cache->marks[mark], &before, number))
        ;
}

static unsigned slashes(struct slice path)
{
    unsigned count = 0;
    for (size_t i = 0; i < path.len; i++)
        count += path.ptr[i] == '/';
    return count;
}

bool response_cache_purge(struct response_cache *cache, enum purge_kind kind, struct slice text)
{
    struct slice none = {NULL, 0};
    if (kind == PURGE_TAG) {
        struct slice rest = text;
        if (text.len == 0 || cut_tag(&rest).len < text.len)
            return false;
        make_mark(cache, mark_of('t', none, text));
        return true;
    }
    struct slice path = text;
    struct slice host = cut_host(&path);
    bool prefix = kind == PURGE_PREFIX;
    if (path.len == 0 || (prefix && (path.ptr[path.len - 1] != '/' || slashes(path) > DEPTH_MAX)))
        return false;
    make_mark(cache, mark_of(prefix ? 'p' : 'u', host, path));
    return true;
}

/* ---- Looking up */

static void read_value(struct cache_value *value, struct stored_head *head, const char **marks,
                       struct stored *out)
{
    struct slice bytes = cache_value_bytes(value);
    memcpy(head, bytes.ptr, sizeof *head);
    const char *at = bytes.ptr + sizeof *head;
    out->value = value;
    out->kind = (enum stored_kind)head->kind;
    out->status = head->status;
    out->passed_on = head->passed_on;
    out->generation = head->generation;
    out->caching = head->caching;
    out->key = slice_of(at, head->key_len);
    at += head->key_len;
    out->names = slice_of(at, head->names_len);
    at += head->names_len;
    *marks = at;
    at += head->mark_count * sizeof(uint16_t);
    out->fields = slice_of(at, head->fields_len);
    at += head->fields_len;
    out->body = slice_of(at, (size_t)(bytes.ptr + bytes.len - at));
}

bool response_cache_find(struct response_cache *cache, struct slice key, int64_t now_ms,
                         struct stored *out)
{
    struct cached_name name = response_cache_name(key);
    struct cache_value *value = cache_peek(cache->cache, name_slice(&name), now_ms);
    struct stored_head head;
    const char *marks;
    *out = (struct stored){0};
    if (!value)
        return false;
    read_value(value, &head, &marks, out);
    if (slice_eq(out->key, key) && !is_void(cache, &head, marks))
        return true;
    stored_release(out);
    return false;
}

void stored_release(struct stored *stored)
{
    cache_value_release(stored->value);
    *stored = (struct stored){0};
}

/* ---- Storing */

struct cache_lease *response_cache_lease(struct response_cache *cache, struct slice key)
{
    struct cached_name name = response_cache_name(key);
    return cache_lease_take_over(cache->cache, name_slice(&name));
}

void response_cache_lease_end(struct response_cache *cache, struct cache_lease *lease)
{
    cache_lease_release(cache->cache, lease);
}

bool response_cache_take_room(struct response_cache *cache, size_t bytes)
{
    size_t room = cache_budget(cache->cache) / ROOM_PART;
    size_t before = atomic_load(&cache->collected);
    do {
        if (before > room || bytes > room - before)
            return false;
    } while (!atomic_compare_exchange_weak(&cache->collected, &before, before + bytes));
    return true;
}

void response_cache_give_room(struct response_cache *cache, size_t bytes)
{
    atomic_fetch_sub(&cache->collected, bytes);
}

static void write_value(const struct to_store *what, const struct mark_list *marks, struct buf *out)
{
    struct stored_head head;
    memset(&head, 0, sizeof head); /* its gaps too: they are copied */
    head.caching = what->caching;
    head.generation = what->generation;
    head.purges = what->purges;
    head.key_len = (uint32_t)what->key.len;
    head.names_len = (uint32_t)what->names.len;
    head.mark_count = marks->count;
    head.fields_len = (uint32_t)what->fields.len;
    head.status = what->status;
    head.kind = (uint16_t)what->kind;
    head.passed_on = what->passed_on;
    buf_reserve(out, sizeof head + what->key.len + what->names.len +
                         marks->count * sizeof marks->items[0] + what->fields.len + what->body.len);
    buf_append(out, &head, sizeof head);
    buf_append_slice(out, what->key);
    buf_append_slice(out, what->names);
    buf_append(out, marks->items, marks->count * sizeof marks->items[0]);
    buf_append_slice(out, what->fields);
    buf_append_slice(out, what->body);
}

bool response_cache_store(struct response_cache *cache, struct cache_lease *lease,
                          const struct to_store *what, int64_t now_ms, int64_t keep_ms)
{
    struct mark_list marks;
    list_marks(what, &marks);
    if (marks.too_many) {
        cache_lease_release(cache->cache, lease);
        return false;
    }
    struct buf value = BUF_INIT;
    write_value(what, &marks, &value);
    bool stored = cache_fill(cache->cache, lease, buf_slice(&value), now_ms, keep_ms);
    buf_release(&value);
    return stored;
}

void response_cache_invalidate(struct response_cache *cache, struct slice key)
{
    struct cached_name name = response_cache_name(key);
    cache_invalidate(cache->cache, name_slice(&name));
}
