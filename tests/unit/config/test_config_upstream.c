/* [upstream NAME]. */
#include "tests/unit/config/config_fixture.h"

#define ONE "[upstream u]\nserver = 10.0.0.1:80\n"

static const struct config_section *assert_upstream(struct fixture *f, const char *text)
{
    assert_loads(f, text);
    return config_named(f->config, "upstream", 0);
}

static struct config_server server_of(const char *text)
{
    struct config_server server;
    assert_true(config_parse_server(text, &server));
    return server;
}

static void test_config_upstream_has_the_defaults_of_the_manual(void **state)
{
    const struct config_section *upstream = assert_upstream(*state, ONE);
    static const struct {
        const char *key;
        int64_t value;
    } defaults[] = {
        {"connect_timeout", 1000},
        {"first_byte_timeout", 15000},
        {"timeout", 30000},
        {"keepalive", 32},
        {"keepalive_timeout", 60000},
        {"check_interval", 2000},
        {"check_rise", 2},
        {"check_fall", 3},
        {"outlier_errors", 5},
        {"outlier_time", 30000},
        {"outlier_time_max", 300000},
        {"outlier_share", 50},
        {"slow_start", 10000},
        {"retries", 1},
        {"retry_delay", 25},
        {"retry_delay_max", 250},
        {"retry_budget", 20},

        {"breaker_share", 50},
        {"breaker_requests", 20},
        {"breaker_window", 10000},
        {"breaker_time", 10000},
        {"breaker_probes", 3},
        {"requests_max", 256},
    };
    for (size_t i = 0; i < sizeof defaults / sizeof defaults[0]; i++)
        assert_int_equal(config_int(upstream, defaults[i].key), defaults[i].value);
    assert_int_equal(config_choice(upstream, "balance"), 0);
    assert_false(config_bool(upstream, "tls"));
    assert_true(config_bool(upstream, "tls_verify"));
}

static void test_config_server_is_an_address_and_words(void **state)
{
    (void)state;
    struct config_server plain = server_of("10.0.0.1:80");
    assert_string_equal(plain.address.host, "10.0.0.1");
    assert_int_equal(plain.address.port, 80);
    assert_int_equal(plain.weight, 1);
    assert_string_equal(plain.zone, "");
    assert_false(plain.backup);
    assert_int_equal(plain.max_conns, 0);
    assert_int_equal(plain.max_fails, 1);
    assert_int_equal(plain.fail_timeout_ms, 10000);

    struct config_server full = server_of(
        "[::1]:8080 weight=7  zone=eu-1 backup\tmax_conns=9 max_fails=0 fail_timeout=2min");
    assert_string_equal(full.address.host, "::1");
    assert_int_equal(full.weight, 7);
    assert_string_equal(full.zone, "eu-1");
    assert_true(full.backup);
    assert_int_equal(full.max_conns, 9);
    assert_int_equal(full.max_fails, 0);
    assert_int_equal(full.fail_timeout_ms, 120000);
    struct config_server named = server_of("api-1.internal:8080 weight=2");
    assert_string_equal(named.name, "api-1.internal");
    assert_string_equal(named.address.host, "");
    assert_int_equal(named.address.port, 8080);
    assert_string_equal(server_of("_http._tcp.internal").name, "_http._tcp.internal");
    assert_string_equal(full.name, "");
    assert_string_equal(server_of("unix:/run/app.sock weight=2").address.path, "/run/app.sock");
}

static void test_config_upstream_says_what_is_wrong_with_a_server(void **state)
{
    static const char *const bad[][2] = {
        {"10.0.0.1", "(\"10.0.0.1\" is no address)"},
        {"10.0.0.300:80", "(\"10.0.0.300:80\" is no address)"},
        {"api.internal", "(\"api.internal\" is no address)"},
        {"api.internal:0", "(\"api.internal:0\" is no address)"},
        {"api.internal:70000", "(\"api.internal:70000\" is no address)"},
        {"api..internal:80", "(\"api..internal:80\" is no address)"},
        {"_http._tcp.internal:80", "(\"_http._tcp.internal:80\" is no address)"},
        {"10.0.0.1:0", "(\"10.0.0.1:0\" is no address)"},
        {"http://10.0.0.1:80", "(an address has no scheme: tls = yes says that"},
        {"10.0.0.1:80 weight=0", "(weight is a whole number from 1 to 1000)"},
        {"10.0.0.1:80 wait=2", "(\"wait\" is none of weight="},
        {"10.0.0.1:80 backup=yes", "(\"backup\" is none of weight="},
        {"10.0.0.1:80 down", "(\"down\" is none of weight="},
        {"10.0.0.1:80 zone=a-name-of-more-than-32-characters-", "(zone is UTF-8 text of 1 to 32"},
        {"10.0.0.1:80 fail_timeout=1ms", "(fail_timeout is a duration in ms, s, min, h or d"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[200];
        snprintf(text, sizeof text, "[upstream u]\nserver = %s\n", bad[i][0]);
        assert_int_equal(load(*state, slice_str(text)), ERR_VALIDATION);
        const char *errors = errors_of(*state);
        assert_non_null(strstr(errors, "config.ini:2: [upstream u] server: read \""));
        assert_non_null(strstr(errors, bad[i][1]));
    }
}

static void test_config_upstream_wants_servers_that_differ_and_one_that_is_no_backup(void **state)
{
    assert_errors(*state, "[upstream u]\n",
                  "config.ini:1: [upstream u] has no servers: server = ADDRESS:PORT, "
                  "servers_file or register_key\n");
    assert_loads(*state, "[upstream u]\nservers_file = servers.json\n");
    assert_errors(*state, ONE "server = 10.0.0.1:80 weight=2\n",
                  "config.ini:3: [upstream u] server: 10.0.0.1:80 is there already, in line 2\n");
    assert_errors(*state, "[upstream u]\nserver = 10.0.0.1:80 backup\n",
                  "config.ini:2: [upstream u] server: all are backups; allowed: one at least that "
                  "is none\n");
}

static void test_config_upstream_keys_have_to_fit_together(void **state)
{
    assert_errors(*state, ONE "tls_ca = ca.pem\ntls_cert = a.pem\ntls = no\n",
                  "config.ini:1: [upstream u] tls_cert and tls_key: one is there without the "
                  "other\n"
                  "config.ini:3: [upstream u] tls_ca: has no effect without tls = yes\n"
                  "config.ini:4: [upstream u] tls_cert: has no effect without tls = yes\n");
    assert_errors(*state, "[upstream u]\nservers_file = a.json\ntls = yes\n",
                  "config.ini:3: [upstream u] tls: without a server = ADDRESS:PORT it needs "
                  "tls_server_name, the name to verify\n");
    assert_loads(*state, "[upstream u]\nservers_file = a.json\ntls = yes\ntls_verify = no\n");
    assert_loads(*state, "[upstream u]\nservers_file = a.json\ntls = yes\n"
                         "tls_server_name = a.example\n");
    assert_errors(*state, ONE "retry_delay = 1s\n",
                  "config.ini:3: [upstream u] retry_delay: is 1s, more than the 250ms of "
                  "retry_delay_max\n");
    assert_errors(*state, ONE "timeout = 2s\nfirst_byte_timeout = 3s\n",
                  "config.ini:4: [upstream u] first_byte_timeout: is 3s, more than the 2s of "
                  "timeout\n");
}

static void test_config_statuses_are_one_or_a_range(void **state)
{
    unsigned least, most;
    assert_true(config_parse_statuses("204", &least, &most));
    assert_int_equal(least, 204);
    assert_int_equal(most, 204);
    assert_true(config_parse_statuses("200-399", &least, &most));
    assert_int_equal(most, 399);
    static const char *const bad[] = {"", "20", "200-", "399-200", "200-600", "200-399x", "2xx"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(config_parse_statuses(bad[i], &least, &most));
    assert_errors(
        *state, ONE "check_status = 2xx\n",
        "config.ini:3: [upstream u] check_status: read \"2xx\"; allowed: a status such as "
        "200, or the least and the greatest, 200-399\n");
}

static void test_config_resolver_is_an_ipv4_address_with_a_port(void **state)
{
    assert_loads(*state, ONE "resolver = 127.0.0.53:53\n");
    static const char *const bad[] = {"[::1]:53", "127.0.0.1:0", "unix:/run/dns"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[200], expected[200];
        snprintf(text, sizeof text, ONE "resolver = %s\n", bad[i]);
        snprintf(
            expected, sizeof expected,
            "config.ini:3: [upstream u] resolver: read \"%s\"; allowed: an IPv4 address with a "
            "port, such as 127.0.0.53:53\n",
            bad[i]);
        assert_errors(*state, text, expected);
    }
}

static void test_config_hash_key_is_a_word_or_names_a_header_or_cookie(void **state)
{
    static const char *const good[] = {"address", "path", "header:X-Tenant", "cookie:sid"};
    static const char *const bad[] = {"header:", "cookie:a b", "user", "header"};
    char text[100];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        snprintf(text, sizeof text, ONE "hash_key = %s\n", good[i]);
        assert_loads(*state, text);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char expected[200];
        snprintf(text, sizeof text, ONE "hash_key = %s\n", bad[i]);
        snprintf(expected, sizeof expected,
                 "config.ini:3: [upstream u] hash_key: read \"%s\"; allowed: address, path, "
                 "header:NAME or cookie:NAME\n",
                 bad[i]);
        assert_errors(*state, text, expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_config_upstream_has_the_defaults_of_the_manual),
        TEST(test_config_server_is_an_address_and_words),
        TEST(test_config_upstream_says_what_is_wrong_with_a_server),
        TEST(test_config_upstream_wants_servers_that_differ_and_one_that_is_no_backup),
        TEST(test_config_upstream_keys_have_to_fit_together),
        TEST(test_config_statuses_are_one_or_a_range),
        TEST(test_config_resolver_is_an_ipv4_address_with_a_port),
        TEST(test_config_hash_key_is_a_word_or_names_a_header_or_cookie),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
