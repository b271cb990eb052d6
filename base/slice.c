#include "base/slice.h"

static char lower(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c | 0x20);
    return c;
}

bool slice_eq_nocase(struct slice a, struct slice b)
{
    if (a.len != b.len)
        return false;
    size_t i = 0; /* mostly they are equal as they stand */
    while (a.len - i >= 8 && memcmp(a.ptr + i, b.ptr + i, 8) == 0)
        i += 8;
    for (; i < a.len; i++) {
        if (a.ptr[i] != b.ptr[i] && lower(a.ptr[i]) != lower(b.ptr[i]))
            return false;
    }
    return true;
}

bool slice_starts(struct slice s, struct slice prefix)
{
    return s.len >= prefix.len && slice_eq(slice_of(s.ptr, prefix.len), prefix);
}

static bool blank(char c)
{
    return c == ' ' || c == '\t';
}

struct slice slice_trim(struct slice s)
{
    while (s.len > 0 && blank(s.ptr[0])) {
        s.ptr++;
        s.len--;
    }
    while (s.len > 0 && blank(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

struct slice slice_cut(struct slice *rest, char sep)
{
    struct slice part = *rest;
    const char *at = part.len == 0 ? NULL : memchr(part.ptr, sep, part.len);
    if (!at) {
        *rest = slice_of(NULL, 0);
        return part;
    }
    part.len = (size_t)(at - part.ptr);
    *rest = slice_of(at + 1, rest->len - part.len - 1);
    return part;
}

bool slice_to_i64(struct slice s, int64_t *out)
{
    bool negative = s.len > 0 && s.ptr[0] == '-';
    size_t first = negative ? 1 : 0;
    size_t digits = s.len - first;
    if (digits == 0 || digits > 19 || (s.ptr[first] == '0' && digits > 1))
        return false;
    int64_t value = 0;
    for (size_t i = first; i < s.len; i++) {
        int digit = s.ptr[i] - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(value, 10, &value))
            return false;
        if (__builtin_sub_overflow(value, negative ? digit : -digit, &value))
            return false;
    }
    *out = value;
    return true;
}

/* The bounds of RFC 3629's table: how long a sequence is by its first byte, and what its second
 * byte may be, which is where overlong forms, surrogates and what lies beyond U+10FFFF differ. */
size_t slice_utf8_length(struct slice s)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    unsigned char low = 0x80, high = 0xBF;
    if (s.len == 0)
        return 0;
    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xC2 || p[0] > 0xF4)
        return 0;
    size_t len = p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    if (s.len < len)
        return 0;
    if (p[0] == 0xE0 || p[0] == 0xF0)
        low = p[0] == 0xE0 ? 0xA0 : 0x90;
    if (p[0] == 0xED || p[0] == 0xF4)
        high = p[0] == 0xED ? 0x9F : 0x8F;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    }
    return len;
}

bool slice_is_utf8(struct slice s)
{
    while (s.len > 0) {
        uint64_t word;
        if (s.len >= sizeof word) {
            memcpy(&word, s.ptr, sizeof word);
            if ((word & 0x8080808080808080) == 0) {
                s = slice_of(s.ptr + sizeof word, s.len - sizeof word);
                continue;
            }
        }
        size_t len = slice_utf8_length(s);
        if (len == 0)
            return false;
        s = slice_of(s.ptr + len, s.len - len);
    }
    return true;
}
