#include "server/gateway/exchange.h"
#include "server/gateway/route_table.h"

enum stage_result stage_validate(struct exchange *exchange)
{
    struct request *request = exchange->request;
    const struct schema *schema = request->route->spec.schema;
    if (!schema || request_read_json(request, schema, exchange->response, &request->json))
        return STAGE_NEXT;
    return STAGE_ANSWERED;
}
