/* What a new file changes. */
#include "tests/unit/config/config_fixture.h"

static void append_change(const struct config_change *change, void *arg)
{
    buf_printf(arg, "%u [%s]", change->line, change->section);
    if (change->key)
        buf_printf(arg, " %s", change->key);
    buf_printf(arg, ": %s -> %s\n", change->from ? change->from : "NULL",
               change->to ? change->to : "NULL");
}

static void assert_changes(struct fixture *f, const char *before, const char *after, unsigned takes,
                           const char *expected)
{
    assert_loads(f, before);
    struct config *old = f->config;
    f->config = NULL;
    assert_loads(f, after);
    struct buf seen = BUF_INIT;
    config_diff(old, f->config, takes, append_change, &seen);
    buf_append_char(&seen, '\0');
    assert_string_equal(seen.data, expected);
    buf_release(&seen);
    config_destroy(&old);
}

static void test_config_diff_of_the_same_is_empty(void **state)
{
    static const char text[] = "[server]\nworkers = 8\n[queue a]\n[route x]\npath = /\n"
                               "target = app:shop\n";
    assert_changes(*state, text, text, CONFIG_RELOADS, "");
    assert_changes(*state, text, text, CONFIG_RESTART, "");
}

static void test_config_diff_tells_reloads_and_restarts_apart(void **state)
{
    static const char after[] = "[server]\nworkers = 8\ndrain_timeout = 5s\n";
    assert_changes(*state, "", after, CONFIG_RESTART, "2 [server] workers: 256 -> 8\n");
    assert_changes(*state, "", after, CONFIG_RELOADS, "3 [server] drain_timeout: 10s -> 5s\n");
}

static void test_config_diff_knows_one_amount_in_two_units(void **state)
{
    assert_changes(*state, "[cache]\nsize = 1MiB\n", "[cache]\nsize = 1024KiB\n", CONFIG_RESTART,
                   "");
}

static void test_config_diff_shows_a_default_that_is_back(void **state)
{
    assert_changes(*state, "[log]\nlevel = debug\n", "", CONFIG_RELOADS,
                   "0 [log] level: debug -> info\n");
}

static void test_config_diff_writes_lists_with_commas(void **state)
{
    assert_changes(*state, "[server]\nhosts = a\n", "[server]\nhosts = a\nhosts = b, c\n",
                   CONFIG_RELOADS, "2 [server] hosts: a -> a, b, c\n");
}

static void test_config_diff_never_shows_a_secret(void **state)
{
    assert_changes(*state, "[auth]\nkey = a very secret key of 32 bytes or more\n",
                   "[auth]\nkey = another secret key of 32 bytes or more\n", CONFIG_RESTART,
                   "2 [auth] key: (secret) -> (secret)\n");
    assert_changes(*state, "", "[auth]\nkey = another secret key of 32 bytes or more\n",
                   CONFIG_RESTART, "2 [auth] key:  -> (secret)\n");
}

static void test_config_diff_tells_sections_that_come_and_go(void **state)
{
    assert_changes(*state, "[route old]\npath = /old\ntarget = app:shop\n",
                   "[route new]\ntarget = app:shop\npath = /new\n", CONFIG_RELOADS,
                   "1 [route new]: NULL -> \n"
                   "3 [route new] path: NULL -> /new\n"
                   "2 [route new] target: NULL -> app:shop\n"
                   "0 [route old]:  -> NULL\n"
                   "0 [route old] path: /old -> NULL\n"
                   "0 [route old] target: app:shop -> NULL\n");
}

static void test_config_diff_knows_sections_by_name_not_by_place(void **state)
{
    static const char ab[] = "[route a]\npath = /a\ntarget = app:shop\n"
                             "[route b]\npath = /b\ntarget = app:shop\n";
    static const char ba[] = "[route b]\npath = /b\ntarget = app:shop\n"
                             "[route a]\npath = /a\ntarget = app:shop\n";
    assert_changes(*state, ab, ba, CONFIG_RELOADS, "");
}

static void test_config_diff_a_section_with_a_key_for_the_start_takes_a_restart(void **state)
{
    static const char listener[] = "[listener a]\naddress = [::1]:0\nhsts = 1d\n";
    assert_changes(*state, "", listener, CONFIG_RELOADS, "");
    assert_changes(*state, "", listener, CONFIG_RESTART,
                   "1 [listener a]: NULL -> \n"
                   "2 [listener a] address: NULL -> [::1]:0\n"
                   "3 [listener a] hsts: NULL -> 1d\n");
    assert_changes(*state, listener, "[listener a]\naddress = [::1]:0\nhsts = 2d\n", CONFIG_RELOADS,
                   "3 [listener a] hsts: 1d -> 2d\n");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(test_config_diff_of_the_same_is_empty),
        TEST(test_config_diff_tells_reloads_and_restarts_apart),
        TEST(test_config_diff_knows_one_amount_in_two_units),
        TEST(test_config_diff_shows_a_default_that_is_back),
        TEST(test_config_diff_writes_lists_with_commas),
        TEST(test_config_diff_never_shows_a_secret),
        TEST(test_config_diff_tells_sections_that_come_and_go),
        TEST(test_config_diff_knows_sections_by_name_not_by_place),
        TEST(test_config_diff_a_section_with_a_key_for_the_start_takes_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
