/* What happens inside a transaction: sticky errors, memory, actions and byte keys. */
#include "base/log.h"
#include "storage/engine/engine_private.h"

#include <assert.h>

#define MOVES_UNASKED 256 /* between looks at the clock */

void txn_begin(struct txn *txn, struct store *store, MDB_txn *mdb, struct arena *arena)
{
    *txn = (struct txn){
        .store = store, .mdb = mdb, .arena = arena, .now_ms = clock_wall_ms(store->clock)};
    STAILQ_INIT(&txn->actions);
    STAILQ_INIT(&txn->last_steps);
    STAILQ_INIT(&txn->sums);
}

enum err txn_run(struct txn *txn, store_fn fn, void *arg)
{
    enum err err = fn(txn, arg);
    assert(txn->cursors == 0);
    return err != ERR_OK ? err : txn->err;
}

enum err txn_error(const struct txn *txn)
{
    return txn->err;
}

enum err txn_fail(struct txn *txn, enum err err)
{
    assert(err != ERR_OK);
    if (txn->err == ERR_OK)
        txn->err = err;
    return txn->err;
}

struct store *txn_store(const struct txn *txn)
{
    return txn->store;
}

int64_t txn_now_ms(const struct txn *txn)
{
    return txn->now_ms;
}

void *txn_alloc(struct txn *txn, size_t size)
{
    return arena_alloc(txn->arena, size);
}

unsigned txn_writes(const struct txn *txn)
{
    return txn->writes;
}

/* ---- Actions. */

void txn_on_commit(struct txn *txn, void (*fn)(void *arg), void (*drop)(void *arg), void *arg)
{
    assert(txn->writing);
    struct action *action = arena_alloc(txn->arena, sizeof *action);
    *action = (struct action){.fn = fn, .drop = drop, .arg = arg};
    STAILQ_INSERT_TAIL(&txn->actions, action, link);
}

void actions_run(struct action_list *list)
{
    struct action *action;
    STAILQ_FOREACH(action, list, link)
        action->fn(action->arg);
    STAILQ_INIT(list);
}

void actions_drop(struct action_list *list)
{
    struct action *action;
    STAILQ_FOREACH(action, list, link) {
        if (action->drop)
            action->drop(action->arg);
    }
    STAILQ_INIT(list);
}

/* ---- Before the commit. */

static bool has_step(const struct last_step_list *list, commit_fn fn, const void *arg)
{
    const struct last_step *step;
    STAILQ_FOREACH(step, list, link) {
        if (step->fn == fn && step->arg == arg)
            return true;
    }
    return false;
}

void txn_before_commit(struct txn *txn, commit_fn fn, void *arg)
{
    assert(txn->writing);
    txn->touched = true; /* the caller's memory is: others must not go on with it if this fails */
    if (has_step(&txn->last_steps, fn, arg))
        return;
    struct last_step *step = arena_alloc(txn->arena, sizeof *step);
    *step = (struct last_step){.fn = fn, .arg = arg};
    STAILQ_INSERT_TAIL(&txn->last_steps, step, link);
}

uint64_t txn_attempt(const struct txn *txn)
{
    return txn->attempt;
}

void last_steps_merge(struct last_step_list *to, struct last_step_list *from)
{
    for (struct last_step *step; (step = STAILQ_FIRST(from));) {
        STAILQ_REMOVE_HEAD(from, link);
        if (!has_step(to, step->fn, step->arg))
            STAILQ_INSERT_TAIL(to, step, link);
    }
}

enum err last_steps_run(struct txn *txn, struct last_step_list *list)
{
    struct last_step *step;
    STAILQ_FOREACH(step, list, link) {
        enum err err = step->fn(txn, step->arg);
        if (err != ERR_OK)
            return txn_fail(txn, err);
    }
    return txn->err;
}

/* ---- Byte keys. */

/* Every LMDB result passes here: not found is an answer, all else sticks. */
static enum err err_of(struct txn *txn, int rc, const char *step)
{
    if (rc == MDB_SUCCESS)
        return ERR_OK;
    if (rc == MDB_NOTFOUND)
        return ERR_NOT_FOUND;
    txn->touched = true;
    return txn_fail(txn, store_err(txn->store, rc, step));
}

static MDB_val val_of(struct slice s)
{
    return (MDB_val){s.len, (void *)s.ptr};
}

static struct slice slice_of_val(MDB_val val)
{
    return slice_of(val.mv_data, val.mv_size);
}

/* Every write comes by here before it is made. */
static enum err count_write(struct txn *txn, size_t size)
{
    assert(txn->writing);
    if (txn->err != ERR_OK)
        return txn->err;
    txn->writes++;
    txn->pages += 1 + (unsigned)(size / PAGE_BYTES);
    if (txn->pages <= TXN_PAGES_MAX)
        return ERR_OK;
    log_write(LOG_WARN, "store", "A transaction writes more than %d pages and is refused.",
              TXN_PAGES_MAX);
    return txn_fail(txn, ERR_TXN_TOO_LARGE);
}

/* As every put does. Whether small values made the tables grow is seen afterwards (store_write.c).
 */
static enum err count_put(struct txn *txn, struct slice key, size_t size)
{
    assert(key_is_possible(key));
    enum err err = count_write(txn, size);
    txn->large_pages += (unsigned)(size / PAGE_BYTES);
    if (err != ERR_OK || txn->shrinking || txn->large_pages <= txn->room)
        return err;
    return txn_fail(txn, ERR_STORE_FULL);
}

void txn_shrinking(struct txn *txn)
{
    txn->shrinking = true;
}

bool txn_may_grow(const struct txn *txn)
{
    return txn->room > 0;
}

/* NULL if there is none, or somebody walks with it. */
static MDB_cursor *kept_cursor(struct txn *txn, struct table table)
{
    struct kept_cursors *kept = txn->kept;
    if (!kept || kept->lent >> table.handle & 1)
        return NULL;
    MDB_cursor **cursor = &kept->list[table.handle];
    if (!*cursor && mdb_cursor_open(txn->mdb, table.handle, cursor) != MDB_SUCCESS)
        *cursor = NULL;
    return *cursor;
}

static int get(struct txn *txn, struct table table, MDB_val *key, MDB_val *value)
{
    MDB_cursor *cursor = kept_cursor(txn, table);
    return cursor ? mdb_cursor_get(cursor, key, value, MDB_SET)
                  : mdb_get(txn->mdb, table.handle, key, value);
}

enum err txn_get(struct txn *txn, struct table table, struct slice key, struct slice *value)
{
    assert(key_is_possible(key));
    *value = slice_of(NULL, 0);
    if (txn->err != ERR_OK)
        return txn->err;
    MDB_val k = val_of(key), v = {0};
    enum err err = err_of(txn, get(txn, table, &k, &v), "reading");
    if (err == ERR_OK)
        *value = slice_of_val(v);
    return err;
}

enum err txn_get_many(struct txn *txn, struct table table, const struct slice *keys, unsigned count,
                      struct slice *values)
{
    for (unsigned i = 0; i < count; i++)
        txn_get(txn, table, keys[i], &values[i]);
    return txn->err;
}

uint64_t txn_table_count(struct txn *txn, struct table table)
{
    MDB_stat stat;
    bool known = txn->err == ERR_OK && mdb_stat(txn->mdb, table.handle, &stat) == MDB_SUCCESS;
    return known ? stat.ms_entries : 0;
}

uint64_t txn_table_bytes(struct txn *txn, struct table table)
{
    MDB_stat stat;
    if (txn->err != ERR_OK || mdb_stat(txn->mdb, table.handle, &stat) != MDB_SUCCESS)
        return 0;
    return (uint64_t)stat.ms_psize *
           (stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages);
}

static int put_as(struct txn *txn, struct table table, MDB_val *key, MDB_val *value, unsigned flags)
{
    MDB_cursor *cursor = kept_cursor(txn, table);
    return cursor ? mdb_cursor_put(cursor, key, value, flags)
                  : mdb_put(txn->mdb, table.handle, key, value, flags);
}

/* LMDB splits a full page in halves, but for a key that it is told will be the last. */
static int put(struct txn *txn, struct table table, MDB_val *key, MDB_val *value, unsigned flags)
{
    if (txn->store->in_order[table.handle]) {
        int rc = put_as(txn, table, key, value, flags | MDB_APPEND);
        if (rc != MDB_KEYEXIST)
            return rc;
    }
    return put_as(txn, table, key, value, flags);
}

static int del(struct txn *txn, struct table table, MDB_val *key)
{
    MDB_cursor *cursor = kept_cursor(txn, table);
    if (!cursor)
        return mdb_del(txn->mdb, table.handle, key, NULL);
    MDB_val value;
    int rc = mdb_cursor_get(cursor, key, &value, MDB_SET);
    return rc == MDB_SUCCESS ? mdb_cursor_del(cursor, 0) : rc;
}

enum err txn_put(struct txn *txn, struct table table, struct slice key, struct slice value)
{
    enum err err = count_put(txn, key, value.len);
    if (err != ERR_OK)
        return err;
    MDB_val k = val_of(key), v = val_of(value);
    txn->touched = true;
    return err_of(txn, put(txn, table, &k, &v, 0), "writing");
}

enum err txn_reserve(struct txn *txn, struct table table, struct slice key, size_t size,
                     uint8_t **place)
{
    enum err err = count_put(txn, key, size);
    if (err != ERR_OK)
        return err;
    MDB_val k = val_of(key), v = {size, NULL};
    txn->touched = true;
    int rc = put(txn, table, &k, &v, MDB_RESERVE);
    *place = v.mv_data;
    return err_of(txn, rc, "writing");
}

enum err txn_del(struct txn *txn, struct table table, struct slice key)
{
    assert(key_is_possible(key));
    enum err err = count_write(txn, 0);
    if (err != ERR_OK)
        return err;
    MDB_val k = val_of(key);
    int rc = del(txn, table, &k);
    txn->touched |= rc != MDB_NOTFOUND;
    return err_of(txn, rc, "deleting");
}

/* ---- Cursors. */

void cursor_open(struct cursor *cursor, struct txn *txn, struct table table)
{
    *cursor = (struct cursor){.txn = txn, .table = table};
    if (txn->err != ERR_OK)
        return;
    MDB_cursor *impl = kept_cursor(txn, table);
    cursor->kept = impl;
    if (impl)
        txn->kept->lent |= UINT64_C(1) << table.handle;
    else if (err_of(txn, mdb_cursor_open(txn->mdb, table.handle, &impl), "opening a cursor"))
        return;
    cursor->impl = impl;
    txn->cursors++;
}

void cursor_close(struct cursor *cursor)
{
    if (!cursor->impl)
        return;
    if (cursor->kept)
        cursor->txn->kept->lent &= ~(UINT64_C(1) << cursor->table.handle);
    else
        mdb_cursor_close(cursor->impl);
    cursor->impl = NULL;
    cursor->txn->cursors--;
}

/* Says now and then whether a read may go on. */
static enum err count_moves(struct txn *txn, unsigned count)
{
    unsigned before = txn->moves;
    txn->moves += count;
    if (before / MOVES_UNASKED != txn->moves / MOVES_UNASKED && txn->err == ERR_OK &&
        !txn->writing && store_out_of_time(txn, READ_LIMIT_MS))
        txn_fail(txn, ERR_OVERLOADED);
    return txn->err;
}

static enum err move(struct cursor *cursor, MDB_cursor_op op, struct slice key)
{
    if (count_moves(cursor->txn, 1) != ERR_OK)
        return cursor->txn->err;
    MDB_val k = val_of(key), v = {0};
    enum err err = err_of(cursor->txn, mdb_cursor_get(cursor->impl, &k, &v, op), "walking");
    cursor->key = err == ERR_OK ? slice_of_val(k) : slice_of(NULL, 0);
    cursor->value = err == ERR_OK ? slice_of_val(v) : slice_of(NULL, 0);
    cursor->last = op == MDB_LAST;
    return err;
}

static const struct slice nothing = {NULL, 0};

enum err cursor_seek(struct cursor *cursor, struct slice key)
{
    assert(key.len <= STORE_KEY_MAX);
    return key.len == 0 ? move(cursor, MDB_FIRST, nothing) : move(cursor, MDB_SET_RANGE, key);
}

enum err cursor_seek_before(struct cursor *cursor, struct slice key)
{
    assert(key.len <= STORE_KEY_MAX);
    if (key.len == 0)
        return move(cursor, MDB_LAST, nothing);
    enum err err = move(cursor, MDB_SET_RANGE, key);
    if (err == ERR_NOT_FOUND)
        return move(cursor, MDB_LAST, nothing);
    return err == ERR_OK ? move(cursor, MDB_PREV, nothing) : err;
}

enum err cursor_next(struct cursor *cursor)
{
    return move(cursor, MDB_NEXT, nothing);
}

enum err cursor_prev(struct cursor *cursor)
{
    return move(cursor, MDB_PREV, nothing);
}

static bool begins_with(struct slice key, struct slice prefix)
{
    return key.len >= prefix.len &&
           (prefix.len == 0 || memcmp(key.ptr, prefix.ptr, prefix.len) == 0);
}

/* Comparing each key would cost a third of what the step does; at every second, fourth, eighth, the
 * walk ends soon enough. */
static bool is_behind(unsigned count, struct slice key, struct slice prefix)
{
    return (count & (count - 1)) == 0 && !begins_with(key, prefix);
}

enum err cursor_fetch(struct cursor *cursor, bool back, struct slice prefix, unsigned max,
                      struct cursor_entry *out, unsigned *count)
{
    MDB_cursor_op op = back ? MDB_PREV : MDB_NEXT;
    unsigned done = 0;
    int rc = MDB_SUCCESS;
    MDB_val k = {0}, v = {0};
    *count = 0;
    if (count_moves(cursor->txn, max) != ERR_OK)
        return cursor->txn->err;
    while (done < max) {
        rc = mdb_cursor_get(cursor->impl, &k, &v, op);
        if (rc != MDB_SUCCESS)
            break;
        out[done] = (struct cursor_entry){slice_of_val(k), slice_of_val(v)};
        if (is_behind(++done, slice_of_val(k), prefix))
            break;
    }
    *count = done;
    cursor->last = false;
    cursor->key = done > 0 ? out[done - 1].key : nothing;
    cursor->value = done > 0 ? out[done - 1].value : nothing;
    return rc == MDB_NOTFOUND && done > 0 ? ERR_OK : err_of(cursor->txn, rc, "walking");
}

enum err cursor_del(struct cursor *cursor)
{
    enum err err = count_write(cursor->txn, 0);
    if (err == ERR_OK &&
        !key_is_possible(cursor->key)) /* others of the page would be written over */
        err = txn_fail(cursor->txn, ERR_DAMAGED);
    if (err != ERR_OK)
        return err;
    cursor->txn->touched = true;
    return err_of(cursor->txn, mdb_cursor_del(cursor->impl, 0), "deleting");
}

enum err cursor_reserve(struct cursor *cursor, struct slice key, size_t size, uint8_t **place)
{
    assert(key_is_possible(key));
    enum err err = count_write(cursor->txn, size);
    if (err != ERR_OK)
        return err;
    MDB_val k = val_of(key), v = {size, NULL};
    const unsigned flags = MDB_RESERVE | MDB_NOOVERWRITE;
    int rc = MDB_KEYEXIST;
    if (cursor->last) /* as put() does for tables in order */
        rc = mdb_cursor_put(cursor->impl, &k, &v, flags | MDB_APPEND);
    if (rc == MDB_KEYEXIST)
        rc = mdb_cursor_put(cursor->impl, &k, &v, flags);
    if (rc == MDB_KEYEXIST)
        return ERR_EXISTS;
    cursor->txn->touched = true;
    *place = v.mv_data;
    return err_of(cursor->txn, rc, "writing");
}

enum err cursor_put(struct cursor *cursor, struct slice value)
{
    assert(value.len == cursor->value.len); /* the key may lie in the page that is written */
    enum err err = count_write(cursor->txn, value.len);
    if (err != ERR_OK)
        return err;
    MDB_val k = val_of(cursor->key), v = val_of(value);
    cursor->txn->touched = true;
    return err_of(cursor->txn, mdb_cursor_put(cursor->impl, &k, &v, MDB_CURRENT), "writing");
}

/* ---- Claims. */

static struct slice copy_of(struct txn *txn, struct slice key)
{
    return slice_of(memcpy(arena_alloc(txn->arena, key.len), key.ptr, key.len), key.len);
}

/* LMDB's cursor stands before what follows when it has deleted. */
static enum err claim(struct cursor *cursor, struct slice prefix, unsigned max, struct slice *keys,
                      unsigned *count)
{
    enum err err = cursor_seek(cursor, prefix);
    for (; err == ERR_OK && *count < max; err = err == ERR_OK ? cursor_next(cursor) : err) {
        if (!begins_with(cursor->key, prefix))
            break;
        if (!cursor_has_key(cursor))
            continue; /* it cannot be taken out */
        keys[(*count)++] = copy_of(cursor->txn, cursor->key);
        err = cursor_del(cursor);
    }
    return err == ERR_NOT_FOUND ? txn_error(cursor->txn) : err;
}

enum err txn_claim(struct txn *txn, struct table table, struct slice prefix, unsigned max,
                   struct slice *keys, unsigned *count)
{
    struct cursor cursor;
    *count = 0;
    cursor_open(&cursor, txn, table);
    enum err err = txn->err;
    if (err == ERR_OK)
        err = claim(&cursor, prefix, max, keys, count);
    cursor_close(&cursor);
    return err;
}
