#include "base/json.h"

#include <assert.h>

/* What is known of the pattern behind `at`. */
struct pattern {
    const char *at;
    bool quoted; /* between two of its quotes */
    va_list args;
};

static void append_text(struct buf *out, const struct pattern *p, struct slice text)
{
    if (p->quoted)
        json_append_escaped(out, text);
    else
        json_append_string(out, text);
}

static void append_number(struct buf *out, int64_t value, size_t digits)
{
    uint64_t limit = 1;
    for (size_t i = 1; i < digits; i++)
        limit *= 10;
    for (; limit > 1 && value >= 0 && (uint64_t)value < limit; limit /= 10)
        buf_append_char(out, '0');
    buf_append_i64(out, value);
}

/* "d", "ld", "02ld" */
static void append_integer(struct buf *out, struct pattern *p)
{
    size_t digits = 1;
    if (*p->at == '0') {
        digits = (size_t)(p->at[1] - '0');
        assert(digits >= 1 && digits <= 9);
        p->at += 2;
    }
    bool is_long = *p->at == 'l';
    p->at += is_long;
    assert(*p->at == 'd'); /* nothing else is known */
    append_number(out, is_long ? va_arg(p->args, long) : va_arg(p->args, int), digits);
    p->at++;
}

/* What stands behind '%'. */
static void append_argument(struct buf *out, struct pattern *p)
{
    if (*p->at == 's') {
        append_text(out, p, slice_str(va_arg(p->args, const char *)));
        p->at++;
    } else if (strncmp(p->at, ".*s", 3) == 0) {
        int len = va_arg(p->args, int);
        append_text(out, p, slice_of(va_arg(p->args, const char *), (size_t)len));
        p->at += 3;
    } else {
        append_integer(out, p);
    }
}

#define EACH_BYTE(c) (UINT64_C(0x0101010101010101) * (c))

/* Eight bytes of a pattern as they are written; *quotes has the lowest bit of each byte that is a
 * quote. A byte's highest bit tells: it is set where adding 0x7F finds the byte, without its own
 * highest bit, to be another. */
static uint64_t translate(uint64_t bytes, uint64_t *quotes)
{
    uint64_t differs = bytes ^ EACH_BYTE('\'');
    uint64_t other = ((differs & EACH_BYTE(0x7F)) + EACH_BYTE(0x7F)) | differs;
    *quotes = ~other >> 7 & EACH_BYTE(1);
    return bytes ^ *quotes * ('\'' ^ '"');
}

/* Up to the next argument, or the end. */
static void append_literal(struct buf *out, struct pattern *p)
{
    const char *end = strchrnul(p->at, '%');
    char *to = buf_reserve(out, (size_t)(end - p->at));
    bool odd = false; /* number of quotes */
    uint64_t bytes, found, quotes = 0;
    out->len += (size_t)(end - p->at);
    for (; end - p->at >= (ptrdiff_t)sizeof bytes; p->at += sizeof bytes, to += sizeof bytes) {
        memcpy(&bytes, p->at, sizeof bytes);
        bytes = translate(bytes, &found);
        memcpy(to, &bytes, sizeof bytes);
        quotes ^= found;
    }
    for (; p->at < end; p->at++) {
        bool quote = *p->at == '\'';
        odd ^= quote;
        *to = *p->at;
        if (quote)
            *to = '"';
        to++;
    }
    p->quoted ^= odd ^ ((quotes * EACH_BYTE(1) >> 56) % 2); /* the sum of its bytes */
}

void json_vprintf(struct buf *out, const char *pattern, va_list args)
{
    struct pattern p = {.at = pattern};
    va_copy(p.args, args);
    append_literal(out, &p);
    while (*p.at == '%') {
        p.at++;
        append_argument(out, &p);
        append_literal(out, &p);
    }
    assert(!p.quoted);
    va_end(p.args);
}

void json_printf(struct buf *out, const char *pattern, ...)
{
    va_list args;
    va_start(args, pattern);
    json_vprintf(out, pattern, args);
    va_end(args);
}
