/* What is asked about the table apart from which route a request takes: which methods there are at
 * its path, and why each other route was passed over. */
#include "server/gateway/route_pattern.h"
#include "server/gateway/route_table.h"

#include "server/http/host.h"

void route_methods_list(unsigned methods, struct buf *out)
{
    methods |= 1U << METHOD_OPTIONS;
    for (enum method method = 0; method < METHOD_COUNT; method++) {
        if (!(methods & 1U << method))
            continue;
        if (out->len > 0)
            buf_append_str(out, ", ");
        buf_append_str(out, method_name(method));
    }
}

/* ---- One route alone */

static bool host_fits(const char *wanted, const struct request *request)
{
    struct host host, ours;
    char name[HOST_NAME_MAX + 1], own[HOST_NAME_MAX + 1];
    if (!wanted)
        return true;
    bool suffix = strncmp(wanted, "*.", 2) == 0;
    if (!host_parse(request_host(request), &host) ||
        !host_parse(slice_str(suffix ? wanted + 2 : wanted), &ours))
        return false;
    size_t len = host_normalise(&host, name), tail = host_normalise(&ours, own);
    if (!suffix)
        return strcmp(name, own) == 0;
    return len > tail + 1 && name[len - tail - 1] == '.' && strcmp(name + len - tail, own) == 0;
}

static bool method_fits(const struct route_spec *spec, enum method method)
{
    return spec->any_method || spec->method == method ||
           (method == METHOD_HEAD && spec->method == METHOD_GET);
}

static const struct condition *first_failing(const struct route *route,
                                             const struct request *request)
{
    for (unsigned i = 0; i < route->condition_count; i++) {
        if (!condition_holds(&route->conditions[i], request))
            return &route->conditions[i];
    }
    return NULL;
}

static enum route_verdict judge(const struct route *route, const struct request *request,
                                const struct condition **failed)
{
    const struct route_spec *spec = &route->spec;
    *failed = NULL;
    if (!host_fits(spec->host, request))
        return ROUTE_HOST;
    if (!pattern_fits(spec->pattern, spec->place, request->path))
        return ROUTE_PATH;
    if (!method_fits(spec, request->method))
        return ROUTE_METHOD;
    *failed = first_failing(route, request);
    return *failed ? ROUTE_CONDITION : ROUTE_OUTDONE;
}

const struct route *route_table_explain(const struct route_table *table,
                                        const struct request *request, route_explain_fn explain,
                                        void *arg)
{
    const struct route *taken = route_table_find(table, request, request->method);
    for (unsigned i = 0; i < route_table_count(table); i++) {
        const struct route *route = route_table_at(table, i);
        const struct condition *failed;
        enum route_verdict verdict = judge(route, request, &failed);
        explain(route, route == taken ? ROUTE_TAKEN : verdict, failed, arg);
    }
    return taken;
}
