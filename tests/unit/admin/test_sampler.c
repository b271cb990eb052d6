#include "server/admin/sampler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

/* Two readings two seconds apart, both zero otherwise. */
static struct reading before, now;
static struct histogram_snapshot scratch;
static struct sample sample;

static int reset(void **state)
{
    (void)state;
    before = (struct reading){0};
    now = (struct reading){.wall_ms = 1700000000000, .mono_ns = 2000000000};
    return 0;
}

static double sampled(enum series series)
{
    sample_between(&before, &now, &scratch, &sample);
    return sample.values[series];
}

static bool near(double value, double wanted, double part)
{
    return fabs(value - wanted) <= wanted * part;
}

static void test_sample_counts_answers_by_the_second(void **state)
{
    (void)state;
    before.gateway.by_class[2] = 100;
    now.gateway.by_class[1] = 2;
    now.gateway.by_class[2] = 300;
    now.gateway.by_class[5] = 1;
    now.gateway.own = 4;
    assert_true(sampled(SERIES_2XX) == 101);
    assert_true(sampled(SERIES_4XX) == 0);
    assert_true(sampled(SERIES_5XX) == 0.5);
    assert_true(sampled(SERIES_OWN) == 2);
    assert_true(sampled(SERIES_TIME) == 1700000000000);
}

static void test_sample_latency_is_that_of_the_interval(void **state)
{
    struct histogram *durations = histogram_create();
    (void)state;
    histogram_record(durations, 900000000);
    histogram_read(durations, &before.gateway.duration);
    for (int i = 0; i < 99; i++)
        histogram_record(durations, 2000000);
    histogram_record(durations, 40000000);
    histogram_read(durations, &now.gateway.duration);
    assert_true(near(sampled(SERIES_P50), 2, 0.02));
    assert_true(near(sampled(SERIES_P99), 2, 0.02));
    histogram_destroy(&durations);
}

static void test_sample_without_requests_has_no_latency(void **state)
{
    (void)state;
    assert_true(isnan(sampled(SERIES_P50)));
    assert_true(isnan(sampled(SERIES_P99)));
}

static void test_sample_hit_ratio_is_that_of_the_interval(void **state)
{
    (void)state;
    before.cache.misses = 1000;
    now.cache.misses = 1001;
    now.cache.hits = 3;
    assert_true(sampled(SERIES_HIT_RATIO) == 0.75);
    assert_true(sampled(SERIES_LOOKUPS) == 2);
}

static void test_sample_without_lookups_has_no_hit_ratio(void **state)
{
    (void)state;
    assert_true(isnan(sampled(SERIES_HIT_RATIO)));
}

static void test_sample_batch_is_the_mean_of_the_commits(void **state)
{
    struct histogram *batches = histogram_create();
    (void)state;
    assert_true(isnan(sampled(SERIES_BATCH)));
    histogram_record(batches, 1);
    histogram_read(batches, &before.batch);
    histogram_record(batches, 10);
    histogram_record(batches, 20);
    histogram_read(batches, &now.batch);
    assert_true(sampled(SERIES_BATCH) == 15);
    histogram_destroy(&batches);
}

static void test_sample_jobs_are_counted_now_and_done_by_the_second(void **state)
{
    (void)state;
    now.jobs[JOB_READY] = 5;
    now.jobs[JOB_DEAD] = 2;
    before.jobs_done = 10;
    now.jobs_done = 50;
    assert_true(sampled(SERIES_READY) == 5);
    assert_true(sampled(SERIES_DEAD) == 2);
    assert_true(sampled(SERIES_DONE) == 20);
}

static void test_load_digit_shows_any_work_and_stops_at_nine(void **state)
{
    (void)state;
    assert_int_equal(sample_load_digit(0, 1000), '0');
    assert_int_equal(sample_load_digit(1, 1000), '1');
    assert_int_equal(sample_load_digit(500, 1000), '5');
    assert_int_equal(sample_load_digit(1000, 1000), '9');
    assert_int_equal(sample_load_digit(60000, 1000), '9');
}

#define FRESH(test) cmocka_unit_test_setup(test, reset)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRESH(test_sample_counts_answers_by_the_second),
        FRESH(test_sample_latency_is_that_of_the_interval),
        FRESH(test_sample_without_requests_has_no_latency),
        FRESH(test_sample_hit_ratio_is_that_of_the_interval),
        FRESH(test_sample_without_lookups_has_no_hit_ratio),
        FRESH(test_sample_batch_is_the_mean_of_the_commits),
        FRESH(test_sample_jobs_are_counted_now_and_done_by_the_second),
        FRESH(test_load_digit_shows_any_work_and_stops_at_nine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
