/* A request on its way through us: what it has come to, between two calls of its handler. */
#ifndef GALLEY_SERVER_UPSTREAM_PROXIED_PRIVATE_H
#define GALLEY_SERVER_UPSTREAM_PROXIED_PRIVATE_H

#include "server/upstream/forward.h"
#include "server/upstream/roundtrip.h"
#include "server/upstream/upstream_private.h"

/* Fields behind the body of an answer. */
struct trailers {
    struct buf announced; /* names, by the head */
    struct buf lines;     /* as they came */
    struct buf passed;    /* of them those that go on */
};

struct proxied {
    struct upstream *upstream;
    struct upstream_settings *settings; /* held; NULL: none */
    struct request *request;
    struct response *response;
    enum {
        PROXIED_GATHER,  /* the body, if it is small */
        PROXIED_ENTER,   /* among the requests of its upstream */
        PROXIED_PICK,    /* a server */
        PROXIED_DELAY,   /* before the same server is asked again */
        PROXIED_CONNECT, /* takes a connection to it */
        PROXIED_TRIP,    /* until the head of the answer is there */
        PROXIED_COLLECT, /* until all of it is, if it is small */
    } state;
    bool awaits;  /* a descriptor */
    bool cut;     /* what it awaited took too long */
    bool entered; /* the balancer */
    bool queued;  /* there, for a place */
    int bell_fd;  /* rung when there is one; or -1 */
    int64_t queue_until_ns;
    bool streams;          /* the body is sent as it comes */
    bool pulled;           /* and some of it has been taken */
    bool fresh;            /* the next connection is to be a new one */
    int timer_fd;          /* or -1 */
    uint64_t answer_bytes; /* of the body that has come */
    uint64_t body_bytes;   /* of a body that streams */
    int64_t started_ns;    /* when all of the request was there; its answer is due from then on */
    int64_t began_ns;      /* the present try */
    int64_t head_ns;       /* and its answer; 0: not yet */
    int64_t until_ns;      /* the present stretch of it is due */
    enum stretch at;       /* which it is */
    struct balancer_request balance;
    struct balancer_server *picked; /* or NULL */
    enum balancer_outcome last;     /* of the last try */
    struct channel *channel;        /* or NULL */
    struct hedge *hedge;            /* or NULL */
    bool hedged;                    /* there has been a second try, or is not to be one */
    int64_t due_ns;                 /* the present try is, with a hedge; 0: that is not known */
    struct trailers *trailers;      /* that are passed on; or NULL */
    struct buf prefix;              /* of an answer that streams: what has come already */
    struct roundtrip trip;          /* last: its head is not cleared */
};

/* ---- tries.c: one server after the other. */

/* What came of entering and picking. */
enum entry {
    ENTRY_OK,
    ENTRY_QUEUED,  /* it waits: p->bell_fd is rung when to try again */
    ENTRY_REFUSED, /* it has been answered; p is gone */
};

/* Lets the request in. */
enum entry proxied_enter(struct proxied *p);

/* It has waited for a place for long enough: answers so. */
void proxied_give_up_waiting(struct proxied *p);

/* Notes that the server has answered, for the log and for who develops. */
void proxied_note_status(struct proxied *p);

/* Chooses a server. *again: it has been asked before. */
enum entry proxied_pick(struct proxied *p, bool *again);

/* The present try is over. Keeps the connection if it may be used again. */
void proxied_end_trip(struct proxied *p, enum trip_outcome outcome);

/* The answer has begun well and may go on for hours: it is none of the requests that the balancer
 * counts any more. The connection stays, for this alone. */
void proxied_leave(struct proxied *p);

/* Notes what became of the present try, for the log and for who develops. */
void proxied_note_try(struct proxied *p, const char *outcome);

/* The present try has failed, and another goes on. */
void proxied_drop_try(struct proxied *p);

/* The try has failed: true if there is to be another, at the present server (p->picked) or one to
 * be picked; else the answer says so, and p is gone. */
bool proxied_fail(struct proxied *p);

/* The server has answered that it cannot: true if another is to be asked. */
bool proxied_is_refused(struct proxied *p);

/* Answers with an error of ours. Frees p. */
void proxied_answer_error(struct proxied *p, enum err err, const char *message);

static inline int64_t proxied_now_ns(const struct proxied *p)
{
    return clock_mono_ns(p->upstream->clock);
}

/* Of all tries, until the head of the answer: the route's word, or the upstream's. */
static inline int64_t proxied_whole_until_ns(const struct proxied *p)
{
    int64_t own_ns = p->request->target_ns;
    return p->started_ns + (own_ns > 0 ? own_ns : p->settings->whole_ns);
}

/* ---- proxy.c: steps that a hedge takes, too. */

/* Takes or opens a connection to p->picked, with the request to be sent. False: there is none. */
bool proxied_connect(struct proxied *p);
/* When what the present try is at is due. */
int64_t proxied_due_ns(struct proxied *p);
/* Its head is there. True: it is to go on at once. */
bool proxied_take_answer(struct proxied *p);

/* ---- hedge.c: a second try beside the first. */

/* Whether there is to be one if the first takes long. */
bool hedge_applies(const struct proxied *p);
/* Begins to look at the time. False: that is not possible. */
bool hedge_open(struct proxied *p);
/* As far as the tries go. True: it is to go on at once. */
bool hedge_travel(struct proxied *p);
/* Gives up the try that is not the present one; none is fine. `won`: the present one has an answer.
 */
void hedge_end(struct proxied *p, bool won);

/* ---- stream.c */

/* The rest of the answer goes on as it comes; p lives as long as that takes. */
void proxied_stream(struct proxied *p);

/* The server has agreed to go on in another protocol: bytes go both ways from here on. */
void proxied_tunnel(struct proxied *p);

#endif
