#include "base/mem.h"
#include "cache/cache_private.h"

#include <assert.h>
#include <stdlib.h>

#define CAPACITY_MIN 16

/* The low bits of the hash: the high ones have chosen the shard. */
static size_t table_home(const struct cache_table *table, uint64_t hash)
{
    return hash & (table->capacity - 1);
}

static size_t table_next(const struct cache_table *table, size_t at)
{
    return (at + 1) & (table->capacity - 1);
}

static bool value_has_key(const struct cache_value *value, struct slice key)
{
    return slice_eq(slice_of(value->data, value->key_len), key);
}

struct cache_value *cache_table_find(const struct cache_table *table, uint64_t hash,
                                     struct slice key)
{
    if (table->count == 0)
        return NULL;
    for (size_t at = table_home(table, hash);; at = table_next(table, at)) {
        const struct cache_slot *slot = &table->slots[at];
        if (!slot->value)
            return NULL;
        if (slot->hash == hash && value_has_key(slot->value, key))
            return slot->value;
    }
}

/* Three quarters: probes stay short, and there is always an empty slot to end one. */
bool cache_table_full(const struct cache_table *table)
{
    return table->count >= table->capacity / 4 * 3;
}

static void table_place(struct cache_table *table, struct cache_slot slot)
{
    size_t at = table_home(table, slot.hash);
    while (table->slots[at].value)
        at = table_next(table, at);
    table->slots[at] = slot;
}

void cache_table_insert(struct cache_table *table, struct cache_value *value)
{
    assert(!cache_table_full(table));
    table_place(table, (struct cache_slot){value->hash, value});
    table->count++;
}

/* Moves what follows up instead of leaving a tombstone, so that probes do not grow with age. */
static void table_close_gap(struct cache_table *table, size_t gap)
{
    size_t mask = table->capacity - 1;
    for (size_t at = table_next(table, gap); table->slots[at].value; at = table_next(table, at)) {
        size_t distance = (at - table_home(table, table->slots[at].hash)) & mask;
        if (distance < ((at - gap) & mask))
            continue; /* its home lies behind the gap */
        table->slots[gap] = table->slots[at];
        gap = at;
    }
    table->slots[gap] = (struct cache_slot){0, NULL};
}

void cache_table_remove(struct cache_table *table, const struct cache_value *value)
{
    size_t at = table_home(table, value->hash);
    while (table->slots[at].value != value) {
        assert(table->slots[at].value);
        at = table_next(table, at);
    }
    table_close_gap(table, at);
    table->count--;
}

size_t cache_table_next_capacity(const struct cache_table *table)
{
    return table->capacity ? table->capacity * 2 : CAPACITY_MIN;
}

void cache_table_grow(struct cache_table *table)
{
    struct cache_table old = *table;
    table->capacity = cache_table_next_capacity(&old);
    table->slots = mem_zalloc(table->capacity * sizeof *table->slots);
    for (size_t at = 0; at < old.capacity; at++)
        if (old.slots[at].value)
            table_place(table, old.slots[at]);
    free(old.slots);
}
