/* /_/api/cache: the memory for values, what it does for the routes that store answers, what is
 * stored under a URL; and voiding it. */
#include "base/log.h"
#include "server/admin/admin_private.h"

const char purge_schema_text[] =
    "{\"type\": \"object\","
    " \"properties\": {\"url\": {\"type\": \"string\", \"maxLength\": 8192},"
    " \"prefix\": {\"type\": \"string\", \"maxLength\": 8192},"
    " \"tag\": {\"type\": \"string\", \"maxLength\": 256}}, \"additionalProperties\": false}";

static void write_number(struct json_writer *w, const char *key, uint64_t value)
{
    jw_key(w, key);
    jw_i64(w, (int64_t)value);
}

static void write_text(struct json_writer *w, const char *key, struct slice value)
{
    jw_key(w, key);
    jw_str(w, value);
}

/* ---- GET /_/api/cache */

static void write_stats(struct json_writer *w, const struct cache_stats *stats)
{
    write_number(w, "entries", stats->entries);
    write_number(w, "bytes", stats->bytes);
    write_number(w, "hits", stats->hits);
    write_number(w, "misses", stats->misses);
    write_number(w, "evictions", stats->evictions);
    write_number(w, "expirations", stats->expirations);
    write_number(w, "invalidations", stats->invalidations);
}

static void write_shards(struct json_writer *w, struct cache *cache)
{
    jw_key(w, "shards");
    jw_begin(w, '[');
    for (unsigned i = 0; i < cache_shards(cache); i++) {
        struct cache_stats stats;
        cache_shard_stats(cache, i, &stats);
        jw_begin(w, '{');
        write_stats(w, &stats);
        jw_end(w, '}');
    }
    jw_end(w, ']');
}

/* Those with a cache that anybody has asked for. */
static void write_route(const struct gateway_route *route, void *arg)
{
    struct json_writer *w = arg;
    uint64_t requests = 0;
    for (int served = 0; served < SERVED_COUNT; served++)
        requests += route->served[served];
    if (requests == 0 || !route->pattern)
        return;
    jw_begin(w, '{');
    write_text(w, "method", slice_str(method_name(route->method)));
    write_text(w, "pattern", slice_str(route->pattern));
    write_number(w, "requests", requests);
    jw_key(w, "served");
    jw_begin(w, '{');
    for (enum cache_served served = 0; served < SERVED_COUNT; served++)
        write_number(w, cache_served_name(served), route->served[served]);
    jw_end(w, '}');
    jw_end(w, '}');
}

void serve_cache(struct visit *visit)
{
    const struct admin_options *options = &visit->admin->options;
    struct json_writer w = {.out = &visit->response->body};
    struct cache_stats stats;
    cache_stats(options->cache, &stats);
    jw_begin(&w, '{');
    write_number(&w, "budgetBytes", cache_budget(options->cache));
    write_stats(&w, &stats);
    write_shards(&w, options->cache);
    write_number(&w, "purges", gateway_purges(options->gateway));
    jw_key(&w, "routes");
    jw_begin(&w, '[');
    gateway_each_route(options->gateway, write_route, &w);
    jw_end(&w, ']');
    jw_end(&w, '}');
    response_json(visit->response, 200);
}

/* ---- GET /_/api/cache/entry?url= */

/* Header values may be any bytes. */
static void write_line(struct json_writer *w, struct slice line)
{
    struct slice value = line;
    struct slice name = slice_cut(&value, ':');
    value = slice_trim(value);
    jw_begin(w, '[');
    jw_str(w, name);
    jw_str(w, slice_is_utf8(value) ? value : slice_str("(no text)"));
    jw_end(w, ']');
}

static void write_entry(struct json_writer *w, const struct gateway_stored *stored)
{
    struct slice lines = stored->headers;
    jw_begin(w, '{');
    jw_key(w, "passes");
    jw_bool(w, stored->passes);
    write_text(w, "variesBy", stored->varies_by);
    write_number(w, "status", (uint64_t)stored->status);
    write_number(w, "age", (uint64_t)stored->age_s);
    jw_key(w, "ttl");
    jw_i64(w, stored->ttl_s);
    write_number(w, "bytes", stored->body_bytes);
    jw_key(w, "headers");
    jw_begin(w, '[');
    while (lines.len > 0) {
        struct slice line = slice_cut(&lines, '\n');
        line.len -= line.len > 0; /* the CR */
        write_line(w, line);
    }
    jw_end(w, ']');
    jw_end(w, '}');
}

void serve_cache_entry(struct visit *visit)
{
    struct buf scratch = BUF_INIT;
    struct json_writer w = {.out = &visit->response->body};
    struct gateway_stored stored;
    struct slice url = request_query(visit->request, "url", &scratch);
    if (gateway_look_up(visit->admin->options.gateway, url, &stored)) {
        write_entry(&w, &stored);
        cache_value_release(stored.value);
        response_json(visit->response, 200);
    } else {
        response_error(visit->response, visit->request, ERR_NOT_FOUND, NULL,
                       "Nothing is stored under this URL.", NULL);
    }
    buf_release(&scratch);
}

/* ---- POST /_/api/cache/purge */

static const struct {
    const char *member, *form;
} kinds[] = {
    [PURGE_URL] = {"url", "A URL begins with http://, https:// or a slash."},
    [PURGE_PREFIX] = {"prefix", "A prefix begins with http://, https:// or a slash, and ends with "
                                "a slash."},
    [PURGE_TAG] = {"tag", "A tag is one word."},
};

static void refuse(struct visit *visit, const char *member, const char *message)
{
    json_t *details = json_pack("[{s:s, s:s}]", "field", member, "reason", "format");
    response_error(visit->response, visit->request, ERR_VALIDATION, NULL, message, details);
    json_decref(details);
}

static void purge(struct visit *visit, enum purge_kind kind, const char *text)
{
    const char *member = kinds[kind].member;
    if (gateway_purge(visit->admin->options.gateway, kind, slice_str(text))) {
        refuse(visit, member, kinds[kind].form);
        return;
    }
    log_write(LOG_INFO, "admin", "%s purges the %s %s from the cache", visit_who(visit), member,
              text);
    visit->response->status = 204;
}

void serve_cache_purge(struct visit *visit)
{
    json_t *body = NULL;
    if (!request_read_json(visit->request, visit->admin->purge_schema, visit->response, &body))
        return;
    if (json_object_size(body) == 1) {
        enum purge_kind kind = PURGE_URL;
        while (!json_object_get(body, kinds[kind].member))
            kind++;
        purge(visit, kind, json_str(body, kinds[kind].member, ""));
    } else {
        refuse(visit, "url", "One of url, prefix and tag is purged.");
    }
    json_decref(body);
}
