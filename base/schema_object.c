#include "base/schema_private.h"

static const json_t *member_of(const json_t *object, struct slice name)
{
    return json_object_getn(object, name.ptr, name.len);
}

static bool check_needs(struct checking *c, const struct schema_object *object, const json_t *value,
                        const struct place *place)
{
    bool valid = true;
    for (size_t i = 0; i < object->required_count; i++) {
        if (!member_of(value, object->required[i]))
            valid = report(c, &(struct place){.up = place, .name = object->required[i].ptr},
                           "required", NULL, NULL);
    }
    for (size_t i = 0; i < object->need_count; i++) {
        const struct schema_need *need = &object->needs[i];
        if (member_of(value, need->name) && !member_of(value, need->needs))
            valid = report(c, &(struct place){.up = place, .name = need->needs.ptr},
                           "dependentRequired", "limit", json_string(need->name.ptr));
    }
    return valid;
}

static const struct schema *declared(const struct schema_object *object, const char *name)
{
    size_t from = 0, to = object->property_count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        int order = strcmp(name, object->by_name[middle]->name.ptr);
        if (order == 0)
            return object->by_name[middle]->schema;
        if (order < 0)
            to = middle;
        else
            from = middle + 1;
    }
    return NULL;
}

/* ---- Declared properties and no others, which is what most schemas say: what is there is looked
 * up, and the rest only counted. */

static bool report_undeclared(struct checking *c, const struct schema_object *object,
                              const json_t *value, const struct place *place)
{
    const char *name;
    json_t *member;
    json_object_foreach((json_t *)value, name, member) /* iterated, not written */
    {
        if (!declared(object, name))
            report(c, &(struct place){.up = place, .name = name}, "additionalProperties", NULL,
                   NULL);
    }
    return false;
}

static bool check_declared(struct checking *c, const struct schema_object *object,
                           const json_t *value, const struct place *place)
{
    bool valid = true;
    size_t found = 0;
    for (size_t i = 0; i < object->property_count && !check_is_over(c, valid); i++) {
        const struct schema_property *property = &object->properties[i];
        const json_t *member = member_of(value, property->name);
        if (!member)
            continue;
        struct place there = {.up = place, .name = property->name.ptr};
        valid &= check_node(c, property->schema, member, &there, NULL);
        found++;
    }
    if (!object->closed || found == json_object_size(value) || check_is_over(c, valid))
        return valid;
    return report_undeclared(c, object, value, place);
}

/* ---- Each member, with all that may be said of it. */

static bool check_name(struct checking *c, const struct schema *names, const struct place *place)
{
    json_t *name = json_string(place->name);
    bool valid = check_quietly(c, names, name, NULL);
    json_decref(name);
    return valid || report(c, place, "propertyNames", NULL, NULL);
}

static bool check_additional(struct checking *c, const struct schema_object *object,
                             const json_t *member, const struct place *place)
{
    if (object->closed)
        return report(c, place, "additionalProperties", NULL, NULL);
    return check_node(c, object->additional, member, place, NULL);
}

/* Sets *known when any keyword speaks of it. */
static bool check_member(struct checking *c, const struct schema_object *object,
                         const json_t *member, const struct place *place, bool *known)
{
    struct slice name = slice_str(place->name);
    bool valid = !object->names || check_name(c, object->names, place);
    const struct schema *schema = declared(object, place->name);
    *known = schema;
    if (schema && !check_is_over(c, valid))
        valid &= check_node(c, schema, member, place, NULL);
    for (size_t i = 0; i < object->matched_count && !check_is_over(c, valid); i++) {
        if (!check_pattern(c, object->matched[i].pattern, name))
            continue;
        *known = true;
        valid &= check_node(c, object->matched[i].schema, member, place, NULL);
    }
    if (*known || !object->additional || check_is_over(c, valid))
        return valid;
    *known = true;
    return check_additional(c, object, member, place) && valid;
}

static bool check_members(struct checking *c, const struct schema_object *object,
                          const json_t *value, const struct place *place, struct seen *seen)
{
    if (!check_spend(c, json_object_size(value)))
        return false;
    bool valid = true, known;
    size_t i = 0;
    const char *name;
    json_t *member;
    json_object_foreach((json_t *)value, name, member) /* iterated, not written */
    {
        if (check_is_over(c, valid))
            return valid;
        valid &=
            check_member(c, object, member, &(struct place){.up = place, .name = name}, &known);
        if (known)
            seen_add(seen, i);
        i++;
    }
    return valid;
}

bool check_object(struct checking *c, const struct schema *schema, const json_t *value,
                  const struct place *place, struct seen *seen)
{
    static const char *const names[] = {"minProperties", "maxProperties"};
    const struct schema_object *object = schema->object;
    bool valid = check_bounds(c, &object->size, json_object_size(value), names, place);
    valid &= check_needs(c, object, value, place);
    if (check_is_over(c, valid))
        return valid;
    bool plain = !seen && object->matched_count == 0 && !object->names &&
                 (!object->additional || object->closed);
    return (plain ? check_declared(c, object, value, place)
                  : check_members(c, object, value, place, seen)) &&
           valid;
}
