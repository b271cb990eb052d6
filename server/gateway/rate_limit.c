#include "server/gateway/exchange.h"
#include "server/gateway/gateway_private.h"
#include "server/gateway/route_table.h"

#include <stdio.h>

/* Its first part never changes for a route: made once, and the rest is two numbers. */
void rate_limit_write_head(const struct rate_limit *limit, struct buf *out)
{
    buf_printf(out,
               "RateLimit-Policy: \"default\";q=%u;w=%u\r\n"
               "RateLimit: \"default\";r=",
               limit->count, limit->window_s);
}

static enum stage_result refuse(struct exchange *exchange, uint32_t retry_after_s)
{
    char message[80];
    snprintf(message, sizeof message, "Too many requests; try again in %u s.", retry_after_s);
    return exchange_refuse(exchange, ERR_LIMITED, message);
}

enum stage_result stage_rate_limit(struct exchange *exchange)
{
    const struct route *route = exchange->request->route;
    const struct request *request = exchange->request;
    if (route->spec.limit.count == 0)
        return STAGE_NEXT;
    bool by_user = route->spec.limit.by == RATE_BY_USER && request->user.id[0] != '\0';
    struct slice key = by_user ? slice_str(request->user.id) : request->network;
    /* A user must not share a bucket with an address that reads the same. */
    uint64_t scope = route->limit_scope + by_user;
    exchange->rate.taken = true;
    exchange->rate.verdict = rate_table_take(exchange->gateway->rates, &route->spec.limit, scope,
                                             key, request->started_ns);
    if (exchange->rate.verdict.allowed)
        return STAGE_NEXT;
    return refuse(exchange, exchange->rate.verdict.retry_after_s);
}

/* As servers sent them before there was a standard. */
static void append_old_headers(const struct rate_verdict *verdict, uint32_t limit, struct buf *out)
{
    buf_printf(out,
               "X-RateLimit-Limit: %u\r\nX-RateLimit-Remaining: %llu\r\n"
               "X-RateLimit-Reset: %llu\r\n",
               limit, (unsigned long long)verdict->remaining, (unsigned long long)verdict->reset_s);
}

void stage_rate_limit_end(struct exchange *exchange)
{
    if (!exchange->rate.taken)
        return;
    const struct rate_verdict *verdict = &exchange->rate.verdict;
    struct buf *headers = &exchange->response->headers;
    buf_append_slice(headers, buf_slice(&exchange->request->route->limit_head));
    buf_append_u64(headers, verdict->remaining);
    buf_append_str(headers, ";t=");
    buf_append_u64(headers, verdict->reset_s);
    buf_append_str(headers, "\r\n");
    if (exchange->request->plan->old_rate_headers)
        append_old_headers(verdict, exchange->request->route->spec.limit.count, headers);
    if (!verdict->allowed) {
        buf_append_str(headers, "Retry-After: ");
        buf_append_u64(headers, verdict->retry_after_s);
        buf_append_str(headers, "\r\n");
    }
}
