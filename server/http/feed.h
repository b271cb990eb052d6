/* Feeds and events: answers that go on, without a thread that waits for what comes next.
 *
 * A feed is a function that appends what there is and says when to ask again. An event is what
 * feeds wait for: whoever makes news raises it. Server-sent events, long polls and large downloads
 * are feeds. */
#ifndef GALLEY_SERVER_HTTP_FEED_H
#define GALLEY_SERVER_HTTP_FEED_H

#include "base/buf.h"

#include <stdatomic.h>

struct event;

#define FEED_END     INT64_C(-1)       /* nothing follows */
#define FEED_AGAIN   INT64_C(0)        /* as soon as the client has taken this */
#define FEED_FAILED  INT64_C(-2)       /* what should follow will not come: the client is cut */
#define FEED_WAIT    INT64_MAX         /* when the event is raised, or the descriptor readable */
#define FEED_ROOM    65536             /* bytes that a call should append at most */
#define FEED_TICK_NS INT64_C(20000000) /* times to ask again are rounded up to these */

struct feed {
    /* Appends what there is to `out` and returns when to ask again: one of the above or a time
     * (monotonic ns), at which or at the event, or when the descriptor can be read, whichever comes
     * first, it is asked again. Called on
     * a worker first, then on the front's hub, by one thread at a time: must not block. Asked only
     * when the client has taken all that was appended before. */
    int64_t (*fill)(void *arg, struct buf *out, int64_t now_ns);
    void *arg;
    struct event *event; /* or NULL; lives longer than the front */
    /* The answer is a connection to somebody else (101), and this hands him what the client sends:
     * *taken bytes are gone, the rest comes again when `fd` can be written to. False: he has gone.
     * NULL: the client has nothing to say. */
    bool (*take)(void *arg, struct slice bytes, size_t *taken);
    bool polls; /* it waits for `fd`, which stays open until release */
    int fd;
    bool finite;     /* it ends by itself: a stop waits for that, as for one that is sized */
    bool sized;      /* all calls together append exactly `length` bytes ... */
    uint64_t length; /* ... which Content-Length says; else it is sent in chunks */
    const struct buf
        *trailers; /* lines behind the last of the chunks, once it has ended; or NULL */
};

/* Threads: event_raise any; the rest whoever owns it, when no front runs. */
struct event *event_create(void);
void event_destroy(struct event **event);

/* Has every feed asked that waits for the event, soon and once, however often it is raised until
 * then. */
void event_raise(struct event *event);

/* ---- For the front's hub. */

/* How often it was raised: a feed that is asked after reading this misses nothing. */
uint64_t event_count(const struct event *event);

/* Who is told, on the raising thread, when the event has been raised; takes effect for what is
 * raised after event_count was read next. */
struct event_listener {
    void (*raised)(struct event_listener *listener, struct event *event);
};
void event_listen(struct event *event, struct event_listener *listener);

/* The listener's own memory in the event. */
struct event_link {
    struct event *next; /* of those that were raised and not looked at */
    void *own;          /* what the listener keeps of it */
};
struct event_link *event_link(struct event *event);

/* From now on the next raising is told again. */
void event_rearm(struct event *event);

#endif
