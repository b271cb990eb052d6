/* The keeper: a timer of the maintenance thread that looks after batches with a slow job.
 *
 * DESIGN. A worker runs a batch's jobs one after the other. When one of them takes long, those
 * before it, which are done, would wait to be acknowledged, and those behind it to run, until all
 * leases are over and each runs again. So the keeper takes both ends of the batch away, under the
 * worker's lock, and writes for the worker: outcomes of the former, the latter are given back, and
 * the lease of the job between them begins anew; half a lease later again. While it writes the
 * worker begins no other job and reports nothing; should the write fail, the ends are the worker's
 * again. */
#include "queue/queue_private.h"

#include "base/log.h"

struct upkeep {
    struct worker *worker;
    const struct batch *batch;
    unsigned reported, running,
        end; /* before; [reported, running) is done, what is behind not begun */
};

static enum err upkeep_write(struct txn *txn, void *arg)
{
    const struct upkeep *upkeep = arg;
    struct queue *queue = upkeep->worker->queue;
    txn_shrinking(txn);
    struct change *change = change_begin(queue, txn);
    batch_end_leases(upkeep->batch, change, upkeep->reported, upkeep->running);
    batch_end_leases(upkeep->batch, change, upkeep->running + 1, upkeep->end);
    lease_renew(change, &upkeep->batch->jobs[upkeep->running].lease, queue->lease_ms);
    change_end(change);
    return txn_error(txn);
}

/* When this worker needs the keeper, on the monotonic clock. */
static int64_t needed_ns(const struct worker *worker)
{
    if (!worker->busy || worker->running->begun == 0)
        return INT64_MAX;
    const struct batch *batch = worker->running;
    bool alone = batch->reported + 1 == batch->begun && batch->begun == batch->end;
    int64_t slow_ns = worker->job_began_ns + worker_slow_ns(worker->queue);
    return alone || slow_ns > worker->renew_ns ? worker->renew_ns : slow_ns;
}

/* True if there is something to do; then the worker is kept. */
static bool begin(struct worker *worker, int64_t now_ns, struct upkeep *upkeep)
{
    lock_acquire(&worker->lock);
    bool needed = needed_ns(worker) <= now_ns;
    if (needed) {
        struct batch *batch = worker->running;
        *upkeep = (struct upkeep){worker, batch, batch->reported, batch->begun - 1, batch->end};
        batch->reported = upkeep->running;
        batch->end = batch->begun;
        worker->kept = true;
    }
    lock_leave(&worker->lock);
    return needed;
}

static void finish(struct upkeep *upkeep, int64_t now_ns, enum err err)
{
    struct worker *worker = upkeep->worker;
    struct batch *batch = worker->running;
    int64_t half_ns = worker->queue->lease_ms * 1000000 / 2;
    lock_acquire(&worker->lock);
    if (err != ERR_OK) {
        batch->reported = upkeep->reported;
        batch->end = upkeep->end;
    }
    worker->job_began_ns = now_ns;
    worker->renew_ns = now_ns + (err == ERR_OK ? half_ns : half_ns / 4);
    worker->kept = false;
    lock_cond_signal(&worker->unkept);
    lock_leave(&worker->lock);
}

static void keep(struct worker *worker)
{
    struct queues *queues = worker->queue->queues;
    struct upkeep upkeep;
    int64_t now_ns = clock_mono_ns(queues->clock);
    if (!begin(worker, now_ns, &upkeep))
        return;
    batch_sync(queues, worker->running, upkeep.reported, upkeep.running);
    enum err err = store_write(queues->store, upkeep_write, &upkeep);
    if (err != ERR_OK)
        log_write(LOG_ERROR, "queue", "The lease of a slow job of %s cannot be renewed. %s",
                  worker->queue->name, err_text(err));
    finish(&upkeep, now_ns, err);
}

/* When the worker has run one job for so long that nobody shall wait for it; INT64_MAX: it runs
 * none. */
static int64_t late_ns(struct worker *worker)
{
    int64_t limit_ns = worker_late_ns(worker->queue);
    lock_acquire(&worker->lock);
    bool runs = worker->busy && worker->running->begun > 0;
    int64_t at_ns = runs ? worker->job_began_ns + limit_ns : INT64_MAX;
    lock_leave(&worker->lock);
    return at_ns;
}

/* Others, whom a quick queue has let sleep, take over what is ready. */
static void tell_late(struct worker *worker)
{
    struct queue *queue = worker->queue;
    int64_t limit_ns = worker_late_ns(queue);
    if (late_ns(worker) > clock_mono_ns(queue->queues->clock))
        return;
    struct lock *lock = &queue->queues->lock;
    lock_acquire(lock);
    if (queue->batch_ns < limit_ns) {
        queue->batch_ns = limit_ns;
        queue_wake_for_ready(queue);
    }
    lock_leave(lock);
}

static int64_t next_ns(struct worker *worker)
{
    int64_t at_ns = late_ns(worker);
    lock_acquire(&worker->lock);
    int64_t needed_at_ns = needed_ns(worker);
    lock_leave(&worker->lock);
    bool told = at_ns <= clock_mono_ns(worker->queue->queues->clock);
    return told || needed_at_ns < at_ns ? needed_at_ns : at_ns;
}

int64_t queues_keep(struct queues *queues)
{
    int64_t first_ns = INT64_MAX;
    for (unsigned i = 0; i < queues->count; i++) {
        struct queue *queue = queues->queues[i];
        for (unsigned w = 0; queue->workers && w < queue->concurrency; w++) {
            tell_late(&queue->workers[w]);
            keep(&queue->workers[w]);
            int64_t at_ns = next_ns(&queue->workers[w]);
            first_ns = at_ns < first_ns ? at_ns : first_ns;
        }
    }
    if (first_ns == INT64_MAX)
        return 0;
    int64_t in_ms = (first_ns - clock_mono_ns(queues->clock)) / 1000000;
    return in_ms > 0 ? in_ms + 1 : 1;
}
