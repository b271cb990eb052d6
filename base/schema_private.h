/* A compiled schema, as schema.c builds it and schema_check.c walks it. */
#ifndef GALLEY_BASE_SCHEMA_PRIVATE_H
#define GALLEY_BASE_SCHEMA_PRIVATE_H

#include "base/schema.h"

/* The keywords that hold a number or a size to a limit. */
enum schema_limit {
    SCHEMA_MINIMUM,
    SCHEMA_MAXIMUM,
    SCHEMA_MIN_LENGTH,
    SCHEMA_MAX_LENGTH,
    SCHEMA_MIN_ITEMS,
    SCHEMA_MAX_ITEMS,
    SCHEMA_MIN_PROPERTIES,
    SCHEMA_LIMITS,
};

enum schema_type {
    SCHEMA_ANY,
    SCHEMA_OBJECT,
    SCHEMA_ARRAY,
    SCHEMA_STRING,
    SCHEMA_INTEGER,
    SCHEMA_NUMBER,
    SCHEMA_BOOLEAN,
    SCHEMA_NULL,
    SCHEMA_TYPES,
};

extern const char *const schema_type_names[]; /* by schema_type */

struct schema_property {
    const char *name;
    struct schema *schema;
};

/* Texts and json_t are borrowed from the root's `source`, which is only read: checks in many
 * threads touch no reference count. */
struct schema {
    json_t *source; /* the whole parsed text, in the root only */
    enum schema_type type;
    bool closed;                         /* additionalProperties: false */
    const json_t *required;              /* array of strings, or NULL */
    const json_t *allowed;               /* array, or NULL */
    const json_t *limits[SCHEMA_LIMITS]; /* or NULL */
    struct schema_property *properties;
    size_t property_count;
    struct schema *items; /* or NULL */
};

#endif
