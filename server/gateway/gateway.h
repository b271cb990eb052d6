/* The gateway: every request passes its stages, in order, until one answers.
 *
 * The stages are a table in gateway.c; each is one function in one file (exchange.h). What lasts
 * (the buckets of the limits, traffic, answers on record, keys in flight) is the gateway's; what
 * the configuration says (routes, limits) is a plan: immutable, and held by every request that
 * began with it until its answer was sent. Another plan takes its place while requests run: theirs
 * is dropped when the last of them is through. Threads: any, if nothing else is said. */
#ifndef GALLEY_SERVER_GATEWAY_GATEWAY_H
#define GALLEY_SERVER_GATEWAY_GATEWAY_H

#include "base/cidr.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/rate_limit.h"
#include "base/schema.h"
#include "server/http/condition.h"
#include "server/http/message.h"
#include "server/identity/jwt.h"
#include "server/identity/users.h"
#include "storage/store.h"

struct gateway;

/* ---- What lasts */

struct gateway_options {
    struct store *store;
    struct jwt *jwt;
    struct users *users; /* who may stop a token; NULL: nobody */
    const struct clock *clock;
    struct cache *cache; /* for answers of routes that say so; NULL: none are stored */
    /* A connection to ourselves, local and not blocking, for what is asked anew in the background;
     * -1 if there is none. NULL: nothing is. */
    int (*connect_inside)(void *arg);
    void *connect_arg;
    int64_t answers_keep_ms;    /* of requests with an Idempotency-Key; 0: 6 h */
    uint64_t answers_bytes_max; /* of the file, for all of them; 0: 1 GiB */
};

/* Its plan has no routes yet. Threads: main. */
enum err gateway_create(const struct gateway_options *options, struct gateway **out, char *why,
                        size_t why_size);

/* Nothing is being served any more. Threads: main. */
void gateway_destroy(struct gateway **gateway);

/* ---- The plan */

/* Where a route leads. Must answer (set response->status), or await its answer (request_await):
 * then it is called again. */
typedef void (*target_fn)(struct request *request, struct response *response, void *arg);

/* Where a route is served and to whom, apart from its token and limit. */
enum route_reach {
    REACH_ALL,    /* on every listener, to everybody */
    REACH_PUBLIC, /* but not on the administration's own listener */
    REACH_ADMIN,  /* there alone if there is one, and to the networks that may see it */
};

/* Which pages of other origins may read answers (cors.c). */
struct cors_options {
    const char *const *origins; /* "https://app.example.org", or with a star: see cors.c */
    unsigned origin_count;      /* 0: none */
    const char *const *methods; /* none: those that the path has */
    unsigned method_count;
    const char *const *headers; /* that requests may have */
    unsigned header_count;
    const char *const *expose; /* of answers, that the pages may see */
    unsigned expose_count;
    bool credentials;  /* cookies may be sent; not with "*" */
    int64_t max_age_s; /* that a browser need not ask again */
};

#define ROUTE_ROLES_MAX 16
#define ROUTE_TIERS_MAX 8

/* A limit for those who have a role. */
struct rate_tier {
    char role[33];
    struct rate_limit limit;
};

#define CACHE_KEYS_MAX 8

/* Whether answers of a route are stored for others who ask the same (RFC 9111). */
struct route_cache {
    bool enabled;
    int64_t ttl_s; /* of answers that do not say it; 0: only what may be guessed */
    int64_t stale_if_error_s, stale_while_revalidate_s; /* likewise; 0: not */
    /* What tells them apart besides the URL: "user", "header:NAME", "cookie:NAME"; copied. */
    const char *keys[CACHE_KEYS_MAX];
    unsigned key_count;
};

/* Who is denied, and, if it is not empty, who alone is allowed. */
struct address_lists {
    struct cidr_list allow, deny;
};

/* As condition_parse reads it. */
struct route_condition {
    enum condition_kind kind;
    const char *text;
};

struct respond;   /* respond.h */
struct transform; /* server/transform/transform.h */

/* Texts are copied and then live as long as the process. Which of several routes a request takes:
 * route_table.h. */
struct route_spec {
    enum method method;  /* HEAD is answered by GET's routes */
    const char *pattern; /* "/users/{id}", "/files/" and a final "*" for the rest */
    bool place;          /* "/files/" with its star is "/files" as well */
    bool any_method;     /* whatever `method` says */
    const char *host;    /* "api.example.org", "*.example.org" for all below; NULL: any */
    const struct route_condition *conditions; /* that all have to hold */
    unsigned condition_count;

    /* For people: */
    const char *label;    /* in metrics and logs; NULL: the pattern */
    const char *section;  /* of the configuration that says it; NULL: none */
    unsigned line;        /* where that begins */
    const char *leads_to; /* "app:shop"; or NULL */
    const char *takes;    /* the JSON Schema of its body as it is written; static; or NULL */

    bool signed_in;   /* a verified token is required */
    bool may_sign_in; /* a token is looked at if there is one, and then has to be good */
    /* Of which its user must have one, if there are any. */
    const char *roles[ROUTE_ROLES_MAX];
    unsigned role_count;
    bool idempotent_key; /* Idempotency-Key is honoured: the route writes in a transaction */
    const struct schema *schema; /* of the JSON body; NULL: none is expected */
    size_t body_max;          /* the body is gathered, up to so many bytes; 0: left to the target */
    uint64_t passed_body_max; /* of a body that is left to the target: request->body_max */
    int64_t timeout_ns;       /* that the target may take: request->target_ns; 0: as it says */
    enum priority priority;
    struct rate_limit limit; /* .count 0: none */
    /* The first whose role the user has is the limit instead. */
    struct rate_tier tiers[ROUTE_TIERS_MAX];
    unsigned tier_count;
    const char *limit_name; /* routes of one name share its buckets, over plans too; NULL: "" */
    enum route_reach reach;
    struct address_lists addresses; /* taken over */
    bool known_host;                /* only under hosts that the administration is known by */
    bool own; /* of the server itself (health, metrics, /_/): counted apart in the figures */
    const struct cors_options *cors; /* copied; NULL: nobody */
    struct route_cache cache;
    /* The path that the target sees: a pattern of the parameters of `pattern`; NULL: the path. */
    const char *rewrite;
    bool passes_path; /* the target goes by the path itself, and may read it in its own way */
    struct respond *fallback; /* when the target has no answer; taken over; or NULL (respond.h) */
    struct transform *transform; /* of its requests and answers; taken over; or NULL */
    target_fn target;
    void *arg;
    void (*drop)(void *arg); /* when no plan has the route any more; or NULL: arg lives longer */
};

/* Who may see routes of REACH_ADMIN. */
struct guard_options {
    struct cidr_list allow;   /* networks; taken over by plan_create on ERR_OK */
    const char *const *hosts; /* names besides localhost; addresses are always good; copied */
    unsigned host_count;
    unsigned listener; /* the administration's own, by its place among the front's; 0: none */
};

struct plan_options {
    const struct route_spec *routes; /* copied; schemas live longer than the plan, and args that
                                        nobody drops */
    unsigned route_count;
    struct address_lists addresses;  /* of all requests; taken over by plan_create on ERR_OK */
    struct rate_limit address_limit; /* of all that an address sends; .count 0: none */
    bool old_rate_headers;           /* X-RateLimit-* as well */
    bool development;                /* answers say what was tried */
    bool compress; /* text of at least so many bytes, for clients that take it so */
    size_t compress_min_bytes;
    size_t cached_body_max;          /* of an answer that is stored; 0: 1 MiB */
    const struct cors_options *cors; /* of answers that no route gives; copied; NULL: nobody */
    struct guard_options guard;
    struct cidr_list trusted; /* proxies that are believed; taken over on ERR_OK */
};

/* ERR_VALIDATION for a pattern, host or condition that is none, ERR_EXISTS for two routes that are
 * equal; why names them. Routes' args are taken over (drop) in any case. Threads: one at a time in
 * the process. */
enum err plan_create(struct gateway *gateway, const struct plan_options *options, struct plan **out,
                     char *why, size_t why_size);

/* Drops a plan that was never swapped in. Sets NULL. */
void plan_destroy(struct gateway *gateway, struct plan **plan);

/* From now on requests begin with this plan, which becomes the gateway's. Nobody waits for those
 * that hold the one before. Threads: one at a time. */
void gateway_swap(struct gateway *gateway, struct plan *plan);

/* ---- Serving */

/* Serves one request: fills the response, or leaves it unanswered when the body is not there yet
 * (status 0) or the answer comes later (request->awaiting): then it is to be called again.
 * gateway_sent has to follow. */
void gateway_handle(struct gateway *gateway, struct request *request, struct response *response);

/* As front.h's trusts and identify: of the present plan's trusted proxies. */
bool gateway_trusts(struct gateway *gateway, const struct in6_addr *peer);
enum err gateway_identify(struct gateway *gateway, struct request *request,
                          struct in6_addr *client);

/* As front.h's over_limit: counts what will be refused as one of its address. */
bool gateway_over_limit(struct gateway *gateway, const struct request *request,
                        struct response *response);

/* What its route says; what has no route matters little. Looks at the head alone. */
enum priority gateway_priority(struct gateway *gateway, const struct request *request);

/* After the answer has left, or failed to, also one that the front gave by itself: writes the
 * access line unless it is one of too many refusals, counts, and lets go of the request's plan. */
void gateway_sent(struct gateway *gateway, struct request *request, const struct response *response,
                  const struct sent *sent);

/* Who waits for another's answer gets 503 instead, from now on: before the front is closed. */
void gateway_stop_waiting(struct gateway *gateway);

/* Drops idempotency records that are too old or too many, a bounded number a call, and plans that
 * nobody holds any more. True if there is more to drop. Waits for a commit if it drops any.
 * Threads: one at a time, not the store's writer. */
bool gateway_sweep(struct gateway *gateway, int64_t now_ms);

/* Wakes who has waited too long for the answer to another request, which streams: once a second. */
void gateway_wake_waiting(struct gateway *gateway);

/* Logs how many refused requests got no access line since it was called last, if any: once a
 * second.
 */
void gateway_tell_refused(struct gateway *gateway);

/* ---- Stored answers */

enum purge_kind {
    PURGE_URL,    /* "https://host/path?query", or "/path?query" of all hosts */
    PURGE_PREFIX, /* the same up to a slash, perhaps with a star behind it; "/" is everything */
    PURGE_TAG,    /* one word of Cache-Tag or Surrogate-Key */
};

/* Voids what is stored under it, also for other users, variants and schemes, and what is being
 * fetched. ERR_VALIDATION for a text that is none of the kind. */
enum err gateway_purge(struct gateway *gateway, enum purge_kind kind, struct slice text);
uint64_t gateway_purges(const struct gateway *gateway);

/* What is stored under a URL, for people. */
struct gateway_stored {
    struct cache_value *value; /* held; the slices point into it */
    bool passes;               /* its answers are not stored */
    struct slice varies_by;    /* names of headers, if it has variants; the rest is 0 then */
    int status;
    int64_t age_s, ttl_s;
    size_t body_bytes;
    struct slice headers; /* lines */
};

/* Of a whole URL, "https://host/path?query", without what cache_key adds. False: there is nothing.
 * Else the value is to be released. */
bool gateway_look_up(struct gateway *gateway, struct slice url, struct gateway_stored *out);

/* ---- Figures */

/* What the response cache did for a request of a route that has one. */
enum cache_served {
    SERVED_HIT,
    SERVED_STALE,       /* while it was being fetched anew */
    SERVED_FOR_ERROR,   /* stale, as its origin failed */
    SERVED_REVALIDATED, /* after its origin said that it is still the same */
    SERVED_COLLAPSED,   /* with what another request had fetched */
    SERVED_STORED,      /* by its origin, and stored */
    SERVED_NOT_STORED,  /* by its origin */
    SERVED_BYPASS,      /* by its origin, as the request is not for a cache */
    SERVED_COUNT
};

/* The totals over all routes that are not the server's own, and over requests without a route:
 * answers by status class (index 1 to 5), and durations (ns). */
struct gateway_stats {
    uint64_t by_class[6];
    struct histogram_snapshot duration;
    uint64_t own; /* answers of the server's own routes */
};
void gateway_stats(struct gateway *gateway, struct gateway_stats *out);

/* What passed a route since the start. */
struct gateway_route {
    unsigned index; /* stays that of the route */
    enum method method;
    const char *pattern; /* for the life of the process; NULL: requests without a route */
    bool own;
    uint64_t by_status[600];
    uint64_t bytes;                     /* of bodies that were sent */
    uint64_t served[SERVED_COUNT];      /* by the response cache */
    struct histogram_snapshot duration; /* ns */
};

/* Shows each route that there ever was; the structure is valid during the call. */
typedef void (*gateway_route_fn)(const struct gateway_route *route, void *arg);
void gateway_each_route(struct gateway *gateway, gateway_route_fn each, void *arg);

/* One answer that somebody may ask about: slow, or an error. Not of the server's own routes. */
#define NOTABLE_PATH_MAX 160
#define NOTABLES_MAX     50 /* of each kind */
struct notable {
    int64_t at_ms;
    enum method method;
    const char *pattern;             /* as above; NULL: without a route */
    char path[NOTABLE_PATH_MAX + 1]; /* without the query; cut */
    char request_id[65];
    char user[PRINCIPAL_ID_MAX + 1];
    int status;
    uint64_t duration_ns;
};

/* Copies the slowest answers of the last hour, the slowest first, and the last errors (of 4xx those
 * with a route, and not all if there are many), the latest first. Return how many. */
unsigned gateway_slowest(struct gateway *gateway, struct notable out[NOTABLES_MAX]);
unsigned gateway_errors(struct gateway *gateway, struct notable out[NOTABLES_MAX]);

/* Access lines of refused requests that were not written (log_sampling.h). */
uint64_t gateway_lines_left_out(struct gateway *gateway);

/* route_table_write and route_table_write_try (route_show.h) of the present plan. */
void gateway_write_routes(struct gateway *gateway, struct json_writer *w);
void gateway_write_try(struct gateway *gateway, const struct request *request,
                       struct json_writer *w);

/* Empties the plans that nobody holds any more. Returns how many are in use: the present one, and
 * those that older requests still hold. */
unsigned gateway_plans(struct gateway *gateway);

/* The name of it in figures: "hit". */
const char *cache_served_name(enum cache_served served);

/* Appends galley_http_requests_total, galley_http_request_duration_seconds and
 * galley_response_cache_*. */
void gateway_metrics(struct gateway *gateway, struct buf *out);

/* ---- Verifying the answers that are kept for idempotency keys (storage/verify.h). */

struct answer_parts;
struct verifier;

/* Before threads start. */
enum err answer_parts_create(struct store *store, struct answer_parts **out);
void answer_parts_destroy(struct answer_parts **parts);
void answer_parts_add(struct answer_parts *parts, struct verifier *v);

#endif
