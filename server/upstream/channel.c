#include "server/upstream/channel.h"

#include "base/ip.h"
#include "base/mem.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- Addresses */

static bool read_path(const char *path, struct server_address *out)
{
    struct sockaddr_un *address = (struct sockaddr_un *)&out->socket;
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof address->sun_path)
        return false;
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, path, len + 1);
    out->socket_len = sizeof *address;
    return true;
}

/* Cuts "[::1]:80" or "name:80" apart. */
static bool cut_port(const char *text, char host[128], const char **port)
{
    const char *colon = strrchr(text, ':');
    bool bracketed = text[0] == '[' && colon && colon[-1] == ']';
    if (!colon || colon == text || colon[1] == '\0' || colon - text >= 128)
        return false;
    size_t len = (size_t)(colon - text) - (bracketed ? 2 : 0);
    memcpy(host, text + bracketed, len);
    host[len] = '\0';
    *port = colon + 1;
    return len > 0;
}

bool server_address_read(const char *text, struct server_address *out, char *why, size_t why_size)
{
    static const char unix_prefix[] = "unix:";
    char host[128];
    const char *port;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found;
    memset(out, 0, sizeof *out);
    snprintf(out->text, sizeof out->text, "%s", text);
    if (strncmp(text, unix_prefix, sizeof unix_prefix - 1) == 0 &&
        read_path(text + sizeof unix_prefix - 1, out))
        return true;
    if (!cut_port(text, host, &port)) {
        snprintf(why, why_size, "%.100s is no address of a server", text);
        return false;
    }
    int error = getaddrinfo(host, port, &hints, &found);
    if (error) {
        snprintf(why, why_size, "%.100s is not found: %s", host, gai_strerror(error));
        return false;
    }
    memcpy(&out->socket, found->ai_addr, found->ai_addrlen);
    out->socket_len = found->ai_addrlen;
    freeaddrinfo(found);
    return true;
}

/* ---- Coming and going */

#define GONE_MS 120000 /* without a sign of life */

/* Who says nothing may have nothing to say, in a stream, or be there no more. */
static void set_options(int fd)
{
    int on = 1, idle_s = 60, between_s = 15;
    unsigned gone_ms = GONE_MS;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &between_s, sizeof between_s);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &gone_ms, sizeof gone_ms);
}

static int begin_connecting(const struct server_address *address, bool *connected)
{
    const struct sockaddr *to = (const struct sockaddr *)&address->socket;
    int fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (to->sa_family != AF_UNIX)
        set_options(fd);
    *connected = connect(fd, to, address->socket_len) == 0;
    if (*connected || errno == EINPROGRESS)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

struct channel *channel_open(const struct server_address *address, struct client_tls *tls)
{
    bool connected;
    int fd = begin_connecting(address, &connected);
    if (fd < 0)
        return NULL;
    struct channel *channel = mem_zalloc(sizeof *channel);
    channel->fd = fd;
    channel->connected = connected;
    channel->tls = tls ? client_tls_begin(tls, fd) : NULL;
    return channel;
}

void channel_close(struct channel **channel)
{
    if (!*channel)
        return;
    client_tls_end(&(*channel)->tls);
    close((*channel)->fd);
    buf_release(&(*channel)->preface);
    buf_release(&(*channel)->in);
    buf_release(&(*channel)->out);
    free(*channel);
    *channel = NULL;
}

void channel_introduce(struct channel *channel, enum preface preface,
                       const struct proxy_header *whose)
{
    static const struct proxy_header ours = {.known = false};
    if (preface == PREFACE_V1)
        proxy_header_write_v1(&channel->preface, whose ? whose : &ours);
    else if (preface == PREFACE_V2)
        proxy_header_write_v2(&channel->preface, whose ? whose : &ours);
}

static enum flow flow_of_errno(enum flow again)
{
    return errno == EAGAIN || errno == EWOULDBLOCK ? again : FLOW_FAILED;
}

static enum flow send_plain(int fd, struct slice bytes, size_t *sent)
{
    *sent = 0;
    while (*sent < bytes.len) {
        ssize_t n = send(fd, bytes.ptr + *sent, bytes.len - *sent, MSG_NOSIGNAL);
        if (n >= 0)
            *sent += (size_t)n;
        else if (errno != EINTR)
            return flow_of_errno(FLOW_WANTS_WRITE);
    }
    return FLOW_DONE;
}

/* ---- Connecting */

/* A socket that is not connected yet has neither an error nor a peer. */
static enum flow look_at_connecting(struct channel *channel)
{
    int error = 0;
    socklen_t len = sizeof error;
    struct sockaddr_storage peer;
    socklen_t peer_len = sizeof peer;
    getsockopt(channel->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error)
        return FLOW_FAILED;
    channel->connected = getpeername(channel->fd, (struct sockaddr *)&peer, &peer_len) == 0;
    return channel->connected ? FLOW_DONE : FLOW_WANTS_WRITE;
}

enum flow channel_connect(struct channel *channel)
{
    enum flow flow = channel->connected ? FLOW_DONE : look_at_connecting(channel);
    if (flow == FLOW_DONE && channel->preface_sent < channel->preface.len) {
        struct slice left = buf_slice(&channel->preface);
        left = slice_of(left.ptr + channel->preface_sent, left.len - channel->preface_sent);
        size_t sent;
        flow = send_plain(channel->fd, left, &sent);
        channel->preface_sent += sent;
    }
    if (flow == FLOW_DONE && channel->tls)
        flow = client_tls_shake_hands(channel->tls);
    return flow;
}

/* ---- Bytes */

enum flow channel_receive(struct channel *channel, void *out, size_t room, size_t *got)
{
    ssize_t n;
    *got = 0;
    if (channel->tls)
        return client_tls_receive(channel->tls, out, room, got);
    do
        n = recv(channel->fd, out, room, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return flow_of_errno(FLOW_WANTS_READ);
    *got = (size_t)n;
    return n > 0 ? FLOW_DONE : FLOW_ENDED;
}

enum flow channel_send(struct channel *channel, struct slice bytes, size_t *sent)
{
    *sent = 0;
    if (channel->tls)
        return client_tls_send(channel->tls, bytes, sent);
    return send_plain(channel->fd, bytes, sent);
}

bool channel_is_clean(struct channel *channel)
{
    char byte;
    if (channel->tls)
        return client_tls_is_clean(channel->tls);
    return recv(channel->fd, &byte, 1, MSG_PEEK) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}
