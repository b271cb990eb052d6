/* Logs: append-only runs of entries with sequence numbers, of which the oldest are dropped in time.
 * (The word "log" is base/log.h's in code.) What is told in order to readers who may have been away
 * stands in one: the change feed, topics, what a job has said.
 *
 * Sequence numbers begin with 1 and have no gaps: they are given out by the transaction that
 * appends, and one that does not commit has used none up. So whoever has read up to 17 has missed
 * nothing if the next is 18, and an entry that is missing between the first and the last is damage
 * (ERR_DAMAGED). Lifetime: open before threads start, close after they have stopped. */
#ifndef GALLEY_STORAGE_JOURNAL_H
#define GALLEY_STORAGE_JOURNAL_H

#include "storage/store.h"

#define JOURNAL_NAME_MAX 64 /* bytes, of a journal and of a cursor */

struct journal;

/* Finds or makes the journal of this name (1 to 64 bytes). Threads: main. */
enum err journal_open(struct store *store, const char *name, struct journal **out);
void journal_close(struct journal **journal);

/* Adds an entry of at most STORE_VALUE_MAX bytes; its time is the transaction's. *sequence may be
 * NULL. Who waits for entries is woken by a txn_on_commit of the caller's. */
enum err journal_append(struct txn *txn, const struct journal *journal, struct slice payload,
                        uint64_t *sequence);

/* What there is: the entries `first` to `next` - 1, none if the two are equal. */
struct journal_span {
    uint64_t first, next;
    uint64_t bytes; /* of their payloads */
};
enum err journal_span(struct txn *txn, const struct journal *journal, struct journal_span *out);

struct journal_entry {
    uint64_t sequence;
    int64_t time_ms;
    struct slice payload; /* borrowed as txn_get's */
};
/* Return false to stop. */
typedef bool (*journal_fn)(const struct journal_entry *entry, void *arg);

/* Reads up to `limit` entries (0: all) from `from` on, in order; it may write meanwhile. Those that
 * were damaged and that a repair has taken away are left out: their numbers are not seen.
 * ERR_NOT_FOUND, and nothing read, if `from` has been dropped: journal_span has the oldest. None
 * behind the last is no error. */
enum err journal_read(struct txn *txn, const struct journal *journal, uint64_t from, unsigned limit,
                      journal_fn each, void *arg);

/* ---- Retention. */

struct journal_bounds { /* 0: no bound */
    int64_t age_ms;
    uint64_t count;
    uint64_t bytes;
};

/* Drops up to `limit` of the oldest entries that are beyond any of the bounds. *more: there are
 * others to drop. */
enum err journal_trim(struct txn *txn, const struct journal *journal,
                      const struct journal_bounds *bounds, unsigned limit, bool *more);

/* ---- Cursors: how far a reader has come, kept with the journal. They hold nothing back: a reader
 * that was away for too long finds ERR_NOT_FOUND in journal_read. */

/* The entry that the reader has not seen yet; ERR_NOT_FOUND if there is no such cursor. */
enum err journal_cursor_get(struct txn *txn, const struct journal *journal, const char *name,
                            uint64_t *next);
enum err journal_cursor_set(struct txn *txn, const struct journal *journal, const char *name,
                            uint64_t next);
enum err journal_cursor_drop(struct txn *txn, const struct journal *journal, const char *name);

#endif
