/* The gateway: every request passes its stages, in order, until one answers.
 *
 * The stages are a table in gateway.c; each is one function in one file (exchange.h). The routes
 * compile into an immutable snapshot at start. Threads: gateway_handle any; the rest main. */
#ifndef GALLEY_SERVER_GATEWAY_GATEWAY_H
#define GALLEY_SERVER_GATEWAY_GATEWAY_H

#include "base/clock.h"
#include "base/metrics.h"
#include "base/schema.h"
#include "server/gateway/rate_limit.h"
#include "server/http/message.h"
#include "server/identity/jwt.h"
#include "storage/store.h"

struct gateway;

/* Where a route leads. Must answer (set response->status). */
typedef void (*target_fn)(struct request *request, struct response *response, void *arg);

struct route_spec {
    enum method method;  /* HEAD is answered by GET's routes */
    const char *pattern; /* "/users/{id}", "/files/" and a final "*" for the rest; copied */
    bool signed_in;      /* a verified token is required */
    bool idempotent_key; /* Idempotency-Key is honoured: the route writes in a transaction */
    const struct schema *schema; /* of the JSON body; NULL: no body is expected, one is ignored */
    struct rate_limit limit;     /* .count 0: none */
    uint32_t limit_group;        /* routes of one group share its buckets */
    target_fn target;
    void *arg;
};

struct gateway_options {
    const struct route_spec *routes;
    unsigned route_count;
    struct store *store;
    struct jwt *jwt;
    const struct clock *clock;
};

enum err gateway_create(const struct gateway_options *options, struct gateway **out, char *why,
                        size_t why_size);
void gateway_destroy(struct gateway **gateway);

/* Serves one request: fills the response, writes the access line, counts. */
void gateway_handle(struct gateway *gateway, struct request *request, struct response *response);

/* Logs and counts what the front refused by itself. */
void gateway_refused(struct gateway *gateway, const struct request *request,
                     const struct response *response);

/* Drops idempotency records that are older than 24 h, a bounded number a call. Any thread but the
 * store's writer. */
void gateway_sweep(struct gateway *gateway, int64_t now_ms);

/* The totals over all routes: answers by status class (index 1 to 5), and durations (ns). */
struct gateway_stats {
    uint64_t by_class[6];
    struct histogram_snapshot duration;
};
void gateway_stats(struct gateway *gateway, struct gateway_stats *out);

/* Appends galley_http_requests_total and galley_http_request_duration_seconds. */
void gateway_metrics(struct gateway *gateway, struct buf *out);

#endif
