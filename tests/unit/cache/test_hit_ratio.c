/* How often the cache has what is asked for, against S3-FIFO as it is in the paper. */
#include "cache/cache.h"
#include "tests/unit/cache/s3fifo_reference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#define BUDGET  ((size_t)64 << 20)
#define LOOKUPS 100000
#define TIMES   4 /* so many times more is asked for than fits */
#define KIB     1024

struct ratios {
    double ours, reference;
};

static bool ask_cache(struct cache *cache, unsigned number, struct slice bytes)
{
    char key[16];
    snprintf(key, sizeof key, "%u", number);
    struct cache_value *value;
    struct cache_lease *lease;
    if (cache_get(cache, slice_str(key), 0, 0, &value, &lease) == CACHE_HIT) {
        cache_value_release(value);
        return true;
    }
    cache_fill(cache, lease, bytes, 0, 3600000);
    return false;
}

static struct ratios measure(size_t value_bytes)
{
    size_t keys = TIMES * BUDGET / value_bytes;
    struct cache *cache = cache_create(&(struct cache_options){.budget_bytes = BUDGET});
    struct reference *reference = reference_create(keys, BUDGET / value_bytes);
    struct zipf zipf;
    zipf_init(&zipf, keys);
    char *bytes = calloc(1, value_bytes);
    unsigned ours = 0;
    for (unsigned i = 0; i < LOOKUPS; i++) {
        unsigned number = zipf_next(&zipf);
        ours += ask_cache(cache, number, slice_of(bytes, value_bytes));
        reference_get(reference, number);
    }
    struct ratios ratios = {(double)ours / LOOKUPS, (double)reference->hits / LOOKUPS};
    print_message("values of %3zu KiB: %.1f %% hits, in the paper's S3-FIFO %.1f %%\n",
                  value_bytes / KIB, 100 * ratios.ours, 100 * ratios.reference);
    free(bytes);
    zipf_release(&zipf);
    reference_destroy(reference);
    cache_destroy(&cache);
    return ratios;
}

static void test_cache_hits_nearly_as_often_as_the_paper_whatever_the_size(void **state)
{
    (void)state;
    static const struct {
        size_t bytes;
        double lack_max; /* shards of a few large values cannot divide them evenly */
    } rows[] = {
        {1 * KIB, 0.03}, {20 * KIB, 0.03}, {60 * KIB, 0.04}, {200 * KIB, 0.06}, {800 * KIB, 0.12}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ratios ratios = measure(rows[i].bytes);
        assert_true(ratios.ours > ratios.reference - rows[i].lack_max);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cache_hits_nearly_as_often_as_the_paper_whatever_the_size),
    };
    return cmocka_run_group_tests_name("hit ratio", tests, NULL, NULL);
}
