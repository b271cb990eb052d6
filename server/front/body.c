#include "server/front/front_private.h"

#define CHUNK_LINE_MAX 1024 /* with its extensions */
#define TRAILER_MAX    64   /* fields */

/* DESIGN. A body that came with its head, or fits behind it, stays where it is. Others are gathered
 * in c->body; chunks always, as they have to be put together. */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static bool too_large(const struct connection *c, uint64_t size)
{
    return size > c->front->options.body_max_bytes;
}

/* The client waits to hear that its body is wanted. One that takes nothing is cut like any that
 * has to take bytes; the time counts as the body's. */
static enum err say_continue(struct connection *c)
{
    bool taken;

    if (!c->head.expect_continue || c->head.http10 || c->in.len > c->head_end)
        return ERR_OK;
    connection_enter(c, PHASE_SENDING, c->request.started_ns);
    taken = transport_send(c, slice_str("HTTP/1.1 100 Continue\r\n\r\n"));
    connection_enter(c, PHASE_BODY, c->request.started_ns);
    return taken ? ERR_OK : ERR_MALFORMED;
}

static enum err receive_more(struct connection *c, struct buf *buf, size_t room)
{
    size_t got;
    enum err err = transport_receive(c, buf->data + buf->len, room, &got);

    buf->len += got;
    return err;
}

/* ---- With a length */

static enum err read_sized(struct connection *c)
{
    size_t size = (size_t)c->head.content_length;
    size_t have = least(c->in.len - c->head_end, size);
    bool fits = size <= c->in.cap - c->head_end;
    struct buf *buf = fits ? &c->in : &c->body;
    enum err err = ERR_OK;

    c->request_end = c->head_end + (fits ? size : have);
    if (!fits) {
        buf_clear(buf);
        buf_reserve(buf, size);
        buf_append(buf, c->in.data + c->head_end, have);
    }
    while (err == ERR_OK && have < size) {
        size_t before = buf->len;

        err = receive_more(c, buf, fits ? buf->cap - buf->len : size - have);
        have += buf->len - before;
    }
    c->request.body = slice_of(fits ? c->in.data + c->head_end : buf->data, size);
    return err;
}

/* ---- In chunks (RFC 9112 section 7.1) */

/* More raw bytes behind those from c->request_end on, which is where the reader is. */
static enum err refill(struct connection *c)
{
    size_t rest = c->in.len - c->request_end;

    memmove(c->in.data + c->head_end, c->in.data + c->request_end, rest);
    c->request_end = c->head_end;
    c->in.len = c->head_end + rest;
    return receive_more(c, &c->in, c->in.cap - c->in.len);
}

/* Takes a line of at most `max` bytes; *line is without its CRLF and lasts until the next refill.
 */
static enum err read_line(struct connection *c, size_t max, struct slice *line)
{
    for (;;) {
        const char *begin = c->in.data + c->request_end;
        size_t have = least(c->in.len - c->request_end, max + 2);
        const char *lf = memchr(begin, '\n', have);
        enum err err;

        if (lf != NULL) {
            if (lf == begin || lf[-1] != '\r')
                return ERR_MALFORMED;
            *line = slice_of(begin, (size_t)(lf - begin) - 1);
            c->request_end += line->len + 2;
            return ERR_OK;
        }
        if (have == max + 2)
            return ERR_MALFORMED;
        err = refill(c);
        if (err != ERR_OK)
            return err;
    }
}

/* 1*HEXDIG [";" extensions]; extensions are ignored, as the standard wants. */
static bool parse_chunk_size(struct slice line, uint64_t *out)
{
    struct slice digits = slice_cut(&line, ';');

    *out = 0;
    for (size_t i = 0; i < digits.len; i++) {
        int digit = hex_digit(digits.ptr[i]);

        if (digit < 0)
            return false;
        *out = *out << 4 | (uint64_t)digit;
    }
    for (size_t i = 0; i < line.len; i++) {
        if ((unsigned char)line.ptr[i] < 0x20 || line.ptr[i] == 0x7F)
            return false;
    }
    return digits.len > 0 && digits.len <= 15;
}

static enum err read_chunk(struct connection *c, size_t size)
{
    size_t have = least(c->in.len - c->request_end, size);
    struct slice end;
    enum err err = ERR_OK;

    buf_reserve(&c->body, size);
    buf_append(&c->body, c->in.data + c->request_end, have);
    c->request_end += have;
    while (err == ERR_OK && have < size) {
        size_t before = c->body.len;

        err = receive_more(c, &c->body, size - have);
        have += c->body.len - before;
    }
    return err == ERR_OK ? read_line(c, 0, &end) : err;
}

/* Up to the empty line. Nobody asked for them: they are checked and dropped. */
static enum err read_trailers(struct connection *c)
{
    for (unsigned count = 0; count <= TRAILER_MAX; count++) {
        struct header field;
        struct slice line;
        enum err err = read_line(c, CHUNK_LINE_MAX, &line);

        if (err != ERR_OK || line.len == 0)
            return err;
        err = head_parse_field(line, &field);
        if (err != ERR_OK)
            return err;
    }
    return ERR_HEADER_TOO_LARGE;
}

static enum err read_chunked(struct connection *c)
{
    uint64_t size = 1;

    c->request_end = c->head_end;
    buf_clear(&c->body);
    while (size > 0) {
        struct slice line;
        enum err err = read_line(c, CHUNK_LINE_MAX, &line);

        if (err == ERR_OK && !parse_chunk_size(line, &size))
            err = ERR_MALFORMED;
        if (err == ERR_OK && too_large(c, c->body.len + size))
            err = ERR_BODY_TOO_LARGE;
        if (err == ERR_OK && size > 0)
            err = read_chunk(c, size);
        if (err != ERR_OK)
            return err;
    }
    c->request.body = buf_slice(&c->body);
    return read_trailers(c);
}

enum err body_read(struct connection *c)
{
    size_t have = c->in.len - c->head_end;
    enum err err;

    c->request_end = c->head_end;
    if (!c->head.chunked && c->head.content_length == 0)
        return ERR_OK;
    if (too_large(c, (uint64_t)c->head.content_length))
        return ERR_BODY_TOO_LARGE;
    if (c->head.chunked || have < (size_t)c->head.content_length)
        connection_enter(c, PHASE_BODY, c->request.started_ns);
    err = say_continue(c);
    if (err != ERR_OK)
        return err;
    return c->head.chunked ? read_chunked(c) : read_sized(c);
}
