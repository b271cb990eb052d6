#include "base/json.h"

#include <math.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static enum err read_text(struct slice text)
{
    char why[128] = "";
    json_t *value;
    enum err err = json_read(text, &value, why, sizeof why);
    if (err == ERR_OK)
        json_decref(value);
    else
        assert_true(!value && why[0] != '\0' && why[strlen(why) - 1] == '.');
    return err;
}

static void test_json_reads_values_of_every_kind(void **state)
{
    static const char *const good[] = {
        "{}",
        "[]",
        "null",
        "true",
        "1",
        "-0.5e3",
        "\"\"",
        " {\"a\": [1, {\"b\": null}]} \n",
        "9223372036854775807",
        "-9223372036854775808",
        "\"\\u00e4 \\ud83d\\ude00\"",
    };
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_int_equal(read_text(slice_str(good[i])), ERR_OK);
}

static void test_json_refuses_malformed_texts(void **state)
{
    static const char *const bad[] = {
        "",    " ",       "{",      "[1,]",    "{\"a\":1,}",     "{a:1}",       "{'a':1}", "01",
        "+1",  "1.",      ".5",     "NaN",     "Infinity",       "nul",         "[1] 2",   "{} {}",
        "\"a", "\"\\x\"", "\"\n\"", "// c\n1", "\xEF\xBB\xBF{}", "\"\\ud800\"", "]",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(read_text(slice_str(bad[i])), ERR_MALFORMED);
}

static void test_json_refuses_duplicate_members(void **state)
{
    (void)state;
    assert_int_equal(read_text(slice_str("{\"a\":1,\"b\":{\"c\":1,\"c\":2}}")), ERR_MALFORMED);
    assert_int_equal(read_text(slice_str("{\"a\":1,\"\\u0061\":2}")), ERR_MALFORMED);
}

static void test_json_refuses_nul_everywhere(void **state)
{
    (void)state;
    assert_int_equal(read_text(slice_of("\"a\0b\"", 5)), ERR_MALFORMED);
    assert_int_equal(read_text(slice_of("1\0", 2)), ERR_MALFORMED);
    assert_int_equal(read_text(slice_of("\0", 1)), ERR_MALFORMED);
    assert_int_equal(read_text(slice_of("[1,\0 2]", 7)), ERR_MALFORMED);
    assert_int_equal(read_text(slice_str("\"a\\u0000b\"")), ERR_MALFORMED);
    assert_int_equal(read_text(slice_str("{\"a\\u0000b\":1}")), ERR_MALFORMED);
}

static void test_json_refuses_malformed_utf8(void **state)
{
    (void)state;
    assert_int_equal(read_text(slice_str("\"\xC3(\"")), ERR_MALFORMED);
    assert_int_equal(read_text(slice_str("\"\xC0\x80\"")), ERR_MALFORMED);
    assert_int_equal(read_text(slice_str("{\"\xED\xA0\x80\":1}")), ERR_MALFORMED);
}

static void test_json_refuses_numbers_that_do_not_fit(void **state)
{
    (void)state;
    assert_int_equal(read_text(slice_str("9223372036854775808")), ERR_MALFORMED);
    assert_int_equal(read_text(slice_str("-9223372036854775809")), ERR_MALFORMED);
    assert_int_equal(read_text(slice_str("[1e999]")), ERR_MALFORMED);
}

static enum err read_nested(const char *open, const char *close, int depth)
{
    struct buf text = BUF_INIT;
    for (int i = 0; i < depth; i++)
        buf_append_str(&text, open);
    buf_append_str(&text, "1");
    for (int i = 0; i < depth; i++)
        buf_append_str(&text, close);
    enum err err = read_text(buf_slice(&text));
    buf_release(&text);
    return err;
}

static void test_json_is_bounded_in_depth(void **state)
{
    (void)state;
    assert_int_equal(read_nested("[", "]", JSON_DEPTH_MAX), ERR_OK);
    assert_int_equal(read_nested("[", "]", JSON_DEPTH_MAX + 1), ERR_MALFORMED);
    assert_int_equal(read_nested("{\"a\":", "}", JSON_DEPTH_MAX), ERR_OK);
    assert_int_equal(read_nested("{\"a\":", "}", JSON_DEPTH_MAX + 1), ERR_MALFORMED);
    assert_int_equal(read_nested("[", "", 1000000), ERR_MALFORMED);
}

static void test_json_does_not_count_brackets_within_strings(void **state)
{
    (void)state;
    assert_int_equal(read_text(slice_str("\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"")),
                     ERR_OK);
    assert_int_equal(read_text(slice_str("[\"\\\\\",\"\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"]")),
                     ERR_OK);
}

static void test_json_says_where_without_quoting_the_text(void **state)
{
    (void)state;
    char why[128];
    json_t *value;
    assert_int_equal(json_read(slice_str("{\n\"a\": secret}"), &value, why, sizeof why),
                     ERR_MALFORMED);
    assert_non_null(strstr(why, "line 2"));
    assert_null(strstr(why, "secret"));
}

static void test_json_trusted_text_that_does_not_parse_is_corruption(void **state)
{
    (void)state;
    json_t *value;
    assert_int_equal(json_read_trusted(slice_str("{\"a\":1}"), &value), ERR_OK);
    json_decref(value);
    assert_int_equal(json_read_trusted(slice_str("{\"a\":"), &value), ERR_DAMAGED);
    assert_null(value);
}

/* What a text becomes after reading and appending. */
static void assert_appended(const char *text, const char *expected)
{
    char why[128];
    json_t *value;
    assert_int_equal(json_read(slice_str(text), &value, why, sizeof why), ERR_OK);
    struct buf out = BUF_INIT;
    json_append(&out, value);
    buf_append_char(&out, '\0');
    assert_string_equal(out.data, expected);
    json_decref(value);
    buf_release(&out);
}

static void test_json_appends_compact_text(void **state)
{
    (void)state;
    assert_appended("{ \"b\" : [ 1, -2 , true, false, null ], \"a\" : { } , \"c\":[] }",
                    "{\"b\":[1,-2,true,false,null],\"a\":{},\"c\":[]}");
    assert_appended("\"\\u0041\\n\\/\"", "\"A\\n/\"");
    assert_appended("{\"a\\\"b\":1}", "{\"a\\\"b\":1}");
}

static void test_json_appends_shortest_numbers_and_keeps_their_kind(void **state)
{
    (void)state;
    assert_appended("[0.1,19.99,2.0,2,1e22,-0.0,0.30000000000000004]",
                    "[0.1,19.99,2.0,2,1e+22,-0.0,0.30000000000000004]");
}

static void test_json_members_fall_back(void **state)
{
    json_t *object = json_pack("{s:i, s:s}", "n", 5, "t", "text");
    (void)state;
    assert_int_equal(json_int(object, "n", -1), 5);
    assert_int_equal(json_int(object, "t", -1), -1);
    assert_int_equal(json_int(object, "x", -1), -1);
    assert_string_equal(json_str(object, "t", "none"), "text");
    assert_string_equal(json_str(object, "n", "none"), "none");
    assert_string_equal(json_str(NULL, "n", "none"), "none");
    json_decref(object);
}

static void test_json_writer_places_commas(void **state)
{
    struct buf out = BUF_INIT;
    struct json_writer w = {.out = &out};
    (void)state;
    jw_begin(&w, '{');
    jw_key(&w, "a");
    jw_begin(&w, '[');
    jw_i64(&w, 1);
    jw_bool(&w, true);
    jw_null(&w);
    jw_begin(&w, '{');
    jw_end(&w, '}');
    jw_end(&w, ']');
    jw_key(&w, "b");
    jw_str(&w, slice_str("x"));
    jw_key(&w, "c");
    jw_raw(&w, slice_str("[2]"));
    jw_key(&w, "d");
    jw_f64(&w, 1.5);
    jw_end(&w, '}');
    assert_true(
        slice_is(buf_slice(&out), "{\"a\":[1,true,null,{}],\"b\":\"x\",\"c\":[2],\"d\":1.5}"));
    buf_release(&out);
}

static void test_json_writer_says_null_for_what_is_no_number(void **state)
{
    struct buf out = BUF_INIT;
    struct json_writer w = {.out = &out};
    (void)state;
    jw_begin(&w, '[');
    jw_f64(&w, (double)NAN);
    jw_f64(&w, (double)INFINITY);
    jw_end(&w, ']');
    assert_true(slice_is(buf_slice(&out), "[null,null]"));
    buf_release(&out);
}

static void assert_string_becomes(struct slice text, const char *expected)
{
    struct buf out = BUF_INIT;
    json_append_string(&out, text);
    assert_true(slice_is(buf_slice(&out), expected));
    buf_release(&out);
}

static void test_json_strings_are_escaped(void **state)
{
    (void)state;
    assert_string_becomes(slice_str("plain"), "\"plain\"");
    assert_string_becomes(slice_of(NULL, 0), "\"\"");
    assert_string_becomes(slice_str("\"\\\b\f\n\r\t\x01\x1F\x7F"),
                          "\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f\x7F\"");
    assert_string_becomes(slice_of("\0", 1), "\"\\u0000\"");
    assert_string_becomes(slice_str("\xC3\xA4\xF0\x9F\x98\x80"), "\"\xC3\xA4\xF0\x9F\x98\x80\"");
}

/* Strings are looked at eight bytes at a time: what a byte becomes must not depend on its place. */
static void test_json_strings_escape_a_byte_wherever_it_stands(void **state)
{
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        struct buf alone = BUF_INIT;
        char c = (char)byte;
        json_append_string(&alone, slice_of(&c, 1));
        for (size_t at = 0; at < 20; at++) {
            char text[] = "abcdefghijklmnopqrst", expected[64];
            text[at] = c;
            snprintf(expected, sizeof expected, "\"%.*s%.*s%s\"", (int)at, "abcdefghijklmnopqrst",
                     (int)alone.len - 2, alone.data + 1, "abcdefghijklmnopqrst" + at + 1);
            struct buf out = BUF_INIT;
            json_append_string(&out, slice_of(text, 20));
            assert_true(slice_is(buf_slice(&out), expected));
            buf_release(&out);
        }
        buf_release(&alone);
    }
}

static void test_json_strings_are_always_utf8(void **state)
{
    (void)state;
    assert_string_becomes(slice_str("a\xFF"
                                    "b"),
                          "\"a\xEF\xBF\xBD"
                          "b\"");
    assert_string_becomes(slice_str("\xE2\x82"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_reads_values_of_every_kind),
        cmocka_unit_test(test_json_refuses_malformed_texts),
        cmocka_unit_test(test_json_refuses_duplicate_members),
        cmocka_unit_test(test_json_refuses_nul_everywhere),
        cmocka_unit_test(test_json_refuses_malformed_utf8),
        cmocka_unit_test(test_json_refuses_numbers_that_do_not_fit),
        cmocka_unit_test(test_json_is_bounded_in_depth),
        cmocka_unit_test(test_json_does_not_count_brackets_within_strings),
        cmocka_unit_test(test_json_says_where_without_quoting_the_text),
        cmocka_unit_test(test_json_trusted_text_that_does_not_parse_is_corruption),
        cmocka_unit_test(test_json_appends_compact_text),
        cmocka_unit_test(test_json_appends_shortest_numbers_and_keeps_their_kind),
        cmocka_unit_test(test_json_members_fall_back),
        cmocka_unit_test(test_json_writer_places_commas),
        cmocka_unit_test(test_json_writer_says_null_for_what_is_no_number),
        cmocka_unit_test(test_json_strings_are_escaped),
        cmocka_unit_test(test_json_strings_escape_a_byte_wherever_it_stands),
        cmocka_unit_test(test_json_strings_are_always_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
