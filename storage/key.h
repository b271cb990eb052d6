/* Order-preserving keys: tuples of values whose bytes compare (memcmp) as the values do.
 * The format is in docs/format.md. Threads: owner. */
#ifndef GALLEY_STORAGE_KEY_H
#define GALLEY_STORAGE_KEY_H

#include "base/id.h"
#include "storage/store.h"

struct key {
    uint8_t bytes[STORE_KEY_MAX];
    uint16_t len;
    bool cut; /* a string did not fit and was cut and hashed: compare the document itself too */
};

void key_init(struct key *key);

/* null < false < true < numbers < strings < ids < raw bytes. Integers and reals share one order;
 * an int64 keeps all its bits. NaN is not allowed (asserted). */
void key_add_null(struct key *key);
void key_add_bool(struct key *key, bool value);
void key_add_i64(struct key *key, int64_t value);
void key_add_f64(struct key *key, double value);
void key_add_string(struct key *key, struct slice value);
void key_add_id(struct key *key, const struct id *id);

/* A key of one string part followed by others is a prefix of all keys that begin so. */
static inline struct slice key_slice(const struct key *key)
{
    return slice_of(key->bytes, key->len);
}

bool key_has_prefix(struct slice key, const struct key *prefix);

/* The parts again, front to back: each takes its part off *rest; false if the next part is of
 * another type or damaged. Strings are unescaped into out[size] (key_take_string) and terminated. */
bool key_take_i64(struct slice *rest, int64_t *out);
bool key_take_f64(struct slice *rest, double *out);
bool key_take_string(struct slice *rest, char *out, size_t size);
bool key_take_id(struct slice *rest, struct id *out);

#endif
