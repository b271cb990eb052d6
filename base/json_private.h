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

#endif
