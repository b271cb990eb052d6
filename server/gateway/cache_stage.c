/* DESIGN. Before its target a request of a route with a cache is looked up. What will do is the
 * answer. What will not, but may be confirmed, lends the request its own conditions. Of several
 * that ask for one thing one goes to the target, and has a flight; the others wait without a
 * thread, look again when it lands, and go alone if nothing was stored that will do for them: none
 * waits for a chain of others. What is stored, and under which key, is decided by the answer
 * (cache_answer.c).
 */
#include "server/gateway/cache_visit.h"
#include "server/gateway/route_table.h"

#include "base/mem.h"
#include "server/http/conditional.h"
#include "server/http/fields.h"
#include "server/transform/transform.h"

#include <ctype.h>
#include <stdlib.h>

#define WAITS_MAX 2 /* for a signpost, and then for the variant */

int64_t visit_now_ms(const struct exchange *exchange)
{
    return clock_mono_ns(exchange->gateway->clock) / 1000000;
}

/* ---- Keys */

static struct slice cookie_value(const struct request *request, const char *name)
{
    struct slice rest = request_header(request, "Cookie");
    while (rest.len > 0) {
        struct slice value = slice_cut(&rest, ';');
        struct slice key = slice_trim(slice_cut(&value, '='));
        if (slice_is(key, name))
            return slice_trim(value);
    }
    return slice_of(NULL, 0);
}

static struct slice key_part(const struct request *request, const char *key)
{
    if (strncmp(key, "header:", 7) == 0)
        return request_header(request, key + 7);
    if (strncmp(key, "cookie:", 7) == 0)
        return cookie_value(request, key + 7);
    return slice_str(request->user.id);
}

static unsigned cookie_count(const struct request *request, const char *name)
{
    unsigned count = 0;
    for (unsigned i = 0; i < request->header_count; i++) {
        struct slice rest = request->headers[i].value;
        if (!slice_eq_nocase(request->headers[i].name, slice_str("Cookie")))
            continue;
        while (rest.len > 0) {
            struct slice key = slice_cut(&rest, ';');
            count += slice_is(slice_trim(slice_cut(&key, '=')), name);
        }
    }
    return count;
}

/* Of two that bear one name the target may go by the other. */
static bool key_is_plain(const struct request *request)
{
    const struct route_cache *cache = &request->route->spec.cache;
    for (unsigned i = 0; i < cache->key_count; i++) {
        const char *key = cache->keys[i];
        if (strncmp(key, "header:", 7) == 0 && request_header_count(request, key + 7) > 1)
            return false;
        if (strncmp(key, "cookie:", 7) == 0 &&
            (request_header_count(request, "Cookie") > 1 || cookie_count(request, key + 7) > 1))
            return false;
    }
    return true;
}

/* What is missing is another thing than what is empty. Routes with conditions share their URLs with
 * others, that lead elsewhere. */
static void write_key(const struct request *request, struct buf *out)
{
    const struct route_cache *cache = &request->route->spec.cache;
    const char *section = request->route->spec.section;
    response_cache_url(request->secure, request_host(request), request->path, request->query, out);
    for (unsigned i = 0; i < cache->key_count; i++) {
        struct slice part = key_part(request, cache->keys[i]);
        buf_append_char(out, '\n');
        if (!part.ptr)
            continue;
        buf_append_char(out, '=');
        buf_append_slice(out, part);
    }
    if (request->route->condition_count > 0) {
        buf_append_str(out, "\n[");
        buf_append_str(out, section ? section : "");
    }
    if (request->route->spec.transform)
        transform_write_key(request->route->spec.transform, request, out);
}

/* ---- Looking up */

/* The answer, or the variant of it, for this request; else visit->forwarded says what is missing,
 * and the key is that under which it would be. */
static bool look_up(struct exchange *exchange, struct cache_visit *visit, struct stored *out)
{
    struct landing *landing = &visit->landing;
    struct response_cache *responses = exchange->gateway->responses;
    int64_t now_ms = visit_now_ms(exchange);
    landing->key.len = landing->primary_len;
    landing->variant = visit->passes = false;
    visit->forwarded = FORWARDED_URI_MISS;
    if (!response_cache_find(responses, buf_slice(&landing->key), now_ms, out))
        return false;
    visit->passes = out->kind == STORED_PASS;
    if (out->kind == STORED_ANSWER)
        return true;
    bool signpost = out->kind == STORED_SIGNPOST;
    if (signpost) {
        visit->forwarded = FORWARDED_VARY_MISS;
        visit_set_variant(landing, out->generation, out->names, exchange->request);
        buf_clear(&landing->names);
        buf_append_slice(&landing->names, out->names);
    }
    stored_release(out);
    return signpost && response_cache_find(responses, buf_slice(&landing->key), now_ms, out);
}

/* ---- Going to the target */

static void leave_stale(struct cache_visit *visit)
{
    stored_release(&visit->stale);
}

static bool is_ours_to_ask(struct slice name)
{
    static const char *const names[] = {"If-None-Match", "If-Modified-Since", "If-Range", "Range",
                                        REFRESH_MARK};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (slice_eq_nocase(name, slice_str(names[i])))
            return true;
    }
    return false;
}

/* As environments of processes have them: '_' is '-'. */
static bool is_as_variable(struct slice name, const char *other)
{
    size_t i = 0;
    while (i < name.len && other[i] &&
           (name.ptr[i] == '_' ? '-' : tolower((unsigned char)name.ptr[i])) == other[i])
        i++;
    return i == name.len && !other[i];
}

/* By which a target may answer something else than is asked for. In lower case. */
static bool is_another_question(struct slice name)
{
    static const char *const names[] = {
        "x-http-method-override", "x-http-method",   "x-method-override",  "x-original-url",
        "x-original-uri",         "x-rewrite-url",   "x-original-host",    "x-forwarded-prefix",
        "x-forwarded-scheme",     "x-forwarded-ssl", "x-forwarded-server", "x-host"};
    if (name.len < 2 || tolower((unsigned char)name.ptr[0]) != 'x')
        return false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (is_as_variable(name, names[i]))
            return true;
    }
    return false;
}

static bool is_in_key(const struct request *request, struct slice name)
{
    const struct route_cache *cache = &request->route->spec.cache;
    for (unsigned i = 0; i < cache->key_count; i++) {
        const char *key = cache->keys[i];
        if (strncmp(key, "header:", 7) == 0 && slice_eq_nocase(name, slice_str(key + 7)))
            return true;
    }
    return false;
}

static bool goes_along(const struct request *request, struct slice name)
{
    return !is_ours_to_ask(name) && (!is_another_question(name) || is_in_key(request, name));
}

static void lend(struct cache_visit *visit, unsigned *count, const char *name, struct slice value)
{
    if (!value.ptr || *count == HEADERS_MAX)
        return;
    visit->lent[(*count)++] = (struct header){slice_str(name), value};
    visit->validates = true;
}

/* The whole answer is wanted whatever the client has of it, unless it is what we have. */
static void lend_headers(struct exchange *exchange, struct cache_visit *visit)
{
    struct request *request = exchange->request;
    unsigned count = 0;
    visit->lent = mem_alloc(HEADERS_MAX * sizeof *visit->lent);
    for (unsigned i = 0; i < request->header_count; i++) {
        if (goes_along(request, request->headers[i].name))
            visit->lent[count++] = request->headers[i];
    }
    if (visit->stale.value) {
        struct fields fields;
        fields_read(&fields, visit->stale.fields);
        lend(visit, &count, "If-None-Match", fields_get(&fields, "ETag"));
        lend(visit, &count, "If-Modified-Since", fields_get(&fields, "Last-Modified"));
    }
    visit->own = request->headers;
    visit->own_count = request->header_count;
    request->headers = visit->lent;
    request->header_count = count;
}

/* A refresh that has nothing to do. */
static enum stage_result leave(struct exchange *exchange)
{
    exchange->response->status = 204;
    return STAGE_ANSWERED;
}

static enum stage_result go(struct exchange *exchange, struct cache_visit *visit)
{
    struct landing *landing = &visit->landing;
    landing->purges = response_cache_purges(exchange->gateway->responses);
    landing->lease = response_cache_lease(exchange->gateway->responses, buf_slice(&landing->key));
    if (visit->refreshes && !landing->lease) /* somebody else is at it */
        return leave(exchange);
    visit->asked_ms = visit_now_ms(exchange);
    lend_headers(exchange, visit);
    return STAGE_NEXT;
}

/* As it is, and nothing of the answer is stored. */
static enum stage_result pass(struct cache_visit *visit, enum forwarded why)
{
    visit->forwarded = why;
    return STAGE_NEXT;
}

static enum stage_result refuse(struct exchange *exchange, struct cache_visit *visit, enum err err)
{
    visit->forwarded = FORWARDED_NOT;
    return exchange_refuse(exchange, err, NULL);
}

/* ---- Deciding */

static void refresh(struct exchange *exchange, const struct cache_visit *visit)
{
    struct refreshes *refreshes = exchange->gateway->refreshes;
    if (refreshes)
        refreshes_begin(refreshes, exchange->request, buf_slice(&visit->landing.key),
                        visit->landing.primary_len, clock_mono_ns(exchange->gateway->clock));
}

/* True: a stored answer is the answer. Else it is kept in case that it is confirmed. */
static bool answer_from(struct exchange *exchange, struct cache_visit *visit,
                        enum cache_served served)
{
    struct stored stored;
    leave_stale(visit);
    if (!look_up(exchange, visit, &stored))
        return false;
    enum reuse reuse = caching_judge(&stored.caching, &visit->asked, visit_now_ms(exchange));
    if (reuse != REVALIDATE && !visit->refreshes) {
        if (reuse == REUSE_AND_REFRESH)
            refresh(exchange, visit);
        visit->forwarded = FORWARDED_NOT;
        visit_answer(exchange, &stored, reuse == REUSE ? served : SERVED_STALE);
        return true;
    }
    visit->stale = stored;
    bool insists = caching_ttl_s(&stored.caching, visit_now_ms(exchange)) > 0 &&
                   !stored.caching.validate_always;
    visit->forwarded = insists ? FORWARDED_REQUEST : FORWARDED_STALE;
    return false;
}

/* Answers that must be asked for each time are not waited for: what another gets is not ours. */
static bool waits_for_others(const struct request *request, const struct cache_visit *visit)
{
    const struct stored *stale = &visit->stale;
    return !request->leads && !visit->alone && !visit->refreshes && !visit->passes &&
           visit->waits < WAITS_MAX && !visit->asked.no_cache && visit->asked.max_age_s != 0 &&
           !(stale->value && (stale->caching.validate_always || stale->caching.lifetime_s == 0));
}

static enum stage_result decide(struct exchange *exchange, struct cache_visit *visit)
{
    struct request *request = exchange->request;
    struct landing *landing = &visit->landing;
    enum cache_served served = visit->waits > 0 ? SERVED_COLLAPSED : SERVED_HIT;
    if (answer_from(exchange, visit, served))
        return STAGE_ANSWERED;
    if (visit->asked.only_if_cached)
        return refuse(exchange, visit, ERR_NOT_CACHED);
    if (request->method == METHOD_HEAD || request_header(request, "Range").ptr)
        return pass(visit, visit->forwarded);
    if (!waits_for_others(request, visit))
        return go(exchange, visit);
    landing->flight = flights_join(exchange->gateway->flights, buf_slice(&landing->key),
                                   &visit->wait, request, visit_now_ms(exchange));
    if (!landing->flight)
        return STAGE_WAIT; /* all else is another thread's now */
    request->leads = true;
    /* Another flight may have landed since we looked. */
    if (answer_from(exchange, visit, SERVED_HIT)) {
        flight_end(exchange->gateway->flights, &landing->flight, true);
        return STAGE_ANSWERED;
    }
    return go(exchange, visit);
}

/* It comes from another address than the request did, and later: what it would be answered may be
 * another route's, and nothing to store under the key. */
static bool goes_astray(struct exchange *exchange, const struct cache_visit *visit)
{
    struct buf key = BUF_INIT;
    write_key(exchange->request, &key);
    bool same = slice_eq(buf_slice(&key), buf_slice(&visit->landing.key));
    buf_release(&key);
    return !same;
}

static struct cache_visit *begin(struct exchange *exchange)
{
    struct cache_visit *visit = mem_zalloc(sizeof *visit);
    struct refreshes *refreshes = exchange->gateway->refreshes;
    visit->landing.gateway = exchange->gateway;
    visit->refreshes = exchange->request->local && refreshes &&
                       refreshes_find(refreshes, exchange->request, &visit->landing.key);
    if (visit->refreshes)
        exchange->request->secure =
            slice_starts(buf_slice(&visit->landing.key), slice_str("https:"));
    else
        write_key(exchange->request, &visit->landing.key);
    visit->landing.primary_len = visit->landing.key.len;
    cache_control_of_request(exchange->request, &visit->asked);
    return exchange->visit = visit;
}

static bool is_for_cache(const struct request *request)
{
    return (request->method == METHOD_GET || request->method == METHOD_HEAD) &&
           !request_asks_origin(request) && !request_header(request, "Upgrade").ptr &&
           request->body.len == 0 && !request->body_source &&
           !fields_connection_hides(request->headers, request->header_count) &&
           key_is_plain(request);
}

static __attribute__((noinline)) enum stage_result visit_cache(struct exchange *exchange)
{
    struct request *request = exchange->request;
    struct cache_visit *visit = exchange->visit;
    if (visit) {
        visit->waits++;
        visit->alone = !visit->wait.landed;
        if (flights_are_over(exchange->gateway->flights))
            return refuse(exchange, visit, ERR_DRAINING);
        return decide(exchange, visit);
    }
    visit = begin(exchange);
    if (visit->refreshes && goes_astray(exchange, visit))
        return leave(exchange);
    return is_for_cache(request) ? decide(exchange, visit) : pass(visit, FORWARDED_BYPASS);
}

enum stage_result stage_cache(struct exchange *exchange)
{
    bool stored = exchange->request->route->spec.cache.enabled && exchange->gateway->responses;
    return stored ? visit_cache(exchange) : STAGE_NEXT;
}

void cache_visit_forget(struct exchange *exchange)
{
    struct cache_visit *visit = exchange->visit;
    if (!visit)
        return;
    if (visit->own) {
        exchange->request->headers = visit->own;
        exchange->request->header_count = visit->own_count;
    }
    leave_stale(visit);
    landing_drop(&visit->landing);
    free(visit->lent);
    free(visit);
    exchange->visit = NULL;
}
