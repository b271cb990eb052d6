#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Before and after every value: the comma that separates it from the one before. */
static void separate(struct json_writer *w)
{
    if (w->comma)
        buf_append_char(w->out, ',');
    w->comma = true;
}

void jw_begin(struct json_writer *w, char open)
{
    separate(w);
    buf_append_char(w->out, open);
    w->comma = false;
}

void jw_end(struct json_writer *w, char close)
{
    buf_append_char(w->out, close);
    w->comma = true;
}

void jw_name(struct json_writer *w, struct slice name)
{
    separate(w);
    char *at = buf_reserve(w->out, name.len + 3);
    *at++ = '"';
    memcpy(at, name.ptr, name.len);
    at[name.len] = '"';
    at[name.len + 1] = ':';
    w->out->len += name.len + 3;
    w->comma = false;
}

void jw_str(struct json_writer *w, struct slice value)
{
    separate(w);
    json_append_string(w->out, value);
}

void jw_i64(struct json_writer *w, int64_t value)
{
    separate(w);
    buf_append_i64(w->out, value);
}

/* A real number stays one: 2.0 is not written as the integer 2. */
void jw_f64(struct json_writer *w, double value)
{
    if (!isfinite(value)) {
        jw_null(w);
        return;
    }
    char text[32];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    separate(w);
    buf_append_str(w->out, text);
    if (!strpbrk(text, ".e"))
        buf_append(w->out, ".0", 2);
}

void jw_bool(struct json_writer *w, bool value)
{
    separate(w);
    buf_append_str(w->out, value ? "true" : "false");
}

void jw_null(struct json_writer *w)
{
    separate(w);
    buf_append(w->out, "null", 4);
}

void jw_raw(struct json_writer *w, struct slice json)
{
    separate(w);
    buf_append_slice(w->out, json);
}

#define EACH_BYTE(c) (UINT64_C(0x0101010101010101) * (c))

/* True if eight bytes stand in a string as they are. A byte's highest bit tells: it is set where
 * 0x20 cannot be taken away, beyond ASCII, and, by adding 0x7F, where the byte is not the one asked
 * for. */
static bool are_plain(uint64_t bytes)
{
    uint64_t low_or_high = (bytes - EACH_BYTE(0x20)) | bytes;
    uint64_t no_quote = (bytes ^ EACH_BYTE('"')) + EACH_BYTE(0x7F);
    uint64_t no_backslash = (bytes ^ EACH_BYTE('\\')) + EACH_BYTE(0x7F);
    return ((low_or_high | ~(no_quote & no_backslash)) & EACH_BYTE(0x80)) == 0;
}

static bool is_plain(char c)
{
    return (unsigned char)c >= 0x20 && (unsigned char)c < 0x80 && c != '"' && c != '\\';
}

static bool are_plain_at(const char *at)
{
    uint64_t bytes;
    memcpy(&bytes, at, sizeof bytes);
    return are_plain(bytes);
}

/* Of 4 to 7 bytes, which overlap. */
static bool are_few_plain(struct slice s)
{
    uint32_t first, last;
    memcpy(&first, s.ptr, sizeof first);
    memcpy(&last, s.ptr + s.len - sizeof last, sizeof last);
    return are_plain((uint64_t)first << 32 | last);
}

/* How many bytes that need no escape s begins with. */
static size_t plain_length(struct slice s)
{
    size_t len = 0;
    if (s.len >= 4 && s.len < 8 && are_few_plain(s))
        return s.len;
    while (s.len - len >= 8 && are_plain_at(s.ptr + len))
        len += 8;
    if (s.len >= 8 && s.len - len < 8 && are_plain_at(s.ptr + s.len - 8))
        return s.len;
    while (len < s.len && is_plain(s.ptr[len]))
        len++;
    return len;
}

static void append_escape(struct buf *out, char c)
{
    static const char from[] = "\"\\\b\f\n\r\t";
    static const char to[] = "\"\\bfnrt";
    const char *at = c == '\0' ? NULL : strchr(from, c);
    if (!at) {
        buf_printf(out, "\\u%04x", (unsigned char)c);
        return;
    }
    buf_append_char(out, '\\');
    buf_append_char(out, to[at - from]);
}

/* Appends what s begins with, which is not plain; returns how much of it that was. */
static size_t append_special(struct buf *out, struct slice s)
{
    size_t len = slice_utf8_length(s);
    if (len == 0) {
        buf_append_str(out, "\xEF\xBF\xBD"); /* U+FFFD */
        return 1;
    }
    if (len == 1)
        append_escape(out, s.ptr[0]);
    else
        buf_append(out, s.ptr, len);
    return len;
}

void json_append_escaped(struct buf *out, struct slice value)
{
    while (value.len > 0) {
        size_t len = plain_length(value);
        buf_append(out, value.ptr, len);
        value = slice_of(value.ptr + len, value.len - len);
        len = value.len > 0 ? append_special(out, value) : 0;
        value = slice_of(value.ptr + len, value.len - len);
    }
}

void json_append_string(struct buf *out, struct slice value)
{
    buf_reserve(out, value.len + 2);
    buf_append_char(out, '"');
    json_append_escaped(out, value);
    buf_append_char(out, '"');
}
