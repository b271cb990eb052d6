/* One request and its answer over a channel, as a machine that never waits: each step goes as far
 * as it can and says for what to wait. Threads: one at a time. */
#ifndef GALLEY_SERVER_UPSTREAM_ROUNDTRIP_H
#define GALLEY_SERVER_UPSTREAM_ROUNDTRIP_H

#include "server/http/body.h"
#include "server/http/response_head.h"
#include "server/upstream/channel.h"

#define INTERIM_MAX 8 /* answers below 200 before the answer */

enum step {
    STEP_DONE,        /* the head is there; of a body: all of it */
    STEP_WANTS_READ,  /* again when the channel can be read */
    STEP_WANTS_WRITE, /* or written to, or read */
    STEP_WANTS_MORE,  /* of the request's body: fill channel->out anew (roundtrip_more) */
    STEP_FAILED,
};

/* How far it had come when it failed, or has come. */
enum stretch {
    STRETCH_CONNECT, /* there is no connection: the server has seen nothing */
    STRETCH_SEND,
    STRETCH_HEAD, /* sent, waiting for the answer */
    STRETCH_BODY, /* the head of the answer is there */
    STRETCH_OVER, /* all of it is */
};

struct roundtrip {
    struct channel *channel; /* not owned */
    enum method method;
    enum stretch stretch;
    bool more;      /* of the request follows what is in channel->out */
    bool upgrades;  /* 101 is an answer */
    bool began;     /* a byte of the answer has come */
    bool malformed; /* and what came is no answer */
    size_t sent;    /* of channel->out */
    struct head_scan scan;
    unsigned interim;
    /* Set behind _begin: called with the head of each answer from 102 to 199; or NULL. */
    void (*tell)(struct roundtrip *trip);
    size_t taken; /* of channel->in */
    struct body_decoder decoder;
    struct response_head head; /* from STRETCH_BODY on; fields point into channel->in */
};

/* Begins with a request in channel->out: all of it, or, with `more`, what there is so far. */
void roundtrip_begin(struct roundtrip *trip, struct channel *channel, enum method method,
                     bool more);

/* Goes on until the head of the answer is there (STEP_DONE). */
enum step roundtrip_step(struct roundtrip *trip);

/* channel->out has been sent and was filled anew, from `begin` on; `more`: something still follows.
 */
void roundtrip_more(struct roundtrip *trip, size_t begin, bool more);

/* Appends to `out` what there is of the answer's body, about `room` bytes at most. STEP_DONE: that
 * was the end. STEP_WANTS_READ: nothing more is there now; call again without waiting if `out` has
 * grown by `room`. */
enum step roundtrip_read(struct roundtrip *trip, struct buf *out, size_t room);

/* The next request may go over the same channel. */
bool roundtrip_is_clean(const struct roundtrip *trip);

#endif
