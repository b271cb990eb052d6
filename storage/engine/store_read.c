/* DESIGN. Beginning a read transaction takes a slot in LMDB's reader table under a mutex that all
 * share; renewing one that keeps its slot is a few stores. So read transactions are pooled: a
 * thread tries the slot that it used last, which nobody else is likely to want, then the others,
 * and only when all are busy waits under the lock. */
#include "storage/engine/engine_private.h"

#include <assert.h>

void readers_init(struct readers *readers)
{
    lock_init(&readers->lock, LOCK_RANK_STORE_READERS);
    lock_cond_init(&readers->freed);
}

void readers_release(struct readers *readers)
{
    for (unsigned i = 0; i < READERS_MAX; i++) {
        struct reader *reader = &readers->slots[i];
        assert(!atomic_load(&reader->busy));
        mdb_txn_abort(reader->mdb);
        arena_release(&reader->arena);
    }
    lock_cond_release(&readers->freed);
    lock_release(&readers->lock);
}

uint64_t readers_count(const struct readers *readers)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < READERS_MAX; i++)
        sum += atomic_load_explicit(&readers->slots[i].reads, memory_order_relaxed);
    return sum;
}

/* Where this thread begins to look: its own place, spread over the slots. */
static unsigned *last_slot(void)
{
    static _Atomic unsigned threads;
    static _Thread_local unsigned slot = READERS_MAX;
    if (slot == READERS_MAX)
        slot = atomic_fetch_add(&threads, 1) % READERS_MAX;
    return &slot;
}

static struct reader *try_acquire(struct readers *readers)
{
    unsigned *last = last_slot();
    for (unsigned i = 0; i < READERS_MAX; i++) {
        unsigned slot = (*last + i) % READERS_MAX;
        struct reader *reader = &readers->slots[slot];
        if (!atomic_load(&reader->busy) && !atomic_exchange(&reader->busy, true)) {
            *last = slot;
            return reader;
        }
    }
    return NULL;
}

/* No wake-up is lost: who waits counts itself before it looks again, who leaves frees the slot
 * before it looks at the count, and all four steps are sequentially consistent. */
static struct reader *reader_acquire(struct readers *readers)
{
    struct reader *reader = try_acquire(readers);
    if (reader)
        return reader;
    lock_acquire(&readers->lock);
    atomic_fetch_add(&readers->waiting, 1);
    while (!(reader = try_acquire(readers)))
        lock_cond_wait(&readers->freed, &readers->lock);
    atomic_fetch_sub(&readers->waiting, 1);
    lock_leave(&readers->lock);
    return reader;
}

static void reader_leave(struct readers *readers, struct reader *reader)
{
    atomic_store(&reader->busy, false);
    if (atomic_load(&readers->waiting) == 0)
        return;
    lock_acquire(&readers->lock);
    lock_cond_signal(&readers->freed);
    lock_leave(&readers->lock);
}

static void end_transactions(struct readers *readers)
{
    for (unsigned i = 0; i < READERS_MAX; i++) {
        mdb_txn_abort(readers->slots[i].mdb);
        readers->slots[i].mdb = NULL;
    }
}

void readers_stop(struct readers *readers)
{
    for (unsigned i = 0; i < READERS_MAX; i++)
        reader_acquire(readers);
    end_transactions(readers);
}

bool readers_try_stop(struct readers *readers)
{
    for (unsigned i = 0; i < READERS_MAX; i++) {
        struct reader *reader = &readers->slots[i];
        if (!atomic_exchange(&reader->busy, true))
            continue;
        while (i-- > 0)
            reader_leave(readers, &readers->slots[i]);
        return false;
    }
    end_transactions(readers);
    return true;
}

void readers_resume(struct readers *readers)
{
    for (unsigned i = 0; i < READERS_MAX; i++)
        reader_leave(readers, &readers->slots[i]);
}

static int begin_or_renew(struct store *store, struct reader *reader)
{
    if (!store->env)
        return MDB_PANIC;
    if (reader->mdb)
        return mdb_txn_renew(reader->mdb);
    return mdb_txn_begin(store->env, NULL, MDB_RDONLY, &reader->mdb);
}

enum err store_read(struct store *store, store_fn fn, void *arg)
{
    struct reader *reader = reader_acquire(&store->readers);
    store_fault_inside(store);
    int rc = begin_or_renew(store, reader);
    enum err err;
    if (rc != 0) {
        err = store_err(store, rc, "beginning to read");
        goto leave;
    }
    uint64_t reads = atomic_load_explicit(&reader->reads, memory_order_relaxed);
    atomic_store_explicit(&reader->reads, reads + 1, memory_order_relaxed);
    int64_t since_ms = atomic_load_explicit(&store->watch.now_ms, memory_order_relaxed);
    atomic_store_explicit(&reader->since_ms, since_ms, memory_order_relaxed);
    struct txn txn;
    txn_begin(&txn, store, reader->mdb, &reader->arena);
    err = txn_run(&txn, fn, arg);
    mdb_txn_reset(reader->mdb);
    atomic_store_explicit(&reader->since_ms, 0, memory_order_relaxed);
    arena_reset(&reader->arena);
leave:
    store_fault_inside(NULL);
    reader_leave(&store->readers, reader);
    return err;
}
