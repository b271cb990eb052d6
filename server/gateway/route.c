#include "server/gateway/exchange.h"
#include "server/gateway/gateway_private.h"
#include "server/gateway/route_table.h"

#include "server/gateway/route_pattern.h"
#include "server/http/path.h"

static enum stage_result answer_without_route(struct exchange *exchange, unsigned methods)
{
    struct buf allowed = BUF_INIT;
    if (exchange->request->method == METHOD_OPTIONS)
        exchange->response->status = 204;
    else
        exchange_refuse(exchange, ERR_METHOD, NULL);
    route_methods_list(methods, &allowed);
    response_header(exchange->response, "Allow", buf_slice(&allowed));
    buf_release(&allowed);
    return STAGE_ANSWERED;
}

/* What nobody has a route for: the path, or the method, or the page of another origin asks. */
static enum stage_result answer_in_place_of_route(struct exchange *exchange)
{
    const struct request *request = exchange->request;
    unsigned methods = route_table_methods(request->plan->routes, request);
    if (methods == 0)
        return exchange_refuse(exchange, ERR_NOT_FOUND, "There is nothing at this path.");
    if (cors_preflight(exchange, methods))
        return STAGE_ANSWERED;
    return answer_without_route(exchange, methods);
}

enum priority gateway_priority(struct gateway *gateway, const struct request *request)
{
    struct plan *plan = plan_hold(gateway);
    const struct route *route = route_table_find(plan->routes, request, request->method);
    enum priority priority = route ? route->spec.priority : PRIORITY_LOW;
    plan_release(plan);
    return priority;
}

void route_bind_params(const struct route *route, struct request *request)
{
    struct slice pattern = slice_str(route->spec.pattern + 1);
    struct slice path = slice_of(request->path.ptr + 1, request->path.len - 1);
    request->param_count = 0;
    while (pattern.ptr) {
        struct slice segment = slice_cut(&pattern, '/');
        if (slice_is(segment, "*")) {
            struct slice rest = path.ptr ? path : slice_str(""); /* the place itself */
            request->params[request->param_count++] = (struct param){segment, rest};
            return;
        }
        struct slice value = slice_cut(&path, '/');
        if (segment.len > 0 && segment.ptr[0] == '{')
            request->params[request->param_count++] = (struct param){segment_param(segment), value};
    }
}

/* A preflight is ours to answer where the route of what it announces has a policy; a service that
 * answers any method may have one of its own. */
static bool is_for_target(struct exchange *exchange, const struct route *route)
{
    return exchange->request->method != METHOD_OPTIONS || !route->spec.any_method ||
           !cors_has_policy(exchange);
}

/* A rule for "/admin/" has to hold for "//admin/" and "/admin;x/" too where a server behind us
 * takes them for the same: a path that would take another route then is nobody's. */
static STAGE_RARE bool means_another(const struct request *request, const struct route *route)
{
    struct buf plain = BUF_INIT;
    struct request read = *request;
    bool same = path_plain(request->path, &plain);
    read.path = buf_slice(&plain);
    same = same && route_table_find(request->plan->routes, &read, request->method) == route;
    buf_release(&plain);
    return !same;
}

enum stage_result stage_route(struct exchange *exchange)
{
    struct request *request = exchange->request;
    const struct route *route = route_table_find(request->plan->routes, request, request->method);
    if (!route || !is_for_target(exchange, route))
        return answer_in_place_of_route(exchange);
    if (route->spec.passes_path && path_is_ambiguous(request->path) &&
        means_another(request, route))
        return exchange_refuse(exchange, ERR_MALFORMED,
                               "This path can be read as another one; write it plainly.");
    request->route = route;
    route_bind_params(route, request);
    return STAGE_NEXT;
}
