/* What a route changes in JSON, without a server. */
#include "server/transform/transform.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#define MANY 50000

static const struct header said_json = {{"Content-Type", 12}, {"application/json", 16}};

static struct transform *make(enum transform_kind kind, const char *text)
{
    char why[200] = "";
    struct transform *transform;
    const struct transform_line line = {kind, text};
    if (transform_create(&line, 1, NULL, &transform, why, sizeof why))
        fail_msg("%s", why);
    return transform;
}

static void assert_changes(const char *rule, const char *before, const char *after)
{
    char why[200];
    struct buf out = BUF_INIT;
    struct transform *transform = make(TRANSFORM_REQUEST_JSON, rule);
    const struct request request = {
        .headers = &said_json, .header_count = 1, .body = slice_str(before)};
    assert_true(transform_changes_body(transform, &request));
    assert_int_equal(transform_body(transform, &request, &out, why, sizeof why), ERR_OK);
    buf_append_char(&out, '\0');
    assert_string_equal(out.data, after);
    buf_release(&out);
    transform_destroy(&transform);
}

static void test_transform_json_keeps_what_is_named_and_nothing_else(void **state)
{
    (void)state;
    assert_changes("keep a, b.c", "{\"a\":{\"x\":1},\"b\":{\"c\":2,\"d\":3},\"e\":4}",
                   "{\"a\":{\"x\":1},\"b\":{\"c\":2}}");
    assert_changes("keep b.c", "{\"b\":\"c\",\"bc\":1,\"b.c\":2}", "{}");
    assert_changes("keep b.c", "[{\"b\":[{\"c\":1,\"d\":2},[{\"c\":3,\"d\":4}],5]},6]",
                   "[{\"b\":[{\"c\":1},[{\"c\":3}]]}]");
    assert_changes("keep a", "17", "17");
}

static void test_transform_json_goes_through_arrays(void **state)
{
    (void)state;
    assert_changes("remove a.b", "{\"a\":[{\"b\":1,\"c\":2},[{\"b\":3}],4]}",
                   "{\"a\":[{\"c\":2},[{}],4]}");
    assert_changes("set a.b {\"x\": [1]}", "{\"a\":[{},{}]}",
                   "{\"a\":[{\"b\":{\"x\":[1]}},{\"b\":{\"x\":[1]}}]}");
}

static void test_transform_json_makes_objects_only_for_values(void **state)
{
    (void)state;
    assert_changes("set a.b.c null", "{}", "{\"a\":{\"b\":{\"c\":null}}}");
    assert_changes("set a.b {user.id}", "{}", "{}");
    assert_changes("remove a.b", "{}", "{}");
    assert_changes("set a.b 1", "{\"a\":\"text\"}", "{\"a\":\"text\"}");
}

static void test_transform_json_renames_within_an_object(void **state)
{
    (void)state;
    assert_changes("rename a.b c", "{\"a\":{\"b\":1,\"c\":2}}", "{\"a\":{\"c\":1}}");
    assert_changes("rename a.b b", "{\"a\":{\"b\":1}}", "{\"a\":{\"b\":1}}");
    assert_changes("rename a.b c", "{\"a\":{\"c\":2}}", "{\"a\":{\"c\":2}}");
}

static void test_transform_json_cuts_large_arrays_at_once(void **state)
{
    (void)state;
    struct buf text = BUF_INIT;
    buf_append_char(&text, '[');
    for (int i = 0; i < MANY; i++)
        buf_append_str(&text, i % 2 ? "1," : "{},");
    buf_append_str(&text, "{\"a\":1,\"b\":2}]");
    char why[200];
    struct buf out = BUF_INIT;
    struct transform *transform = make(TRANSFORM_REQUEST_JSON, "keep a");
    const struct request request = {
        .headers = &said_json, .header_count = 1, .body = buf_slice(&text)};
    assert_int_equal(transform_body(transform, &request, &out, why, sizeof why), ERR_OK);
    assert_int_equal(out.len, MANY / 2 * 3 + strlen("[{\"a\":1}]"));
    buf_release(&out);
    buf_release(&text);
    transform_destroy(&transform);
}

static void test_transform_json_bounds_what_it_adds(void **state)
{
    (void)state;
    char why[200], note[101];
    memset(note, 'x', sizeof note);
    const struct header headers[] = {{{"Content-Type", 12}, {"application/json", 16}},
                                     {{"X-Note", 6}, {note, sizeof note}}};
    struct buf text = BUF_INIT, out = BUF_INIT;
    buf_append_str(&text, "[{}");
    for (int i = 0; i < MANY; i++)
        buf_append_str(&text, ",{}");
    buf_append_str(&text, "]");
    struct transform *transform = make(TRANSFORM_REQUEST_JSON, "set note {header.X-Note}");
    const struct request request = {
        .headers = headers, .header_count = 2, .body = buf_slice(&text)};
    assert_int_equal(transform_body(transform, &request, &out, why, sizeof why),
                     ERR_BODY_TOO_LARGE);
    assert_int_equal(out.len, 0);
    buf_release(&text);
    buf_release(&out);
    transform_destroy(&transform);
}

static void answer(struct response *response, const char *text)
{
    response_reset(response);
    response_json(response, 200);
    buf_append_str(&response->body, text);
}

static void test_transform_json_keeps_back_what_it_cannot_read(void **state)
{
    (void)state;
    static const char *const texts[] = {"{\"a\":1", "{\"a\":1}x", "{\"a\":1,\"a\":2}", "nothing",
                                        "{\"a\":\"\xff\"}"};
    struct transform *transform = make(TRANSFORM_RESPONSE_JSON, "remove a");
    struct response response = {0};
    const struct request request = {.id = "id"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        answer(&response, texts[i]);
        transform_json(transform, &request, &response);
        assert_int_equal(response.status, 502);
    }
    answer(&response, "{\"a\":1,\"b\":2}");
    transform_json(transform, &request, &response);
    assert_int_equal(response.status, 200);
    assert_true(slice_is(response_bytes(&response), "{\"b\":2}"));
    response_reset(&response);
    buf_release(&response.headers);
    buf_release(&response.body);
    transform_destroy(&transform);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transform_json_keeps_what_is_named_and_nothing_else),
        cmocka_unit_test(test_transform_json_goes_through_arrays),
        cmocka_unit_test(test_transform_json_makes_objects_only_for_values),
        cmocka_unit_test(test_transform_json_renames_within_an_object),
        cmocka_unit_test(test_transform_json_cuts_large_arrays_at_once),
        cmocka_unit_test(test_transform_json_bounds_what_it_adds),
        cmocka_unit_test(test_transform_json_keeps_back_what_it_cannot_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
