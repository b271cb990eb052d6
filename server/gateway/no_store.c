#include "server/gateway/exchange.h"
#include "server/gateway/route_table.h"

/* Tokens and what is about one person: no cache keeps them, the browser's on a shared computer
 * included. */
void stage_no_store_end(struct exchange *exchange)
{
    const struct route *route = exchange->request->route;
    struct response *response = exchange->response;
    if (!route || !route->spec.no_store)
        return;
    response_header_remove(response, "Cache-Control");
    response_header(response, "Cache-Control", slice_str("no-store"));
}
