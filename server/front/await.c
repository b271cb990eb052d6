/* DESIGN. A handler whose answer comes later (after a commit) holds no worker: the connection is
 * then with nobody, and comes back through the queue. The worker that leaves it and the thread that
 * resumes it may meet: who comes second to `await` pushes it. Between the two the connection counts
 * as serving, for deadlines, for its client's limit and for a stop, which waits for it.
 *
 * A descriptor that is awaited is in the poller, and its event alone brings the connection back:
 * whoever wants that earlier (a deadline, a client that has gone, a stop) shuts the descriptor down
 * (or rings its bell) and has said why. `awaited` keeps him from shutting down what is not awaited
 * any more: he marks it and acts under the table's lock; who finds the mark waits for that lock.
 * The sweep looks for both, so that an exchange that goes well costs nothing for it.
 *
 * Who waits for its client and a descriptor at once is in the poller twice, and both events may be
 * seen by two threads: the first to clear `awaits_both` has the connection. The other event may
 * come much later, when the connection waits again, or is another: then it is a call for nothing.
 */
#include "server/front/front_private.h"

#include <assert.h>
#include <poll.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

enum { AWAIT_BEGUN, AWAIT_PARKED, AWAIT_RESUMED };

#define AWAITED_CUT (-1)
#define CLIENTS_MAX 256 /* looked at in one call */

static struct service *service_of(struct request *request)
{
    return (struct service *)((char *)request - offsetof(struct service, request));
}

static void resume(struct request *request)
{
    struct service *service = service_of(request);
    if (atomic_exchange(&service->await, AWAIT_RESUMED) == AWAIT_PARKED)
        ready_push_resumed(service->c);
}

void await_begin(struct connection *c)
{
    struct service *service = c->service;
    service->request.awaiting = false;
    service->request.wait.wanted = false;
    service->request.resume = resume;
    atomic_store_explicit(&service->await, AWAIT_BEGUN, memory_order_relaxed);
}

/* ---- Descriptors */

static void park_fd(struct connection *c)
{
    struct front *front = c->front;
    struct descriptor_wait wait = c->service->request.wait;
    atomic_store_explicit(&c->await_until_ns, wait.until_ns, memory_order_relaxed);
    c->await_bell = wait.bell;
    atomic_store(&c->awaited, wait.fd + 1);
    uint32_t events = EPOLLIN | EPOLLRDHUP | (wait.write ? EPOLLOUT : 0);
    if (poll_arm_for(front->poller.epoll_fd, c, wait.fd, events, EVENT_AWAITED))
        return;
    lock_acquire(&front->lock); /* no memory in the kernel: as if its time were over */
    await_cut(c, WAKE_TIMEOUT);
    lock_leave(&front->lock);
    await_take(c);
    ready_push_resumed(c);
}

/* The time is the client's, as in any other body. Both are armed before anybody may have it: who
 * armed one later could arm what is another's by then. What comes before that is dropped, and is
 * looked for. */
static void park_both(struct connection *c)
{
    int epoll_fd = c->front->poller.epoll_fd, fd = c->service->request.wait.fd, own_fd = c->fd;
    const uint32_t events = EPOLLIN | EPOLLRDHUP;
    struct pollfd both[] = {{.fd = fd, .events = POLLIN | POLLRDHUP},
                            {.fd = own_fd, .events = POLLIN | POLLRDHUP}};
    if (connection_phase(c) != PHASE_BODY)
        connection_enter(c, PHASE_BODY, front_now_ns(c->front));
    bool armed = poll_arm_for(epoll_fd, c, fd, events, EVENT_AWAITED | EVENT_EITHER) &&
                 poll_arm_for(epoll_fd, c, own_fd, events, EVENT_EITHER);
    atomic_store(&c->awaits_both, true);
    bool look = !armed || poll(both, 2, 0) != 0; /* no memory in the kernel: look again */
    if (look && await_take_either(c))
        ready_push_resumed(c);
}

bool await_take_either(struct connection *c)
{
    bool first = atomic_exchange(&c->awaits_both, false);
    if (first)
        c->service->request.woken = WAKE_READY;
    return first;
}

void await_take(struct connection *c)
{
    struct front *front = c->front;
    bool cut = atomic_exchange(&c->awaited, 0) == AWAITED_CUT;
    if (cut) { /* until who does it has done it */
        lock_acquire(&front->lock);
        lock_leave(&front->lock);
    }
    c->service->request.woken = cut ? c->await_cut : WAKE_READY;
}

void await_cut(struct connection *c, enum wake why)
{
    lock_assert_held(&c->front->lock);
    int awaited = atomic_load(&c->awaited);
    if (awaited <= 0)
        return;
    c->await_cut = why;
    if (!atomic_compare_exchange_strong(&c->awaited, &awaited, AWAITED_CUT))
        return;
    if (c->await_bell >= 0)
        eventfd_write(c->await_bell, AWAIT_RING);
    else
        shutdown(awaited - 1, SHUT_RDWR);
}

/* Clients whose connections await something. */
struct watched {
    nfds_t count;
    struct pollfd sockets[CLIENTS_MAX];
    struct connection *connections[CLIENTS_MAX];
};

static void cut_gone(struct watched *watched)
{
    int ready = poll(watched->sockets, watched->count, 0);
    for (nfds_t i = 0; ready > 0 && i < watched->count; i++) {
        if (watched->sockets[i].revents & (POLLRDHUP | POLLHUP | POLLERR))
            await_cut(watched->connections[i], WAKE_GONE);
    }
    watched->count = 0;
}

void await_sweep(struct front *front, int64_t now_ns)
{
    struct watched watched;
    watched.count = 0;
    lock_assert_held(&front->lock);
    for (unsigned i = 0; i < front->touched; i++) {
        struct connection *c = &front->connections[i];
        if (atomic_load_explicit(&c->awaited, memory_order_relaxed) <= 0)
            continue;
        if (now_ns >= atomic_load_explicit(&c->await_until_ns, memory_order_relaxed)) {
            await_cut(c, WAKE_TIMEOUT);
            continue;
        }
        watched.sockets[watched.count] = (struct pollfd){.fd = c->fd, .events = POLLRDHUP};
        watched.connections[watched.count++] = c;
        if (watched.count == CLIENTS_MAX)
            cut_gone(&watched);
    }
    cut_gone(&watched);
}

void await_take_all(struct front *front)
{
    for (unsigned i = 0; i < front->touched; i++) {
        struct connection *c = &front->connections[i];
        bool one = atomic_exchange(&c->awaited, 0) != 0;
        if (!one && !atomic_exchange(&c->awaits_both, false))
            continue;
        c->service->request.woken = WAKE_STOPPING;
        atomic_fetch_sub(&front->queue.awaited, 1);
    }
}

void await_park(struct connection *c)
{
    struct front *front = c->front;
    atomic_fetch_add(&front->queue.awaited, 1);
    if (c->service->request.wait.wanted) {
        if (c->service->request.wait.body)
            park_both(c);
        else
            park_fd(c);
        return;
    }
    if (atomic_exchange(&c->service->await, AWAIT_PARKED) == AWAIT_RESUMED)
        ready_push_resumed(c);
}
