#include "server/gateway/exchange.h"
#include "server/gateway/route_table.h"

#include <assert.h>

enum stage_result stage_target(struct exchange *exchange)
{
    const struct route_spec *spec = &exchange->request->route->spec;
    spec->target(exchange->request, exchange->response, spec->arg);
    assert(exchange->response->status != 0);
    return STAGE_ANSWERED;
}
