#include "server/upstream/upstream_private.h"

#include "base/log.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

struct upstreams {
    const struct clock *clock;
    struct lock configuring;
    struct lock lock; /* of the list; reading it takes none */
    _Atomic(struct upstream *) first;
};

struct upstream_set {
    unsigned count;
    struct {
        struct upstream *upstream;
        struct upstream_settings *settings;
    } list[];
};

const char *trip_outcome_name(enum trip_outcome outcome)
{
    static const char *const names[TRIP_OUTCOMES] = {
        [TRIP_ANSWERED] = "answered", [TRIP_UNREACHABLE] = "unreachable",
        [TRIP_TIMEOUT] = "timeout",   [TRIP_MALFORMED] = "malformed",
        [TRIP_BROKEN] = "broken",     [TRIP_ABANDONED] = "abandoned",
    };
    return names[outcome];
}

/* ---- Servers, which the balancer lets come and go */

/* It was read before without an error. */
static void *server_open(const struct balancer_server_spec *spec, void *arg)
{
    struct upstream *upstream = arg;
    struct server *server = mem_zalloc(sizeof *server);
    char why[300];
    bool good = server_address_read(spec->name, &server->address, why, sizeof why);
    if (!good)
        log_write(LOG_WARN, "upstream", "%s: %s", upstream->name, why);
    server->upstream = upstream;
    server->outcomes = counters_create(TRIP_OUTCOMES);
    server->classes = counters_create(UPSTREAM_CLASSES);
    server->bytes = counters_create(1);
    server->first_byte = histogram_create();
    pool_init(&server->pool);
    lock_acquire(&upstream->lock);
    LIST_INSERT_HEAD(&upstream->servers, server, link);
    lock_leave(&upstream->lock);
    return server;
}

static void server_close(void *data)
{
    struct server *server = data;
    lock_acquire(&server->upstream->lock);
    LIST_REMOVE(server, link);
    lock_leave(&server->upstream->lock);
    pool_release(&server->pool);
    counters_destroy(&server->outcomes, TRIP_OUTCOMES);
    counters_destroy(&server->classes, UPSTREAM_CLASSES);
    counters_destroy(&server->bytes, 1);
    histogram_destroy(&server->first_byte);
    free(server);
}

/* ---- Settings */

void upstream_settings_let_go(struct upstream_settings *settings)
{
    if (!settings || atomic_fetch_sub(&settings->holders, 1) != 1)
        return;
    client_tls_destroy(&settings->tls);
    sources_destroy(&settings->sources);
    free(settings->check_path);
    free(settings->check_body);
    free(settings->check_host);
    free(settings);
}

struct upstream_settings *upstream_hold_settings(struct upstream *upstream)
{
    lock_acquire(&upstream->lock);
    struct upstream_settings *settings = upstream->settings;
    if (settings)
        atomic_fetch_add_explicit(&settings->holders, 1, memory_order_relaxed);
    lock_leave(&upstream->lock);
    return settings;
}

/* The address of a server without its port. */
static void host_of(const char *address, char out[256])
{
    bool bracketed = address[0] == '[';
    size_t len = bracketed ? strcspn(address, "]") - 1 : strcspn(address, ":");
    snprintf(out, 256, "%.*s", (int)len, address + bracketed);
}

static bool make_tls(struct upstream_settings *settings, const struct upstream_options *options,
                     char *why, size_t why_size)
{
    struct client_tls_options tls = options->client_tls;
    char host[256];
    if (tls.server_name[0] == '\0' && options->name_count > 0) {
        tls.server_name = options->names[0].name;
    } else if (tls.server_name[0] == '\0' && options->balance.server_count > 0) {
        host_of(options->balance.servers[0].name, host);
        tls.server_name = host;
    }
    settings->tls = client_tls_create(&tls, why, why_size);
    return settings->tls;
}

static bool check_addresses(const struct balancer_settings *balance, char *why, size_t why_size)
{
    struct server_address address;
    for (unsigned i = 0; i < balance->server_count; i++) {
        if (!server_address_read(balance->servers[i].name, &address, why, why_size))
            return false;
    }
    return true;
}

static void set_check(struct upstream_settings *settings, const struct upstream_options *options)
{
    const struct upstream_check *check = &options->check;
    settings->check = check->kind;
    settings->check_least = check->least;
    settings->check_most = check->most;
    settings->check_interval_ns = check->interval_ms * 1000000;
    settings->check_timeout_ns = check->timeout_ms * 1000000;
    settings->check_path = mem_strdup(check->path);
    settings->check_body = mem_strdup(check->body);
    settings->check_host = mem_strdup(options->client_tls.server_name);
}

static struct upstream_settings *settings_create(const struct upstream_options *options, char *why,
                                                 size_t why_size)
{
    static atomic_uint generation;
    struct upstream_settings *settings = mem_zalloc(sizeof *settings);
    settings->holders = 1;
    settings->generation = atomic_fetch_add(&generation, 1);
    settings->connect_ns = options->connect_timeout_ms * 1000000;
    settings->first_byte_ns = options->first_byte_timeout_ms * 1000000;
    settings->whole_ns = options->timeout_ms * 1000000;
    settings->queue_ns = options->queue_timeout_ms * 1000000;
    settings->preface = options->proxy_protocol;
    settings->keepalive = options->proxy_protocol ? 0 : options->keepalive;
    settings->keepalive_ns = options->keepalive_timeout_ms * 1000000;
    settings->retry_delay_ns = options->retry_delay_ms * 1000000;
    settings->retry_delay_max_ns = options->retry_delay_max_ms * 1000000;
    settings->hedge_ns = options->hedge_after_ms * 1000000;
    settings->retry_body_max = options->retry_body_max;
    settings->hashes = options->balance.algorithm == BALANCER_HASH;
    snprintf(settings->hash_key, sizeof settings->hash_key, "%s", options->hash_key);
    set_check(settings, options);
    settings->sources = sources_create(options);
    if (check_addresses(&options->balance, why, why_size) &&
        (!options->tls || make_tls(settings, options, why, why_size)))
        return settings;
    upstream_settings_let_go(settings);
    return NULL;
}

/* ---- All of them */

struct upstreams *upstreams_create(const struct clock *clock)
{
    struct upstreams *upstreams = mem_zalloc(sizeof *upstreams);
    upstreams->clock = clock;
    lock_init(&upstreams->configuring, LOCK_RANK_DISCOVERY);
    lock_init(&upstreams->lock, LOCK_RANK_UPSTREAM);
    return upstreams;
}

void upstreams_destroy(struct upstreams **upstreams)
{
    struct upstream *upstream, *next;
    if (!*upstreams)
        return;
    for (upstream = (*upstreams)->first; upstream; upstream = next) {
        next = upstream->next;
        upstream_settings_let_go(upstream->settings);
        struct balancer *balancer = upstream->balancer;
        balancer_destroy(&balancer); /* closes its servers */
        lock_release(&upstream->lock);
        free(upstream);
    }
    lock_release(&(*upstreams)->lock);
    lock_release(&(*upstreams)->configuring);
    free(*upstreams);
    *upstreams = NULL;
}

struct upstream *upstreams_first(struct upstreams *upstreams)
{
    return atomic_load(&upstreams->first);
}

static struct upstream *look_up(struct upstreams *upstreams, const char *name)
{
    struct upstream *upstream = atomic_load(&upstreams->first);
    while (upstream && strcmp(upstream->name, name) != 0)
        upstream = upstream->next;
    return upstream;
}

struct upstream *upstreams_find(struct upstreams *upstreams, const char *name)
{
    size_t size = strlen(name) + 1;
    lock_acquire(&upstreams->lock);
    struct upstream *upstream = look_up(upstreams, name);
    if (!upstream) {
        upstream = mem_zalloc(sizeof *upstream + size);
        memcpy(upstream->name, name, size);
        upstream->clock = upstreams->clock;
        lock_init(&upstream->lock, LOCK_RANK_UPSTREAM);
        upstream->next = upstreams->first;
        atomic_store(&upstreams->first, upstream);
    }
    lock_leave(&upstreams->lock);
    return upstream;
}

struct balancer *upstream_balancer(struct upstream *upstream)
{
    return atomic_load(&upstream->balancer);
}

/* ---- What a configuration says */

void upstream_set_destroy(struct upstream_set **set)
{
    if (!*set)
        return;
    for (unsigned i = 0; i < (*set)->count; i++)
        upstream_settings_let_go((*set)->list[i].settings);
    free(*set);
    *set = NULL;
}

enum err upstreams_prepare(struct upstreams *upstreams, const struct upstream_options *options,
                           unsigned count, struct upstream_set **out, char *why, size_t why_size)
{
    struct upstream_set *set = mem_zalloc(sizeof *set + count * sizeof *set->list);
    *out = set;
    for (; set->count < count; set->count++) {
        const struct upstream_options *one = &options[set->count];
        char reason[300] = "";
        set->list[set->count].settings = settings_create(one, reason, sizeof reason);
        set->list[set->count].upstream = upstreams_find(upstreams, one->balance.name);
        if (set->list[set->count].settings)
            continue;
        snprintf(why, why_size, "[upstream %s]: %s", one->balance.name, reason);
        upstream_set_destroy(out);
        return ERR_VALIDATION;
    }
    return ERR_OK;
}

/* Takes the settings over. */
static void set_settings(struct upstream *upstream, struct upstream_settings *settings)
{
    lock_acquire(&upstream->lock);
    struct upstream_settings *before = upstream->settings;
    upstream->settings = settings;
    lock_leave(&upstream->lock);
    upstream_settings_let_go(before);
}

struct lock *upstreams_configuring(struct upstreams *upstreams)
{
    return &upstreams->configuring;
}

void upstream_apply(struct upstream *upstream, const struct upstream_settings *settings)
{
    int64_t now_ns = clock_mono_ns(upstream->clock);
    struct balancer_server_spec *specs = mem_alloc(BALANCER_SERVERS_MAX * sizeof *specs);
    struct balancer_settings balance = sources_settings(settings->sources, specs);
    balance.open = server_open;
    balance.close = server_close;
    balance.arg = upstream;
    if (upstream->balancer)
        balancer_configure(upstream->balancer, &balance, now_ns);
    else
        atomic_store(&upstream->balancer, balancer_create(&balance, now_ns));
    free(specs);
}

static void configure_from(struct upstream *upstream, struct upstream_set *set)
{
    for (unsigned i = 0; i < set->count; i++) {
        struct upstream_settings *settings = set->list[i].settings;
        if (set->list[i].upstream != upstream || !settings)
            continue;
        sources_inherit(settings->sources, upstream->settings ? upstream->settings->sources : NULL);
        upstream_apply(upstream, settings);
        set_settings(upstream, settings);
        set->list[i].settings = NULL;
        return;
    }
    set_settings(upstream, NULL);
}

void upstreams_swap(struct upstreams *upstreams, struct upstream_set **set)
{
    struct upstream *upstream = atomic_load(&upstreams->first);
    lock_acquire(&upstreams->configuring);
    for (; upstream; upstream = upstream->next)
        configure_from(upstream, *set);
    lock_leave(&upstreams->configuring);
    upstream_set_destroy(set);
}

/* ---- Looking after them */

void upstreams_sweep(struct upstreams *upstreams)
{
    int64_t now_ns = clock_mono_ns(upstreams->clock);
    struct upstream *upstream = atomic_load(&upstreams->first);
    for (; upstream; upstream = upstream->next) {
        struct server *server;
        lock_acquire(&upstream->lock);
        int64_t idle_ns = upstream->settings ? upstream->settings->keepalive_ns : 0;
        LIST_FOREACH(server, &upstream->servers, link)
            pool_sweep(&server->pool, idle_ns, now_ns);
        lock_leave(&upstream->lock);
    }
}

typedef void (*server_fn)(const struct server *server, struct buf *labels, struct buf *out);

/* Calls with `upstream="a",server="b"` in labels. */
static void each_server(struct upstreams *upstreams, server_fn fn, struct buf *out)
{
    struct buf labels = BUF_INIT;
    struct upstream *upstream = atomic_load(&upstreams->first);
    for (; upstream; upstream = upstream->next) {
        struct server *server;
        lock_acquire(&upstream->lock);
        LIST_FOREACH(server, &upstream->servers, link) {
            buf_clear(&labels);
            buf_printf(&labels, "upstream=\"%s\",server=\"%s\"", upstream->name,
                       server->address.text);
            fn(server, &labels, out);
        }
        lock_leave(&upstream->lock);
    }
    buf_release(&labels);
}

static const char requests_name[] = "galley_upstream_requests_total";
static const char connections_name[] = "galley_upstream_idle_connections";

static void write_requests(const struct server *server, struct buf *labels, struct buf *out)
{
    size_t common = labels->len;
    for (unsigned i = 0; i < TRIP_OUTCOMES; i++) {
        labels->len = common;
        buf_printf(labels, ",outcome=\"%s\"", trip_outcome_name((enum trip_outcome)i));
        buf_append_char(labels, '\0');
        metrics_write_u64(out, requests_name, labels->data, counter_sum(&server->outcomes[i]));
    }
}

static void write_connections(const struct server *server, struct buf *labels, struct buf *out)
{
    buf_append_char(labels, '\0');
    metrics_write_u64(out, connections_name, labels->data, atomic_load(&server->pool.count));
}

void upstreams_metrics(struct upstreams *upstreams, struct buf *out)
{
    if (!atomic_load(&upstreams->first))
        return;
    metrics_write_help(out, requests_name, "counter",
                       "Requests sent to a server, by what became of them.");
    each_server(upstreams, write_requests, out);
    metrics_write_help(out, connections_name, "gauge",
                       "Connections to a server that are kept open for the next request.");
    each_server(upstreams, write_connections, out);
}
