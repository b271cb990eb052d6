#include "tests/unit/cache/cache_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#define KEYS           8
#define READERS        3
#define WRITES         30000
#define STRANGERS      20000
#define STRANGER_BYTES 200

/* The source of truth is a version for each key. A writer raises it, invalidates, and only then
 * acknowledges: from there on nobody may be shown an older version. */
struct model {
    struct cache *cache;
    pthread_barrier_t start;
    _Atomic uint64_t truth[KEYS];
    _Atomic uint64_t acknowledged[KEYS];
    _Atomic int64_t now_ms;
    _Atomic bool done;
    _Atomic unsigned stale;
    _Atomic uint64_t read;
};

static struct slice key_of(const unsigned *key)
{
    return slice_of(key, sizeof *key);
}

static void *write_versions(void *arg)
{
    struct model *model = arg;
    pthread_barrier_wait(&model->start);
    uint64_t seed = 99;
    for (unsigned i = 0; i < WRITES; i++) {
        unsigned key = (unsigned)(next_random(&seed) % KEYS);
        uint64_t version = ++model->truth[key];
        cache_invalidate(model->cache, key_of(&key));
        model->acknowledged[key] = version;
        cache_sweep(model->cache, ++model->now_ms);
        while (model->read < i) /* as many reads as writes, at least */
            sched_yield();
    }
    model->done = true;
    return NULL;
}

static uint64_t value_version(struct cache_value *value)
{
    uint64_t version;
    memcpy(&version, cache_value_bytes(value).ptr, sizeof version);
    cache_value_release(value);
    return version;
}

/* Cache-aside, as an application does it. */
static uint64_t read_version(struct model *model, unsigned key)
{
    int64_t now_ms = model->now_ms;
    struct cache_value *value;
    struct cache_lease *lease;
    enum cache_result result =
        cache_get(model->cache, key_of(&key), now_ms, PATIENCE_MS, &value, &lease);
    if (result == CACHE_HIT)
        return value_version(value);
    uint64_t version = model->truth[key];
    sched_yield(); /* a slow source: writers overtake */
    if (result == CACHE_LEASE && version % 16 == 0)
        cache_lease_release(model->cache, lease);
    else if (result == CACHE_LEASE)
        cache_fill(model->cache, lease, slice_of(&version, sizeof version), now_ms, 20);
    return version;
}

static void *read_versions(void *arg)
{
    struct model *model = arg;
    uint64_t seed = (uintptr_t)&seed;
    pthread_barrier_wait(&model->start);
    while (!model->done) {
        unsigned key = (unsigned)(next_random(&seed) % KEYS);
        uint64_t acknowledged = model->acknowledged[key];
        if (read_version(model, key) < acknowledged)
            model->stale++;
        model->read++;
    }
    return NULL;
}

/* Keeps the shard evicting. */
static void *fill_strangers(void *arg)
{
    struct model *model = arg;
    pthread_barrier_wait(&model->start);
    char bytes[STRANGER_BYTES] = {0};
    struct cache_value *value;
    struct cache_lease *lease;
    for (unsigned i = 0; !model->done; i++) {
        unsigned key = KEYS + i % STRANGERS;
        if (cache_get(model->cache, key_of(&key), 0, 0, &value, &lease) == CACHE_LEASE)
            cache_fill(model->cache, lease, slice_of(bytes, sizeof bytes), 0, HOUR_MS);
        cache_value_release(value);
    }
    return NULL;
}

static void test_no_reader_sees_a_value_older_than_the_last_invalidation(void **state)
{
    struct model model = {.cache = *state};
    void *(*const runs[])(void *) = {write_versions, fill_strangers, read_versions, read_versions,
                                     read_versions};
    pthread_barrier_init(&model.start, NULL, READERS + 2);
    pthread_t threads[READERS + 2];
    for (int i = 0; i < READERS + 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, runs[i], &model), 0);
    for (int i = 0; i < READERS + 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    pthread_barrier_destroy(&model.start);

    struct cache_stats stats = stats_of(model.cache);
    assert_int_equal(model.stale, 0);
    assert_true(stats.bytes <= MIB);
    assert_int_equal(stats.fills,
                     stats.entries + stats.evictions + stats.expirations + stats.invalidations);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(test_no_reader_sees_a_value_older_than_the_last_invalidation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
