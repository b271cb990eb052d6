#include "base/cidr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

static struct cidr_list list;
static char why[128];

static int clear(void **state)
{
    (void)state;
    cidr_list_release(&list);
    return 0;
}

static void parse(const char *text)
{
    if (!cidr_list_parse(&list, slice_str(text), why, sizeof why))
        fail_msg("%s: %s", text, why);
}

static bool has(const char *address)
{
    struct in6_addr ip;
    assert_true(ip_parse(slice_str(address), &ip));
    return cidr_list_has(&list, &ip);
}

static void test_list_has_what_its_networks_have(void **state)
{
    (void)state;
    parse("10.0.0.0/8, ::1,fc00::/7 ,192.0.2.128/25");
    assert_true(has("10.255.0.1") && has("::1") && has("fdff::1"));
    assert_true(has("192.0.2.128") && has("192.0.2.255") && has("::ffff:10.0.0.1"));
    assert_false(has("11.0.0.0") || has("9.255.255.255") || has("::2") || has("fe00::"));
    assert_false(has("192.0.2.127") || has("192.0.3.128"));
}

static void test_empty_list_has_nobody(void **state)
{
    (void)state;
    assert_false(has("127.0.0.1") || has("::1"));
}

static void test_list_grows_with_each_parse(void **state)
{
    (void)state;
    parse("192.0.2.1");
    parse("2001:db8::/32");
    assert_true(has("192.0.2.1") && has("2001:db8:ffff::1"));
    assert_false(has("192.0.2.2"));
}

static void test_names_stand_for_sets(void **state)
{
    (void)state;
    parse("loopback");
    assert_true(has("127.0.0.1") && has("127.255.255.255") && has("::1"));
    assert_false(has("10.0.0.1"));
    parse("private");
    assert_true(has("10.0.0.1") && has("172.31.0.1") && has("192.168.1.1") && has("169.254.1.1"));
    assert_true(has("fd00::1") && has("fe80::1"));
    assert_false(has("172.32.0.1") || has("192.169.0.1") || has("2001:db8::1"));
}

static void test_families_do_not_mix(void **state)
{
    (void)state;
    parse("::/0");
    assert_true(has("::") && has("ffff::"));
    assert_false(has("0.0.0.0") || has("192.0.2.1"));
    parse("0.0.0.0/0");
    assert_true(has("192.0.2.1"));
}

static void test_an_ipv4_network_may_be_written_as_ipv6(void **state)
{
    (void)state;
    parse("::ffff:10.0.0.0/104");
    assert_true(has("10.1.2.3"));
    assert_false(has("11.0.0.0"));
}

static void test_what_is_no_network_is_refused_with_a_reason(void **state)
{
    static const char *const texts[] = {
        "",
        ",",
        "10.0.0.0/8,",
        "10.0.0.0/33",
        "10.0.0.0/",
        "10.0.0.0/a",
        "10.0.0/8",
        "10.0.0.1/8",
        "::1/127",
        "::/129",
        "10.0.0.0/-1",
        "10.0.0.0/8/8",
        "localhost",
        "10.0.0.0 /8",
        "::ffff:10.0.0.0/90",
        "[::1]",
        "10.0.0.0/08",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        why[0] = '\0';
        if (cidr_list_parse(&list, slice_str(texts[i]), why, sizeof why))
            fail_msg("%s is taken", texts[i]);
        assert_int_equal(why[0], '"');
    }
    assert_string_equal(why, "\"10.0.0.0/08\" has no prefix length that fits its address");
}

static void test_list_is_bounded(void **state)
{
    (void)state;
    for (int i = 0; i < CIDR_LIST_MAX; i++)
        parse("192.0.2.1");
    assert_false(cidr_list_parse(&list, slice_str("192.0.2.1"), why, sizeof why));
}

/* The same question, bit by bit. */
static bool bits_agree(struct in6_addr a, struct in6_addr b, unsigned bits)
{
    for (unsigned i = 0; i < bits; i++) {
        if (((a.s6_addr[i / 8] ^ b.s6_addr[i / 8]) >> (7 - i % 8)) & 1)
            return false;
    }
    return true;
}

static void test_any_network_has_what_shares_its_prefix(void **state)
{
    (void)state;
    srand(1);
    for (int round = 0; round < 20000; round++) {
        unsigned bits = (unsigned)rand() % 129;
        struct in6_addr network = IN6ADDR_ANY_INIT, ip;
        char text[IP_TEXT_SIZE + 8], address[IP_TEXT_SIZE];
        for (unsigned i = 0; i < bits; i++)
            network.s6_addr[i / 8] |= (uint8_t)((rand() & 1) << (7 - i % 8));
        ip = network;
        ip.s6_addr[rand() % 16] ^= (uint8_t)(1 << rand() % 8);
        ip_format(&network, address);
        snprintf(text, sizeof text, "%s/%u", address, bits);
        parse(text);
        assert_int_equal(cidr_list_has(&list, &ip), bits_agree(network, ip, bits));
        cidr_list_release(&list);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_list_has_what_its_networks_have, clear),
        cmocka_unit_test_teardown(test_empty_list_has_nobody, clear),
        cmocka_unit_test_teardown(test_list_grows_with_each_parse, clear),
        cmocka_unit_test_teardown(test_names_stand_for_sets, clear),
        cmocka_unit_test_teardown(test_families_do_not_mix, clear),
        cmocka_unit_test_teardown(test_an_ipv4_network_may_be_written_as_ipv6, clear),
        cmocka_unit_test_teardown(test_what_is_no_network_is_refused_with_a_reason, clear),
        cmocka_unit_test_teardown(test_list_is_bounded, clear),
        cmocka_unit_test_teardown(test_any_network_has_what_shares_its_prefix, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
