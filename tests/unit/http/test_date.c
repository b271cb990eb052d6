#include "server/http/date.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#define NOW_MS INT64_C(1767225600000) /* 2026-01-01 */

static int64_t parse(const char *text)
{
    int64_t ms;
    return http_date_parse(slice_str(text), NOW_MS, &ms) ? ms / 1000 : -1;
}

static void test_the_three_forms_are_one_moment(void **state)
{
    (void)state;
    assert_int_equal(parse("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
    assert_int_equal(parse("Sunday, 06-Nov-94 08:49:37 GMT"), 784111777);
    assert_int_equal(parse("Sun Nov  6 08:49:37 1994"), 784111777);
    assert_int_equal(parse("Wed Nov 16 08:49:37 1994"), 784975777);
}

static void test_what_is_written_is_read_again(void **state)
{
    (void)state;
    char text[CLOCK_HTTP_SIZE];
    for (int64_t s = 0; s < INT64_C(200) * 366 * 86400; s += 86400 * 13 + 12345) {
        clock_http_date(s * 1000, text);
        assert_int_equal(parse(text), s);
    }
}

static void test_two_digits_of_a_year_are_at_most_50_years_ahead(void **state)
{
    (void)state;
    assert_int_equal(parse("Wednesday, 01-Jan-76 00:00:00 GMT"), 3345062400); /* 2076 */
    assert_int_equal(parse("Saturday, 01-Jan-77 00:00:00 GMT"), 220924800);   /* 1977 */
}

static void test_other_texts_are_no_dates(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "0",
        "-1",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 gmt",
        "sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun 06 Nov 1994 08:49:37 GMT",
        "Sun,  06 Nov 1994 08:49:37 GMT",
        "Sun, 06-Nov-1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08.49.37 GMT",
        "Sun, 06 Nov 1994 8:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Wed, 29 Feb 2023 00:00:00 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(parse(wrong[i]), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_three_forms_are_one_moment),
        cmocka_unit_test(test_what_is_written_is_read_again),
        cmocka_unit_test(test_two_digits_of_a_year_are_at_most_50_years_ahead),
        cmocka_unit_test(test_other_texts_are_no_dates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
