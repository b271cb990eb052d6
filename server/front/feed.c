/* The feed of one connection: asked by the hub, framed, and sent as far as the client takes it. */
#include "server/front/front_private.h"

#include <stdio.h>
#include <string.h>

#define SIZE_ROOM     10 /* of a chunk: eight digits and CRLF */
#define CLIENT_PIECES 16 /* of what a client sends, before others have their turn */

/* Ends early: a feed without a known end is ended in good order, so that its client comes back at
 * once; one that has promised a length is cut. */
static bool ends_early(const struct connection *c)
{
    const struct feed *feed = &c->service->response.feed;
    return atomic_load(&c->front->draining) && !feed->sized && !feed->finite;
}

static int64_t rounded(int64_t ask_at_ns)
{
    if (ask_at_ns <= FEED_AGAIN || ask_at_ns == FEED_WAIT)
        return ask_at_ns;
    return (ask_at_ns / FEED_TICK_NS + 1) * FEED_TICK_NS;
}

static void fill(struct connection *c, struct buf *out, int64_t now_ns)
{
    struct service *service = c->service;
    struct feed *feed = &service->response.feed;
    if (feed->event)
        service->seen = event_count(feed->event);
    service->ask_at_ns = ends_early(c) ? FEED_END : rounded(feed->fill(feed->arg, out, now_ns));
}

/* Puts the chunk's size in front of it; the room for it is there. Returns what is to be sent. */
static struct slice frame(const struct service *service, struct buf *out)
{
    size_t begin = SIZE_ROOM, size = out->len - SIZE_ROOM;
    bool chunked = service->chunked && !service->head.http10;
    if (chunked && size > 0) {
        char digits[SIZE_ROOM + 1];
        int len = snprintf(digits, sizeof digits, "%zx\r\n", size);
        begin -= (size_t)len;
        memcpy(out->data + begin, digits, (size_t)len);
        buf_append(out, "\r\n", 2);
    }
    if (chunked && service->ask_at_ns == FEED_END) {
        const struct buf *trailers = service->response.feed.trailers;
        buf_append(out, "0\r\n", 3);
        if (trailers)
            buf_append_slice(out, buf_slice(trailers));
        buf_append(out, "\r\n", 2);
    }
    return slice_of(out->data + begin, out->len - begin);
}

/* What the client does not take at once waits in service->out. */
static enum next send_filled(struct connection *c, struct slice bytes)
{
    struct service *service = c->service;
    size_t sent;
    enum io io = link_send(c, bytes, &sent);
    service->sent_bytes += sent;
    if (io == IO_ENDED)
        return NEXT_CLOSE;
    buf_shrink(&service->out, 0);
    service->out_sent = 0;
    if (io == IO_DONE)
        return NEXT_REQUEST;
    buf_append(&service->out, bytes.ptr + sent, bytes.len - sent);
    return send_stalled(c);
}

/* What was promised is what was sent: else the next answer would be read as the rest of this one.
 */
bool feed_is_whole(const struct service *service)
{
    const struct feed *feed = &service->response.feed;
    return !feed->sized || service->sent_bytes - service->head_size == feed->length;
}

bool feed_is_stuck(const struct connection *c)
{
    return c->service->taken < c->in.len;
}

/* Behind the head, whose bytes others still look at. */
static enum io receive_behind_head(struct connection *c)
{
    size_t got;
    c->in.len = c->service->taken = c->scan.end;
    enum io io = link_receive_into(c, c->in.data + c->in.len, c->in.cap - c->in.len, false, &got);
    c->in.len += got;
    return io;
}

bool feed_take(struct connection *c)
{
    struct service *service = c->service;
    const struct feed *feed = &service->response.feed;
    for (unsigned i = 0; i < CLIENT_PIECES; i++) {
        enum io io = feed_is_stuck(c) ? IO_DONE : receive_behind_head(c);
        if (io != IO_DONE)
            return io == IO_AGAIN;
        struct slice left = slice_of(c->in.data + service->taken, c->in.len - service->taken);
        size_t taken;
        if (!feed->take(feed->arg, left, &taken))
            return false;
        service->taken += taken;
        if (taken < left.len)
            return true;
    }
    return true;
}

enum next feed_step(struct connection *c, struct buf *scratch, int64_t now_ns)
{
    struct service *service = c->service;
    enum next next = send_rest(c);
    if (next != NEXT_REQUEST)
        return next;
    if (service->ask_at_ns == FEED_END || service->ask_at_ns == FEED_FAILED)
        return service->ask_at_ns == FEED_END ? NEXT_REQUEST : NEXT_CLOSE;
    buf_clear(scratch);
    buf_reserve(scratch, SIZE_ROOM);
    scratch->len = SIZE_ROOM;
    fill(c, scratch, now_ns);
    next = send_filled(c, frame(service, scratch));
    if (next != NEXT_REQUEST || service->ask_at_ns == FEED_END)
        return next;
    return service->ask_at_ns == FEED_FAILED ? NEXT_CLOSE : NEXT_FEED;
}
