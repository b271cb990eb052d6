/* What passed: counts by route and status. Totals are summed when somebody asks, which is rare, so
 * that a request counts once. */
#include "server/gateway/gateway_private.h"
#include "server/gateway/route_table.h"

#include "base/mem.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* Of a route for any method those are kept that were asked for. */
static struct route_traffic *traffic_of_route(struct traffic *traffic, const struct route *route,
                                              enum method method)
{
    if (route->traffic)
        return route->traffic;
    struct route_traffic *one = atomic_load(&route->by_method[method]);
    if (!one) {
        one = traffic_of(traffic, &route->spec, method);
        atomic_store(&route->by_method[method], one);
    }
    return one;
}

struct route_traffic *traffic_for(struct traffic *traffic, const struct request *request)
{
    if (request->route)
        return traffic_of_route(traffic, request->route, request->method);
    if (request->preflight)
        return traffic_preflights(traffic);
    return traffic_unmatched(traffic, request->first_line.ptr ? METHOD_COUNT : request->method);
}

static void count(struct traffic *traffic, const struct request *request, int status,
                  const struct sent *sent)
{
    assert(status >= STATUS_MIN && status <= STATUS_MAX);
    struct route_traffic *own = traffic_for(traffic, request);
    counter_add(&own->by_status[status - STATUS_MIN], 1);
    histogram_record(own->duration, (uint64_t)sent->duration_ns);
    counter_add(own->bytes, sent->body_bytes);
}

void gateway_sent(struct gateway *gateway, struct request *request, const struct response *response,
                  const struct sent *sent)
{
    assert(sent->duration_ns >= 0);
    count(gateway->traffic, request, response->status, sent);
    if (sent->outcome != SENT_WHOLE)
        counter_add(&gateway->unsent[sent->outcome], 1);
    notables_look(gateway->notables, request, response->status, (uint64_t)sent->duration_ns);
    access_line_write(gateway, request, response, sent);
    exchange_forget(request);
    if (request->local && gateway->refreshes)
        refreshes_end(gateway->refreshes, request);
    request->route = NULL;
    if (request->plan)
        plan_release(request->plan);
    request->plan = NULL;
}

/* ---- Figures */

static uint64_t total(const struct route_traffic *one, int status)
{
    return counter_sum(&one->by_status[status - STATUS_MIN]);
}

static void add_snapshot(struct histogram_snapshot *sum, const struct histogram *histogram)
{
    struct histogram_snapshot one;
    histogram_read(histogram, &one);
    sum->count += one.count;
    sum->sum += one.sum;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        sum->buckets[i] += one.buckets[i];
}

void gateway_stats(struct gateway *gateway, struct gateway_stats *out)
{
    *out = (struct gateway_stats){0};
    struct route_traffic *one = traffic_first(gateway->traffic);
    for (; one; one = one->next) {
        for (int status = STATUS_MIN; status <= STATUS_MAX; status++)
            *(one->own ? &out->own : &out->by_class[status / 100]) += total(one, status);
        if (!one->own)
            add_snapshot(&out->duration, one->duration);
    }
}

static void add_traffic(struct gateway_route *sum, const struct route_traffic *one)
{
    for (int status = STATUS_MIN; status <= STATUS_MAX; status++)
        sum->by_status[status] += total(one, status);
    for (int served = 0; served < SERVED_COUNT; served++)
        sum->served[served] += counter_sum(&one->served[served]);
    sum->bytes += counter_sum(one->bytes);
    add_snapshot(&sum->duration, one->duration);
}

static void show(const struct route_traffic *one, struct gateway_route *shown,
                 gateway_route_fn each, void *arg)
{
    unsigned next = shown->index + 1;
    add_traffic(shown, one);
    each(shown, arg);
    *shown = (struct gateway_route){.index = next};
}

/* All without a route are one. */
void gateway_each_route(struct gateway *gateway, gateway_route_fn each, void *arg)
{
    struct gateway_route *shown = mem_zalloc(sizeof *shown);
    struct route_traffic *one = traffic_first(gateway->traffic);
    for (; one->next != traffic_preflights(gateway->traffic); one = one->next)
        add_traffic(shown, one);
    for (; one; one = one->next) {
        bool matched = shown->index > 0;
        shown->method = matched ? one->method : METHOD_GET;
        shown->pattern = matched ? one->pattern : NULL;
        shown->own = one->own;
        show(one, shown, each, arg);
    }
    free(shown);
}

unsigned gateway_slowest(struct gateway *gateway, struct notable out[NOTABLES_MAX])
{
    return notables_slowest(gateway->notables, out);
}

unsigned gateway_errors(struct gateway *gateway, struct notable out[NOTABLES_MAX])
{
    return notables_errors(gateway->notables, out);
}

/* `route="/x",method="GET"`; patterns hold nothing that needs escaping (route_table.c). */
static void write_labels(const struct route_traffic *one, struct buf *out)
{
    bool known = one->method < METHOD_COUNT;
    buf_clear(out);
    buf_printf(out, "route=\"%s\",method=\"%s\"", one->pattern,
               known ? method_name(one->method) : "");
}

static void write_unsent(const struct counter *unsent, struct buf *out)
{
    static const char name[] = "galley_http_unsent_total";
    metrics_write_help(out, name, "counter", "Answers that did not arrive, or not whole.");
    for (enum outcome outcome = SENT_WHOLE + 1; outcome < OUTCOMES; outcome++) {
        char label[64];
        snprintf(label, sizeof label, "outcome=\"%s\"", outcome_name(outcome));
        metrics_write_u64(out, name, label, counter_sum(&unsent[outcome]));
    }
}

static void write_totals(struct route_traffic *one, struct buf *labels, struct buf *out)
{
    static const char name[] = "galley_http_requests_total";
    metrics_write_help(out, name, "counter", "Answered requests.");
    for (; one; one = one->next) {
        write_labels(one, labels);
        size_t common = labels->len;
        for (int status = STATUS_MIN; status <= STATUS_MAX; status++) {
            uint64_t answers = total(one, status);
            if (answers == 0)
                continue;
            labels->len = common;
            buf_printf(labels, ",code=\"%d\"", status);
            buf_append_char(labels, '\0');
            metrics_write_u64(out, name, labels->data, answers);
        }
    }
}

static void write_durations(struct route_traffic *one, struct buf *labels, struct buf *out)
{
    static const char name[] = "galley_http_request_duration_seconds";
    metrics_write_help(out, name, "histogram",
                       "From the end of the head to the end of the answer.");
    for (; one; one = one->next) {
        struct histogram_snapshot snapshot;
        histogram_read(one->duration, &snapshot);
        if (snapshot.count == 0)
            continue;
        write_labels(one, labels);
        buf_append_char(labels, '\0');
        /* 50 microseconds, doubled up to 6.5 seconds. */
        metrics_write_histogram(out, name, labels->data, &snapshot, 1e-9, 50e-6, 18);
    }
}

const char *cache_served_name(enum cache_served served)
{
    static const char *const names[SERVED_COUNT] = {
        [SERVED_HIT] = "hit",
        [SERVED_STALE] = "stale",
        [SERVED_FOR_ERROR] = "stale_for_error",
        [SERVED_REVALIDATED] = "revalidated",
        [SERVED_COLLAPSED] = "collapsed",
        [SERVED_STORED] = "stored",
        [SERVED_NOT_STORED] = "not_stored",
        [SERVED_BYPASS] = "bypass",
    };
    return names[served];
}

static void write_served(struct route_traffic *one, struct buf *labels, struct buf *out)
{
    static const char name[] = "galley_response_cache_requests_total";
    metrics_write_help(out, name, "counter",
                       "Requests of routes with a cache, by what it did for them.");
    for (; one; one = one->next) {
        write_labels(one, labels);
        size_t common = labels->len;
        for (int served = 0; served < SERVED_COUNT; served++) {
            uint64_t count = counter_sum(&one->served[served]);
            if (count == 0)
                continue;
            labels->len = common;
            buf_printf(labels, ",result=\"%s\"", cache_served_name(served));
            buf_append_char(labels, '\0');
            metrics_write_u64(out, name, labels->data, count);
        }
    }
}

void gateway_metrics(struct gateway *gateway, struct buf *out)
{
    struct buf labels = BUF_INIT;
    write_totals(traffic_first(gateway->traffic), &labels, out);
    write_unsent(gateway->unsent, out);
    address_rules_metrics(gateway, out);
    write_durations(traffic_first(gateway->traffic), &labels, out);
    write_served(traffic_first(gateway->traffic), &labels, out);
    metrics_write_help(out, "galley_response_cache_purges_total", "counter",
                       "URLs, prefixes and tags whose stored answers were voided.");
    metrics_write_u64(out, "galley_response_cache_purges_total", "", gateway_purges(gateway));
    buf_release(&labels);
}
