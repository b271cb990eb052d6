/* Order-preserving keys: tuples of values whose bytes compare (memcmp) as the values do.
 * The format is in docs/format.md. Threads: owner. */
#ifndef GALLEY_STORAGE_KEY_H
#define GALLEY_STORAGE_KEY_H

#include "base/buf.h"
#include "base/id.h"
#include "storage/store.h"

struct key {
    uint8_t bytes[STORE_KEY_MAX];
    uint16_t len;
    bool cut; /* a string did not fit and was cut and hashed: compare the document itself too */
};

void key_init(struct key *key);
void key_init_from(struct key *key, const struct key *prefix); /* begins with a copy */

/* null < false < true < numbers < strings < ids. Integers and reals share one order; an int64
 * keeps all its bits. NaN is not allowed, and neither is more than fits (both asserted). */
void key_add_null(struct key *key);
void key_add_bool(struct key *key, bool value);
void key_add_i64(struct key *key, int64_t value);
void key_add_f64(struct key *key, double value);
void key_add_string(struct key *key, struct slice value);
void key_add_id(struct key *key, const struct id *id);

/* Which collection, index or journal of the catalog: before all other types. */
#define KEY_CATALOG_MAX 0xffffff
void key_add_collection(struct key *key, unsigned number);
void key_add_index(struct key *key, unsigned number);
void key_add_journal(struct key *key, unsigned number);

/* A string may take all the room that is left: a long one belongs at the end, or is given its most
 * bytes (at least 16; escapes and two bytes around included), above which it is cut and hashed. */
void key_add_string_within(struct key *key, struct slice value, size_t max_bytes);

/* A string that a person or client chose: as an id if it is a UUID in lower case, which takes less
 * than half the bytes, else as key_add_string_within. */
void key_add_text(struct key *key, struct slice text, size_t max_bytes);

/* A key of one string part followed by others is a prefix of all keys that begin so. */
static inline struct slice key_slice(const struct key *key)
{
    return slice_of(key->bytes, key->len);
}

/* Whether the key begins with all the parts of the prefix: bytes alone would take a long string
 * that was cut for its own beginning. Those that do are together, from the prefix itself to where
 * key_add_end makes it stand. */
bool key_has_prefix(struct slice key, const struct key *prefix);
void key_add_end(struct key *key);

/* Bounds of what lies between values: each stands before, or behind, all values of a type. */
enum key_type { KEY_NUMBERS, KEY_STRINGS, KEY_IDS };
void key_add_before(struct key *key, enum key_type type);
void key_add_behind(struct key *key, enum key_type type);

/* What stands before all strings that begin so, however long, and behind all smaller ones; of a
 * string that would be cut as much as is not. True if it was. */
bool key_add_string_begin(struct key *key, struct slice value, size_t max_bytes);

/* The parts again, front to back: each takes its part off *rest; false if the next part is of
 * another type or damaged, or a string that was cut. Strings are unescaped into out[size]
 * (key_take_string) and terminated. */
bool key_take_i64(struct slice *rest, int64_t *out);
bool key_take_f64(struct slice *rest, double *out);
bool key_take_string(struct slice *rest, char *out, size_t size);
bool key_take_id(struct slice *rest, struct id *out);
bool key_take_text(struct slice *rest, char *out, size_t size); /* of key_add_text, as text */
bool key_skip(struct slice *rest);                              /* a part of any type */

/* Appends the parts as a person reads them, "orders/2026/17". */
void key_print(struct buf *out, struct slice key);

#endif
