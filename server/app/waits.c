/* Calls that wait for something that another transaction does.
 *
 * DESIGN. A handler that finds what it needs taken returns with nothing written, and its call lies
 * in a list, without a thread, until somebody raises what it waits for, or a time comes: then the
 * request is resumed, and the handler runs again from its beginning. What is raised between the
 * look in the transaction and the entry into the list is seen by a count: whoever looks notes it,
 * and one that has changed since lets nobody lie down. */
#include "base/lock.h"
#include "base/mem.h"
#include "server/app/app_private.h"

#include <stdlib.h>

#define COUNTS 64 /* keys share them: one that is woken in vain looks and waits again */

struct waits {
    struct lock lock;
    const struct clock *clock;
    struct timer *timer;
    bool stopping;
    unsigned count; /* that wait */
    uint64_t raised[COUNTS];
    TAILQ_HEAD(waiting, call) waiting;
};

/* The list of those that were taken out; resumed when nothing is locked any more, as each is
 * another thread's at once. */
static void resume_all(struct waiting *taken)
{
    struct call *call;
    while ((call = TAILQ_FIRST(taken))) {
        TAILQ_REMOVE(taken, call, wait.link);
        request_resume(call->request);
    }
}

/* Takes out those of the key, or whose time has come; returns when the next one's does. */
static int64_t take(struct waits *waits, const uint64_t *key, int64_t now_ns, struct waiting *taken)
{
    int64_t next_ns = INT64_MAX;
    struct call *call, *next;
    lock_assert_held(&waits->lock);
    for (call = TAILQ_FIRST(&waits->waiting); call; call = next) {
        next = TAILQ_NEXT(call, wait.link);
        if (waits->stopping || call->wait.look_ns <= now_ns || (key && call->wait.key == *key)) {
            TAILQ_REMOVE(&waits->waiting, call, wait.link);
            waits->count--;
            TAILQ_INSERT_TAIL(taken, call, wait.link);
        } else if (call->wait.look_ns < next_ns) {
            next_ns = call->wait.look_ns;
        }
    }
    return next_ns;
}

static int64_t look(void *arg, int64_t mono_ns)
{
    struct waits *waits = arg;
    struct waiting taken = TAILQ_HEAD_INITIALIZER(taken);
    lock_acquire(&waits->lock);
    int64_t next_ns = take(waits, NULL, mono_ns, &taken);
    lock_leave(&waits->lock);
    resume_all(&taken);
    return next_ns == INT64_MAX ? 0 : (next_ns - mono_ns) / 1000000 + 1;
}

struct waits *waits_create(const struct clock *clock, struct ticker *ticker)
{
    struct waits *waits = mem_zalloc(sizeof *waits);
    lock_init(&waits->lock, LOCK_RANK_WAITS);
    TAILQ_INIT(&waits->waiting);
    waits->clock = clock;
    waits->timer = ticker_add(ticker, look, waits, 0);
    return waits;
}

void waits_destroy(struct waits **waits)
{
    if (!*waits)
        return;
    timer_cancel((*waits)->timer);
    lock_release(&(*waits)->lock);
    free(*waits);
    *waits = NULL;
}

void waits_raise(struct waits *waits, uint64_t key)
{
    struct waiting taken = TAILQ_HEAD_INITIALIZER(taken);
    lock_acquire(&waits->lock);
    waits->raised[key % COUNTS]++;
    take(waits, &key, INT64_MIN, &taken);
    lock_leave(&waits->lock);
    resume_all(&taken);
}

void waits_stop(struct waits *waits)
{
    struct waiting taken = TAILQ_HEAD_INITIALIZER(taken);
    lock_acquire(&waits->lock);
    waits->stopping = true;
    take(waits, NULL, INT64_MIN, &taken);
    lock_leave(&waits->lock);
    resume_all(&taken);
}

unsigned app_waiting(struct app *app)
{
    if (!app->waits)
        return 0;
    lock_acquire(&app->waits->lock);
    unsigned count = app->waits->count;
    lock_leave(&app->waits->lock);
    return count;
}

bool waits_add(struct waits *waits, struct call *call)
{
    lock_acquire(&waits->lock);
    bool waits_now = !waits->stopping && waits->raised[call->wait.key % COUNTS] == call->wait.seen;
    int64_t in_ns = call->wait.look_ns - clock_mono_ns(waits->clock);
    if (waits_now)
        TAILQ_INSERT_TAIL(&waits->waiting, call, wait.link);
    waits->count += waits_now;
    lock_leave(&waits->lock);
    if (waits_now) /* the call may be another thread's already */
        timer_wake_in(waits->timer, in_ns > 0 ? in_ns / 1000000 + 1 : 1);
    return waits_now;
}

bool call_may_wait(struct call *call, uint64_t key, int64_t wait_ms, int64_t look_ms)
{
    struct waits *waits = call->app->waits;
    if (!waits)
        return false;
    int64_t now_ns = clock_mono_ns(waits->clock);
    if (call->wait.until_ns == 0)
        call->wait.until_ns = now_ns + wait_ms * 1000000;
    int64_t left_ns = call->wait.until_ns - now_ns;
    lock_acquire(&waits->lock);
    call->wait.wanted = left_ns > 0 && !waits->stopping;
    call->wait.seen = waits->raised[key % COUNTS];
    lock_leave(&waits->lock);
    call->wait.key = key;
    call->wait.look_ns = now_ns + (look_ms * 1000000 < left_ns ? look_ms * 1000000 : left_ns);
    return call->wait.wanted;
}
