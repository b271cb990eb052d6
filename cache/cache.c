/* DESIGN: the public functions find the shard by the high bits of a keyed hash, hold its lock for
 * as long as they look, and never hold two. Allocating and copying a value happens outside of the
 * lock; freeing one is its last owner's. */
#include "cache/cache.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "cache/cache_private.h"

#include <assert.h>
#include <stdlib.h>

#define SHARDS_MIN       4
#define SHARDS_MAX       256
#define SHARD_BYTES      ((size_t)4 << 20) /* a value may take all of a shard, so not too small */
#define BUDGET_BYTES_MIN ((size_t)1 << 20)

struct cache {
    unsigned shard_count;
    struct cache_shard shards[];
};

/* A power of two, one for each SHARD_BYTES. */
static unsigned shards_for(size_t budget_bytes)
{
    unsigned count = SHARDS_MIN;
    while (count < SHARDS_MAX && 2 * count * SHARD_BYTES <= budget_bytes)
        count *= 2;
    return count;
}

struct cache *cache_create(const struct cache_options *options)
{
    unsigned count = options->shards ? options->shards : shards_for(options->budget_bytes);
    assert(count <= SHARDS_MAX && (count & (count - 1)) == 0);
    assert(options->budget_bytes >= BUDGET_BYTES_MIN);
    struct cache *cache = mem_zalloc(sizeof *cache + count * sizeof cache->shards[0]);
    cache->shard_count = count;
    for (unsigned i = 0; i < count; i++)
        cache_shard_init(&cache->shards[i], options->budget_bytes / count);
    return cache;
}

void cache_destroy(struct cache **cache)
{
    if (!*cache)
        return;
    for (unsigned i = 0; i < (*cache)->shard_count; i++)
        cache_shard_release(&(*cache)->shards[i]);
    free(*cache);
    *cache = NULL;
}

static struct cache_shard *shard_of(struct cache *cache, uint64_t hash)
{
    return &cache->shards[(hash >> 32) * cache->shard_count >> 32];
}

/* Counts a look-up's outcome, and the reference that goes out with a value. */
static void shard_answer(struct cache_shard *shard, struct cache_value *value)
{
    if (!value) {
        shard->stats.misses++;
        return;
    }
    shard->stats.hits++;
    atomic_fetch_add_explicit(&value->refs, 1, memory_order_relaxed);
}

/* What a look-up that found no value works with. */
struct miss {
    struct cache_shard *shard;
    uint64_t hash;
    struct slice key;
    int64_t now_ms;
    unsigned wait_ms;
};

/* Takes the key's lease if nobody holds it, else NULL and who does in *held. */
static struct cache_lease *miss_take_lease(const struct miss *miss, struct cache_lease **held)
{
    struct cache_leases *leases = &miss->shard->leases;
    struct cache_lease *lease = cache_lease_find(leases, miss->hash, miss->key);
    *held = lease;
    if (lease && lease->held)
        return NULL;
    if (!lease)
        lease = cache_lease_create(leases, miss->hash, miss->key);
    cache_lease_take(lease);
    miss->shard->leases_out++;
    return lease;
}

/* After its time is up a waiter looks once more: what it waited for may have come with it. */
static enum cache_result miss_resolve(const struct miss *miss, struct cache_value **value,
                                      struct cache_lease **lease)
{
    bool in_time = miss->wait_ms > 0;
    struct cache_lease *held;
    int64_t deadline_ns = 0;
    while (!(*lease = miss_take_lease(miss, &held))) {
        if (!in_time)
            return CACHE_TIMEOUT;
        if (deadline_ns == 0) {
            deadline_ns = clock_mono_ns(&clock_system) + (int64_t)miss->wait_ms * 1000000;
            miss->shard->stats.waits++;
        }
        in_time = cache_lease_wait(held, &miss->shard->lock, deadline_ns);
        *value = cache_shard_find(miss->shard, miss->hash, miss->key, miss->now_ms);
        if (*value)
            return CACHE_HIT;
    }
    return CACHE_LEASE;
}

enum cache_result cache_get(struct cache *cache, struct slice key, int64_t now_ms, unsigned wait_ms,
                            struct cache_value **value, struct cache_lease **lease)
{
    *value = NULL;
    *lease = NULL;
    if (key.len > CACHE_KEY_MAX)
        return CACHE_TIMEOUT;
    uint64_t hash = hash_keyed(key);
    struct cache_shard *shard = shard_of(cache, hash);

    lock_acquire(&shard->lock);
    *value = cache_shard_find(shard, hash, key, now_ms);
    enum cache_result result = CACHE_HIT;
    if (!*value)
        result = miss_resolve(&(struct miss){shard, hash, key, now_ms, wait_ms}, value, lease);
    shard_answer(shard, *value);
    lock_leave(&shard->lock);
    return result;
}

struct cache_lease *cache_lease_take_over(struct cache *cache, struct slice key)
{
    if (key.len > CACHE_KEY_MAX)
        return NULL;
    uint64_t hash = hash_keyed(key);
    struct cache_shard *shard = shard_of(cache, hash);
    struct miss miss = {.shard = shard, .hash = hash, .key = key};
    struct cache_lease *held;

    lock_acquire(&shard->lock);
    struct cache_lease *lease = miss_take_lease(&miss, &held);
    lock_leave(&shard->lock);
    return lease;
}

struct cache_value *cache_peek(struct cache *cache, struct slice key, int64_t now_ms)
{
    if (key.len > CACHE_KEY_MAX)
        return NULL;
    uint64_t hash = hash_keyed(key);
    struct cache_shard *shard = shard_of(cache, hash);

    lock_acquire(&shard->lock);
    struct cache_value *value = cache_shard_find(shard, hash, key, now_ms);
    shard_answer(shard, value);
    lock_leave(&shard->lock);
    return value;
}

struct slice cache_value_bytes(const struct cache_value *value)
{
    return slice_of(value->data + value->key_len, value->len);
}

void cache_value_release(struct cache_value *value)
{
    if (value && atomic_fetch_sub_explicit(&value->refs, 1, memory_order_acq_rel) == 1)
        free(value);
}

static struct cache_value *value_create(const struct cache_lease *lease, struct slice bytes,
                                        int64_t expires_ms)
{
    struct cache_value *value = mem_alloc(sizeof *value + lease->key_len + bytes.len);
    *value = (struct cache_value){
        .refs = 1,
        .key_len = lease->key_len,
        .hash = lease->hash,
        .expires_ms = expires_ms,
        .len = bytes.len,
    };
    memcpy(value->data, lease->key, lease->key_len);
    if (bytes.len > 0)
        memcpy(value->data + lease->key_len, bytes.ptr, bytes.len);
    return value;
}

/* Of who fills: what was there goes. */
static void shard_replace(struct cache_shard *shard, const struct cache_lease *lease)
{
    struct cache_value *before =
        cache_table_find(&shard->table, lease->hash, slice_of(lease->key, lease->key_len));
    if (!before)
        return;
    cache_shard_drop(shard, before);
    shard->stats.invalidations++;
}

bool cache_fill(struct cache *cache, struct cache_lease *lease, struct slice bytes, int64_t now_ms,
                int64_t ttl_ms)
{
    struct cache_shard *shard = shard_of(cache, lease->hash);
    struct cache_value *value = NULL;
    if (ttl_ms > 0 && bytes.len <= shard->budget_bytes) {
        bool for_ever = ttl_ms > INT64_MAX - now_ms;
        value = value_create(lease, bytes, for_ever ? INT64_MAX : now_ms + ttl_ms);
    }

    lock_acquire(&shard->lock);
    if (!lease->live)
        shard->stats.fills_voided++;
    if (value && lease->live)
        shard_replace(shard, lease);
    bool filled = value && lease->live && cache_shard_insert(shard, value, now_ms);
    cache_lease_end(lease, filled);
    shard->leases_out--;
    lock_leave(&shard->lock);

    if (!filled)
        cache_value_release(value);
    return filled;
}

void cache_lease_release(struct cache *cache, struct cache_lease *lease)
{
    if (!lease)
        return;
    struct cache_shard *shard = shard_of(cache, lease->hash);

    lock_acquire(&shard->lock);
    cache_lease_end(lease, false);
    shard->leases_out--;
    lock_leave(&shard->lock);
}

/* A lease that is being handed on stays: its next holder has not begun to read. */
void cache_invalidate(struct cache *cache, struct slice key)
{
    if (key.len > CACHE_KEY_MAX)
        return;
    uint64_t hash = hash_keyed(key);
    struct cache_shard *shard = shard_of(cache, hash);

    lock_acquire(&shard->lock);
    struct cache_value *value = cache_table_find(&shard->table, hash, key);
    struct cache_lease *lease = cache_lease_find(&shard->leases, hash, key);
    if (value) {
        cache_shard_drop(shard, value);
        shard->stats.invalidations++;
    }
    if (lease && lease->held)
        cache_lease_void(lease);
    lock_leave(&shard->lock);
}

void cache_sweep(struct cache *cache, int64_t now_ms)
{
    for (unsigned i = 0; i < cache->shard_count; i++) {
        struct cache_shard *shard = &cache->shards[i];
        lock_acquire(&shard->lock);
        cache_shard_sweep(shard, now_ms);
        lock_leave(&shard->lock);
    }
}

size_t cache_budget(const struct cache *cache)
{
    return cache->shard_count * cache->shards[0].budget_bytes;
}

unsigned cache_shards(const struct cache *cache)
{
    return cache->shard_count;
}

void cache_shard_stats(struct cache *cache, unsigned shard, struct cache_stats *out)
{
    assert(shard < cache->shard_count);
    struct cache_shard *from = &cache->shards[shard];

    lock_acquire(&from->lock);
    *out = from->stats;
    out->bytes = from->bytes;
    out->entries = from->table.count;
    lock_leave(&from->lock);
}

void cache_stats(struct cache *cache, struct cache_stats *out)
{
    *out = (struct cache_stats){0};
    for (unsigned i = 0; i < cache->shard_count; i++) {
        struct cache_stats one;
        cache_shard_stats(cache, i, &one);
        out->hits += one.hits;
        out->misses += one.misses;
        out->fills += one.fills;
        out->evictions += one.evictions;
        out->expirations += one.expirations;
        out->invalidations += one.invalidations;
        out->fills_voided += one.fills_voided;
        out->waits += one.waits;
        out->bytes += one.bytes;
        out->entries += one.entries;
    }
}
