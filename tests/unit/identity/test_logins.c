#include "server/identity/logins.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

/* Of "correct horse", and cheap: N = 2^10, r = 8, p = 1. */
#define HASH "scrypt$10$8$1$AAECAwQFBgcICQoLDA0ODw==$nfkj3u1fRTHCea+fVr03sWV770kp5wLOLoEakziKhqE="

#define CLAIM(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

static struct clock_fake fake;
static uint32_t retry_after_s; /* of the last attempt */

static int setup(void **state)
{
    clock_fake_init(&fake, 1700000000000);
    *state = logins_create(64, &fake.clock);
    return 0;
}

static int teardown(void **state)
{
    logins_destroy((struct logins **)state);
    return 0;
}

static enum err attempt(void **state, const char *network, const char *name, const char *password)
{
    struct login login = {.network = slice_str(network),
                          .name = slice_str(name),
                          .password = slice_str(password),
                          .hash = HASH};
    return logins_check(*state, &login, &retry_after_s);
}

static enum err right(void **state, const char *network, const char *name)
{
    return attempt(state, network, name, "correct horse");
}

/* Tries until something else than a wrong password is the answer; how often it was that. */
static unsigned guess(void **state, const char *network, const char *name)
{
    unsigned wrong = 0;
    while (attempt(state, network, name, "battery staple") == ERR_UNAUTHENTICATED)
        wrong++;
    return wrong;
}

static void test_logins_tell_right_from_wrong(void **state)
{
    assert_int_equal(right(state, "here", "alice"), ERR_OK);
    assert_int_equal(attempt(state, "here", "alice", "no"), ERR_UNAUTHENTICATED);
    struct login nobody = {.network = slice_str("here"),
                           .name = slice_str("nobody"),
                           .password = slice_str("correct horse")};
    assert_int_equal(logins_check(*state, &nobody, &retry_after_s), ERR_UNAUTHENTICATED);
}

static void test_logins_right_passwords_are_never_counted(void **state)
{
    for (int i = 0; i < 150; i++)
        assert_int_equal(right(state, "here", "alice"), ERR_OK);
    assert_int_equal(guess(state, "here", "alice"), 10);
}

static void test_logins_a_network_may_be_wrong_ten_times_a_minute(void **state)
{
    unsigned wrong = 0;
    char name[16];
    enum err err;
    do {
        snprintf(name, sizeof name, "user%u", wrong++);
        err = attempt(state, "here", name, "no");
    } while (err == ERR_UNAUTHENTICATED);
    assert_int_equal(err, ERR_LIMITED);
    assert_int_equal(wrong, 10 + 1);
    assert_int_equal(retry_after_s, 6);
    assert_int_equal(right(state, "there", "alice"), ERR_OK);
    clock_fake_advance(&fake, 6000);
    assert_int_equal(right(state, "here", "alice"), ERR_OK);
}

static void test_logins_beyond_a_limit_a_right_password_is_as_any(void **state)
{
    guess(state, "here", "alice");
    assert_int_equal(right(state, "here", "alice"), ERR_LIMITED);
    assert_true(retry_after_s > 0);
}

static void test_logins_guessing_a_name_from_one_network_is_slow(void **state)
{
    guess(state, "here", "alice");
    clock_fake_advance(&fake, 60000);
    assert_int_equal(attempt(state, "here", "bob", "no"), ERR_UNAUTHENTICATED);
    assert_int_equal(attempt(state, "here", "alice", "no"), ERR_LIMITED);
    clock_fake_advance(&fake, 60000);
    assert_int_equal(guess(state, "here", "alice"), 1);
}

static void test_logins_guessing_from_one_network_keeps_nobody_out_elsewhere(void **state)
{
    for (int hour = 0; hour < 24; hour++) {
        guess(state, "here", "alice");
        clock_fake_advance(&fake, 3600 * 1000);
    }
    guess(state, "here", "alice");
    assert_int_equal(right(state, "there", "alice"), ERR_OK);
}

/* From so many places that the limit of the name itself is reached. */
static void guess_from_everywhere(void **state, const char *name)
{
    char network[16];
    for (int i = 0; i < 20; i++) {
        snprintf(network, sizeof network, "bot%d", i);
        guess(state, network, name);
    }
}

static void test_logins_guessing_from_many_networks_is_limited(void **state)
{
    guess_from_everywhere(state, "alice");
    assert_int_equal(attempt(state, "new", "alice", "no"), ERR_LIMITED);
    assert_int_equal(attempt(state, "new", "bob", "no"), ERR_UNAUTHENTICATED);
}

static void test_logins_where_one_signed_in_before_one_still_may(void **state)
{
    right(state, "home", "alice");
    guess_from_everywhere(state, "alice");
    assert_int_equal(right(state, "new", "alice"), ERR_LIMITED);
    assert_int_equal(right(state, "home", "alice"), ERR_OK);
    assert_int_equal(guess(state, "home", "alice"), 10);
}

static void test_logins_administrators_have_limits_of_their_own(void **state)
{
    guess(state, "here", "alice");
    struct login login = {.door = LOGIN_ADMINISTRATORS,
                          .network = slice_str("here"),
                          .name = slice_str("alice"),
                          .password = slice_str("correct horse"),
                          .hash = HASH};
    assert_int_equal(logins_check(*state, &login, &retry_after_s), ERR_OK);
}

static void test_logins_are_counted_by_what_came_of_them(void **state)
{
    right(state, "here", "alice");
    guess(state, "here", "alice");
    struct logins_stats stats;
    logins_stats(*state, LOGIN_USERS, &stats);
    assert_int_equal(stats.right, 1);
    assert_int_equal(stats.wrong, 10);
    assert_int_equal(stats.limited, 1);
    assert_int_equal(stats.waiting, 0);
}

static void test_logins_hash_what_they_then_check(void **state)
{
    char hash[PASSWORD_HASH_SIZE];
    assert_int_equal(logins_hash(*state, LOGIN_USERS, slice_str("here"), slice_str("secret"), hash,
                                 &retry_after_s),
                     ERR_OK);
    assert_int_equal(password_verify(slice_str("secret"), hash), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(test_logins_tell_right_from_wrong),
        CLAIM(test_logins_right_passwords_are_never_counted),
        CLAIM(test_logins_a_network_may_be_wrong_ten_times_a_minute),
        CLAIM(test_logins_beyond_a_limit_a_right_password_is_as_any),
        CLAIM(test_logins_guessing_a_name_from_one_network_is_slow),
        CLAIM(test_logins_guessing_from_one_network_keeps_nobody_out_elsewhere),
        CLAIM(test_logins_guessing_from_many_networks_is_limited),
        CLAIM(test_logins_where_one_signed_in_before_one_still_may),
        CLAIM(test_logins_administrators_have_limits_of_their_own),
        CLAIM(test_logins_are_counted_by_what_came_of_them),
        CLAIM(test_logins_hash_what_they_then_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
