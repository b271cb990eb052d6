#include "tests/unit/cache/cache_fixture.h"

#include <malloc.h>

static const struct slice KEY = {"product:7", 9};
static const struct slice BYTES = {"{\"stock\":3}", 11};

static void assert_bytes(struct cache_value *value, struct slice expected)
{
    assert_non_null(value);
    assert_true(slice_eq(cache_value_bytes(value), expected));
    cache_value_release(value);
}

static void test_get_hits_after_a_fill(void **state)
{
    struct cache *cache = *state;
    assert_true(put(cache, KEY, BYTES, 0, HOUR_MS));
    struct cache_value *value;
    struct cache_lease *lease;
    assert_int_equal(cache_get(cache, KEY, 0, 0, &value, &lease), CACHE_HIT);
    assert_null(lease);
    assert_bytes(value, BYTES);
}

static void test_peek_of_a_missing_key_hands_out_no_lease(void **state)
{
    struct cache *cache = *state;
    assert_null(cache_peek(cache, KEY, 0));
    cache_lease_release(cache, lease_of(cache, KEY, 0));
}

static void test_keys_and_values_may_be_empty_or_hold_any_byte(void **state)
{
    struct cache *cache = *state;
    const struct slice keys[] = {{NULL, 0}, {"\0", 1}, {"\0\0", 2}, {"a\0b", 3}};
    for (unsigned i = 0; i < 4; i++)
        assert_true(put(cache, keys[i], keys[3 - i], 0, HOUR_MS));
    for (unsigned i = 0; i < 4; i++)
        assert_bytes(cache_peek(cache, keys[i], 0), keys[3 - i]);
}

static void test_over_long_key_goes_without_the_cache(void **state)
{
    struct cache *cache = *state;
    char bytes[CACHE_KEY_MAX + 1] = {0};
    assert_true(put(cache, slice_of(bytes, CACHE_KEY_MAX), BYTES, 0, HOUR_MS));
    struct slice key = slice_of(bytes, sizeof bytes);
    struct cache_value *value;
    struct cache_lease *lease;
    assert_int_equal(cache_get(cache, key, 0, PATIENCE_MS, &value, &lease), CACHE_TIMEOUT);
    assert_null(value);
    assert_null(lease);
    assert_null(cache_peek(cache, key, 0));
    cache_invalidate(cache, key);
    assert_true(has(cache, slice_of(bytes, CACHE_KEY_MAX), 0));
}

static void test_value_expires_when_it_is_read_at_the_end_of_its_ttl(void **state)
{
    struct cache *cache = *state;
    assert_true(put(cache, KEY, BYTES, 5000, 1500));
    assert_true(has(cache, KEY, 6499));
    assert_false(has(cache, KEY, 6500));
    assert_int_equal(stats_of(cache).expirations, 1);
    assert_int_equal(stats_of(cache).entries, 0);
}

static void test_expired_value_makes_room_for_a_fresh_fill(void **state)
{
    struct cache *cache = *state;
    assert_true(put(cache, KEY, BYTES, 0, 10));
    assert_true(put(cache, KEY, slice_str("new"), 10, 10));
    assert_bytes(cache_peek(cache, KEY, 19), slice_str("new"));
}

static void test_ttl_beyond_the_end_of_time_is_for_ever(void **state)
{
    struct cache *cache = *state;
    assert_true(put(cache, KEY, BYTES, 1000, INT64_MAX));
    cache_sweep(cache, 100 * HOUR_MS);
    assert_true(has(cache, KEY, INT64_MAX - 1));
}

static void test_fill_without_ttl_stores_nothing(void **state)
{
    struct cache *cache = *state;
    assert_false(put(cache, KEY, BYTES, 0, 0));
    assert_false(put(cache, KEY, BYTES, 0, -1));
    assert_false(has(cache, KEY, 0));
}

static void test_sweep_drops_what_expired_and_nothing_else(void **state)
{
    struct cache *cache = *state;
    assert_true(put(cache, slice_str("short"), BYTES, 0, 1000));
    assert_true(put(cache, slice_str("long"), BYTES, 0, 2000));
    cache_sweep(cache, 999);
    assert_int_equal(stats_of(cache).entries, 2);
    cache_sweep(cache, 1000);
    assert_int_equal(stats_of(cache).entries, 1);
    assert_int_equal(stats_of(cache).expirations, 1);
    assert_true(has(cache, slice_str("long"), 1000));
}

/* TTLs from a second to beyond the wheel's reach, from an odd start: every level takes part. */
static void test_sweep_drops_each_value_in_the_second_its_time_is_up(void **state)
{
    struct cache *cache = *state;
    const int64_t ttls_s[] = {1,    2,    15,   16,   17,    31,    240,   255,   256,    257,
                              4095, 4096, 4097, 9999, 65535, 65536, 65537, 99999, 140000, 0};
    char name[32];
    uint64_t left = 0;
    const int64_t start_s = 12345;
    for (unsigned i = 0; ttls_s[i]; i++, left++)
        assert_true(put(cache, numbered(name, sizeof name, "k", i), BYTES, start_s * 1000,
                        ttls_s[i] * 1000));
    for (unsigned i = 0; ttls_s[i]; i++) {
        cache_sweep(cache, (start_s + ttls_s[i]) * 1000 - 1);
        assert_int_equal(stats_of(cache).entries, left);
        cache_sweep(cache, (start_s + ttls_s[i]) * 1000);
        assert_int_equal(stats_of(cache).entries, --left);
    }
}

static void test_sweep_that_comes_late_drops_all_that_is_due(void **state)
{
    struct cache *cache = *state;
    char name[32];
    for (unsigned i = 0; i < 1000; i++)
        assert_true(put(cache, numbered(name, sizeof name, "k", i), BYTES, 0, 1 + i * 997));
    cache_sweep(cache, 2000 * 997);
    assert_int_equal(stats_of(cache).entries, 0);
    assert_int_equal(stats_of(cache).expirations, 1000);
}

/* Threads pass slightly different times. */
static void test_value_filled_behind_the_last_sweep_is_swept_by_the_next(void **state)
{
    struct cache *cache = *state;
    assert_true(put(cache, slice_str("other"), BYTES, 9000, HOUR_MS));
    cache_sweep(cache, 10000);
    assert_true(put(cache, KEY, BYTES, 8000, 1000));
    cache_sweep(cache, 11000);
    assert_int_equal(stats_of(cache).expirations, 1);
}

static void test_invalidate_drops_the_value_of_its_key_alone(void **state)
{
    struct cache *cache = *state;
    assert_true(put(cache, KEY, BYTES, 0, HOUR_MS));
    assert_true(put(cache, slice_str("other"), BYTES, 0, HOUR_MS));
    cache_invalidate(cache, KEY);
    cache_invalidate(cache, slice_str("never seen"));
    assert_false(has(cache, KEY, 0));
    assert_true(has(cache, slice_str("other"), 0));
    assert_int_equal(stats_of(cache).invalidations, 1);
}

static void test_borrowed_value_survives_its_invalidation(void **state)
{
    struct cache *cache = *state;
    assert_true(put(cache, KEY, BYTES, 0, HOUR_MS));
    struct cache_value *value = cache_peek(cache, KEY, 0);
    cache_invalidate(cache, KEY);
    assert_true(put(cache, KEY, slice_str("new"), 0, HOUR_MS));
    assert_bytes(value, BYTES);
}

static void test_statistics_add_up(void **state)
{
    (void)state;
    struct cache *cache = cache_create(&(struct cache_options){.budget_bytes = MIB});
    const char bytes[400] = {0};
    uint64_t seed = 7, gets = 0;
    char name[32];
    for (int64_t now_ms = 0; now_ms < 60000; now_ms++, gets++) {
        struct slice key = numbered(name, sizeof name, "k", (unsigned)(next_random(&seed) % 8000));
        struct cache_value *value;
        struct cache_lease *lease;
        if (cache_get(cache, key, now_ms, 0, &value, &lease) == CACHE_LEASE)
            cache_fill(cache, lease, slice_of(bytes, sizeof bytes), now_ms,
                       1 + (int64_t)(next_random(&seed) % 20000));
        cache_value_release(value);
        if (now_ms % 7 == 0)
            cache_invalidate(cache, key);
        if (now_ms % 1000 == 0)
            cache_sweep(cache, now_ms);
    }
    struct cache_stats sum = {0};
    for (unsigned i = 0; i < cache_shards(cache); i++) {
        struct cache_stats shard;
        cache_shard_stats(cache, i, &shard);
        sum.hits += shard.hits;
        sum.entries += shard.entries;
        sum.bytes += shard.bytes;
    }
    struct cache_stats all = stats_of(cache);
    assert_int_equal(cache_shards(cache), 4);
    assert_int_equal(all.hits, sum.hits);
    assert_int_equal(all.entries, sum.entries);
    assert_int_equal(all.bytes, sum.bytes);
    assert_int_equal(all.hits + all.misses, gets);
    assert_true(all.hits && all.evictions && all.expirations && all.invalidations && all.entries);
    assert_int_equal(all.fills, all.entries + all.evictions + all.expirations + all.invalidations);
    cache_destroy(&cache);
    assert_null(cache);
}

static size_t heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static void test_empty_cache_takes_little_memory(void **state)
{
    (void)state;
    size_t before = heap_bytes();
    struct cache *cache = cache_create(&(struct cache_options){.budget_bytes = 64 * MIB});

    assert_true(heap_bytes() - before < 300 * 1024);
    assert_int_equal(stats_of(cache).bytes, 0);
    cache_destroy(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(test_get_hits_after_a_fill),
        CLAIM(test_peek_of_a_missing_key_hands_out_no_lease),
        CLAIM(test_keys_and_values_may_be_empty_or_hold_any_byte),
        CLAIM(test_over_long_key_goes_without_the_cache),
        CLAIM(test_value_expires_when_it_is_read_at_the_end_of_its_ttl),
        CLAIM(test_expired_value_makes_room_for_a_fresh_fill),
        CLAIM(test_ttl_beyond_the_end_of_time_is_for_ever),
        CLAIM(test_fill_without_ttl_stores_nothing),
        CLAIM(test_sweep_drops_what_expired_and_nothing_else),
        CLAIM(test_sweep_drops_each_value_in_the_second_its_time_is_up),
        CLAIM(test_sweep_that_comes_late_drops_all_that_is_due),
        CLAIM(test_value_filled_behind_the_last_sweep_is_swept_by_the_next),
        CLAIM(test_invalidate_drops_the_value_of_its_key_alone),
        CLAIM(test_borrowed_value_survives_its_invalidation),
        cmocka_unit_test(test_statistics_add_up),
        cmocka_unit_test(test_empty_cache_takes_little_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
