/* DESIGN. The request stands in channel->out, its head and as much of its body as there is; the
 * answer's head is received into channel->in, and what has come of the body with it. A server may
 * answer before it has read the request (and may not read on): so it is looked at whenever sending
 * comes to a halt. Nothing but a whole, well-formed answer to a whole request leaves a channel that
 * another request may use. */
#include "server/upstream/roundtrip.h"

#include <string.h>

#define RECEIVE_ROOM HEAD_MAX

void roundtrip_begin(struct roundtrip *trip, struct channel *channel, enum method method, bool more)
{
    memset(trip, 0, offsetof(struct roundtrip, head));
    trip->channel = channel;
    trip->method = method;
    trip->more = more;
    buf_clear(&channel->in);
}

void roundtrip_more(struct roundtrip *trip, size_t begin, bool more)
{
    trip->sent = begin;
    trip->more = more;
}

static enum step step_of(enum flow flow)
{
    switch (flow) {
    case FLOW_DONE:
        return STEP_DONE;
    case FLOW_WANTS_READ:
        return STEP_WANTS_READ;
    case FLOW_WANTS_WRITE:
        return STEP_WANTS_WRITE;
    case FLOW_ENDED:
    case FLOW_FAILED:
        break;
    }
    return STEP_FAILED;
}

static enum step fail(struct roundtrip *trip)
{
    trip->malformed = true;
    return STEP_FAILED;
}

/* ---- The head of the answer */

static void begin_body(struct roundtrip *trip)
{
    switch (trip->head.framing) {
    case FRAMING_NONE:
        body_begin_sized(&trip->decoder, 0);
        break;
    case FRAMING_LENGTH:
        body_begin_sized(&trip->decoder, (uint64_t)trip->head.content_length);
        break;
    case FRAMING_CHUNKED:
        body_begin_chunked(&trip->decoder);
        break;
    case FRAMING_UNTIL_CLOSE:
        body_begin_until_close(&trip->decoder);
        break;
    }
    trip->stretch = STRETCH_BODY;
}

/* Makes room for the head that follows one below 200. */
static void drop_interim(struct roundtrip *trip)
{
    struct buf *in = &trip->channel->in;
    size_t rest = in->len - trip->scan.end;
    memmove(in->data, in->data + trip->scan.end, rest);
    in->len = rest;
    trip->scan = (struct head_scan){0};
}

/* STEP_DONE: it is there. STEP_WANTS_READ: not yet, or one came that is none. */
static enum step take_head(struct roundtrip *trip)
{
    struct buf *in = &trip->channel->in;
    if (response_head_find_end(&trip->scan, buf_slice(in)))
        return fail(trip);
    if (trip->scan.end == 0)
        return STEP_WANTS_READ;
    struct slice bytes = slice_of(in->data, trip->scan.end);
    if (response_head_parse(bytes, trip->method, &trip->head))
        return fail(trip);
    if (trip->head.status >= 200 || (trip->head.status == 101 && trip->upgrades)) {
        trip->taken = trip->scan.end;
        begin_body(trip);
        return STEP_DONE;
    }
    if (trip->head.status == 101 || ++trip->interim > INTERIM_MAX)
        return fail(trip);
    if (trip->tell && trip->head.status > 101)
        trip->tell(trip);
    drop_interim(trip);
    return take_head(trip);
}

static enum step receive_head(struct roundtrip *trip)
{
    struct buf *in = &trip->channel->in;
    for (;;) {
        size_t got;
        buf_reserve(in, in->len < RECEIVE_ROOM ? RECEIVE_ROOM - in->len : 1);
        enum flow flow =
            channel_receive(trip->channel, in->data + in->len, in->cap - in->len, &got);
        if (flow != FLOW_DONE)
            return step_of(flow);
        trip->began = true;
        in->len += got;
        enum step step = take_head(trip);
        if (step != STEP_WANTS_READ)
            return step;
    }
}

/* ---- The request */

/* Sending came to a halt, or is held back: perhaps there is an answer already. */
static enum step look_for_answer(struct roundtrip *trip, enum step otherwise)
{
    enum step step = receive_head(trip);
    if (step == STEP_DONE || trip->malformed)
        return step;
    return step == STEP_FAILED ? STEP_FAILED : otherwise;
}

static enum step send_request(struct roundtrip *trip)
{
    const struct buf *out = &trip->channel->out;
    struct slice left = slice_of(out->data + trip->sent, out->len - trip->sent);
    size_t sent;
    enum flow flow = channel_send(trip->channel, left, &sent);
    trip->sent += sent;
    if (flow != FLOW_DONE)
        return look_for_answer(trip, flow == FLOW_FAILED ? STEP_FAILED : STEP_WANTS_WRITE);
    if (!trip->more) {
        trip->stretch = STRETCH_HEAD;
        return STEP_WANTS_READ;
    }
    return look_for_answer(trip, STEP_WANTS_MORE);
}

enum step roundtrip_step(struct roundtrip *trip)
{
    if (trip->stretch == STRETCH_CONNECT) {
        enum step step = step_of(channel_connect(trip->channel));
        if (step != STEP_DONE)
            return step;
        trip->stretch = STRETCH_SEND;
    }
    if (trip->stretch == STRETCH_SEND)
        return send_request(trip);
    return receive_head(trip);
}

/* ---- The body */

/* Of what came with the head, or with bytes between two chunks. */
static enum step decode(struct roundtrip *trip, struct buf *out, size_t most)
{
    struct buf *in = &trip->channel->in;
    while (trip->taken < in->len && out->len < most && !body_is_done(&trip->decoder)) {
        size_t used, have = in->len - trip->taken;
        struct slice data;
        have = have < most - out->len ? have : most - out->len;
        if (body_decode(&trip->decoder, slice_of(in->data + trip->taken, have), &used, &data))
            return fail(trip);
        buf_append_slice(out, data);
        trip->taken += used;
    }
    return STEP_WANTS_READ;
}

/* Bytes that are nothing but body go where they are wanted. */
static enum step receive_body(struct roundtrip *trip, struct buf *out, size_t most)
{
    struct body_decoder *decoder = &trip->decoder;
    struct buf *in = &trip->channel->in;
    bool plain = decoder->state == BODY_UNTIL_CLOSE ||
                 ((decoder->state == BODY_SIZED || decoder->state == BODY_CHUNK) &&
                  decoder->left >= RECEIVE_ROOM);
    size_t got, used;
    struct slice data;
    if (!plain) {
        buf_clear(in);
        trip->taken = 0;
        buf_reserve(in, RECEIVE_ROOM);
        enum flow flow = channel_receive(trip->channel, in->data, in->cap, &got);
        in->len = got;
        return step_of(flow);
    }
    size_t room = most - out->len;
    if (decoder->state != BODY_UNTIL_CLOSE && room > decoder->left)
        room = (size_t)decoder->left;
    buf_reserve(out, room);
    enum flow flow = channel_receive(trip->channel, out->data + out->len, room, &got);
    if (flow == FLOW_ENDED && decoder->state == BODY_UNTIL_CLOSE) {
        body_begin_sized(decoder, 0);
        return STEP_DONE;
    }
    if (body_decode(decoder, slice_of(out->data + out->len, got), &used, &data))
        return fail(trip);
    out->len += got;
    return step_of(flow);
}

enum step roundtrip_read(struct roundtrip *trip, struct buf *out, size_t room)
{
    size_t most = out->len + room;
    enum step step = decode(trip, out, most);
    while (step == STEP_WANTS_READ && !body_is_done(&trip->decoder) && out->len < most) {
        step = receive_body(trip, out, most);
        if (step != STEP_DONE)
            break;
        step = decode(trip, out, most);
    }
    if (step == STEP_FAILED || !body_is_done(&trip->decoder))
        return step == STEP_DONE ? STEP_WANTS_READ : step;
    trip->stretch = STRETCH_OVER;
    return STEP_DONE;
}

bool roundtrip_is_clean(const struct roundtrip *trip)
{
    const struct channel *channel = trip->channel;
    bool sent = !trip->more && trip->sent == channel->out.len;
    return trip->stretch == STRETCH_OVER && sent && !trip->head.close && trip->head.status != 101 &&
           trip->taken == channel->in.len;
}
