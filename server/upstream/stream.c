/* An answer that goes on as it comes: the front asks for a piece when its client has taken the last
 * one, and waits for the server's descriptor when there is none. So the slower of the two sets the
 * pace, and one piece is all the memory it takes. */
#include "server/upstream/proxied_private.h"

static bool is_event_stream(const struct response *response)
{
    static const char type[] = "text/event-stream";
    struct slice value = response_header_value(response, "Content-Type");
    value = slice_trim(slice_cut(&value, ';'));
    return slice_eq_nocase(value, slice_str(type));
}

static int64_t fail(struct proxied *p, enum err err)
{
    p->cut = err == ERR_UPSTREAM_TIMEOUT;
    p->response->err = err;
    return FEED_FAILED;
}

/* The server has so long to say more, and the whole answer what the route lets it take. */
static void expect_more(struct proxied *p, int64_t now_ns)
{
    int64_t whole_ns = proxied_whole_until_ns(p);
    p->until_ns = now_ns + p->settings->first_byte_ns;
    if (p->request->target_ns > 0 && whole_ns < p->until_ns)
        p->until_ns = whole_ns;
}

/* The connection is kept until release: the front may still wait for it. */
static int64_t fill(void *arg, struct buf *out, int64_t now_ns)
{
    struct proxied *p = arg;
    size_t before = out->len;
    if (p->prefix.len > 0) {
        buf_append_slice(out, buf_slice(&p->prefix));
        buf_clear(&p->prefix);
        expect_more(p, now_ns);
        return FEED_AGAIN;
    }
    enum step step = roundtrip_read(&p->trip, out, FEED_ROOM);
    p->answer_bytes += out->len - before;
    if (step == STEP_DONE) {
        if (p->trailers)
            forward_trailers(buf_slice(&p->trailers->announced), buf_slice(&p->trailers->lines),
                             &p->trailers->passed);
        return FEED_END;
    }
    if (step == STEP_FAILED)
        return fail(p, ERR_UPSTREAM);
    if (out->len > before) {
        expect_more(p, now_ns);
        return FEED_AGAIN;
    }
    if (!p->response->feed.finite)
        return FEED_WAIT;
    return now_ns < p->until_ns ? p->until_ns : fail(p, ERR_UPSTREAM_TIMEOUT);
}

/* Until the client takes what is there no more is asked for, and the other way round. */
static bool take(void *arg, struct slice bytes, size_t *taken)
{
    struct proxied *p = arg;
    enum flow flow = channel_send(p->channel, bytes, taken);
    return flow != FLOW_FAILED && flow != FLOW_ENDED;
}

void proxied_tunnel(struct proxied *p)
{
    p->request->awaited = NULL;
    proxied_leave(p);
    body_begin_until_close(&p->trip.decoder);
    p->response->feed =
        (struct feed){.fill = fill, .take = take, .arg = p, .polls = true, .fd = p->channel->fd};
}

void proxied_stream(struct proxied *p)
{
    struct response *response = p->response;
    const struct response_head *head = &p->trip.head;
    bool sized = head->framing == FRAMING_LENGTH;
    struct buf empty = p->prefix;
    p->prefix = response->body;
    response->body = empty;
    expect_more(p, proxied_now_ns(p));
    p->request->awaited = NULL;
    response->feed = (struct feed){.fill = fill,
                                   .arg = p,
                                   .trailers = p->trailers ? &p->trailers->passed : NULL,
                                   .polls = true,
                                   .fd = p->channel->fd,
                                   .finite = sized || !is_event_stream(response),
                                   .sized = sized,
                                   .length = sized ? (uint64_t)head->content_length : 0};
    if (response->feed.finite)
        balancer_streams(p->upstream->balancer, &p->balance);
    else
        proxied_leave(p);
}
