/* What the tests of the cache share: short ways to create, fill and look. Time is a number that
 * each test chooses. */
#ifndef GALLEY_TESTS_UNIT_CACHE_CACHE_FIXTURE_H
#define GALLEY_TESTS_UNIT_CACHE_CACHE_FIXTURE_H

#include "cache/cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sched.h>
#include <stdio.h>

#define MIB         ((size_t)1 << 20)
#define HOUR_MS     ((int64_t)3600000)
#define PATIENCE_MS 60000 /* for waits that are going to end */

#define CLAIM(test) cmocka_unit_test_setup_teardown(test, cache_setup, cache_teardown)

/* One shard of the smallest budget, so that all keys meet. */
static inline int cache_setup(void **state)
{
    *state = cache_create(&(struct cache_options){.budget_bytes = MIB, .shards = 1});
    return 0;
}

static inline int cache_teardown(void **state)
{
    cache_destroy((struct cache **)state);
    return 0;
}

static inline struct cache_lease *lease_of(struct cache *cache, struct slice key, int64_t now_ms)
{
    struct cache_value *value;
    struct cache_lease *lease;
    assert_int_equal(cache_get(cache, key, now_ms, 0, &value, &lease), CACHE_LEASE);
    assert_null(value);
    assert_non_null(lease);
    return lease;
}

static inline bool put(struct cache *cache, struct slice key, struct slice bytes, int64_t now_ms,
                       int64_t ttl_ms)
{
    return cache_fill(cache, lease_of(cache, key, now_ms), bytes, now_ms, ttl_ms);
}

static inline bool has(struct cache *cache, struct slice key, int64_t now_ms)
{
    struct cache_value *value = cache_peek(cache, key, now_ms);
    cache_value_release(value);
    return value;
}

static inline struct slice numbered(char *out, size_t size, const char *name, unsigned number)
{
    return slice_of(out, (size_t)snprintf(out, size, "%s:%u", name, number));
}

static inline struct cache_stats stats_of(struct cache *cache)
{
    struct cache_stats stats;
    cache_stats(cache, &stats);
    return stats;
}

/* A look-up counts itself as waiting under the lock that it then waits on. */
static inline void await_waits(struct cache *cache, uint64_t waits)
{
    while (stats_of(cache).waits < waits)
        sched_yield();
}

static inline uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

#endif
