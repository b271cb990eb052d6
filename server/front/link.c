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

void link_wait(struct connection *c, bool to_send)
{
    struct pollfd ready = {.fd = c->fd, .events = to_send ? POLLOUT : POLLIN};
    blocking_begin();
    poll(&ready, 1, -1); /* a cut makes it ready too */
    blocking_end();
}

/* ---- In plain */

static enum io plain_receive(struct connection *c, void *out, size_t room, size_t *got)
{
    ssize_t n;
    do
        n = recv(c->fd, out, room, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    *got = n > 0 ? (size_t)n : 0;
    if (n > 0)
        return IO_DONE;
    return n < 0 && would_block(errno) ? IO_AGAIN : IO_ENDED;
}

static enum io plain_send(struct connection *c, struct slice bytes, size_t *sent)
{
    for (*sent = 0; *sent < bytes.len;) {
        ssize_t n = send(c->fd, bytes.ptr + *sent, bytes.len - *sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0)
            *sent += (size_t)n;
        else if (errno != EINTR)
            return would_block(errno) ? IO_AGAIN : IO_ENDED;
    }
    return IO_DONE;
}

/* ---- With TLS */

static enum io io_of(enum tls_result result)
{
    switch (result) {
    case TLS_DONE:
        return IO_DONE;
    case TLS_WANT_READ:
    case TLS_WANT_WRITE:
        return IO_AGAIN;
    case TLS_ENDED:
    case TLS_GONE:
    case TLS_FAILED:
        break;
    }
    return IO_ENDED;
}

enum io link_shake_hands(struct connection *c, bool *wants_write)
{
    enum tls_result result = tls_handshake(c->tls, false);
    *wants_write = result == TLS_WANT_WRITE;
    c->shaken = result == TLS_DONE;
    return io_of(result);
}

bool link_has_pending(const struct connection *c)
{
    return c->tls && tls_has_pending(c->tls);
}

bool link_has_input(const struct connection *c)
{
    return c->in.len > 0 || (c->tls && tls_has_pending(c->tls));
}

void link_end(struct connection *c)
{
    tls_close(&c->tls, true);
    shutdown(c->fd, SHUT_WR);
}

/* ---- Before either */

/* The socket becomes readable when more than `bytes` have come: what is only looked at stays. */
static void expect_more_than(struct connection *c, int bytes)
{
    int least = bytes + 1;
    c->proxy_seen = bytes;
    setsockopt(c->fd, SOL_SOCKET, SO_RCVLOWAT, &least, sizeof least);
}

/* The header is looked at before it is taken: what follows it is TLS's, or HTTP's. To be woken with
 * nothing more there means the end, or a cut. */
enum io link_take_proxy_header(struct connection *c)
{
    char bytes[PROXY_HEADER_MAX];
    struct proxy_header header;
    ssize_t n = recv(c->fd, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
    if (n <= 0)
        return n < 0 && would_block(errno) ? IO_AGAIN : IO_ENDED;
    if (proxy_header_parse(slice_of(bytes, (size_t)n), &header))
        return IO_ENDED;
    if (header.size == 0 && (n == sizeof bytes || n == c->proxy_seen))
        return IO_ENDED;
    expect_more_than(c, header.size == 0 ? (int)n : 0);
    if (header.size == 0)
        return IO_AGAIN;
    if (recv(c->fd, bytes, header.size, MSG_DONTWAIT) != (ssize_t)header.size)
        return IO_ENDED;
    count_in(c, header.size);
    c->proxy_awaited = false;
    return !header.known || table_rebind(c, &header.source) ? IO_DONE : IO_ENDED;
}

/* ---- Either way */

enum io link_receive_into(struct connection *c, void *out, size_t room, bool wait, size_t *got)
{
    for (;;) {
        enum io io = c->tls ? io_of(tls_receive(c->tls, out, room, false, got))
                            : plain_receive(c, out, room, got);
        count_in(c, *got);
        if (io != IO_AGAIN || !wait)
            return io;
        link_wait(c, false);
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
    enum io io = c->tls ? io_of(tls_send(c->tls, bytes, false, sent)) : plain_send(c, bytes, sent);
    count_out(c, *sent);
    return io;
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
