#include "server/front/front_private.h"

#include <sys/socket.h>

#define GATHER_MAX 16384  /* a body up to this is copied behind its head: one system call */
#define PIECE_MAX  262144 /* the client has body_timeout_ms to take each */

static const char common_headers[] = "X-Content-Type-Options: nosniff\r\n"
                                     "X-Frame-Options: DENY\r\n"
                                     "Referrer-Policy: no-referrer\r\n";

static bool keeps_alive(const struct connection *c)
{
    const struct head *head = &c->head;

    if (c->response.close || c->response.stream != NULL || head->close)
        return false;
    if (head->http10 && !head->keep_alive)
        return false;
    return atomic_load(&c->cut) == CUT_NOT && !atomic_load(&c->front->draining) &&
           !table_crowded(c->front);
}

static bool has_header(const struct response *response, const char *name)
{
    struct slice lines = buf_slice(&response->headers), wanted = slice_str(name);

    while (lines.len > 0) {
        struct slice line = slice_cut(&lines, '\n');

        if (slice_eq_nocase(slice_cut(&line, ':'), wanted))
            return true;
    }
    return false;
}

/* What these statuses must carry, unless a layer above has said something better. */
static void add_required(struct response *response)
{
    if (response->status == 401 && !has_header(response, "WWW-Authenticate"))
        response_header(response, "WWW-Authenticate", slice_str("Bearer realm=\"galley\""));
    if (response->status == 503 && !has_header(response, "Retry-After"))
        response_header(response, "Retry-After", slice_str("1"));
}

static void append_date(struct connection *c)
{
    int64_t now_s = c->request.received_ms / 1000;

    if (now_s != c->date_s) {
        clock_http_date(c->request.received_ms, c->date);
        c->date_s = now_s;
    }
    buf_append_str(&c->out, "\r\nDate: ");
    buf_append(&c->out, c->date, CLOCK_HTTP_SIZE - 1);
}

static bool has_length(const struct response *response)
{
    return response->stream == NULL && response->status != 204 && response->status != 304;
}

static void append_head(struct connection *c, bool keep, size_t length)
{
    struct buf *out = &c->out;

    buf_append_str(out, "HTTP/1.1 ");
    buf_append_i64(out, c->response.status);
    buf_append_char(out, ' ');
    buf_append_str(out, status_reason(c->response.status));
    append_date(c);
    buf_append_str(out, "\r\nX-Request-Id: ");
    buf_append_str(out, c->request.id);
    if (has_length(&c->response)) {
        buf_append_str(out, "\r\nContent-Length: ");
        buf_append_u64(out, length);
    }
    if (!keep)
        buf_append_str(out, "\r\nConnection: close");
    else if (c->head.http10)
        buf_append_str(out, "\r\nConnection: keep-alive");
    buf_append(out, "\r\n", 2);
    buf_append(out, common_headers, sizeof common_headers - 1);
    buf_append(out, c->response.headers.data, c->response.headers.len);
    buf_append(out, "\r\n", 2);
}

static bool send_pieces(struct connection *c, struct slice bytes)
{
    while (bytes.len > 0) {
        size_t len = bytes.len < PIECE_MAX ? bytes.len : PIECE_MAX;

        connection_enter(c, PHASE_SENDING, clock_mono_ns(c->front->options.clock));
        if (!transport_send(c, slice_of(bytes.ptr, len)))
            return false;
        bytes = slice_of(bytes.ptr + len, bytes.len - len);
    }
    return true;
}

/* Puts head and body into c->out; returns what of the body is too large for that. */
static struct slice compose(struct connection *c, bool keep)
{
    struct response *response = &c->response;
    struct slice body =
        response->borrowed.ptr != NULL ? response->borrowed : buf_slice(&response->body);

    add_required(response);
    buf_clear(&c->out);
    buf_reserve(&c->out, 512);
    append_head(c, keep, body.len);
    if (c->request.method == METHOD_HEAD || !has_length(response))
        return slice_of(NULL, 0);
    if (body.len > GATHER_MAX)
        return body;
    buf_append_slice(&c->out, body);
    return slice_of(NULL, 0);
}

bool send_response(struct connection *c)
{
    bool keep = keeps_alive(c);
    struct slice rest = compose(c, keep);
    bool sent = send_pieces(c, buf_slice(&c->out)) && send_pieces(c, rest);

    if (sent && c->response.stream != NULL && c->request.method != METHOD_HEAD)
        stream_run(c);
    return sent && keep;
}

void send_without_waiting(struct connection *c)
{
    compose(c, false);
    (void)!send(c->fd, c->out.data, c->out.len, MSG_DONTWAIT | MSG_NOSIGNAL);
}
