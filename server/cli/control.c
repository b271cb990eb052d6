#include "server/cli/control.h"

#include "base/buf.h"
#include "server/control.h"
#include "server/http/response_head.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define PATIENCE_S 60
#define ANSWER_MAX (16u << 20)

static int open_control(const char *data_dir, char *why, size_t why_size)
{
    int dir = open(data_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) {
        snprintf(why, why_size, "%s", strerror(errno));
        return -1;
    }
    int fd = control_connect(dir, 0);
    bool nobody = errno == ENOENT || errno == ECONNREFUSED;
    if (fd < 0)
        snprintf(why, why_size, "%s", nobody ? "no server runs on it" : strerror(errno));
    close(dir);
    if (fd < 0)
        return -1;
    struct timeval patience = {.tv_sec = PATIENCE_S};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    return fd;
}

static bool send_all(int fd, struct slice bytes)
{
    while (bytes.len > 0) {
        ssize_t sent = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR)
            return false;
        if (sent > 0)
            bytes = slice_of(bytes.ptr + sent, bytes.len - (size_t)sent);
    }
    return true;
}

static bool send_request(int fd, const char *method, const char *target, const json_t *body)
{
    struct buf text = BUF_INIT, json = BUF_INIT;
    if (body)
        json_append(&json, body);
    buf_printf(&text,
               "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n"
               "Content-Type: application/json\r\nConnection: close\r\n\r\n",
               method, target, json.len);
    buf_append_slice(&text, buf_slice(&json));
    bool sent = send_all(fd, buf_slice(&text));
    buf_release(&json);
    buf_release(&text);
    return sent;
}

/* All that comes until the server closes. */
static bool receive_all(int fd, struct buf *out)
{
    for (;;) {
        ssize_t got = recv(fd, buf_reserve(out, 16384), 16384, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0;
        out->len += (size_t)got;
        if (out->len > ANSWER_MAX)
            return false;
    }
}

static bool parse(const struct buf *bytes, struct control_answer *out)
{
    struct head_scan scan = {0};
    struct response_head head;
    if (response_head_find_end(&scan, buf_slice(bytes)) || scan.end == 0 ||
        response_head_parse(slice_of(bytes->data, scan.end), METHOD_POST, &head))
        return false;
    struct slice body = slice_of(bytes->data + scan.end, bytes->len - scan.end);
    if (head.framing == FRAMING_CHUNKED ||
        (head.content_length >= 0 && (uint64_t)head.content_length != body.len))
        return false;
    out->status = head.status;
    if (json_read_trusted(body, &out->json))
        out->json = NULL;
    return true;
}

bool control_ask(const char *data_dir, const char *method, const char *target, const json_t *body,
                 struct control_answer *out, bool *running, char *why, size_t why_size)
{
    struct buf bytes = BUF_INIT;
    *out = (struct control_answer){0};
    int fd = open_control(data_dir, why, why_size);
    if (running)
        *running = fd >= 0;
    if (fd < 0)
        return false;
    bool good =
        send_request(fd, method, target, body) && receive_all(fd, &bytes) && parse(&bytes, out);
    if (!good)
        snprintf(why, why_size, "the server gave no answer that could be understood");
    buf_release(&bytes);
    close(fd);
    return good;
}
