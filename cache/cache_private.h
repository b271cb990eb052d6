/* What the files of cache/ share. Everything here is guarded by the lock of one shard, and every
 * function wants it held, unless said otherwise. */
#ifndef GALLEY_CACHE_CACHE_PRIVATE_H
#define GALLEY_CACHE_CACHE_PRIVATE_H

#include "base/lock.h"
#include "base/slice.h"
#include "cache/cache.h"

#include <stdatomic.h>
#include <sys/queue.h>

enum cache_queue {
    CACHE_QUEUE_SMALL,
    CACHE_QUEUE_MAIN,
};

/* A value with its key in one allocation. Only freq, queue and the links change after it was
 * filled, so borrowers read the rest without a lock. */
struct cache_value {
    _Atomic uint32_t refs; /* the shard's and each borrower's; any thread */
    uint8_t freq;          /* hits since it was queued, at most S3FIFO_FREQ_MAX */
    uint8_t queue;         /* enum cache_queue */
    uint8_t key_len;
    uint64_t hash;
    int64_t expires_ms;
    size_t len;
    TAILQ_ENTRY(cache_value) queued;
    LIST_ENTRY(cache_value) timed;
    char data[]; /* the key, then the bytes */
};

TAILQ_HEAD(cache_fifo, cache_value);
LIST_HEAD(cache_timed, cache_value);
LIST_HEAD(cache_leases, cache_lease);

/* table.c: open addressing, linear probing. Zeroed is empty. */
struct cache_slot {
    uint64_t hash; /* saves the visit to a value of another key */
    struct cache_value *value;
};

struct cache_table {
    struct cache_slot *slots;
    size_t capacity; /* 0 or a power of two */
    size_t count;
};

struct cache_value *cache_table_find(const struct cache_table *table, uint64_t hash,
                                     struct slice key);
bool cache_table_full(const struct cache_table *table);
void cache_table_insert(struct cache_table *table, struct cache_value *value); /* not full */
void cache_table_remove(struct cache_table *table, const struct cache_value *value);
size_t cache_table_next_capacity(const struct cache_table *table);
void cache_table_grow(struct cache_table *table); /* to the next capacity */

/* s3fifo.c: who goes when there is no room. */
#define S3FIFO_FREQ_MAX 3

struct s3fifo {
    struct cache_fifo small;
    struct cache_fifo main;
    size_t small_bytes;
    size_t small_bytes_max; /* above it the small queue gives, else the main queue */
    uint32_t *ghost;        /* fingerprints of what the small queue gave; NULL: remembers nothing */
    size_t ghost_buckets;   /* a power of two */
};

void s3fifo_init(struct s3fifo *s3, size_t small_bytes_max);
void s3fifo_add(struct s3fifo *s3, struct cache_value *value);
void s3fifo_remove(struct s3fifo *s3, struct cache_value *value);

/* The value to evict next, still queued; at least one value must be. */
struct cache_value *s3fifo_victim(struct s3fifo *s3);

/* Lets the ghost remember about `entries` fingerprints, and forget those it had; 0 frees it. */
void s3fifo_ghost_resize(struct s3fifo *s3, size_t entries);

static inline void s3fifo_touch(struct cache_value *value)
{
    if (value->freq < S3FIFO_FREQ_MAX) /* a hot value's cache line is not written */
        value->freq++;
}

/* wheel.c: values by the second in which their time is up. Zeroed is empty. */
#define WHEEL_LEVELS 4
#define WHEEL_BITS   4
#define WHEEL_SLOTS  (1 << WHEEL_BITS)

struct cache_wheel {
    int64_t tick; /* all up to here has been handed out */
    size_t count;
    struct cache_timed slots[WHEEL_LEVELS][WHEEL_SLOTS];
};

void cache_wheel_add(struct cache_wheel *wheel, struct cache_value *value, int64_t now_ms);
void cache_wheel_remove(struct cache_wheel *wheel, struct cache_value *value);

/* A value that is due at now_ms, still in the wheel, or NULL. Remove it before asking again. */
struct cache_value *cache_wheel_due(struct cache_wheel *wheel, int64_t now_ms);

/* lease.c: the right to fill a key, and the waiting for it. */
struct cache_lease {
    LIST_ENTRY(cache_lease) link; /* in the shard's list while live */
    struct lock_cond changed;
    uint64_t hash;
    unsigned refs; /* the holder and the waiters */
    bool held;     /* else it is handed on to whom it finds first */
    bool live;     /* may be filled: neither filled nor voided yet */
    uint8_t key_len;
    char key[];
};

struct cache_lease *cache_lease_find(const struct cache_leases *leases, uint64_t hash,
                                     struct slice key);
struct cache_lease *cache_lease_create(struct cache_leases *leases, uint64_t hash,
                                       struct slice key); /* not held yet */
void cache_lease_take(struct cache_lease *lease);
void cache_lease_void(struct cache_lease *lease);
void cache_lease_end(struct cache_lease *lease, bool filled);

/* False when deadline_ns of the monotonic clock has passed. The lease may be gone after it. */
bool cache_lease_wait(struct cache_lease *lease, struct lock *lock, int64_t deadline_ns);

/* shard.c: table, queues and wheel kept in step, within the budget. */

/* Hot fields first. Shards lie side by side: the wheel's far slots keep one shard's lock off the
 * cache line of another's counters. */
struct cache_shard {
    struct lock lock;
    struct cache_table table;
    struct cache_stats stats; /* but for bytes and entries, which are below and in the table */
    size_t bytes;
    size_t budget_bytes;
    struct cache_leases leases; /* the live ones, one for each key */
    size_t leases_out;          /* with those that were voided */
    struct s3fifo s3;
    struct cache_wheel wheel;
};

void cache_shard_init(struct cache_shard *shard, size_t budget_bytes);
void cache_shard_release(struct cache_shard *shard); /* Threads: the last */

/* The live value, borrowed by nobody yet, or NULL. Drops one that has expired. */
struct cache_value *cache_shard_find(struct cache_shard *shard, uint64_t hash, struct slice key,
                                     int64_t now_ms);

/* Takes the caller's reference and returns true, or false if the value can not fit. Its key must
 * not be there. */
bool cache_shard_insert(struct cache_shard *shard, struct cache_value *value, int64_t now_ms);

void cache_shard_drop(struct cache_shard *shard, struct cache_value *value);
void cache_shard_sweep(struct cache_shard *shard, int64_t now_ms);

/* What an allocation takes from the heap, with the allocator's own header. NULL-safe. */
size_t cache_charge(const void *allocation);

#endif
