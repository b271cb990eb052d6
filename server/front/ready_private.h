/* Connections that are ready for a worker, and the workers. */
#ifndef GALLEY_SERVER_FRONT_READY_PRIVATE_H
#define GALLEY_SERVER_FRONT_READY_PRIVATE_H

#include "base/lock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct connection;
struct front;
struct peer;
struct worker;

TAILQ_HEAD(connections, connection);

/* What a connection that is ready waits for. */
enum line {
    LINE_RESUMED,    /* any worker: its answer stands */
    LINE_READY,      /* a worker, who reads its head */
    LINE_CLASSIFIED, /* an ordinary worker: its head has been read */
    LINE_LOW,        /* likewise; it matters little */
    LINE_HELD_BACK,  /* that fewer handlers of its client run */
    LINE_HELD_BACK_LOW,
    LINES
};

struct run_queue {
    struct lock lock;
    _Atomic(struct worker *) watcher; /* who waits in the poller, or NULL; written under the lock */
    bool watcher_called;              /* to come out */
    TAILQ_HEAD(, peer) turns[LINES];  /* who has any waiting, in turn */
    bool closed;
    bool starting, start_failed;         /* a worker */
    struct worker *idle, *idle_reserved; /* stacks of sleepers */
    unsigned most;                       /* ordinary workers that there may be */
    unsigned running_max;                /* that may run at once */
    atomic_uint running;                 /* ordinary ones that neither sleep nor wait */

    /* Written under the lock, read anywhere. */
    atomic_uint started;    /* ordinary workers */
    atomic_uint waiting;    /* ready and classified */
    _Atomic uint64_t taken; /* so far */
    uint64_t looked_at;     /* that, when the hub looked last */
    atomic_uint held_back;
    atomic_uint awaited;   /* with no worker until they are resumed */
    struct lock_cond left; /* once the queue is closed: by who resumes, or starts a worker */
};

/* ---- lines.c: who waits. Threads: holds queue->lock, if nothing else is said. */

void lines_init(struct run_queue *queue);
void lines_put(struct run_queue *queue, enum line line, struct peer *peer, struct connection *c);
/* LINE_CLASSIFIED or LINE_HELD_BACK. */
void lines_put_classified(struct run_queue *queue, enum line line, struct peer *peer,
                          struct connection *c);
/* Of the peer whose turn it is. The line is not empty. */
struct connection *lines_take(struct run_queue *queue, enum line line);

/* Takes out those that have waited too long. Returns since when the first of those waits that want
 * nothing but a worker, or INT64_MAX. Threads: any. */
int64_t lines_take_overdue(struct front *front, int64_t now_ns, struct connections *out);

/* Forgets who waits. No thread runs any more. */
void lines_empty(struct front *front);

/* Whose request it is. */
struct peer *connection_client(const struct connection *c);

/* Counts a handler of the connection's client; false: it has as many as it may, and the connection
 * has been taken and will come back. Threads: the worker, as for the others. */
bool handler_enter(struct connection *c);
void handler_leave(struct connection *c);
/* It awaits its answer without a worker, and goes on. */
void handler_park(struct connection *c);
void handler_resume(struct connection *c);

/* One that was held back has been refused without running: the next of its client may. Threads:
 * who has it. */
void handler_pass_on(struct connection *c);

/* ---- ready.c: workers. Threads: any, if nothing else is said. */

void ready_init(struct front *front);
/* Starts the first worker. */
bool ready_begin(struct front *front);
void ready_release(struct front *front);

/* Hands a connection over, starting a worker if need be. */
void ready_push(struct connection *c);

/* One that was parked. The last thing that happens to the front if it closes. */
void ready_push_resumed(struct connection *c);
/* Of a closed queue: none will come any more. */
void ready_wait_for_awaited(struct front *front);

/* Of a reserved worker: this is for the others. */
void ready_push_classified(struct connection *c);

/* Leaves the queue's lock, and has a worker run if somebody waits. */
void ready_leave_lock(struct front *front);

/* Of a worker thread at its beginning. */
void ready_join(struct worker *worker);
/* The next one for this worker; waits. NULL: the front closes. */
struct connection *ready_take(struct worker *worker);

/* Has one more worker run although enough do: they do not get on. */
void ready_rouse(struct front *front);
/* Somebody is in the poller. */
bool ready_is_watched(struct front *front);
/* Some wait. */
bool ready_is_crowded(struct front *front);

/* Wakes all workers with NULL; what was queued stays. No worker is started from here on. */
void ready_close(struct front *front);

/* What the hub does while others look after requests: connections that have become ready and that
 * no worker has seen go to the queue. True: somebody watches. */
bool ready_look(struct front *front);

#endif
