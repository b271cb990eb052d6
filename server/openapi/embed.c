#include "server/openapi/openapi_private.h"

#include <string.h>

static bool is_one_of(const char *name, const char *const *names)
{
    for (; *names; names++) {
        if (strcmp(name, *names) == 0)
            return true;
    }
    return false;
}

static void rewrite_schema(json_t *schema, const char *base);

/* "#/$defs/a" of a text that stands alone. An anchor stays: it is one of the whole document. */
static void rewrite_reference(json_t *schema, const char *base)
{
    const char *text = json_string_value(json_object_get(schema, "$ref"));
    if (!text || text[0] != '#' || (text[1] != '\0' && text[1] != '/'))
        return;
    struct buf whole = BUF_INIT;
    buf_printf(&whole, "%s%s", base, text + 1);
    json_object_set_new(schema, "$ref", json_stringn(whole.data, whole.len));
    buf_release(&whole);
}

static void rewrite_named(json_t *schemas, const char *base)
{
    const char *name;
    json_t *schema;
    json_object_foreach(schemas, name, schema) {
        rewrite_schema(schema, base);
    }
}

static void rewrite_schema(json_t *schema, const char *base)
{
    static const char *const named[] = {"properties", "patternProperties", "$defs",
                                        "dependentSchemas", NULL};
    static const char *const values[] = {"enum", "const", "default", "examples", NULL};
    const char *name;
    json_t *value;
    json_object_foreach(schema, name, value) {
        bool schemas = !is_one_of(name, values);
        if (is_one_of(name, named))
            rewrite_named(value, base);
        else if (json_is_object(value) && schemas)
            rewrite_schema(value, base);
        for (size_t i = 0; schemas && i < json_array_size(value); i++)
            rewrite_schema(json_array_get(value, i), base);
    }
    rewrite_reference(schema, base);
}

void openapi_embed(json_t *schema, const char *base)
{
    json_object_del(schema, "$schema");
    json_object_del(schema, "$id");
    rewrite_schema(schema, base);
}
