#include "server/identity/password.h"

#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Made by another implementation: N = 2^10, r = 8, p = 1, salt 00 01 .. 0f. */
#define FOREIGN                                                                                    \
    "scrypt$10$8$1$AAECAwQFBgcICQoLDA0ODw==$nfkj3u1fRTHCea+fVr03sWV770kp5wLOLoEakziKhqE="

/* Found before OpenSSL's: while the gate is closed nothing is hashed. */
static _Atomic bool gate_closed;
static sem_t gate;

int EVP_PBE_scrypt(const char *pass, size_t pass_len, const unsigned char *salt, size_t salt_len,
                   uint64_t n, uint64_t r, uint64_t p, uint64_t memory, unsigned char *key,
                   size_t key_len)
{
    if (gate_closed)
        sem_wait(&gate);
    __typeof__(&EVP_PBE_scrypt) real = dlsym(RTLD_NEXT, "EVP_PBE_scrypt");
    return real(pass, pass_len, salt, salt_len, n, r, p, memory, key, key_len);
}

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

#define CROWD (PASSWORD_WAITING_MAX + 2 + 5) /* two are hashed, five are too many */

struct visitor {
    pthread_t thread;
    enum err result;
    sem_t *refused;
};

static void *visit(void *arg)
{
    struct visitor *visitor = arg;
    visitor->result = password_verify(slice_str("correct horse"), FOREIGN);
    if (visitor->result == ERR_OVERLOADED)
        sem_post(visitor->refused);
    return NULL;
}

static void test_password_only_so_many_may_wait(void **state)
{
    (void)state;
    sem_t refused;
    sem_init(&refused, 0, 0);
    sem_init(&gate, 0, 0);
    gate_closed = true;
    struct visitor crowd[CROWD];
    for (int i = 0; i < CROWD; i++) {
        crowd[i].refused = &refused;
        pthread_create(&crowd[i].thread, NULL, visit, &crowd[i]);
    }
    for (int i = 0; i < 5; i++)
        sem_wait(&refused);
    gate_closed = false;
    sem_post(&gate);
    sem_post(&gate);
    unsigned right = 0, refused_count = 0;
    for (int i = 0; i < CROWD; i++) {
        pthread_join(crowd[i].thread, NULL);
        right += crowd[i].result == ERR_OK;
        refused_count += crowd[i].result == ERR_OVERLOADED;
    }
    assert_int_equal(right, CROWD - 5);
    assert_int_equal(refused_count, 5);
    sem_destroy(&refused);
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
        cmocka_unit_test(test_password_only_so_many_may_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
