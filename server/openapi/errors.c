/* The errors of base/err_table.h as components. */
#include "server/openapi/openapi_private.h"

#include "base/err.h"

#include <string.h>

static const struct {
    int status;
    const char *name;
} names[] = {
    {400, "Malformed"},
    {401, "Unauthenticated"},
    {403, "Forbidden"},
    {404, "NotFound"},
    {409, "Conflict"},
    {410, "Gone"},
    {412, "PreconditionFailed"},
    {413, "TooLarge"},
    {415, "UnsupportedMediaType"},
    {422, "Invalid"},
    {429, "Limited"},
    {500, "Failed"},
    {502, "BadGateway"},
    {503, "Unavailable"},
    {504, "GatewayTimeout"},
    {507, "StoreFull"},
};

#define NAMES (sizeof names / sizeof *names)

const char *openapi_error_name(int status)
{
    for (size_t i = 0; i < NAMES; i++) {
        if (names[i].status == status)
            return names[i].name;
    }
    return NULL;
}

json_t *openapi_error_ref(int status)
{
    struct buf text = BUF_INIT;
    buf_printf(&text, "#/components/responses/%s", openapi_error_name(status));
    json_t *ref = json_pack("{s:s%}", "$ref", text.data, text.len);
    buf_release(&text);
    return ref;
}

/* Whether an error before it has the same code and text, as those that are told apart inside do. */
static bool is_repeated(enum err err)
{
    for (enum err before = ERR_OK; before < err; before++) {
        if (strcmp(err_code(before), err_code(err)) == 0)
            return true;
    }
    return false;
}

/* "`EXISTS`: It exists already." for each. */
static void describe(struct buf *out, int status)
{
    for (enum err err = ERR_OK + 1; err < ERR_COUNT; err++) {
        if ((status == 0 || err_status(err) == status) && !is_repeated(err))
            buf_printf(out, "%s`%s`: %s", out->len > 0 ? "\n" : "", err_code(err), err_text(err));
    }
}

json_t *openapi_error_response(int status)
{
    struct buf text = BUF_INIT;
    describe(&text, status);
    if (text.len == 0)
        buf_append_str(&text, "It is not there any more.");
    json_t *headers = json_object();
    if (status == 401)
        json_object_set_new(headers, "WWW-Authenticate",
                            json_pack("{s:s, s:{s:s}}", "description", "How to authenticate.",
                                      "schema", "type", "string"));
    if (status == 429 || status == 503)
        json_object_set_new(headers, "Retry-After",
                            json_pack("{s:s, s:{s:s}}", "description",
                                      "Seconds after which it may be tried again.", "schema",
                                      "type", "integer"));
    json_t *content =
        json_pack("{s:{s:o}, s:{s:o}}", "application/json", "schema", openapi_ref("Error"),
                  "application/problem+json", "schema", openapi_ref("Problem"));
    json_t *response =
        json_pack("{s:s%, s:o}", "description", text.data, text.len, "content", content);
    if (json_object_size(headers) > 0)
        json_object_set(response, "headers", headers);
    json_decref(headers);
    buf_release(&text);
    return response;
}

json_t *openapi_error_schema(void)
{
    struct buf text = BUF_INIT;
    buf_append_str(&text, "Stable, to switch on. The server's own:\n\n");
    struct buf codes = BUF_INIT;
    describe(&codes, 0);
    buf_append_slice(&text, buf_slice(&codes));
    buf_release(&codes);
    json_t *code = json_pack("{s:s, s:s%}", "type", "string", "description", text.data, text.len);
    buf_release(&text);
    json_t *detail = json_pack(
        "{s:s, s:[s,s], s:{s:{s:s,s:s}, s:{s:s,s:s}, s:{s:s}, s:{s:s,s:s}}}", "type", "object",
        "required", "field", "reason", "properties", "field", "type", "string", "description",
        "The member, with dots: items.0.qty", "reason", "type", "string", "description",
        "The keyword of JSON Schema that does not hold, or a word of its own", "limit",
        "description", "The value of the keyword", "pointer", "type", "string", "description",
        "The member as a JSON pointer: /items/0/qty");
    json_t *error =
        json_pack("{s:s, s:[s,s,s,s], s:{s:o, s:{s:s}, s:{s:s,s:s,s:o}, s:{s:s,s:s}, s:{s:s,s:s}}}",
                  "type", "object", "required", "code", "message", "requestId", "timestamp",
                  "properties", "code", code, "message", "type", "string", "details", "type",
                  "array", "description", "Every violation, at most 50; of status 422", "items",
                  detail, "requestId", "type", "string", "description", "That of the log",
                  "timestamp", "type", "string", "format", "date-time");
    return json_pack("{s:s, s:[s], s:{s:o}}", "type", "object", "required", "error", "properties",
                     "error", error);
}
