/* Leases: taken, ended by their holders, lost. The attempt counts when the lease is taken. */
#include "base/hash.h"
#include "queue/queue_private.h"

#include <string.h>

enum err lease_check(struct queues *queues, struct txn *txn, const struct job_lease *lease,
                     struct job_progress *out)
{
    enum err err = progress_get(queues, txn, &lease->job, out);
    if (err != ERR_OK)
        return err == ERR_NOT_FOUND ? ERR_STALE : err;
    bool held =
        out->state == JOB_RUNNING && out->attempt == lease->attempt && out->token == lease->token;
    return held ? ERR_OK : ERR_STALE;
}

int64_t job_backoff_ms(unsigned attempt)
{
    uint64_t random, n = attempt;
    random_bytes(&random, sizeof random);
    return (int64_t)((n * n * n * n + 15) * 1000 + random % (10 * (n + 1) * 1000));
}

/* Cut at a character's edge; bytes that are no UTF-8 at all become question marks, so that the
 * reason can be shown anywhere. */
static void set_reason(struct job_progress *progress, struct slice reason)
{
    size_t len = reason.len < REASON_MAX ? reason.len : REASON_MAX;
    memset(progress->reason, 0, sizeof progress->reason);
    if (len > 0)
        memcpy(progress->reason, reason.ptr, len);
    for (size_t cut = 0; cut < 4 && cut <= len; cut++)
        if (slice_is_utf8(slice_of(progress->reason, len - cut))) {
            progress->reason[len - cut] = '\0';
            return;
        }
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)progress->reason[i] >= 0x80)
            progress->reason[i] = '?';
}

/* The state after a failed attempt, if there are more or not. */
static void fail(struct change *change, struct job_progress *progress, enum job_state again,
                 int64_t again_ms)
{
    bool last = progress->attempt >= progress->attempts_max;
    progress->state = last ? JOB_DEAD : again;
    progress->when_ms = last ? txn_now_ms(change->txn) : again_ms;
    change->failed++;
    change->died += last;
}

void lease_settle(struct change *change, const struct job_lease *lease,
                  struct job_progress *progress, enum outcome outcome, struct slice reason)
{
    struct index_entry from = index_entry_of(progress, &lease->job);
    int64_t now_ms = txn_now_ms(change->txn);
    switch (outcome) {
    case OUTCOME_DONE:
        progress->state = JOB_COMPLETED;
        progress->when_ms = now_ms;
        progress->lost = false;
        change->completed++;
        break;
    case OUTCOME_FAILED:
        set_reason(progress, reason);
        progress->lost = false;
        fail(change, progress, JOB_RETRYING, now_ms + job_backoff_ms(progress->attempt));
        break;
    case OUTCOME_UNSTARTED:
        progress->attempt--;
        progress->state = JOB_READY;
        break;
    }
    job_move(change, &lease->job, &from, progress);
}

void lease_lose(struct change *change, const struct index_entry *entry)
{
    struct job_progress progress;
    if (progress_get(change->queue->queues, change->txn, &entry->id, &progress) != ERR_OK) {
        change_damaged(change, entry);
        return;
    }
    set_reason(&progress, slice_str("its worker vanished or the lease ran out"));
    progress.lost = true;
    fail(change, &progress, JOB_READY, 0);
    job_move(change, &entry->id, entry, &progress);
}

/* What is known of the first ready job. */
static enum err first_ready(struct change *change, struct index_entry *entry,
                            struct job_record *job, struct job_progress *progress)
{
    struct queues *queues = change->queue->queues;
    enum err err = index_first(change->queue, change->txn, JOB_READY, entry);
    if (err != ERR_OK)
        return err;
    err = job_get(queues, change->txn, &entry->id, job);
    if (err == ERR_OK)
        err = progress_load(queues, change->txn, &entry->id, job, progress);
    if (err != ERR_OK)
        change_damaged(change, entry);
    return err;
}

static void show(const struct index_entry *entry, const struct job_record *record,
                 const struct job_progress *progress, job_lease_fn each, void *arg)
{
    struct job job = {
        .id = entry->id,
        .queue = record->queue,
        .type = record->type,
        .payload = record->payload,
        .attempt = progress->attempt,
        .attempts_max = progress->attempts_max,
        .enqueued_ms = record->enqueued_ms,
    };
    struct job_lease lease = {
        .job = entry->id, .attempt = progress->attempt, .token = progress->token};
    each(&job, &lease, arg);
}

/* Takes the ready jobs in order. A job whose last attempt was lost is leased alone: if it is the
 * one that kills the process, then it costs no other job an attempt. */
unsigned lease_take(struct change *change, unsigned max, int64_t lease_ms, job_lease_fn each,
                    void *arg)
{
    uint64_t token;
    random_bytes(&token, sizeof token);
    struct index_entry entry;
    struct job_record job;
    struct job_progress progress;
    unsigned taken = 0;
    bool suspect = false;
    for (size_t bytes = 0; taken < max && bytes < LEASE_BYTES_MAX && !suspect; taken++) {
        if (change->counts.jobs[JOB_READY] == 0 ||
            first_ready(change, &entry, &job, &progress) != ERR_OK)
            break;
        suspect = progress.lost;
        if (suspect && taken > 0)
            break;
        progress.state = JOB_RUNNING;
        progress.attempt++;
        progress.token = token;
        progress.when_ms = txn_now_ms(change->txn) + lease_ms;
        bytes += job.payload.len;
        show(&entry, &job, &progress, each, arg); /* first: the write ends what is borrowed */
        job_move(change, &entry.id, &entry, &progress);
    }
    return taken;
}

enum err queue_lease(struct queues *queues, struct txn *txn, const char *name, unsigned max,
                     int64_t lease_ms, job_lease_fn each, void *arg, unsigned *count)
{
    *count = 0;
    struct queue *queue = queue_find(queues, name);
    if (!queue)
        return ERR_NOT_FOUND;
    if (lease_ms <= 0 || lease_ms > LEASE_MAX_MS)
        return ERR_VALIDATION;
    struct change *change = change_begin(queue, txn);
    change_run_due(change, due_most(queue));
    *count = lease_take(change, max, lease_ms, each, arg);
    change_end(change);
    return txn_error(txn);
}

static enum err settle(struct queues *queues, struct txn *txn, const struct job_lease *lease,
                       enum outcome outcome, struct slice reason)
{
    struct job_progress progress;
    txn_shrinking(txn);
    enum err err = lease_check(queues, txn, lease, &progress);
    if (err != ERR_OK)
        return err;
    struct queue *queue = queue_find(queues, progress.queue);
    if (!queue)
        return ERR_STALE; /* the queue is not configured any more: nobody leased it today */
    struct change *change = change_begin(queue, txn);
    lease_settle(change, lease, &progress, outcome, reason);
    change_end(change);
    return txn_error(txn);
}

enum err queue_ack(struct queues *queues, struct txn *txn, const struct job_lease *lease)
{
    return settle(queues, txn, lease, OUTCOME_DONE, slice_of("", 0));
}

enum err queue_fail(struct queues *queues, struct txn *txn, const struct job_lease *lease,
                    struct slice reason)
{
    return settle(queues, txn, lease, OUTCOME_FAILED, reason);
}
