/* A compiled schema, and what the files of schemas share.
 *
 * schema.c, schema_keywords.c and schema_ref.c build it; schema_check.c, schema_object.c and
 * schema_array.c walk it with a value; schema_value.c, schema_format.c and schema_report.c serve
 * them. */
#ifndef GALLEY_BASE_SCHEMA_PRIVATE_H
#define GALLEY_BASE_SCHEMA_PRIVATE_H

#include "base/pattern.h"
#include "base/schema.h"

enum schema_type {
    SCHEMA_OBJECT,
    SCHEMA_ARRAY,
    SCHEMA_STRING,
    SCHEMA_INTEGER,
    SCHEMA_NUMBER,
    SCHEMA_BOOLEAN,
    SCHEMA_NULL,
    SCHEMA_TYPES,
};

#define SCHEMA_ANY ((1u << SCHEMA_TYPES) - 1)

/* A number of things that has bounds; 0 and SIZE_MAX where none are set. */
struct schema_bounds {
    size_t min, max;
};

struct schema_number {
    const json_t *minimum, *maximum, *above, *below, *multiple_of; /* or NULL */
};

struct schema_string {
    struct schema_bounds length; /* code points */
    struct pattern *pattern;     /* or NULL */
    const char *pattern_text;
    const struct schema_format *format; /* or NULL */
};

struct schema_array {
    struct schema_bounds size, contained;
    struct schema **prefix;
    size_t prefix_count;
    struct schema *items, *contains; /* or NULL */
    bool unique;
};

struct schema_property {
    struct slice name; /* ends with a NUL */
    struct schema *schema;
};

struct schema_matched {
    struct pattern *pattern;
    struct schema *schema;
};

/* dependentRequired: where `name` is, `needs` has to be. */
struct schema_need {
    struct slice name, needs;
};

struct schema_object {
    struct schema_bounds size;
    struct slice *required;
    size_t required_count;
    struct schema_property *properties; /* as they are declared */
    struct schema_property **by_name;   /* sorted */
    size_t property_count;
    struct schema_matched *matched; /* patternProperties */
    size_t matched_count;
    struct schema_need *needs;
    size_t need_count;
    struct schema *additional, *names; /* or NULL */
    bool closed;                       /* additionalProperties: false */
};

struct schema_list {
    struct schema **schemas;
    size_t count;
};

/* Schemas that apply to the same value. */
struct schema_applied {
    struct schema *ref; /* or NULL, as are the next */
    const char *ref_text;
    struct schema_list all, any, one;
    struct schema * not, *condition, *then, *otherwise;
    struct schema_property *dependent; /* dependentSchemas */
    size_t dependent_count;
};

/* Texts and json_t are borrowed from the file's source, which is only read: checks in many threads
 * touch no reference count. What a schema says nothing of is NULL. */
struct schema {
    unsigned types; /* bits by schema_type; 0: nothing is valid */
    struct schema_number *number;
    struct schema_string *string;
    struct schema_array *array;
    struct schema_object *object;
    struct schema_applied *applied;
    const json_t *allowed;                       /* enum's array */
    const json_t *constant;                      /* const's value */
    const json_t *type;                          /* what the source says of it */
    struct schema *rest_properties, *rest_items; /* unevaluated... */
    const json_t *fallback;                      /* default */
    const char *anchor;
    char *pointer;            /* where it stands in the source */
    struct schema_file *file; /* in the root only */
    unsigned chain;           /* while compiling: schemas that apply to the same value below it */
};

/* All schemas of one text. */
struct schema_file {
    json_t *source;
    struct schema **schemas; /* the root is the first */
    size_t count, room;
    bool fills; /* there is a default in it */
};

extern const char *const schema_type_names[SCHEMA_TYPES];

/* ---- Compiling */

struct schema_compiler {
    struct schema_file *file;
    struct buf pointer; /* where the reader is */
    unsigned chain;     /* how deep it looks for loops */
    char *why;
    size_t why_size;
};

/* The first error of a compilation, with the place; false for the caller to return. */
bool schema_wrong(struct schema_compiler *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Compiles the schema that is below the reader's place by the steps `keyword` and, if it is not
 * NULL, `name`. NULL when it is wrong. The file owns it. */
struct schema *schema_compile_below(struct schema_compiler *c, const char *keyword,
                                    const char *name, json_t *source);

/* Takes one keyword into the schema. False with the error when it is wrong. */
bool schema_keyword(struct schema_compiler *c, struct schema *schema, const char *name,
                    json_t *value);

/* When all are compiled: finds what references point to; refuses loops of schemas that apply to the
 * same value. */
bool schema_resolve(struct schema_compiler *c);

void schema_append_step(struct buf *pointer, const char *step); /* "/" and the step, escaped */

/* ---- Values */

/* < 0, 0, > 0 as a is below, at or above b. Exact for integers and reals among each other. */
int schema_compare(const json_t *a, const json_t *b);

/* Whether the number is a whole multiple, as both are written in decimal. */
bool schema_is_multiple(const json_t *value, const json_t *of);

/* As JSON Schema means it: 1 and 1.0 are equal, the order of members does not matter. */
bool schema_equal(const json_t *a, const json_t *b);

/* Equal values have equal hashes. */
uint64_t schema_hash(const json_t *value);

struct schema_format; /* schema_format.c */
const struct schema_format *schema_format_find(const char *name);
const char *schema_format_name(const struct schema_format *format);
bool schema_format_fits(const struct schema_format *format, struct slice text);

/* ---- Checking */

/* The way down to a value, on the stack: it becomes text only when there is something to say. */
struct place {
    const struct place *up; /* NULL for the checked value itself */
    const char *name;       /* NULL for an array's element */
    size_t index;
};

/* Which members (by their order) or elements have been looked at, for unevaluated... */
struct seen {
    uint64_t few[2], *bits; /* few, or of the heap */
    size_t words;
};

void seen_init(struct seen *seen, const json_t *value);
void seen_release(struct seen *seen);
static inline void seen_add(struct seen *seen, size_t index)
{
    if (seen)
        seen->bits[index / 64] |= (uint64_t)1 << index % 64;
}

struct checking {
    json_t *rows;      /* NULL until there is one */
    size_t steps_left; /* bounds the work */
    unsigned depth;
    bool quiet;     /* only yes or no is asked */
    bool exhausted; /* too much work; nothing that is found counts */
};

/* What has gone wrong is all that is asked for, or there is no more room to say more. */
bool check_is_over(const struct checking *c, bool valid);

/* Takes steps for work beside that of check_node; false, and all is over, when too few are left. */
bool check_spend(struct checking *c, size_t steps);

/* Whether the value is valid; if not and unless quiet there are new rows. `seen` may be NULL; it is
 * of use only when the value is valid. */
bool check_node(struct checking *c, const struct schema *schema, const json_t *value,
                const struct place *place, struct seen *seen);
bool check_quietly(struct checking *c, const struct schema *schema, const json_t *value,
                   struct seen *seen);
bool check_object(struct checking *c, const struct schema *schema, const json_t *value,
                  const struct place *place, struct seen *seen);
bool check_array(struct checking *c, const struct schema *schema, const json_t *value,
                 const struct place *place, struct seen *seen);
bool check_bounds(struct checking *c, const struct schema_bounds *bounds, size_t count,
                  const char *const names[2], const struct place *place);
bool check_pattern(struct checking *c, const struct pattern *pattern, struct slice text);

/* Adds a row unless quiet, with `extra` (owned by it from now on, may be NULL) under `key`. Returns
 * false. */
bool report(struct checking *c, const struct place *place, const char *reason, const char *key,
            json_t *extra);

#endif
