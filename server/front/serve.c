#include "server/front/front_private.h"

#include <assert.h>
#include <sys/socket.h>

#define ROOM_FIRST 8192  /* received at first; most heads are far smaller */
#define KEEP_MAX   65536 /* what a buffer holds on to between requests */
#define KEEP_IDLE  8192  /* and between connections */

static int64_t mono_ns(const struct connection *c)
{
    return clock_mono_ns(c->front->options.clock);
}

/* ---- Reading the head */

/* Drain and connection look at each other's mark after setting their own: neither can miss. */
static void wait_for_request(struct connection *c)
{
    if (c->served == 0)
        connection_enter(c, PHASE_FRESH, mono_ns(c));
    else
        connection_enter_idle(c);
    if (atomic_load(&c->front->closing))
        shutdown(c->fd, SHUT_RD); /* what has arrived is still read */
}

static enum err receive(struct connection *c)
{
    size_t got;
    enum err err;

    buf_reserve(&c->in, c->in.len == 0 ? ROOM_FIRST : BODY_ROOM);
    err = transport_receive(c, c->in.data + c->in.len, c->in.cap - c->in.len, &got);
    c->in.len += got;
    return err;
}

/* ERR_OK with scan->end > 0: a head is there; with 0: the client has nothing more to ask. */
static enum err read_head(struct connection *c, struct head_scan *scan)
{
    enum err err;

    *scan = (struct head_scan){0};
    if (c->in.len == 0)
        wait_for_request(c);
    for (;;) {
        err = head_find_end(scan, buf_slice(&c->in));
        if (err != ERR_OK || scan->end > 0)
            return err;
        if (c->in.len > 0 && connection_phase(c) != PHASE_HEAD)
            connection_enter(c, PHASE_HEAD, mono_ns(c));
        err = receive(c);
        if (err != ERR_OK)
            return scan->start == c->in.len ? ERR_OK : err;
    }
}

static void begin_request(struct connection *c)
{
    int64_t now_ms = clock_wall_ms(c->front->options.clock);
    struct id id = id_make(now_ms);

    c->request = (struct request){
        .address = slice_str(c->address),
        .network = slice_of(&c->network, sizeof c->network),
        .headers = c->head.fields,
        .received_ms = now_ms,
        .started_ns = mono_ns(c),
    };
    id_format(&id, c->request.id);
    c->request_end = c->in.len;
}

/* What was understood before an error is filled in too: it is logged, and HEAD gets no body. */
static enum err parse_request(struct connection *c, const struct head_scan *scan)
{
    struct head *head = &c->head;
    enum err err;

    buf_reserve(&c->in, BODY_ROOM); /* from here on `in` does not move: slices point into it */
    err = head_parse(c->in.data + scan->start, scan->end - scan->start, head);
    c->head_end = scan->end;
    c->request.method = head->method;
    c->request.path = head->path;
    c->request.query = head->query;
    c->request.header_count = err == ERR_OK ? head->field_count : 0;
    return err;
}

/* ---- Answering */

/* Takes what a refused client is still sending, for a while: closing a socket with unread bytes
 * resets the connection, and the client might never see why it was refused. */
static void linger(struct connection *c)
{
    int64_t now_ns = mono_ns(c), end_ns = now_ns + LINGER_NS;

    connection_enter(c, PHASE_LINGERING, now_ns);
    shutdown(c->fd, SHUT_WR);
    while (now_ns < end_ns) {
        c->in.len = 0;
        if (receive(c) != ERR_OK)
            return;
        now_ns = mono_ns(c);
    }
}

static void fill_refusal(struct connection *c, enum err err)
{
    response_error(&c->response, &c->request, err, NULL, NULL, NULL);
    c->response.close = true;
    c->front->refused++;
}

static void end_refusal(struct connection *c)
{
    struct front_options *options = &c->front->options;

    options->refused(&c->request, &c->response, options->arg);
    response_reset(&c->response);
}

static void refuse(struct connection *c, enum err err)
{
    fill_refusal(c, err);
    if (atomic_load(&c->cut) == CUT_NOT)
        send_response(c);
    else
        send_without_waiting(c);
    end_refusal(c);
    linger(c);
}

void turn_away(struct connection *c)
{
    begin_request(c);
    fill_refusal(c, ERR_OVERLOADED);
    send_without_waiting(c);
    end_refusal(c);
}

static void answer_asterisk(struct connection *c)
{
    struct front_options *options = &c->front->options;

    c->response.status = 204;
    response_header(&c->response, "Allow",
                    slice_str("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
    options->refused(&c->request, &c->response, options->arg);
}

static void handle(struct connection *c)
{
    struct front_options *options = &c->front->options;

    if (c->head.asterisk)
        answer_asterisk(c);
    else
        options->handle(&c->request, &c->response, options->arg);
    assert(c->response.status != 0);
}

static void shrink_buffers(struct connection *c, size_t keep)
{
    struct buf *bufs[] = {&c->body, &c->out, &c->response.headers, &c->response.body};

    for (size_t i = 0; i < sizeof bufs / sizeof bufs[0]; i++)
        buf_shrink(bufs[i], keep);
}

/* Moves what follows the request to the front of the buffer. */
static void end_request(struct connection *c)
{
    size_t rest = c->in.len - c->request_end;

    memmove(c->in.data, c->in.data + c->request_end, rest);
    c->in.len = rest;
    c->served++;
    response_reset(&c->response);
    shrink_buffers(c, KEEP_MAX);
}

/* True if the connection goes on. */
static bool serve_request(struct connection *c)
{
    struct head_scan scan;
    enum err err = read_head(c, &scan);
    int64_t since_ns;
    bool keep;

    if (err == ERR_OK && scan.end == 0)
        return false;
    begin_request(c);
    if (err == ERR_OK)
        err = parse_request(c, &scan);
    if (err == ERR_OK)
        err = body_read(c);
    if (err != ERR_OK) {
        refuse(c, err);
        return false;
    }
    since_ns = connection_phase(c) == PHASE_BODY ? mono_ns(c) : c->request.started_ns;
    connection_enter(c, PHASE_SERVING, since_ns);
    handle(c);
    keep = send_response(c);
    own_add(&c->worker->busy_ns, (uint64_t)(mono_ns(c) - since_ns));
    end_request(c);
    if (!keep && c->in.len > 0)
        linger(c);
    return keep;
}

void serve_connection(struct connection *c)
{
    c->in.len = 0;
    while (serve_request(c)) {
    }
    buf_shrink(&c->in, KEEP_IDLE);
    shrink_buffers(c, KEEP_IDLE);
}
