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

static void note(const struct request *request, const char *name, char out[64])
{
    struct slice value = request_header(request, name);
    snprintf(out, 64, "%.*s", SLICE_ARG(value));
}

/* A body in two pieces. */
static int64_t fill(void *arg, struct buf *out, int64_t now_ns)
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

static void answer(struct request *request, struct response *response, void *arg)
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

static int connect_inside(void *arg)
{
    int ends[2];
    (void)arg;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    inside = ends[1];
    return ends[0];
}

static int setup(void **state)
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

static int teardown(void **state)
{
    fixture_destroy(*state);
    return 0;
}

/* What a client gets for a GET, with a header if `name` is one. */
static int get_with(struct fixture *f, struct call *call, const char *path, const char *name,
                    const char *value)
{
    call_init(call, METHOD_GET, path);
    if (name)
        call_header(call, name, value);
    return call_send(call, f);
}

static void assert_get(struct fixture *f, const char *path, const char *name, const char *value,
                       int status, const char *body, const char *cache_status)
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

static void test_a_second_request_is_answered_from_the_first(void **state)
{
    struct fixture *f = *state;
    struct call call;
    assert_get(f, "/a", NULL, NULL, 200, "body", "galley; fwd=uri-miss; stored");
    clock_fake_advance(&f->time, 7000);
    assert_int_equal(get_with(f, &call, "/a", NULL, NULL), 200);
    assert_answer_header(&call, "Cache-Status", "galley; hit; ttl=53");
    assert_answer_header(&call, "Age", "7");
    call_release(&call);
    assert_int_equal(origin.asked, 1);
}

static void test_a_route_without_a_cache_has_none(void **state)
{
    struct fixture *f = *state;
    assert_get(f, "/plain", NULL, NULL, 200, "body", NULL);
    assert_get(f, "/plain", NULL, NULL, 200, "body", NULL);
    assert_int_equal(origin.asked, 2);
}

static void test_head_is_answered_from_get(void **state)
{
    struct fixture *f = *state;
    struct call call;
    assert_get(f, "/a", NULL, NULL, 200, "body", "galley; fwd=uri-miss; stored");
    call_init(&call, METHOD_HEAD, "/a");
    assert_int_equal(call_send(&call, f), 200);
    assert_answer_header(&call, "Cache-Status", "galley; hit; ttl=60");
    call_release(&call);
    assert_int_equal(origin.asked, 1);
}

static void test_what_is_stale_is_confirmed(void **state)
{
    struct fixture *f = *state;
    origin.headers = "Cache-Control: max-age=60\r\nETag: \"1\"\r\nA: 1\r\n";
    assert_get(f, "/a", NULL, NULL, 200, "body", "galley; fwd=uri-miss; stored");
    clock_fake_advance(&f->time, 60000);
    origin.status = 304;
    origin.body = "";
    origin.headers = "Cache-Control: max-age=30\r\nETag: \"1\"\r\nA: 2\r\n";
    struct call call;
    assert_int_equal(get_with(f, &call, "/a", NULL, NULL), 200);
    assert_string_equal(origin.if_none_match, "\"1\"");
    assert_answer_header(&call, "Cache-Status",
                         "galley; fwd=stale; fwd-status=304; stored; ttl=30");
    assert_answer_header(&call, "A", "2");
    assert_true(slice_is(response_bytes(&call.response), "body"));
    call_release(&call);
    assert_get(f, "/a", NULL, NULL, 200, "body", "galley; hit; ttl=30");
}

static void test_conditions_of_a_client_are_ours_to_judge(void **state)
{
    struct fixture *f = *state;
    origin.headers = "Cache-Control: max-age=60\r\nETag: \"1\"\r\n"
                     "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    assert_get(f, "/a", "If-None-Match", "\"1\"", 304, "", "galley; fwd=uri-miss; stored");
    assert_string_equal(origin.if_none_match, "");
    assert_get(f, "/a", "If-None-Match", "\"1\"", 304, "", "galley; hit; ttl=60");
    assert_get(f, "/a", "If-None-Match", "\"2\"", 200, "body", "galley; hit; ttl=60");
    assert_get(f, "/a", "If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT", 304, "",
               "galley; hit; ttl=60");
    assert_int_equal(origin.asked, 1);
}

static void test_parts_are_cut_from_the_stored_whole(void **state)
{
    struct fixture *f = *state;
    struct call call;
    assert_get(f, "/a", "Range", "bytes=1-2", 200, "body", "galley; fwd=uri-miss");
    assert_string_equal(origin.range, "bytes=1-2"); /* who wants a part need not wait for all */
    assert_get(f, "/a", NULL, NULL, 200, "body", "galley; fwd=uri-miss; stored");
    assert_int_equal(get_with(f, &call, "/a", "Range", "bytes=1-2"), 206);
    assert_true(slice_is(response_bytes(&call.response), "od"));
    assert_answer_header(&call, "Content-Range", "bytes 1-2/4");
    call_release(&call);
    assert_int_equal(get_with(f, &call, "/a", "Range", "bytes=4-"), 416);
    assert_answer_header(&call, "Content-Range", "bytes */4");
    call_release(&call);
    assert_int_equal(origin.asked, 2);
}

static void test_variants_are_told_apart(void **state)
{
    struct fixture *f = *state;
    origin.headers = "Cache-Control: max-age=60\r\nVary: Foo\r\n";
    assert_get(f, "/a", "Foo", "1", 200, "body", "galley; fwd=uri-miss; stored");
    assert_get(f, "/a", "Foo", "2", 200, "body", "galley; fwd=vary-miss; stored");
    assert_get(f, "/a", "Foo", "1", 200, "body", "galley; hit; ttl=60");
    assert_get(f, "/a", "Foo", "2", 200, "body", "galley; hit; ttl=60");
    assert_get(f, "/a", NULL, NULL, 200, "body", "galley; fwd=vary-miss; stored");
}

/* What a client gets who sends a field and another. */
static void assert_two(struct fixture *f, const char *path, const struct header two[2],
                       const char *cache_status)
{
    struct call call;
    call_init(&call, METHOD_GET, path);
    call.headers[0] = two[0];
    call.headers[1] = two[1];
    call.request.header_count = 2;
    assert_int_equal(call_send(&call, f), 200);
    if (cache_status)
        assert_answer_header(&call, "Cache-Status", cache_status);
    call_release(&call);
}

static struct header field(const char *name, const char *value)
{
    return (struct header){slice_str(name), slice_str(value)};
}

static void test_a_field_that_the_origin_does_not_get_keys_nothing(void **state)
{
    struct fixture *f = *state;
    const struct header hidden[] = {field("Foo", "1"), field("Connection", "close, foo")};
    const struct header shown[] = {field("Foo", "1"), field("Connection", "close, te")};
    origin.headers = "Cache-Control: max-age=60\r\nVary: Foo\r\n";
    assert_two(f, "/a", hidden, "galley; fwd=bypass");
    assert_two(f, "/a", shown, "galley; fwd=uri-miss; stored");
    assert_two(f, "/a", hidden, "galley; fwd=bypass");
}

static void test_two_of_a_name_in_the_key_are_passed_by(void **state)
{
    struct fixture *f = *state;
    static const struct route_spec routes[] = {
        {METHOD_GET, "/a", .target = answer,
         .cache = {.enabled = true, .keys = {"header:Foo", "cookie:c"}, .key_count = 2}}};
    const struct header twice[] = {field("Foo", "1"), field("foo", "2")};
    const struct header pair[] = {field("Foo", "1"), field("Cookie", "c=1; d=2;c=3")};
    const struct header pairs[] = {field("Cookie", "c=1"), field("Cookie", "d=2")};
    const struct header plain[] = {field("Foo", "1"), field("Cookie", "c=1; d=2; d=3")};
    fixture_swap(f, routes, 1);
    assert_two(f, "/a", twice, "galley; fwd=bypass");
    assert_two(f, "/a", pair, "galley; fwd=bypass");
    assert_two(f, "/a", pairs, "galley; fwd=bypass");
    assert_two(f, "/a", plain, "galley; fwd=uri-miss; stored");
}

static void test_what_asks_for_something_else_is_not_asked_for_all(void **state)
{
    struct fixture *f = *state;
    const struct header others[] = {field("x-rewrite-url", "/b"),
                                    field("X_Http_Method_Override", "DELETE")};
    static const struct route_spec keyed = {
        METHOD_GET, "/a", .target = answer,
        .cache = {.enabled = true, .keys = {"header:X-Rewrite-Url"}, .key_count = 1}};
    assert_two(f, "/plain", others, NULL);
    assert_string_equal(origin.rewrite, "/b");
    assert_string_equal(origin.method, "DELETE");
    assert_two(f, "/a", others, "galley; fwd=uri-miss; stored");
    assert_string_equal(origin.rewrite, "");
    assert_string_equal(origin.method, "");
    fixture_swap(f, &keyed, 1);
    assert_two(f, "/a", others, "galley; fwd=uri-miss; stored");
    assert_string_equal(origin.rewrite, "/b");
}

static void test_who_has_credentials_and_insists_throws_nothing_out(void **state)
{
    struct fixture *f = *state;
    const struct header insists[] = {field("Authorization", "Basic YTpi"),
                                     field("Cache-Control", "no-cache")};
    const struct header keeps_nothing[] = {field("Foo", "1"),
                                           field("Cache-Control", "no-cache, no-store")};
    assert_get(f, "/a", NULL, NULL, 200, "body", "galley; fwd=uri-miss; stored");
    assert_two(f, "/a", insists, "galley; fwd=request");
    assert_two(f, "/a", keeps_nothing, "galley; fwd=request");
    assert_get(f, "/a", NULL, NULL, 200, "body", "galley; hit; ttl=60");
    origin.headers = "Cache-Control: private\r\n";
    assert_two(f, "/a", insists, "galley; fwd=request");
    assert_get(f, "/a", NULL, NULL, 200, "body", "galley; fwd=uri-miss");
}

static void test_other_names_in_vary_begin_anew(void **state)
{
    struct fixture *f = *state;
    origin.headers = "Cache-Control: max-age=60\r\nVary: Foo\r\n";
    assert_get(f, "/a", "Foo", "1", 200, "body", "galley; fwd=uri-miss; stored");
    origin.headers = "Cache-Control: max-age=60\r\nVary: Bar\r\n";
    assert_get(f, "/a", "Foo", "2", 200, "body", "galley; fwd=vary-miss");
    assert_get(f, "/a", "Foo", "1", 200, "body", "galley; fwd=uri-miss; stored");
    assert_get(f, "/a", "Foo", "2", 200, "body", "galley; hit; ttl=60");
}

static void test_a_stale_answer_stands_in_for_an_error(void **state)
{
    struct fixture *f = *state;
    origin.headers = "Cache-Control: max-age=60, stale-if-error=60\r\n";
    assert_get(f, "/a", NULL, NULL, 200, "body", "galley; fwd=uri-miss; stored");
    clock_fake_advance(&f->time, 61000);
    origin.status = 503;
    assert_get(f, "/a", NULL, NULL, 200, "body", "galley; fwd=stale; fwd-status=503; ttl=-1");
    origin.fails = true;
    assert_get(f, "/a", NULL, NULL, 200, "body", "galley; fwd=stale; ttl=-1");
    clock_fake_advance(&f->time, 60000);
    assert_get(f, "/a", NULL, NULL, 500, NULL, "galley; fwd=uri-miss");
}

static void test_an_error_does_not_stand_in_where_it_must_not(void **state)
{
    struct fixture *f = *state;
    origin.headers = "Cache-Control: max-age=60, stale-if-error=60, must-revalidate\r\n";
    assert_get(f, "/a", NULL, NULL, 200, "body", "galley; fwd=uri-miss; stored");
    clock_fake_advance(&f->time, 61000);
    origin.fails = true;
    assert_get(f, "/a", NULL, NULL, 500, NULL, "galley; fwd=stale");
}

static void test_only_if_cached_asks_nobody(void **state)
{
    struct fixture *f = *state;
    assert_get(f, "/a", "Cache-Control", "only-if-cached", 504, NULL, NULL);
    assert_int_equal(origin.asked, 0);
    assert_get(f, "/a", NULL, NULL, 200, "body", "galley; fwd=uri-miss; stored");
    assert_get(f, "/a", "Cache-Control", "only-if-cached", 200, "body", "galley; hit; ttl=60");
}

static void test_what_is_changed_is_forgotten(void **state)
{
    struct fixture *f = *state;
    struct call call;
    assert_get(f, "/a", NULL, NULL, 200, "body", "galley; fwd=uri-miss; stored");
    call_init(&call, METHOD_POST, "/a");
    assert_int_equal(call_send(&call, f), 200);
    call_release(&call);
    assert_get(f, "/a", NULL, NULL, 200, "body", "galley; fwd=uri-miss; stored");
    origin.status = 500;
    call_init(&call, METHOD_POST, "/a");
    assert_int_equal(call_send(&call, f), 500);
    call_release(&call);
    assert_get(f, "/a", NULL, NULL, 200, "body", "galley; hit; ttl=60");
}

static void test_what_a_change_points_to_is_forgotten_too(void **state)
{
    struct fixture *f = *state;
    static const char *const lines[] = {"Location: /b/7\r\n", "Content-Location: b/7\r\n",
                                        "Location: http:///b/%37\r\n"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct call call;
        origin.headers = "";
        assert_get(f, "/b/7", NULL, NULL, 200, "body", "galley; fwd=uri-miss; stored");
        origin.headers = lines[i];
        call_init(&call, METHOD_POST, "/a");
        assert_int_equal(call_send(&call, f), 200);
        call_release(&call);
    }
    origin.headers = "";
    assert_get(f, "/b/7", NULL, NULL, 200, "body", "galley; fwd=uri-miss; stored");
    origin.headers = "Location: http://other/b/7\r\n";
    struct call call;
    call_init(&call, METHOD_POST, "/a");
    assert_int_equal(call_send(&call, f), 200);
    call_release(&call);
    assert_get(f, "/b/7", NULL, NULL, 200, "body", "galley; hit; ttl=60");
}

static void test_the_route_says_how_long_where_the_origin_does_not(void **state)
{
    struct fixture *f = *state;
    origin.headers = "";
    assert_get(f, "/b/1", NULL, NULL, 200, "body", "galley; fwd=uri-miss; stored");
    assert_get(f, "/b/1", NULL, NULL, 200, "body", "galley; hit; ttl=60");
    assert_get(f, "/a", NULL, NULL, 200, "body", "galley; fwd=uri-miss");
    assert_get(f, "/a", NULL, NULL, 200, "body", "galley; fwd=uri-miss");
}

static void test_an_answer_to_a_user_is_the_users(void **state)
{
    struct fixture *f = *state;
    struct buf token = BUF_INIT;
    for (int i = 0; i < 2; i++) {
        struct call call;
        call_init(&call, METHOD_GET, "/mine");
        call_as_alice(&call, f, &token);
        assert_int_equal(call_send(&call, f), 200);
        assert_answer_header(&call, "Cache-Status",
                             i == 0 ? "galley; fwd=uri-miss; stored" : "galley; hit; ttl=60");
        call_release(&call);
    }
    buf_release(&token);
    assert_get(f, "/mine", NULL, NULL, 401, NULL, NULL);
}

static void test_a_query_and_an_escaped_one_are_two_things(void **state)
{
    struct fixture *f = *state;
    struct call call;
    call_init(&call, METHOD_GET, "/b/x");
    call.request.query = slice_str("y");
    assert_int_equal(call_send(&call, f), 200);
    call_release(&call);
    assert_get(f, "/b/x?y", NULL, NULL, 200, "body", "galley; fwd=uri-miss; stored");
}

static void feed_all(const struct fixture *f, struct call *call, struct buf *out)
{
    struct feed *feed = &call->response.feed;
    while (feed->fill(feed->arg, out, clock_mono_ns(&f->time.clock)) != FEED_END)
        ;
}

static void test_a_stream_is_stored_when_it_has_ended(void **state)
{
    struct fixture *f = *state;
    struct call call;
    struct buf bytes = BUF_INIT;
    origin.streams = true;
    assert_int_equal(get_with(f, &call, "/a", NULL, NULL), 200);
    feed_all(f, &call, &bytes);
    assert_true(slice_is(buf_slice(&bytes), "body"));
    call_release(&call);
    buf_release(&bytes);
    assert_int_equal(origin.asked, 1);
    assert_get(f, "/a", NULL, NULL, 200, "body", "galley; hit; ttl=60");
}

/* Begins an answer that streams, and takes the first half. */
static void begin_stream(struct fixture *f, struct call *call, const char *path)
{
    struct buf bytes = BUF_INIT;
    assert_int_equal(get_with(f, call, path, NULL, NULL), 200);
    call->response.feed.fill(call->response.feed.arg, &bytes, 0);
    buf_release(&bytes);
}

static void end_stream(const struct fixture *f, struct call *call)
{
    struct buf bytes = BUF_INIT;
    feed_all(f, call, &bytes);
    call_release(call);
    buf_release(&bytes);
}

static void test_a_slow_stream_leaves_its_place_to_another(void **state)
{
    struct fixture *f = *state;
    struct call slow;
    struct buf bytes = BUF_INIT;
    origin.streams = true;
    assert_int_equal(get_with(f, &slow, "/a", NULL, NULL), 200);
    clock_fake_advance(&f->time, 30000);
    slow.response.feed.fill(slow.response.feed.arg, &bytes, clock_mono_ns(&f->time.clock));
    assert_true(slice_is(buf_slice(&bytes), "bo")); /* its client gets what there is */
    origin.streams = false;
    assert_get(f, "/a", NULL, NULL, 200, "body", "galley; fwd=uri-miss; stored");
    call_release(&slow);
    buf_release(&bytes);
}

/* Of 4 MiB they have one. */
static void test_streams_are_collected_within_a_part_of_the_budget(void **state)
{
    struct fixture *f = *state;
    struct call first, second, third;
    struct buf body = BUF_INIT;
    for (int i = 0; i < 60000; i++)
        buf_append_str(&body, "0123456789");
    buf_append_char(&body, '\0');
    origin.streams = true;
    origin.body = body.data;
    begin_stream(f, &first, "/a");
    begin_stream(f, &second, "/b/1");
    begin_stream(f, &third, "/b/2");
    end_stream(f, &second); /* finds no room */
    end_stream(f, &first);
    call_release(&third);
    assert_get(f, "/a", NULL, NULL, 200, body.data, "galley; hit; ttl=60");
    begin_stream(f, &second, "/b/1");
    end_stream(f, &second);
    assert_get(f, "/b/1", NULL, NULL, 200, body.data, "galley; hit; ttl=60");
    assert_int_equal(origin.asked, 4);
    buf_release(&body);
}

static void test_a_stream_that_is_dropped_is_not_stored(void **state)
{
    struct fixture *f = *state;
    struct call call;
    struct buf bytes = BUF_INIT;
    origin.streams = true;
    assert_int_equal(get_with(f, &call, "/a", NULL, NULL), 200);
    call.response.feed.fill(call.response.feed.arg, &bytes, 0);
    call_release(&call);
    buf_release(&bytes);
    origin.streams = false;
    assert_get(f, "/a", NULL, NULL, 200, "body", "galley; fwd=uri-miss; stored");
}

static void test_a_stream_without_an_end_is_not_stored(void **state)
{
    struct fixture *f = *state;
    origin.streams = origin.endless = true;
    assert_get(f, "/a", NULL, NULL, 200, NULL, "galley; fwd=uri-miss");
    assert_get(f, "/a", NULL, NULL, 200, NULL, "galley; fwd=uri-miss");
}

/* ---- Purging */

static void assert_purged(struct fixture *f, enum purge_kind kind, const char *text, bool gone)
{
    assert_get(f, "/b/7/", NULL, NULL, 404, NULL, NULL);
    assert_int_equal(gateway_purge(f->gateway, kind, slice_str(text)), ERR_OK);
    assert_get(f, "/b/7", "Host", "Example.org", 200, "body",
               gone ? "galley; fwd=uri-miss; stored" : "galley; hit; ttl=60");
}

static void test_a_purge_voids_what_is_stored_under_it(void **state)
{
    struct fixture *f = *state;
    origin.headers = "Cache-Control: max-age=60\r\nCache-Tag: one,two\r\nSurrogate-Key: three\r\n";
    assert_get(f, "/b/7", "Host", "example.org", 200, "body", "galley; fwd=uri-miss; stored");
    assert_purged(f, PURGE_URL, "http://example.org/b/7", true);
    assert_purged(f, PURGE_URL, "https://EXAMPLE.org/a/../b/%37", true);
    assert_purged(f, PURGE_URL, "/b/7", true);
    assert_purged(f, PURGE_URL, "/b/8", false);
    assert_purged(f, PURGE_URL, "/b/7?a", false);
    assert_purged(f, PURGE_URL, "http://example.com/b/7", false);
    assert_purged(f, PURGE_PREFIX, "/b/", true);
    assert_purged(f, PURGE_PREFIX, "http://example.org/*", true);
    assert_purged(f, PURGE_PREFIX, "/", true);
    assert_purged(f, PURGE_PREFIX, "/b/7/", false);
    assert_purged(f, PURGE_PREFIX, "http://example.com/", false);
    assert_purged(f, PURGE_TAG, "one", true);
    assert_purged(f, PURGE_TAG, "two", true);
    assert_purged(f, PURGE_TAG, "three", true);
    assert_purged(f, PURGE_TAG, "four", false);
    assert_purged(f, PURGE_TAG, "/b/", false);
}

static void test_what_is_no_url_cannot_be_purged(void **state)
{
    struct fixture *f = *state;
    static const char *const urls[] = {"", "b/7", "ftp://a/b", "http:///a", "/%zz", "/a%2Fb"};
    static const char *const prefixes[] = {"", "*", "/b", "/b*", "b/"};
    static const char *const tags[] = {"", "a b", "a,b"};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++)
        assert_int_equal(gateway_purge(f->gateway, PURGE_URL, slice_str(urls[i])), ERR_VALIDATION);
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        assert_int_equal(gateway_purge(f->gateway, PURGE_PREFIX, slice_str(prefixes[i])),
                         ERR_VALIDATION);
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++)
        assert_int_equal(gateway_purge(f->gateway, PURGE_TAG, slice_str(tags[i])), ERR_VALIDATION);
}

static void test_tags_are_for_us_alone(void **state)
{
    struct fixture *f = *state;
    struct call call;
    origin.headers = "Cache-Control: max-age=60\r\nCache-Tag: one\r\nSurrogate-Key: two\r\n";
    for (int i = 0; i < 2; i++) {
        assert_int_equal(get_with(f, &call, "/a", NULL, NULL), 200);
        assert_no_answer_header(&call, "Cache-Tag");
        assert_no_answer_header(&call, "Surrogate-Key");
        call_release(&call);
    }
}

static void test_a_variant_is_purged_by_its_own_tags(void **state)
{
    struct fixture *f = *state;
    origin.headers = "Cache-Control: max-age=60\r\nVary: Foo\r\nCache-Tag: one\r\n";
    assert_get(f, "/a", "Foo", "1", 200, "body", "galley; fwd=uri-miss; stored");
    origin.headers = "Cache-Control: max-age=60\r\nVary: Foo\r\nCache-Tag: two\r\n";
    assert_get(f, "/a", "Foo", "2", 200, "body", "galley; fwd=vary-miss; stored");
    assert_int_equal(gateway_purge(f->gateway, PURGE_TAG, slice_str("two")), ERR_OK);
    assert_get(f, "/a", "Foo", "1", 200, "body", "galley; hit; ttl=60");
    assert_get(f, "/a", "Foo", "2", 200, "body", "galley; fwd=vary-miss; stored");
    assert_int_equal(gateway_purge(f->gateway, PURGE_URL, slice_str("/a")), ERR_OK);
    assert_get(f, "/a", "Foo", "1", 200, "body", "galley; fwd=uri-miss; stored");
}

/* ---- Asking anew in the background */

/* What a refresh is known by, of its request's text. */
static const char *mark_of(char *text)
{
    char *mark = strstr(text, "X-Galley-Refresh: ");
    char *end = mark ? strchr(mark, '\r') : NULL;
    if (!end) {
        fail();
        return "";
    }
    *end = '\0';
    return mark + strlen("X-Galley-Refresh: ");
}

/* The request that was sent to ourselves, served as if it had come in. */
static void serve_refresh_from(struct fixture *f, const char *address)
{
    char text[2000] = "";
    struct call call;
    assert_true(inside >= 0);
    assert_true(recv(inside, text, sizeof text - 1, MSG_DONTWAIT) > 0);
    assert_non_null(strstr(text, "GET /a?x=1 HTTP/1.1\r\nHost: example.org\r\n"));
    assert_null(strstr(text, "If-None-Match"));
    const char *mark = mark_of(text);
    call_init(&call, METHOD_GET, "/a");
    call.request.query = slice_str("x=1");
    call.request.local = true;
    call.request.address = slice_str(address);
    call_header(&call, "Host", "example.org");
    call_header(&call, "X-Galley-Refresh", mark);
    assert_int_equal(call_send(&call, f), 204);
    call_release(&call);
    assert_int_equal(recv(inside, text, sizeof text, MSG_DONTWAIT), 0); /* closed */
    close(inside);
    inside = -1;
}

static void serve_refresh(struct fixture *f)
{
    serve_refresh_from(f, "192.0.2.1");
}

static void get_a(struct fixture *f, const char *cache_status)
{
    struct call call;
    call_init(&call, METHOD_GET, "/a");
    call.request.query = slice_str("x=1");
    call_header(&call, "Host", "example.org");
    call_header(&call, "If-None-Match", "\"none\"");
    assert_int_equal(call_send(&call, f), 200);
    assert_answer_header(&call, "Cache-Status", cache_status);
    call_release(&call);
}

static void test_what_is_stale_is_given_while_it_is_asked_anew(void **state)
{
    struct fixture *f = *state;
    origin.headers = "Cache-Control: max-age=60, stale-while-revalidate=60\r\n";
    get_a(f, "galley; fwd=uri-miss; stored");
    clock_fake_advance(&f->time, 70000);
    get_a(f, "galley; hit; ttl=-10");
    int first = inside;
    get_a(f, "galley; hit; ttl=-10");
    assert_int_equal(inside, first); /* one is under way */
    assert_int_equal(origin.asked, 1);
    serve_refresh(f);
    assert_int_equal(origin.asked, 2);
    get_a(f, "galley; hit; ttl=60");
}

static void test_a_refresh_that_finds_another_route_asks_nobody(void **state)
{
    struct fixture *f = *state;
    static const struct route_condition here = {CONDITION_CLIENT, "127.0.0.0/8, ::1"};
    static const struct route_spec routes[] = {
        {METHOD_GET, "/a", .conditions = &here, .condition_count = 1, .section = "inside",
         .cache = {.enabled = true}, .target = answer},
        {METHOD_GET, "/a", .cache = {.enabled = true}, .target = answer}};
    fixture_swap(f, routes, 2);
    origin.headers = "Cache-Control: max-age=60, stale-while-revalidate=60\r\n";
    get_a(f, "galley; fwd=uri-miss; stored");
    clock_fake_advance(&f->time, 70000);
    get_a(f, "galley; hit; ttl=-10");
    origin.body = "for this machine";
    serve_refresh_from(f, "local");
    assert_int_equal(origin.asked, 1);
    get_a(f, "galley; hit; ttl=-10");
    close(inside);
    inside = -1;
}

static void test_a_refresh_that_streams_is_collected_for_nobody(void **state)
{
    struct fixture *f = *state;
    struct call call;
    struct buf bytes = BUF_INIT;
    char text[2000] = "";
    origin.headers = "Cache-Control: max-age=60, stale-while-revalidate=60\r\n";
    assert_get(f, "/a", NULL, NULL, 200, "body", "galley; fwd=uri-miss; stored");
    clock_fake_advance(&f->time, 70000);
    assert_get(f, "/a", NULL, NULL, 200, "body", "galley; hit; ttl=-10");
    assert_true(recv(inside, text, sizeof text - 1, MSG_DONTWAIT) > 0);
    const char *mark = mark_of(text);
    origin.streams = true;
    call_init(&call, METHOD_GET, "/a");
    call.request.local = true;
    call_header(&call, "X-Galley-Refresh", mark);
    assert_int_equal(call_send(&call, f), 200);
    feed_all(f, &call, &bytes);
    assert_int_equal(bytes.len, 0);
    call_release(&call);
    buf_release(&bytes);
    close(inside);
    assert_get(f, "/a", NULL, NULL, 200, "body", "galley; hit; ttl=60");
}

static void test_a_mark_that_is_not_ours_means_nothing(void **state)
{
    struct fixture *f = *state;
    assert_get(f, "/a", "X-Galley-Refresh", "0.0123456789abcdef0123456789abcdef", 200, "body",
               "galley; fwd=uri-miss; stored");
    assert_get(f, "/a", "X-Galley-Refresh", "0.", 200, "body", "galley; hit; ttl=60");
}

/* ---- Waiting for another */

static struct call *resumed[8];
static unsigned resumed_count;

static void note_resumed(struct request *request)
{
    request->awaiting = false;
    resumed[resumed_count++] = (struct call *)((char *)request - offsetof(struct call, request));
}

/* Leaves the answer for later. */
static void wait_for_it(struct request *request, struct response *response, void *arg)
{
    (void)arg;
    if (!request->awaited) {
        request->awaited = request;
        request_await(request);
        return;
    }
    request->awaited = NULL;
    answer(request, response, NULL);
}

static void begin_call(struct fixture *f, struct call *call, const char *name, const char *value)
{
    call_init(call, METHOD_GET, "/a");
    call->request.resume = note_resumed;
    if (name)
        call_header(call, name, value);
    gateway_handle(f->gateway, &call->request, &call->response);
}

static void end_call(struct fixture *f, struct call *call)
{
    const struct sent sent = {0};
    call->request.awaiting = false;
    gateway_handle(f->gateway, &call->request, &call->response);
    assert_false(call->request.awaiting);
    gateway_sent(f->gateway, &call->request, &call->response, &sent);
}

static void use_slow_origin(struct fixture *f)
{
    static const struct route_spec routes[] = {
        {METHOD_GET, "/a", .cache = {.enabled = true}, .target = wait_for_it}};
    fixture_swap(f, routes, 1);
    resumed_count = 0;
}

static void test_simultaneous_misses_are_one_request(void **state)
{
    struct fixture *f = *state;
    struct call first, others[3];
    use_slow_origin(f);
    begin_call(f, &first, NULL, NULL);
    for (int i = 0; i < 3; i++) {
        begin_call(f, &others[i], NULL, NULL);
        assert_true(others[i].request.awaiting);
    }
    end_call(f, &first);
    assert_int_equal(resumed_count, 3);
    for (int i = 0; i < 3; i++) {
        end_call(f, &others[i]);
        assert_answer_header(&others[i], "Cache-Status", "galley; fwd=uri-miss; collapsed; ttl=60");
        assert_true(slice_is(response_bytes(&others[i].response), "body"));
        call_release(&others[i]);
    }
    call_release(&first);
    assert_int_equal(origin.asked, 1);
}

static void test_those_who_wait_for_another_variant_send_one_request_more(void **state)
{
    struct fixture *f = *state;
    struct call first, same, other, third;
    use_slow_origin(f);
    origin.headers = "Cache-Control: max-age=60\r\nVary: Foo\r\n";
    begin_call(f, &first, "Foo", "1");
    begin_call(f, &same, "Foo", "1");
    begin_call(f, &other, "Foo", "2");
    begin_call(f, &third, "Foo", "2");
    end_call(f, &first);
    assert_int_equal(resumed_count, 3);
    end_call(f, &same);
    assert_int_equal(origin.asked, 1);
    other.request.awaiting = third.request.awaiting = false;
    gateway_handle(f->gateway, &other.request, &other.response); /* goes */
    gateway_handle(f->gateway, &third.request, &third.response); /* waits for it */
    assert_int_equal(resumed_count, 3);
    end_call(f, &other);
    assert_int_equal(resumed_count, 4);
    end_call(f, &third);
    assert_int_equal(origin.asked, 2);
    call_release(&first);
    call_release(&same);
    call_release(&other);
    call_release(&third);
}

static void test_who_has_waited_for_nothing_goes_alone(void **state)
{
    struct fixture *f = *state;
    struct call first, second, third;
    use_slow_origin(f);
    origin.headers = "Cache-Control: no-store\r\n";
    begin_call(f, &first, NULL, NULL);
    begin_call(f, &second, NULL, NULL);
    begin_call(f, &third, NULL, NULL);
    end_call(f, &first);
    second.request.awaiting = third.request.awaiting = false;
    gateway_handle(f->gateway, &second.request, &second.response);
    gateway_handle(f->gateway, &third.request, &third.response);
    assert_int_equal(resumed_count, 2); /* side by side */
    end_call(f, &second);
    end_call(f, &third);
    assert_int_equal(origin.asked, 3);
    call_release(&first);
    call_release(&second);
    call_release(&third);
}

static void test_nobody_waits_long_for_one_that_streams(void **state)
{
    struct fixture *f = *state;
    struct call first, second, third;
    use_slow_origin(f);
    origin.streams = true;
    begin_call(f, &first, NULL, NULL);
    begin_call(f, &second, NULL, NULL);
    end_call(f, &first); /* it begins to stream, and its client takes nothing */
    gateway_wake_waiting(f->gateway);
    assert_int_equal(resumed_count, 0);
    clock_fake_advance(&f->time, 2000);
    gateway_wake_waiting(f->gateway);
    assert_int_equal(resumed_count, 1);
    second.request.awaiting = false;
    gateway_handle(f->gateway, &second.request, &second.response);
    begin_call(f, &third, NULL, NULL); /* nor does who comes later */
    assert_int_equal(resumed_count, 1);
    end_call(f, &second);
    end_call(f, &third);
    assert_int_equal(origin.asked, 3);
    call_release(&first);
    call_release(&second);
    call_release(&third);
}

static void test_a_part_of_an_answer_that_others_wait_for_waits_for_nobody(void **state)
{
    struct fixture *f = *state;
    struct call whole, part, other;
    use_slow_origin(f);
    begin_call(f, &whole, NULL, NULL);
    call_init(&part, METHOD_GET, "/a");
    part.request = whole.request; /* as compose makes one */
    part.request.depth = 1;
    part.request.route = NULL;
    part.request.plan = NULL;
    part.request.exchange = NULL;
    part.request.awaited = NULL;
    part.request.awaiting = false;
    gateway_handle(f->gateway, &part.request, &part.response);
    assert_ptr_equal(part.request.awaited, &part.request); /* the target has it */
    begin_call(f, &other, NULL, NULL);
    assert_null(other.request.awaited);
    end_call(f, &part);
    end_call(f, &whole);
    end_call(f, &other);
    assert_int_equal(origin.asked, 2);
    call_release(&whole);
    call_release(&part);
    call_release(&other);
}

static void test_who_leads_and_goes_lets_another_lead(void **state)
{
    struct fixture *f = *state;
    struct call first, second;
    const struct sent sent = {0};
    use_slow_origin(f);
    begin_call(f, &first, NULL, NULL);
    begin_call(f, &second, NULL, NULL);
    first.request.awaited = NULL;
    response_error(&first.response, &first.request, ERR_DRAINING, NULL, NULL, NULL);
    gateway_sent(f->gateway, &first.request, &first.response, &sent);
    assert_int_equal(resumed_count, 1);
    second.request.awaiting = false;
    gateway_handle(f->gateway, &second.request, &second.response);
    end_call(f, &second);
    assert_int_equal(second.response.status, 200);
    call_release(&first);
    call_release(&second);
}

static void test_an_answer_that_was_asked_for_before_a_change_is_not_stored(void **state)
{
    struct fixture *f = *state;
    struct call slow, change;
    static const struct route_spec routes[] = {
        {METHOD_GET, "/a", .cache = {.enabled = true}, .target = wait_for_it},
        {METHOD_POST, "/a", .target = answer}};
    fixture_swap(f, routes, 2);
    begin_call(f, &slow, NULL, NULL);
    call_init(&change, METHOD_POST, "/a");
    assert_int_equal(call_send(&change, f), 200);
    end_call(f, &slow);
    assert_answer_header(&slow, "Cache-Status", "galley; fwd=uri-miss");
    call_release(&slow);
    call_release(&change);
}

static void test_what_is_confirmed_after_a_change_is_not_stored(void **state)
{
    struct fixture *f = *state;
    struct call slow, change;
    static const struct route_spec routes[] = {
        {METHOD_GET, "/a", .cache = {.enabled = true}, .target = wait_for_it},
        {METHOD_POST, "/a", .target = answer}};
    origin.headers = "Cache-Control: max-age=60\r\nETag: \"1\"\r\n";
    assert_get(f, "/a", NULL, NULL, 200, "body", "galley; fwd=uri-miss; stored");
    clock_fake_advance(&f->time, 60000);
    fixture_swap(f, routes, 2);
    begin_call(f, &slow, NULL, NULL);
    call_init(&change, METHOD_POST, "/a");
    assert_int_equal(call_send(&change, f), 200);
    origin.status = 304;
    origin.body = "";
    end_call(f, &slow);
    assert_int_equal(slow.response.status, 200);
    assert_answer_header(&slow, "Cache-Status", "galley; fwd=stale; fwd-status=304; ttl=60");
    call_release(&slow);
    call_release(&change);
}

static void test_what_was_changed_while_its_route_had_no_cache_is_forgotten(void **state)
{
    struct fixture *f = *state;
    static const struct route_spec other[] = {
        {METHOD_GET, "/a", .target = answer},
        {METHOD_POST, "/a", .target = answer}};
    static const struct route_spec as_before[] = {
        {METHOD_GET, "/a", .cache = {.enabled = true}, .target = answer}};
    struct call change;
    assert_get(f, "/a", NULL, NULL, 200, "body", "galley; fwd=uri-miss; stored");
    fixture_swap(f, other, 2);
    call_init(&change, METHOD_POST, "/a");
    assert_int_equal(call_send(&change, f), 200);
    call_release(&change);
    fixture_swap(f, as_before, 1);
    assert_get(f, "/a", NULL, NULL, 200, "body", "galley; fwd=uri-miss; stored");
}

static void test_what_is_stored_outlives_a_plan_that_caches_the_same(void **state)
{
    struct fixture *f = *state;
    static const struct route_spec same[] = {
        {METHOD_GET, "/a", .cache = {.enabled = true}, .target = answer},
        {METHOD_GET, "/new", .target = answer}};
    assert_get(f, "/a", NULL, NULL, 200, "body", "galley; fwd=uri-miss; stored");
    fixture_swap(f, same, 2);
    assert_get(f, "/a", NULL, NULL, 200, "body", "galley; hit; ttl=60");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(test_a_purge_voids_what_is_stored_under_it),
        CLAIM(test_what_is_no_url_cannot_be_purged),
        CLAIM(test_tags_are_for_us_alone),
        CLAIM(test_a_variant_is_purged_by_its_own_tags),
        CLAIM(test_what_is_stale_is_given_while_it_is_asked_anew),
        CLAIM(test_a_refresh_that_finds_another_route_asks_nobody),
        CLAIM(test_a_refresh_that_streams_is_collected_for_nobody),
        CLAIM(test_a_mark_that_is_not_ours_means_nothing),
        CLAIM(test_a_second_request_is_answered_from_the_first),
        CLAIM(test_a_route_without_a_cache_has_none),
        CLAIM(test_head_is_answered_from_get),
        CLAIM(test_what_is_stale_is_confirmed),
        CLAIM(test_conditions_of_a_client_are_ours_to_judge),
        CLAIM(test_parts_are_cut_from_the_stored_whole),
        CLAIM(test_variants_are_told_apart),
        CLAIM(test_a_field_that_the_origin_does_not_get_keys_nothing),
        CLAIM(test_two_of_a_name_in_the_key_are_passed_by),
        CLAIM(test_what_asks_for_something_else_is_not_asked_for_all),
        CLAIM(test_who_has_credentials_and_insists_throws_nothing_out),
        CLAIM(test_other_names_in_vary_begin_anew),
        CLAIM(test_a_stale_answer_stands_in_for_an_error),
        CLAIM(test_an_error_does_not_stand_in_where_it_must_not),
        CLAIM(test_only_if_cached_asks_nobody),
        CLAIM(test_what_is_changed_is_forgotten),
        CLAIM(test_what_a_change_points_to_is_forgotten_too),
        CLAIM(test_the_route_says_how_long_where_the_origin_does_not),
        CLAIM(test_an_answer_to_a_user_is_the_users),
        CLAIM(test_a_query_and_an_escaped_one_are_two_things),
        CLAIM(test_a_stream_is_stored_when_it_has_ended),
        CLAIM(test_a_slow_stream_leaves_its_place_to_another),
        CLAIM(test_streams_are_collected_within_a_part_of_the_budget),
        CLAIM(test_a_stream_that_is_dropped_is_not_stored),
        CLAIM(test_simultaneous_misses_are_one_request),
        CLAIM(test_those_who_wait_for_another_variant_send_one_request_more),
        CLAIM(test_who_has_waited_for_nothing_goes_alone),
        CLAIM(test_nobody_waits_long_for_one_that_streams),
        CLAIM(test_a_stream_without_an_end_is_not_stored),
        CLAIM(test_a_part_of_an_answer_that_others_wait_for_waits_for_nobody),
        CLAIM(test_who_leads_and_goes_lets_another_lead),
        CLAIM(test_an_answer_that_was_asked_for_before_a_change_is_not_stored),
        CLAIM(test_what_is_confirmed_after_a_change_is_not_stored),
        CLAIM(test_what_was_changed_while_its_route_had_no_cache_is_forgotten),
        CLAIM(test_what_is_stored_outlives_a_plan_that_caches_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
