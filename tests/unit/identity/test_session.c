#include "server/identity/session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int create(void **state)
{
    *state = sessions_create();
    return 0;
}

static int destroy(void **state)
{
    struct sessions *sessions = *state;
    sessions_destroy(&sessions);
    assert_null(sessions);
    return 0;
}

static void begin(struct sessions *sessions, const char *user, int64_t now_ms,
                  char token[SESSION_TOKEN_SIZE])
{
    sessions_begin(sessions, slice_str(user), now_ms, token);
}

static bool alive(struct sessions *sessions, const char *token, int64_t now_ms)
{
    return sessions_use(sessions, slice_str(token), now_ms, NULL);
}

static void test_session_token_names_its_user(void **state)
{
    char ann[SESSION_TOKEN_SIZE], bob[SESSION_TOKEN_SIZE];
    struct session session;
    begin(*state, "ann", 0, ann);
    begin(*state, "bob", 0, bob);
    assert_true(sessions_use(*state, slice_str(ann), 1, &session));
    assert_string_equal(session.user, "ann");
    assert_true(sessions_use(*state, slice_str(bob), 1, &session));
    assert_string_equal(session.user, "bob");
}

static void test_session_tokens_are_43_characters_and_differ(void **state)
{
    char one[SESSION_TOKEN_SIZE], two[SESSION_TOKEN_SIZE];
    struct session session;
    begin(*state, "ann", 0, one);
    begin(*state, "ann", 0, two);
    sessions_use(*state, slice_str(one), 0, &session);
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
    for (int64_t now_ms = 0; now_ms < 3 * SESSION_IDLE_MS; now_ms += SESSION_IDLE_MS - 1)
        assert_true(alive(*state, token, now_ms));
}

static void test_session_ends_alone(void **state)
{
    char ann[SESSION_TOKEN_SIZE], bob[SESSION_TOKEN_SIZE];
    begin(*state, "ann", 0, ann);
    begin(*state, "bob", 0, bob);
    sessions_end(*state, slice_str(ann));
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
        WITH_SESSIONS(test_session_ends_alone),
        WITH_SESSIONS(test_sessions_full_drop_the_one_unused_longest),
        cmocka_unit_test(test_token_comparison_wants_all_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
