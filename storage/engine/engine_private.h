/* What the files of storage/engine/ share. LMDB's types go no further than this header. */
#ifndef GALLEY_ENGINE_PRIVATE_H
#define GALLEY_ENGINE_PRIVATE_H

#include "base/lock.h"
#include "storage/engine/arena.h"
#include "storage/engine/engine.h"
#include "storage/store.h"

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

/* LMDB numbers its tables from 2 on; 0 and 1 are its own. */
#define TABLE_SLOTS (STORE_TABLES_MAX + 2)
#define FREE_LIST   0 /* pages that transactions have freed */

#define TABLE_NAME_MAX 64 /* bytes */

/* Read transactions at once; more readers wait. It bounds LMDB's reader table, which each commit
 * looks through. */
#define READERS_MAX    128
#define READERS_BESIDE 8 /* the writer, when it counts free pages, and other processes */

/* A transaction may dirty 2^17 - 1 pages before LMDB spills them, which we never let it do. Every
 * write counts as one page and its overflow pages; branch pages at most double that. */
#define BATCH_PAGES_MAX 4096
#define TXN_PAGES_MAX   16384
#define KEPT_PAGES_MAX  1024 /* LMDB keeps its buffers for so many; more are given back in time */
#define PAGE_BYTES      4096 /* about: LMDB takes the machine's page size */

/* Something to do when a transaction has ended, one way or the other. */
struct action {
    STAILQ_ENTRY(action) link;
    void (*fn)(void *arg);
    void (*drop)(void *arg);
    void *arg;
};

STAILQ_HEAD(action_list, action);

/* Something to do once before the commit. */
struct last_step {
    STAILQ_ENTRY(last_step) link;
    commit_fn fn;
    void *arg;
};

STAILQ_HEAD(last_step_list, last_step);

/* What is to be added to a sum. */
struct sum_change {
    STAILQ_ENTRY(sum_change) link;
    struct table table;
    struct slice key; /* in `bytes` */
    int64_t delta;
    char bytes[];
};

STAILQ_HEAD(sum_list, sum_change);

/* A cursor for each table, kept for all that is done in a write transaction of LMDB: what is beside
 * the last place is found there without a descent. LMDB frees them when the transaction ends. */
struct kept_cursors {
    MDB_cursor *list[TABLE_SLOTS]; /* by handle, NULL until first used */
    uint64_t lent;                 /* a bit for each that is a struct cursor's at present */
};
_Static_assert(TABLE_SLOTS <= 64, "a bit for each");

struct txn {
    struct store *store;
    MDB_txn *mdb;
    struct kept_cursors *kept; /* NULL: none */
    struct arena *arena;
    int64_t now_ms;
    enum err err; /* sticky */
    bool writing;
    bool touched;         /* something was written, or failed inside LMDB: undo it to go on */
    unsigned cursors;     /* open ones */
    unsigned writes;      /* so many puts and deletes */
    unsigned pages;       /* written, as estimated */
    unsigned large_pages; /* of them, those of large values alone */
    unsigned room;        /* pages by which it may grow */
    bool shrinking;
    unsigned moves;   /* of cursors */
    int64_t first_ms; /* when it was first asked how long it lasts; 0: never */
    struct action_list actions;
    struct last_step_list last_steps;
    struct sum_list sums;              /* its own */
    const struct sum_list *batch_sums; /* of those before it that share the commit, or NULL */
    uint64_t attempt;
};

/* One of the pooled read transactions. */
struct reader {
    _Atomic bool busy;
    _Atomic uint64_t reads;   /* only its holder adds */
    _Atomic int64_t since_ms; /* when it began, by the watch; 0 while nobody reads or watches */
    MDB_txn *mdb;             /* NULL until first used */
    struct arena arena;
    char apart[64]; /* keeps the next one's `busy` off this cache line */
};

struct readers {
    struct reader slots[READERS_MAX];
    _Atomic unsigned waiting;
    struct lock lock; /* to wait for a slot */
    struct lock_cond freed;
};

STAILQ_HEAD(write_list, pending_write);

struct writer {
    pthread_t thread;
    unsigned batch_max;
    struct lock lock;
    struct lock_cond arrived;
    /* Under the lock. */
    struct write_list waiting, waiting_last; /* the latter behind the former */
    unsigned futex;                          /* of those in `waiting` */
    bool asleep;
    bool closing;
    /* The writer thread's own. */
    struct write_list backlog; /* taken from `waiting`, not yet in a batch */
    struct arena arena;
    unsigned cautious;           /* so many batches yet with a child transaction for each closure */
    int64_t full_quiet_until_ns; /* a full store is not logged again before */
    bool slim_wanted;            /* set by a closure of store_watch */
    uint64_t attempts;           /* to commit */
    /* Pages that a batch has dirtied, as estimated: the most since store_slim, and lately. */
    _Atomic unsigned most_pages, recent_pages;
    /* For all to read. */
    _Atomic uint64_t commits, writes, writes_failed;
    struct histogram *commit_ns, *batch_sizes;
};

/* Records and entries that were found damaged. */
struct damage_notes {
    struct lock lock;
    uint64_t count;
    char last[STORE_DAMAGE_SIZE];
};

/* What store_watch knows. */
struct watch {
    /* Its own. */
    int foreign_pid; /* the other process that reads the oldest snapshot */
    size_t foreign_snapshot;
    int64_t foreign_since_ms;
    bool told; /* that a read is long */
    unsigned turns;
    /* For all to read. */
    _Atomic int64_t now_ms; /* monotonic, when it last came by; 0: never */
    _Atomic int64_t oldest_read_ms;
    _Atomic uint64_t file_bytes, free_bytes;
    _Atomic bool nearly_full;
};

struct store {
    const struct clock *clock;
    int lock_fd;
    MDB_env *env;                   /* NULL only after store_revive has failed */
    char *table_names[TABLE_SLOTS]; /* by handle, NULL where none is */
    bool in_order[TABLE_SLOTS];
    struct readers readers;
    struct writer writer;
    struct watch watch;
    struct damage_notes damage;
    char path[4096];       /* of data.mdb */
    size_t page_bytes;     /* LMDB's */
    _Atomic bool latching; /* whose turn it is to write the cause */
    _Atomic bool read_only;
    char cause[160]; /* of the latch; written before read_only, never after */
};

/* ---- store.c */

/* Opens store->env. Returns what LMDB said; store->env may be left to close then, or NULL. */
int store_env_open(struct store *store, const char *dir, size_t map_bytes, unsigned flags);

/* No more writes until a restart. Keeps and logs the cause, if it is the first; `format` makes half
 * a sentence. Threads: any. */
void store_latch(struct store *store, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What an LMDB or errno code is to our callers; those that need one are logged here. Damage of the
 * structure latches: nobody knows what else it has taken, and what is committed onto it may not be
 * found again. Threads: any. */
enum err store_err(struct store *store, int rc, const char *step);
bool store_is_full(int rc); /* the map or the disk */

/* ---- store_fault.c */

/* From now on an assertion of LMDB and a fault in the map end the process with a line that names
 * the file. Once for each environment that is opened. Threads: main, writer. */
void store_fault_watch(struct store *store);
void store_fault_forget(const struct store *store);

/* Where the file is mapped; false if that is not known. */
bool store_fault_map(const struct store *store, const char **begin, const char **end);

/* What the calling thread works in, for a fault outside the map; NULL: none. */
void store_fault_inside(const struct store *store);

/* ---- store_shape.c, store_rebuild.c: of a file that no process has open */

/* Tells of each damaged page that is met, with `order` also of those whose keys are out of order,
 * and counts them; nothing if the file cannot be read at all, which LMDB tells. */
uint64_t store_check_file(const char *path, bool order, void (*found)(const char *what, void *arg),
                          void *arg);

/* Writes the file anew of what can be read; the old one is `kept` then. Returns what LMDB said, or
 * errno, and then nothing has changed. */
int store_rebuild(const char *path, size_t map_bytes, const char *kept);

/* ---- store_room.c */

/* Pages that a batch may write without touching the reserve; at most TXN_PAGES_MAX. Threads:
 * writer, between transactions. */
unsigned store_room(struct store *store);

uint64_t store_reserve(uint64_t map_pages);

/* Of all tables, as the transaction sees them. Threads: the transaction's. */
uint64_t store_used_pages(struct store *store, MDB_txn *mdb);

/* The number of the oldest snapshot that any process reads; `latest` if none does. */
size_t store_oldest_snapshot(MDB_env *env, size_t latest);

/* Pages that were freed before that snapshot, counted up to about `enough`. */
uint64_t store_free_pages(MDB_txn *mdb, size_t before, uint64_t enough);

/* ---- store_watch.c */

/* What a read may take: walks are to end and go on in another one (txn_out_of_time); what does not
 * is made to at the limit. */
#define READ_BUDGET_MS 500
#define READ_LIMIT_MS  10000

/* Whether a transaction has lasted so long since this was asked first; never one of a store that
 * nobody watches. */
bool store_out_of_time(struct txn *txn, int64_t budget_ms);

/* ---- store_revive.c */

/* Whether LMDB refuses every transaction. Threads: writer, between transactions. */
bool store_is_dead(struct store *store);

/* Makes reading possible again if it is dead. Threads: writer, latched. */
void store_revive(struct store *store);

/* Gives back the memory that LMDB keeps since a large transaction; false if a reader was in the
 * way. Threads: writer, between transactions. */
bool store_slim(struct store *store);

/* ---- store_read.c */

void readers_init(struct readers *readers);
void readers_release(struct readers *readers);
void readers_stop(struct readers *readers);     /* waits for all to leave and keeps them out */
bool readers_try_stop(struct readers *readers); /* false at once if somebody reads */
void readers_resume(struct readers *readers);
uint64_t readers_count(const struct readers *readers); /* reads so far */

/* ---- store_write.c */

void writer_init(struct writer *writer, unsigned batch_max); /* 0: the default */
void writer_release(struct writer *writer);
bool writer_start(struct store *store);
void writer_stop(struct store *store); /* commits what waits */

/* ---- txn.c */

void txn_begin(struct txn *txn, struct store *store, MDB_txn *mdb, struct arena *arena);

/* Runs the closure; its own error goes before the sticky one. */
enum err txn_run(struct txn *txn, store_fn fn, void *arg);

/* Adds those that `to` does not have. */
void last_steps_merge(struct last_step_list *to, struct last_step_list *from);
enum err last_steps_run(struct txn *txn, struct last_step_list *list);

void actions_run(struct action_list *list);  /* empties it */
void actions_drop(struct action_list *list); /* empties it */

/* ---- sums.c: each empties the list that it takes from. */

void sums_merge(struct sum_list *to, struct sum_list *from);
enum err sums_write(struct txn *txn, struct sum_list *list);

#endif
