/* DESIGN. Workers, and how connections that are ready (lines.c) come to them.
 *
 * Hundreds of workers may wait (for a commit, for a client), but few run at once, as many as there
 * are processors: more would only take them from each other, and each wake-up costs more than a
 * short request. A worker that is about to wait says so (base/blocking.h) and another runs in its
 * place; one that ends a request takes the next itself. The rule is that of Windows' completion
 * ports. Sleepers are woken last come, first served, so that few stacks and caches are in use. A
 * handler that waits without saying so is noticed by the hub, when the queue does not move.
 *
 * Of those that have nothing to do one waits in the poller instead (poll.c) and brings in what
 * becomes ready there. It comes out with it unless enough others run, or when it is called. Nobody
 * takes its place for the moment that a request takes; while longer ones run the hub sends another.
 *
 * Some workers are reserved: they take a connection only when all others are busy, read its head,
 * and serve it only if it is critical; what is not goes to a list for the others. So health and
 * administration are answered while every other worker is stuck; and so are those whose answer
 * stands already, as it came later: to send it takes nobody long. */
#include "server/front/front_private.h"

#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <unistd.h>

#define LOOKS_MAX 512 /* at the poller in a row */

void ready_init(struct front *front)
{
    struct run_queue *queue = &front->queue;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    queue->running_max = processors > 1 ? (unsigned)processors : 2;
    queue->most = front->options.workers - front->reserved_workers;
    lock_init(&queue->lock, LOCK_RANK_FRONT_QUEUE);
    lock_cond_init(&queue->left);
    lines_init(queue);
}

void ready_release(struct front *front)
{
    lock_cond_release(&front->queue.left);
    lock_release(&front->queue.lock);
}

/* ---- Workers */

static void sleep_on(struct worker *worker)
{
    while (sem_wait(&worker->turn) != 0)
        assert(errno == EINTR);
}

static bool wake(struct worker **idle)
{
    struct worker *worker = *idle;
    if (!worker)
        return false;
    *idle = worker->next_idle;
    sem_post(&worker->turn);
    return true;
}

/* The one in the poller does as well as one that sleeps. */
static bool call_watcher(struct front *front)
{
    struct run_queue *queue = &front->queue;
    lock_assert_held(&queue->lock);
    if (!queue->watcher || queue->watcher_called)
        return false;
    queue->watcher_called = true;
    poll_wake(&front->poller);
    return true;
}

/* All are busy, and no more can be had. */
static bool is_exhausted(const struct run_queue *queue)
{
    return !queue->idle && !queue->watcher &&
           (queue->started >= queue->most || queue->start_failed);
}

/* Has one more run. False: there is none. *start: it has to be started, alone, by the caller. */
static bool call_one(struct front *front, bool *start)
{
    struct run_queue *queue = &front->queue;
    bool woken = wake(&queue->idle) || call_watcher(front);
    *start = !woken && queue->started < queue->most && !queue->starting;
    queue->starting = queue->starting || *start;
    queue->running += woken || *start;
    return woken || *start;
}

/* Has somebody run who can: true if a worker has to be started, alone, by the caller. `force`: even
 * if as many run as may. */
static bool rouse(struct front *front, bool force)
{
    struct run_queue *queue = &front->queue;
    bool start;
    lock_assert_held(&queue->lock);
    if (queue->waiting == 0 || queue->closed)
        return false;
    if (queue->running >= queue->running_max && !force)
        return false;
    if (!call_one(front, &start) && is_exhausted(queue))
        wake(&queue->idle_reserved);
    return start;
}

static void start_worker(struct front *front)
{
    struct run_queue *queue = &front->queue;
    bool started = transport_start_worker(front);
    lock_acquire(&queue->lock);
    bool first = !started && !queue->start_failed;
    queue->starting = false;
    queue->start_failed = !started;
    queue->started += started;
    queue->running -= !started;
    if (!started)
        wake(&queue->idle_reserved);
    if (queue->closed)
        lock_cond_broadcast(&queue->left);
    lock_leave(&queue->lock);
    if (first)
        log_write(LOG_WARN, "front", "no more threads to be had: going on with %u workers",
                  queue->started);
}

bool ready_begin(struct front *front)
{
    struct run_queue *queue = &front->queue;
    lock_acquire(&queue->lock);
    queue->starting = true;
    queue->running++;
    lock_leave(&queue->lock);
    start_worker(front);
    return queue->started > 0;
}

/* True: the caller has to start a worker, when it has left the lock. */
static bool call_for(struct front *front, bool force)
{
    bool start = rouse(front, force);
    if (ready_is_crowded(front))
        hub_attend(front->hub);
    return start;
}

/* Leaves the lock. */
static void rouse_and_leave(struct front *front, bool force)
{
    bool start = call_for(front, force);
    lock_leave(&front->queue.lock);
    if (start)
        start_worker(front);
}

void ready_leave_lock(struct front *front)
{
    rouse_and_leave(front, false);
}

/* ---- Waiting in a handler */

static void on_blocking(struct blocking_hook *hook)
{
    struct front *front = ((struct worker *)hook)->front;
    struct run_queue *queue = &front->queue;
    atomic_fetch_sub(&queue->running, 1);
    if (atomic_load(&queue->waiting) == 0 && ready_is_watched(front))
        return;
    lock_acquire(&queue->lock);
    if (queue->waiting == 0 && !queue->watcher && wake(&queue->idle))
        queue->running++; /* to watch meanwhile */
    rouse_and_leave(front, false);
}

static void on_unblocked(struct blocking_hook *hook)
{
    atomic_fetch_add(&((struct worker *)hook)->front->queue.running, 1);
}

void ready_join(struct worker *worker)
{
    worker->hook = (struct blocking_hook){on_blocking, on_unblocked};
    sem_init(&worker->turn, 0, 0);
    if (!worker->reserved)
        blocking_set_hook(&worker->hook);
}

/* ---- In and out */

static void put_resumed(struct run_queue *queue, struct connection *c)
{
    c->resumes = false;
    lines_put(queue, LINE_RESUMED, c->peer, c);
    if (atomic_fetch_sub(&queue->awaited, 1) == 1 && queue->closed)
        lock_cond_broadcast(&queue->left);
}

/* Empties the list. */
static void put_all(struct run_queue *queue, struct connections *list, int64_t now_ns)
{
    struct connection *c;
    lock_assert_held(&queue->lock);
    while ((c = TAILQ_FIRST(list))) {
        TAILQ_REMOVE(list, c, in_queue);
        c->queued_ns = now_ns;
        if (c->resumes) {
            put_resumed(queue, c);
            continue;
        }
        connection_enter(c, PHASE_QUEUED, now_ns);
        lines_put(queue, LINE_READY, c->peer, c);
    }
}

static void push_all(struct front *front, struct connections *list)
{
    if (TAILQ_EMPTY(list))
        return;
    int64_t now_ns = front_now_ns(front);
    lock_acquire(&front->queue.lock);
    put_all(&front->queue, list, now_ns);
    rouse_and_leave(front, false);
}

void ready_push(struct connection *c)
{
    struct connections one = TAILQ_HEAD_INITIALIZER(one);
    TAILQ_INSERT_TAIL(&one, c, in_queue);
    push_all(c->front, &one);
}

void ready_push_classified(struct connection *c)
{
    struct front *front = c->front;
    connection_enter(c, PHASE_QUEUED, front_now_ns(front));
    lock_acquire(&front->queue.lock);
    lines_put_classified(&front->queue, LINE_CLASSIFIED, c->peer, c);
    rouse_and_leave(front, false);
}

void ready_push_resumed(struct connection *c)
{
    struct front *front = c->front;
    struct run_queue *queue = &front->queue;
    c->queued_ns = front_now_ns(front);
    lock_acquire(&queue->lock);
    lines_put(queue, LINE_RESUMED, c->peer, c);
    if (call_for(front, false)) {
        lock_leave(&queue->lock);
        start_worker(front);
        lock_acquire(&queue->lock);
    }
    if (atomic_fetch_sub(&queue->awaited, 1) == 1 && queue->closed)
        lock_cond_broadcast(&queue->left);
    lock_leave(&queue->lock);
}

void ready_wait_for_awaited(struct front *front)
{
    struct run_queue *queue = &front->queue;
    await_take_all(front); /* nobody looks at the poller any more */
    lock_acquire(&queue->lock);
    while (queue->awaited > 0)
        lock_cond_wait(&queue->left, &queue->lock);
    lock_leave(&queue->lock);
}

/* Mostly a line is empty, and no call is worth it. */
static struct connection *take(struct run_queue *queue, enum line line)
{
    return TAILQ_EMPTY(&queue->turns[line]) ? NULL : lines_take(queue, line);
}

static struct connection *take_for(struct run_queue *queue, const struct worker *worker)
{
    if (worker->reserved && !is_exhausted(queue))
        return NULL;
    struct connection *c = take(queue, LINE_RESUMED);
    if (!c && !worker->reserved)
        c = take(queue, LINE_CLASSIFIED);
    if (!c)
        c = take(queue, LINE_READY);
    return c || worker->reserved ? c : take(queue, LINE_LOW);
}

/* While enough run it brings in only, and they take what waits when they are done. */
static bool stays(const struct run_queue *queue)
{
    return !queue->closed && !queue->watcher_called &&
           (queue->waiting == 0 || queue->running >= queue->running_max);
}

static void watch(struct run_queue *queue, struct worker *worker)
{
    struct front *front = worker->front;
    struct connections found = TAILQ_HEAD_INITIALIZER(found);
    lock_assert_held(&queue->lock);
    queue->watcher = worker;
    queue->running--;
    do {
        lock_leave(&queue->lock);
        if (ready_is_crowded(front))
            hub_attend(front->hub);
        poll_requests(front, -1, &found);
        int64_t now_ns = front_now_ns(front);
        lock_acquire(&queue->lock);
        put_all(queue, &found, now_ns);
    } while (stays(queue));
    if (!queue->watcher_called) /* else who called has counted */
        queue->running++;
    queue->watcher_called = false;
    queue->watcher = NULL;
    hub_attend(front->hub);
}

static void sleep_idle(struct run_queue *queue, struct worker *worker)
{
    lock_assert_held(&queue->lock);
    struct worker **idle = worker->reserved ? &queue->idle_reserved : &queue->idle;
    worker->next_idle = *idle;
    *idle = worker;
    if (!worker->reserved)
        queue->running--;
    lock_leave(&queue->lock);
    sleep_on(worker);
    lock_acquire(&queue->lock);
}

static void lie_down(struct run_queue *queue, struct worker *worker)
{
    if (worker->reserved || queue->watcher)
        sleep_idle(queue, worker);
    else
        watch(queue, worker);
}

/* Who takes one has another roused if more wait than run. */
struct connection *ready_take(struct worker *worker)
{
    struct run_queue *queue = &worker->front->queue;
    struct connection *c = NULL;
    lock_acquire(&queue->lock);
    while (!queue->closed && !(c = take_for(queue, worker)))
        lie_down(queue, worker);
    rouse_and_leave(worker->front, false);
    return c;
}

bool ready_is_watched(struct front *front)
{
    return atomic_load(&front->queue.watcher);
}

/* Those that serve take long: another watches meanwhile, however many run. */
static void post_watcher(struct front *front)
{
    struct run_queue *queue = &front->queue;
    bool start = false;
    lock_acquire(&queue->lock);
    bool begun = queue->started > 0 && !queue->closed;
    if (begun && !queue->watcher && queue->waiting == 0 && !is_exhausted(queue))
        call_one(front, &start);
    lock_leave(&queue->lock);
    if (start)
        start_worker(front);
}

bool ready_look(struct front *front)
{
    struct connections found = TAILQ_HEAD_INITIALIZER(found);
    uint64_t taken = front->queue.taken;
    if (ready_is_watched(front))
        return true;
    for (unsigned i = 0; i < LOOKS_MAX && poll_requests(front, 0, &found); i++)
        push_all(front, &found);
    if (taken == front->queue.looked_at)
        post_watcher(front);
    front->queue.looked_at = taken;
    return false;
}

void ready_rouse(struct front *front)
{
    lock_acquire(&front->queue.lock);
    rouse_and_leave(front, true);
}

bool ready_is_crowded(struct front *front)
{
    return front->queue.waiting + front->queue.held_back > 0;
}

void ready_close(struct front *front)
{
    struct run_queue *queue = &front->queue;
    lock_acquire(&queue->lock);
    queue->closed = true;
    while (wake(&queue->idle) || wake(&queue->idle_reserved)) {
    }
    poll_wake(&front->poller);
    while (queue->starting)
        lock_cond_wait(&queue->left, &queue->lock);
    lock_leave(&queue->lock);
}
