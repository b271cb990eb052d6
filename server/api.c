#include "server/api.h"

#include "base/mem.h"
#include "server/changes/changes.h"
#include "server/data/data.h"
#include "server/openapi/openapi.h"
#include "server/routes_private.h"
#include "server/version.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

struct describing {
    struct openapi *api;
    const struct config *config;
    const char *path; /* of the configuration */
    struct buf text;  /* of one operation */
};

/* Also of no text. */
static bool starts(const char *text, const char *with)
{
    return text && strncmp(text, with, strlen(with)) == 0;
}

/* ---- Tags: what routes lead to */

static void add_module_tags(struct describing *d, const struct app_module *const *modules)
{
    for (unsigned i = 0; modules[i]; i++)
        openapi_tag(d->api, modules[i]->name, modules[i]->help ? modules[i]->help : "A module.");
}

static void add_tags(struct describing *d, const struct app_module *const *modules)
{
    add_module_tags(d, modules);
    if (config_named_count(d->config, "collection") > 0)
        openapi_tag(d->api, "collections", "Documents that the configuration declares.");
    if (config_named_count(d->config, "route") > 0)
        openapi_tag(d->api, "gateway",
                    "What is passed on, answered or put together by the "
                    "configuration's own routes.");
    openapi_tag(d->api, "operations", "For who operates the server.");
}

/* ---- The server's own */

static json_t *of_type(const char *type)
{
    return json_pack("{s:s}", "type", type);
}

static json_t *status_answer(void)
{
    return json_pack(
        "{s:o}", "200",
        openapi_answer("It is so.", json_pack("{s:s, s:{s:o}}", "type", "object", "properties",
                                              "status", of_type("string"))));
}

static json_t *text_answer(const char *description, const char *media_type)
{
    return json_pack("{s:{s:s, s:{s:{s:o}}}}", "200", "description", description, "content",
                     media_type, "schema", of_type("string"));
}

static json_t *document_answer(void)
{
    return json_pack("{s:o}", "200", openapi_answer("The description.", of_type("object")));
}

static json_t *any_object(void)
{
    return openapi_json(of_type("object"));
}

static const int none[] = {0}, admin_only[] = {403, 0}, registered[] = {401, 404, 409, 0};

/* False: it is no part of the API. One that is not named here is described by its place. */
static bool describe_own(const struct route_spec *spec, struct openapi_operation *op)
{
    const char *path = spec->pattern;
    op->tag = "operations";
    op->errors = spec->reach == REACH_ADMIN ? admin_only : none;
    if (strcmp(path, "/healthz") == 0) {
        op->summary = "Whether it is alive";
        op->answers = status_answer();
    } else if (strcmp(path, "/readyz") == 0) {
        op->summary = "Whether it may take traffic";
        op->answers = status_answer();
    } else if (strcmp(path, "/metrics") == 0) {
        op->summary = "Figures in Prometheus' format";
        op->answers = text_answer("One figure a line.", "text/plain");
    } else if (strcmp(path, "/openapi.json") == 0) {
        op->summary = "This description";
        op->answers = document_answer();
    } else if (strcmp(path, REGISTRATION_PATH) == 0) {
        op->summary = "A server of an upstream says that it is there, or goes";
        op->errors = registered;
        op->body = any_object();
    } else if (strcmp(path, "/") == 0) {
        op->summary = "A page that leads on";
        op->answers = text_answer("The page.", "text/html");
    } else if (starts(path, ACME_PATH)) {
        op->summary = "What proves to a certificate authority whose this name is";
        op->answers = text_answer("The proof.", "text/plain");
    }
    return strcmp(path, "/_") != 0 && !starts(path, "/_/");
}

/* ---- Collections */

/* Which of them a path is of, and what stands behind its name; false: none. */
static bool find_collection(const struct config *config, const char *pattern, unsigned *at,
                            const char **below)
{
    static const char place[] = "/api/v1/collections/";
    const struct config_section *section;
    for (*at = 0; starts(pattern, place) && (section = config_named(config, "collection", *at));
         ++*at) {
        *below = pattern + sizeof place - 1;
        if (!starts(*below, config_name(section)))
            continue;
        *below += strlen(config_name(section));
        if (**below == '\0' || **below == '/')
            return true;
    }
    return false;
}

static json_t *list_query(void)
{
    json_t *query = json_array();
    static const struct {
        const char *name, *description;
    } texts[] = {
        {"filter", "An expression that documents have to fit: price >= 10 && name ~ \"tea\""},
        {"sort", "Members of an index, a minus before each to go backwards: -createdAt"},
        {"fields", "Members that are answered: id,title"},
        {"after", "The nextCursor of the page before"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        json_array_append_new(
            query, openapi_parameter(texts[i].name, texts[i].description, of_type("string")));
    json_array_append_new(
        query, openapi_parameter("limit", "How many documents",
                                 json_pack("{s:s, s:i, s:i, s:i}", "type", "integer", "minimum", 1,
                                           "maximum", 1000, "default", 30)));
    return query;
}

static json_t *page_answer(const char *name)
{
    json_t *pagination = json_pack("{s:s, s:{s:o, s:{s:[s,s]}, s:o}}", "type", "object",
                                   "properties", "limit", of_type("integer"), "nextCursor", "type",
                                   "string", "null", "hasNext", of_type("boolean"));
    json_t *page = json_pack("{s:s, s:[s,s], s:{s:{s:s, s:o}, s:o}}", "type", "object", "required",
                             "data", "pagination", "properties", "data", "type", "array", "items",
                             openapi_ref(name), "pagination", pagination);
    return json_pack("{s:o}", "200", openapi_answer("A page.", page));
}

static json_t *document_of(const char *status, const char *description, const char *name)
{
    return json_pack("{s:o}", status, openapi_answer(description, openapi_ref(name)));
}

static json_t *patch_body(const char *name)
{
    return json_pack("{s:{s:{s:s, s:s}}, s:{s:{s:s, s:{s:s}}}, s:{s:{s:s}}}",
                     "application/merge-patch+json", "schema", "type", "object", "description",
                     name, "application/json-patch+json", "schema", "type", "array", "items",
                     "type", "object", "application/vnd.galley.ops+json", "schema", "type",
                     "object");
}

/* A line for each document, and for each what became of it. */
static json_t *lines_of(const char *description)
{
    return json_pack("{s:{s:{s:s, s:s}}}", "application/x-ndjson", "schema", "type", "string",
                     "description", description);
}

static json_t *bulk_mode(void)
{
    return openapi_parameter("mode", "upsert replaces what has the line's id, delete deletes it",
                             json_pack("{s:[s,s,s]}", "enum", "create", "upsert", "delete"));
}

static const int changed[] = {403, 409, 412, 507, 0}, read_only[] = {403, 0};

static void describe_get(struct openapi_operation *op, const char *name, bool list)
{
    op->summary = list ? "A page of documents" : "One document";
    op->query = list ? list_query() : NULL;
    op->answers = list ? page_answer(name) : document_of("200", "The document.", name);
}

static void describe_post(struct openapi_operation *op, const char *name, bool list)
{
    op->summary = list ? "A new document" : "Many new documents";
    op->query = list ? NULL : json_pack("[o]", bulk_mode());
    op->body = list ? openapi_json(openapi_ref(name)) : lines_of("A document in each line");
    op->answers = list ? document_of("201", "It was made.", name)
                       : json_pack("{s:{s:s, s:o}}", "200", "description", "What became of each.",
                                   "content", lines_of("An answer in each line"));
}

/* What each of its routes does; `list`: it is of the collection as a whole. */
static void describe_door(struct openapi_operation *op, const char *name, bool list)
{
    op->errors = op->method == METHOD_GET ? read_only : changed;
    switch (op->method) {
    case METHOD_GET:
        describe_get(op, name, list);
        break;
    case METHOD_POST:
        describe_post(op, name, list);
        break;
    case METHOD_PUT:
        op->summary = "Another state of a document";
        op->body = openapi_json(openapi_ref(name));
        op->answers = document_of("200", "It was replaced.", name);
        break;
    case METHOD_PATCH:
        op->summary = "Changes of a document";
        op->body = patch_body("Members to set; null takes one away");
        op->answers = document_of("200", "It was changed.", name);
        break;
    default:
        op->summary = "Takes a document away";
        op->answers = json_pack("{s:{s:s}}", "204", "description", "It is gone.");
    }
}

/* Changes of several collections at once. */
static void describe_transactions(struct openapi_operation *op)
{
    json_t *body =
        json_pack("{s:s, s:[s], s:{s:{s:s, s:{s:s}}}}", "type", "object", "required", "operations",
                  "properties", "operations", "type", "array", "items", "type", "object");
    op->summary = "Changes of several documents, all or none";
    op->errors = changed;
    op->body = openapi_json(body);
    op->answers = json_pack("{s:o}", "200", openapi_answer("They were made.", of_type("object")));
}

static json_t *feed_query(void)
{
    static const char *const words[][3] = {
        {"collections", "names, with commas", "string"},
        {"since", "the number behind which to begin", "integer"},
        {"filter", "an expression about the document", "string"},
        {"wait", "seconds, for a long poll", "integer"},
        {"limit", "events of a long poll", "integer"},
    };
    json_t *query = json_array();
    for (unsigned i = 0; i < sizeof words / sizeof *words; i++)
        json_array_append_new(query,
                              openapi_parameter(words[i][0], words[i][1], of_type(words[i][2])));
    return query;
}

/* Of collections, as it comes. */
static void describe_feed(struct openapi_operation *op)
{
    static const int errors[] = {403, 404, 410, 422, 0};
    op->summary = "What is written to collections, as it is committed";
    op->query = feed_query();
    op->errors = errors;
    op->answers =
        json_pack("{s:{s:s, s:{s:{s:{s:s}}, s:{s:{s:s}}}}}", "200", "description",
                  "Events, or with wait those that there are.", "content", "text/event-stream",
                  "schema", "type", "string", "application/json", "schema", "type", "object");
}

/* The name of their schema; that of errors is taken. */
static void name_documents(struct buf *out, const char *collection)
{
    openapi_words(out, collection, true);
    if (slice_is(buf_slice(out), "Error") || slice_is(buf_slice(out), "Problem"))
        buf_append_str(out, "Document");
    buf_append_char(out, '\0');
}

static void describe_collection(struct describing *d, struct openapi_operation *op)
{
    static const char *const rules[METHOD_COUNT] = {[METHOD_POST] = "create",
                                                    [METHOD_PUT] = "update",
                                                    [METHOD_PATCH] = "update",
                                                    [METHOD_DELETE] = "delete"};
    unsigned at;
    const char *below;
    op->tag = "collections";
    if (strcmp(op->pattern, "/api/v1/transactions") == 0)
        describe_transactions(op);
    if (strcmp(op->pattern, CHANGES_PATH) == 0)
        describe_feed(op);
    if (!find_collection(d->config, op->pattern, &at, &below))
        return;
    const struct config_section *section = config_named(d->config, "collection", at);
    bool list = below[0] == '\0';
    struct buf name = BUF_INIT;
    name_documents(&name, config_name(section));
    if (list && op->method == METHOD_GET)
        openapi_schema(d->api, name.data, data_describe(d->config, d->path, at));
    if (list || strcmp(below, "/{id}") == 0 || strcmp(below, "/bulk") == 0)
        describe_door(op, name.data, list);
    const char *rule = rules[op->method] ? rules[op->method] : list ? "list" : "read";
    const char *who = config_text(section, rule);
    buf_printf(&d->text, "Who may: `%s`.", who[0] ? who : "nobody");
    buf_release(&name);
}

/* ---- Modules, and what the configuration's own routes do */

static void describe_app(struct describing *d, const struct route_spec *spec,
                         struct openapi_operation *op)
{
    op->tag = spec->leads_to + strlen("app:");
    if (!spec->takes)
        return;
    struct buf name = BUF_INIT;
    const char *method = method_name(spec->method);
    buf_append_char(&name, method[0]);
    for (const char *c = method + 1; *c; c++)
        buf_append_char(&name, (char)(*c | 0x20));
    openapi_words(&name, spec->pattern, true);
    buf_append_str(&name, "Body");
    buf_append_char(&name, '\0');
    json_t *schema;
    char why[100];
    if (json_read(slice_str(spec->takes), &schema, why, sizeof why) == ERR_OK) {
        openapi_schema(d->api, name.data, schema);
        op->body = openapi_json(openapi_ref(name.data));
    }
    buf_release(&name);
}

static void describe_target(struct describing *d, const struct route_spec *spec,
                            struct openapi_operation *op)
{
    static const int upstream[] = {502, 504, 0};
    op->tag = "gateway";
    bool fixed =
        strncmp(spec->leads_to, "respond:", 8) == 0 || strncmp(spec->leads_to, "redirect:", 9) == 0;
    bool passed = strncmp(spec->leads_to, "upstream:", 9) == 0 || strchr(spec->leads_to, ',');
    buf_printf(&d->text, "Leads to `%s`, by [route %s].", spec->leads_to, spec->section);
    if (passed)
        op->errors = upstream;
    if (fixed)
        op->answers = json_pack("{s:{s:s}}", "default", "description", "What the route says.");
    if (passed && op->method != METHOD_GET && op->method != METHOD_DELETE)
        op->body = json_pack("{s:{}}", "*/*");
}

/* ---- All */

/* What a request needs besides path and method. */
static void describe_place(struct describing *d, const struct route_spec *spec)
{
    const char *before = d->text.len > 0 ? " " : "";
    if (spec->host)
        buf_printf(&d->text, "%sAt host `%s`.", before, spec->host);
    for (unsigned i = 0; i < spec->condition_count; i++)
        buf_printf(&d->text, "%sIf `%s`.", d->text.len > 0 ? " " : "", spec->conditions[i].text);
}

static void describe_method(struct describing *d, const struct route_spec *spec, enum method method)
{
    struct buf summary = BUF_INIT;
    buf_printf(&summary, "%s %s", method_name(method), spec->pattern);
    buf_append_char(&summary, '\0');
    struct openapi_operation op = {.method = method,
                                   .pattern = spec->pattern,
                                   .summary = summary.data,
                                   .signed_in = spec->signed_in,
                                   .may_sign_in = spec->may_sign_in,
                                   .roles = spec->roles,
                                   .role_count = spec->role_count,
                                   .limited = spec->limit.count > 0,
                                   .idempotent = spec->idempotent_key};
    bool part = true;
    buf_clear(&d->text);
    if (spec->own)
        part = describe_own(spec, &op);
    else if (starts(spec->leads_to, "collection:"))
        describe_collection(d, &op);
    else if (starts(spec->leads_to, "app:"))
        describe_app(d, spec, &op);
    else
        describe_target(d, spec, &op);
    describe_place(d, spec);
    buf_append_char(&d->text, '\0');
    op.description = d->text.data[0] ? d->text.data : NULL;
    if (part)
        openapi_add(d->api, &op, op.description);
    buf_release(&summary);
}

/* Routes that take any method come last: those of one method are asked before. */
static void describe_all(struct describing *d, const struct route_list *list)
{
    static const enum method any[] = {METHOD_GET, METHOD_POST, METHOD_PUT, METHOD_PATCH,
                                      METHOD_DELETE};
    for (unsigned i = 0; i < list->count; i++) {
        if (!list->specs[i].any_method)
            describe_method(d, &list->specs[i], list->specs[i].method);
    }
    for (unsigned i = 0; i < list->count; i++) {
        for (size_t at = 0; list->specs[i].any_method && at < sizeof any / sizeof *any; at++)
            describe_method(d, &list->specs[i], any[at]);
    }
}

json_t *api_describe(const struct config *config, const struct app_module *const *modules,
                     const char *path)
{
    struct describing d = {
        .api = openapi_create("Galley", GALLEY_VERSION,
                              "What this server serves, made of its own tables of routes. Errors "
                              "have one shape; what each code means is at the schema Error."),
        .config = config,
        .path = path,
    };
    struct route_list list = routes_to_look_at(config, modules);
    add_tags(&d, modules);
    describe_all(&d, &list);
    json_t *document = json_deep_copy(openapi_document(d.api));
    route_list_release(&list, false);
    openapi_destroy(&d.api);
    buf_release(&d.text);
    return document;
}

/* ---- Serving it */

static void serve(struct request *request, struct response *response, void *arg)
{
    const struct buf *document = arg;
    (void)request;
    buf_append_slice(&response->body, buf_slice(document));
    response_json(response, 200);
    response_header(response, "Cache-Control", slice_str("no-cache"));
}

static void drop(void *arg)
{
    struct buf *document = arg;
    buf_release(document);
    free(document);
}

void api_add_route(struct route_list *list, const struct config *config,
                   const struct app_module *const *modules, const char *path)
{
    enum { ADMIN, PUBLIC, OFF } who = config_choice(config_section(config, "server"), "openapi");
    if (who == OFF)
        return;
    struct buf *document = NULL;
    if (modules) {
        json_t *tree = api_describe(config, modules, path);
        document = mem_zalloc(sizeof *document);
        json_append(document, tree);
        json_decref(tree);
    }
    route_list_add(list, &(struct route_spec){.method = METHOD_GET,
                                              .pattern = "/openapi.json",
                                              .priority = PRIORITY_NORMAL,
                                              .reach = who == PUBLIC ? REACH_ALL : REACH_ADMIN,
                                              .own = true,
                                              .target = serve,
                                              .arg = document,
                                              .drop = document ? drop : NULL});
}
