/* DESIGN. Connections that are ready wait here for a worker. Each peer has a list of its own and
 * the peers take turns, so that a thousand connections of one address delay another's by one
 * request each, not by a thousand.
 *
 * Hundreds of workers may wait (for a commit, for a client), but few run at once, twice as many as
 * there are processors: more would only take them from each other, and each wake-up costs more than
 * a short request. A worker that is about to wait says so (base/blocking.h) and another runs in its
 * place; one that ends a request takes the next itself. The rule is that of Windows' completion
 * ports. Sleepers are woken last come, first served, so that few stacks and caches are in use. A
 * handler that waits without saying so is noticed by the hub, when the queue does not move.
 *
 * Some workers are reserved: they take a connection only when all others are busy, read its head,
 * and serve it only if it is critical; what is not goes to a list for the others. So health and
 * administration are answered while every other worker is stuck. */
#include "server/front/front_private.h"

#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <unistd.h>

#define RUNNING_MIN 4

void ready_init(struct front *front)
{
    struct run_queue *queue = &front->queue;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    queue->running_max = processors > RUNNING_MIN / 2 ? 2 * (unsigned)processors : RUNNING_MIN;
    queue->most = front->options.workers - front->reserved_workers;
    lock_init(&queue->lock, LOCK_RANK_FRONT_QUEUE);
    TAILQ_INIT(&queue->turns);
    TAILQ_INIT(&queue->holding);
    TAILQ_INIT(&queue->classified);
}

void ready_release(struct front *front)
{
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

/* All are busy, and no more can be had. */
static bool is_exhausted(const struct run_queue *queue)
{
    return !queue->idle && (queue->started >= queue->most || queue->start_failed);
}

/* Has somebody run who can: true if a worker has to be started, alone, by the caller. `force`: even
 * if as many run as may. */
static bool rouse(struct run_queue *queue, bool force)
{
    lock_assert_held(&queue->lock);
    if (queue->waiting == 0 || queue->closed)
        return false;
    if (queue->running >= queue->running_max && !force)
        return false;
    if (wake(&queue->idle)) {
        queue->running++;
        return false;
    }
    if (queue->started < queue->most && !queue->starting) {
        queue->starting = true;
        queue->running++;
        return true;
    }
    if (is_exhausted(queue))
        wake(&queue->idle_reserved);
    return false;
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
    lock_leave(&queue->lock);
    if (first)
        log_write(LOG_WARN, "front", "no more threads to be had: going on with %u workers",
                  queue->started);
}

/* Leaves the lock. */
static void rouse_and_leave(struct front *front, bool force)
{
    bool start = rouse(&front->queue, force);
    lock_leave(&front->queue.lock);
    if (start)
        start_worker(front);
}

/* ---- Waiting in a handler */

static void on_blocking(struct blocking_hook *hook)
{
    struct front *front = ((struct worker *)hook)->front;
    struct run_queue *queue = &front->queue;
    atomic_fetch_sub(&queue->running, 1);
    if (atomic_load(&queue->waiting) == 0)
        return;
    lock_acquire(&queue->lock);
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

static void put_ready(struct run_queue *queue, struct connection *c)
{
    lock_assert_held(&queue->lock);
    struct peer *peer = c->peer;
    c->worker = NULL;
    if (TAILQ_EMPTY(&peer->ready))
        TAILQ_INSERT_TAIL(&queue->turns, peer, turn);
    TAILQ_INSERT_TAIL(&peer->ready, c, in_queue);
    queue->waiting++;
}

static struct connection *take_ready_of(struct run_queue *queue, struct peer *peer)
{
    lock_assert_held(&queue->lock);
    struct connection *c = TAILQ_FIRST(&peer->ready);
    TAILQ_REMOVE(&peer->ready, c, in_queue);
    if (TAILQ_EMPTY(&peer->ready))
        TAILQ_REMOVE(&queue->turns, peer, turn);
    queue->waiting--;
    return c;
}

/* Of the peer whose turn it is, which then is the last. */
static struct connection *take_ready(struct run_queue *queue)
{
    struct peer *peer = TAILQ_FIRST(&queue->turns);
    if (!peer)
        return NULL;
    struct connection *c = take_ready_of(queue, peer);
    if (!TAILQ_EMPTY(&peer->ready)) {
        TAILQ_REMOVE(&queue->turns, peer, turn);
        TAILQ_INSERT_TAIL(&queue->turns, peer, turn);
    }
    return c;
}

static struct connection *take_classified(struct run_queue *queue)
{
    struct connection *c = TAILQ_FIRST(&queue->classified);
    if (!c)
        return NULL;
    TAILQ_REMOVE(&queue->classified, c, in_queue);
    queue->waiting--;
    return c;
}

void ready_push(struct connection *c)
{
    struct connections one = TAILQ_HEAD_INITIALIZER(one);
    TAILQ_INSERT_TAIL(&one, c, in_queue);
    ready_push_all(c->front, &one);
}

void ready_push_all(struct front *front, struct connections *list)
{
    struct run_queue *queue = &front->queue;
    struct connection *c;
    int64_t now_ns = front_now_ns(front);
    lock_acquire(&queue->lock);
    while ((c = TAILQ_FIRST(list))) {
        TAILQ_REMOVE(list, c, in_queue);
        c->queued_ns = now_ns;
        connection_enter(c, PHASE_QUEUED, now_ns);
        put_ready(queue, c);
    }
    rouse_and_leave(front, false);
}

void ready_push_classified(struct connection *c)
{
    struct front *front = c->front;
    struct run_queue *queue = &front->queue;
    connection_enter(c, PHASE_QUEUED, front_now_ns(front));
    lock_acquire(&queue->lock);
    c->worker = NULL;
    TAILQ_INSERT_TAIL(&queue->classified, c, in_queue);
    queue->waiting++;
    rouse_and_leave(front, false);
}

static struct connection *take_for(struct run_queue *queue, const struct worker *worker)
{
    if (worker->reserved)
        return is_exhausted(queue) ? take_ready(queue) : NULL;
    struct connection *c = take_classified(queue);
    return c ? c : take_ready(queue);
}

static void lie_down(struct run_queue *queue, struct worker *worker)
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

void ready_rouse(struct front *front)
{
    lock_acquire(&front->queue.lock);
    rouse_and_leave(front, true);
}

bool ready_is_crowded(struct front *front)
{
    return front->queue.waiting + front->queue.held > 0;
}

void ready_close(struct front *front)
{
    struct run_queue *queue = &front->queue;
    lock_acquire(&queue->lock);
    queue->closed = true;
    while (wake(&queue->idle) || wake(&queue->idle_reserved)) {
    }
    lock_leave(&queue->lock);
}

/* ---- Handlers of one peer */

/* Whose request it is. */
static struct peer *client_of(const struct connection *c)
{
    return c->service && c->service->client ? c->service->client : c->peer;
}

static void hold_back(struct run_queue *queue, struct connection *c)
{
    lock_assert_held(&queue->lock);
    struct peer *peer = client_of(c);
    connection_enter(c, PHASE_QUEUED, front_now_ns(c->front));
    c->worker = NULL;
    if (TAILQ_EMPTY(&peer->over))
        TAILQ_INSERT_TAIL(&queue->holding, peer, held);
    TAILQ_INSERT_TAIL(&peer->over, c, in_queue);
    queue->held++;
}

static struct connection *let_go(struct run_queue *queue, struct peer *peer)
{
    lock_assert_held(&queue->lock);
    struct connection *c = TAILQ_FIRST(&peer->over);
    if (!c)
        return NULL;
    TAILQ_REMOVE(&peer->over, c, in_queue);
    if (TAILQ_EMPTY(&peer->over))
        TAILQ_REMOVE(&queue->holding, peer, held);
    atomic_fetch_sub(&peer->held_back, 1);
    queue->held--;
    return c;
}

/* Counts first and looks again after saying that it waits, as who leaves looks for those who wait
 * after counting itself out: neither can miss the other. */
bool ready_enter_handler(struct connection *c)
{
    struct front *front = c->front;
    struct peer *peer = client_of(c);
    unsigned most = front->options.requests_per_address;
    if (atomic_fetch_add(&peer->running, 1) < most)
        return true;
    lock_acquire(&front->queue.lock);
    atomic_fetch_add(&peer->held_back, 1);
    bool room = atomic_fetch_sub(&peer->running, 1) <= most;
    if (room) {
        atomic_fetch_add(&peer->running, 1);
        atomic_fetch_sub(&peer->held_back, 1);
    } else {
        hold_back(&front->queue, c);
    }
    lock_leave(&front->queue.lock);
    return room;
}

void ready_leave_handler(struct connection *c)
{
    struct front *front = c->front;
    struct peer *peer = client_of(c);
    atomic_fetch_sub(&peer->running, 1);
    if (atomic_load(&peer->held_back) == 0)
        return;
    lock_acquire(&front->queue.lock);
    struct connection *next = let_go(&front->queue, peer);
    if (next)
        put_ready(&front->queue, next);
    rouse_and_leave(front, false);
}

/* ---- Who has waited too long */

static bool is_overdue(const struct connection *c, int64_t since_ns)
{
    return c && c->queued_ns < since_ns;
}

static int64_t earlier(int64_t first_ns, const struct connection *c)
{
    return c && c->queued_ns < first_ns ? c->queued_ns : first_ns;
}

/* Lists are in the order of coming, but for those that came back: they are found a little later. */
int64_t ready_take_overdue(struct front *front, int64_t since_ns, struct connections *out)
{
    struct run_queue *queue = &front->queue;
    struct peer *peer, *next;
    int64_t first_ns = INT64_MAX;
    lock_acquire(&queue->lock);
    while (is_overdue(TAILQ_FIRST(&queue->classified), since_ns))
        TAILQ_INSERT_TAIL(out, take_classified(queue), in_queue);
    for (peer = TAILQ_FIRST(&queue->turns); peer; peer = next) {
        next = TAILQ_NEXT(peer, turn);
        while (is_overdue(TAILQ_FIRST(&peer->ready), since_ns))
            TAILQ_INSERT_TAIL(out, take_ready_of(queue, peer), in_queue);
        first_ns = earlier(first_ns, TAILQ_FIRST(&peer->ready));
    }
    for (peer = TAILQ_FIRST(&queue->holding); peer; peer = next) {
        next = TAILQ_NEXT(peer, held);
        while (is_overdue(TAILQ_FIRST(&peer->over), since_ns))
            TAILQ_INSERT_TAIL(out, let_go(queue, peer), in_queue);
    }
    first_ns = earlier(first_ns, TAILQ_FIRST(&queue->classified));
    lock_leave(&queue->lock);
    return first_ns;
}
