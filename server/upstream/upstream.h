/* Upstreams: servers that requests are passed on to. A request takes a kept-alive connection or
 * opens one, goes over it, and its answer comes back the same way: small ones whole, large ones as
 * they come. No thread waits for a server.
 *
 * An upstream exists by its name for as long as the process does, so that routes may point to it;
 * what the configuration says of it is taken over by upstreams_swap, and requests go on with what
 * held when they began. Threads: any, if nothing else is said. */
#ifndef GALLEY_SERVER_UPSTREAM_UPSTREAM_H
#define GALLEY_SERVER_UPSTREAM_UPSTREAM_H

#include "base/clock.h"
#include "base/metrics.h"
#include "server/balance/balancer.h"
#include "server/http/message.h"
#include "server/upstream/channel.h"

#include <netinet/in.h>

struct upstreams;
struct upstream;

/* How servers are asked whether they are well: checks.h. */
struct upstream_check {
    enum { UPSTREAM_CHECK_NO, UPSTREAM_CHECK_TCP, UPSTREAM_CHECK_HTTP } kind;
    const char *path;
    unsigned least, most; /* the status of one that is well */
    const char *body;     /* text of its answer, or "" */
    int64_t interval_ms, timeout_ms;
};

/* Servers behind a name. */
struct upstream_name {
    const char *name;
    uint16_t port;                    /* 0: the name is that of a service (SRV) */
    struct balancer_server_spec like; /* what they are but for their names */
};

/* What a server says of itself. */
struct upstream_registration {
    const char *address, *zone;
    unsigned weight;
    bool backup;
    int64_t ttl_ms; /* for so long, if it does not say so again; 0: it leaves */
};

struct upstream_options {
    struct balancer_settings
        balance; /* its name is that of the upstream; without open, close, arg */
    int64_t connect_timeout_ms;
    int64_t first_byte_timeout_ms; /* also between two pieces of an answer */
    int64_t timeout_ms;            /* from the whole request to the head of its answer */
    int64_t queue_timeout_ms;      /* of who waits for a place: balance.queue_max */
    unsigned keepalive;            /* unused connections to each server */
    int64_t keepalive_timeout_ms;
    int64_t retry_delay_ms, retry_delay_max_ms; /* before a server is asked again */
    int64_t hedge_after_ms;                     /* to another server, too; 0: never */
    size_t retry_body_max;                      /* bodies up to this are kept to be sent again */
    const char *hash_key; /* "address", "path", "header:NAME", "cookie:NAME" */
    bool tls;
    enum preface proxy_protocol; /* then each request has a connection of its own */
    struct upstream_check check;
    const struct upstream_name *names; /* beside the servers of `balance` */
    unsigned name_count;
    const struct sockaddr_in *resolver;   /* that they are looked up at; NULL: the system's */
    bool resolve_local;                   /* they may lead to loopback */
    const char *register_key;             /* with which servers register; "": they may not */
    const char *servers_file;             /* sources.h; "": none */
    struct client_tls_options client_tls; /* server_name "": the address of the first server */
};

struct upstreams *upstreams_create(const struct clock *clock);
/* Nothing is being served any more. */
void upstreams_destroy(struct upstreams **upstreams);

/* The one of that name, which answers 503 until it has been configured. */
struct upstream *upstreams_find(struct upstreams *upstreams, const char *name);

/* What a configuration says, made beside what is in use; what the options point to stays until it
 * is taken over or dropped. ERR_VALIDATION with why: an address that is not found, a file that
 * cannot be read. Looks names up: may block. */
struct upstream_set;
enum err upstreams_prepare(struct upstreams *upstreams, const struct upstream_options *options,
                           unsigned count, struct upstream_set **out, char *why, size_t why_size);
/* Takes it over: upstreams that are not in it have no servers any more. Sets NULL. Threads: one at
 * a time. */
void upstreams_swap(struct upstreams *upstreams, struct upstream_set **set);
/* Drops one that is not to be taken over. Sets NULL. */
void upstream_set_destroy(struct upstream_set **set);

/* registry.c: a server of that upstream comes, stays or leaves. ERR_NOT_FOUND: no such upstream, or
 * nobody may; ERR_UNAUTHENTICATED, ERR_VALIDATION (the address), ERR_LIMITED. Threads: any. */
enum err upstream_register(struct upstreams *upstreams, struct slice name, struct slice key,
                           const struct upstream_registration *said);

/* A route's target: `arg` is a struct upstream. */
void upstream_target(struct request *request, struct response *response, void *arg);

/* How its servers do; NULL: it has never had any. Lives as long as the upstreams. */
struct balancer *upstream_balancer(struct upstream *upstream);

/* Closes connections that have been idle too long: every few seconds. */
void upstreams_sweep(struct upstreams *upstreams);

/* ---- Looking (figures.c) */

/* Those that are configured. Borrows for the call. */
typedef void (*upstream_fn)(struct upstream *upstream, void *arg);
void upstreams_each(struct upstreams *upstreams, upstream_fn fn, void *arg);
const char *upstream_known_as(const struct upstream *upstream);

#define UPSTREAM_SAID_SIZE 64

#define UPSTREAM_CLASSES 6

/* What a server has answered since it is known. */
struct upstream_answers {
    uint64_t by_class[UPSTREAM_CLASSES];  /* by status / 100 */
    uint64_t bytes;                       /* of bodies */
    struct histogram_snapshot first_byte; /* ns from asking to the head of the answer */
};
void upstream_answers(struct upstream *upstream, const char *server_name,
                      struct upstream_answers *out);

/* What came of the last check of that server: "status 200"; "": there was none. */
void upstream_check_said(struct upstream *upstream, const char *server_name,
                         char out[UPSTREAM_SAID_SIZE]);

/* Appends what the balancers count: galley_upstream_up and others. */
void upstreams_balance_metrics(struct upstreams *upstreams, struct buf *out);

/* Appends galley_upstream_requests_total and galley_upstream_idle_connections. */
void upstreams_metrics(struct upstreams *upstreams, struct buf *out);

#endif
