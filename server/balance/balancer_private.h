/* DESIGN. A pick walks the servers once and gives each a class: those of our zone, others, backups,
 * those that are failing, each again for the tried. The lowest class that has anybody is chosen
 * from by the algorithm: fail-over and fail-back are no events but what the classes are at the
 * moment. A time out (max_fails, an ejection) is the moment at which it ends, and so is a slow
 * start: there are no timers. What a breaker and a budget count lies in ten buckets each.
 *
 * balancer.c: making, configuring, a request's way. health.c: who can be asked, and what is
 * learned. choose.c: the algorithms; ring.c: that of BALANCER_HASH. breaker.c: breaker and budget.
 * share.c: what one client has of it. queue.c: who waits for a place.
 * window.c: counts of late. figures.c: who looks, and what administrators do. */
#ifndef GALLEY_SERVER_BALANCE_PRIVATE_H
#define GALLEY_SERVER_BALANCE_PRIVATE_H

#include "base/lock.h"
#include "server/balance/balancer.h"

#define SECOND_NS INT64_C(1000000000)

/* ---- window.c */

enum window_kind { WINDOW_REQUESTS, WINDOW_FAILURES, WINDOW_RETRIES, WINDOW_KINDS };
#define WINDOW_BUCKETS 10

/* Zeroed but for bucket_ns: empty. */
struct window {
    int64_t bucket_ns; /* a tenth of what it looks back */
    int64_t newest;    /* the number of the newest bucket since the clock began */
    uint32_t counts[WINDOW_BUCKETS][WINDOW_KINDS];
};

void window_add(struct window *window, enum window_kind kind, int64_t now_ns);
uint64_t window_sum(struct window *window, enum window_kind kind, int64_t now_ns);
void window_clear(struct window *window);

/* ---- share.c: how many requests each client has, in bounded memory: two counts by different bits
 * of a keyed hash, the lesser of which is at least the client's own, and seldom more. */

#define SHARE_COUNTS 1024

struct share_counts {
    uint32_t counts[2][SHARE_COUNTS];
};

unsigned share_of(const struct share_counts *shares, uint64_t client);
void share_add(struct share_counts *shares, struct balancer_request *request);
void share_remove(struct share_counts *shares, struct balancer_request *request);

/* ---- The parts of a balancer; all is guarded by its lock unless said otherwise. */

struct balancer_server {
    char name[BALANCER_NAME_SIZE]; /* constant */
    uint32_t id;                   /* constant, never 0 */
    void *data;                    /* constant */
    void (*close)(void *data);     /* constant */

    unsigned configured_weight;
    unsigned weight; /* that holds: the configured one, or an administrator's */
    char zone[BALANCER_ZONE_SIZE];
    bool backup;
    unsigned max_conns, max_fails;
    int64_t fail_timeout_ns;

    bool gone; /* no longer of the upstream: freed with its last request */
    bool drained;
    unsigned in_flight;
    int64_t turn; /* round robin's "current weight" */

    bool down;              /* its checks fail */
    unsigned checks_in_row; /* that say otherwise */
    unsigned fails;         /* since fails_since_ns */
    int64_t fails_since_ns;
    int64_t failing_until_ns;
    unsigned errors_in_row;
    unsigned ejections_in_row;
    int64_t ejected_until_ns;
    int64_t start_ns; /* a slow start begins, or began; 0: it has had its whole share always */

    double latency_ns; /* peak EWMA; 0: not known */
    int64_t latency_at_ns;

    uint64_t requests, errors, failures, ejections;
};

/* A point of the ring belongs to a server; sorted by hash. */
struct ring_point {
    uint64_t hash;
    unsigned server; /* its place among the balancer's */
};

struct balancer {
    struct lock lock;
    struct balancer_settings settings; /* its name and zone point behind, its servers are NULL */
    char name[80], zone[BALANCER_ZONE_SIZE];

    struct balancer_server *servers[BALANCER_SERVERS_MAX];
    unsigned server_count;
    uint32_t next_id;
    uint64_t random; /* the state of a generator, never 0 */

    struct ring_point *ring; /* of BALANCER_HASH, or NULL */
    unsigned *ring_index;    /* where to look for a hash: ring.c */
    unsigned ring_count;

    struct window budget;
    struct window breaker_window;
    enum balancer_breaker breaker;
    int64_t breaker_until_ns;
    uint32_t probe; /* the number of the present half-open phase */
    unsigned probes_let, probes_ok;

    unsigned in_flight, streaming; /* the one or the other */
    uint64_t requests, refused_open, refused_full, refused_much, retries, retries_denied;

    struct share_counts shares;
    TAILQ_HEAD(balancer_queue, balancer_waiter) door, at_servers;
    unsigned queued;
    uint64_t waited, waited_late, hedges;
};

/* ---- health.c. Threads: holds the lock. */

/* Who is asked first; the tried come behind all others in the same order. */
enum class {
    CLASS_ZONE,
    CLASS_ELSEWHERE,
    CLASS_BACKUP,
    CLASS_FAILING,
    CLASS_DOWN,
    CLASS_COUNT,
    CLASS_NEVER = 2 * CLASS_COUNT, /* drained, or full */
};

unsigned server_class(const struct balancer *balancer, const struct balancer_server *server,
                      int64_t now_ns);
/* Its weight times 256, less while it starts slowly. */
int64_t server_share(const struct balancer *balancer, const struct balancer_server *server,
                     int64_t now_ns);
enum balancer_state server_state(const struct balancer *balancer,
                                 const struct balancer_server *server, int64_t now_ns);
void server_learn(struct balancer *balancer, struct balancer_server *server,
                  enum balancer_outcome outcome, int64_t latency_ns, int64_t now_ns);
/* There are no checks, or no more: it is down for none of them. */
void server_uncheck(struct balancer *balancer, struct balancer_server *server, int64_t now_ns);
/* What its latency has come down to by now; 0: not known. */
double server_latency(const struct balancer_server *server, int64_t now_ns);

/* ---- choose.c. Threads: holds the lock. */

/* Those to choose from; there is one at least. */
struct choice {
    struct balancer_server *servers[BALANCER_SERVERS_MAX];
    int64_t shares[BALANCER_SERVERS_MAX]; /* server_share() of each */
    unsigned count;
    uint64_t hash;
    int64_t now_ns;
};

/* Fills in the shares, and may leave some out. */
struct balancer_server *choose(struct balancer *balancer, struct choice *choice);

/* ---- ring.c. Threads: holds the lock. */

void ring_build(struct balancer *balancer);
void ring_release(struct balancer *balancer); /* also without the lock, when nobody is left */
struct balancer_server *ring_choose(struct balancer *balancer, struct choice *choice);

/* ---- breaker.c. Threads: holds the lock. */

bool breaker_lets(struct balancer *balancer, struct balancer_request *request, int64_t now_ns);
void breaker_learn(struct balancer *balancer, const struct balancer_request *request,
                   enum balancer_outcome outcome, int64_t now_ns);
bool budget_take(struct balancer *balancer, int64_t now_ns);

/* ---- queue.c. Threads: holds the lock. */

/* Whether others came before. */
bool queue_is_before(const struct balancer *balancer, const struct balancer_request *request,
                     int at);
/* WAIT, or FULL if there is no room. */
enum balancer_verdict queue_join(struct balancer *balancer, struct balancer_request *request,
                                 int at);
/* It has come to where it waited for. */
void queue_pass(struct balancer_request *request);
/* A place is free: the first may look. */
void queue_call(struct balancer *balancer, int at);
/* Perhaps many are. */
void queue_call_all(struct balancer *balancer);

/* ---- balancer.c */

/* NULL if there is none. Threads: holds the lock. */
struct balancer_server *balancer_find(const struct balancer *balancer, const char *name);

#endif
