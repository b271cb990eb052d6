/* A server that is nothing but the front: it answers with what it understood of each request.
 * tests/api/front.test.mjs drives it, with deadlines and worker counts that suit a test.
 *
 *   front_server [NAME=N]...   with the names of settings below
 *   FRONT_TLS_DIR=DIR          in the environment: speaks TLS, with dev.crt and dev.key there
 *
 * Prints "port N", serves until SIGTERM, drains, prints "cut N" and the figures; "refused N" for
 * each answer that the front gave itself, "outcome N" for each that did not arrive.
 *
 * GET /hold      answers when a byte has come on standard input
 * GET /later     has its answer later, when somebody asks for /resume, or /resume-now, which is
 *                of critical priority
 * GET /stream    streams an event, then waits for its end
 * GET /tick      streams the time (Unix ms) each second, to all at once
 * GET /big?size=N, /down?size=N    N bytes: from memory, or made as they go
 * GET /chunks?size=N               likewise, without saying how many
 * POST /up       counts what comes without keeping it; ?max=N stops reading there
 * POST /pause     likewise, but first waits, with the first piece, for a byte on standard input
 * POST /ignore   does not look at its body
 * GET /stats     figures, of critical priority
 * GET /small     100 bytes, for measuring; GET /low is of low, GET /critical of critical priority
 */
#include "base/log.h"
#include "base/mem.h"
#include "server/front/front.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

struct setting {
    const char *name;
    int64_t value;
};

enum {
    HEAD_MS,
    BODY_MS,
    IDLE_MS,
    QUEUE_MS,
    WORKERS,
    CONNECTIONS,
    CAP,
    AT_ONCE,
    BODY_MAX,
    BODY_RATE,
    BODY_MEMORY,
    DRAIN_MS,
    SETTINGS
};

static struct setting settings[SETTINGS] = {
    [HEAD_MS] = {"head_ms", 10000},
    [BODY_MS] = {"body_ms", 10000},
    [IDLE_MS] = {"idle_ms", 10000},
    [QUEUE_MS] = {"queue_ms", 10000},
    [WORKERS] = {"workers", 16},
    [CONNECTIONS] = {"connections", 1000},
    [CAP] = {"cap", 1000},
    [AT_ONCE] = {"at_once", 1000},
    [BODY_MAX] = {"body_max", 1 << 20},
    [BODY_RATE] = {"body_rate", 0},
    [BODY_MEMORY] = {"body_memory", INT64_C(1) << 30},
    [DRAIN_MS] = {"drain_ms", 5000},
};

static struct front *the_front;
static struct event *never, *second;
static _Atomic int64_t second_ms;

static void say(const char *line)
{
    puts(line);
    fflush(stdout);
}

/* ---- Answers */

static void write_slice(struct json_writer *w, const char *key, struct slice value)
{
    jw_key(w, key);
    jw_str(w, value);
}

static void answer_echo(struct request *request, struct response *response)
{
    bool whole;
    enum err err = request_body_gather(request, (size_t)settings[BODY_MAX].value, &whole);
    if (!err && !whole)
        return;
    if (err) {
        response_error(response, request, err, NULL, NULL, NULL);
        response->close = true;
        request->route = NULL; /* as if the front had refused it */
        return;
    }
    struct json_writer w = {.out = &response->body};
    size_t shown = request->body.len < 200 ? request->body.len : 200;
    jw_begin(&w, '{');
    write_slice(&w, "method", slice_str(method_name(request->method)));
    write_slice(&w, "path", request->path);
    write_slice(&w, "query", request->query);
    write_slice(&w, "host", request_header(request, "host"));
    write_slice(&w, "address", request->address);
    jw_key(&w, "fields");
    jw_i64(&w, request->header_count);
    jw_key(&w, "bodyLength");
    jw_i64(&w, (int64_t)request->body.len);
    write_slice(&w, "body", slice_of(request->body.ptr, shown));
    jw_end(&w, '}');
    response_json(response, 200);
}

static void answer_hold(struct request *request, struct response *response)
{
    char byte;
    say("held");
    if (read(STDIN_FILENO, &byte, 1) != 1)
        response_error(response, request, ERR_INTERNAL, NULL, "nobody let go", NULL);
    else
        answer_echo(request, response);
}

static int64_t query_int(const struct request *request, const char *name)
{
    struct buf scratch = BUF_INIT;
    int64_t value = 0;
    slice_to_i64(request_query(request, name, &scratch), &value);
    buf_release(&scratch);
    return value;
}

static void answer_big(struct request *request, struct response *response)
{
    size_t size = (size_t)query_int(request, "size");
    char *bytes = mem_alloc(size);
    memset(bytes, 'x', size);
    say("sending");
    response_borrow(response, 200, "text/plain", slice_of(bytes, size), free, bytes);
}

static void answer_small(struct request *request, struct response *response)
{
    static const char text[] =
        "{\"id\":1,\"name\":\"a product of the shop, with a name that is long "
        "enough\",\"price\":1999,\"stock\":42}\n";
    (void)request;
    buf_append(&response->body, text, sizeof text - 1);
    response_json(response, 200);
}

static int64_t fill_once(void *arg, struct buf *out, int64_t now_ns)
{
    bool *begun = arg;
    (void)now_ns;
    if (!*begun)
        buf_append_str(out, "data: first\n\n");
    *begun = true;
    return FEED_WAIT;
}

static void end_stream(void *arg)
{
    free(arg);
    say("stream ended");
}

static void answer_feed(struct response *response, struct feed feed, void (*release)(void *))
{
    response->status = 200;
    response_header(response, "Content-Type", slice_str("text/event-stream"));
    response->feed = feed;
    response->release = release;
    response->release_arg = feed.arg;
}

static void answer_stream(struct request *request, struct response *response)
{
    (void)request;
    bool *begun = mem_zalloc(sizeof *begun);
    answer_feed(response, (struct feed){.fill = fill_once, .arg = begun, .event = never},
                end_stream);
}

static int64_t fill_tick(void *arg, struct buf *out, int64_t now_ns)
{
    int64_t *told_ms = arg, now_ms = second_ms;
    (void)now_ns;
    if (now_ms != *told_ms)
        buf_printf(out, "data: %" PRId64 "\n\n", now_ms);
    *told_ms = now_ms;
    return FEED_WAIT;
}

static void answer_tick(struct request *request, struct response *response)
{
    (void)request;
    int64_t *told_ms = mem_alloc(sizeof *told_ms);
    *told_ms = second_ms; /* not one that was before it came: who measures would take it for late */
    answer_feed(response, (struct feed){.fill = fill_tick, .arg = told_ms, .event = second}, free);
}

static int64_t tick(void *arg, int64_t mono_ns)
{
    (void)arg;
    (void)mono_ns;
    second_ms = clock_wall_ms(&clock_system);
    event_raise(second);
    return 1000;
}

static int64_t fill_down(void *arg, struct buf *out, int64_t now_ns)
{
    uint64_t *left = arg;
    size_t piece = *left < FEED_ROOM ? (size_t)*left : FEED_ROOM;
    (void)now_ns;
    buf_reserve(out, piece);
    memset(out->data + out->len, 'x', piece);
    out->len += piece;
    *left -= piece;
    return *left == 0 ? FEED_END : FEED_AGAIN;
}

static void answer_made(struct request *request, struct response *response, bool sized)
{
    uint64_t *left = mem_zalloc(sizeof *left);
    *left = (uint64_t)query_int(request, "size");
    struct feed feed = {.fill = fill_down, .arg = left, .sized = sized, .length = *left};
    answer_feed(response, feed, free);
}

static void answer_down(struct request *request, struct response *response)
{
    answer_made(request, response, true);
}

static void answer_chunks(struct request *request, struct response *response)
{
    answer_made(request, response, false);
}

static void answer_up(struct request *request, struct response *response);

static void answer_pause(struct request *request, struct response *response)
{
    char piece;
    size_t got;
    if (request_body_read(request, &piece, 1, &got) == ERR_OK && got == 1) {
        say("held");
        got = (size_t)read(STDIN_FILENO, &piece, 1);
    }
    answer_up(request, response);
}

static void answer_up(struct request *request, struct response *response)
{
    char piece[65536];
    int64_t total = 0, max = query_int(request, "max");
    size_t got = 1;
    enum err err = ERR_OK;
    while (!err && got > 0 && (max == 0 || total < max)) {
        err = request_body_read(request, piece, sizeof piece, &got);
        total += (int64_t)got;
    }
    if (err) {
        response_error(response, request, err, NULL, NULL, NULL);
        return;
    }
    buf_printf(&response->body, "{\"received\":%" PRId64 "}", total);
    response_json(response, 200);
}

static void answer_stats(struct request *request, struct response *response)
{
    struct front_stats stats;
    (void)request;
    front_stats(the_front, &stats);
    buf_printf(&response->body, "{\"queued\":%u,\"feeds\":%u,\"connections\":%u,\"awaited\":%u}",
               stats.queued, stats.feeds, stats.connections, stats.awaited);
    response_json(response, 200);
}

static struct request *later[64];
static unsigned later_count;
static pthread_mutex_t later_lock = PTHREAD_MUTEX_INITIALIZER;

static void answer_later(struct request *request, struct response *response)
{
    if (request->awaited) {
        request->awaited = NULL;
        answer_small(request, response);
        return;
    }
    request->awaited = later;
    request_await(request);
    pthread_mutex_lock(&later_lock);
    later[later_count++ % 64] = request;
    pthread_mutex_unlock(&later_lock);
}

/* A thread of another priority, as the store's is. */
static void *resume_all(void *arg)
{
    (void)setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + 1);
    pthread_mutex_lock(&later_lock);
    while (later_count > 0)
        request_resume(later[--later_count]);
    pthread_mutex_unlock(&later_lock);
    return arg;
}

static void answer_resume(struct request *request, struct response *response)
{
    (void)request;
    pthread_t thread;
    bool started = pthread_create(&thread, NULL, resume_all, NULL) == 0;
    if (started)
        pthread_join(thread, NULL);
    response->status = started ? 204 : 503;
}

static void answer_none(struct request *request, struct response *response)
{
    (void)request;
    response->status = 204;
}

static void answer_unauthenticated(struct request *request, struct response *response)
{
    response_error(response, request, ERR_UNAUTHENTICATED, NULL, NULL, NULL);
}

static const struct {
    const char *path;
    void (*answer)(struct request *request, struct response *response);
} answers[] = {{"/pause", answer_pause},    {"/later", answer_later},
               {"/resume", answer_resume},  {"/resume-now", answer_resume},
               {"/small", answer_small},    {"/hold", answer_hold},
               {"/big", answer_big},        {"/stream", answer_stream},
               {"/none", answer_none},      {"/private", answer_unauthenticated},
               {"/tick", answer_tick},      {"/down", answer_down},
               {"/chunks", answer_chunks},  {"/up", answer_up},
               {"/ignore", answer_none},    {"/low", answer_small},
               {"/critical", answer_small}, {"/stats", answer_stats}};

/* ---- What the front calls */

static void handle(struct request *request, struct response *response, void *arg)
{
    (void)arg;
    request->route = (const struct route *)settings; /* not NULL: it has come to a handler */
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        if (slice_is(request->path, answers[i].path)) {
            answers[i].answer(request, response);
            return;
        }
    }
    answer_echo(request, response);
}

static enum priority priority(const struct request *request, void *arg)
{
    (void)arg;
    if (slice_is(request->path, "/critical") || slice_is(request->path, "/stats") ||
        slice_is(request->path, "/resume-now"))
        return PRIORITY_CRITICAL;
    return slice_is(request->path, "/low") ? PRIORITY_LOW : PRIORITY_NORMAL;
}

static void sent(struct request *request, const struct response *response, const struct sent *sent,
                 void *arg)
{
    (void)arg;
    if (!request->route)
        printf("refused %d\n", response->status);
    if (sent->outcome != SENT_WHOLE)
        printf("outcome %d after %" PRIu64 " bytes\n", (int)sent->outcome, sent->body_bytes);
    fflush(stdout);
}

/* ---- Settings */

static bool read_setting(const char *text)
{
    struct slice value = slice_str(text);
    struct slice name = slice_cut(&value, '=');
    for (unsigned i = 0; i < SETTINGS; i++) {
        if (slice_is(name, settings[i].name))
            return slice_to_i64(value, &settings[i].value);
    }
    return false;
}

static bool read_settings(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (!read_setting(argv[i])) {
            fprintf(stderr, "front_server: what is %s?\n", argv[i]);
            return false;
        }
    }
    return true;
}

/* NULL: without. */
static struct tls *make_tls(void)
{
    const char *dir = getenv("FRONT_TLS_DIR");
    char cert[4096], key[4096], why[TLS_WHY_SIZE];
    if (!dir)
        return NULL;
    snprintf(cert, sizeof cert, "%s/dev.crt", dir);
    snprintf(key, sizeof key, "%s/dev.key", dir);
    struct tls_pair pair = {cert, key};
    struct tls_options options = {.pairs = &pair, .count = 1, .clock = &clock_system};
    struct tls *tls;
    if (tls_create(&options, &tls, why, sizeof why) != ERR_OK) {
        fprintf(stderr, "front_server: %s\n", why);
        exit(1);
    }
    return tls;
}

static struct front *make_front(struct ticker *ticker, struct tls *tls)
{
    const struct front_listener listener = {.address = "127.0.0.1:0", .tls = tls};
    return front_create(&(struct front_options){
        .listeners = &listener,
        .listener_count = 1,
        .connections = (unsigned)settings[CONNECTIONS].value,
        .connections_per_address = (unsigned)settings[CAP].value,
        .workers = (unsigned)settings[WORKERS].value,
        .requests_per_address = (unsigned)settings[AT_ONCE].value,
        .queue_timeout_ms = settings[QUEUE_MS].value,
        .head_timeout_ms = settings[HEAD_MS].value,
        .body_timeout_ms = settings[BODY_MS].value,
        .idle_timeout_ms = settings[IDLE_MS].value,
        .body_rate = (uint64_t)settings[BODY_RATE].value,
        .body_memory = (uint64_t)settings[BODY_MEMORY].value,
        .ticker = ticker,
        .clock = &clock_system,
        .handle = handle,
        .sent = sent,
        .priority = priority,
    });
}

static void drain_and_report(struct front *front)
{
    struct front_drained drained;
    struct front_stats stats;
    front_drain(front, settings[DRAIN_MS].value, &drained);
    front_stats(front, &stats);
    printf("cut %u\nrunning %u\naccepted %" PRIu64 " evicted %" PRIu64 " refused %" PRIu64 "\n",
           drained.cut, drained.running, stats.accepted, stats.evicted, stats.refused);
    fflush(stdout);
    if (drained.running > 0)
        _exit(3);
}

static int serve(struct ticker *ticker, const sigset_t *stop)
{
    char why[256];
    int signal;
    struct tls *tls = make_tls();
    struct front *front = the_front = make_front(ticker, tls);
    tls_destroy(&tls);
    if (front_listen(front, why, sizeof why) != ERR_OK) {
        fprintf(stderr, "front_server: %s\n", why);
        front_close(&front);
        return 1;
    }
    front_serve(front);
    printf("port %u\n", front_port(front, 0));
    fflush(stdout);
    sigwait(stop, &signal);
    drain_and_report(front);
    front_close(&front);
    return 0;
}

int main(int argc, char **argv)
{
    sigset_t stop;
    if (!read_settings(argc, argv))
        return 2;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &stop, NULL);
    never = event_create();
    second = event_create();
    struct ticker *ticker = ticker_create("ticker");
    struct timer *timer = ticker_add(ticker, tick, NULL, 1000);
    int status = serve(ticker, &stop);
    timer_cancel(timer);
    ticker_destroy(&ticker);
    event_destroy(&second);
    event_destroy(&never);
    return status;
}
