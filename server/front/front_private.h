/* What the files of the front share.
 *
 * DESIGN. A connection is with exactly one of: the poller (it waits for a request), the hub (it
 * waits for something else), the queue (it is ready for a worker), a worker. Who has it may touch
 * it; handing it on is the last thing one does to it. Nobody waits with a timeout of his own: a
 * connection keeps its phase and since when in one atomic word, a timer sweeps the table, and what
 * is overdue or in the way is cut by shutdown() of its socket, which makes it readable in the hub
 * and wakes a worker out of its call. Who has the connection then finds the reason in `cut`. The
 * table's lock is taken when a connection comes, when it goes and by the sweep; the queue's when
 * one changes hands; neither while a worker goes on with the next request of a busy connection. */
#ifndef GALLEY_SERVER_FRONT_FRONT_PRIVATE_H
#define GALLEY_SERVER_FRONT_FRONT_PRIVATE_H

#include "base/blocking.h"
#include "base/lock.h"
#include "server/front/front.h"
#include "server/front/ready_private.h"
#include "server/front/tls_private.h"
#include "server/http/body.h"
#include "server/http/head.h"
#include "server/http/proxy_protocol.h"

#include <netinet/in.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/queue.h>
#include <sys/un.h>

#define SPARE_PLACES 256                 /* in the table, for those that are leaving */
#define LINGER_NS    INT64_C(2000000000) /* a refused client may go on sending for so long */
#define SWEEP_MS     250
#define SETTLED_NS   INT64_C(100000000) /* what a newcomer has before it may be evicted */
#define UNREAD_MAX   65536              /* of a body that nobody wanted is read to keep alive */
#define RECEIVE_ROOM 4096               /* received at first; most heads are far smaller */

/* ---- table.c: who is connected. */

enum phase {
    PHASE_FREE,
    PHASE_FRESH,     /* no byte of a request has come yet */
    PHASE_IDLE,      /* between requests */
    PHASE_HEAD,      /* a part of a head has come */
    PHASE_SHAKING,   /* computing a step of the TLS handshake */
    PHASE_QUEUED,    /* ready, no worker yet */
    PHASE_BODY,      /* reading a body */
    PHASE_SERVING,   /* the handler runs */
    PHASE_SENDING,   /* the client has to take bytes */
    PHASE_STREAMING, /* a feed waits for news */
    PHASE_LINGERING, /* refused; discarding what is still coming */
    PHASE_COUNT
};

enum cut { CUT_NOT, CUT_DEADLINE, CUT_EVICTED, CUT_STOPPING };

/* What the hub does with a connection that becomes ready. */
enum errand {
    ERRAND_READ,       /* hand it to a worker */
    ERRAND_WRITE,      /* send the rest of an answer */
    ERRAND_FEED_BEGIN, /* likewise, and then ask the feed, from now on */
    ERRAND_FEED,       /* ask it again */
    ERRAND_LINGER,     /* discard */
    ERRAND_TURN_AWAY,  /* answer 503 */
};

/* One client: an IPv4 address or an IPv6 /64, with all its connections. */
struct peer {
    struct in6_addr network;
    struct peer *next;                 /* in its list of the table */
    unsigned count;                    /* connections; guarded by the table's lock */
    struct connections connections;    /* likewise */
    atomic_uint load;                  /* of its handlers: lines.c */
    atomic_uint held_back;             /* of `waiting`; written under the queue's lock */
    _Atomic uint64_t body_bytes;       /* of its gathered bodies */
    struct connections waiting[LINES]; /* guarded by the queue's lock */
    TAILQ_ENTRY(peer) turn[LINES];     /* in the queue, while `waiting` has any */
};

/* What serving a request takes: lent to a connection for as long as it needs it. */
struct service {
    struct buf body;     /* the request's, when it is not in `in` */
    struct buf trailers; /* lines behind the request's body */
    struct buf interim;  /* of heads below 200: what the client has not taken, before `out` */
    struct buf out;      /* the response's head, and its body if small; in a feed: what is unsent */
    bool head_parsed;    /* and not answered yet */
    bool classified;     /* `priority` is known */
    bool answering, refused;
    enum priority priority;
    size_t taken; /* of `in`: the head, and what was read of the body */
    struct request request;
    struct response response;
    struct peer *client;               /* whose request it is, if not the connection's peer; held */
    char client_address[IP_TEXT_SIZE]; /* if so */
    struct body_source source;         /* body.c */
    struct body_decoder decoder;
    bool pulled;           /* somebody has begun to read the body */
    size_t said;           /* of "100 Continue" */
    bool gathering;        /* `body` holds the beginning of it */
    bool patient;          /* the present reader waits for what has not come */
    bool dry;              /* the present reader does not, and nothing more is there */
    bool awaits_body;      /* its handler is called again when more has come */
    bool in_handler;       /* counted as one of its client's */
    atomic_int await;      /* await.c */
    uint64_t body_bytes;   /* counted in front->body_bytes */
    uint64_t body_read;    /* from the client */
    int64_t body_since_ns; /* the first pull, and what was not the client's time since */
    int64_t body_came_ns;  /* its last bytes, likewise */
    int64_t body_left_ns;  /* when its reader turned to something else; 0: it waits */

    struct slice rest;     /* of the response, that follows `out` */
    size_t out_sent;       /* of `out` */
    size_t head_size;      /* in `out` */
    uint64_t sent_bytes;   /* of the whole answer */
    int64_t stalled_ns;    /* for how long the client had to take some first */
    uint64_t stalled_at;   /* sent_bytes when that began */
    bool keep;             /* the connection goes on after this answer */
    int64_t ask_at_ns;     /* the feed */
    uint64_t seen;         /* count of its event */
    bool chunked;          /* the feed's coding */
    bool in_due, in_timed; /* lists of the hub */
    struct watch *watch;   /* likewise, or NULL */
    TAILQ_ENTRY(service) due, timed, waiting;
    struct connection *c;
    struct head head; /* last: its fields are not zeroed */
};

TAILQ_HEAD(services, service);

#define LENT_MAX 16 /* of each kind that a worker keeps for lending */

/* What a worker has to lend. */
struct lending {
    struct service *services[LENT_MAX];
    struct buf ins[LENT_MAX];
    unsigned service_count, in_count;
};

struct connection {
    struct front *front;
    const struct listener *listener;
    int fd;
    unsigned served;        /* requests */
    bool turned_away;       /* there was no place for it */
    _Atomic uint64_t phase; /* enum phase in the low 4 bits, since when (monotonic ns) above */
    _Atomic int cut;        /* enum cut; set before the socket is shut down */
    _Atomic int awaited;    /* await.c: a descriptor and 1; 0: none; -1: it was cut */
    int await_bell;         /* rung instead of shutting that down; -1: none */
    _Atomic int64_t await_until_ns;
    enum wake await_cut;     /* why; of who cuts, then of who resumes */
    atomic_bool awaits_both; /* await.c: its body and a descriptor; who clears it has it */
    bool ended;              /* shut down both ways; guarded by the table's lock */
    int64_t came_ns;
    struct peer *peer;
    TAILQ_ENTRY(connection) of_peer; /* guarded by the table's lock */
    TAILQ_ENTRY(connection) in_queue;
    struct connection *next_free;

    atomic_bool armed; /* given to the hub */

    /* Who has the connection has the rest. */
    enum errand errand;
    bool in_hub;             /* its socket is in the hub's set */
    bool resumes;            /* the descriptor that its handler awaits has become ready */
    int64_t queued_ns;       /* when it became ready */
    int64_t waited_ns;       /* until a worker took it */
    int64_t head_since_ns;   /* the first byte of the present head; 0: none yet */
    int64_t fresh_ns;        /* from when on its first head is due */
    struct worker *worker;   /* or NULL */
    struct service *service; /* or NULL */
    struct in6_addr ip;      /* the peer's, or of whom a trusted peer speaks for */
    bool proxy_awaited;      /* the PROXY header has not come yet */
    int proxy_seen;          /* bytes of it that have */
    struct tls_link *tls;    /* or NULL */
    bool shaken;             /* hands: the TLS handshake is done */
    struct buf in;           /* received; begins with the present request's head */
    struct head_scan scan;
    struct body_decoder skip; /* of a body that nobody read: comes before the next head */
    size_t skip_left;         /* bytes that may still be skipped */
    char address[INET6_ADDRSTRLEN];
};

/* Written by its thread alone. */
struct worker {
    struct blocking_hook hook; /* first: it is given away */
    struct front *front;
    sem_t turn;               /* to sleep on */
    struct worker *next_idle; /* guarded by the queue's lock */
    bool reserved;            /* for what is critical */
    _Atomic uint64_t busy_ns, bytes_in, bytes_out;
    _Atomic int64_t serving_since_ns; /* 0: no handler runs */
    _Atomic(struct connection *) at;  /* or NULL */
    struct lending lending;
    int64_t date_s; /* the second that `date` shows */
    char date[CLOCK_HTTP_SIZE];
};

struct listener {
    char address[sizeof(((struct sockaddr_un *)0)->sun_path)];
    struct tls *tls; /* or NULL */
    unsigned index;
    bool proxy_protocol;
    bool local, unix_socket, too_long;
    uint16_t port;
};

/* Adds to a number that only the calling thread writes. */
static inline void own_add(_Atomic uint64_t *number, uint64_t n)
{
    uint64_t before = atomic_load_explicit(number, memory_order_relaxed);
    atomic_store_explicit(number, before + n, memory_order_relaxed);
}

void connection_enter(struct connection *c, enum phase phase, int64_t now_ns);
enum phase phase_of(uint64_t word);
int64_t since_of(uint64_t word);

static inline enum phase connection_phase(const struct connection *c)
{
    return phase_of(atomic_load(&c->phase));
}

/* Closes the socket and forgets the connection. Threads: who has it. */
void connection_close(struct connection *c);

/* The peer of an address, made if need be, and held: as if it had one connection more. */
struct peer *table_hold_peer(struct front *front, const struct in6_addr *ip);
void table_let_peer_go(struct front *front, struct peer **peer);

/* The connection is another's: a trusted peer has said so. False: who has too many. */
bool table_rebind(struct connection *c, const struct in6_addr *ip);

/* Takes in an accepted socket, making room if need be. NULL: there is no place, not even for saying
 * so; the socket is closed. Threads: the acceptor. */
struct connection *table_admit(struct front *front, const struct listener *listener, int fd,
                               const struct sockaddr *from);
void table_remove(struct connection *c);

/* Timer: cuts what is overdue, and makes room for those without a worker. */
int64_t table_sweep(void *arg, int64_t now_ns);

/* Evicts one that keeps a worker waiting. */
void table_relieve(struct front *front, int64_t now_ns);

/* Accepting failed: evicts one. */
void table_make_room(struct front *front, const char *why);

/* Ends the wait of connections from which no byte of a request has come since then or longer. */
void table_cut_idle(struct front *front, int64_t since_ns);
/* Ends all. Returns the number of those that had begun something. */
unsigned table_cut_all(struct front *front);

/* Counts the handlers that still run, or whose answer is awaited. */
void table_look_at_handlers(struct front *front, struct front_drained *out);

void table_init(struct front *front);
void table_release(struct front *front);

/* ---- link.c: bytes in and out of a connection. */

enum io { IO_DONE, IO_AGAIN, IO_ENDED };

/* Receives some bytes into out[room], or behind c->in, which gets at least so much room. IO_AGAIN:
 * none have come; with `wait` it waits until some have, or the connection is cut. */
enum io link_receive_into(struct connection *c, void *out, size_t room, bool wait, size_t *got);
enum io link_receive(struct connection *c, size_t room);

/* Until there is something to receive, or room to send, or the connection is cut. */
void link_wait(struct connection *c, bool to_send);

/* Sends what the client takes at once; *sent bytes are gone. */
enum io link_send(struct connection *c, struct slice bytes, size_t *sent);

/* Takes the PROXY header that a connection begins with, and believes it. */
enum io link_take_proxy_header(struct connection *c);

/* Goes on with the handshake of a connection with TLS. IO_AGAIN: *wants_write says for what to
 * wait. IO_ENDED: it has failed, or the client is gone; TLS is over on this connection. */
enum io link_shake_hands(struct connection *c, bool *wants_write);

/* Bytes have been received that nobody has looked at: the socket will not become readable for
 * them. */
bool link_has_input(const struct connection *c);
/* Of these, what is not in c->in. */
bool link_has_pending(const struct connection *c);

/* Says that we send nothing more. What comes is not deciphered any more. */
void link_end(struct connection *c);

/* Why nothing more comes: ERR_TIMEOUT, ERR_OVERLOADED (evicted), ERR_DRAINING, ERR_MALFORMED (the
 * client has ended). */
enum err link_why_ended(const struct connection *c);

/* ---- poll.c: sockets that become ready, and connections that wait for a request. */

struct epoll_event;

/* An epoll set that can be woken out of its wait. */
struct poller {
    int epoll_fd, wake_fd;
};

bool poll_open(struct poller *poller);
void poll_close(struct poller *poller);
void poll_wake(struct poller *poller);
/* Waits; what is only a call to wake up is left out. Who does not wait leaves it to who does. */
int poll_wait(struct poller *poller, struct epoll_event *events, int max, int timeout_ms);
/* Gives the connection away until one of the events, once. False: it cannot be watched. */
bool poll_arm(int epoll_fd, struct connection *c, uint32_t events);
void poll_remove(int epoll_fd, struct connection *c);
/* Whose event it is; NULL: the call to wake up. */
struct connection *poll_event(const struct epoll_event *event);

/* What an event is of, if it is not merely that the client says something. */
#define EVENT_AWAITED 1u /* a descriptor that the connection awaits */
#define EVENT_EITHER  2u /* one of two events, of which the first counts */

/* Likewise, of any descriptor, with these in the event. */
bool poll_arm_for(int epoll_fd, struct connection *c, int fd, uint32_t events, unsigned of);
void poll_remove_fd(int epoll_fd, int fd);
unsigned poll_event_of(const struct epoll_event *event);

/* Waits, at most so long, and appends those whose client has sent something. False: nothing has
 * happened. Threads: any. */
bool poll_requests(struct front *front, int timeout_ms, struct connections *out);

/* ---- hub.c: connections that wait. */

struct hub;

struct hub *hub_create(struct front *front);
void hub_destroy(struct hub **hub);
bool hub_start(struct hub *hub);
void hub_stop(struct hub *hub);

/* Watches a new connection. False: it cannot be watched. */
bool hub_add(struct hub *hub, struct connection *c);
/* Until it is readable: then a worker gets it, or it is discarded from. */
void hub_wait(struct hub *hub, struct connection *c, enum errand errand);
/* Until the client has taken the answer (ERRAND_WRITE), and all that its feed has (ERRAND_FEED). */
void hub_send(struct hub *hub, struct connection *c, enum errand errand);
/* Has it look at what has changed: draining. */
void hub_wake(struct hub *hub);
/* Has it look again and again until things are quiet. Cheap if it does. */
void hub_attend(struct hub *hub);
unsigned hub_feeds(const struct hub *hub);

/* ---- lending.c: the memory of requests. Threads: who has the connection. */

/* Lends the connection its service, if it has none. */
struct service *service_borrow(struct connection *c);
/* Gives it back to the worker, or frees it. */
void service_return(struct connection *c);
/* Likewise a buffer to receive into; what holds bytes stays. */
void lending_give_in(struct connection *c);
void lending_take_in(struct connection *c);
void lending_release(struct lending *lending);

/* ---- serve.c, body.c, send.c, feed.c: serving. */

/* What becomes of a connection. */
enum next {
    NEXT_REQUEST, /* bytes of another are there, or may come soon */
    NEXT_WAIT,    /* for bytes of a head: the hub's */
    NEXT_BODY,    /* for bytes of a body: likewise */
    NEXT_SHAKE,   /* the client has to take bytes of the handshake: likewise */
    NEXT_SEND,    /* the rest of the answer: the hub's */
    NEXT_FEED,    /* the hub's */
    NEXT_LINGER,
    NEXT_AWAIT,  /* for somebody's request_resume */
    NEXT_HANDED, /* to the queue, already */
    NEXT_CLOSE
};

/* Is it served whatever waits? Looks at the head. */
bool serve_is_critical(struct connection *c);

/* Serves the connection until somebody else has it. Threads: the worker. */
void serve_connection(struct worker *worker, struct connection *c);

/* ---- await.c: answers that come later. */

/* Before the handler runs. */
void await_begin(struct connection *c);
/* After it has said request_await: the connection is not the caller's any more. */
void await_park(struct connection *c);
/* Takes back a connection whose awaited descriptor had its event. */
void await_take(struct connection *c);
/* Likewise one that awaits two. False: the other event came first. */
bool await_take_either(struct connection *c);
/* Ends the wait for a descriptor, if there is one. Threads: holds front->lock. */
void await_cut(struct connection *c, enum wake why);
/* Cuts the waits that are overdue, and those whose client has gone. Threads: holds front->lock. */
void await_sweep(struct front *front, int64_t now_ns);
/* Takes back all that await a descriptor. No other thread runs any more. */
void await_take_all(struct front *front);

/* Does what `next` says. */
void serve_next(struct connection *c, enum next next);

/* Its request gets no answer any more: tells so, and frees what it held. */
void serve_abandon(struct connection *c);

/* Answers 503 to a connection that nobody has read, without waiting. Then it is somebody else's. */
void serve_turned_away(struct connection *c);

/* After the head: sets up the body's source. */
void body_begin(struct connection *c);
/* So much of the time since the body's last bytes was not the client's. */
void body_forgive(struct connection *c, int64_t ns);
/* Have so many bytes in such a time kept up the rate that they must? Short pauses do not count. */
bool body_keeps_rate(const struct front *front, int64_t time_ns, uint64_t bytes);
/* What nobody has read of it comes before the next head. False: too much, or a client that waits
 * for "100 Continue": the connection closes. */
bool body_leave(struct connection *c);
/* Skips what comes of it. IO_DONE: it has ended. */
enum err body_skip(struct connection *c);

/* As request's `interim`. */
void send_interim(struct request *request, struct slice head);

/* Sends the response as far as the client takes it. */
enum next send_response(struct connection *c);
/* Goes on with it. NEXT_SEND: the client has to take some first. */
enum next send_rest(struct connection *c);
/* The client takes nothing more for now. NEXT_CLOSE: it has been too slow. */
enum next send_stalled(struct connection *c);
/* Told by whoever sees the end of an answer; frees what it held. */
enum next send_finished(struct connection *c, bool whole);

/* It has sent as many bytes as it has promised. */
bool feed_is_whole(const struct service *service);

/* What the budget was charged for. */
void body_release(struct connection *c);

/* Hands the feed what the client has sent, as far as it takes it. False: either has ended. */
bool feed_take(struct connection *c);
/* It has not taken all. */
bool feed_is_stuck(const struct connection *c);

/* Asks the feed and sends what it says, once. NEXT_FEED: it waits as service says. */
enum next feed_step(struct connection *c, struct buf *scratch, int64_t now_ns);

/* ---- transport.c: the one file that knows civetweb. */

enum err transport_open(struct front *front, char *why, size_t why_size);
/* Starts a worker thread; false if there is none to be had. Threads: any, one at a time. */
bool transport_start_worker(struct front *front);
/* From now on connections come in. */
void transport_accept(struct front *front);
/* Lets in who waits already, for so long at most, and nobody after that. */
void transport_stop_accepting(struct front *front, int64_t for_ms);
void transport_close(struct front *front);

/* What a worker thread runs. */
void worker_run(struct front *front);

/* ---- front.c */

struct front {
    struct front_options options;
    struct listener *listeners;
    unsigned listener_count;
    void *server;  /* transport.c's */
    char why[256]; /* what civetweb said first before it ran */
    atomic_bool running;
    struct worker *workers;
    atomic_uint workers_started;
    int niceness;              /* of the workers */
    unsigned reserved_workers; /* the first of them */
    struct poller poller;      /* of requests */
    struct hub *hub;
    struct run_queue queue;
    atomic_bool draining; /* each answer is its connection's last */
    atomic_bool closing;  /* and who has not asked by now need not ask */
    struct timer *timer;
    _Atomic uint64_t body_bytes;

    struct lock lock;
    bool may_accept;
    struct lock_cond changed; /* when may_accept is set, and when live becomes 0 */
    struct connection *connections;
    unsigned capacity;
    unsigned touched;              /* connections[] behind have never been used */
    struct connection *first_free; /* last freed first, so that few are warm */
    struct peer **peers;           /* lists, by hash of the network */
    unsigned peer_lists;           /* a power of two */
    unsigned refusals;             /* by accept(), since they were logged last */
    int64_t refusals_quiet_until_ns;

    /* Written under the lock, read anywhere. */
    atomic_uint live;
    _Atomic uint64_t accepted, evicted;

    _Atomic uint64_t refused, shed, hub_bytes_in, hub_bytes_out;
};

static inline int64_t front_now_ns(const struct front *front)
{
    return clock_mono_ns(front->options.clock);
}

#endif
