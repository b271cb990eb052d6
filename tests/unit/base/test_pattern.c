#include "base/pattern.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static enum pattern_result match(const char *text, struct slice subject)
{
    char why[160] = "";
    struct pattern *pattern = pattern_compile(slice_str(text), why, sizeof why);
    if (!pattern)
        fail_msg("%s: %s", text, why);
    enum pattern_result result = pattern_match(pattern, subject, NULL);
    pattern_destroy(&pattern);
    assert_null(pattern);
    return result;
}

struct row {
    const char *pattern, *subject;
    enum pattern_result expected;
};

static void assert_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (match(rows[i].pattern, slice_str(rows[i].subject)) != rows[i].expected)
            fail_msg("%s on \"%s\"", rows[i].pattern, rows[i].subject);
    }
}

#define ASSERT_ROWS(rows) assert_rows(rows, sizeof(rows) / sizeof *(rows))

static void test_pattern_matches_anywhere_unless_anchored(void **state)
{
    static const struct row rows[] = {
        {"b", "abc", PATTERN_YES},
        {"^b", "abc", PATTERN_NO},
        {"", "", PATTERN_YES},
        {"^$", "", PATTERN_YES},
        {"^a$", "a\n", PATTERN_NO},
        {"^[a-z]{2,3}?$", "abc", PATTERN_YES},
        {"^(a|bc)+$", "abca", PATTERN_YES},
        {"(?<n>.)\\k<n>", "abb", PATTERN_YES},
        {"(.)\\1", "abc", PATTERN_NO},
        {"a(?=b)(?!bc)", "abd", PATTERN_YES},
        {"(?<=a)b(?<!ab)", "ab", PATTERN_NO},
    };
    (void)state;
    ASSERT_ROWS(rows);
}

static void test_pattern_counts_code_points(void **state)
{
    static const struct row rows[] = {
        {"^.$", "\xF0\x9F\x90\xB2", PATTERN_YES},
        {"^\\ud83d\\udc32*$", "\xF0\x9F\x90\xB2\xF0\x9F\x90\xB2", PATTERN_YES},
        {"^\\u{1F432}$", "\xF0\x9F\x90\xB2", PATTERN_YES},
        {"^\\xe4$", "\xC3\xA4", PATTERN_YES},
        {"^[\xC3\xA4-\xC3\xBC]$", "\xC3\xB6", PATTERN_YES},
        {"^\\p{Letter}+$", "p\xC3\xA4", PATTERN_YES},
        {"^\\p{Script=Greek}$", "\xCE\xB1", PATTERN_YES},
        {"^\\P{gc=Decimal_Number}$", "4", PATTERN_NO},
    };
    (void)state;
    ASSERT_ROWS(rows);
}

static void test_pattern_classes_are_those_of_ecma_262(void **state)
{
    static const struct row rows[] = {
        {"^\\d$", "\xDF\x80", PATTERN_NO},
        {"^\\w$", "\xC3\xA4", PATTERN_NO},
        {"^\\s$", "\xC2\xA0", PATTERN_YES},
        {"^[\\s]$", "\xEF\xBB\xBF", PATTERN_YES},
        {"^\\S$", "\xE2\x80\xA9", PATTERN_NO},
        {"^\\s$", "\v", PATTERN_YES},
        {"^.$", "\r", PATTERN_NO},
        {"^[^]$", "\n", PATTERN_YES},
        {"[]", "a", PATTERN_NO},
        {"^[[:a]+$", "[:a", PATTERN_YES},
        {"^[a\\-\\]]+$", "a-]", PATTERN_YES},
        {"^\\cJ\\0?$", "\n", PATTERN_YES},
        {"^\\/\\.\\v$", "/.\v", PATTERN_YES},
        {"^[\\b]$", "\b", PATTERN_YES},
    };
    (void)state;
    ASSERT_ROWS(rows);
}

static void test_pattern_refuses_what_ecma_262_does_not_know(void **state)
{
    static const char *const bad[] = {
        "(",         ")",    "a**",     "*",     "a++",     "a{2}+",
        "(?>a)",     "(?R)", "(?i)a",   "(?#a)", "(?(1)a)", "(*UTF)a",
        "(*COMMIT)", "\\a",  "\\Qa\\E", "\\A",   "\\Z",     "\\C",
        "\\K",       "\\R",  "\\u12",   "\\u{}", "\\ud83d", "\\p{Moon}",
        "\\pL",      "\\",   "[b-a]",   "[a",    "a{",      "}",
        "]",         "^*",   "\\k",     "\\01",  "(?C1)",   "(?<a>.)(?<a>.)",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char why[160] = "";
        if (pattern_compile(slice_str(bad[i]), why, sizeof why))
            fail_msg("%s is taken", bad[i]);
        assert_non_null(strstr(why, "regular expression"));
    }
}

static void test_pattern_says_where_it_is_wrong(void **state)
{
    (void)state;
    char why[160];
    assert_null(pattern_compile(slice_str("ab\\a"), why, sizeof why));
    assert_string_equal(why,
                        "The regular expression is wrong at offset 3: there is no such escape.");
}

static void test_pattern_has_a_length_and_a_depth(void **state)
{
    (void)state;
    char text[PATTERN_LENGTH_MAX + 1], why[160];
    memset(text, 'a', sizeof text);
    assert_null(pattern_compile(slice_of(text, sizeof text), why, sizeof why));
    struct pattern *pattern = pattern_compile(slice_of(text, sizeof text - 1), why, sizeof why);
    assert_non_null(pattern);
    pattern_destroy(&pattern);
    memset(text, '(', 200);
    memset(text + 200, ')', 200);
    assert_null(pattern_compile(slice_of(text, 400), why, sizeof why));
    assert_null(pattern_compile(slice_str("(((a{999}){999}){999}){999}"), why, sizeof why));
}

/* Each of these would go on for minutes and more. */
static void test_pattern_gives_up_what_is_too_hard(void **state)
{
    static const char *const patterns[] = {"^(a+)+$", "(a|a)*b",          "(a*)*c",
                                           "a*b",     "(.*)(.*)(.*)[=x]", "(?=(a+))\\1b"};
    size_t size = 200000;
    char *text = mem_alloc(size);
    (void)state;
    memset(text, 'a', size);
    text[size - 1] = '!';
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        if (match(patterns[i], slice_of(text, size)) == PATTERN_YES)
            fail_msg("%s", patterns[i]);
    }
    assert_int_equal(match("^(a+)+$", slice_of(text + size - 100, 100)), PATTERN_TOO_HARD);
    free(text);
}

static void test_pattern_takes_long_texts_that_are_easy(void **state)
{
    size_t size = 1 << 20;
    char *text = mem_alloc(size);
    (void)state;
    memset(text, 'a', size);
    assert_int_equal(match("^[a-z]*$", slice_of(text, size)), PATTERN_YES);
    assert_int_equal(match("b", slice_of(text, size)), PATTERN_NO);
    assert_int_equal(match("^(a|b)*$", slice_of(text, 10000)), PATTERN_YES);
    free(text);
}

static void test_pattern_text_that_is_no_utf8_matches_nothing(void **state)
{
    (void)state;
    assert_int_equal(match("", slice_str("\xC3")), PATTERN_NO);
    char why[160];
    assert_null(pattern_compile(slice_str("a\xC3"), why, sizeof why));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pattern_matches_anywhere_unless_anchored),
        cmocka_unit_test(test_pattern_counts_code_points),
        cmocka_unit_test(test_pattern_classes_are_those_of_ecma_262),
        cmocka_unit_test(test_pattern_refuses_what_ecma_262_does_not_know),
        cmocka_unit_test(test_pattern_says_where_it_is_wrong),
        cmocka_unit_test(test_pattern_has_a_length_and_a_depth),
        cmocka_unit_test(test_pattern_gives_up_what_is_too_hard),
        cmocka_unit_test(test_pattern_takes_long_texts_that_are_easy),
        cmocka_unit_test(test_pattern_text_that_is_no_utf8_matches_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
