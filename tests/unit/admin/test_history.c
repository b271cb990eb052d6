#include "server/admin/history.h"

#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#define SECONDS 600 /* that are kept */

static int create(void **state)
{
    *state = history_create();
    return 0;
}

static int destroy(void **state)
{
    struct history *history = *state;
    history_destroy(&history);
    return 0;
}

/* Samples whose time is `from`, `from` + 1, ... */
static void push(struct history *history, unsigned from, unsigned count)
{
    for (unsigned i = from; i < from + count; i++) {
        struct sample sample = {{[SERIES_TIME] = i, [SERIES_P99] = NAN}};
        history_push(history, GRAIN_SECOND, &sample);
    }
}

static void test_history_is_empty_at_first(void **state)
{
    struct sample sample;
    uint64_t next = 0;
    assert_int_equal(history_read(*state, GRAIN_SECOND, &next, &sample, 1), 0);
    assert_int_equal(next, 0);
    assert_int_equal(history_latest_ns(*state), 0);
}

static void test_history_reads_on_where_a_reader_stopped(void **state)
{
    struct sample samples[3];
    uint64_t next = 0;
    push(*state, 0, 4);
    assert_int_equal(history_read(*state, GRAIN_SECOND, &next, samples, 3), 3);
    assert_int_equal((int)samples[2].values[SERIES_TIME], 2);
    assert_int_equal(history_read(*state, GRAIN_SECOND, &next, samples, 3), 1);
    assert_int_equal((int)samples[0].values[SERIES_TIME], 3);
    assert_int_equal(history_read(*state, GRAIN_SECOND, &next, samples, 3), 0);
}

static void test_history_forgets_the_oldest(void **state)
{
    static struct sample samples[SECONDS + 1];
    uint64_t next = 0;
    push(*state, 0, SECONDS + 5);
    assert_int_equal(history_read(*state, GRAIN_SECOND, &next, samples, SECONDS + 1), SECONDS);
    assert_int_equal((int)samples[0].values[SERIES_TIME], 5);
    assert_int_equal((int)samples[SECONDS - 1].values[SERIES_TIME], SECONDS + 4);
}

static void test_history_reader_far_behind_skips_what_is_gone(void **state)
{
    struct sample sample;
    uint64_t next = 0;
    push(*state, 0, 1);
    history_read(*state, GRAIN_SECOND, &next, &sample, 1);
    push(*state, 1, SECONDS + 10);
    assert_int_equal(history_read(*state, GRAIN_SECOND, &next, &sample, 1), 1);
    assert_int_equal((int)sample.values[SERIES_TIME], 11);
}

static void test_history_has_a_ring_for_each_grain(void **state)
{
    struct sample sample = {{[SERIES_TIME] = 7}};
    uint64_t next = 0;
    history_push(*state, GRAIN_TWO_MINUTES, &sample);
    assert_int_equal(history_read(*state, GRAIN_TEN_SECONDS, &next, &sample, 1), 0);
    assert_int_equal(history_read(*state, GRAIN_TWO_MINUTES, &next, &sample, 1), 1);
    assert_int_equal(grain_step_ms(GRAIN_TWO_MINUTES) * grain_samples(GRAIN_TWO_MINUTES), 86400000);
}

static void test_history_keeps_only_the_latest_load(void **state)
{
    struct buf load = BUF_INIT;
    history_set_load(*state, slice_str("0123"), 1);
    history_set_load(*state, slice_str("90"), 2);
    history_read_load(*state, &load);
    assert_true(slice_is(buf_slice(&load), "90"));
    assert_int_equal(history_latest_ns(*state), 2);
    buf_release(&load);
}

static void test_history_json_has_a_column_for_every_series(void **state)
{
    struct sample samples[2] = {{{[SERIES_TIME] = 1, [SERIES_2XX] = 0.5}},
                                {{[SERIES_TIME] = 2, [SERIES_2XX] = NAN}}};
    struct buf text = BUF_INIT;
    json_t *json = NULL;
    (void)state;
    history_json_columns(&text, samples, 2);
    assert_int_equal(json_read_trusted(buf_slice(&text), &json), ERR_OK);
    assert_int_equal(json_object_size(json), SERIES_COUNT);
    json_t *ok = json_object_get(json, "ok");
    assert_int_equal(json_array_size(ok), 2);
    assert_true(json_real_value(json_array_get(ok, 0)) == 0.5);
    assert_true(json_is_null(json_array_get(ok, 1)));
    json_decref(json);
    buf_release(&text);
}

static void test_history_json_of_a_sample_says_null_for_nothing(void **state)
{
    struct sample sample = {{[SERIES_TIME] = 7, [SERIES_P99] = NAN}};
    struct buf text = BUF_INIT;
    json_t *json = NULL;
    (void)state;
    history_json_sample(&text, &sample);
    assert_int_equal(json_read_trusted(buf_slice(&text), &json), ERR_OK);
    assert_int_equal(json_object_size(json), SERIES_COUNT);
    assert_true(json_is_null(json_object_get(json, "p99")));
    assert_true(json_number_value(json_object_get(json, "t")) == 7);
    json_decref(json);
    buf_release(&text);
}

#define WITH_HISTORY(test) cmocka_unit_test_setup_teardown(test, create, destroy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_HISTORY(test_history_is_empty_at_first),
        WITH_HISTORY(test_history_reads_on_where_a_reader_stopped),
        WITH_HISTORY(test_history_forgets_the_oldest),
        WITH_HISTORY(test_history_reader_far_behind_skips_what_is_gone),
        WITH_HISTORY(test_history_has_a_ring_for_each_grain),
        WITH_HISTORY(test_history_keeps_only_the_latest_load),
        cmocka_unit_test(test_history_json_has_a_column_for_every_series),
        cmocka_unit_test(test_history_json_of_a_sample_says_null_for_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
