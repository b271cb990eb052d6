#include "base/json.h"

#include "base/json_private.h"

/* DESIGN. Most readers of a stored document want one or two members of it; a tree of all of it
 * costs ten times as much as walking over the text. The text is known to be JSON. Should it not be,
 * what is asked for is not found, and nothing behind the end is read. */

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
        at++;
    return at;
}

/* Behind the value at `at`: to the comma or bracket that is not its own. */
static const char *skip_value(const char *at, const char *end)
{
    int depth = 0;
    while (at < end) {
        if (*at == '"') {
            at = json_skip_string(at, end);
            continue;
        }
        bool closes = *at == '}' || *at == ']';
        if (depth == 0 && (closes || *at == ','))
            break;
        depth += (*at == '{' || *at == '[') - closes;
        at++;
    }
    return at;
}

static struct slice trim_end(const char *begin, const char *at)
{
    return slice_trim(slice_of(begin, (size_t)(at - begin)));
}

bool json_find(struct slice object, const char *key, struct slice *value)
{
    const char *end = object.ptr + object.len, *at = skip_space(object.ptr, end);
    struct slice wanted = slice_str(key);
    if (at == end || *at != '{')
        return false;
    do {
        const char *name = skip_space(at + 1, end);
        if (name == end || *name != '"')
            return false;
        const char *behind = json_skip_string(name, end);
        at = skip_space(behind, end);
        if (at == end || *at != ':')
            return false;
        struct slice found = slice_of(name + 1, (size_t)(behind - name) - 2);
        const char *begin = skip_space(at + 1, end);
        at = skip_value(begin, end);
        *value = trim_end(begin, at);
        if (slice_eq(found, wanted))
            return at < end && value->len > 0;
    } while (at < end && *at == ',');
    return false;
}

int64_t json_find_int(struct slice object, const char *key, int64_t fallback)
{
    struct slice text;
    int64_t value;
    return json_find(object, key, &text) && slice_to_i64(text, &value) ? value : fallback;
}

/* ---- Strings */

static void append_utf8(struct buf *out, uint32_t code)
{
    if (code < 0x80) {
        buf_append_char(out, (char)code);
        return;
    }
    int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned char first[] = {0, 0xC0, 0xE0, 0xF0};
    buf_append_char(out, (char)(first[more] | code >> (6 * more)));
    while (more-- > 0)
        buf_append_char(out, (char)(0x80 | (code >> (6 * more) & 0x3F)));
}

/* The four hexadecimal digits of a \u escape; `text` begins with them. */
static uint32_t hex4(struct slice text)
{
    uint32_t code = 0;
    for (size_t i = 0; i < 4 && i < text.len; i++) {
        char c = text.ptr[i];
        code = code << 4 | (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return code;
}

/* Decodes the \u escape whose digits `text` begins with; returns how many bytes it took. */
static size_t append_unicode(struct buf *out, struct slice text)
{
    uint32_t code = hex4(text);
    bool pair = code >> 10 == 0xD800 >> 10 && text.len >= 10;
    if (pair)
        code = 0x10000 + ((code & 0x3FF) << 10 | (hex4(slice_of(text.ptr + 6, 4)) & 0x3FF));
    append_utf8(out, code);
    return pair ? 10 : 4;
}

/* `text` begins behind a backslash; returns how many bytes the escape took. */
static size_t append_escape(struct buf *out, struct slice text)
{
    static const char plain[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    const char *at = strchr(plain, text.ptr[0]);
    if (text.ptr[0] == 'u')
        return 1 + append_unicode(out, slice_of(text.ptr + 1, text.len - 1));
    buf_append(out, at && *at ? &meant[at - plain] : text.ptr, 1);
    return 1;
}

bool json_find_str(struct slice object, const char *key, struct buf *out)
{
    struct slice text;
    if (!json_find(object, key, &text) || text.len < 2 || text.ptr[0] != '"')
        return false;
    text = slice_of(text.ptr + 1, text.len - 2);
    while (text.len > 0) {
        const char *escape = memchr(text.ptr, '\\', text.len);
        size_t run = escape ? (size_t)(escape - text.ptr) : text.len;
        buf_append(out, text.ptr, run);
        text = slice_of(text.ptr + run, text.len - run);
        if (text.len < 2)
            break;
        size_t took = 1 + append_escape(out, slice_of(text.ptr + 1, text.len - 1));
        took = took < text.len ? took : text.len;
        text = slice_of(text.ptr + took, text.len - took);
    }
    return true;
}
