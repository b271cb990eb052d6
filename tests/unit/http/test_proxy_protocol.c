#include "server/http/proxy_protocol.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#define SIGNATURE   "\r\n\r\n\0\r\nQUIT\n"
#define TCP4        "\xC0\0\2\1\xC6\x33\x64\1\x12\x67\x01\xBB"
#define BYTES(text) slice_of(text, sizeof(text) - 1)

static struct proxy_header header;

static const char *spelled(const struct in6_addr *ip)
{
    static char text[IP_TEXT_SIZE];
    ip_format(ip, text);
    return text;
}

/* Parses a header that comes byte by byte, with something behind it. */
static enum err parse(struct slice bytes)
{
    char *all = malloc(bytes.len + 4);
    memcpy(all, bytes.ptr, bytes.len);
    memcpy(all + bytes.len, "GET ", 4);
    enum err err = ERR_OK;
    header.size = 0;
    for (size_t len = 0; len <= bytes.len + 4 && !err && header.size == 0; len++)
        err = proxy_header_parse(slice_of(all, len), &header);
    free(all);
    return err;
}

static void assert_whole(struct slice bytes)
{
    assert_int_equal(parse(bytes), ERR_OK);
    assert_int_equal(header.size, bytes.len);
}

static void assert_refused(struct slice bytes)
{
    if (parse(bytes) != ERR_MALFORMED)
        fail_msg("%.*s is taken", SLICE_ARG(bytes));
}

static void test_v1_names_both_ends(void **state)
{
    (void)state;
    assert_whole(slice_str("PROXY TCP4 192.0.2.1 198.51.100.1 4711 443\r\n"));
    assert_true(header.known);
    assert_string_equal(spelled(&header.source), "192.0.2.1");
    assert_string_equal(spelled(&header.destination), "198.51.100.1");
    assert_int_equal(header.source_port, 4711);
    assert_int_equal(header.destination_port, 443);
    assert_whole(slice_str("PROXY TCP6 2001:db8::1 ::1 0 65535\r\n"));
    assert_string_equal(spelled(&header.source), "2001:db8::1");
    assert_int_equal(header.destination_port, 65535);
}

static void test_v1_may_not_know(void **state)
{
    (void)state;
    assert_whole(slice_str("PROXY UNKNOWN\r\n"));
    assert_false(header.known);
    assert_whole(slice_str("PROXY UNKNOWN ffff::1 what ever\r\n"));
    assert_false(header.known);
}

static void test_v1_is_exact(void **state)
{
    static const char *const lines[] = {
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\rX\n",
        "PROXY  TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
        "PROXY TCP4  1.1.1.1 2.2.2.2 1 2\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 -0 2\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 65536 2\r\n",
        "PROXY TCP4 ::1 ::1 1 2\r\n",
        "PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n",
        "PROXY TCP4 1.1.1 2.2.2.2 1 2\r\n",
        "PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n",
        "PROXY tcp4 1.1.1.1 2.2.2.2 1 2\r\n",
        "PROXY UNKNOWNX\r\n",
        "PROXY \r\n",
        "proxy UNKNOWN\r\n",
        "PROXY TCP6 [::1] [::1] 1 2\r\n",
        "PROXYTCP4",
        "GET / HTTP/1.1\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        assert_refused(slice_str(lines[i]));
}

static void test_v1_is_bounded(void **state)
{
    char line[200] = "PROXY UNKNOWN ";
    (void)state;
    memset(line + 14, 'x', sizeof line - 14);
    memcpy(line + 105, "\r\n", 2);
    assert_whole(slice_of(line, 107));
    memset(line + 105, 'x', 2);
    assert_int_equal(proxy_header_parse(slice_of(line, 106), &header), ERR_OK);
    assert_int_equal(header.size, 0);
    assert_int_equal(proxy_header_parse(slice_of(line, 107), &header), ERR_MALFORMED);
}

static void test_v2_names_both_ends(void **state)
{
    (void)state;
    assert_whole(BYTES(SIGNATURE "\x21\x11\0\x0C" TCP4));
    assert_true(header.known);
    assert_string_equal(spelled(&header.source), "192.0.2.1");
    assert_string_equal(spelled(&header.destination), "198.51.100.1");
    assert_int_equal(header.source_port, 4711);
    assert_int_equal(header.destination_port, 443);
    assert_whole(BYTES(SIGNATURE "\x21\x21\0\x24"
                                 "\x20\1\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\1"
                                 "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"
                                 "\0\x50\xFF\xFF"));
    assert_string_equal(spelled(&header.source), "2001:db8::1");
    assert_int_equal(header.source_port, 80);
    assert_int_equal(header.destination_port, 65535);
}

static void test_v2_may_not_know(void **state)
{
    char unix_sockets[16 + 216] = SIGNATURE "\x21\x31\0\xD8";
    (void)state;
    assert_whole(BYTES(SIGNATURE "\x20\0\0\0"));
    assert_false(header.known);
    assert_whole(BYTES(SIGNATURE "\x20\x11\0\x0C" TCP4));
    assert_false(header.known); /* the balancer's own connection, whatever it says */
    assert_whole(BYTES(SIGNATURE "\x20\xFF\0\1?"));
    assert_whole(BYTES(SIGNATURE "\x21\0\0\0"));
    assert_false(header.known);
    assert_whole(slice_of(unix_sockets, sizeof unix_sockets));
    assert_false(header.known);
}

static void test_v2_skips_optional_parts(void **state)
{
    (void)state;
    assert_whole(BYTES(SIGNATURE "\x21\x11\0\x16" TCP4 "\4\0\0"
                                 "\x20\0\4abcd"));
    assert_true(header.known);
    assert_whole(BYTES(SIGNATURE "\x21\0\0\3\5\0\0"));
}

static void test_v2_is_exact(void **state)
{
    (void)state;
    assert_refused(BYTES("\r\n\r\n\0\r\nQUIT\r"));
    assert_refused(BYTES("\r\n\r\nGET / HTTP/1.1"));
    assert_refused(BYTES(SIGNATURE "\x11\x11\0\x0C" TCP4)); /* version 1 */
    assert_refused(BYTES(SIGNATURE "\x22\x11\0\x0C" TCP4)); /* no such command */
    assert_refused(BYTES(SIGNATURE "\x21\x12\0\x0C" TCP4)); /* UDP */
    assert_refused(BYTES(SIGNATURE "\x21\x41\0\x0C" TCP4)); /* no such family */
    assert_refused(BYTES(SIGNATURE "\x21\x21\0\x0C" TCP4)); /* too short for its family */
    assert_refused(BYTES(SIGNATURE "\x21\x11\0\x0B" TCP4));
    assert_refused(BYTES(SIGNATURE "\x21\x11\0\x0D" TCP4 "\4"));
    assert_refused(BYTES(SIGNATURE "\x21\x11\0\x0F" TCP4 "\4\0\1"));
}

static void test_v2_is_bounded(void **state)
{
    char bytes[PROXY_HEADER_MAX] = SIGNATURE "\x20\0\x0F\xF0";
    (void)state;
    assert_whole(slice_of(bytes, sizeof bytes));
    bytes[15] = '\xF1';
    assert_int_equal(proxy_header_parse(slice_of(bytes, 16), &header), ERR_MALFORMED);
}

static bool same(const struct proxy_header *a, const struct proxy_header *b)
{
    return a->known == b->known && memcmp(&a->source, &b->source, sizeof a->source) == 0 &&
           memcmp(&a->destination, &b->destination, sizeof a->source) == 0 &&
           a->source_port == b->source_port && a->destination_port == b->destination_port;
}

static void assert_round_trip(const struct proxy_header *want,
                              void (*write)(struct buf *, const struct proxy_header *))
{
    struct buf out = BUF_INIT;
    write(&out, want);
    assert_whole(buf_slice(&out));
    assert_true(same(&header, want));
    buf_release(&out);
}

static void test_what_is_written_reads_as_the_same(void **state)
{
    static const char *const pairs[][2] = {
        {"192.0.2.1", "198.51.100.1"}, {"2001:db8::1", "::1"}, {"192.0.2.1", "::1"}};
    struct proxy_header want = {0};
    (void)state;
    assert_round_trip(&want, proxy_header_write_v1);
    assert_round_trip(&want, proxy_header_write_v2);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        want = (struct proxy_header){.known = true, .source_port = 65535, .destination_port = 80};
        assert_true(ip_parse(slice_str(pairs[i][0]), &want.source));
        assert_true(ip_parse(slice_str(pairs[i][1]), &want.destination));
        assert_round_trip(&want, proxy_header_write_v1);
        assert_round_trip(&want, proxy_header_write_v2);
    }
}

static void test_any_bytes_are_survived(void **state)
{
    static const char v1[] = "PROXY TCP4 192.0.2.1 198.51.100.1 4711 443\r\n";
    static const char v2[] = SIGNATURE "\x21\x11\0\x16" TCP4 "\4\0\0\x20\0\4abcd";
    (void)state;
    srand(1);
    for (int round = 0; round < 200000; round++) {
        struct slice seed = round % 2 ? BYTES(v1) : BYTES(v2);
        size_t len = (size_t)rand() % seed.len + 1;
        char *bytes = malloc(len);
        memcpy(bytes, seed.ptr, len);
        for (int change = rand() % 3; change > 0; change--)
            bytes[(size_t)rand() % len] = (char)rand();
        if (proxy_header_parse(slice_of(bytes, len), &header) == ERR_OK)
            assert_true(header.size <= len);
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_v1_names_both_ends),
        cmocka_unit_test(test_v1_may_not_know),
        cmocka_unit_test(test_v1_is_exact),
        cmocka_unit_test(test_v1_is_bounded),
        cmocka_unit_test(test_v2_names_both_ends),
        cmocka_unit_test(test_v2_may_not_know),
        cmocka_unit_test(test_v2_skips_optional_parts),
        cmocka_unit_test(test_v2_is_exact),
        cmocka_unit_test(test_v2_is_bounded),
        cmocka_unit_test(test_what_is_written_reads_as_the_same),
        cmocka_unit_test(test_any_bytes_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
