#include "server/gateway/exchange.h"
#include "server/gateway/route_table.h"

/* application/json or application/anything+json; parameters do not matter. */
static bool is_json(struct slice content_type)
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
    if (!is_json(request_header(request, "Content-Type")))
        return "The body must be application/json.";
    if (coding.len && !slice_eq_nocase(coding, slice_str("identity")))
        return "The body must not be encoded.";
    return NULL;
}

enum stage_result stage_validate(struct exchange *exchange)
{
    struct request *request = exchange->request;
    const struct schema *schema = exchange->route->spec.schema;
    if (!schema)
        return STAGE_NEXT;
    const char *media = refuse_media(request);
    if (media)
        return exchange_refuse(exchange, ERR_MEDIA_TYPE, media);
    if (request->body.len == 0)
        return exchange_refuse(exchange, ERR_MALFORMED, "A JSON body is required.");
    char why[200];
    if (json_read(request->body, &request->json, why, sizeof why) != ERR_OK)
        return exchange_refuse(exchange, ERR_MALFORMED, why);
    json_t *violations = NULL;
    if (schema_check(schema, request->json, &violations) == ERR_OK)
        return STAGE_NEXT;
    response_error(exchange->response, request, ERR_VALIDATION, NULL, NULL, violations);
    json_decref(violations);
    return STAGE_ANSWERED;
}
