/* The thread that serves copies of requests, as the front serves requests: none waits for another.
 * Copies that are new lie in a stack that anybody may push to; the thread alone has the rest. */
#include "server/upstream/mirror_private.h"

#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_MAX 64
#define ANSWER_MAX (1 << 20) /* bytes that are read of an answer, so that its connection lasts */
#define TIME_NS    INT64_C(60000000000) /* that a copy may take, whatever its upstream says */

struct mirrors {
    pthread_t thread;
    bool started;
    int wake_fd, epoll_fd;
    _Atomic bool stopping;
    atomic_uint under_way; /* reserved ones too */
    _Atomic(struct copy *) fresh;
    /* the thread's */
    LIST_HEAD(, copy) copies;
    struct buf dropped; /* what comes of an answer */
};

/* ---- A copy */

static void end(struct mirrors *mirrors, struct copy *copy)
{
    response_reset(&copy->response);
    buf_release(&copy->response.headers);
    buf_release(&copy->response.body);
    LIST_REMOVE(copy, link);
    free(copy);
    atomic_fetch_sub(&mirrors->under_way, 1);
}

static bool watch(struct mirrors *mirrors, int fd, uint32_t events, struct copy *copy)
{
    struct epoll_event event = {.events = events, .data.ptr = copy};
    return epoll_ctl(mirrors->epoll_fd, EPOLL_CTL_MOD, fd, &event) == 0 ||
           (errno == ENOENT && epoll_ctl(mirrors->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0);
}

static void await(struct mirrors *mirrors, struct copy *copy, int fd, bool write, int64_t until_ns)
{
    uint32_t events = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT | (write ? EPOLLOUT : 0);
    copy->fd = fd;
    copy->until_ns = until_ns < copy->ends_ns ? until_ns : copy->ends_ns;
    if (!watch(mirrors, fd, events, copy))
        copy->until_ns = 0; /* no memory in the kernel: as if its time were over */
}

static void feed(struct mirrors *mirrors, struct copy *copy)
{
    const struct feed *feed = &copy->response.feed;
    int64_t next = FEED_AGAIN;
    while (next == FEED_AGAIN && copy->bytes <= ANSWER_MAX) {
        next = feed->fill(feed->arg, &mirrors->dropped, clock_mono_ns(&clock_system));
        copy->bytes += mirrors->dropped.len;
        buf_clear(&mirrors->dropped);
    }
    if (next > 0 && feed->polls)
        await(mirrors, copy, feed->fd, false, next);
    else
        end(mirrors, copy);
}

static void call(struct mirrors *mirrors, struct copy *copy)
{
    struct request *request = &copy->request;
    const struct descriptor_wait *wait = &request->wait;
    request->awaiting = false;
    request->wait.wanted = false;
    upstream_target(request, &copy->response, copy->upstream);
    copy->feeding = !request->awaiting && copy->response.feed.fill;
    if (request->awaiting)
        await(mirrors, copy, wait->fd, wait->write, wait->until_ns);
    else if (copy->feeding)
        feed(mirrors, copy);
    else
        end(mirrors, copy);
}

static void go_on(struct mirrors *mirrors, struct copy *copy, enum wake why)
{
    bool over = why == WAKE_GONE || why == WAKE_STOPPING;
    if (why != WAKE_READY && !copy->feeding)
        shutdown(copy->fd, SHUT_RDWR); /* as who awaits it expects */
    copy->request.woken = why;
    if (!copy->feeding)
        call(mirrors, copy);
    else if (over)
        end(mirrors, copy);
    else
        feed(mirrors, copy);
}

/* ---- All of them */

static void take_fresh(struct mirrors *mirrors)
{
    struct copy *copy = atomic_exchange(&mirrors->fresh, NULL), *next;
    for (; copy; copy = next) {
        next = copy->next;
        copy->ends_ns = clock_mono_ns(&clock_system) + TIME_NS;
        LIST_INSERT_HEAD(&mirrors->copies, copy, link);
        call(mirrors, copy);
    }
}

/* Returns when the next one is. */
static int64_t cut_overdue(struct mirrors *mirrors)
{
    struct copy *copy = LIST_FIRST(&mirrors->copies), *next;
    int64_t now_ns = clock_mono_ns(&clock_system), due_ns = INT64_MAX;
    for (; copy; copy = next) {
        next = LIST_NEXT(copy, link);
        if (now_ns >= copy->until_ns)
            go_on(mirrors, copy, now_ns >= copy->ends_ns ? WAKE_GONE : WAKE_TIMEOUT);
    }
    LIST_FOREACH(copy, &mirrors->copies, link)
        due_ns = copy->until_ns < due_ns ? copy->until_ns : due_ns;
    return due_ns;
}

static void sleep_until(struct mirrors *mirrors, int64_t until_ns)
{
    struct epoll_event events[EVENTS_MAX];
    int64_t left_ms = (until_ns - clock_mono_ns(&clock_system)) / 1000000 + 1;
    int wait_ms = until_ns == INT64_MAX ? -1 : left_ms > 0 ? (int)left_ms : 0;
    int count = epoll_wait(mirrors->epoll_fd, events, EVENTS_MAX, wait_ms);
    eventfd_t words;
    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr)
            go_on(mirrors, events[i].data.ptr, WAKE_READY);
        else
            eventfd_read(mirrors->wake_fd, &words);
    }
}

static void *run(void *arg)
{
    struct mirrors *mirrors = arg;
    pthread_setname_np(pthread_self(), "mirror");
    while (!atomic_load(&mirrors->stopping)) {
        take_fresh(mirrors);
        sleep_until(mirrors, cut_overdue(mirrors));
    }
    take_fresh(mirrors);
    while (!LIST_EMPTY(&mirrors->copies))
        go_on(mirrors, LIST_FIRST(&mirrors->copies), WAKE_STOPPING);
    return NULL;
}

/* ---- For others */

bool copies_reserve(struct mirrors *mirrors)
{
    if (atomic_fetch_add(&mirrors->under_way, 1) < MIRROR_COPIES_MAX)
        return true;
    atomic_fetch_sub(&mirrors->under_way, 1);
    return false;
}

void copies_send(struct mirrors *mirrors, struct copy *copy)
{
    copy->next = atomic_load(&mirrors->fresh);
    while (!atomic_compare_exchange_weak(&mirrors->fresh, &copy->next, copy)) {
    }
    eventfd_write(mirrors->wake_fd, 1);
}

bool copies_start(struct mirrors *mirrors)
{
    if (mirrors->started)
        return true;
    mirrors->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    mirrors->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    mirrors->started = mirrors->wake_fd >= 0 && mirrors->epoll_fd >= 0 &&
                       watch(mirrors, mirrors->wake_fd, EPOLLIN, NULL) &&
                       pthread_create(&mirrors->thread, NULL, run, mirrors) == 0;
    if (mirrors->started)
        return true;
    if (mirrors->wake_fd >= 0)
        close(mirrors->wake_fd);
    if (mirrors->epoll_fd >= 0)
        close(mirrors->epoll_fd);
    return false;
}

struct mirrors *mirrors_create(void)
{
    struct mirrors *mirrors = mem_zalloc(sizeof *mirrors);
    LIST_INIT(&mirrors->copies);
    return mirrors;
}

void mirrors_destroy(struct mirrors **mirrors)
{
    struct mirrors *m = *mirrors;
    if (!m)
        return;
    if (m->started) {
        atomic_store(&m->stopping, true);
        eventfd_write(m->wake_fd, 1);
        pthread_join(m->thread, NULL);
        close(m->wake_fd);
        close(m->epoll_fd);
    }
    buf_release(&m->dropped);
    free(m);
    *mirrors = NULL;
}
