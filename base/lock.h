/* Mutexes and conditions that know their owner and their place in the lock order.
 *
 * Every lock has a rank (docs/locks.md); a thread may only take a lock of a higher rank than all
 * those it holds. The check costs a thread-local load and stays on in release: a wrong order is a
 * bug that otherwise shows once a year. Threads: any, unless said otherwise. */
#ifndef GALLEY_BASE_LOCK_H
#define GALLEY_BASE_LOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* The whole lock order, outermost first. Change docs/locks.md in the same commit. */
enum lock_rank {
    LOCK_RANK_RELOAD = 1,
    LOCK_RANK_ADMIN,
    LOCK_RANK_SCRUB,
    LOCK_RANK_IDEMPOTENCY,
    LOCK_RANK_WAITS,
    LOCK_RANK_PLANS,
    LOCK_RANK_QUEUE,
    LOCK_RANK_QUEUE_BATCH,
    LOCK_RANK_MAIL_SYNC,
    LOCK_RANK_MAIL,
    LOCK_RANK_STORE_WRITER,
    LOCK_RANK_STORE_READERS,
    LOCK_RANK_STORE_DAMAGE,
    LOCK_RANK_CACHE,
    LOCK_RANK_FRONT,
    LOCK_RANK_FRONT_QUEUE,
    LOCK_RANK_DISCOVERY,
    LOCK_RANK_UPSTREAM,
    LOCK_RANK_POOL,
    LOCK_RANK_TLS_FILES,
    LOCK_RANK_TLS,
    LOCK_RANK_JWT,
    LOCK_RANK_BARS,
    LOCK_RANK_TURNS,
    LOCK_RANK_RATE,
    LOCK_RANK_BALANCE,
    LOCK_RANK_SAMPLING,
    LOCK_RANK_TICKER,
    LOCK_RANK_LOG, /* innermost: anything may log */
};

struct lock {
    pthread_mutex_t mutex;
    _Atomic(uintptr_t) owner; /* 0, or what identifies the holding thread */
    enum lock_rank rank;
    enum lock_rank outer; /* the holder's highest rank before this lock; guarded by the lock */
};

/* For locks in static storage. */
#define LOCK_INIT(rank)                                                                            \
    {                                                                                              \
        PTHREAD_MUTEX_INITIALIZER, 0, rank, 0                                                      \
    }

void lock_init(struct lock *lock, enum lock_rank rank);
void lock_release(struct lock *lock); /* destroys it; not held by anyone */

void lock_acquire(struct lock *lock);
void lock_leave(struct lock *lock);      /* locks are left in the reverse order of taking */
bool lock_held(const struct lock *lock); /* by the calling thread */
void lock_assert_held(const struct lock *lock);

/* A condition to wait for under a lock; deadlines are on the monotonic clock. */
struct lock_cond {
    pthread_cond_t cond;
};

void lock_cond_init(struct lock_cond *cond);
void lock_cond_release(struct lock_cond *cond);

/* Threads: holds lock. Wakes may be spurious: loop over what is waited for. */
void lock_cond_wait(struct lock_cond *cond, struct lock *lock);

/* False when `deadline_ns` of clock_system.mono_ns has passed. Threads: holds lock. */
bool lock_cond_wait_until(struct lock_cond *cond, struct lock *lock, int64_t deadline_ns);

void lock_cond_signal(struct lock_cond *cond);
void lock_cond_broadcast(struct lock_cond *cond);

#endif
