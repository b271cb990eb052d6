/* DESIGN. Every request holds the plan that it began with, and must not pay for that: no lock, no
 * count that all threads write. So a plan's holders are counted in stripes, a cache line each, and
 * a thread always uses the same one. To hold a plan is to read which is the present one, count
 * oneself in, and look again: if it is still the present one it is held, else one counts out and
 * tries anew.
 *
 * Between the reading and the counting the plan may have been dropped. That is harmless because its
 * memory stays a plan: plans are emptied and filled again, and freed with the gateway only. There
 * are never more than were in use at once.
 *
 * A past plan may be emptied when the sum of its stripes is 0. The stripes are read one after
 * another, but from the swap on nobody new gets to hold it: everyone who does was counted before
 * the swap, and the loads after it see that (all of this is sequentially consistent). Those who
 * count in, look and turn back do both on one stripe. So what is read is never less than what is
 * true. Who lets go may be another thread than who took hold, so a single stripe may be negative.
 */
#include "server/gateway/gateway_private.h"
#include "server/gateway/response_cache.h"
#include "server/gateway/route_pattern.h"
#include "server/gateway/route_table.h"

#include "base/hash.h"
#include "base/mem.h"
#include "server/transform/transform.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

/* ---- Holding */

/* Threads are dealt out over the stripes in the order in which they first hold a plan. */
static unsigned own_stripe(void)
{
    static atomic_uint dealt;
    static _Thread_local unsigned own; /* one more than the index; 0 before the first use */
    if (own == 0)
        own = atomic_fetch_add(&dealt, 1) % PLAN_STRIPES + 1;
    return own - 1;
}

struct plan *plan_hold(struct gateway *gateway)
{
    unsigned stripe = own_stripe();
    for (;;) {
        struct plan *plan = atomic_load(&gateway->plan);
        atomic_fetch_add(&plan->held[stripe].count, 1);
        if (atomic_load(&gateway->plan) == plan)
            return plan;
        atomic_fetch_sub(&plan->held[stripe].count, 1);
    }
}

void plan_release(struct plan *plan)
{
    atomic_fetch_sub(&plan->held[own_stripe()].count, 1);
}

static bool is_held(const struct plan *plan)
{
    int64_t holders = 0;
    for (unsigned i = 0; i < PLAN_STRIPES; i++)
        holders += atomic_load(&plan->held[i].count);
    assert(holders >= 0);
    return holders > 0;
}

#define CACHED_BODY_MAX ((size_t)1 << 20)

/* ---- Making */

static struct plan *add_plan(struct gateway *gateway)
{
    struct plan *plan = aligned_alloc(_Alignof(struct plan), sizeof *plan);
    assert(plan);
    memset(plan, 0, sizeof *plan);
    plan->next = gateway->plans;
    gateway->plans = plan;
    return plan;
}

/* An empty one: of those that were emptied, or a new one. */
static struct plan *take_free(struct gateway *gateway)
{
    lock_acquire(&gateway->lock);
    struct plan *plan = gateway->plans;
    while (plan && plan->state != PLAN_FREE)
        plan = plan->next;
    if (!plan)
        plan = add_plan(gateway);
    plan->state = PLAN_MADE;
    lock_leave(&gateway->lock);
    return plan;
}

/* Ties the routes to what lasts of them: by their names, never by their place. */
static void tie(struct gateway *gateway, struct route_table *routes, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct route *route = route_table_at(routes, i);
        const char *name = route->spec.limit_name;
        if (!route->spec.any_method)
            route->traffic = traffic_of(gateway->traffic, &route->spec, route->spec.method);
        route->limit_scope = hash_keyed(slice_str(name ? name : ""));
        route->spec.limit_name = NULL; /* the caller's */
    }
}

static void note_caching(struct plan *plan, unsigned count)
{
    plan->caches = plan->cache_keys = false;
    for (unsigned i = 0; i < count; i++) {
        const struct route *route = route_table_at(plan->routes, i);
        const struct route_cache *cache = &route->spec.cache;
        plan->caches |= cache->enabled;
        const struct transform *transform = route->spec.transform;
        bool by_more = cache->key_count > 0 || route->condition_count > 0 ||
                       (transform && transform_has_key(transform));
        plan->cache_keys |= cache->enabled && by_more;
    }
}

enum err plan_create(struct gateway *gateway, const struct plan_options *options, struct plan **out,
                     char *why, size_t why_size)
{
    struct route_table *routes;
    *out = NULL;
    enum err err =
        route_table_create(options->routes, options->route_count, &routes, why, why_size);
    if (err)
        return err;
    tie(gateway, routes, options->route_count);
    *out = take_free(gateway);
    (*out)->routes = routes;
    note_caching(*out, options->route_count);
    (*out)->trusted = options->trusted;
    (*out)->guard = guard_create(&options->guard);
    (*out)->cors = cors_create(options->cors);
    (*out)->addresses = address_rules_create(&options->addresses);
    (*out)->address_limit = options->address_limit;
    (*out)->old_rate_headers = options->old_rate_headers;
    (*out)->development = options->development;
    (*out)->compress = options->compress;
    (*out)->compress_min_bytes = options->compress_min_bytes;
    (*out)->cached_body_max = options->cached_body_max ? options->cached_body_max : CACHED_BODY_MAX;
    return ERR_OK;
}

static void drop_contents(struct plan *plan)
{
    route_table_destroy(&plan->routes);
    cidr_list_release(&plan->trusted);
    guard_destroy(&plan->guard);
    address_rules_destroy(&plan->addresses);
    cors_destroy(&plan->cors);
}

static void empty(struct gateway *gateway, struct plan *plan)
{
    lock_assert_held(&gateway->lock);
    drop_contents(plan);
    plan->state = PLAN_FREE;
}

void plan_destroy(struct gateway *gateway, struct plan **plan)
{
    if (!*plan)
        return;
    lock_acquire(&gateway->lock);
    assert((*plan)->state == PLAN_MADE);
    empty(gateway, *plan);
    lock_leave(&gateway->lock);
    *plan = NULL;
}

/* ---- What is stored, over plans */

static bool caches_pattern(const struct plan *plan, const char *pattern)
{
    for (unsigned i = 0; plan->caches && i < route_table_count(plan->routes); i++) {
        const struct route_spec *spec = &route_table_at(plan->routes, i)->spec;
        if (spec->cache.enabled && pattern_same_shape(spec->pattern, pattern))
            return true;
    }
    return false;
}

bool plan_caches_path(const struct plan *plan, struct slice path)
{
    for (unsigned i = 0; plan->caches && i < route_table_count(plan->routes); i++) {
        const struct route_spec *spec = &route_table_at(plan->routes, i)->spec;
        if (spec->cache.enabled && pattern_fits(spec->pattern, spec->place, path))
            return true;
    }
    return false;
}

/* A pattern that was not cached by the plan before may have been by an earlier one: what changed in
 * between has voided nothing. */
static bool caches_anew(const struct plan *before, const struct plan *plan)
{
    for (unsigned i = 0; plan->caches && i < route_table_count(plan->routes); i++) {
        const struct route_spec *spec = &route_table_at(plan->routes, i)->spec;
        if (spec->cache.enabled && !caches_pattern(before, spec->pattern))
            return true;
    }
    return false;
}

/* ---- Swapping */

void gateway_swap(struct gateway *gateway, struct plan *plan)
{
    lock_acquire(&gateway->lock);
    struct plan *before = atomic_load(&gateway->plan);
    assert(plan->state == PLAN_MADE);
    plan->state = PLAN_PRESENT;
    if (before && gateway->responses && caches_anew(before, plan))
        response_cache_purge(gateway->responses, PURGE_PREFIX, slice_str("/"));
    atomic_store(&gateway->plan, plan);
    if (before)
        before->state = PLAN_PAST;
    lock_leave(&gateway->lock);
    gateway_plans(gateway);
}

unsigned gateway_plans(struct gateway *gateway)
{
    unsigned left = 0;
    lock_acquire(&gateway->lock);
    for (struct plan *plan = gateway->plans; plan; plan = plan->next) {
        if (plan->state == PLAN_PAST && !is_held(plan))
            empty(gateway, plan);
        left += plan->state == PLAN_PRESENT || plan->state == PLAN_PAST;
    }
    lock_leave(&gateway->lock);
    return left;
}

void plans_destroy(struct gateway *gateway)
{
    while (gateway->plans) {
        struct plan *plan = gateway->plans;
        gateway->plans = plan->next;
        assert(!is_held(plan));
        drop_contents(plan);
        free(plan);
    }
}
