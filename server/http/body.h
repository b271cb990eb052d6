/* The body of an HTTP/1 message out of the bytes that carry it. Pure: knows no socket. Threads:
 * any.
 *
 * RFC 9112 sections 6 and 7.1, read strictly: chunk sizes are plain hexadecimal digits, lines end
 * with CRLF, trailers are well-formed fields, which are checked, and dropped unless somebody wants
 * them. */
#ifndef GALLEY_SERVER_HTTP_BODY_H
#define GALLEY_SERVER_HTTP_BODY_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

struct body_decoder {
    enum body_state {
        BODY_DONE,
        BODY_SIZED,       /* `left` bytes follow */
        BODY_UNTIL_CLOSE, /* a response's: all that comes */
        /* In chunks: */
        BODY_SIZE,       /* digits of a size */
        BODY_EXTENSION,  /* behind a ';' */
        BODY_SIZE_LF,    /* the line's end */
        BODY_CHUNK,      /* `left` bytes of data follow */
        BODY_CHUNK_CR,   /* and its line's end */
        BODY_CHUNK_LF,   /* */
        BODY_TRAILER,    /* the beginning of a line */
        BODY_NAME,       /* in a field's name */
        BODY_VALUE,      /* in its value */
        BODY_TRAILER_LF, /* the field's line end */
        BODY_LAST_LF,    /* of the empty line */
    } state;
    uint64_t left;
    unsigned digits;      /* of the present size */
    unsigned line;        /* bytes of the present size line, or of all trailers */
    unsigned fields;      /* trailers so far */
    struct buf *trailers; /* set behind _begin: their lines are appended to it; or NULL */
};

/* A body of `length` bytes; 0: none. */
void body_begin_sized(struct body_decoder *decoder, uint64_t length);
void body_begin_chunked(struct body_decoder *decoder);
void body_begin_until_close(struct body_decoder *decoder);

/* Goes on with `in`: *used bytes of it have been dealt with, *data (within them, perhaps empty) is
 * the next piece of the body. Call again with what is left as long as it uses anything. Bytes
 * behind the body are not used. ERR_MALFORMED, ERR_HEADER_TOO_LARGE (trailers). */
enum err body_decode(struct body_decoder *decoder, struct slice in, size_t *used,
                     struct slice *data);

static inline bool body_is_done(const struct body_decoder *decoder)
{
    return decoder->state == BODY_DONE;
}

#endif
