#include "server/http/path.h"

/* DESIGN. A path is decoded exactly once, here, before anybody looks at it, so that routing,
 * authorisation and logging see the same bytes. What would read differently to a decoder further
 * down (an escaped slash, a backslash, a NUL) is refused instead of interpreted. */

int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that the escape at `text` stands for, or -1. */
static int unescape(struct slice text)
{
    if (text.len < 3)
        return -1;
    int high = hex_digit(text.ptr[1]);
    int low = hex_digit(text.ptr[2]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

bool path_decode(struct slice text, bool plus, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        int c = (unsigned char)text.ptr[i];
        if (c == '%') {
            c = unescape(slice_of(text.ptr + i, text.len - i));
            if (c < 0)
                return false;
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        buf_append_char(out, (char)c);
    }
    return true;
}

/* Returns the new length, or 0 when a byte or escape is refused. */
static size_t decode_in_place(char *bytes, size_t len)
{
    size_t to = 0;
    bool ascii = true;
    for (size_t from = 0; from < len; from++) {
        int c = (unsigned char)bytes[from];
        if (c == '%') {
            c = unescape(slice_of(bytes + from, len - from));
            from += 2;
            if (c == '/')
                return 0;
        }
        if (c < 0x20 || c == 0x7F || c == '\\')
            return 0;
        ascii = ascii && c < 0x80;
        bytes[to++] = (char)c;
    }
    return ascii || slice_is_utf8(slice_of(bytes, to)) ? to : 0;
}

static bool has_dot_segment(const char *bytes, size_t len)
{
    for (size_t i = 0; i + 1 < len; i++) {
        if (bytes[i] == '/' && bytes[i + 1] == '.')
            return true;
    }
    return false;
}

/* RFC 3986 section 5.2.4 on a path that begins with '/'. Empty segments are segments. */
static size_t remove_dot_segments(char *bytes, size_t len)
{
    size_t to = 0, from = 0;
    while (from < len) {
        const char *next = memchr(bytes + from + 1, '/', len - from - 1);
        size_t end = next ? (size_t)(next - bytes) : len;
        struct slice name = slice_of(bytes + from + 1, end - from - 1);
        bool up = slice_is(name, "..");
        if (up || slice_is(name, ".")) {
            while (up && to > 0 && bytes[--to] != '/') {
            }
            if (end == len)
                bytes[to++] = '/';
        } else {
            memmove(bytes + to, bytes + from, end - from);
            to += end - from;
        }
        from = end;
    }
    return to;
}

bool path_normalise(char *bytes, size_t len, struct slice *out)
{
    if (len == 0 || bytes[0] != '/')
        return false;
    len = decode_in_place(bytes, len);
    if (len == 0)
        return false;
    if (has_dot_segment(bytes, len))
        len = remove_dot_segments(bytes, len);
    *out = slice_of(bytes, len);
    return true;
}

bool path_is_ambiguous(struct slice path)
{
    return memchr(path.ptr, ';', path.len) || memmem(path.ptr, path.len, "//", 2);
}

bool path_plain(struct slice path, struct buf *out)
{
    struct slice rest = slice_of(path.ptr + 1, path.len - 1);
    while (rest.ptr) {
        struct slice segment = slice_cut(&rest, '/');
        segment = slice_cut(&segment, ';');
        if (slice_is(segment, ".") || slice_is(segment, ".."))
            return false;
        if (segment.len == 0 && rest.ptr)
            continue;
        buf_append_char(out, '/');
        buf_append_slice(out, segment);
    }
    return true;
}

/* RFC 3986 section 3.3: unreserved, sub-delims, ':', '@' and '/' stand for themselves. */
void path_encode(struct slice path, struct buf *out)
{
    static const char plain[] = "-._~!$&'()*+,;=:@/";
    for (size_t i = 0; i < path.len; i++) {
        unsigned char c = (unsigned char)path.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (letter || (c && strchr(plain, c)))
            buf_append_char(out, (char)c);
        else
            buf_printf(out, "%%%02X", c);
    }
}
