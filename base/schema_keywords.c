#include "base/mem.h"
#include "base/schema_private.h"

#include <stdio.h>
#include <stdlib.h>

#define DRAFT "https://json-schema.org/draft/2020-12/schema"

enum group { OF_SCHEMA, OF_NUMBER, OF_STRING, OF_ARRAY, OF_OBJECT, OF_APPLIED };

struct keyword {
    const char *name;
    /* False, perhaps with a reason, when the value is not what the keyword takes. */
    bool (*read)(struct schema_compiler *c, struct schema *schema, const struct keyword *keyword,
                 json_t *value);
    enum group group;
    size_t offset; /* of the field in the group */
};

#define READER(name)                                                                               \
    static bool name(struct schema_compiler *c, struct schema *schema,                             \
                     const struct keyword *keyword, json_t *value)

/* ---- Where a keyword is kept: groups come into being with their first keyword. */

static struct schema_string *string_of(struct schema *schema)
{
    if (!schema->string) {
        schema->string = mem_zalloc(sizeof *schema->string);
        schema->string->length.max = SIZE_MAX;
    }
    return schema->string;
}

static struct schema_array *array_of(struct schema *schema)
{
    if (!schema->array) {
        schema->array = mem_zalloc(sizeof *schema->array);
        schema->array->size.max = schema->array->contained.max = SIZE_MAX;
        schema->array->contained.min = 1;
    }
    return schema->array;
}

static struct schema_object *object_of(struct schema *schema)
{
    if (!schema->object) {
        schema->object = mem_zalloc(sizeof *schema->object);
        schema->object->size.max = SIZE_MAX;
    }
    return schema->object;
}

static struct schema_applied *applied_of(struct schema *schema)
{
    if (!schema->applied)
        schema->applied = mem_zalloc(sizeof *schema->applied);
    return schema->applied;
}

static void *group_of(struct schema *schema, enum group group)
{
    switch (group) {
    case OF_NUMBER:
        if (!schema->number)
            schema->number = mem_zalloc(sizeof *schema->number);
        return schema->number;
    case OF_STRING:
        return string_of(schema);
    case OF_ARRAY:
        return array_of(schema);
    case OF_OBJECT:
        return object_of(schema);
    case OF_APPLIED:
        return applied_of(schema);
    default:
        return schema;
    }
}

static void *field_of(struct schema *schema, const struct keyword *keyword)
{
    return (char *)group_of(schema, keyword->group) + keyword->offset;
}

static struct slice text_of(const json_t *string)
{
    return slice_of(json_string_value(string), json_string_length(string));
}

/* ---- Values */

static bool add_type(struct schema *schema, const json_t *name)
{
    for (int type = 0; json_is_string(name) && type < SCHEMA_TYPES; type++) {
        if (strcmp(json_string_value(name), schema_type_names[type]) == 0) {
            schema->types |= 1u << type;
            return true;
        }
    }
    return false;
}

READER(read_type)
{
    (void)c;
    (void)keyword;
    schema->types = 0;
    schema->type = value;
    if (!json_is_array(value))
        return add_type(schema, value);
    for (size_t i = 0; i < json_array_size(value); i++) {
        if (!add_type(schema, json_array_get(value, i)))
            return false;
    }
    return json_array_size(value) > 0;
}

READER(read_enum)
{
    (void)c;
    (void)keyword;
    schema->allowed = value;
    return json_is_array(value);
}

READER(read_value)
{
    (void)c;
    *(const json_t **)field_of(schema, keyword) = value;
    return true;
}

READER(read_default)
{
    c->file->fills = true;
    return read_value(c, schema, keyword, value);
}

READER(read_number)
{
    read_value(c, schema, keyword, value);
    return json_is_number(value);
}

READER(read_positive)
{
    return read_number(c, schema, keyword, value) && json_number_value(value) > 0;
}

READER(read_size)
{
    (void)c;
    double number = json_number_value(value);
    if (!json_is_number(value) || number < 0 || number > 9007199254740992.0)
        return false;
    *(size_t *)field_of(schema, keyword) = (size_t)number;
    return (double)(size_t)number == number;
}

READER(read_bool)
{
    (void)c;
    *(bool *)field_of(schema, keyword) = json_is_true(value);
    return json_is_boolean(value);
}

static struct pattern *compile_pattern(struct schema_compiler *c, const char *text)
{
    char why[160];
    struct pattern *pattern = pattern_compile(slice_str(text), why, sizeof why);
    if (!pattern)
        schema_wrong(c, "\"%.40s\": %s", text, why);
    return pattern;
}

READER(read_pattern)
{
    (void)keyword;
    struct schema_string *string = string_of(schema);
    string->pattern_text = json_string_value(value);
    if (!string->pattern_text)
        return false;
    string->pattern = compile_pattern(c, string->pattern_text);
    return string->pattern;
}

READER(read_format)
{
    (void)keyword;
    if (!json_is_string(value))
        return false;
    struct schema_string *string = string_of(schema);
    string->format = schema_format_find(json_string_value(value));
    return string->format ||
           schema_wrong(c, "The format \"%.60s\" is not known.", json_string_value(value));
}

/* ---- Schemas */

READER(read_schema)
{
    struct schema *below = schema_compile_below(c, keyword->name, NULL, value);
    *(struct schema **)field_of(schema, keyword) = below;
    return below;
}

/* A list of schemas, of at least one; the caller frees *out. */
static bool read_schemas(struct schema_compiler *c, const char *keyword, json_t *value,
                         struct schema ***out, size_t *count)
{
    size_t size = json_array_size(value);
    *out = mem_alloc(size * sizeof(struct schema *));
    *count = size;
    for (size_t i = 0; i < size; i++) {
        char index[24];
        snprintf(index, sizeof index, "%zu", i);
        (*out)[i] = schema_compile_below(c, keyword, index, json_array_get(value, i));
        if (!(*out)[i])
            return false;
    }
    return size > 0;
}

READER(read_list)
{
    struct schema_list *list = field_of(schema, keyword);
    return read_schemas(c, keyword->name, value, &list->schemas, &list->count);
}

READER(read_prefix)
{
    struct schema_array *array = array_of(schema);
    return read_schemas(c, keyword->name, value, &array->prefix, &array->prefix_count);
}

/* Schemas by name; the caller frees *out. */
static bool read_named(struct schema_compiler *c, const char *keyword, json_t *value,
                       struct schema_property **out, size_t *count)
{
    *out = mem_alloc(json_object_size(value) * sizeof **out);
    *count = 0;
    const char *name;
    json_t *member;
    json_object_foreach(value, name, member) {
        struct schema *below = schema_compile_below(c, keyword, name, member);
        if (!below)
            return false;
        (*out)[(*count)++] = (struct schema_property){slice_str(name), below};
    }
    return json_is_object(value);
}

static int compare_names(const void *a, const void *b)
{
    const struct schema_property *const *left = a, *const *right = b;
    return strcmp((*left)->name.ptr, (*right)->name.ptr);
}

READER(read_properties)
{
    struct schema_object *object = object_of(schema);
    if (!read_named(c, keyword->name, value, &object->properties, &object->property_count))
        return false;
    object->by_name = mem_alloc(object->property_count * sizeof(struct schema_property *));
    for (size_t i = 0; i < object->property_count; i++)
        object->by_name[i] = &object->properties[i];
    qsort(object->by_name, object->property_count, sizeof(struct schema_property *), compare_names);
    return true;
}

READER(read_matched)
{
    struct schema_object *object = object_of(schema);
    object->matched = mem_zalloc(json_object_size(value) * sizeof *object->matched);
    const char *name;
    json_t *member;
    json_object_foreach(value, name, member) {
        struct schema_matched *matched = &object->matched[object->matched_count];
        matched->pattern = compile_pattern(c, name);
        if (!matched->pattern)
            return false;
        object->matched_count++;
        matched->schema = schema_compile_below(c, keyword->name, name, member);
        if (!matched->schema)
            return false;
    }
    return json_is_object(value);
}

READER(read_additional)
{
    struct schema_object *object = object_of(schema);
    object->closed = json_is_false(value);
    object->additional = schema_compile_below(c, keyword->name, NULL, value);
    return object->additional;
}

READER(read_dependent)
{
    struct schema_applied *applied = applied_of(schema);
    return read_named(c, keyword->name, value, &applied->dependent, &applied->dependent_count);
}

READER(read_defs)
{
    struct schema_property *named;
    size_t count;
    (void)schema;
    bool whole = read_named(c, keyword->name, value, &named, &count);
    free(named);
    return whole;
}

/* ---- Names */

static bool are_strings(const json_t *array)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (!json_is_string(json_array_get(array, i)))
            return false;
    }
    return json_is_array(array);
}

READER(read_required)
{
    (void)c;
    (void)keyword;
    if (!are_strings(value))
        return false;
    struct schema_object *object = object_of(schema);
    object->required_count = json_array_size(value);
    object->required = mem_alloc(object->required_count * sizeof *object->required);
    for (size_t i = 0; i < object->required_count; i++)
        object->required[i] = text_of(json_array_get(value, i));
    return true;
}

READER(read_needs)
{
    (void)c;
    (void)keyword;
    struct schema_object *object = object_of(schema);
    const char *name;
    json_t *list;
    json_object_foreach(value, name, list) {
        if (!are_strings(list))
            return false;
        size_t count = object->need_count + json_array_size(list);
        object->needs = mem_realloc(object->needs, count * sizeof *object->needs);
        for (size_t i = 0; i < json_array_size(list); i++)
            object->needs[object->need_count++] =
                (struct schema_need){slice_str(name), text_of(json_array_get(list, i))};
    }
    return json_is_object(value);
}

/* ---- The file itself, and what says nothing of values */

READER(read_text)
{
    (void)c;
    *(const char **)field_of(schema, keyword) = json_string_value(value);
    return json_is_string(value);
}

READER(read_anchor)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
    if (!read_text(c, schema, keyword, value))
        return false;
    size_t length = strspn(schema->anchor, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                           "_-.0123456789");
    return strspn(schema->anchor, letters) > 0 && schema->anchor[length] == '\0';
}

/* Below the top it would change what references mean. */
READER(read_id)
{
    (void)schema;
    if (c->pointer.len > 0)
        return schema_wrong(c, "The keyword \"%s\" stands at the top only.", keyword->name);
    return json_is_string(value);
}

READER(read_draft)
{
    if (!read_id(c, schema, keyword, value))
        return false;
    struct slice draft = text_of(value);
    if (draft.len > 0 && draft.ptr[draft.len - 1] == '#')
        draft.len--;
    return slice_is(draft, DRAFT) || schema_wrong(c, "Schemas are of draft 2020-12, " DRAFT ".");
}

READER(read_note)
{
    (void)c;
    (void)schema;
    (void)keyword;
    return json_is_string(value);
}

READER(read_mark)
{
    (void)c;
    (void)schema;
    (void)keyword;
    return json_is_boolean(value);
}

READER(read_examples)
{
    (void)c;
    (void)schema;
    (void)keyword;
    return json_is_array(value);
}

#define FIELD(group, field) offsetof(struct group, field)

static const struct keyword keywords[] = {
    {"type", read_type, OF_SCHEMA, 0},
    {"properties", read_properties, OF_OBJECT, 0},
    {"required", read_required, OF_OBJECT, 0},
    {"additionalProperties", read_additional, OF_OBJECT, 0},
    {"patternProperties", read_matched, OF_OBJECT, 0},
    {"dependentRequired", read_needs, OF_OBJECT, 0},
    {"propertyNames", read_schema, OF_OBJECT, FIELD(schema_object, names)},
    {"minProperties", read_size, OF_OBJECT, FIELD(schema_object, size.min)},
    {"maxProperties", read_size, OF_OBJECT, FIELD(schema_object, size.max)},
    {"unevaluatedProperties", read_schema, OF_SCHEMA, FIELD(schema, rest_properties)},
    {"enum", read_enum, OF_SCHEMA, 0},
    {"const", read_value, OF_SCHEMA, FIELD(schema, constant)},
    {"default", read_default, OF_SCHEMA, FIELD(schema, fallback)},
    {"minimum", read_number, OF_NUMBER, FIELD(schema_number, minimum)},
    {"maximum", read_number, OF_NUMBER, FIELD(schema_number, maximum)},
    {"exclusiveMinimum", read_number, OF_NUMBER, FIELD(schema_number, above)},
    {"exclusiveMaximum", read_number, OF_NUMBER, FIELD(schema_number, below)},
    {"multipleOf", read_positive, OF_NUMBER, FIELD(schema_number, multiple_of)},
    {"minLength", read_size, OF_STRING, FIELD(schema_string, length.min)},
    {"maxLength", read_size, OF_STRING, FIELD(schema_string, length.max)},
    {"pattern", read_pattern, OF_STRING, 0},
    {"format", read_format, OF_STRING, 0},
    {"items", read_schema, OF_ARRAY, FIELD(schema_array, items)},
    {"prefixItems", read_prefix, OF_ARRAY, 0},
    {"contains", read_schema, OF_ARRAY, FIELD(schema_array, contains)},
    {"minContains", read_size, OF_ARRAY, FIELD(schema_array, contained.min)},
    {"maxContains", read_size, OF_ARRAY, FIELD(schema_array, contained.max)},
    {"minItems", read_size, OF_ARRAY, FIELD(schema_array, size.min)},
    {"maxItems", read_size, OF_ARRAY, FIELD(schema_array, size.max)},
    {"uniqueItems", read_bool, OF_ARRAY, FIELD(schema_array, unique)},
    {"unevaluatedItems", read_schema, OF_SCHEMA, FIELD(schema, rest_items)},
    {"allOf", read_list, OF_APPLIED, FIELD(schema_applied, all)},
    {"anyOf", read_list, OF_APPLIED, FIELD(schema_applied, any)},
    {"oneOf", read_list, OF_APPLIED, FIELD(schema_applied, one)},
    {"not", read_schema, OF_APPLIED, FIELD(schema_applied, not )},
    {"if", read_schema, OF_APPLIED, FIELD(schema_applied, condition)},
    {"then", read_schema, OF_APPLIED, FIELD(schema_applied, then)},
    {"else", read_schema, OF_APPLIED, FIELD(schema_applied, otherwise)},
    {"dependentSchemas", read_dependent, OF_APPLIED, 0},
    {"$ref", read_text, OF_APPLIED, FIELD(schema_applied, ref_text)},
    {"$anchor", read_anchor, OF_SCHEMA, FIELD(schema, anchor)},
    {"$defs", read_defs, OF_SCHEMA, 0},
    {"$schema", read_draft, OF_SCHEMA, 0},
    {"$id", read_id, OF_SCHEMA, 0},
    {"$comment", read_note, OF_SCHEMA, 0},
    {"title", read_note, OF_SCHEMA, 0},
    {"description", read_note, OF_SCHEMA, 0},
    {"examples", read_examples, OF_SCHEMA, 0},
    {"deprecated", read_mark, OF_SCHEMA, 0},
    {"readOnly", read_mark, OF_SCHEMA, 0},
    {"writeOnly", read_mark, OF_SCHEMA, 0},
};

bool schema_keyword(struct schema_compiler *c, struct schema *schema, const char *name,
                    json_t *value)
{
    if (slice_starts(slice_str(name), slice_str("x-")))
        return true;
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++) {
        if (strcmp(keywords[i].name, name) == 0)
            return keywords[i].read(c, schema, &keywords[i], value) ||
                   schema_wrong(c, "The keyword \"%s\" cannot take this value.", name);
    }
    return schema_wrong(c, "The keyword \"%.60s\" is not supported.", name);
}
