/* POST /api/v1/upstreams/{name}/servers: a server says that it is there. */
#include "server/galley_private.h"

static const char schema_text[] =
    "{\"type\": \"object\", \"properties\": {"
    " \"address\": {\"type\": \"string\", \"maxLength\": 120},"
    " \"weight\": {\"type\": \"integer\", \"minimum\": 1, \"maximum\": 1000},"
    " \"zone\": {\"type\": \"string\", \"maxLength\": 32},"
    " \"backup\": {\"type\": \"boolean\"},"
    " \"ttlMs\": {\"type\": \"integer\", \"minimum\": 0, \"maximum\": 3600000}},"
    " \"required\": [\"address\", \"ttlMs\"], \"additionalProperties\": false}";

struct schema *registration_schema(void)
{
    char why[200];
    return schema_compile(schema_text, why, sizeof why);
}

static struct slice bearer(const struct request *request)
{
    struct slice value = request_header(request, "Authorization");
    struct slice scheme = slice_cut(&value, ' ');
    return slice_eq_nocase(scheme, slice_str("Bearer")) && value.ptr ? slice_trim(value)
                                                                     : slice_str("");
}

static const char *message_of(enum err err)
{
    return err == ERR_NOT_FOUND ? "There is no such upstream, or servers do not register there."
           : err == ERR_UNAUTHENTICATED ? "Authorization: Bearer and its register_key are wanted."
           : err == ERR_VALIDATION      ? "The address is no ADDRESS:PORT."
                                        : "The upstream has too many servers.";
}

void registration_target(struct request *request, struct response *response, void *arg)
{
    struct galley *galley = arg;
    json_t *body = NULL;
    if (!request_read_json(request, galley->registration_schema, response, &body))
        return;
    struct upstream_registration said = {.address = json_str(body, "address", ""),
                                         .zone = json_str(body, "zone", ""),
                                         .weight = (unsigned)json_int(body, "weight", 1),
                                         .backup = json_is_true(json_object_get(body, "backup")),
                                         .ttl_ms = json_int(body, "ttlMs", 0)};
    enum err err = upstream_register(galley->upstreams, request_param(request, "name"),
                                     bearer(request), &said);
    if (err)
        response_error(response, request, err, NULL, message_of(err), NULL);
    else
        response->status = 204;
    json_decref(body);
}
