/* Connections to one server that nobody uses at the moment: bounded in number and time. The last
 * one that was put in is taken first, so that what is not needed grows old. */
#ifndef GALLEY_SERVER_UPSTREAM_POOL_H
#define GALLEY_SERVER_UPSTREAM_POOL_H

#include "base/lock.h"
#include "server/upstream/channel.h"

#include <stdatomic.h>

LIST_HEAD(channels, channel);

struct pool {
    struct lock lock;
    struct channels channels; /* guarded by the lock, the last put in first */
    atomic_uint count;        /* written under the lock */
};

void pool_init(struct pool *pool);
void pool_release(struct pool *pool);

/* One that can be used, or NULL: of that generation, idle for no longer than idle_ns. Threads: any.
 */
struct channel *pool_take(struct pool *pool, unsigned generation, int64_t idle_ns, int64_t now_ns);

/* Takes the channel over, and closes it if there are `most` already. Sets NULL. Threads: any. */
void pool_put(struct pool *pool, struct channel **channel, unsigned most, int64_t now_ns);

/* Closes those that have been idle too long. Threads: any. */
void pool_sweep(struct pool *pool, int64_t idle_ns, int64_t now_ns);

#endif
