#include "server/http/condition.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct header fields[] = {
    {{"x-beta", 6}, {"yes", 3}},
    {{"X-Beta", 6}, {"later", 5}},
    {{"Empty", 5}, {"", 0}},
};

static bool holds(enum condition_kind kind, const char *text, const struct request *request)
{
    struct condition condition;
    char why[200] = "";
    if (!condition_parse(kind, slice_str(text), &condition, why, sizeof why))
        fail_msg("%s: %s", text, why);
    bool held = condition_holds(&condition, request);
    condition_release(&condition);
    return held;
}

static void test_condition_of_a_header_asks_any_field_of_the_name(void **state)
{
    (void)state;
    struct request request = {.headers = fields, .header_count = 3};
    static const char *const good[] = {
        "X-Beta", "X-BETA: yes", "X-Beta:later", "X-Beta: la*", "Empty",
        "Empty:", "X-Beta: *",   "!X-Alpha",     "Empty: *"};
    for (unsigned i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(holds(CONDITION_HEADER, good[i], &request));
    static const char *const bad[] = {"X-Alpha", "X-Beta: Yes",  "X-Beta: ye", "X-Beta: ter*",
                                      "!X-Beta", "X-Alpha: yes", "X-Alpha:",   "X-Alpha: *"};
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(holds(CONDITION_HEADER, bad[i], &request));
}

static void test_condition_of_a_query_compares_what_is_decoded(void **state)
{
    (void)state;
    struct request request = {.query = slice_str("debug=1&name=a%20b&flag&x=%zz")};
    static const char *const good[] = {"debug", "debug=1", "name=a b", "name=a*",
                                       "flag",  "flag=",   "!other",   "x"};
    for (unsigned i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(holds(CONDITION_QUERY, good[i], &request));
    static const char *const bad[] = {"debug=2", "!debug", "name=a%20b", "other", "x=%zz"};
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(holds(CONDITION_QUERY, bad[i], &request));
}

static const char *device_of(const char *agent)
{
    struct header header = {slice_str("User-Agent"), slice_str(agent)};
    return request_device(&(struct request){.headers = &header, .header_count = 1});
}

static void test_condition_of_a_device_looks_at_what_the_client_says(void **state)
{
    (void)state;
    assert_string_equal(device_of("Mozilla/5.0 (X11; Linux x86_64) Firefox/128"), "desktop");
    assert_string_equal(device_of("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0) Mobile/15E"), "mobile");
    assert_string_equal(device_of("Mozilla/5.0 (Linux; Android 14) Mobile Safari"), "mobile");
    assert_string_equal(device_of("Mozilla/5.0 (Linux; Android 14) Safari"), "tablet");
    assert_string_equal(device_of("Googlebot/2.1"), "bot");
    struct request request = {0};
    assert_true(holds(CONDITION_DEVICE, "mobile, desktop", &request));
    assert_false(holds(CONDITION_DEVICE, "mobile,tablet", &request));
}

static bool is_version(const char *name, const char *value, const char *query, const char *wanted)
{
    struct header header = {slice_str(name), slice_str(value)};
    struct request request = {.headers = &header, .header_count = 1, .query = slice_str(query)};
    return holds(CONDITION_VERSION, wanted, &request);
}

static void test_condition_of_a_version_reads_header_media_type_and_query(void **state)
{
    (void)state;
    assert_true(is_version("API-Version", "2", "", "2"));
    assert_true(is_version("API-Version", "v2", "", "1, 2"));
    assert_true(is_version("Accept", "application/vnd.shop.v2+json", "", "v2"));
    assert_true(is_version("Accept", "text/html, application/json; version=2", "", "2"));
    assert_true(is_version("Host", "a", "a=b&api-version=2", "2"));
    assert_true(is_version("API-Version", "2024-05-01", "", "2024-05-01"));
    assert_false(is_version("API-Version", "2", "api-version=1", "1"));
    assert_false(is_version("Accept", "application/vnd.shop.v21+json", "", "2"));
    assert_false(is_version("Accept", "application/json, */*", "", "2"));
    assert_false(is_version("Host", "a", "", "2"));
}

static void test_condition_of_a_client_knows_networks(void **state)
{
    (void)state;
    struct request request = {.address = slice_str("10.1.2.3")};
    assert_true(holds(CONDITION_CLIENT, "10.0.0.0/8, ::1", &request));
    assert_false(holds(CONDITION_CLIENT, "10.2.0.0/16", &request));
    request.address = slice_of(NULL, 0); /* a Unix socket */
    assert_true(holds(CONDITION_CLIENT, "loopback", &request));
}

static void test_condition_refuses_what_is_none(void **state)
{
    (void)state;
    static const struct {
        enum condition_kind kind;
        const char *text;
    } wrong[] = {{CONDITION_HEADER, ""},        {CONDITION_HEADER, ": x"},
                 {CONDITION_HEADER, "a b: c"},  {CONDITION_HEADER, "!a: b"},
                 {CONDITION_QUERY, "=1"},       {CONDITION_QUERY, "!"},
                 {CONDITION_DEVICE, "toaster"}, {CONDITION_DEVICE, "mobile,"},
                 {CONDITION_VERSION, ""},       {CONDITION_CLIENT, "10.0.0.1/8"}};
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct condition condition;
        char why[200] = "";
        assert_false(
            condition_parse(wrong[i].kind, slice_str(wrong[i].text), &condition, why, sizeof why));
        assert_string_not_equal(why, "");
        condition_release(&condition);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_condition_of_a_header_asks_any_field_of_the_name),
        cmocka_unit_test(test_condition_of_a_query_compares_what_is_decoded),
        cmocka_unit_test(test_condition_of_a_device_looks_at_what_the_client_says),
        cmocka_unit_test(test_condition_of_a_version_reads_header_media_type_and_query),
        cmocka_unit_test(test_condition_of_a_client_knows_networks),
        cmocka_unit_test(test_condition_refuses_what_is_none),
    };
    return cmocka_run_group_tests_name("condition", tests, NULL, NULL);
}
