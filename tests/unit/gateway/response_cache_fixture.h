/* An origin that says what a test wants, behind a gateway with a cache. */
#ifndef GALLEY_TESTS_RESPONSE_CACHE_FIXTURE_H
#define GALLEY_TESTS_RESPONSE_CACHE_FIXTURE_H

#include "gateway_fixture.h"

#include <sys/socket.h>

/* The origin: what it answers next, and what it was asked last. */
static struct origin {
    int status;
    const char *headers; /* lines */
    const char *body;
    bool streams, endless, fails;
    unsigned asked;
    char if_none_match[64], if_modified_since[64], range[64], rewrite[64], method[64];
} origin;

static inline void note(const struct request *request, const char *name, char out[64])
{
    struct slice value = request_header(request, name);
    snprintf(out, 64, "%.*s", SLICE_ARG(value));
}

/* A body in two pieces. */
static inline int64_t fill(void *arg, struct buf *out, int64_t now_ns)
{
    unsigned *asked = arg;
    (void)now_ns;
    size_t half = strlen(origin.body) / 2;
    if ((*asked)++ == 0) {
        buf_append(out, origin.body, half);
        return FEED_AGAIN;
    }
    buf_append_str(out, origin.body + half);
    return FEED_END;
}

static inline void answer(struct request *request, struct response *response, void *arg)
{
    static unsigned pieces;
    (void)arg;
    origin.asked++;
    note(request, "If-None-Match", origin.if_none_match);
    note(request, "If-Modified-Since", origin.if_modified_since);
    note(request, "Range", origin.range);
    note(request, "X-Rewrite-URL", origin.rewrite);
    note(request, "X_Http_Method_Override", origin.method);
    if (origin.fails) {
        response_error(response, request, ERR_INTERNAL, NULL, NULL, NULL);
        return;
    }
    response->status = origin.status;
    buf_append_str(&response->headers, origin.headers);
    pieces = 0;
    if (origin.streams)
        response->feed = (struct feed){.fill = fill, .arg = &pieces, .finite = !origin.endless};
    else
        buf_append_str(&response->body, origin.body);
}

/* The other end of the last connection to ourselves. */
static int inside = -1;

static inline int connect_inside(void *arg)
{
    int ends[2];
    (void)arg;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    inside = ends[1];
    return ends[0];
}

static inline int setup(void **state)
{
    static const struct route_spec routes[] = {
        {METHOD_GET, "/a", .cache = {.enabled = true}, .target = answer},
        {METHOD_POST, "/a", .target = answer},
        {METHOD_GET, "/b/{id}", .cache = {.enabled = true, .ttl_s = 60}, .target = answer},
        {METHOD_GET, "/plain", .target = answer},
        {METHOD_GET, "/mine", .signed_in = true,
         .cache = {.enabled = true, .keys = {"user"}, .key_count = 1}, .target = answer},
    };
    struct fixture *f = fixture_create();
    f->cache = cache_create(&(struct cache_options){.budget_bytes = 4 << 20});
    f->connect_inside = connect_inside;
    fixture_open_gateway(f, routes, sizeof routes / sizeof *routes);
    origin = (struct origin){200, "Cache-Control: max-age=60\r\n", "body", .asked = 0};
    *state = f;
    return 0;
}

static inline int teardown(void **state)
{
    fixture_destroy(*state);
    return 0;
}

/* What a client gets for a GET, with a header if `name` is one. */
static inline int get_with(struct fixture *f, struct call *call, const char *path, const char *name,
                           const char *value)
{
    call_init(call, METHOD_GET, path);
    if (name)
        call_header(call, name, value);
    return call_send(call, f);
}

static inline void assert_get(struct fixture *f, const char *path, const char *name,
                              const char *value, int status, const char *body,
                              const char *cache_status)
{
    struct call call;
    assert_int_equal(get_with(f, &call, path, name, value), status);
    if (cache_status)
        assert_answer_header(&call, "Cache-Status", cache_status);
    else
        assert_no_answer_header(&call, "Cache-Status");
    if (body) {
        struct slice bytes = response_bytes(&call.response);
        assert_int_equal(bytes.len, strlen(body));
        assert_memory_equal(bytes.ptr ? bytes.ptr : "", body, bytes.len);
    }
    call_release(&call);
}

static inline void feed_all(const struct fixture *f, struct call *call, struct buf *out)
{
    struct feed *feed = &call->response.feed;
    while (feed->fill(feed->arg, out, clock_mono_ns(&f->time.clock)) != FEED_END)
        ;
}

#endif
