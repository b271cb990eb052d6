/* JSON pointers (RFC 6901). */
#include "server/data/data_private.h"

#include <stdlib.h>

/* Cuts the next token off, in place, and takes ~0 and ~1 for what they stand for. */
static bool unescape(char *token)
{
    char *to = token;
    for (const char *from = token; *from; from++) {
        if (*from != '~') {
            *to++ = *from;
            continue;
        }
        from++;
        if (*from != '0' && *from != '1')
            return false;
        *to++ = *from == '0' ? '~' : '/';
    }
    *to = '\0';
    return true;
}

bool pointer_read(const json_t *text, struct pointer *out)
{
    *out = (struct pointer){0};
    const char *string = json_string_value(text);
    if (!string || (string[0] != '/' && string[0] != '\0'))
        return false;
    if (strlen(string) != json_string_length(text))
        return false;
    buf_append(&out->text, string, strlen(string) + 1);
    for (char *rest = string[0] ? out->text.data + 1 : NULL; rest;) {
        if (out->count == POINTER_TOKENS_MAX)
            return false;
        char *token = strsep(&rest, "/");
        if (!unescape(token))
            return false;
        out->tokens[out->count++] = token;
    }
    return true;
}

void pointer_release(struct pointer *pointer)
{
    buf_release(&pointer->text);
}

bool pointer_index(const char *token, size_t below, size_t *out)
{
    int64_t number;
    if (!slice_to_i64(slice_str(token), &number) || number < 0 || (size_t)number >= below)
        return false;
    *out = (size_t)number;
    return token[0] != '-';
}

json_t *pointer_find(json_t *root, const struct pointer *pointer, unsigned tokens)
{
    size_t index;
    for (unsigned i = 0; root && i < tokens; i++) {
        const char *token = pointer->tokens[i];
        if (json_is_object(root))
            root = json_object_get(root, token);
        else if (pointer_index(token, json_array_size(root), &index))
            root = json_array_get(root, index);
        else
            root = NULL;
    }
    return root;
}
