/* DESIGN. A part is a request of its own, served as any other: its handler answers, or says what it
 * awaits, and is then called again. What the parts await is gathered in an epoll set of the whole,
 * which is a descriptor itself and which the composed request awaits; a timer for the earliest time
 * and an event for parts that are resumed by another thread (bit N of its counter: part N) are in
 * it too. So the parts go on side by side, and no thread waits. */
#include "server/compose/compose_private.h"

#include "base/mem.h"
#include "server/http/path.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define DEPTH_MAX  2 /* a composed answer may be a part of one, not of itself */
#define EVENTS_MAX (COMPOSE_PARTS_MAX + 2)

/* ---- Coming and going */

/* What is about the composed request alone: its body, its place in a dialogue with caches, how its
 * answer is to be sent. */
static bool is_for_parts(struct slice name)
{
    static const char *const others[] = {"Accept-Encoding",
                                         "Connection",
                                         "Content-Encoding",
                                         "Content-Length",
                                         "Content-Type",
                                         "Expect",
                                         "Idempotency-Key",
                                         "If-Match",
                                         "If-Modified-Since",
                                         "If-None-Match",
                                         "If-Range",
                                         "If-Unmodified-Since",
                                         "Keep-Alive",
                                         "Origin",
                                         "Prefer",
                                         "Range",
                                         "TE",
                                         "Trailer",
                                         "Transfer-Encoding",
                                         "Upgrade"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (slice_eq_nocase(name, slice_str(others[i])))
            return false;
    }
    return true;
}

static bool watch(struct run *run, int fd, uint32_t events, struct part_run *part)
{
    struct epoll_event event = {.events = events, .data.ptr = part};
    return epoll_ctl(run->epoll_fd, EPOLL_CTL_MOD, fd, &event) == 0 ||
           (errno == ENOENT && epoll_ctl(run->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0);
}

static void release(void *arg)
{
    struct run *run = arg;
    for (unsigned i = 0; i < run->compose->count; i++) {
        struct part_run *part = &run->parts[i];
        if (part->awaits)
            return; /* the process ends, and somebody still has the request: it is not freed */
    }
    for (unsigned i = 0; i < run->compose->count; i++) {
        struct part_run *part = &run->parts[i];
        response_reset(&part->response);
        buf_release(&part->response.headers);
        buf_release(&part->response.body);
        buf_release(&part->target);
        buf_release(&part->text);
    }
    int fds[] = {run->epoll_fd, run->timer_fd, run->event_fd};
    for (unsigned i = 0; i < 3; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    free(run);
}

static bool open_all(struct run *run)
{
    run->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    run->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    run->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return run->epoll_fd >= 0 && run->timer_fd >= 0 && run->event_fd >= 0 &&
           watch(run, run->timer_fd, EPOLLIN, NULL) && watch(run, run->event_fd, EPOLLIN, NULL);
}

static struct run *create(struct compose *compose, struct request *request,
                          struct response *response)
{
    struct run *run = mem_zalloc(sizeof *run + compose->count * sizeof run->parts[0]);
    run->compose = compose;
    run->request = request;
    run->response = response;
    run->left = compose->count;
    run->until_ns = request->target_ns > 0
                        ? clock_mono_ns(compose->options.clock) + request->target_ns
                        : INT64_MAX;
    run->epoll_fd = run->timer_fd = run->event_fd = -1;
    for (unsigned i = 0; i < request->header_count; i++) {
        if (is_for_parts(request->headers[i].name))
            run->headers[run->header_count++] = request->headers[i];
    }
    for (unsigned i = 0; i < compose->count; i++) {
        struct part_run *part = &run->parts[i];
        part->run = run;
        part->part = &compose->parts[i];
        part->fd = -1;
    }
    if (request->depth >= DEPTH_MAX)
        run->err = ERR_UPSTREAM;
    else if (!open_all(run))
        run->err = ERR_OVERLOADED;
    request->awaited = run;
    response->release = release;
    response->release_arg = run;
    return run;
}

/* ---- A part */

/* Not for others, or not for always: then the whole is not, too. */
static bool is_personal(const struct response *response)
{
    static const char *const words[] = {"private", "no-store", "no-cache", "max-age=0"};
    struct slice rest = response_header_value(response, "Cache-Control");
    bool found = false;
    while (rest.ptr && !found) {
        struct slice word = slice_trim(slice_cut(&rest, ','));
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
            found |= slice_eq_nocase(
                slice_of(word.ptr, word.len < strlen(words[i]) ? word.len : strlen(words[i])),
                slice_str(words[i]));
    }
    return found || response_header_value(response, "Set-Cookie").ptr ||
           response_header_value(response, "Vary").ptr;
}

static void end(struct part_run *part, enum err err)
{
    struct run *run = part->run;
    const struct compose_options *options = &run->compose->options;
    part->err = err;
    part->state = PART_OVER;
    part->polls = false;
    part->status = part->response.status;
    part->personal = is_personal(&part->response);
    run->left--;
    if (!part->part->spec.call && part->begun) {
        struct sent sent = {.outcome = err == ERR_UPSTREAM_TIMEOUT ? SENT_TIMEOUT : SENT_WHOLE,
                            .body_bytes = part->text.len,
                            .duration_ns =
                                clock_mono_ns(options->clock) - part->request.started_ns};
        part->response.quiet = true; /* the whole has a line of its own */
        options->sent(&part->request, &part->response, &sent, options->arg);
    }
    response_reset(&part->response);
}

static void fail(struct part_run *part)
{
    int status = part->response.status;
    bool late = status == 504 || clock_mono_ns(part->run->compose->options.clock) >= part->until_ns;
    end(part, late ? ERR_UPSTREAM_TIMEOUT : ERR_UPSTREAM);
}

static void finish(struct part_run *part)
{
    int status = part->response.status;
    if (status >= 200 && status < 300 && is_json(buf_slice(&part->text)))
        end(part, ERR_OK);
    else
        fail(part);
}

static void await(struct part_run *part, int fd, bool write, int64_t until_ns)
{
    uint32_t events = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT | (write ? EPOLLOUT : 0);
    part->fd = fd;
    part->wait_ns = until_ns;
    part->polls = watch(part->run, fd, events, part);
    if (!part->polls)
        part->wait_ns = 0; /* no memory in the kernel: as if its time were over */
}

/* As far as it goes now. */
static void feed(struct part_run *part)
{
    const struct feed *feed = &part->response.feed;
    int64_t next = FEED_AGAIN;
    while (next == FEED_AGAIN && part->text.len <= COMPOSE_PART_MAX)
        next = feed->fill(feed->arg, &part->text, clock_mono_ns(part->run->compose->options.clock));
    if (next == FEED_END)
        finish(part);
    else if (next > 0 && feed->polls && part->text.len <= COMPOSE_PART_MAX)
        await(part, feed->fd, false, next);
    else
        fail(part);
}

static void take_answer(struct part_run *part)
{
    if (part->response.feed.fill) {
        part->state = PART_FEEDING;
        feed(part);
        return;
    }
    struct slice bytes = response_bytes(&part->response);
    if (bytes.len <= COMPOSE_PART_MAX)
        buf_append_slice(&part->text, bytes);
    finish(part);
}

static void call(struct part_run *part)
{
    const struct compose_options *options = &part->run->compose->options;
    const struct compose_part *spec = &part->part->spec;
    struct request *request = &part->request;
    part->polls = false;
    request->awaiting = false;
    request->wait.wanted = false;
    if (spec->call)
        spec->call(request, &part->response, spec->arg);
    else
        options->handle(request, &part->response, options->arg);
    if (request->awaiting && request->wait.wanted)
        await(part, request->wait.fd, request->wait.write, request->wait.until_ns);
    else if (request->awaiting)
        part->awaits = true;
    else
        take_answer(part);
}

/* By another thread, as the last that it does. */
static void resume(struct request *request)
{
    struct part_run *part =
        (struct part_run *)((char *)request - offsetof(struct part_run, request));
    eventfd_write(part->run->event_fd, UINT64_C(1) << (part - part->run->parts));
}

static bool make_request(struct part_run *part)
{
    struct run *run = part->run;
    struct request *request = &part->request;
    *request = *run->request;
    request->method = METHOD_GET;
    request->headers = run->headers;
    request->header_count = run->header_count;
    request->body = slice_of(NULL, 0);
    request->body_source = NULL;
    request->json = NULL;
    request->param_count = 0;
    request->before_commit = (struct commit_hook){0};
    request->route = NULL;
    request->plan = NULL;
    request->exchange = NULL;
    request->awaited = NULL;
    request->target_ns = 0;
    request->interim = NULL;
    request->resume = resume;
    request->started_ns = clock_mono_ns(run->compose->options.clock);
    request->depth++;
    if (!template_fill(part->part->target, run, &part->target))
        return false;
    struct slice rest = buf_slice(&part->target);
    struct slice path = slice_cut(&rest, '?');
    request->query = rest.ptr ? rest : slice_of("", 0);
    return path_normalise((char *)path.ptr, path.len, &request->path);
}

static void begin(struct part_run *part)
{
    const struct clock *clock = part->run->compose->options.clock;
    part->until_ns = clock_mono_ns(clock) + part->part->spec.timeout_ms * 1000000;
    if (part->until_ns > part->run->until_ns)
        part->until_ns = part->run->until_ns;
    part->state = PART_RUNNING;
    if (!make_request(part)) {
        end(part, ERR_UPSTREAM);
        return;
    }
    part->begun = true;
    call(part);
}

/* What it waits for does not come: its handler is told so, and has to find an end. */
static void cut(struct part_run *part, enum wake why)
{
    shutdown(part->fd, SHUT_RDWR);
    part->told |= why == WAKE_GONE;
    part->request.woken = why;
    if (part->state == PART_FEEDING)
        fail(part);
    else
        call(part);
}

static void go_on(struct part_run *part)
{
    part->request.woken = WAKE_READY;
    part->polls = false;
    if (part->state == PART_FEEDING)
        feed(part);
    else
        call(part);
}

/* ---- All parts */

static void take_resumed(struct run *run)
{
    eventfd_t bits = 0;
    eventfd_read(run->event_fd, &bits);
    for (unsigned i = 0; i < run->compose->count; i++) {
        if (!(bits >> i & 1))
            continue;
        run->parts[i].awaits = false;
        go_on(&run->parts[i]);
    }
}

static void take_events(struct run *run)
{
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(run->epoll_fd, events, EVENTS_MAX, 0);
    uint64_t ignored;
    for (int i = 0; i < count; i++) {
        struct part_run *part = events[i].data.ptr;
        if (part && part->polls && part->state != PART_OVER)
            go_on(part);
    }
    if (read(run->timer_fd, &ignored, sizeof ignored) < 0)
        assert(errno == EAGAIN);
    take_resumed(run);
}

static bool is_free(const struct run *run, const struct part_run *part)
{
    for (unsigned i = 0; i < run->compose->count; i++) {
        if ((part->part->after >> i & 1) && run->parts[i].state != PART_OVER)
            return false;
    }
    return true;
}

/* A part needs only those before it: one walk begins all that can. */
static void begin_free(struct run *run)
{
    for (unsigned i = 0; i < run->compose->count; i++) {
        struct part_run *part = &run->parts[i];
        if (part->state == PART_WAITING && is_free(run, part))
            begin(part);
    }
}

static void cut_overdue(struct run *run)
{
    for (unsigned i = 0; i < run->compose->count; i++) {
        struct part_run *part = &run->parts[i];
        int64_t now_ns = clock_mono_ns(run->compose->options.clock);
        bool waits = (part->state == PART_RUNNING || part->state == PART_FEEDING) &&
                     !part->awaits && !part->told;
        if (run->err && part->state == PART_WAITING)
            end(part, ERR_UPSTREAM);
        else if (waits && (run->err || now_ns >= part->until_ns))
            cut(part, WAKE_GONE);
        else if (waits && now_ns >= part->wait_ns)
            part->state == PART_FEEDING ? go_on(part) : cut(part, WAKE_TIMEOUT);
    }
}

/* The earliest of their times. */
static int64_t next_ns(const struct run *run)
{
    int64_t next = INT64_MAX;
    for (unsigned i = 0; i < run->compose->count; i++) {
        const struct part_run *part = &run->parts[i];
        if ((part->state != PART_RUNNING && part->state != PART_FEEDING) || part->awaits ||
            part->told)
            continue;
        int64_t until_ns = part->wait_ns < part->until_ns ? part->wait_ns : part->until_ns;
        next = until_ns < next ? until_ns : next;
    }
    return next;
}

static void await_parts(struct run *run)
{
    int64_t at_ns = next_ns(run);
    if (at_ns < INT64_MAX) {
        at_ns = at_ns > 0 ? at_ns : 1; /* 0 would stop the timer */
        struct itimerspec when = {.it_value = {at_ns / 1000000000, at_ns % 1000000000}};
        timerfd_settime(run->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
    }
    request_await_set(run->request, run->epoll_fd, run->event_fd, INT64_MAX);
}

static void answer(struct run *run)
{
    struct response *response = run->response;
    response->release = NULL; /* the answer is what it would drop */
    response->release_arg = NULL;
    run->request->awaited = NULL;
    if (run->err)
        response_error(response, run->request, run->err, NULL, NULL, NULL);
    else
        merge(run);
    release(run);
}

/* Begins what can begin and ends what must end, until nothing more happens by itself. */
static void settle(struct run *run)
{
    unsigned left;
    do {
        left = run->left;
        if (!run->err)
            begin_free(run);
        cut_overdue(run);
    } while (run->left < left && run->left > 0);
}

void compose_target(struct request *request, struct response *response, void *arg)
{
    struct run *run = request->awaited;
    if (request->method != METHOD_GET && request->method != METHOD_HEAD) {
        response_error(response, request, ERR_METHOD, NULL, NULL, NULL);
        response_header(response, "Allow", slice_str("GET, HEAD, OPTIONS"));
        return;
    }
    if (!run) {
        run = create(arg, request, response);
    } else {
        if (request->woken != WAKE_READY)
            run->err = request->woken == WAKE_STOPPING ? ERR_DRAINING : ERR_CLIENT_GONE;
        take_events(run);
    }
    settle(run);
    if (run->left > 0)
        await_parts(run);
    else
        answer(run);
}
