/* The front: sockets in, requests out. The only folder that knows civetweb.
 *
 * One worker thread serves one connection. The front reads the head (at most 64 fields and 16 KiB)
 * and the body (bounded) under deadlines, refuses every ambiguous framing, normalises the path,
 * calls the handler on the worker thread, and sends the response in one write.
 *
 * Slow and idle connections cannot starve the others: when an address is at its cap, or nearly all
 * workers are taken, the connection that has waited longest for its client is closed. */
#ifndef GALLEY_SERVER_FRONT_FRONT_H
#define GALLEY_SERVER_FRONT_FRONT_H

#include "base/clock.h"
#include "base/ticker.h"
#include "server/http/message.h"

struct front;

struct front_options {
    const char *address; /* "127.0.0.1", "::1", "0.0.0.0" */
    uint16_t port;       /* 0: any free one */
    unsigned workers;    /* threads at most, started as needed; each holds one connection */
    unsigned connections_per_address;
    int64_t head_timeout_ms; /* first byte of a request to the end of its head */
    int64_t body_timeout_ms; /* the whole body */
    int64_t idle_timeout_ms; /* between requests */
    size_t body_max_bytes;
    struct ticker *ticker;
    const struct clock *clock;
    /* Fills the response. Always called on a worker thread; must set response->status. */
    void (*handle)(struct request *request, struct response *response, void *arg);
    /* Told of answers that the front gave itself (malformed, too large, timeouts, OPTIONS *), for
     * the access log and metrics; request may lack everything but id, address and times. Called on
     * the thread that answered, which is the acceptor's where a connection gets no worker. */
    void (*refused)(const struct request *request, const struct response *response, void *arg);
    void *arg;
};

/* Listens and serves. On an error *out is NULL and why says what. Threads: main. */
enum err front_open(const struct front_options *options, struct front **out, char *why,
                    size_t why_size);

uint16_t front_port(const struct front *front);

/* Graceful stop: stops accepting, lets every request in flight be answered (Connection: close),
 * ends streams, closes idle connections, and returns when all are gone or after timeout_ms.
 * Returns the number of connections that had to be cut. Threads: main. */
unsigned front_drain(struct front *front, int64_t timeout_ms);

/* Stops the threads; after front_drain. Sets NULL. */
void front_close(struct front **front);

struct front_stats {
    unsigned workers, connections, busy; /* threads, open connections, requests being served */
    uint64_t accepted, evicted, refused;
    uint64_t bytes_in, bytes_out;
};

void front_stats(struct front *front, struct front_stats *out);

/* Nanoseconds that worker `i` has spent serving requests since start. */
uint64_t front_worker_busy_ns(struct front *front, unsigned i);

#endif
