/* DESIGN. A bucket is one number, the time at which it will be full again: its "theoretical arrival
 * time" (TAT). A request moves it on by one interval (window / count); it is refused if that would
 * put it further ahead of now than `burst` intervals. A bucket whose time has passed is full and
 * its entry free. A window is the time at which it is forgotten and two counts; counts are compared
 * in units of requests times microseconds, so that nothing is rounded in favour of the client.
 *
 * The table is set-associative: the keyed hash of scope and key names the bucket,
 * chooses a shard, with its lock, and in it a set. A set full of live entries gives up the one
 * that is forgotten first: that key begins anew, so under a flood of keys the limit fails open for
 * a few of them, and memory stays bounded. */
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
    int64_t ends_ns;       /* when it is as if it had never been; of tokens the TAT */
    uint32_t now, earlier; /* of windows: what passed in this one and in the one before */
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

/* The key's bucket, or the one that is forgotten first of its set. */
static struct bucket *find(struct shard *shard, uint64_t hash)
{
    lock_assert_held(&shard->lock);
    struct bucket *set = shard->sets[hash / SHARDS % SETS];
    struct bucket *first = &set[0];
    for (unsigned i = 0; i < WAYS; i++) {
        if (set[i].hash == hash)
            return &set[i];
        if (set[i].ends_ns < first->ends_ns)
            first = &set[i];
    }
    return first;
}

/* The key's bucket as it stands now. Only who takes gets it a place in the table. */
static struct bucket present(const struct bucket *found, uint64_t hash, int64_t now_ns)
{
    bool running = found->hash == hash && found->ends_ns > now_ns;
    return running ? *found : (struct bucket){.hash = hash, .ends_ns = now_ns};
}

static uint32_t seconds_up(int64_t ns)
{
    return (uint32_t)((ns + SECOND_NS - 1) / SECOND_NS);
}

static struct rate_verdict take_token(struct bucket *bucket, const struct rate_limit *limit,
                                      int64_t now_ns)
{
    int64_t interval_ns = (limit->window_s * SECOND_NS + limit->count - 1) / limit->count;
    int64_t depth_ns = interval_ns * limit->burst;
    int64_t next_ns = bucket->ends_ns + interval_ns;
    bool allowed = next_ns - now_ns <= depth_ns;
    if (allowed)
        bucket->ends_ns = next_ns;
    int64_t used_ns = bucket->ends_ns - now_ns;
    int64_t free_ns = used_ns < depth_ns ? depth_ns - used_ns : 0; /* `now` may lag another's */
    return (struct rate_verdict){
        .allowed = allowed,
        .remaining = (uint32_t)(free_ns / interval_ns),
        .retry_after_s = allowed ? 0 : seconds_up(next_ns - now_ns - depth_ns),
        .reset_s = seconds_up(used_ns),
    };
}

/* A window that would last longer than it can is another's, from before a reload. A time may lag
 * behind another thread's. */
static bool is_new(const struct bucket *bucket, int64_t longest_ns, int64_t now_ns)
{
    return bucket->now + bucket->earlier == 0 || bucket->ends_ns - now_ns > longest_ns + SECOND_NS;
}

static struct rate_verdict take_fixed(struct bucket *bucket, const struct rate_limit *limit,
                                      int64_t now_ns)
{
    int64_t window_ns = limit->window_s * SECOND_NS;
    if (is_new(bucket, window_ns, now_ns))
        *bucket = (struct bucket){.hash = bucket->hash, .ends_ns = now_ns + window_ns};
    bool allowed = bucket->now < limit->count;
    bucket->now += allowed;
    uint32_t left_s = seconds_up(bucket->ends_ns - now_ns);
    return (struct rate_verdict){
        .allowed = allowed,
        .remaining = bucket->now < limit->count ? limit->count - bucket->now : 0,
        .retry_after_s = allowed ? 0 : left_s,
        .reset_s = left_s,
    };
}

/* How far into a window one more may pass, after `earlier` in the one before and `now` in it, which
 * is below the count. */
static int64_t room_at_us(const struct rate_limit *limit, uint32_t earlier, uint32_t now)
{
    int64_t window_us = (int64_t)limit->window_s * 1000000;
    int64_t room = limit->count - now - 1;
    return earlier <= room ? 0 : window_us - room * window_us / earlier;
}

static struct rate_verdict take_sliding(struct bucket *bucket, const struct rate_limit *limit,
                                        int64_t now_ns)
{
    int64_t window_us = (int64_t)limit->window_s * 1000000, window_ns = window_us * 1000;
    if (is_new(bucket, 2 * window_ns, now_ns))
        *bucket = (struct bucket){.hash = bucket->hash, .ends_ns = now_ns + 2 * window_ns};
    if (bucket->ends_ns - now_ns <= window_ns)
        *bucket = (struct bucket){bucket->hash, bucket->ends_ns + window_ns, 0, bucket->now};
    int64_t left_us = (bucket->ends_ns - now_ns + 999) / 1000 - window_us;
    if (left_us > window_us)
        left_us = window_us;
    int64_t room = limit->count * window_us - bucket->earlier * left_us - bucket->now * window_us;
    bool allowed = room >= window_us;
    int64_t wait_us = 0;
    if (allowed)
        bucket->now++;
    else if (bucket->now < limit->count)
        wait_us = room_at_us(limit, bucket->earlier, bucket->now) - (window_us - left_us);
    else
        wait_us = left_us + room_at_us(limit, bucket->now, 0);
    return (struct rate_verdict){
        .allowed = allowed,
        .remaining = room < window_us ? 0 : (uint32_t)(room / window_us) - 1,
        .retry_after_s = allowed ? 0 : seconds_up(wait_us * 1000),
        .reset_s = seconds_up(left_us * 1000 + (bucket->now > 0 ? window_ns : 0)),
    };
}

static struct rate_verdict take(struct bucket *bucket, const struct rate_limit *limit,
                                int64_t now_ns)
{
    switch (limit->kind) {
    case RATE_SLIDING:
        return take_sliding(bucket, limit, now_ns);
    case RATE_FIXED:
        return take_fixed(bucket, limit, now_ns);
    case RATE_TOKEN:
        break;
    }
    return take_token(bucket, limit, now_ns);
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
