/* Pages of other origins (the CORS protocol of the Fetch standard). A browser lets them read an
 * answer only if the answer says so, and asks before it sends what a form could not (a preflight).
 *
 * DESIGN. What a policy answers is made once, as header lines; only the origin differs. Preflights
 * are answered here, before anybody asks for a token, as browsers send none with them. All other
 * answers get their lines at the end, errors too, or a page could not see why it was refused. A
 * policy that names origins says Vary: Origin to everybody, or a cache would hand one origin's
 * answer to another. Refusing is saying nothing: it is the browser that keeps the answer to itself.
 * The administration has no policy, whatever is configured. */
#include "server/gateway/exchange.h"
#include "server/gateway/gateway_private.h"
#include "server/gateway/route_table.h"

#include "base/mem.h"

#include <stdlib.h>

struct cors {
    char **origins;
    unsigned origin_count;
    bool any; /* "*" is among them */
    bool credentials;
    struct buf methods;   /* "GET, POST"; empty: those of the path */
    struct buf preflight; /* lines for preflights, for all origins the same */
    struct buf common;    /* likewise for all other answers */
};

/* ---- Making */

static void append_list(const char *const *words, unsigned count, struct buf *out)
{
    for (unsigned i = 0; i < count; i++)
        buf_printf(out, "%s%s", i ? ", " : "", words[i]);
}

static void append_line(const char *name, const char *const *words, unsigned count, struct buf *out)
{
    if (count == 0)
        return;
    buf_printf(out, "%s: ", name);
    append_list(words, count, out);
    buf_append_str(out, "\r\n");
}

struct cors *cors_create(const struct cors_options *options)
{
    if (!options || options->origin_count == 0)
        return NULL;
    struct cors *cors = mem_zalloc(sizeof *cors);
    cors->origin_count = options->origin_count;
    cors->origins = mem_zalloc(options->origin_count * sizeof *cors->origins);
    cors->credentials = options->credentials;
    for (unsigned i = 0; i < options->origin_count; i++) {
        cors->origins[i] = mem_strdup(options->origins[i]);
        cors->any = cors->any || strcmp(options->origins[i], "*") == 0;
    }
    append_list(options->methods, options->method_count, &cors->methods);
    append_line("Access-Control-Allow-Headers", options->headers, options->header_count,
                &cors->preflight);
    buf_printf(&cors->preflight, "Access-Control-Max-Age: %lld\r\n", (long long)options->max_age_s);
    append_line("Access-Control-Expose-Headers", options->expose, options->expose_count,
                &cors->common);
    return cors;
}

void cors_destroy(struct cors **out)
{
    struct cors *cors = *out;
    if (!cors)
        return;
    for (unsigned i = 0; i < cors->origin_count; i++)
        free(cors->origins[i]);
    free(cors->origins);
    buf_release(&cors->methods);
    buf_release(&cors->preflight);
    buf_release(&cors->common);
    free(cors);
    *out = NULL;
}

/* ---- Asking */

/* A pattern with a star has the origins below its host, not that host itself. */
static bool fits(const char *pattern, struct slice origin)
{
    const char *star = strstr(pattern, "//*.");
    if (!star)
        return slice_is(origin, pattern);
    struct slice scheme = slice_of(pattern, (size_t)(star - pattern) + 2);
    struct slice tail = slice_str(star + 3);
    return slice_starts(origin, scheme) && origin.len > scheme.len + tail.len &&
           slice_eq(slice_of(origin.ptr + origin.len - tail.len, tail.len), tail);
}

static bool allows(const struct cors *cors, struct slice origin)
{
    bool allowed = cors->any;
    for (unsigned i = 0; !allowed && i < cors->origin_count; i++)
        allowed = fits(cors->origins[i], origin);
    return allowed;
}

static void add_origin(const struct cors *cors, struct slice origin, struct response *response)
{
    response_header(response, "Access-Control-Allow-Origin", cors->any ? slice_str("*") : origin);
    if (cors->credentials)
        response_header(response, "Access-Control-Allow-Credentials", slice_str("true"));
}

/* ---- Preflights */

/* The route that the request which is announced would take. */
static const struct route *announced(const struct exchange *exchange)
{
    const struct request *request = exchange->request;
    enum method method;
    if (!method_parse(request_header(request, "Access-Control-Request-Method"), &method))
        return NULL;
    return route_table_find(request->plan->routes, request, method);
}

static bool is_preflight(const struct request *request)
{
    return request->method == METHOD_OPTIONS && request_header(request, "Origin").ptr &&
           request_header(request, "Access-Control-Request-Method").ptr;
}

bool cors_has_policy(const struct exchange *exchange)
{
    const struct route *route = is_preflight(exchange->request) ? announced(exchange) : NULL;
    return route && route->cors;
}

static void answer_allowed(struct exchange *exchange, const struct cors *cors,
                           unsigned methods_there)
{
    struct response *response = exchange->response;
    struct buf methods = BUF_INIT;
    response->status = 204;
    route_methods_list(methods_there, &methods);
    response_header(response, "Access-Control-Allow-Methods",
                    cors->methods.len > 0 ? buf_slice(&cors->methods) : buf_slice(&methods));
    buf_append_slice(&response->headers, buf_slice(&cors->preflight));
    buf_release(&methods);
}

bool cors_preflight(struct exchange *exchange, unsigned methods)
{
    struct request *request = exchange->request;
    struct slice origin = request_header(request, "Origin");
    if (!is_preflight(request))
        return false;
    const struct route *route = announced(exchange);
    const struct cors *cors = route ? route->cors : NULL;
    request->preflight = true;
    exchange->cors = cors;
    if (cors && allows(cors, origin))
        answer_allowed(exchange, cors, methods);
    else
        exchange_refuse(exchange, ERR_FORBIDDEN,
                        "This origin may not send this ([cors] origins, methods).");
    return true;
}

/* ---- All answers */

static const struct cors *policy_of(const struct exchange *exchange)
{
    const struct request *request = exchange->request;
    if (request->preflight)
        return exchange->cors;
    return request->route ? request->route->cors : request->plan->cors;
}

void stage_cors_end(struct exchange *exchange)
{
    const struct cors *cors = policy_of(exchange);
    if (!cors)
        return;
    struct response *response = exchange->response;
    struct slice origin = request_header(exchange->request, "Origin");
    if (!cors->any)
        response_header(response, "Vary", slice_str("Origin"));
    if (!origin.ptr || !allows(cors, origin))
        return;
    add_origin(cors, origin, response);
    if (!exchange->request->preflight)
        buf_append_slice(&response->headers, buf_slice(&cors->common));
}
