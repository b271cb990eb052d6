#include "base/id.h"

#include <pthread.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NOW INT64_C(1769855400123)

static void test_id_is_a_version_7_uuid_with_its_time_in_front(void **state)
{
    struct id id = id_make(NOW);
    (void)state;
    int64_t ms = 0;
    for (size_t i = 0; i < 6; i++)
        ms = ms << 8 | id.bytes[i];
    assert_int_equal(ms, NOW);
    assert_int_equal(id.bytes[6] >> 4, 7);
    assert_int_equal(id.bytes[8] >> 6, 2);
}

static void test_id_increases_within_a_millisecond(void **state)
{
    struct id last = id_make(NOW);
    (void)state;
    for (int i = 0; i < 20000; i++) {
        struct id next = id_make(NOW);
        assert_true(id_compare(&last, &next) < 0);
        last = next;
    }
}

static void test_id_increases_when_the_clock_steps_back(void **state)
{
    struct id before = id_make(NOW + 60000);
    struct id after = id_make(NOW);
    (void)state;
    assert_true(id_compare(&before, &after) < 0);
}

static void test_id_text_reads_back(void **state)
{
    (void)state;
    char text[ID_TEXT_SIZE];
    for (int i = 0; i < 100; i++) {
        struct id id = id_make(NOW), back;
        id_format(&id, text);
        assert_true(id_parse(slice_str(text), &back));
        assert_int_equal(id_compare(&id, &back), 0);
    }
}

static void test_id_text_is_canonical(void **state)
{
    static const struct id id = {{0x01, 0x9c, 0x13, 0x8a, 0xbc, 0xde, 0x7f, 0x00, 0x80, 0x01, 0x23,
                                  0x45, 0x67, 0x89, 0xab, 0xcd}};
    (void)state;
    char text[ID_TEXT_SIZE];
    id_format(&id, text);
    assert_string_equal(text, "019c138a-bcde-7f00-8001-23456789abcd");
    struct id upper;
    assert_true(id_parse(slice_str("019C138A-BCDE-7F00-8001-23456789ABCD"), &upper));
    assert_int_equal(id_compare(&id, &upper), 0);
}

static void test_id_refuses_other_texts(void **state)
{
    static const char *const bad[] = {
        "",
        "019c138a-bcde-7f00-8001-23456789abc",
        "019c138a-bcde-7f00-8001-23456789abcde",
        "019c138abcde7f00800123456789abcd0000",
        "019c138a-bcde-7f00-8001-23456789abcg",
        "019c138a-bcde-7f00-800-123456789abcd",
        "{19c138a-bcde-7f00-8001-23456789abc}",
        "019c138a-bcde-7f00-8001-23456789abc ",
        "019c138a_bcde_7f00_8001_23456789abcd",
    };
    (void)state;
    struct id id;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(id_parse(slice_str(bad[i]), &id));
}

#define THREADS 4
#define EACH    5000

static void *make_many(void *arg)
{
    struct id *ids = arg;
    for (int i = 0; i < EACH; i++)
        ids[i] = id_make(NOW);
    return NULL;
}

static int compare(const void *a, const void *b)
{
    return id_compare(a, b);
}

static void test_id_is_unique_over_threads(void **state)
{
    static struct id ids[THREADS * EACH];
    (void)state;
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, make_many, ids + i * EACH);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    qsort(ids, THREADS * EACH, sizeof ids[0], compare);
    for (int i = 1; i < THREADS * EACH; i++)
        assert_int_not_equal(id_compare(&ids[i - 1], &ids[i]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_id_is_a_version_7_uuid_with_its_time_in_front),
        cmocka_unit_test(test_id_increases_within_a_millisecond),
        cmocka_unit_test(test_id_increases_when_the_clock_steps_back),
        cmocka_unit_test(test_id_text_reads_back),
        cmocka_unit_test(test_id_text_is_canonical),
        cmocka_unit_test(test_id_refuses_other_texts),
        cmocka_unit_test(test_id_is_unique_over_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
