/* The cache: sharded, in memory, bounded in bytes, with leases against stampedes and stale fills.
 *
 * A look-up that misses hands out a lease, to one caller at a time for each key; others wait for
 * it. Only the holder may fill, and an invalidation in between voids the lease, so that a value
 * read before a write never enters the cache after it. Values are immutable and counted: a
 * borrowed one stays readable after it was evicted.
 *
 * Eviction is S3-FIFO (Yang et al., SOSP 2023): a small queue of a tenth of the bytes, a main
 * queue, and a ghost of fingerprints. Threads: any, unless said otherwise. Time is a parameter. */
#ifndef GALLEY_CACHE_CACHE_H
#define GALLEY_CACHE_CACHE_H

#include "base/slice.h"

#define CACHE_KEY_MAX 250 /* bytes */

struct cache;
struct cache_value; /* a counted, immutable run of bytes */
struct cache_lease; /* the right to fill one key */

struct cache_options {
    size_t budget_bytes; /* of keys, values, headers and tables; at least 1 MiB */
    unsigned shards;     /* a power of two up to 256; 0: one for each 4 MiB, at least 4 */
};

struct cache *cache_create(const struct cache_options *options);
void cache_destroy(struct cache **cache); /* no value or lease may be out */

enum cache_result {
    CACHE_HIT,     /* *value is borrowed: cache_value_release it */
    CACHE_LEASE,   /* *lease is yours: cache_fill or cache_lease_release it */
    CACHE_TIMEOUT, /* another held the lease for all of wait_ms: go without the cache */
};

/* Looks up and, on a miss, gets the lease or waits up to `wait_ms` for its holder. An over-long key
 * is CACHE_TIMEOUT. now_ms: monotonic milliseconds, the same clock in all calls. */
enum cache_result cache_get(struct cache *cache, struct slice key, int64_t now_ms, unsigned wait_ms,
                            struct cache_value **value, struct cache_lease **lease);

/* The lease of a key, also of one that has a value, which filling replaces. NULL: another has it,
 * or the key is over-long. Does not wait, and is neither a hit nor a miss. */
struct cache_lease *cache_lease_take_over(struct cache *cache, struct slice key);

/* Only looks: the value or NULL, no lease, no waiting. */
struct cache_value *cache_peek(struct cache *cache, struct slice key, int64_t now_ms);

struct slice cache_value_bytes(const struct cache_value *value);
void cache_value_release(struct cache_value *value); /* NULL-safe */

/* Stores the bytes (copied) for ttl_ms, if the lease was not voided and the value fits, and wakes
 * who waits; ends the lease in any case. False if nothing was stored. */
bool cache_fill(struct cache *cache, struct cache_lease *lease, struct slice bytes, int64_t now_ms,
                int64_t ttl_ms);

/* Ends the lease without a value; the next waiter gets it. NULL-safe. */
void cache_lease_release(struct cache *cache, struct cache_lease *lease);

/* Drops the value and voids a lease that is out. After it returns no look-up sees the old value. */
void cache_invalidate(struct cache *cache, struct slice key);

/* Drops values whose time is up; cheap when nothing is due. Call it about once a second. */
void cache_sweep(struct cache *cache, int64_t now_ms);

/* Each look-up is one hit or one miss, but that of an over-long key is neither. Every value that
 * was filled has been evicted, expired or invalidated since, or is one of the entries. */
struct cache_stats {
    uint64_t hits, misses, fills, evictions, expirations;
    uint64_t invalidations; /* that found a value to drop, and values that others replaced */
    uint64_t fills_voided;  /* refused because an invalidation came first */
    uint64_t waits;         /* look-ups that waited for another's lease */
    uint64_t bytes, entries;
};

size_t cache_budget(const struct cache *cache); /* bytes */
unsigned cache_shards(const struct cache *cache);
void cache_shard_stats(struct cache *cache, unsigned shard, struct cache_stats *out);
void cache_stats(struct cache *cache, struct cache_stats *out); /* the sum */

#endif
