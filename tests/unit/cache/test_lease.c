#include "tests/unit/cache/cache_fixture.h"

#include <pthread.h>

static const struct slice KEY = {"product:7", 9};
static const struct slice OLD = {"old", 3};
static const struct slice NEW = {"new", 3};

/* A look-up in a thread of its own, and what came of it. */
struct caller {
    struct cache *cache;
    pthread_t thread;
    enum cache_result result;
    struct cache_value *value;
    struct cache_lease *lease;
};

static void *call(void *arg)
{
    struct caller *caller = arg;
    caller->result = cache_get(caller->cache, KEY, 0, PATIENCE_MS, &caller->value, &caller->lease);
    return caller;
}

static void caller_start(struct caller *caller, struct cache *cache, void *(*run)(void *))
{
    *caller = (struct caller){.cache = cache};
    assert_int_equal(pthread_create(&caller->thread, NULL, run, caller), 0);
}

/* Returns once the caller waits for a lease that is out. */
static void caller_start_waiting(struct caller *caller, struct cache *cache)
{
    uint64_t waits = stats_of(cache).waits;
    caller_start(caller, cache, call);
    await_waits(cache, waits + 1);
}

static enum cache_result caller_join(struct caller *caller)
{
    assert_int_equal(pthread_join(caller->thread, NULL), 0);
    return caller->result;
}

#define CROWD 8

/* One of a crowd: with the lease it fills, after all others have begun to wait. */
static void *call_and_fill(void *arg)
{
    struct caller *caller = call(arg);
    if (caller->result != CACHE_LEASE)
        return caller;
    await_waits(caller->cache, CROWD - 1);
    cache_fill(caller->cache, caller->lease, NEW, 0, HOUR_MS);
    return caller;
}

static void crowd_start(struct caller callers[CROWD], struct cache *cache)
{
    for (int i = 0; i < CROWD; i++)
        caller_start(&callers[i], cache, call_and_fill);
}

static void assert_one_lease_and_hits(struct caller callers[CROWD])
{
    unsigned leases = 0, hits = 0;
    for (int i = 0; i < CROWD; i++) {
        caller_join(&callers[i]);
        leases += callers[i].result == CACHE_LEASE;
        hits += callers[i].result == CACHE_HIT;
        cache_value_release(callers[i].value);
    }
    assert_int_equal(leases, 1);
    assert_int_equal(hits, CROWD - 1);
}

static void assert_holds(struct cache *cache, struct slice bytes)
{
    struct cache_value *value = cache_peek(cache, KEY, 0);
    assert_non_null(value);
    assert_true(slice_eq(cache_value_bytes(value), bytes));
    cache_value_release(value);
}

static void test_miss_hands_out_one_lease(void **state)
{
    struct cache *cache = *state;
    struct cache_lease *lease = lease_of(cache, KEY, 0), *second;
    struct cache_value *value;
    assert_int_equal(cache_get(cache, KEY, 0, 0, &value, &second), CACHE_TIMEOUT);
    assert_null(value);
    assert_null(second);
    cache_lease_release(cache, lease);
}

static void test_lease_of_one_key_does_not_hold_up_another(void **state)
{
    struct cache *cache = *state;
    struct cache_lease *lease = lease_of(cache, KEY, 0);
    assert_true(put(cache, slice_str("other"), NEW, 0, HOUR_MS));
    assert_true(cache_fill(cache, lease, NEW, 0, HOUR_MS));
}

static void test_waiters_get_the_value_when_it_is_filled(void **state)
{
    struct cache *cache = *state;
    struct cache_lease *lease = lease_of(cache, KEY, 0);
    struct caller callers[4];
    for (int i = 0; i < 4; i++)
        caller_start_waiting(&callers[i], cache);
    assert_true(cache_fill(cache, lease, NEW, 0, HOUR_MS));
    for (int i = 0; i < 4; i++) {
        assert_int_equal(caller_join(&callers[i]), CACHE_HIT);
        assert_true(slice_eq(cache_value_bytes(callers[i].value), NEW));
        cache_value_release(callers[i].value);
    }
    assert_int_equal(stats_of(cache).misses, 1);
}

static void test_wait_ends_at_its_timeout(void **state)
{
    struct cache *cache = *state;
    struct cache_lease *lease = lease_of(cache, KEY, 0), *second;
    struct cache_value *value;
    assert_int_equal(cache_get(cache, KEY, 0, 1, &value, &second), CACHE_TIMEOUT);
    assert_null(value);
    assert_null(second);
    assert_int_equal(stats_of(cache).waits, 1);
    assert_true(cache_fill(cache, lease, NEW, 0, HOUR_MS));
}

static void test_next_waiter_gets_the_lease_that_is_released(void **state)
{
    struct cache *cache = *state;
    struct cache_lease *lease = lease_of(cache, KEY, 0);
    struct caller caller;
    caller_start_waiting(&caller, cache);
    cache_lease_release(cache, lease);
    assert_int_equal(caller_join(&caller), CACHE_LEASE);
    assert_true(cache_fill(cache, caller.lease, NEW, 0, HOUR_MS));
}

static void test_one_waiter_gets_the_lease_and_the_others_its_value(void **state)
{
    struct cache *cache = *state;
    struct cache_lease *lease = lease_of(cache, KEY, 0);
    struct caller callers[CROWD];
    crowd_start(callers, cache);
    await_waits(cache, CROWD);
    cache_lease_release(cache, lease);
    assert_one_lease_and_hits(callers);
}

static void test_refused_fill_hands_the_lease_on(void **state)
{
    struct cache *cache = *state;
    struct cache_lease *lease = lease_of(cache, KEY, 0);
    struct caller caller;
    caller_start_waiting(&caller, cache);
    assert_false(cache_fill(cache, lease, NEW, 0, 0));
    assert_int_equal(caller_join(&caller), CACHE_LEASE);
    assert_true(cache_fill(cache, caller.lease, NEW, 0, HOUR_MS));
    assert_holds(cache, NEW);
}

static void test_voided_lease_can_not_fill(void **state)
{
    struct cache *cache = *state;
    struct cache_lease *lease = lease_of(cache, KEY, 0);
    cache_invalidate(cache, KEY);
    assert_false(cache_fill(cache, lease, OLD, 0, HOUR_MS));
    assert_false(has(cache, KEY, 0));
    assert_int_equal(stats_of(cache).fills_voided, 1);
}

static void test_invalidation_hands_a_fresh_lease_to_a_waiter_at_once(void **state)
{
    struct cache *cache = *state;
    struct cache_lease *lease = lease_of(cache, KEY, 0);
    struct caller caller;
    caller_start_waiting(&caller, cache);
    cache_invalidate(cache, KEY);
    assert_int_equal(caller_join(&caller), CACHE_LEASE);
    assert_false(cache_fill(cache, lease, OLD, 0, HOUR_MS));
    assert_true(cache_fill(cache, caller.lease, NEW, 0, HOUR_MS));
    assert_holds(cache, NEW);
}

static void test_voided_lease_does_not_end_the_fresh_one(void **state)
{
    struct cache *cache = *state;
    struct cache_lease *voided = lease_of(cache, KEY, 0);
    cache_invalidate(cache, KEY);
    struct cache_lease *fresh = lease_of(cache, KEY, 0);
    cache_lease_release(cache, voided);
    struct cache_lease *third;
    struct cache_value *value;
    assert_int_equal(cache_get(cache, KEY, 0, 0, &value, &third), CACHE_TIMEOUT);
    assert_true(cache_fill(cache, fresh, NEW, 0, HOUR_MS));
    assert_holds(cache, NEW);
}

static void test_stale_fill_does_not_replace_a_fresh_value(void **state)
{
    struct cache *cache = *state;
    struct cache_lease *stale = lease_of(cache, KEY, 0);
    cache_invalidate(cache, KEY);
    assert_true(put(cache, KEY, NEW, 0, HOUR_MS));
    assert_false(cache_fill(cache, stale, OLD, 0, HOUR_MS));
    assert_holds(cache, NEW);
}

static void test_crowd_on_a_missing_key_gets_one_lease(void **state)
{
    struct cache *cache = *state;
    struct caller callers[CROWD];
    crowd_start(callers, cache);
    assert_one_lease_and_hits(callers);
    assert_int_equal(stats_of(cache).misses, 1);
    assert_int_equal(stats_of(cache).waits, CROWD - 1);
}

static void assert_value(struct cache *cache, struct slice expected)
{
    struct cache_value *value = cache_peek(cache, KEY, 0);
    assert_non_null(value);
    assert_true(slice_eq(cache_value_bytes(value), expected));
    cache_value_release(value);
}

static void test_a_value_is_there_until_another_takes_its_place(void **state)
{
    struct cache *cache = *state;
    put(cache, KEY, OLD, 0, HOUR_MS);
    struct cache_lease *lease = cache_lease_take_over(cache, KEY);
    assert_non_null(lease);
    assert_null(cache_lease_take_over(cache, KEY));
    assert_value(cache, OLD);
    assert_true(cache_fill(cache, lease, NEW, 0, HOUR_MS));
    assert_value(cache, NEW);
    struct cache_stats stats = stats_of(cache);
    assert_int_equal(stats.entries, 1);
    assert_int_equal(stats.fills, stats.entries + stats.invalidations);
}

static void test_no_stale_value_replaces_one_that_was_invalidated(void **state)
{
    struct cache *cache = *state;
    put(cache, KEY, OLD, 0, HOUR_MS);
    struct cache_lease *lease = cache_lease_take_over(cache, KEY);
    cache_invalidate(cache, KEY);
    assert_false(cache_fill(cache, lease, NEW, 0, HOUR_MS));
    assert_false(has(cache, KEY, 0));
}

static void test_a_value_that_is_not_replaced_stays(void **state)
{
    struct cache *cache = *state;
    put(cache, KEY, OLD, 0, HOUR_MS);
    cache_lease_release(cache, cache_lease_take_over(cache, KEY));
    assert_value(cache, OLD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(test_a_value_is_there_until_another_takes_its_place),
        CLAIM(test_no_stale_value_replaces_one_that_was_invalidated),
        CLAIM(test_a_value_that_is_not_replaced_stays),
        CLAIM(test_miss_hands_out_one_lease),
        CLAIM(test_lease_of_one_key_does_not_hold_up_another),
        CLAIM(test_waiters_get_the_value_when_it_is_filled),
        CLAIM(test_wait_ends_at_its_timeout),
        CLAIM(test_next_waiter_gets_the_lease_that_is_released),
        CLAIM(test_one_waiter_gets_the_lease_and_the_others_its_value),
        CLAIM(test_refused_fill_hands_the_lease_on),
        CLAIM(test_voided_lease_can_not_fill),
        CLAIM(test_invalidation_hands_a_fresh_lease_to_a_waiter_at_once),
        CLAIM(test_voided_lease_does_not_end_the_fresh_one),
        CLAIM(test_stale_fill_does_not_replace_a_fresh_value),
        CLAIM(test_crowd_on_a_missing_key_gets_one_lease),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
