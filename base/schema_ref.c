#include "base/mem.h"
#include "base/schema_private.h"

#include <ctype.h>
#include <limits.h>
#include <stdlib.h>

/* Schemas that apply to the same value, one below the other. */
#define CHAIN_MAX 64

/* While the chain below a schema is being measured. */
#define MEASURING UINT_MAX

/* ---- What a reference points to */

/* "%24defs" without its percent signs. */
static void append_decoded(struct buf *out, const char *text)
{
    while (*text) {
        unsigned byte = (unsigned char)*text++;
        if (byte == '%' && isxdigit((unsigned char)text[0]) && isxdigit((unsigned char)text[1])) {
            char digits[3] = {text[0], text[1], '\0'};
            byte = (unsigned)strtoul(digits, NULL, 16);
            text += 2;
        }
        buf_append_char(out, (char)byte);
    }
    buf_append_char(out, '\0');
}

static struct schema *find(const struct schema_file *file, const char *fragment)
{
    bool pointer = fragment[0] == '/' || fragment[0] == '\0';
    for (size_t i = 0; i < file->count; i++) {
        const char *name = pointer ? file->schemas[i]->pointer : file->schemas[i]->anchor;
        if (name && strcmp(name, fragment) == 0)
            return file->schemas[i];
    }
    return NULL;
}

static bool point(struct schema_compiler *c, struct schema *schema)
{
    const char *text = schema->applied ? schema->applied->ref_text : NULL;
    if (!text)
        return true;
    if (text[0] != '#')
        return schema_wrong(c, "The reference \"%.80s\" leads out of the text.", text);
    struct buf fragment = BUF_INIT;
    append_decoded(&fragment, text + 1);
    schema->applied->ref = find(c->file, fragment.data);
    buf_release(&fragment);
    return schema->applied->ref || schema_wrong(c, "There is no schema at \"%.80s\".", text);
}

static bool anchor_is_alone(struct schema_compiler *c, const struct schema *schema)
{
    return !schema->anchor || find(c->file, schema->anchor) == schema ||
           schema_wrong(c, "There are two anchors \"%.60s\".", schema->anchor);
}

/* ---- Loops without progress */

static bool measure(struct schema_compiler *c, struct schema *schema);

static bool too_long(struct schema_compiler *c)
{
    return schema_wrong(c, "More than %d schemas apply to the same value, one below the other.",
                        CHAIN_MAX);
}

/* The longest of the chains so far and that which begins with `next`. */
static bool longer(struct schema_compiler *c, struct schema *next, unsigned *longest)
{
    if (!next)
        return true;
    if (!measure(c, next))
        return false;
    if (next->chain + 1 > *longest)
        *longest = next->chain + 1;
    return *longest <= CHAIN_MAX || too_long(c);
}

static bool longer_of_list(struct schema_compiler *c, const struct schema_list *list,
                           unsigned *longest)
{
    for (size_t i = 0; i < list->count; i++) {
        if (!longer(c, list->schemas[i], longest))
            return false;
    }
    return true;
}

static bool measure_applied(struct schema_compiler *c, const struct schema_applied *applied,
                            unsigned *longest)
{
    for (size_t i = 0; i < applied->dependent_count; i++) {
        if (!longer(c, applied->dependent[i].schema, longest))
            return false;
    }
    return longer(c, applied->ref, longest) && longer(c, applied->not, longest) &&
           longer(c, applied->condition, longest) && longer(c, applied->then, longest) &&
           longer(c, applied->otherwise, longest) && longer_of_list(c, &applied->all, longest) &&
           longer_of_list(c, &applied->any, longest) && longer_of_list(c, &applied->one, longest);
}

/* Sets the schema's chain: 1 and the longest one below. */
static bool measure(struct schema_compiler *c, struct schema *schema)
{
    if (schema->chain == MEASURING)
        return schema_wrong(c, "The reference at \"%.80s\" leads back to itself.", schema->pointer);
    if (schema->chain > 0 || !schema->applied) {
        schema->chain += schema->chain == 0;
        return true;
    }
    unsigned longest = 1;
    schema->chain = MEASURING;
    if (++c->chain > CHAIN_MAX)
        return too_long(c);
    if (!measure_applied(c, schema->applied, &longest))
        return false;
    schema->chain = longest;
    c->chain--;
    return true;
}

bool schema_resolve(struct schema_compiler *c)
{
    bool whole = true;
    for (size_t pass = 0; pass < 2; pass++) {
        for (size_t i = 0; whole && i < c->file->count; i++) {
            struct schema *schema = c->file->schemas[i];
            buf_clear(&c->pointer);
            buf_append_str(&c->pointer, schema->pointer);
            whole = pass == 0 ? anchor_is_alone(c, schema) && point(c, schema) : measure(c, schema);
        }
    }
    return whole;
}
