/* What the files of the front share.
 *
 * DESIGN. One worker thread serves one connection with blocking calls, which costs two system calls
 * a request. Nobody waits with a timeout: a connection keeps its phase and since when in one
 * atomic word, a timer sweeps the table of connections, and what is overdue or in the way is cut by
 * shutdown() of its socket, which wakes the worker out of its call. The worker then finds the
 * reason in `cut`. The table's lock is taken when a connection comes, when it goes and by the
 * sweep, never by a request. */
#ifndef GALLEY_SERVER_FRONT_FRONT_PRIVATE_H
#define GALLEY_SERVER_FRONT_FRONT_PRIVATE_H

#include "base/lock.h"
#include "server/front/front.h"
#include "server/http/head.h"
#include "server/http/path.h"
#include "server/http/status.h"

#include <netinet/in.h>
#include <stdatomic.h>

#define QUEUE_MAX 256u                /* accepted connections that wait for a worker */
#define LINGER_NS INT64_C(2000000000) /* a refused client may go on sending for so long */
#define SWEEP_MS  250
#define RIPE_NS   INT64_C(100000000) /* what a connection has before it may be evicted */
#define CAPPED_NS INT64_C(1000000)   /* how long all wait at most for an address at its cap */
#define BODY_ROOM 2048 /* free bytes behind a head, for reading a chunked body through */

/* ---- connection.c: the table. */

enum phase {
    PHASE_FREE,
    PHASE_QUEUED,    /* accepted, no worker yet */
    PHASE_FRESH,     /* no byte has come yet */
    PHASE_IDLE,      /* between requests */
    PHASE_HEAD,      /* a part of a head has come */
    PHASE_BODY,      /* reading a body */
    PHASE_SERVING,   /* the handler runs */
    PHASE_SENDING,   /* the client has to take bytes */
    PHASE_STREAMING, /* between two writes of a stream */
    PHASE_LINGERING, /* refused; discarding what is still coming */
    PHASE_COUNT
};

enum cut { CUT_NOT, CUT_DEADLINE, CUT_EVICTED, CUT_STOPPING };

/* Written by its thread alone. */
struct worker {
    _Atomic uint64_t busy_ns, bytes_in, bytes_out;
    char apart[40]; /* neighbours do not share a cache line */
};

/* Adds to a number that only the calling thread writes. */
static inline void own_add(_Atomic uint64_t *number, uint64_t n)
{
    uint64_t before = atomic_load_explicit(number, memory_order_relaxed);

    atomic_store_explicit(number, before + n, memory_order_relaxed);
}

struct connection {
    struct front *front;
    int fd;
    _Atomic uint64_t phase;  /* enum phase in the low 4 bits, since when (monotonic ns) above */
    _Atomic int cut;         /* enum cut; set before the socket is shut down */
    bool ended;              /* shut down both ways; guarded by the table's lock */
    int64_t ripe_at_ns;      /* from when on it may be evicted; guarded by the table's lock */
    struct in6_addr network; /* who counts as one client for the cap */
    struct connection *next_free;

    /* The rest belongs to the worker that serves it. */
    void *link; /* transport.c's */
    struct worker *worker;
    char address[INET6_ADDRSTRLEN];
    unsigned served;    /* requests */
    struct buf in;      /* received; begins with the present request's head */
    size_t head_end;    /* of the present request in `in` */
    size_t request_end; /* likewise; what follows is the next request's */
    struct buf body;    /* the request's, when it is not in `in` */
    struct buf out;     /* the response's head, and its body if small */
    struct head head;
    struct request request;
    struct response response;
    int64_t date_s; /* the second that `date` shows */
    char date[CLOCK_HTTP_SIZE];
};

/* Takes in an accepted socket, making room if need be. NULL: it has been turned away; close it.
 * Threads: the acceptor. */
struct connection *table_admit(struct front *front, int fd, const struct sockaddr *peer);

/* Forgets it; its socket must still be open. */
void table_remove(struct connection *c);

/* Timer: cuts what is overdue, and makes room for those without a worker. */
int64_t table_sweep(void *arg, int64_t now_ns);

/* Ends the wait of connections from which no byte of a request has come since then or longer. */
void table_cut_idle(struct front *front, int64_t since_ns);
/* Ends all. Returns their number. */
unsigned table_cut_all(struct front *front);

void connection_enter(struct connection *c, enum phase phase, int64_t now_ns);
/* Idle since its last answer was begun: in the order in which clients see their answers. */
void connection_enter_idle(struct connection *c);
enum phase connection_phase(const struct connection *c);

/* More connections than workers: those who have been served make room. */
bool table_crowded(struct front *front);

/* ---- transport.c: the one file that knows civetweb. */

enum err transport_open(struct front *front, char *why, size_t why_size);
void transport_stop_accepting(struct front *front);
void transport_close(struct front *front);

/* Receives some bytes into out[room]; blocks. ERR_OK with *got > 0; otherwise why there are none:
 * ERR_TIMEOUT, ERR_OVERLOADED (evicted), ERR_DRAINING, ERR_MALFORMED (the client has ended). */
enum err transport_receive(struct connection *c, void *out, size_t room, size_t *got);

/* False if the client has not taken all of it. */
bool transport_send(struct connection *c, struct slice bytes);

/* ---- serve.c, body.c, send.c, stream.c: run on the connection's worker. */

/* Serves requests until the connection is to be closed. */
void serve_connection(struct connection *c);

/* Answers 503 to a connection that gets no worker. Threads: the acceptor. */
void turn_away(struct connection *c);

/* Reads the body into request.body. */
enum err body_read(struct connection *c);

/* Sends the response; then whether the connection can take another request. */
bool send_response(struct connection *c);

/* Sends what the socket takes at once: for the acceptor, which must not wait, and for those who
 * have been cut, who are not waited for. */
void send_without_waiting(struct connection *c);

/* Runs response.stream. */
void stream_run(struct connection *c);

struct front {
    struct front_options options;
    uint16_t port;
    void *server;  /* transport.c's */
    char why[256]; /* what civetweb said first before it ran */
    atomic_bool running;
    struct worker *workers;
    atomic_uint workers_started;
    int wake_fd;          /* becomes readable when the front drains */
    atomic_bool draining; /* each answer is its connection's last */
    atomic_bool closing;  /* and who has not asked by now need not ask */
    struct timer *timer;

    struct lock lock;
    struct lock_cond empty; /* signalled when live becomes 0 */
    struct lock_cond left;  /* signalled when one goes; the acceptor waits for it */
    struct connection *connections;
    unsigned capacity;
    unsigned touched;              /* connections[] behind have never been used */
    struct connection *first_free; /* last freed first, so that few are warm */

    /* Written under the lock, read anywhere. */
    atomic_uint live;
    _Atomic uint64_t accepted, evicted;

    _Atomic uint64_t refused;
    struct connection turned_away; /* the acceptor's, to say no with */
};

#endif
