#include "server/gateway/operators.h"

#include "base/mem.h"
#include "server/gateway/exchange.h"
#include "server/gateway/gateway_private.h"
#include "server/gateway/route_table.h"
#include "server/http/host.h"

#include <stdio.h>
#include <stdlib.h>

static bool is_address(const struct host *host)
{
    struct in6_addr ip;
    return host->ipv6 || ip_parse(host->name, &ip);
}

/* A configuration writes IPv6 addresses without brackets. */
static bool parse_host(const char *text, struct host *out)
{
    struct in6_addr ip;
    if (!ip_parse(slice_str(text), &ip))
        return host_parse(slice_str(text), out);
    *out = (struct host){.name = slice_str(text), .ipv6 = !ip_is_v4(&ip)};
    return true;
}

bool operators_add_host(struct operators *operators, const char *text)
{
    struct host host;
    if (!parse_host(text, &host))
        return false;
    if (slice_is(host.name, "0.0.0.0") || (host.ipv6 && slice_is(host.name, "::")))
        operators->any_address = true;
    char name[HOST_NAME_MAX + 1];
    host_normalise(&host, name);
    operators->hosts =
        mem_realloc(operators->hosts, (operators->host_count + 1) * sizeof *operators->hosts);
    operators->hosts[operators->host_count++] = mem_strdup(name);
    return true;
}

bool operators_have_client(const struct operators *operators, struct slice address)
{
    struct in6_addr ip;
    if (!ip_parse(address, &ip) && !ip_parse(slice_str("127.0.0.1"), &ip))
        return false;
    return cidr_list_has(&operators->clients, &ip);
}

/* "localhost" and what is below it, 127.0.0.0/8, ::1 (RFC 6761, section 6.3). */
static bool is_loopback(const struct host *host, const char *name)
{
    size_t len = strlen(name);
    static const char end[] = ".localhost";
    struct in6_addr ip;
    if (ip_parse(host->name, &ip))
        return ip_is_v4(&ip) ? ip.s6_addr[12] == 127 : IN6_IS_ADDR_LOOPBACK(&ip);
    return strcmp(name, end + 1) == 0 ||
           (len > sizeof end - 1 && strcmp(name + len - (sizeof end - 1), end) == 0);
}

bool operators_know_host(const struct operators *operators, struct slice text)
{
    struct host host;
    if (!text.ptr || !host_parse(text, &host))
        return false;
    char name[HOST_NAME_MAX + 1];
    host_normalise(&host, name);
    if (is_loopback(&host, name) || (operators->any_address && is_address(&host)))
        return true;
    for (unsigned i = 0; i < operators->host_count; i++) {
        if (strcmp(operators->hosts[i], name) == 0)
            return true;
    }
    return false;
}

void operators_release(struct operators *operators)
{
    cidr_list_release(&operators->clients);
    for (unsigned i = 0; i < operators->host_count; i++)
        free(operators->hosts[i]);
    free(operators->hosts);
    *operators = (struct operators){0};
}

/* ---- The stage */

/* Who can open the control socket may read the data directory: nobody is nearer than that. */
enum stage_result stage_operators(struct exchange *exchange)
{
    const struct request *request = exchange->request;
    const struct route_spec *spec = &request->route->spec;
    const struct operators *operators = &request->plan->operators;
    if (request->local)
        return STAGE_NEXT;
    if (spec->for_operators && !operators_have_client(operators, request->address))
        return exchange_refuse(exchange, ERR_FORBIDDEN,
                               "Not from this address: see [admin] allow.");
    if (spec->known_host && !operators_know_host(operators, request_header(request, "Host")))
        return exchange_refuse(exchange, ERR_MISDIRECTED,
                               "Not under this name: see [server] hosts.");
    return STAGE_NEXT;
}
