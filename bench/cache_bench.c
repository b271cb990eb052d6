/* How many hits a thread gets out of the cache in a second: random keys, look-up and release, with
 * one thread and with two. */
#include "base/clock.h"
#include "cache/cache.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>

#define KEYS         20000
#define KEY_SIZE     16
#define VALUE_BYTES  90
#define LOOKUPS      4000000
#define THREADS_MAX  2
#define BUDGET_BYTES (64U << 20)

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

int main(void)
{
    struct cache *cache = cache_create(&(struct cache_options){.budget_bytes = BUDGET_BYTES});
    fill(cache);
    for (unsigned threads = 1; threads <= THREADS_MAX; threads++)
        measure(cache, threads);
    cache_destroy(&cache);
    return 0;
}
