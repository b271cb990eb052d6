/* Regular expressions, as JSON Schema and expressions know them: ECMA-262 with its `u` flag
 * (Unicode code points), made into PCRE2's. A pattern may come from a stranger: what is not
 * ECMA-262's is refused when compiling, and matching gives up after a bounded number of steps.
 *
 * Where the two differ, ECMA-262 holds: \d \w \b know ASCII only, \s knows the white space of
 * Unicode, $ stands at the very end, `(*VERB)`, recursion, conditions, possessive and atomic groups
 * are errors, \p{Letter} may be written with the long names of categories. Not known: lookbehind of
 * a length that varies, and \S within brackets is what is no ASCII white space. */
#ifndef GALLEY_BASE_PATTERN_H
#define GALLEY_BASE_PATTERN_H

#include "base/slice.h"

#define PATTERN_LENGTH_MAX 4096 /* bytes */

struct pattern; /* immutable after compiling; Threads: any */

enum pattern_result {
    PATTERN_NO,
    PATTERN_YES,
    PATTERN_TOO_HARD, /* given up after the steps that a match may take */
};

/* `text` is UTF-8. NULL with a sentence in why[why_size] if it is no such expression; the sentence
 * names the offset (bytes of `text`, from 0) if one is known. Threads: any. */
struct pattern *pattern_compile(struct slice text, char *why, size_t why_size);
void pattern_destroy(struct pattern **pattern); /* NULL-safe */

/* Whether the expression matches anywhere in the text; text that is no UTF-8 matches nothing. Takes
 * at most some milliseconds, whatever the two are; adds the steps that it took, about 10 ns each,
 * to *steps, if it is not NULL. Threads: any. */
enum pattern_result pattern_match(const struct pattern *pattern, struct slice text, size_t *steps);

#endif
