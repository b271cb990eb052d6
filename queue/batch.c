/* Batches: the jobs that a worker has leased at once. The store may run a turn again, so outcomes
 * are only read when they are reported, and what is leased next begins afresh. */
#include "base/buf.h"
#include "base/mem.h"
#include "queue/queue_private.h"

#include <stdio.h>
#include <stdlib.h>

#define BATCH_KEEP (256u << 10) /* bytes of payload memory that an idle batch may hold */

void batch_init(struct batch *batch, unsigned room)
{
    *batch = (struct batch){.jobs = mem_alloc(room * sizeof *batch->jobs)};
}

void batch_release(struct batch *batch)
{
    batch_clear(batch);
    buf_release(&batch->bytes);
    free(batch->jobs);
}

void batch_clear(struct batch *batch)
{
    for (unsigned i = 0; i < batch->count; i++)
        free(batch->jobs[i].why);
    batch->count = batch->reported = batch->end = batch->begun = 0;
    buf_shrink(&batch->bytes, BATCH_KEEP);
}

void batch_add(const struct job *job, const struct job_lease *lease, void *arg)
{
    struct batch *batch = arg;
    struct leased_job *leased = &batch->jobs[batch->count++];
    *leased = (struct leased_job){
        .lease = *lease,
        .job = *job,
        .bytes_at = batch->bytes.len,
        .payload_len = job->payload.len,
        .outcome = OUTCOME_UNSTARTED,
    };
    buf_append(&batch->bytes, job->type, strlen(job->type) + 1);
    buf_append_slice(&batch->bytes, job->payload);
}

/* Pointers can be set once the bytes have stopped moving. */
void batch_seal(struct batch *batch, const struct queue *queue)
{
    batch->end = batch->count;
    for (unsigned i = 0; i < batch->count; i++) {
        struct leased_job *leased = &batch->jobs[i];
        leased->job.queue = queue->name;
        leased->job.type = batch->bytes.data + leased->bytes_at;
        leased->job.payload =
            slice_of(leased->job.type + strlen(leased->job.type) + 1, leased->payload_len);
    }
}

void batch_end_leases(const struct batch *batch, struct change *change, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        const struct leased_job *leased = &batch->jobs[i];
        /* A stale one ran out: whoever has the job now speaks for it. */
        lease_end(change, &leased->lease, leased->outcome,
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

static void leased_job_end(struct leased_job *leased, enum job_outcome outcome, const char *why)
{
    leased->outcome = outcome;
    free(leased->why);
    leased->why = mem_strdup(why);
}

void leased_job_run(struct queues *queues, struct leased_job *leased)
{
    char why[REASON_MAX + 1] = "";
    leased->handler = handler_find(queues, leased->job.type);
    if (!leased->handler) {
        snprintf(why, sizeof why, "no handler for type %s", leased->job.type);
        leased_job_end(leased, OUTCOME_FAILED, why);
        return;
    }
    int64_t begin_ns = clock_mono_ns(queues->clock);
    enum err err = leased->handler->run(&leased->job, leased->handler->arg, why, sizeof why);
    histogram_record(queues->run_ns, (uint64_t)(clock_mono_ns(queues->clock) - begin_ns));
    leased->outcome = OUTCOME_DONE;
    if (err == ERR_DRAINING && queues->stopping)
        leased->outcome = OUTCOME_UNSTARTED;
    else if (err != ERR_OK)
        leased_job_end(leased, err == ERR_MALFORMED ? OUTCOME_HOPELESS : OUTCOME_FAILED,
                       why[0] ? why : err_text(err));
}

static void sync_handler(struct batch *batch, const struct job_handler *handler, unsigned from,
                         unsigned to)
{
    bool used = false;
    for (unsigned i = from; i < to; i++)
        used |= batch->jobs[i].handler == handler;
    if (!used || !handler->sync)
        return;
    enum err err = handler->sync(handler->arg);
    if (err == ERR_OK)
        return;
    for (unsigned i = from; i < to; i++)
        if (batch->jobs[i].handler == handler && batch->jobs[i].outcome == OUTCOME_DONE)
            leased_job_end(&batch->jobs[i], OUTCOME_FAILED,
                           "the effects of the batch could not be made durable");
}

void batch_sync(struct queues *queues, struct batch *batch, unsigned from, unsigned to)
{
    for (unsigned i = 0; i < queues->handlers_count; i++)
        sync_handler(batch, &queues->handlers[i], from, to);
}
