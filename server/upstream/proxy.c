/* DESIGN. A request that is passed on is called again and again, each time its descriptor or its
 * body is ready, and goes as far as it can: what it has come to stands in struct proxied, which is
 * the response's from the beginning (response->release), so that whoever drops the response drops
 * the connection to the server with it. Nothing of an answer is given to the client before its head
 * is whole and well-formed, nor, if it is small, before all of it is: until then another server may
 * be asked. What is large goes on as a feed, whose client sets the pace. */
#include "server/upstream/proxied_private.h"

#include "base/mem.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define COLLECT_MAX 65536 /* bytes of an answer that is sent as a whole */
#define PIECE_MAX   65536 /* of a body on its way to the server */
#define CHUNK_ROOM  10    /* for its size and a line end */

/* ---- Beginning and end */

static void drop_trailers(struct proxied *p)
{
    if (!p->trailers)
        return;
    buf_release(&p->trailers->announced);
    buf_release(&p->trailers->lines);
    buf_release(&p->trailers->passed);
    free(p->trailers);
    p->trailers = NULL;
}

static void proxied_destroy(void *arg)
{
    struct proxied *p = arg;
    bool whole = p->trip.stretch == STRETCH_OVER;
    enum trip_outcome failed = p->cut ? TRIP_TIMEOUT : TRIP_BROKEN;
    bool ours = p->response->feed.fill && p->response->err; /* the server's, in a stream */
    hedge_end(p, false);
    proxied_end_trip(p, whole ? TRIP_ANSWERED : ours ? failed : TRIP_ABANDONED);
    if (p->queued)
        balancer_unwait(p->upstream->balancer, &p->balance, false);
    if (p->entered)
        balancer_leave(p->upstream->balancer, &p->balance, p->last, proxied_now_ns(p));
    if (p->timer_fd >= 0)
        close(p->timer_fd);
    if (p->bell_fd >= 0)
        close(p->bell_fd);
    drop_trailers(p);
    buf_release(&p->prefix);
    upstream_settings_let_go(p->settings);
    free(p);
}

static struct proxied *proxied_create(struct upstream *upstream, struct request *request,
                                      struct response *response)
{
    struct proxied *p = mem_alloc(sizeof *p);
    memset(p, 0, offsetof(struct proxied, trip) + offsetof(struct roundtrip, head));
    p->upstream = upstream;
    p->request = request;
    p->response = response;
    p->settings = upstream_hold_settings(upstream);
    p->timer_fd = p->bell_fd = -1;
    p->last = BALANCER_ABANDONED;
    request->awaited = p;
    response->release = proxied_destroy;
    response->release_arg = p;
    return p;
}

/* The answer stands, and needs nothing of the server any more. */
static void finish(struct proxied *p)
{
    struct response *response = p->response;
    p->request->awaited = NULL;
    response->release = NULL;
    response->release_arg = NULL;
    proxied_destroy(p);
}

/* ---- Waiting */

/* A route that lets its target take longer than others waits for the head for as long. */
static int64_t limit_ns(const struct proxied *p)
{
    int64_t own_ns = p->request->target_ns;
    if (p->at == STRETCH_CONNECT)
        return p->settings->connect_ns;
    return p->at == STRETCH_HEAD && own_ns > p->settings->first_byte_ns
               ? own_ns
               : p->settings->first_byte_ns;
}

/* Each stretch has its time, and so have bytes of a body; all of it together another, but for a
 * body that comes at the pace of the client: until the head of the answer is there, or, by the word
 * of the route, all of it. */
int64_t proxied_due_ns(struct proxied *p)
{
    enum stretch stretch = p->trip.stretch;
    if (p->at != stretch || stretch == STRETCH_SEND || stretch == STRETCH_BODY) {
        p->at = stretch;
        p->until_ns = proxied_now_ns(p) + limit_ns(p);
    }
    int64_t whole_ns = proxied_whole_until_ns(p);
    bool bounded = (stretch < STRETCH_BODY || p->request->target_ns > 0) &&
                   !(p->streams && stretch == STRETCH_SEND);
    return bounded && whole_ns < p->until_ns ? whole_ns : p->until_ns;
}

static void await(struct proxied *p, int fd, bool write, int64_t until_ns)
{
    p->awaits = true;
    request_await_fd(p->request, fd, write, until_ns);
}

/* False: the answer says why it does not go on. */
static bool look_why_woken(struct proxied *p)
{
    p->awaits = false;
    switch (p->request->woken) {
    case WAKE_READY:
        return true;
    case WAKE_TIMEOUT:
        if (p->state == PROXIED_ENTER || p->state == PROXIED_PICK) {
            proxied_give_up_waiting(p);
            return false;
        }
        p->cut = p->state != PROXIED_DELAY;
        return true;
    case WAKE_GONE:
        proxied_answer_error(p, ERR_CLIENT_GONE, NULL);
        return false;
    case WAKE_STOPPING:
        proxied_answer_error(p, ERR_DRAINING, NULL);
        return false;
    }
    return false;
}

/* ---- The steps; each returns whether it goes on at once. */

/* A small body is gathered, so that it can be sent again. */
static bool gather(struct proxied *p)
{
    struct request *request = p->request;
    const struct body_source *source = request->body_source;
    size_t keep = p->settings ? p->settings->retry_body_max : 0;
    bool whole = true;
    enum err err = ERR_OK;
    if (source && source->length > 0 && (uint64_t)source->length > request->body_max)
        err = ERR_BODY_TOO_LARGE;
    p->streams = source && (source->length < 0 || (uint64_t)source->length > keep);
    if (!err && source && !p->streams)
        err = request_body_gather(request, keep, &whole);
    if (err)
        proxied_answer_error(p, err, NULL);
    if (err || !whole)
        return false;
    p->state = PROXIED_ENTER;
    return true;
}

/* True: it is to go on at once. */
static bool may_go_on(struct proxied *p, enum entry entry)
{
    if (entry != ENTRY_QUEUED)
        return entry == ENTRY_OK;
    int64_t whole_ns = proxied_whole_until_ns(p);
    p->awaits = true;
    request_await_set(p->request, p->bell_fd, p->bell_fd,
                      whole_ns < p->queue_until_ns ? whole_ns : p->queue_until_ns);
    return false;
}

/* What was rung for is looked at now. */
static void silence_bell(const struct proxied *p)
{
    eventfd_t rung;
    if (p->bell_fd >= 0)
        eventfd_read(p->bell_fd, &rung);
}

static bool enter(struct proxied *p)
{
    silence_bell(p);
    if (!may_go_on(p, proxied_enter(p)))
        return false;
    p->state = PROXIED_PICK;
    return true;
}

static bool delay(struct proxied *p)
{
    const struct upstream_settings *settings = p->settings;
    int64_t wait_ns = settings->retry_delay_ns;
    for (unsigned i = 2; i < p->balance.tried_count && wait_ns < settings->retry_delay_max_ns; i++)
        wait_ns *= 2;
    if (wait_ns > settings->retry_delay_max_ns)
        wait_ns = settings->retry_delay_max_ns;
    p->state = PROXIED_DELAY;
    p->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct itimerspec when = {.it_value = {wait_ns / 1000000000, wait_ns % 1000000000 + 1}};
    if (p->timer_fd < 0 || timerfd_settime(p->timer_fd, 0, &when, NULL) != 0)
        return true; /* without waiting */
    await(p, p->timer_fd, false, proxied_now_ns(p) + wait_ns);
    return false;
}

static bool end_delay(struct proxied *p)
{
    if (p->timer_fd >= 0)
        close(p->timer_fd);
    p->timer_fd = -1;
    p->began_ns = proxied_now_ns(p);
    p->state = PROXIED_CONNECT;
    return true;
}

static bool pick(struct proxied *p)
{
    bool again;
    silence_bell(p);
    if (!may_go_on(p, proxied_pick(p, &again)))
        return false;
    p->state = PROXIED_CONNECT;
    return again ? delay(p) : true;
}

/* Among the options of any field of that name. */
static bool has_option(const struct header *fields, unsigned count, const char *name,
                       const char *option)
{
    for (unsigned i = 0; i < count; i++) {
        struct slice value = fields[i].value;
        bool named = slice_eq_nocase(fields[i].name, slice_str(name));
        while (named && value.len > 0) {
            if (slice_eq_nocase(slice_trim(slice_cut(&value, ',')), slice_str(option)))
                return true;
        }
    }
    return false;
}

/* Other protocols than this one could carry requests that nobody has looked at. Without the option
 * the field may be one that a proxy before us has not taken away: its client has agreed to nothing.
 */
static struct slice upgrade_of(const struct request *request)
{
    struct slice wanted = request_header(request, "Upgrade");
    bool may = request->method == METHOD_GET && !request->body_source && request->body.len == 0 &&
               slice_eq_nocase(wanted, slice_str("websocket")) &&
               has_option(request->headers, request->header_count, "Connection", "upgrade");
    return may ? wanted : slice_of(NULL, 0);
}

/* It is this hop's client that does, by the option (RFC 9110 section 10.1.4). */
static bool takes_trailers(const struct request *request)
{
    return has_option(request->headers, request->header_count, "TE", "trailers") &&
           has_option(request->headers, request->header_count, "Connection", "TE");
}

/* What a server says before its answer goes on at once: a browser may fetch what it hints at. */
static void tell_interim(struct roundtrip *trip)
{
    struct proxied *p = (struct proxied *)((char *)trip - offsetof(struct proxied, trip));
    struct buf out = BUF_INIT;
    if (forward_interim(&trip->head, &out))
        p->request->interim(p->request, buf_slice(&out));
    buf_release(&out);
}

static bool compose(struct proxied *p)
{
    const struct request *request = p->request;
    struct buf *out = &p->channel->out;
    bool may_have_body = request->method == METHOD_POST || request->method == METHOD_PUT ||
                         request->method == METHOD_PATCH;
    struct forward forward = {.body_length = -1, .close = p->settings->keepalive == 0};
    if (p->streams)
        forward.body_length = request->body_source->length;
    else if (request->body.len > 0 || may_have_body)
        forward.body_length = (int64_t)request->body.len;
    forward.chunked = p->streams && forward.body_length < 0;
    forward.upgrade = upgrade_of(request);
    forward.trailers = takes_trailers(request);
    buf_clear(out);
    if (!forward_request(request, &forward, out))
        return false;
    if (!p->streams)
        buf_append_slice(out, request->body);
    roundtrip_begin(&p->trip, p->channel, request->method, p->streams);
    p->trip.upgrades = forward.upgrade.len > 0;
    if (request->interim)
        p->trip.tell = tell_interim;
    return true;
}

/* Says whose connection it is to a server that wants to know; its port we do not. */
static void introduce(struct proxied *p)
{
    const struct request *request = p->request;
    struct proxy_header whose = {.destination_port = request->local_port};
    whose.known = ip_parse(request->address, &whose.source);
    ip_parse(slice_str(ip_is_v4(&whose.source) ? "0.0.0.0" : "::"), &whose.destination);
    channel_introduce(p->channel, p->settings->preface, &whose);
}

bool proxied_connect(struct proxied *p)
{
    const struct upstream_settings *settings = p->settings;
    struct server *server = balancer_server_data(p->picked);
    int64_t now_ns = proxied_now_ns(p);
    if (!p->fresh)
        p->channel = pool_take(&server->pool, settings->generation, settings->keepalive_ns, now_ns);
    p->fresh = false;
    if (!p->channel)
        p->channel = channel_open(&server->address, settings->tls);
    p->state = PROXIED_TRIP;
    p->at = STRETCH_CONNECT;
    p->until_ns = now_ns + settings->connect_ns;
    p->trip.stretch = STRETCH_CONNECT;
    p->trip.malformed = false; /* as the answer of the try before may have been */
    if (!p->channel)
        return false;
    p->channel->generation = settings->generation;
    if (settings->preface)
        introduce(p);
    return compose(p);
}

static bool connect_server(struct proxied *p)
{
    if (proxied_connect(p))
        return true;
    if (!p->channel)
        return proxied_fail(p);
    proxied_answer_error(p, ERR_HEADER_TOO_LARGE, NULL);
    return false;
}

/* With what was announced to follow. */
static void end_chunks(const struct request *request, struct buf *out)
{
    const struct buf *lines = request->body_source->trailers;
    struct buf announced = BUF_INIT;
    buf_append(out, "0\r\n", 3);
    if (lines) {
        forward_announced(request->headers, request->header_count, &announced);
        forward_trailers(buf_slice(&announced), buf_slice(lines), out);
    }
    buf_append(out, "\r\n", 2);
    buf_release(&announced);
}

/* Of the request's body. A piece of it is a chunk, where it goes in chunks. */
static void frame_piece(struct proxied *p, size_t size, bool last)
{
    struct buf *out = &p->channel->out;
    size_t begin = CHUNK_ROOM;
    bool chunked = p->request->body_source->length < 0;
    out->len = CHUNK_ROOM + size;
    if (chunked && size > 0) {
        char digits[CHUNK_ROOM + 1];
        int len = snprintf(digits, sizeof digits, "%zx\r\n", size);
        begin -= (size_t)len;
        memcpy(out->data + begin, digits, (size_t)len);
        buf_append(out, "\r\n", 2);
    }
    if (chunked && last)
        end_chunks(p->request, out);
    roundtrip_more(&p->trip, begin, !last);
}

static bool send_piece(struct proxied *p)
{
    struct request *request = p->request;
    struct buf *out = &p->channel->out;
    size_t got;
    bool whole;
    p->pulled = true;
    buf_clear(out);
    buf_reserve(out, CHUNK_ROOM + PIECE_MAX + 8);
    enum err err = request_body_some(request, out->data + CHUNK_ROOM, PIECE_MAX, &got, &whole);
    p->body_bytes += got;
    if (!err && p->body_bytes > request->body_max)
        err = ERR_BODY_TOO_LARGE;
    if (err) {
        proxied_answer_error(p, err, NULL);
        return false;
    }
    if (got == 0 && !whole) {
        roundtrip_more(&p->trip, 0, true);
        p->awaits = true;
        request_await_body_or_fd(request, p->channel->fd);
        return false;
    }
    frame_piece(p, got, whole);
    if (whole)
        p->started_ns = proxied_now_ns(p);
    return true;
}

/* Those that are announced go on to a client that takes them; what nobody expects is dropped. */
/* Whether somebody wants to see all of the answer before anything of it is sent, if he can. */
static size_t collect_max(const struct proxied *p)
{
    size_t wanted = p->request->json_max;
    bool json = wanted > COLLECT_MAX &&
                content_type_is_json(response_header_value(p->response, "Content-Type"));
    return json ? wanted : COLLECT_MAX;
}

/* What is changed on its way has none: they would be of other bytes. */
static void expect_trailers(struct proxied *p)
{
    const struct response_head *head = &p->trip.head;
    drop_trailers(p); /* of a try before */
    if (collect_max(p) > COLLECT_MAX)
        return;
    if (head->framing != FRAMING_CHUNKED || !takes_trailers(p->request))
        return;
    struct buf announced = BUF_INIT;
    forward_announced(head->fields, head->field_count, &announced);
    if (announced.len == 0)
        return;
    p->trailers = mem_zalloc(sizeof *p->trailers);
    p->trailers->announced = announced;
    p->trip.decoder.trailers = &p->trailers->lines;
    response_header(p->response, "Trailer", buf_slice(&announced));
}

bool proxied_take_answer(struct proxied *p)
{
    const struct response_head *head = &p->trip.head;
    p->head_ns = proxied_now_ns(p);
    proxied_note_status(p);
    if (proxied_is_refused(p))
        return true;
    bool agreed =
        head->status != 101 || has_option(head->fields, head->field_count, "Upgrade", "websocket");
    if (!agreed || !forward_response(head, p->request, p->response)) {
        p->trip.malformed = true;
        return proxied_fail(p);
    }
    p->state = PROXIED_COLLECT;
    expect_trailers(p);
    if (head->status != 101)
        return true;
    response_header(p->response, "Upgrade", slice_str("websocket"));
    proxied_tunnel(p);
    return false;
}

static bool await_trip(struct proxied *p, bool write)
{
    if (hedge_applies(p) && hedge_open(p))
        return hedge_travel(p);
    await(p, p->channel->fd, write, proxied_due_ns(p));
    return false;
}

static bool travel(struct proxied *p)
{
    if (p->hedge)
        return hedge_travel(p);
    switch (p->cut ? STEP_FAILED : roundtrip_step(&p->trip)) {
    case STEP_DONE:
        return proxied_take_answer(p);
    case STEP_WANTS_MORE:
        return send_piece(p);
    case STEP_WANTS_READ:
        return await_trip(p, false);
    case STEP_WANTS_WRITE:
        return await_trip(p, true);
    case STEP_FAILED:
        break;
    }
    return proxied_fail(p);
}

/* The front asks no feed for HEAD, but says how long it would be. */
static int64_t fill_nothing(void *arg, struct buf *out, int64_t now_ns)
{
    (void)arg;
    (void)out;
    (void)now_ns;
    return FEED_END;
}

static bool answer_head(struct proxied *p)
{
    int64_t length = p->trip.head.content_length;
    p->response->feed = (struct feed){
        .fill = fill_nothing, .sized = length >= 0, .length = length >= 0 ? (uint64_t)length : 0};
    p->trip.stretch = STRETCH_OVER;
    finish(p);
    return false;
}

/* What is small is answered as a whole; what is large, or takes its time and does not say how large
 * it will be, as it comes. */
static bool collect(struct proxied *p)
{
    const struct response_head *head = &p->trip.head;
    struct buf *body = &p->response->body;
    size_t max = collect_max(p);
    if (p->request->method == METHOD_HEAD)
        return answer_head(p);
    if (p->cut)
        return proxied_fail(p);
    size_t before = body->len;
    enum step step = roundtrip_read(&p->trip, body, max - body->len);
    p->answer_bytes += body->len - before;
    if (step == STEP_FAILED)
        return proxied_fail(p);
    bool small = head->framing == FRAMING_LENGTH ? head->content_length <= (int64_t)max
                                                 : max > COLLECT_MAX && body->len < max;
    if (step == STEP_DONE && !p->trailers)
        finish(p);
    else if (small && step != STEP_DONE)
        await(p, p->channel->fd, step == STEP_WANTS_WRITE, proxied_due_ns(p));
    else
        proxied_stream(p);
    return false;
}

static bool (*const steps[])(struct proxied *p) = {
    [PROXIED_GATHER] = gather,
    [PROXIED_ENTER] = enter,
    [PROXIED_PICK] = pick,
    [PROXIED_DELAY] = end_delay,
    [PROXIED_CONNECT] = connect_server,
    [PROXIED_TRIP] = travel,
    [PROXIED_COLLECT] = collect,
};

void upstream_target(struct request *request, struct response *response, void *arg)
{
    struct proxied *p = request->awaited;
    if (!p)
        p = proxied_create(arg, request, response);
    else if (p->awaits && !look_why_woken(p))
        return;
    while (steps[p->state](p)) {
    }
}
