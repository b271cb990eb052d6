/* The queue's tables: records and index keys (docs/format.md, "Queue"). */
#include "base/buf.h"
#include "base/log.h"
#include "queue/queue_private.h"
#include "storage/key.h"

#include <assert.h>

/* Heads are copied as they are: the store's file is in the machine's byte order as well. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "records are little-endian");

/* Raised when the bytes below change their meaning; the number of every format that was ever
 * released stays readable. States keep their numbers for ever. */
#define QUEUE_FORMAT 1

struct job_head { /* then the queue and its NUL, the type and its NUL, the payload */
    uint8_t format;
    uint8_t priority;
    uint16_t attempts_max;
    uint16_t queue_len, type_len;
    int64_t enqueued_ms;
};
_Static_assert(sizeof(struct job_head) == 16, "on disk");

struct progress_head { /* then the queue, the reason */
    uint8_t format;
    uint8_t state;
    uint8_t priority;
    uint8_t lost;
    uint16_t attempt, attempts_max;
    uint16_t queue_len, reason_len;
    uint32_t zero;
    uint64_t token;
    int64_t when_ms;
};
_Static_assert(sizeof(struct progress_head) == 32, "on disk");

struct counts_body {
    uint64_t format;
    uint64_t jobs[JOB_STATES];
};
_Static_assert(sizeof(struct counts_body) == 56, "on disk");

static struct key id_key(const struct id *id)
{
    struct key key;
    key_init(&key);
    key_add_id(&key, id);
    return key;
}

/* The checksum was right, and yet: a newer format, or a bug. */
static enum err damaged(struct txn *txn, const char *what, const struct id *id)
{
    char text[ID_TEXT_SIZE];
    id_format(id, text);
    log_write(LOG_ERROR, "queue", "The %s of job %s is missing or of an unknown format.", what,
              text);
    return txn_fail(txn, ERR_DAMAGED);
}

void job_put(struct queues *queues, struct txn *txn, const struct id *id,
             const struct job_record *job)
{
    struct job_head head = {
        .format = QUEUE_FORMAT,
        .priority = (uint8_t)job->priority,
        .attempts_max = (uint16_t)job->attempts_max,
        .queue_len = (uint16_t)strlen(job->queue),
        .type_len = (uint16_t)strlen(job->type),
        .enqueued_ms = job->enqueued_ms,
    };
    struct buf buf = BUF_INIT;
    buf_reserve(&buf, sizeof head + head.queue_len + head.type_len + 2 + job->payload.len);
    buf_append(&buf, &head, sizeof head);
    buf_append(&buf, job->queue, head.queue_len + 1u);
    buf_append(&buf, job->type, head.type_len + 1u);
    buf_append_slice(&buf, job->payload);
    struct key key = id_key(id);
    record_put(txn, queues->jobs, key_slice(&key), 1, buf_slice(&buf));
    buf_release(&buf);
}

enum err job_get(struct queues *queues, struct txn *txn, const struct id *id,
                 struct job_record *out)
{
    struct key key = id_key(id);
    struct record record;
    enum err err = record_get(txn, queues->jobs, key_slice(&key), &record);
    if (err != ERR_OK)
        return err;
    struct job_head head;
    if (record.payload.len < sizeof head)
        return damaged(txn, "record", id);
    memcpy(&head, record.payload.ptr, sizeof head);
    size_t fixed = sizeof head + head.queue_len + head.type_len + 2u;
    if (head.queue_len > QUEUE_NAME_MAX || head.type_len > QUEUE_NAME_MAX ||
        head.format != QUEUE_FORMAT || record.payload.len < fixed)
        return damaged(txn, "record", id);
    const char *queue = record.payload.ptr + sizeof head;
    *out = (struct job_record){
        .queue = queue,
        .type = queue + head.queue_len + 1,
        .payload = slice_of(record.payload.ptr + fixed, record.payload.len - fixed),
        .priority = head.priority,
        .attempts_max = head.attempts_max,
        .enqueued_ms = head.enqueued_ms,
    };
    return ERR_OK;
}

void progress_put(struct queues *queues, struct txn *txn, const struct id *id,
                  const struct job_progress *progress)
{
    struct progress_head head = {
        .format = QUEUE_FORMAT,
        .state = (uint8_t)progress->state,
        .priority = (uint8_t)progress->priority,
        .lost = progress->lost,
        .attempt = (uint16_t)progress->attempt,
        .attempts_max = (uint16_t)progress->attempts_max,
        .queue_len = (uint16_t)strlen(progress->queue),
        .reason_len = (uint16_t)strlen(progress->reason),
        .token = progress->token,
        .when_ms = progress->when_ms,
    };
    char bytes[sizeof head + QUEUE_NAME_MAX + REASON_MAX];
    memcpy(bytes, &head, sizeof head);
    memcpy(bytes + sizeof head, progress->queue, head.queue_len);
    memcpy(bytes + sizeof head + head.queue_len, progress->reason, head.reason_len);
    struct key key = id_key(id);
    record_put(txn, queues->states, key_slice(&key), 1,
               slice_of(bytes, sizeof head + head.queue_len + head.reason_len));
}

enum err progress_get(struct queues *queues, struct txn *txn, const struct id *id,
                      struct job_progress *out)
{
    struct key key = id_key(id);
    struct record record;
    enum err err = record_get(txn, queues->states, key_slice(&key), &record);
    if (err != ERR_OK)
        return err;
    struct progress_head head;
    if (record.payload.len < sizeof head)
        return damaged(txn, "state", id);
    memcpy(&head, record.payload.ptr, sizeof head);
    if (head.format != QUEUE_FORMAT || head.state >= JOB_STATES ||
        head.queue_len > QUEUE_NAME_MAX || head.reason_len > REASON_MAX ||
        record.payload.len != sizeof head + head.queue_len + head.reason_len)
        return damaged(txn, "state", id);
    *out = (struct job_progress){
        .state = head.state,
        .lost = head.lost,
        .priority = head.priority,
        .attempt = head.attempt,
        .attempts_max = head.attempts_max,
        .token = head.token,
        .when_ms = head.when_ms,
    };
    memcpy(out->queue, record.payload.ptr + sizeof head, head.queue_len);
    memcpy(out->reason, record.payload.ptr + sizeof head + head.queue_len, head.reason_len);
    return ERR_OK;
}

void progress_init(struct job_progress *progress, const struct job_record *job)
{
    *progress = (struct job_progress){
        .state = JOB_READY,
        .priority = job->priority,
        .attempts_max = job->attempts_max,
    };
    assert(strlen(job->queue) <= QUEUE_NAME_MAX);
    strcpy(progress->queue, job->queue);
}

enum err progress_load(struct queues *queues, struct txn *txn, const struct id *id,
                       const struct job_record *job, struct job_progress *out)
{
    enum err err = progress_get(queues, txn, id, out);
    if (err != ERR_NOT_FOUND)
        return err;
    progress_init(out, job);
    return ERR_OK;
}

void job_erase(struct queues *queues, struct txn *txn, const struct id *id)
{
    struct key key = id_key(id);
    txn_del(txn, queues->states, key_slice(&key));
    txn_del(txn, queues->jobs, key_slice(&key));
}

static struct key counts_key(const struct queue *queue)
{
    struct key key;
    key_init(&key);
    key_add_string(&key, slice_str(queue->name));
    return key;
}

void counts_get(struct queue *queue, struct txn *txn, struct counts *out)
{
    *out = (struct counts){0};
    struct key key = counts_key(queue);
    struct record record;
    if (record_get(txn, queue->queues->states, key_slice(&key), &record) != ERR_OK)
        return; /* a new queue */
    struct counts_body body;
    if (record.payload.len != sizeof body) {
        log_write(LOG_ERROR, "queue", "The counts of %s are of an unknown format.", queue->name);
        txn_fail(txn, ERR_DAMAGED);
        return;
    }
    memcpy(&body, record.payload.ptr, sizeof body);
    memcpy(out->jobs, body.jobs, sizeof body.jobs);
}

void counts_put(struct queue *queue, struct txn *txn, const struct counts *counts)
{
    struct counts_body body = {.format = QUEUE_FORMAT};
    memcpy(body.jobs, counts->jobs, sizeof body.jobs);
    struct key key = counts_key(queue);
    record_put(txn, queue->queues->states, key_slice(&key), 1, slice_of(&body, sizeof body));
}

static void index_prefix(struct key *key, const struct queue *queue, enum job_state state)
{
    key_init(key);
    key_add_string(key, slice_str(queue->name));
    key_add_i64(key, state);
}

static struct key index_key(const struct queue *queue, const struct index_entry *entry)
{
    struct key key;
    index_prefix(&key, queue, entry->state);
    key_add_i64(&key, entry->order);
    key_add_id(&key, &entry->id);
    return key;
}

struct index_entry index_entry_of(const struct job_progress *progress, const struct id *id)
{
    return (struct index_entry){
        .state = progress->state,
        .order = progress->state == JOB_READY ? progress->priority : progress->when_ms,
        .id = *id,
    };
}

void index_put(struct queue *queue, struct txn *txn, const struct index_entry *entry)
{
    struct key key = index_key(queue, entry);
    txn_put(txn, queue->queues->index, key_slice(&key), slice_of("", 0));
}

void index_del(struct queue *queue, struct txn *txn, const struct index_entry *entry)
{
    struct key key = index_key(queue, entry);
    if (txn_del(txn, queue->queues->index, key_slice(&key)) == ERR_NOT_FOUND)
        damaged(txn, "index entry", &entry->id);
}

bool index_has(struct queue *queue, struct txn *txn, const struct index_entry *entry)
{
    struct key key = index_key(queue, entry);
    struct slice value;
    return txn_get(txn, queue->queues->index, key_slice(&key), &value) == ERR_OK;
}

enum err index_first(struct queue *queue, struct txn *txn, enum job_state state,
                     struct index_entry *out)
{
    struct key prefix;
    index_prefix(&prefix, queue, state);
    struct cursor cursor;
    cursor_open(&cursor, txn, queue->queues->index);
    enum err err = cursor_seek(&cursor, key_slice(&prefix));
    out->state = state;
    bool found = err == ERR_OK && key_has_prefix(cursor.key, &prefix);
    if (found) {
        struct slice rest = slice_of(cursor.key.ptr + prefix.len, cursor.key.len - prefix.len);
        found = key_take_i64(&rest, &out->order) && key_take_id(&rest, &out->id);
    }
    cursor_close(&cursor);
    if (found)
        return ERR_OK;
    if (txn_error(txn) == ERR_OK)
        log_write(LOG_ERROR, "queue", "%s has fewer %s jobs in its index than it counts.",
                  queue->name, job_state_name(state));
    return txn_fail(txn, ERR_DAMAGED);
}
