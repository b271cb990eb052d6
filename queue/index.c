/* The index of jobs by what is to happen to them next. */
#include "queue/queue_private.h"
#include "storage/key.h"

int key_order(struct slice a, struct slice b)
{
    int order = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

struct key key_copy(struct slice bytes)
{
    struct key key;
    key_init(&key);
    key.len = bytes.len <= STORE_KEY_MAX ? (uint16_t)bytes.len : 0;
    if (key.len > 0)
        memcpy(key.bytes, bytes.ptr, key.len);
    return key;
}

void job_index_init(struct queue *queue)
{
    key_init(&queue->prefix);
    key_add_string(&queue->prefix, slice_str(queue->name));
    for (int state = 0; state <= JOB_STATES; state++) {
        struct key *key = &queue->state_prefixes[state];
        key_init_from(key, &queue->prefix);
        key_add_i64(key, state);
    }
}

struct key job_index_key(const struct queue *queue, const struct index_entry *entry)
{
    struct key key;
    key_init_from(&key, job_index_state(queue, entry->state));
    key_add_i64(&key, entry->order);
    key_add_id(&key, &entry->id);
    return key;
}

struct index_entry index_entry_of(const struct job_status *status, const struct id *id)
{
    return (struct index_entry){
        .state = status->state,
        .order = status->state == JOB_READY ? status->priority : status->when_ms,
        .id = *id,
    };
}

bool index_entry_eq(const struct index_entry *a, const struct index_entry *b)
{
    return a->state == b->state && a->order == b->order && id_compare(&a->id, &b->id) == 0;
}

int index_entry_order(const struct index_entry *a, const struct index_entry *b)
{
    if (a->state != b->state)
        return a->state < b->state ? -1 : 1;
    if (a->order != b->order)
        return a->order < b->order ? -1 : 1;
    return id_compare(&a->id, &b->id);
}

void index_put(struct queue *queue, struct txn *txn, const struct index_entry *entry)
{
    struct key key = job_index_key(queue, entry);
    txn_put(txn, queue->queues->index, key_slice(&key), slice_of("", 0));
}

bool index_del(struct queue *queue, struct txn *txn, const struct index_entry *entry)
{
    struct key key = job_index_key(queue, entry);
    return txn_del(txn, queue->queues->index, key_slice(&key)) != ERR_NOT_FOUND;
}

bool index_has(struct queue *queue, struct txn *txn, const struct index_entry *entry)
{
    struct key key = job_index_key(queue, entry);
    struct slice value;
    return txn_get(txn, queue->queues->index, key_slice(&key), &value) == ERR_OK;
}

bool index_take_entry(struct slice rest, struct index_entry *out)
{
    int64_t state;
    if (!key_take_i64(&rest, &state) || !key_take_i64(&rest, &out->order) ||
        !key_take_id(&rest, &out->id) || rest.len > 0)
        return false;
    out->state = (enum job_state)state;
    return state >= 0 && state < JOB_STATES;
}

bool index_take_key(const struct queue *queue, struct slice key, struct index_entry *out)
{
    size_t len = queue->prefix.len;
    return index_take_entry(slice_of(key.ptr + len, key.len - len), out);
}
