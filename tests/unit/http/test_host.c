#include "server/http/host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

static struct host host;

static bool parse(const char *text)
{
    return host_parse(slice_str(text), &host);
}

static const char *normal(const char *text)
{
    static char out[HOST_NAME_MAX + 1];
    assert_true(parse(text));
    size_t len = host_normalise(&host, out);
    assert_int_equal(len, strlen(out));
    return out;
}

static void test_host_is_a_name_and_perhaps_a_port(void **state)
{
    (void)state;
    assert_true(parse("shop.example"));
    assert_true(slice_is(host.name, "shop.example"));
    assert_int_equal(host.port, 0);
    assert_true(parse("a_b-c.example.:65535"));
    assert_true(slice_is(host.name, "a_b-c.example."));
    assert_int_equal(host.port, 65535);
    assert_true(parse("192.0.2.1:1"));
    assert_false(host.ipv6);
    assert_int_equal(host.port, 1);
}

static void test_host_takes_ipv6_in_brackets(void **state)
{
    (void)state;
    assert_true(parse("[::1]"));
    assert_true(host.ipv6);
    assert_true(slice_is(host.name, "::1"));
    assert_int_equal(host.port, 0);
    assert_true(parse("[2001:DB8::1]:443"));
    assert_int_equal(host.port, 443);
    assert_true(parse("[::ffff:192.0.2.1]:80"));
}

static void test_host_refuses_everything_else(void **state)
{
    static const char *const texts[] = {
        "",          ":80",       "a:",        "a:x",     "a:1:2",      "a:80 ",     "a: 80",
        "a:+80",     "a:080",     "a:0",       "a:65536", "a:100000",   "a:8e1",     "::1",
        "[::1",      "::1]",      "[]",        "[]:80",   "[::1]80",    "[::1]:",    "[::1]:x",
        "[::1]]",    "[[::1]]",   "[1.2.3.4]", "[a]",     "[::1%eth0]", "[v1.a]",    "[::1]:1:2",
        "[1::2::3]", "a b",       "a/b",       "a@b",     "a%41",       "a,b",       ".",
        ".a",        "a..b",      "a..",       "a;b",     "a\"b",       "b\xC3\xBC", "a\\b",
        "a:\xB2",    "[::1]\t:1", " a",        "a?",      "a#",         "[::00001]",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (parse(texts[i]))
            fail_msg("%s is taken", texts[i]);
    }
    assert_false(host_parse(slice_of("a\0b", 3), &host));
    assert_false(host_parse(slice_of("[::1\0]", 6), &host));
}

static void test_host_bounds_the_name(void **state)
{
    (void)state;
    char text[HOST_NAME_MAX + 2];
    memset(text, 'a', sizeof text);
    assert_true(host_parse(slice_of(text, HOST_NAME_MAX), &host));
    assert_false(host_parse(slice_of(text, HOST_NAME_MAX + 1), &host));
    text[0] = '[';
    memset(text + 1, '0', sizeof text - 1);
    text[HOST_NAME_MAX] = ']';
    assert_false(host_parse(slice_of(text, HOST_NAME_MAX + 1), &host));
}

static void test_spellings_of_one_host_normalise_to_the_same(void **state)
{
    (void)state;
    assert_string_equal(normal("Shop.EXAMPLE.:80"), "shop.example");
    assert_string_equal(normal("shop.example"), "shop.example");
    assert_string_equal(normal("[0:0:0:0:0:0:0:1]:80"), "[::1]");
    assert_string_equal(normal("[2001:DB8:0::A]"), "[2001:db8::a]");
    assert_string_equal(normal("192.0.2.1"), "192.0.2.1");
}

/* Whatever the bytes are: what is taken is made of the parts it came from. */
static void check_random(char *text, size_t len)
{
    if (!host_parse(slice_of(text, len), &host))
        return;
    char out[HOST_NAME_MAX + 1];
    size_t size = host_normalise(&host, out);
    assert_true(host.name.ptr >= text && host.name.ptr + host.name.len <= text + len);
    assert_true(host_parse(slice_of(out, size), &host));
    char again[HOST_NAME_MAX + 1];
    assert_int_equal(host_normalise(&host, again), size);
    assert_memory_equal(out, again, size);
}

static void test_host_survives_any_bytes(void **state)
{
    static const char *const seeds[] = {"shop.example:8080", "[2001:db8::1]:443", "192.0.2.1:80"};
    static const char likely[] = "[]:.%0129afZ-\0";
    (void)state;
    srand(1);
    for (int round = 0; round < 200000; round++) {
        const char *seed = seeds[round % 3];
        size_t len = strlen(seed);
        char *text = malloc(len); /* exactly as long: a sanitizer sees what reads beyond */
        memcpy(text, seed, len);
        for (int change = rand() % 4; change >= 0; change--)
            text[(size_t)rand() % len] = likely[(size_t)rand() % sizeof likely];
        check_random(text, (size_t)rand() % (len + 1));
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_host_is_a_name_and_perhaps_a_port),
        cmocka_unit_test(test_host_takes_ipv6_in_brackets),
        cmocka_unit_test(test_host_refuses_everything_else),
        cmocka_unit_test(test_host_bounds_the_name),
        cmocka_unit_test(test_spellings_of_one_host_normalise_to_the_same),
        cmocka_unit_test(test_host_survives_any_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
