/* [upstream] sections: what the file says of them, as server/upstream/ takes it. */
#include "server/galley_private.h"

#include "base/mem.h"
#include "server/upstream/checks.h"
#include "server/upstream/discovery.h"
#include "server/upstream/mirror.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define SWEEP_MS     5000
#define CLIENT_LEAST 16 /* requests of a client at once, if nothing else is said */

/* What the options point to, as long as they are looked at. */
struct read_upstream {
    struct balancer_server_spec *specs;
    struct config_server *servers;
    char (*names)[BALANCER_NAME_SIZE];
    unsigned spec_count;
    struct upstream_name *looked_up;
    unsigned looked_up_count;
    struct sockaddr_in resolver;
};

static int64_t ns(const struct config_section *section, const char *key)
{
    return config_int(section, key) * 1000000;
}

static unsigned number(const struct config_section *section, const char *key)
{
    return (unsigned)config_int(section, key);
}

/* ---- Servers */

static void write_name(const struct config_address *address, char out[BALANCER_NAME_SIZE])
{
    if (address->path[0] != '\0')
        snprintf(out, BALANCER_NAME_SIZE, "unix:%s", address->path);
    else if (strchr(address->host, ':'))
        snprintf(out, BALANCER_NAME_SIZE, "[%s]:%u", address->host, address->port);
    else
        snprintf(out, BALANCER_NAME_SIZE, "%s:%u", address->host, address->port);
}

static struct balancer_server_spec spec_of(const struct config_server *server)
{
    return (struct balancer_server_spec){.name = "",
                                         .weight = server->weight,
                                         .zone = server->zone,
                                         .backup = server->backup,
                                         .max_conns = server->max_conns,
                                         .max_fails = server->max_fails,
                                         .fail_timeout_ns = server->fail_timeout_ms * 1000000};
}

static void read_server(struct read_upstream *out, const struct config_server *server)
{
    if (server->name[0]) {
        out->looked_up[out->looked_up_count++] =
            (struct upstream_name){server->name, server->address.port, spec_of(server)};
        return;
    }
    write_name(&server->address, out->names[out->spec_count]);
    out->specs[out->spec_count] = spec_of(server);
    out->specs[out->spec_count].name = out->names[out->spec_count];
    out->spec_count++;
}

static void read_servers(const struct config_section *section, struct read_upstream *out)
{
    unsigned count = config_list_count(section, "server");
    out->specs = mem_zalloc((count + 1) * sizeof *out->specs);
    out->servers = mem_zalloc((count + 1) * sizeof *out->servers);
    out->names = mem_zalloc((count + 1) * sizeof *out->names);
    out->looked_up = mem_zalloc((count + 1) * sizeof *out->looked_up);
    for (unsigned i = 0; i < count; i++) {
        bool parsed = config_parse_server(config_list_at(section, "server", i), &out->servers[i]);
        assert(parsed); /* the configuration checked it */
        read_server(out, &out->servers[i]);
    }
}

/* NULL: the system's. */
static const struct sockaddr_in *read_resolver(const struct config_section *section,
                                               struct read_upstream *out)
{
    struct config_address address;
    if (!config_parse_address(config_text(section, "resolver"), &address))
        return NULL;
    out->resolver.sin_family = AF_INET;
    out->resolver.sin_port = htons(address.port);
    inet_pton(AF_INET, address.host, &out->resolver.sin_addr);
    return &out->resolver;
}

/* ---- The rest */

/* Few at once are for whoever comes. */
static unsigned client_max(const struct config_section *section)
{
    unsigned own = number(section, "requests_per_address");
    unsigned share = number(section, "requests_max") / 4;
    if (own > 0)
        return own;
    return share > CLIENT_LEAST ? share : CLIENT_LEAST;
}

/* The words of `balance` stand in the order of the enum (section_upstream.c). */
static struct balancer_settings balance_of(const struct config_section *section,
                                           const struct read_upstream *read)
{
    bool checked = config_choice(section, "check") != UPSTREAM_CHECK_NO;
    return (struct balancer_settings){
        .name = config_name(section),
        .algorithm = (enum balancer_algorithm)config_choice(section, "balance"),
        .zone = config_text(section, "zone"),
        .servers = read->specs,
        .server_count = read->spec_count,
        .check_rise = checked ? number(section, "check_rise") : 0,
        .check_fall = number(section, "check_fall"),
        .outlier_errors = number(section, "outlier_errors"),
        .outlier_time_ns = ns(section, "outlier_time"),
        .outlier_time_max_ns = ns(section, "outlier_time_max"),
        .outlier_percent = number(section, "outlier_share"),
        .slow_start_ns = ns(section, "slow_start"),
        .retries = number(section, "retries"),
        .retry_percent = number(section, "retry_budget"),
        .breaker_percent = number(section, "breaker_share"),
        .breaker_requests = number(section, "breaker_requests"),
        .breaker_window_ns = ns(section, "breaker_window"),
        .breaker_time_ns = ns(section, "breaker_time"),
        .breaker_probes = number(section, "breaker_probes"),
        .requests_max = number(section, "requests_max"),
        .client_max = client_max(section),
        .queue_max = number(section, "queue"),
    };
}

static struct upstream_check check_of(const struct config_section *section)
{
    struct upstream_check check = {.kind = config_choice(section, "check"),
                                   .path = config_text(section, "check_path"),
                                   .body = config_text(section, "check_body"),
                                   .interval_ms = config_int(section, "check_interval"),
                                   .timeout_ms = config_int(section, "check_timeout")};
    bool parsed =
        config_parse_statuses(config_text(section, "check_status"), &check.least, &check.most);
    assert(parsed); /* the configuration checked it */
    return check;
}

static struct upstream_options options_of(const struct config_section *section,
                                          struct read_upstream *read)
{
    read_servers(section, read);
    return (struct upstream_options){
        .balance = balance_of(section, read),
        .connect_timeout_ms = config_int(section, "connect_timeout"),
        .first_byte_timeout_ms = config_int(section, "first_byte_timeout"),
        .timeout_ms = config_int(section, "timeout"),
        .queue_timeout_ms = config_int(section, "queue_timeout"),
        .keepalive = number(section, "keepalive"),
        .keepalive_timeout_ms = config_int(section, "keepalive_timeout"),
        .retry_delay_ms = config_int(section, "retry_delay"),
        .retry_delay_max_ms = config_int(section, "retry_delay_max"),
        .hedge_after_ms = config_int(section, "hedge_after"),
        .retry_body_max = (size_t)config_int(section, "retry_body_max"),
        .hash_key = config_text(section, "hash_key"),
        .check = check_of(section),
        .names = read->looked_up,
        .name_count = read->looked_up_count,
        .resolver = read_resolver(section, read),
        .resolve_local = config_bool(section, "resolve_local"),
        .register_key = config_text(section, "register_key"),
        .servers_file = config_text(section, "servers_file"),
        .proxy_protocol = (enum preface)config_choice(section, "proxy_protocol"),
        .tls = config_bool(section, "tls"),
        .client_tls = {.verify = config_bool(section, "tls_verify"),
                       .ca = config_text(section, "tls_ca"),
                       .cert = config_text(section, "tls_cert"),
                       .key = config_text(section, "tls_key"),
                       .server_name = config_text(section, "tls_server_name")},
    };
}

/* ---- Taking over */

struct upstreams_read {
    unsigned count;
    struct upstream_options *options;
    struct read_upstream *read;
    struct upstream_set *set;
};

void proxying_forget(struct upstreams_read **read)
{
    struct upstreams_read *r = *read;
    if (!r)
        return;
    upstream_set_destroy(&r->set);
    for (unsigned i = 0; i < r->count; i++) {
        free(r->read[i].specs);
        free(r->read[i].servers);
        free(r->read[i].names);
        free(r->read[i].looked_up);
    }
    free(r->read);
    free(r->options);
    free(r);
    *read = NULL;
}

enum err proxying_read(struct galley *galley, const struct config *config,
                       struct upstreams_read **out, char *why, size_t why_size)
{
    struct upstreams_read *r = *out = mem_zalloc(sizeof *r);
    r->count = config_named_count(config, "upstream");
    r->options = mem_zalloc((r->count + 1) * sizeof *r->options);
    r->read = mem_zalloc((r->count + 1) * sizeof *r->read);
    for (unsigned i = 0; i < r->count; i++)
        r->options[i] = options_of(config_named(config, "upstream", i), &r->read[i]);
    enum err err =
        upstreams_prepare(galley->upstreams, r->options, r->count, &r->set, why, why_size);
    if (err)
        proxying_forget(out);
    return err;
}

void proxying_take_over(struct galley *galley, struct upstreams_read **read)
{
    upstreams_swap(galley->upstreams, &(*read)->set);
    if (galley->discovery)
        discovery_look_again(galley->discovery);
    if (galley->checks)
        checks_look_again(galley->checks);
    proxying_forget(read);
}

/* ---- Start and stop */

static int64_t sweep(void *arg, int64_t mono_ns)
{
    (void)mono_ns;
    upstreams_sweep(arg);
    return SWEEP_MS;
}

enum err proxying_open(struct galley *galley, char *why, size_t why_size)
{
    struct upstreams_read *read;
    galley->upstreams = upstreams_create(&clock_system);
    enum err err = proxying_read(galley, galley->config, &read, why, why_size);
    if (err) {
        upstreams_destroy(&galley->upstreams);
        return err;
    }
    proxying_take_over(galley, &read);
    galley->registration_schema = registration_schema();
    galley->mirrors = mirrors_create();
    galley->discovery = discovery_create(galley->upstreams);
    galley->checks = checks_create(galley->upstreams);
    if (!galley->discovery || !galley->checks) {
        snprintf(why, why_size, "the threads that look after upstreams cannot be started");
        discovery_destroy(&galley->discovery);
        checks_destroy(&galley->checks);
        mirrors_destroy(&galley->mirrors);
        upstreams_destroy(&galley->upstreams);
        return ERR_INTERNAL;
    }
    galley->upstreams_timer = ticker_add(galley->ticker, sweep, galley->upstreams, SWEEP_MS);
    return ERR_OK;
}

void proxying_close(struct galley *galley)
{
    if (galley->upstreams_timer)
        timer_cancel(galley->upstreams_timer);
    discovery_destroy(&galley->discovery);
    checks_destroy(&galley->checks);
    mirrors_destroy(&galley->mirrors);
    schema_destroy(&galley->registration_schema);
    upstreams_destroy(&galley->upstreams);
}
