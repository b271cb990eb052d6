#include "base/json.h"

#include "base/json_private.h"

#include <assert.h>
#include <stdio.h>

/* Before jansson looks at the text, because it recurses. Need not be right about texts that are no
 * JSON. */
static bool too_deep(struct slice text)
{
    const char *end = text.ptr + text.len;
    int depth = 0;
    for (const char *at = text.ptr; at < end;) {
        if (*at == '"') {
            at = json_skip_string(at, end);
            continue;
        }
        if ((*at == '{' || *at == '[') && ++depth > JSON_DEPTH_MAX)
            return true;
        depth -= *at == '}' || *at == ']';
        at++;
    }
    return false;
}

/* jansson's own sentences quote the text and speak of its options. */
static const char *explain(const json_error_t *error)
{
    switch (json_error_code(error)) {
    case json_error_premature_end_of_input:
        return "The JSON text ends too early";
    case json_error_end_of_input_expected:
        return "Something follows the JSON value";
    case json_error_invalid_utf8:
        return "The JSON text is not UTF-8";
    case json_error_null_character:
    case json_error_null_byte_in_key:
        return "A JSON string holds a NUL character";
    case json_error_duplicate_key:
        return "A JSON object has the same member twice";
    case json_error_numeric_overflow:
        return "A JSON number is too large";
    default:
        return "The JSON text is malformed";
    }
}

/* What must not reach jansson, or what it lets pass (a NUL behind the value); NULL if nothing. */
static const char *refuse_early(struct slice text)
{
    if (text.len == 0)
        return "The JSON text is empty.";
    if (memchr(text.ptr, '\0', text.len))
        return "The JSON text holds a NUL byte.";
    return too_deep(text) ? "The JSON text is nested too deep." : NULL;
}

enum err json_read(struct slice text, json_t **out, char *why, size_t why_size)
{
    const char *refused = refuse_early(text);
    *out = NULL;
    if (refused) {
        snprintf(why, why_size, "%s", refused);
        return ERR_MALFORMED;
    }
    json_error_t error;
    *out = json_read_flat(text);
    if (*out)
        return ERR_OK;
    *out = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (*out)
        return ERR_OK;
    snprintf(why, why_size, "%s (line %d, column %d).", explain(&error), error.line, error.column);
    return ERR_MALFORMED;
}

enum err json_read_trusted(struct slice text, json_t **out)
{
    *out = text.len == 0 ? NULL : json_loadb(text.ptr, text.len, JSON_DECODE_ANY, NULL);
    return *out ? ERR_OK : ERR_DAMAGED;
}

int64_t json_int(const json_t *object, const char *key, int64_t fallback)
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) ? json_integer_value(value) : fallback;
}

const char *json_str(const json_t *object, const char *key, const char *fallback)
{
    const json_t *value = json_object_get(object, key);
    return json_is_string(value) ? json_string_value(value) : fallback;
}

static void append_object(struct json_writer *w, const json_t *object);

/* As deep as the tree: what json_read made is bounded, what we made is shallow. */
static void append_value(struct json_writer *w, const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        append_object(w, value);
        break;
    case JSON_ARRAY:
        jw_begin(w, '[');
        for (size_t i = 0; i < json_array_size(value); i++)
            append_value(w, json_array_get(value, i));
        jw_end(w, ']');
        break;
    case JSON_STRING:
        jw_str(w, slice_of(json_string_value(value), json_string_length(value)));
        break;
    case JSON_INTEGER:
        jw_i64(w, json_integer_value(value));
        break;
    case JSON_REAL:
        jw_f64(w, json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        jw_bool(w, json_is_true(value));
        break;
    case JSON_NULL:
        jw_null(w);
        break;
    }
}

static void append_object(struct json_writer *w, const json_t *object)
{
    /* The iterator does not write to the object; the library only lacks the const. */
    json_t *members = (json_t *)object;
    jw_begin(w, '{');
    for (void *at = json_object_iter(members); at; at = json_object_iter_next(members, at)) {
        jw_str(w, slice_str(json_object_iter_key(at)));
        buf_append_char(w->out, ':');
        w->comma = false;
        append_value(w, json_object_iter_value(at));
    }
    jw_end(w, '}');
}

void json_append(struct buf *out, const json_t *value)
{
    struct json_writer w = {.out = out};
    assert(value);
    append_value(&w, value);
}
