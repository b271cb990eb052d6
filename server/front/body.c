/* DESIGN. A body is pulled by who wants it. One that came with its head, or fits behind it, stays
 * where it is when it is gathered. Others are gathered in service->body, which grows as they arrive
 * and is counted: all bodies together have one budget, and those of one client a quarter of it, but
 * for a single one, however large. What nobody wanted is skipped before the next head, if it is
 * little. */
#include "server/front/front_private.h"

#include <stddef.h>
#include <string.h>

#define GATHER_FIRST 16384
#define SKIP_PIECE   4096

static struct connection *connection_of(struct body_source *source)
{
    return ((struct service *)((char *)source - offsetof(struct service, source)))->c;
}

static size_t least(uint64_t a, size_t b)
{
    return a < b ? (size_t)a : b;
}

/* ---- The client */

/* It waits to hear that its body is wanted. */
static bool awaits_continue(const struct connection *c)
{
    const struct service *service = c->service;
    return service->head.expect_continue && !service->head.http10 && service->taken == c->in.len &&
           !body_is_done(&service->decoder);
}

/* IO_AGAIN: the client has to take of its last answer first. */
static enum io send_continue(struct connection *c)
{
    static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct service *service = c->service;
    for (;;) {
        struct slice rest = slice_of(line + service->said, sizeof line - 1 - service->said);
        size_t sent;
        enum io io = link_send(c, rest, &sent);
        service->said += sent;
        if (io != IO_AGAIN || !service->patient)
            return io;
        connection_enter(c, PHASE_SENDING, front_now_ns(c->front));
        link_wait(c, true);
        connection_enter(c, PHASE_SERVING, front_now_ns(c->front));
    }
}

/* The first pull. */
static enum err say_continue(struct connection *c)
{
    struct service *service = c->service;
    enum io io = awaits_continue(c) ? send_continue(c) : IO_DONE;
    if (io == IO_ENDED)
        return link_why_ended(c);
    service->dry = io == IO_AGAIN;
    service->pulled = !service->dry;
    service->body_since_ns = service->body_came_ns = service->body_left_ns = front_now_ns(c->front);
    return ERR_OK;
}

/* Handlers that compute between two pieces, and a queue, are not the client's doing. */
void body_forgive(struct connection *c, int64_t ns)
{
    c->service->body_since_ns += ns;
    c->service->body_came_ns += ns;
}

bool body_keeps_rate(const struct front *front, int64_t time_ns, uint64_t bytes)
{
    int64_t time_ms = time_ns / 1000000;
    return time_ms < front->options.body_timeout_ms ||
           bytes >= front->options.body_rate * (uint64_t)time_ms / 1000;
}

/* The phase's time is that of the last bytes of the body: bytes of TLS that are not yet any of it
 * gain nothing. */
static enum err receive(struct connection *c, void *out, size_t room, size_t *got)
{
    struct service *service = c->service;
    if (service->body_left_ns > 0)
        body_forgive(c, front_now_ns(c->front) - service->body_left_ns);
    service->body_left_ns = 0;
    connection_enter(c, PHASE_BODY, service->body_came_ns);
    enum io io = link_receive_into(c, out, room, service->patient, got);
    service->dry = io == IO_AGAIN;
    if (service->dry)
        return ERR_OK;
    int64_t now_ns = front_now_ns(c->front);
    connection_enter(c, PHASE_SERVING, now_ns);
    if (io == IO_ENDED)
        return link_why_ended(c);
    service->body_read += *got;
    service->body_came_ns = service->body_left_ns = now_ns;
    bool keeps = body_keeps_rate(c->front, now_ns - service->body_since_ns, service->body_read);
    return keeps ? ERR_OK : ERR_TIMEOUT;
}

/* ---- Reading */

/* Takes of the bytes that lie in `in` already. */
static enum err take_received(struct connection *c, char *out, size_t room, size_t *got)
{
    struct service *service = c->service;
    size_t used = 1;
    enum err err = ERR_OK;
    while (!err && *got < room && used > 0) {
        size_t have = least(room - *got, c->in.len - service->taken);
        struct slice data;
        err = body_decode(&service->decoder, slice_of(c->in.data + service->taken, have), &used,
                          &data);
        if (data.len > 0)
            memcpy(out + *got, data.ptr, data.len);
        *got += data.len;
        service->taken += used;
    }
    return err;
}

/* More bytes, into `out` if they are nothing but data, else behind the head. */
static enum err receive_more(struct connection *c, char *out, size_t room, size_t *got)
{
    struct service *service = c->service;
    struct body_decoder *decoder = &service->decoder;
    bool only_data = decoder->state == BODY_SIZED || decoder->state == BODY_CHUNK;
    size_t used;
    struct slice data;
    if (only_data && room > c->in.cap - c->scan.end) {
        enum err err = receive(c, out, least(decoder->left, room), got);
        return err ? err : body_decode(decoder, slice_of(out, *got), &used, &data);
    }
    c->in.len = service->taken = c->scan.end;
    size_t more;
    enum err err = receive(c, c->in.data + c->in.len, c->in.cap - c->in.len, &more);
    c->in.len += more;
    return err;
}

/* What has come, else what comes next, which may be no more than framing. */
static enum err read_some(struct connection *c, void *out, size_t room, size_t *got)
{
    struct service *service = c->service;
    enum err err = service->pulled ? ERR_OK : say_continue(c);
    *got = 0;
    if (err || !service->pulled)
        return err;
    err = take_received(c, out, room, got);
    if (!err && *got == 0 && !body_is_done(&service->decoder))
        err = receive_more(c, out, room, got);
    return err;
}

static enum err body_read(struct body_source *source, void *out, size_t room, size_t *got)
{
    struct connection *c = connection_of(source);
    enum err err = ERR_OK;
    c->service->patient = true;
    *got = 0;
    while (!err && *got == 0 && room > 0 && !body_is_done(&c->service->decoder))
        err = read_some(c, out, room, got);
    return err;
}

/* As body_read, of what is there. */
static enum err body_some(struct body_source *source, void *out, size_t room, size_t *got,
                          bool *whole)
{
    struct connection *c = connection_of(source);
    struct service *service = c->service;
    enum err err = ERR_OK;
    service->patient = service->dry = false;
    *got = 0;
    while (!err && *got == 0 && !service->dry && !body_is_done(&service->decoder))
        err = read_some(c, out, room, got);
    *whole = body_is_done(&service->decoder);
    service->awaits_body = !err && *got == 0 && !*whole;
    return err;
}

/* ---- Gathering */

/* Counts so much more of the budget, also if it has not got it. */
static bool take_budget(struct connection *c, uint64_t more)
{
    struct service *service = c->service;
    struct peer *client = connection_client(c);
    uint64_t budget = c->front->options.body_memory;
    uint64_t all = atomic_fetch_add(&c->front->body_bytes, more) + more;
    uint64_t own = atomic_fetch_add(&client->body_bytes, more) + more;
    service->body_bytes += more;
    return all <= budget && (own <= budget / 4 || own == service->body_bytes);
}

/* Room for more in service->body, as long as the budget has some. */
static enum err grow(struct connection *c, size_t most)
{
    struct service *service = c->service;
    struct buf *body = &service->body;
    size_t more = body->cap < GATHER_FIRST ? GATHER_FIRST : body->cap;
    buf_reserve(body, least(most - body->len, more));
    uint64_t grown = body->cap > service->body_bytes ? body->cap - service->body_bytes : 0;
    return take_budget(c, grown) ? ERR_OK : ERR_OVERLOADED;
}

/* With what the present chunk announces. */
static bool is_too_large(const struct service *service, size_t max)
{
    uint64_t announced = service->decoder.state == BODY_CHUNK ? service->decoder.left : 0;
    return service->body.len + announced > max;
}

static enum err gather_aside(struct connection *c, size_t max, struct slice *out)
{
    struct service *service = c->service;
    struct buf *body = &service->body;
    enum err err = ERR_OK;
    if (!service->gathering)
        buf_clear(body);
    service->gathering = true;
    while (!err && !service->dry && !body_is_done(&service->decoder)) {
        size_t got = 0;
        if (body->len == body->cap)
            err = grow(c, max + 1);
        if (!err)
            err = read_some(c, body->data + body->len, body->cap - body->len, &got);
        body->len += err ? 0 : got;
        if (!err && is_too_large(service, max))
            err = ERR_BODY_TOO_LARGE;
    }
    *out = buf_slice(body);
    return err;
}

/* A body whose length is known and that fits behind the head. */
static enum err gather_in_place(struct connection *c, size_t size, struct slice *out)
{
    struct service *service = c->service;
    size_t end = c->scan.end + size;
    enum err err = c->in.len < end && !service->pulled ? say_continue(c) : ERR_OK;
    while (!err && !service->dry && c->in.len < end) {
        size_t got;
        err = receive(c, c->in.data + c->in.len, c->in.cap - c->in.len, &got);
        c->in.len += err ? 0 : got;
    }
    *out = slice_of(c->in.data + c->scan.end, size);
    if (err || service->dry)
        return err;
    service->taken = end;
    body_begin_sized(&service->decoder, 0);
    return ERR_OK;
}

/* In place as long as nothing of it was read otherwise. */
static enum err body_gather(struct body_source *source, size_t max, struct slice *out, bool *whole)
{
    struct connection *c = connection_of(source);
    struct service *service = c->service;
    if (source->length > 0 && (uint64_t)source->length > max)
        return ERR_BODY_TOO_LARGE;
    bool fits = source->length >= 0 && (uint64_t)source->length <= c->in.cap - c->scan.end;
    bool untouched = service->taken == c->scan.end && !service->gathering;
    service->patient = service->dry = false;
    enum err err = fits && untouched ? gather_in_place(c, (size_t)source->length, out)
                                     : gather_aside(c, max, out);
    *whole = !service->dry;
    service->awaits_body = !err && service->dry;
    return err;
}

/* ---- Beginning and end */

/* Fields behind it are kept if they are announced. */
static void begin_chunks(struct service *service)
{
    body_begin_chunked(&service->decoder);
    if (!request_header(&service->request, "Trailer").ptr)
        return;
    buf_clear(&service->trailers);
    service->decoder.trailers = &service->trailers;
    service->source.trailers = &service->trailers;
}

void body_begin(struct connection *c)
{
    struct service *service = c->service;
    const struct head *head = &service->head;
    service->pulled = service->gathering = false;
    service->said = 0;
    service->body_read = 0;
    service->body_left_ns = 0;
    service->source = (struct body_source){.length = head->chunked ? -1 : head->content_length,
                                           .read = body_read,
                                           .gather = body_gather,
                                           .some = body_some};
    if (head->chunked)
        begin_chunks(service);
    else
        body_begin_sized(&service->decoder, (uint64_t)head->content_length);
    bool none = body_is_done(&service->decoder);
    service->request.body_source = none ? NULL : &service->source;
}

bool body_leave(struct connection *c)
{
    struct service *service = c->service;
    if (body_is_done(&service->decoder))
        return true;
    if (service->head.expect_continue && !service->pulled)
        return false;
    if (service->decoder.state == BODY_SIZED && service->decoder.left > UNREAD_MAX)
        return false;
    c->skip = service->decoder;
    c->skip.trailers = NULL; /* the service is somebody else's then */
    c->skip_left = UNREAD_MAX;
    return true;
}

void body_release(struct connection *c)
{
    struct service *service = c->service;
    if (service->body_bytes == 0)
        return;
    atomic_fetch_sub(&c->front->body_bytes, service->body_bytes);
    atomic_fetch_sub(&connection_client(c)->body_bytes, service->body_bytes);
    service->body_bytes = 0;
    buf_shrink(&service->body, 0);
}

enum err body_skip(struct connection *c)
{
    size_t at = 0, used = 1;
    enum err err = ERR_OK;
    while (!err && used > 0 && !body_is_done(&c->skip)) {
        struct slice data;
        err = body_decode(&c->skip, slice_of(c->in.data + at, c->in.len - at), &used, &data);
        at += used;
    }
    if (at == 0)
        return err;
    memmove(c->in.data, c->in.data + at, c->in.len - at);
    c->in.len -= at;
    c->skip_left -= least(c->skip_left, at);
    return !err && c->skip_left == 0 && !body_is_done(&c->skip) ? ERR_BODY_TOO_LARGE : err;
}
