/* What passed: the access line, and counts by route and status. Totals are summed when somebody
 * asks, which is rare, so that a request counts once. */
#include "server/gateway/exchange.h"
#include "server/gateway/gateway_private.h"
#include "server/gateway/route_table.h"

#include "base/log.h"
#include "base/mem.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define STATUS_MIN   100
#define STATUS_MAX   599
#define STATUS_COUNT (STATUS_MAX - STATUS_MIN + 1)

/* Of one route, or of all requests without one. */
struct lane {
    struct counter *by_status;  /* STATUS_COUNT of them, from STATUS_MIN on */
    struct histogram *duration; /* ns */
};

struct traffic {
    unsigned route_count;
    struct lane lanes[]; /* by route index; the last is for requests without a route */
};

struct traffic *traffic_create(unsigned route_count)
{
    struct traffic *traffic =
        mem_zalloc(sizeof *traffic + (route_count + 1) * sizeof *traffic->lanes);
    traffic->route_count = route_count;
    for (unsigned i = 0; i <= route_count; i++) {
        traffic->lanes[i].by_status = counters_create(STATUS_COUNT);
        traffic->lanes[i].duration = histogram_create();
    }
    return traffic;
}

void traffic_destroy(struct traffic **traffic)
{
    if (!*traffic)
        return;
    for (unsigned i = 0; i <= (*traffic)->route_count; i++) {
        counters_destroy(&(*traffic)->lanes[i].by_status, STATUS_COUNT);
        histogram_destroy(&(*traffic)->lanes[i].duration);
    }
    free(*traffic);
    *traffic = NULL;
}

static void count(struct traffic *traffic, const struct route *route, int status,
                  uint64_t duration_ns)
{
    assert(status >= STATUS_MIN && status <= STATUS_MAX);
    struct lane *lane = &traffic->lanes[route ? route->index : traffic->route_count];
    counter_add(&lane->by_status[status - STATUS_MIN], 1);
    histogram_record(lane->duration, duration_ns);
}

static void write_access_line(const struct request *request, const struct response *response,
                              const struct route *route, uint64_t duration_ns)
{
    size_t bytes = response->borrowed.ptr ? response->borrowed.len : response->body.len;
    log_access(&(struct log_access){
        .wall_ms = request->received_ms,
        .request_id = slice_str(request->id),
        .method = slice_str(method_name(request->method)),
        .path = request->path,
        .route = route ? route->spec.pattern : "",
        .user = slice_str(request->user.id),
        .address = request->address,
        .status = response->status,
        .duration_ns = duration_ns,
        .bytes_out = request->method == METHOD_HEAD ? 0 : bytes,
    });
}

static void observe(struct gateway *gateway, const struct request *request,
                    const struct response *response, const struct route *route)
{
    int64_t duration_ns = clock_mono_ns(gateway->clock) - request->started_ns;
    assert(duration_ns >= 0);
    count(gateway->traffic, route, response->status, (uint64_t)duration_ns);
    write_access_line(request, response, route, (uint64_t)duration_ns);
}

void stage_observe(struct exchange *exchange)
{
    observe(exchange->gateway, exchange->request, exchange->response, exchange->route);
}

void gateway_refused(struct gateway *gateway, const struct request *request,
                     const struct response *response)
{
    observe(gateway, request, response, NULL);
}

static uint64_t lane_status(const struct lane *lane, int status)
{
    return counter_sum(&lane->by_status[status - STATUS_MIN]);
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
    for (unsigned i = 0; i <= gateway->traffic->route_count; i++) {
        const struct lane *lane = &gateway->traffic->lanes[i];
        for (int status = STATUS_MIN; status <= STATUS_MAX; status++)
            out->by_class[status / 100] += lane_status(lane, status);
        add_snapshot(&out->duration, lane->duration);
    }
}

/* `route="/x",method="GET"`; patterns hold nothing that needs escaping (route_table.c). */
static void write_labels(const struct gateway *gateway, unsigned lane, struct buf *out)
{
    buf_clear(out);
    if (lane == gateway->traffic->route_count) {
        buf_append_str(out, "route=\"unmatched\",method=\"\"");
        return;
    }
    const struct route *route = route_table_at(gateway->routes, lane);
    buf_printf(out, "route=\"%s\",method=\"%s\"", route->spec.pattern,
               method_name(route->spec.method));
}

static void write_totals(const struct gateway *gateway, struct buf *labels, struct buf *out)
{
    static const char name[] = "galley_http_requests_total";
    metrics_write_help(out, name, "counter", "Answered requests.");
    for (unsigned i = 0; i <= gateway->traffic->route_count; i++) {
        write_labels(gateway, i, labels);
        size_t common = labels->len;
        for (int status = STATUS_MIN; status <= STATUS_MAX; status++) {
            uint64_t total = lane_status(&gateway->traffic->lanes[i], status);
            if (total == 0)
                continue;
            labels->len = common;
            buf_printf(labels, ",code=\"%d\"", status);
            buf_append_char(labels, '\0');
            metrics_write_u64(out, name, labels->data, total);
        }
    }
}

static void write_durations(const struct gateway *gateway, struct buf *labels, struct buf *out)
{
    static const char name[] = "galley_http_request_duration_seconds";
    metrics_write_help(out, name, "histogram", "From the end of the head to the answer.");
    for (unsigned i = 0; i <= gateway->traffic->route_count; i++) {
        struct histogram_snapshot snapshot;
        histogram_read(gateway->traffic->lanes[i].duration, &snapshot);
        if (snapshot.count == 0)
            continue;
        write_labels(gateway, i, labels);
        buf_append_char(labels, '\0');
        /* 50 microseconds, doubled up to 6.5 seconds. */
        metrics_write_histogram(out, name, labels->data, &snapshot, 1e-9, 50e-6, 18);
    }
}

void gateway_metrics(struct gateway *gateway, struct buf *out)
{
    struct buf labels = BUF_INIT;
    write_totals(gateway, &labels, out);
    write_durations(gateway, &labels, out);
    buf_release(&labels);
}
