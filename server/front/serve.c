/* The life of a connection with a worker: a head, the handler, the answer; again, as long as there
 * is something to read and nobody else waits. */
#include "server/front/front_private.h"

#include "base/log.h"

#include <assert.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define BODY_ROOM      2048 /* free bytes behind a head, for reading a body through */
#define FIRST_LINE_MAX 256  /* bytes of it that are logged */

/* ---- Reading the head */

static bool holds_nothing(const struct connection *c)
{
    return c->in.len == 0 && body_is_done(&c->skip);
}

/* Idle since its last answer was begun: in the order in which clients see their answers. */
static void enter_idle(struct connection *c)
{
    if (c->served > 0)
        connection_enter(c, PHASE_IDLE, since_of(atomic_load(&c->phase)));
    else
        connection_enter(c, PHASE_FRESH, c->fresh_ns);
}

/* A head, or the handshake before the first one. */
static void enter_head(struct connection *c, enum phase phase)
{
    if (c->head_since_ns == 0)
        c->head_since_ns = front_now_ns(c->front);
    connection_enter(c, phase, c->head_since_ns);
}

/* ERR_OK with scan.end > 0: a head is there; with 0: not yet. */
static enum err look_for_head(struct connection *c)
{
    return body_is_done(&c->skip) ? head_find_end(&c->scan, buf_slice(&c->in)) : ERR_OK;
}

static enum next refuse(struct connection *c, enum err err);

static enum next end_reading(struct connection *c)
{
    bool begun = c->in.len > c->scan.start && body_is_done(&c->skip);
    return begun ? refuse(c, link_why_ended(c)) : NEXT_CLOSE;
}

/* NEXT_REQUEST: a head is there. A body that nobody wanted belongs to a request that has its
 * answer: what is wrong with it is not said, as a second one would be taken for the next's. */
static enum next read_head(struct connection *c)
{
    for (;;) {
        if (body_skip(c))
            return NEXT_LINGER;
        enum err err = look_for_head(c);
        if (err)
            return refuse(c, err);
        if (c->scan.end > 0)
            return NEXT_REQUEST;
        if (holds_nothing(c))
            enter_idle(c);
        else
            enter_head(c, PHASE_HEAD);
        switch (link_receive(c, RECEIVE_ROOM)) {
        case IO_DONE:
            break;
        case IO_AGAIN:
            return holds_nothing(c) && atomic_load(&c->front->closing) ? NEXT_CLOSE : NEXT_WAIT;
        case IO_ENDED:
            return end_reading(c);
        }
    }
}

static void begin_request(struct connection *c)
{
    struct service *service = service_borrow(c);
    int64_t now_ms = clock_wall_ms(c->front->options.clock);
    struct id id = id_make(now_ms);
    service->request = (struct request){
        .address = slice_str(c->address),
        .network = slice_of(&c->peer->network, sizeof c->peer->network),
        .headers = service->head.fields,
        .received_ms = now_ms,
        .started_ns = front_now_ns(c->front),
        .interim = send_interim,
        .local = c->listener->local,
        .local_port = c->listener->port,
        .listener = c->listener->index,
        .secure = c->tls,
    };
    id_format(&id, service->request.id);
    service->taken = c->in.len;
    service->refused = false;
    buf_clear(&service->interim);
    body_begin_sized(&service->decoder, 0);
}

/* What was understood before an error is filled in too: it is logged, and HEAD gets no body. */
static enum err parse_request(struct connection *c)
{
    struct service *service = c->service;
    struct head *head = &service->head;
    struct request *request = &service->request;
    buf_reserve(&c->in, BODY_ROOM); /* from here on `in` does not move: slices point into it */
    enum err err = head_parse(c->in.data + c->scan.start, c->scan.end - c->scan.start, head);
    service->taken = c->scan.end;
    request->method = head->method;
    request->http10 = head->http10;
    request->path = head->path;
    request->query = head->query;
    request->header_count = err ? 0 : head->field_count;
    return err;
}

/* ---- Answering */

/* Of a request line that cannot be read, what has come. */
static struct slice first_line(const struct connection *c)
{
    if (c->in.len <= c->scan.start || !body_is_done(&c->skip))
        return slice_str("");
    struct slice rest = slice_of(c->in.data + c->scan.start, c->in.len - c->scan.start);
    struct slice line = slice_cut(&rest, '\n');
    line = slice_cut(&line, '\r');
    return slice_of(line.ptr, line.len < FIRST_LINE_MAX ? line.len : FIRST_LINE_MAX);
}

/* That we have no time for it is not the client's doing. */
static bool is_over_limit(struct connection *c, enum err err)
{
    const struct front_options *options = &c->front->options;
    bool ours = err == ERR_OVERLOADED || err == ERR_DRAINING;
    return !ours && options->over_limit &&
           options->over_limit(&c->service->request, &c->service->response, options->arg);
}

static void answer_error(struct connection *c, enum err err, const char *message)
{
    struct service *service = c->service;
    if (service->request.path.len == 0)
        service->request.first_line = first_line(c);
    if (!is_over_limit(c, err))
        response_error(&service->response, &service->request, err, NULL, message, NULL);
    service->response.close = true;
    service->refused = true;
    atomic_fetch_add_explicit(&c->front->refused, 1, memory_order_relaxed);
}

/* What has come is no request, or none that we take. `message` may be NULL. */
static enum next refuse_saying(struct connection *c, enum err err, const char *message)
{
    if (!c->service || !c->service->head_parsed)
        begin_request(c);
    answer_error(c, err, message);
    return send_response(c);
}

static enum next refuse(struct connection *c, enum err err)
{
    return refuse_saying(c, err, NULL);
}

/* Nobody has time for it. The head has perhaps been read. */
void serve_turned_away(struct connection *c)
{
    handler_pass_on(c);
    atomic_fetch_add_explicit(&c->front->shed, 1, memory_order_relaxed);
    if (c->proxy_awaited || (c->tls && !c->shaken)) { /* it would not understand */
        connection_close(c);
        return;
    }
    if (!body_is_done(&c->skip)) { /* nor is this any request yet */
        serve_next(c, NEXT_LINGER);
        return;
    }
    if (!c->service || !c->service->head_parsed)
        begin_request(c);
    answer_error(c, ERR_OVERLOADED, NULL);
    serve_next(c, send_response(c));
}

/* Its answer has come, and nobody will send it. */
static void finish_handler(struct connection *c)
{
    const struct front_options *options = &c->front->options;
    struct service *service = c->service;
    handler_resume(c);
    await_begin(c);
    service->request.woken = WAKE_STOPPING; /* whatever it is: it may not wait again */
    options->handle(&service->request, &service->response, options->arg);
    assert(!service->request.awaiting && service->response.status != 0);
    service->in_handler = false;
    handler_leave(c);
}

void serve_abandon(struct connection *c)
{
    struct service *service = c->service;
    if (service->in_handler)
        finish_handler(c);
    else if (!service->answering)
        answer_error(c, ERR_DRAINING, NULL);
    if (!service->answering)
        service->sent_bytes = service->head_size = 0;
    send_finished(c, false);
}

static void answer_asterisk(struct response *response)
{
    response->status = 204;
    response_header(response, "Allow", slice_str("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
}

static void handle(struct connection *c)
{
    const struct front_options *options = &c->front->options;
    struct service *service = c->service;
    struct worker *worker = c->worker;
    int64_t began_ns = service->request.started_ns;
    connection_enter(c, PHASE_SERVING, began_ns);
    atomic_store_explicit(&worker->serving_since_ns, began_ns, memory_order_relaxed);
    await_begin(c);
    if (service->head.asterisk)
        answer_asterisk(&service->response);
    else
        options->handle(&service->request, &service->response, options->arg);
    atomic_store_explicit(&worker->serving_since_ns, 0, memory_order_relaxed);
}

/* ---- Who is served, and when */

static enum priority classify(struct connection *c)
{
    const struct front_options *options = &c->front->options;
    struct service *service = c->service;
    if (!service->classified) {
        service->priority = options->priority && !service->head.asterisk
                                ? options->priority(&service->request, options->arg)
                                : PRIORITY_NORMAL;
        service->classified = true;
    }
    return service->priority;
}

bool serve_is_critical(struct connection *c)
{
    return classify(c) == PRIORITY_CRITICAL;
}

/* What matters little is not served once there is a crowd; nothing is but what is critical, when it
 * has waited so long that its client has perhaps given up. */
static bool is_shed(struct connection *c)
{
    int64_t limit_ns = c->front->options.queue_timeout_ms * 1000000;
    if (c->waited_ns < limit_ns / 4)
        return false;
    enum priority priority = classify(c);
    return priority == PRIORITY_LOW || (priority == PRIORITY_NORMAL && c->waited_ns >= limit_ns);
}

static enum next shed(struct connection *c)
{
    handler_pass_on(c);
    atomic_fetch_add_explicit(&c->front->shed, 1, memory_order_relaxed);
    return refuse(c, ERR_OVERLOADED);
}

/* While somebody else has the answer, nothing of the response is looked at. */
static enum next after_handler(struct connection *c)
{
    struct service *service = c->service;
    service->in_handler = service->request.awaiting;
    if (service->in_handler) {
        handler_park(c);
        return NEXT_AWAIT;
    }
    handler_leave(c);
    bool answered = service->response.status != 0;
    assert(answered || service->awaits_body);
    service->awaits_body = !answered;
    return answered ? send_response(c) : NEXT_BODY;
}

/* NEXT_REQUEST: its handler may run. */
static enum next let_in(struct connection *c)
{
    if (c->worker->reserved && classify(c) != PRIORITY_CRITICAL) {
        ready_push_classified(c);
        return NEXT_HANDED;
    }
    if (is_shed(c))
        return shed(c);
    return handler_enter(c) ? NEXT_REQUEST : NEXT_HANDED;
}

static enum next serve_request(struct connection *c)
{
    bool resumes = c->service->in_handler;
    enum next next = resumes ? NEXT_REQUEST : let_in(c);
    if (next != NEXT_REQUEST)
        return next;
    int64_t began_ns = front_now_ns(c->front);
    if (resumes)
        handler_resume(c);
    if (c->service->awaits_body)
        body_forgive(c, c->waited_ns);
    else if (!resumes)
        body_begin(c);
    handle(c);
    next = after_handler(c);
    own_add(&c->worker->busy_ns, (uint64_t)(front_now_ns(c->front) - began_ns));
    return next;
}

/* ---- TLS */

static enum next end_handshake(struct connection *c)
{
    const char *reason = tls_reason(c->tls);
    bool plain_http = tls_is_plain_http(c->tls);
    if (reason[0] == '\0')
        return NEXT_CLOSE;
    log_write(LOG_DEBUG, "tls", "%s: no handshake: %s", c->address, reason);
    tls_close(&c->tls, false);
    return plain_http ? refuse_saying(c, ERR_MALFORMED, "This port speaks TLS: use https.")
                      : NEXT_LINGER;
}

/* Under the deadline of a head. NEXT_REQUEST: it is done. */
static enum next shake_hands(struct connection *c)
{
    bool wants_write;
    enter_head(c, PHASE_SHAKING);
    switch (link_shake_hands(c, &wants_write)) {
    case IO_AGAIN:
        enter_head(c, PHASE_HEAD);
        return wants_write ? NEXT_SHAKE : NEXT_WAIT;
    case IO_ENDED:
        return end_handshake(c);
    case IO_DONE:
        break;
    }
    c->head_since_ns = 0;
    c->fresh_ns = front_now_ns(c->front);
    return NEXT_REQUEST;
}

/* A balancer that is not trusted says nothing that we would believe. */
static enum next take_proxy_header(struct connection *c)
{
    const struct front_options *options = &c->front->options;
    if (!options->trusts || !options->trusts(&c->ip, options->arg)) {
        log_write(LOG_DEBUG, "front", "%s is no trusted proxy", c->address);
        return NEXT_CLOSE;
    }
    enter_head(c, PHASE_HEAD);
    enum io io = link_take_proxy_header(c);
    return io == IO_DONE ? NEXT_REQUEST : io == IO_AGAIN ? NEXT_WAIT : NEXT_CLOSE;
}

/* What comes before HTTP. */
static enum next begin_connection(struct connection *c)
{
    enum next next = c->proxy_awaited ? take_proxy_header(c) : NEXT_REQUEST;
    if (next == NEXT_REQUEST && c->tls && !c->shaken)
        next = shake_hands(c);
    return next;
}

/* Limits, caps and logs speak of the client, not of the proxy in front of us. */
static enum err identify(struct connection *c)
{
    const struct front_options *options = &c->front->options;
    struct service *service = c->service;
    struct request *request = &service->request;
    struct in6_addr client = c->ip;
    enum err err = options->identify ? options->identify(request, &client, options->arg) : ERR_OK;
    if (err || memcmp(&client, &c->ip, sizeof client) == 0)
        return err;
    service->client = table_hold_peer(c->front, &client);
    ip_format(&client, service->client_address);
    request->address = slice_str(service->client_address);
    request->network = slice_of(&service->client->network, sizeof service->client->network);
    return ERR_OK;
}

static enum next serve_one(struct connection *c)
{
    if (c->proxy_awaited || (c->tls && !c->shaken)) {
        enum next next = begin_connection(c);
        if (next != NEXT_REQUEST)
            return next;
    }
    if (!c->service || !c->service->head_parsed) {
        enum next next = read_head(c);
        if (next != NEXT_REQUEST)
            return next;
        begin_request(c);
        enum err err = parse_request(c);
        c->service->head_parsed = true;
        if (!err)
            err = identify(c);
        if (err)
            return refuse(c, err);
    }
    return serve_request(c);
}

/* ---- Handing on */

void serve_next(struct connection *c, enum next next)
{
    struct hub *hub = c->front->hub;
    switch (next) {
    case NEXT_REQUEST:
        ready_push(c);
        break;
    case NEXT_WAIT:
        hub_wait(hub, c, ERRAND_READ);
        break;
    case NEXT_BODY:
        if (connection_phase(c) != PHASE_BODY)
            connection_enter(c, PHASE_BODY, front_now_ns(c->front));
        if (c->service->pulled)
            hub_wait(hub, c, ERRAND_READ);
        else /* it has not heard yet that its body is wanted */
            hub_send(hub, c, ERRAND_READ);
        break;
    case NEXT_SHAKE:
        hub_send(hub, c, ERRAND_READ);
        break;
    case NEXT_SEND:
        hub_send(hub, c, ERRAND_WRITE);
        break;
    case NEXT_FEED:
        hub_send(hub, c, ERRAND_FEED_BEGIN);
        break;
    case NEXT_LINGER:
        connection_enter(c, PHASE_LINGERING, front_now_ns(c->front));
        link_end(c);
        hub_wait(hub, c, ERRAND_LINGER);
        break;
    case NEXT_AWAIT:
        await_park(c);
        break;
    case NEXT_HANDED:
        break;
    case NEXT_CLOSE:
        connection_close(c);
        break;
    }
}

/* Takes back what the connection need not keep. */
static void leave(struct connection *c, enum next next)
{
    if (next == NEXT_WAIT || next == NEXT_CLOSE)
        service_return(c);
    if (next != NEXT_SEND && next != NEXT_FEED && next != NEXT_BODY && next != NEXT_AWAIT)
        lending_take_in(c);
    c->worker = NULL;
    serve_next(c, next);
}

/* The next request on a connection usually takes as long to come as another's that is there. */
static enum next let_wait(struct connection *c)
{
    enter_idle(c);
    return atomic_load(&c->front->closing) ? NEXT_CLOSE : NEXT_WAIT;
}

void serve_connection(struct worker *worker, struct connection *c)
{
    c->worker = worker;
    c->waited_ns = front_now_ns(c->front) - c->queued_ns;
    atomic_store(&worker->at, c);
    lending_give_in(c);
    enum next next = serve_one(c);
    while (next == NEXT_REQUEST && link_has_input(c) && !ready_is_crowded(c->front)) {
        c->waited_ns = 0;
        c->queued_ns = front_now_ns(c->front);
        next = serve_one(c);
    }
    if (next == NEXT_REQUEST && !link_has_input(c))
        next = let_wait(c);
    atomic_store(&worker->at, NULL);
    if (next != NEXT_HANDED)
        leave(c, next);
}

void worker_run(struct front *front)
{
    unsigned index = atomic_fetch_add(&front->workers_started, 1);
    struct worker *worker = &front->workers[index];
    struct connection *c;
    worker->front = front;
    worker->reserved = index < front->reserved_workers;
    /* Not that of who happened to start it: the store's writer goes before all others. */
    (void)setpriority(PRIO_PROCESS, 0, front->niceness);
    ready_join(worker);
    while ((c = ready_take(worker)))
        serve_connection(worker, c);
    lending_release(&worker->lending);
}
