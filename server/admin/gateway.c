/* The table of routes, and which of them a request takes: what `galley routes` prints, of what is
 * served now. */
#include "server/admin/admin_private.h"

#include "base/mem.h"
#include "server/gateway/route_show.h"

#include <stdlib.h>

const char try_schema_text[] = "{\"type\": \"object\","
                               " \"properties\": {\"method\": {\"type\": \"string\"},"
                               " \"url\": {\"type\": \"string\", \"minLength\": 1,"
                               " \"maxLength\": 8000},"
                               " \"headers\": {\"type\": \"array\", \"maxItems\": 60,"
                               " \"items\": {\"type\": \"string\", \"maxLength\": 8000}},"
                               " \"from\": {\"type\": \"string\", \"maxLength\": 64}},"
                               " \"required\": [\"url\"], \"additionalProperties\": false}";

/* GET /_/api/gateway/routes */
void serve_route_table(struct visit *visit)
{
    struct json_writer w = {.out = &visit->response->body};
    jw_begin(&w, '{');
    jw_key(&w, "data");
    gateway_write_routes(visit->admin->options.gateway, &w);
    jw_end(&w, '}');
    response_json(visit->response, 200);
}

static unsigned read_headers(const json_t *json, const char **out)
{
    const json_t *headers = json_object_get(json, "headers");
    unsigned count = (unsigned)json_array_size(headers);
    for (unsigned i = 0; i < count; i++)
        out[i] = json_string_value(json_array_get(headers, i));
    return count;
}

static void answer_try(struct visit *visit, const json_t *json)
{
    const char *headers[HEADERS_MAX];
    char why[300];
    unsigned count = read_headers(json, headers);
    struct route_question *question = mem_zalloc(sizeof *question);
    if (route_question_init(question, json_str(json, "method", "GET"), json_str(json, "url", ""),
                            headers, count, json_str(json, "from", "127.0.0.1"), why, sizeof why)) {
        struct json_writer w = {.out = &visit->response->body};
        gateway_write_try(visit->admin->options.gateway, &question->request, &w);
        response_json(visit->response, 200);
    } else {
        response_error(visit->response, visit->request, ERR_VALIDATION, NULL, why, NULL);
    }
    route_question_release(question);
    free(question);
}

/* POST /_/api/gateway/try */
void serve_route_try(struct visit *visit)
{
    json_t *json;
    if (!request_read_json(visit->request, visit->admin->try_schema, visit->response, &json))
        return;
    answer_try(visit, json);
    json_decref(json);
}
