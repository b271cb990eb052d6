/* JSON Schema (draft 2020-12), the keywords that Galley's own descriptions use; every other keyword
 * is refused when the schema is compiled, never ignored.
 *
 * type (one name) · properties · required · additionalProperties (false only) · minimum · maximum ·
 * minLength · maxLength (code points) · pattern is not among them · enum · items · minItems ·
 * maxItems · minProperties. "integer" is a number written without fraction or exponent.
 * title and description are allowed and do nothing. */
#ifndef GALLEY_BASE_SCHEMA_H
#define GALLEY_BASE_SCHEMA_H

#include "base/json.h"

struct schema; /* immutable after compiling; Threads: any */

/* NULL with a sentence in why[why_size] when the text is not a schema of the kind above. */
struct schema *schema_compile(const char *text, char *why, size_t why_size);
void schema_destroy(struct schema **schema);

/* Checks a value. ERR_OK, or ERR_VALIDATION with *details a new array (caller decrefs) of every
 * violation: {"field": "items.0.qty", "reason": "minimum", "limit": 1}; the field of the value
 * itself is "". At most 50 are listed. */
enum err schema_check(const struct schema *schema, const json_t *value, json_t **details);

#endif
