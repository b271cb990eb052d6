/* Looking after a store that runs: its files are still where they were, nobody reads for too long,
 * there is room.
 *
 * DESIGN. Beginning to read costs no look at the clock: a reader notes what time it was when the
 * watch last came by. A snapshot of another process (LMDB allows it) is known by its number alone,
 * so its age counts from when the watch first saw it. */
#include "base/log.h"
#include "storage/engine/engine_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FREE_EVERY   10             /* the list of free pages is counted each so many times */
#define LOG_AFTER_MS INT64_C(10000) /* a read that lasts so long is worth a line */

/* Monotonic, and never 0. */
static int64_t watch_clock_ms(const struct store *store)
{
    return clock_mono_ns(store->clock) / 1000000 + 1;
}

/* ---- The files. */

static bool is_file(int fd, const char *path)
{
    struct stat ours, there;
    return fstat(fd, &ours) == 0 && stat(path, &there) == 0 && ours.st_ino == there.st_ino &&
           ours.st_dev == there.st_dev;
}

/* What is committed to a file that nobody finds again is lost. */
static void watch_files(struct store *store, const char *dir)
{
    char lock[4200];
    int fd;
    snprintf(lock, sizeof lock, "%s/process.lock", dir);
    const char *lost = NULL;
    if (mdb_env_get_fd(store->env, &fd) != MDB_SUCCESS || !is_file(fd, store->path))
        lost = store->path;
    else if (!is_file(store->lock_fd, lock))
        lost = lock;
    if (lost)
        store_latch(store, "%s was moved or deleted while it was in use", lost);
}

/* ---- Who reads. */

static int64_t oldest_own_ms(const struct readers *readers, int64_t now_ms)
{
    int64_t oldest = 0;
    for (unsigned i = 0; i < READERS_MAX; i++) {
        const struct reader *reader = &readers->slots[i];
        int64_t since_ms = atomic_load_explicit(&reader->since_ms, memory_order_relaxed);
        if (since_ms != 0 && atomic_load(&reader->busy) && now_ms - since_ms > oldest)
            oldest = now_ms - since_ms;
    }
    return oldest;
}

struct foreign {
    int own_pid;
    int pid; /* of who reads the oldest snapshot; 0: nobody does */
    size_t snapshot;
};

static int note_foreign(const char *line, void *arg)
{
    struct foreign *foreign = arg;
    int pid;
    size_t snapshot;
    bool reads = sscanf(line, "%d %*x %zu", &pid, &snapshot) == 2 && pid != foreign->own_pid;
    if (reads && (foreign->pid == 0 || snapshot < foreign->snapshot)) {
        foreign->pid = pid;
        foreign->snapshot = snapshot;
    }
    return 0;
}

static int64_t oldest_foreign_ms(struct store *store, int64_t now_ms)
{
    struct watch *watch = &store->watch;
    struct foreign foreign = {.own_pid = getpid()};
    mdb_reader_list(store->env, note_foreign, &foreign);
    if (foreign.pid == 0 || foreign.pid != watch->foreign_pid ||
        foreign.snapshot != watch->foreign_snapshot) {
        watch->foreign_pid = foreign.pid;
        watch->foreign_snapshot = foreign.snapshot;
        watch->foreign_since_ms = now_ms;
    }
    return now_ms - watch->foreign_since_ms;
}

static void watch_readers(struct store *store, int64_t now_ms)
{
    struct watch *watch = &store->watch;
    int dead = 0;
    mdb_reader_check(store->env, &dead);
    if (dead > 0)
        log_write(LOG_WARN, "store", "Snapshots that dead processes held and that are let go: %d.",
                  dead);
    int64_t own_ms = oldest_own_ms(&store->readers, now_ms);
    int64_t foreign_ms = oldest_foreign_ms(store, now_ms);
    int64_t oldest_ms = own_ms > foreign_ms ? own_ms : foreign_ms;
    bool is_long = oldest_ms >= LOG_AFTER_MS;
    if (is_long && !watch->told && own_ms >= foreign_ms)
        log_write(LOG_WARN, "store", "A read lasts longer than %d s: the file grows meanwhile.",
                  (int)(LOG_AFTER_MS / 1000));
    else if (is_long && !watch->told)
        log_write(LOG_WARN, "store",
                  "The process %d reads a snapshot for longer than %d s: the "
                  "file grows meanwhile.",
                  watch->foreign_pid, (int)(LOG_AFTER_MS / 1000));
    watch->told = is_long;
    atomic_store(&watch->oldest_read_ms, oldest_ms);
}

/* ---- Sizes. */

static void watch_sizes(struct store *store, MDB_txn *mdb)
{
    struct watch *watch = &store->watch;
    MDB_envinfo info;
    struct stat st;
    int fd;
    if (mdb_env_get_fd(store->env, &fd) == MDB_SUCCESS && fstat(fd, &st) == 0)
        atomic_store(&watch->file_bytes, (uint64_t)st.st_size);
    if (mdb_env_info(store->env, &info) != MDB_SUCCESS || watch->turns++ % FREE_EVERY != 0)
        return;
    uint64_t map_pages = info.me_mapsize / store->page_bytes;
    uint64_t beyond = map_pages > info.me_last_pgno ? map_pages - info.me_last_pgno - 1 : 0;
    uint64_t free = store_free_pages(mdb, info.me_last_txnid + 1, UINT64_MAX);
    atomic_store(&watch->free_bytes, free * store->page_bytes);
    atomic_store(&watch->nearly_full, beyond + free < 2 * store_reserve(map_pages));
}

/* Within a read, so that the environment stays. */
static enum err watch(struct txn *txn, void *arg)
{
    struct store *store = txn_store(txn);
    int64_t now_ms = watch_clock_ms(store);
    const char *dir = arg;
    watch_files(store, dir);
    watch_readers(store, now_ms);
    watch_sizes(store, txn->mdb);
    return ERR_OK;
}

/* Its effect is not on the store; the writer thread runs it. */
static enum err ask_slim(struct txn *txn, void *arg)
{
    (void)arg;
    txn_store(txn)->writer.slim_wanted = true;
    return ERR_OK;
}

/* Not while there are large batches: the next one would need the memory again. */
static void watch_memory(struct store *store)
{
    struct writer *writer = &store->writer;
    unsigned recent = atomic_exchange(&writer->recent_pages, 0);
    if (recent <= KEPT_PAGES_MAX && atomic_load(&writer->most_pages) > KEPT_PAGES_MAX)
        store_write(store, ask_slim, NULL);
}

void store_watch(struct store *store)
{
    char dir[sizeof store->path];
    snprintf(dir, sizeof dir, "%s", store->path);
    *strrchr(dir, '/') = '\0';
    atomic_store(&store->watch.now_ms, watch_clock_ms(store));
    store_read(store, watch, dir);
    watch_memory(store);
}

bool store_out_of_time(struct txn *txn, int64_t budget_ms)
{
    if (atomic_load_explicit(&txn->store->watch.now_ms, memory_order_relaxed) == 0)
        return false;
    int64_t now_ms = watch_clock_ms(txn->store);
    if (txn->first_ms == 0)
        txn->first_ms = now_ms;
    return now_ms - txn->first_ms >= budget_ms;
}

bool txn_out_of_time(struct txn *txn)
{
    return store_out_of_time(txn, READ_BUDGET_MS);
}
