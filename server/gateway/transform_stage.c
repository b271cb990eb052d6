/* DESIGN. What a route changes is changed on the target's side of the cache in requests, and on the
 * client's in answers. So what is stored is what the target has said; what it got to know of a
 * request besides its URL is in the key; and what an answer says of its user or client is filled in
 * anew each time that it is given. */
#include "server/gateway/exchange.h"
#include "server/gateway/route_table.h"

#include "base/mem.h"
#include "server/transform/transform.h"

#include <stdlib.h>

struct lent {
    struct transform_request seen; /* by the target */
    const struct header *headers;  /* the request's own */
    unsigned header_count;
    struct slice query;
};

STAGE_RARE enum stage_result transform_lend(struct exchange *exchange)
{
    struct request *request = exchange->request;
    const struct transform *transform = request->route->spec.transform;
    if (exchange->lent || !transform_changes_requests(transform))
        return STAGE_NEXT;
    struct lent *lent = exchange->lent = mem_zalloc(sizeof *lent);
    lent->headers = request->headers;
    lent->header_count = request->header_count;
    lent->query = request->query;
    enum err err = transform_request(transform, request, &lent->seen);
    if (err)
        return exchange_refuse(exchange, err, NULL);
    request->headers = lent->seen.headers;
    request->header_count = lent->seen.header_count;
    request->query = lent->seen.query;
    return STAGE_NEXT;
}

void transform_return(struct exchange *exchange)
{
    struct lent *lent = exchange->lent;
    if (!lent)
        return;
    exchange->request->headers = lent->headers;
    exchange->request->header_count = lent->header_count;
    exchange->request->query = lent->query;
    transform_request_release(&lent->seen);
    free(lent);
    exchange->lent = NULL;
}

void stage_transform_end(struct exchange *exchange)
{
    const struct route *route = exchange->request->route;
    if (route && route->spec.transform)
        transform_response(route->spec.transform, exchange->request, exchange->response);
}
