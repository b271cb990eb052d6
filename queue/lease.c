/* Leases: taken, renewed, ended by their holders, lost. The attempt counts when the lease is taken.
 */
#include "base/hash.h"
#include "queue/queue_private.h"

#include <string.h>

#define IN_VAIN_MAX 16

static bool is_held(const struct job_lease *lease, const struct job_status *status)
{
    return status->state == JOB_RUNNING && status->attempt == lease->attempt &&
           status->token == lease->token;
}

int64_t job_backoff_ms(unsigned attempt)
{
    uint64_t random, n = attempt;
    random_bytes(&random, sizeof random);
    return (int64_t)((n * n * n * n + 15) * 1000 + random % (10 * (n + 1) * 1000));
}

/* Cut at a character's edge; bytes that are no UTF-8 at all become question marks, so that the
 * reason can be shown anywhere. */
static struct slice clean_reason(struct txn *txn, struct slice reason)
{
    size_t len = reason.len < REASON_MAX ? reason.len : REASON_MAX;
    char *clean = txn_alloc(txn, len + 1);
    if (len > 0)
        memcpy(clean, reason.ptr, len);
    for (size_t cut = 0; cut < 4 && cut <= len; cut++)
        if (slice_is_utf8(slice_of(clean, len - cut)))
            return slice_of(clean, len - cut);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)clean[i] >= 0x80)
            clean[i] = '?';
    return slice_of(clean, len);
}

static void die(struct change *change, struct job_status *status)
{
    status->state = JOB_DEAD;
    status->when_ms = change->now_ms;
    change->failed++;
    change->died++;
}

/* After a failed attempt: `again`, if there are more. */
static void fail(struct change *change, struct job_status *status, enum job_state again,
                 int64_t again_ms)
{
    if (status->attempt >= status->attempts_max) {
        die(change, status);
        return;
    }
    status->state = again;
    status->when_ms = again_ms;
    change->failed++;
}

/* ---- Ending. */

/* A job that was leased by an older program: what its status does not say yet. */
static void know_body(struct change *change, const struct id *id, struct job_status *status)
{
    struct job_body body;
    if (status->fields[FIELD_TYPE].len > 0 ||
        body_get(change->queue->queues, change->txn, id, &body) != ERR_OK)
        return;
    status->fields[FIELD_TYPE] = slice_str(body.type);
    status->enqueued_ms = body.enqueued_ms;
    status->payload_len = (uint32_t)body.payload.len;
}

static void complete(struct change *change, const struct job_lease *lease,
                     const struct index_entry *from, struct job_status *status)
{
    know_body(change, &lease->job, status);
    if (!change->queue->keep_payload)
        status->payload_len = 0;
    status->state = JOB_COMPLETED;
    status->when_ms = change->now_ms;
    status->lost = false;
    change->completed++;
    if (change->queue->keep_payload)
        job_move(change, &lease->job, from, status);
    else
        job_move_dropping_body(change, &lease->job, from, status);
}

static void end(struct change *change, const struct job_lease *lease, struct job_status *status,
                enum job_outcome outcome, struct slice reason)
{
    struct index_entry from = index_entry_of(status, &lease->job);
    switch (outcome) {
    case OUTCOME_DONE:
        complete(change, lease, &from, status);
        return;
    case OUTCOME_FAILED:
    case OUTCOME_HOPELESS:
        know_body(change, &lease->job, status);
        status->fields[FIELD_REASON] = clean_reason(change->txn, reason);
        status->lost = false;
        if (outcome == OUTCOME_HOPELESS)
            die(change, status);
        else
            fail(change, status, JOB_RETRYING, change->now_ms + job_backoff_ms(status->attempt));
        break;
    case OUTCOME_UNSTARTED:
        status->attempt--;
        status->state = JOB_READY;
        break;
    }
    job_move(change, &lease->job, &from, status);
}

/* The status of a job that we have leased: a damaged one ends here. */
static enum err held_status(struct change *change, const struct job_lease *lease,
                            struct job_status *out)
{
    enum err err = status_find(change, &lease->job, out);
    if (err == ERR_DAMAGED)
        job_mend(change, &lease->job);
    if (err != ERR_OK)
        return err == ERR_NOT_FOUND ? ERR_STALE : err;
    return is_held(lease, out) ? ERR_OK : ERR_STALE;
}

enum err lease_end(struct change *change, const struct job_lease *lease, enum job_outcome outcome,
                   struct slice reason)
{
    struct job_status status;
    enum err err = held_status(change, lease, &status);
    if (err == ERR_OK)
        end(change, lease, &status, outcome, reason);
    return err;
}

enum err lease_renew(struct change *change, const struct job_lease *lease, int64_t lease_ms)
{
    struct job_status status;
    enum err err = held_status(change, lease, &status);
    if (err != ERR_OK)
        return err;
    struct index_entry from = index_entry_of(&status, &lease->job);
    status.when_ms = change->now_ms + lease_ms;
    job_move(change, &lease->job, &from, &status);
    return ERR_OK;
}

/* ---- Losing. */

static void lose(struct change *change, const struct index_entry *entry, struct job_status *status)
{
    status->fields[FIELD_REASON] = slice_str("its worker vanished or the lease ran out");
    status->lost = true;
    fail(change, status, JOB_READY, 0);
    job_move(change, &entry->id, entry, status);
}

/* A worker that still has the job waits for the disk, as the keeper does. */
void lease_lose(struct change *change, const struct index_entry *entry)
{
    struct job_status status;
    if (entry_job(change, entry, NULL, &status) != ERR_OK)
        return;
    if (status.by_hand || !queue_works_on(change->queue, &entry->id, status.token)) {
        lose(change, entry, &status);
        return;
    }
    status.when_ms = change->now_ms + change->queue->lease_ms;
    job_move(change, &entry->id, entry, &status);
}

/* In the order of the index; where that is broken a walk may come back to where it was. */
static bool is_behind(const struct index_entry *entry, const struct index_entry *after)
{
    if (!after || entry->order != after->order)
        return !after || entry->order > after->order;
    return id_compare(&entry->id, &after->id) > 0;
}

bool lease_recover(struct change *change, const struct index_entry *after,
                   struct index_entry *position)
{
    struct index_entry entries[ENTRIES_AT_ONCE];
    unsigned count = change_entries(change, JOB_RUNNING, after, entries, ENTRIES_AT_ONCE);
    for (unsigned i = 0; i < count; i++) {
        struct job_status status;
        if (entry_job(change, &entries[i], NULL, &status) == ERR_OK && !status.by_hand)
            lose(change, &entries[i], &status);
    }
    bool more = count == ENTRIES_AT_ONCE && is_behind(&entries[count - 1], after);
    if (count > 0)
        *position = entries[count - 1];
    return more;
}

/* ---- Taking. */

static void show(const struct index_entry *entry, const struct job_body *body,
                 const struct job_status *status, const struct lease_terms *terms)
{
    struct job job = {
        .id = entry->id,
        .queue = body->queue,
        .type = body->type,
        .payload = body->payload,
        .attempt = status->attempt,
        .attempts_max = status->attempts_max,
        .enqueued_ms = body->enqueued_ms,
    };
    struct job_lease lease = {.job = entry->id, .attempt = status->attempt, .token = status->token};
    terms->each(&job, &lease, terms->arg);
}

/* What has been taken so far. */
struct taking {
    uint64_t token;
    unsigned count;
    size_t bytes;
    unsigned in_vain; /* rounds that took nothing: what is damaged may not give way */
    bool over;
};

/* A job whose last attempt was lost is leased alone: if it is the one that kills the process, then
 * it costs no other job an attempt. False: it is not taken. */
static bool take(struct change *change, const struct lease_terms *terms,
                 const struct index_entry *entry, struct job_records *job, bool is_claimed,
                 struct taking *taking)
{
    struct job_status *status = &job->status;
    taking->over = status->lost && taking->count > 0;
    if (taking->over)
        return false;
    status->state = JOB_RUNNING;
    status->by_hand = terms->by_hand;
    status->attempt++;
    status->token = taking->token;
    status->when_ms = change->now_ms + terms->lease_ms;
    taking->bytes += job->body.payload.len;
    taking->count++;
    taking->over = status->lost || taking->count == terms->max || taking->bytes >= LEASE_BYTES_MAX;
    show(entry, &job->body, status, terms); /* first: a write ends what is borrowed */
    if (is_claimed)
        job_move_claimed(change, &entry->id, entry, status);
    else
        job_move(change, &entry->id, entry, status);
    return true;
}

/* What is not as it should be, or void since something was mended, goes back and is looked at once
 * more. */
static bool take_mended(struct change *change, const struct lease_terms *terms,
                        const struct index_entry *entry, struct job_records *job,
                        struct taking *taking)
{
    change_unclaim(change, entry);
    return entry_job(change, entry, &job->body, &job->status) != ERR_OK ||
           take(change, terms, entry, job, false, taking);
}

static bool is_sound(const struct job_records *job, const struct index_entry *entry)
{
    if (job->err != ERR_OK)
        return false;
    struct index_entry right = index_entry_of(&job->status, &entry->id);
    return index_entry_eq(&right, entry);
}

/* Read together; what is not taken is put back. */
static void take_some(struct change *change, const struct lease_terms *terms,
                      const struct index_entry *entries, unsigned count, struct taking *taking)
{
    struct job_records jobs[ENTRIES_AT_ONCE];
    unsigned writes = txn_writes(change->txn), i = 0;
    jobs_get(change->queue->queues, change->txn, entries, count, jobs);
    for (; i < count && !taking->over; i++) {
        bool sound = writes == txn_writes(change->txn) && is_sound(&jobs[i], &entries[i]);
        if (!(sound ? take(change, terms, &entries[i], &jobs[i], true, taking)
                    : take_mended(change, terms, &entries[i], &jobs[i], taking)))
            break;
    }
    for (; i < count; i++)
        change_unclaim(change, &entries[i]);
}

unsigned lease_take(struct change *change, const struct lease_terms *terms)
{
    struct taking taking = {.over = terms->max == 0};
    random_bytes(&taking.token, sizeof taking.token);
    while (!taking.over) {
        struct index_entry entries[ENTRIES_AT_ONCE];
        unsigned left = terms->max - taking.count, before = taking.count;
        unsigned count =
            change_claim(change, entries, left < ENTRIES_AT_ONCE ? left : ENTRIES_AT_ONCE);
        if (count == 0)
            break;
        take_some(change, terms, entries, count, &taking);
        taking.in_vain += taking.count == before;
        taking.over |= txn_error(change->txn) != ERR_OK || taking.in_vain == IN_VAIN_MAX;
    }
    return taking.count;
}

/* ---- By hand. */

enum err queue_lease(struct queues *queues, struct txn *txn, const char *name, unsigned max,
                     int64_t lease_ms, job_lease_fn each, void *arg, unsigned *count)
{
    *count = 0;
    struct queue *queue = queue_find(queues, name);
    if (!queue)
        return ERR_NOT_FOUND;
    if (lease_ms <= 0 || lease_ms > LEASE_MAX_MS)
        return ERR_VALIDATION;
    struct lease_terms terms = {
        .max = max, .lease_ms = lease_ms, .by_hand = true, .each = each, .arg = arg};
    struct change *change = change_begin(queue, txn);
    change_do_due(change, due_most(queue));
    *count = lease_take(change, &terms);
    change_end(change);
    return txn_error(txn);
}

/* A queue that is not configured any more has leased nothing today. */
static enum err end_by_hand(struct queues *queues, struct txn *txn, const struct job_lease *lease,
                            enum job_outcome outcome, struct slice reason)
{
    struct job_status status;
    txn_shrinking(txn);
    enum err err = status_get(queues, txn, &lease->job, &status);
    if (err != ERR_OK)
        return err == ERR_NOT_FOUND ? ERR_STALE : err;
    struct queue *queue = queue_find_slice(queues, status.fields[FIELD_QUEUE]);
    if (!queue || !is_held(lease, &status))
        return ERR_STALE;
    struct change *change = change_begin(queue, txn);
    end(change, lease, &status, outcome, reason);
    change_end(change);
    return txn_error(txn);
}

enum err queue_ack(struct queues *queues, struct txn *txn, const struct job_lease *lease)
{
    return end_by_hand(queues, txn, lease, OUTCOME_DONE, slice_of("", 0));
}

enum err queue_fail(struct queues *queues, struct txn *txn, const struct job_lease *lease,
                    struct slice reason)
{
    return end_by_hand(queues, txn, lease, OUTCOME_FAILED, reason);
}
