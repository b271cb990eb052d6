/* What an upstream is made of. */
#ifndef GALLEY_SERVER_UPSTREAM_UPSTREAM_PRIVATE_H
#define GALLEY_SERVER_UPSTREAM_UPSTREAM_PRIVATE_H

#include "base/metrics.h"
#include "server/upstream/pool.h"
#include "server/upstream/sources.h"
#include "server/upstream/upstream.h"

/* What became of a request at a server. */
enum trip_outcome {
    TRIP_ANSWERED,
    TRIP_UNREACHABLE, /* no connection came about */
    TRIP_TIMEOUT,
    TRIP_MALFORMED, /* what came is no answer */
    TRIP_BROKEN,    /* the connection ended in between */
    TRIP_ABANDONED, /* the client has gone, or we stop */
    TRIP_OUTCOMES
};

const char *trip_outcome_name(enum trip_outcome outcome); /* "answered", ... */

/* A server, as long as the balancer knows it: its connections, and what came of them. */
struct server {
    struct upstream *upstream;
    LIST_ENTRY(server) link; /* guarded by the upstream's lock */
    struct server_address address;
    struct pool pool;
    struct counter *outcomes;            /* TRIP_OUTCOMES of them */
    struct counter *classes;             /* 6 of them: answers by their status / 100 */
    struct counter *bytes;               /* one: of bodies of answers */
    struct histogram *first_byte;        /* ns from asking to the head of the answer */
    _Atomic int64_t quiet_until_ns;      /* its failures are not logged */
    int64_t check_due_ns;                /* guarded by the upstream's lock; 0: not known yet */
    char check_said[UPSTREAM_SAID_SIZE]; /* likewise: what came of the last check, or "" */
};

/* What the configuration says of one upstream, immutable. */
struct upstream_settings {
    atomic_uint holders;
    unsigned generation; /* of connections: those of another are not used */
    int64_t connect_ns, first_byte_ns, whole_ns, queue_ns;
    unsigned keepalive;
    int64_t keepalive_ns;
    int64_t retry_delay_ns, retry_delay_max_ns;
    int64_t hedge_ns; /* 0: never */
    size_t retry_body_max;
    enum preface preface;
    bool hashes;
    struct client_tls *tls; /* or NULL */
    struct sources
        *sources; /* of its servers; what they find is guarded by upstreams_configuring() */
    int check;    /* the kind of struct upstream_check, and the rest of it */
    unsigned check_least, check_most;
    int64_t check_interval_ns, check_timeout_ns;
    char *check_path, *check_body; /* owned */
    char *check_host;              /* owned; "": the address of the server */
    char hash_key[128];
};

/* What became of requests that were to be copied for an upstream (mirror.h). */
enum mirrored {
    MIRRORED_SENT,
    MIRRORED_TOO_MANY, /* were under way */
    MIRRORED_UNFIT,    /* its body was too large, or without a length; or it was no HTTP alone */
    MIRRORED_COUNT
};

struct upstream {
    struct upstream *next; /* of the list of all, which only grows */
    const struct clock *clock;
    struct lock lock;
    struct upstream_settings *settings;  /* guarded by the lock; NULL: not configured */
    LIST_HEAD(, server) servers;         /* likewise */
    _Atomic(struct balancer *) balancer; /* from the first settings on, for good */
    _Atomic uint64_t mirrored[MIRRORED_COUNT];
    char name[];
};

/* What holds now, which stays what it is until upstream_settings_let_go; NULL: it is not
 * configured.
 */
struct upstream_settings *upstream_hold_settings(struct upstream *upstream);
void upstream_settings_let_go(struct upstream_settings *settings);

/* The list of all, or NULL. Threads: any. */
struct upstream *upstreams_first(struct upstreams *upstreams);

/* Held by whoever gives an upstream other servers or settings. */
struct lock *upstreams_configuring(struct upstreams *upstreams);
/* Gives it the servers that the settings' sources know. Threads: holds that lock. */
void upstream_apply(struct upstream *upstream, const struct upstream_settings *settings);

#endif
