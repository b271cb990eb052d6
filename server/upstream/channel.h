/* A connection to a server that we ask: bytes in and out, without ever waiting. Threads: one at a
 * time has a channel. */
#ifndef GALLEY_SERVER_UPSTREAM_CHANNEL_H
#define GALLEY_SERVER_UPSTREAM_CHANNEL_H

#include "base/buf.h"
#include "server/http/proxy_protocol.h"
#include "server/upstream/client_tls.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>

/* Where a server listens. */
struct server_address {
    struct sockaddr_storage socket;
    socklen_t socket_len;
    char text[128]; /* as it was written: "10.0.0.1:80", "unix:/run/app.sock" */
};

/* Reads "127.0.0.1:80", "[::1]:80", "unix:/path", or "name:80", which is looked up: that may block.
 * False, with why, if it is none of them. */
bool server_address_read(const char *text, struct server_address *out, char *why, size_t why_size);

/* What came of a step. */
enum flow {
    FLOW_DONE,
    FLOW_WANTS_READ, /* again when it can be read */
    FLOW_WANTS_WRITE,
    FLOW_ENDED, /* the server has closed, in good order */
    FLOW_FAILED,
};

struct channel {
    int fd;
    struct client_tls_link *tls; /* or NULL */
    bool connected;
    struct buf preface; /* sent before anything else, TLS too */
    size_t preface_sent;
    unsigned served;       /* exchanges so far */
    unsigned generation;   /* of the settings that it was made by */
    int64_t idle_since_ns; /* in a pool */
    struct buf in;         /* received; the head of the answer, whose fields point into it */
    struct buf out;        /* to be sent */
    LIST_ENTRY(channel) link;
};

/* Begins to connect; `tls` NULL: none. NULL: not even that is possible (no descriptors). */
struct channel *channel_open(const struct server_address *address, struct client_tls *tls);
void channel_close(struct channel **channel);

/* Which version of the PROXY protocol a server wants to be told by whose connection it is. */
enum preface { PREFACE_NO, PREFACE_V1, PREFACE_V2 };
/* Before the first channel_connect; `whose` NULL: our own. */
void channel_introduce(struct channel *channel, enum preface preface,
                       const struct proxy_header *whose);

/* Goes on with connecting, and with the handshake. */
enum flow channel_connect(struct channel *channel);

/* Receives up to `room` bytes (*got > 0 with FLOW_DONE), and sends what is taken at once. */
enum flow channel_receive(struct channel *channel, void *out, size_t room, size_t *got);
enum flow channel_send(struct channel *channel, struct slice bytes, size_t *sent);

/* Between two exchanges: nothing has come, and the server has not closed. */
bool channel_is_clean(struct channel *channel);

#endif
