#include "server/upstream/forward.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

static struct buf out;
static struct response response;

/* What goes on of a GET /a b?x=1 with these fields, a line each. */
static const char *forwarded(const struct header *headers, unsigned count,
                             const struct forward *forward, struct principal *user)
{
    struct request request = {.method = METHOD_GET,
                              .path = slice_str("/a b"),
                              .query = slice_str("x=1"),
                              .headers = headers,
                              .header_count = count,
                              .address = slice_str("2001:db8::1"),
                              .id = "an-id",
                              .received_ms = 1,
                              .started_ns = 2};
    if (user)
        request.user = *user;
    buf_clear(&out);
    if (!forward_request(&request, forward, &out))
        return NULL;
    buf_append_char(&out, '\0');
    return out.data;
}

static const struct forward plain = {.body_length = -1};

#define FIELD(n, v)                                                                                \
    {                                                                                              \
        {n, sizeof n - 1},                                                                         \
        {                                                                                          \
            v, sizeof v - 1                                                                        \
        }                                                                                          \
    }

static void test_request_line_and_host_are_those_that_were_understood(void **state)
{
    (void)state;
    static const struct header headers[] = {FIELD("X-A", "1"), FIELD("Host", "shop.example")};
    const char *text = forwarded(headers, 2, &plain, NULL);
    static const char begin[] = "GET /a%20b?x=1 HTTP/1.1\r\nHost: shop.example\r\nX-A: 1\r\n";
    assert_memory_equal(text, begin, sizeof begin - 1);
    assert_non_null(strstr(text, "\r\nVia: 1.1 galley\r\n\r\n"));
    assert_null(strstr(text, "Content-Length"));
}

static void test_an_ipv6_client_is_quoted_where_it_must_be(void **state)
{
    (void)state;
    static const struct header headers[] = {FIELD("Host", "a:80")};
    const char *text = forwarded(headers, 1, &plain, NULL);
    assert_non_null(strstr(text, "\r\nX-Forwarded-For: 2001:db8::1\r\n"));
    assert_non_null(
        strstr(text, "\r\nForwarded: for=\"[2001:db8::1]\";proto=http;host=\"a:80\"\r\n"));
}

static void test_a_body_is_framed_once(void **state)
{
    (void)state;
    static const struct header headers[] = {FIELD("Host", "a"), FIELD("Content-Length", "7"),
                                            FIELD("Transfer-Encoding", "chunked"),
                                            FIELD("Expect", "100-continue")};
    const char *text = forwarded(headers, 4, &(struct forward){.body_length = 5}, NULL);
    assert_non_null(strstr(text, "\r\nContent-Length: 5\r\n"));
    assert_null(strstr(text, "Content-Length: 7"));
    assert_null(strstr(text, "Transfer-Encoding"));
    assert_null(strstr(text, "Expect"));
    text = forwarded(headers, 4, &(struct forward){.body_length = -1, .chunked = true}, NULL);
    assert_non_null(strstr(text, "\r\nTransfer-Encoding: chunked\r\n"));
    assert_null(strstr(text, "Content-Length"));
}

static void test_a_user_is_named_and_none_is_believed(void **state)
{
    (void)state;
    static const struct header headers[] = {FIELD("Host", "a"), FIELD("x-user-id", "root"),
                                            FIELD("X-USER-ROLES", "admin"),
                                            FIELD("X-Credential-Id", "1")};
    assert_null(strstr(forwarded(headers, 4, &plain, NULL), "root"));
    struct principal user = {.id = "alice", .roles = {"customer", "staff"}, .role_count = 2};
    const char *text = forwarded(headers, 4, &plain, &user);
    assert_non_null(strstr(text, "\r\nX-User-Id: alice\r\nX-User-Roles: customer,staff\r\n"));
    assert_null(strstr(text, "root"));
    struct principal broken = {.id = "alice\r\nX-Evil: 1"};
    assert_null(strstr(forwarded(headers, 4, &plain, &broken), "X-Evil"));
}

/* Servers that make variables of fields take one for the other. */
static void test_an_underscore_makes_no_other_name_of_ours(void **state)
{
    (void)state;
    static const struct header headers[] = {FIELD("Host", "a"),
                                            FIELD("X_User_Id", "root"),
                                            FIELD("x-user_roles", "root"),
                                            FIELD("X_Forwarded_For", "root"),
                                            FIELD("Content_Length", "root"),
                                            FIELD("Transfer_Encoding", "root"),
                                            FIELD("X_Other_Id", "1")};
    const char *text = forwarded(headers, 7, &plain, NULL);
    assert_null(strstr(text, "root"));
    assert_non_null(strstr(text, "\r\nX_Other_Id: 1\r\n"));
}

static void test_a_connection_field_cannot_take_ours_away(void **state)
{
    (void)state;
    static const struct header headers[] = {
        FIELD("Connection", "X-Forwarded-For, X-User-Id, Host, X-Gone"), FIELD("Host", "a"),
        FIELD("X-Gone", "1")};
    struct principal user = {.id = "alice"};
    const char *text = forwarded(headers, 3, &plain, &user);
    assert_non_null(strstr(text, "\r\nX-Forwarded-For: "));
    assert_non_null(strstr(text, "\r\nX-User-Id: alice\r\n"));
    assert_non_null(strstr(text, "\r\nHost: a\r\n"));
    assert_null(strstr(text, "X-Gone"));
}

static void test_a_trace_goes_on_only_if_it_is_one(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
        "00-4bf92f3577b34da6a3ce929d0e0e473600f067aa0ba902b7---01",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct header header = {slice_str("traceparent"), slice_str(bad[i])};
        assert_null(
            strstr(forwarded(&header, 1, &plain, NULL), "4bf92f3577b34da6a3ce929d0e0e4736"));
    }
    static const struct header good[] = {
        FIELD("TraceParent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00")};
    const char *text = forwarded(good, 1, &plain, NULL);
    const char *trace = strstr(text, "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-");
    assert_non_null(trace);
    assert_null(strstr(trace, "00f067aa0ba902b7"));
    assert_memory_equal(strchr(trace, '\r') - 3, "-00", 3);
}

static void test_an_answer_keeps_its_own_and_gets_what_it_lacks(void **state)
{
    (void)state;
    static struct response_head head = {
        .status = 404,
        .field_count = 6,
        .fields = {FIELD("X-Frame-Options", "SAMEORIGIN"), FIELD("Content-Length", "5"),
                   FIELD("Connection", "X-Hop"), FIELD("X-Hop", "1"),
                   FIELD("Strict-Transport-Security", "max-age=0"), FIELD("X-Request-Id", "its")}};
    struct request request = {.received_ms = 784111777000};
    assert_true(forward_response(&head, &request, &response));
    buf_append_char(&response.headers, '\0');
    const char *text = response.headers.data;
    assert_int_equal(response.status, 404);
    assert_string_equal(text, "X-Frame-Options: SAMEORIGIN\r\n"
                              "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                              "X-Content-Type-Options: nosniff\r\n"
                              "Referrer-Policy: no-referrer\r\n"
                              "Via: 1.1 galley\r\n");
}

static void test_of_trailers_only_what_was_announced_and_may_come_late_goes_on(void **state)
{
    (void)state;
    buf_clear(&out);
    forward_trailers(slice_str("X-Sum,Server-Timing , Set-Cookie, transfer-encoding, X_Request_Id"),
                     slice_str("x-sum: 1\r\nX-Else: 2\r\nserver-timing:a\r\nSet-Cookie: a=b\r\n"
                               "Transfer-Encoding: chunked\r\nX_Request_Id: 3\r\nX-Sum: 4\r\n"),
                     &out);
    buf_append_char(&out, '\0');
    assert_string_equal(out.data, "x-sum: 1\r\nserver-timing:a\r\nX-Sum: 4\r\n");
}

static void test_what_may_be_sent_again(void **state)
{
    (void)state;
    static const struct header key[] = {FIELD("Idempotency-Key", "a")};
    for (enum method method = 0; method < METHOD_COUNT; method++) {
        bool once = method == METHOD_POST || method == METHOD_PATCH;
        struct request request = {.method = method};
        assert_int_equal(forward_is_repeatable(&request), !once);
        request.headers = key;
        request.header_count = 1;
        assert_true(forward_is_repeatable(&request));
    }
}

static int release(void **state)
{
    (void)state;
    buf_release(&out);
    buf_release(&response.headers);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_line_and_host_are_those_that_were_understood),
        cmocka_unit_test(test_an_ipv6_client_is_quoted_where_it_must_be),
        cmocka_unit_test(test_a_body_is_framed_once),
        cmocka_unit_test(test_a_user_is_named_and_none_is_believed),
        cmocka_unit_test(test_an_underscore_makes_no_other_name_of_ours),
        cmocka_unit_test(test_a_connection_field_cannot_take_ours_away),
        cmocka_unit_test(test_a_trace_goes_on_only_if_it_is_one),
        cmocka_unit_test(test_an_answer_keeps_its_own_and_gets_what_it_lacks),
        cmocka_unit_test(test_of_trailers_only_what_was_announced_and_may_come_late_goes_on),
        cmocka_unit_test(test_what_may_be_sent_again),
    };
    return cmocka_run_group_tests(tests, NULL, release);
}
