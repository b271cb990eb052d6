/* Verifying jobs (storage/verify.h): the three tables are walked and compared with what they say of
 * each other, and the counts with the index.
 *
 * What is found is mended at once, also while the queues run, as it is for whoever meets it
 * (damage.c): a job that cannot be read is dead with the reason, entries are made again from the
 * records, counts from the entries. A repair hands out the damaged bytes before.
 *
 * Jobs of queues that are not configured any more are verified like all others. Which queues there
 * are is taken from records, whose checksums can be believed, and not from the index. */
#include "base/mem.h"
#include "queue/queue_private.h"
#include "storage/key.h"
#include "storage/verify.h"

#include <stdlib.h>

#define TALLY_STEP 2000 /* entries in a transaction, which others wait for */

/* ---- Queues. */

static struct queue *queue_at(const struct queues *queues, unsigned i)
{
    if (i < queues->count)
        return queues->queues[i];
    i -= queues->count;
    return i < queues->former_count ? queues->former[i] : NULL;
}

/* NULL: no record has named it yet. */
static struct queue *queue_known(const struct queues *queues, struct slice name)
{
    struct queue *queue;
    for (unsigned i = 0; (queue = queue_at(queues, i)); i++)
        if (slice_is(name, queue->name))
            return queue;
    return NULL;
}

/* The queue that a record names; NULL if that is no name. */
static struct queue *queue_named(struct queues *queues, struct slice name)
{
    struct queue *queue = queue_known(queues, name);
    if (queue || name.len == 0 || name.len > QUEUE_NAME_MAX)
        return queue;
    char text[QUEUE_NAME_MAX + 1] = "";
    memcpy(text, name.ptr, name.len);
    queue = queue_create(queues, text);
    queues->former =
        mem_realloc(queues->former, (queues->former_count + 1) * sizeof(struct queue *));
    return queues->former[queues->former_count++] = queue;
}

/* Whose counts there are in a table. In keys, names stand before ids. */
static enum err learn_names_in(struct queues *queues, struct txn *txn, struct table table)
{
    char name[QUEUE_NAME_MAX + 1];
    struct cursor cursor;
    cursor_open(&cursor, txn, table);
    enum err err = cursor_seek(&cursor, slice_of("", 0));
    for (; err == ERR_OK; err = cursor_next(&cursor)) {
        struct slice key = cursor.key;
        struct record record;
        if (key.len > STORE_KEY_MAX || !key_take_string(&key, name, sizeof name))
            break;
        if (key.len == 0 && record_try(txn, table, cursor.key, &record) == ERR_OK)
            queue_named(queues, slice_str(name));
    }
    cursor_close(&cursor);
    return txn_error(txn);
}

static enum err learn_names(struct queues *queues, struct txn *txn)
{
    learn_names_in(queues, txn, queues->jobs);
    return learn_names_in(queues, txn, queues->states);
}

/* Which queue a job that cannot be read belongs to: the first whose name is in its bytes. */
static struct queue *guess_queue(struct queues *queues, struct txn *txn, const struct id *id)
{
    struct key key = id_key(id);
    const struct table tables[] = {queues->states, queues->jobs};
    for (int t = 0; t < 2; t++) {
        struct slice raw;
        if (txn_get(txn, tables[t], key_slice(&key), &raw) != ERR_OK)
            continue;
        struct queue *queue;
        for (unsigned i = 0; (queue = queue_at(queues, i)); i++)
            if (memmem(raw.ptr, raw.len, queue->name, strlen(queue->name)))
                return queue;
    }
    return queue_at(queues, 0);
}

/* ---- What is taken away. */

static bool salvage_record(struct verifier *v, struct txn *txn, struct table table,
                           const struct id *id)
{
    struct key key = id_key(id);
    struct slice raw;
    return txn_get(txn, table, key_slice(&key), &raw) != ERR_OK ||
           verify_salvage(v, txn, table, key_slice(&key), raw);
}

/* Hands out those of a job's records that cannot be read, if there is anybody who takes them. */
static bool salvage_job(struct verifier *v, struct queues *queues, struct txn *txn,
                        const struct id *id)
{
    struct job_status status;
    struct job_body body;
    if (!verify_salvages(v))
        return true;
    return (status_get(queues, txn, id, &status) != ERR_DAMAGED ||
            salvage_record(v, txn, queues->states, id)) &&
           (body_get(queues, txn, id, &body) != ERR_DAMAGED ||
            salvage_record(v, txn, queues->jobs, id));
}

/* What is nobody's: handed out and deleted. */
static enum err take_away(struct verifier *v, struct cursor *at, struct table table)
{
    return verify_salvage(v, at->txn, table, at->key, at->value) ? cursor_del(at) : ERR_OK;
}

static enum err check_foreign(struct verifier *v, struct cursor *at, struct table table)
{
    char key[VERIFY_SHOWN_SIZE];
    bool mend =
        verify_found(v, "the table %s has a key that is no job's, %s",
                     store_table_name(txn_store(at->txn), table), verify_show(key, at->key));
    return mend ? take_away(v, at, table) : ERR_OK;
}

/* ---- Jobs. */

static bool found_job(struct verifier *v, const struct queue *queue, const struct id *id,
                      const char *how)
{
    char text[ID_TEXT_SIZE];
    id_format(id, text);
    return verify_found(v, "a job of %s, %s: %s", queue ? queue->name : "an unknown queue", text,
                        how);
}

/* A finished job does not need its payload, but may have kept it. */
static enum err check_kept_payload(struct verifier *v, struct queues *queues, struct txn *txn,
                                   const struct queue *queue, const struct id *id)
{
    struct job_body body;
    if (body_get(queues, txn, id, &body) != ERR_DAMAGED)
        return txn_error(txn);
    if (found_job(v, queue, id, "the payload that it keeps is damaged") &&
        salvage_record(v, txn, queues->jobs, id))
        body_del(queues, txn, id);
    return txn_error(txn);
}

static enum err mend_job(struct verifier *v, struct queues *queues, struct txn *txn,
                         struct queue *queue, const struct id *id)
{
    if (!queue && salvage_record(v, txn, queues->states, id) &&
        salvage_record(v, txn, queues->jobs, id)) {
        job_del(queues, txn, id);
    } else if (queue && salvage_job(v, queues, txn, id)) {
        struct change *change = change_begin(queue, txn);
        job_mend(change, id);
        change_end(change);
    }
    return txn_error(txn);
}

/* The walk sees its key, but a search does not: it stands where it does not belong. */
static enum err check_lost(struct verifier *v, struct queues *queues, struct txn *txn,
                           const struct id *id)
{
    struct key key = id_key(id);
    if (txn_error(txn) == ERR_OK && found_job(v, NULL, id, "a search does not find it")) {
        table_sort_in(txn, queues->jobs, key_slice(&key));
        table_sort_in(txn, queues->states, key_slice(&key));
    }
    return txn_error(txn);
}

static enum err check_job(struct verifier *v, struct queues *queues, struct txn *txn,
                          const struct id *id)
{
    struct job_status status;
    enum err err;
    const char *how = job_fault(queues, txn, id, &status, &err);
    if (how) {
        struct queue *queue = guess_queue(queues, txn, id);
        return found_job(v, queue, id, how) ? mend_job(v, queues, txn, queue, id) : ERR_OK;
    }
    if (err != ERR_OK)
        return check_lost(v, queues, txn, id);
    struct queue *queue = queue_named(queues, status.fields[FIELD_QUEUE]);
    if (!queue)
        return found_job(v, queue, id, "no queue has it") ? mend_job(v, queues, txn, queue, id)
                                                          : ERR_OK;
    struct index_entry entry = index_entry_of(&status, id);
    bool finished = state_is_finished(status.state);
    if (!index_has(queue, txn, &entry) && found_job(v, queue, id, "its index entry is missing"))
        return mend_job(v, queues, txn, queue, id);
    return finished ? check_kept_payload(v, queues, txn, queue, id) : txn_error(txn);
}

/* Of a job, or the counts of a queue, at which check_counts looks. */
static enum err check_record(struct verifier *v, struct queues *queues, struct cursor *at,
                             struct table table)
{
    struct slice key = at->key;
    struct id id;
    char name[QUEUE_NAME_MAX + 1];
    if (key_take_id(&key, &id) && key.len == 0)
        return check_job(v, queues, at->txn, &id);
    key = at->key;
    if (key_take_string(&key, name, sizeof name) && key.len == 0 &&
        queue_known(queues, slice_str(name)))
        return ERR_OK;
    return check_foreign(v, at, table);
}

static enum err check_body(struct verifier *v, struct cursor *at, void *arg)
{
    struct queues *queues = arg;
    return check_record(v, queues, at, queues->jobs);
}

static enum err check_state(struct verifier *v, struct cursor *at, void *arg)
{
    struct queues *queues = arg;
    return check_record(v, queues, at, queues->states);
}

/* ---- Entries. */

struct entry_check {
    struct queue
        *queue; /* that the key names; NULL: the key cannot be read, or no record names it */
    struct queue *owner; /* the job's */
    struct index_entry entry;
};

static const char *fault_of_entry(struct queues *queues, struct txn *txn, struct slice key,
                                  struct entry_check *out)
{
    char name[QUEUE_NAME_MAX + 1];
    *out = (struct entry_check){0};
    if (!key_take_string(&key, name, sizeof name) || !index_take_entry(key, &out->entry))
        return "it cannot be read";
    const struct index_entry *entry = &out->entry;
    struct job_body body;
    struct job_status status;
    enum err err =
        job_get(queues, txn, &entry->id, entry->state == JOB_READY ? &body : NULL, &status);
    if (err == ERR_OK)
        out->owner = queue_named(queues, status.fields[FIELD_QUEUE]);
    out->queue = queue_known(queues, slice_str(name));
    if (err != ERR_OK)
        return err == ERR_NOT_FOUND ? "there is no such job in this state" : "its job is damaged";
    if (!out->queue || out->queue != out->owner)
        return "its job is in another queue";
    struct index_entry right = index_entry_of(&status, &entry->id);
    return index_entry_eq(&right, entry) ? NULL : "its job is in another state";
}

/* The job knows where it belongs, if the end of the key is its id. */
static struct queue *owner_of_key(struct queues *queues, struct txn *txn, struct slice key)
{
    struct id id;
    struct job_body body;
    struct job_status status;
    while (key.len > ID_KEY_SIZE && key_skip(&key))
        continue;
    if (!key_take_id(&key, &id) || key.len > 0 ||
        (job_get(queues, txn, &id, &body, &status) != ERR_OK &&
         status_get(queues, txn, &id, &status) != ERR_OK))
        return NULL;
    return queue_named(queues, status.fields[FIELD_QUEUE]);
}

/* In the queue that it names, but for a job of none or of another. */
static void expel_entry(struct entry_check *check, struct txn *txn)
{
    struct change *change = change_begin(check->queue, txn);
    damage_note(change, &check->entry.id, "an index entry was not of this queue's job");
    change->recount = true;
    entry_del(change, &check->entry);
    change_end(change);
    if (!check->owner)
        return;
    change = change_begin(check->owner, txn);
    job_mend(change, &check->entry.id);
    change_end(change);
}

static void mend_key(struct queues *queues, struct txn *txn, struct slice key)
{
    struct queue *owner = owner_of_key(queues, txn, key);
    txn_del(txn, queues->index, key);
    if (!owner)
        return;
    struct change *change = change_begin(owner, txn);
    index_key_mend(change, key);
    change_end(change);
}

static void mend_state(struct entry_check *check, struct txn *txn)
{
    struct change *change = change_begin(check->queue, txn);
    struct job_body body;
    struct job_status status;
    entry_job(change, &check->entry, check->entry.state == JOB_READY ? &body : NULL, &status);
    change_end(change);
}

static enum err check_entry(struct verifier *v, struct cursor *at, void *arg)
{
    struct queues *queues = arg;
    struct txn *txn = at->txn;
    struct key key = key_copy(at->key); /* mending makes the borrowed void */
    struct entry_check check;
    const char *how = fault_of_entry(queues, txn, key_slice(&key), &check);
    if (!how)
        return txn_error(txn);
    char text[VERIFY_SHOWN_SIZE];
    if (!verify_found(v, "a job's index entry, %s: %s", verify_show(text, key_slice(&key)), how))
        return ERR_OK;
    if (!check.queue)
        mend_key(queues, txn, key_slice(&key));
    else if (check.owner && check.owner != check.queue)
        expel_entry(&check, txn);
    else if (salvage_job(v, queues, txn, &check.entry.id))
        mend_state(&check, txn);
    return txn_error(txn);
}

/* ---- Counts. */

/* What the transaction is about to write counts for what it has written (change.c). */
static enum err kept_counts(struct queue *queue, struct txn *txn, struct counts *out)
{
    bool pending = txn_attempt(txn) != 0 && queue->pending_attempt == txn_attempt(txn);
    if (pending)
        *out = queue->pending;
    return pending ? ERR_OK : counts_get(queue, txn, out);
}

static bool are_many(const struct counts *counts)
{
    uint64_t jobs = 0;
    for (int state = 0; state < JOB_STATES; state++)
        jobs += counts->jobs[state];
    return jobs > TALLY_STEP;
}

/* Counts some more of them; false once it has come to the end, where a tally that is not what it
 * should be is left for mend_counts. */
static bool tally_some(struct queue *queue, struct txn *txn, bool *same)
{
    struct change *change = change_begin(queue, txn);
    struct tally *tally = &change->counts.tally;
    bool end = counts_tally(change, TALLY_STEP);
    *same = memcmp(tally->jobs, change->counts.jobs, sizeof tally->jobs) == 0 &&
            memcmp(tally->bytes, change->counts.bytes, sizeof tally->bytes) == 0;
    if (end && *same)
        tally->on = false;
    change_end(change);
    return !end;
}

/* *more: there is more to be counted. Only the writer can count many, in steps; a read counts as
 * many as it may, and says nothing of the rest. */
static const char *fault_of_counts(struct queue *queue, struct txn *txn, bool *more)
{
    struct counts kept, counted;
    bool same = true;
    *more = false;
    if (kept_counts(queue, txn, &kept) == ERR_DAMAGED)
        return "are damaged";
    if (txn_attempt(txn) != 0 && are_many(&kept))
        *more = tally_some(queue, txn, &same);
    else
        same = !counts_sum(queue, txn, &counted) || counts_eq(&kept, &counted);
    return *more || same ? NULL : "are not those of its index";
}

static void mend_counts(struct queue *queue, struct txn *txn)
{
    struct change *change = change_begin(queue, txn);
    if (!change->recount)
        damage_note(change, NULL, "the counts of its jobs were wrong");
    change->recount |= !counts_believe_tally(&change->counts);
    change_end(change);
}

static enum err check_counts(struct verifier *v, struct txn *txn, struct queue *queue, bool *more)
{
    const char *how = fault_of_counts(queue, txn, more);
    if (how && verify_found(v, "the counts of the queue %s %s", queue->name, how))
        mend_counts(queue, txn);
    return txn_error(txn);
}

/* ---- Steps. */

static enum err entries_step(struct txn *txn, struct verifier *v, struct verify_place *place,
                             bool *end, void *arg)
{
    struct queues *queues = arg;
    enum err err = place->len == 0 ? learn_names(queues, txn) : ERR_OK;
    return err ? err : verify_walk(txn, v, queues->index, place, end, check_entry, queues);
}

static enum err bodies_step(struct txn *txn, struct verifier *v, struct verify_place *place,
                            bool *end, void *arg)
{
    struct queues *queues = arg;
    return verify_walk(txn, v, queues->jobs, place, end, check_body, queues);
}

static enum err states_step(struct txn *txn, struct verifier *v, struct verify_place *place,
                            bool *end, void *arg)
{
    struct queues *queues = arg;
    return verify_walk(txn, v, queues->states, place, end, check_state, queues);
}

/* A queue in each; the place is its number. */
static enum err counts_step(struct txn *txn, struct verifier *v, struct verify_place *place,
                            bool *end, void *arg)
{
    struct queues *queues = arg;
    unsigned number = 0;
    memcpy(&number, place->bytes, place->len);
    struct queue *queue = queue_at(queues, number);
    *end = !queue;
    bool more = false;
    enum err err = queue ? check_counts(v, txn, queue, &more) : ERR_OK;
    number += !more;
    place->len = sizeof number;
    memcpy(place->bytes, &number, sizeof number);
    return err;
}

void queues_verify(struct queues *queues, struct verifier *v)
{
    const struct verify_part list[] = {
        {"jobs' index entries", entries_step, queues, {"job_index"}, MENDS_AT_ONCE},
        {"jobs", bodies_step, queues, {"jobs"}, MENDS_AT_ONCE},
        {"jobs' states", states_step, queues, {"job_states"}, MENDS_AT_ONCE},
        {"counts of jobs", counts_step, queues, {NULL}, MENDS_IN_WRITER},
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        verifier_add(v, &list[i]);
}
