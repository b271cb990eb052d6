#include "server/gateway/exchange.h"
#include "server/gateway/route_table.h"

/* Behind the stages that protect: nobody makes us hold a body that we would have refused. */
enum stage_result stage_body(struct exchange *exchange)
{
    size_t max = exchange->request->route->spec.body_max;
    if (max == 0)
        return STAGE_NEXT;
    enum err err = request_body_gather(exchange->request, max);
    if (!err)
        return STAGE_NEXT;
    exchange_refuse(exchange, err, NULL);
    exchange->response->close = true; /* what follows on the connection is still this body */
    return STAGE_ANSWERED;
}
