/* Lists, references, and what names networks, hosts and listeners. */
#include "tests/unit/config/config_fixture.h"

/* A module's section that has one of each. */
static const struct config_key keys[] = {
    {"file", CONFIG_TEXT, "", 1, 20, CONFIG_RELOADS | CONFIG_LIST, NULL, "Files."},
    {"size", CONFIG_SIZE, "1KiB, 2KiB", 1, CONFIG_MIB, CONFIG_RELOADS | CONFIG_LIST | CONFIG_COMMAS,
     NULL, "Sizes."},
    {"queue", CONFIG_REF, "", 0, 0, CONFIG_RELOADS, "queue", "A queue."},
    {"queues", CONFIG_REF, "", 0, 0, CONFIG_RELOADS | CONFIG_LIST | CONFIG_COMMAS, "queue",
     "More."},
    {"level", CONFIG_CHOICE, "low", 0, 0, CONFIG_RELOADS, "high middle low", "A word."},
    {"bytes", CONFIG_SIZE, "", 10, 20, CONFIG_RELOADS, NULL, "A size, or none."},
};
static const struct config_kind kinds[] = {
    {"thing", CONFIG_MODULE, "A thing.", CONFIG_KEYS(keys)},
    {.name = NULL},
};

static enum err load_thing(struct fixture *f, const char *text)
{
    return load_source(f, slice_str(text), (struct config_source){.modules = kinds});
}

static const struct config_section *assert_thing(struct fixture *f, const char *text)
{
    enum err err = load_thing(f, text);
    assert_string_equal(errors_of(f), "");
    assert_int_equal(err, ERR_OK);
    return config_section(f->config, "thing");
}

static void assert_thing_fails(struct fixture *f, const char *text, const char *expected)
{
    assert_int_equal(load_thing(f, text), ERR_VALIDATION);
    assert_string_equal(errors_of(f), expected);
}

/* The values of a list with '|' between. */
static void assert_list(const struct config_section *section, const char *key, const char *expected)
{
    struct buf seen = BUF_INIT;
    for (unsigned i = 0; i < config_list_count(section, key); i++)
        buf_printf(&seen, "%s%s", i ? "|" : "", config_list_at(section, key, i));
    buf_append_char(&seen, '\0');
    assert_string_equal(seen.data, expected);
    buf_release(&seen);
}

/* ---- Lists */

static void test_config_a_repeated_key_of_a_list_adds_values(void **state)
{
    assert_list(assert_thing(*state, "[thing]\nfile = a\nlevel = high\nfile = b, c\n"), "file",
                "a|b, c");
}

static void test_config_a_list_with_commas_may_stand_in_one_line(void **state)
{
    assert_list(assert_thing(*state, "[thing]\nsize = 1 , 3KiB\nsize = 4KiB\n"), "size",
                "1|3KiB|4KiB");
}

static void test_config_a_list_has_its_default_unless_the_file_names_it(void **state)
{
    assert_list(assert_thing(*state, ""), "size", "1KiB|2KiB");
    assert_list(assert_thing(*state, "[thing]\nsize =\n"), "size", "");
    assert_list(assert_thing(*state, ""), "file", "");
}

static void test_config_every_value_of_a_list_is_checked(void **state)
{
    static const char size[] = "allowed: a size in bytes, KiB, MiB, GiB or TiB from 1 to 1MiB\n";
    char expected[300];
    snprintf(expected, sizeof expected,
             "config.ini:2: [thing] size: read \"1, 2GiB\"; %s"
             "config.ini:3: [thing] size: read \"1,\"; %s",
             size, size);
    assert_thing_fails(*state, "[thing]\nsize = 1, 2GiB\nsize = 1,\n", expected);
}

/* ---- References */

static void test_config_a_reference_leads_to_its_section(void **state)
{
    struct fixture *f = *state;
    const struct config_section *thing =
        assert_thing(f, "[thing]\nqueue = slow\nqueues = fast, slow\n[queue fast]\n[queue slow]\n");
    const struct config_section *slow =
        config_referred(f->config, "queue", config_text(thing, "queue"));
    assert_string_equal(config_name(slow), "slow");
    assert_list(thing, "queues", "fast|slow");
    assert_null(config_referred(f->config, "queue", ""));
}

static void test_config_a_reference_to_nothing_names_the_nearest(void **state)
{
    assert_thing_fails(
        *state, "[queue mails]\n[thing]\nqueue = mail\nqueues = mails, zebra\nqueues = Mail\n",
        "config.ini:3: [thing] queue: read \"mail\", but there is no [queue mail]; did you mean "
        "mails?\n"
        "config.ini:4: [thing] queues: read \"zebra\", but there is no [queue zebra]\n"
        "config.ini:5: [thing] queues: read \"Mail\"; allowed: the NAME of a [queue NAME]\n");
}

/* ---- Words and what is not set */

static void test_config_a_choice_is_known_by_its_place(void **state)
{
    assert_int_equal(config_choice(assert_thing(*state, ""), "level"), 2);
    assert_int_equal(config_choice(assert_thing(*state, "[thing]\nlevel=high\n"), "level"), 0);
}

static void test_config_a_number_without_a_default_is_0_when_not_set(void **state)
{
    assert_int_equal(config_int(assert_thing(*state, ""), "bytes"), 0);
    assert_int_equal(config_int(assert_thing(*state, "[thing]\nbytes =\n"), "bytes"), 0);
    assert_int_equal(config_int(assert_thing(*state, "[thing]\nbytes = 10\n"), "bytes"), 10);
    assert_thing_fails(*state, "[thing]\nbytes = 0\n",
                       "config.ini:2: [thing] bytes: read \"0\"; allowed: a size in bytes, KiB, "
                       "MiB, GiB or TiB from 10 to 20\n");
}

static void test_config_an_empty_file_is_told_apart(void **state)
{
    struct fixture *f = *state;
    assert_loads(f, "; nothing\n");
    assert_true(config_is_empty(f->config));
    assert_loads(f, "[server]\n");
    assert_false(config_is_empty(f->config));
}

static void test_config_a_target_is_a_module_of_those_given(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(load_thing(f, "[route x]\npath = /\ntarget = app:thing\n"), ERR_OK);
    assert_thing_fails(
        f, "[route x]\npath = /\ntarget = app:shop\n",
        "config.ini:3: [route x] target: read \"app:shop\"; allowed: one of: app:auth "
        "app:thing upstream:NAME compose:NAME static:DIR respond:STATUS\n");
}

/* ---- Networks and hosts */

/* Loads "[server] KEY = VALUE". */
static bool server_takes(struct fixture *f, const char *key, const char *value)
{
    char text[200];
    snprintf(text, sizeof text, "[server]\n%s = %s\n", key, value);
    return load(f, slice_str(text)) == ERR_OK;
}

static void test_config_networks_are_addresses_with_a_prefix(void **state)
{
    static const char *const good[] = {"10.0.0.0/8", "::1",       "192.168.1.1",
                                       "fd00::/8",   "0.0.0.0/0", "10.0.0.0/8, ::/0,127.0.0.1"};
    static const char *const bad[] = {"10.0.0.0/33", "::/129",      "10.0.0/8", "example.org",
                                      "10.0.0.0/",   "10.0.0.0/-1", "/8",       "10.0.0.0/8 ::1",
                                      "10.0.0.0/8,", "10.0.0.0/8/8"};
    for (unsigned i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(server_takes(*state, "trusted_proxies", good[i]));
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(server_takes(*state, "trusted_proxies", bad[i]));
}

static void test_config_hosts_are_names_without_a_port(void **state)
{
    static const char *const good[] = {"admin.example.org", "localhost", "10.0.0.1", "a-b.c_d"};
    static const char *const bad[] = {"a:80", "a..b", "a b", "http://a", "*.example.org"};
    for (unsigned i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(server_takes(*state, "hosts", good[i]));
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(server_takes(*state, "hosts", bad[i]));
}

/* ---- Listeners */

static bool redirect_is_taken(struct fixture *f, const char *origin)
{
    char text[200];
    snprintf(text, sizeof text, "[listener a]\naddress = [::1]:0\nredirect_to = %s\n", origin);
    return load(f, slice_str(text)) == ERR_OK;
}

static void test_config_redirects_lead_to_a_host_under_tls(void **state)
{
    static const char *const good[] = {"https://example.org", "https://example.org:8443",
                                       "https://10.0.0.1", "https://[::1]", "https://[::1]:444"};
    static const char *const bad[] = {
        "http://example.org", "https://",     "https://example.org/", "https://a:0",
        "https://a:b",        "https://[::1", "https://u@a",          "https://[::1]:0"};
    for (unsigned i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(redirect_is_taken(*state, good[i]));
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(redirect_is_taken(*state, bad[i]));
}

static void test_config_certificates_and_keys_come_in_pairs(void **state)
{
    struct fixture *f = *state;
    assert_loads(f, "[listener a]\naddress = unix:/tmp/s\ntls_cert = a.pem\ntls_key = a.key\n"
                    "tls_cert = b.pem\ntls_key = b.key\n");
    const struct config_section *listener = config_named(f->config, "listener", 0);
    assert_list(listener, "tls_cert", "a.pem|b.pem");
    assert_list(listener, "tls_key", "a.key|b.key");
    assert_errors(f, "[listener a]\naddress = [::1]:0\ntls_cert = a.pem\n",
                  "config.ini:1: [listener a] has 1 tls_cert and 0 tls_key: each "
                  "certificate has its key\n");
}

static void test_config_client_certificates_want_tls_and_an_authority(void **state)
{
    assert_errors(*state, "[listener a]\naddress = [::1]:0\ntls_client = required\n",
                  "config.ini:3: [listener a] tls_client: without tls_cert nobody can be asked for "
                  "a certificate\n"
                  "config.ini:3: [listener a] tls_client: wants tls_client_ca, the authorities to "
                  "check against\n");
}

static void test_config_refuses_the_seed_on_a_listener_beyond_loopback(void **state)
{
    struct fixture *f = *state;
    assert_loads(f, "[listener a]\naddress = unix:/tmp/s\n[shop]\nseed = yes\n");
    assert_int_equal(load(f, slice_str("[listener a]\naddress = 0.0.0.0:0\n[shop]\nseed = yes\n")),
                     ERR_VALIDATION);
    assert_non_null(strstr(errors_of(f), "config.ini:4: [shop] seed: "));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(test_config_a_repeated_key_of_a_list_adds_values),
        TEST(test_config_a_list_with_commas_may_stand_in_one_line),
        TEST(test_config_a_list_has_its_default_unless_the_file_names_it),
        TEST(test_config_every_value_of_a_list_is_checked),
        TEST(test_config_a_reference_leads_to_its_section),
        TEST(test_config_a_reference_to_nothing_names_the_nearest),
        TEST(test_config_a_choice_is_known_by_its_place),
        TEST(test_config_a_number_without_a_default_is_0_when_not_set),
        TEST(test_config_an_empty_file_is_told_apart),
        TEST(test_config_a_target_is_a_module_of_those_given),
        TEST(test_config_networks_are_addresses_with_a_prefix),
        TEST(test_config_hosts_are_names_without_a_port),
        TEST(test_config_redirects_lead_to_a_host_under_tls),
        TEST(test_config_certificates_and_keys_come_in_pairs),
        TEST(test_config_client_certificates_want_tls_and_an_authority),
        TEST(test_config_refuses_the_seed_on_a_listener_beyond_loopback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
