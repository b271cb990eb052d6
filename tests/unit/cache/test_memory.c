/* The cache takes what it was given, whoever fills it. */
#include "base/mem.h"
#include "cache/cache.h"
#include "tests/unit/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define BUDGET  (64 * MIB)
#define THREADS 16
#define FILLS   6000 /* by each thread, of 0 to 16 KiB: ten times what fits */

struct filler {
    struct cache *cache;
    unsigned number;
};

static void *fill(void *arg)
{
    const struct filler *filler = arg;
    char *bytes = calloc(1, 16384);
    uint64_t random = 88172645463325252 + filler->number;
    for (unsigned i = 0; i < FILLS; i++) {
        char key[32];
        snprintf(key, sizeof key, "%u:%u", filler->number, i);
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        struct cache_value *value;
        struct cache_lease *lease;
        if (cache_get(filler->cache, slice_str(key), 0, 0, &value, &lease) == CACHE_LEASE)
            cache_fill(filler->cache, lease, slice_of(bytes, random % 16384), 0, 3600000);
    }
    free(bytes);
    return NULL;
}

static void test_cache_filled_by_many_threads_takes_its_budget_and_little_more(void **state)
{
    (void)state;
    struct cache *cache = cache_create(&(struct cache_options){.budget_bytes = BUDGET});
    pthread_t threads[THREADS];
    struct filler fillers[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        fillers[i] = (struct filler){cache, i};
        pthread_create(&threads[i], NULL, fill, &fillers[i]);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    long full = anonymous_bytes();
    mem_trim();
    long bytes = anonymous_bytes();
    print_message("a cache of 64 MiB takes %ld MiB, %ld before a trim\n", bytes / MIB, full / MIB);
    if (MEMORY_IS_OURS)
        assert_in_range(bytes, BUDGET * 3 / 4, BUDGET + 30 * MIB);
    cache_destroy(&cache);
    mem_trim();
    if (MEMORY_IS_OURS)
        assert_true(anonymous_bytes() < 20 * MIB);
}

int main(void)
{
    mem_tune();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cache_filled_by_many_threads_takes_its_budget_and_little_more),
    };
    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
