/* JSON merge patch (RFC 7396). */
#include "server/data/data_private.h"

/* Recurses as deep as the patch, which is bounded. */
static void merge(json_t *into, json_t *patch)
{
    const char *key;
    json_t *value;
    json_object_foreach(patch, key, value) {
        if (json_is_null(value)) {
            json_object_del(into, key);
        } else if (!json_is_object(value)) {
            json_object_set(into, key, value);
        } else {
            if (!json_is_object(json_object_get(into, key)))
                json_object_set_new(into, key, json_object());
            merge(json_object_get(into, key), value);
        }
    }
}

enum err patch_merge(json_t **doc, json_t *patch, const struct patch_context *context)
{
    if (!json_is_object(patch))
        return fault_field(context->fault, "", "type");
    merge(*doc, patch);
    return ERR_OK;
}
