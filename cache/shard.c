/* DESIGN: a shard owns a share of the budget and never charges more than it.
 *
 * Charged is what the allocator gave for values, the table and the ghost. Room is made before a
 * value goes in, so the new value is already allocated but not yet visible while others leave;
 * evicted values that are still borrowed are their borrowers' memory. The table grows only if
 * the value fits beside the larger one, and it counts twice while it is copied; when it may not
 * grow, it limits the number of values as the budget limits their bytes. */
#include "cache/cache_private.h"

#include <assert.h>
#include <malloc.h>
#include <stdlib.h>

size_t cache_charge(const void *allocation)
{
    if (!allocation)
        return 0;
    return malloc_usable_size((void *)allocation) + sizeof(size_t);
}

void cache_shard_init(struct cache_shard *shard, size_t budget_bytes)
{
    lock_init(&shard->lock, LOCK_RANK_CACHE);
    shard->budget_bytes = budget_bytes;
    s3fifo_init(&shard->s3, budget_bytes / 10);
}

void cache_shard_release(struct cache_shard *shard)
{
    assert(shard->leases_out == 0 && LIST_EMPTY(&shard->leases));
    for (size_t at = 0; at < shard->table.capacity; at++) {
        struct cache_value *value = shard->table.slots[at].value;
        assert(!value || value->refs == 1);
        free(value);
    }
    free(shard->table.slots);
    s3fifo_ghost_resize(&shard->s3, 0);
    lock_release(&shard->lock);
}

void cache_shard_drop(struct cache_shard *shard, struct cache_value *value)
{
    lock_assert_held(&shard->lock);
    cache_table_remove(&shard->table, value);
    s3fifo_remove(&shard->s3, value);
    cache_wheel_remove(&shard->wheel, value);
    shard->bytes -= cache_charge(value);
    cache_value_release(value);
}

static void shard_expire(struct cache_shard *shard, struct cache_value *value)
{
    cache_shard_drop(shard, value);
    shard->stats.expirations++;
}

struct cache_value *cache_shard_find(struct cache_shard *shard, uint64_t hash, struct slice key,
                                     int64_t now_ms)
{
    lock_assert_held(&shard->lock);
    struct cache_value *value = cache_table_find(&shard->table, hash, key);
    if (!value)
        return NULL;
    if (now_ms >= value->expires_ms) {
        shard_expire(shard, value);
        return NULL;
    }
    s3fifo_touch(value);
    return value;
}

void cache_shard_sweep(struct cache_shard *shard, int64_t now_ms)
{
    lock_assert_held(&shard->lock);
    struct cache_value *value;
    while ((value = cache_wheel_due(&shard->wheel, now_ms)))
        shard_expire(shard, value);
}

/* The ghost is sized for the table and begins with the first eviction. */
static void shard_resize_ghost(struct cache_shard *shard, size_t entries)
{
    shard->bytes -= cache_charge(shard->s3.ghost);
    s3fifo_ghost_resize(&shard->s3, entries);
    shard->bytes += cache_charge(shard->s3.ghost);
}

static void shard_evict_one(struct cache_shard *shard)
{
    if (!shard->s3.ghost)
        shard_resize_ghost(shard, shard->table.capacity / 2);
    cache_shard_drop(shard, s3fifo_victim(&shard->s3));
    shard->stats.evictions++;
}

static size_t shard_index_bytes(const struct cache_shard *shard)
{
    return cache_charge(shard->table.slots) + cache_charge(shard->s3.ghost);
}

/* Grows the table, if that leaves room for another value of `size` bytes: else it is the bytes that
 * limit the number of values, and a larger table would only take from them. */
static void shard_grow_table(struct cache_shard *shard, size_t size)
{
    size_t old = cache_charge(shard->table.slots);
    size_t grown = cache_table_next_capacity(&shard->table) * sizeof(struct cache_slot);
    if (shard->bytes - old + grown + size > shard->budget_bytes)
        return;
    while (shard->bytes + grown > shard->budget_bytes)
        shard_evict_one(shard);
    cache_table_grow(&shard->table);
    shard->bytes = shard->bytes - old + cache_charge(shard->table.slots);
    shard_resize_ghost(shard, 0); /* the next eviction makes one of the right size */
}

static bool shard_has_room(const struct cache_shard *shard, size_t size)
{
    return !cache_table_full(&shard->table) && shard->bytes + size <= shard->budget_bytes;
}

static bool shard_make_room(struct cache_shard *shard, size_t size)
{
    if (cache_table_full(&shard->table))
        shard_grow_table(shard, size);
    if (shard_index_bytes(shard) + size > shard->budget_bytes)
        return false;
    while (!shard_has_room(shard, size)) {
        if (shard->table.count == 0)
            return false;
        shard_evict_one(shard);
    }
    return true;
}

bool cache_shard_insert(struct cache_shard *shard, struct cache_value *value, int64_t now_ms)
{
    lock_assert_held(&shard->lock);
    if (!shard_make_room(shard, cache_charge(value)))
        return false;
    cache_table_insert(&shard->table, value);
    s3fifo_add(&shard->s3, value);
    cache_wheel_add(&shard->wheel, value, now_ms);
    shard->bytes += cache_charge(value);
    shard->stats.fills++;
    return true;
}
