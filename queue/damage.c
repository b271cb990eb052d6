/* What is done about damage.
 *
 * DESIGN. A checksum covers a record and its key, but nothing covers the keys of the index; and a
 * key that is damaged stands where it does not belong in the order, so that a search for others may
 * end in front of it. Therefore three things are asked of whatever is read: is it whole, do entry
 * and record say the same, and is what has to be there found. Whoever gets another answer calls
 * this file, which, in the same transaction, sorts in what a search does not find, ends the job
 * that cannot be read (dead, its bytes kept) and leaves each other job one entry, made from its
 * record. Each step takes away what was damaged, so that nothing is met twice. */
#include "base/log.h"
#include "queue/queue_private.h"
#include "storage/key.h"

#include <stdio.h>

#define REACH           256  /* entries either way that a damaged key may hide from a search */
#define RAW_MAX         1024 /* bytes that are kept of a damaged state */
#define NOTES_MAX       8    /* lines of the log for one change */
#define LEASED_SEARCHES 256  /* of ENTRIES_AT_ONCE */

struct damage_note {
    struct damage_note *next;
    const char *what;
    char job[ID_TEXT_SIZE]; /* "" for none */
};

void damage_note(struct change *change, const struct id *id, const char *what)
{
    struct damage_note *note = txn_alloc(change->txn, sizeof *note);
    *note = (struct damage_note){.next = change->notes, .what = what};
    if (id)
        id_format(id, note->job);
    change->notes = note;
    change->damaged++;
}

void damage_log(const struct change *change)
{
    const struct queue *queue = change->queue;
    unsigned said = 0;
    for (const struct damage_note *note = change->notes; note && said < NOTES_MAX; said++) {
        store_damaged(queue->queues->store, "queue %s%s%s, %s", queue->name,
                      note->job[0] ? ", job " : "", note->job, note->what);
        note = note->next;
    }
    if (change->damaged > said)
        store_damaged(queue->queues->store, "queue %s, %u more", queue->name,
                      change->damaged - said);
}

/* ---- What a walk sees and a search does not find. */

struct stray {
    struct stray *next;
    struct slice key, value;
};

static struct slice copy_of(struct txn *txn, struct slice bytes)
{
    char *copy = txn_alloc(txn, bytes.len + 1);
    if (bytes.len > 0)
        memcpy(copy, bytes.ptr, bytes.len);
    return slice_of(copy, bytes.len);
}

/* To REACH entries before where a search for `near` ends. */
static enum err seek_before(struct cursor *cursor, struct slice near)
{
    enum err err = cursor_seek(cursor, near);
    if (err == ERR_NOT_FOUND)
        err = cursor_seek_before(cursor, slice_of("", 0));
    for (int i = 0; i < REACH && err == ERR_OK; i++)
        if (cursor_prev(cursor) != ERR_OK)
            return cursor_seek(cursor, slice_of("", 0));
    return err;
}

/* A search does not end at this very entry, but at none, or at another of the same key. */
static bool is_stray(struct txn *txn, struct table table, const struct cursor *cursor)
{
    struct slice value;
    return cursor_has_key(cursor) &&
           (txn_get(txn, table, cursor->key, &value) != ERR_OK || value.ptr != cursor->value.ptr);
}

/* The entry that the cursor stands on, copied and deleted. */
static struct stray *take(struct txn *txn, struct cursor *cursor)
{
    struct stray *stray = txn_alloc(txn, sizeof *stray);
    *stray = (struct stray){NULL, copy_of(txn, cursor->key), copy_of(txn, cursor->value)};
    cursor_del(cursor);
    return stray;
}

/* Takes out the first entry about `near` that a search does not find; NULL if there is none. */
static struct stray *take_stray(struct txn *txn, struct table table, struct slice near)
{
    struct cursor cursor;
    cursor_open(&cursor, txn, table);
    enum err err = seek_before(&cursor, near);
    int left = 2 * REACH;
    while (err == ERR_OK && left > 0 && !is_stray(txn, table, &cursor)) {
        err = cursor_next(&cursor);
        left--;
    }
    struct stray *stray = err == ERR_OK && left > 0 ? take(txn, &cursor) : NULL;
    cursor_close(&cursor);
    return stray;
}

void table_sort_in(struct txn *txn, struct table table, struct slice near)
{
    struct stray *strays = NULL, *stray;
    for (int i = 0; i < REACH && (stray = take_stray(txn, table, near)); i++) {
        stray->next = strays;
        strays = stray;
    }
    struct slice value;
    for (; strays; strays = strays->next)
        if (txn_get(txn, table, strays->key, &value) == ERR_NOT_FOUND)
            txn_put(txn, table, strays->key, strays->value);
}

static void sort_in_job(struct change *change, const struct id *id)
{
    struct key key = id_key(id);
    table_sort_in(change->txn, change->queue->queues->jobs, key_slice(&key));
    table_sort_in(change->txn, change->queue->queues->states, key_slice(&key));
}

/* ---- Entries. */

/* Deletes an entry that is not where it belongs, but near the front of its state. */
static bool entry_expel(struct change *change, const struct index_entry *entry)
{
    struct key key = job_index_key(change->queue, entry);
    const struct key *prefix = job_index_state(change->queue, entry->state);
    struct cursor cursor;
    cursor_open(&cursor, change->txn, change->queue->queues->index);
    enum err err = cursor_seek(&cursor, key_slice(prefix));
    bool found = false;
    for (int i = 0; i < REACH && err == ERR_OK && !found; i++) {
        found = slice_eq(cursor.key, key_slice(&key));
        err = found ? cursor_del(&cursor) : cursor_next(&cursor);
    }
    cursor_close(&cursor);
    return found;
}

void entry_del(struct change *change, const struct index_entry *entry)
{
    if (index_del(change->queue, change->txn, entry))
        return;
    struct key key = job_index_key(change->queue, entry);
    damage_note(change, &entry->id, "its index entry was not found");
    change->recount = true;
    if (entry_expel(change, entry))
        return;
    table_sort_in(change->txn, change->queue->queues->index, key_slice(&key));
    index_del(change->queue, change->txn, entry);
}

void index_key_mend(struct change *change, struct slice key)
{
    damage_note(change, NULL, "an index entry could not be read");
    change->recount = true;
    if (key.len < ID_KEY_SIZE)
        return;
    struct slice last = slice_of(key.ptr + key.len - ID_KEY_SIZE, ID_KEY_SIZE);
    struct id id;
    if (key_take_id(&last, &id))
        job_mend(change, &id);
}

/* ---- Jobs that cannot be read. */

/* What can be known of it without its status. */
static void salvage(struct change *change, const struct id *id, struct job_status *status)
{
    struct queues *queues = change->queue->queues;
    struct key key = id_key(id);
    struct slice raw;
    if (txn_get(change->txn, queues->states, key_slice(&key), &raw) == ERR_OK) {
        raw.len = raw.len < RAW_MAX ? raw.len : RAW_MAX;
        status->fields[FIELD_DAMAGED] = copy_of(change->txn, raw);
    }
    if (txn_get(change->txn, queues->jobs, key_slice(&key), &raw) == ERR_OK)
        status->payload_len = (uint32_t)raw.len;
    struct job_body body;
    if (body_get(queues, change->txn, id, &body) != ERR_OK)
        return;
    status->priority = body.priority;
    status->attempts_max = body.attempts_max;
    status->payload_len = (uint32_t)body.payload.len;
    status->enqueued_ms = body.enqueued_ms;
    status->fields[FIELD_TYPE] = copy_of(change->txn, slice_str(body.type));
}

/* A status for a job that has none that can be read, or whose body cannot. */
static void status_of_damaged(struct change *change, const struct id *id, const char *why,
                              struct job_status *out)
{
    if (status_get(change->queue->queues, change->txn, id, out) != ERR_OK) {
        *out = (struct job_status){0};
        salvage(change, id, out);
    }
    out->state = JOB_DEAD;
    out->when_ms = change->now_ms;
    out->token = 0;
    out->fields[FIELD_QUEUE] = slice_str(change->queue->name);
    out->fields[FIELD_REASON] = slice_str(why);
}

/* `from` may be NULL: it has no entry that is known. What was finished stays finished. */
static void job_end_damaged(struct change *change, const struct id *id,
                            const struct index_entry *from, const char *why)
{
    struct job_status status;
    damage_note(change, id, why);
    status_of_damaged(change, id, why, &status);
    if (from && state_is_finished(from->state)) {
        status.state = from->state;
        status.when_ms = from->order;
        change->recount = true;
    } else {
        change->died++;
    }
    if (from) {
        job_move(change, id, from, &status);
        return;
    }
    change->recount = true;
    struct slice encoded = status_encode(change->txn, &status);
    change_add(change, id, &status);
    status_put(change->queue->queues, change->txn, id, encoded);
}

const char *job_fault(struct queues *queues, struct txn *txn, const struct id *id,
                      struct job_status *status, enum err *err)
{
    struct job_body body;
    enum err body_err = body_get(queues, txn, id, &body);
    *err = status_get(queues, txn, id, status);
    if (*err == ERR_DAMAGED)
        return "its state is damaged";
    bool unused = *err == ERR_OK && state_is_finished(status->state);
    if (body_err == ERR_DAMAGED && !unused)
        return "its record is damaged";
    if (*err == ERR_OK && body_err == ERR_NOT_FOUND && !unused)
        return "its record is missing";
    if (*err == ERR_NOT_FOUND && body_err == ERR_OK) {
        status_init(status, &body);
        *err = ERR_OK;
    }
    return NULL;
}

/* The entry of a job whose status, which has the order, cannot be read: only leases are searched
 * for it, which are few, and it would count as leased until the lease is over. */
static bool find_leased(struct change *change, const struct id *id, struct index_entry *out)
{
    struct index_entry entries[ENTRIES_AT_ONCE];
    const struct index_entry *after = NULL;
    unsigned count = ENTRIES_AT_ONCE;
    for (int i = 0; i < LEASED_SEARCHES && count == ENTRIES_AT_ONCE; i++) {
        count = change_entries(change, JOB_RUNNING, after, entries, ENTRIES_AT_ONCE);
        for (unsigned e = 0; e < count; e++)
            if (id_compare(&entries[e].id, id) == 0) {
                *out = entries[e];
                return true;
            }
        *out = entries[ENTRIES_AT_ONCE - 1];
        after = out;
    }
    return false;
}

void job_mend(struct change *change, const struct id *id)
{
    struct job_status status;
    change_write(change);
    struct index_entry leased;
    enum err err;
    const char *fault = job_fault(change->queue->queues, change->txn, id, &status, &err);
    if (fault) {
        job_end_damaged(change, id, find_leased(change, id, &leased) ? &leased : NULL, fault);
        change_write(change);
        return;
    }
    struct index_entry entry = index_entry_of(&status, id);
    if (err != ERR_OK || !slice_is(status.fields[FIELD_QUEUE], change->queue->name) ||
        index_has(change->queue, change->txn, &entry))
        return;
    damage_note(change, id, "its index entry was missing");
    change->recount = true;
    index_put(change->queue, change->txn, &entry);
}

/* The entry says something else than the job, or the job cannot be read. */
static void entry_mend(struct change *change, const struct index_entry *entry)
{
    struct job_status status;
    enum err err;
    change_write(change);
    sort_in_job(change, &entry->id);
    const char *fault = job_fault(change->queue->queues, change->txn, &entry->id, &status, &err);
    if (!fault && err == ERR_OK) {
        struct index_entry right = index_entry_of(&status, &entry->id);
        if (index_entry_eq(&right, entry))
            return;
    }
    bool timed = entry->order > PRIORITY_MAX; /* the entry was made with a state that is gone */
    if (!fault && err == ERR_OK && timed && status.state == JOB_READY && status.attempt == 0)
        fault = "its state is missing";
    if (fault) {
        job_end_damaged(change, &entry->id, entry, fault);
        change_write(change);
        return;
    }
    damage_note(change, &entry->id, "an index entry was not the job's");
    change->recount = true;
    entry_del(change, entry);
    job_mend(change, &entry->id);
}

enum err entry_job(struct change *change, const struct index_entry *entry, struct job_body *body,
                   struct job_status *status)
{
    for (int mended = 0;; mended++) {
        enum err err = job_get(change->queue->queues, change->txn, &entry->id, body, status);
        if (txn_error(change->txn) != ERR_OK)
            return txn_error(change->txn);
        struct index_entry right;
        if (err == ERR_OK) {
            right = index_entry_of(status, &entry->id);
            if (index_entry_eq(&right, entry))
                return ERR_OK;
        }
        if (mended > 0)
            return ERR_DAMAGED;
        entry_mend(change, entry);
    }
}

enum err status_find(struct change *change, const struct id *id, struct job_status *out)
{
    struct queues *queues = change->queue->queues;
    enum err err = status_get(queues, change->txn, id, out);
    struct job_body body;
    if (err != ERR_NOT_FOUND || body_get(queues, change->txn, id, &body) != ERR_OK)
        return err;
    change_write(change);
    sort_in_job(change, id);
    err = status_get(queues, change->txn, id, out);
    if (err == ERR_OK)
        damage_note(change, id, "its state was not found where it belongs");
    return err;
}

void statuses_mend(struct change *change, const struct job_write *writes, unsigned count)
{
    struct queues *queues = change->queue->queues;
    damage_note(change, NULL, "the key of a state is not where it belongs");
    for (unsigned i = 0; i < count; i++) {
        struct key key = id_key(&writes[i].id);
        table_sort_in(change->txn, queues->states, key_slice(&key));
    }
    for (unsigned i = 0; i < count; i++)
        status_put(queues, change->txn, &writes[i].id, writes[i].status);
}
