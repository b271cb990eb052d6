/* The database: ordered byte keys in named tables, ACID transactions, group commit.
 *
 * store_read runs a function on a snapshot; store_write runs one inside a write transaction and
 * returns when its effects are on disk: an ERR_OK is a promise that survives kill -9 and a power
 * cut. Writes of many threads share one commit (group commit): a single writer thread takes all
 * that wait, runs them so that a failing one leaves no trace, commits once, runs the on-commit
 * actions and wakes the waiters.
 *
 * A commit that fails for another reason than a full disk is never retried: the store latches
 * read-only, every write gets ERR_READ_ONLY until a restart re-reads the disk.
 *
 * Lifetime: open once per process and directory (an exclusive lock is held on it), close after all
 * threads that use it have stopped. */
#ifndef GALLEY_STORAGE_STORE_H
#define GALLEY_STORAGE_STORE_H

#include "base/clock.h"
#include "base/err.h"
#include "base/metrics.h"
#include "base/slice.h"

#include <sys/queue.h>

#define STORE_KEY_MAX     511         /* bytes */
#define STORE_VALUE_MAX   (16u << 20) /* bytes, a record's payload */
#define STORE_TABLES_MAX  32
#define STORE_DAMAGE_SIZE 240

struct store;
struct txn;

struct store_options {
    const char *dir;         /* made (0700) if missing; its parent must exist */
    uint64_t map_size_bytes; /* the most the file can grow to; 0: 64 GiB */
    unsigned batch_max;      /* write transactions in one commit; 0: 512 */
    const struct clock *clock;
    /* If not NULL, all pages are looked at before, which takes as long as reading the file, and it
     * is told of each that is damaged: then the store is not opened. With keep_damaged, a path, it
     * is: the file is written anew of what can be read, also if keys are out of order, and the
     * damaged one has that name. */
    void (*damaged)(const char *what, void *arg);
    void *arg;
    const char *keep_damaged;
};

/* Opens or creates. On an error *out is NULL and why[why_size] says what and where.
 * ERR_CONFLICT: another process has it open. ERR_DAMAGED: not ours, damaged, a newer format.
 * Threads: main. */
enum err store_open(const struct store_options *options, struct store **out, char *why,
                    size_t why_size);

/* Commits what waits, stops the writer thread, closes. NULL-safe; sets *store to NULL. */
void store_close(struct store **store);

/* Writes the database in `dir` to a pipe as it stands at one moment: all that was acknowledged
 * before the call is in it. The database is another process's, or nobody's; it serves and commits
 * on, but grows instead of using pages again as long as this takes. `compact` leaves out the pages
 * that hold nothing, which takes longer. On an error why[why_size] names the file. Threads: any of
 * a process that does not have the directory open. */
enum err store_copy(const char *dir, int fd, bool compact, char *why, size_t why_size);

/* A table is a named, separate key space. Opened (and created) before the threads start. */
struct table {
    unsigned handle;
};
enum err store_table(struct store *store, const char *name, struct table *out);
/* Its keys come in order, nearly always: pages are filled to the brim instead of by half. */
void store_table_in_order(struct store *store, struct table table);
const char *store_table_name(const struct store *store, struct table table); /* for the log */

/* ---- Transactions. */

/* What runs inside: returns ERR_OK to commit, anything else to leave no trace. Slices it reads are
 * valid until it returns. A write function may run up to three times (a batch that was spoiled runs
 * again): it has no effect outside the transaction but through txn_on_commit, and resets what it
 * writes through `arg`. It neither blocks nor starts another transaction. It is cheapest to fail
 * before the first write. */
typedef enum err (*store_fn)(struct txn *txn, void *arg);

/* Runs fn on a snapshot, in the calling thread. Returns fn's result or the transaction's sticky
 * error. Threads: any. */
enum err store_read(struct store *store, store_fn fn, void *arg);

/* Runs fn in the writer thread and blocks until its commit is durable. Besides fn's own errors:
 * ERR_STORE_FULL (map or disk), ERR_TXN_TOO_LARGE (it writes more than one commit takes),
 * ERR_READ_ONLY (latched), ERR_DRAINING (closing). Threads: any but the writer. */
enum err store_write(struct store *store, store_fn fn, void *arg);

/* As store_write, but behind all that wait when the writer takes this one: for what goes on with
 * what others write. */
enum err store_write_last(struct store *store, store_fn fn, void *arg);

/* A write that nobody waits for: the caller's memory, not touched from store_submit until done(),
 * which the writer thread calls once the result stands, durable if it is ERR_OK. done() must not
 * block and not write. */
struct pending_write {
    store_fn fn;
    void *arg;
    void (*done)(struct pending_write *write);
    enum err result;
    /* The store's own. */
    bool last;
    STAILQ_ENTRY(pending_write) link;
};

/* As store_write without the wait. On any other result than ERR_OK it was not taken, and done() is
 * not called. Threads: any but the writer. */
enum err store_submit(struct store *store, struct pending_write *write);

/* Sticky errors: after the first failure every later step on this transaction does nothing and
 * returns that same error, and the transaction will not commit. ERR_NOT_FOUND is an answer, not a
 * failure, and does not stick. */
enum err txn_error(const struct txn *txn);
enum err txn_fail(struct txn *txn, enum err err); /* sets it, unless one is set; returns it */

/* Something stored is not as it was written: counted, shown in store_stats, logged unless it is the
 * same as the last time; sets and returns ERR_DAMAGED. `format` makes a clause that names it. */
enum err txn_damaged(struct txn *txn, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same by who goes on without it: nothing fails. Threads: any. */
void store_damaged(struct store *store, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* This transaction leaves the store smaller, or not larger for long (deletes, settling, sweeps): it
 * may use the reserve that keeps a full store from being a trap. Said before its first put; deletes
 * alone need not say it, nor need what replaces values by others that are not longer. */
void txn_shrinking(struct txn *txn);

/* Whether the store has room for one that is not shrinking. */
bool txn_may_grow(const struct txn *txn);

/* Whether this read has lasted as long as one should (half a second): it holds pages back that were
 * freed meanwhile, and the file grows. A walk then remembers where it is, ends the transaction and
 * goes on in another. One that does not is failed with ERR_OVERLOADED after ten seconds. */
bool txn_out_of_time(struct txn *txn);

struct store *txn_store(const struct txn *txn);
int64_t txn_now_ms(const struct txn *txn); /* wall time, the same within one transaction */

/* After the transaction is durable, and only then, fn(arg) runs in the writer thread before the
 * waiter wakes; actions run in the order they were added. It must not block and not write. If the
 * transaction does not commit, drop(arg) runs instead, if not NULL. Write transactions only. */
void txn_on_commit(struct txn *txn, void (*fn)(void *arg), void (*drop)(void *arg), void *arg);

/* fn(txn, arg) runs once more, behind all transactions that share the commit and before it, however
 * many of them ask for it with this arg: for a record that each of them changes. It may write. If
 * it fails, none of them commits with the others. Write transactions only. */
typedef enum err (*commit_fn)(struct txn *txn, void *arg);
void txn_before_commit(struct txn *txn, commit_fn fn, void *arg);

/* The same for all transactions that share a commit, and never the same again: what one of them has
 * left in memory for those behind it is valid as long as this is what it was; with another number
 * what was committed last is. 0: neither is, only the store knows. */
uint64_t txn_attempt(const struct txn *txn);

/* `size` bytes that live until the transaction has ended and its on-commit actions have run. */
void *txn_alloc(struct txn *txn, size_t size);

/* ---- Byte keys. Values are borrowed from the map: read-only, valid until the next write to the
 * transaction or its end. For the same reason no key or value that is written may be borrowed from
 * the transaction itself: copy it first (txn_alloc, struct key). */

enum err txn_get(struct txn *txn, struct table table, struct slice key, struct slice *value);
/* Of several keys at once, which costs an engine that is far away one round trip; cheapest in the
 * order of keys. What is not there is a NULL pointer. */
enum err txn_get_many(struct txn *txn, struct table table, const struct slice *keys, unsigned count,
                      struct slice *values);
enum err txn_put(struct txn *txn, struct table table, struct slice key, struct slice value);
/* txn_put without the copy: *place is where the caller writes `size` bytes at once. */
enum err txn_reserve(struct txn *txn, struct table table, struct slice key, size_t size,
                     uint8_t **place);
/* ERR_NOT_FOUND if there is none. */
enum err txn_del(struct txn *txn, struct table table, struct slice key);
/* Takes the first entries whose keys begin with `prefix` out of the table, at most `max`: `keys`
 * are copies of theirs, in order, that live as txn_alloc's do; fewer than `max` were all there are.
 * What turns out not to be wanted is put again. For work that is handed out: who claims next gets
 * others, and an engine with many writers passes over what a transaction beside this one is
 * claiming. */
enum err txn_claim(struct txn *txn, struct table table, struct slice prefix, unsigned max,
                   struct slice *keys, unsigned *count);
/* Shows each table that lies in the file, be it open or not. */
enum err store_each_table(struct txn *txn, void (*each)(const char *name, void *arg), void *arg);
/* How far looking at the pages has come: {0} at the beginning. */
struct pages_place {
    unsigned tree;
    uint16_t len;
    uint8_t key[STORE_KEY_MAX];
};
/* Looks at some more of the pages that the list of free pages, that of tables and those tables
 * consist of that are wanted: whether they can be read at all without leading astray. found() is
 * told a clause for each that cannot; the store takes no more writes then. *end: those were the
 * last. In a read transaction. */
enum err txn_check_shape(struct txn *txn, struct pages_place *place, bool *end,
                         bool (*wanted)(const char *table, void *arg),
                         void (*found)(const char *what, void *arg), void *arg);
/* Walks all tables and the list of free pages: each page of the file is in one place. found() is
 * told a clause for each that is not. In a read transaction; it takes as long as it takes, so while
 * nobody else uses the store. */
enum err txn_check_pages(struct txn *txn, void (*found)(const char *what, void *arg), void *arg);
/* How many keys it has. */
uint64_t txn_table_count(struct txn *txn, struct table table);
/* What the table takes of the file. */
uint64_t txn_table_bytes(struct txn *txn, struct table table);
/* How often one of these was called: when it has changed, what was borrowed is void. */
unsigned txn_writes(const struct txn *txn);

/* A position in a table, on the caller's stack; cursor_close before the transaction ends. Writing
 * to the table while walking is allowed only by seeking again. */
struct cursor {
    void *impl;
    bool kept; /* by the transaction, for the next one */
    bool last; /* it stands on the last key */
    struct table table;
    struct txn *txn;
    struct slice key, value; /* where it stands, valid as txn_get's */
};

void cursor_open(struct cursor *cursor, struct txn *txn, struct table table);
void cursor_close(struct cursor *cursor);
/* To the first key at or behind `key`; ERR_NOT_FOUND behind the last. */
enum err cursor_seek(struct cursor *cursor, struct slice key);
/* To the last key before `key` (an empty key: the last of all). */
enum err cursor_seek_before(struct cursor *cursor, struct slice key);
enum err cursor_next(struct cursor *cursor);
enum err cursor_prev(struct cursor *cursor);
/* cursor_next, or with `back` cursor_prev, up to `max` times at once, which costs an engine that is
 * far away one round trip: the entries that it came by, borrowed as the cursor's own. It ends soon
 * behind those whose keys begin with `prefix`, but shows the first behind them, and maybe some
 * more: a walk over a range sees where that ends. ERR_NOT_FOUND if none was left. */
struct cursor_entry {
    struct slice key, value;
};
enum err cursor_fetch(struct cursor *cursor, bool back, struct slice prefix, unsigned max,
                      struct cursor_entry *out, unsigned *count);
/* Replaces the value where the cursor stands by one of the same size. */
enum err cursor_put(struct cursor *cursor, struct slice value);
/* Reserves a new key, cheap if the cursor stands beside where it belongs. ERR_EXISTS, which
 * does not stick, if it is there. */
enum err cursor_reserve(struct cursor *cursor, struct slice key, size_t size, uint8_t **place);
/* Whether a key that a cursor has shown is of a length that can be. Of another one neither the
 * bytes may be read nor the entry deleted. */
static inline bool key_is_possible(struct slice key)
{
    return key.len > 0 && key.len <= STORE_KEY_MAX;
}
static inline bool cursor_has_key(const struct cursor *cursor)
{
    return key_is_possible(cursor->key);
}
/* Deletes what the cursor stands on, wherever a search for its key would end; seek again. */
enum err cursor_del(struct cursor *cursor);

/* ---- Records: a value with a format number, a version and a checksum over key and payload
 * (docs/format.md). A wrong checksum is ERR_DAMAGED, logged with the record's table and key,
 * and never data. */

struct record {
    struct slice payload; /* borrowed as txn_get's */
    uint64_t version;     /* of the record, 1 at first; the caller's business */
};

enum err record_get(struct txn *txn, struct table table, struct slice key, struct record *out);
/* record_get for those who can go on without the record: ERR_DAMAGED neither sticks nor is logged.
 * txn_get has the bytes as they are. */
enum err record_try(struct txn *txn, struct table table, struct slice key, struct record *out);
/* record_try of several: errs[i] is the key's own, ERR_OK, ERR_NOT_FOUND or ERR_DAMAGED. */
enum err record_try_many(struct txn *txn, struct table table, const struct slice *keys,
                         unsigned count, struct record *out, enum err *errs);
enum err record_put(struct txn *txn, struct table table, struct slice key, uint64_t version,
                    struct slice payload);
/* Checks and unpacks a value that a cursor stands on. */
enum err record_decode(struct txn *txn, struct table table, struct slice key, struct slice value,
                       struct record *out);

/* ---- Sums: numbers that nearly every transaction changes, as that of all documents. What
 * transactions add is kept in memory and written once for all that share a commit, so that it is no
 * place where they all meet; each has it with its other writes, or none. A sum is a record. */

struct sum {
    int64_t value;
    uint64_t version; /* another one after each commit that has added to it, be it in vain */
};

/* The number under `key` grows by `delta`; the first time it begins with 0. The table holds nothing
 * but sums. Write transactions only. */
enum err txn_add(struct txn *txn, struct table table, struct slice key, int64_t delta);

/* In a write transaction with what it has added, and all before it; in another as of the last
 * commit. ERR_NOT_FOUND if nothing was ever added. ERR_DAMAGED neither sticks nor is logged:
 * additions leave a sum alone that cannot be read, until it was deleted and made anew. */
enum err txn_sum(struct txn *txn, struct table table, struct slice key, struct sum *out);

/* Numbers from a sum, which is the last one that was taken: *first and the `count` - 1 behind it
 * are the transaction's alone. They follow each other in the order of commits, without a gap: one
 * that fails has taken none. A sequence is begun by an addition, of 0 to begin with 1; one that is
 * not there, or damaged, is ERR_DAMAGED, since it would give out numbers a second time. */
enum err txn_sequence(struct txn *txn, struct table table, struct slice key, uint64_t count,
                      uint64_t *first);

/* ---- State. */

struct store_stats {
    uint64_t used_bytes; /* of the file, in pages that hold data */
    uint64_t map_bytes;  /* what it may grow to */
    uint64_t commits, writes, writes_failed, reads;
    /* As store_watch has found them. */
    uint64_t file_bytes;
    uint64_t free_bytes;    /* of the file, that new data can take */
    int64_t oldest_read_ms; /* how long the longest present read has lasted, in any process */
    bool nearly_full;       /* of the map, little more is left than the reserve for deletes */
    bool read_only;         /* latched */
    const char *cause;      /* of the latch, "" before; static or for the store's life */
    uint64_t damaged;       /* how often something damaged was met since the start */
    char damage[STORE_DAMAGE_SIZE]; /* the last such, "" if none */
};

/* To be called about twice a second: notices files that were moved or deleted (latches), lets go of
 * snapshots of dead processes, and refreshes the figures below. Threads: one at a time; it may wait
 * for the disk. */
void store_watch(struct store *store);

/* Threads: any. */
void store_stats(struct store *store, struct store_stats *out);

/* Nanoseconds of each commit (its fsync included), and write transactions in each. Borrowed for the
 * store's life. */
const struct histogram *store_commit_histogram(const struct store *store);
const struct histogram *store_batch_histogram(const struct store *store);

#endif
