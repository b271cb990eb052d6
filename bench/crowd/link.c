#include "crowd.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- Opening */

static struct sockaddr_in source_of(const struct client *c)
{
    uint32_t nth =
        (uint32_t)(crowd.options.first_source + (c - crowd.clients) % crowd.options.sources);
    return (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f010000 + nth)};
}

static void set_up(const struct client *c)
{
    struct sockaddr_in source = source_of(c);
    int yes = 1, window = (int)crowd.options.window;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    /* The port is chosen by connect(), for this pair of addresses: far more than 28 000 fit. */
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
    if (crowd.options.kind->reads_slowly)
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &window, sizeof window);
    if (bind(c->fd, (struct sockaddr *)&source, sizeof source) != 0)
        give_up("bind");
}

static void begin_tls(struct client *c)
{
    c->ssl = SSL_new(crowd.tls);
    if (!c->ssl || SSL_set_fd(c->ssl, c->fd) != 1)
        give_up("SSL_new");
    SSL_set_connect_state(c->ssl);
}

void link_open(struct client *c)
{
    bool settled = c->settled;
    *c = (struct client){.settled = settled, .began_ns = now_ns(), .phase = CONNECTING};
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        give_up("socket");
    set_up(c);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
    if (epoll_ctl(crowd.epoll, EPOLL_CTL_ADD, c->fd, &event) != 0)
        give_up("epoll_ctl");
    crowd.opening++;
    const struct sockaddr_in *server = &crowd.options.server;
    if (connect(c->fd, (const struct sockaddr *)server, sizeof *server) != 0 &&
        errno != EINPROGRESS)
        link_close(c, true);
}

static void is_open(struct client *c)
{
    c->phase = OPEN;
    crowd.opening--;
    crowd.opened++;
    if (crowd.options.kind->connected)
        crowd.options.kind->connected(c);
}

static void shake(struct client *c)
{
    ERR_clear_error();
    int done = SSL_do_handshake(c->ssl);
    if (done == 1) {
        is_open(c);
        return;
    }
    int why = SSL_get_error(c->ssl, done);
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
        link_close(c, true);
}

static void finish_connect(struct client *c)
{
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
        link_close(c, true);
    } else if (crowd.tls) {
        begin_tls(c);
        c->phase = SHAKING;
        shake(c);
    } else {
        is_open(c);
    }
}

bool link_advance(struct client *c)
{
    if (c->phase == CONNECTING)
        finish_connect(c);
    else if (c->phase == SHAKING)
        shake(c);
    return c->phase == OPEN;
}

/* ---- Bytes */

bool link_send(struct client *c, const void *bytes, size_t size)
{
    long n;
    if (c->ssl) {
        ERR_clear_error();
        n = SSL_write(c->ssl, bytes, (int)size);
        if (n <= 0 && SSL_get_error(c->ssl, (int)n) == SSL_ERROR_WANT_WRITE)
            return true;
    } else {
        n = send(c->fd, bytes, size, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            return true;
    }
    if (n <= 0)
        link_close(c, true);
    return n > 0;
}

static long receive_tls(struct client *c, void *out, size_t room)
{
    ERR_clear_error();
    int n = SSL_read(c->ssl, out, (int)room);
    if (n > 0)
        return n;
    int why = SSL_get_error(c->ssl, n);
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static long receive_plain(struct client *c, void *out, size_t room)
{
    long n = recv(c->fd, out, room, 0);
    if (n > 0)
        return n;
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

long link_receive(struct client *c, void *out, size_t room)
{
    long n = c->ssl ? receive_tls(c, out, room) : receive_plain(c, out, room);
    if (n < 0)
        link_close(c, true);
    return n;
}

/* ---- The end */

void link_settle(struct client *c)
{
    if (!c->settled)
        crowd.settled++;
    c->settled = true;
}

void link_close(struct client *c, bool lost)
{
    if (c->phase != OPEN)
        crowd.opening--;
    if (c->settled && lost)
        crowd.lost++;
    if (!c->settled && lost) {
        c->settled = true;
        crowd.failed++;
    }
    if (c->ssl && c->phase == OPEN && !lost)
        SSL_shutdown(c->ssl);
    SSL_free(c->ssl);
    close(c->fd);
    c->ssl = NULL;
    c->fd = -1;
    c->phase = CLOSED;
}
