#include "base/rate_limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#define SECOND INT64_C(1000000000)
#define START  (1000 * SECOND)

#define CLAIM(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

static const struct rate_limit ten_a_second_burst_3 = {.count = 10, .window_s = 1, .burst = 3};

static int setup(void **state)
{
    *state = rate_table_create();
    return 0;
}

static int teardown(void **state)
{
    rate_table_destroy((struct rate_table **)state);
    return 0;
}

static struct rate_verdict take(void **state, int64_t now_ns)
{
    return rate_table_take(*state, &ten_a_second_burst_3, 0, slice_str("alice"), now_ns);
}

static void take_all(void **state, int64_t now_ns)
{
    while (take(state, now_ns).allowed)
        continue;
}

/* ---- The buckets. */

static void test_rate_limit_allows_a_burst_and_no_more(void **state)
{
    assert_true(take(state, START).allowed);
    assert_true(take(state, START).allowed);
    assert_true(take(state, START).allowed);
    assert_false(take(state, START).allowed);
}

static void test_rate_limit_frees_one_after_each_interval(void **state)
{
    take_all(state, START);
    assert_false(take(state, START + SECOND / 10 - 1).allowed);
    assert_true(take(state, START + SECOND / 10).allowed);
    assert_false(take(state, START + SECOND / 10).allowed);
}

static void test_rate_limit_fills_up_to_the_burst_only(void **state)
{
    take_all(state, START);
    int64_t later = START + 3600 * SECOND;
    for (int i = 0; i < 3; i++)
        assert_true(take(state, later).allowed);
    assert_false(take(state, later).allowed);
}

static void test_rate_limit_keeps_to_the_rate_over_time(void **state)
{
    int allowed = 0;
    for (int64_t ms = 0; ms < 10000; ms++)
        allowed += take(state, START + ms * (SECOND / 1000)).allowed;
    assert_int_equal(allowed, 100 + 2); /* the burst is full at first */
}

static void test_rate_limit_counts_what_remains(void **state)
{
    assert_int_equal(take(state, START).remaining, 2);
    assert_int_equal(take(state, START).remaining, 1);
    assert_int_equal(take(state, START).remaining, 0);
    assert_int_equal(take(state, START).remaining, 0);
}

static void test_rate_limit_frees_no_later_than_retry_after_says(void **state)
{
    const struct rate_limit seven_an_hour = {.count = 7, .window_s = 3600, .burst = 2};
    struct rate_verdict verdict;
    int64_t now = START;
    do
        verdict = rate_table_take(*state, &seven_an_hour, 0, slice_str("alice"), now);
    while (verdict.allowed);
    now += (verdict.retry_after_s - 1) * SECOND;
    assert_false(rate_table_take(*state, &seven_an_hour, 0, slice_str("alice"), now).allowed);
    now += SECOND;
    assert_true(rate_table_take(*state, &seven_an_hour, 0, slice_str("alice"), now).allowed);
}

static void test_rate_limit_says_when_the_bucket_is_full_again(void **state)
{
    const struct rate_limit limit = {.count = 60, .window_s = 60, .burst = 10};
    assert_int_equal(rate_table_take(*state, &limit, 0, slice_str("a"), START).reset_s, 1);
    assert_int_equal(rate_table_take(*state, &limit, 0, slice_str("a"), START).reset_s, 2);
    assert_int_equal(rate_table_take(*state, &limit, 0, slice_str("a"), START + SECOND / 2).reset_s,
                     3);
}

static void test_rate_limit_keeps_keys_and_scopes_apart(void **state)
{
    take_all(state, START);
    assert_true(rate_table_take(*state, &ten_a_second_burst_3, 0, slice_str("bob"), START).allowed);
    assert_true(
        rate_table_take(*state, &ten_a_second_burst_3, 1, slice_str("alice"), START).allowed);
    assert_false(take(state, START).allowed);
}

static void test_rate_limit_looking_takes_nothing(void **state)
{
    for (int i = 0; i < 5; i++)
        assert_int_equal(
            rate_table_look(*state, &ten_a_second_burst_3, 0, slice_str("alice"), START).remaining,
            2);
    take_all(state, START);
    struct rate_verdict refused =
        rate_table_look(*state, &ten_a_second_burst_3, 0, slice_str("alice"), START);
    assert_false(refused.allowed);
    assert_int_equal(refused.retry_after_s, take(state, START).retry_after_s);
}

static void test_rate_limit_bears_a_time_before_the_last_one(void **state)
{
    take_all(state, START);
    struct rate_verdict verdict = take(state, START - SECOND);
    assert_false(verdict.allowed);
    assert_int_equal(verdict.remaining, 0);
}

static void test_rate_limit_works_at_the_bounds_of_its_notation(void **state)
{
    struct rate_limit slowest, fastest;
    char why[200];
    assert_true(rate_limit_parse(slice_str("1/d burst 366"), &slowest, why, sizeof why));
    for (int i = 0; i < 366; i++)
        assert_true(rate_table_take(*state, &slowest, 0, slice_str("a"), START).allowed);
    struct rate_verdict verdict = rate_table_take(*state, &slowest, 0, slice_str("a"), START);
    assert_false(verdict.allowed);
    assert_int_equal(verdict.retry_after_s, 86400);
    assert_int_equal(verdict.reset_s, 366 * 86400);

    assert_true(rate_limit_parse(slice_str("1000000/s"), &fastest, why, sizeof why));
    verdict = rate_table_take(*state, &fastest, 1, slice_str("a"), START);
    assert_true(verdict.allowed);
    assert_int_equal(verdict.remaining, 999999);
}

static void test_rate_limit_is_bounded_and_keeps_what_is_emptiest(void **state)
{
    const struct rate_limit slow = {.count = 1, .window_s = 3600, .burst = 2};
    rate_table_take(*state, &slow, 0, slice_str("alice"), START);
    rate_table_take(*state, &slow, 0, slice_str("alice"), START);
    for (int i = 0; i < 300000; i++) { /* more than the table holds */
        char key[16];
        struct slice other = slice_of(key, (size_t)snprintf(key, sizeof key, "%d", i));
        assert_true(rate_table_take(*state, &slow, 0, other, START).allowed);
    }
    assert_false(rate_table_take(*state, &slow, 0, slice_str("alice"), START).allowed);
}

/* ---- The notation. */

static void assert_parses(const char *text, struct rate_limit expected)
{
    struct rate_limit limit;
    char why[200];
    assert_true(rate_limit_parse(slice_str(text), &limit, why, sizeof why));
    assert_int_equal(limit.count, expected.count);
    assert_int_equal(limit.window_s, expected.window_s);
    assert_int_equal(limit.burst, expected.burst);
    assert_int_equal(limit.by, expected.by);
}

static void test_rate_limit_parse_reads_every_unit_and_option(void **state)
{
    (void)state;
    assert_parses("100/min by user burst 20", (struct rate_limit){100, 60, 20, RATE_BY_USER});
    assert_parses("100/min burst 20 by ip", (struct rate_limit){100, 60, 20, RATE_BY_IP});
    assert_parses("5/s", (struct rate_limit){5, 1, 5, RATE_BY_IP});
    assert_parses("1/h by user", (struct rate_limit){1, 3600, 1, RATE_BY_USER});
    assert_parses("  7/d   burst   3 ", (struct rate_limit){7, 86400, 3, RATE_BY_IP});
}

static void test_rate_limit_parse_says_why_it_refuses(void **state)
{
    static const char *const wrong[] = {"",
                                        "100",
                                        "100/",
                                        "/min",
                                        "0/min",
                                        "-1/min",
                                        "1.5/min",
                                        "100/minute",
                                        "100 / min",
                                        "1000001/s",
                                        "100/min by",
                                        "100/min by me",
                                        "100/min burst",
                                        "100/min burst 0",
                                        "100/min 20",
                                        "100/min by ip by user",
                                        "100/min burst 2 burst 3",
                                        "1/d burst 1000",
                                        "99999999999999999999/s",
                                        "100/min,by user"};
    (void)state;
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct rate_limit limit;
        char why[200] = "";
        assert_false(rate_limit_parse(slice_str(wrong[i]), &limit, why, sizeof why));
        assert_non_null(strstr(why, wrong[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(test_rate_limit_allows_a_burst_and_no_more),
        CLAIM(test_rate_limit_frees_one_after_each_interval),
        CLAIM(test_rate_limit_fills_up_to_the_burst_only),
        CLAIM(test_rate_limit_keeps_to_the_rate_over_time),
        CLAIM(test_rate_limit_counts_what_remains),
        CLAIM(test_rate_limit_frees_no_later_than_retry_after_says),
        CLAIM(test_rate_limit_says_when_the_bucket_is_full_again),
        CLAIM(test_rate_limit_keeps_keys_and_scopes_apart),
        CLAIM(test_rate_limit_looking_takes_nothing),
        CLAIM(test_rate_limit_bears_a_time_before_the_last_one),
        CLAIM(test_rate_limit_works_at_the_bounds_of_its_notation),
        CLAIM(test_rate_limit_is_bounded_and_keeps_what_is_emptiest),
        cmocka_unit_test(test_rate_limit_parse_reads_every_unit_and_option),
        cmocka_unit_test(test_rate_limit_parse_says_why_it_refuses),
    };
    return cmocka_run_group_tests_name("rate_limit", tests, NULL, NULL);
}
