#include "server/http/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct header headers[] = {
    {{"Accept", 6}, {"text/html", 9}},
    {{"X-Thing", 7}, {"1", 1}},
    {{"x-thing", 7}, {"2", 1}},
};

static struct request request = {
    .headers = headers,
    .header_count = 3,
    .id = "the-id",
    .received_ms = 1769855400123,
};

static void release_counts(void *arg)
{
    ++*(int *)arg;
}

static void test_methods_are_known_by_their_exact_names(void **state)
{
    (void)state;
    enum method method;
    for (unsigned i = 0; i < METHOD_COUNT; i++) {
        assert_true(method_parse(slice_str(method_name((enum method)i)), &method));
        assert_int_equal(method, i);
    }
    assert_false(method_parse(slice_str("get"), &method));
    assert_false(method_parse(slice_str(""), &method));
}

static void test_header_is_found_in_any_case(void **state)
{
    (void)state;
    assert_true(slice_is(request_header(&request, "x-thing"), "1"));
    assert_int_equal(request_header_count(&request, "X-THING"), 2);
    assert_null(request_header(&request, "missing").ptr);
}

static void check_query(const char *query, const char *name, const char *expected)
{
    struct request asked = {.query = slice_str(query)};
    struct buf scratch = BUF_INIT;
    struct slice value = request_query(&asked, name, &scratch);
    if (!expected)
        assert_null(value.ptr);
    else
        assert_true(value.ptr && slice_is(value, expected));
    buf_release(&scratch);
}

static void test_query_parameter_is_decoded(void **state)
{
    (void)state;
    check_query("a=1&b=x%20y+z%2F&c", "b", "x y z/");
    check_query("a=1&b", "b", "");
    check_query("a=1&b=", "b", "");
    check_query("a=1=2", "a", "1=2");
    check_query("a=1&a=2", "a", "1");
    check_query("", "a", NULL);
    check_query("ab=1", "a", NULL);
}

static void test_query_parameter_that_is_no_text_is_empty(void **state)
{
    (void)state;
    check_query("a=%00", "a", "");
    check_query("a=%ff", "a", "");
    check_query("a=%4", "a", "");
}

static void test_principal_has_its_roles(void **state)
{
    struct principal user = {.roles = {"customer", "admin"}, .role_count = 2};
    (void)state;
    assert_true(principal_has_role(&user, "admin"));
    assert_false(principal_has_role(&user, "root"));
}

static void test_reset_releases_what_was_borrowed_once(void **state)
{
    (void)state;
    struct response response = {0};
    int released = 0;
    response_borrow(&response, 200, "text/plain", slice_str("x"), release_counts, &released);
    response_reset(&response);
    response_reset(&response);
    assert_int_equal(released, 1);
    assert_int_equal(response.status, 0);
    assert_int_equal(response.headers.len, 0);
    buf_release(&response.headers);
}

static void test_header_is_a_line(void **state)
{
    (void)state;
    struct response response = {0};
    response_header(&response, "Location", slice_str("/a"));
    assert_true(slice_is(buf_slice(&response.headers), "Location: /a\r\n"));
    buf_release(&response.headers);
}

static void check_error(const struct request *asked, const json_t *details, const char *type,
                        const char *body)
{
    struct response response = {0};
    response_error(&response, asked, ERR_VALIDATION, NULL, "Look \"here\".", details);
    assert_int_equal(response.status, 422);
    assert_int_equal(response.err, ERR_VALIDATION);
    assert_true(slice_is(buf_slice(&response.headers), type));
    if (!slice_is(buf_slice(&response.body), body))
        fail_msg("%.*s", SLICE_ARG(buf_slice(&response.body)));
    buf_release(&response.headers);
    buf_release(&response.body);
}

static void test_error_has_the_one_shape(void **state)
{
    (void)state;
    check_error(&request, NULL, "Content-Type: application/json\r\n",
                "{\"error\":{\"code\":\"VALIDATION_ERROR\",\"message\":\"Look \\\"here\\\".\","
                "\"requestId\":\"the-id\",\"timestamp\":\"2026-01-31T10:30:00Z\"}}");
}

static void test_error_carries_details(void **state)
{
    json_t *details = json_pack("[{s:s}]", "field", "qty");
    (void)state;
    check_error(&request, details, "Content-Type: application/json\r\n",
                "{\"error\":{\"code\":\"VALIDATION_ERROR\",\"message\":\"Look \\\"here\\\".\","
                "\"details\":[{\"field\":\"qty\"}],"
                "\"requestId\":\"the-id\",\"timestamp\":\"2026-01-31T10:30:00Z\"}}");
    json_decref(details);
}

static void test_error_is_a_problem_when_asked_for(void **state)
{
    const struct header accept = {slice_str("accept"), slice_str("a/b, application/problem+json")};
    struct request asked = {.headers = &accept, .header_count = 1, .id = "the-id"};
    (void)state;
    check_error(&asked, NULL, "Content-Type: application/problem+json\r\n",
                "{\"type\":\"about:blank\",\"title\":\"Unprocessable Content\",\"status\":422,"
                "\"detail\":\"Look \\\"here\\\".\",\"code\":\"VALIDATION_ERROR\","
                "\"requestId\":\"the-id\"}");
}

static void test_error_drops_what_was_there(void **state)
{
    (void)state;
    struct response response = {0};
    response_header(&response, "ETag", slice_str("1"));
    int released = 0;
    response_borrow(&response, 200, "text/plain", slice_str("x"), release_counts, &released);
    response_error(&response, &request, ERR_NOT_FOUND, "NO_PRODUCT", NULL, NULL);
    assert_int_equal(response.status, 404);
    assert_int_equal(released, 1);
    assert_null(response.borrowed.ptr);
    assert_true(slice_is(buf_slice(&response.headers), "Content-Type: application/json\r\n"));
    buf_release(&response.headers);
    buf_release(&response.body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_methods_are_known_by_their_exact_names),
        cmocka_unit_test(test_header_is_found_in_any_case),
        cmocka_unit_test(test_query_parameter_is_decoded),
        cmocka_unit_test(test_query_parameter_that_is_no_text_is_empty),
        cmocka_unit_test(test_principal_has_its_roles),
        cmocka_unit_test(test_reset_releases_what_was_borrowed_once),
        cmocka_unit_test(test_header_is_a_line),
        cmocka_unit_test(test_error_has_the_one_shape),
        cmocka_unit_test(test_error_carries_details),
        cmocka_unit_test(test_error_is_a_problem_when_asked_for),
        cmocka_unit_test(test_error_drops_what_was_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
