#include "server/http/message.h"

#include "base/schema.h"

bool content_type_is_json(struct slice content_type)
{
    struct slice type = slice_trim(slice_cut(&content_type, ';'));
    if (slice_eq_nocase(type, slice_str("application/json")))
        return true;
    const struct slice family = slice_str("application/"), suffix = slice_str("+json");
    return type.len > family.len + suffix.len &&
           slice_eq_nocase(slice_of(type.ptr, family.len), family) &&
           slice_eq_nocase(slice_of(type.ptr + type.len - suffix.len, suffix.len), suffix);
}

/* NULL, or what is wrong with how the body is sent. */
static const char *refuse_media(const struct request *request)
{
    struct slice coding = request_header(request, "Content-Encoding");
    if (request_header_count(request, "Content-Type") > 1)
        return "Content-Type is there more than once.";
    if (!content_type_is_json(request_header(request, "Content-Type")))
        return "The body must be application/json.";
    if (coding.len && !slice_eq_nocase(coding, slice_str("identity")))
        return "The body must not be encoded.";
    return NULL;
}

static bool refuse(const struct request *request, struct response *response, enum err err,
                   const char *message)
{
    response_error(response, request, err, NULL, message, NULL);
    return false;
}

bool request_read_json(const struct request *request, const struct schema *schema,
                       struct response *response, json_t **out)
{
    char why[200];
    json_t *violations = NULL;
    const char *media = refuse_media(request);
    *out = NULL;
    if (media)
        return refuse(request, response, ERR_MEDIA_TYPE, media);
    if (request->body.len == 0)
        return refuse(request, response, ERR_MALFORMED, "A JSON body is required.");
    if (json_read(request->body, out, why, sizeof why) != ERR_OK)
        return refuse(request, response, ERR_MALFORMED, why);
    schema_fill(schema, *out);
    if (schema_check(schema, *out, &violations) == ERR_OK)
        return true;
    response_error(response, request, ERR_VALIDATION, NULL, NULL, violations);
    json_decref(violations);
    json_decref(*out);
    *out = NULL;
    return false;
}
