/* The wall clock is set, while running and between two runs. */
#include "tests/unit/queue/fixture.h"

#define HOUR_MS (3600 * 1000LL)

static void set_wall(struct fixture *f, int64_t by_ms)
{
    f->clock.wall_ms += by_ms;
}

static void restart(struct fixture *f)
{
    fixture_close(f);
    fixture_open(f);
}

static void test_jobs_keep_their_order_when_the_clock_was_set_back_between_runs(void **state)
{
    struct fixture *f = *state;
    enqueue(f, spec_of("t", "1"));
    enqueue(f, spec_of("t", "2"));
    set_wall(f, -HOUR_MS);
    restart(f);
    enqueue(f, spec_of("t", "3"));
    set_wall(f, -HOUR_MS);
    restart(f);
    enqueue(f, spec_of("t", "4"));
    struct hand hand;
    assert_int_equal(lease(&hand, f, 10), 4);
    for (int i = 0; i < 4; i++) {
        char expected[2] = {(char)('1' + i), 0};
        assert_string_equal(hand.payloads[i], expected);
    }
}

static void test_many_jobs_of_one_moment_keep_their_order_over_a_restart(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 6000; i++) /* more than an id's counter has */
        enqueue(f, spec_of("t", "early"));
    restart(f);
    struct id late = enqueue(f, spec_of("t", "late"));
    struct hand *hand = calloc(1, sizeof *hand);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(lease(hand, f, 600), 600);
        assert_int_not_equal(id_compare(&hand->leases[599].job, &late), 0);
    }
    assert_int_equal(lease(hand, f, 600), 1);
    free(hand);
}

static void test_delay_does_not_grow_when_the_clock_is_set_back(void **state)
{
    struct fixture *f = *state;
    struct job_spec spec = spec_of("t", "{}");
    spec.delay_ms = 1000;
    struct id id = enqueue(f, spec);
    set_wall(f, -HOUR_MS);
    clock_fake_advance(&f->clock, 1000);
    struct hand hand;
    assert_int_equal(lease(&hand, f, 1), 1);
    assert_int_equal(state_of(f, id), JOB_RUNNING);
}

static void test_delay_does_not_grow_when_the_clock_was_set_back_between_runs(void **state)
{
    struct fixture *f = *state;
    struct job_spec spec = spec_of("t", "{}");
    spec.delay_ms = 1000;
    enqueue(f, spec);
    set_wall(f, -HOUR_MS);
    restart(f);
    clock_fake_advance(&f->clock, 1000);
    struct hand hand;
    assert_int_equal(lease(&hand, f, 1), 1);
}

static void test_retry_does_not_wait_for_the_clock_to_catch_up(void **state)
{
    struct fixture *f = *state;
    enqueue(f, spec_of("t", "{}"));
    struct hand hand;
    lease(&hand, f, 1);
    fail_job(f, &hand.leases[0], "no");
    set_wall(f, -HOUR_MS);
    restart(f);
    clock_fake_advance(&f->clock, 40000);
    assert_int_equal(lease(&hand, f, 1), 1);
}

static void test_delay_goes_on_while_the_process_is_down(void **state)
{
    struct fixture *f = *state;
    struct job_spec spec = spec_of("t", "{}");
    spec.delay_ms = HOUR_MS;
    enqueue(f, spec);
    fixture_close(f);
    set_wall(f, HOUR_MS);
    fixture_open(f);
    struct hand hand;
    assert_int_equal(lease(&hand, f, 1), 1);
}

static void test_lease_does_not_run_out_when_the_clock_is_set_forward(void **state)
{
    struct fixture *f = *state;
    enqueue(f, spec_of("t", "{}"));
    struct hand hand, other;
    lease(&hand, f, 1);
    set_wall(f, HOUR_MS);
    assert_int_equal(lease(&other, f, 1), 0);
    assert_int_equal(ack(f, &hand.leases[0]), ERR_OK);
}

static void test_due_time_is_shown_as_the_wall_clock_will_say(void **state)
{
    struct fixture *f = *state;
    struct job_spec spec = spec_of("t", "{}");
    spec.delay_ms = 1000;
    struct id id = enqueue(f, spec);
    struct look look;
    look_at(&look, f, id);
    assert_int_equal(look.info.due_ms, T0 + 1000);
    set_wall(f, -HOUR_MS);
    look_at(&look, f, id);
    assert_int_equal(look.info.due_ms, T0 + 1000 - HOUR_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_jobs_keep_their_order_when_the_clock_was_set_back_between_runs),
        TEST(test_many_jobs_of_one_moment_keep_their_order_over_a_restart),
        TEST(test_delay_does_not_grow_when_the_clock_is_set_back),
        TEST(test_delay_does_not_grow_when_the_clock_was_set_back_between_runs),
        TEST(test_retry_does_not_wait_for_the_clock_to_catch_up),
        TEST(test_delay_goes_on_while_the_process_is_down),
        TEST(test_lease_does_not_run_out_when_the_clock_is_set_forward),
        TEST(test_due_time_is_shown_as_the_wall_clock_will_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
