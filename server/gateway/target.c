#include "server/gateway/exchange.h"
#include "server/gateway/route_table.h"

enum stage_result stage_target(struct exchange *exchange)
{
    const struct route_spec *spec = &exchange->request->route->spec;
    spec->target(exchange->request, exchange->response, spec->arg);
    if (exchange->request->awaiting)
        return STAGE_WAIT; /* all else is another thread's now */
    return exchange->response->status != 0 ? STAGE_ANSWERED : STAGE_WAIT; /* for its body */
}
