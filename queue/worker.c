/* The threads: workers, and what wakes them.
 *
 * DESIGN. A worker's turn is one transaction that settles the batch it has run and leases the next.
 * Then it runs the jobs, makes their effects durable once (sync), and takes the next turn. With
 * nothing to settle or to lease it rests until a commit or the timer wakes it. The store may run a
 * turn again, so it only reads the batch that was run and begins the next one afresh. */
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "queue/queue_private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define PAUSE_NS   1000000000LL /* after a transaction that failed */
#define TICK_MS    60000        /* between looks at the wall clock, which may have been set */
#define RUN_MS     1000         /* after which the rest of a batch is given back */
#define BATCH_KEEP (256u << 10) /* bytes of payload memory that an idle batch may hold */

struct leased {
    struct job_lease lease;
    struct job job; /* its type and payload lie in the batch's bytes */
    size_t bytes_at, payload_len;
    const struct job_handler *handler; /* that ran it; NULL if none did */
    enum outcome outcome;
    char *why; /* of a failed one; owned */
};

struct job_batch {
    struct leased *jobs; /* room for queue->batch */
    unsigned count;
    struct buf bytes;
};

struct worker {
    struct queue *queue;
    pthread_t thread;
    struct job_batch batches[2];
    struct job_batch *run;      /* the one to settle */
    struct job_batch *next;     /* the one to lease into */
    unsigned due_max;           /* jobs that may move by themselves in a turn */
    bool more_due;              /* after the last turn */
    bool no_room;               /* for leases, in the last turn */
    bool settle_only;           /* the last turn failed: the leasing may have been the cause */
    struct damage found_damage; /* by the last turn */
    struct damage known_damage; /* to end in the next turn */
};

/* ---- Batches. */

static void batch_clear(struct job_batch *batch)
{
    for (unsigned i = 0; i < batch->count; i++)
        free(batch->jobs[i].why);
    batch->count = 0;
    buf_shrink(&batch->bytes, BATCH_KEEP);
}

/* A job_lease_fn. */
static void batch_add(const struct job *job, const struct job_lease *lease, void *arg)
{
    struct job_batch *batch = arg;
    struct leased *leased = &batch->jobs[batch->count++];
    *leased = (struct leased){
        .lease = *lease,
        .job = *job,
        .bytes_at = batch->bytes.len,
        .payload_len = job->payload.len,
    };
    buf_append(&batch->bytes, job->type, strlen(job->type) + 1);
    buf_append_slice(&batch->bytes, job->payload);
}

/* Once the bytes have stopped moving. */
static void batch_set_pointers(struct job_batch *batch, const struct queue *queue)
{
    for (unsigned i = 0; i < batch->count; i++) {
        struct leased *leased = &batch->jobs[i];
        leased->job.queue = queue->name;
        leased->job.type = batch->bytes.data + leased->bytes_at;
        leased->job.payload =
            slice_of(leased->job.type + strlen(leased->job.type) + 1, leased->payload_len);
    }
}

static void batch_settle(const struct job_batch *batch, struct change *change)
{
    for (unsigned i = 0; i < batch->count; i++) {
        const struct leased *leased = &batch->jobs[i];
        struct job_progress progress;
        if (lease_check(change->queue->queues, change->txn, &leased->lease, &progress) != ERR_OK)
            continue; /* it ran out: whoever has the job now speaks for it */
        lease_settle(change, &leased->lease, &progress, leased->outcome,
                     slice_str(leased->why ? leased->why : ""));
    }
}

/* ---- Running. */

static const struct job_handler *handler_find(const struct queues *queues, const char *type)
{
    for (unsigned i = 0; i < queues->handlers_count; i++)
        if (strcmp(queues->handlers[i].type, type) == 0)
            return &queues->handlers[i];
    return NULL;
}

static void leased_fail(struct leased *leased, const char *why)
{
    leased->outcome = OUTCOME_FAILED;
    free(leased->why);
    leased->why = mem_strdup(why);
}

static void run_job(struct queues *queues, struct leased *leased)
{
    char why[REASON_MAX + 1] = "";
    leased->handler = handler_find(queues, leased->job.type);
    if (!leased->handler) {
        snprintf(why, sizeof why, "no handler for type %s", leased->job.type);
        leased_fail(leased, why);
        return;
    }
    int64_t begin_ns = clock_mono_ns(queues->clock);
    enum err err = leased->handler->run(&leased->job, leased->handler->arg, why, sizeof why);
    histogram_record(queues->run_ns, (uint64_t)(clock_mono_ns(queues->clock) - begin_ns));
    leased->outcome = OUTCOME_DONE;
    if (err != ERR_OK)
        leased_fail(leased, why[0] ? why : err_text(err));
}

static void sync_handler(struct job_batch *batch, const struct job_handler *handler)
{
    bool used = false;
    for (unsigned i = 0; i < batch->count; i++)
        used |= batch->jobs[i].handler == handler;
    if (!used || !handler->sync)
        return;
    enum err err = handler->sync(handler->arg);
    if (err == ERR_OK)
        return;
    for (unsigned i = 0; i < batch->count; i++)
        if (batch->jobs[i].handler == handler && batch->jobs[i].outcome == OUTCOME_DONE)
            leased_fail(&batch->jobs[i], "the effects of the batch could not be made durable");
}

static void set_busy(struct queue *queue, int change)
{
    lock_acquire(&queue->queues->lock);
    queue->busy += (unsigned)change;
    lock_leave(&queue->queues->lock);
}

/* Runs the batch. What has not begun when the time is over, or when stopping, is given back: slow
 * jobs shall not keep others from a free worker, nor from being acknowledged. */
static void run_batch(struct queue *queue, struct job_batch *batch)
{
    struct queues *queues = queue->queues;
    int64_t run_ms = queue->lease_ms / 2 < RUN_MS ? queue->lease_ms / 2 : RUN_MS;
    int64_t until_ns = clock_mono_ns(queues->clock) + run_ms * 1000000;
    set_busy(queue, 1);
    for (unsigned i = 0; i < batch->count; i++) {
        struct leased *leased = &batch->jobs[i];
        bool in_time = i == 0 || clock_mono_ns(queues->clock) < until_ns;
        leased->outcome = OUTCOME_UNSTARTED;
        if (in_time && !queues->stopping)
            run_job(queues, leased);
    }
    for (unsigned i = 0; i < queues->handlers_count; i++)
        sync_handler(batch, &queues->handlers[i]);
    set_busy(queue, -1);
}

/* ---- Turns. */

/* What one worker takes of `ready` jobs, so that the others get theirs. */
static unsigned share(const struct queue *queue, uint64_t ready)
{
    uint64_t fair = (ready + queue->concurrency - 1) / queue->concurrency;
    return fair < queue->batch ? (unsigned)fair : queue->batch;
}

static enum err turn(struct txn *txn, void *arg)
{
    struct worker *worker = arg;
    struct queue *queue = worker->queue;
    txn_shrinking(txn);
    struct change *change = change_begin(queue, txn);
    batch_clear(worker->next);
    change_end_damaged(change, &worker->known_damage);
    batch_settle(worker->run, change);
    if (!worker->settle_only)
        change_run_due(change, worker->due_max);
    worker->no_room = !txn_may_grow(txn); /* a lease is a record more: not from the reserve */
    if (!worker->settle_only && !queue->queues->stopping && !worker->no_room)
        lease_take(change, share(queue, change->counts.jobs[JOB_READY]), queue->lease_ms, batch_add,
                   worker->next);
    worker->more_due = change->due_ms <= txn_now_ms(txn);
    change_end(change);
    worker->found_damage = change->damage;
    return txn_error(txn);
}

static bool has_work(const struct queue *queue)
{
    return queue->counts.jobs[JOB_READY] > 0 ||
           queue->due_ms <= clock_wall_ms(queue->queues->clock);
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

/* After a turn that failed: for a while, or for ever if the store takes no more writes. False when
 * stopping. */
static bool pause_after(struct queue *queue, enum err err)
{
    struct queues *queues = queue->queues;
    bool for_ever = err == ERR_READ_ONLY || err == ERR_DRAINING;
    int64_t until_ns = for_ever ? INT64_MAX : clock_mono_ns(&clock_system) + PAUSE_NS;
    log_write(LOG_ERROR, "queue", "A worker of %s cannot lease or acknowledge jobs. %s",
              queue->name, err_text(err));
    lock_acquire(&queues->lock);
    while (!queues->stopping && lock_cond_wait_until(&queues->news, &queues->lock, until_ns))
        continue;
    bool go_on = !queues->stopping;
    lock_leave(&queues->lock);
    return go_on;
}

/* What follows from a turn that failed. False when stopping. */
static bool turn_failed(struct worker *worker, enum err err)
{
    if (err == ERR_STORE_FULL && worker->due_max > 1) {
        worker->due_max /= 2; /* fewer pages to copy at once */
        return true;
    }
    if (err == ERR_DAMAGED && worker->settle_only)
        batch_clear(worker->run); /* cannot be settled: these leases run out */
    worker->settle_only = true;
    worker->known_damage = worker->found_damage;
    return worker->known_damage.found || pause_after(worker->queue, err);
}

static void turn_done(struct worker *worker)
{
    struct job_batch *leased = worker->next;
    batch_clear(worker->run);
    worker->next = worker->run;
    worker->run = leased;
    worker->settle_only = false;
    worker->known_damage.found = false;
    unsigned most = due_most(worker->queue);
    worker->due_max = worker->due_max < most / 2 ? worker->due_max * 2 : most;
}

static void work(struct worker *worker)
{
    struct queue *queue = worker->queue;
    bool go_on = true;
    while (go_on && (worker->run->count > 0 || wait_for_work(queue))) {
        worker->found_damage.found = false;
        enum err err = store_write(queue->queues->store, turn, worker);
        if (err != ERR_OK) {
            go_on = turn_failed(worker, err);
            continue;
        }
        turn_done(worker);
        batch_set_pointers(worker->run, queue);
        if (worker->run->count > 0)
            run_batch(queue, worker->run);
        else if (worker->no_room && !worker->more_due)
            go_on = pause_after(queue, ERR_STORE_FULL);
    }
}

static void *worker_main(void *arg)
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

int64_t queues_wake(struct queues *queues)
{
    int64_t now_ms = clock_wall_ms(queues->clock);
    lock_acquire(&queues->lock);
    queues->timer_ms = now_ms + TICK_MS;
    for (unsigned i = 0; i < queues->count; i++) {
        struct queue *queue = queues->queues[i];
        if (queue->due_ms <= now_ms)
            queue_wake(queue, 1);
        else if (queue->due_ms < queues->timer_ms)
            queues->timer_ms = queue->due_ms;
    }
    int64_t in_ms = queues->timer_ms - now_ms;
    lock_leave(&queues->lock);
    return in_ms;
}

/* A timer_fn. */
static int64_t tick(void *arg, int64_t mono_ns)
{
    (void)mono_ns;
    return queues_wake(arg);
}

/* ---- Start and stop. */

struct recovery {
    struct queue *queue;
    struct damage found_damage, known_damage; /* as a worker's */
    uint64_t left;
};

static enum err recover_step(struct txn *txn, void *arg)
{
    struct recovery *recovery = arg;
    txn_shrinking(txn);
    struct change *change = change_begin(recovery->queue, txn);
    change_end_damaged(change, &recovery->known_damage);
    change_recover(change);
    change_run_due(change, due_most(recovery->queue));
    change_end(change);
    recovery->found_damage = change->damage;
    recovery->left = change->counts.jobs[JOB_RUNNING];
    return txn_error(txn);
}

/* A full disk keeps nobody from starting: there is all that was written to read. */
static enum err recover(struct queue *queue)
{
    struct recovery recovery = {.queue = queue};
    enum err err;
    do {
        recovery.found_damage.found = false;
        err = store_write(queue->queues->store, recover_step, &recovery);
        recovery.known_damage = recovery.found_damage;
    } while (err == ERR_OK ? recovery.left > 0 : recovery.known_damage.found);
    if (err != ERR_STORE_FULL)
        return err;
    log_write(LOG_WARN, "queue",
              "The store is full: leased jobs of %s wait for their leases to end.", queue->name);
    return ERR_OK;
}

static void worker_start(struct queue *queue, struct worker *worker)
{
    worker->queue = queue;
    worker->due_max = due_most(queue);
    worker->run = &worker->batches[0];
    worker->next = &worker->batches[1];
    for (int i = 0; i < 2; i++)
        worker->batches[i].jobs = mem_alloc(queue->batch * sizeof *worker->batches[i].jobs);
    int rc = pthread_create(&worker->thread, NULL, worker_main, worker);
    assert(rc == 0); /* as without memory: nothing can be done but start again */
}

static void queue_start(struct queue *queue)
{
    queue->workers = mem_zalloc(queue->concurrency * sizeof *queue->workers);
    for (unsigned i = 0; i < queue->concurrency; i++)
        worker_start(queue, &queue->workers[i]);
}

enum err queues_start(struct queues *queues)
{
    assert(!queues->started);
    unsigned threads = 0;
    for (unsigned i = 0; i < queues->count; i++) {
        enum err err = recover(queues->queues[i]);
        if (err != ERR_OK)
            return err;
        threads += queues->queues[i]->concurrency;
    }
    lock_acquire(&queues->lock);
    queues->started = true;
    queues->threads = threads;
    queues->timer = ticker_add(queues->ticker, tick, queues, 1);
    lock_leave(&queues->lock);
    for (unsigned i = 0; i < queues->count; i++)
        queue_start(queues->queues[i]);
    return ERR_OK;
}

static void queue_join(struct queue *queue)
{
    for (unsigned i = 0; i < queue->concurrency; i++) {
        struct worker *worker = &queue->workers[i];
        pthread_join(worker->thread, NULL);
        for (int b = 0; b < 2; b++) {
            batch_clear(&worker->batches[b]);
            buf_release(&worker->batches[b].bytes);
            free(worker->batches[b].jobs);
        }
    }
    free(queue->workers);
    queue->workers = NULL;
}

bool queues_stop(struct queues *queues, int64_t deadline_ms)
{
    int64_t deadline_ns = clock_mono_ns(&clock_system) + deadline_ms * 1000000;
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
    if (left > 0) {
        log_write(LOG_WARN, "queue", "Workers that still run a job and are left behind: %u.", left);
        return false;
    }
    for (unsigned i = 0; i < queues->count; i++)
        if (queues->queues[i]->workers)
            queue_join(queues->queues[i]);
    return true;
}
