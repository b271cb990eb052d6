/* What is stored, for whom, and what voids it. */
#include "response_cache_fixture.h"

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

static void test_what_was_changed_while_its_route_had_no_cache_is_forgotten(void **state)
{
    struct fixture *f = *state;
    static const struct route_spec other[] = {{METHOD_GET, "/a", .target = answer},
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
        CLAIM(test_what_was_changed_while_its_route_had_no_cache_is_forgotten),
        CLAIM(test_what_is_stored_outlives_a_plan_that_caches_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
