#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define OBJECT                                                                                     \
    "{\"id\":\"17\",\"nested\":{\"stock\":1,\"s\":\"}\"},\"list\":[{\"stock\":2},\"]\"],"          \
    "\"stock\":-3,\"real\":2.5,\"empty\":\"\",\"last\":null}"

static struct slice find(const char *object, const char *key)
{
    struct slice value;
    return json_find(slice_str(object), key, &value) ? value : slice_of(NULL, 0);
}

static void expect_str(const char *object, const char *key, const char *wanted)
{
    struct buf out = BUF_INIT;
    assert_true(json_find_str(slice_str(object), key, &out));
    assert_int_equal(out.len, strlen(wanted));
    if (out.len)
        assert_memory_equal(out.data, wanted, out.len);
    buf_release(&out);
}

static void test_json_find_gives_the_text_of_each_kind_of_value(void **state)
{
    (void)state;
    assert_true(slice_is(find(OBJECT, "id"), "\"17\""));
    assert_true(slice_is(find(OBJECT, "nested"), "{\"stock\":1,\"s\":\"}\"}"));
    assert_true(slice_is(find(OBJECT, "list"), "[{\"stock\":2},\"]\"]"));
    assert_true(slice_is(find(OBJECT, "real"), "2.5"));
    assert_true(slice_is(find(OBJECT, "last"), "null"));
}

static void test_json_find_knows_quotes_of_a_text_from_its_end(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", "\\\\", "\\\"", "\\\\\\\"\\\\", "x\\\"y\\\\\\\\", "\\\"\\\"\\\"}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char object[100], quoted[50];
        struct slice value;
        snprintf(object, sizeof object, "{\"%s\":1,\"a\":\"%s\",\"b\":2}", texts[i], texts[i]);
        snprintf(quoted, sizeof quoted, "\"%s\"", texts[i]);
        assert_true(json_find(slice_str(object), "a", &value));
        assert_true(slice_is(value, quoted));
        assert_int_equal(json_find_int(slice_str(object), "b", 0), 2);
    }
}

static void test_json_find_looks_at_the_top_level_alone(void **state)
{
    (void)state;
    assert_true(slice_is(find(OBJECT, "stock"), "-3"));
    assert_null(find("{\"nested\":{\"stock\":1}}", "stock").ptr);
    assert_null(find("{\"key\":\"stock\"}", "stock").ptr);
}

static void test_json_find_does_not_find_what_is_not_there(void **state)
{
    (void)state;
    assert_null(find(OBJECT, "sto").ptr);
    assert_null(find("{}", "id").ptr);
    assert_null(find("[\"id\",1]", "id").ptr);
    assert_null(find("", "id").ptr);
}

static void test_json_find_all_gives_the_first_of_each_name(void **state)
{
    (void)state;
    static const char *const names[] = {"last", "none", "id", "stock"};
    struct slice values[4];
    assert_int_equal(json_find_all(slice_str(OBJECT), names, 4, values), 3);
    assert_true(slice_is(values[0], "null"));
    assert_null(values[1].ptr);
    assert_true(slice_is(values[2], "\"17\""));
    assert_true(slice_is(values[3], "-3"));
    assert_int_equal(json_find_all(slice_str("{\"id\":1,\"id\":2}"), names, 4, values), 1);
    assert_true(slice_is(values[2], "1"));
}

/* It could be the beginning of another value. */
static void test_json_find_does_not_find_a_value_without_its_end(void **state)
{
    (void)state;
    assert_null(find("{\"stock\":17", "stock").ptr);
    assert_null(find("{\"id\":\"17", "id").ptr);
    assert_null(find("{\"list\":[1,2", "list").ptr);
    assert_null(find("{\"stock\":", "stock").ptr);
}

static void test_json_find_allows_white_space(void **state)
{
    (void)state;
    assert_true(slice_is(find(" { \"a\" : [ 1 ] , \"b\" : 2 } ", "b"), "2"));
    assert_true(slice_is(find("{\n\t\"a\" : [ 1 ] }", "a"), "[ 1 ]"));
}

/* Whatever is cut off: nothing behind the end is read (the sanitizers watch). */
static void test_json_find_reads_nothing_behind_the_end(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof OBJECT - 1; len++) {
        char *copy = malloc(len + 1);
        memcpy(copy, OBJECT, len);
        copy[len] = '\\';
        struct slice value;
        json_find(slice_of(copy, len), "none", &value);
        struct buf out = BUF_INIT;
        json_find_str(slice_of(copy, len + 1), "empty", &out);
        buf_release(&out);
        free(copy);
    }
}

static void test_json_find_int_gives_the_fallback_for_another_type(void **state)
{
    (void)state;
    assert_int_equal(json_find_int(slice_str(OBJECT), "stock", 7), -3);
    assert_int_equal(json_find_int(slice_str(OBJECT), "real", 7), 7);
    assert_int_equal(json_find_int(slice_str(OBJECT), "id", 7), 7);
    assert_int_equal(json_find_int(slice_str(OBJECT), "none", 7), 7);
}

static void test_json_find_str_takes_the_escapes_out(void **state)
{
    (void)state;
    expect_str(OBJECT, "id", "17");
    expect_str(OBJECT, "empty", "");
    expect_str("{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t|\"}", "a", "\"\\/\b\f\n\r\t|");
    expect_str("{\"a\":\"\\u0041\\u00e9\\u20AC\\ud83d\\uDE00.\"}", "a",
               "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80.");
    struct buf out = BUF_INIT;
    assert_false(json_find_str(slice_str(OBJECT), "stock", &out));
    assert_int_equal(out.len, 0);
}

static void test_json_find_str_reads_back_what_the_writer_wrote(void **state)
{
    (void)state;
    char text[256];
    size_t len = 0;
    for (int c = 1; c < 128; c++)
        text[len++] = (char)c;
    memcpy(text + len, "\xc3\xa9\xf0\x9f\x98\x80", 7);
    struct buf object = BUF_INIT;
    struct json_writer w = {.out = &object};
    jw_begin(&w, '{');
    jw_key(&w, "text");
    jw_str(&w, slice_str(text));
    jw_end(&w, '}');
    buf_append_char(&object, '\0');
    expect_str(object.data, "text", text);
    buf_release(&object);
}

static void test_json_append_with_replaces_one_value(void **state)
{
    (void)state;
    struct slice object = slice_str(OBJECT), value;
    struct buf out = BUF_INIT;
    assert_true(json_find(object, "id", &value));
    json_append_with(&out, object, value, slice_str("17"));
    assert_true(slice_starts(buf_slice(&out), slice_str("{\"id\":17,\"nested\"")));
    assert_int_equal(out.len, object.len - 2);
    buf_release(&out);
}

static void expect_without(const char *object, const char *key, const char *wanted)
{
    struct buf out = BUF_INIT;
    json_append_without(&out, slice_str(object), key);
    assert_true(slice_is(buf_slice(&out), wanted));
    buf_release(&out);
}

static void test_json_append_without_leaves_one_member_out(void **state)
{
    (void)state;
    expect_without("{\"a\":1,\"b\":[{\"a\":2}],\"c\":\"}\"}", "a",
                   "{\"b\":[{\"a\":2}],\"c\":\"}\"}");
    expect_without("{\"a\":1,\"b\":2,\"c\":3}", "b", "{\"a\":1,\"c\":3}");
    expect_without("{\"a\":1,\"b\":2}", "b", "{\"a\":1}");
    expect_without("{\"a\":1}", "a", "{}");
    expect_without("{\"a\":1}", "b", "{\"a\":1}");
    expect_without("{}", "a", "{}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_find_gives_the_text_of_each_kind_of_value),
        cmocka_unit_test(test_json_find_knows_quotes_of_a_text_from_its_end),
        cmocka_unit_test(test_json_find_looks_at_the_top_level_alone),
        cmocka_unit_test(test_json_find_does_not_find_what_is_not_there),
        cmocka_unit_test(test_json_find_all_gives_the_first_of_each_name),
        cmocka_unit_test(test_json_find_does_not_find_a_value_without_its_end),
        cmocka_unit_test(test_json_find_allows_white_space),
        cmocka_unit_test(test_json_find_reads_nothing_behind_the_end),
        cmocka_unit_test(test_json_find_int_gives_the_fallback_for_another_type),
        cmocka_unit_test(test_json_find_str_takes_the_escapes_out),
        cmocka_unit_test(test_json_find_str_reads_back_what_the_writer_wrote),
        cmocka_unit_test(test_json_append_with_replaces_one_value),
        cmocka_unit_test(test_json_append_without_leaves_one_member_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
