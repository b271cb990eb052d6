/* DESIGN. A bucket is one number, the time at which it will be full again: its "theoretical arrival
 * time" (TAT). A request moves it on by one interval (window / count); it is refused if that would
 * put it further ahead of now than `burst` intervals. A bucket whose time has passed is full and
 * its entry free. The table is set-associative: the keyed hash of scope and key names the bucket,
 * chooses a shard, with its lock, and in it a set. A set full of live buckets gives up the one
 * nearest to full: that key begins anew, so under a flood of keys the limit fails open for a few
 * of them, and memory stays bounded. */
#include "base/rate_limit.h"

#include "base/hash.h"
#include "base/lock.h"
#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

#define SHARDS    64
#define SETS      256
#define WAYS      8
#define SECOND_NS INT64_C(1000000000)

struct bucket {
    uint64_t hash;
    int64_t full_at_ns; /* the TAT */
};

struct shard {
    struct lock lock;
    struct bucket sets[SETS][WAYS]; /* guarded by lock */
};

struct rate_table {
    struct shard shards[SHARDS];
};

struct rate_table *rate_table_create(void)
{
    struct rate_table *table = mem_zalloc(sizeof *table);
    for (unsigned i = 0; i < SHARDS; i++)
        lock_init(&table->shards[i].lock, LOCK_RANK_RATE);
    return table;
}

void rate_table_destroy(struct rate_table **table)
{
    if (!*table)
        return;
    for (unsigned i = 0; i < SHARDS; i++)
        lock_release(&(*table)->shards[i].lock);
    free(*table);
    *table = NULL;
}

/* The key's bucket, or the one nearest to full of its set. */
static struct bucket *find(struct shard *shard, uint64_t hash)
{
    lock_assert_held(&shard->lock);
    struct bucket *set = shard->sets[hash / SHARDS % SETS];
    struct bucket *fullest = &set[0];
    for (unsigned i = 0; i < WAYS; i++) {
        if (set[i].hash == hash)
            return &set[i];
        if (set[i].full_at_ns < fullest->full_at_ns)
            fullest = &set[i];
    }
    return fullest;
}

/* The key's bucket as it stands now. Only who takes gets it a place in the table. */
static struct bucket present(const struct bucket *found, uint64_t hash, int64_t now_ns)
{
    bool running = found->hash == hash && found->full_at_ns > now_ns;
    return (struct bucket){hash, running ? found->full_at_ns : now_ns};
}

static uint32_t seconds_up(int64_t ns)
{
    return (uint32_t)((ns + SECOND_NS - 1) / SECOND_NS);
}

static struct rate_verdict take(struct bucket *bucket, const struct rate_limit *limit,
                                int64_t now_ns)
{
    int64_t interval_ns = (limit->window_s * SECOND_NS + limit->count - 1) / limit->count;
    int64_t depth_ns = interval_ns * limit->burst;
    int64_t next_ns = bucket->full_at_ns + interval_ns;
    bool allowed = next_ns - now_ns <= depth_ns;
    if (allowed)
        bucket->full_at_ns = next_ns;
    int64_t used_ns = bucket->full_at_ns - now_ns;
    int64_t free_ns = used_ns < depth_ns ? depth_ns - used_ns : 0; /* `now` may lag another's */
    return (struct rate_verdict){
        .allowed = allowed,
        .remaining = (uint32_t)(free_ns / interval_ns),
        .retry_after_s = allowed ? 0 : seconds_up(next_ns - now_ns - depth_ns),
        .reset_s = seconds_up(used_ns),
    };
}

static struct rate_verdict ask(struct rate_table *table, const struct rate_limit *limit,
                               uint64_t scope, struct slice key, int64_t now_ns, bool keep)
{
    assert(limit->count > 0 && limit->window_s > 0 && limit->burst > 0);
    /* The multiplier spreads the scopes over all bits; key and scope stay unpredictable together.
     */
    uint64_t hash = hash_keyed(key) ^ (scope + 1) * UINT64_C(0x9e3779b97f4a7c15);
    struct shard *shard = &table->shards[hash % SHARDS];
    lock_acquire(&shard->lock);
    struct bucket *found = find(shard, hash);
    struct bucket bucket = present(found, hash, now_ns);
    struct rate_verdict verdict = take(&bucket, limit, now_ns);
    if (keep)
        *found = bucket;
    lock_leave(&shard->lock);
    return verdict;
}

struct rate_verdict rate_table_take(struct rate_table *table, const struct rate_limit *limit,
                                    uint64_t scope, struct slice key, int64_t mono_ns)
{
    return ask(table, limit, scope, key, mono_ns, true);
}

struct rate_verdict rate_table_look(struct rate_table *table, const struct rate_limit *limit,
                                    uint64_t scope, struct slice key, int64_t mono_ns)
{
    return ask(table, limit, scope, key, mono_ns, false);
}
