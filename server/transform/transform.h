/* What a route changes in requests on their way to its target and in answers on their way to the
 * client: headers, the query, JSON, statuses, and what it says of its version. Pure: knows no
 * socket. Immutable after creating. Threads: any.
 *
 * A route says it in lines, each of a kind and with one change, done in the order in which they
 * stand:
 *   request_header, response_header, request_query
 *                set NAME VALUE | add NAME VALUE | remove NAME, ... | rename NAME NEW
 *   request_json, response_json
 *                set PATH VALUE | add PATH VALUE | remove PATH, ... | rename PATH NEW | keep PATH,
 * ... fields            PATH, ... | PATH, ... if KIND CONDITION | * if ...; the first that holds
 *   response_status   404 as 200 | 500-599 as 502
 *   deprecated, sunset                                  2026-01-31, 2026-01-31T12:00:00Z
 *   successor, deprecation_link, sunset_link            a URI, absolute or a path
 *
 * VALUE is text with places that are filled in of the request as the client has sent it: {method},
 * {path}, {host}, {client} (its address), {id} (of the request), {query.NAME}, {header.NAME},
 * {param.NAME} (of the route's path), {user.id}, {user.roles} (with commas); and
 * {config.SECTION.KEY}, of the configuration. A place of which there is nothing is empty; where all
 * of a value comes out empty, nothing is added, and set removes. What is filled in stays what it
 * is: it never ends a line or a parameter.
 *
 * A PATH is the name of a member, or several with dots between; an array on the way stands for each
 * of its elements. Of JSON add says what is not there yet, a VALUE that is JSON itself is that, and
 * any other text a string. A CONDITION is one of server/http/condition.h ("device mobile", "header
 * X-Client: partner", ...) or "role NAME, ...". */
#ifndef GALLEY_SERVER_TRANSFORM_TRANSFORM_H
#define GALLEY_SERVER_TRANSFORM_TRANSFORM_H

#include "server/http/message.h"

#define TRANSFORM_LINES_MAX 64 /* of a route */

/* Bytes of a body that is changed, and of what is added to it. */
#define TRANSFORM_JSON_MAX ((size_t)1 << 20)

struct transform;

enum transform_kind {
    TRANSFORM_REQUEST_HEADER,
    TRANSFORM_REQUEST_QUERY,
    TRANSFORM_REQUEST_JSON,
    TRANSFORM_RESPONSE_HEADER,
    TRANSFORM_RESPONSE_JSON,
    TRANSFORM_FIELDS,
    TRANSFORM_RESPONSE_STATUS,
    TRANSFORM_LISTS, /* of the kinds before there may be several lines, of these one: */
    TRANSFORM_DEPRECATED = TRANSFORM_LISTS,
    TRANSFORM_SUNSET,
    TRANSFORM_SUCCESSOR,
    TRANSFORM_DEPRECATION_LINK,
    TRANSFORM_SUNSET_LINK,
    TRANSFORM_KINDS
};

/* "request_header", and what its lines may be, for people. */
const char *transform_kind_name(enum transform_kind kind);
const char *transform_kind_help(enum transform_kind kind);

struct transform_line {
    enum transform_kind kind;
    const char *text;
};

/* Where {config.NAME} is looked up: appends its value. False: there is none, or it is secret. */
struct transform_settings {
    bool (*find)(void *arg, const char *name, struct buf *out);
    void *arg;
};

/* `settings` NULL: nothing is looked up, and filled in. ERR_VALIDATION, with why, for a line that
 * is none, too many, or two that contradict each other. Of no line it makes NULL. */
enum err transform_create(const struct transform_line *lines, unsigned count,
                          const struct transform_settings *settings, struct transform **out,
                          char *why, size_t why_size);
/* NULL is fine. Sets NULL. */
void transform_destroy(struct transform **transform);

/* ---- Requests */

bool transform_changes_requests(const struct transform *transform);

/* What a request is replaced by while its target has it; the caller's, and zeroed at first. */
struct transform_request {
    struct header headers[HEADERS_MAX];
    unsigned header_count;
    struct slice query;
    struct buf text, query_text; /* that these point into */
};

/* Fills *out, which points into the request's memory as well. ERR_HEADER_TOO_LARGE if there would
 * be more than HEADERS_MAX. */
enum err transform_request(const struct transform *transform, const struct request *request,
                           struct transform_request *out);
void transform_request_release(struct transform_request *out);

/* Appends what its target gets to know of a request beside its URL, so that what is stored of the
 * answers is told apart by it; nothing where the URL says it all. */
void transform_write_key(const struct transform *transform, const struct request *request,
                         struct buf *out);
bool transform_has_key(const struct transform *transform);

/* Whether the body of such a request is to be changed: it is JSON. */
bool transform_changes_body(const struct transform *transform, const struct request *request);

/* Appends what a body of JSON becomes. ERR_MALFORMED, with why, if it is none,
 * ERR_BODY_TOO_LARGE if more than TRANSFORM_JSON_MAX would be added. */
enum err transform_body(const struct transform *transform, const struct request *request,
                        struct buf *out, char *why, size_t why_size);

/* ---- Answers */

/* Whether answers of JSON are changed: then the target has to be asked for all of one, whatever the
 * client has of it already, and not compressed. */
bool transform_changes_json(const struct transform *transform);

/* Changes the body of an answer that stands, if it is JSON and its status is of 200 to 299, and
 * what its headers say of the bytes. What cannot be changed becomes a 502. */
void transform_json(const struct transform *transform, const struct request *request,
                    struct response *response);

/* Changes status and headers of an answer that stands; `request` is the client's own. */
void transform_response(const struct transform *transform, const struct request *request,
                        struct response *response);

#endif
