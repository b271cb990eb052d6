/* JSON Schema, draft 2020-12. What a schema says holds or does not compile: a keyword or format
 * that is not known is an error, never ignored.
 *
 * Known are type, enum, const; minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf
 * (exact for decimals); minLength, maxLength (code points), pattern (base/pattern.h), format
 * (asserted: date-time, date, time, duration, email, hostname, ipv4, ipv6, uri, uuid, json-pointer,
 * regex); items, prefixItems, contains, minContains, maxContains, minItems, maxItems, uniqueItems,
 * unevaluatedItems; properties, patternProperties, additionalProperties, propertyNames, required,
 * dependentRequired, dependentSchemas, minProperties, maxProperties, unevaluatedProperties; allOf,
 * anyOf, oneOf, not, if, then, else; $ref ("#", "#/pointer", "#anchor" within the text), $defs,
 * $anchor; default. $schema (of this draft) and $id may stand at the top; title, description,
 * examples, deprecated, readOnly, writeOnly, $comment and x-... say nothing of values.
 *
 * One difference: an "integer" is a number written without fraction or exponent, as who reads it
 * gets an int64_t. Elsewhere 1 and 1.0 are equal. */
#ifndef GALLEY_BASE_SCHEMA_H
#define GALLEY_BASE_SCHEMA_H

#include "base/json.h"

struct schema; /* immutable after compiling; Threads: any */

/* NULL with a sentence in why[why_size] when the text is not a schema of the kind above; the
 * sentence has the JSON pointer of the place. */
struct schema *schema_compile(const char *text, char *why, size_t why_size);
void schema_destroy(struct schema **schema); /* NULL-safe */

/* What it was compiled of; borrowed, and to be read only. Threads: any. */
const json_t *schema_source(const struct schema *schema);

/* Checks a value of at most JSON_DEPTH_MAX levels. ERR_OK, or ERR_VALIDATION with *details a new
 * array (caller decrefs) of every violation:
 *     {"field": "items.0.qty", "reason": "minimum", "limit": 1, "pointer": "/items/0/qty"}
 * The reason is the keyword, "false" for a schema of that name. Its value is the limit, but that of
 * type is called expected and that of enum and const (as a list) allowed; keywords that stand for
 * themselves (required) have none. The field of the value itself is "". At most 50 are listed. When
 * checking takes more steps than a value may, all that is listed is the reason "too complex". */
enum err schema_check(const struct schema *schema, const json_t *value, json_t **details);

/* Sets members that are missing in `value` to the default of their schema, at every depth, by way
 * of properties, items, prefixItems, allOf and $ref. A default is taken as it is written. To be
 * done before checking. Threads: the owner of the value. */
void schema_fill(const struct schema *schema, json_t *value);

#endif
