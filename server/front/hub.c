/* DESIGN. One thread and one epoll set for all connections that wait. A connection is armed for one
 * event at a time (EPOLLONESHOT), and whoever arms it has given it away: the hub has it until it
 * passes it to the queue, arms it again, or closes it. So the hub's lists need no lock. Feeds that
 * have something to say are asked a few at a time between two looks at the sockets, so that ten
 * thousand of them do not make everybody else wait. Events are raised by any thread: they come in
 * over a stack without a lock. */
#include "server/front/front_private.h"

#include "base/log.h"
#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EVENTS_MAX     256
#define TURN_FEEDS     32                /* asked between two looks at the sockets */
#define CROWDED_MS     5                 /* between two looks at those who wait for a worker */
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
    int epoll_fd, wake_fd;
    pthread_t thread;
    bool started;
    atomic_bool closed;
    _Atomic(struct event *) raised; /* a stack */
    atomic_uint feeds;

    /* Of the hub's thread. */
    struct connections ready; /* for workers, gathered to be handed over together */
    struct services due;      /* to be asked now */
    struct services timed;    /* at a time; not in order */
    int64_t next_time_ns;     /* the first of these, or before */
    LIST_HEAD(, watch) watches;
    struct buf scratch;
    bool feeds_ended; /* because the front drains */
    uint64_t taken;   /* by workers, at the last look */
};

/* ---- Arming */

/* ThreadSanitizer takes the call for a use of the descriptor that is not ordered against the hub's
 * closing it, which may come before the call is back; the call itself it need not see. */
static int modify(int epoll_fd, int fd, struct epoll_event *event)
{
#ifdef __SANITIZE_THREAD__
    return (int)syscall(SYS_epoll_ctl, epoll_fd, EPOLL_CTL_MOD, fd, event);
#else
    return epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fd, event);
#endif
}

/* The kernel orders what was written before this against what the hub does at the event; `armed`
 * says so in the language's terms. */
static void arm(struct hub *hub, struct connection *c, uint32_t events)
{
    struct epoll_event event = {.events = events | EPOLLONESHOT, .data.ptr = c};
    int fd = c->fd;
    atomic_store_explicit(&c->armed, true, memory_order_release);
    int rc = modify(hub->epoll_fd, fd, &event);
    assert(rc == 0);
}

bool hub_add(struct hub *hub, struct connection *c)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT, .data.ptr = c};
    if (c->turned_away)
        event.events = EPOLLOUT | EPOLLONESHOT;
    c->errand = c->turned_away ? ERRAND_TURN_AWAY : ERRAND_READ;
    int fd = c->fd;
    atomic_store_explicit(&c->armed, true, memory_order_release);
    return epoll_ctl(hub->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
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
    eventfd_write(hub->wake_fd, 1);
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

static void leave_lists(struct hub *hub, struct service *service)
{
    if (service->in_due)
        TAILQ_REMOVE(&hub->due, service, due);
    if (service->in_timed)
        TAILQ_REMOVE(&hub->timed, service, timed);
    if (service->watch)
        TAILQ_REMOVE(&service->watch->waiting, service, waiting);
    service->in_due = service->in_timed = false;
    service->watch = NULL;
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
    if (service->ask_at_ns != FEED_WAIT) {
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
    arm(hub, c, EPOLLRDHUP);
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
        arm(hub, c, EPOLLOUT | EPOLLRDHUP);
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

/* A few of those that are due. One that still has bytes to send is asked when they are gone. */
static void ask_due(struct hub *hub)
{
    struct service *service;
    for (unsigned i = 0; i < TURN_FEEDS && (service = TAILQ_FIRST(&hub->due)); i++) {
        TAILQ_REMOVE(&hub->due, service, due);
        service->in_due = false;
        if (service->out_sent == service->out.len)
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

/* Nothing is there but the end. */
static bool has_ended(struct connection *c, uint32_t events)
{
    char byte;
    return (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) &&
           recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

static void on_readable(struct hub *hub, struct connection *c, uint32_t events)
{
    enum phase phase = connection_phase(c);
    bool said_nothing = phase == PHASE_FRESH || phase == PHASE_IDLE;
    if (said_nothing && c->in.len == 0 && (atomic_load(&c->cut) || has_ended(c, events)))
        connection_close(c);
    else
        TAILQ_INSERT_TAIL(&hub->ready, c, in_queue);
}

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
    if (atomic_load(&c->cut) || (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
        end_feed(hub, c);
    else
        ask(hub, c);
}

static void on_event(struct hub *hub, const struct epoll_event *event)
{
    struct connection *c = event->data.ptr;
    bool armed = atomic_load_explicit(&c->armed, memory_order_acquire);
    assert(armed);
    switch (c->errand) {
    case ERRAND_READ:
        on_readable(hub, c, event->events);
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
    int64_t first_ns = ready_take_overdue(front, now_ns, &overdue);
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
    int64_t most_ms = ready_is_crowded(hub->front) ? CROWDED_MS : INT32_MAX;
    return (int)(left_ms < most_ms ? left_ms : most_ms);
}

static void look(struct hub *hub)
{
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(hub->epoll_fd, events, EVENTS_MAX, timeout_ms(hub));
    assert(count >= 0 || errno == EINTR);
    for (int i = 0; i < count; i++) {
        eventfd_t ignored;
        if (events[i].data.ptr)
            on_event(hub, &events[i]);
        else
            eventfd_read(hub->wake_fd, &ignored);
    }
    if (!TAILQ_EMPTY(&hub->ready))
        ready_push_all(hub->front, &hub->ready);
}

static void *run(void *arg)
{
    struct hub *hub = arg;
    int64_t relieved_ns = 0;
    while (!atomic_load(&hub->closed)) {
        look(hub);
        take_raised(hub);
        take_timed(hub);
        if (atomic_load(&hub->front->draining) && !hub->feeds_ended)
            end_all_feeds(hub);
        ask_due(hub);
        int64_t now_ns = front_now_ns(hub->front);
        if (ready_is_crowded(hub->front) && now_ns - relieved_ns >= CROWDED_MS * 1000000) {
            relieve(hub);
            relieved_ns = now_ns;
        }
    }
    return NULL;
}

/* ---- Making */

struct hub *hub_create(struct front *front)
{
    struct hub *hub = mem_zalloc(sizeof *hub);
    struct epoll_event wake = {.events = EPOLLIN};
    hub->listener.raised = on_raised;
    hub->front = front;
    hub->next_time_ns = INT64_MAX;
    TAILQ_INIT(&hub->ready);
    TAILQ_INIT(&hub->due);
    TAILQ_INIT(&hub->timed);
    LIST_INIT(&hub->watches);
    hub->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    hub->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    bool good = hub->epoll_fd >= 0 && hub->wake_fd >= 0 &&
                epoll_ctl(hub->epoll_fd, EPOLL_CTL_ADD, hub->wake_fd, &wake) == 0;
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
    close((*hub)->wake_fd);
    close((*hub)->epoll_fd);
    buf_release(&(*hub)->scratch);
    free(*hub);
    *hub = NULL;
}

unsigned hub_feeds(const struct hub *hub)
{
    return hub->feeds;
}
