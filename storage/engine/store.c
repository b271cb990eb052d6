/* Opening, closing, tables, the latch, figures. */
#include "storage/engine/engine.h"

#include "base/log.h"
#include "base/mem.h"
#include "storage/engine/engine_private.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAP_SIZE_DEFAULT (UINT64_C(64) << 30)

/* ---- Errors. */

void store_latch(struct store *store, const char *format, ...)
{
    if (atomic_exchange(&store->latching, true))
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(store->cause, sizeof store->cause, format, args);
    va_end(args);
    atomic_store(&store->read_only, true);
    log_write(LOG_ERROR, "store", "The store is read-only until a restart: %s.", store->cause);
}

bool store_is_full(int rc)
{
    return rc == MDB_MAP_FULL || rc == ENOSPC || rc == EDQUOT || rc == EFBIG;
}

/* Of the file's structure, as opposed to a record that fails its checksum. MDB_BAD_TXN is what LMDB
 * says to all that follows an error inside it. */
static bool is_structural(int rc)
{
    switch (rc) {
    case MDB_BAD_TXN:
    case MDB_CORRUPTED:
    case MDB_CURSOR_FULL:
    case MDB_INCOMPATIBLE:
    case MDB_INVALID:
    case MDB_PAGE_NOTFOUND:
    case EIO:
        return true;
    default:
        return false;
    }
}

enum err store_err(struct store *store, int rc, const char *step)
{
    if (store_is_full(rc))
        return ERR_STORE_FULL;
    if (rc == MDB_TXN_FULL)
        return ERR_TXN_TOO_LARGE;
    if (rc == MDB_PANIC)
        return ERR_READ_ONLY;
    if (is_structural(rc))
        store_latch(store, "%s failed: %s", step, mdb_strerror(rc));
    log_write(LOG_ERROR, "store", "%s failed: %s.", step, mdb_strerror(rc));
    return is_structural(rc) ? ERR_DAMAGED : ERR_INTERNAL;
}

/* Where store_open says why it failed. */
struct reason {
    char *text;
    size_t size;
};

__attribute__((format(printf, 3, 4))) static enum err refuse(const struct reason *reason,
                                                             enum err err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(reason->text, reason->size, format, args);
    va_end(args);
    return err;
}

static enum err refuse_errno(const struct reason *reason, const char *what, const char *path)
{
    enum err err = errno == ENOSPC || errno == EDQUOT ? ERR_STORE_FULL : ERR_INTERNAL;
    return refuse(reason, err, "cannot %s %s: %s", what, path, strerror(errno));
}

/* ---- The directory. */

/* A new file is only sure to be found again once the directory that names it is on disk. */
static enum err sync_directory(const char *path, const struct reason *reason)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return refuse_errno(reason, "open", path);
    enum err err = fsync(fd) == 0 ? ERR_OK : refuse_errno(reason, "sync", path);
    close(fd);
    return err;
}

static enum err make_directory(const char *dir, const struct reason *reason)
{
    if (mkdir(dir, 0700) != 0)
        return errno == EEXIST ? ERR_OK : refuse_errno(reason, "make", dir);
    char parent[4096];
    if (snprintf(parent, sizeof parent, "%s/..", dir) >= (int)sizeof parent)
        return refuse(reason, ERR_INTERNAL, "the path of the data directory is too long");
    return sync_directory(parent, reason);
}

static long read_pid(int fd)
{
    char text[24] = "";
    if (pread(fd, text, sizeof text - 1, 0) < 0)
        return 0;
    return strtol(text, NULL, 10);
}

/* LMDB allows several processes, we do not: our locks, caches and latch are this process's. The
 * kernel drops the lock with the process, however that ends. */
static enum err lock_directory(struct store *store, const char *dir, const struct reason *reason)
{
    char path[4096];
    if (snprintf(path, sizeof path, "%s/process.lock", dir) >= (int)sizeof path)
        return refuse(reason, ERR_INTERNAL, "the path of the data directory is too long");
    store->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (store->lock_fd < 0)
        return refuse_errno(reason, "open", path);
    if (flock(store->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK)
            return refuse_errno(reason, "lock", path);
        return refuse(reason, ERR_CONFLICT, "%s is in use by another process (%ld)", dir,
                      read_pid(store->lock_fd));
    }
    if (ftruncate(store->lock_fd, 0) != 0 || dprintf(store->lock_fd, "%ld\n", (long)getpid()) < 0)
        return refuse_errno(reason, "write", path);
    return ERR_OK;
}

/* ---- LMDB. */

static enum err refuse_lmdb(const struct reason *reason, int rc, const char *dir)
{
    switch (rc) {
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
        return refuse(reason, ERR_DAMAGED, "%s/data.mdb is damaged or not a database: %s", dir,
                      mdb_strerror(rc));
    default:
        errno = rc;
        return rc > 0 ? refuse_errno(reason, "open the database in", dir)
                      : refuse(reason, ERR_INTERNAL, "cannot open the database in %s: %s", dir,
                               mdb_strerror(rc));
    }
}

/* Where the number of the transaction stands that wrote one of LMDB's two meta pages. */
#define META_TXNID_AT 144

/* LMDB goes on from the meta page with the higher number, and a flipped bit in one would take it
 * back to the state before the last commit, in silence. Transactions write the two pages by turns:
 * page 0 has an even number, page 1 an odd one, and they are neighbours. */
static int check_metas(MDB_env *env)
{
    int fd;
    MDB_stat pages;
    uint64_t number[2] = {0};
    int rc = mdb_env_get_fd(env, &fd);
    if (rc != 0 || (rc = mdb_env_stat(env, &pages)) != 0)
        return rc;
    for (int i = 0; i < 2; i++) {
        off_t at = (off_t)pages.ms_psize * i + META_TXNID_AT;
        if (pread(fd, &number[i], sizeof number[i], at) != sizeof number[i])
            return EIO;
    }
    bool is_new = number[0] == 0 && number[1] == 0;
    bool in_turn = number[0] % 2 == 0 && number[1] % 2 == 1 &&
                   (number[0] + 1 == number[1] || number[1] + 1 == number[0]);
    return is_new || in_turn ? 0 : MDB_CORRUPTED;
}

/* Reading a mapped page behind the end of its file is a SIGBUS. A file that was cut short gets its
 * length back, in zeros: those the page types and the checksums of the records do see. */
static int restore_length(struct store *store)
{
    MDB_env *env = store->env;
    int fd;
    int rc = mdb_env_get_fd(env, &fd);
    MDB_envinfo info;
    MDB_stat pages;
    if (rc != 0 || (rc = mdb_env_info(env, &info)) != 0 || (rc = mdb_env_stat(env, &pages)) != 0)
        return rc;
    off_t size = (off_t)(info.me_last_pgno + 1) * pages.ms_psize;
    struct stat st;
    store->page_bytes = pages.ms_psize;
    if (fstat(fd, &st) != 0 || (st.st_size < size && ftruncate(fd, size) != 0))
        return errno;
    return 0;
}

static uint64_t map_bytes_of(const struct store_options *options)
{
    return options->map_size_bytes != 0 ? options->map_size_bytes : MAP_SIZE_DEFAULT;
}

int store_env_open(struct store *store, const char *dir, size_t map_bytes, unsigned flags)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    store->env = NULL;
    int rc = mdb_env_create(&store->env);
    if (rc == 0)
        rc = mdb_env_set_mapsize(store->env, (map_bytes + page - 1) / page * page);
    if (rc == 0)
        rc = mdb_env_set_maxdbs(store->env, STORE_TABLES_MAX);
    if (rc == 0)
        rc = mdb_env_set_maxreaders(store->env, READERS_MAX + READERS_BESIDE);
    if (rc == 0)
        rc = mdb_env_open(store->env, dir, MDB_NOTLS | MDB_NORDAHEAD | flags, 0600);
    if (rc == 0)
        store_fault_watch(store);
    return rc;
}

/* Before LMDB believes the file. */
static enum err check_shape(const struct store *store, const struct store_options *options,
                            const struct reason *reason)
{
    bool repair = options->keep_damaged;
    if (!options->damaged ||
        store_check_file(store->path, repair, options->damaged, options->arg) == 0)
        return ERR_OK;
    if (!repair)
        return refuse(reason, ERR_DAMAGED, "%s has damaged pages; nothing else of it was read",
                      store->path);
    int rc = store_rebuild(store->path, map_bytes_of(options), options->keep_damaged);
    if (rc == MDB_CORRUPTED)
        return refuse(reason, ERR_DAMAGED, "the list of tables in %s is damaged: restore a backup",
                      store->path);
    return rc == 0 ? ERR_OK
                   : refuse(reason, store_is_full(rc) ? ERR_STORE_FULL : ERR_INTERNAL,
                            "cannot write %s anew: %s", store->path, mdb_strerror(rc));
}

static enum err open_env(struct store *store, const struct store_options *options,
                         const struct reason *reason)
{
    int dead, rc = store_env_open(store, options->dir, map_bytes_of(options), 0);
    if (rc == 0)
        rc = mdb_reader_check(store->env, &dead);
    if (rc == 0)
        rc = check_metas(store->env);
    if (rc == 0)
        rc = restore_length(store);
    if (rc != 0)
        return refuse_lmdb(reason, rc, options->dir);
    return sync_directory(options->dir, reason);
}

/* ---- Tables. */

/* Opening it again would give another string to its name, which others may be reading. */
static bool is_open(const struct store *store, const char *name, struct table *out)
{
    for (unsigned handle = 0; handle < TABLE_SLOTS; handle++) {
        if (store->table_names[handle] && strcmp(store->table_names[handle], name) == 0) {
            out->handle = handle;
            return true;
        }
    }
    return false;
}

bool engine_is_new(struct store *store)
{
    MDB_stat tables;
    return mdb_env_stat(store->env, &tables) == 0 && tables.ms_entries == 0;
}

static int open_all(MDB_txn *mdb, const char *const names[], unsigned count, struct table out[])
{
    int rc = 0;
    for (unsigned i = 0; i < count; i++)
        out[i].handle = 0; /* of LMDB's own, which have no name here */
    for (unsigned i = 0; i < count && rc == 0; i++)
        rc = mdb_dbi_open(mdb, names[i], MDB_CREATE, &out[i].handle);
    return rc;
}

static void keep_names(struct store *store, const char *const names[], unsigned count,
                       const struct table tables[])
{
    for (unsigned i = 0; i < count; i++) {
        assert(tables[i].handle < TABLE_SLOTS && !store->table_names[tables[i].handle]);
        store->table_names[tables[i].handle] = mem_strdup(names[i]);
    }
}

static void forget_name(struct store *store, struct table table)
{
    free(store->table_names[table.handle]);
    store->table_names[table.handle] = NULL;
}

static enum err run_in(struct store *store, MDB_txn *mdb, store_fn fn, void *arg)
{
    if (!fn)
        return ERR_OK;
    struct txn txn;
    txn_begin(&txn, store, mdb, &store->writer.arena);
    txn.writing = true;
    store_fault_inside(store);
    enum err err = txn_run(&txn, fn, arg);
    store_fault_inside(NULL);
    assert(STAILQ_EMPTY(&txn.actions) && STAILQ_EMPTY(&txn.last_steps));
    return err;
}

enum err engine_tables(struct store *store, const char *const names[], unsigned count,
                       struct table out[], store_fn fn, void *arg)
{
    if (atomic_load(&store->read_only))
        return ERR_READ_ONLY;
    MDB_txn *mdb;
    int rc = mdb_txn_begin(store->env, NULL, 0, &mdb);
    if (rc != 0)
        return store_err(store, rc, "opening a table");
    rc = open_all(mdb, names, count, out);
    if (rc == 0)
        keep_names(store, names, count, out);
    enum err err = rc == 0 ? run_in(store, mdb, fn, arg) : store_err(store, rc, "opening a table");
    if (err != ERR_OK)
        mdb_txn_abort(mdb);
    else if ((rc = mdb_txn_commit(mdb)) != 0)
        err = store_err(store, rc, "opening a table");
    for (unsigned i = 0; err != ERR_OK && i < count; i++)
        forget_name(store, out[i]);
    return err;
}

enum err store_table(struct store *store, const char *name, struct table *out)
{
    return is_open(store, name, out) ? ERR_OK : engine_tables(store, &name, 1, out, NULL, NULL);
}

enum err engine_drop(struct store *store, struct table *table)
{
    MDB_txn *mdb;
    int rc = mdb_txn_begin(store->env, NULL, 0, &mdb);
    if (rc == 0 && (rc = mdb_drop(mdb, table->handle, 1)) != 0)
        mdb_txn_abort(mdb);
    else if (rc == 0)
        rc = mdb_txn_commit(mdb);
    if (rc != 0)
        return store_err(store, rc, "dropping a table");
    forget_name(store, *table);
    return ERR_OK;
}

void store_table_in_order(struct store *store, struct table table)
{
    store->in_order[table.handle] = true;
}

const char *store_table_name(const struct store *store, struct table table)
{
    return store->table_names[table.handle];
}

/* ---- Open and close. */

static struct store *store_create(const struct store_options *options)
{
    struct store *store = mem_zalloc(sizeof *store);
    store->clock = options->clock;
    store->lock_fd = -1;
    snprintf(store->path, sizeof store->path, "%s/data.mdb", options->dir);
    readers_init(&store->readers);
    writer_init(&store->writer, options->batch_max);
    lock_init(&store->damage.lock, LOCK_RANK_STORE_DAMAGE);
    return store;
}

static void store_destroy(struct store *store)
{
    writer_release(&store->writer);
    readers_release(&store->readers);
    store_fault_forget(store);
    mdb_env_close(store->env);
    for (unsigned i = 0; i < TABLE_SLOTS; i++)
        free(store->table_names[i]);
    lock_release(&store->damage.lock);
    if (store->lock_fd >= 0)
        close(store->lock_fd);
    free(store);
}

enum err engine_open(const struct store_options *options, struct store **out, char *why,
                     size_t why_size)
{
    assert(options->dir && options->clock);
    const struct reason reason = {why, why_size};
    struct store *store = store_create(options);
    *out = NULL;
    enum err err = make_directory(options->dir, &reason);
    store_fault_inside(store);
    if (err == ERR_OK)
        err = lock_directory(store, options->dir, &reason);
    if (err == ERR_OK)
        err = check_shape(store, options, &reason);
    if (err == ERR_OK)
        err = open_env(store, options, &reason);
    if (err == ERR_OK && !writer_start(store))
        err = refuse(&reason, ERR_INTERNAL, "cannot start a thread");
    store_fault_inside(NULL);
    if (err == ERR_OK)
        *out = store;
    else
        store_destroy(store);
    return err;
}

void store_close(struct store **store)
{
    if (!*store)
        return;
    writer_stop(*store);
    store_destroy(*store);
    *store = NULL;
}

/* ---- Damage. */

/* Who meets the same again and again says it once. */
static bool note_damage(struct damage_notes *damage, const char *what)
{
    lock_acquire(&damage->lock);
    bool is_new = strcmp(damage->last, what) != 0;
    if (is_new)
        snprintf(damage->last, sizeof damage->last, "%s", what);
    damage->count++;
    lock_leave(&damage->lock);
    return is_new;
}

static void tell_damage(struct store *store, const char *format, va_list args)
{
    char what[sizeof store->damage.last];
    vsnprintf(what, sizeof what, format, args);
    if (note_damage(&store->damage, what))
        log_write(LOG_ERROR, "store", "Damaged: %s.", what);
}

enum err txn_damaged(struct txn *txn, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    tell_damage(txn->store, format, args);
    va_end(args);
    return txn_fail(txn, ERR_DAMAGED);
}

void store_damaged(struct store *store, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    tell_damage(store, format, args);
    va_end(args);
}

static void read_damage(struct damage_notes *damage, struct store_stats *out)
{
    lock_acquire(&damage->lock);
    out->damaged = damage->count;
    snprintf(out->damage, sizeof out->damage, "%s", damage->last);
    lock_leave(&damage->lock);
}

/* ---- Figures. */

/* Inside a transaction, so that store_revive waits for us. */
static enum err read_sizes(struct txn *txn, void *arg)
{
    struct store_stats *out = arg;
    struct store *store = txn_store(txn);
    MDB_envinfo info;
    if (mdb_env_info(store->env, &info) == 0)
        out->map_bytes = info.me_mapsize;
    out->used_bytes = store_used_pages(store, txn->mdb) * store->page_bytes;
    return ERR_OK;
}

void store_stats(struct store *store, struct store_stats *out)
{
    const struct writer *writer = &store->writer;
    *out = (struct store_stats){
        .commits = atomic_load(&writer->commits),
        .writes = atomic_load(&writer->writes),
        .writes_failed = atomic_load(&writer->writes_failed),
        .reads = readers_count(&store->readers),
        .file_bytes = atomic_load(&store->watch.file_bytes),
        .free_bytes = atomic_load(&store->watch.free_bytes),
        .oldest_read_ms = atomic_load(&store->watch.oldest_read_ms),
        .nearly_full = atomic_load(&store->watch.nearly_full),
        .read_only = atomic_load(&store->read_only),
        .cause = "",
    };
    if (out->read_only)
        out->cause = store->cause;
    read_damage(&store->damage, out);
    store_read(store, read_sizes, out);
}

const struct histogram *store_commit_histogram(const struct store *store)
{
    return store->writer.commit_ns;
}

const struct histogram *store_batch_histogram(const struct store *store)
{
    return store->writer.batch_sizes;
}
