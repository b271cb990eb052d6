#include "server/admin/history_keeper.h"

#include "tests/unit/storage/store_fixture.h"

#define HOUR_MS 3600000

static struct sample sample_at(double time_ms, double ready)
{
    return (struct sample){{[SERIES_TIME] = time_ms, [SERIES_READY] = ready}};
}

/* A history as a new process has it. */
static struct history *reopened(struct fixture *f)
{
    struct history *history = history_create();
    struct history_keeper *keeper = history_keeper_create(f->store, history);
    history_keeper_destroy(&keeper);
    return history;
}

static unsigned read_all(struct history *history, enum grain grain, struct sample *out)
{
    uint64_t next = 0;
    return history_read(history, grain, &next, out, HISTORY_SAMPLES_MAX);
}

static void push_and_save(struct fixture *f, enum grain grain, unsigned count)
{
    struct history *history = history_create();
    struct history_keeper *keeper = history_keeper_create(f->store, history);
    double now_ms = (double)clock_wall_ms(&f->clock.clock);
    for (unsigned i = count; i > 0; i--) {
        struct sample sample = sample_at(now_ms - (double)(i * grain_step_ms(grain)), i);
        history_push(history, grain, &sample);
    }
    history_keeper_save(keeper);
    history_keeper_destroy(&keeper);
    history_destroy(&history);
}

static struct sample samples[HISTORY_SAMPLES_MAX];

static void test_history_is_kept_over_a_restart_in_its_order(void **state)
{
    struct fixture *f = *state;
    push_and_save(f, GRAIN_TEN_SECONDS, 50);
    reopen_store(f);
    struct history *history = reopened(f);
    assert_int_equal(read_all(history, GRAIN_TEN_SECONDS, samples), 50);
    for (unsigned i = 0; i < 50; i++)
        assert_int_equal((int)samples[i].values[SERIES_READY], 50 - (int)i);
    assert_int_equal(read_all(history, GRAIN_TWO_MINUTES, samples), 0);
    history_destroy(&history);
}

static void test_history_that_is_too_old_is_forgotten(void **state)
{
    struct fixture *f = *state;
    push_and_save(f, GRAIN_TEN_SECONDS, 360);
    clock_fake_advance(&f->clock, HOUR_MS / 2);
    struct history *history = reopened(f);
    unsigned left = read_all(history, GRAIN_TEN_SECONDS, samples);
    assert_true(left > 170 && left < 190);
    history_destroy(&history);
}

static void test_history_does_not_grow_beyond_what_is_shown(void **state)
{
    struct fixture *f = *state;
    for (int round = 0; round < 3; round++) {
        push_and_save(f, GRAIN_TWO_MINUTES, 700);
        clock_fake_advance(&f->clock, 20 * HOUR_MS);
    }
    struct history *history = reopened(f);
    assert_true(read_all(history, GRAIN_TWO_MINUTES, samples) <= 720);
    history_destroy(&history);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(test_history_is_kept_over_a_restart_in_its_order),
        WITH_STORE(test_history_that_is_too_old_is_forgotten),
        WITH_STORE(test_history_does_not_grow_beyond_what_is_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
