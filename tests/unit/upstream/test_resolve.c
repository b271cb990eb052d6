/* Names, against a name server of this test's own. */
#include "server/upstream/resolve.h"

#include "base/ip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <pthread.h>
#include <unistd.h>

enum { A = 1, CNAME = 5, AAAA = 28, SRV = 33 };

/* What the server knows. Data of SRV: priority weight port target; of CNAME: a name. */
static const struct record {
    const char *name;
    int type;
    uint32_t ttl_s;
    const char *data;
} records[] = {
    {"two.test", A, 300, "10.0.0.2"},
    {"two.test", A, 60, "10.0.0.1"},
    {"two.test", AAAA, 90, "fd00::1"},
    {"alias.test", CNAME, 7, "two.test"},
    {"alias.test", A, 300, "10.0.0.9"},
    {"_http._tcp.test", SRV, 40, "10 5 8080 two.test"},
    {"_http._tcp.test", SRV, 40, "0 1 9090 six.test"},
    {"six.test", AAAA, 20, "fd00::6"},
    {"short.test", A, 300, "cut"}, /* three bytes */
};

static struct {
    int fd;
    pthread_t thread;
    struct sockaddr_in address;
} server;

/* "\3two\4test\0" as "two.test"; returns its length there. */
static size_t read_name(const uint8_t *from, char *out)
{
    size_t at = 0, len = 0;
    while (from[at]) {
        len += (size_t)sprintf(out + len, "%s%.*s", len ? "." : "", from[at], from + at + 1);
        at += from[at] + 1U;
    }
    return at + 1;
}

static size_t write_name(const char *name, uint8_t *out)
{
    size_t at = 0;
    while (*name) {
        size_t len = strcspn(name, ".");
        out[at++] = (uint8_t)len;
        memcpy(out + at, name, len);
        at += len;
        name += len + (name[len] == '.');
    }
    out[at++] = 0;
    return at;
}

static size_t put16(uint8_t *out, unsigned value)
{
    out[0] = (uint8_t)(value >> 8);
    out[1] = (uint8_t)value;
    return 2;
}

static size_t write_data(const struct record *record, uint8_t *out)
{
    unsigned priority, weight, port;
    char target[100];
    if (record->type == A)
        return inet_pton(AF_INET, record->data, out) == 1 ? 4 : 3;
    if (record->type == AAAA)
        return inet_pton(AF_INET6, record->data, out) == 1 ? 16 : 3;
    if (record->type == CNAME)
        return write_name(record->data, out);
    sscanf(record->data, "%u %u %u %99s", &priority, &weight, &port, target);
    put16(out, priority);
    put16(out + 2, weight);
    put16(out + 4, port);
    return 6 + write_name(target, out + 6);
}

static size_t write_record(const struct record *record, uint8_t *out)
{
    size_t at = write_name(record->name, out);
    at += put16(out + at, (unsigned)record->type);
    at += put16(out + at, 1);
    at += put16(out + at, record->ttl_s >> 16);
    at += put16(out + at, record->ttl_s & 0xffff);
    size_t len = write_data(record, out + at + 2);
    put16(out + at, (unsigned)len);
    return at + 2 + len;
}

/* The answer to a query, written behind it; returns the length of both. */
static size_t answer(uint8_t *packet, size_t len)
{
    char name[256];
    size_t end = 12 + read_name(packet + 12, name);
    int type = packet[end] << 8 | packet[end + 1];
    unsigned count = 0;
    len = end + 4; /* without what may follow, EDNS */
    for (size_t i = 0; i < sizeof records / sizeof records[0]; i++) {
        bool asked = records[i].type == type || (records[i].type == CNAME && type == A);
        if (strcmp(records[i].name, name) != 0 || !asked)
            continue;
        len += write_record(&records[i], packet + len);
        count++;
    }
    packet[2] = 0x84; /* an answer, with authority */
    packet[3] = count > 0 ? 0 : 3;
    put16(packet + 6, count);
    put16(packet + 8, 0);
    put16(packet + 10, 0);
    return strcmp(name, "garbage.test") == 0 ? 13 : len;
}

static void *serve(void *arg)
{
    (void)arg;
    uint8_t packet[2048];
    struct sockaddr_in from;
    for (;;) {
        socklen_t from_len = sizeof from;
        ssize_t got = recvfrom(server.fd, packet, 1024, 0, (struct sockaddr *)&from, &from_len);
        if (got < 12)
            return NULL; /* the end of the tests */
        size_t len = answer(packet, (size_t)got);
        sendto(server.fd, packet, len, 0, (struct sockaddr *)&from, from_len);
    }
}

static int begin(void **state)
{
    (void)state;
    socklen_t len = sizeof server.address;
    server.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    server.address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    return bind(server.fd, (struct sockaddr *)&server.address, len) ||
           getsockname(server.fd, (struct sockaddr *)&server.address, &len) ||
           pthread_create(&server.thread, NULL, serve, NULL);
}

static int end(void **state)
{
    (void)state;
    sendto(server.fd, "", 0, 0, (struct sockaddr *)&server.address, sizeof server.address);
    pthread_join(server.thread, NULL);
    return close(server.fd);
}

/* "10.0.0.1:0/0/0 ..." and the time to live. */
static void assert_resolves(const char *name, const char *expected, uint32_t ttl_s)
{
    struct resolved resolved;
    char why[100] = "", seen[500] = "", ip[IP_TEXT_SIZE];
    assert_true(resolve(name, &server.address, &resolved, why, sizeof why));
    for (unsigned i = 0; i < resolved.count; i++) {
        const struct resolved_server *one = &resolved.servers[i];
        ip_format(&one->address, ip);
        size_t len = strlen(seen);
        snprintf(seen + len, sizeof seen - len, "%s%s:%u/%u/%u", i ? " " : "", ip, one->port,
                 one->priority, one->weight);
    }
    assert_string_equal(seen, expected);
    assert_int_equal(resolved.ttl_s, ttl_s);
}

static void assert_unknown(const char *name)
{
    struct resolved resolved;
    char why[100] = "";
    assert_false(resolve(name, &server.address, &resolved, why, sizeof why));
    assert_string_equal(why, "no address is found");
}

static void test_resolve_gives_all_addresses_sorted_and_the_least_time(void **state)
{
    (void)state;
    assert_resolves("two.test", "10.0.0.1:0/0/0 10.0.0.2:0/0/0 fd00::1:0/0/0", 60);
}

static void test_resolve_follows_an_alias_and_counts_its_time(void **state)
{
    (void)state;
    assert_resolves("alias.test", "10.0.0.9:0/0/0", 7);
}

static void test_resolve_services_have_ports_and_weights_the_first_priority_first(void **state)
{
    (void)state;
    assert_resolves("_http._tcp.test",
                    "fd00::6:9090/0/1 10.0.0.1:8080/10/5 10.0.0.2:8080/10/5 fd00::1:8080/10/5", 20);
}

static void test_resolve_says_when_there_is_nothing_or_nonsense(void **state)
{
    (void)state;
    assert_unknown("nobody.test");
    assert_unknown("_nobody._tcp.test");
    assert_unknown("garbage.test");
    assert_unknown("short.test");
}

static void test_resolve_knows_what_is_local(void **state)
{
    (void)state;
    static const char *const local[] = {
        "127.0.0.1", "127.9.9.9", "0.0.0.0", "169.254.169.254", "224.0.0.1",
        "::1",       "::",        "fe80::1", "ff02::1",         "255.255.255.255"};
    static const char *const others[] = {"10.0.0.1", "192.168.0.1", "8.8.8.8", "fd00::1",
                                         "2001:db8::1"};
    struct in6_addr ip;
    for (size_t i = 0; i < sizeof local / sizeof local[0]; i++) {
        assert_true(ip_parse(slice_str(local[i]), &ip));
        assert_true(resolved_is_local(&ip));
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_true(ip_parse(slice_str(others[i]), &ip));
        assert_false(resolved_is_local(&ip));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resolve_gives_all_addresses_sorted_and_the_least_time),
        cmocka_unit_test(test_resolve_follows_an_alias_and_counts_its_time),
        cmocka_unit_test(test_resolve_services_have_ports_and_weights_the_first_priority_first),
        cmocka_unit_test(test_resolve_says_when_there_is_nothing_or_nonsense),
        cmocka_unit_test(test_resolve_knows_what_is_local),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
