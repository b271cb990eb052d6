/* What the files of JSON share. */
#ifndef GALLEY_BASE_JSON_PRIVATE_H
#define GALLEY_BASE_JSON_PRIVATE_H

/* Behind the string whose opening quote is at `at`; `end` if nothing closes it. */
static inline const char *json_skip_string(const char *at, const char *end)
{
    for (at++; at < end && *at != '"'; at++) {
        if (*at == '\\' && at + 1 < end)
            at++;
    }
    return at < end ? at + 1 : end;
}

#endif
