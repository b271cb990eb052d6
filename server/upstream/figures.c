/* How upstreams do, for who looks. */
#include "base/mem.h"
#include "server/upstream/upstream_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_configured(struct upstream *upstream)
{
    lock_acquire(&upstream->lock);
    bool is = upstream->settings;
    lock_leave(&upstream->lock);
    return is;
}

void upstreams_each(struct upstreams *upstreams, upstream_fn fn, void *arg)
{
    struct upstream *upstream = upstreams_first(upstreams);
    for (; upstream; upstream = upstream->next) {
        if (is_configured(upstream))
            fn(upstream, arg);
    }
}

const char *upstream_known_as(const struct upstream *upstream)
{
    return upstream->name;
}

void upstream_check_said(struct upstream *upstream, const char *server_name,
                         char out[UPSTREAM_SAID_SIZE])
{
    struct server *server;
    out[0] = '\0';
    lock_acquire(&upstream->lock);
    LIST_FOREACH(server, &upstream->servers, link) {
        if (strcmp(server->address.text, server_name) == 0)
            snprintf(out, UPSTREAM_SAID_SIZE, "%s", server->check_said);
    }
    lock_leave(&upstream->lock);
}

void upstream_answers(struct upstream *upstream, const char *server_name,
                      struct upstream_answers *out)
{
    struct server *server;
    *out = (struct upstream_answers){0};
    lock_acquire(&upstream->lock);
    LIST_FOREACH(server, &upstream->servers, link) {
        if (strcmp(server->address.text, server_name) != 0)
            continue;
        for (unsigned i = 0; i < UPSTREAM_CLASSES; i++)
            out->by_class[i] = counter_sum(&server->classes[i]);
        out->bytes = counter_sum(server->bytes);
        histogram_read(server->first_byte, &out->first_byte);
    }
    lock_leave(&upstream->lock);
}

/* ---- Metrics */

static double is_up(const struct balancer_server_figures *server)
{
    return server->state == BALANCER_UP || server->state == BALANCER_STARTING ||
           server->state == BALANCER_DRAINED;
}

static double in_flight(const struct balancer_server_figures *server)
{
    return server->in_flight;
}

static double latency(const struct balancer_server_figures *server)
{
    return (double)server->latency_ns * 1e-9;
}

static double errors(const struct balancer_server_figures *server)
{
    return (double)server->errors;
}

static double ejections(const struct balancer_server_figures *server)
{
    return (double)server->ejections;
}

static const struct {
    const char *name, *type, *help;
    double (*value)(const struct balancer_server_figures *server);
} of_servers[] = {
    {"galley_upstream_up", "gauge",
     "1: the server gets requests, or would if it were not drained; 0: it fails or is ejected.",
     is_up},
    {"galley_upstream_in_flight", "gauge", "Requests that a server has at the moment.", in_flight},
    {"galley_upstream_latency_seconds", "gauge",
     "How long a server takes to the head of its answer: peaks at once, the rest averaged.",
     latency},
    {"galley_upstream_errors_total", "counter", "Answers with 500 and above.", errors},
    {"galley_upstream_ejections_total", "counter",
     "How often a server was ejected for errors in a row.", ejections},
};

static double is_open(const struct balancer_figures *figures)
{
    return figures->breaker != BALANCER_CLOSED;
}

static double retries(const struct balancer_figures *figures)
{
    return (double)figures->retries;
}

static double retries_denied(const struct balancer_figures *figures)
{
    return (double)figures->retries_denied;
}

static double refused_open(const struct balancer_figures *figures)
{
    return (double)figures->refused_open;
}

static double refused_full(const struct balancer_figures *figures)
{
    return (double)figures->refused_full;
}

static double refused_much(const struct balancer_figures *figures)
{
    return (double)figures->refused_much;
}

static double hedges(const struct balancer_figures *figures)
{
    return (double)figures->hedges;
}

static double queued(const struct balancer_figures *figures)
{
    return figures->queued;
}

static double waited(const struct balancer_figures *figures)
{
    return (double)figures->waited;
}

static double waited_late(const struct balancer_figures *figures)
{
    return (double)figures->waited_late;
}

static const struct {
    const char *name, *type, *help;
    double (*value)(const struct balancer_figures *figures);
} of_upstreams[] = {
    {"galley_upstream_breaker_open", "gauge", "1: the breaker is open, or lets a few try.",
     is_open},
    {"galley_upstream_retries_total", "counter", "Requests that were sent once more.", retries},
    {"galley_upstream_retries_denied_total", "counter",
     "Those that were not, as the budget was used up.", retries_denied},
    {"galley_upstream_hedges_total", "counter",
     "Requests that were sent to a second server as the first took long.", hedges},
    {"galley_upstream_refused_open_total", "counter",
     "Requests answered with 503 by the open breaker.", refused_open},
    {"galley_upstream_refused_full_total", "counter",
     "Requests answered with 503 as there were too many at once.", refused_full},
    {"galley_upstream_refused_client_total", "counter",
     "Requests answered with 429 as their client had its share of them.", refused_much},
    {"galley_upstream_queued", "gauge", "Requests that wait for a place.", queued},
    {"galley_upstream_queued_total", "counter", "Requests that have waited for a place.", waited},
    {"galley_upstream_queue_timeouts_total", "counter",
     "Those that were answered with 503 after queue_timeout.", waited_late},
};

struct writing {
    struct buf *out;
    unsigned metric;
    struct balancer_server_figures *servers; /* room for all of an upstream */
    int64_t now_ns;
};

static void write_servers(struct upstream *upstream, void *arg)
{
    struct writing *writing = arg;
    unsigned count = balancer_servers(upstream_balancer(upstream), writing->now_ns,
                                      writing->servers, BALANCER_SERVERS_MAX);
    for (unsigned i = 0; i < count; i++) {
        char labels[BALANCER_NAME_SIZE + 150];
        snprintf(labels, sizeof labels, "upstream=\"%s\",server=\"%s\"", upstream->name,
                 writing->servers[i].name);
        metrics_write_f64(writing->out, of_servers[writing->metric].name, labels,
                          of_servers[writing->metric].value(&writing->servers[i]));
    }
}

static void write_upstream(struct upstream *upstream, void *arg)
{
    struct writing *writing = arg;
    struct balancer_figures figures;
    char labels[150];
    balancer_figures(upstream_balancer(upstream), writing->now_ns, &figures);
    snprintf(labels, sizeof labels, "upstream=\"%s\"", upstream->name);
    metrics_write_f64(writing->out, of_upstreams[writing->metric].name, labels,
                      of_upstreams[writing->metric].value(&figures));
}

static const char mirrored_name[] = "galley_upstream_mirrored_total";

static void write_mirrored(struct upstream *upstream, void *arg)
{
    static const char *const outcomes[MIRRORED_COUNT] = {"sent", "too_many", "unfit"};
    for (unsigned i = 0; i < MIRRORED_COUNT; i++) {
        char labels[200];
        snprintf(labels, sizeof labels, "upstream=\"%s\",outcome=\"%s\"", upstream->name,
                 outcomes[i]);
        metrics_write_u64(arg, mirrored_name, labels,
                          atomic_load_explicit(&upstream->mirrored[i], memory_order_relaxed));
    }
}

void upstreams_balance_metrics(struct upstreams *upstreams, struct buf *out)
{
    if (!upstreams_first(upstreams))
        return;
    metrics_write_help(out, mirrored_name, "counter",
                       "Requests of which a copy was to go to it (mirror of a route).");
    upstreams_each(upstreams, write_mirrored, out);
    struct writing writing = {.out = out, .now_ns = clock_mono_ns(&clock_system)};
    writing.servers = mem_alloc(BALANCER_SERVERS_MAX * sizeof *writing.servers);
    for (unsigned i = 0; i < sizeof of_servers / sizeof of_servers[0]; i++) {
        writing.metric = i;
        metrics_write_help(out, of_servers[i].name, of_servers[i].type, of_servers[i].help);
        upstreams_each(upstreams, write_servers, &writing);
    }
    for (unsigned i = 0; i < sizeof of_upstreams / sizeof of_upstreams[0]; i++) {
        writing.metric = i;
        metrics_write_help(out, of_upstreams[i].name, of_upstreams[i].type, of_upstreams[i].help);
        upstreams_each(upstreams, write_upstream, &writing);
    }
    free(writing.servers);
}
