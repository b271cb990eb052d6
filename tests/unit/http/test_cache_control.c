#include "server/http/cache_control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

static struct header line(const char *name, const char *value)
{
    return (struct header){slice_str(name), slice_str(value)};
}

static struct cache_control control_of(const char *value)
{
    struct header header = line("Cache-Control", value);
    struct cache_control out;
    cache_control_read(&header, 1, &out);
    return out;
}

static bool targeted(const char *value, struct cache_control *out)
{
    struct header header = line("CDN-Cache-Control", value);
    return cache_control_read_targeted(&header, 1, out);
}

static void test_directives_are_read_whatever_their_case(void **state)
{
    (void)state;
    struct cache_control control = control_of(
        "No-Store, PUBLIC ,max-age=60,S-MaxAge=30, must-revalidate,proxy-revalidate,"
        "must-understand, stale-while-revalidate=5, stale-if-error=7, extension, x=\"y\"");
    assert_true(control.present && control.no_store && control.is_public);
    assert_true(control.must_revalidate && control.proxy_revalidate && control.must_understand);
    assert_false(control.no_cache || control.is_private || control.only_if_cached);
    assert_int_equal(control.max_age_s, 60);
    assert_int_equal(control.s_maxage_s, 30);
    assert_int_equal(control.stale_while_revalidate_s, 5);
    assert_int_equal(control.stale_if_error_s, 7);
    assert_int_equal(control.min_fresh_s, SECONDS_NONE);
}

static void test_without_a_field_nothing_is_said(void **state)
{
    (void)state;
    struct header other = line("Expires", "0");
    struct cache_control control;
    cache_control_read(&other, 1, &control);
    assert_false(control.present);
    assert_int_equal(control.max_age_s, SECONDS_NONE);
}

static void test_numbers_may_be_quoted_and_large(void **state)
{
    (void)state;
    assert_int_equal(control_of("max-age=\"3600\"").max_age_s, 3600);
    assert_int_equal(control_of("max-age=003600").max_age_s, 3600);
    assert_int_equal(control_of("max-age=2147483648").max_age_s, SECONDS_MAX);
    assert_int_equal(control_of("max-age=99999999999999999999999").max_age_s, SECONDS_MAX);
}

static void test_what_is_no_number_is_stale(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "max-age=-1",     "max-age=3600.0", "max-age=a100",    "max-age=100a",
        "max-age='3600'", "max-age =3600",  "max-age= 3600",   "max-age=",
        "max-age",        "max-age=\"36",   "max-age=\"3 6\"",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(control_of(wrong[i]).max_age_s, 0);
}

/* RFC 9111 section 4.2.1: the first of them, or stale. */
static void test_numbers_that_differ_are_stale(void **state)
{
    (void)state;
    struct header lines[] = {line("Cache-Control", "max-age=60"),
                             line("Cache-Control", "max-age=70, no-cache")};
    struct cache_control control;
    cache_control_read(lines, 2, &control);
    assert_int_equal(control.max_age_s, 0);
    assert_true(control.no_cache);
    assert_int_equal(control_of("max-age=60, max-age=60").max_age_s, 60);
}

static void test_commas_in_quoted_strings_part_nothing(void **state)
{
    (void)state;
    assert_int_equal(control_of("x=\", max-age=60\"").max_age_s, SECONDS_NONE);
    assert_int_equal(control_of("x=\"\\\", max-age=60,\", max-age=1").max_age_s, 1);
    assert_int_equal(control_of("x=\"a, max-age=60").max_age_s, SECONDS_NONE);
}

static void test_names_of_fields_are_withheld_and_the_rest_is_not(void **state)
{
    (void)state;
    struct header header = line("Cache-Control", "no-cache=\"A, b\", private=\"c\", max-age=1");
    assert_true(cache_control_withholds(&header, 1, slice_str("a")));
    assert_true(cache_control_withholds(&header, 1, slice_str("B")));
    assert_true(cache_control_withholds(&header, 1, slice_str("C")));
    assert_false(cache_control_withholds(&header, 1, slice_str("d")));
    struct cache_control control = control_of("no-cache=\"a\", private=\"b\"");
    assert_false(control.no_cache || control.is_private);
}

static void test_a_client_may_take_any_staleness(void **state)
{
    (void)state;
    assert_int_equal(control_of("max-stale").max_stale_s, SECONDS_MAX);
    assert_int_equal(control_of("max-stale=5, min-fresh=3").max_stale_s, 5);
    assert_int_equal(control_of("max-stale=5, min-fresh=3").min_fresh_s, 3);
    assert_true(control_of("only-if-cached").only_if_cached);
}

static void test_a_dictionary_is_read(void **state)
{
    (void)state;
    struct cache_control control;
    assert_true(targeted("max-age=600;x=1, no-store=?0,\tpublic, foo=(a \"b\";c 1.5), *bar=:aGk=:",
                         &control));
    assert_int_equal(control.max_age_s, 600);
    assert_false(control.no_store);
    assert_true(control.is_public);
    assert_true(targeted("max-age=1, max-age=2", &control));
    assert_int_equal(control.max_age_s, 2); /* the last one counts */
    assert_true(targeted("max-age=999999999999999", &control));
    assert_int_equal(control.max_age_s, SECONDS_MAX);
}

static void test_another_type_than_a_whole_number_is_stale(void **state)
{
    (void)state;
    static const char *const other[] = {"max-age=\"600\"", "max-age=-1", "max-age=1.5", "max-age",
                                        "max-age=?1",      "max-age=a",  "max-age=(1)"};
    struct cache_control control;
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        assert_true(targeted(other[i], &control));
        assert_int_equal(control.max_age_s, 0);
    }
}

static void test_what_is_no_dictionary_does_not_count(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "max-age=600, &&&",
        "MaX-aGe=600",
        "max-age =600",
        "max-age= 600",
        "max-age=600,",
        "=1",
        "a=?2",
        "a=\"b",
        "max-age=1234567890123456",
        "a=1.2345",
        "a=:x",
        "a=(b",
        "a b",
        "",
        "a=(b\"c\")",
        "a=\"\\x\"",
    };
    struct cache_control control;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(targeted(wrong[i], &control));
}

static void test_a_dictionary_may_have_lines(void **state)
{
    (void)state;
    struct header lines[] = {line("cdn-cache-control", "max-age=60"),
                             line("CDN-Cache-Control", "no-cache")};
    struct cache_control control;
    assert_true(cache_control_read_targeted(lines, 2, &control));
    assert_int_equal(control.max_age_s, 60);
    assert_true(control.no_cache);
    lines[1].value = slice_str("&");
    assert_false(cache_control_read_targeted(lines, 2, &control));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_directives_are_read_whatever_their_case),
        cmocka_unit_test(test_without_a_field_nothing_is_said),
        cmocka_unit_test(test_numbers_may_be_quoted_and_large),
        cmocka_unit_test(test_what_is_no_number_is_stale),
        cmocka_unit_test(test_numbers_that_differ_are_stale),
        cmocka_unit_test(test_commas_in_quoted_strings_part_nothing),
        cmocka_unit_test(test_names_of_fields_are_withheld_and_the_rest_is_not),
        cmocka_unit_test(test_a_client_may_take_any_staleness),
        cmocka_unit_test(test_a_dictionary_is_read),
        cmocka_unit_test(test_another_type_than_a_whole_number_is_stale),
        cmocka_unit_test(test_what_is_no_dictionary_does_not_count),
        cmocka_unit_test(test_a_dictionary_may_have_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
