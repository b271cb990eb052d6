#include "server/gateway/exchange.h"
#include "server/gateway/route_table.h"

/* Behind the stages that protect: nobody makes us hold a body that we would have refused. */
enum stage_result stage_body(struct exchange *exchange)
{
    size_t max = exchange->request->route->spec.body_max;
    exchange->request->body_max = exchange->request->route->spec.passed_body_max;
    if (max == 0)
        return STAGE_NEXT;
    bool whole;
    enum err err = request_body_gather(exchange->request, max, &whole);
    if (!err)
        return whole ? STAGE_NEXT : STAGE_WAIT;
    exchange_refuse(exchange, err, NULL);
    exchange->response->close = true; /* what follows on the connection is still this body */
    return STAGE_ANSWERED;
}
