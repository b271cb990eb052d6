/* Purging by hand, and asking anew in the background. */
#include "response_cache_fixture.h"

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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
