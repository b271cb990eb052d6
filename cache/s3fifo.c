/* DESIGN: S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023).
 *
 * New values enter the small queue, a tenth of the bytes. Most are never asked for again: they
 * fall out of its end soon, without having pushed anything useful out, and leave a fingerprint in
 * the ghost. Values that were hit twice on the way move to the main queue; so do those that come
 * back while the ghost remembers them. The main queue is a FIFO with second chances: a value that
 * was hit goes round again, one chance for each hit up to three. A hit is therefore a counter
 * and never a change of links.
 *
 * The ghost is a table of buckets, each a tiny FIFO of eight fingerprints. That a bucket may
 * forget a little before or after its neighbour does not matter to a hint. */
#include "base/mem.h"
#include "cache/cache_private.h"

#include <assert.h>
#include <stdlib.h>

#define GHOST_WAYS          8 /* 32 bytes: half a cache line */
#define FREQ_TO_BE_PROMOTED 2

static uint32_t ghost_fingerprint(uint64_t hash)
{
    uint32_t fingerprint = (uint32_t)hash;
    return fingerprint ? fingerprint : 1; /* 0 is an empty place */
}

static uint32_t *ghost_bucket(const struct s3fifo *s3, uint32_t fingerprint)
{
    return s3->ghost + (fingerprint & (s3->ghost_buckets - 1)) * GHOST_WAYS;
}

static void ghost_remember(struct s3fifo *s3, uint64_t hash)
{
    if (!s3->ghost)
        return;
    uint32_t fingerprint = ghost_fingerprint(hash);
    uint32_t *bucket = ghost_bucket(s3, fingerprint);
    memmove(bucket + 1, bucket, (GHOST_WAYS - 1) * sizeof *bucket);
    bucket[0] = fingerprint;
}

/* True if the ghost remembered it, which it then no longer does. */
static bool ghost_forget(struct s3fifo *s3, uint64_t hash)
{
    if (!s3->ghost)
        return false;
    uint32_t fingerprint = ghost_fingerprint(hash);
    uint32_t *bucket = ghost_bucket(s3, fingerprint);
    for (size_t way = 0; way < GHOST_WAYS; way++) {
        if (bucket[way] != fingerprint)
            continue;
        memmove(bucket + way, bucket + way + 1, (GHOST_WAYS - 1 - way) * sizeof *bucket);
        bucket[GHOST_WAYS - 1] = 0;
        return true;
    }
    return false;
}

void s3fifo_ghost_resize(struct s3fifo *s3, size_t entries)
{
    free(s3->ghost);
    s3->ghost = NULL;
    s3->ghost_buckets = 0;
    if (entries == 0)
        return;
    s3->ghost_buckets = 1;
    while (s3->ghost_buckets * GHOST_WAYS < entries)
        s3->ghost_buckets *= 2;
    s3->ghost = mem_zalloc(s3->ghost_buckets * GHOST_WAYS * sizeof *s3->ghost);
}

void s3fifo_init(struct s3fifo *s3, size_t small_bytes_max)
{
    *s3 = (struct s3fifo){.small_bytes_max = small_bytes_max};
    TAILQ_INIT(&s3->small);
    TAILQ_INIT(&s3->main);
}

static void s3fifo_push(struct s3fifo *s3, struct cache_value *value, enum cache_queue queue)
{
    value->queue = (uint8_t)queue;
    if (queue == CACHE_QUEUE_MAIN) {
        TAILQ_INSERT_TAIL(&s3->main, value, queued);
        return;
    }
    TAILQ_INSERT_TAIL(&s3->small, value, queued);
    s3->small_bytes += cache_charge(value);
}

void s3fifo_add(struct s3fifo *s3, struct cache_value *value)
{
    bool returns = ghost_forget(s3, value->hash);
    s3fifo_push(s3, value, returns ? CACHE_QUEUE_MAIN : CACHE_QUEUE_SMALL);
}

void s3fifo_remove(struct s3fifo *s3, struct cache_value *value)
{
    if (value->queue == CACHE_QUEUE_MAIN) {
        TAILQ_REMOVE(&s3->main, value, queued);
        return;
    }
    TAILQ_REMOVE(&s3->small, value, queued);
    s3->small_bytes -= cache_charge(value);
}

/* The small queue's victim, or NULL when all that was due to go went to the main queue. */
static struct cache_value *victim_small(struct s3fifo *s3)
{
    struct cache_value *value;
    while ((value = TAILQ_FIRST(&s3->small)) && value->freq >= FREQ_TO_BE_PROMOTED) {
        s3fifo_remove(s3, value);
        value->freq = 0;
        s3fifo_push(s3, value, CACHE_QUEUE_MAIN);
        if (s3->small_bytes < s3->small_bytes_max)
            return NULL;
    }
    if (value)
        ghost_remember(s3, value->hash);
    return value;
}

/* Ends because each round takes a chance from every value. */
static struct cache_value *victim_main(struct s3fifo *s3)
{
    struct cache_value *value;
    while ((value = TAILQ_FIRST(&s3->main))->freq > 0) {
        TAILQ_REMOVE(&s3->main, value, queued);
        value->freq--;
        TAILQ_INSERT_TAIL(&s3->main, value, queued);
    }
    return value;
}

struct cache_value *s3fifo_victim(struct s3fifo *s3)
{
    struct cache_value *value = NULL;
    if (s3->small_bytes >= s3->small_bytes_max || TAILQ_EMPTY(&s3->main))
        value = victim_small(s3);
    if (value)
        return value;
    assert(!TAILQ_EMPTY(&s3->main));
    return victim_main(s3);
}
