#include "base/text.h"

/* The code point of a well-formed sequence of `len` bytes. */
static uint32_t decode(const char *bytes, size_t len)
{
    static const uint8_t lead[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t code = (uint8_t)bytes[0] & lead[len];
    for (size_t i = 1; i < len; i++)
        code = code << 6 | ((uint8_t)bytes[i] & 0x3f);
    return code;
}

/* Of the categories Cc, Cf, Zl, Zp and the spaces that look like another or like nothing. */
static bool hides(uint32_t code)
{
    static const struct {
        uint32_t from, to;
    } hidden[] = {{0x00, 0x1f},       {0x7f, 0xa0},       {0xad, 0xad},     {0x61c, 0x61c},
                  {0x115f, 0x1160},   {0x180b, 0x180f},   {0x2000, 0x200f}, {0x2028, 0x202f},
                  {0x205f, 0x206f},   {0x3000, 0x3000},   {0x3164, 0x3164}, {0xfe00, 0xfe0f},
                  {0xfeff, 0xfeff},   {0xffa0, 0xffa0},   {0xfff0, 0xffff}, {0x1d173, 0x1d17a},
                  {0xe0000, 0xe0fff}, {0xf0000, 0x10ffff}};
    if (code >= ' ' && code < 0x7f) /* nearly always */
        return false;
    for (unsigned i = 0; i < sizeof hidden / sizeof hidden[0]; i++) {
        if (code >= hidden[i].from && code <= hidden[i].to)
            return true;
    }
    return false;
}

/* Whether all code points are as `is` says. */
static inline bool consists_of(struct slice text, bool (*is)(uint32_t code))
{
    while (text.len > 0) {
        bool plain = (uint8_t)text.ptr[0] < 0x80;
        size_t len = plain ? 1 : slice_utf8_length(text);
        if (len == 0 || !is(decode(text.ptr, len)))
            return false;
        text = slice_of(text.ptr + len, text.len - len);
    }
    return true;
}

static bool in_line(uint32_t code)
{
    return !hides(code);
}

/* What ASCII may stand in. */
enum { IN_NAME = 1, IN_EMAIL = 2, IN_ROLE = 4 };

static const uint8_t ascii[128] = {
    ['0' ... '9'] = IN_NAME | IN_EMAIL | IN_ROLE,
    ['A' ... 'Z'] = IN_NAME | IN_EMAIL | IN_ROLE,
    ['a' ... 'z'] = IN_NAME | IN_EMAIL | IN_ROLE,
    ['.'] = IN_NAME | IN_EMAIL | IN_ROLE,
    ['_'] = IN_NAME | IN_EMAIL | IN_ROLE,
    ['@'] = IN_NAME | IN_EMAIL,
    ['+'] = IN_NAME | IN_EMAIL,
    ['-'] = IN_NAME | IN_EMAIL | IN_ROLE,
    [':'] = IN_ROLE,
    ['!'] = IN_EMAIL,
    ['#' ... '\''] = IN_EMAIL,
    ['*'] = IN_EMAIL,
    ['/'] = IN_EMAIL,
    ['='] = IN_EMAIL,
    ['?'] = IN_EMAIL,
    ['^'] = IN_EMAIL,
    ['`'] = IN_EMAIL,
    ['{' ... '~'] = IN_EMAIL,
};

static bool in_name(uint32_t code)
{
    return code < 0x80 ? ascii[code] & IN_NAME : !hides(code);
}

bool text_is_line(struct slice text)
{
    return text.len > 0 && text.ptr[0] != ' ' && text.ptr[text.len - 1] != ' ' &&
           consists_of(text, in_line);
}

void text_append_line(struct buf *out, struct slice text)
{
    size_t begin = out->len;
    bool space = false;
    while (text.len > 0) {
        size_t len = slice_utf8_length(text), taken = len ? len : 1;
        if (len > 0 && (text.ptr[0] == ' ' || hides(decode(text.ptr, len)))) {
            space = out->len > begin;
        } else {
            if (space)
                buf_append_char(out, ' ');
            space = false;
            buf_append(out, len > 0 ? text.ptr : "?", taken);
        }
        text = slice_of(text.ptr + taken, text.len - taken);
    }
}

bool text_is_name(struct slice text)
{
    return text.len > 0 && consists_of(text, in_name);
}

static bool consists_of_ascii(struct slice text, uint8_t kind)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = (uint8_t)text.ptr[i];
        if (byte >= 0x80 || !(ascii[byte] & kind))
            return false;
    }
    return true;
}

bool text_is_role(struct slice text)
{
    return text.len > 0 && text.len <= TEXT_ROLE_MAX && consists_of_ascii(text, IN_ROLE);
}

bool text_is_email(struct slice text)
{
    struct slice domain = text;
    struct slice local = slice_cut(&domain, '@');
    return local.len > 0 && domain.len > 0 && !memchr(domain.ptr, '@', domain.len) &&
           consists_of_ascii(text, IN_EMAIL);
}
