#include "server/identity/session.h"

#include "base/log.h"
#include "storage/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NOW_MS INT64_C(1800000000000)

struct fixture {
    char dir[256];
    struct store *store;
    struct sessions *sessions;
};

static void open_sessions(struct fixture *f, int64_t now_ms)
{
    char why[200];
    struct store_options options = {.dir = f->dir, .clock = &clock_system};
    assert_int_equal(store_open(&options, &f->store, why, sizeof why), ERR_OK);
    assert_int_equal(sessions_open(f->store, NOW_MS + now_ms, &f->sessions, why, sizeof why),
                     ERR_OK);
}

static void close_sessions(struct fixture *f)
{
    sessions_close(&f->sessions);
    assert_null(f->sessions);
    store_close(&f->store);
}

static int create(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    const char *tmp = getenv("TMPDIR");
    snprintf(f->dir, sizeof f->dir, "%s/galley-sessions-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(f->dir));
    open_sessions(f, 0);
    *state = f;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static int destroy(void **state)
{
    struct fixture *f = *state;
    close_sessions(f);
    nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(f);
    return 0;
}

static void begin(struct fixture *f, const char *user, int64_t now_ms,
                  char token[SESSION_TOKEN_SIZE])
{
    sessions_begin(f->sessions, slice_str(user), ADMIN_OPERATOR, NOW_MS + now_ms, token);
}

static bool use(struct fixture *f, const char *token, int64_t now_ms, struct session *out)
{
    return sessions_use(f->sessions, slice_str(token), NOW_MS + now_ms, out);
}

static bool alive(struct fixture *f, const char *token, int64_t now_ms)
{
    return use(f, token, now_ms, NULL);
}

static void test_session_token_names_its_user(void **state)
{
    char ann[SESSION_TOKEN_SIZE], bob[SESSION_TOKEN_SIZE];
    struct session session;
    begin(*state, "ann", 0, ann);
    begin(*state, "bob", 0, bob);
    assert_true(use(*state, ann, 1, &session));
    assert_string_equal(session.user, "ann");
    assert_true(use(*state, bob, 1, &session));
    assert_string_equal(session.user, "bob");
}

static void test_session_tokens_are_43_characters_and_differ(void **state)
{
    char one[SESSION_TOKEN_SIZE], two[SESSION_TOKEN_SIZE];
    struct session session;
    begin(*state, "ann", 0, one);
    begin(*state, "ann", 0, two);
    use(*state, one, 0, &session);
    assert_int_equal(strlen(one), 43);
    assert_string_not_equal(one, two);
    assert_int_equal(strlen(session.csrf), 43);
    assert_string_not_equal(one, session.csrf);
}

static void test_session_is_unknown_for_other_tokens(void **state)
{
    char token[SESSION_TOKEN_SIZE];
    begin(*state, "ann", 0, token);
    token[10] = token[10] == 'A' ? 'B' : 'A';
    assert_false(alive(*state, token, 0));
    assert_false(alive(*state, "", 0));
}

static void test_session_expires_when_idle(void **state)
{
    char token[SESSION_TOKEN_SIZE];
    begin(*state, "ann", 0, token);
    assert_false(alive(*state, token, SESSION_IDLE_MS));
}

static void test_session_lives_on_while_it_is_used(void **state)
{
    char token[SESSION_TOKEN_SIZE];
    begin(*state, "ann", 0, token);
    for (int64_t now_ms = 0; now_ms < SESSION_LIFE_MS; now_ms += SESSION_IDLE_MS - 1)
        assert_true(alive(*state, token, now_ms));
}

static void test_session_ends_after_a_day_however_it_is_used(void **state)
{
    char token[SESSION_TOKEN_SIZE];
    begin(*state, "ann", 0, token);
    for (int64_t now_ms = 0; now_ms < SESSION_LIFE_MS; now_ms += SESSION_IDLE_MS / 4)
        assert_true(alive(*state, token, now_ms));
    assert_false(alive(*state, token, SESSION_LIFE_MS));
}

static void test_session_from_the_future_is_over(void **state)
{
    char token[SESSION_TOKEN_SIZE];
    begin(*state, "ann", 0, token);
    assert_true(alive(*state, token, -SESSION_SKEW_MS));
    assert_false(alive(*state, token, -SESSION_SKEW_MS - 1));
}

static void test_session_outlives_a_restart_but_not_its_day(void **state)
{
    struct fixture *f = *state;
    char token[SESSION_TOKEN_SIZE], ended[SESSION_TOKEN_SIZE];
    struct session before, after;
    begin(f, "ann", 0, token);
    begin(f, "ann", 0, ended);
    sessions_end(f->sessions, slice_str(ended));
    assert_true(use(f, token, 1, &before));
    close_sessions(f);
    open_sessions(f, SESSION_LIFE_MS - 1);
    assert_true(use(f, token, SESSION_LIFE_MS - 1, &after));
    assert_string_equal(after.user, "ann");
    assert_int_equal(after.role, ADMIN_OPERATOR);
    assert_string_equal(after.csrf, before.csrf);
    assert_false(alive(f, ended, 1));
    close_sessions(f);
    open_sessions(f, SESSION_LIFE_MS);
    assert_false(alive(f, token, SESSION_LIFE_MS));
}

struct ending {
    struct sessions *sessions;
    const char *user;
};

static enum err end_all(struct txn *txn, void *arg)
{
    struct ending *ending = arg;
    return sessions_end_all(ending->sessions, txn, ending->user);
}

static void test_sessions_of_one_user_end_together(void **state)
{
    struct fixture *f = *state;
    char one[SESSION_TOKEN_SIZE], two[SESSION_TOKEN_SIZE], bob[SESSION_TOKEN_SIZE];
    begin(f, "ann", 0, one);
    begin(f, "ann", 0, two);
    begin(f, "bob", 0, bob);
    struct ending ending = {f->sessions, "ann"};
    assert_int_equal(store_write(f->store, end_all, &ending), ERR_OK);
    for (int round = 0; round < 2; round++) {
        assert_false(alive(f, one, 1));
        assert_false(alive(f, two, 1));
        assert_true(alive(f, bob, 1));
        close_sessions(f);
        open_sessions(f, 1);
    }
}

static void test_session_ends_alone(void **state)
{
    char ann[SESSION_TOKEN_SIZE], bob[SESSION_TOKEN_SIZE];
    begin(*state, "ann", 0, ann);
    begin(*state, "bob", 0, bob);
    sessions_end(((struct fixture *)*state)->sessions, slice_str(ann));
    assert_false(alive(*state, ann, 0));
    assert_true(alive(*state, bob, 0));
}

static void test_sessions_full_drop_the_one_unused_longest(void **state)
{
    char tokens[SESSIONS_MAX][SESSION_TOKEN_SIZE], extra[SESSION_TOKEN_SIZE];
    for (int i = 0; i < SESSIONS_MAX; i++)
        begin(*state, "ann", i, tokens[i]);
    assert_true(alive(*state, tokens[0], SESSIONS_MAX));
    begin(*state, "bob", SESSIONS_MAX + 1, extra);
    assert_false(alive(*state, tokens[1], SESSIONS_MAX + 1));
    assert_true(alive(*state, tokens[0], SESSIONS_MAX + 1));
    assert_true(alive(*state, tokens[2], SESSIONS_MAX + 1));
    assert_true(alive(*state, extra, SESSIONS_MAX + 1));
}

static void test_token_comparison_wants_all_of_it(void **state)
{
    (void)state;
    assert_true(session_token_is(slice_str("abc"), "abc"));
    assert_false(session_token_is(slice_str("abd"), "abc"));
    assert_false(session_token_is(slice_str("ab"), "abc"));
    assert_false(session_token_is(slice_str("abcd"), "abc"));
    assert_false(session_token_is((struct slice){NULL, 0}, "abc"));
}

#define WITH_SESSIONS(test) cmocka_unit_test_setup_teardown(test, create, destroy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SESSIONS(test_session_token_names_its_user),
        WITH_SESSIONS(test_session_tokens_are_43_characters_and_differ),
        WITH_SESSIONS(test_session_is_unknown_for_other_tokens),
        WITH_SESSIONS(test_session_expires_when_idle),
        WITH_SESSIONS(test_session_lives_on_while_it_is_used),
        WITH_SESSIONS(test_session_ends_after_a_day_however_it_is_used),
        WITH_SESSIONS(test_session_from_the_future_is_over),
        WITH_SESSIONS(test_session_outlives_a_restart_but_not_its_day),
        WITH_SESSIONS(test_sessions_of_one_user_end_together),
        WITH_SESSIONS(test_session_ends_alone),
        WITH_SESSIONS(test_sessions_full_drop_the_one_unused_longest),
        cmocka_unit_test(test_token_comparison_wants_all_of_it),
    };
    assert_true(log_open(&(struct log_options){.level = LOG_OFF}));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
