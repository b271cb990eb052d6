/* A server that is nothing but the front: it answers with what it understood of each request.
 * tests/api/front.test.mjs drives it, with deadlines and worker counts that suit a test.
 *
 *   front_server [head_ms=N] [body_ms=N] [idle_ms=N] [workers=N] [cap=N] [body_max=N] [drain_ms=N]
 *
 * Prints "port N", serves until SIGTERM, drains, prints "cut N" and the figures.
 * GET /hold answers when a byte has come on standard input; GET /stream streams until its end;
 * GET /big?size=N answers with N bytes; GET /small with 100, for measuring. */
#include "base/log.h"
#include "base/mem.h"
#include "server/front/front.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct settings {
    int64_t head_ms, body_ms, idle_ms, workers, cap, body_max, drain_ms;
};

static void say(const char *line)
{
    puts(line);
    fflush(stdout);
}

static void write_slice(struct json_writer *w, const char *key, struct slice value)
{
    jw_key(w, key);
    jw_str(w, value);
}

static void answer_echo(struct request *request, struct response *response)
{
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

static void answer_big(struct request *request, struct response *response)
{
    struct buf scratch = BUF_INIT;
    int64_t size = 0;
    char *bytes;

    slice_to_i64(request_query(request, "size", &scratch), &size);
    buf_release(&scratch);
    bytes = mem_alloc((size_t)size);
    memset(bytes, 'x', (size_t)size);
    say("sending");
    response_borrow(response, 200, "text/plain", slice_of(bytes, (size_t)size), free, bytes);
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

static void run_stream(struct stream *stream, void *arg)
{
    (void)arg;
    if (stream->write(stream, slice_str("data: first\n\n")))
        stream->wait_until(stream, INT64_MAX);
    say("stream ended");
}

static void answer_stream(struct request *request, struct response *response)
{
    (void)request;
    response->status = 200;
    response_header(response, "Content-Type", slice_str("text/event-stream"));
    response->stream = run_stream;
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
} answers[] = {
    {"/small", answer_small},   {"/hold", answer_hold}, {"/big", answer_big},
    {"/stream", answer_stream}, {"/none", answer_none}, {"/private", answer_unauthenticated},
};

static void handle(struct request *request, struct response *response, void *arg)
{
    (void)arg;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        if (slice_is(request->path, answers[i].path)) {
            answers[i].answer(request, response);
            return;
        }
    }
    answer_echo(request, response);
}

static void refused(const struct request *request, const struct response *response, void *arg)
{
    (void)request;
    (void)arg;
    printf("refused %d\n", response->status);
    fflush(stdout);
}

static int64_t *setting(struct settings *s, struct slice name)
{
    const struct {
        const char *name;
        int64_t *value;
    } all[] = {{"head_ms", &s->head_ms},  {"body_ms", &s->body_ms}, {"idle_ms", &s->idle_ms},
               {"workers", &s->workers},  {"cap", &s->cap},         {"body_max", &s->body_max},
               {"drain_ms", &s->drain_ms}};

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (slice_is(name, all[i].name))
            return all[i].value;
    }
    return NULL;
}

static bool read_settings(int argc, char **argv, struct settings *out)
{
    *out = (struct settings){10000, 10000, 10000, 16, 1000, 1 << 20, 5000};
    for (int i = 1; i < argc; i++) {
        struct slice value = slice_str(argv[i]);
        int64_t *wanted = setting(out, slice_cut(&value, '='));

        if (wanted == NULL || !slice_to_i64(value, wanted)) {
            fprintf(stderr, "front_server: what is %s?\n", argv[i]);
            return false;
        }
    }
    return true;
}

static void drain_and_report(struct front *front, int64_t drain_ms)
{
    unsigned cut = front_drain(front, drain_ms);
    struct front_stats stats;

    front_stats(front, &stats);
    printf("cut %u\naccepted %" PRIu64 " evicted %" PRIu64 " refused %" PRIu64 "\n", cut,
           stats.accepted, stats.evicted, stats.refused);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct ticker *ticker;
    struct settings s;
    struct front *front;
    sigset_t stop;
    char why[256];
    int signal;

    if (!read_settings(argc, argv, &s))
        return 2;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &stop, NULL);
    ticker = ticker_create();
    struct front_options options = {
        .address = "127.0.0.1",
        .workers = (unsigned)s.workers,
        .connections_per_address = (unsigned)s.cap,
        .head_timeout_ms = s.head_ms,
        .body_timeout_ms = s.body_ms,
        .idle_timeout_ms = s.idle_ms,
        .body_max_bytes = (size_t)s.body_max,
        .ticker = ticker,
        .clock = &clock_system,
        .handle = handle,
        .refused = refused,
    };
    if (front_open(&options, &front, why, sizeof why) != ERR_OK) {
        fprintf(stderr, "front_server: %s\n", why);
        return 1;
    }
    printf("port %u\n", front_port(front));
    fflush(stdout);
    sigwait(&stop, &signal);
    drain_and_report(front, s.drain_ms);
    front_close(&front);
    ticker_destroy(&ticker);
    return 0;
}
