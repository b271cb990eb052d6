/* A borrowed run of bytes: pointer and length, never terminated, never owned. Who hands one out
 * says how long it stays valid. Threads: any. */
#ifndef GALLEY_BASE_SLICE_H
#define GALLEY_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const char *ptr;
    size_t len;
};

/* printf's "%.*s" takes an int and a pointer. */
#define SLICE_ARG(s) (int)(s).len, (s).ptr

static inline struct slice slice_of(const void *ptr, size_t len)
{
    return (struct slice){ptr, len};
}

static inline struct slice slice_str(const char *text)
{
    return (struct slice){text, strlen(text)};
}

static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool slice_is(struct slice s, const char *text)
{
    return slice_eq(s, slice_str(text));
}

/* ASCII letters compare without case, as header names do. */
bool slice_eq_nocase(struct slice a, struct slice b);

bool slice_starts(struct slice s, struct slice prefix);

/* Without leading and trailing spaces and tabs. */
struct slice slice_trim(struct slice s);

/* Cuts the part before the first `sep` off *rest and returns it; *rest becomes what follows, or
 * an empty slice with a NULL pointer when no `sep` was left. */
struct slice slice_cut(struct slice *rest, char sep);

/* Reads a whole decimal number of 1 to 19 digits with an optional '-'; false for anything else,
 * for leading zeros and for what does not fit. */
bool slice_to_i64(struct slice s, int64_t *out);

/* True if the bytes are well-formed UTF-8 (RFC 3629: no overlong form, no surrogate). */
bool slice_is_utf8(struct slice s);

/* The length, 1 to 4, of the well-formed UTF-8 sequence that s begins with; 0 if it does not. */
size_t slice_utf8_length(struct slice s);

#endif
