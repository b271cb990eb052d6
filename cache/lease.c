/* DESIGN: a lease lives while it is held or waited for.
 *
 * A live lease is in its shard's list, at most one for each key, and its key has no value then,
 * or one that is to be replaced. Filling it makes the value visible and wakes all waiters. Ending
 * it without a value leaves it in the list, unheld, and wakes one waiter, who takes it; if a
 * newcomer was faster, the waiter waits on. Voiding cuts it out of the list: the holder keeps a
 * lease that can not be filled any more, and all waiters look again, the first of them making a
 * fresh one. */
#include "base/blocking.h"
#include "base/mem.h"
#include "cache/cache_private.h"

#include <stdlib.h>

struct cache_lease *cache_lease_find(const struct cache_leases *leases, uint64_t hash,
                                     struct slice key)
{
    struct cache_lease *lease;
    LIST_FOREACH(lease, leases, link)
        if (lease->hash == hash && slice_eq(slice_of(lease->key, lease->key_len), key))
            return lease;
    return NULL;
}

struct cache_lease *cache_lease_create(struct cache_leases *leases, uint64_t hash, struct slice key)
{
    struct cache_lease *lease = mem_zalloc(sizeof *lease + key.len);
    lock_cond_init(&lease->changed);
    lease->hash = hash;
    lease->live = true;
    lease->key_len = (uint8_t)key.len;
    if (key.len > 0)
        memcpy(lease->key, key.ptr, key.len);
    LIST_INSERT_HEAD(leases, lease, link);
    return lease;
}

static void lease_free_unused(struct cache_lease *lease)
{
    if (lease->live || lease->refs > 0)
        return;
    lock_cond_release(&lease->changed);
    free(lease);
}

void cache_lease_take(struct cache_lease *lease)
{
    lease->held = true;
    lease->refs++;
}

void cache_lease_void(struct cache_lease *lease)
{
    if (!lease->live)
        return;
    lease->live = false;
    LIST_REMOVE(lease, link);
    lock_cond_broadcast(&lease->changed);
}

void cache_lease_end(struct cache_lease *lease, bool filled)
{
    lease->held = false;
    lease->refs--;
    if (lease->live && !filled && lease->refs > 0)
        lock_cond_signal(&lease->changed);
    else
        cache_lease_void(lease);
    lease_free_unused(lease);
}

/* A live lease that the last waiter comes back to is not held: the caller takes it. */
bool cache_lease_wait(struct cache_lease *lease, struct lock *lock, int64_t deadline_ns)
{
    lease->refs++;
    blocking_begin();
    bool in_time = lock_cond_wait_until(&lease->changed, lock, deadline_ns);
    blocking_end();
    lease->refs--;
    lease_free_unused(lease);
    return in_time;
}
