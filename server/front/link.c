/* Bytes in and out of a connection. */
#include "server/front/front_private.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

static void count_in(struct connection *c, size_t n)
{
    if (c->worker)
        own_add(&c->worker->bytes_in, n);
    else
        atomic_fetch_add_explicit(&c->front->hub_bytes_in, n, memory_order_relaxed);
}

static void count_out(struct connection *c, size_t n)
{
    if (c->worker)
        own_add(&c->worker->bytes_out, n);
    else
        atomic_fetch_add_explicit(&c->front->hub_bytes_out, n, memory_order_relaxed);
}

static bool would_block(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK;
}

static void wait_readable(int fd)
{
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    blocking_begin();
    poll(&readable, 1, -1); /* a cut makes it readable too */
    blocking_end();
}

enum io link_receive_into(struct connection *c, void *out, size_t room, bool wait, size_t *got)
{
    *got = 0;
    for (;;) {
        ssize_t n = recv(c->fd, out, room, MSG_DONTWAIT);
        if (n > 0) {
            *got = (size_t)n;
            count_in(c, *got);
            return IO_DONE;
        }
        if (n == 0 || (!would_block(errno) && errno != EINTR))
            return IO_ENDED;
        if (would_block(errno) && !wait)
            return IO_AGAIN;
        if (would_block(errno))
            wait_readable(c->fd);
    }
}

enum io link_receive(struct connection *c, size_t room)
{
    size_t got;
    buf_reserve(&c->in, room);
    enum io io = link_receive_into(c, c->in.data + c->in.len, c->in.cap - c->in.len, false, &got);
    c->in.len += got;
    return io;
}

enum io link_send(struct connection *c, struct slice bytes, size_t *sent)
{
    *sent = 0;
    while (*sent < bytes.len) {
        ssize_t n = send(c->fd, bytes.ptr + *sent, bytes.len - *sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0) {
            *sent += (size_t)n;
            count_out(c, (size_t)n);
        } else if (would_block(errno)) {
            return IO_AGAIN;
        } else if (errno != EINTR) {
            return IO_ENDED;
        }
    }
    return IO_DONE;
}

enum err link_why_ended(const struct connection *c)
{
    switch ((enum cut)atomic_load(&c->cut)) {
    case CUT_DEADLINE:
        return ERR_TIMEOUT;
    case CUT_EVICTED:
        return ERR_OVERLOADED;
    case CUT_STOPPING:
        return ERR_DRAINING;
    case CUT_NOT:
        break;
    }
    return ERR_MALFORMED;
}
