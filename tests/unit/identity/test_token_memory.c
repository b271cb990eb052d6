#include "server/identity/jwt_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#define CLAIM(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

static int setup(void **state)
{
    *state = token_memory_create();
    return 0;
}

static int teardown(void **state)
{
    token_memory_destroy((struct token_memory **)state);
    return 0;
}

static void put(struct token_memory *memory, const char *token, const char *user, int64_t from_ms,
                int64_t until_ms)
{
    struct token_facts facts = {.from_ms = from_ms, .until_ms = until_ms};
    snprintf(facts.user.id, sizeof facts.user.id, "%s", user);
    token_memory_put(memory, slice_str(token), &facts);
}

static bool has(struct token_memory *memory, const char *token, int64_t now_ms)
{
    struct principal user;
    return token_memory_find(memory, slice_str(token), now_ms, &user);
}

static void test_token_memory_tells_the_user_of_each_token(void **state)
{
    struct principal user;
    put(*state, "a", "alice", 0, 100);
    put(*state, "b", "bob", 0, 100);
    assert_true(token_memory_find(*state, slice_str("a"), 50, &user));
    assert_string_equal(user.id, "alice");
    assert_true(token_memory_find(*state, slice_str("b"), 50, &user));
    assert_string_equal(user.id, "bob");
}

static void test_token_memory_does_not_know_other_tokens(void **state)
{
    put(*state, "token", "alice", 0, 100);
    assert_false(has(*state, "token ", 50));
    assert_false(has(*state, "toke", 50));
    assert_false(has(*state, "", 50));
}

static void test_token_memory_forgets_a_token_that_has_ended(void **state)
{
    put(*state, "a", "alice", 0, 100);
    assert_true(has(*state, "a", 99));
    assert_false(has(*state, "a", 100));
    assert_false(has(*state, "a", 99));
}

static void test_token_memory_does_not_pass_a_token_before_its_time(void **state)
{
    put(*state, "a", "alice", 50, 100);
    assert_false(has(*state, "a", 49));
}

static void test_token_memory_replaces_what_it_knew_of_a_token(void **state)
{
    put(*state, "a", "alice", 0, 100);
    put(*state, "a", "alice", 0, 200);
    assert_true(has(*state, "a", 150));
}

static void test_token_memory_is_bounded_and_keeps_what_lasts_longest(void **state)
{
    char token[32];
    put(*state, "lasting", "alice", 0, 1000000);
    for (int i = 0; i < 40000; i++) {
        snprintf(token, sizeof token, "token %d", i);
        put(*state, token, "bob", 0, 1000 + i % 1000);
    }
    int kept = 0;
    for (int i = 0; i < 40000; i++) {
        snprintf(token, sizeof token, "token %d", i);
        kept += has(*state, token, 500);
    }
    assert_in_range(kept, 4000, 8192);
    assert_true(has(*state, "lasting", 500));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(test_token_memory_tells_the_user_of_each_token),
        CLAIM(test_token_memory_does_not_know_other_tokens),
        CLAIM(test_token_memory_forgets_a_token_that_has_ended),
        CLAIM(test_token_memory_does_not_pass_a_token_before_its_time),
        CLAIM(test_token_memory_replaces_what_it_knew_of_a_token),
        CLAIM(test_token_memory_is_bounded_and_keeps_what_lasts_longest),
    };
    return cmocka_run_group_tests_name("token_memory", tests, NULL, NULL);
}
