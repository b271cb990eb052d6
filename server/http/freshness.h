/* What RFC 9111 allows a shared cache: whether an answer may be kept, for how long it is fresh, how
 * old it is, and whether it will do for a request. Pure; times are monotonic milliseconds but where
 * "wall" is said. Threads: any. */
#ifndef GALLEY_SERVER_HTTP_FRESHNESS_H
#define GALLEY_SERVER_HTTP_FRESHNESS_H

#include "server/http/cache_control.h"
#include "server/http/fields.h"

/* What a route says where its origin says nothing. */
struct cache_policy {
    int64_t ttl_s; /* of answers without a word about it; 0: heuristics (RFC 9111 section 4.2.2) */
    int64_t stale_if_error_s, stale_while_revalidate_s; /* likewise; 0: not */
    bool per_user; /* its keys have the user in them: what one may see no other gets */
};

/* A request and its answer, as its origin gave it. */
struct answered {
    const struct request *request; /* a GET */
    int status;
    const struct fields *fields;
    int64_t asked_ms, answered_ms;
    int64_t answered_wall_ms;
};

/* What an answer says about being kept, worked out once. Fixed in size: it is stored as it is. */
struct caching {
    int64_t born_ms; /* when its age was 0 */
    int64_t lifetime_s;
    int64_t stale_while_revalidate_s; /* from the end of its lifetime on; 0: not */
    int64_t stale_if_error_s;
    bool validate_always; /* no-cache */
    bool never_stale;     /* must-revalidate, or s-maxage without a word about being stale */
};

/* Why an answer may not be kept, or that it may. */
enum storable {
    STORABLE,
    NOT_STATUS, /* of no whole answer, or not understood though it must be */
    NOT_NO_STORE,
    NOT_PRIVATE,
    NOT_ASKED,  /* its request's no-store, or credentials, and nothing says that it is for all */
    NOT_COOKIE, /* it sets one, and nothing says that it is for all */
    NOT_VARY,   /* Vary: * */
    NOT_SAID,   /* no freshness, no validator: it could never be used */
    STORABLE_COUNT
};

/* Always fills *out. */
enum storable caching_read(const struct answered *answered, const struct cache_policy *policy,
                           struct caching *out);

int64_t caching_age_s(const struct caching *caching, int64_t now_ms);

/* Until it is stale; below 0: since. */
int64_t caching_ttl_s(const struct caching *caching, int64_t now_ms);

enum reuse {
    REUSE,             /* as it is */
    REUSE_AND_REFRESH, /* and ask the origin meanwhile: stale-while-revalidate */
    REVALIDATE,        /* first ask whether it is still the same */
};

/* Whether a stored answer will do for a request with these directives. */
enum reuse caching_judge(const struct caching *caching, const struct cache_control *request,
                         int64_t now_ms);

/* True if it may stand in for an origin that fails. */
bool caching_survives_error(const struct caching *caching, const struct cache_control *request,
                            int64_t now_ms);

/* The directives of a request; Pragma: no-cache counts where there is no Cache-Control. */
void cache_control_of_request(const struct request *request, struct cache_control *out);

/* The answer of a 304 about `stored`: its fields take the place of those stored, but for those that
 * describe the bytes (Content-Length, -Encoding, -Range, -MD5, ETag). False when there are too
 * many. Slices stay whose they are. */
bool fields_freshen(struct fields *stored, const struct fields *fresh);

#endif
