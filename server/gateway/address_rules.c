/* Lists of addresses, of the server and of routes: who is denied, and who alone is allowed. */
#include "server/gateway/exchange.h"
#include "server/gateway/gateway_private.h"

#include "base/mem.h"

#include <stdlib.h>

struct address_rules {
    struct cidr_list allow, deny;
};

struct address_rules *address_rules_create(const struct address_lists *lists)
{
    if (lists->allow.count == 0 && lists->deny.count == 0)
        return NULL;
    struct address_rules *rules = mem_zalloc(sizeof *rules);
    rules->allow = lists->allow;
    rules->deny = lists->deny;
    return rules;
}

void address_rules_destroy(struct address_rules **rules)
{
    if (!*rules)
        return;
    cidr_list_release(&(*rules)->allow);
    cidr_list_release(&(*rules)->deny);
    free(*rules);
    *rules = NULL;
}

/* Whoever comes over a Unix socket is on this machine. */
bool address_rules_let(const struct address_rules *rules, const struct request *request)
{
    struct in6_addr ip;
    if (!ip_parse(request->address, &ip))
        ip = in6addr_loopback;
    return !cidr_list_has(&rules->deny, &ip) &&
           (rules->allow.count == 0 || cidr_list_has(&rules->allow, &ip));
}

void address_rules_metrics(struct gateway *gateway, struct buf *out)
{
    static const char name[] = "galley_address_refusals_total";
    metrics_write_help(out, name, "counter",
                       "Requests that allow and deny, of the server or a route, have refused.");
    metrics_write_u64(out, name, "by=\"server\"", counter_sum(&gateway->denied[DENIED_BY_SERVER]));
    metrics_write_u64(out, name, "by=\"route\"", counter_sum(&gateway->denied[DENIED_BY_ROUTE]));
}
