#include "server/gateway/exchange.h"
#include "server/gateway/gateway_private.h"
#include "server/gateway/route_table.h"

#include <stdio.h>

/* Its first part never changes for a route: made once, and the rest is two numbers. */
void rate_limit_write_head(const char *name, const struct rate_limit *limit, struct buf *out)
{
    name = name ? name : "default";
    buf_printf(out,
               "RateLimit-Policy: \"%s\";q=%u;w=%u\r\n"
               "RateLimit: \"%s\";r=",
               name, limit->count, limit->window_s, name);
}

static enum stage_result refuse(struct exchange *exchange, uint32_t retry_after_s)
{
    char message[80];
    snprintf(message, sizeof message, "Too many requests; try again in %u s.", retry_after_s);
    return exchange_refuse(exchange, ERR_LIMITED, message);
}

/* Whose limit it is: *who says what kind of key it is, as a user must not share a bucket with an
 * address that reads the same. */
static struct slice key_of(const struct rate_limit *limit, const struct request *request,
                           enum rate_by *who)
{
    struct slice key = {0};
    *who = limit->by;
    if (limit->by == RATE_BY_ROUTE)
        return slice_str("");
    if (limit->by == RATE_BY_USER)
        key = slice_str(request->user.id);
    else if (limit->by == RATE_BY_HEADER)
        key = request_header(request, limit->header);
    if (key.len > 0)
        return key;
    *who = RATE_BY_IP;
    return request->network;
}

/* Of the route's tiers, from 1; 0: none. */
static unsigned find_tier(const struct route_spec *spec, const struct principal *user)
{
    for (unsigned i = 0; i < spec->tier_count; i++) {
        if (principal_has_role(user, spec->tiers[i].role))
            return 1 + i;
    }
    return 0;
}

static const struct rate_limit *limit_of(const struct exchange *exchange)
{
    const struct route_spec *spec = &exchange->request->route->spec;
    unsigned tier = exchange->rate.tier;
    return tier > 0 ? &spec->tiers[tier - 1].limit : &spec->limit;
}

#define KINDS_OF_LIMITS (RATE_FIXED + 1)
#define KINDS_OF_KEYS   (RATE_BY_ROUTE + 1)

/* What the buckets of a limit have in common: who has another role begins anew. */
static uint64_t scope_of(const struct exchange *exchange, enum rate_by who)
{
    unsigned kind = exchange->rate.tier * KINDS_OF_LIMITS + limit_of(exchange)->kind;
    return exchange->request->route->limit_scope + kind * KINDS_OF_KEYS + who;
}

enum stage_result stage_rate_limit(struct exchange *exchange)
{
    const struct request *request = exchange->request;
    exchange->rate.tier = find_tier(&request->route->spec, &request->user);
    const struct rate_limit *limit = limit_of(exchange);
    if (limit->count == 0 || request->local)
        return STAGE_NEXT;
    enum rate_by who;
    struct slice key = key_of(limit, request, &who);
    exchange->rate.taken = true;
    exchange->rate.verdict = rate_table_take(exchange->gateway->rates, limit,
                                             scope_of(exchange, who), key, request->started_ns);
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
    buf_append_slice(headers,
                     buf_slice(&exchange->request->route->limit_heads[exchange->rate.tier]));
    buf_append_u64(headers, verdict->remaining);
    buf_append_str(headers, ";t=");
    buf_append_u64(headers, verdict->reset_s);
    buf_append_str(headers, "\r\n");
    if (exchange->request->plan->old_rate_headers)
        append_old_headers(verdict, limit_of(exchange)->count, headers);
    if (!verdict->allowed) {
        buf_append_str(headers, "Retry-After: ");
        buf_append_u64(headers, verdict->retry_after_s);
        buf_append_str(headers, "\r\n");
    }
}
