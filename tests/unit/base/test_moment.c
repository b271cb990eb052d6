#include "base/moment.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void expect(const char *text, int64_t seconds, uint32_t ns)
{
    struct moment moment;
    if (!moment_parse(slice_str(text), &moment))
        fail_msg("%s", text);
    assert_int_equal(moment.seconds, seconds);
    assert_int_equal(moment.ns, ns);
}

static void test_a_moment_is_the_same_in_any_offset(void **state)
{
    (void)state;
    expect("1970-01-01T00:00:00Z", 0, 0);
    expect("2026-01-31T10:30:00Z", 1769855400, 0);
    expect("2026-01-31T11:30:00+01:00", 1769855400, 0);
    expect("2026-01-30T10:31:00-23:59", 1769855400, 0);
    expect("2026-01-31T10:30:00.25Z", 1769855400, 250000000);
    expect("2026-01-31T10:30:00.123456789123Z", 1769855400, 123456789);
    expect("1969-12-31T23:59:59.5Z", -1, 500000000);
    expect("0000-01-01T00:00:00Z", INT64_C(-62167219200), 0);
    expect("9999-12-31T23:59:59Z", INT64_C(253402300799), 0);
    expect("2024-02-29T23:59:60Z", 1709251200, 0);
}

static void test_what_is_no_timestamp_is_none(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "2026-01-31",
                                        "2026-01-31T10:30:00",
                                        "2026-01-31T10:30:00z",
                                        "2026-01-31t10:30:00Z",
                                        "2026-01-31 10:30:00Z",
                                        "2026-02-29T00:00:00Z",
                                        "1900-02-29T00:00:00Z",
                                        "2026-13-01T00:00:00Z",
                                        "2026-00-01T00:00:00Z",
                                        "2026-01-00T00:00:00Z",
                                        "2026-01-01T24:00:00Z",
                                        "2026-01-01T00:60:00Z",
                                        "2026-01-01T00:00:61Z",
                                        "2026-01-31T10:30:00.Z",
                                        "2026-01-31T10:30:00+0100",
                                        "2026-01-31T10:30:00+24:00",
                                        "2026-01-31T10:30:00+01:60",
                                        "2026-01-31T10:30:00ZZ",
                                        "2026-01-31T10:30:00.5",
                                        "+026-01-31T10:30:00Z",
                                        "2026/01/31T10:30:00Z",
                                        "2026-01-31T10-30-00Z"};
    struct moment moment;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (moment_parse(slice_str(wrong[i]), &moment))
            fail_msg("%s", wrong[i]);
    }
}

static void test_every_day_comes_back(void **state)
{
    (void)state;
    char text[CLOCK_RFC3339_SIZE];
    for (int64_t ms = INT64_C(-62167219200000); ms < INT64_C(253402300800000); ms += 86399321) {
        struct moment moment, same = moment_of_ms(ms);
        clock_rfc3339(ms, text);
        assert_true(moment_parse(slice_str(text), &moment));
        assert_int_equal(moment_compare(moment, same), 0);
        assert_int_equal(moment.seconds * 1000 + moment.ns / 1000000, ms);
    }
}

static void test_moments_have_an_order(void **state)
{
    (void)state;
    struct moment a = moment_of_ms(-1), b = moment_of_ms(0), c = moment_of_ms(1);
    assert_true(moment_compare(a, b) < 0 && moment_compare(b, c) < 0 && moment_compare(c, a) > 0);
    assert_int_equal(moment_compare(a, a), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_moment_is_the_same_in_any_offset),
        cmocka_unit_test(test_what_is_no_timestamp_is_none),
        cmocka_unit_test(test_every_day_comes_back),
        cmocka_unit_test(test_moments_have_an_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
