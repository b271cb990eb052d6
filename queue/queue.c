/* Queues: made, asked, and given jobs. */
#include "queue/queue.h"

#include "base/mem.h"
#include "queue/queue_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define COMPLETED_KEEP_MS (24 * 3600 * 1000LL)
#define DEAD_KEEP_MS      (7 * COMPLETED_KEEP_MS)
#define FINISHED_MAX      100000
#define CONCURRENCY       2
#define CONCURRENCY_MAX   256
#define BATCH             256
#define BATCH_MAX         4096
#define ATTEMPTS          25
#define LEASE_MS          (5 * 60 * 1000LL)

const char *job_state_name(enum job_state state)
{
    static const char *const names[JOB_STATES] = {
        [JOB_READY] = "ready",       [JOB_SCHEDULED] = "scheduled", [JOB_RUNNING] = "running",
        [JOB_RETRYING] = "retrying", [JOB_COMPLETED] = "completed", [JOB_DEAD] = "dead",
    };
    return names[state];
}

enum err queues_create(const struct queues_options *options, struct queues **out)
{
    struct queues *queues = mem_zalloc(sizeof *queues);
    *out = NULL;
    queues->store = options->store;
    queues->ticker = options->ticker;
    queues->clock = options->clock;
    queues->completed_keep_ms =
        options->completed_keep_ms ? options->completed_keep_ms : COMPLETED_KEEP_MS;
    queues->dead_keep_ms = options->dead_keep_ms ? options->dead_keep_ms : DEAD_KEEP_MS;
    queues->finished_max = options->finished_max ? options->finished_max : FINISHED_MAX;
    enum err err = store_table(queues->store, "jobs", &queues->jobs);
    if (err == ERR_OK)
        err = store_table(queues->store, "job_states", &queues->states);
    if (err == ERR_OK)
        err = store_table(queues->store, "job_index", &queues->index);
    if (err != ERR_OK) {
        free(queues);
        return err;
    }
    queues->run_ns = histogram_create();
    lock_init(&queues->lock, LOCK_RANK_QUEUE);
    lock_cond_init(&queues->news);
    *out = queues;
    return ERR_OK;
}

void queues_destroy(struct queues **out)
{
    struct queues *queues = *out;
    *out = NULL;
    if (!queues)
        return;
    assert(queues->threads == 0);
    for (unsigned i = 0; i < queues->count; i++) {
        lock_cond_release(&queues->queues[i]->wake);
        free(queues->queues[i]);
    }
    for (unsigned i = 0; i < queues->handlers_count; i++)
        free((char *)queues->handlers[i].type);
    histogram_destroy(&queues->run_ns);
    lock_cond_release(&queues->news);
    lock_release(&queues->lock);
    free(queues);
}

struct queue *queue_find(const struct queues *queues, const char *name)
{
    for (unsigned i = 0; i < queues->count; i++)
        if (strcmp(queues->queues[i]->name, name) == 0)
            return queues->queues[i];
    return NULL;
}

static bool is_name(const char *name)
{
    size_t len = strlen(name);
    return len >= 1 && len <= QUEUE_NAME_MAX &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

static enum err load_counts(struct txn *txn, void *arg)
{
    struct queue *queue = arg;
    counts_get(queue, txn, &queue->counts);
    return txn_error(txn);
}

enum err queue_add(struct queues *queues, const struct queue_options *options)
{
    assert(!queues->started);
    if (!is_name(options->name) || queues->count == QUEUES_MAX ||
        options->concurrency > CONCURRENCY_MAX || options->batch > BATCH_MAX ||
        options->attempts_max > ATTEMPTS_LIMIT || options->lease_ms < 0 ||
        options->lease_ms > LEASE_MAX_MS)
        return ERR_VALIDATION;
    if (queue_find(queues, options->name))
        return ERR_EXISTS;
    struct queue *queue = mem_zalloc(sizeof *queue);
    strcpy(queue->name, options->name);
    queue->queues = queues;
    queue->concurrency = options->concurrency ? options->concurrency : CONCURRENCY;
    queue->batch = options->batch ? options->batch : BATCH;
    queue->attempts_max = options->attempts_max ? options->attempts_max : ATTEMPTS;
    queue->lease_ms = options->lease_ms ? options->lease_ms : LEASE_MS;
    enum err err = store_read(queues->store, load_counts, queue);
    if (err != ERR_OK) {
        free(queue);
        return err;
    }
    lock_cond_init(&queue->wake);
    queues->queues[queues->count++] = queue;
    return ERR_OK;
}

enum err queue_handle(struct queues *queues, const struct job_handler *handler)
{
    assert(!queues->started && handler->run);
    assert(queues->handlers_count < HANDLERS_MAX);
    for (unsigned i = 0; i < queues->handlers_count; i++)
        if (strcmp(queues->handlers[i].type, handler->type) == 0)
            return ERR_EXISTS;
    struct job_handler *copy = &queues->handlers[queues->handlers_count++];
    *copy = *handler;
    copy->type = mem_strdup(handler->type);
    return ERR_OK;
}

static enum err check_spec(const struct queue *queue, const struct job_spec *spec)
{
    if (!queue)
        return ERR_NOT_FOUND;
    if (spec->payload.len > QUEUE_PAYLOAD_MAX)
        return ERR_BODY_TOO_LARGE;
    size_t type_len = strlen(spec->type);
    bool valid = type_len >= 1 && type_len <= QUEUE_NAME_MAX &&
                 slice_is_utf8(slice_of(spec->type, type_len)) && spec->priority <= 9 &&
                 spec->delay_ms <= DELAY_MAX_MS && spec->attempts_max <= ATTEMPTS_LIMIT;
    return valid ? ERR_OK : ERR_VALIDATION;
}

enum err queue_enqueue(struct queues *queues, struct txn *txn, const struct job_spec *spec,
                       struct id *out)
{
    struct queue *queue = queue_find(queues, spec->queue);
    enum err err = check_spec(queue, spec);
    if (err != ERR_OK)
        return txn_fail(txn, err); /* sticks: the caller's data shall not commit without its job */
    struct id id = id_make(txn_now_ms(txn));
    struct job_record job = {
        .queue = queue->name,
        .type = spec->type,
        .payload = spec->payload,
        .priority = spec->priority,
        .attempts_max = spec->attempts_max ? spec->attempts_max : queue->attempts_max,
        .enqueued_ms = txn_now_ms(txn),
    };
    job_put(queues, txn, &id, &job);
    struct job_progress progress;
    progress_init(&progress, &job);
    struct change *change = change_begin(queue, txn);
    if (spec->delay_ms > 0) {
        progress.state = JOB_SCHEDULED;
        progress.when_ms = job.enqueued_ms + spec->delay_ms;
        progress_put(queues, txn, &id, &progress);
    }
    change_add(change, &id, &progress);
    change_end(change);
    if (out)
        *out = id;
    return txn_error(txn);
}

enum err queue_job(struct queues *queues, struct txn *txn, const struct id *id,
                   struct job_info *out)
{
    struct job_record job;
    enum err err = job_get(queues, txn, id, &job);
    struct job_progress progress;
    if (err == ERR_OK)
        err = progress_load(queues, txn, id, &job, &progress);
    if (err != ERR_OK)
        return err;
    bool waits = progress.state == JOB_SCHEDULED || progress.state == JOB_RETRYING;
    bool finished = progress.state == JOB_COMPLETED || progress.state == JOB_DEAD;
    size_t reason_len = strlen(progress.reason);
    char *reason = txn_alloc(txn, reason_len + 1);
    memcpy(reason, progress.reason, reason_len + 1);
    *out = (struct job_info){
        .id = *id,
        .state = progress.state,
        .priority = progress.priority,
        .attempt = progress.attempt,
        .attempts_max = progress.attempts_max,
        .enqueued_ms = job.enqueued_ms,
        .due_ms = waits ? progress.when_ms : 0,
        .finished_ms = finished ? progress.when_ms : 0,
        .payload = job.payload,
        .reason = slice_of(reason, reason_len),
    };
    strcpy(out->queue, job.queue);
    strcpy(out->type, job.type);
    return ERR_OK;
}

unsigned queue_count(const struct queues *queues)
{
    return queues->count;
}

void queue_stats(struct queues *queues, unsigned i, struct queue_stats *out)
{
    assert(i < queues->count);
    const struct queue *queue = queues->queues[i];
    lock_acquire(&queues->lock);
    *out = (struct queue_stats){
        .name = queue->name,
        .completed = queue->completed,
        .failed = queue->failed,
        .died = queue->died,
        .workers = queue->concurrency,
        .workers_busy = queue->busy,
    };
    memcpy(out->jobs, queue->counts.jobs, sizeof out->jobs);
    lock_leave(&queues->lock);
}

const struct histogram *queue_run_histogram(const struct queues *queues)
{
    return queues->run_ns;
}

static bool is_idle(const struct queues *queues)
{
    for (unsigned i = 0; i < queues->count; i++) {
        const struct counts *counts = &queues->queues[i]->counts;
        if (counts->jobs[JOB_READY] + counts->jobs[JOB_RUNNING] > 0)
            return false;
    }
    return true;
}

bool queues_wait_idle(struct queues *queues, int64_t deadline_ms)
{
    int64_t deadline_ns = clock_mono_ns(&clock_system) + deadline_ms * 1000000;
    lock_acquire(&queues->lock);
    bool idle = is_idle(queues);
    while (!idle && lock_cond_wait_until(&queues->news, &queues->lock, deadline_ns))
        idle = is_idle(queues);
    lock_leave(&queues->lock);
    return idle;
}
