#include "base/slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct slice s(const char *text)
{
    return slice_str(text);
}

static void test_slice_compares_header_names_without_case(void **state)
{
    (void)state;
    assert_true(slice_eq_nocase(s("Content-Type"), s("content-tYPE")));
    assert_false(slice_eq_nocase(s("Content-Type"), s("Content-Typ")));
    assert_false(slice_eq_nocase(s("a@"), s("a`"))); /* differ in the bit that letters differ in */
    assert_true(slice_eq_nocase(slice_of(NULL, 0), s("")));
}

static void test_slice_starts_with_its_prefixes_only(void **state)
{
    (void)state;
    assert_true(slice_starts(s("/api/v1"), s("/api")));
    assert_true(slice_starts(s("/api"), s("")));
    assert_false(slice_starts(s("/ap"), s("/api")));
    assert_false(slice_starts(s("/apx"), s("/api")));
}

static void test_slice_trims_spaces_and_tabs(void **state)
{
    (void)state;
    assert_true(slice_is(slice_trim(s(" \t a b\t ")), "a b"));
    assert_true(slice_is(slice_trim(s(" \t ")), ""));
    assert_true(slice_is(slice_trim(s("\nx")), "\nx"));
}

static void test_slice_cut_walks_parts_and_ends_with_null(void **state)
{
    struct slice rest = s("a,,bc");
    (void)state;
    assert_true(slice_is(slice_cut(&rest, ','), "a"));
    assert_true(slice_is(slice_cut(&rest, ','), ""));
    assert_non_null(rest.ptr);
    assert_true(slice_is(slice_cut(&rest, ','), "bc"));
    assert_null(rest.ptr);
    assert_int_equal(slice_cut(&rest, ',').len, 0);
}

static void test_slice_cut_tells_a_trailing_separator_from_none(void **state)
{
    struct slice rest = s("a,");
    (void)state;
    slice_cut(&rest, ',');
    assert_non_null(rest.ptr);
    assert_int_equal(rest.len, 0);
}

static void test_slice_reads_whole_numbers(void **state)
{
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {
        {"0", 0},
        {"-0", 0},
        {"7", 7},
        {"-12", -12},
        {"9223372036854775807", INT64_MAX},
        {"-9223372036854775808", INT64_MIN},
    };
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        int64_t value;
        assert_true(slice_to_i64(s(good[i].text), &value));
        assert_true(value == good[i].value);
    }
}

static void test_slice_refuses_what_is_not_a_plain_number(void **state)
{
    static const char *const bad[] = {
        "",
        "-",
        "+1",
        "01",
        "-01",
        "1 ",
        " 1",
        "1.0",
        "0x1",
        "1e3",
        "--1",
        "9223372036854775808",
        "-9223372036854775809",
        "10000000000000000000",
        "99999999999999999999",
    };
    (void)state;
    int64_t value = 5;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(slice_to_i64(s(bad[i]), &value));
    assert_int_equal(value, 5);
}

static void test_slice_accepts_utf8_at_its_borders(void **state)
{
    static const char *const good[] = {
        "",
        "plain ascii, longer than eight bytes",
        "\xC2\x80",
        "\xDF\xBF",
        "\xE0\xA0\x80",
        "\xED\x9F\xBF",
        "\xEE\x80\x80",
        "\xEF\xBF\xBF",
        "\xF0\x90\x80\x80",
        "\xF4\x8F\xBF\xBF",
        "1234567\xC3\xA4 2345678\xE2\x82\xAC",
    };
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(slice_is_utf8(s(good[i])));
    assert_true(slice_is_utf8(slice_of("a\0b", 3)));
}

static void test_slice_refuses_malformed_utf8(void **state)
{
    static const char *const bad[] = {
        "\x80",             /* a continuation alone */
        "\xC0\xAF",         /* overlong */
        "\xC1\xBF",         /* overlong */
        "\xC3",             /* cut */
        "\xC3(",            /* no continuation */
        "\xE0\x9F\xBF",     /* overlong */
        "\xED\xA0\x80",     /* surrogate */
        "\xE2\x82",         /* cut */
        "\xE2\x82(",        /* no continuation */
        "\xF0\x8F\xBF\xBF", /* overlong */
        "\xF4\x90\x80\x80", /* above U+10FFFF */
        "\xF5\x80\x80\x80",
        "\xFF",
        "12345678\xFF 2345678",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(slice_is_utf8(s(bad[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slice_compares_header_names_without_case),
        cmocka_unit_test(test_slice_starts_with_its_prefixes_only),
        cmocka_unit_test(test_slice_trims_spaces_and_tabs),
        cmocka_unit_test(test_slice_cut_walks_parts_and_ends_with_null),
        cmocka_unit_test(test_slice_cut_tells_a_trailing_separator_from_none),
        cmocka_unit_test(test_slice_reads_whole_numbers),
        cmocka_unit_test(test_slice_refuses_what_is_not_a_plain_number),
        cmocka_unit_test(test_slice_accepts_utf8_at_its_borders),
        cmocka_unit_test(test_slice_refuses_malformed_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
