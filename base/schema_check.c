/* DESIGN. A value is checked by going down with the schema. Where only yes or no is asked (not, if,
 * a branch of anyOf) the first violation ends it. Work is bounded by a count of steps for the whole
 * value, whatever the schema is, and recursion by the depth of values times the chains that
 * schema_ref.c allows. What has been looked at is kept only for those who ask: a schema with
 * unevaluatedProperties or unevaluatedItems, and what applies to the same value below it. */
#include "base/mem.h"
#include "base/schema_private.h"

#include <stdlib.h>

/* A step is one schema on one value, 20 to 100 ns. */
enum { STEPS = 5000000, DEPTH = 256, BYTES_PER_STEP = 64, PATTERN_STEPS = 10 };

/* ---- What has been looked at */

void seen_init(struct seen *seen, const json_t *value)
{
    size_t count = json_is_array(value) ? json_array_size(value) : json_object_size(value);
    seen->words = count / 64 + 1;
    seen->few[0] = seen->few[1] = 0;
    bool fits = seen->words <= sizeof seen->few / sizeof seen->few[0];
    seen->bits = fits ? seen->few : mem_zalloc(seen->words * sizeof *seen->bits);
}

void seen_release(struct seen *seen)
{
    if (seen->bits != seen->few)
        free(seen->bits);
}

static void seen_join(struct seen *into, const struct seen *from)
{
    for (size_t i = 0; i < into->words; i++)
        into->bits[i] |= from->bits[i];
}

static bool seen_has(const struct seen *seen, size_t index)
{
    return seen->bits[index / 64] >> index % 64 & 1;
}

/* ---- Scalars */

bool check_bounds(struct checking *c, const struct schema_bounds *bounds, size_t count,
                  const char *const names[2], const struct place *place)
{
    if (count < bounds->min)
        return report(c, place, names[0], "limit", json_integer((json_int_t)bounds->min));
    if (count > bounds->max)
        return report(c, place, names[1], "limit", json_integer((json_int_t)bounds->max));
    return true;
}

static bool over_limit(struct checking *c, const char *reason, const json_t *limit,
                       const struct place *place)
{
    return report(c, place, reason, "limit", json_deep_copy(limit));
}

static bool check_number(struct checking *c, const struct schema_number *number,
                         const json_t *value, const struct place *place)
{
    bool valid = true;
    if (number->minimum && schema_compare(value, number->minimum) < 0)
        valid = over_limit(c, "minimum", number->minimum, place);
    if (number->maximum && schema_compare(value, number->maximum) > 0)
        valid = over_limit(c, "maximum", number->maximum, place);
    if (number->above && schema_compare(value, number->above) <= 0)
        valid = over_limit(c, "exclusiveMinimum", number->above, place);
    if (number->below && schema_compare(value, number->below) >= 0)
        valid = over_limit(c, "exclusiveMaximum", number->below, place);
    if (number->multiple_of && !schema_is_multiple(value, number->multiple_of))
        valid = over_limit(c, "multipleOf", number->multiple_of, place);
    return valid;
}

static size_t code_points(struct slice text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += (text.ptr[i] & 0xC0) != 0x80;
    return count;
}

bool check_spend(struct checking *c, size_t steps)
{
    if (c->steps_left < steps)
        c->exhausted = true;
    else
        c->steps_left -= steps;
    return !c->exhausted;
}

bool check_pattern(struct checking *c, const struct pattern *pattern, struct slice text)
{
    if (!check_spend(c, PATTERN_STEPS + text.len / BYTES_PER_STEP))
        return false;
    enum pattern_result result = pattern_match(pattern, text, NULL);
    if (result == PATTERN_TOO_HARD)
        c->exhausted = true;
    return result == PATTERN_YES;
}

static bool check_string(struct checking *c, const struct schema_string *string,
                         const json_t *value, const struct place *place)
{
    static const char *const names[] = {"minLength", "maxLength"};
    struct slice text = slice_of(json_string_value(value), json_string_length(value));
    if (!check_spend(c, text.len / BYTES_PER_STEP))
        return false;
    bool valid = check_bounds(c, &string->length, code_points(text), names, place);
    if (string->pattern && !check_pattern(c, string->pattern, text))
        valid = report(c, place, "pattern", "limit", json_string(string->pattern_text));
    if (string->format && !schema_format_fits(string->format, text))
        valid =
            report(c, place, "format", "limit", json_string(schema_format_name(string->format)));
    return valid;
}

/* ---- Other schemas for the same value */

bool check_quietly(struct checking *c, const struct schema *schema, const json_t *value,
                   struct seen *seen)
{
    static const struct place nowhere;
    bool before = c->quiet;
    c->quiet = true;
    bool valid = check_node(c, schema, value, &nowhere, seen);
    c->quiet = before;
    return valid;
}

/* As check_quietly, but what it has looked at counts only if the value is valid. */
static bool check_branch(struct checking *c, const struct schema *schema, const json_t *value,
                         struct seen *seen)
{
    if (!seen)
        return check_quietly(c, schema, value, NULL);
    struct seen branch;
    seen_init(&branch, value);
    bool valid = check_quietly(c, schema, value, &branch);
    if (valid)
        seen_join(seen, &branch);
    seen_release(&branch);
    return valid;
}

/* How many hold, counted no further than `enough` unless all are to be looked at. */
static size_t count_valid(struct checking *c, const struct schema_list *list, const json_t *value,
                          size_t enough, struct seen *seen)
{
    size_t count = 0;
    for (size_t i = 0; i < list->count && (count < enough || seen); i++)
        count += check_branch(c, list->schemas[i], value, seen);
    return count;
}

static bool check_condition(struct checking *c, const struct schema_applied *applied,
                            const json_t *value, const struct place *place, struct seen *seen)
{
    if (!applied->condition)
        return true;
    bool holds = check_branch(c, applied->condition, value, seen);
    const struct schema *next = holds ? applied->then : applied->otherwise;
    return !next || check_node(c, next, value, place, seen);
}

static bool check_dependent(struct checking *c, const struct schema_applied *applied,
                            const json_t *value, const struct place *place, struct seen *seen)
{
    bool valid = true;
    for (size_t i = 0; i < applied->dependent_count && !check_is_over(c, valid); i++) {
        const struct schema_property *dependent = &applied->dependent[i];
        if (json_object_getn(value, dependent->name.ptr, dependent->name.len))
            valid &= check_node(c, dependent->schema, value, place, seen);
    }
    return valid;
}

static bool check_lists(struct checking *c, const struct schema_applied *applied,
                        const json_t *value, const struct place *place, struct seen *seen)
{
    bool valid = true;
    for (size_t i = 0; i < applied->all.count && !check_is_over(c, valid); i++)
        valid &= check_node(c, applied->all.schemas[i], value, place, seen);
    if (applied->any.count > 0 && count_valid(c, &applied->any, value, 1, seen) == 0)
        valid = report(c, place, "anyOf", NULL, NULL);
    if (applied->one.count > 0 && count_valid(c, &applied->one, value, 2, seen) != 1)
        valid = report(c, place, "oneOf", NULL, NULL);
    if (applied->not &&check_quietly(c, applied->not, value, NULL))
        valid = report(c, place, "not", NULL, NULL);
    return valid;
}

static bool check_applied(struct checking *c, const struct schema_applied *applied,
                          const json_t *value, const struct place *place, struct seen *seen)
{
    bool valid = !applied->ref || check_node(c, applied->ref, value, place, seen);
    if (!check_is_over(c, valid))
        valid &= check_lists(c, applied, value, place, seen);
    if (!check_is_over(c, valid))
        valid &= check_condition(c, applied, value, place, seen);
    if (!check_is_over(c, valid))
        valid &= check_dependent(c, applied, value, place, seen);
    return valid;
}

/* ---- One schema */

static bool check_constant(struct checking *c, const struct schema *schema, const json_t *value,
                           const struct place *place)
{
    bool valid = true;
    if (schema->constant && !schema_equal(schema->constant, value))
        valid = report(c, place, "const", "allowed",
                       json_pack("[o]", json_deep_copy(schema->constant)));
    bool found = !schema->allowed;
    for (size_t i = 0; !found && i < json_array_size(schema->allowed); i++)
        found = schema_equal(json_array_get(schema->allowed, i), value);
    return found ? valid : report(c, place, "enum", "allowed", json_deep_copy(schema->allowed));
}

static bool check_kind(struct checking *c, const struct schema *schema, const json_t *value,
                       const struct place *place, struct seen *seen)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return !schema->object || check_object(c, schema, value, place, seen);
    case JSON_ARRAY:
        return !schema->array || check_array(c, schema, value, place, seen);
    case JSON_STRING:
        return !schema->string || check_string(c, schema->string, value, place);
    case JSON_INTEGER:
    case JSON_REAL:
        return !schema->number || check_number(c, schema->number, value, place);
    default:
        return true;
    }
}

static bool check_keywords(struct checking *c, const struct schema *schema, const json_t *value,
                           const struct place *place, struct seen *seen)
{
    bool valid = true;
    if (schema->allowed || schema->constant)
        valid = check_constant(c, schema, value, place);
    if (!check_is_over(c, valid))
        valid &= check_kind(c, schema, value, place, seen);
    if (schema->applied && !check_is_over(c, valid))
        valid &= check_applied(c, schema->applied, value, place, seen);
    return valid;
}

static bool check_rest_member(struct checking *c, const struct schema *rest, const json_t *member,
                              const struct place *place, const char *reason)
{
    if (rest->types == 0 && !rest->type)
        return report(c, place, reason, NULL, NULL);
    return check_node(c, rest, member, place, NULL);
}

static bool check_rest(struct checking *c, const struct schema *schema, const json_t *value,
                       const struct place *place, struct seen *seen)
{
    bool valid = true;
    size_t i = 0;
    const char *name;
    json_t *member;
    if (json_is_array(value)) {
        for (; i < json_array_size(value) && !check_is_over(c, valid); i++) {
            if (!seen_has(seen, i))
                valid &=
                    check_rest_member(c, schema->rest_items, json_array_get(value, i),
                                      &(struct place){.up = place, .index = i}, "unevaluatedItems");
            seen_add(seen, i);
        }
        return valid;
    }
    json_object_foreach((json_t *)value, name, member) { /* iterated, not written */
        if (check_is_over(c, valid))
            break;
        if (!seen_has(seen, i))
            valid &= check_rest_member(c, schema->rest_properties, member,
                                       &(struct place){.up = place, .name = name},
                                       "unevaluatedProperties");
        seen_add(seen, i++);
    }
    return valid;
}

/* With unevaluatedProperties or unevaluatedItems for a value of that kind. */
static bool check_with_rest(struct checking *c, const struct schema *schema, const json_t *value,
                            const struct place *place, struct seen *seen)
{
    struct seen own;
    seen_init(&own, value);
    bool valid = check_keywords(c, schema, value, place, &own);
    if (!check_is_over(c, valid))
        valid &= check_rest(c, schema, value, place, &own);
    if (seen)
        seen_join(seen, &own);
    seen_release(&own);
    return valid;
}

static unsigned types_of(const json_t *value)
{
    static const unsigned types[] = {
        [JSON_OBJECT] = 1u << SCHEMA_OBJECT,
        [JSON_ARRAY] = 1u << SCHEMA_ARRAY,
        [JSON_STRING] = 1u << SCHEMA_STRING,
        [JSON_INTEGER] = 1u << SCHEMA_INTEGER | 1u << SCHEMA_NUMBER,
        [JSON_REAL] = 1u << SCHEMA_NUMBER,
        [JSON_TRUE] = 1u << SCHEMA_BOOLEAN,
        [JSON_FALSE] = 1u << SCHEMA_BOOLEAN,
        [JSON_NULL] = 1u << SCHEMA_NULL,
    };
    return types[json_typeof(value)];
}

/* A value of the wrong type is said to be that and nothing more. */
bool check_node(struct checking *c, const struct schema *schema, const json_t *value,
                const struct place *place, struct seen *seen)
{
    if (!(schema->types & types_of(value)))
        return schema->type ? report(c, place, "type", "expected", json_deep_copy(schema->type))
                            : report(c, place, "false", NULL, NULL);
    if (c->steps_left == 0 || c->depth == DEPTH) {
        c->exhausted = true;
        return false;
    }
    c->steps_left--;
    c->depth++;
    const struct schema *rest = json_is_object(value)  ? schema->rest_properties
                                : json_is_array(value) ? schema->rest_items
                                                       : NULL;
    bool valid = rest ? check_with_rest(c, schema, value, place, seen)
                      : check_keywords(c, schema, value, place, seen);
    c->depth--;
    return valid;
}

enum err schema_check(const struct schema *schema, const json_t *value, json_t **details)
{
    static const struct place top;
    struct checking c = {.steps_left = STEPS};
    bool valid = check_node(&c, schema, value, &top, NULL);
    if (c.exhausted) {
        json_decref(c.rows);
        c.rows = NULL;
        valid = report(&c, &top, "too complex", NULL, NULL);
    }
    *details = c.rows;
    return valid ? ERR_OK : ERR_VALIDATION;
}
