#include "server/gateway/exchange.h"
#include "server/gateway/gateway_private.h"
#include "server/gateway/respond.h"
#include "server/gateway/route_pattern.h"
#include "server/gateway/route_table.h"

#include <assert.h>
#include <stdio.h>

/* Values of parameters are segments that were decoded: who hands the path on encodes them again, so
 * that none becomes a query, a dot segment or two. */
static STAGE_RARE void rewrite(struct exchange *exchange, const char *pattern)
{
    struct slice rest = slice_str(pattern + 1);
    struct buf *out = &exchange->inner;
    while (rest.ptr) {
        struct slice segment = slice_cut(&rest, '/'), value = segment;
        char name[64];
        enum segment_kind kind = segment_kind(segment, !rest.ptr);
        if (kind != SEGMENT_LITERAL) {
            value = kind == SEGMENT_REST ? segment : segment_param(segment);
            snprintf(name, sizeof name, "%.*s", SLICE_ARG(value));
            value = request_param(exchange->request, name);
        }
        buf_append_char(out, '/');
        buf_append_slice(out, value);
    }
    exchange->request->inner = buf_slice(out);
}

enum stage_result stage_target(struct exchange *exchange)
{
    const struct route_spec *spec = &exchange->request->route->spec;
    if (spec->rewrite && !exchange->request->inner.ptr)
        rewrite(exchange, spec->rewrite);
    if (spec->transform && transform_lend(exchange) == STAGE_ANSWERED)
        return STAGE_ANSWERED;
    exchange->request->target_ns = spec->timeout_ns;
    spec->target(exchange->request, exchange->response, spec->arg);
    if (exchange->request->awaiting)
        return STAGE_WAIT; /* all else is another thread's now */
    if (exchange->response->status == 0)
        return STAGE_WAIT; /* for its body */
    if (exchange->lent)
        transform_return(exchange);
    return STAGE_ANSWERED;
}

/* No server has an answer: by our word, or by that of one behind it. */
static bool is_left_without(const struct response *response)
{
    enum err err = response->err;
    bool ours = err == ERR_UPSTREAM || err == ERR_UNAVAILABLE || err == ERR_UPSTREAM_TIMEOUT;
    return response->status >= 502 && response->status <= 504 && (ours || response->passed_on);
}

static STAGE_RARE void fall_back(struct exchange *exchange, struct respond *fallback)
{
    struct response *response = exchange->response;
    bool close = response->close;
    response_reset(response);
    respond_target(exchange->request, response, fallback);
    response_header_remove(response, "ETag"); /* it is no state of the resource */
    response_header_remove(response, "Cache-Control");
    response_header(response, "Cache-Control", slice_str("no-store"));
    response_header(response, "X-Galley-Fallback", slice_str("true"));
    response->close = close;
}

static STAGE_RARE void tell_tried(struct exchange *exchange)
{
    const struct request *request = exchange->request;
    if (request->plan && request->plan->development)
        response_header(exchange->response, "X-Galley-Tried", slice_str(request->tried));
}

void stage_target_end(struct exchange *exchange)
{
    const struct request *request = exchange->request;
    struct respond *fallback = request->route ? request->route->spec.fallback : NULL;
    if (fallback && is_left_without(exchange->response))
        fall_back(exchange, fallback);
    if (request->tried[0])
        tell_tried(exchange);
}
