/* Jobs that a module adds. */
#include "server/app/app_private.h"
#include "tests/unit/queue/fixture.h"

struct addition {
    struct app app;
    const char *queue;
    int64_t delay_ms;
    enum err end;
};

static enum err add_fn(struct txn *txn, void *arg)
{
    struct addition *addition = arg;
    app_enqueue(&addition->app, txn, addition->delay_ms, addition->queue, "brew", "{'cups':%d}", 2);
    return addition->end;
}

static enum err add(struct fixture *f, struct addition addition)
{
    addition.app.options.queues = f->queues;
    return store_write(f->store, add_fn, &addition);
}

static void test_app_adds_a_job_that_runs_at_once_or_later(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(add(f, (struct addition){.queue = "mail"}), ERR_OK);
    assert_int_equal(add(f, (struct addition){.queue = "mail", .delay_ms = 1000}), ERR_OK);
    assert_int_equal(counted(f, JOB_READY), 1);
    assert_int_equal(counted(f, JOB_SCHEDULED), 1);
    struct hand hand;
    assert_int_equal(lease(&hand, f, 9), 1);
    assert_string_equal(hand.payloads[0], "{\"cups\":2}");
}

/* Else whoever asks would be told that what they asked for is not there. */
static void test_app_takes_a_queue_that_is_not_there_for_a_fault_of_the_module(void **state)
{
    assert_int_equal(add(*state, (struct addition){.queue = "mial"}), ERR_INTERNAL);
    assert_int_equal(counted(*state, JOB_READY), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_app_adds_a_job_that_runs_at_once_or_later,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(
            test_app_takes_a_queue_that_is_not_there_for_a_fault_of_the_module, fixture_setup,
            fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
