/* A description of HTTP routes as OpenAPI 3.1, and TypeScript types of the schemas in it. What it
 * is made of comes from server/api.c; nothing here knows the configuration.
 *
 * Threads: the owner. */
#ifndef GALLEY_SERVER_OPENAPI_OPENAPI_H
#define GALLEY_SERVER_OPENAPI_OPENAPI_H

#include "base/buf.h"
#include "server/http/message.h"

#include <jansson.h>

struct openapi;

/* What is served at one method and pattern. Trees are taken over. */
struct openapi_operation {
    enum method method;
    const char *pattern;     /* "/users/{id}", "/files/" and a star: the rest is a parameter */
    const char *tag;         /* openapi_tag's */
    const char *summary;     /* a few words */
    const char *description; /* or NULL */
    json_t *query;           /* parameters, an array; or NULL */
    json_t *body;            /* its content by media type, an object; or NULL: no body */
    json_t *answers;         /* responses by status, an object; or NULL: any that is 2xx */
    const int *errors;       /* statuses beside those that follow from the rest, ends with 0 */
    bool signed_in, may_sign_in;
    const char *const *roles; /* of which one is needed */
    unsigned role_count;
    bool limited;    /* 429 */
    bool idempotent; /* Idempotency-Key is honoured */
};

struct openapi *openapi_create(const char *title, const char *version, const char *description);
void openapi_destroy(struct openapi **api);

/* Once for each name. */
void openapi_tag(struct openapi *api, const char *name, const char *description);

/* A JSON Schema (base/schema.h) under a name of letters and digits; what refers to "#" within it
 * comes to refer to it. Takes the tree over. The first of a name stays. */
void openapi_schema(struct openapi *api, const char *name, json_t *schema);

/* {"$ref": ...} to such a schema. */
json_t *openapi_ref(const char *name);
/* {"application/json": {"schema": schema}}; takes it over. */
json_t *openapi_json(json_t *schema);
/* A response with JSON; takes the schema over. */
json_t *openapi_answer(const char *description, json_t *schema);
/* A parameter of the query; takes the schema over. */
json_t *openapi_parameter(const char *name, const char *description, json_t *schema);
/* "placeOrder" of "/place-order", with a capital if `capital`; for names of operations and schemas.
 * Parameters are left out unless nothing else is there. */
void openapi_words(struct buf *out, const char *pattern, bool capital);

/* False, and nothing is added, when the place has one already: then `text`, if it is not NULL, is
 * added to the description of that. */
bool openapi_add(struct openapi *api, const struct openapi_operation *operation, const char *text);

/* The document; borrowed. */
const json_t *openapi_document(struct openapi *api);

/* The schemas of a document as TypeScript. */
void openapi_types(const json_t *document, struct buf *out);

#endif
