/* DESIGN. The sockets that wait for their clients are in an epoll set of their own, which idle
 * workers look at themselves: one of them, the watcher, sleeps in it instead of on its semaphore,
 * and serves the first of what it finds. So a request costs no switch to another thread and back.
 * Nobody watches while the workers serve; each looks again when it has nothing to do, and the hub
 * now and then, in case none comes back soon. The way is that of Go's network poller.
 *
 * A socket is armed for one event at a time (EPOLLONESHOT), and whoever arms it has given it away:
 * who takes the event has the connection. */
#include "server/front/front_private.h"

#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EVENTS_MAX 8 /* who loses its processor with them in hand keeps few from the others */

/* ThreadSanitizer takes the call for a use of the descriptor that is not ordered against its being
 * closed by who gets the event, which may come before the call is back; the call itself it need not
 * see. */
static int control(int epoll_fd, int operation, int fd, struct epoll_event *event)
{
#ifdef __SANITIZE_THREAD__
    return (int)syscall(SYS_epoll_ctl, epoll_fd, operation, fd, event);
#else
    return epoll_ctl(epoll_fd, operation, fd, event);
#endif
}

/* The kernel orders what was written before this against what is done at the event; `armed` says so
 * in the language's terms. */
bool poll_arm(int epoll_fd, struct connection *c, uint32_t events)
{
    return poll_arm_for(epoll_fd, c, c->fd, events, 0);
}

/* Connections lie at addresses that leave the bits free. */
bool poll_arm_for(int epoll_fd, struct connection *c, int fd, uint32_t events, unsigned of)
{
    struct epoll_event event = {.events = events | EPOLLONESHOT, .data.ptr = (char *)c + of};
    atomic_store_explicit(&c->armed, true, memory_order_release);
    return control(epoll_fd, EPOLL_CTL_MOD, fd, &event) == 0 ||
           (errno == ENOENT && control(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0);
}

void poll_remove_fd(int epoll_fd, int fd)
{
    control(epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

unsigned poll_event_of(const struct epoll_event *event)
{
    return (uintptr_t)event->data.ptr & (EVENT_AWAITED | EVENT_EITHER);
}

void poll_remove(int epoll_fd, struct connection *c)
{
    control(epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
}

struct connection *poll_event(const struct epoll_event *event)
{
    char *place = event->data.ptr;
    struct connection *c = place ? (struct connection *)(place - poll_event_of(event)) : NULL;
    bool late = poll_event_of(event) & EVENT_EITHER; /* may come to whoever has the place next */
    bool armed = !c || atomic_load_explicit(&c->armed, memory_order_acquire) || late;
    assert(armed);
    return c;
}

bool poll_open(struct poller *poller)
{
    struct epoll_event wake = {.events = EPOLLIN};
    poller->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    poller->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return poller->epoll_fd >= 0 && poller->wake_fd >= 0 &&
           epoll_ctl(poller->epoll_fd, EPOLL_CTL_ADD, poller->wake_fd, &wake) == 0;
}

void poll_close(struct poller *poller)
{
    close(poller->wake_fd);
    close(poller->epoll_fd);
}

void poll_wake(struct poller *poller)
{
    eventfd_write(poller->wake_fd, 1);
}

int poll_wait(struct poller *poller, struct epoll_event *events, int max, int timeout_ms)
{
    int count = epoll_wait(poller->epoll_fd, events, max, timeout_ms), kept = 0;
    assert(count >= 0 || errno == EINTR);
    for (int i = 0; i < count; i++) {
        eventfd_t ignored;
        if (poll_event(&events[i]))
            events[kept++] = events[i];
        else if (timeout_ms != 0)
            eventfd_read(poller->wake_fd, &ignored);
    }
    return kept;
}

/* ---- Requests */

/* Nothing is there but the end. */
static bool has_ended(struct connection *c, uint32_t events)
{
    char byte;
    return (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) &&
           recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

/* True: the client is gone, or was let go, between requests. */
static bool is_over(struct connection *c, uint32_t events)
{
    enum phase phase = connection_phase(c);
    bool said_nothing = phase == PHASE_FRESH || phase == PHASE_IDLE;
    return said_nothing && c->in.len == 0 && (atomic_load(&c->cut) || has_ended(c, events));
}

bool poll_requests(struct front *front, int timeout_ms, struct connections *out)
{
    struct epoll_event events[EVENTS_MAX];
    int count = poll_wait(&front->poller, events, EVENTS_MAX, timeout_ms);
    for (int i = 0; i < count; i++) {
        struct connection *c = poll_event(&events[i]);
        unsigned of = poll_event_of(&events[i]);
        if (!c || ((of & EVENT_EITHER) && !await_take_either(c)))
            continue;
        if (of == 0 && is_over(c, events[i].events)) {
            connection_close(c);
            continue;
        }
        c->resumes = of != 0;
        if (of == EVENT_AWAITED)
            await_take(c);
        TAILQ_INSERT_TAIL(out, c, in_queue);
    }
    return count > 0;
}
