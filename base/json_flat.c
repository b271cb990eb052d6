/* DESIGN. Most bodies are an object of a few plain members, and jansson's reader takes ten times as
 * long for one as needed: it copies byte by byte, as anything may come. This one takes objects of
 * plain strings, whole numbers, true, false and null, of which it is sure; all else, wrong or
 * merely unusual, is left to jansson, which also says what is wrong. */
#include "base/json.h"
#include "base/json_private.h"

struct reader {
    const char *at, *end;
};

static void skip_space(struct reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\r' || *r->at == '\t'))
        r->at++;
}

static bool take(struct reader *r, char c)
{
    if (r->at == r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

/* A string of printable ASCII without escapes. */
static bool take_string(struct reader *r, struct slice *out)
{
    if (!take(r, '"'))
        return false;
    const char *begin = r->at;
    while (r->at < r->end && *r->at >= ' ' && *r->at <= '~' && *r->at != '"' && *r->at != '\\')
        r->at++;
    *out = slice_of(begin, (size_t)(r->at - begin));
    return take(r, '"');
}

static bool is_number_char(char c)
{
    return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

static json_t *take_integer(struct reader *r)
{
    const char *begin = r->at;
    int64_t value;
    while (r->at < r->end && is_number_char(*r->at))
        r->at++;
    return slice_to_i64(slice_of(begin, (size_t)(r->at - begin)), &value) ? json_integer(value)
                                                                          : NULL;
}

static bool take_word(struct reader *r, const char *word)
{
    size_t len = strlen(word);
    if ((size_t)(r->end - r->at) < len || memcmp(r->at, word, len) != 0)
        return false;
    r->at += len;
    return true;
}

/* NULL: it is not plain. */
static json_t *take_value(struct reader *r)
{
    struct slice text;
    if (r->at == r->end)
        return NULL;
    switch (*r->at) {
    case '"':
        return take_string(r, &text) ? json_stringn_nocheck(text.ptr, text.len) : NULL;
    case 't':
        return take_word(r, "true") ? json_true() : NULL;
    case 'f':
        return take_word(r, "false") ? json_false() : NULL;
    case 'n':
        return take_word(r, "null") ? json_null() : NULL;
    default:
        return take_integer(r);
    }
}

static bool take_member(struct reader *r, json_t *object)
{
    struct slice name;
    skip_space(r);
    size_t before = json_object_size(object);
    if (!take_string(r, &name))
        return false;
    skip_space(r);
    if (!take(r, ':'))
        return false;
    skip_space(r);
    json_t *value = take_value(r);
    skip_space(r);
    return value && json_object_setn_new_nocheck(object, name.ptr, name.len, value) == 0 &&
           json_object_size(object) > before; /* else it has come twice */
}

static bool take_object(struct reader *r, json_t *object)
{
    skip_space(r);
    if (!take(r, '{'))
        return false;
    do {
        if (!take_member(r, object))
            return false;
    } while (take(r, ','));
    if (!take(r, '}'))
        return false;
    skip_space(r);
    return r->at == r->end;
}

json_t *json_read_flat(struct slice text)
{
    struct reader r = {text.ptr, text.ptr + text.len};
    json_t *object = json_object();
    if (object && take_object(&r, object))
        return object;
    json_decref(object);
    return NULL;
}
