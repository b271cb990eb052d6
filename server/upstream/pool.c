#include "server/upstream/pool.h"

#define IN_KEPT 16384 /* of its buffers, while it is idle */

void pool_init(struct pool *pool)
{
    pool->count = 0;
    LIST_INIT(&pool->channels);
    lock_init(&pool->lock, LOCK_RANK_POOL);
}

static void close_all(struct channels *channels)
{
    struct channel *channel;
    while ((channel = LIST_FIRST(channels))) {
        LIST_REMOVE(channel, link);
        channel_close(&channel);
    }
}

void pool_release(struct pool *pool)
{
    close_all(&pool->channels);
    lock_release(&pool->lock);
}

static struct channel *take_first(struct pool *pool)
{
    lock_acquire(&pool->lock);
    struct channel *channel = LIST_FIRST(&pool->channels);
    if (channel) {
        LIST_REMOVE(channel, link);
        pool->count--;
    }
    lock_leave(&pool->lock);
    return channel;
}

struct channel *pool_take(struct pool *pool, unsigned generation, int64_t idle_ns, int64_t now_ns)
{
    struct channel *channel;
    if (atomic_load_explicit(&pool->count, memory_order_relaxed) == 0)
        return NULL;
    while ((channel = take_first(pool))) {
        bool good = channel->generation == generation &&
                    now_ns - channel->idle_since_ns < idle_ns && channel_is_clean(channel);
        if (good)
            return channel;
        channel_close(&channel);
    }
    return NULL;
}

void pool_put(struct pool *pool, struct channel **channel, unsigned most, int64_t now_ns)
{
    struct channel *given = *channel;
    *channel = NULL;
    buf_clear(&given->in);
    buf_shrink(&given->in, IN_KEPT);
    buf_clear(&given->out);
    buf_shrink(&given->out, IN_KEPT);
    given->idle_since_ns = now_ns;
    lock_acquire(&pool->lock);
    bool room = pool->count < most;
    if (room) {
        LIST_INSERT_HEAD(&pool->channels, given, link);
        pool->count++;
    }
    lock_leave(&pool->lock);
    if (!room)
        channel_close(&given);
}

void pool_sweep(struct pool *pool, int64_t idle_ns, int64_t now_ns)
{
    struct channels old = LIST_HEAD_INITIALIZER(old);
    struct channel *channel, *next;
    lock_acquire(&pool->lock);
    for (channel = LIST_FIRST(&pool->channels); channel; channel = next) {
        next = LIST_NEXT(channel, link);
        if (now_ns - channel->idle_since_ns < idle_ns)
            continue;
        LIST_REMOVE(channel, link);
        LIST_INSERT_HEAD(&old, channel, link);
        pool->count--;
    }
    lock_leave(&pool->lock);
    close_all(&old);
}
