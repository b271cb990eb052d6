#include "base/schema_private.h"

#define ROWS_MAX 50

static const char *const limit_names[] = {
    [SCHEMA_MINIMUM] = "minimum",
    [SCHEMA_MAXIMUM] = "maximum",
    [SCHEMA_MIN_LENGTH] = "minLength",
    [SCHEMA_MAX_LENGTH] = "maxLength",
    [SCHEMA_MIN_ITEMS] = "minItems",
    [SCHEMA_MAX_ITEMS] = "maxItems",
    [SCHEMA_MIN_PROPERTIES] = "minProperties",
};

/* The way down to a value, on the stack: it becomes text only when there is something to say. */
struct place {
    const struct place *up; /* NULL for the checked value itself */
    const char *name;       /* NULL for an array's element */
    size_t index;
};

static void check(const struct schema *schema, const json_t *value, const struct place *place,
                  json_t **rows);

static void append_place(struct buf *out, const struct place *place)
{
    if (!place->up)
        return;
    append_place(out, place->up);
    if (out->len > 0)
        buf_append_char(out, '.');
    if (place->name)
        buf_append_str(out, place->name);
    else
        buf_append_u64(out, place->index);
}

/* Takes ownership of `extra`, which may be NULL. */
static void report(json_t **rows, const struct place *place, const char *reason, const char *key,
                   json_t *extra)
{
    if (!*rows)
        *rows = json_array();
    if (json_array_size(*rows) >= ROWS_MAX) {
        json_decref(extra);
        return;
    }
    struct buf field = BUF_INIT;
    append_place(&field, place);
    buf_append_char(&field, '\0');
    json_t *row = json_object();
    json_object_set_new(row, "field", json_string(field.data));
    json_object_set_new(row, "reason", json_string(reason));
    if (extra)
        json_object_set_new(row, key, extra);
    json_array_append_new(*rows, row);
    buf_release(&field);
}

/* < 0, 0, > 0 as the value is below, at or above; whole numbers are compared without rounding. */
static int compare(const json_t *value, const json_t *limit)
{
    if (json_is_integer(value) && json_is_integer(limit)) {
        json_int_t a = json_integer_value(value), b = json_integer_value(limit);
        return (a > b) - (a < b);
    }
    double a = json_number_value(value), b = json_number_value(limit);

    return (a > b) - (a < b);
}

static int compare_size(size_t size, const json_t *limit)
{
    size_t bound = (size_t)json_integer_value(limit);
    return (size > bound) - (size < bound);
}

static void report_limit(const struct schema *schema, enum schema_limit which,
                         const struct place *place, json_t **rows)
{
    report(rows, place, limit_names[which], "limit", json_deep_copy(schema->limits[which]));
}

static void at_least(const struct schema *schema, enum schema_limit which, size_t size,
                     const struct place *place, json_t **rows)
{
    if (schema->limits[which] && compare_size(size, schema->limits[which]) < 0)
        report_limit(schema, which, place, rows);
}

static void at_most(const struct schema *schema, enum schema_limit which, size_t size,
                    const struct place *place, json_t **rows)
{
    if (schema->limits[which] && compare_size(size, schema->limits[which]) > 0)
        report_limit(schema, which, place, rows);
}

static void check_number(const struct schema *schema, const json_t *value,
                         const struct place *place, json_t **rows)
{
    const json_t *low = schema->limits[SCHEMA_MINIMUM], *high = schema->limits[SCHEMA_MAXIMUM];
    if (low && compare(value, low) < 0)
        report_limit(schema, SCHEMA_MINIMUM, place, rows);
    if (high && compare(value, high) > 0)
        report_limit(schema, SCHEMA_MAXIMUM, place, rows);
}

static size_t code_points(const json_t *string)
{
    const char *text = json_string_value(string);
    size_t count = 0;
    for (size_t i = 0; i < json_string_length(string); i++)
        count += (text[i] & 0xC0) != 0x80;
    return count;
}

static void check_string(const struct schema *schema, const json_t *value,
                         const struct place *place, json_t **rows)
{
    size_t length = code_points(value);
    at_least(schema, SCHEMA_MIN_LENGTH, length, place, rows);
    at_most(schema, SCHEMA_MAX_LENGTH, length, place, rows);
}

static void check_array(const struct schema *schema, const json_t *value, const struct place *place,
                        json_t **rows)
{
    size_t size = json_array_size(value);
    at_least(schema, SCHEMA_MIN_ITEMS, size, place, rows);
    at_most(schema, SCHEMA_MAX_ITEMS, size, place, rows);
    for (size_t i = 0; schema->items && i < size; i++)
        check(schema->items, json_array_get(value, i), &(struct place){.up = place, .index = i},
              rows);
}

static bool declared(const struct schema *schema, const char *name)
{
    for (size_t i = 0; i < schema->property_count; i++) {
        if (strcmp(schema->properties[i].name, name) == 0)
            return true;
    }
    return false;
}

/* Returns how many of its members are declared. */
static size_t check_members(const struct schema *schema, const json_t *value,
                            const struct place *place, json_t **rows)
{
    size_t found = 0;
    for (size_t i = 0; i < json_array_size(schema->required); i++) {
        const char *name = json_string_value(json_array_get(schema->required, i));
        if (!json_object_get(value, name))
            report(rows, &(struct place){.up = place, .name = name}, "required", NULL, NULL);
    }
    for (size_t i = 0; i < schema->property_count; i++) {
        const struct schema_property *property = &schema->properties[i];
        const json_t *member = json_object_get(value, property->name);
        if (!member)
            continue;
        check(property->schema, member, &(struct place){.up = place, .name = property->name}, rows);
        found++;
    }
    return found;
}

static void check_object(const struct schema *schema, const json_t *value,
                         const struct place *place, json_t **rows)
{
    json_t *object = (json_t *)value; /* iterated, not written */
    at_least(schema, SCHEMA_MIN_PROPERTIES, json_object_size(value), place, rows);
    size_t declared_count = check_members(schema, value, place, rows);
    if (!schema->closed || declared_count == json_object_size(value))
        return;
    const char *name;
    json_t *member;
    json_object_foreach(object, name, member) {
        if (!declared(schema, name))
            report(rows, &(struct place){.up = place, .name = name}, "additionalProperties", NULL,
                   NULL);
    }
}

static bool type_matches(enum schema_type type, const json_t *value)
{
    switch (type) {
    case SCHEMA_OBJECT:
        return json_is_object(value);
    case SCHEMA_ARRAY:
        return json_is_array(value);
    case SCHEMA_STRING:
        return json_is_string(value);
    case SCHEMA_INTEGER:
        return json_is_integer(value);
    case SCHEMA_NUMBER:
        return json_is_number(value);
    case SCHEMA_BOOLEAN:
        return json_is_boolean(value);
    case SCHEMA_NULL:
        return json_is_null(value);
    default:
        return true;
    }
}

static bool is_allowed(const struct schema *schema, const json_t *value)
{
    for (size_t i = 0; i < json_array_size(schema->allowed); i++) {
        if (json_equal(json_array_get(schema->allowed, i), value))
            return true;
    }
    return !schema->allowed;
}

/* A value of the wrong type is said to be that and nothing more. */
static void check(const struct schema *schema, const json_t *value, const struct place *place,
                  json_t **rows)
{
    if (!type_matches(schema->type, value)) {
        report(rows, place, "type", "expected", json_string(schema_type_names[schema->type]));
        return;
    }
    if (!is_allowed(schema, value))
        report(rows, place, "enum", "allowed", json_deep_copy(schema->allowed));
    if (json_is_number(value))
        check_number(schema, value, place, rows);
    else if (json_is_string(value))
        check_string(schema, value, place, rows);
    else if (json_is_array(value))
        check_array(schema, value, place, rows);
    else if (json_is_object(value))
        check_object(schema, value, place, rows);
}

enum err schema_check(const struct schema *schema, const json_t *value, json_t **details)
{
    *details = NULL;
    check(schema, value, &(struct place){.up = NULL}, details);
    return *details ? ERR_VALIDATION : ERR_OK;
}
