#include "server/front/front_private.h"

#include "base/log.h"
#include "civetweb.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* DESIGN. Of civetweb we use the listening sockets, the threads and (later) TLS; see the patches in
 * civetweb/. HTTP is ours. Replacing civetweb means rewriting this file. */

static struct front *front_of(const struct mg_context *ctx)
{
    return mg_get_user_data(ctx);
}

static int on_log(const struct mg_connection *link, const char *message)
{
    struct front *front = front_of(mg_get_context(link));

    if (atomic_load(&front->running))
        log_write(LOG_WARN, "front", "%s", message);
    else if (front->why[0] == '\0') /* what follows is only that it could not go on */
        snprintf(front->why, sizeof front->why, "%s", message);
    return 1;
}

static void *on_thread(const struct mg_context *ctx, int kind)
{
    struct front *front = front_of(ctx);

    return kind == 1 ? &front->workers[atomic_fetch_add(&front->workers_started, 1)] : NULL;
}

static int on_accept(const struct mg_context *ctx, int fd, const struct sockaddr *peer,
                     void **accept_data)
{
    *accept_data = table_admit(front_of(ctx), fd, peer);
    return *accept_data == NULL;
}

static void on_serve(struct mg_connection *link)
{
    struct connection *c = mg_get_accept_data(link);

    c->link = link;
    c->worker = mg_get_thread_pointer(link);
    serve_connection(c);
}

/* Right before civetweb closes the socket. */
static void on_close(const struct mg_connection *link)
{
    table_remove(mg_get_accept_data(link));
}

static const struct mg_callbacks callbacks = {
    .log_message = on_log,
    .init_thread = on_thread,
    .accept_connection = on_accept,
    .serve_connection = on_serve,
    .connection_close = on_close,
};

enum err transport_open(struct front *front, char *why, size_t why_size)
{
    const struct front_options *o = &front->options;
    bool v6 = strchr(o->address, ':') != NULL;
    char listen[128], workers[16], queue[16], text[256];
    const char *options[] = {"listening_ports",
                             listen,
                             "num_threads",
                             workers,
                             "connection_queue",
                             queue,
                             "listen_backlog",
                             "4096",
                             "tcp_nodelay",
                             "1",
                             "max_request_size",
                             "1024",
                             NULL};
    struct mg_init_data init = {&callbacks, front, options};
    struct mg_error_data error = {.text = text, .text_buffer_size = sizeof text};
    struct mg_server_port port;

    /* civetweb would go on with fewer workers; a warning at the start is an error to us. */
    snprintf(listen, sizeof listen, v6 ? "[%s]:%u" : "%s:%u", o->address, o->port);
    snprintf(workers, sizeof workers, "%u", o->workers);
    snprintf(queue, sizeof queue, "%u", QUEUE_MAX);
    mg_init_library(MG_FEATURES_DEFAULT);
    front->server = mg_start2(&init, &error);
    if (front->server == NULL || front->why[0] != '\0') {
        snprintf(why, why_size, "%s", front->why[0] != '\0' ? front->why : text);
        mg_stop(front->server);
        mg_exit_library();
        return ERR_INTERNAL;
    }
    atomic_store(&front->running, true);
    if (mg_get_server_ports(front->server, 1, &port) == 1)
        front->port = (uint16_t)port.port;
    return ERR_OK;
}

void transport_stop_accepting(struct front *front)
{
    mg_stop_accepting(front->server);
}

void transport_close(struct front *front)
{
    mg_stop(front->server);
    mg_exit_library();
    front->server = NULL;
}

/* What the sweep's shutdown() looks like from here is the end of the connection. */
static enum err why_ended(const struct connection *c)
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

enum err transport_receive(struct connection *c, void *out, size_t room, size_t *got)
{
    int n = mg_recv(c->link, out, room);

    *got = n > 0 ? (size_t)n : 0;
    if (n <= 0)
        return why_ended(c);
    own_add(&c->worker->bytes_in, (uint64_t)n);
    return ERR_OK;
}

bool transport_send(struct connection *c, struct slice bytes)
{
    bool sent = mg_write(c->link, bytes.ptr, bytes.len) == (int)bytes.len;

    if (sent)
        own_add(&c->worker->bytes_out, bytes.len);
    return sent;
}
