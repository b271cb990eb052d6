/* DESIGN. What operates the server is not for everybody. Routes for the administration answer to
 * the networks of [admin] allow, on its own listener if it has one, and nothing else is served
 * there.
 *
 * Its pages answer only under a name that they are known by: a page of another site could have its
 * own name lead here (DNS rebinding), and would then be of one origin with ours. It cannot choose
 * an address for a name, so addresses are as good as names that we know.
 *
 * A request that a proxy has handed on comes from somebody else. If we do not trust the proxy we do
 * not know from whom, and who could reach the proxy would pass for its neighbour. */
#include "server/gateway/exchange.h"
#include "server/gateway/gateway_private.h"
#include "server/gateway/route_table.h"

#include "base/mem.h"
#include "server/http/host.h"

#include <assert.h>
#include <stdlib.h>

struct guard {
    struct cidr_list allow;
    unsigned listener;
    unsigned host_count;
    char hosts[][HOST_NAME_MAX + 1]; /* in their normal form */
};

struct guard *guard_create(const struct guard_options *options)
{
    struct guard *guard = mem_zalloc(sizeof *guard + options->host_count * sizeof guard->hosts[0]);
    guard->allow = options->allow;
    guard->listener = options->listener;
    for (unsigned i = 0; i < options->host_count; i++) {
        struct host host;
        bool parsed = host_parse(slice_str(options->hosts[i]), &host);
        assert(parsed); /* the configuration checked it */
        host_normalise(&host, guard->hosts[guard->host_count++]);
    }
    return guard;
}

void guard_destroy(struct guard **guard)
{
    if (!*guard)
        return;
    cidr_list_release(&(*guard)->allow);
    free(*guard);
    *guard = NULL;
}

/* ---- From where */

/* Whoever comes over a Unix socket is on this machine. */
static struct in6_addr client_of(const struct request *request)
{
    struct in6_addr ip;
    return ip_parse(request->address, &ip) ? ip : in6addr_loopback;
}

static bool is_handed_on(const struct request *request)
{
    return !request->peer_trusted && (request_header_count(request, "Forwarded") > 0 ||
                                      request_header_count(request, "X-Forwarded-For") > 0);
}

static enum stage_result check_client(struct exchange *exchange, const struct guard *guard)
{
    if (is_handed_on(exchange->request))
        return exchange_refuse(exchange, ERR_FORBIDDEN,
                               "This came through a proxy that [server] trusted_proxies does not "
                               "name.");
    struct in6_addr client = client_of(exchange->request);
    if (!cidr_list_has(&guard->allow, &client))
        return exchange_refuse(exchange, ERR_FORBIDDEN,
                               "This is not served to your address ([admin] allow).");
    return STAGE_NEXT;
}

/* ---- Under which name */

static bool is_local_name(const char *name)
{
    static const char local[] = "localhost";
    size_t len = strlen(name), tail = sizeof local - 1;
    if (len < tail || strcmp(name + len - tail, local) != 0)
        return false;
    return len == tail || name[len - tail - 1] == '.';
}

static bool is_known(const struct guard *guard, struct slice text)
{
    struct host host;
    struct in6_addr ip;
    if (!text.ptr)
        return true; /* HTTP/1.0: no browser */
    if (!host_parse(text, &host))
        return false;
    if (host.ipv6 || ip_parse(host.name, &ip))
        return true;
    char name[HOST_NAME_MAX + 1];
    host_normalise(&host, name);
    for (unsigned i = 0; i < guard->host_count; i++) {
        if (strcmp(name, guard->hosts[i]) == 0)
            return true;
    }
    return is_local_name(name);
}

/* ---- The stage */

static STAGE_RARE enum stage_result deny(struct exchange *exchange)
{
    if (exchange->request->local ||
        address_rules_let(exchange->request->route->addresses, exchange->request))
        return STAGE_NEXT;
    counter_add(&exchange->gateway->denied[DENIED_BY_ROUTE], 1);
    return exchange_refuse(exchange, ERR_FORBIDDEN,
                           "This is not served to your address ([route] allow, deny).");
}

static bool is_hidden(const struct request *request, const struct guard *guard)
{
    bool apart = guard->listener > 0;
    bool inside = apart && request->listener == guard->listener;
    enum route_reach reach = request->route->spec.reach;
    return (reach == REACH_ADMIN && apart && !inside) || (reach == REACH_PUBLIC && inside);
}

enum stage_result stage_guard(struct exchange *exchange)
{
    const struct request *request = exchange->request;
    const struct guard *guard = request->plan->guard;
    const struct route_spec *spec = &request->route->spec;
    if (request->route->addresses && deny(exchange) == STAGE_ANSWERED)
        return STAGE_ANSWERED;
    if (request->local || spec->reach == REACH_ALL)
        return STAGE_NEXT;
    if (is_hidden(request, guard))
        return exchange_refuse(exchange, ERR_NOT_FOUND, "There is nothing at this path.");
    if (spec->reach == REACH_ADMIN && check_client(exchange, guard) == STAGE_ANSWERED)
        return STAGE_ANSWERED;
    if (spec->known_host && !is_known(guard, request_host(request)))
        return exchange_refuse(exchange, ERR_MISDIRECTED, NULL);
    return STAGE_NEXT;
}
