#include "base/schema_private.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

const char *const schema_type_names[] = {
    [SCHEMA_ANY] = "any",         [SCHEMA_OBJECT] = "object",   [SCHEMA_ARRAY] = "array",
    [SCHEMA_STRING] = "string",   [SCHEMA_INTEGER] = "integer", [SCHEMA_NUMBER] = "number",
    [SCHEMA_BOOLEAN] = "boolean", [SCHEMA_NULL] = "null",       [SCHEMA_TYPES] = NULL,
};

/* Where the first error goes. */
struct why {
    char *text;
    size_t size;
};

struct keyword {
    const char *name;
    /* False, perhaps with a reason, when the value is not what the keyword takes. */
    bool (*read)(struct schema *schema, const struct keyword *keyword, json_t *value,
                 const struct why *why);
    enum schema_limit limit;
};

static struct schema *compile(json_t *source, const struct why *why);
static void destroy(struct schema *schema);

static bool read_type(struct schema *schema, const struct keyword *keyword, json_t *value,
                      const struct why *why)
{
    const char *name = json_string_value(value);
    (void)keyword;
    (void)why;
    for (int type = SCHEMA_ANY + 1; name && type < SCHEMA_TYPES; type++) {
        if (strcmp(name, schema_type_names[type]) == 0) {
            schema->type = (enum schema_type)type;
            return true;
        }
    }
    return false;
}

static bool read_properties(struct schema *schema, const struct keyword *keyword, json_t *value,
                            const struct why *why)
{
    (void)keyword;
    if (!json_is_object(value))
        return false;
    schema->properties = mem_zalloc(json_object_size(value) * sizeof *schema->properties);
    const char *name;
    json_t *member;
    json_object_foreach(value, name, member) {
        struct schema *property = compile(member, why);
        if (!property)
            return false;
        schema->properties[schema->property_count++] = (struct schema_property){name, property};
    }
    return true;
}

static bool read_required(struct schema *schema, const struct keyword *keyword, json_t *value,
                          const struct why *why)
{
    (void)keyword;
    (void)why;
    for (size_t i = 0; i < json_array_size(value); i++) {
        if (!json_is_string(json_array_get(value, i)))
            return false;
    }
    schema->required = value;
    return json_is_array(value);
}

static bool read_closed(struct schema *schema, const struct keyword *keyword, json_t *value,
                        const struct why *why)
{
    (void)keyword;
    (void)why;
    schema->closed = true;
    return json_is_false(value);
}

static bool read_enum(struct schema *schema, const struct keyword *keyword, json_t *value,
                      const struct why *why)
{
    (void)keyword;
    (void)why;
    schema->allowed = value;
    return json_array_size(value) > 0;
}

static bool read_items(struct schema *schema, const struct keyword *keyword, json_t *value,
                       const struct why *why)
{
    (void)keyword;
    schema->items = compile(value, why);
    return schema->items;
}

static bool read_number(struct schema *schema, const struct keyword *keyword, json_t *value,
                        const struct why *why)
{
    (void)why;
    schema->limits[keyword->limit] = value;
    return json_is_number(value);
}

static bool read_size(struct schema *schema, const struct keyword *keyword, json_t *value,
                      const struct why *why)
{
    (void)why;
    schema->limits[keyword->limit] = value;
    return json_is_integer(value) && json_integer_value(value) >= 0;
}

static bool read_note(struct schema *schema, const struct keyword *keyword, json_t *value,
                      const struct why *why)
{
    (void)schema;
    (void)keyword;
    (void)why;
    return json_is_string(value);
}

static const struct keyword keywords[] = {
    {"type", read_type, 0},
    {"properties", read_properties, 0},
    {"required", read_required, 0},
    {"additionalProperties", read_closed, 0},
    {"enum", read_enum, 0},
    {"items", read_items, 0},
    {"title", read_note, 0},
    {"description", read_note, 0},
    {"minimum", read_number, SCHEMA_MINIMUM},
    {"maximum", read_number, SCHEMA_MAXIMUM},
    {"minLength", read_size, SCHEMA_MIN_LENGTH},
    {"maxLength", read_size, SCHEMA_MAX_LENGTH},
    {"minItems", read_size, SCHEMA_MIN_ITEMS},
    {"maxItems", read_size, SCHEMA_MAX_ITEMS},
    {"minProperties", read_size, SCHEMA_MIN_PROPERTIES},
};

static bool read_keyword(struct schema *schema, const char *name, json_t *value,
                         const struct why *why)
{
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++) {
        if (strcmp(keywords[i].name, name) != 0)
            continue;
        if (keywords[i].read(schema, &keywords[i], value, why))
            return true;
        if (why->text[0] == '\0')
            snprintf(why->text, why->size, "The keyword \"%s\" cannot take this value.", name);
        return false;
    }
    snprintf(why->text, why->size, "The keyword \"%s\" is not supported.", name);
    return false;
}

static struct schema *compile(json_t *source, const struct why *why)
{
    if (!json_is_object(source)) {
        snprintf(why->text, why->size, "A schema is an object.");
        return NULL;
    }
    struct schema *schema = mem_zalloc(sizeof *schema);
    const char *name;
    json_t *value;
    json_object_foreach(source, name, value) {
        if (!read_keyword(schema, name, value, why)) {
            destroy(schema);
            return NULL;
        }
    }
    return schema;
}

static void destroy(struct schema *schema)
{
    if (!schema)
        return;
    for (size_t i = 0; i < schema->property_count; i++)
        destroy(schema->properties[i].schema);
    destroy(schema->items);
    free(schema->properties);
    json_decref(schema->source);
    free(schema);
}

struct schema *schema_compile(const char *text, char *why_text, size_t why_size)
{
    struct why why = {why_text, why_size};
    json_t *source;
    if (json_read(slice_str(text), &source, why_text, why_size) != ERR_OK)
        return NULL;
    why.text[0] = '\0';
    struct schema *schema = compile(source, &why);
    if (!schema)
        json_decref(source);
    else
        schema->source = source;
    return schema;
}

void schema_destroy(struct schema **schema)
{
    destroy(*schema);
    *schema = NULL;
}
