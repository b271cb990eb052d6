/* DESIGN. What a route changes is changed on the target's side of the cache in requests, and on the
 * client's in answers. So what is stored is what the target has said; what it got to know of a
 * request besides its URL is in the key; and what an answer says of its user or client is filled in
 * anew each time that it is given.
 *
 * Where answers of JSON are changed, the cache and the target are asked for the whole of one in
 * plain bytes (struct plain), whatever the client has of it: HEAD is GET until the answer stands,
 * conditions and ranges are not for them. encode.c then does what the client asked for, by the
 * bytes that it would get. Bodies of requests are changed before anybody looks at them. */
#include "server/gateway/exchange.h"
#include "server/gateway/route_table.h"

#include "base/mem.h"
#include "server/transform/transform.h"

#include <stdlib.h>

/* What a request has that the stages behind do not get to see. */
struct plain {
    const struct header *headers;
    unsigned header_count;
    enum method method;
    struct slice body;
    bool has_body; /* that was changed */
    struct buf changed;
    struct header seen[HEADERS_MAX];
};

/* The same, while its target has it. */
struct lent {
    struct transform_request seen;
    const struct header *headers;
    unsigned header_count;
    struct slice query;
};

/* ---- Before all that look at the request */

static bool stands_in(struct slice name, const char *const *names)
{
    while (*names && !slice_eq_nocase(name, slice_str(*names)))
        names++;
    return *names;
}

static void leave_out(struct request *request, struct plain *plain, const char *const *names)
{
    unsigned count = 0;
    for (unsigned i = 0; i < request->header_count; i++) {
        if (!stands_in(request->headers[i].name, names))
            plain->seen[count++] = request->headers[i];
    }
    request->headers = plain->seen;
    request->header_count = count;
}

static void ask_plainly(struct request *request, struct plain *plain)
{
    static const char *const names[] = {"Accept-Encoding", "If-None-Match", "If-Modified-Since",
                                        "If-Range",        "Range",         NULL};
    leave_out(request, plain, names);
    if (request->header_count < HEADERS_MAX)
        plain->seen[request->header_count++] =
            (struct header){slice_str("Accept-Encoding"), slice_str("identity")};
    if (request->method == METHOD_HEAD)
        request->method = METHOD_GET;
    request->json_max = TRANSFORM_JSON_MAX;
}

static struct plain *begin(struct exchange *exchange, const struct transform *transform)
{
    struct request *request = exchange->request;
    struct plain *plain = exchange->plain = mem_zalloc(sizeof *plain);
    plain->headers = request->headers;
    plain->header_count = request->header_count;
    plain->method = request->method;
    if (transform_changes_json(transform))
        ask_plainly(request, plain);
    return plain;
}

static enum stage_result refuse_body(struct exchange *exchange, enum err err, const char *message)
{
    exchange_refuse(exchange, err, message);
    exchange->response->close = true; /* what follows on the connection may be this body */
    return STAGE_ANSWERED;
}

/* Of what will be read at all. */
static size_t body_max(const struct request *request)
{
    const struct route_spec *spec = &request->route->spec;
    uint64_t max = spec->body_max > 0 ? spec->body_max : request->body_max;
    return max < TRANSFORM_JSON_MAX ? (size_t)max : TRANSFORM_JSON_MAX;
}

static enum stage_result change_body(struct exchange *exchange, const struct transform *transform)
{
    static const char *const about[] = {"Content-MD5", "Digest", "Content-Digest", "Repr-Digest",
                                        NULL};
    struct request *request = exchange->request;
    struct plain *plain = exchange->plain;
    size_t max = body_max(request);
    struct slice coding = request_header(request, "Content-Encoding");
    bool whole;
    char why[200];
    if (coding.len > 0 && !slice_eq_nocase(coding, slice_str("identity")))
        return refuse_body(exchange, ERR_MEDIA_TYPE, "The body must not be encoded.");
    enum err err = request_body_gather(request, max, &whole);
    if (err)
        return refuse_body(exchange, err, NULL);
    if (!whole)
        return STAGE_WAIT;
    err = transform_body(transform, request, &plain->changed, why, sizeof why);
    if (err)
        return exchange_refuse(exchange, err, why);
    leave_out(request, plain, about);
    plain->body = request->body;
    plain->has_body = true;
    request->body = buf_slice(&plain->changed);
    return STAGE_NEXT;
}

static bool has_body(const struct request *request)
{
    return (request->body_source || request->body.len > 0) && body_max(request) > 0;
}

static STAGE_RARE enum stage_result transform(struct exchange *exchange,
                                              const struct transform *transform)
{
    struct request *request = exchange->request;
    bool changes = has_body(request) && transform_changes_body(transform, request);
    if (!changes && !transform_changes_json(transform))
        return STAGE_NEXT;
    if (!exchange->plain)
        begin(exchange, transform);
    return changes ? change_body(exchange, transform) : STAGE_NEXT;
}

enum stage_result stage_transform(struct exchange *exchange)
{
    const struct transform *own = exchange->request->route->spec.transform;
    return own ? transform(exchange, own) : STAGE_NEXT;
}

struct slice transform_own_body(const struct exchange *exchange)
{
    bool changed = exchange->plain && exchange->plain->has_body;
    return changed ? exchange->plain->body : exchange->request->body;
}

/* ---- Before its target */

void transform_return(struct exchange *exchange)
{
    struct lent *lent = exchange->lent;
    if (!lent)
        return;
    exchange->request->headers = lent->headers;
    exchange->request->header_count = lent->header_count;
    exchange->request->query = lent->query;
    transform_request_release(&lent->seen);
    free(lent);
    exchange->lent = NULL;
}

STAGE_RARE enum stage_result transform_lend(struct exchange *exchange)
{
    struct request *request = exchange->request;
    const struct transform *transform = request->route->spec.transform;
    if (exchange->lent || !transform_changes_requests(transform))
        return STAGE_NEXT;
    struct lent *lent = exchange->lent = mem_zalloc(sizeof *lent);
    lent->headers = request->headers;
    lent->header_count = request->header_count;
    lent->query = request->query;
    enum err err = transform_request(transform, request, &lent->seen);
    if (err) {
        transform_return(exchange); /* what it stands on is freed before it is let go */
        return exchange_refuse(exchange, err, NULL);
    }
    request->headers = lent->seen.headers;
    request->header_count = lent->seen.header_count;
    request->query = lent->seen.query;
    return STAGE_NEXT;
}

/* ---- When the answer stands */

void transform_forget(struct exchange *exchange)
{
    struct plain *plain = exchange->plain;
    if (!plain)
        return;
    exchange->request->headers = plain->headers;
    exchange->request->header_count = plain->header_count;
    exchange->request->method = plain->method;
    if (plain->has_body)
        exchange->request->body = plain->body;
    buf_release(&plain->changed);
    free(plain);
    exchange->plain = NULL;
}

void stage_transform_end(struct exchange *exchange)
{
    const struct route *route = exchange->request->route;
    if (!route || !route->spec.transform)
        return;
    bool plainly = exchange->plain;
    transform_forget(exchange);
    if (plainly)
        transform_json(route->spec.transform, exchange->request, exchange->response);
    transform_response(route->spec.transform, exchange->request, exchange->response);
}
