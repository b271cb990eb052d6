#include "base/schema_private.h"

static void fill(const struct schema *schema, json_t *value);

static void fill_list(const struct schema_list *list, json_t *value)
{
    for (size_t i = 0; i < list->count; i++)
        fill(list->schemas[i], value);
}

/* The default of a property may stand in what its schema refers to. */
static const json_t *fallback_of(const struct schema *schema)
{
    while (!schema->fallback && schema->applied && schema->applied->ref)
        schema = schema->applied->ref;
    return schema->fallback;
}

static void fill_object(const struct schema_object *object, json_t *value)
{
    for (size_t i = 0; i < object->property_count; i++) {
        const struct schema_property *property = &object->properties[i];
        json_t *member = json_object_getn(value, property->name.ptr, property->name.len);
        const json_t *fallback = member ? NULL : fallback_of(property->schema);
        if (member)
            fill(property->schema, member);
        else if (fallback)
            json_object_setn_new(value, property->name.ptr, property->name.len,
                                 json_deep_copy(fallback));
    }
}

static void fill_array(const struct schema_array *array, json_t *value)
{
    for (size_t i = 0; i < json_array_size(value); i++) {
        const struct schema *schema = i < array->prefix_count ? array->prefix[i] : array->items;
        if (!schema)
            return;
        fill(schema, json_array_get(value, i));
    }
}

static void fill(const struct schema *schema, json_t *value)
{
    if (json_is_object(value) && schema->object)
        fill_object(schema->object, value);
    else if (json_is_array(value) && schema->array)
        fill_array(schema->array, value);
    else if (!json_is_object(value) && !json_is_array(value))
        return;
    if (!schema->applied)
        return;
    if (schema->applied->ref)
        fill(schema->applied->ref, value);
    fill_list(&schema->applied->all, value);
}

void schema_fill(const struct schema *schema, json_t *value)
{
    if (schema->file->fills)
        fill(schema, value);
}
