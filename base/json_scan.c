#include "base/json.h"

#include "base/json_private.h"

/* DESIGN. Most readers of a stored document want one or two members of it; a tree of all of it
 * costs ten times as much as walking over the text. The text is known to be JSON. Should it not be,
 * what is asked for is not found, and nothing behind the end is read. */

static const char *skip_space(const char *at, const char *end)
{
    if (at<end && * at> ' ') /* nearly always */
        return at;
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
        at++;
    return at;
}

/* Behind the object or array whose bracket is at `at`. */
static const char *skip_nested(const char *at, const char *end)
{
    int depth = 0;
    while (at < end) {
        if (*at == '"') {
            at = json_skip_string(at, end);
            continue;
        }
        bool closes = *at == '}' || *at == ']';
        depth += (*at == '{' || *at == '[') - closes;
        at++;
        if (closes && depth == 0)
            break;
    }
    return at;
}

/* What may follow a number, true, false and null. */
static const bool ends_word[256] = {
    [','] = true,  ['}'] = true,  [']'] = true,  [' '] = true,
    ['\n'] = true, ['\r'] = true, ['\t'] = true,
};

/* Behind the value at `at`. */
static const char *skip_value(const char *at, const char *end)
{
    if (at < end && *at == '"')
        return json_skip_string(at, end);
    if (at < end && (*at == '{' || *at == '['))
        return skip_nested(at, end);
    while (at < end && !ends_word[(unsigned char)*at])
        at++;
    return at;
}

struct json_members json_members_of(struct slice object)
{
    const char *end = object.ptr + object.len;
    return (struct json_members){.at = skip_space(object.ptr, end), .end = end};
}

bool json_next_member(struct json_members *m)
{
    if (m->at == m->end || (*m->at != '{' && *m->at != ','))
        return false;
    const char *name = skip_space(m->at + 1, m->end);
    if (name == m->end || *name != '"')
        return false;
    const char *behind = json_skip_string(name, m->end);
    m->name = slice_of(name + 1, (size_t)(behind - name) - 2);
    const char *colon = skip_space(behind, m->end);
    if (colon == m->end || *colon != ':')
        return false;
    const char *value = skip_space(colon + 1, m->end);
    behind = skip_value(value, m->end);
    m->value = slice_of(value, (size_t)(behind - value));
    m->at = skip_space(behind, m->end);
    return m->at < m->end && m->value.len > 0;
}

struct json_elements json_elements_of(struct slice array)
{
    const char *end = array.ptr + array.len;
    return (struct json_elements){.at = skip_space(array.ptr, end), .end = end};
}

bool json_next_element(struct json_elements *e)
{
    if (e->at == e->end || (*e->at != '[' && *e->at != ','))
        return false;
    const char *value = skip_space(e->at + 1, e->end);
    const char *behind = skip_value(value, e->end);
    e->value = slice_of(value, (size_t)(behind - value));
    e->at = skip_space(behind, e->end);
    return e->at < e->end && e->value.len > 0;
}

static bool is_name_with_escapes(struct slice written, struct slice name)
{
    struct buf text = BUF_INIT;
    json_append_unescaped(&text, slice_of(written.ptr - 1, written.len + 2));
    bool same = slice_eq(buf_slice(&text), name);
    buf_release(&text);
    return same;
}

bool json_name_is(struct slice written, struct slice name)
{
    if (slice_eq(written, name))
        return true;
    return written.len > name.len && memchr(written.ptr, '\\', written.len) &&
           is_name_with_escapes(written, name);
}

bool json_find_member(struct slice object, struct slice name, struct slice *value)
{
    struct json_members members = json_members_of(object);
    while (json_next_member(&members)) {
        *value = members.value;
        if (json_name_is(members.name, name))
            return true;
    }
    return false;
}

/* Most names differ in the first character. */
static bool is_named(const struct json_members *m, const char *name)
{
    return m->name.len > 0 && m->name.ptr[0] == name[0] && slice_is(m->name, name);
}

bool json_find(struct slice object, const char *key, struct slice *value)
{
    struct slice wanted = slice_str(key);
    struct json_members members = json_members_of(object);
    while (json_next_member(&members)) {
        *value = members.value;
        if (slice_eq(members.name, wanted))
            return true;
    }
    return false;
}

unsigned json_find_all(struct slice object, const char *const *names, unsigned count,
                       struct slice *values)
{
    struct json_members members = json_members_of(object);
    unsigned found = 0;
    for (unsigned i = 0; i < count; i++)
        values[i] = slice_of(NULL, 0);
    while (found < count && json_next_member(&members)) {
        for (unsigned i = 0; i < count; i++) {
            if (values[i].ptr || !is_named(&members, names[i]))
                continue;
            values[i] = members.value;
            found++;
        }
    }
    return found;
}

void json_append_with(struct buf *out, struct slice object, struct slice value, struct slice now)
{
    const char *behind = value.ptr + value.len;
    buf_append(out, object.ptr, (size_t)(value.ptr - object.ptr));
    buf_append_slice(out, now);
    buf_append(out, behind, (size_t)(object.ptr + object.len - behind));
}

void json_append_without(struct buf *out, struct slice object, const char *key)
{
    struct slice unwanted = slice_str(key);
    struct json_members members = json_members_of(object);
    char before = '{';
    while (json_next_member(&members)) {
        if (slice_eq(members.name, unwanted))
            continue;
        buf_append_char(out, before);
        buf_append_char(out, '"');
        buf_append_slice(out, members.name);
        buf_append_str(out, "\":");
        buf_append_slice(out, members.value);
        before = ',';
    }
    buf_append_str(out, before == '{' ? "{}" : "}");
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

bool json_append_unescaped(struct buf *out, struct slice value)
{
    if (value.len < 2 || value.ptr[0] != '"')
        return false;
    struct slice text = slice_of(value.ptr + 1, value.len - 2);
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

bool json_find_str(struct slice object, const char *key, struct buf *out)
{
    struct slice value;
    return json_find(object, key, &value) && json_append_unescaped(out, value);
}
