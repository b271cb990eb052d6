#include "base/expr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#define ALL (EXPR_USER | EXPR_REQUEST | EXPR_OLD)

static const char doc[] =
    "{\"id\":\"17\",\"price\":12,\"half\":2.5,\"big\":9007199254740993,\"name\":\"Green Tea\","
    "\"quoted\":\"say "
    "\\\"hi\\\"\\u0041\",\"tags\":[\"tea\",\"green\"],\"none\":[],\"nothing\":null,"
    "\"published\":true,\"address\":{\"city\":\"Bern\",\"zip\":null},"
    "\"items\":[{\"sku\":\"a\",\"qty\":1},{\"sku\":\"b\",\"qty\":5},{}],"
    "\"nested\":[[1,2],[3]],\"a-b\":1,\"odd name\":2,\"\\u0065scaped\":3,"
    "\"createdAt\":\"2026-01-31T10:30:00.500Z\",\"local\":\"2026-01-31T11:30:00.5+01:00\","
    "\"same\":{\"zip\":null,\"city\":\"Bern\"}}";

static const struct expr_env env = {
    .user = {"{\"id\":\"u1\",\"role\":\"editor\",\"roles\":[\"editor\",\"author\"],\"max\":20}",
             65},
    .request = {"{\"method\":\"GET\"}", 16},
    .old = {"{\"price\":12,\"tags\":[\"tea\",\"green\"]}", 37},
    .now_ms = INT64_C(1769855400501), /* a millisecond behind createdAt */
};

static struct expr *compile(const char *text)
{
    struct expr *expr;
    char why[EXPR_WHY_SIZE];
    if (expr_compile(slice_str(text), ALL, &expr, why, sizeof why))
        fail_msg("%s: %s", text, why);
    return expr;
}

static enum expr_result answer(const char *text, const char *json, const struct expr_env *with)
{
    struct expr *expr = compile(text);
    enum expr_result result = expr_eval(expr, slice_str(json), with);
    expr_destroy(&expr);
    return result;
}

static void expect_all(enum expr_result wanted, const char *const *texts)
{
    for (; *texts; texts++) {
        enum expr_result result = answer(*texts, doc, &env);
        if (result != wanted)
            fail_msg("%s: %d instead of %d", *texts, result, wanted);
    }
}

#define EXPECT(wanted, ...) expect_all(wanted, (const char *const[]){__VA_ARGS__, NULL})

static void test_values_of_one_type_compare(void **state)
{
    (void)state;
    EXPECT(EXPR_TRUE, "price = 12", "price=12.0", "price != 13", "price >= 12", "price <= 12",
           "price > 11.99", "12 = price", "11 < price", "half > 2", "half < 3", "half = 25e-1",
           "name = \"Green Tea\"", "name = 'Green Tea'", "name > 'Green'", "name < 'H'",
           "published = true", "published != false", "nothing = null", "null = nothing");
    EXPECT(EXPR_FALSE, "price = 13", "price != 12", "price < 12", "price > 12",
           "name = 'green tea'", "published = false", "name <= 'Green'");
}

static void test_integers_of_64_bits_are_exact(void **state)
{
    (void)state;
    EXPECT(EXPR_TRUE, "big = 9007199254740993", "big > 9007199254740992",
           "big > 9007199254740992.0", "big != 9007199254740992.0", "big < 9007199254740994.0",
           "9223372036854775807 > 9223372036854775806",
           "9223372036854775807 < 9223372036854775808.0",
           "-9223372036854775808 = -9223372036854775808.0", "-1.5 < -1", "-1 > -1.5");
    EXPECT(EXPR_FALSE, "big = 9007199254740992");
}

static void test_a_missing_member_is_null(void **state)
{
    (void)state;
    EXPECT(EXPR_TRUE, "missing = null", "address.missing = null", "price.cents = null",
           "missing.deeper = null", "address.zip = null", "missing != 3", "price != null",
           "missing = nothing");
    EXPECT(EXPR_FALSE, "missing != null", "missing = 3", "missing = false", "missing ~ 'x'");
    EXPECT(EXPR_UNKNOWN, "missing < 3", "!(missing > 3)", "3 >= missing");
}

static void test_other_types_are_not_equal_and_have_no_order(void **state)
{
    (void)state;
    EXPECT(EXPR_FALSE, "price = '12'", "name = 12", "published = 1", "tags = 'tea'", "address = 1",
           "price ~ '1'", "tags ~ 'tea'");
    EXPECT(EXPR_TRUE, "price != '12'", "price !~ '1'");
    EXPECT(EXPR_UNKNOWN, "price < 'x'", "name > 3", "published < 'x'", "tags > 1", "address >= 1",
           "published >= published", "nothing <= nothing");
}

static void test_unknown_is_neither_true_nor_its_negation(void **state)
{
    (void)state;
    EXPECT(EXPR_UNKNOWN, "name > 3", "!(name > 3)", "name > 3 && price = 12",
           "name > 3 || price = 13", "price = 12 && name > 3", "!(!(name > 3))");
    EXPECT(EXPR_FALSE, "name > 3 && price = 13", "price = 13 && name > 3",
           "!(name > 3 || price = 12)");
    EXPECT(EXPR_TRUE, "name > 3 || price = 12", "price = 12 || name > 3");
}

static void test_what_joins_comparisons_binds_as_usual(void **state)
{
    (void)state;
    EXPECT(EXPR_TRUE, "price = 12 || price = 1 && price = 2", "!price = 1 || price = 12",
           "!(price = 1)", "! ( price = 1 && published )", "published", "published && !missing = 1",
           "true", "!false", "(((published)))", "published&&price=12||false");
    EXPECT(EXPR_FALSE, "(price = 12 || price = 1) && price = 2", "!published", "missing", "price",
           "!(published || false)", "false");
}

static void test_in_and_has_look_for_one_of_several(void **state)
{
    (void)state;
    EXPECT(EXPR_TRUE, "price in (1, 12)", "price in (12)", "name in ('x', 'Green Tea')",
           "missing in (1, null)", "tags[] in ('x', 'tea')", "!(price in (1, 2))",
           "'tea' in (tags[])", "@user.id in ('u1', 'u2')", "tags has 'tea'", "address has 'zip'",
           "address has 'city' && !(address has 'x')");
    EXPECT(EXPR_FALSE, "price in (1, 2)", "price in ('12')", "tags in ('tea')", "tags has 'x'",
           "address has 'x'", "name has 'G'", "missing has 'x'", "tags has null", "address has 1");
}

static void test_brackets_ask_any_element(void **state)
{
    (void)state;
    EXPECT(EXPR_TRUE, "tags[] = 'tea'", "tags ?= 'green'", "'green' = tags[]", "tags[] ~ 'GRE'",
           "items[].sku = 'b'", "items[].qty > 4", "4 < items[].qty", "items[].sku = null",
           "items.sku = null", "nested[] has 3", "none[] = null", "missing[] = null",
           "price[] = null", "tags[] != 'x'", "items[].sku ?= null");
    EXPECT(EXPR_FALSE, "tags[] = 'x'", "tags ?= 'gree'", "tags[] != 'tea'",
           "items[].qty > 5 && false", "none[] = 1", "tags = 'tea'", "tags[] = null");
    EXPECT(EXPR_UNKNOWN, "none[] > 1", "items[].qty > 9");
}

static void test_contains_takes_ascii_letters_without_case(void **state)
{
    (void)state;
    EXPECT(EXPR_TRUE, "name ~ 'tea'", "name ~ 'GREEN'", "name ~ ''", "name !~ 'coffee'",
           "quoted ~ '\"HI\"a'", "quoted = 'say \"hi\"A'", "quoted = \"say \\\"hi\\\"\\u0041\"",
           "'Green Tea' ~ 'n t'", "name ~ name");
    EXPECT(EXPR_FALSE, "name ~ 'teas'", "name !~ 'Tea'", "name ~ '%'");
}

static void test_regular_expressions_match_anywhere(void **state)
{
    (void)state;
    EXPECT(EXPR_TRUE, "name ~ /^Green/", "name ~ /[/]|Tea$/", "name !~ /tea/", "quoted ~ /\"hi\"A/",
           "tags[] ~ /^g/", "'a/b' ~ /a\\/b/");
    EXPECT(EXPR_FALSE, "name ~ /^Tea/", "price ~ /1/", "missing ~ /./");
}

static void test_a_hostile_regular_expression_is_cut_off(void **state)
{
    (void)state;
    char json[200];
    snprintf(json, sizeof json, "{\"s\":\"%0100d\"}", 0);
    assert_int_equal(answer("s ~ /^(0+)+$/", json, NULL), EXPR_TRUE);
    assert_int_equal(answer("s ~ /^(0+)+[xy]$/", json, NULL), EXPR_UNKNOWN);
    assert_int_equal(answer("!(s ~ /^(0|0|0)*[xy]$/)", json, NULL), EXPR_UNKNOWN);
}

static void test_timestamps_compare_as_moments(void **state)
{
    (void)state;
    EXPECT(EXPR_TRUE, "createdAt = local", "createdAt = '2026-01-31T10:30:00.5Z'",
           "createdAt > '2026-01-31T10:30:00Z'", "createdAt < '2026-01-31T11:30:01+01:00'",
           "createdAt < now()", "now() > createdAt", "createdAt > '2026-01-31'",
           "createdAt != now()", "'2024-02-29T23:59:60Z' = '2024-03-01T00:00:00Z'",
           "createdAt in (local)", "'1969-12-31T23:59:59.9Z' < '1970-01-01T00:00:00Z'");
    EXPECT(EXPR_FALSE, "createdAt > now()", "createdAt < '2026-01-31T10:30:00Z'",
           "'2026-02-29T00:00:00Z' = '2026-03-01T00:00:00Z'", "name = now()");
    EXPECT(EXPR_UNKNOWN, "name < now()", "price < now()", "missing > now()");
}

static void test_nested_values_are_equal_whatever_the_order_of_members(void **state)
{
    (void)state;
    EXPECT(EXPR_TRUE, "address = same", "tags = @old.tags", "nested = nested", "items != nested",
           "price = @old.price");
    EXPECT(EXPR_FALSE, "address = items", "tags != @old.tags", "tags = nested");
}

static void test_names_may_be_odd(void **state)
{
    (void)state;
    EXPECT(EXPR_TRUE, "a-b = 1", "`odd name` = 2", "escaped = 3", "`price` = 12", "`true` = null",
           "now = null", "address.`city` = 'Bern'", "in = null", "has = null");
}

static void test_variables_stand_for_the_user_the_request_and_the_document_before(void **state)
{
    (void)state;
    EXPECT(EXPR_TRUE, "@user.id = 'u1'", "@user.roles[] = 'author'", "@user.roles ?= 'editor'",
           "@user.roles has 'editor'", "@request.method = 'GET'", "@old.price = price",
           "price < @user.max", "@old.missing = null", "@old.missing = missing",
           "@user.role in ('editor')", "'author' in (@user.roles[])", "@user.team = null");
    EXPECT(EXPR_FALSE, "@user.id = 'u2'", "@user.roles ?= 'admin'", "@request.method != 'GET'",
           "@user.id = null");
    EXPECT(EXPR_UNKNOWN, "@user.team = missing", "@user.team != 'x'", "@user.team[] = 'x'",
           "!(@user.team ~ 'x')", "@user.team has 'x'");
}

static void test_who_has_no_name_owns_nothing(void **state)
{
    (void)state;
    const struct expr_env nobody = {.now_ms = 1};
    static const char *const unknown[] = {
        "owner = @user.id",        "owner != @user.id",
        "@user.roles ?= 'editor'", "!(@user.role = 'editor')",
        "owner in (@user.id)",     "owner ~ @user.id",
        "@old.price = price",      "@request.method = null || x > 1"};
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(answer(unknown[i], "{\"id\":\"1\"}", &nobody), EXPR_UNKNOWN);
    assert_int_equal(answer("@user.id = null", "{}", &nobody), EXPR_TRUE);
    assert_int_equal(answer("@old.price = null", "{}", &nobody), EXPR_TRUE);
    assert_int_equal(answer(unknown[7], "{}", NULL), EXPR_TRUE);
}

static void expect_error(const char *text, unsigned variables, const char *wanted)
{
    struct expr *expr;
    char why[EXPR_WHY_SIZE] = "";
    assert_int_equal(expr_compile(slice_str(text), variables, &expr, why, sizeof why),
                     ERR_VALIDATION);
    assert_null(expr);
    assert_string_equal(why, wanted);
}

static void test_an_error_names_the_column_and_what_was_expected(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } wrong[] = {
        {"", "column 1: expected a value or the name of a member"},
        {"price >", "column 8: expected a value or the name of a member"},
        {"price 5", "column 7: expected one of = != > >= < <= ~ !~ ?= in has"},
        {"5", "column 2: expected one of = != > >= < <= ~ !~ ?= in has"},
        {"price == 5", "column 8: expected a value or the name of a member"},
        {"price = 5 and x = 1", "column 11: expected && or || or the end"},
        {"(price = 5", "column 11: expected && or || or )"},
        {"price = 5)", "column 10: expected && or || or the end"},
        {"price in 5", "column 10: expected ( and a list of values"},
        {"price in (5", "column 12: expected , or )"},
        {"price in ()", "column 11: expected a value or the name of a member"},
        {"price > null", "column 9: expected a number, a string or a member"},
        {"true < price", "column 1: expected a number, a string or a member"},
        {"name ~ 5", "column 8: expected a string, a /regular expression/ or a member"},
        {"name = /x/", "column 8: expected a value or the name of a member"},
        {"name ~ /x", "column 10: expected the / that ends the regular expression"},
        {"name ~ /x/i", "column 11: expected no letters behind a regular expression"},
        {"name = 'x", "column 10: expected the ' that ends the string"},
        {"name = 'a\\qb'", "column 10: expected an escape of JSON"},
        {"name = '\\ud800'", "column 9: expected an escape of JSON"},
        {"name = '\\u0000'", "column 9: expected an escape of JSON"},
        {"n = 9223372036854775808", "column 5: expected an integer of 64 bits"},
        {"n = 1e999", "column 5: expected a number that a double can hold"},
        {"n = 01", "column 5: expected a number as JSON has it"},
        {"n = 1.", "column 5: expected a number as JSON has it"},
        {"a. = 1", "column 3: expected the name of a member"},
        {"`a = 1", "column 7: expected a name and the ` that ends it"},
        {"a[0] = 1", "column 2: expected one of = != > >= < <= ~ !~ ?= in has"},
        {"a.b.c.d.e.f.g.h.i = 1", "column 17: expected no more than 8 names"},
        {"a[] = b[]", "column 7: expected one value here, not those of an array"},
        {"5 ?= a", "column 1: expected a member with an array"},
        {"@me.id = 1", "column 1: expected @user, @request or @old"},
        {"@user = 1", "column 6: expected . and the name of a member"},
        {"a = \xff", "column 5: expected UTF-8"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        expect_error(wrong[i].text, ALL, wrong[i].why);
    expect_error("a = @old.a", EXPR_USER, "column 5: expected no @old: there is none here");
}

static char *repeated(const char *first, const char *each, unsigned times, const char *last)
{
    struct buf text = BUF_INIT;
    buf_append_str(&text, first);
    while (times-- > 0)
        buf_append_str(&text, each);
    buf_append(&text, last, strlen(last) + 1);
    return text.data;
}

static void test_expressions_are_bounded(void **state)
{
    (void)state;
    struct {
        char *text;
        const char *why;
    } cases[] = {
        {repeated("a", "&&a", 63, ""), NULL},
        {repeated("a", "&&a", 64, ""), "column 193: expected no more than 64 comparisons"},
        {repeated("", "!", 32, "a"), NULL},
        {repeated("", "(", 33, "a"),
         "column 33: expected no more than 32 ( and ! within each other"},
        {repeated("a", " ", 4095, ""), NULL},
        {repeated("a", " ", 4096, ""), "column 4097: expected no more than 4096 bytes"},
        {repeated("a in (1", ",1", 2000, ")"), NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (cases[i].why)
            expect_error(cases[i].text, 0, cases[i].why);
        else
            answer(cases[i].text, "{}", NULL);
        free(cases[i].text);
    }
}

static void test_what_would_take_too_long_is_unknown(void **state)
{
    (void)state;
    char *json = repeated("{\"a\":[1", ",\"a text of some length\"", 100000, "]}");
    char *text = repeated("a[] in ('x'", ",'y'", 1000, ")");
    assert_int_equal(answer(text, json, NULL), EXPR_UNKNOWN);
    assert_int_equal(answer("a[] = 'x'", json, NULL), EXPR_FALSE);
    free(text);
    free(json);
}

/* ---- */

static void test_both_keeps_its_halves(void **state)
{
    (void)state;
    struct expr *a = compile("price = 12"), *b = compile("name ~ 'tea'");
    struct expr *both = expr_and(a, b), *one = expr_and(a, NULL);
    assert_null(expr_and(NULL, NULL));
    expr_destroy(&a);
    expr_destroy(&b);
    assert_true(expr_holds(both, slice_str(doc), NULL));
    assert_false(expr_holds(both, slice_str("{\"price\":12}"), NULL));
    assert_true(expr_holds(one, slice_str("{\"price\":12}"), NULL));
    assert_true(expr_holds(NULL, slice_str("{}"), NULL));
    expr_destroy(&both);
    expr_destroy(&one);
}

static void print_term_value(struct buf *out, const struct expr_value *value)
{
    buf_printf(out, "%d", (int)value->type);
    if (value->type == EXPR_REAL)
        buf_printf(out, ":%g ", value->real);
    else if (value->type >= EXPR_STRING)
        buf_printf(out, ":%.*s ", SLICE_ARG(value->string));
    else
        buf_printf(out, ":%d ", (int)value->integer);
}

static void print_terms(const struct expr_terms *terms, struct buf *out)
{
    static const char *const ops[] = {"=", "<", "<=", ">", ">=", " in "};
    for (unsigned i = 0; i < terms->count; i++) {
        const struct expr_term *term = &terms->list[i];
        buf_printf(out, "%.*s%s", SLICE_ARG(term->path), ops[term->op]);
        if (term->op != EXPR_IN)
            print_term_value(out, &term->value);
        for (unsigned k = 0; k < term->count; k++)
            print_term_value(out, &terms->values[term->first + k]);
    }
    buf_append_char(out, '\0');
}

static void expect_terms(const char *text, bool possible, const char *wanted)
{
    struct expr *expr = compile(text);
    struct expr_terms terms;
    struct buf out = BUF_INIT;
    assert_int_equal(expr_terms(expr, &env, &terms), possible);
    print_terms(&terms, &out);
    assert_string_equal(out.data, wanted);
    buf_release(&out);
    expr_terms_release(&terms);
    expr_destroy(&expr);
}

static void test_terms_are_what_must_be_true(void **state)
{
    (void)state;
    expect_terms("a = 1 && b.c > 'x' && (d[] ?= \"\\u0041\" && 5.5 >= e)", true,
                 "a=2:1 b.c>4:x d[]=4:A e<=3:5.5 ");
    expect_terms("a = @user.id && b in (null) && c = now()", true, "a=4:u1 b=0:0 c=5: ");
    expect_terms("a = 1 || b = 2", true, "");
    expect_terms("!(a = 1) && b != 2 && c ~ 'x' && d in (1,f) && e = f && g = @old.tags", true, "");
    expect_terms("`a.b` = 1 && c", true, "c=1:1 ");
    expect_terms("a = '2026-01-31T10:30:00Z' && b = 'x'", true, "a=5:2026-01-31T10:30:00Z b=4:x ");
    expect_terms("a in ('x', 2, @user.id, @user.team) && b = 'y'", true,
                 "a in 4:x 2:2 4:u1 b=4:y ");
    expect_terms("a in (@user.team, @user.other)", false, "a in ");
    expect_terms("a in ('2026-01-31T10:30:00Z', 1)", true, "");
    expect_terms("a = @user.team && b = 1", false, "b=2:1 ");
    expect_terms("a < @old.missing", false, "");
}

static void test_terms_of_both_halves(void **state)
{
    (void)state;
    struct expr *a = compile("x = 1"), *b = compile("y = 2"), *both = expr_and(a, b);
    struct expr_terms terms;
    assert_true(expr_terms(both, NULL, &terms));
    assert_int_equal(terms.count, 2);
    expr_terms_release(&terms);
    expr_destroy(&a);
    expr_destroy(&b);
    expr_destroy(&both);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_of_one_type_compare),
        cmocka_unit_test(test_integers_of_64_bits_are_exact),
        cmocka_unit_test(test_a_missing_member_is_null),
        cmocka_unit_test(test_other_types_are_not_equal_and_have_no_order),
        cmocka_unit_test(test_unknown_is_neither_true_nor_its_negation),
        cmocka_unit_test(test_what_joins_comparisons_binds_as_usual),
        cmocka_unit_test(test_in_and_has_look_for_one_of_several),
        cmocka_unit_test(test_brackets_ask_any_element),
        cmocka_unit_test(test_contains_takes_ascii_letters_without_case),
        cmocka_unit_test(test_regular_expressions_match_anywhere),
        cmocka_unit_test(test_a_hostile_regular_expression_is_cut_off),
        cmocka_unit_test(test_timestamps_compare_as_moments),
        cmocka_unit_test(test_nested_values_are_equal_whatever_the_order_of_members),
        cmocka_unit_test(test_names_may_be_odd),
        cmocka_unit_test(test_variables_stand_for_the_user_the_request_and_the_document_before),
        cmocka_unit_test(test_who_has_no_name_owns_nothing),
        cmocka_unit_test(test_an_error_names_the_column_and_what_was_expected),
        cmocka_unit_test(test_expressions_are_bounded),
        cmocka_unit_test(test_what_would_take_too_long_is_unknown),
        cmocka_unit_test(test_both_keeps_its_halves),
        cmocka_unit_test(test_terms_are_what_must_be_true),
        cmocka_unit_test(test_terms_of_both_halves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
