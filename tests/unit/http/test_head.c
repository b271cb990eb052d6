#include "server/http/head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#define HOST "Host: h\r\n"

static char bytes[32 * 1024];
static struct head head;

/* The head begins where the scan says, as in the server. */
static enum err parse(const char *text)
{
    struct head_scan scan = {0};
    enum err err = head_find_end(&scan, slice_str(text));
    if (err != ERR_OK)
        return err;
    assert_true(scan.end > 0);
    memcpy(bytes, text, scan.end);
    return head_parse(bytes + scan.start, scan.end - scan.start, &head);
}

/* A GET with these lines behind its Host. */
static enum err parse_with(const char *lines)
{
    char text[4096];
    snprintf(text, sizeof text, "GET / HTTP/1.1\r\n" HOST "%s\r\n", lines);
    return parse(text);
}

static enum err parse_target(const char *method, const char *target)
{
    char text[4096];
    snprintf(text, sizeof text, "%s %s HTTP/1.1\r\n" HOST "\r\n", method, target);
    return parse(text);
}

/* ---- The end of the head */

static void test_end_is_found_however_the_bytes_come(void **state)
{
    const char *text = "GET / HTTP/1.1\r\n" HOST "\r\nnext";
    (void)state;
    struct head_scan scan = {0};
    for (size_t len = 0; len < strlen(text) - 4; len++) {
        assert_int_equal(head_find_end(&scan, slice_of(text, len)), ERR_OK);
        assert_int_equal(scan.end, 0);
    }
    assert_int_equal(head_find_end(&scan, slice_str(text)), ERR_OK);
    assert_int_equal(scan.end, strlen(text) - 4);
}

static void test_end_allows_empty_lines_before_the_request(void **state)
{
    (void)state;
    assert_int_equal(parse("\r\n\r\nGET /a HTTP/1.1\r\n" HOST "\r\n"), ERR_OK);
    assert_true(slice_is(head.path, "/a"));
}

static void test_end_refuses_a_bare_line_feed_at_once(void **state)
{
    (void)state;
    struct head_scan scan = {0};
    assert_int_equal(head_find_end(&scan, slice_str("GET / HTTP/1.1\n")), ERR_MALFORMED);
    scan = (struct head_scan){0};
    assert_int_equal(head_find_end(&scan, slice_str("GET / HTTP/1.1\r\n\n")), ERR_MALFORMED);
    scan = (struct head_scan){0};
    assert_int_equal(head_find_end(&scan, slice_str("\n")), ERR_MALFORMED);
}

static void test_end_refuses_what_is_no_request_at_once(void **state)
{
    (void)state;
    struct head_scan scan = {0};
    assert_int_equal(head_find_end(&scan, slice_str("\x16\x03\x01")), ERR_MALFORMED);
}

static enum err find_end_of_long(const char *begin, size_t fill)
{
    size_t len = strlen(begin);
    memcpy(bytes, begin, len);
    memset(bytes + len, 'a', fill);
    struct head_scan scan = {0};
    return head_find_end(&scan, slice_of(bytes, len + fill));
}

static void test_end_bounds_the_line_also_when_more_has_come(void **state)
{
    (void)state;
    size_t len = TARGET_MAX * 3;
    memcpy(bytes, "GET /", 5);
    memset(bytes + 5, 'a', len);
    memcpy(bytes + 5 + len, " HTTP/1.1\r\n\r\n", 13);
    struct head_scan scan = {0};
    assert_int_equal(head_find_end(&scan, slice_of(bytes, 5 + len + 13)), ERR_URI_TOO_LONG);
}

static void test_end_bounds_line_and_head(void **state)
{
    (void)state;
    assert_int_equal(find_end_of_long("GET /", TARGET_MAX), ERR_OK);
    assert_int_equal(find_end_of_long("GET /", TARGET_MAX + 100), ERR_URI_TOO_LONG);
    assert_int_equal(find_end_of_long("GET / HTTP/1.1\r\nA: ", HEAD_MAX - 19), ERR_OK);
    assert_int_equal(find_end_of_long("GET / HTTP/1.1\r\nA: ", HEAD_MAX - 18),
                     ERR_HEADER_TOO_LARGE);
}

static void test_end_bounds_the_empty_lines_before_the_request(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = "\r\n"[i % 2];
    struct head_scan scan = {0};
    assert_int_equal(head_find_end(&scan, slice_of(bytes, HEAD_MAX)), ERR_OK);
    assert_int_equal(head_find_end(&scan, slice_of(bytes, HEAD_MAX + 2)), ERR_HEADER_TOO_LARGE);
}

/* ---- The request line */

static void test_line_gives_method_path_and_query(void **state)
{
    (void)state;
    assert_int_equal(parse_target("DELETE", "/a/%41?b=%41&c"), ERR_OK);
    assert_int_equal(head.method, METHOD_DELETE);
    assert_true(slice_is(head.path, "/a/A"));
    assert_true(slice_is(head.query, "b=%41&c"));
    assert_int_equal(parse_target("GET", "/a?"), ERR_OK);
    assert_int_equal(head.query.len, 0);
    assert_int_equal(parse_target("GET", "/a?b?c"), ERR_OK);
    assert_true(slice_is(head.query, "b?c"));
}

static void test_line_with_an_absolute_target_replaces_host(void **state)
{
    (void)state;
    assert_int_equal(parse_target("GET", "HTTP://shop.example:8080/a?b"), ERR_OK);
    assert_true(slice_is(head.path, "/a"));
    assert_true(slice_is(head.query, "b"));
    assert_true(slice_is(head.fields[0].value, "shop.example:8080"));
    assert_int_equal(parse_target("GET", "https://shop.example"), ERR_OK);
    assert_true(slice_is(head.path, "/"));
    assert_int_equal(parse_target("GET", "http://shop.example?b"), ERR_OK);
    assert_true(slice_is(head.query, "b"));
}

static void test_line_refuses_other_targets(void **state)
{
    (void)state;
    assert_int_equal(parse_target("GET", "*"), ERR_MALFORMED);
    assert_int_equal(parse_target("GET", "a"), ERR_MALFORMED);
    assert_int_equal(parse_target("GET", "shop.example:80"), ERR_MALFORMED);
    assert_int_equal(parse_target("GET", "http://"), ERR_MALFORMED);
    assert_int_equal(parse_target("GET", "http:///a"), ERR_MALFORMED);
    assert_int_equal(parse_target("GET", "http://user@shop.example/a"), ERR_MALFORMED);
    assert_int_equal(parse_target("GET", "ftp://shop.example/a"), ERR_MALFORMED);
    assert_int_equal(parse_target("GET", "/a#b"), ERR_MALFORMED);
    assert_int_equal(parse_target("GET", "/caf\xC3\xA9"), ERR_MALFORMED);
    assert_int_equal(parse_target("GET", "/a%2fb"), ERR_MALFORMED);
}

static void test_line_takes_options_of_the_server(void **state)
{
    (void)state;
    assert_int_equal(parse_target("OPTIONS", "*"), ERR_OK);
    assert_true(head.asterisk);
}

static void test_line_refuses_unknown_methods(void **state)
{
    (void)state;
    assert_int_equal(parse_target("BREW", "/"), ERR_NOT_IMPLEMENTED);
    assert_int_equal(parse_target("get", "/"), ERR_NOT_IMPLEMENTED);
    assert_int_equal(parse_target("TRACE", "/"), ERR_NOT_IMPLEMENTED);
    assert_int_equal(parse_target("CONNECT", "shop.example:80"), ERR_NOT_IMPLEMENTED);
    assert_int_equal(parse_target("G(T", "/"), ERR_MALFORMED);
}

static void test_line_refuses_other_versions_and_spacing(void **state)
{
    static const char *const lines[] = {
        "GET / HTTP/2.0",
        "GET / HTTP/1.2",
        "GET / HTTP/1.10",
        "GET / HTTP/0.9",
        "GET / http/1.1",
        "GET /",
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET / HTTP/1.1 ",
        " GET / HTTP/1.1",
        "GET\t/ HTTP/1.1",
        "GET / / HTTP/1.1",
        "GET",
        "GET / HTTP/1.1\r",
    };
    (void)state;
    char text[256];
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        snprintf(text, sizeof text, "%s\r\n" HOST "\r\n", lines[i]);
        if (parse(text) != ERR_MALFORMED)
            fail_msg("%s is taken", lines[i]);
    }
}

static void test_line_bounds_the_target(void **state)
{
    static char text[TARGET_MAX + 100];
    int len = snprintf(text, sizeof text, "GET /");
    (void)state;
    memset(text + len, 'a', TARGET_MAX - 1);
    strcpy(text + len + TARGET_MAX - 1, " HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(parse(text), ERR_OK);
    memset(text + len, 'a', TARGET_MAX);
    strcpy(text + len + TARGET_MAX, " HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(parse(text), ERR_URI_TOO_LONG);
}

/* ---- Fields */

static void test_fields_lose_white_space_around_values(void **state)
{
    (void)state;
    assert_int_equal(parse_with("A:1\r\nb: \t 2 \t\r\nC:\r\n"), ERR_OK);
    assert_int_equal(head.field_count, 4);
    assert_true(slice_is(head.fields[1].value, "1"));
    assert_true(slice_is(head.fields[2].value, "2"));
    assert_int_equal(head.fields[3].value.len, 0);
}

static void test_fields_that_hide_something_are_refused(void **state)
{
    static const char *const lines[] = {
        "A : 1\r\n",   " A: 1\r\n",   "A: 1\r\n folded\r\n", "A: 1\r\n\tfolded\r\n",
        "A\r\n",       ": 1\r\n",     "A\xC3\xA4: 1\r\n",    "A: 1\rB: 2\r\n",
        "A: \x01\r\n", "A: \x7F\r\n", "A(: 1\r\n",           "A: 1\r\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (parse_with(lines[i]) != ERR_MALFORMED)
            fail_msg("%s is taken", lines[i]);
    }
}

static void test_fields_may_carry_bytes_beyond_ascii(void **state)
{
    (void)state;
    assert_int_equal(parse_with("A: caf\xC3\xA9 \xFF\r\n"), ERR_OK);
}

static void test_fields_refuse_a_nul(void **state)
{
    static char text[] = "GET / HTTP/1.1\r\n" HOST "A: 1?2\r\n\r\n";
    (void)state;
    *strchr(text, '?') = '\0';
    assert_int_equal(head_parse(text, sizeof text - 1, &head), ERR_MALFORMED);
}

static void test_fields_are_at_most_64(void **state)
{
    (void)state;
    char lines[64 * 8] = "";
    for (int i = 1; i < 64; i++)
        strcat(lines, "A: 1\r\n");
    assert_int_equal(parse_with(lines), ERR_OK);
    assert_int_equal(head.field_count, 64);
    strcat(lines, "A: 1\r\n");
    assert_int_equal(parse_with(lines), ERR_HEADER_TOO_LARGE);
}

static void test_host_is_needed_once(void **state)
{
    (void)state;
    assert_int_equal(parse("GET / HTTP/1.1\r\n\r\n"), ERR_MALFORMED);
    assert_int_equal(parse("GET / HTTP/1.0\r\n\r\n"), ERR_OK);
    assert_int_equal(parse_with(HOST), ERR_MALFORMED);
    assert_int_equal(parse("GET / HTTP/1.1\r\nHost:\r\n\r\n"), ERR_OK);
    assert_int_equal(parse("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), ERR_MALFORMED);
    assert_int_equal(parse("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), ERR_MALFORMED);
    assert_int_equal(parse("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"), ERR_OK);
}

static void test_host_is_checked_wherever_it_stands(void **state)
{
    static const char *const hosts[] = {"a:x", "a:1:2", "[::1", "a:", "a:65536", "::1", ":80"};
    (void)state;
    char text[128];
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", hosts[i]);
        if (parse(text) != ERR_MALFORMED)
            fail_msg("Host: %s is taken", hosts[i]);
        snprintf(text, sizeof text, "http://%s/", hosts[i]);
        if (parse_target("GET", text) != ERR_MALFORMED)
            fail_msg("%s is taken", text);
    }
    assert_int_equal(parse_target("GET", "http://[::1]:80/"), ERR_OK);
}

static void test_length_is_digits_said_once(void **state)
{
    static const char *const values[] = {
        "",
        "+2",
        "-2",
        "2abc",
        "0x2",
        "2, 2",
        "2 2",
        "2.0",
        "1000000000000000000",
        "2\r\nContent-Length: 2",
        "2\r\nContent-Length: 3",
    };
    (void)state;
    assert_int_equal(parse_with("content-length: 0012\r\n"), ERR_OK);
    assert_int_equal(head.content_length, 12);
    char line[128];
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        snprintf(line, sizeof line, "Content-Length: %s\r\n", values[i]);
        if (parse_with(line) != ERR_MALFORMED)
            fail_msg("length %s is taken", values[i]);
    }
}

static void test_transfer_coding_is_exactly_chunked(void **state)
{
    static const char *const lines[] = {
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n",
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
    };
    (void)state;
    assert_int_equal(parse_with("Transfer-Encoding: Chunked\r\n"), ERR_OK);
    assert_true(head.chunked);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (parse_with(lines[i]) != ERR_MALFORMED)
            fail_msg("%s is taken", lines[i]);
    }
    assert_int_equal(parse("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), ERR_MALFORMED);
}

static void test_connection_is_a_list(void **state)
{
    (void)state;
    assert_int_equal(parse_with("Connection: Upgrade, CLOSE\r\n"), ERR_OK);
    assert_true(head.close);
    assert_int_equal(parse_with("Connection: keep-alive\r\n"), ERR_OK);
    assert_true(head.keep_alive && !head.close);
    assert_int_equal(parse_with("Connection: closed\r\n"), ERR_OK);
    assert_false(head.close);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_end_is_found_however_the_bytes_come),
        cmocka_unit_test(test_end_allows_empty_lines_before_the_request),
        cmocka_unit_test(test_end_refuses_a_bare_line_feed_at_once),
        cmocka_unit_test(test_end_refuses_what_is_no_request_at_once),
        cmocka_unit_test(test_end_bounds_the_line_also_when_more_has_come),
        cmocka_unit_test(test_end_bounds_line_and_head),
        cmocka_unit_test(test_end_bounds_the_empty_lines_before_the_request),
        cmocka_unit_test(test_line_gives_method_path_and_query),
        cmocka_unit_test(test_line_with_an_absolute_target_replaces_host),
        cmocka_unit_test(test_line_refuses_other_targets),
        cmocka_unit_test(test_line_takes_options_of_the_server),
        cmocka_unit_test(test_line_refuses_unknown_methods),
        cmocka_unit_test(test_line_refuses_other_versions_and_spacing),
        cmocka_unit_test(test_line_bounds_the_target),
        cmocka_unit_test(test_fields_lose_white_space_around_values),
        cmocka_unit_test(test_fields_that_hide_something_are_refused),
        cmocka_unit_test(test_fields_may_carry_bytes_beyond_ascii),
        cmocka_unit_test(test_fields_refuse_a_nul),
        cmocka_unit_test(test_fields_are_at_most_64),
        cmocka_unit_test(test_host_is_needed_once),
        cmocka_unit_test(test_host_is_checked_wherever_it_stands),
        cmocka_unit_test(test_length_is_digits_said_once),
        cmocka_unit_test(test_transfer_coding_is_exactly_chunked),
        cmocka_unit_test(test_connection_is_a_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
