/* The worker threads: lease a batch, run it, report its outcomes and lease the next, all in one
 * transaction (a turn), and sleep when there is nothing to do. */
#include "base/log.h"
#include "base/mem.h"
#include "queue/queue_private.h"

#include <stdio.h>

#define PAUSE_NS 1000000000LL /* after a transaction that failed */
#define SLOW_NS  1000000000LL
#define LATE_NS  100000000LL
#define QUICK_NS 30000000LL

int64_t worker_slow_ns(const struct queue *queue)
{
    int64_t half_ns = queue->lease_ms * 1000000 / 2;
    return half_ns < SLOW_NS ? half_ns : SLOW_NS;
}

int64_t worker_late_ns(const struct queue *queue)
{
    int64_t slow_ns = worker_slow_ns(queue);
    return slow_ns < LATE_NS ? slow_ns : LATE_NS;
}

void worker_init(struct worker *worker, struct queue *queue)
{
    *worker = (struct worker){
        .queue = queue,
        .running = &worker->batches[0],
        .next = &worker->batches[1],
        .due_max = due_most(queue),
    };
    for (int i = 0; i < 2; i++)
        batch_init(&worker->batches[i], queue->batch);
    lock_init(&worker->lock, LOCK_RANK_QUEUE_BATCH);
    lock_cond_init(&worker->unkept);
}

void worker_release(struct worker *worker)
{
    for (int i = 0; i < 2; i++)
        batch_release(&worker->batches[i]);
    lock_cond_release(&worker->unkept);
    lock_release(&worker->lock);
}

/* ---- Running. */

static void set_busy(struct worker *worker, bool busy)
{
    struct queues *queues = worker->queue->queues;
    lock_acquire(&queues->lock);
    worker->queue->busy += busy ? 1u : -1u;
    lock_leave(&queues->lock);
    lock_acquire(&worker->lock);
    worker->busy = busy;
    worker->job_began_ns = clock_mono_ns(queues->clock);
    if (busy)
        worker->renew_ns = worker->job_began_ns + worker->queue->lease_ms * 1000000 / 2;
    lock_leave(&worker->lock);
    if (busy && queues->keeper)
        timer_wake_in(queues->keeper, worker_late_ns(worker->queue) / 1000000);
}

/* The next job of the batch to run, NULL when there is none. What has not begun when the time is
 * over, or when stopping, is given back: slow jobs shall not keep others from a free worker. */
static struct leased_job *next_job(struct worker *worker, int64_t until_ns)
{
    const struct queues *queues = worker->queue->queues;
    struct batch *batch = worker->running;
    int64_t now_ns = clock_mono_ns(queues->clock);
    lock_acquire(&worker->lock);
    while (worker->kept)
        lock_cond_wait(&worker->unkept, &worker->lock);
    bool more =
        batch->begun < batch->end && !queues->stopping && (batch->begun == 0 || now_ns < until_ns);
    struct leased_job *job = more ? &batch->jobs[batch->begun++] : NULL;
    worker->job_began_ns = now_ns;
    worker->busy = more;
    lock_leave(&worker->lock);
    return job;
}

static void run_batch(struct worker *worker)
{
    struct queues *queues = worker->queue->queues;
    struct batch *batch = worker->running;
    int64_t begin_ns = clock_mono_ns(queues->clock);
    int64_t until_ns = begin_ns + worker_slow_ns(worker->queue);
    set_busy(worker, true);
    struct leased_job *job;
    while ((job = next_job(worker, until_ns)))
        leased_job_run(queues, job);
    batch_sync(queues, batch, batch->reported, batch->begun);
    set_busy(worker, false);
    queue_note_batch(worker->queue, clock_mono_ns(queues->clock) - begin_ns);
}

/* ---- Turns. */

/* Batches are over before it is worth while to wake another worker for what waits. */
static bool is_quick(const struct queue *queue)
{
    lock_assert_held(&queue->queues->lock);
    return queue->queues->keeper && queue->batch_ns <= QUICK_NS;
}

/* What one worker takes of `ready` jobs: so much that the others get theirs, unless all are done
 * sooner than that matters. */
static unsigned share(const struct queue *queue, uint64_t ready)
{
    lock_acquire(&queue->queues->lock);
    unsigned workers = is_quick(queue) ? 1 : queue->concurrency;
    lock_leave(&queue->queues->lock);
    uint64_t fair = (ready + workers - 1) / workers;
    return fair < queue->batch ? (unsigned)fair : queue->batch;
}

static enum err turn(struct txn *txn, void *arg)
{
    struct worker *worker = arg;
    struct queue *queue = worker->queue;
    const struct batch *batch = worker->running;
    txn_shrinking(txn);
    struct change *change = change_begin(queue, txn);
    batch_clear(worker->next);
    batch_end_leases(batch, change, batch->reported, batch->end);
    if (!worker->outcomes_only)
        change_do_due(change, worker->due_max);
    worker->no_room = !txn_may_grow(txn); /* a lease is a record more: not from the reserve */
    struct lease_terms terms = {.max = share(queue, change->counts.jobs[JOB_READY]),
                                .lease_ms = queue->lease_ms,
                                .each = batch_add,
                                .arg = worker->next};
    if (!worker->outcomes_only && !queue->queues->stopping && !worker->no_room)
        lease_take(change, &terms);
    worker->more_due = change->due_ms <= change->now_ms;
    worker->met_damage = change->damaged > 0;
    change_end(change);
    return txn_error(txn);
}

static bool has_work(const struct queue *queue)
{
    return queue->counts.jobs[JOB_READY] > 0 || queue->due_ms <= queues_now_ms(queue->queues);
}

/* Until there is work. False when stopping. */
static bool wait_for_work(struct queue *queue)
{
    struct queues *queues = queue->queues;
    lock_acquire(&queues->lock);
    while (!queues->stopping && !has_work(queue)) {
        queue->idle++;
        while (!queues->stopping && queue->woken == 0)
            lock_cond_wait(&queue->wake, &queues->lock);
        queue->idle--;
        if (queue->woken > 0)
            queue->woken--;
    }
    bool go_on = !queues->stopping;
    lock_leave(&queues->lock);
    return go_on;
}

/* Until then, on the machine's monotonic clock. False when stopping. */
static bool pause_until(struct queues *queues, int64_t until_ns)
{
    lock_acquire(&queues->lock);
    while (!queues->stopping && lock_cond_wait_until(&queues->news, &queues->lock, until_ns))
        continue;
    bool go_on = !queues->stopping;
    lock_leave(&queues->lock);
    return go_on;
}

static int64_t pause_end_ns(void)
{
    return clock_mono_ns(&clock_system) + PAUSE_NS;
}

/* After a turn that failed: for a while, or for ever if the store takes no more writes. */
static bool pause_after(struct queue *queue, enum err err)
{
    bool for_ever = err == ERR_READ_ONLY || err == ERR_DRAINING;
    queue_note_batch(queue, PAUSE_NS);
    log_write(LOG_ERROR, "queue", "A worker of %s cannot lease or acknowledge jobs. %s",
              queue->name, err_text(err));
    return pause_until(queue->queues, for_ever ? INT64_MAX : pause_end_ns());
}

static bool pause_for_damage(struct queue *queue)
{
    queue_note_batch(queue, PAUSE_NS);
    return pause_until(queue->queues, pause_end_ns());
}

/* What follows from a turn that failed. False when stopping. */
static bool turn_failed(struct worker *worker, enum err err)
{
    bool too_much = err == ERR_STORE_FULL || err == ERR_TXN_TOO_LARGE;
    if (too_much && worker->due_max > 1) {
        worker->due_max /= 2; /* fewer pages to copy at once */
        return true;
    }
    worker->outcomes_only = true;
    return pause_after(worker->queue, err);
}

/* What it has leased, in whichever batch; what has been reported is not leased any more. */
static bool has_lease(struct worker *worker, const struct id *job, uint64_t token)
{
    bool found = false;
    lock_acquire(&worker->lock);
    for (int b = 0; b < 2; b++) {
        const struct batch *batch = &worker->batches[b];
        for (unsigned i = 0; i < batch->count && !found; i++)
            found = batch->jobs[i].lease.token == token &&
                    id_compare(&batch->jobs[i].lease.job, job) == 0;
    }
    lock_leave(&worker->lock);
    return found;
}

bool queue_works_on(const struct queue *queue, const struct id *job, uint64_t token)
{
    bool found = false;
    for (unsigned i = 0; queue->workers && i < queue->concurrency && !found; i++)
        found = has_lease(&queue->workers[i], job, token);
    return found;
}

static void turn_done(struct worker *worker)
{
    struct batch *leased = worker->next;
    lock_acquire(&worker->lock);
    batch_clear(worker->running);
    batch_seal(leased, worker->queue);
    worker->next = worker->running;
    worker->running = leased;
    lock_leave(&worker->lock);
    worker->outcomes_only = false;
    unsigned most = due_most(worker->queue);
    worker->due_max = worker->due_max < most / 2 ? worker->due_max * 2 : most;
}

static void work(struct worker *worker)
{
    struct queue *queue = worker->queue;
    bool go_on = true;
    while (go_on && (worker->running->count > 0 || wait_for_work(queue))) {
        /* What is enqueued with the same commit is leased by it. */
        enum err err = store_write_last(queue->queues->store, turn, worker);
        if (err != ERR_OK) {
            go_on = turn_failed(worker, err);
            continue;
        }
        turn_done(worker);
        if (worker->running->count > 0)
            run_batch(worker);
        else if (worker->no_room && !worker->more_due)
            go_on = pause_after(queue, ERR_STORE_FULL);
        else if (worker->met_damage) /* whatever it is, it shall not take all of a processor */
            go_on = pause_for_damage(queue);
    }
}

void *worker_main(void *arg)
{
    struct worker *worker = arg;
    struct queues *queues = worker->queue->queues;
    char name[16];
    snprintf(name, sizeof name, "q:%.13s", worker->queue->name);
    pthread_setname_np(pthread_self(), name);
    work(worker);
    lock_acquire(&queues->lock);
    queues->threads--;
    lock_cond_broadcast(&queues->news);
    lock_leave(&queues->lock);
    return NULL;
}

/* ---- Waking. */

void queue_wake(struct queue *queue, uint64_t workers)
{
    lock_assert_held(&queue->queues->lock);
    uint64_t useful = workers < queue->idle ? workers : queue->idle;
    for (; queue->woken < useful; queue->woken++)
        lock_cond_signal(&queue->wake);
}

/* Who is awake comes by for more: of a quick queue soon, so that others are woken only for what is
 * more than their batches. */
void queue_wake_for_ready(struct queue *queue)
{
    uint64_t wanted = queue->counts.jobs[JOB_READY];
    if (is_quick(queue)) {
        uint64_t batches = (wanted + queue->batch - 1) / queue->batch;
        uint64_t awake = queue->concurrency - queue->idle;
        wanted = batches > awake ? batches - awake : 0;
    }
    queue_wake(queue, wanted);
}

/* Slowness is believed at once, and forgotten over some batches. */
void queue_note_batch(struct queue *queue, int64_t took_ns)
{
    lock_acquire(&queue->queues->lock);
    int64_t late_ns = queue->batch_ns == BATCH_UNKNOWN ? 0 : queue->batch_ns / 8 * 7;
    queue->batch_ns = took_ns > late_ns ? took_ns : late_ns;
    lock_leave(&queue->queues->lock);
}

int64_t queues_wake(struct queues *queues)
{
    int64_t now_ms = queues_now_ms(queues);
    lock_acquire(&queues->lock);
    queues->timer_ms = NEVER_MS;
    for (unsigned i = 0; i < queues->count; i++) {
        struct queue *queue = queues->queues[i];
        if (queue->due_ms <= now_ms)
            queue_wake(queue, 1);
        else if (queue->due_ms < queues->timer_ms)
            queues->timer_ms = queue->due_ms;
    }
    int64_t in_ms = queues->timer_ms == NEVER_MS ? 0 : queues->timer_ms - now_ms;
    lock_leave(&queues->lock);
    return in_ms;
}
