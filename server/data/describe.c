/* What a collection's documents look like from outside, for the description of the API. */
#include "server/data/data_private.h"

#include <string.h>

static void add_own(json_t *properties, const char *name, const char *format,
                    const char *description)
{
    json_t *own =
        json_pack("{s:s, s:s, s:b}", "type", "string", "description", description, "readOnly", 1);
    if (format)
        json_object_set_new(own, "format", json_string(format));
    if (json_object_get(properties, name))
        json_decref(own);
    else
        json_object_set_new(properties, name, own);
}

static void hide(const struct data_collection *c, json_t *schema)
{
    json_t *required = json_object_get(schema, "required");
    for (unsigned i = 0; i < c->hidden_count; i++) {
        json_object_del(json_object_get(schema, "properties"), c->hidden[i]);
        for (size_t at = json_array_size(required); at-- > 0;) {
            if (strcmp(json_string_value(json_array_get(required, at)), c->hidden[i]) == 0)
                json_array_remove(required, at);
        }
    }
}

/* A document is an object, which a schema need not say. */
static json_t *of_schema(const struct schema *schema)
{
    const json_t *source = schema ? schema_source(schema) : NULL;
    json_t *copy = json_is_object(source) ? json_deep_copy(source) : json_object();
    if (!json_object_get(copy, "type"))
        json_object_set_new(copy, "type", json_string("object"));
    if (!json_object_get(copy, "properties"))
        json_object_set_new(copy, "properties", json_object());
    return copy;
}

json_t *data_describe(const struct config *config, const char *path, unsigned i)
{
    struct buf errors = BUF_INIT;
    struct complaints complaints = {.path = path, .out = &errors};
    struct data_collection c;
    declare_read(config_named(config, "collection", i), &complaints, &c);
    json_t *schema = of_schema(c.schema), *properties = json_object_get(schema, "properties");
    hide(&c, schema);
    add_own(properties, "id", NULL, c.client_ids ? "The client's" : "Made by the server");
    if (c.timestamps) {
        add_own(properties, "createdAt", "date-time", "When it was made");
        add_own(properties, "updatedAt", "date-time", "When it was changed last");
    }
    if (c.owner[0])
        add_own(properties, c.owner, NULL, "The id of the user whose it is");
    declare_release(&c);
    buf_release(&errors);
    return schema;
}
