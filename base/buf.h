/* A growable byte buffer that the caller owns. Appending never fails from the caller's view: what
 * fills a buffer is bounded by a limit checked at the edge, and a process without memory stops
 * (mem.h). Keeps its memory over buf_clear, so that a reused buffer stops allocating.
 * Threads: owner. */
#ifndef GALLEY_BASE_BUF_H
#define GALLEY_BASE_BUF_H

#include "base/slice.h"

struct buf {
    char *data; /* NULL until the first append */
    size_t len;
    size_t cap;
};

#define BUF_INIT                                                                                   \
    {                                                                                              \
        NULL, 0, 0                                                                                 \
    }

void buf_release(struct buf *buf);
void buf_clear(struct buf *buf);

/* Gives memory above `keep` bytes back; for buffers that outlive a large request. Empties it. */
void buf_shrink(struct buf *buf, size_t keep);

/* Makes room for `more` bytes that do not fit. */
void buf_grow(struct buf *buf, size_t more);

/* Room for `more` bytes behind the end; returns where they begin. Does not change len. */
static inline char *buf_reserve(struct buf *buf, size_t more)
{
    if (!buf->data || buf->cap - buf->len < more)
        buf_grow(buf, more);
    return buf->data + buf->len;
}

/* These are inlined: most texts that are appended are literals of a few bytes, and what is known of
 * them when compiling need not be found out anew for each answer and line of the log. */

static inline void buf_append(struct buf *buf, const void *bytes, size_t len)
{
    if (len == 0)
        return;
    memcpy(buf_reserve(buf, len), bytes, len);
    buf->len += len;
}

static inline void buf_append_slice(struct buf *buf, struct slice s)
{
    buf_append(buf, s.ptr, s.len);
}

static inline void buf_append_str(struct buf *buf, const char *text)
{
    buf_append(buf, text, strlen(text));
}

static inline void buf_append_char(struct buf *buf, char c)
{
    *buf_reserve(buf, 1) = c;
    buf->len++;
}

void buf_append_i64(struct buf *buf, int64_t value);
void buf_append_u64(struct buf *buf, uint64_t value);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline struct slice buf_slice(const struct buf *buf)
{
    return slice_of(buf->data, buf->len);
}

#endif
