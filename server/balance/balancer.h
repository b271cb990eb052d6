/* Which server of an upstream gets a request, and what is learned from what becomes of it.
 *
 * A balancer knows the servers of one upstream: their shares, zones, requests in flight, health.
 * There are no sockets here and no clock: time is a parameter, in nanoseconds of the monotonic
 * clock. The state of a server lives beside it and survives balancer_configure as long as its
 * address stays. A request goes through enter → (pick → ended) once or, with balancer_retry, some
 * more times → leave. Threads: any; a balancer has one lock, which no call holds for longer than a
 * walk over its servers. */
#ifndef GALLEY_SERVER_BALANCE_BALANCER_H
#define GALLEY_SERVER_BALANCE_BALANCER_H

#include "base/slice.h"

#include <sys/queue.h>

#define BALANCER_SERVERS_MAX 256
#define BALANCER_TRIES_MAX   11 /* the first and ten retries */
#define BALANCER_NAME_SIZE   160
#define BALANCER_ZONE_SIZE   33

struct balancer;
struct balancer_server;

/* ---- What it is made of */

enum balancer_algorithm {
    BALANCER_ROUND_ROBIN, /* by weight in turn, smoothly */
    BALANCER_LEAST_CONN,  /* the fewest requests in flight for its weight */
    BALANCER_RANDOM,      /* two at random, of them the one with fewer */
    BALANCER_HASH,        /* the same for the same hash, unless that has too many */
    BALANCER_EWMA,        /* the least latency, times those in flight */
};

struct balancer_server_spec {
    const char *name; /* its address, by which it is known again; shorter than BALANCER_NAME_SIZE */
    unsigned weight;  /* 1 to 1000 */
    const char *zone; /* or "" */
    bool backup;
    unsigned max_conns; /* requests at once; 0: any number */
    unsigned max_fails; /* within the time that take it out for that time; 0: never */
    int64_t fail_timeout_ns;
};

/* All times in nanoseconds. Strings are copied. */
struct balancer_settings {
    const char *name; /* of the upstream, for the log */
    enum balancer_algorithm algorithm;
    const char *zone; /* ours: its servers come first; or "" */
    const struct balancer_server_spec *servers;
    unsigned server_count;

    unsigned check_rise, check_fall; /* checks in a row; check_rise 0: there are none */
    unsigned outlier_errors;         /* in a row; 0: never */
    int64_t outlier_time_ns, outlier_time_max_ns;
    unsigned outlier_percent;
    int64_t slow_start_ns;

    unsigned retries;         /* for each request, at most BALANCER_TRIES_MAX - 1 */
    unsigned retry_percent;   /* of the requests of ten seconds */
    unsigned breaker_percent; /* 0: it never opens */
    unsigned breaker_requests;
    int64_t breaker_window_ns, breaker_time_ns;
    unsigned breaker_probes;
    unsigned requests_max; /* in flight, in all, but for those that stream */
    unsigned client_max;   /* of them, and of those that wait, of one client; 0: all */
    unsigned queue_max;    /* that wait for one of them to end; 0: none */

    /* What the caller keeps with each server, a pool of connections say: made when a server comes,
     * closed when it has gone and its last request has ended, without a lock held. Or NULL. */
    void *(*open)(const struct balancer_server_spec *spec, void *arg);
    void (*close)(void *data);
    void *arg; /* for open */
};

struct balancer *balancer_create(const struct balancer_settings *settings, int64_t now_ns);

/* Goes on with other settings: servers of the same name keep their state, new ones start slowly,
 * others are gone once their requests have ended. Threads: one at a time. */
void balancer_configure(struct balancer *balancer, const struct balancer_settings *settings,
                        int64_t now_ns);

/* No request is in it any more. */
void balancer_destroy(struct balancer **balancer);

/* ---- A request */

/* One that waits for a place. */
struct balancer_waiter {
    TAILQ_ENTRY(balancer_waiter) link;
    enum { BALANCER_NOWHERE, BALANCER_AT_DOOR, BALANCER_AT_SERVERS } at;
    uint64_t number; /* the order in which they came; 0: it has not waited yet */
    bool called;     /* a place was free, and it has not looked yet */
    /* Set by the caller who can wait: try again, from another thread, with a lock held; or NULL. */
    void (*wake)(struct balancer_waiter *waiter);
};

struct balancer_request {
    uint64_t hash;   /* set by the caller: of what BALANCER_HASH goes by, */
    uint64_t client; /* and of who asks; 0: nobody whom client_max is about */
    struct balancer_waiter waiter;
    bool in;      /* it has entered */
    bool counted; /* as one of its client's */
    uint32_t tried[BALANCER_TRIES_MAX];
    unsigned tried_count;
    uint32_t probe; /* not 0: it was let through to see whether the breaker may close */
    bool streams;   /* balancer_streams was told so */
};

enum balancer_verdict {
    BALANCER_OK,
    BALANCER_OPEN, /* the breaker is */
    BALANCER_FULL, /* too many requests are in flight, in all or at every server */
    BALANCER_NONE, /* every server is drained */
    BALANCER_MUCH, /* the client has its share of requests in flight */
    BALANCER_WAIT, /* too many requests are in flight, but this one may wait for its turn */
};

/* Begins a request; with OK it has to leave. The caller zeroes *request but for its hash and
 * client. With WAIT it stands in the queue until it is woken, for which it calls again; if it has
 * no `wake` yet it is to get one, and to call again at once. Who does not want to wait any longer
 * calls balancer_unwait. So with balancer_pick. */
enum balancer_verdict balancer_enter(struct balancer *balancer, struct balancer_request *request,
                                     int64_t now_ns);

/* Chooses a server, which has a request in flight until balancer_ended. Of those that can be asked
 * it is one that has not been tried, in our own zone before others, then a backup, then, so that
 * nothing is lost that could be answered, one that counts as failing. With `again` it has been
 * tried: wait before asking it. */
enum balancer_verdict balancer_pick(struct balancer *balancer, struct balancer_request *request,
                                    int64_t now_ns, struct balancer_server **server, bool *again);

/* It waits no more, nor is it woken after this. Also if it does not wait. Its end has to follow, by
 * balancer_leave only if it had been let in. `late`: it has waited long enough. */
void balancer_unwait(struct balancer *balancer, struct balancer_request *request, bool late);

/* What became of it. */
enum balancer_outcome {
    BALANCER_ANSWERED,
    BALANCER_SERVER_ERROR, /* it answered with 500 or above */
    BALANCER_FAILED,       /* it could not be reached, or did not answer, or not as HTTP */
    BALANCER_ABANDONED,    /* that is not known: the client has gone */
};

/* `latency_ns`: until the head of its answer, or until it failed. The server may be gone after. */
void balancer_ended(struct balancer *balancer, struct balancer_server *server,
                    enum balancer_outcome outcome, int64_t latency_ns, int64_t now_ns);

/* True if the request, which may be repeated, may be sent once more: it has retries left, and so
 * has the budget, which it takes from. */
bool balancer_retry(struct balancer *balancer, struct balancer_request *request, int64_t now_ns);

/* As balancer_pick for a second try beside one that is under way: of a server that has not been
 * tried and does not fail, within the budget of retries. NULL: there is none. */
struct balancer_server *balancer_hedge(struct balancer *balancer, struct balancer_request *request,
                                       int64_t now_ns);

/* Its answer goes on at the pace of its client: it is in flight at its server still, but takes no
 * place of requests_max any more, or a few slow clients would take all. Once. */
void balancer_streams(struct balancer *balancer, struct balancer_request *request);

/* Ends a request with what became of the last try. */
void balancer_leave(struct balancer *balancer, struct balancer_request *request,
                    enum balancer_outcome outcome, int64_t now_ns);

/* ---- A server that was picked */

const char *balancer_server_name(const struct balancer_server *server);
void *balancer_server_data(const struct balancer_server *server);

/* ---- What is done to servers. False: there is none of that name. */

/* A check has succeeded or failed. */
bool balancer_checked(struct balancer *balancer, const char *name, bool well, int64_t now_ns);
/* It gets no new requests, or again some. */
bool balancer_drain(struct balancer *balancer, const char *name, bool drain, int64_t now_ns);
/* Another weight until the configured one changes; 0: the configured one. */
bool balancer_set_weight(struct balancer *balancer, const char *name, unsigned weight);

/* ---- Figures */

enum balancer_state {
    BALANCER_UP,
    BALANCER_STARTING, /* slowly */
    BALANCER_DRAINED,
    BALANCER_FAILING, /* max_fails */
    BALANCER_EJECTED, /* an outlier */
    BALANCER_DOWN,    /* its checks fail */
};

const char *balancer_state_name(enum balancer_state state); /* "up", ... */

struct balancer_server_figures {
    char name[BALANCER_NAME_SIZE];
    char zone[BALANCER_ZONE_SIZE];
    bool backup;
    unsigned weight, configured_weight;
    enum balancer_state state;
    int64_t until_ns; /* of FAILING, EJECTED and STARTING; else 0 */
    unsigned in_flight;
    uint64_t requests; /* that have ended; so the others */
    uint64_t errors;   /* 500 and above */
    uint64_t failures;
    uint64_t ejections;
    int64_t latency_ns; /* of late */
};

/* Copies those of up to `room` servers, in the order of the configuration, and returns how many
 * there are. */
unsigned balancer_servers(struct balancer *balancer, int64_t now_ns,
                          struct balancer_server_figures *out, unsigned room);

enum balancer_breaker { BALANCER_CLOSED, BALANCER_HALF_OPEN, BALANCER_OPENED };

const char *balancer_breaker_name(enum balancer_breaker state); /* "closed", ... */

struct balancer_figures {
    enum balancer_breaker breaker;
    int64_t breaker_until_ns; /* of OPENED */
    unsigned in_flight;
    uint64_t requests; /* that have entered */
    uint64_t refused_open, refused_full;
    uint64_t refused_much; /* of clients that had their share */
    unsigned queued;       /* that wait for their turn */
    uint64_t waited;       /* that had to */
    uint64_t waited_late;  /* in vain */
    uint64_t retries;
    uint64_t retries_denied; /* by the budget */
    uint64_t hedges;
};

void balancer_figures(struct balancer *balancer, int64_t now_ns, struct balancer_figures *out);

#endif
