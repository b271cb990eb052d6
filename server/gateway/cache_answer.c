/* What becomes of an answer on its way from the target, and how a stored one goes out. */
#include "server/gateway/cache_visit.h"
#include "server/gateway/route_table.h"

#include "server/http/conditional.h"
#include "server/http/path.h"
#include "server/http/vary.h"

#define PASS_MS 10000 /* so long nobody waits for what was not stored */

/* ---- Cache-Status (RFC 9211), and counting */

static const char *const forwarded_names[] = {
    [FORWARDED_URI_MISS] = "uri-miss", [FORWARDED_VARY_MISS] = "vary-miss",
    [FORWARDED_STALE] = "stale",       [FORWARDED_REQUEST] = "request",
    [FORWARDED_BYPASS] = "bypass",
};

/* `status` of the origin, where it is not that of the answer; 0: it is, or none has come. `stored`:
 * what has come is. `caching` of what is given, or NULL. Written by hand: hits have to be cheap. */
static void tell(struct exchange *exchange, enum forwarded forwarded, enum cache_served served,
                 int status, bool stored, const struct caching *caching)
{
    struct buf *out = &exchange->response->headers;
    buf_append_str(out, "Cache-Status: galley");
    if (forwarded == FORWARDED_NOT) {
        buf_append_str(out, served == SERVED_COLLAPSED ? "; fwd=uri-miss; collapsed" : "; hit");
    } else {
        buf_append_str(out, "; fwd=");
        buf_append_str(out, forwarded_names[forwarded]);
    }
    if (status != 0) {
        buf_append_str(out, "; fwd-status=");
        buf_append_i64(out, status);
    }
    if (stored)
        buf_append_str(out, "; stored");
    if (caching) {
        buf_append_str(out, "; ttl=");
        buf_append_i64(out, caching_ttl_s(caching, visit_now_ms(exchange)));
    }
    buf_append(out, "\r\n", 2);
    struct route_traffic *traffic = traffic_for(exchange->gateway->traffic, exchange->request);
    counter_add(&traffic->served[served], 1);
    exchange->request->cached = cache_served_name(served);
}

/* ---- Conditions of the client, about an answer that is there as a whole */

static void answer_not_modified(struct response *response)
{
    response_drop_bytes(response);
    response_header_remove(response, "Content-Type");
    response->status = 304;
}

static void answer_part(struct response *response, enum range_result result,
                        const struct byte_range *range, uint64_t size)
{
    char text[CONTENT_RANGE_SIZE];
    bool part = result == RANGE_PART;
    size_t len = content_range_format(part ? range : NULL, size, text);
    response_header(response, "Content-Range", slice_of(text, len));
    response->status = part ? 206 : 416;
    if (part)
        response->borrowed = slice_of(response->borrowed.ptr + range->begin, range->length);
    else
        response_drop_bytes(response);
}

static bool has_conditions(const struct request *request)
{
    return request_header(request, "If-None-Match").ptr ||
           request_header(request, "If-Modified-Since").ptr || request_header(request, "Range").ptr;
}

static void apply_conditions(struct exchange *exchange, const struct fields *fields)
{
    struct response *response = exchange->response;
    const struct request *request = exchange->request;
    struct validators validators = {fields_get(fields, "ETag"), fields_get(fields, "Last-Modified"),
                                    fields_get(fields, "Date")};
    struct byte_range range;
    if (response->status != 200)
        return;
    if (request_has_current(request, &validators, request->received_ms)) {
        answer_not_modified(response);
        return;
    }
    if (!response->borrowed.ptr) /* not from here */
        return;
    uint64_t size = response->borrowed.len;
    enum range_result result =
        request_range(request, &validators, size, request->received_ms, &range);
    if (result != RANGE_NONE)
        answer_part(response, result, &range, size);
}

/* ---- From what is stored */

static void release_value(void *value)
{
    cache_value_release(value);
}

/* The body of what is stored, with these lines; the value is the response's. */
static void answer_with(struct exchange *exchange, struct stored *stored, struct slice lines,
                        const struct caching *caching)
{
    struct response *response = exchange->response;
    response->status = stored->status;
    response->passed_on = stored->passed_on;
    buf_append_slice(&response->headers, lines);
    response->borrowed = stored->body;
    response->release = release_value;
    response->release_arg = stored->value;
    buf_append_str(&response->headers, "Age: ");
    buf_append_i64(&response->headers, caching_age_s(caching, visit_now_ms(exchange)));
    buf_append(&response->headers, "\r\n", 2);
    stored->value = NULL;
    if (has_conditions(exchange->request)) {
        struct fields fields;
        fields_read(&fields, lines);
        apply_conditions(exchange, &fields);
    }
}

void visit_answer(struct exchange *exchange, struct stored *stored, enum cache_served served)
{
    struct caching caching = stored->caching;
    answer_with(exchange, stored, stored->fields, &caching);
    tell(exchange, exchange->visit->forwarded, served, 0, false, &caching);
}

/* ---- Storing what the target has answered */

static bool is_kept(const struct fields *fields, struct slice name)
{
    static const char *const others[] = {"Age", "Content-Length", "Cache-Status", "Cache-Tag",
                                         "Surrogate-Key"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (slice_eq_nocase(name, slice_str(others[i])))
            return false;
    }
    return !cache_control_withholds(fields->items, fields->count, name);
}

static void write_kept(const struct fields *fields, struct buf *out)
{
    struct fields kept;
    kept.count = 0;
    for (unsigned i = 0; i < fields->count; i++) {
        if (is_kept(fields, fields->items[i].name))
            kept.items[kept.count++] = fields->items[i];
    }
    fields_write(&kept, out);
}

static void write_tags(const struct fields *fields, struct buf *out)
{
    for (unsigned i = 0; i < fields->count; i++) {
        const struct header *field = &fields->items[i];
        if (!slice_eq_nocase(field->name, slice_str("Cache-Tag")) &&
            !slice_eq_nocase(field->name, slice_str("Surrogate-Key")))
            continue;
        buf_append_slice(out, field->value);
        buf_append_char(out, ' ');
    }
}

static struct cache_policy policy_of(const struct request *request)
{
    const struct route_cache *cache = &request->route->spec.cache;
    struct cache_policy policy = {.ttl_s = cache->ttl_s,
                                  .stale_if_error_s = cache->stale_if_error_s,
                                  .stale_while_revalidate_s = cache->stale_while_revalidate_s};
    for (unsigned i = 0; i < cache->key_count; i++)
        policy.per_user |= strcmp(cache->keys[i], "user") == 0;
    return policy;
}

/* What the answer says about being kept. One of our own is not its origin's. */
static enum storable judge(const struct exchange *exchange, int status, const struct fields *fields,
                           struct caching *out)
{
    const struct clock *clock = exchange->gateway->clock;
    struct cache_policy policy = policy_of(exchange->request);
    struct answered answered = {.request = exchange->request,
                                .status = status,
                                .fields = fields,
                                .asked_ms = exchange->visit->asked_ms,
                                .answered_ms = visit_now_ms(exchange),
                                .answered_wall_ms = clock_wall_ms(clock)};
    enum storable storable = caching_read(&answered, &policy, out);
    return exchange->response->err ? NOT_STATUS : storable;
}

static bool has_validator(const struct fields *fields)
{
    return fields_get(fields, "ETag").ptr || fields_get(fields, "Last-Modified").ptr;
}

/* The texts of a plan, until it has landed. */
struct texts {
    struct buf fields, tags, names;
};

static void texts_release(struct texts *texts)
{
    buf_release(&texts->fields);
    buf_release(&texts->tags);
    buf_release(&texts->names);
}

static struct landing_plan plan_for(const struct exchange *exchange, int status,
                                    const struct fields *fields, const struct caching *caching,
                                    struct texts *texts)
{
    write_kept(fields, &texts->fields);
    write_tags(fields, &texts->tags);
    vary_names(fields, &texts->names);
    return (struct landing_plan){.status = status,
                                 .passed_on = exchange->response->passed_on,
                                 .validator = has_validator(fields),
                                 .discards = exchange->visit->refreshes,
                                 .caching = *caching,
                                 .fields = buf_slice(&texts->fields),
                                 .tags = buf_slice(&texts->tags),
                                 .names = buf_slice(&texts->names),
                                 .request = exchange->request};
}

/* Whole, or while it streams. True if it is, or is going to be. */
static bool land(struct exchange *exchange, const struct landing_plan *plan)
{
    struct response *response = exchange->response;
    struct landing *landing = &exchange->visit->landing;
    size_t body_max = exchange->request->plan->cached_body_max;
    if (response->feed.fill)
        return exchange->visit->collects =
                   landing_collect(landing, plan, response, visit_now_ms(exchange));
    if (response_bytes(response).len > body_max) {
        landing_drop(landing);
        return false;
    }
    return landing_store(landing, plan, response_bytes(response), visit_now_ms(exchange));
}

/* Nobody is to wait for the next one; and what was there before is not true any more, unless it is
 * fresh and but its client insists. */
static void note_not_stored(struct exchange *exchange, enum storable why)
{
    struct cache_visit *visit = exchange->visit;
    struct landing *landing = &visit->landing;
    struct response_cache *responses = exchange->gateway->responses;
    struct slice primary = slice_of(landing->key.data, landing->primary_len);
    bool failed = exchange->response->status >= 500;
    if (visit->stale.value) {
        if (!failed && !(why == NOT_ASKED && visit->forwarded == FORWARDED_REQUEST))
            response_cache_invalidate(responses, primary);
        return;
    }
    if (!landing->lease || landing->variant || visit->asked.no_store || why == NOT_STATUS)
        return;
    struct to_store pass = {.kind = STORED_PASS, .purges = landing->purges, .key = primary};
    pass.url = slice_str("/"); /* of no consequence: purged or not, it is for ten seconds */
    response_cache_store(responses, landing->lease, &pass, visit_now_ms(exchange), PASS_MS);
    landing->lease = NULL;
}

static void take_answer(struct exchange *exchange)
{
    struct cache_visit *visit = exchange->visit;
    struct response *response = exchange->response;
    struct texts texts = {0};
    struct fields fields;
    struct caching caching;
    bool stored = false;
    bool all = fields_read(&fields, buf_slice(&response->headers));
    enum storable storable = judge(exchange, response->status, &fields, &caching);
    if (all && storable == STORABLE) {
        struct landing_plan plan = plan_for(exchange, response->status, &fields, &caching, &texts);
        stored = land(exchange, &plan);
    } else {
        note_not_stored(exchange, storable);
    }
    apply_conditions(exchange, &fields);
    texts_release(&texts);
    response_header_remove(response, "Cache-Tag");
    response_header_remove(response, "Surrogate-Key");
    tell(exchange, visit->forwarded, stored ? SERVED_STORED : SERVED_NOT_STORED, 0, stored, NULL);
}

/* ---- Confirmed, or replaced by what is stale */

/* A 304 about what we asked for: its fields are the stored answer's from now on. */
static void take_confirmation(struct exchange *exchange)
{
    struct cache_visit *visit = exchange->visit;
    struct response *response = exchange->response;
    struct stored *stale = &visit->stale;
    struct texts texts = {0};
    struct fields fields, fresh;
    struct caching caching;
    fields_read(&fields, stale->fields);
    fields_read(&fresh, buf_slice(&response->headers));
    fields_freshen(&fields, &fresh);
    enum storable storable = judge(exchange, stale->status, &fields, &caching);
    struct landing_plan plan = plan_for(exchange, stale->status, &fields, &caching, &texts);
    plan.passed_on = stale->passed_on;
    bool stored = false;
    if (storable == STORABLE)
        stored = landing_store(&visit->landing, &plan, stale->body, visit_now_ms(exchange));
    else
        note_not_stored(exchange, storable);
    response_reset(response);
    answer_with(exchange, stale, buf_slice(&texts.fields), &caching);
    texts_release(&texts);
    tell(exchange, visit->forwarded, SERVED_REVALIDATED, 304, stored, &caching);
}

static bool is_failure(const struct response *response)
{
    return response->status == 500 || response->status == 502 || response->status == 503 ||
           response->status == 504;
}

static void stand_in(struct exchange *exchange)
{
    struct cache_visit *visit = exchange->visit;
    struct caching caching = visit->stale.caching;
    int status = exchange->response->err ? 0 : exchange->response->status;
    response_reset(exchange->response);
    answer_with(exchange, &visit->stale, visit->stale.fields, &caching);
    tell(exchange, visit->forwarded, SERVED_FOR_ERROR, status, false, &caching);
}

/* ---- What unsafe methods make untrue (RFC 9111 section 4.4) */

static void invalidate_url(struct exchange *exchange, struct slice host, struct slice path,
                           struct slice query)
{
    struct response_cache *responses = exchange->gateway->responses;
    if (!plan_caches_path(exchange->request->plan, path))
        return;
    for (int secure = 0; secure < 2; secure++) {
        struct buf key = BUF_INIT;
        response_cache_url(secure, host, path, query, &key);
        response_cache_invalidate(responses, buf_slice(&key));
        size_t scheme = secure ? 8 : 7;
        if (secure && exchange->request->plan->cache_keys)
            response_cache_purge(responses, PURGE_URL,
                                 slice_of(key.data + scheme, key.len - scheme));
        buf_release(&key);
    }
}

/* Cuts scheme and host off a URI that is absolute. False: it is of another host. */
static bool cut_own_host(struct slice host, struct slice *uri)
{
    bool secure = slice_starts(*uri, slice_str("https://"));
    if (!secure && !slice_starts(*uri, slice_str("http://")))
        return !slice_starts(*uri, slice_str("//"));
    size_t scheme = secure ? 8 : 7;
    struct slice rest = slice_of(uri->ptr + scheme, uri->len - scheme);
    const char *slash = rest.len > 0 ? memchr(rest.ptr, '/', rest.len) : NULL;
    size_t len = slash ? (size_t)(slash - rest.ptr) : rest.len;
    *uri = slice_of(rest.ptr + len, rest.len - len);
    return slice_eq_nocase(slice_of(rest.ptr, len), host);
}

/* Cheap to say of a path without escapes and dots, which is as it will be. */
static bool may_be_stored(const struct plan *plan, struct slice said)
{
    bool normal = said.len > 0 && said.ptr[0] == '/' && !memchr(said.ptr, '%', said.len) &&
                  !memchr(said.ptr, '.', said.len);
    return !normal || plan_caches_path(plan, said);
}

/* A relative one stands beside the last part of the request's path. */
static void invalidate_reference(struct exchange *exchange, const char *header)
{
    const struct request *request = exchange->request;
    struct slice uri = response_header_value(exchange->response, header), path;
    struct slice host = request_host(request);
    struct buf raw = BUF_INIT;
    if (uri.len == 0 || !cut_own_host(host, &uri))
        return;
    struct slice query = uri;
    struct slice said = slice_cut(&query, '?');
    if (!may_be_stored(request->plan, said))
        return;
    if (said.len == 0 || said.ptr[0] != '/') {
        const char *slash = memrchr(request->path.ptr, '/', request->path.len);
        path_encode(slice_of(request->path.ptr, (size_t)(slash + 1 - request->path.ptr)), &raw);
    }
    buf_append_slice(&raw, said);
    if (path_normalise(raw.data, raw.len, &path))
        invalidate_url(exchange, host, path, query);
    buf_release(&raw);
}

static bool is_safe(enum method method)
{
    return method == METHOD_GET || method == METHOD_HEAD || method == METHOD_OPTIONS;
}

static __attribute__((noinline)) void invalidate_if_changed(struct exchange *exchange)
{
    const struct request *request = exchange->request;
    int status = exchange->response->status;
    if (!exchange->gateway->responses || !request->plan->caches || !request->route ||
        status < 200 || status >= 400)
        return;
    invalidate_url(exchange, request_host(request), request->path, request->query);
    invalidate_reference(exchange, "Location");
    invalidate_reference(exchange, "Content-Location");
}

/* ---- The stage's end */

static void return_headers(struct exchange *exchange)
{
    struct cache_visit *visit = exchange->visit;
    if (!visit->own)
        return;
    exchange->request->headers = visit->own;
    exchange->request->header_count = visit->own_count;
    visit->own = NULL;
}

/* Nobody looks at the answer of a refresh; what streams is asked until it has been collected. */
static void say_nothing(struct response *response, bool collects)
{
    if (!collects)
        response_reset(response);
    buf_clear(&response->headers);
    response->status = collects ? 200 : 204;
    response->quiet = true;
}

static __attribute__((noinline)) void end_visit(struct exchange *exchange)
{
    struct cache_visit *visit = exchange->visit;
    struct response *response = exchange->response;
    bool went = visit->own; /* to the target, for a whole answer */
    return_headers(exchange);
    if (visit->validates && response->status == 304)
        take_confirmation(exchange);
    else if (visit->stale.value && is_failure(response) &&
             caching_survives_error(&visit->stale.caching, &visit->asked, visit_now_ms(exchange)))
        stand_in(exchange);
    else if (went)
        take_answer(exchange);
    else if (visit->forwarded != FORWARDED_NOT)
        tell(exchange, visit->forwarded,
             visit->forwarded == FORWARDED_BYPASS ? SERVED_BYPASS : SERVED_NOT_STORED, 0, false,
             NULL);
    if (visit->refreshes)
        say_nothing(response, visit->collects);
    cache_visit_forget(exchange);
}

void stage_cache_end(struct exchange *exchange)
{
    if (!is_safe(exchange->request->method))
        invalidate_if_changed(exchange);
    if (exchange->visit)
        end_visit(exchange);
}
