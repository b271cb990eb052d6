/* The table of routes for people, and what becomes of one request: behind `galley routes` and the
 * administration. */
#ifndef GALLEY_SERVER_GATEWAY_ROUTE_SHOW_H
#define GALLEY_SERVER_GATEWAY_ROUTE_SHOW_H

#include "base/json.h"
#include "server/gateway/gateway.h"

struct route_table;

/* A request that nobody has sent: what tells routes apart. Borrows what it is made of. */
struct route_question {
    struct request request;
    struct header headers[HEADERS_MAX];
    struct buf path; /* its own memory */
};

/* "GET", "https://api.example.org/orders/7?debug=1" or "/orders/7", and header lines "X-Beta: 1".
 * False, with a sentence in `why`, if one is not right. The caller releases it in any case. */
bool route_question_init(struct route_question *question, const char *method, const char *url,
                         const char *const *headers, unsigned header_count, const char *address,
                         char *why, size_t why_size);
void route_question_release(struct route_question *question);

/* [{"section","line","host","methods","path","conditions":[],"target"}], in the order of the list.
 */
void route_table_write(const struct route_table *table, struct json_writer *w);

/* route_stages.c: [{"stage":"auth","says":"a token is required, else 401"}, ...], the target last,
 * by the names of Server-Timing. */
void route_stages_write(const struct route *route, const struct request *request,
                        struct json_writer *w);

/* {"request":{...},"takes":{a
 * route}|null,"stages":[...],"status":404|405|null,"passedOver":[{"route":{...},
 * "why":"method"|...,"says":"..."}]}: the nearest miss first. */
void route_table_write_try(const struct route_table *table, const struct request *request,
                           struct json_writer *w);

#endif
