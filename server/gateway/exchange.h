/* One request on its way through the stages: what they know in common. Lives on the worker's stack
 * for the time of one gateway_handle. */
#ifndef GALLEY_SERVER_GATEWAY_EXCHANGE_H
#define GALLEY_SERVER_GATEWAY_EXCHANGE_H

#include "server/gateway/gateway.h"

struct route; /* route_table.h */

struct exchange {
    struct gateway *gateway;
    struct request *request;
    struct response *response;
    const struct route *route; /* NULL until matched */

    /* idempotency.c */
    struct {
        bool held;         /* our key is marked as in flight */
        uint64_t scope[2]; /* hash of route, user and key */
        uint64_t print;    /* hash of the request */
    } idempotency;
};

enum stage_result { STAGE_NEXT, STAGE_ANSWERED };
typedef enum stage_result (*stage_fn)(struct exchange *exchange);

/* Answers with an error; for stages: return exchange_refuse(...). */
enum stage_result exchange_refuse(struct exchange *exchange, enum err err, const char *message);

/* The stages, in the order of gateway.c's table. */
enum stage_result stage_request_id(struct exchange *exchange);   /* request_id.c */
enum stage_result stage_route(struct exchange *exchange);        /* route.c */
enum stage_result stage_authenticate(struct exchange *exchange); /* authenticate.c */
enum stage_result stage_rate_limit(struct exchange *exchange);   /* rate_limit.c */
enum stage_result stage_validate(struct exchange *exchange);     /* validate.c */
enum stage_result stage_idempotency(struct exchange *exchange);  /* idempotency.c */
enum stage_result stage_target(struct exchange *exchange);       /* target.c */

/* Run for every exchange after its answer stands, in this order. */
void stage_idempotency_end(struct exchange *exchange);
void stage_observe(struct exchange *exchange); /* observe.c: access log and metrics */

#endif
