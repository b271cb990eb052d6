/* A request's visit to the response cache: what cache_stage.c finds before its target is asked and
 * cache_answer.c needs when it has answered. */
#ifndef GALLEY_SERVER_GATEWAY_CACHE_VISIT_H
#define GALLEY_SERVER_GATEWAY_CACHE_VISIT_H

#include "server/gateway/exchange.h"
#include "server/gateway/gateway_private.h"

/* Why an answer is not, or not only, from here (RFC 9211 section 2.2). */
enum forwarded {
    FORWARDED_NOT,
    FORWARDED_URI_MISS,
    FORWARDED_VARY_MISS,
    FORWARDED_STALE,
    FORWARDED_REQUEST, /* the client insists */
    FORWARDED_BYPASS,  /* not for the cache */
};

/* Where an answer is going to be stored, or that it is not; moves on with one that streams. */
struct landing {
    struct gateway *gateway;
    struct flight *flight; /* or NULL */
    struct cache_lease
        *lease;     /* of the key's beginning `primary_len`, or of the variant; or NULL */
    struct buf key; /* of the primary key, and behind it the variant's */
    size_t primary_len;
    bool variant;     /* the key and the lease are a variant's: there is a signpost ... */
    struct buf names; /* ... with these names */
    uint64_t purges;
};

struct cache_visit {
    struct landing landing;
    struct flight_wait wait;
    unsigned waits; /* for others */
    bool alone;     /* nobody else's answer will do */
    bool passes;    /* what is stored says that nothing will be */
    bool collects;  /* the answer, as it streams, to be stored */
    bool refreshes; /* nobody waits for the answer: it is fetched to be stored */
    enum forwarded forwarded;
    struct cache_control asked;
    struct stored stale; /* that an answer may confirm or fail to replace; value NULL: none */
    int64_t asked_ms;
    bool validates;           /* our own conditions were sent */
    const struct header *own; /* the client's, while others are lent; or NULL */
    unsigned own_count;
    struct header *lent;
};

int64_t visit_now_ms(const struct exchange *exchange);

/* cache_stage.c: the key of a variant behind the primary one. */
void visit_set_variant(struct landing *landing, uint64_t generation, struct slice names,
                       const struct request *request);

/* ---- cache_answer.c */

/* Answers from what is stored, which the response holds from now on. */
void visit_answer(struct exchange *exchange, struct stored *stored, enum cache_served served);

/* ---- cache_landing.c: storing, at once or at the end of a stream. */

/* What has been decided of an answer, apart from its bytes. */
struct landing_plan {
    int status;
    bool passed_on, validator;
    bool discards; /* a stream is for nobody else */
    struct caching caching;
    struct slice fields, tags, names;
    const struct request *request;
};

/* Takes the landing over: stores the body, or drops it. True if it is stored. */
bool landing_store(struct landing *landing, const struct landing_plan *plan, struct slice body,
                   int64_t now_ms);

/* Stores what the response's feed will feed, if it ends well and is not too large. Takes the
 * landing over. False: it is not going to be. */
bool landing_collect(struct landing *landing, const struct landing_plan *plan,
                     struct response *response, int64_t now_ms);

/* Nothing is stored: who waits goes alone. */
void landing_drop(struct landing *landing);

#endif
