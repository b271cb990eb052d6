/* Copies of requests, for an upstream that is to see what another one gets: a new version, say. The
 * answers are thrown away, and nothing that becomes of a copy is seen by who has sent the request.
 *
 * DESIGN. A route's target is wrapped: on its first call the request is copied, with its body if it
 * is small, and handed to a thread of its own, which serves copies as the front serves requests: it
 * calls upstream_target whenever what a copy awaits is ready. Copies are bounded in number, memory
 * and time; what is beyond is left out, and counted. */
#ifndef GALLEY_SERVER_UPSTREAM_MIRROR_H
#define GALLEY_SERVER_UPSTREAM_MIRROR_H

#include "server/upstream/upstream.h"

#define MIRROR_COPIES_MAX 256   /* under way at once, for all routes */
#define MIRROR_BODY_MAX   65536 /* of a request that is copied */

struct mirror;
struct mirrors;

struct mirrors *mirrors_create(void);
/* Nothing is being served any more. Ends what is under way. NULL is fine. Sets NULL. */
void mirrors_destroy(struct mirrors **mirrors);

struct mirror_options {
    struct mirrors *mirrors;
    struct upstream *upstream; /* that gets the copies */
    unsigned percent;          /* of the requests, evenly */
    /* That answers, with its arg, which is taken over on ERR_OK. */
    void (*target)(struct request *request, struct response *response, void *arg);
    void *arg;
    void (*drop)(void *arg); /* or NULL */
};

/* ERR_OVERLOADED: there is no thread to be had. */
enum err mirror_create(const struct mirror_options *options, struct mirror **out);

/* A route's target: arg is a struct mirror. Threads: any. */
void mirror_target(struct request *request, struct response *response, void *mirror);
void mirror_drop(void *mirror);

#endif
