#include "base/mem.h"
#include "base/schema_private.h"

#include <stdlib.h>

static bool check_items(struct checking *c, const struct schema_array *array, const json_t *value,
                        const struct place *place, struct seen *seen)
{
    bool valid = true;
    size_t size = json_array_size(value);
    for (size_t i = 0; i < size && !check_is_over(c, valid); i++) {
        const struct schema *schema = i < array->prefix_count ? array->prefix[i] : array->items;
        if (!schema)
            break;
        valid &= check_node(c, schema, json_array_get(value, i),
                            &(struct place){.up = place, .index = i}, NULL);
        seen_add(seen, i);
    }
    return valid;
}

static bool check_contained(struct checking *c, const struct schema_array *array,
                            const json_t *value, const struct place *place, struct seen *seen)
{
    const char *const names[] = {array->contained.min == 1 ? "contains" : "minContains",
                                 "maxContains"};
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(value) && !c->exhausted; i++) {
        if (!check_quietly(c, array->contains, json_array_get(value, i), NULL))
            continue;
        count++;
        seen_add(seen, i);
    }
    return check_bounds(c, &array->contained, count, names, place);
}

/* ---- uniqueItems: a table by hash of the elements before. */

struct unique {
    const json_t *array;
    uint64_t *hashes; /* by element */
    size_t *slots;    /* number of an element and 1, or 0 */
    size_t mask;
};

/* The element before that is equal to this one, which otherwise joins them; or SIZE_MAX. */
static size_t find_or_add(struct unique *unique, size_t index)
{
    const json_t *value = json_array_get(unique->array, index);
    uint64_t hash = unique->hashes[index] = schema_hash(value);
    size_t slot = hash & unique->mask;
    for (; unique->slots[slot] > 0; slot = (slot + 1) & unique->mask) {
        size_t other = unique->slots[slot] - 1;
        if (unique->hashes[other] == hash &&
            schema_equal(json_array_get(unique->array, other), value))
            return other;
    }
    unique->slots[slot] = index + 1;
    return SIZE_MAX;
}

static bool check_unique(struct checking *c, const json_t *value, const struct place *place)
{
    size_t size = json_array_size(value), room = 4;
    if (!check_spend(c, size))
        return false;
    while (room < 2 * size)
        room *= 2;
    struct unique unique = {value, mem_alloc(size * sizeof *unique.hashes),
                            mem_zalloc(room * sizeof *unique.slots), room - 1};
    bool valid = true;
    for (size_t i = 0; i < size && !check_is_over(c, valid); i++) {
        if (find_or_add(&unique, i) != SIZE_MAX)
            valid = report(c, &(struct place){.up = place, .index = i}, "uniqueItems", NULL, NULL);
    }
    free(unique.hashes);
    free(unique.slots);
    return valid;
}

bool check_array(struct checking *c, const struct schema *schema, const json_t *value,
                 const struct place *place, struct seen *seen)
{
    static const char *const names[] = {"minItems", "maxItems"};
    const struct schema_array *array = schema->array;
    bool valid = check_bounds(c, &array->size, json_array_size(value), names, place);
    if ((array->prefix_count > 0 || array->items) && !check_is_over(c, valid))
        valid &= check_items(c, array, value, place, seen);
    if (array->contains && !check_is_over(c, valid))
        valid &= check_contained(c, array, value, place, seen);
    if (array->unique && !check_is_over(c, valid))
        valid &= check_unique(c, value, place);
    return valid;
}
