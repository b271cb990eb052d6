/* Sums and sequences.
 *
 * DESIGN. What a closure adds is in a list of its transaction. Once it has succeeded the list joins
 * that of the batch, and when all have run each sum is read and written once. A closure that fails
 * takes its list with it, so it need not be undone; a batch that runs again begins with none. Where
 * each closure has a child transaction the list is written with the child. There are a few sums for
 * each collection or journal that a batch changes: the lists are searched from end to end. */
#include "storage/engine/engine_private.h"

#include <assert.h>
#include <endian.h>

static struct sum_change *find(const struct sum_list *list, struct table table, struct slice key)
{
    struct sum_change *change;
    STAILQ_FOREACH(change, list, link) {
        if (change->table.handle == table.handle && slice_eq(change->key, key))
            return change;
    }
    return NULL;
}

enum err txn_add(struct txn *txn, struct table table, struct slice key, int64_t delta)
{
    assert(txn->writing && key_is_possible(key));
    if (txn->err != ERR_OK)
        return txn->err;
    struct sum_change *change = find(&txn->sums, table, key);
    if (!change) {
        change = arena_alloc(txn->arena, sizeof *change + key.len);
        *change = (struct sum_change){.table = table, .key = slice_of(change->bytes, key.len)};
        memcpy(change->bytes, key.ptr, key.len);
        STAILQ_INSERT_TAIL(&txn->sums, change, link);
    }
    change->delta += delta;
    return ERR_OK;
}

/* As it lies in the table. */
static enum err stored(struct txn *txn, struct table table, struct slice key, struct sum *out)
{
    struct record record;
    uint64_t value;
    *out = (struct sum){0};
    enum err err = record_try(txn, table, key, &record);
    if (err == ERR_OK && record.payload.len != sizeof value)
        err = ERR_DAMAGED;
    if (err != ERR_OK)
        return err;
    memcpy(&value, record.payload.ptr, sizeof value);
    *out = (struct sum){(int64_t)le64toh(value), record.version};
    return ERR_OK;
}

static bool add_pending(const struct sum_list *list, struct table table, struct slice key,
                        struct sum *sum)
{
    const struct sum_change *change = find(list, table, key);
    if (change)
        sum->value += change->delta;
    return change;
}

enum err txn_sum(struct txn *txn, struct table table, struct slice key, struct sum *out)
{
    enum err err = stored(txn, table, key, out);
    if (err != ERR_OK && err != ERR_NOT_FOUND)
        return err;
    bool pending = add_pending(&txn->sums, table, key, out);
    if (txn->batch_sums)
        pending |= add_pending(txn->batch_sums, table, key, out);
    out->version += pending;
    return pending ? ERR_OK : err;
}

enum err txn_sequence(struct txn *txn, struct table table, struct slice key, uint64_t count,
                      uint64_t *first)
{
    struct sum sum;
    enum err err = txn_sum(txn, table, key, &sum);
    *first = 0;
    if (err == ERR_DAMAGED || err == ERR_NOT_FOUND)
        return txn_damaged(txn, "a sequence of numbers in the table %s",
                           store_table_name(txn->store, table));
    if (err != ERR_OK)
        return err;
    *first = (uint64_t)sum.value + 1;
    return txn_add(txn, table, key, (int64_t)count);
}

void sums_merge(struct sum_list *to, struct sum_list *from)
{
    for (struct sum_change *change; (change = STAILQ_FIRST(from));) {
        STAILQ_REMOVE_HEAD(from, link);
        struct sum_change *there = find(to, change->table, change->key);
        if (there)
            there->delta += change->delta;
        else
            STAILQ_INSERT_TAIL(to, change, link);
    }
}

/* What nobody can read any more stays as it is, until somebody counts again. */
static enum err write_one(struct txn *txn, const struct sum_change *change)
{
    struct sum sum;
    enum err err = stored(txn, change->table, change->key, &sum);
    if (err == ERR_DAMAGED && txn->err == ERR_OK) {
        store_damaged(txn->store, "a sum in the table %s",
                      store_table_name(txn->store, change->table));
        return ERR_OK;
    }
    if (err != ERR_OK && err != ERR_NOT_FOUND)
        return err;
    uint64_t value = htole64((uint64_t)(sum.value + change->delta));
    return record_put(txn, change->table, change->key, sum.version + 1,
                      slice_of(&value, sizeof value));
}

enum err sums_write(struct txn *txn, struct sum_list *list)
{
    const struct sum_change *change;
    STAILQ_FOREACH(change, list, link) {
        if (write_one(txn, change) != ERR_OK)
            break;
    }
    STAILQ_INIT(list);
    return txn->err;
}
