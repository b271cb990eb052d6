/* Chained tables: tables in which what is absent can be told from what was lost.
 *
 * DESIGN. A damaged page makes keys invisible: a search that was led astray finds nothing, a walk
 * ends early, and nobody could tell. So each entry says which key is the next (by a hash of it, as
 * NSEC records do), and the first one, an anchor that no search asks for, is there from the
 * beginning. A key is absent only if the entry before where it belongs is whole and names the entry
 * behind as its next; a walk has seen all only if each entry that it came by was named by the one
 * before. What an insertion or deletion has to change besides lies nearly always in the page that
 * it changes anyway. All that is not so is ERR_DAMAGED by txn_damaged, with the table and key.
 *
 * An entry's value is the link, a check, which is a hash of its own key, and the body. A body that
 * is long has a checksum of its owner's: then damage in it costs this entry and not its neighbours.
 * A short one is covered by the check. Threads: the transaction's. */
#ifndef GALLEY_STORAGE_CHAIN_PRIVATE_H
#define GALLEY_STORAGE_CHAIN_PRIVATE_H

#include "storage/store.h"

#define CHAIN_HEAD_SIZE 8    /* the link and the check, 4 bytes each, little endian */
#define CHAIN_AHEAD_MAX 64   /* entries that a walk reads at once */
#define CHAIN_BODY_MAX  1700 /* bytes: an entry stands in its leaf page, and nowhere else */

struct chain {
    struct table table;
    bool covers_body; /* the check does */
};

struct chain_entry {
    struct slice key, body; /* borrowed, as txn_get's */
    uint32_t link;          /* what the next one is called */
    uint32_t name;          /* what this one is called */
};

/* The key of the anchor: before all others. */
struct slice chain_anchor(void);

/* Makes the anchor of an empty table. */
enum err chain_begin(struct txn *txn, const struct chain *chain);

/* ---- For verifying: entries as they lie there, without a word. */

/* Whether the link says that this key is the next. */
bool chain_names(uint32_t link, struct slice next);
/* Takes a value apart; false if it is not what belongs under the key, apart from the link. */
bool chain_take(const struct chain *chain, struct slice key, struct slice value,
                struct chain_entry *out);
/* Makes link and check of a value anew: `next` is the key behind, or empty. */
void chain_mend(const struct chain *chain, struct slice key, struct slice next, uint8_t *value,
                size_t size);

/* ERR_NOT_FOUND only if that is sure. */
enum err chain_get(struct txn *txn, const struct chain *chain, struct slice key,
                   struct chain_entry *out);

/* A new entry: *place is where the caller writes its body at once, or, if the check covers it, the
 * body. ERR_EXISTS, which does not stick, if the key is there; nothing was written then. */
enum err chain_reserve(struct txn *txn, const struct chain *chain, struct slice key, size_t size,
                       uint8_t **place);
enum err chain_insert(struct txn *txn, const struct chain *chain, struct slice key,
                      struct slice body);

/* Another body, which the check does not cover, for the present entry, whose link is given. */
enum err chain_replace(struct txn *txn, const struct chain *chain, struct slice key, uint32_t link,
                       size_t size, uint8_t **place);

/* ERR_NOT_FOUND as chain_get. */
enum err chain_delete(struct txn *txn, const struct chain *chain, struct slice key);

/* ---- A position, on the caller's stack. As with a cursor, after a write only chain_find goes on.
 */

struct chain_cursor {
    struct cursor cursor;
    const struct chain *chain;
    struct chain_entry at; /* checked */
};

void chain_open(struct chain_cursor *c, struct txn *txn, const struct chain *chain);
void chain_close(struct chain_cursor *c);

/* To the key; ERR_NOT_FOUND if it is absent, and then to the entry before. */
enum err chain_find(struct chain_cursor *c, struct slice key);

/* ERR_NOT_FOUND behind the last; before the first is the anchor. */
enum err chain_next(struct chain_cursor *c);
enum err chain_prev(struct chain_cursor *c);

/* What a walk over a range has read ahead, in one direction. {0} at the beginning, and after
 * chain_find. */
struct chain_ahead {
    unsigned at, count;
    struct cursor_entry list[CHAIN_AHEAD_MAX];
};

/* chain_next, or with `back` chain_prev, by way of what was read ahead; where that ends, the next
 * `wanted` entries are read, but not many that do not begin with `prefix`. */
enum err chain_step(struct chain_cursor *c, struct chain_ahead *ahead, bool back,
                    struct slice prefix, unsigned wanted);

#endif
