#include "tests/unit/cache/cache_fixture.h"

static const char bytes[MIB];

static bool put_numbered(struct cache *cache, const char *name, unsigned number, size_t len)
{
    char key[32];
    return put(cache, numbered(key, sizeof key, name, number), slice_of(bytes, len), 0, HOUR_MS);
}

static bool has_numbered(struct cache *cache, const char *name, unsigned number)
{
    char key[32];
    return has(cache, numbered(key, sizeof key, name, number), 0);
}

static unsigned count_present(struct cache *cache, const char *name, unsigned count)
{
    unsigned present = 0;
    for (unsigned i = 0; i < count; i++)
        present += has_numbered(cache, name, i);
    return present;
}

/* Values that are asked for once: more than the budget holds, many times over. */
static void scan(struct cache *cache, const char *name, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        assert_true(put_numbered(cache, name, i, 100));
}

static void test_values_that_fit_are_all_kept(void **state)
{
    struct cache *cache = *state;
    scan(cache, "k", 4000);
    assert_int_equal(count_present(cache, "k", 4000), 4000);
    assert_int_equal(stats_of(cache).evictions, 0);
}

static void test_budget_is_never_exceeded_and_well_used(void **state)
{
    struct cache *cache = *state;
    const size_t sizes[] = {0, 30, 100, 5000, 60000};
    for (unsigned size = 0; size < 5; size++) {
        for (unsigned i = 0; i < 20000 && i * sizes[size] < 8 * MIB; i++) {
            put_numbered(cache, "k", size * 20000 + i, sizes[size]);
            assert_true(stats_of(cache).bytes <= MIB);
        }
        assert_true(stats_of(cache).bytes > MIB * 85 / 100);
    }
}

static void test_value_larger_than_the_budget_is_refused_and_evicts_nothing(void **state)
{
    struct cache *cache = *state;
    scan(cache, "k", 100);
    assert_false(put_numbered(cache, "large", 0, MIB));
    assert_false(put_numbered(cache, "large", 0, MIB - 1000));
    assert_int_equal(count_present(cache, "k", 100), 100);
    assert_true(put_numbered(cache, "large", 0, MIB / 2));
    assert_int_equal(stats_of(cache).evictions, 0);
}

static void test_first_value_may_be_too_large(void **state)
{
    struct cache *cache = *state;
    assert_false(put_numbered(cache, "large", 0, MIB));
    assert_false(has_numbered(cache, "large", 0));
    assert_true(put_numbered(cache, "small", 0, 10));
}

static void test_hot_values_survive_a_scan_of_one_hit_wonders(void **state)
{
    struct cache *cache = *state;
    scan(cache, "hot", 500);
    for (int round = 0; round < 2; round++)
        assert_int_equal(count_present(cache, "hot", 500), 500);
    scan(cache, "wonder", 20000);
    assert_int_equal(count_present(cache, "hot", 500), 500);
}

static void test_values_hit_too_rarely_leave_with_the_scan(void **state)
{
    struct cache *cache = *state;
    scan(cache, "once", 500);
    assert_int_equal(count_present(cache, "once", 500), 500);
    scan(cache, "wonder", 20000);
    assert_int_equal(count_present(cache, "once", 500), 0);
}

/* While main is empty the small queue has the whole budget. A bucket of the ghost remembers eight,
 * so as few as possible follow. */
static void push_out_the_first(struct cache *cache)
{
    for (unsigned i = 0; stats_of(cache).evictions == 0; i++)
        assert_true(put_numbered(cache, "early", i, 100));
}

static void test_value_that_returns_while_the_ghost_remembers_it_goes_to_main(void **state)
{
    struct cache *cache = *state;
    assert_true(put_numbered(cache, "returns", 0, 100));
    push_out_the_first(cache);
    assert_false(has_numbered(cache, "returns", 0));
    assert_true(put_numbered(cache, "returns", 0, 100));
    assert_true(put_numbered(cache, "stranger", 0, 100));
    scan(cache, "later", 20000);
    assert_true(has_numbered(cache, "returns", 0));
    assert_false(has_numbered(cache, "stranger", 0));
}

static void test_borrowed_value_survives_its_eviction(void **state)
{
    struct cache *cache = *state;
    struct slice mine = slice_str("mine");
    assert_true(put(cache, mine, slice_str("to be read"), 0, HOUR_MS));
    struct cache_value *value = cache_peek(cache, mine, 0);
    scan(cache, "wonder", 20000);
    assert_false(has(cache, mine, 0));
    assert_true(slice_is(cache_value_bytes(value), "to be read"));
    cache_value_release(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(test_values_that_fit_are_all_kept),
        CLAIM(test_budget_is_never_exceeded_and_well_used),
        CLAIM(test_value_larger_than_the_budget_is_refused_and_evicts_nothing),
        CLAIM(test_first_value_may_be_too_large),
        CLAIM(test_hot_values_survive_a_scan_of_one_hit_wonders),
        CLAIM(test_values_hit_too_rarely_leave_with_the_scan),
        CLAIM(test_value_that_returns_while_the_ghost_remembers_it_goes_to_main),
        CLAIM(test_borrowed_value_survives_its_eviction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
