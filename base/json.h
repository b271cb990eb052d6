/* JSON: a strict reader over jansson for what comes from outside, and a writer that appends to a
 * buffer without building a tree, for what we say often. */
#ifndef GALLEY_BASE_JSON_H
#define GALLEY_BASE_JSON_H

#include "base/buf.h"
#include "base/err.h"

#include <jansson.h>
#include <stdarg.h>

#define JSON_DEPTH_MAX 32

/* Parses a whole text: objects and arrays only at most JSON_DEPTH_MAX deep, no duplicate keys, no
 * NUL (neither raw nor \u0000), well-formed UTF-8, nothing behind the value. The caller owns *out
 * (json_decref). ERR_MALFORMED with a sentence in why[why_size]. Threads: any. */
enum err json_read(struct slice text, json_t **out, char *why, size_t why_size);

/* As json_read for text that we wrote ourselves (records): skips the hostile-input checks. */
enum err json_read_trusted(struct slice text, json_t **out);

/* Appends the compact text of a tree. */
void json_append(struct buf *out, const json_t *value);

/* The member's value, or the fallback when it is missing or of another type. Borrowed. */
int64_t json_int(const json_t *object, const char *key, int64_t fallback);
const char *json_str(const json_t *object, const char *key, const char *fallback);

/* ---- Single members of an object's text that we wrote ourselves, without a tree. A name is
 * compared as it is written. */

/* The text of a top-level member's value (17, "Alice" with its quotes, {...}); false if there is
 * none. Borrowed from `object`. */
bool json_find(struct slice object, const char *key, struct slice *value);

/* Several members in one walk: values[i] is that of names[i], with a NULL ptr if there is none.
 * Returns how many there are. */
unsigned json_find_all(struct slice object, const char *const *names, unsigned count,
                       struct slice *values);

/* The integer, or the fallback when the member is missing or of another type. */
int64_t json_find_int(struct slice object, const char *key, int64_t fallback);

/* Appends the string without its escapes; false, and nothing appended, if it is missing or none. */
bool json_find_str(struct slice object, const char *key, struct buf *out);

/* Appends the string that a value's text is, without quotes and escapes; false, and nothing
 * appended, if it is none. */
bool json_append_unescaped(struct buf *out, struct slice value);

/* Appends the object's text with `now` in the place of `value`, which json_find has found in it. */
void json_append_with(struct buf *out, struct slice object, struct slice value, struct slice now);

/* Appends the object's text without a member. */
void json_append_without(struct buf *out, struct slice object, const char *key);

/* ---- Text by a pattern, as printf makes it, but for two things: ' stands for ", and %s is a
 * string of JSON, escaped, with quotes of its own where the pattern has none around it. So this is
 * JSON whatever the values are: json_printf(out, "{'id':%s,'qty':%d,'text':'%d x %s'}", id, qty,
 * qty, name); Apart from %s and %.*s there are %d and %ld (int64_t), also with zeros in front
 * (%02d). An apostrophe comes by %s alone. */
void json_printf(struct buf *out, const char *pattern, ...) __attribute__((format(printf, 2, 3)));
void json_vprintf(struct buf *out, const char *pattern, va_list args)
    __attribute__((format(printf, 2, 0)));

/* ---- The writer: commas are its business. Keys are literals of ours and not escaped. */
struct json_writer {
    struct buf *out;
    bool comma; /* a value was written at this level */
};

void jw_begin(struct json_writer *w, char open); /* '{' or '[' as a value */
void jw_end(struct json_writer *w, char close);  /* '}' or ']' */
void jw_name(struct json_writer *w, struct slice name);
static inline void jw_key(struct json_writer *w, const char *key)
{
    jw_name(w, slice_str(key)); /* its length is known when compiling */
}
void jw_str(struct json_writer *w, struct slice value); /* escaped; bytes must be UTF-8 */
void jw_i64(struct json_writer *w, int64_t value);
void jw_f64(struct json_writer *w, double value); /* shortest that reads back; null if not finite */
void jw_bool(struct json_writer *w, bool value);
void jw_null(struct json_writer *w);
void jw_raw(struct json_writer *w, struct slice json); /* a value that is JSON already */

/* Appends a quoted and escaped JSON string; or only what stands between its quotes. */
void json_append_string(struct buf *out, struct slice value);
void json_append_escaped(struct buf *out, struct slice value);

#endif
