#include "base/clock.h"

#include <string.h>
#include <time.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_clock_fake_stands_still_until_moved(void **state)
{
    (void)state;
    struct clock_fake fake;
    clock_fake_init(&fake, 1000);
    assert_int_equal(clock_wall_ms(&fake.clock), 1000);
    assert_int_equal(clock_mono_ns(&fake.clock), 0);
    clock_fake_advance(&fake, 5);
    assert_int_equal(clock_wall_ms(&fake.clock), 1005);
    assert_int_equal(clock_mono_ns(&fake.clock), 5000000);
}

static void test_clock_system_agrees_with_the_machine(void **state)
{
    int64_t before = (int64_t)time(NULL) * 1000;
    int64_t now = clock_wall_ms(&clock_system);
    int64_t mono = clock_mono_ns(&clock_system);
    (void)state;
    assert_true(now > before - 1000);
    assert_true(clock_mono_ns(&clock_system) >= mono);
}

static void assert_rfc3339(int64_t wall_ms, const char *expected)
{
    char text[CLOCK_RFC3339_SIZE];
    clock_rfc3339(wall_ms, text);
    assert_string_equal(text, expected);
}

static void test_clock_writes_rfc3339(void **state)
{
    (void)state;
    assert_rfc3339(0, "1970-01-01T00:00:00.000Z");
    assert_rfc3339(1769855400123, "2026-01-31T10:30:00.123Z");
    assert_rfc3339(951827696789, "2000-02-29T12:34:56.789Z");
    assert_rfc3339(-1, "1969-12-31T23:59:59.999Z");
}

static void test_clock_keeps_dates_within_four_digits(void **state)
{
    (void)state;
    assert_rfc3339(INT64_MAX, "9999-12-31T23:59:59.999Z");
    assert_rfc3339(INT64_MIN, "0000-01-01T00:00:00.000Z");
}

static void test_clock_writes_http_dates(void **state)
{
    (void)state;
    char text[CLOCK_HTTP_SIZE];
    clock_http_date(784111777000, text);
    assert_string_equal(text, "Sun, 06 Nov 1994 08:49:37 GMT");
}

static void test_clock_agrees_with_the_c_library_on_every_day_of_four_centuries(void **state)
{
    (void)state;
    for (time_t day = -5000; day < 146097; day++) {
        time_t second = day * 86400 + 86399;
        char mine[CLOCK_HTTP_SIZE];
        clock_http_date(second * 1000, mine);
        char theirs[CLOCK_HTTP_SIZE];
        struct tm tm;
        strftime(theirs, sizeof theirs, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&second, &tm));
        if (strcmp(mine, theirs) != 0)
            assert_string_equal(mine, theirs);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clock_fake_stands_still_until_moved),
        cmocka_unit_test(test_clock_system_agrees_with_the_machine),
        cmocka_unit_test(test_clock_writes_rfc3339),
        cmocka_unit_test(test_clock_keeps_dates_within_four_digits),
        cmocka_unit_test(test_clock_writes_http_dates),
        cmocka_unit_test(test_clock_agrees_with_the_c_library_on_every_day_of_four_centuries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
