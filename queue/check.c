/* The check: walks the three tables and compares what they say of each other. */
#include "queue/queue_private.h"
#include "storage/key.h"

#include <stdlib.h>

#define STEP       200  /* records and entries in a transaction of the maintenance thread */
#define EVERY_MS   1000 /* between steps */
#define HURRIED_MS 10   /* after damage was met */

enum { CHECK_INDEX, CHECK_JOBS, CHECK_STATES, CHECK_TABLES };

static struct slice text_of(struct txn *txn, struct slice bytes)
{
    char *text = txn_alloc(txn, bytes.len + 1);
    memcpy(text, bytes.ptr, bytes.len);
    text[bytes.len] = '\0';
    return slice_of(text, bytes.len);
}

/* The next keys, from behind check->key on; how many. */
static unsigned next_keys(struct queue_check *check, struct txn *txn, struct table table,
                          struct slice *keys, unsigned max)
{
    struct slice after = slice_of(check->key, check->key_len);
    unsigned count = 0;
    struct cursor cursor;
    cursor_open(&cursor, txn, table);
    enum err err = cursor_seek(&cursor, after);
    for (; err == ERR_OK && count < max; err = cursor_next(&cursor))
        if (cursor.key.len <= STORE_KEY_MAX && !slice_eq(cursor.key, after))
            keys[count++] = text_of(txn, cursor.key);
    cursor_close(&cursor);
    return count;
}

/* Behind the highest key: where the order is broken the last one may be lower than those before,
 * and the walk would not end. False at the end of the table. */
static bool move_on(struct queue_check *check, const struct slice *keys, unsigned count)
{
    struct slice highest = slice_of(check->key, check->key_len);
    for (unsigned i = 0; i < count; i++)
        if (key_order(keys[i], highest) > 0)
            highest = keys[i];
    if (highest.ptr == (const char *)check->key)
        return false;
    memcpy(check->key, highest.ptr, highest.len);
    check->key_len = highest.len;
    return true;
}

/* ---- Jobs. */

/* Which queue a job that cannot be read belongs to: the first whose name is in its bytes. */
static struct queue *guess_queue(struct queues *queues, struct txn *txn, const struct id *id)
{
    struct key key = id_key(id);
    const struct table tables[] = {queues->states, queues->jobs};
    for (int t = 0; t < 2; t++) {
        struct slice raw;
        if (txn_get(txn, tables[t], key_slice(&key), &raw) != ERR_OK)
            continue;
        for (unsigned i = 0; i < queues->count; i++)
            if (memmem(raw.ptr, raw.len, queues->queues[i]->name, strlen(queues->queues[i]->name)))
                return queues->queues[i];
    }
    return queues->count > 0 ? queues->queues[0] : NULL;
}

static bool job_is_sound(struct queues *queues, struct txn *txn, const struct id *id,
                         struct queue **queue)
{
    struct job_status status;
    enum err err;
    if (job_fault(queues, txn, id, &status, &err)) {
        *queue = guess_queue(queues, txn, id);
        return false;
    }
    *queue = err == ERR_OK ? queue_find_slice(queues, status.fields[FIELD_QUEUE]) : NULL;
    if (!*queue)
        return true; /* none, or of a queue that is not configured */
    struct index_entry entry = index_entry_of(&status, id);
    return index_has(*queue, txn, &entry);
}

static bool check_job(struct queues *queues, struct txn *txn, struct slice key, bool mend)
{
    struct id id;
    struct queue *queue;
    if (!key_take_id(&key, &id) || key.len > 0)
        return true; /* the counts of a queue */
    if (job_is_sound(queues, txn, &id, &queue) || !queue)
        return true;
    if (mend) {
        struct change *change = change_begin(queue, txn);
        job_mend(change, &id);
        change_end(change);
    }
    return false;
}

/* ---- Entries. */

/* NULL if the key cannot be read; a queue that is not configured is as a damaged name. */
static struct queue *entry_of_key(struct queues *queues, struct slice key,
                                  struct index_entry *entry)
{
    char name[QUEUE_NAME_MAX + 1];
    if (!key_take_string(&key, name, sizeof name) || !index_take_entry(key, entry))
        return NULL;
    return queue_find(queues, name);
}

static bool entry_is_sound(struct queues *queues, struct txn *txn, const struct index_entry *entry)
{
    struct job_body body;
    struct job_status status;
    if (job_get(queues, txn, &entry->id, entry->state == JOB_READY ? &body : NULL, &status) !=
        ERR_OK)
        return false;
    struct index_entry right = index_entry_of(&status, &entry->id);
    return index_entry_eq(&right, entry);
}

/* A key of no queue that we know: an old queue's, or a damaged one. The job knows. */
static bool check_foreign_key(struct queues *queues, struct txn *txn, struct slice key, bool mend)
{
    struct slice rest = key;
    struct id id;
    struct job_body body;
    struct job_status status;
    while (rest.len > 17 && key_skip(&rest))
        continue;
    if (!key_take_id(&rest, &id) || rest.len > 0)
        return true;
    if (job_get(queues, txn, &id, &body, &status) != ERR_OK &&
        status_get(queues, txn, &id, &status) != ERR_OK)
        return true;
    struct queue *queue = queue_find_slice(queues, status.fields[FIELD_QUEUE]);
    if (!queue)
        return true;
    if (mend) {
        struct change *change = change_begin(queue, txn);
        txn_del(txn, queues->index, key);
        index_key_mend(change, key);
        change_end(change);
    }
    return false;
}

static bool check_entry(struct queues *queues, struct txn *txn, struct slice key, bool mend)
{
    struct index_entry entry;
    struct queue *queue = entry_of_key(queues, key, &entry);
    if (!queue)
        return check_foreign_key(queues, txn, key, mend);
    if (entry_is_sound(queues, txn, &entry))
        return true;
    if (mend) {
        struct change *change = change_begin(queue, txn);
        struct job_body body;
        struct job_status status;
        entry_job(change, &entry, entry.state == JOB_READY ? &body : NULL, &status);
        change_end(change);
    }
    return false;
}

/* ---- Steps. */

static const struct {
    size_t table; /* of struct queues */
    bool (*check)(struct queues *queues, struct txn *txn, struct slice key, bool mend);
} passes[CHECK_TABLES] = {
    [CHECK_INDEX] = {offsetof(struct queues, index), check_entry},
    [CHECK_JOBS] = {offsetof(struct queues, jobs), check_job},
    [CHECK_STATES] = {offsetof(struct queues, states), check_job},
};

enum err queue_check(struct queues *queues, struct txn *txn, struct queue_check *check,
                     unsigned max)
{
    if (check->done)
        return ERR_OK;
    if (check->mend)
        txn_shrinking(txn); /* or grows by little */
    const struct table *table =
        (const struct table *)((const char *)queues + passes[check->table].table);
    struct slice *keys = txn_alloc(txn, max * sizeof *keys);
    unsigned count = next_keys(check, txn, *table, keys, max);
    for (unsigned i = 0; i < count && txn_error(txn) == ERR_OK; i++) {
        check->checked++;
        check->damaged += !passes[check->table].check(queues, txn, keys[i], check->mend);
    }
    if (!move_on(check, keys, count) || count < max) {
        check->key_len = 0;
        check->done = ++check->table == CHECK_TABLES;
    }
    return txn_error(txn);
}

/* ---- All the time. */

struct step {
    struct queues *queues;
    struct queue_check from, to;
};

static enum err step_fn(struct txn *txn, void *arg)
{
    struct step *step = arg;
    step->to = step->from;
    return queue_check(step->queues, txn, &step->to, STEP);
}

static uint64_t damage_sum(struct queues *queues)
{
    uint64_t sum = 0;
    lock_acquire(&queues->lock);
    for (unsigned i = 0; i < queues->count; i++)
        sum += queues->queues[i]->damaged;
    lock_leave(&queues->lock);
    return sum;
}

/* Looks at a snapshot, and again in a write transaction if there is something to mend. */
static void check_step(struct queues *queues)
{
    struct step step = {.queues = queues, .from = queues->check.at};
    step.from.mend = false;
    enum err err = store_read(queues->store, step_fn, &step);
    if (err == ERR_OK && step.to.damaged > step.from.damaged) {
        step.from.mend = true;
        err = store_write(queues->store, step_fn, &step);
        queues->check.known = damage_sum(queues);
    }
    if (err == ERR_OK)
        queues->check.at = step.to;
}

int64_t queues_check_some(struct queues *queues)
{
    uint64_t met = damage_sum(queues);
    if (met != queues->check.known) {
        queues->check.known = met;
        queues->check.at = (struct queue_check){0};
        queues->check.hurry = true;
    }
    check_step(queues);
    if (queues->check.at.done) {
        queues->check.at = (struct queue_check){0};
        queues->check.hurry = false;
    }
    return queues->check.hurry ? HURRIED_MS : EVERY_MS;
}
