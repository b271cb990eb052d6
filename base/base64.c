#include "base/base64.h"

/* What tells the two alphabets apart. */
struct alphabet {
    const char *digits;
    char digit62, digit63;
    bool padded;
};

#define COMMON "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
static const struct alphabet standard = {COMMON "+/", '+', '/', true};
static const struct alphabet url = {COMMON "-_", '-', '_', false};

static void encode(struct buf *out, struct slice bytes, const struct alphabet *alphabet)
{
    const unsigned char *in = (const unsigned char *)bytes.ptr;
    char *at = buf_reserve(out, (bytes.len + 2) / 3 * 4);
    uint32_t bits = 0;
    unsigned held = 0; /* how many of `bits` are still to be written */
    for (size_t i = 0; i < bytes.len; i++) {
        bits = bits << 8 | in[i];
        for (held += 8; held >= 6; held -= 6)
            *at++ = alphabet->digits[bits >> (held - 6) & 63];
    }
    if (held > 0)
        *at++ = alphabet->digits[bits << (6 - held) & 63];
    for (size_t i = bytes.len; alphabet->padded && i % 3 != 0; i++)
        *at++ = '=';
    out->len = (size_t)(at - out->data);
}

void base64_append(struct buf *out, struct slice bytes)
{
    encode(out, bytes, &standard);
}

void base64url_append(struct buf *out, struct slice bytes)
{
    encode(out, bytes, &url);
}

static int digit_value(char c, const struct alphabet *alphabet)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == alphabet->digit62)
        return 62;
    return c == alphabet->digit63 ? 63 : -1;
}

/* One text for one value: the digits must come in a possible number and the bits of the last one
 * that belong to no byte must be zero. */
static bool decode(struct slice text, struct buf *out, const struct alphabet *alphabet)
{
    char *at = buf_reserve(out, text.len / 4 * 3 + 2);
    if (text.len % 4 == 1)
        return false;
    uint32_t bits = 0;
    unsigned held = 0;
    for (size_t i = 0; i < text.len; i++) {
        int value = digit_value(text.ptr[i], alphabet);
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        held += 6;
        if (held >= 8) {
            held -= 8;
            *at++ = (char)(bits >> held);
        }
    }
    if ((bits & ((1U << held) - 1)) != 0)
        return false;
    out->len = (size_t)(at - out->data);
    return true;
}

bool base64_decode(struct slice text, struct buf *out)
{
    if (text.len % 4 != 0)
        return false;
    size_t padding = 0;
    while (padding < 2 && padding < text.len && text.ptr[text.len - 1 - padding] == '=')
        padding++;
    return decode(slice_of(text.ptr, text.len - padding), out, &standard);
}

bool base64url_decode(struct slice text, struct buf *out)
{
    return decode(text, out, &url);
}
