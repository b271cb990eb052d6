/* What the stages find in the gateway. */
#ifndef GALLEY_SERVER_GATEWAY_GATEWAY_PRIVATE_H
#define GALLEY_SERVER_GATEWAY_GATEWAY_PRIVATE_H

#include "base/lock.h"
#include "server/gateway/cache_flights.h"
#include "server/gateway/cache_refresh.h"
#include "server/gateway/gateway.h"
#include "server/gateway/idempotency_private.h"
#include "server/gateway/log_sampling.h"

/* By whose lists of addresses. */
enum denied_by { DENIED_BY_SERVER, DENIED_BY_ROUTE, DENIED_BY_COUNT };

struct gateway {
    const struct clock *clock;
    struct jwt *jwt;
    struct users *users; /* or NULL */
    struct rate_table *rates;
    uint64_t address_scope; /* of the address limit's buckets among all */
    struct keys_in_flight *in_flight;
    struct answer_records answers;
    struct traffic *traffic;
    struct counter *unsent; /* OUTCOMES of them: answers that did not arrive */
    struct counter *denied; /* DENIED_BY_COUNT of them */
    struct log_sampling *sampling;
    struct notables *notables;
    struct response_cache *responses; /* or NULL; and these two with it */
    struct flights *flights;
    struct refreshes *refreshes; /* or NULL */
    _Atomic(struct plan *) plan; /* that requests begin with */
    struct lock lock;            /* of the list of plans */
    struct plan *plans;          /* all that were ever made; see plan.c */
};

/* ---- plan.c */

#define PLAN_STRIPES 32

struct plan {
    struct {
        _Alignas(64) _Atomic int64_t count; /* of holders; only the sum of all stripes means much */
    } held[PLAN_STRIPES];
    enum {
        PLAN_FREE,
        PLAN_MADE,
        PLAN_PRESENT,
        PLAN_PAST
    } state;           /* guarded by the gateway's lock */
    struct plan *next; /* in the gateway's list */

    /* What it says; immutable from the swap until nobody holds it. */
    struct route_table *routes;
    struct cidr_list trusted;
    struct guard *guard;
    struct cors *cors;               /* or NULL */
    struct address_rules *addresses; /* or NULL */
    struct rate_limit address_limit; /* .count 0: none */
    bool old_rate_headers;
    bool development;
    bool compress;
    size_t compress_min_bytes;
    size_t cached_body_max;
    bool caches;     /* a route stores answers, */
    bool cache_keys; /* and tells them apart by more than their URL */
};

/* The present plan, which stays what it is until plan_release. Threads: any. */
struct plan *plan_hold(struct gateway *gateway);
/* Threads: any, also another than the one that took it. */
void plan_release(struct plan *plan);

/* Whether an answer to a GET of the path may be stored. */
bool plan_caches_path(const struct plan *plan, struct slice path);

/* Frees all; nobody holds one. */
void plans_destroy(struct gateway *gateway);

/* ---- guard.c */

/* Takes the list of networks over. */
struct guard *guard_create(const struct guard_options *options);
void guard_destroy(struct guard **guard);

/* ---- address_rules.c */

/* Takes the lists over. NULL of empty ones, which let everybody. */
struct address_rules *address_rules_create(const struct address_lists *lists);
void address_rules_destroy(struct address_rules **rules);
bool address_rules_let(const struct address_rules *rules, const struct request *request);
void address_rules_metrics(struct gateway *gateway, struct buf *out);

/* ---- cors.c */

/* NULL for a policy that allows nobody. */
struct cors *cors_create(const struct cors_options *options);
void cors_destroy(struct cors **cors);

/* ---- rate_limit.c */

/* Appends the part of a limit's headers that is the same on every answer; `name` is the role of a
 * tier, or NULL. */
void rate_limit_write_head(const char *name, const struct rate_limit *limit, struct buf *out);

/* ---- access_line.c */

/* As the log and the metrics call it; "" for an answer that was sent. */
const char *outcome_name(enum outcome outcome);

/* Writes the line, unless there are too many of the kind. */
void access_line_write(struct gateway *gateway, const struct request *request,
                       const struct response *response, const struct sent *sent);

/* ---- notables.c: single answers that somebody may ask about. Threads: any. */

struct notables *notables_create(void);
void notables_destroy(struct notables **notables);

unsigned notables_slowest(struct notables *notables, struct notable out[NOTABLES_MAX]);
unsigned notables_errors(struct notables *notables, struct notable out[NOTABLES_MAX]);

void notables_look(struct notables *notables, const struct request *request, int status,
                   uint64_t duration_ns);

/* ---- traffic.c: what passed, by route, for as long as the gateway lasts. Threads: any. */

#define STATUS_MIN   100
#define STATUS_MAX   599
#define STATUS_COUNT (STATUS_MAX - STATUS_MIN + 1)

/* Of one route, or of requests without one. */
struct route_traffic {
    _Atomic(struct route_traffic *) next;
    const char *pattern; /* route_spec's label, for the life of the process, or what stands for one:
                            "unmatched", "preflight" */
    enum method method;  /* METHOD_COUNT: none, as the request line could not be read */
    bool own;            /* of the server itself, as route_spec says */
    struct counter *by_status;  /* STATUS_COUNT of them, from STATUS_MIN on */
    struct histogram *duration; /* ns */
    struct counter *bytes;      /* one: of bodies that were sent */
    struct counter *served;     /* SERVED_COUNT of them: by the response cache */
};

struct traffic *traffic_create(void);
void traffic_destroy(struct traffic **traffic);

/* That of a spec's label and a method, which has none yet if none was asked for before. */
struct route_traffic *traffic_of(struct traffic *traffic, const struct route_spec *spec,
                                 enum method method);

/* That of requests without a route: METHOD_COUNT if not even the method is known. */
struct route_traffic *traffic_unmatched(struct traffic *traffic, enum method method);

/* That of what browsers ask for pages of other origins. */
struct route_traffic *traffic_preflights(struct traffic *traffic);

/* observe.c: where a request counts. */
struct route_traffic *traffic_for(struct traffic *traffic, const struct request *request);

/* The first; go on with `next`. */
struct route_traffic *traffic_first(struct traffic *traffic);

#endif
