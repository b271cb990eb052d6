#include "base/ip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char *spelled(const char *text)
{
    static char out[IP_TEXT_SIZE];
    struct in6_addr ip;
    if (!ip_parse(slice_str(text), &ip))
        return "";
    size_t len = ip_format(&ip, out);
    assert_int_equal(len, strlen(out));
    return out;
}

static void test_addresses_of_both_families_have_one_spelling(void **state)
{
    (void)state;
    assert_string_equal(spelled("192.0.2.1"), "192.0.2.1");
    assert_string_equal(spelled("::ffff:192.0.2.1"), "192.0.2.1");
    assert_string_equal(spelled("::FFFF:c000:201"), "192.0.2.1");
    assert_string_equal(spelled("2001:DB8:0:0::1"), "2001:db8::1");
    assert_string_equal(spelled("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255"),
                        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
}

static void test_addresses_are_nothing_but_addresses(void **state)
{
    static const char *const texts[] = {
        "",
        "1.2.3",
        "1.2.3.4.5",
        "01.2.3.4",
        "1.2.3.256",
        "1.2.3.4:80",
        "1.2.3.4/8",
        "[::1]",
        "::1%lo",
        "::1/128",
        "1::2::3",
        ":::",
        "12345::",
        "localhost",
        "0x7f.1",
        "1.2.3.4 ",
        " ::1",
        "1.2.3.-4",
        "unknown",
        "_x",
        "1,2",
        "::00001",
        "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.2555",
    };
    struct in6_addr ip;
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (ip_parse(slice_str(texts[i]), &ip))
            fail_msg("%s is taken", texts[i]);
    }
    assert_false(ip_parse(slice_of("::1\0", 4), &ip));
}

static void test_a_client_is_an_ipv4_address_or_an_ipv6_64(void **state)
{
    struct in6_addr ip, network;
    char out[IP_TEXT_SIZE];
    (void)state;
    assert_true(ip_parse(slice_str("192.0.2.1"), &ip));
    network = ip_network(&ip);
    assert_memory_equal(&network, &ip, sizeof ip);
    assert_true(ip_parse(slice_str("2001:db8:1:2:3:4:5:6"), &ip));
    network = ip_network(&ip);
    ip_format(&network, out);
    assert_string_equal(out, "2001:db8:1:2::");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_of_both_families_have_one_spelling),
        cmocka_unit_test(test_addresses_are_nothing_but_addresses),
        cmocka_unit_test(test_a_client_is_an_ipv4_address_or_an_ipv6_64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
