/* One answer made of several: the parts of a request are asked for at once, or behind those whose
 * values they need, and merged into one JSON object. Each part is a GET of its own, with the
 * caller's identity; no thread waits for it.
 *
 * A part's target is a path with a query, with places to be filled in: "/orders?limit=3",
 * "/users/{id}" ({id}: a parameter of the composed request's own path), "/shops/{profile.shop.id}"
 * (a member of an earlier part). Values are escaped; what is no string, number or boolean, or would
 * change the path's shape ("", ".", "..", or one with a slash), makes the part fail.
 *
 * The answer is 200 if all parts that are required are there, else 504 if one of them came too
 * late, else 502. X-Galley-Completed: true says that every part is; false, that some are missing
 * (X-Galley-Missing names them) or are replaced by their fallback. */
#ifndef GALLEY_SERVER_COMPOSE_COMPOSE_H
#define GALLEY_SERVER_COMPOSE_COMPOSE_H

#include "base/clock.h"
#include "server/http/message.h"

#define COMPOSE_PARTS_MAX 16
#define COMPOSE_PART_MAX  (1u << 20) /* bytes of a part's answer */

struct compose;

/* Strings are copied. */
struct compose_part {
    const char *name;     /* its member of the answer */
    const char *target;   /* see above */
    const char *fallback; /* JSON instead of a part that fails; NULL: none */
    bool optional;        /* the answer may be without it */
    int64_t timeout_ms;
    /* Who answers it: as a route's target; NULL: whoever answers requests to that path. */
    void (*call)(struct request *request, struct response *response, void *arg);
    void *arg;
};

struct compose_options {
    const struct compose_part *parts;
    unsigned count; /* 1 to COMPOSE_PARTS_MAX */
    bool flat;      /* the members of all parts in one object; where names are equal, the first */
    const struct clock *clock;
    /* As a front calls them (front.h), for parts that have no `call`. */
    void (*handle)(struct request *request, struct response *response, void *arg);
    void (*sent)(struct request *request, const struct response *response, const struct sent *sent,
                 void *arg);
    void *arg;
};

/* ERR_VALIDATION, with why, for a target that is none, names a part that is not before it, or a
 * fallback that is no JSON. */
enum err compose_create(const struct compose_options *options, struct compose **out, char *why,
                        size_t why_size);
/* No request is with it any more. NULL is fine. Sets NULL. */
void compose_destroy(struct compose **compose);

/* A route's target: `arg` is a struct compose. Threads: any. */
void compose_target(struct request *request, struct response *response, void *arg);

#endif
