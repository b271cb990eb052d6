/* How many jobs of a queue are in which state: kept by the transactions that move them, and made
 * again from the index when that record is damaged. */
#include "queue/queue_private.h"
#include "storage/key.h"

#define COUNTS_FORMAT_1 1
#define COUNTS_FORMAT   2

struct counts_head { /* then for each state its jobs and their bytes */
    uint64_t format;
    int64_t time_ms;
    uint64_t states;
};
_Static_assert(sizeof(struct counts_head) == 24, "on disk");

#define STATES_1 6

#define BREAKS_MAX    64 /* of the index's order that are mended at once */
#define TIME_TRUST_MS (366LL * 86400000)

/* Among the bodies, of which those that change are near: the states are then left alone by commits
 * that only enqueue. */
static struct key counts_key(const struct queue *queue)
{
    struct key key;
    key_init(&key);
    key_add_string(&key, slice_str(queue->name));
    return key;
}

static bool decode_1(struct slice bytes, struct counts *out)
{
    uint64_t numbers[1 + STATES_1];
    if (bytes.len != sizeof numbers)
        return false;
    memcpy(numbers, bytes.ptr, sizeof numbers);
    memcpy(out->jobs, numbers + 1, sizeof numbers - sizeof numbers[0]);
    return numbers[0] == COUNTS_FORMAT_1;
}

/* A record of an older program has fewer states. */
static bool decode_2(struct slice bytes, struct counts *out)
{
    struct counts_head head;
    if (bytes.len < sizeof head)
        return false;
    memcpy(&head, bytes.ptr, sizeof head);
    uint64_t numbers[2 * JOB_STATES] = {0};
    if (head.format != COUNTS_FORMAT || head.states > JOB_STATES ||
        bytes.len != sizeof head + head.states * 2 * sizeof numbers[0])
        return false;
    memcpy(numbers, bytes.ptr + sizeof head, bytes.len - sizeof head);
    for (unsigned state = 0; state < JOB_STATES; state++) {
        out->jobs[state] = numbers[2 * state];
        out->bytes[state] = numbers[2 * state + 1];
    }
    out->time_ms = head.time_ms;
    return true;
}

/* Whether the queue, which has no counts, has jobs. */
static bool has_jobs(struct queue *queue, struct txn *txn)
{
    const struct key *prefix = &queue->prefix;
    struct cursor cursor;
    cursor_open(&cursor, txn, queue->queues->index);
    bool found =
        cursor_seek(&cursor, key_slice(prefix)) == ERR_OK && key_has_prefix(cursor.key, prefix);
    cursor_close(&cursor);
    return found;
}

enum err counts_get(struct queue *queue, struct txn *txn, struct counts *out)
{
    *out = (struct counts){0};
    struct key key = counts_key(queue);
    struct record record;
    enum err err = record_try(txn, queue->queues->states, key_slice(&key), &record);
    if (err == ERR_NOT_FOUND)
        err = record_try(txn, queue->queues->jobs, key_slice(&key), &record);
    if (err == ERR_NOT_FOUND)
        return has_jobs(queue, txn) ? ERR_DAMAGED : ERR_OK;
    if (err != ERR_OK)
        return err;
    if (decode_2(record.payload, out) || decode_1(record.payload, out))
        return ERR_OK;
    *out = (struct counts){0};
    return ERR_DAMAGED;
}

void counts_put(struct queue *queue, struct txn *txn, const struct counts *counts)
{
    struct {
        struct counts_head head;
        uint64_t numbers[2 * JOB_STATES];
    } record = {{COUNTS_FORMAT, counts->time_ms, JOB_STATES}, {0}};
    for (unsigned state = 0; state < JOB_STATES; state++) {
        record.numbers[2 * state] = counts->jobs[state];
        record.numbers[2 * state + 1] = counts->bytes[state];
    }
    struct key key = counts_key(queue);
    record_put(txn, queue->queues->jobs, key_slice(&key), 1, slice_of(&record, sizeof record));
    if (!queue->counts_moved)
        txn_del(txn, queue->queues->states, key_slice(&key));
}

/* An id begins with the queues' time of its making. */
int64_t id_time_ms(const struct id *id)
{
    int64_t time_ms = 0;
    for (int i = 0; i < 6; i++)
        time_ms = time_ms << 8 | id->bytes[i];
    return time_ms;
}

/* An id of a time that has not come for long is a damaged one. */
static void count(struct queue *queue, struct txn *txn, const struct index_entry *entry,
                  struct counts *counts)
{
    counts->jobs[entry->state]++;
    int64_t time_ms = id_time_ms(&entry->id);
    if (time_ms > counts->time_ms && time_ms - txn_now_ms(txn) < TIME_TRUST_MS)
        counts->time_ms = time_ms;
    struct job_status status;
    if (state_is_finished(entry->state) &&
        status_get(queue->queues, txn, &entry->id, &status) == ERR_OK)
        counts->bytes[entry->state] += status.payload_len;
}

/* One walk, in full or in the time that a read may take. False, with the keys on both sides, where
 * the order is broken. */
static bool count_all(struct queue *queue, struct txn *txn, struct counts *out,
                      struct key around[2], bool full)
{
    const struct key *prefix = &queue->prefix;
    around[0] = *prefix;
    bool ordered = true;
    struct cursor cursor;
    cursor_open(&cursor, txn, queue->queues->index);
    enum err err = cursor_seek(&cursor, key_slice(prefix));
    for (; err == ERR_OK && key_has_prefix(cursor.key, prefix); err = cursor_next(&cursor)) {
        ordered = key_order(key_slice(&around[0]), cursor.key) <= 0;
        around[ordered ? 0 : 1] = key_copy(cursor.key);
        if (!ordered || (!full && txn_out_of_time(txn)))
            break;
        struct index_entry entry;
        struct slice rest = slice_of(cursor.key.ptr + prefix->len, cursor.key.len - prefix->len);
        if (index_take_entry(rest, &entry))
            count(queue, txn, &entry, out);
    }
    cursor_close(&cursor);
    return ordered;
}

void counts_make(struct queue *queue, struct txn *txn, struct counts *out, bool mend)
{
    struct key around[2];
    const struct counts empty = {.time_ms = out->time_ms};
    const struct key *prefix = &queue->prefix;
    if (mend)
        table_sort_in(txn, queue->queues->index, key_slice(prefix));
    for (int i = 0; i < BREAKS_MAX; i++) {
        *out = empty;
        if (count_all(queue, txn, out, around, true) || !mend)
            return;
        table_sort_in(txn, queue->queues->index, key_slice(&around[0]));
        table_sort_in(txn, queue->queues->index, key_slice(&around[1]));
    }
}

bool counts_sum(struct queue *queue, struct txn *txn, struct counts *out)
{
    struct key around[2];
    *out = (struct counts){0};
    count_all(queue, txn, out, around, false);
    return !txn_out_of_time(txn);
}

bool counts_eq(const struct counts *a, const struct counts *b)
{
    return memcmp(a->jobs, b->jobs, sizeof a->jobs) == 0 &&
           memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

/* ---- The tally. */

static struct index_entry begin_of(enum job_state state)
{
    return (struct index_entry){.state = state, .order = INT64_MIN};
}

static void tally_entry(struct change *change, const struct index_entry *entry)
{
    struct tally *tally = &change->counts.tally;
    struct job_status status;
    tally->jobs[entry->state]++;
    if (state_is_finished(entry->state) &&
        status_get(change->queue->queues, change->txn, &entry->id, &status) == ERR_OK)
        tally->bytes[entry->state] += status.payload_len;
    tally->last = *entry;
}

bool counts_tally(struct change *change, unsigned max)
{
    struct tally *tally = &change->counts.tally;
    struct index_entry entries[ENTRIES_AT_ONCE];
    if (!tally->on)
        *tally = (struct tally){.on = true, .last = begin_of(0)};
    while (max > 0 && tally->last.state < JOB_STATES && !change->recount) {
        unsigned wanted = max < ENTRIES_AT_ONCE ? max : ENTRIES_AT_ONCE;
        unsigned count = change_entries(change, tally->last.state, &tally->last, entries, wanted);
        for (unsigned i = 0; i < count; i++)
            tally_entry(change, &entries[i]);
        if (count < wanted)
            tally->last = begin_of(tally->last.state + 1);
        max -= count;
    }
    return tally->last.state == JOB_STATES;
}

bool counts_believe_tally(struct counts *counts)
{
    struct tally *tally = &counts->tally;
    if (!tally->on || tally->last.state != JOB_STATES)
        return false;
    memcpy(counts->jobs, tally->jobs, sizeof counts->jobs);
    memcpy(counts->bytes, tally->bytes, sizeof counts->bytes);
    tally->on = false;
    return true;
}
