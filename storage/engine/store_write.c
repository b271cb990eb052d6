/* Group commit.
 *
 * DESIGN. Who writes puts a pending write into a list and sleeps, or is told when it is done. The
 * writer thread takes all that wait and runs a batch of them in one LMDB transaction; commits,
 * which is the one fsync; runs the on-commit actions; and tells every one. What arrives during the
 * fsync is the next batch: the batch grows with the load and nobody waits on purpose.
 *
 * A failing closure leaves no trace. Nearly all that fail do so before they write, so a batch first
 * runs on trust, all closures in the transaction itself. One that fails behind a write spoils it:
 * it is aborted and runs again with a child transaction for each closure. Children copy each page
 * they touch, a fifth more work; after a spoiled batch the next few have them from the start, so
 * that nobody can make us do all the work twice by failing often.
 *
 * Waking is one system call for a batch: those who sleep do so on one futex, and those that arrive
 * meanwhile on another. The two take turns: each is used again only after all who slept on it were
 * woken.
 *
 * Errors of the commit:
 * - It did not fit into the map. Nothing was written. Each closure runs again on its own, so that
 *   only those fail which really do not fit.
 * - The disk is full. The whole batch fails, the store goes on. That is safe: LMDB writes pages
 *   that the last good state does not use, then syncs, and only then the meta page which makes
 *   them count. A failure before that leaves the old state, all of which was synced by the commits
 *   that made it; and whatever page a later transaction uses, it writes and syncs itself. Should
 *   the meta page be what failed, LMDB refuses every later transaction: the latch closes.
 * - Anything else. The store latches read-only; see store_latch. */
#include "base/blocking.h"
#include "base/log.h"
#include "base/mem.h"
#include "storage/engine/engine_private.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* All writers wait for this thread, and those that it wakes would take its processor while it runs
 * the next batch. Where the process may, the thread goes before them. */
#define WRITER_NICE (-10)

#define BATCH_MAX_DEFAULT 512
#define CAUTIOUS_BATCHES  64 /* with children, after one was spoiled */
#define TIGHT_PAGES       256
#define FULL_LOG_EVERY_NS (60 * INT64_C(1000000000))

/* ---- Sleeping and waking. */

/* A thread that sleeps until its write is done; on its stack, and not touched after `over`. */
struct waiter {
    struct pending_write write; /* first: it is given away */
    unsigned futex;             /* to sleep on */
    _Atomic bool over;
};

/* Count the batches whose waiters slept on each. No store's own, so that a waiter whose commit is
 * done touches nothing that store_close has freed. Two stores may at most wake each other's in
 * vain. */
static _Atomic uint32_t finished[2];

static void waiter_sleep(const struct waiter *waiter)
{
    _Atomic uint32_t *futex = &finished[waiter->futex];
    for (;;) {
        uint32_t seen = atomic_load(futex);
        if (atomic_load(&waiter->over))
            return;
        syscall(SYS_futex, futex, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
    }
}

static void end_wait(struct pending_write *write)
{
    atomic_store(&((struct waiter *)write)->over, true);
}

/* From done() on its memory is its owner's again. */
static void end_all(const struct write_list *list, _Atomic uint32_t *futex)
{
    bool sleepers = false;
    for (struct pending_write *write = STAILQ_FIRST(list), *next; write; write = next) {
        next = STAILQ_NEXT(write, link);
        sleepers = sleepers || write->done == end_wait;
        write->done(write);
    }
    atomic_fetch_add(futex, 1);
    if (sleepers)
        syscall(SYS_futex, futex, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* ---- The callers' side. */

/* Signals under the lock: once that is left, commit and store_close may overtake us. */
static enum err enqueue(struct store *store, struct pending_write *write, unsigned *futex)
{
    struct writer *writer = &store->writer;
    assert(!pthread_equal(pthread_self(), writer->thread));
    if (atomic_load(&store->read_only))
        return ERR_READ_ONLY;
    lock_acquire(&writer->lock);
    enum err err = writer->closing ? ERR_DRAINING : ERR_OK;
    *futex = writer->futex;
    if (err == ERR_OK)
        STAILQ_INSERT_TAIL(write->last ? &writer->waiting_last : &writer->waiting, write, link);
    if (err == ERR_OK && writer->asleep) {
        writer->asleep = false;
        lock_cond_signal(&writer->arrived);
    }
    lock_leave(&writer->lock);
    return err;
}

enum err store_submit(struct store *store, struct pending_write *write)
{
    unsigned futex;
    write->last = false;
    return enqueue(store, write, &futex);
}

static enum err write_and_wait(struct store *store, store_fn fn, void *arg, bool last)
{
    struct waiter waiter = {.write = {.fn = fn, .arg = arg, .done = end_wait, .last = last}};
    enum err err = enqueue(store, &waiter.write, &waiter.futex);
    if (err != ERR_OK)
        return err;
    blocking_begin();
    waiter_sleep(&waiter);
    blocking_end();
    return waiter.write.result;
}

enum err store_write(struct store *store, store_fn fn, void *arg)
{
    return write_and_wait(store, fn, arg, false);
}

enum err store_write_last(struct store *store, store_fn fn, void *arg)
{
    return write_and_wait(store, fn, arg, true);
}

/* ---- Commits. */

struct write_batch {
    struct write_list writes;
    unsigned count;   /* closures that succeeded */
    unsigned pages;   /* written so far, as estimated */
    unsigned room;    /* pages by which it may grow */
    uint64_t used;    /* pages of all tables at its beginning, if room may be short */
    bool trusted;     /* its closures share one transaction, and what they do last is done once */
    uint64_t attempt; /* 0 while each closure has a child transaction, that may fail by itself */
    struct action_list actions;
    struct last_step_list last_steps;
    struct sum_list sums;
    struct kept_cursors kept; /* of its transaction */
};

static void batch_init(struct write_batch *batch)
{
    *batch = (struct write_batch){0};
    STAILQ_INIT(&batch->writes);
    STAILQ_INIT(&batch->actions);
    STAILQ_INIT(&batch->last_steps);
    STAILQ_INIT(&batch->sums);
}

static void fail_all(const struct write_list *list, enum err err)
{
    struct pending_write *write;
    STAILQ_FOREACH(write, list, link)
        write->result = err;
}

/* LMDB reports a write that was cut short, as one that meets a full disk is, as EIO. Asking the
 * file system for the same room again tells the two apart. */
static bool disk_is_full(struct store *store, unsigned pages)
{
    int fd;
    struct stat st;
    if (mdb_env_get_fd(store->env, &fd) != 0 || fstat(fd, &st) != 0)
        return false;
    int rc = posix_fallocate(fd, st.st_size, (off_t)(pages + 1) * PAGE_BYTES);
    return rc == ENOSPC || rc == EDQUOT || rc == EFBIG;
}

static enum err judge_commit(struct store *store, int rc, unsigned pages)
{
    if (rc == MDB_SUCCESS)
        return ERR_OK;
    bool full =
        store_is_full(rc) || rc == MDB_TXN_FULL || (rc == EIO && disk_is_full(store, pages));
    if (full && !store_is_dead(store))
        return rc == MDB_TXN_FULL ? ERR_TXN_TOO_LARGE : ERR_STORE_FULL;
    store_latch(store, "committing failed: %s", mdb_strerror(rc));
    store_revive(store);
    return ERR_READ_ONLY;
}

/* Each closure by itself is looked at. */
static bool is_tight(const struct write_batch *batch)
{
    return batch->room < TIGHT_PAGES;
}

static enum err begin(struct store *store, struct write_batch *batch, MDB_txn **mdb)
{
    if (atomic_load(&store->read_only))
        return ERR_READ_ONLY;
    batch->kept = (struct kept_cursors){0};
    batch->room = store_room(store);
    int rc = mdb_txn_begin(store->env, NULL, 0, mdb);
    if (rc == MDB_SUCCESS) {
        batch->used = batch->room < TXN_PAGES_MAX ? store_used_pages(store, *mdb) : 0;
        return ERR_OK;
    }
    store_latch(store, "beginning a transaction failed: %s", mdb_strerror(rc));
    store_revive(store);
    return ERR_READ_ONLY;
}

/* A closure, or somebody's read, has found the file's structure damaged since the beginning. */
static int give_up(MDB_txn *mdb)
{
    mdb_txn_abort(mdb);
    return MDB_BAD_TXN;
}

/* Commits the batch's transaction. Returns what LMDB said; *err is what that means. */
static int commit(struct store *store, struct write_batch *batch, MDB_txn *mdb, enum err *err)
{
    struct writer *writer = &store->writer;
    int64_t begin_ns = clock_mono_ns(store->clock);
    int rc = atomic_load(&store->read_only) ? give_up(mdb) : mdb_txn_commit(mdb);
    *err = judge_commit(store, rc, batch->pages);
    if (*err != ERR_OK) {
        actions_drop(&batch->actions);
        return rc;
    }
    histogram_record(writer->commit_ns, (uint64_t)(clock_mono_ns(store->clock) - begin_ns));
    histogram_record(writer->batch_sizes, batch->count);
    atomic_fetch_add_explicit(&writer->commits, 1, memory_order_relaxed);
    actions_run(&batch->actions);
    return rc;
}

/* Large values lie apart, and LMDB gives their pages back by itself. */
static void note_pages(struct writer *writer, unsigned pages)
{
    if (pages > atomic_load_explicit(&writer->most_pages, memory_order_relaxed))
        atomic_store_explicit(&writer->most_pages, pages, memory_order_relaxed);
    if (pages > atomic_load_explicit(&writer->recent_pages, memory_order_relaxed))
        atomic_store_explicit(&writer->recent_pages, pages, memory_order_relaxed);
}

/* An estimate would refuse what only fills pages that deletes have left half empty; with little
 * room it is worth to look. */
static bool grew_too_much(struct store *store, const struct write_batch *batch,
                          const struct txn *txn)
{
    return txn->touched && !txn->shrinking && batch->pages + txn->pages > batch->room &&
           store_used_pages(store, txn->mdb) > batch->used + batch->room;
}

/* What a closure leaves to be done before the commit is left to the batch's end, or done now. */
static enum err finish_closure(struct write_batch *batch, struct txn *txn, enum err err)
{
    if (err != ERR_OK)
        return err;
    if (!batch->trusted) {
        err = last_steps_run(txn, &txn->last_steps);
        return err != ERR_OK ? err : sums_write(txn, &txn->sums);
    }
    last_steps_merge(&batch->last_steps, &txn->last_steps);
    sums_merge(&batch->sums, &txn->sums);
    return ERR_OK;
}

/* Runs one closure in `mdb`; its actions join the batch's if it succeeds and are dropped if not.
 * False if it failed and left something in `mdb` that must not be committed. */
static bool run_closure(struct store *store, struct write_batch *batch, struct pending_write *write,
                        MDB_txn *mdb)
{
    struct txn txn;
    txn_begin(&txn, store, mdb, &store->writer.arena);
    txn.writing = true;
    txn.kept = &batch->kept;
    txn.attempt = batch->attempt;
    txn.batch_sums = &batch->sums;
    txn.room = batch->room > batch->pages ? batch->room - batch->pages : 0;
    write->result = finish_closure(batch, &txn, txn_run(&txn, write->fn, write->arg));
    note_pages(&store->writer, batch->pages + txn.pages - txn.large_pages);
    if (write->result == ERR_OK && grew_too_much(store, batch, &txn))
        write->result = ERR_STORE_FULL;
    if (write->result == ERR_DAMAGED && atomic_load(&store->read_only))
        write->result = ERR_READ_ONLY;
    if (write->result == ERR_OK) {
        batch->pages += txn.pages;
        batch->count++;
        STAILQ_CONCAT(&batch->actions, &txn.actions);
        return true;
    }
    actions_drop(&txn.actions);
    return !txn.touched;
}

/* run_closure in a child of `parent`. False if the parent cannot go on. */
static bool run_closure_in_child(struct store *store, struct write_batch *batch,
                                 struct pending_write *write, MDB_txn *parent)
{
    MDB_txn *child;
    if (mdb_txn_begin(store->env, parent, 0, &child) != MDB_SUCCESS)
        return false;
    batch->kept = (struct kept_cursors){0}; /* the child before has taken its own along */
    run_closure(store, batch, write, child);
    if (write->result == ERR_OK)
        return mdb_txn_commit(child) == MDB_SUCCESS;
    mdb_txn_abort(child);
    return true;
}

/* One closure, one transaction, one commit. */
static void commit_alone(struct store *store, struct pending_write *write)
{
    struct write_batch batch;
    batch_init(&batch);
    batch.attempt = ++store->writer.attempts;
    MDB_txn *mdb;
    write->result = begin(store, &batch, &mdb);
    if (write->result != ERR_OK)
        return;
    run_closure(store, &batch, write, mdb);
    if (write->result == ERR_OK)
        commit(store, &batch, mdb, &write->result);
    else
        mdb_txn_abort(mdb);
}

typedef bool (*closure_runner)(struct store *store, struct write_batch *batch,
                               struct pending_write *write, MDB_txn *mdb);

/* Moves writes from the backlog to the batch and runs each, until the batch is large enough.
 * False if the transaction cannot go on. */
static bool fill_batch(struct store *store, struct write_batch *batch, closure_runner run,
                       MDB_txn *mdb)
{
    struct writer *writer = &store->writer;
    bool sound = true;
    unsigned pages_max = batch->room / 2 < BATCH_PAGES_MAX ? batch->room / 2 : BATCH_PAGES_MAX;
    for (unsigned i = 0; i < writer->batch_max && batch->pages <= pages_max && sound; i++) {
        struct pending_write *write = STAILQ_FIRST(&writer->backlog);
        if (!write)
            break;
        STAILQ_REMOVE_HEAD(&writer->backlog, link);
        STAILQ_INSERT_TAIL(&batch->writes, write, link);
        sound = run(store, batch, write, mdb);
    }
    return sound;
}

static bool finish_batch(struct store *store, struct write_batch *batch, MDB_txn *mdb)
{
    struct txn txn;
    txn_begin(&txn, store, mdb, &store->writer.arena);
    txn.writing = txn.shrinking = true; /* room was asked for by those who left it to us */
    txn.kept = &batch->kept;
    txn.attempt = batch->attempt;
    STAILQ_CONCAT(&txn.sums, &batch->sums);
    enum err err = last_steps_run(&txn, &batch->last_steps);
    if (err == ERR_OK)
        err = sums_write(&txn, &txn.sums);
    batch->pages += txn.pages;
    STAILQ_CONCAT(&batch->actions, &txn.actions);
    return err == ERR_OK;
}

/* A batch in one transaction. False if nothing was committed and it has to run in another way. */
static bool commit_together(struct store *store, struct write_batch *batch, closure_runner run)
{
    MDB_txn *mdb;
    enum err err = begin(store, batch, &mdb);
    if (err != ERR_OK) {
        STAILQ_CONCAT(&batch->writes, &store->writer.backlog);
        fail_all(&batch->writes, err);
        return true;
    }
    if (is_tight(batch))
        run = run_closure_in_child; /* each is looked at */
    batch->trusted = run == run_closure;
    batch->attempt = batch->trusted ? ++store->writer.attempts : 0;
    bool sound = fill_batch(store, batch, run, mdb);
    if (sound && batch->count > 0)
        sound = finish_batch(store, batch, mdb);
    if (!sound || batch->count == 0) {
        actions_drop(&batch->actions);
        mdb_txn_abort(mdb);
        return sound;
    }
    int rc = commit(store, batch, mdb, &err);
    if (rc == MDB_MAP_FULL || rc == MDB_TXN_FULL)
        return false;
    if (err != ERR_OK)
        fail_all(&batch->writes, err); /* also who failed: it saw what is no more */
    return true;
}

/* Puts the writes of a batch that was not committed back to where they were. */
static void give_back(struct writer *writer, struct write_batch *batch)
{
    STAILQ_CONCAT(&batch->writes, &writer->backlog);
    STAILQ_CONCAT(&writer->backlog, &batch->writes);
    batch_init(batch);
}

static void commit_batch(struct store *store, struct write_batch *batch)
{
    struct writer *writer = &store->writer;
    struct pending_write *first = STAILQ_FIRST(&writer->backlog);
    if (!STAILQ_NEXT(first, link)) {
        STAILQ_CONCAT(&batch->writes, &writer->backlog);
        commit_alone(store, first);
        return;
    }
    if (writer->cautious > 0) {
        writer->cautious--;
    } else {
        if (commit_together(store, batch, run_closure))
            return;
        writer->cautious = CAUTIOUS_BATCHES;
        give_back(writer, batch);
    }
    if (commit_together(store, batch, run_closure_in_child))
        return;
    struct pending_write *write;
    STAILQ_FOREACH(write, &batch->writes, link)
        commit_alone(store, write);
}

/* ---- The writer thread. */

/* Counts the results, and says now and then that the store is full while it is. */
static void account(struct store *store, const struct write_list *list)
{
    struct writer *writer = &store->writer;
    unsigned ok = 0, failed = 0, full = 0;
    const struct pending_write *write;
    STAILQ_FOREACH(write, list, link) {
        ok += write->result == ERR_OK;
        failed += write->result != ERR_OK;
        full += write->result == ERR_STORE_FULL;
    }
    atomic_fetch_add_explicit(&writer->writes, ok, memory_order_relaxed);
    atomic_fetch_add_explicit(&writer->writes_failed, failed, memory_order_relaxed);
    int64_t now_ns = clock_mono_ns(store->clock);
    if (full == 0 || now_ns < writer->full_quiet_until_ns)
        return;
    writer->full_quiet_until_ns = now_ns + FULL_LOG_EVERY_NS;
    log_write(LOG_ERROR, "store", "The store is full (map or disk): writes fail.");
}

/* Waits until there is something to do; false when closing and nothing is left. The backlog is of
 * one futex: it is worked off before more is taken. */
static bool collect(struct writer *writer)
{
    if (!STAILQ_EMPTY(&writer->backlog))
        return true;
    lock_acquire(&writer->lock);
    while (STAILQ_EMPTY(&writer->waiting) && STAILQ_EMPTY(&writer->waiting_last) &&
           !writer->closing) {
        writer->asleep = true;
        lock_cond_wait(&writer->arrived, &writer->lock);
    }
    writer->asleep = false;
    STAILQ_CONCAT(&writer->backlog, &writer->waiting);
    STAILQ_CONCAT(&writer->backlog, &writer->waiting_last);
    writer->futex ^= 1;
    lock_leave(&writer->lock);
    return !STAILQ_EMPTY(&writer->backlog);
}

static void slim_if_wanted(struct store *store)
{
    struct writer *writer = &store->writer;
    if (writer->slim_wanted && store_slim(store))
        atomic_store(&writer->most_pages, 0);
    writer->slim_wanted = false;
}

static void *writer_main(void *arg)
{
    struct store *store = arg;
    struct writer *writer = &store->writer;
    pthread_setname_np(pthread_self(), "store");
    store_fault_inside(store);
    (void)setpriority(PRIO_PROCESS, 0, WRITER_NICE); /* of this thread; EPERM: as all the others */
    while (collect(writer)) {
        struct write_batch batch;
        batch_init(&batch);
        commit_batch(store, &batch);
        arena_reset(&writer->arena);
        slim_if_wanted(store);
        account(store, &batch.writes);
        end_all(&batch.writes, &finished[writer->futex ^ 1]);
    }
    return NULL;
}

void writer_init(struct writer *writer, unsigned batch_max)
{
    writer->batch_max = batch_max != 0 ? batch_max : BATCH_MAX_DEFAULT;
    lock_init(&writer->lock, LOCK_RANK_STORE_WRITER);
    lock_cond_init(&writer->arrived);
    STAILQ_INIT(&writer->waiting);
    STAILQ_INIT(&writer->waiting_last);
    STAILQ_INIT(&writer->backlog);
    writer->commit_ns = histogram_create();
    writer->batch_sizes = histogram_create();
}

void writer_release(struct writer *writer)
{
    assert(STAILQ_EMPTY(&writer->waiting) && STAILQ_EMPTY(&writer->waiting_last) &&
           STAILQ_EMPTY(&writer->backlog));
    lock_cond_release(&writer->arrived);
    lock_release(&writer->lock);
    arena_release(&writer->arena);
    histogram_destroy(&writer->commit_ns);
    histogram_destroy(&writer->batch_sizes);
}

bool writer_start(struct store *store)
{
    return pthread_create(&store->writer.thread, NULL, writer_main, store) == 0;
}

void writer_stop(struct store *store)
{
    struct writer *writer = &store->writer;
    lock_acquire(&writer->lock);
    writer->closing = true;
    lock_leave(&writer->lock);
    lock_cond_signal(&writer->arrived);
    pthread_join(writer->thread, NULL);
}
