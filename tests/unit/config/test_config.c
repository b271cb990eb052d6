#include "tests/unit/config/config_fixture.h"

/* ---- Values. */

static void test_config_empty_file_has_every_default(void **state)
{
    struct fixture *f = *state;
    assert_loads(f, "");
    const struct config_section *server = config_section(f->config, "server");
    assert_string_equal(config_text(server, "listen"), "127.0.0.1:8080");
    assert_string_equal(config_text(server, "data"), "./data");
    assert_int_equal(config_int(server, "workers"), 256);
    assert_int_equal(config_int(server, "head_timeout"), 10000);
    assert_int_equal(config_int(server, "body_max"), 1 << 20);
    assert_int_equal(config_int(config_section(f->config, "storage"), "map_size"), INT64_C(64)
                                                                                       << 30);
    assert_string_equal(config_text(config_section(f->config, "auth"), "key"), "");
    assert_true(config_bool(config_section(f->config, "log"), "access"));
    assert_false(config_bool(config_section(f->config, "shop"), "seed"));
    assert_int_equal(config_named_count(f->config, "queue"), 0);
}

static void test_config_unknown_section_is_null(void **state)
{
    struct fixture *f = *state;
    assert_loads(f, "");
    assert_null(config_section(f->config, "nosuch"));
    assert_null(config_named(f->config, "queue", 0));
}

static void test_config_reads_units(void **state)
{
    struct fixture *f = *state;
    assert_loads(f, "[server]\nhead_timeout = 250ms\nbody_timeout = 5min\nidle_timeout=1h\n"
                    "body_max = 65536\n[storage]\nmap_size = 2TiB\n[auth]\ntoken_ttl = 7d\n"
                    "[cache]\nsize = 16MiB\n");
    const struct config_section *server = config_section(f->config, "server");
    assert_int_equal(config_int(server, "head_timeout"), 250);
    assert_int_equal(config_int(server, "body_timeout"), 300000);
    assert_int_equal(config_int(server, "idle_timeout"), 3600000);
    assert_int_equal(config_int(server, "body_max"), 65536);
    assert_int_equal(config_int(config_section(f->config, "storage"), "map_size"), INT64_C(2)
                                                                                       << 40);
    assert_int_equal(config_int(config_section(f->config, "auth"), "token_ttl"), 604800000);
    assert_int_equal(config_int(config_section(f->config, "cache"), "size"), 16 << 20);
}

static void test_config_reads_comments_blanks_crlf_and_byte_order_mark(void **state)
{
    struct fixture *f = *state;
    assert_loads(f, "\xef\xbb\xbf[server] ; here\r\n\r\n# a comment\r\n"
                    "  workers\t=  10   ; ten\r\n    data = a;b#c # not this\r\n");
    const struct config_section *server = config_section(f->config, "server");
    assert_int_equal(config_int(server, "workers"), 10);
    assert_string_equal(config_text(server, "data"), "a;b#c");
}

static void test_config_named_sections_keep_the_order_of_the_file(void **state)
{
    struct fixture *f = *state;
    assert_loads(f,
                 "[queue mail]\nconcurrency = 3\n[route b]\npath=/b\ntarget=app:shop\n"
                 "[queue  slow-work ]\n[route a]\npath=/a/*\ntarget=app:shop\nmethod=GET, POST\n");
    assert_int_equal(config_named_count(f->config, "queue"), 2);
    assert_string_equal(config_name(config_named(f->config, "queue", 0)), "mail");
    assert_int_equal(config_int(config_named(f->config, "queue", 0), "concurrency"), 3);
    assert_string_equal(config_name(config_named(f->config, "queue", 1)), "slow-work");
    assert_int_equal(config_int(config_named(f->config, "queue", 1), "concurrency"), 2);
    assert_string_equal(config_name(config_named(f->config, "route", 0)), "b");
    assert_string_equal(config_text(config_named(f->config, "route", 1), "method"), "GET, POST");
}

static void test_config_replaces_names_from_the_environment(void **state)
{
    struct fixture *f = *state;
    setenv("GALLEY_TEST_DIR", "/srv", 1);
    setenv("GALLEY_TEST_AT", "@/etc/hostname", 1);
    assert_loads(f, "[server]\ndata = ${GALLEY_TEST_DIR}/x${GALLEY_TEST_DIR}\n"
                    "[auth]\nissuer = ${GALLEY_TEST_AT}\n");
    assert_string_equal(config_text(config_section(f->config, "server"), "data"), "/srv/x/srv");
    assert_string_equal(config_text(config_section(f->config, "auth"), "issuer"), "@/etc/hostname");
}

static void test_config_reads_a_value_from_a_file(void **state)
{
    struct fixture *f = *state;
    char path[320];
    snprintf(path, sizeof path, "%s/key", f->dir);
    write_bytes(path, slice_str("0123456789abcdef0123456789abcdef\n"));
    setenv("GALLEY_TEST_DIR", f->dir, 1);
    char text[400];
    snprintf(text, sizeof text, "[auth]\nkey = @${GALLEY_TEST_DIR}/key\n");
    assert_loads(f, text);
    assert_string_equal(config_text(config_section(f->config, "auth"), "key"),
                        "0123456789abcdef0123456789abcdef");
    unlink(path);
}

static void test_config_command_line_wins_over_the_file(void **state)
{
    struct fixture *f = *state;
    struct config_source overrides = {.listen = "[::1]:0", .data = "/tmp/x"};
    assert_int_equal(load_source(f, slice_str("[server]\nlisten = 127.0.0.1:1\n"), overrides),
                     ERR_OK);
    const struct config_section *server = config_section(f->config, "server");
    assert_string_equal(config_text(server, "listen"), "[::1]:0");
    assert_string_equal(config_text(server, "data"), "/tmp/x");
}

static void test_config_development_file_is_valid(void **state)
{
    struct fixture *f = *state;
    enum err err =
        config_load(&(struct config_source){.path = "config.ini", .modules = galley_sections()},
                    &f->config, &f->errors);
    assert_string_equal(errors_of(f), "");
    assert_int_equal(err, ERR_OK);
}

/* ---- Errors. */

static void test_config_absent_file_says_what_to_do(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(config_load(&(struct config_source){.path = f->path}, &f->config, &f->errors),
                     ERR_VALIDATION);
    assert_string_equal(errors_of(f), "config.ini: cannot be read: No such file or directory; name "
                                      "another with -c FILE\n");
}

static void test_config_tells_all_errors_at_once_in_order(void **state)
{
    assert_errors(*state,
                  "stray = 1\n[server]\nworker = 5\nworkers = 3\n[route x]\nmethod = GET\n"
                  "[sever]\nlisten = 1\n[server]\ndata = x\n",
                  "config.ini:1: stray: stands before the first [SECTION]\n"
                  "config.ini:3: [server] worker: unknown key; did you mean workers?\n"
                  "config.ini:4: [server] workers: read \"3\"; allowed: a whole number from 4 to "
                  "1024\n"
                  "config.ini:5: [route x] path: is missing\n"
                  "config.ini:5: [route x] target: is missing\n"
                  "config.ini:7: [sever] unknown section; did you mean server?\n"
                  "config.ini:9: [server] is there already, in line 2\n");
}

static void test_config_refuses_what_is_not_a_line(void **state)
{
    assert_errors(*state, "[server\n[server] x\nworkers\n",
                  "config.ini:1: the bracket ] that ends the name of the section is missing\n"
                  "config.ini:2: a section is written [NAME], with nothing behind it\n"
                  "config.ini:3: a line is [SECTION], KEY = VALUE or a comment\n");
}

static void test_config_refuses_a_key_given_twice(void **state)
{
    assert_errors(*state, "[server]\nworkers = 8\nworkers = 9\n",
                  "config.ini:3: [server] workers: is there already, in line 2\n");
}

static void test_config_refuses_bad_amounts(void **state)
{
    static const char *const bad[] = {
        "10",   "10m", "-1s", "1.5s", "s", "", "99999999999999999999s", "9223372036854775807d",
        "10 s", "2h"};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[200];
        snprintf(text, sizeof text, "[server]\nhead_timeout = %s\n", bad[i]);
        char expected[300];
        snprintf(expected, sizeof expected,
                 "config.ini:2: [server] head_timeout: read \"%s\"; allowed: a duration in ms, s, "
                 "min, h or d from 100ms to 1h\n",
                 bad[i]);
        assert_errors(*state, text, expected);
    }
}

static void test_config_refuses_a_size_below_its_bound(void **state)
{
    assert_errors(
        *state, "[cache]\nsize = 1023KiB\n",
        "config.ini:2: [cache] size: read \"1023KiB\"; allowed: a size in bytes, KiB, MiB, "
        "GiB or TiB from 1MiB to 1TiB\n");
}

static void test_config_refuses_wrong_words(void **state)
{
    assert_errors(*state, "[log]\naccess = maybe\nformat = xml\n",
                  "config.ini:2: [log] access: read \"maybe\"; allowed: yes or no\n"
                  "config.ini:3: [log] format: read \"xml\"; allowed: one of: auto json text\n");
}

static void test_config_refuses_bad_listen_addresses(void **state)
{
    static const char *const bad[] = {
        "8080",           "127.0.0.1", "127.0.0.1:65536", "1.2.3:80", "::1:80", "[127.0.0.1]:80",
        "example.org:80", ":",         "127.0.0.1:-1",    "[::1]",    "[::1]:", "*:80",
        "unix:"};
    struct config_address address;
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(config_parse_address(bad[i], &address));
    assert_errors(*state, "[server]\nlisten = 8080\n",
                  "config.ini:2: [server] listen: read \"8080\"; allowed: ADDRESS:PORT, such as "
                  "127.0.0.1:8080 or [::1]:8080; :PORT, which is on 127.0.0.1; or unix:PATH\n");
    assert_errors(
        *state, "[server]\nlisten = :65536\n",
        "config.ini:2: [server] listen: read \":65536\"; allowed: ADDRESS:PORT, such as "
        "127.0.0.1:8080 or [::1]:8080; :PORT, which is on 127.0.0.1; or unix:PATH (a port "
        "is at most 65535)\n");
    assert_true(config_parse_address(":80", &address));
    assert_string_equal(address.host, "127.0.0.1");
}

static void test_config_refuses_quotes_around_values(void **state)
{
    assert_errors(*state, "[server]\nworkers = \"8\"\ndata = './data'\n",
                  "config.ini:2: [server] workers: a value stands without quotes around it\n"
                  "config.ini:3: [server] data: a value stands without quotes around it\n");
}

static void test_config_takes_listen_addresses_apart(void **state)
{
    (void)state;
    struct config_address address;
    assert_true(config_parse_address("[::1]:0", &address));
    assert_string_equal(address.host, "::1");
    assert_int_equal(address.port, 0);
    assert_true(config_parse_address("0.0.0.0:65535", &address));
    assert_string_equal(address.host, "0.0.0.0");
    assert_int_equal(address.port, 65535);
    assert_true(config_parse_address("localhost:80", &address));
    assert_string_equal(address.host, "127.0.0.1");
    assert_string_equal(address.path, "");
    assert_true(config_parse_address("unix:/run/galley.sock", &address));
    assert_string_equal(address.path, "/run/galley.sock");
    assert_string_equal(address.host, "");
}

static void test_config_refuses_missing_files_and_names(void **state)
{
    unsetenv("GALLEY_TEST_UNSET");
    assert_errors(
        *state, "[auth]\nkey = @/nonexistent/key\nissuer = ${GALLEY_TEST_UNSET}\naudience = ${X\n",
        "config.ini:2: [auth] key: the file /nonexistent/key cannot be read: No such file "
        "or directory\n"
        "config.ini:3: [auth] issuer: the environment has no variable GALLEY_TEST_UNSET\n"
        "config.ini:4: [auth] audience: ${ is not closed with }\n");
}

static void test_config_never_prints_a_secret(void **state)
{
    assert_errors(
        *state, "[auth]\nkey = hunter2\n",
        "config.ini:2: [auth] key: read a secret that does not fit; allowed: UTF-8 text of "
        "32 to 1024 bytes\n");
}

static void test_config_refuses_bad_names(void **state)
{
    assert_errors(*state, "[queue]\n[queue Mail]\n[server x]\n[]\n",
                  "config.ini:1: [queue] wants a name of 1 to 64 of a-z, 0-9 and -: [queue NAME]\n"
                  "config.ini:2: [queue] wants a name of 1 to 64 of a-z, 0-9 and -: [queue "
                  "NAME]\n"
                  "config.ini:3: [server x] takes no name: [server]\n"
                  "config.ini:4: [] unknown section\n");
}

static void test_config_tells_named_sections_apart(void **state)
{
    assert_errors(*state, "[queue a]\n[queue b]\n[queue a]\n",
                  "config.ini:3: [queue a] is there already, in line 1\n");
}

static void test_config_refuses_routes_that_lead_nowhere(void **state)
{
    struct fixture *f = *state;
    static const char text[] =
        "[route x]\npath = no/slash\ntarget = app:shoe\nmethod = GET, FETCH\n"
        "rate_limit = many\n";
    assert_int_equal(load(f, slice_str(text)), ERR_VALIDATION);
    const char *errors = errors_of(f);
    assert_non_null(
        strstr(errors, "config.ini:2: [route x] path: read \"no/slash\"; allowed: a path"));
    assert_non_null(strstr(
        errors,
        "config.ini:3: [route x] target: read \"app:shoe\"; allowed: one "
        "of: app:auth app:locks app:shop upstream:NAME compose:NAME static:DIR respond:STATUS\n"));
    assert_non_null(
        strstr(errors, "config.ini:4: [route x] method: read \"GET, FETCH\"; allowed: "));
    assert_non_null(strstr(errors, "config.ini:5: [route x] rate_limit: read \"many\"; allowed: "));
}

static void test_config_refuses_patterns_that_are_not_paths(void **state)
{
    static const char *const bad[] = {"",       "orders", "/a//b", "/a/*/b", "/a*",
                                      "/{id}x", "/{}",    "/a b",  "/a?b"};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct fixture *f = *state;
        char text[100];
        snprintf(text, sizeof text, "[route x]\ntarget = app:shop\npath = %s\n", bad[i]);
        assert_int_equal(load(f, slice_str(text)), ERR_VALIDATION);
    }
    assert_loads(*state, "[route x]\ntarget = app:shop\npath = /\n");
    assert_loads(*state, "[route x]\ntarget = app:shop\npath = /a/{id}/b.c/*\n");
}

static void test_config_refuses_long_lines_instead_of_cutting_them(void **state)
{
    struct fixture *f = *state;
    char text[5000] = "[server]\ndata = ";
    memset(text + strlen(text), 'x', 4100);
    assert_errors(f, text, "config.ini:2: the line is longer than 4000 bytes\n");
    static const char long_value[] = "[server]\ndata = ";
    memset(text + strlen(long_value), 'x', 3900);
    text[strlen(long_value) + 3900] = '\0';
    assert_loads(f, text);
    assert_int_equal(strlen(config_text(config_section(f->config, "server"), "data")), 3900);
}

static void test_config_refuses_bytes_that_are_not_text(void **state)
{
    struct fixture *f = *state;
    static const char nul[] = "[server]\ndata = a\0b\n";
    assert_int_equal(load(f, slice_of(nul, sizeof nul - 1)), ERR_VALIDATION);
    assert_string_equal(errors_of(f), "config.ini:2: the line is not UTF-8 text\n");
    assert_errors(f, "[server]\ndata = \xff\n", "config.ini:2: the line is not UTF-8 text\n");
}

static void test_config_refuses_bad_overrides(void **state)
{
    struct fixture *f = *state;
    struct config_source overrides = {.listen = "8080"};
    assert_int_equal(load_source(f, slice_str(""), overrides), ERR_VALIDATION);
    assert_string_equal(
        errors_of(f), "--listen: read \"8080\"; allowed: ADDRESS:PORT, such as "
                      "127.0.0.1:8080 or [::1]:8080; :PORT, which is on 127.0.0.1; or unix:PATH\n");
}

/* ---- The development data. */

static void test_config_refuses_the_seed_beyond_loopback(void **state)
{
    assert_errors(
        *state, "[server]\nlisten = 0.0.0.0:80\n[shop]\nseed = yes\n",
        "config.ini:4: [shop] seed: read \"yes\", which makes a user with a known password, "
        "but the server listens on 0.0.0.0:80, beyond loopback; allowed: no, or listen = "
        "127.0.0.1:PORT\n");
}

static void test_config_refuses_the_seed_when_the_command_line_leaves_loopback(void **state)
{
    struct fixture *f = *state;
    struct config_source overrides = {.listen = "[::]:0"};
    assert_int_equal(load_source(f, slice_str("[shop]\nseed = yes\n"), overrides), ERR_VALIDATION);
    assert_non_null(strstr(errors_of(f), "config.ini:2: [shop] seed: "));
    overrides.listen = "127.9.9.9:0";
    assert_int_equal(load_source(f, slice_str("[shop]\nseed = yes\n"), overrides), ERR_OK);
    overrides.listen = "[::1]:0";
    assert_int_equal(load_source(f, slice_str("[shop]\nseed = yes\n"), overrides), ERR_OK);
    overrides.listen = "[::ffff:10.0.0.1]:0";
    assert_int_equal(load_source(f, slice_str("[shop]\nseed = yes\n"), overrides), ERR_VALIDATION);
}

/* ---- The table. */

static void test_config_schema_every_key_says_what_a_change_takes(void **state)
{
    (void)state;
    const struct config_kind *kind;
    for (unsigned i = 0; (kind = config_kind_at(galley_sections(), i)); i++) {
        for (unsigned key = 0; key < kind->key_count; key++) {
            unsigned flags = kind->keys[key].flags & (CONFIG_RELOADS | CONFIG_RESTART);
            assert_true(flags == CONFIG_RELOADS || flags == CONFIG_RESTART);
        }
    }
}

static void test_config_refuses_a_module_that_is_called_as_a_section(void **state)
{
    struct fixture *f = *state;
    static const struct config_kind route[] = {{.name = "route", .flags = CONFIG_MODULE}, {0}};
    static const struct config_kind twice[] = {{.name = "tea"}, {.name = "tea"}, {0}};
    struct config_source source = {.modules = route};
    struct slice text = slice_str("[route a]\npath = /*\ntarget = app:route\n");
    assert_int_equal(load_source(f, text, source), ERR_VALIDATION);
    assert_string_equal(errors_of(f),
                        "config.ini: the module route of this build has the name of "
                        "another section, [route]; call it otherwise, its file too\n");
    source.modules = twice;
    assert_int_equal(load_source(f, slice_str(""), source), ERR_VALIDATION);
    assert_non_null(strstr(errors_of(f), "the module tea of this build"));
}

static void test_config_schema_names_are_there_once(void **state)
{
    (void)state;
    const struct config_kind *kind;
    for (unsigned i = 0; (kind = config_kind_at(galley_sections(), i)); i++) {
        assert_ptr_equal(config_kind_find(galley_sections(), kind->name), kind);
        for (unsigned a = 0; a < kind->key_count; a++) {
            for (unsigned b = 0; b < a; b++)
                assert_string_not_equal(kind->keys[a].name, kind->keys[b].name);
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(test_config_empty_file_has_every_default),
        TEST(test_config_unknown_section_is_null),
        TEST(test_config_reads_units),
        TEST(test_config_reads_comments_blanks_crlf_and_byte_order_mark),
        TEST(test_config_named_sections_keep_the_order_of_the_file),
        TEST(test_config_replaces_names_from_the_environment),
        TEST(test_config_reads_a_value_from_a_file),
        TEST(test_config_command_line_wins_over_the_file),
        TEST(test_config_development_file_is_valid),
        TEST(test_config_absent_file_says_what_to_do),
        TEST(test_config_tells_all_errors_at_once_in_order),
        TEST(test_config_refuses_what_is_not_a_line),
        TEST(test_config_refuses_a_key_given_twice),
        TEST(test_config_refuses_bad_amounts),
        TEST(test_config_refuses_a_size_below_its_bound),
        TEST(test_config_refuses_wrong_words),
        TEST(test_config_refuses_bad_listen_addresses),
        TEST(test_config_refuses_quotes_around_values),
        TEST(test_config_takes_listen_addresses_apart),
        TEST(test_config_refuses_missing_files_and_names),
        TEST(test_config_never_prints_a_secret),
        TEST(test_config_refuses_bad_names),
        TEST(test_config_tells_named_sections_apart),
        TEST(test_config_refuses_routes_that_lead_nowhere),
        TEST(test_config_refuses_patterns_that_are_not_paths),
        TEST(test_config_refuses_long_lines_instead_of_cutting_them),
        TEST(test_config_refuses_bytes_that_are_not_text),
        TEST(test_config_refuses_bad_overrides),
        TEST(test_config_refuses_the_seed_beyond_loopback),
        TEST(test_config_refuses_the_seed_when_the_command_line_leaves_loopback),
        TEST(test_config_schema_every_key_says_what_a_change_takes),
        TEST(test_config_refuses_a_module_that_is_called_as_a_section),
        TEST(test_config_schema_names_are_there_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
