/* DESIGN. The thread looks for the timer that is due first, sleeps until then or until somebody
 * brings a time forward, and runs it without holding the lock. There are a few dozen timers, so a
 * list that is walked each time is the right heap. */
#include "base/ticker.h"

#include "base/clock.h"
#include "base/lock.h"
#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

#define NEVER INT64_MAX

struct timer {
    struct ticker *ticker;
    struct timer *next;
    timer_fn fn;
    void *arg;
    /* guarded by the ticker's lock */
    int64_t due_ns;
    bool cancelled;
};

struct ticker {
    const char *name;
    pthread_t thread;
    struct lock lock;
    struct lock_cond changed; /* for the thread: a time came forward, or the end */
    struct lock_cond ran;     /* for timer_cancel: a function has returned */
    /* guarded by lock */
    struct timer *timers;
    struct timer *running;
    bool stopping;
};

/* Saturates: what overflows is never due. */
static int64_t due_in(int64_t now_ns, int64_t ms)
{
    int64_t due;
    if (__builtin_mul_overflow(ms, INT64_C(1000000), &due) ||
        __builtin_add_overflow(now_ns, due, &due))
        return NEVER;
    return due;
}

static void bring_forward(struct timer *timer, int64_t due_ns)
{
    lock_assert_held(&timer->ticker->lock);
    if (timer->cancelled || timer->due_ns <= due_ns)
        return;
    timer->due_ns = due_ns;
    lock_cond_signal(&timer->ticker->changed);
}

static struct timer *first_due(struct ticker *ticker)
{
    lock_assert_held(&ticker->lock);
    struct timer *first = NULL;
    for (struct timer *timer = ticker->timers; timer; timer = timer->next) {
        if (!first || timer->due_ns < first->due_ns)
            first = timer;
    }
    return first && first->due_ns != NEVER ? first : NULL;
}

/* Leaves the lock while the function runs; a wake that comes meanwhile is kept. */
static void run(struct ticker *ticker, struct timer *timer, int64_t now_ns)
{
    timer->due_ns = NEVER;
    ticker->running = timer;
    lock_leave(&ticker->lock);
    int64_t again_ms = timer->fn(timer->arg, now_ns);
    lock_acquire(&ticker->lock);
    ticker->running = NULL;
    lock_cond_broadcast(&ticker->ran);
    assert(again_ms >= 0);
    if (again_ms > 0)
        bring_forward(timer, due_in(clock_mono_ns(&clock_system), again_ms));
}

static void *tick(void *arg)
{
    struct ticker *ticker = arg;
    pthread_setname_np(pthread_self(), ticker->name);
    lock_acquire(&ticker->lock);
    while (!ticker->stopping) {
        struct timer *timer = first_due(ticker);
        int64_t now_ns = clock_mono_ns(&clock_system);
        if (!timer)
            lock_cond_wait(&ticker->changed, &ticker->lock);
        else if (timer->due_ns > now_ns)
            lock_cond_wait_until(&ticker->changed, &ticker->lock, timer->due_ns);
        else
            run(ticker, timer, now_ns);
    }
    lock_leave(&ticker->lock);
    return NULL;
}

struct ticker *ticker_create(const char *name)
{
    struct ticker *ticker = mem_zalloc(sizeof *ticker);
    ticker->name = name;
    lock_init(&ticker->lock, LOCK_RANK_TICKER);
    lock_cond_init(&ticker->changed);
    lock_cond_init(&ticker->ran);
    int rc = pthread_create(&ticker->thread, NULL, tick, ticker);
    assert(rc == 0);
    return ticker;
}

void ticker_destroy(struct ticker **ticker_ptr)
{
    struct ticker *ticker = *ticker_ptr;
    if (!ticker)
        return;
    lock_acquire(&ticker->lock);
    ticker->stopping = true;
    lock_cond_signal(&ticker->changed);
    lock_leave(&ticker->lock);
    pthread_join(ticker->thread, NULL);
    while (ticker->timers) {
        struct timer *timer = ticker->timers;
        ticker->timers = timer->next;
        free(timer);
    }
    lock_cond_release(&ticker->ran);
    lock_cond_release(&ticker->changed);
    lock_release(&ticker->lock);
    free(ticker);
    *ticker_ptr = NULL;
}

struct timer *ticker_add(struct ticker *ticker, timer_fn fn, void *arg, int64_t first_ms)
{
    struct timer *timer = mem_zalloc(sizeof *timer);
    *timer = (struct timer){.ticker = ticker, .fn = fn, .arg = arg, .due_ns = NEVER};
    lock_acquire(&ticker->lock);
    timer->next = ticker->timers;
    ticker->timers = timer;
    if (first_ms > 0)
        bring_forward(timer, due_in(clock_mono_ns(&clock_system), first_ms));
    lock_leave(&ticker->lock);
    return timer;
}

void timer_wake_in(struct timer *timer, int64_t ms)
{
    int64_t due_ns = due_in(clock_mono_ns(&clock_system), ms);
    lock_acquire(&timer->ticker->lock);
    bring_forward(timer, due_ns);
    lock_leave(&timer->ticker->lock);
}

void timer_cancel(struct timer *timer)
{
    struct ticker *ticker = timer->ticker;
    assert(!pthread_equal(pthread_self(), ticker->thread));
    lock_acquire(&ticker->lock);
    timer->cancelled = true;
    timer->due_ns = NEVER;
    while (ticker->running == timer)
        lock_cond_wait(&ticker->ran, &ticker->lock);
    lock_leave(&ticker->lock);
}
