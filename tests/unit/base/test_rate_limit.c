#include "base/rate_limit.h"

#include "tests/unit/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

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

static void test_rate_limit_bounds_the_memory_of_a_million_addresses(void **state)
{
    const struct rate_limit slow = {.count = 1, .window_s = 3600, .burst = 2};
    long least = 0;
    for (int i = 0; i < 1000000; i++) {
        uint8_t network[8] = {0x20, 0x01, 0x0d, 0xb8};
        memcpy(network + 4, &i, sizeof i);
        assert_true(
            rate_table_take(*state, &slow, 0, slice_of(network, sizeof network), START).allowed);
        if (i == 300000) /* it is full */
            least = anonymous_bytes();
    }
    assert_true(least > 0);
    if (MEMORY_IS_OURS)
        assert_in_range(anonymous_bytes(), 0, least + MIB);
}

/* ---- Windows. */

static const struct rate_limit fixed_5_a_minute = {5, 60, 5, RATE_FIXED, RATE_BY_IP, ""};
static const struct rate_limit sliding_5_a_minute = {5, 60, 5, RATE_SLIDING, RATE_BY_IP, ""};

static struct rate_verdict take_of(void **state, const struct rate_limit *limit, int64_t now_ns)
{
    return rate_table_take(*state, limit, limit->kind, slice_str("alice"), now_ns);
}

static void test_rate_limit_fixed_window_begins_with_its_first_request(void **state)
{
    for (unsigned i = 0; i < 5; i++) {
        struct rate_verdict verdict = take_of(state, &fixed_5_a_minute, START + i * SECOND);
        assert_true(verdict.allowed);
        assert_int_equal(verdict.remaining, 4 - i);
        assert_int_equal(verdict.reset_s, 60 - i);
    }
    struct rate_verdict refused = take_of(state, &fixed_5_a_minute, START + 59 * SECOND);
    assert_false(refused.allowed);
    assert_int_equal(refused.retry_after_s, 1);
    assert_int_equal(take_of(state, &fixed_5_a_minute, START + 60 * SECOND).remaining, 4);
}

static void test_rate_limit_sliding_window_counts_its_share_of_the_one_before(void **state)
{
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(take_of(state, &sliding_5_a_minute, START).remaining, 4 - i);
    struct rate_verdict refused = take_of(state, &sliding_5_a_minute, START + 10 * SECOND);
    assert_false(refused.allowed);
    assert_int_equal(refused.retry_after_s, 50 + 12); /* a fifth of the next window */
    assert_false(take_of(state, &sliding_5_a_minute, START + 71 * SECOND).allowed);
    assert_true(take_of(state, &sliding_5_a_minute, START + 72 * SECOND).allowed);
    assert_false(take_of(state, &sliding_5_a_minute, START + 73 * SECOND).allowed);
}

/* The times of what passed, of many that ask at random. */
static unsigned run_sliding(void **state, int64_t *passed, unsigned room)
{
    unsigned count = 0;
    uint32_t random = 1;
    for (int64_t now = START; count < room; now += random % (10 * SECOND)) {
        random = random * 1664525 + 1013904223;
        if (take_of(state, &sliding_5_a_minute, now).allowed)
            passed[count++] = now;
    }
    return count;
}

static void test_rate_limit_sliding_window_never_lets_twice_the_count_pass(void **state)
{
    int64_t passed[500];
    unsigned count = run_sliding(state, passed, 500);
    for (unsigned i = 0; i + 9 < count; i++)
        assert_true(passed[i + 9] - passed[i] >
                    60 * SECOND); /* ten in a minute: fixed windows would */
    assert_true((passed[count - 1] - START) / (60 * SECOND) >= 500 / 5 - 2);
}

static void test_rate_limit_windows_free_no_later_than_retry_after_says(void **state)
{
    static const struct rate_limit *const limits[] = {&fixed_5_a_minute, &sliding_5_a_minute};
    for (unsigned i = 0; i < 2; i++) {
        int64_t now = START;
        for (unsigned asked = 0; asked < 2000; asked++) {
            struct rate_verdict verdict = take_of(state, limits[i], now);
            if (verdict.allowed) {
                now += 700 * SECOND / 100;
                continue;
            }
            assert_true(verdict.retry_after_s > 0);
            int64_t soon = now + (verdict.retry_after_s - 1) * SECOND;
            if (soon > now)
                assert_false(take_of(state, limits[i], soon).allowed);
            now += verdict.retry_after_s * SECOND;
            assert_true(take_of(state, limits[i], now).allowed);
        }
    }
}

static void test_rate_limit_windows_forget_what_a_longer_one_has_left(void **state)
{
    static const struct rate_limit a_day = {5, 86400, 5, RATE_FIXED, RATE_BY_IP, ""};
    for (unsigned i = 0; i < 6; i++)
        take_of(state, &a_day, START);
    assert_int_equal(take_of(state, &fixed_5_a_minute, START).reset_s, 60);
}

static void test_rate_limit_windows_bear_a_time_before_the_last_one(void **state)
{
    for (unsigned i = 0; i < 5; i++) {
        take_of(state, &fixed_5_a_minute, START);
        take_of(state, &sliding_5_a_minute, START);
    }
    assert_false(take_of(state, &fixed_5_a_minute, START - SECOND / 2).allowed);
    assert_false(take_of(state, &sliding_5_a_minute, START - SECOND / 2).allowed);
}

struct race {
    struct rate_table *table;
    const struct rate_limit *limit;
    atomic_uint passed;
};

static void *ask_often(void *arg)
{
    struct race *race = arg;
    for (unsigned i = 0; i < 20000; i++) {
        if (rate_table_take(race->table, race->limit, 0, slice_str("alice"), START).allowed)
            race->passed++;
    }
    return NULL;
}

static void test_rate_limit_is_exact_however_many_ask_at_once(void **state)
{
    for (enum rate_kind kind = RATE_TOKEN; kind <= RATE_FIXED; kind++) {
        struct rate_limit limit = {1000, 60, 1000, kind, RATE_BY_IP, ""};
        struct race race = {.table = *state, .limit = &limit};
        pthread_t threads[4];
        rate_table_destroy((struct rate_table **)state);
        *state = race.table = rate_table_create();
        for (unsigned i = 0; i < 4; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, ask_often, &race), 0);
        for (unsigned i = 0; i < 4; i++)
            pthread_join(threads[i], NULL);
        assert_int_equal(race.passed, 1000);
    }
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
    assert_int_equal(limit.kind, expected.kind);
    assert_int_equal(limit.by, expected.by);
    assert_string_equal(limit.header, expected.header);
}

static void test_rate_limit_parse_reads_every_unit_and_option(void **state)
{
    (void)state;
    assert_parses("100/min by user burst 20",
                  (struct rate_limit){100, 60, 20, RATE_TOKEN, RATE_BY_USER, ""});
    assert_parses("100/min burst 20 by ip",
                  (struct rate_limit){100, 60, 20, RATE_TOKEN, RATE_BY_IP, ""});
    assert_parses("5/s", (struct rate_limit){5, 1, 5, RATE_TOKEN, RATE_BY_IP, ""});
    assert_parses("1/h by user", (struct rate_limit){1, 3600, 1, RATE_TOKEN, RATE_BY_USER, ""});
    assert_parses("  7/d   burst   3 ",
                  (struct rate_limit){7, 86400, 3, RATE_TOKEN, RATE_BY_IP, ""});
    assert_parses("token 5/s by route",
                  (struct rate_limit){5, 1, 5, RATE_TOKEN, RATE_BY_ROUTE, ""});
    assert_parses("sliding 100/min",
                  (struct rate_limit){100, 60, 100, RATE_SLIDING, RATE_BY_IP, ""});
    assert_parses("fixed 1000/h by header X-Tenant",
                  (struct rate_limit){1000, 3600, 1000, RATE_FIXED, RATE_BY_HEADER, "X-Tenant"});
    assert_parses("5/s by header X-Tenant burst 9",
                  (struct rate_limit){5, 1, 9, RATE_TOKEN, RATE_BY_HEADER, "X-Tenant"});
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
                                        "fixed 5/min burst 9",
                                        "sliding",
                                        "sliding fixed 5/min",
                                        "5/min by header",
                                        "5/min by header X:Y",
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
        CLAIM(test_rate_limit_bounds_the_memory_of_a_million_addresses),
        CLAIM(test_rate_limit_fixed_window_begins_with_its_first_request),
        CLAIM(test_rate_limit_sliding_window_counts_its_share_of_the_one_before),
        CLAIM(test_rate_limit_sliding_window_never_lets_twice_the_count_pass),
        CLAIM(test_rate_limit_windows_free_no_later_than_retry_after_says),
        CLAIM(test_rate_limit_windows_forget_what_a_longer_one_has_left),
        CLAIM(test_rate_limit_windows_bear_a_time_before_the_last_one),
        CLAIM(test_rate_limit_is_exact_however_many_ask_at_once),
        cmocka_unit_test(test_rate_limit_parse_reads_every_unit_and_option),
        cmocka_unit_test(test_rate_limit_parse_says_why_it_refuses),
    };
    return cmocka_run_group_tests_name("rate_limit", tests, NULL, NULL);
}
