/* Start and stop: what a former process left is taken up, and threads come and go. */
#include "base/log.h"
#include "base/mem.h"
#include "queue/queue_private.h"

#include <assert.h>
#include <stdlib.h>

#define RECOVER_AT_ONCE 8 /* times ENTRIES_AT_ONCE */
#define RECOVER_TRIES   4

struct recovery {
    struct queue *queue;
    struct index_entry from, to; /* the last entry that was seen, before and after a step */
    bool begun;
    bool more, damaged; /* after a step */
};

static enum err recover_step(struct txn *txn, void *arg)
{
    struct recovery *recovery = arg;
    txn_shrinking(txn);
    struct change *change = change_begin(recovery->queue, txn);
    recovery->to = recovery->from;
    recovery->more = true;
    for (int i = 0; i < RECOVER_AT_ONCE && recovery->more; i++)
        recovery->more =
            lease_recover(change, recovery->begun || i > 0 ? &recovery->to : NULL, &recovery->to);
    change_do_due(change, due_most(recovery->queue));
    recovery->damaged = change->damaged > 0;
    change_end(change);
    return txn_error(txn);
}

/* All leases once. Damage may have hidden some until it was mended: *damaged, look again. */
static enum err recover_once(struct queue *queue, bool *damaged)
{
    struct recovery recovery = {.queue = queue};
    enum err err;
    *damaged = false;
    do {
        err = store_write(queue->queues->store, recover_step, &recovery);
        recovery.from = recovery.to;
        recovery.begun = true;
        *damaged |= recovery.damaged;
    } while (err == ERR_OK && recovery.more);
    return err;
}

/* A full disk keeps nobody from starting: there is all that was written to read. */
static enum err recover(struct queue *queue)
{
    bool damaged = true;
    enum err err = ERR_OK;
    for (int i = 0; i < RECOVER_TRIES && damaged && err == ERR_OK; i++)
        err = recover_once(queue, &damaged);
    if (err != ERR_STORE_FULL)
        return err;
    log_write(LOG_WARN, "queue",
              "The store is full: leased jobs of %s wait for their leases to end.", queue->name);
    return ERR_OK;
}

/* ---- Timers. */

static int64_t wake(void *queues, int64_t mono_ns)
{
    (void)mono_ns;
    return queues_wake(queues);
}

static int64_t keep(void *queues, int64_t mono_ns)
{
    (void)mono_ns;
    return queues_keep(queues);
}

static void start_timers(struct queues *queues)
{
    lock_acquire(&queues->lock);
    queues->timer = ticker_add(queues->ticker, wake, queues, 1);
    if (queues->maintenance)
        queues->keeper = ticker_add(queues->maintenance, keep, queues, 0);
    lock_leave(&queues->lock);
}

/* ---- Threads. */

static void queue_start(struct queue *queue)
{
    for (unsigned i = 0; i < queue->concurrency; i++) {
        struct worker *worker = &queue->workers[i];
        int rc = pthread_create(&worker->thread, NULL, worker_main, worker);
        assert(rc == 0); /* as without memory: nothing can be done but start again */
    }
}

static unsigned make_workers(struct queue *queue)
{
    queue->workers = mem_zalloc(queue->concurrency * sizeof *queue->workers);
    for (unsigned i = 0; i < queue->concurrency; i++)
        worker_init(&queue->workers[i], queue);
    return queue->concurrency;
}

enum err queues_start(struct queues *queues)
{
    assert(!queues->started);
    for (unsigned i = 0; i < queues->count; i++) {
        enum err err = recover(queues->queues[i]);
        if (err != ERR_OK)
            return err;
    }
    unsigned threads = 0;
    for (unsigned i = 0; i < queues->count; i++)
        threads += make_workers(queues->queues[i]);
    lock_acquire(&queues->lock);
    queues->started = true;
    queues->threads = threads;
    lock_leave(&queues->lock);
    start_timers(queues);
    for (unsigned i = 0; i < queues->count; i++)
        queue_start(queues->queues[i]);
    return ERR_OK;
}

static void queue_join(struct queue *queue)
{
    for (unsigned i = 0; i < queue->concurrency; i++) {
        pthread_join(queue->workers[i].thread, NULL);
        worker_release(&queue->workers[i]);
    }
    free(queue->workers);
    queue->workers = NULL;
}

bool queues_stopping(const struct queues *queues)
{
    return queues->stopping;
}

/* Tells all to end and waits. Returns how many threads are left. */
static unsigned end_workers(struct queues *queues, int64_t deadline_ns)
{
    lock_acquire(&queues->lock);
    struct timer *timer = queues->timer;
    queues->timer = NULL;
    queues->stopping = true;
    for (unsigned i = 0; i < queues->count; i++)
        lock_cond_broadcast(&queues->queues[i]->wake);
    lock_cond_broadcast(&queues->news);
    while (queues->threads > 0 && lock_cond_wait_until(&queues->news, &queues->lock, deadline_ns))
        continue;
    unsigned left = queues->threads;
    lock_leave(&queues->lock);
    if (timer)
        timer_cancel(timer);
    return left;
}

static void cancel_keeper(struct queues *queues)
{
    lock_acquire(&queues->lock);
    struct timer *keeper = queues->keeper;
    queues->keeper = NULL;
    lock_leave(&queues->lock);
    if (keeper)
        timer_cancel(keeper);
}

bool queues_stop(struct queues *queues, int64_t deadline_ms)
{
    unsigned left = end_workers(queues, clock_mono_ns(&clock_system) + deadline_ms * 1000000);
    if (left > 0) {
        log_write(LOG_WARN, "queue", "Workers that still run a job and are left behind: %u.", left);
        return false;
    }
    cancel_keeper(queues); /* the keeper looks after workers until the last has ended */
    for (unsigned i = 0; i < queues->count; i++)
        if (queues->queues[i]->workers)
            queue_join(queues->queues[i]);
    return true;
}
