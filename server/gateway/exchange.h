/* One request on its way through the stages: what they know in common. Lives from the first
 * gateway_handle until the request is answered, also while the body or a commit is awaited.
 *
 * A stage that wants a header on every answer, also on errors and replays, adds it in its _end
 * function: an error answer drops what was in the response before it. */
#ifndef GALLEY_SERVER_GATEWAY_EXCHANGE_H
#define GALLEY_SERVER_GATEWAY_EXCHANGE_H

#include "server/gateway/gateway.h"

#define DIGEST_SIZE 32 /* bytes of a SHA-256 */

/* A request with an Idempotency-Key; a member of the set of those in flight while `held`. */
struct keyed_request {
    struct keyed_request *next; /* in the set; guarded by its lock */
    bool held;
    uint8_t scope[DIGEST_SIZE]; /* of route, user and key */
    uint8_t print[DIGEST_SIZE]; /* of the request */
};

struct exchange {
    struct gateway *gateway;
    struct request *request;
    struct response *response;

    struct {           /* rate_limit.c */
        bool taken;    /* a limit holds and the verdict is in */
        unsigned tier; /* 1 for the first of the route's, 0: its limit */
        struct rate_verdict verdict;
    } rate;
    struct keyed_request keyed; /* idempotency.c */
    const struct cors *cors;    /* of a preflight; or NULL */
    struct buf inner;           /* request->inner; target.c */
    struct cache_visit *visit;  /* cache_stage.c; or NULL */
    struct plain *plain;        /* transform_stage.c; or NULL, and so is this: */
    struct lent *lent;
    struct timing *timing; /* timing.c; or NULL */
    unsigned stage;        /* the present one, of gateway.c's table */
};

/* On what is rare in a stage that every request passes: inlined it would cost all of them its stack
 * and registers. */
#define STAGE_RARE __attribute__((noinline, cold))

enum stage_result {
    STAGE_NEXT,
    STAGE_ANSWERED,
    STAGE_WAIT, /* this stage runs again, when more of the body has come or its target resumes */
};
typedef enum stage_result (*stage_fn)(struct exchange *exchange);

/* Answers with an error; for stages: return exchange_refuse(...). */
enum stage_result exchange_refuse(struct exchange *exchange, enum err err, const char *message);

/* Frees one that waited for its body, which will not come. None is fine. */
void exchange_forget(struct request *request);

/* cache_stage.c: gives back what the exchange has of the response cache. */
void cache_visit_forget(struct exchange *exchange);

/* transform_stage.c: what its target is to see of a request, while it has it. STAGE_ANSWERED: there
 * is too much of it. */
enum stage_result transform_lend(struct exchange *exchange);
/* Once it has answered. */
void transform_return(struct exchange *exchange);
/* Gives back what the exchange has of both. */
void transform_forget(struct exchange *exchange);
/* The body as its client has sent it. */
struct slice transform_own_body(const struct exchange *exchange);

/* cors.c: true after answering a preflight, which is not a request for any route; `methods` are
 * those of its path. */
bool cors_preflight(struct exchange *exchange, unsigned methods);
/* Whether it is a preflight that a policy of ours answers. */
bool cors_has_policy(const struct exchange *exchange);

/* The stages, in the order of gateway.c's table. */
enum stage_result stage_request_id(struct exchange *exchange);    /* request_id.c */
enum stage_result stage_address_limit(struct exchange *exchange); /* address_limit.c */
enum stage_result stage_route(struct exchange *exchange);         /* route.c */
enum stage_result stage_guard(struct exchange *exchange);         /* guard.c */
enum stage_result stage_authenticate(struct exchange *exchange);  /* authenticate.c */
enum stage_result stage_rate_limit(struct exchange *exchange);    /* rate_limit.c */
enum stage_result stage_body(struct exchange *exchange);          /* body.c */
enum stage_result stage_transform(struct exchange *exchange);     /* transform_stage.c */
enum stage_result stage_validate(struct exchange *exchange);      /* validate.c */
enum stage_result stage_idempotency(struct exchange *exchange);   /* idempotency.c */
enum stage_result stage_cache(struct exchange *exchange);         /* cache_stage.c */
enum stage_result stage_target(struct exchange *exchange);        /* target.c */

/* Run for every exchange after its answer stands, in this order. */
void stage_cache_end(struct exchange *exchange); /* first: it may give another answer */
void stage_idempotency_end(struct exchange *exchange);
void stage_rate_limit_end(struct exchange *exchange);
void stage_target_end(struct exchange *exchange);    /* target.c */
void stage_transform_end(struct exchange *exchange); /* transform_stage.c */
void stage_cors_end(struct exchange *exchange);      /* cors.c */
void stage_encode_end(struct exchange *exchange);    /* last: it changes the bytes */

#endif
