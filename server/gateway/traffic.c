/* DESIGN. What passed is counted by route, and a route is its method and pattern: a plan that
 * brings it back goes on counting where the one before stopped. The list only grows, at its end, so
 * that it is walked without a lock; a route that is gone keeps its figures, as Prometheus expects.
 */
#include "server/gateway/gateway_private.h"

#include "base/mem.h"

#include <stdlib.h>

struct traffic {
    struct route_traffic *unmatched[METHOD_COUNT + 1];
    struct route_traffic *preflights; /* these come first in the list, in this order */
    struct lock lock;                 /* of those who add */
};

static struct route_traffic *create(const struct route_spec *spec, enum method method)
{
    struct route_traffic *one = mem_zalloc(sizeof *one);
    one->method = method;
    one->pattern = spec->label;
    one->own = spec->own;
    one->by_status = counters_create(STATUS_COUNT);
    one->duration = histogram_create();
    one->bytes = counters_create(1);
    one->served = counters_create(SERVED_COUNT);
    return one;
}

struct traffic *traffic_create(void)
{
    struct traffic *traffic = mem_zalloc(sizeof *traffic);
    const struct route_spec unmatched = {.label = "unmatched"}, preflight = {.label = "preflight"};
    traffic->preflights = create(&preflight, METHOD_OPTIONS);
    for (unsigned i = METHOD_COUNT + 1; i-- > 0;) {
        traffic->unmatched[i] = create(&unmatched, i);
        traffic->unmatched[i]->next =
            i < METHOD_COUNT ? traffic->unmatched[i + 1] : traffic->preflights;
    }
    lock_init(&traffic->lock, LOCK_RANK_PLANS);
    return traffic;
}

void traffic_destroy(struct traffic **traffic)
{
    if (!*traffic)
        return;
    for (struct route_traffic *one = traffic_first(*traffic); one;) {
        struct route_traffic *next = one->next;
        counters_destroy(&one->by_status, STATUS_COUNT);
        histogram_destroy(&one->duration);
        counters_destroy(&one->bytes, 1);
        counters_destroy(&one->served, SERVED_COUNT);
        free(one);
        one = next;
    }
    lock_release(&(*traffic)->lock);
    free(*traffic);
    *traffic = NULL;
}

static bool is_of(const struct route_traffic *one, const struct route_spec *spec,
                  enum method method)
{
    return one->method == method && strcmp(one->pattern, spec->label) == 0;
}

struct route_traffic *traffic_of(struct traffic *traffic, const struct route_spec *spec,
                                 enum method method)
{
    lock_acquire(&traffic->lock);
    struct route_traffic *one = traffic->preflights;
    while (!is_of(one, spec, method) && one->next)
        one = one->next;
    if (!is_of(one, spec, method)) {
        one->next = create(spec, method);
        one = one->next;
    }
    lock_leave(&traffic->lock);
    return one;
}

struct route_traffic *traffic_first(struct traffic *traffic)
{
    return traffic->unmatched[0];
}

struct route_traffic *traffic_unmatched(struct traffic *traffic, enum method method)
{
    return traffic->unmatched[method];
}

struct route_traffic *traffic_preflights(struct traffic *traffic)
{
    return traffic->preflights;
}
