#include "storage/query.h"

#include "store_fixture.h"

#define ORDERS 300

static const struct index_spec indexes[] = {
    {.fields = "status"},       {.fields = "user,placedAt"},
    {.fields = "placedAt"},     {.fields = "number", .unique = true},
    {.fields = "tags[],total"}, {.fields = "coupon", .sparse = true},
};

struct shop {
    struct fixture *f;
    struct collection *c;
    struct expr *filter;
    struct query query;
    struct query_page page;
    struct buf found; /* numbers, with spaces behind */
};

static enum err fill(struct txn *txn, void *arg)
{
    struct shop *s = arg;
    struct buf text = BUF_INIT;
    enum err err = ERR_OK;
    for (unsigned i = 0; !err && i < ORDERS; i++) {
        buf_clear(&text);
        buf_printf(
            &text,
            "{\"id\":\"o%03u\",\"number\":%u,\"user\":\"u%u\",\"status\":\"%s\",\"total\":%u,"
            "\"placedAt\":%u,\"tags\":[\"t%u\"]}",
            i, i, i % 10, i % 100 ? "placed" : "held", i / 2, 1000 - i, i % 3);
        err = doc_insert_text(txn, s->c, buf_slice(&text));
    }
    buf_release(&text);
    return err;
}

static int open_shop(void **state)
{
    struct shop *s = calloc(1, sizeof *s);
    setup(state);
    s->f = *state;
    *state = s;
    assert_int_equal(collection_open(s->f->store, "orders", indexes, 6, &s->c), ERR_OK);
    assert_int_equal(store_write(s->f->store, fill, s), ERR_OK);
    s->query = (struct query){
        .collection = s->c, .clock = &s->f->clock.clock, .limit = 5, .scan_max = ORDERS};
    return 0;
}

static int close_shop(void **state)
{
    struct shop *s = *state;
    *state = s->f;
    query_page_release(&s->page);
    buf_release(&s->found);
    expr_destroy(&s->filter);
    collection_close(&s->c);
    free(s);
    return teardown(state);
}

static bool note(struct slice id, const struct doc *doc, void *arg)
{
    struct shop *s = arg;
    (void)id;
    buf_append_i64(&s->found, json_find_int(doc->json, "number", -1));
    buf_append_char(&s->found, ' ');
    return true;
}

static enum err ask(struct shop *s, const char *filter, const char *sort)
{
    char why[EXPR_WHY_SIZE];
    expr_destroy(&s->filter);
    query_page_release(&s->page);
    buf_clear(&s->found);
    if (filter)
        assert_int_equal(expr_compile(slice_str(filter), 0, &s->filter, why, sizeof why), ERR_OK);
    s->query.filter = s->filter;
    s->query.sort = slice_str(sort);
    s->query.bound_to = slice_str(filter ? filter : "");
    return query_run(s->f->store, &s->query, note, s, &s->page);
}

static void expect(struct shop *s, const char *filter, const char *sort, const char *found)
{
    assert_int_equal(ask(s, filter, sort), ERR_OK);
    buf_append_char(&s->found, '\0');
    assert_string_equal(s->found.data, found);
}

static void expect_plan(struct shop *s, const char *index, const char *range, bool sorted,
                        unsigned looked_at)
{
    const struct query_report *report = &s->page.report;
    assert_string_equal(report->index, index);
    assert_int_equal(report->range.len, strlen(range));
    assert_true(slice_is(buf_slice(&report->range), range));
    assert_int_equal(report->sorted, sorted);
    assert_int_equal(report->looked_at, looked_at);
}

static void test_the_best_index_is_walked(void **state)
{
    struct shop *s = *state;
    expect(s, NULL, "", "0 1 2 3 4 ");
    expect_plan(s, "id", "", false, 6);
    expect(s, "user = \"u3\"", "-placedAt", "3 13 23 33 43 ");
    expect_plan(s, "user,placedAt", "user = \"u3\"", false, 6);
    expect(s, "user = \"u3\" && placedAt > 950 && placedAt <= 977", "placedAt", "43 33 23 ");
    expect_plan(s, "user,placedAt", "user = \"u3\", placedAt > 950, placedAt <= 977", false, 3);
    expect(s, "number = 17 && user = \"u7\"", "-total", "17 ");
    expect_plan(s, "number", "number = 17", true, 1);
    expect(s, "id = \"o042\"", "", "42 ");
    expect_plan(s, "id", "id = \"o042\"", false, 1);
    expect(s, "tags ?= \"t1\" && total < 10", "-total", "19 16 13 10 7 ");
    expect_plan(s, "tags[],total", "tags[] = \"t1\", total < 10", false, 6);
    expect(s, "status = \"held\"", "-total", "200 100 0 ");
    expect_plan(s, "status", "status = \"held\"", true, 3);
    expect(s, NULL, "-placedAt", "0 1 2 3 4 ");
    expect_plan(s, "placedAt", "", false, 6);
    expect(s, "user in (\"u7\", \"u3\", \"x\", \"u3\") && total < 5", "", "3 7 ");
    expect_plan(s, "user,placedAt", "user in (\"u7\", \"u3\", \"x\", \"u3\")", false, 60);
    expect(s, "user in (\"u3\", \"u7\")", "-placedAt", "3 7 13 17 23 ");
    expect_plan(s, "user,placedAt", "user in (\"u3\", \"u7\")", true, 60);
    expect(s, "number in (5, 299, 7)", "-number", "299 7 5 ");
    expect_plan(s, "number", "number in (5, 299, 7)", false, 3);
    expect(s, NULL, "user,-placedAt", "0 10 20 30 40 ");
    expect_plan(s, "id", "", true, ORDERS);
    expect(s, NULL, "-user,-placedAt", "9 19 29 39 49 ");
    expect_plan(s, "user,placedAt", "", false, 6);
}

static void test_a_sparse_index_serves_only_what_it_holds(void **state)
{
    struct shop *s = *state;
    expect(s, "coupon = null && number < 2", "", "0 1 ");
    expect_plan(s, "number", "number < 2", false, 2);
    expect(s, NULL, "coupon", "0 1 2 3 4 ");
    expect_plan(s, "id", "", true, ORDERS);
    expect(s, "coupon = \"x\"", "", "");
    expect_plan(s, "coupon", "coupon = \"x\"", false, 0);
}

static void test_nothing_is_looked_at_for_what_cannot_be(void **state)
{
    struct shop *s = *state;
    char why[EXPR_WHY_SIZE];
    assert_int_equal(
        expr_compile(slice_str("user = @user.id"), EXPR_USER, &s->filter, why, sizeof why), ERR_OK);
    s->query.filter = s->filter;
    assert_int_equal(query_run(s->f->store, &s->query, note, s, &s->page), ERR_OK);
    expect_plan(s, "id", "", false, 0);
    assert_false(s->page.has_next);
}

static void test_a_variable_chooses_an_index_as_a_value_does(void **state)
{
    struct shop *s = *state;
    char why[EXPR_WHY_SIZE];
    const struct expr_env env = {.user = slice_str("{\"id\":\"u\\u0037\"}")};
    assert_int_equal(
        expr_compile(slice_str("user = @user.id"), EXPR_USER, &s->filter, why, sizeof why), ERR_OK);
    s->query.filter = s->filter;
    s->query.env = &env;
    assert_int_equal(query_run(s->f->store, &s->query, note, s, &s->page), ERR_OK);
    expect_plan(s, "user,placedAt", "user = \"u7\"", false, 6);
}

static void test_what_would_look_at_too_much_is_refused(void **state)
{
    struct shop *s = *state;
    s->query.scan_max = 50;
    assert_int_equal(ask(s, "total = 140", ""), ERR_SCAN_TOO_LARGE);
    assert_int_equal(s->page.report.looked_at, 50);
    assert_int_equal(ask(s, NULL, "total"), ERR_SCAN_TOO_LARGE);
    assert_int_equal(ask(s, "total < 2", ""), ERR_SCAN_TOO_LARGE); /* whether there is a next one */
    s->query.limit = 2;
    assert_int_equal(ask(s, "total = 20", ""), ERR_OK);
    assert_true(s->page.has_next); /* it is not known */
}

static void test_what_is_too_much_to_sort_goes_along_an_index_in_order(void **state)
{
    struct shop *s = *state;
    s->query.scan_max = 50;
    expect(s, "status = \"placed\"", "-placedAt", "1 2 3 4 5 ");
    expect_plan(s, "placedAt", "", false, 7);
    char *cursor = strndup(s->page.cursor.data, s->page.cursor.len);
    s->query.after = slice_str(cursor);
    expect(s, "status = \"placed\"", "-placedAt", "6 7 8 9 10 ");
    expect_plan(s, "placedAt", "", false, 6);
    free(cursor);
}

/* Every document takes a tenth of a second. */
static bool is_slow(struct slice json, void *arg)
{
    struct shop *s = arg;
    (void)json;
    clock_fake_advance(&s->f->clock, 100);
    return true;
}

static void test_a_long_query_goes_through_several_snapshots(void **state)
{
    struct shop *s = *state;
    store_watch(s->f->store);
    s->query.passes = is_slow;
    s->query.passes_arg = s;
    expect(s, "number < 40", "-number", "39 38 37 36 35 ");
    expect(s, "number < 40", "total,-number", "1 0 3 2 5 ");
    assert_true(s->page.report.snapshots >= 40 / 5);
    assert_int_equal(s->page.report.returned, 5);
    assert_true(s->page.report.time_ns >= 4000000000);
}

static void test_a_query_ends_in_time(void **state)
{
    struct shop *s = *state;
    s->query.passes = is_slow;
    s->query.passes_arg = s;
    s->query.time_max_ms = 1000;
    assert_int_equal(ask(s, "total >= 0", "-total"), ERR_SCAN_TOO_LARGE);
    assert_true(s->page.report.looked_at < ORDERS);
}

static void test_a_cursor_is_of_one_query(void **state)
{
    struct shop *s = *state;
    expect(s, "user = \"u3\"", "-placedAt", "3 13 23 33 43 ");
    char *cursor = strndup(s->page.cursor.data, s->page.cursor.len);
    s->query.after = slice_str(cursor);
    expect(s, "user = \"u3\"", "-placedAt", "53 63 73 83 93 ");
    assert_int_equal(ask(s, "user = \"u4\"", "-placedAt"), ERR_VALIDATION);
    assert_string_equal(s->page.why, "The cursor is not one of this list.");
    assert_int_equal(ask(s, "user = \"u3\"", "placedAt"), ERR_VALIDATION);
    for (size_t i = 0; i < strlen(cursor); i++) {
        char before = cursor[i];
        cursor[i] = before == 'A' ? 'B' : 'A';
        enum err err = ask(s, "user = \"u3\"", "-placedAt");
        assert_true(err == ERR_OK || err == ERR_VALIDATION);
        cursor[i] = before;
    }
    free(cursor);
}

static void test_a_forged_place_leads_nowhere_else(void **state)
{
    struct shop *s = *state;
    expect(s, "user = \"u3\"", "total", "3 13 23 33 43 ");
    char *cursor = strndup(s->page.cursor.data, s->page.cursor.len);
    for (size_t i = 11; i < strlen(cursor); i++) { /* behind what it is bound to */
        char before = cursor[i];
        cursor[i] = before == 'A' ? 'B' : 'A';
        s->query.after = slice_str(cursor);
        enum err err = ask(s, "user = \"u3\"", "total");
        assert_true(err == ERR_OK || err == ERR_VALIDATION);
        for (size_t k = 0; k < s->found.len; k++)
            assert_true(s->found.data[k] != ' ' || s->found.data[k - 1] == '3');
        cursor[i] = before;
    }
    free(cursor);
}

static void test_a_wrong_sort_is_told(void **state)
{
    struct shop *s = *state;
    static const struct {
        const char *sort, *why;
    } wrong[] = {
        {"a,", "The sort has no member at \"\"."},
        {"-", "The sort has no member at \"\"."},
        {"tags[]", "The sort has no member at \"tags[]\"."},
        {"id,a", "The sort has something behind the id at \"a\"."},
        {"a,b,c,d,e", "The sort has more than four members at \"e\"."},
        {"a..b", "The sort has what is no member at \"a..b\"."},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(ask(s, NULL, wrong[i].sort), ERR_VALIDATION);
        assert_string_equal(s->page.why, wrong[i].why);
    }
    expect(s, NULL, " -user , -placedAt , -id ", "9 19 29 39 49 ");
}

static bool is_even(struct slice json, void *arg)
{
    (void)arg;
    return json_find_int(json, "number", 1) % 2 == 0;
}

static void test_a_function_is_asked_besides(void **state)
{
    struct shop *s = *state;
    s->query.passes = is_even;
    expect(s, "total >= 3 && number < 16", "number", "6 8 10 12 14 ");
    assert_false(s->page.has_next);
    uint64_t count;
    struct query_page page;
    assert_int_equal(query_count(s->f->store, &s->query, &count, &page), ERR_OK);
    assert_int_equal(count, 5);
    query_page_release(&page);
}

static bool stop(struct slice id, const struct doc *doc, void *arg)
{
    note(id, doc, arg);
    return false;
}

static void test_who_has_enough_goes_on_from_there(void **state)
{
    struct shop *s = *state;
    static const char *const sorts[] = {"number", "total"};
    for (unsigned i = 0; i < 2; i++) {
        s->query.sort = slice_str(sorts[i]);
        s->query.after = slice_of(NULL, 0);
        buf_clear(&s->found);
        assert_int_equal(query_run(s->f->store, &s->query, stop, s, &s->page), ERR_OK);
        assert_true(s->page.has_next);
        struct query_page second;
        s->query.after = buf_slice(&s->page.cursor);
        assert_int_equal(query_run(s->f->store, &s->query, stop, s, &second), ERR_OK);
        assert_true(slice_is(buf_slice(&s->found), "0 1 "));
        query_page_release(&second);
        query_page_release(&s->page);
    }
}

/* ---- Figures. */

static enum err sum_up(struct shop *s, const char *filter, const char *functions, const char *group)
{
    char why[EXPR_WHY_SIZE];
    expr_destroy(&s->filter);
    query_page_release(&s->page);
    buf_clear(&s->found);
    if (filter)
        assert_int_equal(expr_compile(slice_str(filter), 0, &s->filter, why, sizeof why), ERR_OK);
    s->query.filter = s->filter;
    enum err err = query_aggregate(s->f->store, &s->query, slice_str(functions), slice_str(group),
                                   &s->found, &s->page);
    buf_append_char(&s->found, '\0');
    return err;
}

static void expect_figures(struct shop *s, const char *filter, const char *functions,
                           const char *group, const char *wanted)
{
    assert_int_equal(sum_up(s, filter, functions, group), ERR_OK);
    assert_string_equal(s->found.data, wanted);
}

static void test_figures_are_of_all_or_of_groups(void **state)
{
    struct shop *s = *state;
    expect_figures(s, NULL, "count,sum(total),avg(total),min(total),max(user)", "",
                   "[{\"count\":300,\"sum(total)\":22350,\"avg(total)\":74.5,\"min(total)\":0,"
                   "\"max(user)\":\"u9\"}]");
    expect_figures(s, NULL, "count , max(number)", "status",
                   "[{\"status\":\"held\",\"count\":3,\"max(number)\":200},"
                   "{\"status\":\"placed\",\"count\":297,\"max(number)\":299}]");
    expect_figures(s, "user = \"u0\" && placedAt > 970", "sum(number)", "status,user",
                   "[{\"status\":\"held\",\"user\":\"u0\",\"sum(number)\":0},"
                   "{\"status\":\"placed\",\"user\":\"u0\",\"sum(number)\":30}]");
    expect_plan(s, "user,placedAt", "user = \"u0\", placedAt > 970", false, 3);
    expect_figures(s, "number < 0", "count,sum(total),avg(total),min(total)", "",
                   "[{\"count\":0,\"sum(total)\":0,\"avg(total)\":null,\"min(total)\":null}]");
    expect_figures(s, "number < 0", "count", "status", "[]");
    expect_figures(s, "number < 2", "count,max(tags)", "coupon.code",
                   "[{\"coupon.code\":null,\"count\":2,\"max(tags)\":null}]");
}

static enum err add_large(struct txn *txn, void *arg)
{
    struct shop *s = arg;
    return doc_insert_text(
        txn, s->c,
        slice_str("{\"id\":\"x\",\"number\":9223372036854775807,\"total\":0.5,\"user\":1.0}"));
}

static void test_sums_of_integers_are_exact(void **state)
{
    struct shop *s = *state;
    assert_int_equal(store_write(s->f->store, add_large, s), ERR_OK);
    s->query.scan_max = 0;
    expect_figures(s, "number = 9223372036854775807", "sum(number),sum(total)", "user",
                   "[{\"user\":1.0,\"sum(number)\":9223372036854775807,\"sum(total)\":0.5}]");
    expect_figures(s, "number = 9223372036854775807 || number = 1", "sum(number)", "",
                   "[{\"sum(number)\":9.223372036854776e+18}]");
}

static void test_wrong_figures_are_told(void **state)
{
    struct shop *s = *state;
    static const char *const wrong[] = {"",          "total",     "sum",       "sum(",     "sum()",
                                        "count()",   "sum(-a)",   "sum(a,b)",  "sum(a[])", "count,",
                                        "sum(a\"b)", "sum(\xff)", "median(a)", "sum(a).b"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(sum_up(s, NULL, wrong[i], ""), ERR_VALIDATION);
        assert_true(strlen(s->page.why) > 20);
    }
    assert_int_equal(sum_up(s, NULL, "count", "id"), ERR_VALIDATION);
    assert_int_equal(sum_up(s, NULL, "count", "-status"), ERR_VALIDATION);
    s->query.scan_max = 100;
    assert_int_equal(sum_up(s, NULL, "count", ""), ERR_SCAN_TOO_LARGE);
}

int main(void)
{
    silence_log();
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_shop, close_shop)
    const struct CMUnitTest tests[] = {
        TEST(test_the_best_index_is_walked),
        TEST(test_a_sparse_index_serves_only_what_it_holds),
        TEST(test_nothing_is_looked_at_for_what_cannot_be),
        TEST(test_a_variable_chooses_an_index_as_a_value_does),
        TEST(test_what_would_look_at_too_much_is_refused),
        TEST(test_what_is_too_much_to_sort_goes_along_an_index_in_order),
        TEST(test_a_long_query_goes_through_several_snapshots),
        TEST(test_a_query_ends_in_time),
        TEST(test_a_cursor_is_of_one_query),
        TEST(test_a_forged_place_leads_nowhere_else),
        TEST(test_a_wrong_sort_is_told),
        TEST(test_a_function_is_asked_besides),
        TEST(test_who_has_enough_goes_on_from_there),
        TEST(test_figures_are_of_all_or_of_groups),
        TEST(test_sums_of_integers_are_exact),
        TEST(test_wrong_figures_are_told),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
