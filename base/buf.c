#include "base/buf.h"

#include "base/mem.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define CAP_MIN 256 /* most texts fit: growing is what costs */

void buf_release(struct buf *buf)
{
    free(buf->data);
    *buf = (struct buf)BUF_INIT;
}

void buf_clear(struct buf *buf)
{
    buf->len = 0;
}

void buf_shrink(struct buf *buf, size_t keep)
{
    buf_clear(buf);
    if (buf->cap <= keep)
        return;
    buf_release(buf);
    if (keep > 0)
        buf_reserve(buf, keep);
}

void buf_grow(struct buf *buf, size_t more)
{
    size_t cap = buf->cap < CAP_MIN ? CAP_MIN : buf->cap * 2;
    size_t need = buf->len + more;
    assert(need >= buf->len && buf->cap <= SIZE_MAX / 2);
    buf->cap = cap < need ? need : cap;
    buf->data = mem_realloc(buf->data, buf->cap);
}

void buf_append_i64(struct buf *buf, int64_t value)
{
    if (value < 0)
        buf_append_char(buf, '-');
    buf_append_u64(buf, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

static size_t count_digits(uint64_t value)
{
    size_t digits = 1;
    for (; value >= 1000; value /= 1000)
        digits += 3;
    return digits + (value >= 10) + (value >= 100);
}

/* clang-format off */
#define TEN(tens) tens "0", tens "1", tens "2", tens "3", tens "4", \
                  tens "5", tens "6", tens "7", tens "8", tens "9"
static const char two_digits[100][3] = {
    TEN("0"), TEN("1"), TEN("2"), TEN("3"), TEN("4"), TEN("5"), TEN("6"), TEN("7"), TEN("8"), TEN("9"),
};
/* clang-format on */

/* Dividing is what costs: two digits by each division. */
void buf_append_u64(struct buf *buf, uint64_t value)
{
    size_t digits = count_digits(value);
    char *at = buf_reserve(buf, digits) + digits;
    buf->len += digits;
    while (value >= 10) {
        at -= 2;
        memcpy(at, two_digits[value % 100], 2);
        value /= 100;
    }
    if (digits % 2)
        at[-1] = (char)('0' + value);
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    char *end = buf_reserve(buf, CAP_MIN);
    size_t room = buf->cap - buf->len;
    va_list args;
    va_start(args, format);
    int len = vsnprintf(end, room, format, args);
    va_end(args);
    assert(len >= 0);
    if ((size_t)len >= room) {
        end = buf_reserve(buf, (size_t)len + 1);
        va_start(args, format);
        vsnprintf(end, (size_t)len + 1, format, args);
        va_end(args);
    }
    buf->len += (size_t)len;
}
