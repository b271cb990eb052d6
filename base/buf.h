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

/* Room for `more` bytes behind the end; returns where they begin. Does not change len. */
char *buf_reserve(struct buf *buf, size_t more);

void buf_append(struct buf *buf, const void *bytes, size_t len);
void buf_append_slice(struct buf *buf, struct slice s);
void buf_append_str(struct buf *buf, const char *text);
void buf_append_char(struct buf *buf, char c);
void buf_append_i64(struct buf *buf, int64_t value);
void buf_append_u64(struct buf *buf, uint64_t value);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline struct slice buf_slice(const struct buf *buf)
{
    return slice_of(buf->data, buf->len);
}

#endif
