/* Who may ask for the operators' pages, and under which names. */
#include "server/gateway/operators.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static bool knows(const struct operators *operators, const char *host)
{
    return operators_know_host(operators, slice_str(host));
}

static void test_operators_are_known_by_loopback(void **state)
{
    (void)state;
    static const char *const names[] = {"localhost", "LOCALHOST:80",  "localhost.", "a.localhost",
                                        "127.0.0.1", "127.1.2.3:443", "[::1]:8080"};
    struct operators none = {0};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!knows(&none, names[i]))
            fail_msg("%s", names[i]);
    }
}

static void test_operators_are_known_by_nothing_else(void **state)
{
    (void)state;
    static const char *const names[] = {"",
                                        "evil.example",
                                        ".localhost",
                                        "localhost.evil.example",
                                        "evillocalhost",
                                        "128.0.0.1",
                                        "127.0.0.1.evil.example",
                                        "[::2]",
                                        "[::1",
                                        "a b"};
    struct operators none = {0};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (knows(&none, names[i]))
            fail_msg("%s", names[i]);
    }
    assert_false(operators_know_host(&none, slice_of(NULL, 0)));
}

static void test_operators_are_known_by_their_hosts_however_written(void **state)
{
    (void)state;
    struct operators some = {0};
    assert_true(operators_add_host(&some, "Admin.Example."));
    assert_true(operators_add_host(&some, "192.0.2.1"));
    assert_true(operators_add_host(&some, "2001:db8:0::1"));
    assert_true(knows(&some, "ADMIN.example:8080"));
    assert_true(knows(&some, "192.0.2.1:80"));
    assert_true(knows(&some, "[2001:DB8::0:1]:80"));
    assert_false(knows(&some, "192.0.2.2"));
    assert_false(knows(&some, "www.admin.example"));
    operators_release(&some);
}

static void test_operators_on_all_addresses_are_known_by_any(void **state)
{
    (void)state;
    static const char *const wildcards[] = {"0.0.0.0", "::"};
    for (int i = 0; i < 2; i++) {
        struct operators all = {0};
        assert_true(operators_add_host(&all, wildcards[i]));
        assert_true(knows(&all, "192.0.2.1"));
        assert_true(knows(&all, "[2001:db8::1]:80"));
        assert_false(knows(&all, "evil.example"));
        operators_release(&all);
    }
}

static void test_operators_refuse_a_host_that_is_none(void **state)
{
    (void)state;
    struct operators none = {0};
    assert_false(operators_add_host(&none, "a b"));
    assert_int_equal(none.host_count, 0);
    operators_release(&none);
}

static void test_operators_have_the_clients_of_their_networks(void **state)
{
    (void)state;
    char why[128];
    struct operators some = {0};
    assert_true(cidr_list_parse(&some.clients, slice_str("10.0.0.0/8, ::1"), why, sizeof why));
    assert_true(operators_have_client(&some, slice_str("10.1.2.3")));
    assert_true(operators_have_client(&some, slice_str("::1")));
    assert_false(operators_have_client(&some, slice_str("192.0.2.1")));
    operators_release(&some);
}

static void test_operators_take_a_unix_socket_for_loopback(void **state)
{
    (void)state;
    char why[128];
    struct operators some = {0};
    assert_false(operators_have_client(&some, slice_str("")));
    assert_true(cidr_list_parse(&some.clients, slice_str("127.0.0.0/8"), why, sizeof why));
    assert_true(operators_have_client(&some, slice_str("")));
    operators_release(&some);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operators_are_known_by_loopback),
        cmocka_unit_test(test_operators_are_known_by_nothing_else),
        cmocka_unit_test(test_operators_are_known_by_their_hosts_however_written),
        cmocka_unit_test(test_operators_on_all_addresses_are_known_by_any),
        cmocka_unit_test(test_operators_refuse_a_host_that_is_none),
        cmocka_unit_test(test_operators_have_the_clients_of_their_networks),
        cmocka_unit_test(test_operators_take_a_unix_socket_for_loopback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
