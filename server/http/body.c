#include "server/http/body.h"

#include "server/http/path.h"

#include <stdbool.h>
#include <string.h>

#define SIZE_LINE_MAX 1024  /* bytes, with its extensions */
#define SIZE_DIGITS   15    /* cannot overflow; nobody sends more */
#define TRAILERS_MAX  64    /* fields */
#define TRAILER_BYTES 16384 /* of all of them */

void body_begin_sized(struct body_decoder *decoder, uint64_t length)
{
    *decoder = (struct body_decoder){.state = length ? BODY_SIZED : BODY_DONE, .left = length};
}

void body_begin_chunked(struct body_decoder *decoder)
{
    *decoder = (struct body_decoder){.state = BODY_SIZE};
}

void body_begin_until_close(struct body_decoder *decoder)
{
    *decoder = (struct body_decoder){.state = BODY_UNTIL_CLOSE};
}

/* ---- Pieces of data */

static void take_data(struct body_decoder *d, struct slice in, size_t *used, struct slice *data)
{
    *used = d->left < in.len ? (size_t)d->left : in.len;
    *data = slice_of(in.ptr, *used);
    d->left -= *used;
    if (d->left == 0)
        d->state = d->state == BODY_SIZED ? BODY_DONE : BODY_CHUNK_CR;
}

/* ---- The bytes between them, one by one */

static bool is_visible(unsigned char c)
{
    return c == '\t' || (c >= ' ' && c != 0x7f);
}

/* RFC 9110 section 5.6.2. */
static bool is_token(unsigned char c)
{
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return letter || (c >= '0' && c <= '9') || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static enum err expect(struct body_decoder *d, char c, char wanted, enum body_state next)
{
    d->state = next;
    return c == wanted ? ERR_OK : ERR_MALFORMED;
}

/* 1*HEXDIG [";" extensions] CR; extensions are ignored, as the standard wants. */
static enum err take_size(struct body_decoder *d, char c)
{
    int digit = hex_digit(c);
    if (++d->line > SIZE_LINE_MAX)
        return ERR_MALFORMED;
    if (d->state == BODY_SIZE && digit >= 0) {
        d->left = d->left << 4 | (unsigned)digit;
        return ++d->digits > SIZE_DIGITS ? ERR_MALFORMED : ERR_OK;
    }
    if (d->digits == 0)
        return ERR_MALFORMED;
    if (c == '\r')
        d->state = BODY_SIZE_LF;
    else if (d->state == BODY_SIZE)
        return expect(d, c, ';', BODY_EXTENSION);
    else if (!is_visible((unsigned char)c))
        return ERR_MALFORMED;
    return ERR_OK;
}

static enum err end_size(struct body_decoder *d, char c)
{
    d->state = d->left ? BODY_CHUNK : BODY_TRAILER;
    d->digits = d->line = 0;
    return c == '\n' ? ERR_OK : ERR_MALFORMED;
}

static bool is_in_trailers(const struct body_decoder *d)
{
    return d->state == BODY_TRAILER || d->state == BODY_NAME || d->state == BODY_VALUE ||
           d->state == BODY_TRAILER_LF;
}

/* A line of the trailers begins: a field, or the empty line that ends it all. */
static enum err begin_trailer(struct body_decoder *d, char c)
{
    if (c == '\r') {
        d->state = BODY_LAST_LF;
        return ERR_OK;
    }
    if (++d->fields > TRAILERS_MAX)
        return ERR_HEADER_TOO_LARGE;
    d->state = BODY_NAME;
    return is_token((unsigned char)c) ? ERR_OK : ERR_MALFORMED;
}

static enum err take_trailer(struct body_decoder *d, char c)
{
    if (++d->line > TRAILER_BYTES)
        return ERR_HEADER_TOO_LARGE;
    if (d->state == BODY_TRAILER)
        return begin_trailer(d, c);
    if (d->state == BODY_NAME && c == ':')
        d->state = BODY_VALUE;
    else if (d->state == BODY_VALUE && c == '\r')
        d->state = BODY_TRAILER_LF;
    else if (!(d->state == BODY_NAME ? is_token((unsigned char)c) : is_visible((unsigned char)c)))
        return ERR_MALFORMED;
    return ERR_OK;
}

static enum err take_byte(struct body_decoder *d, char c)
{
    switch (d->state) {
    case BODY_SIZE:
    case BODY_EXTENSION:
        return take_size(d, c);
    case BODY_SIZE_LF:
        return end_size(d, c);
    case BODY_CHUNK_CR:
        return expect(d, c, '\r', BODY_CHUNK_LF);
    case BODY_CHUNK_LF:
        return expect(d, c, '\n', BODY_SIZE);
    case BODY_TRAILER_LF:
        return expect(d, c, '\n', BODY_TRAILER);
    case BODY_LAST_LF:
        return expect(d, c, '\n', BODY_DONE);
    default:
        return take_trailer(d, c);
    }
}

enum err body_decode(struct body_decoder *d, struct slice in, size_t *used, struct slice *data)
{
    *data = slice_of(in.ptr, 0);
    for (*used = 0; *used < in.len && d->state != BODY_DONE; ++*used) {
        if (d->state == BODY_UNTIL_CLOSE) {
            *used = in.len;
            *data = in;
            return ERR_OK;
        }
        if (d->state == BODY_SIZED || d->state == BODY_CHUNK) {
            size_t taken;
            take_data(d, slice_of(in.ptr + *used, in.len - *used), &taken, data);
            *used += taken;
            return ERR_OK;
        }
        bool trailer = d->trailers && is_in_trailers(d);
        enum err err = take_byte(d, in.ptr[*used]);
        if (err)
            return err;
        if (trailer && d->state != BODY_LAST_LF)
            buf_append_char(d->trailers, in.ptr[*used]);
    }
    return ERR_OK;
}
