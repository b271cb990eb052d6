#include "tests/unit/cache/cache_fixture.h"

#include "base/hash.h"
#include "base/mem.h"
#include "cache/cache_private.h"

#include <malloc.h>
#include <stdlib.h>

#define BUDGET_BYTES ((size_t)64 << 10)

static int shard_setup(void **state)
{
    struct cache_shard *shard = mem_zalloc(sizeof *shard);
    cache_shard_init(shard, BUDGET_BYTES);
    lock_acquire(&shard->lock);
    *state = shard;
    return 0;
}

static int shard_teardown(void **state)
{
    struct cache_shard *shard = *state;
    lock_leave(&shard->lock);
    cache_shard_release(shard);
    free(shard);
    return 0;
}

static struct cache_value *value_of(unsigned key, size_t len, int64_t expires_ms)
{
    struct cache_value *value = mem_zalloc(sizeof *value + sizeof key + len);
    value->refs = 1;
    value->key_len = sizeof key;
    value->hash = hash_keyed(slice_of(&key, sizeof key));
    value->expires_ms = expires_ms;
    value->len = len;
    memcpy(value->data, &key, sizeof key);
    return value;
}

static bool look_up_or_insert(struct cache_shard *shard, unsigned key, size_t len, int64_t now_ms)
{
    struct slice bytes = slice_of(&key, sizeof key);
    if (cache_shard_find(shard, hash_keyed(bytes), bytes, now_ms))
        return true;
    struct cache_value *value = value_of(key, len, now_ms + 1 + (int64_t)len);
    bool inserted = cache_shard_insert(shard, value, now_ms);
    if (!inserted)
        cache_value_release(value);
    return inserted;
}

static size_t count_timed(const struct cache_wheel *wheel)
{
    const struct cache_timed *slots = &wheel->slots[0][0];
    const struct cache_value *value;
    size_t count = 0;
    for (size_t i = 0; i < WHEEL_LEVELS * WHEEL_SLOTS; i++)
        LIST_FOREACH(value, &slots[i], timed)
            count++;
    return count;
}

/* Recounts all that the shard holds. */
static void assert_consistent(const struct cache_shard *shard)
{
    size_t bytes = cache_charge(shard->table.slots) + cache_charge(shard->s3.ghost);
    size_t count = 0, small_bytes = 0;
    const struct cache_value *value;
    TAILQ_FOREACH(value, &shard->s3.main, queued) {
        bytes += cache_charge(value);
        count++;
    }
    TAILQ_FOREACH(value, &shard->s3.small, queued) {
        small_bytes += cache_charge(value);
        count++;
    }
    assert_int_equal(shard->bytes, bytes + small_bytes);
    assert_true(shard->bytes <= BUDGET_BYTES);
    assert_int_equal(shard->s3.small_bytes, small_bytes);
    assert_int_equal(shard->table.count, count);
    assert_int_equal(shard->wheel.count, count);
    assert_int_equal(count_timed(&shard->wheel), count);
}

/* Phases of tiny and of large values, so that now the table and now the bytes are the limit. */
static void test_bytes_are_the_sum_of_the_allocations_under_a_random_load(void **state)
{
    struct cache_shard *shard = *state;
    uint64_t seed = 4711;
    for (int64_t now_ms = 0; now_ms < 60000; now_ms++) {
        unsigned key = (unsigned)(next_random(&seed) % 2000);
        size_t len_max = now_ms / 5000 % 2 ? 4000 : 40;
        look_up_or_insert(shard, key, next_random(&seed) % len_max, now_ms);
        struct slice bytes = slice_of(&key, sizeof key);
        struct cache_value *value = cache_shard_find(shard, hash_keyed(bytes), bytes, now_ms);
        if (value && next_random(&seed) % 16 == 0)
            cache_shard_drop(shard, value);
        if (now_ms % 100 == 0)
            cache_shard_sweep(shard, now_ms);
        if (now_ms % 50 == 0)
            assert_consistent(shard);
    }
    assert_true(shard->stats.evictions > 0 && shard->stats.expirations > 0);
}

static void test_charge_is_what_the_allocator_gave(void **state)
{
    (void)state;
    for (size_t size = 1; size < 300000; size = size * 3 / 2 + 1) {
        void *allocation = mem_alloc(size);
        assert_int_equal(cache_charge(allocation), malloc_usable_size(allocation) + sizeof(size_t));
        assert_true(cache_charge(allocation) > size);
        free(allocation);
    }
    assert_int_equal(cache_charge(NULL), 0);
}

/* All in one long run, so that every removal has to close a gap. */
static void test_table_finds_all_others_after_each_removal(void **state)
{
    (void)state;

    struct cache_table table = {0};
    cache_table_grow(&table);
    struct cache_value *values[12];
    for (unsigned i = 0; i < 12; i++) {
        values[i] = value_of(i, 0, 0);
        values[i]->hash = (uint64_t)i << 8 | (13 + i / 5); /* homes 13 to 15: runs wrap around */
        cache_table_insert(&table, values[i]);
    }
    assert_true(cache_table_full(&table));
    for (unsigned removed = 0; removed < 12; removed++) {
        unsigned gone = removed * 5 % 12;
        cache_table_remove(&table, values[gone]);
        values[gone]->refs = 0;
        for (unsigned i = 0; i < 12; i++) {
            struct slice key = slice_of(&i, sizeof i);
            struct cache_value *found = cache_table_find(&table, values[i]->hash, key);
            assert_ptr_equal(found, values[i]->refs ? values[i] : NULL);
        }
    }
    for (unsigned i = 0; i < 12; i++)
        free(values[i]);
    free(table.slots);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_bytes_are_the_sum_of_the_allocations_under_a_random_load, shard_setup,
            shard_teardown),
        cmocka_unit_test(test_charge_is_what_the_allocator_gave),
        cmocka_unit_test(test_table_finds_all_others_after_each_removal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
