/* What fits together in an [upstream NAME]. */
#include "server/config/config_private.h"

#include <stdio.h>
#include <string.h>

static const struct config_values *values_of(const struct config_section *section, const char *key)
{
    const struct config_key *row;
    return config_find_values(section, key, &row);
}

static bool is_set(const struct config_section *upstream, const char *key)
{
    const struct config_values *values = values_of(upstream, key);
    return values->count > 0 && values->at->text[0];
}

/* The address of a line of `server`. */
static struct slice address_of(const struct config_value *server)
{
    return slice_of(server->text, strcspn(server->text, " \t"));
}

static void check_twice(struct config_errors *errors, const struct config_section *upstream,
                        const struct config_values *servers, unsigned at)
{
    struct slice address = address_of(&servers->at[at]);
    for (unsigned i = 0; i < at; i++) {
        if (!slice_eq(address_of(&servers->at[i]), address))
            continue;
        config_complain(errors, servers->at[at].line, upstream,
                        "server: %.*s is there already, in line %u", SLICE_ARG(address),
                        servers->at[i].line);
        return;
    }
}

#define SERVERS_MAX 256 /* server/balance/balancer.h */

static void check_servers(struct config_errors *errors, const struct config_section *upstream)
{
    const struct config_values *servers = values_of(upstream, "server");
    bool first_line = false;
    for (unsigned i = 0; i < servers->count && i < SERVERS_MAX; i++) {
        struct config_server server;
        first_line |= config_parse_server(servers->at[i].text, &server) && !server.backup;
        check_twice(errors, upstream, servers, i);
    }
    if (servers->count > SERVERS_MAX)
        config_complain(errors, servers->line, upstream,
                        "server: there are %u, at most %d are "
                        "allowed",
                        servers->count, SERVERS_MAX);
    else if (servers->line == 0 && !is_set(upstream, "servers_file") &&
             !is_set(upstream, "register_key"))
        config_complain(errors, upstream->line, upstream,
                        "has no servers: server = ADDRESS:PORT, servers_file or register_key");
    else if (servers->count > 0 && !first_line)
        config_complain(errors, servers->line, upstream,
                        "server: all are backups; allowed: one at least that is none");
}

bool config_parse_statuses(const char *text, unsigned *least, unsigned *most)
{
    int end = 0;
    int count = sscanf(text, "%3u%n-%3u%n", least, &end, most, &end);
    if (count == 1)
        *most = *least;
    return count >= 1 && text[end] == '\0' && *least >= 100 && *least <= *most && *most <= 599;
}

static void check_statuses(struct config_errors *errors, const struct config_section *upstream)
{
    const struct config_values *values = values_of(upstream, "check_status");
    unsigned least, most;
    if (values->count > 0 && !config_parse_statuses(values->at->text, &least, &most))
        config_complain(errors, values->line, upstream,
                        "check_status: read \"%s\"; allowed: a status such as 200, or the least "
                        "and the greatest, 200-399",
                        values->at->text);
}

static bool is_on(const struct config_section *upstream, const char *key)
{
    const struct config_values *values = values_of(upstream, key);
    return values->count > 0 && values->at->number;
}

/* Servers that are found, or register, say themselves who they are. */
static void check_verified_name(struct config_errors *errors, const struct config_section *upstream)
{
    if (is_on(upstream, "tls") && is_on(upstream, "tls_verify") &&
        values_of(upstream, "server")->line == 0 && !is_set(upstream, "tls_server_name"))
        config_complain(errors, values_of(upstream, "tls")->line, upstream,
                        "tls: without a server = ADDRESS:PORT it needs tls_server_name, the name "
                        "to verify");
}

static void check_tls(struct config_errors *errors, const struct config_section *upstream)
{
    static const char *const keys[] = {"tls_verify", "tls_ca", "tls_server_name", "tls_cert",
                                       "tls_key"};
    const struct config_values *tls = values_of(upstream, "tls");
    for (unsigned i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        unsigned line = values_of(upstream, keys[i])->line;
        if (line > 0 && tls->count > 0 && tls->at->number == 0)
            config_complain(errors, line, upstream, "%s: has no effect without tls = yes", keys[i]);
    }
    if (is_set(upstream, "tls_cert") != is_set(upstream, "tls_key"))
        config_complain(errors, upstream->line, upstream,
                        "tls_cert and tls_key: one is there without the other");
    check_verified_name(errors, upstream);
}

static void check_resolver(struct config_errors *errors, const struct config_section *upstream)
{
    const struct config_values *values = values_of(upstream, "resolver");
    struct config_address address;
    if (is_set(upstream, "resolver") && config_parse_address(values->at->text, &address) &&
        (!strchr(address.host, '.') || address.port == 0))
        config_complain(errors, values->line, upstream,
                        "resolver: read \"%s\"; allowed: an IPv4 address with a port, such as "
                        "127.0.0.53:53",
                        values->at->text);
}

/* A default gives way. */
static void check_order(struct config_errors *errors, const struct config_section *upstream,
                        const char *less, const char *more)
{
    const struct config_values *a = values_of(upstream, less), *b = values_of(upstream, more);
    if (a->line > 0 && a->count > 0 && b->count > 0 && a->at->number > b->at->number)
        config_complain(errors, a->line, upstream, "%s: is %s, more than the %s of %s", less,
                        a->at->text, b->at->text, more);
}

void config_check_upstream(const struct config_section *upstream, struct config_errors *errors)
{
    check_servers(errors, upstream);
    check_statuses(errors, upstream);
    check_tls(errors, upstream);
    check_resolver(errors, upstream);
    check_order(errors, upstream, "retry_delay", "retry_delay_max");
    check_order(errors, upstream, "outlier_time", "outlier_time_max");
    check_order(errors, upstream, "connect_timeout", "timeout");
    check_order(errors, upstream, "first_byte_timeout", "timeout");
}
