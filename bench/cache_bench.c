/* How many hits a thread gets out of the cache in a second: random keys, look-up and release, with
 * one thread and with two. Then how often it has what is asked for, by the size of the values, when
 * four times more is asked for than fits; and how often S3-FIFO has that without shards. */
#include "base/clock.h"
#include "cache/cache.h"
#include "tests/unit/cache/s3fifo_reference.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>

#define KEYS          20000
#define KEY_SIZE      16
#define VALUE_BYTES   90
#define LOOKUPS       4000000
#define THREADS_MAX   2
#define BUDGET_BYTES  (64U << 20)
#define RATIO_LOOKUPS 200000

static char keys[KEYS][KEY_SIZE];
static struct slice key_slices[KEYS];

struct worker {
    struct cache *cache;
    pthread_barrier_t *start;
    uint64_t seed;
    double seconds;
};

static void fill(struct cache *cache)
{
    char bytes[VALUE_BYTES] = {'{'};
    struct cache_value *value;
    struct cache_lease *lease;
    for (int i = 0; i < KEYS; i++) {
        snprintf(keys[i], KEY_SIZE, "prod:%07d", i);
        key_slices[i] = slice_str(keys[i]);
        enum cache_result result = cache_get(cache, key_slices[i], 0, 0, &value, &lease);
        assert(result == CACHE_LEASE);
        bool filled = cache_fill(cache, lease, slice_of(bytes, sizeof bytes), 0, 3600000);
        assert(filled);
    }
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void *look_up(void *arg)
{
    struct worker *worker = arg;
    pthread_barrier_wait(worker->start);
    int64_t begin_ns = clock_mono_ns(&clock_system);
    struct cache_value *value;
    struct cache_lease *lease;
    for (int i = 0; i < LOOKUPS; i++) {
        struct slice key = key_slices[next_random(&worker->seed) % KEYS];
        enum cache_result result = cache_get(worker->cache, key, 1, 0, &value, &lease);
        assert(result == CACHE_HIT);
        cache_value_release(value);
    }
    worker->seconds = (double)(clock_mono_ns(&clock_system) - begin_ns) / 1e9;
    return NULL;
}

static void measure(struct cache *cache, unsigned threads)
{
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, threads);
    struct worker workers[THREADS_MAX];
    pthread_t ids[THREADS_MAX];
    for (unsigned i = 0; i < threads; i++) {
        workers[i] =
            (struct worker){.cache = cache, .start = &start, .seed = 88172645463325252 + i};
        pthread_create(&ids[i], NULL, look_up, &workers[i]);
    }
    printf("cache hits, %u thread%s:", threads, threads == 1 ? "" : "s");
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
        printf(" %.1f", LOOKUPS / workers[i].seconds / 1e6);
    }
    printf(" M hits/s per thread\n");
    pthread_barrier_destroy(&start);
}

/* ---- Hit ratios. */

static bool ask(struct cache *cache, unsigned number, struct slice bytes)
{
    char key[KEY_SIZE];
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

static void measure_ratio(size_t value_bytes)
{
    size_t many = 4 * (size_t)BUDGET_BYTES / value_bytes;
    struct cache *cache = cache_create(&(struct cache_options){.budget_bytes = BUDGET_BYTES});
    struct reference *reference = reference_create(many, BUDGET_BYTES / value_bytes);
    struct zipf zipf;
    zipf_init(&zipf, many);
    char *bytes = calloc(1, value_bytes);
    unsigned hits = 0;
    for (unsigned i = 0; i < RATIO_LOOKUPS; i++) {
        unsigned number = zipf_next(&zipf);
        hits += ask(cache, number, slice_of(bytes, value_bytes));
        reference_get(reference, number);
    }
    printf("cache hit ratio, values of %zu KiB: %.1f %% (S3-FIFO without shards: %.1f %%)\n",
           value_bytes >> 10, 100.0 * hits / RATIO_LOOKUPS,
           100.0 * (double)reference->hits / RATIO_LOOKUPS);
    free(bytes);
    zipf_release(&zipf);
    reference_destroy(reference);
    cache_destroy(&cache);
}

int main(void)
{
    struct cache *cache = cache_create(&(struct cache_options){.budget_bytes = BUDGET_BYTES});
    fill(cache);
    for (unsigned threads = 1; threads <= THREADS_MAX; threads++)
        measure(cache, threads);
    cache_destroy(&cache);
    static const size_t kib[] = {1, 20, 60, 200, 800};
    for (size_t i = 0; i < sizeof kib / sizeof kib[0]; i++)
        measure_ratio(kib[i] << 10);
    return 0;
}
