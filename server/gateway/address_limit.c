/* Whom the server denies, and the limit of all that an address sends, before anybody looks what it
 * is: paths that lead nowhere, tokens that are none and requests that cannot be read cost as much
 * as others and are limited like them. */
#include "server/gateway/exchange.h"
#include "server/gateway/gateway_private.h"

#include <stdio.h>

static STAGE_RARE bool deny(struct gateway *gateway, const struct plan *plan,
                            const struct request *request, struct response *response)
{
    if (request->local || request->depth > 0 || address_rules_let(plan->addresses, request))
        return false;
    counter_add(&gateway->denied[DENIED_BY_SERVER], 1);
    response_error(response, request, ERR_FORBIDDEN, NULL,
                   "Nothing is served to your address ([server] allow, deny).", NULL);
    response->close = true;
    return true;
}

/* Whether it is one too many, and answered. The connection closes, so that what the client has sent
 * ahead is not even read. */
static bool refuse(struct gateway *gateway, const struct plan *plan, const struct request *request,
                   struct response *response)
{
    if (plan->addresses && deny(gateway, plan, request, response))
        return true;
    if (plan->address_limit.count == 0 || request->local || request->depth > 0)
        return false;
    struct rate_verdict verdict =
        rate_table_take(gateway->rates, &plan->address_limit, gateway->address_scope,
                        request->network, request->started_ns);
    if (verdict.allowed)
        return false;
    char message[100];
    snprintf(message, sizeof message, "Too many requests from this address; try again in %u s.",
             verdict.retry_after_s);
    response_error(response, request, ERR_LIMITED, NULL, message, NULL);
    response_retry_after(response, verdict.retry_after_s);
    response->close = true;
    return true;
}

enum stage_result stage_address_limit(struct exchange *exchange)
{
    const struct request *request = exchange->request;
    bool refused = refuse(exchange->gateway, request->plan, request, exchange->response);
    return refused ? STAGE_ANSWERED : STAGE_NEXT;
}

/* One that holds a plan has passed the stage. */
bool gateway_over_limit(struct gateway *gateway, const struct request *request,
                        struct response *response)
{
    if (request->plan)
        return false;
    struct plan *plan = plan_hold(gateway);
    bool refused = refuse(gateway, plan, request, response);
    plan_release(plan);
    return refused;
}
