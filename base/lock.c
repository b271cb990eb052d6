#include "base/lock.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <time.h>

/* The highest rank that this thread holds; its address names the thread as an owner. */
static _Thread_local enum lock_rank highest_held;

static uintptr_t self(void)
{
    return (uintptr_t)&highest_held;
}

static void must(int rc)
{
    assert(rc == 0);
}

void lock_init(struct lock *lock, enum lock_rank rank)
{
    must(pthread_mutex_init(&lock->mutex, NULL));
    lock->owner = 0;
    lock->rank = rank;
    lock->outer = 0;
}

void lock_release(struct lock *lock)
{
    assert(lock->owner == 0);
    must(pthread_mutex_destroy(&lock->mutex));
}

/* The owner is only compared with one's own address, which nobody else stores: relaxed is enough.
 */
static void take_over(struct lock *lock)
{
    atomic_store_explicit(&lock->owner, self(), memory_order_relaxed);
    lock->outer = highest_held;
    highest_held = lock->rank;
}

static void hand_over(struct lock *lock)
{
    assert(lock_held(lock) && highest_held == lock->rank);
    highest_held = lock->outer;
    atomic_store_explicit(&lock->owner, 0, memory_order_relaxed);
}

void lock_acquire(struct lock *lock)
{
    assert(lock->rank > highest_held);
    must(pthread_mutex_lock(&lock->mutex));
    take_over(lock);
}

void lock_leave(struct lock *lock)
{
    hand_over(lock);
    must(pthread_mutex_unlock(&lock->mutex));
}

bool lock_held(const struct lock *lock)
{
    return atomic_load_explicit(&lock->owner, memory_order_relaxed) == self();
}

void lock_assert_held(const struct lock *lock)
{
    assert(lock_held(lock));
}

void lock_cond_init(struct lock_cond *cond)
{
    pthread_condattr_t attr;
    must(pthread_condattr_init(&attr));
    must(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
    must(pthread_cond_init(&cond->cond, &attr));
    must(pthread_condattr_destroy(&attr));
}

void lock_cond_release(struct lock_cond *cond)
{
    must(pthread_cond_destroy(&cond->cond));
}

void lock_cond_wait(struct lock_cond *cond, struct lock *lock)
{
    hand_over(lock);
    must(pthread_cond_wait(&cond->cond, &lock->mutex));
    take_over(lock);
}

bool lock_cond_wait_until(struct lock_cond *cond, struct lock *lock, int64_t deadline_ns)
{
    struct timespec deadline = {deadline_ns / 1000000000, deadline_ns % 1000000000};
    hand_over(lock);
    int rc = pthread_cond_timedwait(&cond->cond, &lock->mutex, &deadline);
    take_over(lock);
    assert(rc == 0 || rc == ETIMEDOUT);
    return rc == 0;
}

void lock_cond_signal(struct lock_cond *cond)
{
    must(pthread_cond_signal(&cond->cond));
}

void lock_cond_broadcast(struct lock_cond *cond)
{
    must(pthread_cond_broadcast(&cond->cond));
}
