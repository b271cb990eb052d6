#include "base/metrics.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define THREADS 4
#define EACH    5000
#define COUNT   (THREADS * EACH)

static struct counter counter;

static void *count_up(void *arg)
{
    (void)arg;
    for (int i = 0; i < EACH; i++)
        counter_add(&counter, 2);
    return NULL;
}

static void test_counter_sums_over_threads(void **state)
{
    pthread_t threads[METRICS_SHARDS + 3];
    size_t count = sizeof threads / sizeof threads[0];
    (void)state;
    for (size_t i = 0; i < count; i++)
        pthread_create(&threads[i], NULL, count_up, NULL);
    for (size_t i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(counter_sum(&counter), count * EACH * 2);
}

/* A fixed sequence of well-spread numbers (splitmix64), so that a failure can be repeated. */
static uint64_t spread(uint64_t i)
{
    i = (i + 1) * 0x9E3779B97F4A7C15;
    i = (i ^ i >> 30) * 0xBF58476D1CE4E5B9;
    i = (i ^ i >> 27) * 0x94D049BB133111EB;
    return i ^ i >> 31;
}

static double unit(uint64_t i)
{
    return ((double)(spread(i) >> 11) + 0.5) / 9007199254740992.0;
}

static uint64_t uniform(uint64_t i)
{
    return spread(i) % 50000000;
}

static uint64_t exponential(uint64_t i)
{
    return (uint64_t)(-log(unit(i)) * 300000);
}

static uint64_t log_uniform(uint64_t i)
{
    return (uint64_t)exp(unit(i) * log(1e12));
}

static uint64_t two_peaks(uint64_t i)
{
    return i % 20 == 0 ? 80000000 + spread(i) % 1000 : 120000 + spread(i) % 1000;
}

static uint64_t small(uint64_t i)
{
    return spread(i) % 40;
}

static uint64_t constant(uint64_t i)
{
    (void)i;
    return 1234567;
}

static uint64_t (*const distributions[])(uint64_t) = {
    uniform, exponential, log_uniform, two_peaks, small, constant,
};

#define DISTRIBUTIONS (sizeof distributions / sizeof distributions[0])

struct task {
    struct histogram *histogram;
    const uint64_t *values;
};

static void *record(void *arg)
{
    const struct task *task = arg;
    for (int i = 0; i < EACH; i++)
        histogram_record(task->histogram, task->values[i]);
    return NULL;
}

static void record_in_threads(struct histogram *histogram, const uint64_t *values)
{
    struct task tasks[THREADS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        tasks[i] = (struct task){histogram, values + i * EACH};
        pthread_create(&threads[i], NULL, record, &tasks[i]);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void assert_near(uint64_t value, uint64_t exact)
{
    double error = fabs((double)value - (double)exact);
    if (error > 0.02 * (double)exact)
        fail_msg("%llu is not within 2 %% of %llu", (unsigned long long)value,
                 (unsigned long long)exact);
}

static void test_histogram_quantiles_are_within_two_percent(void **state)
{
    static const double quantiles[] = {0.001, 0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1};
    static uint64_t values[COUNT];
    static struct histogram_snapshot snapshot;
    (void)state;
    for (size_t d = 0; d < DISTRIBUTIONS; d++) {
        struct histogram *histogram = histogram_create();
        for (size_t i = 0; i < COUNT; i++)
            values[i] = distributions[d](i);
        record_in_threads(histogram, values);
        histogram_read(histogram, &snapshot);
        assert_int_equal(snapshot.count, COUNT);
        qsort(values, COUNT, sizeof values[0], compare);
        for (size_t q = 0; q < sizeof quantiles / sizeof quantiles[0]; q++)
            assert_near(histogram_quantile(&snapshot, quantiles[q]),
                        values[(size_t)ceil(quantiles[q] * COUNT) - 1]);
        histogram_destroy(&histogram);
    }
}

static void test_histogram_is_exact_below_64(void **state)
{
    static struct histogram_snapshot snapshot;
    (void)state;
    for (uint64_t value = 0; value < 64; value++) {
        struct histogram *histogram = histogram_create();
        histogram_record(histogram, value);
        histogram_read(histogram, &snapshot);
        assert_int_equal(histogram_quantile(&snapshot, 1), value);
        histogram_destroy(&histogram);
    }
}

static void test_histogram_is_within_two_percent_at_every_power_of_two(void **state)
{
    static struct histogram_snapshot snapshot;
    (void)state;
    for (int bit = 5; bit < 40; bit++) {
        for (int delta = -1; delta <= 1; delta++) {
            struct histogram *histogram = histogram_create();
            uint64_t value = (UINT64_C(1) << bit) + (uint64_t)delta;
            histogram_record(histogram, value);
            histogram_read(histogram, &snapshot);
            assert_near(histogram_quantile(&snapshot, 0.5), value);
            histogram_destroy(&histogram);
        }
    }
}

static void test_histogram_caps_huge_values(void **state)
{
    static struct histogram_snapshot snapshot;
    struct histogram *histogram = histogram_create();
    (void)state;
    histogram_record(histogram, UINT64_MAX);
    histogram_read(histogram, &snapshot);
    assert_near(histogram_quantile(&snapshot, 1), UINT64_C(1) << 40);
    assert_true(snapshot.sum == UINT64_C(1) << 40);
    histogram_destroy(&histogram);
}

static void test_histogram_of_nothing_has_quantile_zero(void **state)
{
    static struct histogram_snapshot snapshot;
    (void)state;
    assert_int_equal(histogram_quantile(&snapshot, 0.99), 0);
}

static void test_histogram_subtraction_gives_the_interval(void **state)
{
    static struct histogram_snapshot before, now;
    struct histogram *histogram = histogram_create();
    (void)state;
    histogram_record(histogram, 1000000);
    histogram_read(histogram, &before);
    histogram_record(histogram, 10);
    histogram_record(histogram, 20);
    histogram_read(histogram, &now);
    histogram_subtract(&now, &before);
    assert_int_equal(now.count, 2);
    assert_int_equal(now.sum, 30);
    assert_int_equal(histogram_quantile(&now, 1), 20);
    histogram_destroy(&histogram);
}

static void assert_text(struct buf *out, const char *expected)
{
    buf_append_char(out, '\0');
    assert_string_equal(out->data, expected);
    buf_release(out);
}

static void test_metrics_write_prometheus_lines(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    metrics_write_help(&out, "galley_x_total", "counter", "Things.");
    metrics_write_u64(&out, "galley_x_total", "", 7);
    metrics_write_u64(&out, "galley_x_total", "a=\"b\"", UINT64_MAX);
    metrics_write_f64(&out, "galley_y", "", 0.25);
    assert_text(&out, "# HELP galley_x_total Things.\n"
                      "# TYPE galley_x_total counter\n"
                      "galley_x_total 7\n"
                      "galley_x_total{a=\"b\"} 18446744073709551615\n"
                      "galley_y 0.25\n");
}

static void test_metrics_write_cumulative_buckets(void **state)
{
    static struct histogram_snapshot snapshot;
    struct histogram *histogram = histogram_create();
    (void)state;
    histogram_record(histogram, 1);
    histogram_record(histogram, 2);
    histogram_record(histogram, 3);
    histogram_record(histogram, 30);
    histogram_read(histogram, &snapshot);
    struct buf out = BUF_INIT;
    metrics_write_histogram(&out, "t", "r=\"/\"", &snapshot, 0.5, 1, 2);
    histogram_destroy(&histogram);
    assert_text(&out, "t_bucket{r=\"/\",le=\"1\"} 2\n"
                      "t_bucket{r=\"/\",le=\"2\"} 3\n"
                      "t_bucket{r=\"/\",le=\"4\"} 3\n"
                      "t_bucket{r=\"/\",le=\"+Inf\"} 4\n"
                      "t_sum{r=\"/\"} 18\n"
                      "t_count{r=\"/\"} 4\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counter_sums_over_threads),
        cmocka_unit_test(test_histogram_quantiles_are_within_two_percent),
        cmocka_unit_test(test_histogram_is_exact_below_64),
        cmocka_unit_test(test_histogram_is_within_two_percent_at_every_power_of_two),
        cmocka_unit_test(test_histogram_caps_huge_values),
        cmocka_unit_test(test_histogram_of_nothing_has_quantile_zero),
        cmocka_unit_test(test_histogram_subtraction_gives_the_interval),
        cmocka_unit_test(test_metrics_write_prometheus_lines),
        cmocka_unit_test(test_metrics_write_cumulative_buckets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
