#include "server/http/response_head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

static struct response_head head;

/* Finds and parses a head that lies in memory of exactly its length. */
static enum err parse_asked(const char *text, size_t len, enum method asked)
{
    static char *bytes; /* slices point into it until the next call */
    struct head_scan scan = {0};
    free(bytes);
    bytes = malloc(len);
    memcpy(bytes, text, len);
    enum err err = response_head_find_end(&scan, slice_of(bytes, len));
    if (err || scan.end == 0)
        return err ? err : ERR_TIMEOUT;
    return response_head_parse(slice_of(bytes, scan.end), asked, &head);
}

static enum err parse(const char *text)
{
    return parse_asked(text, strlen(text), METHOD_GET);
}

/* An answer to `asked` with this status and these lines. */
static enum err parse_with(enum method asked, int status, const char *lines)
{
    char text[4096];
    int len = snprintf(text, sizeof text, "HTTP/1.1 %d \r\n%s\r\n", status, lines);
    return parse_asked(text, (size_t)len, asked);
}

static void test_status_line_is_taken_apart(void **state)
{
    (void)state;
    assert_int_equal(parse("HTTP/1.1 404 Not Found\r\nA: 1\r\n\r\n"), ERR_OK);
    assert_int_equal(head.status, 404);
    assert_true(slice_is(head.reason, "Not Found"));
    assert_int_equal(head.field_count, 1);
    assert_int_equal(parse("HTTP/1.1 200 \r\n\r\n"), ERR_OK);
    assert_int_equal(head.reason.len, 0);
    assert_int_equal(parse("HTTP/1.1 200\r\n\r\n"), ERR_OK);
    assert_int_equal(head.status, 200);
}

static void test_status_line_is_exact(void **state)
{
    static const char *const lines[] = {
        "HTTP/2 200 OK",     "HTTP/1.2 200 OK",  "http/1.1 200 OK",
        "HTTP/1.1  200 OK",  "HTTP/1.1 20 OK",   "HTTP/1.1 099 OK",
        "HTTP/1.1 600 OK",   "HTTP/1.1 2000 OK", "HTTP/1.1 2x0 OK",
        "HTTP/1.1 -20 OK",   "HTTP/1.1",         "HTTP/1.1 200\tOK",
        " HTTP/1.1 200 OK",  "ICY 200 OK",       "HTTP/1.1 200 O\x01K",
        "HTTP/1.1 200 OK\r", "GET / HTTP/1.1",   "HTTP/1.1 +20 OK",
    };
    char text[256];
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        snprintf(text, sizeof text, "%s\r\n\r\n", lines[i]);
        if (parse(text) != ERR_MALFORMED)
            fail_msg("%s is taken", lines[i]);
    }
}

static void test_nothing_stands_before_the_status_line(void **state)
{
    (void)state;
    assert_int_equal(parse("\r\nHTTP/1.1 200 OK\r\n\r\n"), ERR_MALFORMED);
    assert_int_equal(parse("\nHTTP/1.1 200 OK\r\n\r\n"), ERR_MALFORMED);
}

static void test_fields_that_hide_something_are_refused(void **state)
{
    static const char *const lines[] = {
        "A : 1\r\n", " A: 1\r\n",      "A: 1\r\n folded\r\n", "A: 1\r\n\tfolded\r\n", "A\r\n",
        ": 1\r\n",   "A: 1\rB: 2\r\n", "A: \x01\r\n",         "A: 1\nB: 2\r\n",       "A: 1\n\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (parse_with(METHOD_GET, 200, lines[i]) != ERR_MALFORMED)
            fail_msg("%s is taken", lines[i]);
}

static void test_heads_are_bounded(void **state)
{
    static char text[HEAD_MAX + 100] = "HTTP/1.1 200 OK\r\nA: ";
    char lines[65 * 8] = "";
    (void)state;
    memset(text + 20, 'a', sizeof text - 20);
    assert_int_equal(parse_asked(text, sizeof text, METHOD_GET), ERR_HEADER_TOO_LARGE);
    memset(text + 13, 'a', 20);
    assert_int_equal(parse_asked(text, sizeof text, METHOD_GET), ERR_HEADER_TOO_LARGE);
    for (int i = 0; i < 64; i++)
        strcat(lines, "A: 1\r\n");
    assert_int_equal(parse_with(METHOD_GET, 200, lines), ERR_OK);
    assert_int_equal(head.field_count, 64);
    strcat(lines, "A: 1\r\n");
    assert_int_equal(parse_with(METHOD_GET, 200, lines), ERR_HEADER_TOO_LARGE);
}

/* ---- Framing */

static void assert_framing(enum method asked, int status, const char *lines, enum framing framing,
                           bool close)
{
    if (parse_with(asked, status, lines) != ERR_OK)
        fail_msg("%s is refused", lines);
    assert_int_equal(head.framing, framing);
    assert_int_equal(head.close, close);
}

static void test_framing_is_what_the_fields_say(void **state)
{
    (void)state;
    assert_framing(METHOD_GET, 200, "Content-Length: 5\r\n", FRAMING_LENGTH, false);
    assert_int_equal(head.content_length, 5);
    assert_framing(METHOD_GET, 200, "Content-Length: 0\r\n", FRAMING_NONE, false);
    assert_framing(METHOD_POST, 500, "Transfer-Encoding: Chunked\r\n", FRAMING_CHUNKED, false);
    assert_int_equal(head.content_length, -1);
    assert_framing(METHOD_GET, 200, "", FRAMING_UNTIL_CLOSE, true);
    assert_framing(METHOD_GET, 200, "Connection: close\r\nContent-Length: 5\r\n", FRAMING_LENGTH,
                   true);
}

static void test_framing_of_answers_without_a_body(void **state)
{
    (void)state;
    assert_framing(METHOD_HEAD, 200, "Content-Length: 5\r\n", FRAMING_NONE, false);
    assert_int_equal(head.content_length, 5);
    assert_framing(METHOD_HEAD, 200, "Transfer-Encoding: chunked\r\n", FRAMING_NONE, false);
    assert_framing(METHOD_HEAD, 200, "", FRAMING_NONE, false);
    assert_framing(METHOD_GET, 304, "Content-Length: 5\r\n", FRAMING_NONE, false);
    assert_framing(METHOD_GET, 204, "", FRAMING_NONE, false);
    assert_framing(METHOD_GET, 204, "Content-Length: 0\r\n", FRAMING_NONE, false);
    assert_framing(METHOD_POST, 100, "", FRAMING_NONE, false);
    assert_framing(METHOD_GET, 101, "Connection: upgrade\r\n", FRAMING_NONE, false);
}

static void test_framing_that_two_could_read_in_two_ways_is_refused(void **state)
{
    static const struct {
        int status;
        const char *lines;
    } cases[] = {
        {200, "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"},
        {200, "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"},
        {304, "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"},
        {200, "Content-Length: 5\r\nContent-Length: 5\r\n"},
        {200, "Content-Length: 5\r\nContent-Length: 6\r\n"},
        {200, "Content-Length: 5, 5\r\n"},
        {200, "Content-Length: +5\r\n"},
        {200, "Content-Length: -1\r\n"},
        {200, "Content-Length: 5x\r\n"},
        {200, "Content-Length:\r\n"},
        {200, "Content-Length: 1000000000000000000\r\n"},
        {200, "Transfer-Encoding: gzip\r\n"},
        {200, "Transfer-Encoding: gzip, chunked\r\n"},
        {200, "Transfer-Encoding: identity\r\n"},
        {200, "Transfer-Encoding:\r\n"},
        {200, "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"},
        {204, "Content-Length: 5\r\n"},
        {204, "Transfer-Encoding: chunked\r\n"},
        {100, "Content-Length: 5\r\n"},
        {103, "Transfer-Encoding: chunked\r\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (parse_with(METHOD_GET, cases[i].status, cases[i].lines) != ERR_MALFORMED)
            fail_msg("%d with %s is taken", cases[i].status, cases[i].lines);
}

static void test_http_1_0_closes_unless_it_says_otherwise(void **state)
{
    (void)state;
    assert_int_equal(parse("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n"), ERR_OK);
    assert_true(head.close);
    assert_int_equal(
        parse("HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n"), ERR_OK);
    assert_false(head.close);
    assert_int_equal(parse("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), ERR_MALFORMED);
}

static void test_any_bytes_are_survived(void **state)
{
    static const char seed[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked"
                               "\r\nConnection: close, x\r\n\r\n";
    static const char likely[] = "\r\n :,0159\t\0";
    (void)state;
    srand(1);
    for (int round = 0; round < 200000; round++) {
        char text[sizeof seed];
        memcpy(text, seed, sizeof seed);
        for (int change = rand() % 4; change >= 0; change--)
            text[(size_t)rand() % (sizeof seed - 1)] = likely[(size_t)rand() % sizeof likely];
        enum err err = parse_asked(text, sizeof seed - 1, METHOD_GET);
        assert_true(err || head.field_count <= 3);
        assert_false(!err && head.framing == FRAMING_CHUNKED && head.content_length >= 0);
    }
    parse("");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_line_is_taken_apart),
        cmocka_unit_test(test_status_line_is_exact),
        cmocka_unit_test(test_nothing_stands_before_the_status_line),
        cmocka_unit_test(test_fields_that_hide_something_are_refused),
        cmocka_unit_test(test_heads_are_bounded),
        cmocka_unit_test(test_framing_is_what_the_fields_say),
        cmocka_unit_test(test_framing_of_answers_without_a_body),
        cmocka_unit_test(test_framing_that_two_could_read_in_two_ways_is_refused),
        cmocka_unit_test(test_http_1_0_closes_unless_it_says_otherwise),
        cmocka_unit_test(test_any_bytes_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
