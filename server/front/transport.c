#include "server/front/front_private.h"

#include "base/log.h"
#include "civetweb.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* DESIGN. Of civetweb we use the listening sockets, accepting and the pool of threads; see the
 * patches in civetweb/. HTTP is ours. Replacing civetweb means rewriting this file. */

static struct front *front_of(const struct mg_context *ctx)
{
    struct front *front = mg_get_user_data(ctx);
    assert(front);
    return front;
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

static void on_accept(const struct mg_context *ctx, unsigned listener, int fd,
                      const struct sockaddr *from)
{
    struct front *front = front_of(ctx);
    struct connection *c = table_admit(front, &front->listeners[listener], fd, from);
    if (c && !hub_add(front->hub, c))
        connection_close(c);
}

/* Mostly for want of descriptors. The socket stays readable, and asking again at once would only
 * burn the processor that could free some. */
static void on_accept_failed(const struct mg_context *ctx, int error)
{
    static const struct timespec pause = {0, 20000000};
    if (error == ECONNABORTED || error == EINTR || error == EAGAIN)
        return;
    table_make_room(front_of(ctx), strerror(error));
    nanosleep(&pause, NULL);
}

static void on_worker(const struct mg_context *ctx)
{
    worker_run(front_of(ctx));
}

/* ---- Listening */

/* A socket that nobody listens on any more is in the way of the next. One that answers is another
 * server's, and binding then fails. */
static void remove_dead_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat found;
    if (lstat(path, &found) != 0 || !S_ISSOCK(found.st_mode))
        return;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memcpy(address.sun_path, path, sizeof address.sun_path);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) != 0 &&
        errno == ECONNREFUSED)
        unlink(path);
    if (fd >= 0)
        close(fd);
}

/* In civetweb's words: "127.0.0.1:80,x/path". */
static void write_ports(struct front *front, struct buf *out)
{
    for (unsigned i = 0; i < front->listener_count; i++) {
        const struct listener *listener = &front->listeners[i];
        if (i > 0)
            buf_append_char(out, ',');
        if (listener->unix_socket) {
            remove_dead_socket(listener->address);
            buf_append_char(out, 'x');
        }
        buf_append_str(out, listener->address);
    }
    buf_append_char(out, '\0');
}

/* Accepted sockets inherit what their listener has: no call for each of them. A client that has
 * vanished without a word is given up when it has acknowledged nothing for as long as an answer may
 * take. */
static void set_options(int fd, int64_t gone_ms)
{
    int on = 1, idle_s = 60;
    unsigned int user_timeout_ms = (unsigned int)gone_ms;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms, sizeof user_timeout_ms);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static uint16_t bound_port(int fd)
{
    struct sockaddr_in6 address = {0};
    socklen_t len = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        return 0;
    return ntohs(address.sin6_port); /* stands at the same place in a sockaddr_in */
}

static void note_listeners(struct front *front)
{
    for (unsigned i = 0; i < front->listener_count; i++) {
        struct listener *listener = &front->listeners[i];
        int fd = mg_get_listening_socket(front->server, i);
        set_options(fd, 2 * front->options.body_timeout_ms);
        if (listener->unix_socket)
            chmod(listener->address, listener->local ? 0600 : 0666);
        else
            listener->port = bound_port(fd);
    }
}

/* Before the master accepts anybody, front->server has to be known: handlers need it. */
static void *on_thread(const struct mg_context *ctx, int kind)
{
    struct front *front = front_of(ctx);
    if (kind == 0) {
        lock_acquire(&front->lock);
        while (!front->may_accept)
            lock_cond_wait(&front->changed, &front->lock);
        lock_leave(&front->lock);
    }
    return NULL;
}

static void let_accept(struct front *front)
{
    lock_acquire(&front->lock);
    front->may_accept = true;
    lock_cond_broadcast(&front->changed);
    lock_leave(&front->lock);
}

static const struct mg_callbacks callbacks = {
    .log_message = on_log,
    .init_thread = on_thread,
    .accept_connection = on_accept,
    .accept_failed = on_accept_failed,
    .run_worker = on_worker,
};

static enum err start(struct front *front, const char *ports, char *why, size_t why_size)
{
    char workers[16], text[256] = "";
    const char *options[] = {"listening_ports",
                             ports,
                             "num_threads",
                             workers,
                             "listen_backlog",
                             "4096",
                             "connection_queue",
                             "1",
                             "max_request_size",
                             "1024",
                             NULL};
    struct mg_init_data init = {&callbacks, front, options};
    struct mg_error_data error = {.text = text, .text_buffer_size = sizeof text};
    snprintf(workers, sizeof workers, "%u", front->options.workers);
    front->server = mg_start2(&init, &error);
    if (front->server && front->why[0] == '\0')
        return ERR_OK;
    snprintf(why, why_size, "%s", front->why[0] != '\0' ? front->why : text);
    let_accept(front);
    mg_stop(front->server);
    front->server = NULL;
    return ERR_INTERNAL;
}

enum err transport_open(struct front *front, char *why, size_t why_size)
{
    struct buf ports = BUF_INIT;
    mg_init_library(MG_FEATURES_DEFAULT);
    write_ports(front, &ports);
    enum err err = start(front, ports.data, why, why_size);
    buf_release(&ports);
    if (err) {
        mg_exit_library();
        return err;
    }
    note_listeners(front);
    atomic_store(&front->running, true);
    return ERR_OK;
}

void transport_accept(struct front *front)
{
    let_accept(front);
}

bool transport_start_worker(struct front *front)
{
    return mg_start_worker(front->server) == 0;
}

void transport_stop_accepting(struct front *front, int64_t for_ms)
{
    mg_stop_accepting(front->server, (unsigned)for_ms);
}

void transport_close(struct front *front)
{
    if (!front->server)
        return;
    let_accept(front); /* or the master would wait for it */
    mg_stop(front->server);
    mg_exit_library();
    front->server = NULL;
}
