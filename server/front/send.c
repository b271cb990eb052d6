/* An answer on its way: composed, sent as far as the client takes it at once, and the rest by the
 * hub when it takes more. */
#include "server/front/front_private.h"

#include "server/http/status.h"

#include <assert.h>
#include <stddef.h>

#define GATHER_MAX  16384  /* a body up to this is copied behind its head: one system call */
#define INTERIM_MAX 16384  /* bytes of heads below 200 that wait for their client */
#define PIECE_MAX   262144 /* the client has body_timeout_ms to take each */

static bool is_feed(const struct response *response)
{
    return response->feed.fill;
}

static bool keeps_alive(struct connection *c)
{
    const struct service *service = c->service;
    const struct head *head = &service->head;
    if (service->refused || service->response.close || head->close ||
        service->response.status == 101)
        return false;
    if (head->http10 && (!head->keep_alive || (is_feed(&service->response) && service->chunked)))
        return false;
    return !atomic_load(&c->cut) && !atomic_load(&c->front->draining) && body_leave(c);
}

/* ---- The head */

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
    if (response->passed_on)
        return;
    if (response->status == 401 && !has_header(response, "WWW-Authenticate"))
        response_header(response, "WWW-Authenticate", slice_str("Bearer realm=\"galley\""));
    if (response->status == 503 && !has_header(response, "Retry-After"))
        response_header(response, "Retry-After", slice_str("1"));
}

static void append_date(struct connection *c)
{
    if (c->service->response.passed_on)
        return;
    struct worker *worker = c->worker;
    int64_t now_ms = c->service->request.received_ms;
    char fresh[CLOCK_HTTP_SIZE];
    char *date = worker ? worker->date : fresh;
    if (!worker || worker->date_s != now_ms / 1000)
        clock_http_date(now_ms, date);
    if (worker)
        worker->date_s = now_ms / 1000;
    buf_append_str(&c->service->out, "\r\nDate: ");
    buf_append(&c->service->out, date, CLOCK_HTTP_SIZE - 1);
}

static void append_framing(struct service *service, size_t length)
{
    struct buf *out = &service->out;
    int status = service->response.status;
    if (status == 101 || status == 204 || status == 304)
        return;
    if (is_feed(&service->response) && !service->response.feed.sized) {
        if (service->chunked && !service->head.http10)
            buf_append_str(out, "\r\nTransfer-Encoding: chunked");
        return;
    }
    buf_append_str(out, "\r\nContent-Length: ");
    buf_append_u64(out, length);
}

static void append_head(struct connection *c, size_t length)
{
    struct service *service = c->service;
    struct buf *out = &service->out;
    buf_append_str(out, "HTTP/1.1 ");
    buf_append_i64(out, service->response.status);
    buf_append_char(out, ' ');
    buf_append_str(out, status_reason(service->response.status));
    append_date(c);
    buf_append_str(out, "\r\nX-Request-Id: ");
    buf_append_str(out, service->request.id);
    append_framing(service, length);
    if (service->response.status == 101)
        buf_append_str(out, "\r\nConnection: Upgrade");
    else if (!service->keep)
        buf_append_str(out, "\r\nConnection: close");
    else if (service->head.http10)
        buf_append_str(out, "\r\nConnection: keep-alive");
    buf_append(out, "\r\n", 2);
    if (!service->response.passed_on && !service->response.says_security)
        buf_append(out, SECURITY_HEADERS, sizeof SECURITY_HEADERS - 1);
    if (c->tls)
        buf_append_str(out, tls_hsts_line(c->tls));
    buf_append(out, service->response.headers.data, service->response.headers.len);
    buf_append(out, "\r\n", 2);
}

static bool has_body(const struct service *service)
{
    int status = service->response.status;
    return service->request.method != METHOD_HEAD && status != 204 && status != 304;
}

/* Puts head and body into service->out; what of the body is too large for that into `rest`. */
static void compose(struct connection *c)
{
    struct service *service = c->service;
    struct response *response = &service->response;
    struct slice body = response->borrowed.ptr ? response->borrowed : buf_slice(&response->body);
    service->chunked = is_feed(response) && !response->feed.sized && response->status != 101;
    service->keep = keeps_alive(c);
    add_required(response);
    buf_clear(&service->out);
    buf_append_slice(&service->out, buf_slice(&service->interim));
    buf_clear(&service->interim);
    buf_reserve(&service->out, 512);
    append_head(c, is_feed(response) ? (size_t)response->feed.length : body.len);
    service->head_size = service->out.len;
    service->out_sent = service->sent_bytes = 0;
    service->stalled_ns = 0;
    service->rest = slice_of(NULL, 0);
    if (is_feed(response) || !has_body(service))
        return;
    if (body.len <= GATHER_MAX)
        buf_append_slice(&service->out, body);
    else
        service->rest = body;
}

/* What the client does not take of it now goes before the answer. */
void send_interim(struct request *request, struct slice head)
{
    struct service *service =
        (struct service *)((char *)request - offsetof(struct service, request));
    size_t sent = 0;
    if (service->head.http10 || service->interim.len > INTERIM_MAX)
        return;
    if (service->interim.len == 0 && link_send(service->c, head, &sent) == IO_ENDED)
        return; /* as it will show */
    buf_append(&service->interim, head.ptr + sent, head.len - sent);
}

/* ---- Sending */

static bool send_some(struct connection *c, struct slice bytes, size_t *sent, enum io *io)
{
    size_t piece = bytes.len < PIECE_MAX ? bytes.len : PIECE_MAX;
    *io = link_send(c, slice_of(bytes.ptr, piece), sent);
    c->service->sent_bytes += *sent;
    return *io == IO_DONE;
}

enum next send_stalled(struct connection *c)
{
    struct service *service = c->service;
    if (service->stalled_ns == 0)
        service->stalled_at = service->sent_bytes;
    if (connection_phase(c) != PHASE_SENDING)
        connection_enter(c, PHASE_SENDING, front_now_ns(c->front));
    uint64_t taken = service->sent_bytes - service->stalled_at;
    if (body_keeps_rate(c->front, service->stalled_ns, taken))
        return NEXT_SEND;
    atomic_store(&c->cut, CUT_DEADLINE);
    return NEXT_CLOSE;
}

/* The phase's time is that of the last bytes that it took. */
static void note_progress(struct connection *c)
{
    uint64_t word = atomic_load(&c->phase);
    if (phase_of(word) != PHASE_SENDING)
        return;
    int64_t now_ns = front_now_ns(c->front);
    c->service->stalled_ns += now_ns - since_of(word);
    connection_enter(c, PHASE_SENDING, now_ns);
}

enum next send_rest(struct connection *c)
{
    struct service *service = c->service;
    enum io io = IO_DONE;
    uint64_t before = service->sent_bytes;
    size_t sent;
    while (io == IO_DONE && service->out_sent < service->out.len) {
        struct slice left =
            slice_of(service->out.data + service->out_sent, service->out.len - service->out_sent);
        send_some(c, left, &sent, &io);
        service->out_sent += sent;
    }
    while (io == IO_DONE && service->rest.len > 0) {
        send_some(c, service->rest, &sent, &io);
        service->rest = slice_of(service->rest.ptr + sent, service->rest.len - sent);
    }
    if (service->sent_bytes > before)
        note_progress(c);
    return io == IO_DONE ? NEXT_REQUEST : io == IO_AGAIN ? send_stalled(c) : NEXT_CLOSE;
}

enum next send_response(struct connection *c)
{
    struct service *service = c->service;
    service->answering = true;
    compose(c);
    enum next next = send_rest(c);
    bool feeds = is_feed(&service->response) && has_body(service);
    if (feeds && next != NEXT_CLOSE)
        return NEXT_FEED;
    if (next == NEXT_SEND)
        return NEXT_SEND;
    return send_finished(c, next == NEXT_REQUEST);
}

/* ---- The end of an answer */

static enum outcome outcome_of(const struct connection *c, bool whole)
{
    if (whole)
        return SENT_WHOLE;
    switch ((enum cut)atomic_load(&c->cut)) {
    case CUT_NOT:
        return c->service->ask_at_ns == FEED_FAILED ? SENT_CUT : SENT_GONE;
    case CUT_DEADLINE:
        return SENT_TIMEOUT;
    default:
        return SENT_CUT;
    }
}

static void tell(struct connection *c, bool whole, int64_t now_ns)
{
    struct service *service = c->service;
    const struct front_options *options = &c->front->options;
    uint64_t head = service->head_size;
    struct sent sent = {
        .outcome = outcome_of(c, whole),
        .body_bytes = service->sent_bytes > head ? service->sent_bytes - head : 0,
        .duration_ns = now_ns - service->request.started_ns,
    };
    options->sent(&service->request, &service->response, &sent, options->arg);
}

/* Moves what follows the request to the front of the buffer. */
static void end_request(struct connection *c)
{
    struct service *service = c->service;
    size_t rest = c->in.len - service->taken;
    if (rest > 0) /* else there may be no buffer */
        memmove(c->in.data, c->in.data + service->taken, rest);
    c->in.len = rest;
    c->scan = (struct head_scan){0};
    c->head_since_ns = 0;
    c->served++;
    service->head_parsed = service->classified = service->answering = false;
    service->awaits_body = false;
    body_release(c);
    table_let_peer_go(c->front, &service->client);
    response_reset(&service->response);
}

enum next send_finished(struct connection *c, bool whole)
{
    struct service *service = c->service;
    bool keep = service->keep && whole, unread = service->refused;
    int64_t now_ns = front_now_ns(c->front);
    tell(c, whole, now_ns);
    unread = unread || service->taken < c->in.len || !body_is_done(&service->decoder);
    end_request(c);
    if (!keep)
        return whole && unread ? NEXT_LINGER : NEXT_CLOSE;
    connection_enter(c, PHASE_IDLE, now_ns);
    if (!c->worker)
        service_return(c);
    return NEXT_REQUEST;
}
