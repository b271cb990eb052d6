#include "server/http/forwarded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#define PROXY "10.0.0.1" /* trusted, as all of 10.0.0.0/8 and ::1 are */

static struct cidr_list trusted;
static struct header headers[HEADERS_MAX];
static unsigned header_count;
static struct forwarded found;

static int trust_proxies(void **state)
{
    (void)state;
    char why[128];
    return !cidr_list_parse(&trusted, slice_str("10.0.0.0/8, ::1"), why, sizeof why);
}

static int release(void **state)
{
    (void)state;
    cidr_list_release(&trusted);
    return 0;
}

static int no_headers(void **state)
{
    (void)state;
    header_count = 0;
    return 0;
}

static void add(const char *name, const char *value)
{
    headers[header_count++] = (struct header){slice_str(name), slice_str(value)};
}

static enum err read_from(const char *peer)
{
    struct in6_addr ip;
    assert_true(ip_parse(slice_str(peer), &ip));
    return forwarded_read(headers, header_count, &ip, &trusted, &found);
}

static const char *client(void)
{
    static char text[IP_TEXT_SIZE];
    ip_format(&found.client, text);
    return text;
}

/* The client that one Forwarded, or one X-Forwarded-For, behind a proxy leads to. */
static const char *client_of(const char *name, const char *value)
{
    header_count = 0;
    add(name, value);
    enum err err = read_from(PROXY);
    return err == ERR_OK ? client() : err_code(err);
}

#define FORWARDED(value) client_of("Forwarded", value)
#define XFF(value)       client_of("X-Forwarded-For", value)
#define MALFORMED        "MALFORMED_REQUEST"

static void test_a_peer_that_is_not_trusted_is_the_client(void **state)
{
    (void)state;
    add("Forwarded", "for=192.0.2.9;proto=https;host=evil.example");
    add("X-Forwarded-For", "192.0.2.9");
    add("X-Forwarded-Proto", "https");
    assert_int_equal(read_from("203.0.113.7"), ERR_OK);
    assert_string_equal(client(), "203.0.113.7");
    assert_false(found.proto_said);
    assert_int_equal(found.host.len, 0);
}

static void test_a_trusted_peer_without_fields_is_the_client(void **state)
{
    (void)state;
    assert_int_equal(read_from(PROXY), ERR_OK);
    assert_string_equal(client(), PROXY);
    assert_string_equal(FORWARDED(""), PROXY);
    assert_string_equal(XFF(" , ,"), PROXY);
}

static void test_the_nearest_untrusted_address_counts(void **state)
{
    (void)state;
    assert_string_equal(XFF("203.0.113.7"), "203.0.113.7");
    assert_string_equal(XFF("192.0.2.9, 203.0.113.7"), "203.0.113.7");
    assert_string_equal(XFF("192.0.2.9, 203.0.113.7, 10.0.0.2"), "203.0.113.7");
    assert_string_equal(XFF("10.0.0.3, 203.0.113.7, 10.0.0.2"), "203.0.113.7");
    assert_string_equal(FORWARDED("for=192.0.2.9, for=203.0.113.7, for=10.0.0.2"), "203.0.113.7");
}

static void test_where_all_are_trusted_the_outermost_counts(void **state)
{
    (void)state;
    assert_string_equal(XFF("10.0.0.3, 10.0.0.2"), "10.0.0.3");
    assert_string_equal(FORWARDED("for=10.0.0.3, for=\"[::1]\""), "10.0.0.3");
}

static void test_what_a_client_made_up_is_not_looked_at(void **state)
{
    (void)state;
    assert_string_equal(XFF("rubbish, 999.1.1.1, 203.0.113.7"), "203.0.113.7");
    assert_string_equal(FORWARDED("for=rubbish;for=twice, for=203.0.113.7"), "203.0.113.7");
    assert_string_equal(XFF("127.0.0.1, 203.0.113.7"), "203.0.113.7");
}

static void test_several_fields_are_one_list(void **state)
{
    (void)state;
    add("X-Forwarded-For", "192.0.2.9");
    add("Accept", "*/*");
    add("x-forwarded-for", "203.0.113.7, 10.0.0.3");
    add("X-Forwarded-For", "10.0.0.2");
    assert_int_equal(read_from(PROXY), ERR_OK);
    assert_string_equal(client(), "203.0.113.7");
}

static void test_addresses_may_carry_ports(void **state)
{
    (void)state;
    assert_string_equal(XFF("203.0.113.7:4711"), "203.0.113.7");
    assert_string_equal(XFF("2001:db8::7"), "2001:db8::7");
    assert_string_equal(XFF("[2001:db8::7]"), "2001:db8::7");
    assert_string_equal(XFF("[2001:db8::7]:4711"), "2001:db8::7");
    assert_string_equal(FORWARDED("for=\"[2001:db8::7]:4711\""), "2001:db8::7");
    assert_string_equal(FORWARDED("for=\"203.0.113.7:_hidden\""), "203.0.113.7");
    assert_string_equal(FORWARDED("For=\"203.0.113.7\""), "203.0.113.7");
}

static void test_a_mapped_address_is_the_ipv4_address(void **state)
{
    (void)state;
    assert_string_equal(XFF("203.0.113.7, ::ffff:10.0.0.2"), "203.0.113.7");
}

static void test_what_is_no_address_where_one_is_believed_is_refused(void **state)
{
    static const char *const nodes[] = {
        "rubbish",     "1.2.3",        "1.2.3.4:",   "1.2.3.4:x", "1.2.3.4:123456", "[::1",
        "[::1]x",      "[1.2.3.4]",    "[::1]:",     "::1]",      "1.2.3.4/8",      "1.2.3.4 5",
        "[::1]:80:80", "1.2.3.4:80:1", "fe80::1%lo", "[]",        "[]:80",
    };
    (void)state;
    char text[64];
    for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++) {
        assert_string_equal(XFF(nodes[i]), MALFORMED);
        snprintf(text, sizeof text, "for=\"%s\"", nodes[i]);
        assert_string_equal(FORWARDED(text), MALFORMED);
    }
}

static void test_a_hidden_address_ends_the_walk(void **state)
{
    (void)state;
    assert_string_equal(FORWARDED("for=192.0.2.9, for=unknown"), PROXY);
    assert_string_equal(FORWARDED("for=192.0.2.9, for=_secret"), PROXY);
    assert_string_equal(FORWARDED("for=192.0.2.9, for=\"_secret:_port\""), PROXY);
    assert_string_equal(FORWARDED("for=192.0.2.9, for=\"Unknown:80\""), PROXY);
    assert_string_equal(FORWARDED("for=192.0.2.9, for=_x, for=10.0.0.2"), "10.0.0.2");
    assert_string_equal(FORWARDED("for=192.0.2.9, proto=https"), PROXY);
    assert_string_equal(XFF("192.0.2.9, unknown"), PROXY);
}

static void test_syntax_that_cannot_be_read_is_refused(void **state)
{
    static const char *const values[] = {
        "for",
        "=192.0.2.1",
        "for=",
        "for=\"\"",
        "for = 192.0.2.1",
        "for=\"1.2.3.4",
        "for=1.2.3.4\"",
        "for=1.2.3.4;;for=1.2.3.4",
        "for=\"1.2.3\\.4\"",
        "for=\"1.2.3.4\"x",
        "proto=ftp",
        "proto=",
        "host=a/b",
        "host=\"a:x\"",
        "host=a;host=a",
        "by",
        "for=1.2.3.4;FOR=1.2.3.4",
        "\"for=1.2.3.4\"",
    };
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (strcmp(FORWARDED(values[i]), MALFORMED) != 0)
            fail_msg("%s is taken", values[i]);
}

/* A client's open quote would swallow what the proxy wrote behind it. */
static void test_quotes_do_not_hide_what_a_proxy_wrote(void **state)
{
    (void)state;
    assert_string_equal(FORWARDED("for=\"192.0.2.9, for=203.0.113.7"), MALFORMED);
    assert_string_equal(FORWARDED("a=\"b\\, for=\"[2001:db8::7]\""), MALFORMED);
    assert_string_equal(FORWARDED("a=\"b, for=192.0.2.9\", for=203.0.113.7"), "203.0.113.7");
    add("Forwarded", "for=\"192.0.2.9");
    add("Forwarded", "\";for=203.0.113.7");
    assert_int_equal(read_from(PROXY), ERR_MALFORMED);
}

static void test_proto_and_host_are_the_outermost_trusted_proxys(void **state)
{
    (void)state;
    add("Forwarded", "for=192.0.2.9;proto=http;host=evil.example");
    add("Forwarded", "for=203.0.113.7; proto=HTTPS; host=\"shop.example:8443\";by=10.0.0.2");
    add("Forwarded", "for=10.0.0.2;proto=http");
    assert_int_equal(read_from(PROXY), ERR_OK);
    assert_true(found.proto_said && found.https);
    assert_true(slice_is(found.host, "shop.example:8443"));
}

static void test_x_fields_go_side_by_side(void **state)
{
    (void)state;
    add("X-Forwarded-For", "192.0.2.9, 203.0.113.7, 10.0.0.2");
    add("X-Forwarded-Proto", "http, https, http");
    add("X-Forwarded-Host", "evil.example, shop.example, inner");
    assert_int_equal(read_from(PROXY), ERR_OK);
    assert_string_equal(client(), "203.0.113.7");
    assert_true(found.https);
    assert_true(slice_is(found.host, "shop.example"));
}

static void test_one_x_proto_speaks_for_the_whole_way(void **state)
{
    (void)state;
    add("X-Forwarded-For", "203.0.113.7, 10.0.0.2");
    add("X-Forwarded-Proto", "wss");
    assert_int_equal(read_from(PROXY), ERR_OK);
    assert_string_equal(client(), "203.0.113.7");
    assert_true(found.proto_said && found.https);
    no_headers(NULL);
    add("X-Forwarded-Proto", "http");
    assert_int_equal(read_from(PROXY), ERR_OK);
    assert_true(found.proto_said && !found.https);
    assert_string_equal(client(), PROXY);
}

/* A spoofed proto stands left of what the proxy added. */
static void test_x_proto_is_read_from_the_right(void **state)
{
    (void)state;
    add("X-Forwarded-For", "203.0.113.7");
    add("X-Forwarded-Proto", "https, http");
    assert_int_equal(read_from(PROXY), ERR_OK);
    assert_true(found.proto_said && !found.https);
    no_headers(NULL);
    add("X-Forwarded-Proto", "gopher");
    assert_int_equal(read_from(PROXY), ERR_MALFORMED);
}

static void test_both_kinds_may_agree(void **state)
{
    (void)state;
    add("Forwarded", "for=203.0.113.7;host=Shop.example");
    add("X-Forwarded-For", "192.0.2.9, 203.0.113.7");
    add("X-Forwarded-Proto", "https");
    add("X-Forwarded-Host", "shop.example");
    assert_int_equal(read_from(PROXY), ERR_OK);
    assert_string_equal(client(), "203.0.113.7");
    assert_true(found.https);
    assert_true(slice_is(found.host, "Shop.example"));
}

/* A proxy that writes one kind hands the other on as the client made it up. */
static void test_both_kinds_must_not_contradict_each_other(void **state)
{
    static const char *const contradictions[][4] = {
        {"Forwarded", "for=192.0.2.9", "X-Forwarded-For", "203.0.113.7"},
        {"Forwarded", "for=203.0.113.7", "X-Forwarded-For", "192.0.2.9"},
        {"Forwarded", "proto=https", "X-Forwarded-For", "203.0.113.7"},
        {"Forwarded", "for=_hidden", "X-Forwarded-For", "203.0.113.7"},
        {"Forwarded", "for=203.0.113.7;proto=https", "X-Forwarded-Proto", "http"},
        {"Forwarded", "for=203.0.113.7;host=a", "X-Forwarded-Host", "b"},
        {"Forwarded", "for=203.0.113.7;host=a", "X-Forwarded-Host", "a:1"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof contradictions / sizeof *contradictions; i++) {
        no_headers(NULL);
        add(contradictions[i][0], contradictions[i][1]);
        add(contradictions[i][2], contradictions[i][3]);
        if (read_from(PROXY) != ERR_MALFORMED)
            fail_msg("%s with %s is taken", contradictions[i][1], contradictions[i][3]);
    }
}

static void test_believed_hops_are_bounded(void **state)
{
    char text[2000] = "203.0.113.7";
    (void)state;
    for (int i = 1; i < FORWARDED_HOPS_MAX; i++)
        strcat(text, ", 10.0.0.2");
    assert_string_equal(XFF(text), "203.0.113.7");
    strcat(text, ", 10.0.0.2");
    assert_string_equal(XFF(text), MALFORMED);
    strcat(text, ", 192.0.2.1"); /* what is not believed may be as long as a head may */
    assert_string_equal(XFF(text), "192.0.2.1");
}

/* Whatever stands left of what the proxy added: the client is the one it names, or the request is
 * refused. */
static void test_any_prefix_cannot_change_the_client(void **state)
{
    static const char likely[] = "\",;=\\ :[]_for1.2.3.4:unknownproto=httpshost";
    (void)state;
    srand(1);
    char text[128];
    for (int round = 0; round < 200000; round++) {
        bool standard = round % 2;
        size_t len = (size_t)rand() % 40;
        for (size_t i = 0; i < len; i++)
            text[i] = likely[(size_t)rand() % (sizeof likely - 1)];
        strcpy(text + len, standard ? ", for=\"[2001:db8::7]:80\";proto=https" : ", 2001:db8::7");
        const char *got = standard ? FORWARDED(text) : XFF(text);
        if (strcmp(got, "2001:db8::7") != 0 && strcmp(got, MALFORMED) != 0)
            fail_msg("%s leads to %s", text, got);
    }
}

static void test_any_bytes_are_survived(void **state)
{
    static const char *const seed = "for=10.0.0.3;proto=https;host=a:1, for=\"[::1]:80\";by=_x";
    (void)state;
    srand(2);
    for (int round = 0; round < 200000; round++) {
        size_t len = (size_t)rand() % strlen(seed) + 1;
        char *text = malloc(len);
        memcpy(text, seed, len);
        for (int change = rand() % 5; change > 0; change--)
            text[(size_t)rand() % len] = (char)rand();
        headers[0] = (struct header){slice_str(round % 2 ? "Forwarded" : "X-Forwarded-For"),
                                     slice_of(text, len)};
        header_count = 1;
        (void)read_from(PROXY);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_peer_that_is_not_trusted_is_the_client, no_headers),
        cmocka_unit_test_setup(test_a_trusted_peer_without_fields_is_the_client, no_headers),
        cmocka_unit_test(test_the_nearest_untrusted_address_counts),
        cmocka_unit_test(test_where_all_are_trusted_the_outermost_counts),
        cmocka_unit_test(test_what_a_client_made_up_is_not_looked_at),
        cmocka_unit_test_setup(test_several_fields_are_one_list, no_headers),
        cmocka_unit_test(test_addresses_may_carry_ports),
        cmocka_unit_test(test_a_mapped_address_is_the_ipv4_address),
        cmocka_unit_test(test_what_is_no_address_where_one_is_believed_is_refused),
        cmocka_unit_test(test_a_hidden_address_ends_the_walk),
        cmocka_unit_test(test_syntax_that_cannot_be_read_is_refused),
        cmocka_unit_test_setup(test_quotes_do_not_hide_what_a_proxy_wrote, no_headers),
        cmocka_unit_test_setup(test_proto_and_host_are_the_outermost_trusted_proxys, no_headers),
        cmocka_unit_test_setup(test_x_fields_go_side_by_side, no_headers),
        cmocka_unit_test_setup(test_one_x_proto_speaks_for_the_whole_way, no_headers),
        cmocka_unit_test_setup(test_x_proto_is_read_from_the_right, no_headers),
        cmocka_unit_test_setup(test_both_kinds_may_agree, no_headers),
        cmocka_unit_test_setup(test_both_kinds_must_not_contradict_each_other, no_headers),
        cmocka_unit_test(test_believed_hops_are_bounded),
        cmocka_unit_test(test_any_prefix_cannot_change_the_client),
        cmocka_unit_test(test_any_bytes_are_survived),
    };
    return cmocka_run_group_tests(tests, trust_proxies, release);
}
