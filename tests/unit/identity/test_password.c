#include "server/identity/password.h"

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
    (void)state;
    char hash[PASSWORD_HASH_SIZE];
    password_hash(slice_str("secret"), hash);
    assert_int_equal(strncmp(hash, "scrypt$14$8$5$", 14), 0);
    assert_int_equal(password_verify(slice_str("secret"), hash), ERR_OK);
    assert_int_equal(password_verify(slice_str("Secret"), hash), ERR_UNAUTHENTICATED);
}

static void test_password_hash_of_another_scrypt_is_understood(void **state)
{
    (void)state;
    assert_int_equal(password_verify(slice_str("correct horse"), FOREIGN), ERR_OK);
    assert_int_equal(password_verify(slice_str("correct hors"), FOREIGN), ERR_UNAUTHENTICATED);
    assert_int_equal(password_verify(slice_of(NULL, 0), FOREIGN), ERR_UNAUTHENTICATED);
}

static void test_password_without_a_hash_is_wrong(void **state)
{
    (void)state;
    assert_int_equal(password_verify(slice_str("secret"), NULL), ERR_UNAUTHENTICATED);
}

static void test_password_unreadable_hash_is_wrong(void **state)
{
    (void)state;
    assert_int_equal(password_verify(slice_str("secret"), "scrypt$10$8$1$AAECAw==$AAEC"),
                     ERR_UNAUTHENTICATED);
}

static void test_password_hash_may_not_ask_for_too_much(void **state)
{
    static const char rest[] =
        "$AAECAwQFBgcICQoLDA0ODw==$nfkj3u1fRTHCea+fVr03sWV770kp5wLOLoEakziKhqE=";
    char hash[PASSWORD_HASH_SIZE] = "scrypt$30$8$1";
    (void)state;
    strcat(hash, rest);
    assert_int_equal(password_verify(slice_str("correct horse"), hash), ERR_UNAUTHENTICATED);
}

static void test_password_longer_than_the_bound_is_refused(void **state)
{
    (void)state;
    char longer[PASSWORD_MAX + 1];
    memset(longer, 'x', sizeof longer);
    assert_int_equal(password_verify(slice_of(longer, sizeof longer), FOREIGN),
                     ERR_UNAUTHENTICATED);
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
