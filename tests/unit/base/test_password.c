#include "base/password.h"

#include <pthread.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Made by another implementation: N = 2^10, r = 8, p = 1, salt 00 01 .. 0f. */
#define FOREIGN                                                                                    \
    "scrypt$10$8$1$AAECAwQFBgcICQoLDA0ODw==$nfkj3u1fRTHCea+fVr03sWV770kp5wLOLoEakziKhqE="

static void test_password_is_verified_by_its_hash_only(void **state)
{
    char hash[PASSWORD_HASH_SIZE];

    (void)state;
    password_hash(slice_str("secret"), hash);
    assert_int_equal(strncmp(hash, "scrypt$14$8$5$", 14), 0);
    assert_true(password_verify(slice_str("secret"), hash));
    assert_false(password_verify(slice_str("Secret"), hash));
}

static void test_password_hash_of_another_scrypt_is_understood(void **state)
{
    (void)state;
    assert_true(password_verify(slice_str("correct horse"), FOREIGN));
    assert_false(password_verify(slice_str("correct hors"), FOREIGN));
    assert_false(password_verify(slice_of(NULL, 0), FOREIGN));
}

static void test_password_without_a_hash_is_wrong(void **state)
{
    (void)state;
    assert_false(password_verify(slice_str("secret"), NULL));
}

static void test_password_unreadable_hash_is_wrong(void **state)
{
    (void)state;
    assert_false(password_verify(slice_str("secret"), "scrypt$10$8$1$AAECAw==$AAEC"));
}

static void test_password_hash_may_not_ask_for_too_much(void **state)
{
    static const char rest[] =
        "$AAECAwQFBgcICQoLDA0ODw==$nfkj3u1fRTHCea+fVr03sWV770kp5wLOLoEakziKhqE=";
    char hash[PASSWORD_HASH_SIZE] = "scrypt$30$8$1";

    (void)state;
    strcat(hash, rest);
    assert_false(password_verify(slice_str("correct horse"), hash));
}

static void test_password_longer_than_the_bound_is_refused(void **state)
{
    char longer[PASSWORD_MAX + 1];

    (void)state;
    memset(longer, 'x', sizeof longer);
    assert_false(password_verify(slice_of(longer, sizeof longer), FOREIGN));
}

static void *verify(void *arg)
{
    *(bool *)arg = password_verify(slice_str("correct horse"), FOREIGN);
    return NULL;
}

static void test_password_waiters_all_get_their_turn(void **state)
{
    pthread_t threads[8];
    bool right[8] = {false};

    (void)state;
    for (int i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, verify, &right[i]);
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
        assert_true(right[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_password_is_verified_by_its_hash_only),
        cmocka_unit_test(test_password_hash_of_another_scrypt_is_understood),
        cmocka_unit_test(test_password_without_a_hash_is_wrong),
        cmocka_unit_test(test_password_unreadable_hash_is_wrong),
        cmocka_unit_test(test_password_hash_may_not_ask_for_too_much),
        cmocka_unit_test(test_password_longer_than_the_bound_is_refused),
        cmocka_unit_test(test_password_waiters_all_get_their_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
