/* Identifiers: UUID version 7 (RFC 9562): 48 bits of milliseconds, then random bits, so that ids
 * sort by the time they were made and index pages are appended to. */
#ifndef GALLEY_BASE_ID_H
#define GALLEY_BASE_ID_H

#include "base/slice.h"

struct id {
    uint8_t bytes[16]; /* big endian: memcmp order is time order */
};

#define ID_TEXT_SIZE 37 /* 36 characters and the NUL */

/* A new id. Ids of one thread are strictly increasing, also within a millisecond and when the
 * clock steps back (method 1 of RFC 9562 section 6.2, rand_a as a counter). Aborts only if the
 * kernel has no randomness. Threads: any. */
struct id id_make(int64_t now_ms);

void id_format(const struct id *id, char out[ID_TEXT_SIZE]);

/* The canonical 36 characters, lower or upper case; false for anything else. */
bool id_parse(struct slice text, struct id *out);

int id_compare(const struct id *a, const struct id *b); /* as memcmp */

#endif
