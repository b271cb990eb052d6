/* What the files of JSON share. */
#ifndef GALLEY_BASE_JSON_PRIVATE_H
#define GALLEY_BASE_JSON_PRIVATE_H

#include "base/json.h"

#include <stdint.h>
#include <string.h>

/* The object that the text is if all of it is plain; else NULL, and json_loadb decides. */
json_t *json_read_flat(struct slice text);

#define JSON_EACH_BYTE(c) (UINT64_C(0x0101010101010101) * (c))

/* Whether one of eight bytes is that character: a difference of 0 borrows from its highest bit. */
static inline bool json_has_char(uint64_t bytes, char c)
{
    uint64_t differs = bytes ^ JSON_EACH_BYTE((unsigned char)c);
    return ((differs - JSON_EACH_BYTE(1)) & ~differs & JSON_EACH_BYTE(0x80)) != 0;
}

/* To the first quote or backslash; `end` if there is none. */
static inline const char *json_skip_plain(const char *at, const char *end)
{
    uint64_t bytes;
    for (; end - at >= 8; at += 8) {
        memcpy(&bytes, at, 8);
        if (json_has_char(bytes, '"') || json_has_char(bytes, '\\'))
            break;
    }
    while (at < end && *at != '"' && *at != '\\')
        at++;
    return at;
}

/* Behind the string whose opening quote is at `at`; `end` if nothing closes it. */
static inline const char *json_skip_string(const char *at, const char *end)
{
    at = json_skip_plain(at + 1, end);
    while (end - at >= 2 && *at == '\\')
        at = json_skip_plain(at + 2, end);
    return at < end && *at == '"' ? at + 1 : end;
}

#endif
