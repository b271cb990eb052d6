/* Changes of a queue: jobs move between states, and those who wait learn of it at the commit. */
#include "queue/queue_private.h"

#include "base/log.h"
#include "storage/key.h"

static void read_counts(struct change *change)
{
    struct queue *queue = change->queue;
    uint64_t attempt = txn_attempt(change->txn);
    bool pending = attempt != 0 && queue->pending_attempt == attempt;
    if (pending || (queue->published && attempt != 0)) {
        change->counts = pending ? queue->pending : queue->counts;
        return;
    }
    if (counts_get(queue, change->txn, &change->counts) != ERR_DAMAGED)
        return;
    damage_note(change, NULL, "the counts of its jobs were made again");
    change->recount = true;
    counts_make(queue, change->txn, &change->counts, true);
}

struct change *change_begin(struct queue *queue, struct txn *txn)
{
    struct change *change = txn_alloc(txn, sizeof *change);
    *change = (struct change){
        .queue = queue, .txn = txn, .now_ms = queues_now_ms(queue->queues), .due_ms = NEVER_MS};
    read_counts(change);
    change->before = change->counts;
    return change;
}

/* However many changes a commit has, it has the counts once. */
static enum err write_counts(struct txn *txn, void *arg)
{
    struct queue *queue = arg;
    counts_put(queue, txn, &queue->pending);
    return txn_error(txn);
}

/* For the next change of the same commit. */
static void leave_for_next(struct change *change)
{
    struct queue *queue = change->queue;
    queue->pending = change->counts;
    queue->pending_attempt = txn_attempt(change->txn);
}

static void leave_counts(struct change *change)
{
    struct queue *queue = change->queue;
    change->counted = true;
    leave_for_next(change);
    if (queue->pending_attempt == 0)
        write_counts(change->txn, queue);
    else
        txn_before_commit(change->txn, write_counts, queue);
}

/* Brings the timer forward. Threads: holds queues->lock. */
static void arm_timer(struct queues *queues, int64_t at_ms)
{
    if (!queues->timer || at_ms >= queues->timer_ms)
        return;
    queues->timer_ms = at_ms;
    int64_t in_ms = at_ms - queues_now_ms(queues);
    timer_wake_in(queues->timer, in_ms > 1 ? in_ms : 1);
}

/* The on-commit action. Changes are published in the order in which they were made, so that the
 * last one's counts are the committed ones. */
static void publish(void *arg)
{
    struct change *change = arg;
    struct queue *queue = change->queue;
    struct queues *queues = queue->queues;
    lock_acquire(&queues->lock);
    queue->counts = change->counts;
    queue->published = true;
    queue->counts_moved |= change->counted;
    if (change->all_due || change->due_ms < queue->due_ms)
        queue->due_ms = change->due_ms;
    queue->completed += change->completed;
    queue->failed += change->failed;
    queue->died += change->died;
    queue->damaged += change->damaged;
    arm_timer(queues, queue->due_ms);
    queue_wake_for_ready(queue);
    if (queue->counts.jobs[JOB_READY] + queue->counts.jobs[JOB_RUNNING] == 0)
        lock_cond_broadcast(&queues->news);
    lock_leave(&queues->lock);
    damage_log(change);
    if (change->damaged > 0 && queues->on_damage)
        queues->on_damage(queues->on_damage_arg);
    if (change->died > 0)
        log_write(LOG_WARN, "queue", "Jobs of %s that have died: %u.", queue->name, change->died);
}

static void note_due(struct change *change, int64_t at_ms)
{
    if (at_ms < change->due_ms)
        change->due_ms = at_ms;
}

void change_end(struct change *change)
{
    change_write(change);
    if (change->recount) {
        counts_make(change->queue, change->txn, &change->counts, true);
        note_due(change, change->now_ms); /* what was mended may be due, or ready */
    }
    if (change->recount || change->before.time_ms != change->counts.time_ms ||
        !counts_eq(&change->before, &change->counts)) {
        if (change->counts.time_ms < change->now_ms)
            change->counts.time_ms = change->now_ms;
        leave_counts(change);
    } else if (change->before.tally.on || change->counts.tally.on) {
        leave_for_next(change);
    }
    txn_on_commit(change->txn, publish, NULL, change);
}

static int64_t keep_ms(const struct queues *queues, enum job_state state)
{
    return state == JOB_DEAD ? queues->dead_keep_ms : queues->completed_keep_ms;
}

/* When something happens to this job by itself: its state ends, or it is forgotten because it is
 * old or one too many. */
static int64_t entry_due_ms(const struct change *change, const struct index_entry *entry)
{
    const struct queues *queues = change->queue->queues;
    if (entry->state == JOB_READY || entry->state == JOB_WAITING)
        return NEVER_MS;
    if (!state_is_finished(entry->state))
        return entry->order;
    if (change->counts.jobs[entry->state] > queues->finished_max ||
        change->counts.bytes[entry->state] > queues->finished_bytes_max)
        return change->now_ms;
    return entry->order + keep_ms(queues, entry->state);
}

/* ---- Jobs come, move and go. */

static bool is_tallied(const struct tally *tally, const struct index_entry *entry)
{
    return tally->on && index_entry_order(entry, &tally->last) <= 0;
}

static void count_in(struct change *change, const struct index_entry *entry, uint64_t bytes)
{
    struct counts *counts = &change->counts;
    if (!state_is_finished(entry->state))
        bytes = 0;
    counts->jobs[entry->state]++;
    counts->bytes[entry->state] += bytes;
    if (!is_tallied(&counts->tally, entry))
        return;
    counts->tally.jobs[entry->state]++;
    counts->tally.bytes[entry->state] += bytes;
}

static void count_out(struct change *change, const struct index_entry *entry, uint64_t bytes)
{
    struct counts *counts = &change->counts;
    enum job_state state = entry->state;
    if (!state_is_finished(state))
        bytes = 0;
    if (is_tallied(&counts->tally, entry)) {
        counts->tally.jobs[state]--;
        counts->tally.bytes[state] -= bytes;
    }
    if (counts->jobs[state] == 0 || counts->bytes[state] < bytes) {
        change->recount = true; /* an entry that was damaged when they were last made */
        return;
    }
    counts->jobs[state]--;
    counts->bytes[state] -= bytes;
}

void change_add(struct change *change, const struct id *id, const struct job_status *status)
{
    struct index_entry entry = index_entry_of(status, id);
    index_put(change->queue, change->txn, &entry);
    count_in(change, &entry, status->payload_len);
    int64_t time_ms = id_time_ms(id);
    if (time_ms > change->counts.time_ms)
        change->counts.time_ms = time_ms;
    note_due(change, entry_due_ms(change, &entry));
}

static void write_statuses(struct change *change, const struct job_write *writes, unsigned count)
{
    struct queues *queues = change->queue->queues;
    uint64_t most = txn_table_count(change->txn, queues->states);
    for (unsigned i = 0; i < count; i++) {
        status_put(queues, change->txn, &writes[i].id, writes[i].status);
        most += writes[i].is_new;
    }
    if (txn_table_count(change->txn, queues->states) > most)
        statuses_mend(change, writes, count);
}

/* Table by table, so that each write finds its place beside the one before. */
void change_write(struct change *change)
{
    struct queues *queues = change->queue->queues;
    const struct job_write *writes = change->writes;
    unsigned count = change->write_count;
    change->write_count = 0;
    for (unsigned i = 0; i < count; i++)
        if (!writes[i].is_claimed)
            entry_del(change, &writes[i].from);
    for (unsigned i = 0; i < count; i++)
        index_put(change->queue, change->txn, &writes[i].to);
    write_statuses(change, writes, count);
    for (unsigned i = 0; i < count; i++)
        if (writes[i].drops_body)
            body_del(queues, change->txn, &writes[i].id);
}

static void add_write(struct change *change, const struct job_write *write)
{
    if (!change->writes)
        change->writes = txn_alloc(change->txn, WRITES_AT_ONCE * sizeof *change->writes);
    if (change->write_count == WRITES_AT_ONCE)
        change_write(change);
    change->writes[change->write_count++] = *write;
}

static void move(struct change *change, struct job_write write, const struct job_status *status)
{
    write.to = index_entry_of(status, &write.id);
    write.status = status_encode(change->txn, status);
    write.is_new = !status->stored;
    add_write(change, &write);
    count_out(change, &write.from, status->payload_len);
    count_in(change, &write.to, status->payload_len);
    note_due(change, entry_due_ms(change, &write.to));
}

void job_move(struct change *change, const struct id *id, const struct index_entry *from,
              const struct job_status *status)
{
    move(change, (struct job_write){.id = *id, .from = *from}, status);
}

void job_move_dropping_body(struct change *change, const struct id *id,
                            const struct index_entry *from, const struct job_status *status)
{
    move(change, (struct job_write){.id = *id, .from = *from, .drops_body = true}, status);
}

void job_move_claimed(struct change *change, const struct id *id, const struct index_entry *from,
                      const struct job_status *status)
{
    move(change, (struct job_write){.id = *id, .from = *from, .is_claimed = true}, status);
}

void change_forget(struct change *change, const struct index_entry *entry)
{
    struct job_status status = {0};
    change_write(change);
    enum err err = status_get(change->queue->queues, change->txn, &entry->id, &status);
    bool never_ran = err == ERR_NOT_FOUND && entry->state == JOB_READY;
    if (err && !never_ran) {
        damage_note(change, &entry->id, "its state was damaged when it was forgotten");
        change->recount = true;
    }
    uint64_t bytes = status.payload_len;
    entry_del(change, entry);
    job_del(change->queue->queues, change->txn, &entry->id);
    count_out(change, entry, bytes);
}

/* The delay is over. */
static void become_ready(struct change *change, const struct index_entry *entry)
{
    struct job_status status;
    if (entry_job(change, entry, NULL, &status) != ERR_OK)
        return;
    status.state = JOB_READY;
    job_move(change, &entry->id, entry, &status);
}

/* ---- What is in the index. */

/* Takes out what a walk has shown. */
static void expel(struct cursor *cursor, const struct key *from, const struct cursor_entry *entry)
{
    enum err err = cursor_seek(cursor, key_slice(from));
    while (err == ERR_OK && cursor->key.ptr != entry->key.ptr)
        err = cursor_next(cursor);
    if (err == ERR_OK)
        cursor_del(cursor);
}

/* A position in the index, and what it has read ahead. */
struct look {
    struct cursor cursor;
    struct cursor_entry entries[ENTRIES_AT_ONCE];
    unsigned count;
};

static enum err look_at_first(struct look *look, const struct key *from)
{
    enum err err = cursor_seek(&look->cursor, key_slice(from));
    look->entries[0] = (struct cursor_entry){look->cursor.key, look->cursor.value};
    look->count = 1;
    return err;
}

/* Reads what `look` has of a state, at most up to `max` in all. NULL, or what cannot be read; *end:
 * there is no more of it. */
static const struct cursor_entry *read_look(const struct change *change, const struct look *look,
                                            const struct key *prefix, const struct key *from,
                                            struct index_entry *out, unsigned *count, bool *end)
{
    for (unsigned i = 0; i < look->count; i++) {
        const struct slice key = look->entries[i].key;
        *end = !key_has_prefix(key, prefix);
        if (*end)
            return NULL;
        if (!key_is_possible(key) || slice_eq(key, key_slice(from)))
            continue; /* the verification tells of the former */
        if (!index_take_key(change->queue, key, &out[*count]))
            return &look->entries[i];
        ++*count;
    }
    return NULL;
}

/* One walk. True if it met a key that cannot be read, which is taken out: walk again. */
static bool walk(struct change *change, const struct key *prefix, const struct index_entry *after,
                 struct index_entry *out, unsigned max, unsigned *count)
{
    change_write(change);
    struct key from = after ? job_index_key(change->queue, after) : *prefix, damaged;
    const struct cursor_entry *unreadable = NULL;
    bool end = false;
    struct look look;
    cursor_open(&look.cursor, change->txn, change->queue->queues->index);
    enum err err = look_at_first(&look, &from);
    for (*count = 0; err == ERR_OK && !end;) {
        unreadable = read_look(change, &look, prefix, &from, out, count, &end);
        if (unreadable || end || *count == max)
            break;
        err = cursor_fetch(&look.cursor, false, key_slice(prefix), max - *count, look.entries,
                           &look.count);
    }
    if (unreadable) {
        damaged = key_copy(unreadable->key);
        expel(&look.cursor, &from, unreadable);
    }
    cursor_close(&look.cursor);
    if (unreadable)
        index_key_mend(change, key_slice(&damaged));
    return unreadable;
}

unsigned change_entries(struct change *change, enum job_state state,
                        const struct index_entry *after, struct index_entry *out, unsigned max)
{
    const struct key *prefix = job_index_state(change->queue, state);
    unsigned count;
    while (walk(change, prefix, after, out, max, &count))
        continue;
    return txn_error(change->txn) == ERR_OK ? count : 0;
}

/* ---- What happens by itself. */

/* What happens to the jobs of a state when they are due. */
struct rule {
    enum job_state state;
    void (*act)(struct change *change, const struct index_entry *entry);
};

static const struct rule rules[] = {
    {JOB_RUNNING, lease_lose},      {JOB_SCHEDULED, become_ready},  {JOB_RETRYING, become_ready},
    {JOB_COMPLETED, change_forget}, {JOB_CANCELLED, change_forget}, {JOB_DEAD, change_forget},
};

/* Whether there should have been entries: then they have been sorted in and counted again. */
static bool are_missing(struct change *change, unsigned count)
{
    if (count > 0 || txn_error(change->txn) != ERR_OK)
        return false;
    damage_note(change, NULL, "its index has fewer jobs than it counts");
    change->recount = true;
    counts_make(change->queue, change->txn, &change->counts, true);
    return true;
}

/* The next entries of a state that has some, as it counts. */
static unsigned front(struct change *change, enum job_state state, struct index_entry *out,
                      unsigned max)
{
    if (change->counts.jobs[state] == 0)
        return 0;
    unsigned count = change_entries(change, state, NULL, out, max);
    return are_missing(change, count) ? change_entries(change, state, NULL, out, max) : count;
}

/* Puts back the keys that can be read; the others are gone, and their jobs mended. */
static void mend_claimed(struct change *change, const struct slice *keys, unsigned count)
{
    struct index_entry entry;
    for (unsigned i = 0; i < count; i++)
        if (index_take_key(change->queue, keys[i], &entry))
            index_put(change->queue, change->txn, &entry);
    for (unsigned i = 0; i < count; i++)
        if (!index_take_key(change->queue, keys[i], &entry))
            index_key_mend(change, keys[i]);
}

/* False if some of those that were claimed cannot be read: claim again. */
static bool claim(struct change *change, struct index_entry *out, unsigned max, unsigned *count)
{
    const struct key *prefix = job_index_state(change->queue, JOB_READY);
    struct slice keys[ENTRIES_AT_ONCE];
    bool sound = true;
    change_write(change);
    txn_claim(change->txn, change->queue->queues->index, key_slice(prefix), max, keys, count);
    for (unsigned i = 0; i < *count && sound; i++)
        sound = index_take_key(change->queue, keys[i], &out[i]);
    if (!sound)
        mend_claimed(change, keys, *count);
    return sound;
}

static unsigned claim_ready(struct change *change, struct index_entry *out, unsigned max)
{
    unsigned count;
    while (!claim(change, out, max, &count))
        continue;
    return txn_error(change->txn) == ERR_OK ? count : 0;
}

unsigned change_claim(struct change *change, struct index_entry *out, unsigned max)
{
    if (change->counts.jobs[JOB_READY] == 0)
        return 0;
    unsigned count = claim_ready(change, out, max);
    return are_missing(change, count) ? claim_ready(change, out, max) : count;
}

void change_unclaim(struct change *change, const struct index_entry *entry)
{
    index_put(change->queue, change->txn, entry);
}

/* Returns when the state's first job that is left is due. */
static int64_t apply(struct change *change, const struct rule *rule, unsigned *budget)
{
    struct index_entry entries[ENTRIES_AT_ONCE];
    unsigned count, max = 1; /* mostly nothing is due: only then more are worth reading */
    for (; (count = front(change, rule->state, entries, max)) > 0; max = ENTRIES_AT_ONCE) {
        for (unsigned i = 0; i < count; i++) {
            int64_t at_ms = entry_due_ms(change, &entries[i]);
            if (at_ms > change->now_ms || *budget == 0)
                return at_ms;
            --*budget;
            rule->act(change, &entries[i]);
        }
    }
    return NEVER_MS;
}

/* Whether something is, by the time that is known of it, which is never later than the truth. */
static bool is_due(struct change *change)
{
    struct queue *queue = change->queue;
    lock_acquire(&queue->queues->lock);
    int64_t due_ms = queue->due_ms;
    lock_leave(&queue->queues->lock);
    return due_ms <= change->now_ms || change->due_ms <= change->now_ms;
}

void change_do_due(struct change *change, unsigned budget)
{
    if (!is_due(change))
        return;
    change->all_due = true;
    change->due_ms = NEVER_MS;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        note_due(change, apply(change, &rules[i], &budget));
}
