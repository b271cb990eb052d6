/* The records of jobs: what was enqueued, and what changes (docs/format.md, "Queue"). */
#include "base/mem.h"
#include "queue/queue_private.h"
#include "storage/key.h"

#include <assert.h>
#include <stdlib.h>

/* Heads are copied as they are: the store's file is in the machine's byte order as well. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "records are little-endian");

/* Raised when the bytes below change their meaning; every number that was ever released stays
 * readable. A new state or field needs no new number. */
#define BODY_FORMAT     1
#define STATUS_FORMAT_1 1
#define STATUS_FORMAT   2

struct body_head { /* then the queue and its NUL, the type and its NUL, the payload */
    uint8_t format;
    uint8_t priority;
    uint16_t attempts_max;
    uint16_t queue_len, type_len;
    int64_t enqueued_ms;
};
_Static_assert(sizeof(struct body_head) == 16, "on disk");

struct status_head_1 { /* then the queue, the reason */
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
_Static_assert(sizeof(struct status_head_1) == 32, "on disk");

struct status_head { /* then fields: kind and length in a u32, the bytes */
    uint8_t format;
    uint8_t state;
    uint8_t priority;
    uint8_t flags;
    uint16_t attempt, attempts_max;
    uint32_t payload_len;
    uint32_t zero;
    uint64_t token;
    int64_t when_ms;
    int64_t enqueued_ms;
};
_Static_assert(sizeof(struct status_head) == 40, "on disk");

enum { FLAG_LOST = 1, FLAG_BY_HAND = 2 };

#define SMALL_BODY      512 /* bytes: most are smaller */
#define FIELD_HEAD_SIZE sizeof(uint32_t)
#define FIELD_KIND_BITS 8 /* the rest is the length */

struct key id_key(const struct id *id)
{
    struct key key;
    key_init(&key);
    key_add_id(&key, id);
    return key;
}

static char *add(char *at, const void *bytes, size_t len)
{
    memcpy(at, bytes, len);
    return at + len;
}

/* ---- Bodies. */

void body_put(struct queues *queues, struct txn *txn, const struct id *id,
              const struct job_body *body)
{
    struct body_head head = {
        .format = BODY_FORMAT,
        .priority = (uint8_t)body->priority,
        .attempts_max = (uint16_t)body->attempts_max,
        .queue_len = (uint16_t)strlen(body->queue),
        .type_len = (uint16_t)strlen(body->type),
        .enqueued_ms = body->enqueued_ms,
    };
    size_t size = sizeof head + head.queue_len + head.type_len + 2u + body->payload.len;
    char few[SMALL_BODY], *bytes = size <= sizeof few ? few : mem_alloc(size);
    char *at = add(bytes, &head, sizeof head);
    at = add(add(at, body->queue, head.queue_len + 1u), body->type, head.type_len + 1u);
    if (body->payload.len > 0)
        add(at, body->payload.ptr, body->payload.len);
    struct key key = id_key(id);
    record_put(txn, queues->jobs, key_slice(&key), 1, slice_of(bytes, size));
    if (bytes != few)
        free(bytes);
}

static bool body_decode(struct slice bytes, struct job_body *out)
{
    struct body_head head;
    if (bytes.len < sizeof head)
        return false;
    memcpy(&head, bytes.ptr, sizeof head);
    size_t fixed = sizeof head + head.queue_len + head.type_len + 2u;
    if (head.format != BODY_FORMAT || head.queue_len > QUEUE_NAME_MAX ||
        head.type_len > QUEUE_NAME_MAX || bytes.len < fixed)
        return false;
    const char *queue = bytes.ptr + sizeof head;
    *out = (struct job_body){
        .queue = queue,
        .type = queue + head.queue_len + 1,
        .payload = slice_of(bytes.ptr + fixed, bytes.len - fixed),
        .priority = head.priority,
        .attempts_max = head.attempts_max,
        .enqueued_ms = head.enqueued_ms,
    };
    return true;
}

enum err body_get(struct queues *queues, struct txn *txn, const struct id *id, struct job_body *out)
{
    struct key key = id_key(id);
    struct record record;
    enum err err = record_try(txn, queues->jobs, key_slice(&key), &record);
    if (err != ERR_OK)
        return err;
    return body_decode(record.payload, out) ? ERR_OK : ERR_DAMAGED;
}

void body_del(struct queues *queues, struct txn *txn, const struct id *id)
{
    struct key key = id_key(id);
    txn_del(txn, queues->jobs, key_slice(&key));
}

void job_del(struct queues *queues, struct txn *txn, const struct id *id)
{
    struct key key = id_key(id);
    txn_del(txn, queues->states, key_slice(&key));
    txn_del(txn, queues->jobs, key_slice(&key));
}

/* ---- Statuses. */

struct slice status_encode(struct txn *txn, const struct job_status *status)
{
    struct status_head head = {
        .format = STATUS_FORMAT,
        .state = (uint8_t)status->state,
        .priority = (uint8_t)status->priority,
        .flags = (status->lost ? FLAG_LOST : 0) | (status->by_hand ? FLAG_BY_HAND : 0),
        .attempt = (uint16_t)status->attempt,
        .attempts_max = (uint16_t)status->attempts_max,
        .payload_len = status->payload_len,
        .token = status->token,
        .when_ms = status->when_ms,
        .enqueued_ms = status->enqueued_ms,
    };
    size_t size = sizeof head + status->other_fields.len;
    for (unsigned kind = 0; kind < JOB_FIELDS; kind++)
        size += status->fields[kind].len > 0 ? FIELD_HEAD_SIZE + status->fields[kind].len : 0;
    char *bytes = txn_alloc(txn, size), *at = add(bytes, &head, sizeof head);
    for (unsigned kind = 0; kind < JOB_FIELDS; kind++) {
        struct slice field = status->fields[kind];
        if (field.len == 0)
            continue;
        uint32_t field_head = kind | (uint32_t)field.len << FIELD_KIND_BITS;
        at = add(add(at, &field_head, sizeof field_head), field.ptr, field.len);
    }
    if (status->other_fields.len > 0)
        add(at, status->other_fields.ptr, status->other_fields.len);
    return slice_of(bytes, size);
}

void status_put(struct queues *queues, struct txn *txn, const struct id *id, struct slice encoded)
{
    struct key key = id_key(id);
    record_put(txn, queues->states, key_slice(&key), 1, encoded);
}

static bool decode_fields(struct slice rest, struct job_status *out)
{
    while (rest.len > 0) {
        uint32_t head;
        if (rest.len < sizeof head)
            return false;
        memcpy(&head, rest.ptr, sizeof head);
        unsigned kind = head & ((1u << FIELD_KIND_BITS) - 1);
        size_t len = head >> FIELD_KIND_BITS;
        if (len > rest.len - sizeof head)
            return false;
        if (kind >= JOB_FIELDS) { /* they are in order: so are all behind it */
            out->other_fields = rest;
            return true;
        }
        out->fields[kind] = slice_of(rest.ptr + sizeof head, len);
        rest = slice_of(rest.ptr + sizeof head + len, rest.len - sizeof head - len);
    }
    return true;
}

static bool decode_2(struct slice bytes, struct job_status *out)
{
    struct status_head head;
    if (bytes.len < sizeof head)
        return false;
    memcpy(&head, bytes.ptr, sizeof head);
    *out = (struct job_status){
        .state = head.state,
        .lost = head.flags & FLAG_LOST,
        .by_hand = head.flags & FLAG_BY_HAND,
        .priority = head.priority,
        .attempt = head.attempt,
        .attempts_max = head.attempts_max,
        .payload_len = head.payload_len,
        .token = head.token,
        .when_ms = head.when_ms,
        .enqueued_ms = head.enqueued_ms,
    };
    return decode_fields(slice_of(bytes.ptr + sizeof head, bytes.len - sizeof head), out);
}

static bool decode_1(struct slice bytes, struct job_status *out)
{
    struct status_head_1 head;
    if (bytes.len < sizeof head)
        return false;
    memcpy(&head, bytes.ptr, sizeof head);
    const char *queue = bytes.ptr + sizeof head;
    *out = (struct job_status){
        .state = head.state,
        .lost = head.lost,
        .priority = head.priority,
        .attempt = head.attempt,
        .attempts_max = head.attempts_max,
        .token = head.token,
        .when_ms = head.when_ms,
        .fields = {[FIELD_QUEUE] = slice_of(queue, head.queue_len),
                   [FIELD_REASON] = slice_of(queue + head.queue_len, head.reason_len)},
    };
    return bytes.len == sizeof head + head.queue_len + head.reason_len;
}

/* States beyond ours are a newer program's, whose store format this one would refuse. */
static bool status_decode(struct slice bytes, struct job_status *out)
{
    bool known = bytes.len > 0 && ((bytes.ptr[0] == STATUS_FORMAT_1 && decode_1(bytes, out)) ||
                                   (bytes.ptr[0] == STATUS_FORMAT && decode_2(bytes, out)));
    out->stored = known;
    return known && out->state < JOB_STATES && out->fields[FIELD_QUEUE].len <= QUEUE_NAME_MAX &&
           out->fields[FIELD_TYPE].len <= QUEUE_NAME_MAX &&
           out->fields[FIELD_REASON].len <= REASON_MAX;
}

enum err status_get(struct queues *queues, struct txn *txn, const struct id *id,
                    struct job_status *out)
{
    struct key key = id_key(id);
    struct record record;
    enum err err = record_try(txn, queues->states, key_slice(&key), &record);
    if (err != ERR_OK)
        return err;
    return status_decode(record.payload, out) ? ERR_OK : ERR_DAMAGED;
}

static void status_know_body(struct job_status *status, const struct job_body *body)
{
    status->payload_len = (uint32_t)body->payload.len;
    status->enqueued_ms = body->enqueued_ms;
    status->fields[FIELD_TYPE] = slice_str(body->type);
}

void status_init(struct job_status *status, const struct job_body *body)
{
    *status = (struct job_status){
        .state = JOB_READY,
        .priority = body->priority,
        .attempts_max = body->attempts_max,
        .fields = {[FIELD_QUEUE] = slice_str(body->queue)},
    };
    status_know_body(status, body);
}

/* A status as it was read, and what the body adds to it. */
static enum err status_complete(enum err err, const struct job_body *body,
                                struct job_status *status)
{
    if (err == ERR_OK)
        status_know_body(status, body);
    if (err == ERR_NOT_FOUND)
        status_init(status, body);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

enum err job_get(struct queues *queues, struct txn *txn, const struct id *id, struct job_body *body,
                 struct job_status *status)
{
    if (!body)
        return status_get(queues, txn, id, status);
    enum err err = body_get(queues, txn, id, body);
    return err ? err : status_complete(status_get(queues, txn, id, status), body, status);
}

void jobs_get(struct queues *queues, struct txn *txn, const struct index_entry *entries,
              unsigned count, struct job_records *out)
{
    uint8_t ids[ENTRIES_AT_ONCE][ID_KEY_SIZE];
    struct slice keys[ENTRIES_AT_ONCE];
    struct record bodies[ENTRIES_AT_ONCE], states[ENTRIES_AT_ONCE];
    enum err body_errs[ENTRIES_AT_ONCE], state_errs[ENTRIES_AT_ONCE];
    assert(count > 0 && count <= ENTRIES_AT_ONCE);
    unsigned i = 0;
    do { /* at least once, as the compiler has to see */
        struct key key = id_key(&entries[i].id);
        memcpy(ids[i], key.bytes, sizeof ids[i]);
        keys[i] = slice_of(ids[i], sizeof ids[i]);
    } while (++i < count);
    record_try_many(txn, queues->jobs, keys, count, bodies, body_errs);
    record_try_many(txn, queues->states, keys, count, states, state_errs);
    for (i = 0; i < count; i++) {
        enum err err = state_errs[i];
        out[i].err = body_errs[i];
        if (!out[i].err && !body_decode(bodies[i].payload, &out[i].body))
            out[i].err = ERR_DAMAGED;
        if (!err && !status_decode(states[i].payload, &out[i].status))
            err = ERR_DAMAGED;
        if (!out[i].err)
            out[i].err = status_complete(err, &out[i].body, &out[i].status);
    }
}
