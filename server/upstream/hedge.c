/* DESIGN. A request that may be hedged awaits an epoll set instead of its one connection: in it are
 * the connections of both tries, a timer for the earliest of their times and for the moment at
 * which the second one begins, and a bell for the front. Of the two tries one is the present one,
 * in struct proxied itself, so that all steps are the same as without a hedge; the other is parked,
 * and they change places. The first answer wins; a try that fails while the other goes on is gone.
 */
#include "server/upstream/proxied_private.h"

#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

struct attempt {
    int64_t began_ns, until_ns, due_ns;
    enum stretch at;
    struct balancer_server *picked;
    struct channel *channel;
    struct roundtrip trip; /* without an answer's head: it has none yet */
};

struct hedge {
    int epoll_fd, timer_fd, bell_fd;
    bool two;             /* tries are under way, */
    struct attempt other; /* and this is the one that is not the present one */
};

#define TRIP_PART offsetof(struct roundtrip, head)

bool hedge_applies(const struct proxied *p)
{
    const struct request *request = p->request;
    bool harmless = request->method == METHOD_GET || request->method == METHOD_HEAD ||
                    request->method == METHOD_OPTIONS;
    return p->settings->hedge_ns > 0 && !p->hedged && harmless && !p->streams &&
           request->body.len == 0 && !p->trip.upgrades;
}

/* ---- Coming and going */

static void destroy(struct hedge *hedge)
{
    int fds[] = {hedge->epoll_fd, hedge->timer_fd, hedge->bell_fd};
    for (unsigned i = 0; i < 3; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    free(hedge);
}

static bool watch(const struct hedge *hedge, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events};
    return epoll_ctl(hedge->epoll_fd, EPOLL_CTL_MOD, fd, &event) == 0 ||
           (errno == ENOENT && epoll_ctl(hedge->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0);
}

bool hedge_open(struct proxied *p)
{
    struct hedge *hedge = mem_alloc(sizeof *hedge);
    memset(hedge, 0, offsetof(struct hedge, other.trip) + TRIP_PART);
    hedge->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    hedge->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    hedge->bell_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    bool open = hedge->epoll_fd >= 0 && hedge->timer_fd >= 0 && hedge->bell_fd >= 0 &&
                watch(hedge, hedge->timer_fd, EPOLLIN) && watch(hedge, hedge->bell_fd, EPOLLIN);
    p->hedge = hedge;
    if (!open)
        hedge_end(p, false);
    return open;
}

/* The present try and the other one. */
static void swap(struct proxied *p)
{
    struct attempt *other = &p->hedge->other, present;
    present.began_ns = p->began_ns;
    present.until_ns = p->until_ns;
    present.due_ns = p->due_ns;
    present.at = p->at;
    present.picked = p->picked;
    present.channel = p->channel;
    memcpy(&present.trip, &p->trip, TRIP_PART);
    p->began_ns = other->began_ns;
    p->until_ns = other->until_ns;
    p->due_ns = other->due_ns;
    p->at = other->at;
    p->picked = other->picked;
    p->channel = other->channel;
    memcpy(&p->trip, &other->trip, TRIP_PART);
    memcpy(other, &present, offsetof(struct attempt, trip) + TRIP_PART);
}

void hedge_end(struct proxied *p, bool won)
{
    if (!p->hedge)
        return;
    p->hedged = true;
    if (p->hedge->two) {
        swap(p);
        if (won)
            proxied_note_try(p, "slower");
        proxied_end_trip(p, TRIP_ABANDONED);
        swap(p);
    }
    destroy(p->hedge);
    p->hedge = NULL;
}

/* ---- On the way */

/* The present try has come to nothing, and the other goes on alone. */
static void drop_present(struct proxied *p)
{
    proxied_drop_try(p);
    swap(p);
    p->hedge->two = false;
}

/* True: there are two now. */
static bool begin_second(struct proxied *p)
{
    struct hedge *hedge = p->hedge;
    int64_t now_ns = proxied_now_ns(p);
    if (p->hedged || p->trip.began || now_ns < p->began_ns + p->settings->hedge_ns)
        return false;
    p->hedged = true;
    struct balancer_server *server = balancer_hedge(p->upstream->balancer, &p->balance, now_ns);
    if (!server)
        return false;
    swap(p); /* what comes in is not looked at */
    hedge->two = true;
    p->picked = server;
    p->channel = NULL;
    p->began_ns = now_ns;
    if (!proxied_connect(p))
        drop_present(p);
    return hedge->two;
}

/* As far as each goes now: the answer of one is there (STEP_DONE: it is the present one), all have
 * failed, or they wait. */
static enum step step_all(struct proxied *p)
{
    struct hedge *hedge = p->hedge;
    int64_t now_ns = proxied_now_ns(p);
    enum step step = STEP_WANTS_READ;
    for (unsigned left = hedge->two ? 2 : 1; left > 0; left--) {
        p->cut = p->due_ns > 0 && now_ns >= p->due_ns;
        step = p->cut ? STEP_FAILED : roundtrip_step(&p->trip);
        if (step == STEP_DONE || (step == STEP_FAILED && !hedge->two))
            return step;
        if (step == STEP_FAILED) {
            drop_present(p);
            continue;
        }
        uint32_t events = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT;
        bool watched =
            watch(hedge, p->channel->fd, events | (step == STEP_WANTS_WRITE ? EPOLLOUT : 0));
        p->due_ns = watched ? proxied_due_ns(p) : 1;
        if (hedge->two)
            swap(p);
    }
    return STEP_WANTS_READ;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void await_all(struct proxied *p)
{
    struct hedge *hedge = p->hedge;
    int64_t at_ns = p->due_ns;
    if (hedge->two)
        at_ns = least(at_ns, hedge->other.due_ns);
    if (!p->hedged && !p->trip.began) /* else it is too late for a second */
        at_ns = least(at_ns, p->began_ns + p->settings->hedge_ns);
    struct itimerspec when = {.it_value = {at_ns / 1000000000, at_ns % 1000000000}};
    timerfd_settime(hedge->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
    p->awaits = true;
    request_await_set(p->request, hedge->epoll_fd, hedge->bell_fd, INT64_MAX);
}

bool hedge_travel(struct proxied *p)
{
    uint64_t ticks;
    if (read(p->hedge->timer_fd, &ticks, sizeof ticks) < 0 && errno != EAGAIN)
        p->due_ns = 1;
    enum step step;
    do
        step = step_all(p);
    while (step == STEP_WANTS_READ && begin_second(p));
    if (step == STEP_WANTS_READ) {
        await_all(p);
        return false;
    }
    hedge_end(p, step == STEP_DONE);
    return step == STEP_DONE ? proxied_take_answer(p) : proxied_fail(p);
}
