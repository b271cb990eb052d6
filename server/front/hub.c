/* DESIGN. One thread and one epoll set for all connections that wait for something else than a
 * request. Whoever arms one has given it away: the hub has it until it passes it to the queue, arms
 * it again, or closes it. So the hub's lists need no lock. It also looks after the poller and the
 * queue, when workers may be too busy to do so; but it sleeps while nothing happens. Feeds that
 * have something to say are asked a few at a time between two looks at the sockets, so that ten
 * thousand of them do not make everybody else wait. Events are raised by any thread: they come in
 * over a stack without a lock. */
#include "server/front/front_private.h"

#include "base/log.h"
#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_MAX     256
#define TURN_FEEDS     32                /* asked between two looks at the sockets */
#define ATTEND_MS      1                 /* between two looks at what workers have left alone */
#define CROWDED_MS     5                 /* between two looks at those who wait for a worker */
#define QUIET_MS       10                /* until it sleeps */
#define STUCK_NS       INT64_C(10000000) /* a wait for a worker that is no mere turn */
#define RELIEVED_MAX   8                 /* evicted for it at once */
#define DISCARD_PIECE  16384
#define DISCARD_PIECES 8 /* of one connection in a row */

/* An event that feeds wait for. */
struct watch {
    struct event *event;
    struct services waiting;
    LIST_ENTRY(watch) next;
};

struct hub {
    struct event_listener listener; /* first: it is given to events */
    struct front *front;
    struct poller poller;
    pthread_t thread;
    bool started;
    atomic_bool closed;
    _Atomic(struct event *) raised; /* a stack */
    atomic_uint feeds;
    atomic_bool asleep; /* until it is called: somebody watches the poller, and nobody waits */

    /* Of the hub's thread. */
    int64_t attended_ns, busy_ns, relieved_ns;
    struct services due;   /* to be asked now */
    struct services timed; /* at a time; not in order */
    int64_t next_time_ns;  /* the first of these, or before */
    LIST_HEAD(, watch) watches;
    struct buf scratch;
    struct epoll_event *events; /* being looked at, and how many of them are still to be */
    int event_count;
    bool feeds_ended; /* because the front drains */
    uint64_t taken;   /* by workers, at the last look */
};

/* ---- Arming */

/* A feed may end while it is armed: it must not be in both sets. */
static void leave_set(struct hub *hub, struct connection *c)
{
    if (c->in_hub)
        poll_remove(hub->poller.epoll_fd, c);
    c->in_hub = false;
}

static void arm(struct hub *hub, struct connection *c, uint32_t events)
{
    bool reads = c->errand == ERRAND_READ;
    if (reads)
        leave_set(hub, c);
    else
        c->in_hub = true;
    bool good = poll_arm(reads ? hub->front->poller.epoll_fd : hub->poller.epoll_fd, c, events);
    if (!good) /* no memory in the kernel: nobody will see it again */
        connection_close(c);
}

bool hub_add(struct hub *hub, struct connection *c)
{
    c->errand = c->turned_away ? ERRAND_TURN_AWAY : ERRAND_READ;
    return c->turned_away ? poll_arm(hub->poller.epoll_fd, c, EPOLLOUT)
                          : poll_arm(hub->front->poller.epoll_fd, c, EPOLLIN | EPOLLRDHUP);
}

void hub_wait(struct hub *hub, struct connection *c, enum errand errand)
{
    c->errand = errand;
    arm(hub, c, EPOLLIN | EPOLLRDHUP);
}

void hub_send(struct hub *hub, struct connection *c, enum errand errand)
{
    c->errand = errand;
    /* A client that says no more may still take its answer; a feed has no end to wait for. */
    bool feeds = errand == ERRAND_FEED || errand == ERRAND_FEED_BEGIN;
    arm(hub, c, feeds ? EPOLLOUT | EPOLLRDHUP : EPOLLOUT);
}

void hub_wake(struct hub *hub)
{
    poll_wake(&hub->poller);
}

/* ---- Events */

static void on_raised(struct event_listener *listener, struct event *event)
{
    struct hub *hub = (struct hub *)listener;
    struct event_link *link = event_link(event);
    struct event *first = atomic_load(&hub->raised);
    do
        link->next = first;
    while (!atomic_compare_exchange_weak(&hub->raised, &first, event));
    if (!first)
        hub_wake(hub);
}

static struct watch *watch_of(struct hub *hub, struct event *event)
{
    struct event_link *link = event_link(event);
    if (!link->own) {
        struct watch *watch = mem_zalloc(sizeof *watch);
        watch->event = event;
        TAILQ_INIT(&watch->waiting);
        LIST_INSERT_HEAD(&hub->watches, watch, next);
        link->own = watch;
    }
    event_listen(event, &hub->listener);
    return link->own;
}

static void make_due(struct hub *hub, struct service *service)
{
    if (!service->in_due)
        TAILQ_INSERT_TAIL(&hub->due, service, due);
    service->in_due = true;
}

/* All that wait are asked; they wait again afterwards. */
static void take_raised(struct hub *hub)
{
    struct event *event = atomic_exchange(&hub->raised, NULL);
    while (event) {
        struct event_link *link = event_link(event);
        struct event *next = link->next;
        struct watch *watch = link->own;
        struct service *service;
        event_rearm(event); /* from here on the link may be used again */
        TAILQ_FOREACH(service, &watch->waiting, waiting)
            make_due(hub, service);
        event = next;
    }
}

/* ---- Feeds */

/* No event of its descriptor is met again, also none that has come already. */
static void stop_polling(struct hub *hub, struct service *service)
{
    poll_remove_fd(hub->poller.epoll_fd, service->response.feed.fd);
    for (int i = 0; i < hub->event_count; i++) {
        struct epoll_event *event = &hub->events[i];
        if (poll_event_of(event) && poll_event(event) == service->c)
            event->data.ptr = NULL;
    }
}

static void leave_lists(struct hub *hub, struct service *service)
{
    if (service->response.feed.polls)
        stop_polling(hub, service);
    if (service->in_due)
        TAILQ_REMOVE(&hub->due, service, due);
    if (service->in_timed)
        TAILQ_REMOVE(&hub->timed, service, timed);
    if (service->watch)
        TAILQ_REMOVE(&service->watch->waiting, service, waiting);
    service->in_due = service->in_timed = false;
    service->watch = NULL;
}

/* Of a client that has something to say, when that is wanted; else that it has gone. */
static uint32_t client_events(const struct connection *c)
{
    bool takes = c->service->response.feed.take;
    return !takes ? EPOLLRDHUP : feed_is_stuck(c) ? 0 : EPOLLIN | EPOLLRDHUP;
}

/* Of the descriptor: none of what it has, as long as the client has not taken the last of it. */
static void poll_descriptor(struct hub *hub, struct connection *c, bool reads)
{
    struct service *service = c->service;
    const struct feed *feed = &service->response.feed;
    uint32_t events = reads ? EPOLLIN | EPOLLRDHUP : 0;
    if (feed->take && feed_is_stuck(c))
        events |= EPOLLOUT;
    if (feed->polls && events != 0 &&
        !poll_arm_for(hub->poller.epoll_fd, c, feed->fd, events, EVENT_AWAITED))
        make_due(hub, service); /* no memory in the kernel: look again and again */
}

/* What it waits for when it has nothing more to send. */
static void wait_for_news(struct hub *hub, struct connection *c)
{
    struct service *service = c->service;
    struct event *event = service->response.feed.event;
    if (service->ask_at_ns == FEED_AGAIN) {
        connection_enter(c, PHASE_STREAMING, front_now_ns(hub->front));
        make_due(hub, service);
        return;
    }
    if (service->ask_at_ns != FEED_WAIT || service->response.feed.polls) {
        if (!service->in_timed)
            TAILQ_INSERT_TAIL(&hub->timed, service, timed);
        service->in_timed = true;
        if (service->ask_at_ns < hub->next_time_ns)
            hub->next_time_ns = service->ask_at_ns;
    }
    if (event && !service->watch) {
        service->watch = watch_of(hub, event);
        TAILQ_INSERT_TAIL(&service->watch->waiting, service, waiting);
    }
    if (event && event_count(event) != service->seen)
        make_due(hub, service);
    connection_enter(c, PHASE_STREAMING, front_now_ns(hub->front));
    poll_descriptor(hub, c, true);
    arm(hub, c, client_events(c));
}

/* Gives the connection to whom `next` says. One whose next request is there already goes to a
 * worker by way of an event: as long as it is armed nobody else may have it. */
static void pass(struct hub *hub, struct connection *c, enum next next)
{
    if (next == NEXT_REQUEST && link_has_input(c))
        hub_send(hub, c, ERRAND_READ);
    else if (next == NEXT_REQUEST)
        serve_next(c, atomic_load(&hub->front->closing) ? NEXT_CLOSE : NEXT_WAIT);
    else
        serve_next(c, next);
}

static void ask(struct hub *hub, struct connection *c)
{
    enum next next = feed_step(c, &hub->scratch, front_now_ns(hub->front));
    if (next == NEXT_SEND) {
        c->errand = ERRAND_FEED;
        poll_descriptor(hub, c, false);
        arm(hub, c, EPOLLOUT | client_events(c));
    } else if (next == NEXT_FEED) {
        wait_for_news(hub, c);
    } else {
        leave_lists(hub, c->service);
        atomic_fetch_sub(&hub->feeds, 1);
        pass(hub, c, send_finished(c, next == NEXT_REQUEST && feed_is_whole(c->service)));
    }
}

/* The client has gone, or was cut. */
static void end_feed(struct hub *hub, struct connection *c)
{
    leave_lists(hub, c->service);
    atomic_fetch_sub(&hub->feeds, 1);
    pass(hub, c, send_finished(c, false));
}

/* Both ways, where the client has something to say too. What TLS holds back shows nowhere. */
static void pump(struct hub *hub, struct connection *c)
{
    struct service *service = c->service;
    if (!feed_take(c)) {
        end_feed(hub, c);
        return;
    }
    if (!feed_is_stuck(c) && link_has_pending(c))
        make_due(hub, service);
    ask(hub, c);
}

/* A few of those that are due. One that still has bytes to send is asked when they are gone. */
static void ask_due(struct hub *hub)
{
    struct service *service;
    for (unsigned i = 0; i < TURN_FEEDS && (service = TAILQ_FIRST(&hub->due)); i++) {
        TAILQ_REMOVE(&hub->due, service, due);
        service->in_due = false;
        if (service->response.feed.take)
            pump(hub, service->c);
        else if (service->out_sent == service->out.len)
            ask(hub, service->c);
    }
}

static void take_timed(struct hub *hub)
{
    int64_t now_ns = front_now_ns(hub->front);
    struct service *service, *next;
    if (now_ns < hub->next_time_ns)
        return;
    hub->next_time_ns = INT64_MAX;
    for (service = TAILQ_FIRST(&hub->timed); service; service = next) {
        next = TAILQ_NEXT(service, timed);
        if (service->ask_at_ns <= now_ns) {
            TAILQ_REMOVE(&hub->timed, service, timed);
            service->in_timed = false;
            make_due(hub, service);
        } else if (service->ask_at_ns < hub->next_time_ns) {
            hub->next_time_ns = service->ask_at_ns;
        }
    }
}

/* ---- What becomes ready */

/* A client that was refused may go on sending for a while: closing a socket with unread bytes
 * resets the connection, and the client might never see why it was refused. */
static void discard(struct hub *hub, struct connection *c)
{
    char bytes[DISCARD_PIECE];
    for (unsigned i = 0; i < DISCARD_PIECES; i++) {
        size_t got;
        enum io io = link_receive_into(c, bytes, sizeof bytes, false, &got);
        if (io == IO_ENDED) {
            connection_close(c);
            return;
        }
        if (io == IO_AGAIN)
            break;
    }
    hub_wait(hub, c, ERRAND_LINGER);
}

static void on_writable(struct hub *hub, struct connection *c)
{
    enum next next = send_rest(c);
    if (next == NEXT_SEND)
        hub_send(hub, c, ERRAND_WRITE);
    else
        pass(hub, c, send_finished(c, next == NEXT_REQUEST));
}

/* EPOLLOUT says that it may send; anything else that there is nobody to send to. */
static void on_feed(struct hub *hub, struct connection *c, uint32_t events)
{
    if (c->errand == ERRAND_FEED_BEGIN) {
        c->errand = ERRAND_FEED;
        c->service->c = c;
        atomic_fetch_add(&hub->feeds, 1);
    }
    bool takes = c->service->response.feed.take;
    uint32_t ends = EPOLLHUP | EPOLLERR | (takes ? 0 : EPOLLRDHUP);
    if (atomic_load(&c->cut) || (events & ends))
        end_feed(hub, c);
    else if (takes)
        pump(hub, c);
    else
        ask(hub, c);
}

static void on_event(struct hub *hub, const struct epoll_event *event)
{
    struct connection *c = poll_event(event);
    if (!c) /* whose feed has ended meanwhile */
        return;
    if (poll_event_of(event)) {
        make_due(hub, c->service);
        return;
    }
    switch (c->errand) {
    case ERRAND_READ: /* the poller's */
        assert(false);
        break;
    case ERRAND_WRITE:
        on_writable(hub, c);
        break;
    case ERRAND_FEED_BEGIN:
    case ERRAND_FEED:
        on_feed(hub, c, event->events);
        break;
    case ERRAND_LINGER:
        discard(hub, c);
        break;
    case ERRAND_TURN_AWAY:
        serve_turned_away(c);
        break;
    }
}

/* ---- The thread */

/* Those who have waited too long for a worker get 503; and where workers wait for their clients,
 * one is freed. */
static void relieve(struct hub *hub)
{
    struct front *front = hub->front;
    struct connections overdue = TAILQ_HEAD_INITIALIZER(overdue);
    struct connection *c, *next;
    int64_t now_ns = front_now_ns(front);
    int64_t first_ns = lines_take_overdue(front, now_ns, &overdue);
    for (c = TAILQ_FIRST(&overdue); c; c = next) {
        next = TAILQ_NEXT(c, in_queue);
        serve_turned_away(c);
    }
    uint64_t taken = atomic_load(&front->queue.taken);
    bool moves = taken != hub->taken;
    hub->taken = taken;
    unsigned waiting = front->queue.waiting;
    if (moves || now_ns - first_ns < STUCK_NS)
        return;
    for (unsigned i = 0; i < waiting && i < RELIEVED_MAX; i++) {
        ready_rouse(front);
        table_relieve(front, now_ns);
    }
}

static void end_all_feeds(struct hub *hub)
{
    struct service *service;
    hub->feeds_ended = true;
    TAILQ_FOREACH(service, &hub->timed, timed)
        make_due(hub, service);
    struct watch *watch;
    LIST_FOREACH(watch, &hub->watches, next)
        TAILQ_FOREACH(service, &watch->waiting, waiting)
            make_due(hub, service);
}

static int timeout_ms(const struct hub *hub)
{
    if (!TAILQ_EMPTY(&hub->due))
        return 0;
    int64_t left_ns = hub->next_time_ns - front_now_ns(hub->front);
    int64_t left_ms = left_ns > 0 ? left_ns / 1000000 + 1 : 0;
    int64_t most_ms = atomic_load(&hub->asleep) ? INT32_MAX : ATTEND_MS;
    return (int)(left_ms < most_ms ? left_ms : most_ms);
}

static void look(struct hub *hub)
{
    struct epoll_event events[EVENTS_MAX];
    int count = poll_wait(&hub->poller, events, EVENTS_MAX, timeout_ms(hub));
    hub->events = events;
    for (hub->event_count = count; hub->event_count > 0; hub->event_count--, hub->events++)
        on_event(hub, hub->events);
}

void hub_attend(struct hub *hub)
{
    if (atomic_load(&hub->asleep) && atomic_exchange(&hub->asleep, false))
        hub_wake(hub);
}

/* Looks after what nobody else does, a while longer than there is anything to do. Who stops
 * watching, or has somebody wait, looks at `asleep` after that; so the hub looks at them again once
 * it has said that it sleeps. */
static void attend(struct hub *hub)
{
    struct front *front = hub->front;
    int64_t now_ns = front_now_ns(front);
    if (now_ns - hub->attended_ns < ATTEND_MS * 1000000)
        return;
    hub->attended_ns = now_ns;
    if (!ready_look(front) || ready_is_crowded(front))
        hub->busy_ns = now_ns;
    if (ready_is_crowded(front) && now_ns - hub->relieved_ns >= CROWDED_MS * 1000000) {
        relieve(hub);
        hub->relieved_ns = now_ns;
    }
    bool quiet = now_ns - hub->busy_ns > QUIET_MS * 1000000;
    atomic_store(&hub->asleep, quiet);
    if (quiet && (!ready_is_watched(front) || ready_is_crowded(front)))
        atomic_store(&hub->asleep, false);
}

static void *run(void *arg)
{
    struct hub *hub = arg;
    while (!atomic_load(&hub->closed)) {
        look(hub);
        take_raised(hub);
        take_timed(hub);
        if (atomic_load(&hub->front->draining) && !hub->feeds_ended)
            end_all_feeds(hub);
        ask_due(hub);
        attend(hub);
    }
    return NULL;
}

/* ---- Making */

struct hub *hub_create(struct front *front)
{
    struct hub *hub = mem_zalloc(sizeof *hub);
    hub->listener.raised = on_raised;
    hub->front = front;
    hub->next_time_ns = INT64_MAX;
    TAILQ_INIT(&hub->due);
    TAILQ_INIT(&hub->timed);
    LIST_INIT(&hub->watches);
    bool good = poll_open(&hub->poller);
    assert(good); /* at the start there are descriptors */
    return hub;
}

bool hub_start(struct hub *hub)
{
    hub->started = pthread_create(&hub->thread, NULL, run, hub) == 0;
    return hub->started;
}

void hub_stop(struct hub *hub)
{
    if (!hub->started)
        return;
    atomic_store(&hub->closed, true);
    hub_wake(hub);
    pthread_join(hub->thread, NULL);
    hub->started = false;
}

void hub_destroy(struct hub **hub)
{
    struct watch *watch;
    while ((watch = LIST_FIRST(&(*hub)->watches))) {
        LIST_REMOVE(watch, next);
        event_link(watch->event)->own = NULL;
        event_listen(watch->event, NULL);
        event_rearm(watch->event);
        free(watch);
    }
    poll_close(&(*hub)->poller);
    buf_release(&(*hub)->scratch);
    free(*hub);
    *hub = NULL;
}

unsigned hub_feeds(const struct hub *hub)
{
    return hub->feeds;
}
