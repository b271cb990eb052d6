/* Values of expressions: taken from JSON's text, and compared. */
#include "base/expr_private.h"
#include "base/json_private.h"
#include "base/mem.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>

bool scratch_spend(struct scratch *scratch, size_t bytes)
{
    scratch->budget -= (int64_t)bytes + 16;
    return scratch->budget > 0;
}

/* ---- From text. */

static double real_of(struct slice text)
{
    char digits[64];
    if (text.len < sizeof digits) { /* strtod wants an end */
        memcpy(digits, text.ptr, text.len);
        digits[text.len] = '\0';
        return strtod(digits, NULL);
    }
    char *copy = mem_alloc(text.len + 1);
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    double real = strtod(copy, NULL);
    free(copy);
    return real;
}

static struct value number_of(struct slice json)
{
    struct value value = {.kind = VALUE_INT};
    if (slice_to_i64(json, &value.integer))
        return value;
    value.kind = VALUE_REAL;
    value.real = real_of(json);
    return value;
}

static struct value string_of(struct slice json)
{
    if (json.len < 2)
        return (struct value){.kind = VALUE_NULL};
    struct slice text = slice_of(json.ptr + 1, json.len - 2);
    bool escaped = text.len > 0 && memchr(text.ptr, '\\', text.len);
    return (struct value){.kind = VALUE_STRING, .escaped = escaped, .text = escaped ? json : text};
}

struct value value_of(struct slice json)
{
    switch (json.len > 0 ? json.ptr[0] : 'n') {
    case '"':
        return string_of(json);
    case '{':
        return (struct value){.kind = VALUE_OBJECT, .text = json};
    case '[':
        return (struct value){.kind = VALUE_ARRAY, .text = json};
    case 't':
    case 'f':
        return (struct value){.kind = VALUE_BOOL, .integer = json.ptr[0] == 't'};
    case 'n':
        return (struct value){.kind = VALUE_NULL};
    default:
        return number_of(json);
    }
}

struct value value_of_string(struct slice text)
{
    struct value value = {.kind = VALUE_STRING, .is_literal = true, .text = text};
    value.is_moment = moment_parse(text, &value.moment);
    return value;
}

void value_append_string(struct buf *out, const struct value *value)
{
    if (value->escaped)
        json_append_unescaped(out, value->text);
    else
        buf_append_slice(out, value->text);
}

/* The string's bytes, in `memory` if it has escapes. */
static struct slice string_text(const struct value *value, struct buf *memory)
{
    if (!value->escaped)
        return value->text;
    buf_clear(memory);
    json_append_unescaped(memory, value->text);
    return buf_slice(memory);
}

/* ---- Order. */

static enum order order_of(int sign)
{
    return sign < 0 ? ORDER_LESS : sign > 0 ? ORDER_GREATER : ORDER_EQUAL;
}

static enum order order_of_int_and_real(int64_t integer, double real)
{
    if (real >= 0x1p63)
        return ORDER_LESS;
    if (real < -0x1p63)
        return ORDER_GREATER;
    int64_t whole = (int64_t)real; /* towards 0 */
    double rest = real - (double)whole;
    if (integer != whole)
        return integer < whole ? ORDER_LESS : ORDER_GREATER;
    return rest > 0 ? ORDER_LESS : rest < 0 ? ORDER_GREATER : ORDER_EQUAL;
}

static enum order reversed(enum order order)
{
    return order == ORDER_LESS ? ORDER_GREATER : order == ORDER_GREATER ? ORDER_LESS : order;
}

static enum order compare_numbers(const struct value *a, const struct value *b)
{
    if (a->kind == VALUE_INT && b->kind == VALUE_INT)
        return order_of((a->integer > b->integer) - (a->integer < b->integer));
    if (a->kind == VALUE_INT)
        return order_of_int_and_real(a->integer, b->real);
    if (b->kind == VALUE_INT)
        return reversed(order_of_int_and_real(b->integer, a->real));
    return order_of((a->real > b->real) - (a->real < b->real));
}

static bool moment_of(const struct value *value, struct slice text, struct moment *out)
{
    *out = value->moment;
    return value->is_moment || (!value->is_literal && moment_parse(text, out));
}

static enum order compare_bytes(struct slice a, struct slice b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len > 0 ? memcmp(a.ptr, b.ptr, len) : 0;
    return order_of(order ? order : (a.len > b.len) - (a.len < b.len));
}

/* Two strings that say when compare by that, whatever their offsets from UTC. One that is written
 * in the expression compares with such strings alone. */
static enum order compare_strings(const struct value *a, const struct value *b,
                                  struct scratch *scratch)
{
    struct slice left = string_text(a, &scratch->left), right = string_text(b, &scratch->right);
    if (!scratch_spend(scratch, left.len + right.len))
        return ORDER_UNKNOWN;
    struct moment x, y;
    if (moment_of(a, left, &x) && moment_of(b, right, &y))
        return order_of(moment_compare(x, y));
    if (a->is_moment || b->is_moment)
        return ORDER_DIFFERENT;
    return compare_bytes(left, right);
}

/* ---- Arrays and objects are equal or not. */

static enum order compare_texts(struct slice a, struct slice b, struct scratch *scratch,
                                unsigned depth);

static enum order compare_arrays(struct slice a, struct slice b, struct scratch *scratch,
                                 unsigned depth)
{
    struct json_elements left = json_elements_of(a), right = json_elements_of(b);
    for (;;) {
        bool more = json_next_element(&left);
        if (json_next_element(&right) != more)
            return ORDER_DIFFERENT;
        if (!more)
            return ORDER_EQUAL;
        enum order order = compare_texts(left.value, right.value, scratch, depth);
        if (order != ORDER_EQUAL)
            return order;
    }
}

static unsigned count_members(struct slice object)
{
    struct json_members members = json_members_of(object);
    unsigned count = 0;
    while (json_next_member(&members))
        count++;
    return count;
}

/* The name between these quotes. */
static struct slice written_name(struct slice name, struct buf *memory)
{
    struct value value = string_of(slice_of(name.ptr - 1, name.len + 2));
    return string_text(&value, memory);
}

static enum order compare_objects(struct slice a, struct slice b, struct scratch *scratch,
                                  unsigned depth)
{
    struct json_members members = json_members_of(a);
    if (count_members(a) != count_members(b))
        return ORDER_DIFFERENT;
    while (json_next_member(&members)) {
        struct slice name = written_name(members.name, &scratch->left), other;
        if (!scratch_spend(scratch, b.len))
            return ORDER_UNKNOWN;
        if (!json_find_member(b, name, &other))
            return ORDER_DIFFERENT;
        enum order order = compare_texts(members.value, other, scratch, depth);
        if (order != ORDER_EQUAL)
            return order;
    }
    return ORDER_EQUAL;
}

static enum order compare_nested(const struct value *a, const struct value *b,
                                 struct scratch *scratch, unsigned depth)
{
    if (slice_eq(a->text, b->text))
        return ORDER_EQUAL;
    if (depth == JSON_DEPTH_MAX || !scratch_spend(scratch, a->text.len + b->text.len))
        return ORDER_UNKNOWN;
    return a->kind == VALUE_ARRAY ? compare_arrays(a->text, b->text, scratch, depth + 1)
                                  : compare_objects(a->text, b->text, scratch, depth + 1);
}

/* ---- All kinds. */

static bool is_number(const struct value *value)
{
    return value->kind == VALUE_INT || value->kind == VALUE_REAL;
}

static bool is_string(const struct value *value)
{
    return value->kind == VALUE_STRING || value->kind == VALUE_TIME;
}

static enum order compare_absent(const struct value *a, const struct value *b)
{
    const struct value *other = a->kind == VALUE_ABSENT ? b : a;
    return other->kind == VALUE_NULL && other->is_literal ? ORDER_EQUAL : ORDER_UNKNOWN;
}

static enum order compare_kinds(const struct value *a, const struct value *b,
                                struct scratch *scratch, unsigned depth)
{
    if (is_number(a) && is_number(b))
        return compare_numbers(a, b);
    if (is_string(a) && is_string(b))
        return compare_strings(a, b, scratch);
    if (a->kind == VALUE_ABSENT || b->kind == VALUE_ABSENT)
        return compare_absent(a, b);
    if (a->kind != b->kind)
        return ORDER_DIFFERENT;
    if (a->kind == VALUE_ARRAY || a->kind == VALUE_OBJECT)
        return compare_nested(a, b, scratch, depth);
    return a->integer == b->integer ? ORDER_EQUAL : ORDER_DIFFERENT;
}

static enum order compare_texts(struct slice a, struct slice b, struct scratch *scratch,
                                unsigned depth)
{
    struct value left = value_of(a), right = value_of(b);
    enum order order = compare_kinds(&left, &right, scratch, depth);
    return order == ORDER_LESS || order == ORDER_GREATER ? ORDER_DIFFERENT : order;
}

enum order value_compare(const struct value *a, const struct value *b, struct scratch *scratch)
{
    return compare_kinds(a, b, scratch, 0);
}

/* ---- Containing. */

#define SMALL 512 /* bytes, on the stack */

static void lower_into(char *out, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        out[i] = text.ptr[i];
        if (out[i] >= 'A' && out[i] <= 'Z')
            out[i] |= 0x20;
    }
}

/* memmem takes a time linear in both. */
static bool contains(struct slice text, struct slice part)
{
    if (part.len > text.len)
        return false;
    char small[SMALL];
    char *memory = text.len + part.len <= SMALL ? small : mem_alloc(text.len + part.len);
    lower_into(memory, text);
    lower_into(memory + text.len, part);
    bool found = memmem(memory, text.len, memory + text.len, part.len);
    if (memory != small)
        free(memory);
    return found;
}

enum expr_result value_contains(const struct value *value, const struct value *part,
                                struct scratch *scratch)
{
    if (value->kind == VALUE_ABSENT || part->kind == VALUE_ABSENT)
        return EXPR_UNKNOWN;
    if (value->kind != VALUE_STRING || part->kind != VALUE_STRING)
        return EXPR_FALSE;
    struct slice text = string_text(value, &scratch->left);
    struct slice wanted = string_text(part, &scratch->right);
    if (!scratch_spend(scratch, text.len + wanted.len))
        return EXPR_UNKNOWN;
    return contains(text, wanted) ? EXPR_TRUE : EXPR_FALSE;
}
