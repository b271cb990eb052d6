/* The limit of all that an address sends, before anybody looks what it is: paths that lead nowhere,
 * tokens that are none and requests that cannot be read cost as much as others and are limited like
 * them. */
#include "server/gateway/exchange.h"
#include "server/gateway/gateway_private.h"

static struct rate_verdict take(struct gateway *gateway, const struct plan *plan,
                                const struct request *request)
{
    return rate_table_take(gateway->rates, &plan->address_limit, gateway->address_scope,
                           request->network, request->started_ns);
}

/* The connection closes, so that what the client has sent ahead is not even read. */
enum stage_result stage_address_limit(struct exchange *exchange)
{
    const struct request *request = exchange->request;
    if (request->plan->address_limit.count == 0 || request->local)
        return STAGE_NEXT;
    struct rate_verdict verdict = take(exchange->gateway, request->plan, request);
    if (verdict.allowed)
        return STAGE_NEXT;
    exchange_refuse(exchange, ERR_LIMITED, "Too many requests from this address.");
    response_retry_after(exchange->response, verdict.retry_after_s);
    exchange->response->close = true;
    return STAGE_ANSWERED;
}

void address_limit_count(struct gateway *gateway, const struct request *request)
{
    struct plan *plan = plan_hold(gateway);
    if (plan->address_limit.count > 0)
        take(gateway, plan, request);
    plan_release(plan);
}
