#include "server/openapi/openapi.h"

#include "base/mem.h"
#include "server/openapi/openapi_private.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

struct openapi {
    json_t *document;
};

/* Makes members on the way: those of the document's objects. */
static json_t *member(json_t *object, const char *name)
{
    json_t *found = json_object_get(object, name);
    if (!found) {
        found = json_object();
        json_object_set_new(object, name, found);
    }
    return found;
}

static json_t *components(struct openapi *api, const char *kind)
{
    return member(member(api->document, "components"), kind);
}

struct openapi *openapi_create(const char *title, const char *version, const char *description)
{
    struct openapi *api = mem_zalloc(sizeof *api);
    api->document = json_pack("{s:s, s:{s:s, s:s, s:s}, s:[{s:s}], s:[], s:{}}", "openapi", "3.1.0",
                              "info", "title", title, "version", version, "description",
                              description, "servers", "url", "/", "tags", "paths");
    openapi_schema(api, "Error", openapi_error_schema());
    openapi_schema(api, "Problem",
                   json_pack("{s:s, s:s, s:{s:{s:s}, s:{s:s}, s:{s:s}, s:{s:s}, s:{s:s}}}", "type",
                             "object", "description", "The same as RFC 9457 has it.", "properties",
                             "type", "type", "string", "title", "type", "string", "status", "type",
                             "integer", "detail", "type", "string", "code", "type", "string"));
    return api;
}

void openapi_destroy(struct openapi **api)
{
    if (!*api)
        return;
    json_decref((*api)->document);
    free(*api);
    *api = NULL;
}

void openapi_tag(struct openapi *api, const char *name, const char *description)
{
    json_array_append_new(json_object_get(api->document, "tags"),
                          json_pack("{s:s, s:s}", "name", name, "description", description));
}

void openapi_schema(struct openapi *api, const char *name, json_t *schema)
{
    char base[160];
    snprintf(base, sizeof base, "#/components/schemas/%.120s", name);
    openapi_embed(schema, base);
    json_t *schemas = components(api, "schemas");
    if (json_object_get(schemas, name))
        json_decref(schema);
    else
        json_object_set_new(schemas, name, schema);
}

json_t *openapi_ref(const char *name)
{
    char ref[160];
    snprintf(ref, sizeof ref, "#/components/schemas/%.120s", name);
    return json_pack("{s:s}", "$ref", ref);
}

json_t *openapi_json(json_t *schema)
{
    return json_pack("{s:{s:o}}", "application/json", "schema", schema);
}

json_t *openapi_answer(const char *description, json_t *schema)
{
    return json_pack("{s:s, s:o}", "description", description, "content", openapi_json(schema));
}

json_t *openapi_parameter(const char *name, const char *description, json_t *schema)
{
    return json_pack("{s:s, s:s, s:s, s:o}", "name", name, "in", "query", "description",
                     description, "schema", schema);
}

/* ---- Names */

static bool is_word_char(char c)
{
    return isalnum((unsigned char)c);
}

static void append_words(struct buf *out, const char *pattern, bool capital, bool parameters)
{
    bool inside = false;
    for (const char *at = pattern; *at; at++) {
        inside = *at == '{' || (inside && *at != '}');
        bool take = is_word_char(*at) && (!inside || parameters);
        if (take)
            buf_append_char(out, (char)(capital ? toupper((unsigned char)*at) : *at));
        capital = take ? false : out->len > 0 || capital;
    }
}

void openapi_words(struct buf *out, const char *pattern, bool capital)
{
    size_t before = out->len;
    append_words(out, pattern, capital, false);
    if (out->len == before)
        append_words(out, pattern, capital, true);
    if (out->len == before)
        buf_append_str(out, capital ? "Root" : "root");
}

/* ---- Paths: those that differ only in the names of their parameters are one. */

static void append_path(struct buf *out, const char *pattern)
{
    size_t len = strlen(pattern);
    bool rest = len > 0 && pattern[len - 1] == '*';
    buf_append(out, pattern, len - rest);
    if (rest)
        buf_append_str(out, "{rest}");
}

static void append_shape(struct buf *out, const char *path)
{
    bool inside = false;
    for (; *path; path++) {
        if (!inside || *path == '}')
            buf_append_char(out, *path);
        inside = *path == '{' || (inside && *path != '}');
    }
    buf_append_char(out, '\0');
}

static bool same_shape(const char *a, const char *b)
{
    struct buf left = BUF_INIT, right = BUF_INIT;
    append_shape(&left, a);
    append_shape(&right, b);
    bool same = strcmp(left.data, right.data) == 0;
    buf_release(&left);
    buf_release(&right);
    return same;
}

/* The item of a path, made if it is new, and how the path is written. */
static json_t *path_item(struct openapi *api, const char *pattern, const char **path)
{
    json_t *paths = json_object_get(api->document, "paths");
    struct buf text = BUF_INIT;
    append_path(&text, pattern);
    buf_append_char(&text, '\0');
    void *at = json_object_iter(paths);
    while (at && !same_shape(json_object_iter_key(at), text.data))
        at = json_object_iter_next(paths, at);
    if (!at) {
        json_object_set_new(paths, text.data, json_object());
        at = json_object_iter_at(paths, text.data);
    }
    buf_release(&text);
    *path = json_object_iter_key(at);
    return json_object_iter_value(at);
}

static void add_path_parameters(json_t *parameters, const char *path)
{
    for (const char *open = path; (open = strchr(open, '{')); open++) {
        const char *close = strchr(open, '}');
        if (!close)
            return;
        bool rest = close[1] == '\0' && strncmp(open, "{rest}", 6) == 0;
        json_t *one =
            json_pack("{s:s%, s:s, s:b, s:{s:s}}", "name", open + 1, (size_t)(close - open - 1),
                      "in", "path", "required", 1, "schema", "type", "string");
        if (rest)
            json_object_set_new(one, "description",
                                json_string("All that remains of the path, with slashes."));
        json_array_append_new(parameters, one);
    }
}

/* ---- Operations */

static void set_id(struct openapi *api, json_t *operation, enum method method, const char *path)
{
    struct buf id = BUF_INIT;
    for (const char *c = method_name(method); *c; c++)
        buf_append_char(&id, (char)tolower((unsigned char)*c));
    append_words(&id, path, true, true);
    size_t length = id.len;
    json_t *taken = member(api->document, "x-ids");
    for (unsigned i = 2;; i++) {
        buf_append_char(&id, '\0');
        if (!json_object_get(taken, id.data))
            break;
        id.len = length;
        buf_printf(&id, "%u", i);
    }
    json_object_set_new(taken, id.data, json_true());
    json_object_set_new(operation, "operationId", json_string(id.data));
    buf_release(&id);
}

static json_t *security_of(const struct openapi_operation *op)
{
    json_t *security = json_array();
    if (op->may_sign_in && !op->signed_in)
        json_array_append_new(security, json_object());
    for (unsigned i = 0; i < op->role_count; i++)
        json_array_append_new(security, json_pack("{s:[s]}", "bearer", op->roles[i]));
    if (op->role_count == 0 && (op->may_sign_in || op->signed_in))
        json_array_append_new(security, json_pack("{s:[]}", "bearer"));
    return security;
}

static void add_error(struct openapi *api, json_t *responses, int status)
{
    const char *name = openapi_error_name(status);
    json_t *all = components(api, "responses");
    char text[8];
    snprintf(text, sizeof text, "%d", status);
    if (!name || json_object_get(responses, text))
        return;
    if (!json_object_get(all, name))
        json_object_set_new(all, name, openapi_error_response(status));
    json_object_set_new(responses, text, openapi_error_ref(status));
}

static json_t *responses_of(struct openapi *api, const struct openapi_operation *op)
{
    static const int with_body[] = {413, 415, 422, 0}, always[] = {500, 503, 0};
    json_t *responses = op->answers ? op->answers : json_object();
    if (!op->answers)
        json_object_set_new(responses, "2XX", json_pack("{s:s}", "description", "It is done."));
    add_error(api, responses, 400);
    if (op->signed_in || op->may_sign_in)
        add_error(api, responses, 401);
    if (op->role_count > 0)
        add_error(api, responses, 403);
    if (strchr(op->pattern, '{'))
        add_error(api, responses, 404);
    if (op->idempotent)
        add_error(api, responses, 409);
    for (const int *status = op->errors; status && *status > 0; status++)
        add_error(api, responses, *status);
    for (const int *status = with_body; op->body && *status > 0; status++)
        add_error(api, responses, *status);
    if (op->limited)
        add_error(api, responses, 429);
    for (const int *status = always; *status > 0; status++)
        add_error(api, responses, *status);
    return responses;
}

static json_t *parameters_of(const struct openapi_operation *op, const char *path)
{
    json_t *parameters = json_array();
    add_path_parameters(parameters, path);
    if (op->query)
        json_array_extend(parameters, op->query);
    if (op->idempotent)
        json_array_append_new(
            parameters,
            json_pack("{s:s, s:s, s:s, s:{s:s, s:i, s:i}}", "name", "Idempotency-Key", "in",
                      "header", "description",
                      "The same key with the same request is answered as the first time.", "schema",
                      "type", "string", "minLength", 1, "maxLength", 255));
    json_decref(op->query);
    return parameters;
}

static json_t *operation_of(struct openapi *api, const struct openapi_operation *op,
                            const char *path)
{
    json_t *operation = json_pack("{s:[s], s:s}", "tags", op->tag, "summary", op->summary);
    set_id(api, operation, op->method, path);
    if (op->description)
        json_object_set_new(operation, "description", json_string(op->description));
    json_t *parameters = parameters_of(op, path);
    if (json_array_size(parameters) > 0)
        json_object_set(operation, "parameters", parameters);
    json_decref(parameters);
    json_t *security = security_of(op);
    if (json_array_size(security) > 0)
        json_object_set_new(components(api, "securitySchemes"), "bearer",
                            json_pack("{s:s, s:s, s:s, s:s}", "type", "http", "scheme", "bearer",
                                      "bearerFormat", "JWT", "description",
                                      "The token that POST /auth/login answers with, or that "
                                      "[auth] believes."));
    json_object_set_new(operation, "security", security);
    json_object_set_new(operation, "responses", responses_of(api, op));
    if (op->body)
        json_object_set_new(operation, "requestBody",
                            json_pack("{s:b, s:o}", "required", 1, "content", op->body));
    return operation;
}

static void add_text(json_t *operation, const char *text)
{
    const char *before = json_string_value(json_object_get(operation, "description"));
    struct buf both = BUF_INIT;
    buf_printf(&both, "%s%s%s", before ? before : "", before ? "\n\n" : "", text);
    json_object_set_new(operation, "description", json_stringn(both.data, both.len));
    buf_release(&both);
}

bool openapi_add(struct openapi *api, const struct openapi_operation *op, const char *text)
{
    char method[16];
    const char *path;
    json_t *item = path_item(api, op->pattern, &path);
    snprintf(method, sizeof method, "%s", method_name(op->method));
    for (char *c = method; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    json_t *before = json_object_get(item, method);
    if (!before) {
        json_object_set_new(item, method, operation_of(api, op, path));
        return true;
    }
    if (text)
        add_text(before, text);
    json_decref(op->query);
    json_decref(op->body);
    json_decref(op->answers);
    return false;
}

const json_t *openapi_document(struct openapi *api)
{
    json_object_del(api->document, "x-ids");
    return api->document;
}
