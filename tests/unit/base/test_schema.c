#include "base/schema.h"

#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct schema *compiled(const char *text)
{
    char why[128] = "";
    struct schema *schema = schema_compile(text, why, sizeof why);
    if (!schema)
        fail_msg("%s", why);
    return schema;
}

/* The violations but for their pointers as compact text, "" when there are none. */
static void assert_check(const char *schema_text, const char *value_text, const char *expected)
{
    struct schema *schema = compiled(schema_text);
    json_t *value;
    assert_int_equal(json_read_trusted(slice_str(value_text), &value), ERR_OK);
    json_t *details;
    enum err err = schema_check(schema, value, &details);
    assert_int_equal(err, details ? ERR_VALIDATION : ERR_OK);
    for (size_t i = 0; i < json_array_size(details); i++)
        assert_int_equal(json_object_del(json_array_get(details, i), "pointer"), 0);
    struct buf out = BUF_INIT;
    if (details)
        json_append(&out, details);
    buf_append_char(&out, '\0');
    assert_string_equal(out.data, expected);
    buf_release(&out);
    json_decref(details);
    json_decref(value);
    schema_destroy(&schema);
    assert_null(schema);
}

#define ORDER                                                                                      \
    "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"productId\",\"qty\"],"    \
    "\"properties\":{\"productId\":{\"type\":\"integer\",\"minimum\":1},"                          \
    "\"qty\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000}}}"

static void test_schema_accepts_what_it_describes(void **state)
{
    (void)state;
    assert_check(ORDER, "{\"productId\":17,\"qty\":1000}", "");
}

static void test_schema_names_every_violation(void **state)
{
    (void)state;
    assert_check(ORDER, "{\"qty\":0,\"x\":1}",
                 "[{\"field\":\"productId\",\"reason\":\"required\"},"
                 "{\"field\":\"qty\",\"reason\":\"minimum\",\"limit\":1},"
                 "{\"field\":\"x\",\"reason\":\"additionalProperties\"}]");
}

static void test_schema_integer_has_no_fraction(void **state)
{
    (void)state;
    assert_check(ORDER, "{\"productId\":1,\"qty\":1.0}",
                 "[{\"field\":\"qty\",\"reason\":\"type\",\"expected\":\"integer\"}]");
    assert_check("{\"type\":\"number\"}", "1", "");
    assert_check("{\"type\":\"number\"}", "1.5", "");
}

static void test_schema_knows_the_types(void **state)
{
    static const char *const types[] = {"object", "array",   "string", "integer",
                                        "number", "boolean", "null"};
    static const char *const values[] = {"{}", "[]", "\"\"", "1", "1.5", "false", "null"};
    (void)state;
    for (size_t t = 0; t < 7; t++) {
        for (size_t v = 0; v < 7; v++) {
            bool fits = t == v || (t == 4 && v == 3);
            char schema[64];
            snprintf(schema, sizeof schema, "{\"type\":\"%s\"}", types[t]);
            char expected[96];
            snprintf(expected, sizeof expected,
                     "[{\"field\":\"\",\"reason\":\"type\",\"expected\":\"%s\"}]", types[t]);
            assert_check(schema, values[v], fits ? "" : expected);
        }
    }
}

static void test_schema_fields_are_paths(void **state)
{
    assert_check("{\"properties\":{\"items\":{\"items\":{\"required\":[\"qty\"],"
                 "\"properties\":{\"qty\":{\"minimum\":1}}}}}}",
                 "{\"items\":[{\"qty\":0},{},{\"qty\":1}]}",
                 "[{\"field\":\"items.0.qty\",\"reason\":\"minimum\",\"limit\":1},"
                 "{\"field\":\"items.1.qty\",\"reason\":\"required\"}]");
    (void)state;
}

static void test_schema_numbers_have_bounds(void **state)
{
    static const char schema[] = "{\"minimum\":-1.5,\"maximum\":9007199254740993}";
    (void)state;
    assert_check(schema, "-1.5", "");
    assert_check(schema, "-1.6", "[{\"field\":\"\",\"reason\":\"minimum\",\"limit\":-1.5}]");
    assert_check(schema, "9007199254740993", "");
    assert_check(schema, "9007199254740994", /* the same number as a double */
                 "[{\"field\":\"\",\"reason\":\"maximum\",\"limit\":9007199254740993}]");
}

static void test_schema_lengths_count_code_points(void **state)
{
    static const char schema[] = "{\"minLength\":2,\"maxLength\":3}";
    (void)state;
    assert_check(schema, "\"\xC3\xA4\xF0\x9F\x98\x80\"", "");
    assert_check(schema, "\"\xC3\xA4\"", "[{\"field\":\"\",\"reason\":\"minLength\",\"limit\":2}]");
    assert_check(schema, "\"abcd\"", "[{\"field\":\"\",\"reason\":\"maxLength\",\"limit\":3}]");
}

static void test_schema_arrays_and_objects_have_sizes(void **state)
{
    (void)state;
    assert_check("{\"minItems\":1,\"maxItems\":2}", "[1,2]", "");
    assert_check("{\"minItems\":1,\"maxItems\":2}", "[]",
                 "[{\"field\":\"\",\"reason\":\"minItems\",\"limit\":1}]");
    assert_check("{\"minItems\":1,\"maxItems\":2}", "[1,2,3]",
                 "[{\"field\":\"\",\"reason\":\"maxItems\",\"limit\":2}]");
    assert_check("{\"minProperties\":1}", "{}",
                 "[{\"field\":\"\",\"reason\":\"minProperties\",\"limit\":1}]");
}

static void test_schema_enum_lists_what_is_allowed(void **state)
{
    (void)state;
    assert_check("{\"enum\":[\"a\",1,null]}", "1", "");
    assert_check("{\"enum\":[\"a\",1,null]}", "2",
                 "[{\"field\":\"\",\"reason\":\"enum\",\"allowed\":[\"a\",1,null]}]");
}

static void test_schema_keywords_leave_other_types_alone(void **state)
{
    (void)state;
    assert_check("{\"minimum\":5,\"minLength\":5,\"minItems\":5,\"required\":[\"a\"]}", "true", "");
}

static void test_schema_lists_at_most_50_violations(void **state)
{
    struct schema *schema = compiled("{\"items\":{\"type\":\"string\"}}");
    json_t *value = json_array(), *details;
    (void)state;
    for (int i = 0; i < 60; i++)
        json_array_append_new(value, json_integer(i));
    assert_int_equal(schema_check(schema, value, &details), ERR_VALIDATION);
    assert_int_equal(json_array_size(details), 50);
    json_decref(details);
    json_decref(value);
    schema_destroy(&schema);
}

static void test_schema_of_another_kind_does_not_compile(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{\"pattern\":\"(\"}",
        "{\"properties\":{\"a\":{\"format\":\"day\"}}}",
        "{\"properties\":{\"a\":1}}",
        "{\"properties\":[]}",
        "{\"type\":[]}",
        "{\"type\":[\"string\",1]}",
        "{\"type\":\"any\"}",
        "{\"type\":\"float\"}",
        "{\"additionalProperties\":1}",
        "{\"multipleOf\":0}",
        "{\"dependentRequired\":{\"a\":\"b\"}}",
        "{\"anyOf\":[]}",
        "{\"prefixItems\":{}}",
        "{\"uniqueItems\":1}",
        "{\"$anchor\":\"1\"}",
        "{\"$schema\":\"http://json-schema.org/draft-07/schema#\"}",
        "{\"not\":{\"$id\":\"a\"}}",
        "{\"definitions\":{}}",
        "{\"required\":\"a\"}",
        "{\"required\":[1]}",
        "{\"minimum\":\"1\"}",
        "{\"minLength\":-1}",
        "{\"minLength\":1.5}",
        "{\"enum\":1}",
        "{\"items\":[{}]}",
        "{\"title\":1}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char why[128] = "";
        assert_null(schema_compile(bad[i], why, sizeof why));
        assert_true(strlen(why) > 0);
    }
}

static void test_schema_says_which_keyword_it_refuses(void **state)
{
    (void)state;
    char why[128];
    assert_null(schema_compile("{\"properties\":{\"a/b\":{\"contents\":1}}}", why, sizeof why));
    assert_string_equal(why, "The keyword \"contents\" is not supported. (at /properties/a~1b)");
    assert_null(schema_compile("{\"type\":\"float\"}", why, sizeof why));
    assert_non_null(strstr(why, "\"type\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schema_accepts_what_it_describes),
        cmocka_unit_test(test_schema_names_every_violation),
        cmocka_unit_test(test_schema_integer_has_no_fraction),
        cmocka_unit_test(test_schema_knows_the_types),
        cmocka_unit_test(test_schema_fields_are_paths),
        cmocka_unit_test(test_schema_numbers_have_bounds),
        cmocka_unit_test(test_schema_lengths_count_code_points),
        cmocka_unit_test(test_schema_arrays_and_objects_have_sizes),
        cmocka_unit_test(test_schema_enum_lists_what_is_allowed),
        cmocka_unit_test(test_schema_keywords_leave_other_types_alone),
        cmocka_unit_test(test_schema_lists_at_most_50_violations),
        cmocka_unit_test(test_schema_of_another_kind_does_not_compile),
        cmocka_unit_test(test_schema_says_which_keyword_it_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
