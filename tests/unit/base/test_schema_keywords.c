#include "base/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* What each keyword means is the standard's test suite (tests/api/schema_suite.test.mjs); here is
 * how it is said, and what bounds it. Apostrophes stand for quotes. */
static json_t *json(const char *text)
{
    char quoted[2048];
    snprintf(quoted, sizeof quoted, "%s", text);
    for (char *at = quoted; *at; at++)
        *at = *at == '\'' ? '"' : *at;
    json_t *value;
    assert_int_equal(json_read_trusted(slice_str(quoted), &value), ERR_OK);
    return value;
}

static struct schema *compiled(const char *text)
{
    char why[200] = "";
    json_t *source = json(text);
    char *quoted = json_dumps(source, JSON_ENCODE_ANY);
    struct schema *schema = schema_compile(quoted, why, sizeof why);
    if (!schema)
        fail_msg("%s", why);
    free(quoted);
    json_decref(source);
    return schema;
}

static void assert_rows(const char *schema_text, const char *value_text, const char *expected)
{
    struct schema *schema = compiled(schema_text);
    json_t *value = json(value_text), *rows = json(expected), *details;
    if (schema_check(schema, value, &details) == ERR_OK)
        details = json_array();
    if (!json_equal(details, rows))
        fail_msg("%s: %s", value_text, json_dumps(details, 0));
    json_decref(details);
    json_decref(rows);
    json_decref(value);
    schema_destroy(&schema);
}

static void assert_refused(const char *text, const char *expected)
{
    char why[200];
    json_t *source = json(text);
    char *quoted = json_dumps(source, 0);
    assert_null(schema_compile(quoted, why, sizeof why));
    assert_string_equal(why, expected);
    free(quoted);
    json_decref(source);
}

static void test_schema_pointers_are_escaped(void **state)
{
    (void)state;
    assert_rows("{'properties':{'a/b':{'items':{'properties':{'m~n':{'type':'null'}}}}}}",
                "{'a/b':[{},{'m~n':1}]}",
                "[{'field':'a/b.1.m~n','pointer':'/a~1b/1/m~0n','reason':'type','expected':"
                "'null'}]");
}

static void test_schema_says_what_each_keyword_asked(void **state)
{
    (void)state;
    static const char *const rows[][3] = {
        {"{'type':['string','null']}", "1", "'reason':'type','expected':['string','null']"},
        {"{'const':{'a':1}}", "1", "'reason':'const','allowed':[{'a':1}]"},
        {"{'exclusiveMinimum':1}", "1", "'reason':'exclusiveMinimum','limit':1"},
        {"{'exclusiveMaximum':1.5}", "2", "'reason':'exclusiveMaximum','limit':1.5"},
        {"{'multipleOf':0.01}", "1.005", "'reason':'multipleOf','limit':0.01"},
        {"{'pattern':'^a'}", "'b'", "'reason':'pattern','limit':'^a'"},
        {"{'format':'date'}", "'2026-02-29'", "'reason':'format','limit':'date'"},
        {"{'maxProperties':0}", "{'a':1}", "'reason':'maxProperties','limit':0"},
        {"{'contains':{'type':'null'}}", "[1]", "'reason':'contains','limit':1"},
        {"{'contains':{},'minContains':2}", "[1]", "'reason':'minContains','limit':2"},
        {"{'contains':{},'maxContains':0}", "[1]", "'reason':'maxContains','limit':0"},
        {"{'anyOf':[false,false]}", "1", "'reason':'anyOf'"},
        {"{'oneOf':[true,true]}", "1", "'reason':'oneOf'"},
        {"{'not':true}", "1", "'reason':'not'"},
        {"false", "1", "'reason':'false'"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char expected[200];
        snprintf(expected, sizeof expected, "[{'field':'','pointer':'',%s}]", rows[i][2]);
        assert_rows(rows[i][0], rows[i][1], expected);
    }
}

static void test_schema_names_the_member_that_is_wrong(void **state)
{
    (void)state;
    static const char *const rows[][3] = {
        {"{'dependentRequired':{'a':['b']}}", "{'a':1}",
         "'field':'b','pointer':'/b','reason':'dependentRequired','limit':'a'"},
        {"{'propertyNames':{'maxLength':1}}", "{'ab':1}",
         "'field':'ab','pointer':'/ab','reason':'propertyNames'"},
        {"{'patternProperties':{'^x':true},'additionalProperties':false}", "{'xa':1,'ya':2}",
         "'field':'ya','pointer':'/ya','reason':'additionalProperties'"},
        {"{'allOf':[{'properties':{'a':true}}],'unevaluatedProperties':false}", "{'a':1,'b':2}",
         "'field':'b','pointer':'/b','reason':'unevaluatedProperties'"},
        {"{'prefixItems':[true],'unevaluatedItems':false}", "[1,2]",
         "'field':'1','pointer':'/1','reason':'unevaluatedItems'"},
        {"{'uniqueItems':true}", "[1,{'a':1,'b':[2]},{'b':[2.0],'a':1.0}]",
         "'field':'2','pointer':'/2','reason':'uniqueItems'"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char expected[200];
        snprintf(expected, sizeof expected, "[{%s}]", rows[i][2]);
        assert_rows(rows[i][0], rows[i][1], expected);
    }
}

static void test_schema_multiples_are_those_of_decimals(void **state)
{
    static const struct {
        const char *of, *value;
        bool fits;
    } rows[] = {
        {"0.01", "19.99", true},
        {"0.01", "1.1", true},
        {"0.1", "0.3", true},
        {"0.01", "0.001", false},
        {"0.01", "-4.35", true},
        {"2.5", "10", true},
        {"2.5", "11", false},
        {"10", "1e3", true},
        {"1e2", "50", false},
        {"1e2", "500", true},
        {"1e-8", "12391239123", true},
        {"0.07", "0.7", true},
        {"3", "9223372036854775806", true},
        {"3", "9223372036854775807", false},
        {"7", "-9223372036854775808", false},
        {"2", "-9223372036854775808", true},
        {"0.3", "1e300", false},
        {"0.5", "1e300", true},
        {"1", "1.0000000000000002", false},
        {"5", "0.0", true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char schema[64], expected[128] = "[]";
        snprintf(schema, sizeof schema, "{'multipleOf':%s}", rows[i].of);
        if (!rows[i].fits)
            snprintf(expected, sizeof expected,
                     "[{'field':'','pointer':'','reason':'multipleOf','limit':%s}]", rows[i].of);
        assert_rows(schema, rows[i].value, expected);
    }
}

static void test_schema_compares_integers_and_reals_exactly(void **state)
{
    (void)state;
    assert_rows("{'maximum':9007199254740992.0}", "9007199254740993",
                "[{'field':'','pointer':'','reason':'maximum','limit':9007199254740992.0}]");
    assert_rows("{'enum':[9007199254740992.0]}", "9007199254740992", "[]");
    assert_rows("{'minimum':1.5}", "2", "[]");
    assert_rows("{'maximum':1e300,'minimum':-1e300}", "-9223372036854775808", "[]");
    assert_rows("{'const':1}", "1.0", "[]");
}

static void test_schema_recursion_follows_the_value(void **state)
{
    static const char tree[] =
        "{'$defs':{'tree':{'$anchor':'tree','required':['v'],'properties':{'v':{'type':'integer'},"
        "'sub':{'items':{'$ref':'#tree'}}}}},'$ref':'#/$defs/tree'}";
    (void)state;
    assert_rows(tree, "{'v':1,'sub':[{'v':2,'sub':[]},{'v':3,'sub':[{'v':'x'}]}]}",
                "[{'field':'sub.1.sub.0.v','pointer':'/sub/1/sub/0/v','reason':'type','expected':"
                "'integer'}]");
}

static void test_schema_loops_without_progress_do_not_compile(void **state)
{
    (void)state;
    assert_refused("{'$ref':'#'}", "The reference at \"\" leads back to itself. (at the top)");
    assert_refused("{'properties':{'a':{'anyOf':[{'$ref':'#/$defs/b'}]}},'$defs':{'b':{'not':"
                   "{'$ref':'#/properties/a'}}}}",
                   "The reference at \"/properties/a\" leads back to itself. (at /properties/a)");
}

static void test_schema_references_lead_to_schemas(void **state)
{
    (void)state;
    assert_refused("{'$ref':'#/$defs/a'}", "There is no schema at \"#/$defs/a\". (at the top)");
    assert_refused("{'items':{'$ref':'#a'}}", "There is no schema at \"#a\". (at /items)");
    assert_refused("{'$ref':'other.json'}",
                   "The reference \"other.json\" leads out of the text. (at the top)");
    assert_refused("{'$defs':{'a':{'$anchor':'x'},'b':{'$anchor':'x'}}}",
                   "There are two anchors \"x\". (at /$defs/b)");
    assert_rows("{'$ref':'#/$defs/a%25~1b','$defs':{'a%/b':{'type':'null'}}}", "null", "[]");
}

static void test_schema_chains_have_an_end(void **state)
{
    (void)state;
    json_t *source = json_object(), *defs = json_object();
    for (int i = 0; i < 5000; i++) {
        char name[16], next[32];
        snprintf(name, sizeof name, "d%d", i);
        snprintf(next, sizeof next, "#/$defs/d%d", i + 1);
        json_object_set_new(defs, name, i < 4999 ? json_pack("{ss}", "$ref", next) : json_true());
    }
    json_object_set_new(source, "$defs", defs);
    char *text = json_dumps(source, 0), why[200];
    assert_null(schema_compile(text, why, sizeof why));
    assert_non_null(strstr(why, "one below the other"));
    free(text);
    json_decref(source);
}

/* Each level doubles the work: 2^31 steps. */
static void test_schema_gives_up_when_checking_goes_on(void **state)
{
    struct schema *schema =
        compiled("{'anyOf':[{'items':{'$ref':'#'},'not':{'maxItems':9}},{'items':{'$ref':'#'},"
                 "'not':{'maxItems':9}}]}");
    json_t *value = json_integer(1), *details;
    (void)state;
    for (int i = 0; i < 31; i++)
        value = json_pack("[o]", value);
    assert_int_equal(schema_check(schema, value, &details), ERR_VALIDATION);
    json_t *rows = json("[{'field':'','pointer':'','reason':'too complex'}]");
    assert_true(json_equal(details, rows));
    json_decref(rows);
    json_decref(details);
    json_decref(value);
    schema_destroy(&schema);
}

static void test_schema_gives_up_a_pattern_that_is_too_hard(void **state)
{
    (void)state;
    assert_rows("{'not':{'pattern':'^(a+)+$'}}", "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!'",
                "[{'field':'','pointer':'','reason':'too complex'}]");
}

/* Comparing each with each would be 2 * 10^10 steps. */
static void test_schema_unique_items_are_found_at_once(void **state)
{
    struct schema *schema = compiled("{'uniqueItems':true}");
    json_t *value = json_array(), *details;
    (void)state;
    for (int i = 0; i < 200000; i++)
        json_array_append_new(value, json_pack("{si}", "n", i));
    assert_int_equal(schema_check(schema, value, &details), ERR_OK);
    json_array_append_new(value, json_pack("{sf}", "n", 77.0));
    assert_int_equal(schema_check(schema, value, &details), ERR_VALIDATION);
    assert_string_equal(json_str(json_array_get(details, 0), "field", ""), "200000");
    json_decref(details);
    json_decref(value);
    schema_destroy(&schema);
}

static void test_schema_unevaluated_sees_more_members_than_a_word_has_bits(void **state)
{
    struct schema *schema =
        compiled("{'anyOf':[{'patternProperties':{'^a':true}},{'patternProperties':{'^b':true}}],"
                 "'unevaluatedProperties':false}");
    json_t *value = json_object(), *details;
    (void)state;
    for (int i = 0; i < 400; i++) {
        char name[16];
        snprintf(name, sizeof name, "%c%d", i % 2 == 0 ? 'a' : 'b', i);
        json_object_set_new(value, name, json_null());
    }
    assert_int_equal(schema_check(schema, value, &details), ERR_OK);
    json_object_set_new(value, "c", json_null());
    assert_int_equal(schema_check(schema, value, &details), ERR_VALIDATION);
    assert_int_equal(json_array_size(details), 1);
    json_decref(details);
    json_decref(value);
    schema_destroy(&schema);
}

static void test_schema_fills_defaults_in(void **state)
{
    struct schema *schema = compiled(
        "{'$defs':{'size':{'default':3}},'properties':{'a':{'default':{'x':1}},"
        "'n':{'$ref':'#/$defs/size'},'list':{'items':{'properties':{'y':{'default':null}}}}},"
        "'allOf':[{'properties':{'z':{'default':'z'}}}],"
        "'anyOf':[{'properties':{'never':{'default':1}}}]}");
    json_t *value = json("{'n':0,'list':[{},{'y':1},2]}");
    json_t *expected = json("{'n':0,'a':{'x':1},'z':'z','list':[{'y':null},{'y':1},2]}");
    (void)state;
    schema_fill(schema, value);
    assert_true(json_equal(value, expected));
    json_object_set_new(json_object_get(value, "a"), "x", json_integer(2));
    json_t *other = json("{}");
    schema_fill(schema, other);
    assert_int_equal(json_int(json_object_get(other, "a"), "x", 0), 1);
    assert_int_equal(json_int(other, "n", 0), 3);
    json_decref(other);
    json_decref(expected);
    json_decref(value);
    schema_destroy(&schema);
}

static void test_schema_notes_say_nothing_of_values(void **state)
{
    (void)state;
    assert_rows("{'$schema':'https://json-schema.org/draft/2020-12/schema','$id':'urn:a','title':"
                "'','description':'','examples':[1],'deprecated':true,'readOnly':false,"
                "'writeOnly':true,'$comment':'','x-any':{'thing':1},'default':1}",
                "[]", "[]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schema_pointers_are_escaped),
        cmocka_unit_test(test_schema_says_what_each_keyword_asked),
        cmocka_unit_test(test_schema_names_the_member_that_is_wrong),
        cmocka_unit_test(test_schema_multiples_are_those_of_decimals),
        cmocka_unit_test(test_schema_compares_integers_and_reals_exactly),
        cmocka_unit_test(test_schema_recursion_follows_the_value),
        cmocka_unit_test(test_schema_loops_without_progress_do_not_compile),
        cmocka_unit_test(test_schema_references_lead_to_schemas),
        cmocka_unit_test(test_schema_chains_have_an_end),
        cmocka_unit_test(test_schema_gives_up_when_checking_goes_on),
        cmocka_unit_test(test_schema_gives_up_a_pattern_that_is_too_hard),
        cmocka_unit_test(test_schema_unique_items_are_found_at_once),
        cmocka_unit_test(test_schema_unevaluated_sees_more_members_than_a_word_has_bits),
        cmocka_unit_test(test_schema_fills_defaults_in),
        cmocka_unit_test(test_schema_notes_say_nothing_of_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
