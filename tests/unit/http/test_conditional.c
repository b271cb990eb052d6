#include "server/http/conditional.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#define NOW_MS  INT64_C(1767225600000) /* 2026-01-01 */
#define EARLIER "Sun, 06 Nov 1994 08:49:36 GMT"
#define CHANGED "Sun, 06 Nov 1994 08:49:37 GMT"
#define LATER   "Sun, 06 Nov 1994 08:49:38 GMT"

static struct validators all_of(const char *etag, const char *last_modified, const char *date)
{
    struct slice none = {NULL, 0};
    return (struct validators){etag ? slice_str(etag) : none,
                               last_modified ? slice_str(last_modified) : none,
                               date ? slice_str(date) : none};
}

static bool current(struct validators validators, const char *name, const char *value,
                    const char *name2, const char *value2)
{
    struct header headers[] = {{slice_str(name), slice_str(value)},
                               {slice_str(name2 ? name2 : ""), slice_str(value2 ? value2 : "")}};
    struct request request = {.headers = headers, .header_count = name2 ? 2 : 1};
    return request_has_current(&request, &validators, NOW_MS);
}

static void test_if_none_match_compares_weakly(void **state)
{
    (void)state;
    struct validators both = all_of("\"a\"", CHANGED, NULL);
    assert_true(current(both, "If-None-Match", "\"b\", W/\"a\"", NULL, NULL));
    assert_false(current(both, "If-None-Match", "\"b\"", NULL, NULL));
    assert_false(current(all_of(NULL, CHANGED, NULL), "If-None-Match", "\"a\"", NULL, NULL));
}

static void test_if_none_match_stands_above_if_modified_since(void **state)
{
    (void)state;
    struct validators both = all_of("\"a\"", CHANGED, NULL);
    assert_false(current(both, "If-None-Match", "\"b\"", "If-Modified-Since", CHANGED));
    assert_true(current(both, "If-None-Match", "\"a\"", "If-Modified-Since", EARLIER));
}

static void test_if_modified_since(void **state)
{
    (void)state;
    struct validators changed = all_of(NULL, CHANGED, NULL);
    assert_true(current(changed, "If-Modified-Since", CHANGED, NULL, NULL));
    assert_true(current(changed, "If-Modified-Since", LATER, NULL, NULL));
    assert_false(current(changed, "If-Modified-Since", EARLIER, NULL, NULL));
    assert_false(current(changed, "If-Modified-Since", "yesterday", NULL, NULL));
    assert_true(
        current(changed, "If-Modified-Since", "Sunday, 06-Nov-94 08:49:37 GMT", NULL, NULL));
    assert_true(current(all_of(NULL, NULL, CHANGED), "If-Modified-Since", LATER, NULL, NULL));
    assert_false(current(all_of(NULL, NULL, NULL), "If-Modified-Since", LATER, NULL, NULL));
}

static void test_some_conditions_are_the_origins(void **state)
{
    (void)state;
    struct header header = {slice_str("If-Match"), slice_str("*")};
    struct request request = {.headers = &header, .header_count = 1};
    assert_true(request_asks_origin(&request));
    header.name = slice_str("if-unmodified-since");
    assert_true(request_asks_origin(&request));
    header.name = slice_str("If-None-Match");
    assert_false(request_asks_origin(&request));
}

/* Of 10 bytes: "begin+length", "none", "wrong". */
static void assert_range(const char *range, const char *if_range, const char *expected)
{
    struct header headers[] = {{slice_str("Range"), slice_str(range)},
                               {slice_str("If-Range"), slice_str(if_range ? if_range : "")}};
    struct request request = {.headers = headers, .header_count = if_range ? 2 : 1};
    struct validators validators = all_of("\"a\"", CHANGED, LATER);
    struct byte_range out;
    char text[32];
    enum range_result result = request_range(&request, &validators, 10, NOW_MS, &out);
    if (result == RANGE_PART)
        snprintf(text, sizeof text, "%d+%d", (int)out.begin, (int)out.length);
    else
        snprintf(text, sizeof text, "%s", result == RANGE_NONE ? "none" : "wrong");
    assert_string_equal(text, expected);
}

static void test_ranges_of_a_whole(void **state)
{
    (void)state;
    assert_range("bytes=0-1", NULL, "0+2");
    assert_range("bytes=1-", NULL, "1+9");
    assert_range("bytes=-1", NULL, "9+1");
    assert_range("bytes=-20", NULL, "0+10");
    assert_range("bytes=9-99999999999999999999999", NULL, "9+1");
    assert_range("Bytes= 2-2 ", NULL, "2+1");
    assert_range("bytes=10-", NULL, "wrong");
    assert_range("bytes=99999999999999999999999-", NULL, "wrong");
    assert_range("bytes=-0", NULL, "wrong");
}

static void test_what_is_no_range_that_we_serve_gets_the_whole(void **state)
{
    (void)state;
    static const char *const others[] = {"bytes=0-1,3-4", "bytes=2-1",   "bytes=a-",
                                         "bytes=-",       "bytes=",      "bytes",
                                         "lines=0-1",     "bytes=1-2-3", "bytes=1"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_range(others[i], NULL, "none");
}

static void test_if_range_compares_strongly(void **state)
{
    (void)state;
    assert_range("bytes=0-1", "\"a\"", "0+2");
    assert_range("bytes=0-1", "W/\"a\"", "none");
    assert_range("bytes=0-1", "\"b\"", "none");
    assert_range("bytes=0-1", CHANGED, "0+2");
    assert_range("bytes=0-1", LATER, "none");
}

static void test_content_range_is_written(void **state)
{
    (void)state;
    char text[CONTENT_RANGE_SIZE];
    struct byte_range range = {4, 6};
    assert_true(slice_is(slice_of(text, content_range_format(&range, 10, text)), "bytes 4-9/10"));
    assert_true(slice_is(slice_of(text, content_range_format(NULL, 10, text)), "bytes */10"));
}

static bool holds(const char *name, const char *value)
{
    struct header header = {slice_str(name), slice_str(value)};
    struct request request = {.headers = &header, .header_count = 1};
    struct validators both = all_of("\"a\"", CHANGED, NULL);
    return request_precondition_holds(&request, &both, NOW_MS);
}

static void test_if_match_and_if_unmodified_since_forbid_to_go_on(void **state)
{
    (void)state;
    assert_true(holds("Accept", "x"));
    assert_true(holds("If-Match", "\"b\", \"a\""));
    assert_true(holds("If-Match", "*"));
    assert_false(holds("If-Match", "\"b\""));
    assert_false(holds("If-Match", "W/\"a\""));
    assert_true(holds("If-Unmodified-Since", CHANGED));
    assert_true(holds("If-Unmodified-Since", LATER));
    assert_true(holds("If-Unmodified-Since", "yesterday"));
    assert_false(holds("If-Unmodified-Since", EARLIER));
}

/* "begin+length" of each range, or what became of them. */
static const char *several(const char *range)
{
    static char text[200];
    struct header header = {slice_str("Range"), slice_str(range)};
    struct request request = {.headers = &header, .header_count = 1};
    struct validators none = all_of(NULL, NULL, NULL);
    struct byte_range ranges[RANGES_MAX];
    unsigned count;
    enum range_result result = request_ranges(&request, &none, 100, NOW_MS, ranges, &count);
    if (result != RANGE_PART) {
        assert_int_equal(count, 0);
        return result == RANGE_NONE ? "whole" : "wrong";
    }
    size_t len = 0;
    for (unsigned i = 0; i < count; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%d+%d", i ? " " : "",
                                (int)ranges[i].begin, (int)ranges[i].length);
    return text;
}

static void test_several_ranges_are_those_that_there_are(void **state)
{
    (void)state;
    assert_string_equal(several("bytes=0-9, 20-29 ,-5"), "0+10 20+10 95+5");
    assert_string_equal(several("bytes=50-"), "50+50");
    assert_string_equal(several("bytes=200-, 0-0"), "0+1");
    assert_string_equal(several("bytes=200-, -0"), "wrong");
    assert_string_equal(several("bytes=0-60, 30-99"), "whole"); /* more than there is */
    assert_string_equal(several("bytes=0-0,x"), "whole");
    assert_string_equal(several("bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8,9-9,10-10,11-11,12-12,"
                                "13-13,14-14,15-15,16-16"),
                        "whole");
    assert_string_equal(several("bytes=0-0,,1-1"), "whole");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_if_none_match_compares_weakly),
        cmocka_unit_test(test_if_none_match_stands_above_if_modified_since),
        cmocka_unit_test(test_if_modified_since),
        cmocka_unit_test(test_some_conditions_are_the_origins),
        cmocka_unit_test(test_ranges_of_a_whole),
        cmocka_unit_test(test_what_is_no_range_that_we_serve_gets_the_whole),
        cmocka_unit_test(test_if_range_compares_strongly),
        cmocka_unit_test(test_content_range_is_written),
        cmocka_unit_test(test_if_match_and_if_unmodified_since_forbid_to_go_on),
        cmocka_unit_test(test_several_ranges_are_those_that_there_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
