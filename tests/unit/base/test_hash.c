#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Reference values of XXH3_64bits: stores written by an older build must stay readable. */
static void test_hash_bytes_never_changes(void **state)
{
    (void)state;
    assert_true(hash_bytes(slice_of(NULL, 0)) == 0x2D06800538D394C2);
    assert_true(hash_bytes(slice_str("galley")) == 0x51067C426183CDBF);
}

static void test_hash_of_two_runs_is_that_of_their_sum(void **state)
{
    (void)state;
    char bytes[600];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 7);
    for (size_t sum = 0; sum <= sizeof bytes; sum += 50) {
        for (size_t cut = 0; cut <= sum; cut += 25) {
            struct slice a = slice_of(bytes, cut), b = slice_of(bytes + cut, sum - cut);
            assert_true(hash_bytes2(a, b) == hash_bytes(slice_of(bytes, sum)));
        }
    }
    assert_true(hash_bytes2(slice_of(NULL, 0), slice_str("x")) == hash_bytes(slice_str("x")));
}

static void test_hash_keyed_is_stable_within_the_process_and_not_the_plain_one(void **state)
{
    struct slice key = slice_str("user:17");
    (void)state;
    assert_true(hash_keyed(key) == hash_keyed(key));
    assert_true(hash_keyed(key) != hash_bytes(key));
    assert_true(hash_keyed(key) != hash_keyed(slice_str("user:18")));
}

static void test_random_bytes_fill_everything(void **state)
{
    (void)state;
    uint8_t seen[1000] = {0};
    uint8_t bytes[1000];
    for (int round = 0; round < 8; round++) {
        random_bytes(bytes, sizeof bytes);
        for (size_t i = 0; i < sizeof bytes; i++)
            seen[i] |= bytes[i];
    }
    for (size_t i = 0; i < sizeof seen; i++)
        assert_int_not_equal(seen[i], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash_bytes_never_changes),
        cmocka_unit_test(test_hash_of_two_runs_is_that_of_their_sum),
        cmocka_unit_test(test_hash_keyed_is_stable_within_the_process_and_not_the_plain_one),
        cmocka_unit_test(test_random_bytes_fill_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
