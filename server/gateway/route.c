#include "server/gateway/exchange.h"
#include "server/gateway/gateway_private.h"
#include "server/gateway/route_table.h"

/* HEAD is answered by GET's route, and every path answers OPTIONS. */
static bool is_allowed(const struct route_set *routes, enum method method)
{
    return routes->by_method[method] || method == METHOD_OPTIONS ||
           (method == METHOD_HEAD && routes->by_method[METHOD_GET]);
}

void route_set_list(const struct route_set *routes, struct buf *out)
{
    for (enum method method = 0; method < METHOD_COUNT; method++) {
        if (!is_allowed(routes, method))
            continue;
        if (out->len > 0)
            buf_append_str(out, ", ");
        buf_append_str(out, method_name(method));
    }
}

static void add_allow(struct response *response, const struct route_set *routes)
{
    struct buf allowed = BUF_INIT;
    route_set_list(routes, &allowed);
    response_header(response, "Allow", buf_slice(&allowed));
    buf_release(&allowed);
}

static enum stage_result answer_without_route(struct exchange *exchange,
                                              const struct route_set *routes)
{
    if (exchange->request->method == METHOD_OPTIONS)
        exchange->response->status = 204;
    else
        exchange_refuse(exchange, ERR_METHOD, NULL);
    add_allow(exchange->response, routes);
    return STAGE_ANSWERED;
}

const struct route *route_set_find(const struct route_set *routes, enum method method)
{
    const struct route *route = routes->by_method[method];
    return !route && method == METHOD_HEAD ? routes->by_method[METHOD_GET] : route;
}

enum priority gateway_priority(struct gateway *gateway, const struct request *request)
{
    struct plan *plan = plan_hold(gateway);
    const struct route_set *routes = route_table_find(plan->routes, request->path);
    const struct route *route = routes ? route_set_find(routes, request->method) : NULL;
    enum priority priority = route ? route->spec.priority : PRIORITY_LOW;
    plan_release(plan);
    return priority;
}

enum stage_result stage_route(struct exchange *exchange)
{
    struct request *request = exchange->request;
    const struct route_set *routes = route_table_find(request->plan->routes, request->path);
    if (!routes)
        return exchange_refuse(exchange, ERR_NOT_FOUND, "There is nothing at this path.");
    if (cors_preflight(exchange, routes))
        return STAGE_ANSWERED;
    request->route = route_set_find(routes, request->method);
    if (!request->route)
        return answer_without_route(exchange, routes);
    route_bind_params(request->route, request);
    return STAGE_NEXT;
}
