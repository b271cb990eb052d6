/* What the files of JSON share. */
#ifndef GALLEY_BASE_JSON_PRIVATE_H
#define GALLEY_BASE_JSON_PRIVATE_H

#include "base/json.h"

#include <stdint.h>
#include <string.h>

/* The object that the text is if all of it is plain; else NULL, and json_loadb decides. */
json_t *json_read_flat(struct slice text);

/* Behind the string whose opening quote is at `at`; `end` if nothing closes it. A quote is one of
 * the text if an odd number of backslashes stands before it. */
static inline const char *json_skip_string(const char *at, const char *end)
{
    const char *quote = at;
    while ((quote = memchr(quote + 1, '"', (size_t)(end - quote) - 1))) {
        const char *before = quote;
        while (before[-1] == '\\')
            before--;
        if ((quote - before) % 2 == 0)
            return quote + 1;
    }
    return end;
}

/* The members of an object's text, one after the other; of what is none, none. */
struct json_members {
    const char *at, *end; /* `at` stands on the bracket or comma in front */
    struct slice name;    /* as it is written, between quotes */
    struct slice value;
};
struct json_members json_members_of(struct slice object);
bool json_next_member(struct json_members *m); /* false at the end, or if no whole one follows */

/* The same of an array. */
struct json_elements {
    const char *at, *end;
    struct slice value;
};
struct json_elements json_elements_of(struct slice array);
bool json_next_element(struct json_elements *e);

/* Whether a name between quotes, which may have escapes, is this. */
bool json_name_is(struct slice written, struct slice name);

/* json_find for names that a stranger may have written with escapes. */
bool json_find_member(struct slice object, struct slice name, struct slice *value);

#endif
