/* Queues: made, asked, and given jobs. */
#include "queue/queue.h"

#include "base/log.h"
#include "base/mem.h"
#include "queue/queue_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define COMPLETED_KEEP_MS (24 * 3600 * 1000LL)
#define DEAD_KEEP_MS      (7 * COMPLETED_KEEP_MS)
#define FINISHED_MAX      100000
#define FINISHED_BYTES    (256u << 20)
#define CONCURRENCY       2
#define CONCURRENCY_MAX   256
#define BATCH             256
#define BATCH_MAX         4096
#define ATTEMPTS          25
#define LEASE_MS          (5 * 60 * 1000LL)
#define CLOCK_SET_MS      60000 /* less is no step of the wall clock */

const char *job_state_name(enum job_state state)
{
    static const char *const names[JOB_STATES] = {
        [JOB_READY] = "ready",       [JOB_SCHEDULED] = "scheduled", [JOB_RUNNING] = "running",
        [JOB_RETRYING] = "retrying", [JOB_COMPLETED] = "completed", [JOB_DEAD] = "dead",
        [JOB_WAITING] = "waiting",   [JOB_CANCELLED] = "cancelled",
    };
    return names[state];
}

enum err queues_create(const struct queues_options *options, struct queues **out)
{
    struct queues *queues = mem_zalloc(sizeof *queues);
    *out = NULL;
    queues->store = options->store;
    queues->ticker = options->ticker;
    queues->maintenance = options->maintenance;
    queues->clock = options->clock;
    queues->origin_ms = clock_wall_ms(queues->clock) - clock_mono_ns(queues->clock) / 1000000;
    queues->completed_keep_ms =
        options->completed_keep_ms ? options->completed_keep_ms : COMPLETED_KEEP_MS;
    queues->dead_keep_ms = options->dead_keep_ms ? options->dead_keep_ms : DEAD_KEEP_MS;
    queues->finished_max = options->finished_max ? options->finished_max : FINISHED_MAX;
    queues->finished_bytes_max =
        options->finished_bytes_max ? options->finished_bytes_max : FINISHED_BYTES;
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
    for (unsigned i = 0; i < queues->count; i++)
        queue_destroy(queues->queues[i]);
    for (unsigned i = 0; i < queues->former_count; i++)
        queue_destroy(queues->former[i]);
    free(queues->former);
    for (unsigned i = 0; i < queues->handlers_count; i++)
        free((char *)queues->handlers[i].type);
    histogram_destroy(&queues->run_ns);
    lock_cond_release(&queues->news);
    lock_release(&queues->lock);
    free(queues);
}

int64_t queues_now_ms(const struct queues *queues)
{
    return queues->origin_ms + clock_mono_ns(queues->clock) / 1000000;
}

struct queue *queue_find_slice(const struct queues *queues, struct slice name)
{
    for (unsigned i = 0; i < queues->count; i++)
        if (slice_is(name, queues->queues[i]->name))
            return queues->queues[i];
    return NULL;
}

struct queue *queue_find(const struct queues *queues, const char *name)
{
    return queue_find_slice(queues, slice_str(name));
}

static bool is_name(const char *name)
{
    size_t len = strlen(name);
    return len >= 1 && len <= QUEUE_NAME_MAX &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

/* ---- Queues are added. */

struct loading {
    struct queue *queue;
    bool damaged;
};

static enum err load_counts(struct txn *txn, void *arg)
{
    struct loading *loading = arg;
    struct queue *queue = loading->queue;
    loading->damaged = counts_get(queue, txn, &queue->counts) == ERR_DAMAGED;
    if (loading->damaged)
        counts_make(queue, txn, &queue->counts, false);
    return txn_error(txn);
}

static enum err write_counts(struct txn *txn, void *arg)
{
    const struct loading *loading = arg;
    change_end(change_begin(loading->queue, txn));
    return txn_error(txn);
}

/* The queues' time goes on behind the last change that there was. */
static void raise_time(struct queues *queues, int64_t last_ms)
{
    int64_t behind_ms = last_ms + 1 - queues_now_ms(queues);
    if (behind_ms > 0)
        queues->origin_ms += behind_ms;
}

static enum err queue_load(struct queue *queue)
{
    struct loading loading = {.queue = queue};
    enum err err = store_read(queue->queues->store, load_counts, &loading);
    if (err != ERR_OK)
        return err;
    raise_time(queue->queues, queue->counts.time_ms);
    if (loading.damaged && store_write(queue->queues->store, write_counts, &loading) != ERR_OK)
        log_write(LOG_ERROR, "queue", "The damaged counts of %s cannot be written again now.",
                  queue->name);
    return ERR_OK;
}

struct queue *queue_create(struct queues *queues, const char *name)
{
    struct queue *queue = mem_zalloc(sizeof *queue);
    strcpy(queue->name, name);
    queue->queues = queues;
    job_index_init(queue);
    lock_cond_init(&queue->wake);
    return queue;
}

void queue_destroy(struct queue *queue)
{
    lock_cond_release(&queue->wake);
    free(queue);
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
    struct queue *queue = queue_create(queues, options->name);
    queue->concurrency = options->concurrency ? options->concurrency : CONCURRENCY;
    queue->batch = options->batch ? options->batch : BATCH;
    queue->attempts_max = options->attempts_max ? options->attempts_max : ATTEMPTS;
    queue->lease_ms = options->lease_ms ? options->lease_ms : LEASE_MS;
    queue->keep_payload = options->keep_payload;
    queue->batch_ns = BATCH_UNKNOWN;
    enum err err = queue_load(queue);
    if (err != ERR_OK) {
        queue_destroy(queue);
        return err;
    }
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

void queues_on_damage(struct queues *queues, void (*fn)(void *arg), void *arg)
{
    assert(!queues->started);
    queues->on_damage = fn;
    queues->on_damage_arg = arg;
}

bool queues_have(const struct queues *queues, const char *name)
{
    return queue_find(queues, name);
}

static enum err check_spec(const struct queue *queue, const struct job_spec *spec)
{
    if (!queue)
        return ERR_NOT_FOUND;
    if (spec->payload.len > QUEUE_PAYLOAD_MAX)
        return ERR_BODY_TOO_LARGE;
    size_t type_len = strlen(spec->type);
    bool valid = type_len >= 1 && type_len <= QUEUE_NAME_MAX &&
                 slice_is_utf8(slice_of(spec->type, type_len)) && spec->priority <= PRIORITY_MAX &&
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
    struct change *change = change_begin(queue, txn);
    struct id id = id_make(change->now_ms);
    struct job_body body = {
        .queue = queue->name,
        .type = spec->type,
        .payload = spec->payload,
        .priority = spec->priority,
        .attempts_max = spec->attempts_max ? spec->attempts_max : queue->attempts_max,
        .enqueued_ms = txn_now_ms(txn),
    };
    body_put(queues, txn, &id, &body);
    struct job_status status;
    status_init(&status, &body);
    if (spec->delay_ms > 0) {
        status.state = JOB_SCHEDULED;
        status.when_ms = change->now_ms + spec->delay_ms;
        status_put(queues, txn, &id, status_encode(txn, &status));
    }
    change_add(change, &id, &status);
    change_end(change);
    if (out)
        *out = id;
    return txn_error(txn);
}

/* ---- Looking. */

/* What the wall clock said or will say then; it may have been set since. */
static int64_t wall_ms(const struct queues *queues, struct txn *txn, int64_t time_ms)
{
    int64_t ahead_ms = queues_now_ms(queues) - txn_now_ms(txn);
    bool set = ahead_ms > CLOCK_SET_MS || ahead_ms < -CLOCK_SET_MS;
    return set ? time_ms - ahead_ms : time_ms;
}

/* The body of a finished job may be gone, or damaged. */
static enum err load_job(struct queues *queues, struct txn *txn, const struct id *id,
                         struct job_body *body, struct job_status *status)
{
    enum err err = status_get(queues, txn, id, status);
    if (err != ERR_OK || !state_is_finished(status->state))
        return err == ERR_DAMAGED ? err : job_get(queues, txn, id, body, status);
    if (body_get(queues, txn, id, body) != ERR_OK)
        *body = (struct job_body){.payload = slice_of("", 0)};
    return ERR_OK;
}

static enum err job_unreadable(struct txn *txn, const struct id *id)
{
    char text[ID_TEXT_SIZE];
    id_format(id, text);
    return txn_damaged(txn, "job %s cannot be read", text);
}

static void copy_name(char out[QUEUE_NAME_MAX + 1], struct slice name)
{
    if (name.len > 0)
        memcpy(out, name.ptr, name.len);
    out[name.len] = '\0';
}

enum err queue_job(struct queues *queues, struct txn *txn, const struct id *id,
                   struct job_info *out)
{
    enum err err = job_describe(queues, txn, id, out);
    return err == ERR_DAMAGED ? job_unreadable(txn, id) : err;
}

enum err job_describe(struct queues *queues, struct txn *txn, const struct id *id,
                      struct job_info *out)
{
    struct job_body body;
    struct job_status status;
    enum err err = load_job(queues, txn, id, &body, &status);
    if (err != ERR_OK)
        return err;
    bool waits = status.state == JOB_SCHEDULED || status.state == JOB_RETRYING;
    bool finished = state_is_finished(status.state);
    *out = (struct job_info){
        .id = *id,
        .state = status.state,
        .priority = status.priority,
        .attempt = status.attempt,
        .attempts_max = status.attempts_max,
        .enqueued_ms = body.type ? body.enqueued_ms : status.enqueued_ms,
        .due_ms = waits ? wall_ms(queues, txn, status.when_ms) : 0,
        .finished_ms = finished ? wall_ms(queues, txn, status.when_ms) : 0,
        .payload = body.payload,
        .reason = status.fields[FIELD_REASON],
    };
    copy_name(out->queue, status.fields[FIELD_QUEUE]);
    copy_name(out->type, body.type ? slice_str(body.type) : status.fields[FIELD_TYPE]);
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
        .damaged = queue->damaged,
        .workers = queue->concurrency,
        .workers_busy = queue->busy,
    };
    memcpy(out->jobs, queue->counts.jobs, sizeof out->jobs);
    for (unsigned state = 0; state < JOB_STATES; state++)
        out->finished_bytes += queue->counts.bytes[state];
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
