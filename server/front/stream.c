#include "server/front/front_private.h"

#include <poll.h>

/* The stream of one connection, as its writer sees it. */
struct client_stream {
    struct stream stream; /* first: one address serves for both */
    struct connection *c;
};

static struct connection *connection_of(struct stream *stream)
{
    return ((struct client_stream *)stream)->c;
}

static int64_t now_ns(const struct connection *c)
{
    return clock_mono_ns(c->front->options.clock);
}

static bool stream_write(struct stream *stream, struct slice bytes)
{
    struct connection *c = connection_of(stream);
    bool sent;

    if (atomic_load(&c->front->draining))
        return false;
    connection_enter(c, PHASE_SENDING, now_ns(c));
    sent = transport_send(c, bytes);
    connection_enter(c, PHASE_STREAMING, now_ns(c));
    return sent;
}

/* The descriptor that a drain makes readable, and the client's, of which a stream expects nothing
 * but its end. */
static bool stream_wait_until(struct stream *stream, int64_t deadline_ns)
{
    struct connection *c = connection_of(stream);
    struct pollfd fds[] = {{.fd = c->front->wake_fd, .events = POLLIN},
                           {.fd = c->fd, .events = POLLRDHUP}};
    int64_t left_ns;

    while ((left_ns = deadline_ns - now_ns(c)) > 0) {
        int64_t left_ms = (left_ns + 999999) / 1000000;

        if (poll(fds, 2, left_ms > INT32_MAX ? INT32_MAX : (int)left_ms) > 0)
            return false;
    }
    return !atomic_load(&c->front->draining);
}

void stream_run(struct connection *c)
{
    struct client_stream stream = {{stream_write, stream_wait_until}, c};

    connection_enter(c, PHASE_STREAMING, now_ns(c));
    c->response.stream(&stream.stream, c->response.stream_arg);
}
