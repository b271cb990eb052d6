/* The front: sockets in, requests out. The only folder that knows civetweb.
 *
 * A connection that waits (for a request, for its client to take an answer, for news of a feed)
 * holds no thread: the hub, one thread, watches all of them and hands a connection to the workers
 * when it has something to say. A worker reads the head (at most 64 fields and 16 KiB), refuses
 * every ambiguous framing, normalises the path and calls the handler, which pulls the body if it
 * wants one; the answer goes out in one write.
 *
 * Slow and idle connections cannot starve the others: they hold no worker, and when the front is
 * full the connection that has waited longest for its client is closed. Those that wait for a
 * worker take turns by client address; who waits too long gets 503; a few workers are kept for what
 * is critical (health, metrics, administration). */
#ifndef GALLEY_SERVER_FRONT_FRONT_H
#define GALLEY_SERVER_FRONT_FRONT_H

#include "base/clock.h"
#include "base/ip.h"
#include "base/ticker.h"
#include "server/front/tls.h"
#include "server/http/message.h"

struct front;

#define FRONT_LISTENERS_MAX 32

/* A place that connections come to. Strings are copied. */
struct front_listener {
    const char *address; /* "127.0.0.1:8080", "[::1]:0", "unix:/path" */
    struct tls *tls;     /* held by the front; NULL: HTTP as it is */
    bool proxy_protocol; /* connections begin with its header, and come from trusted peers alone */
    bool local;          /* the control socket: whoever can open it may do everything */
};

struct front_options {
    const struct front_listener *listeners; /* at least one */
    unsigned listener_count;
    unsigned connections; /* open at once, at most */
    unsigned connections_per_address;
    unsigned workers;              /* threads at most, started as needed */
    unsigned requests_per_address; /* handlers that run at once for one */
    int64_t queue_timeout_ms;      /* who waits longer for a worker gets 503 */
    int64_t head_timeout_ms;       /* first byte of a request to the end of its head */
    int64_t body_timeout_ms;       /* since the last bytes of a body came, or of an answer went */
    int64_t idle_timeout_ms;       /* between requests */
    uint64_t body_rate;            /* bytes/s that a body must keep up, and who takes an answer */
    uint64_t body_memory;          /* bytes that all gathered bodies may take together */
    struct ticker *ticker;
    const struct clock *clock;
    /* Fills the response; must set response->status, or have found that the body is not whole yet
     * (request_body_gather): then it is called again when more has come. Threads: workers. */
    void (*handle)(struct request *request, struct response *response, void *arg);
    /* Told of every answer once it has left or failed to: also of those that the front gave itself
     * (malformed, too large, timeouts, overload, OPTIONS *), where request->route is NULL and the
     * request may lack everything but id, address and times. Must not block. Threads: any of the
     * front's. */
    void (*sent)(struct request *request, const struct response *response, const struct sent *sent,
                 void *arg);
    /* May this peer say whom it speaks for (PROXY protocol)? NULL: nobody. */
    bool (*trusts)(const struct in6_addr *peer, void *arg);
    /* Finds out whose request it is, of what stands in its head: fills *client (the peer before),
     * request->peer_trusted and ->secure. ERR_MALFORMED refuses it. NULL: the peer's. */
    enum err (*identify)(struct request *request, struct in6_addr *client, void *arg);
    /* Asked before the front refuses a request for what it is (malformed, too large, too slow):
     * true if its address sends too much, and it has been answered so. NULL: never. Threads: any of
     * the front's. */
    bool (*over_limit)(const struct request *request, struct response *response, void *arg);
    /* How much a request matters when there are too many; asked only then. NULL: all the same. */
    enum priority (*priority)(const struct request *request, void *arg);
    void *arg;
};

/* Makes a front that does not listen yet. Never NULL. Threads: main. */
struct front *front_create(const struct front_options *options);

/* Binds its sockets; connections wait in the system's queue. On an error why says what, and the
 * front can only be closed. Threads: main, once. */
enum err front_listen(struct front *front, char *why, size_t why_size);

/* Serves what comes: from here on handlers run. Threads: main, once, after front_listen. */
void front_serve(struct front *front);

/* The port of the `i`th listener, as bound; 0 for a Unix socket. */
uint16_t front_port(const struct front *front, unsigned i);

struct front_drained {
    unsigned cut;      /* connections that had to be cut */
    unsigned running;  /* handlers that have not come back: front_close would wait for them */
    int64_t oldest_ms; /* for how long the oldest of them has run */
};

/* Graceful stop: stops accepting, lets every request in flight be answered (Connection: close),
 * ends feeds, closes idle connections, and returns when all are gone or after timeout_ms, with what
 * was left cut. Threads: main. */
void front_drain(struct front *front, int64_t timeout_ms, struct front_drained *out);

/* Stops the threads and frees everything; after front_drain. NULL is fine. Sets NULL. */
void front_close(struct front **front);

struct front_stats {
    unsigned workers, workers_max; /* threads, and what they may be (without the reserved) */
    unsigned connections, busy;    /* open; requests being served */
    unsigned awaited;              /* requests whose answer comes later, without a worker */
    unsigned queued;               /* connections that wait for a worker */
    unsigned feeds;
    uint64_t accepted, evicted, refused;
    uint64_t shed; /* of those refused: for want of a worker, or of a place */
    uint64_t bytes_in, bytes_out;
    uint64_t body_bytes; /* of gathered bodies, now */
};

void front_stats(struct front *front, struct front_stats *out);

/* Nanoseconds that worker `i` (below workers_max) has spent serving requests since start. */
uint64_t front_worker_busy_ns(struct front *front, unsigned i);

#endif
