#include "base/ticker.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define HOUR_MS INT64_C(3600000)

/* A timer's function that tells when it runs and does what it is told. */
struct probe {
    sem_t ran;  /* posted by each run */
    sem_t gate; /* waited for within a run, if gated */
    bool gated;
    int64_t again_ms;
    _Atomic int runs;
    _Atomic bool inside;
};

static int64_t run_probe(void *arg, int64_t mono_ns)
{
    struct probe *probe = arg;
    assert_true(mono_ns > 0);
    probe->inside = true;
    probe->runs++;
    sem_post(&probe->ran);
    if (probe->gated)
        sem_wait(&probe->gate);
    probe->inside = false;
    return probe->again_ms;
}

static void probe_init(struct probe *probe, int64_t again_ms, bool gated)
{
    *probe = (struct probe){.again_ms = again_ms, .gated = gated};
    sem_init(&probe->ran, 0, 0);
    sem_init(&probe->gate, 0, 0);
}

static void wait_run(struct probe *probe)
{
    while (sem_wait(&probe->ran) != 0)
        continue;
}

static int setup(void **state)
{
    *state = ticker_create("ticker");
    return 0;
}

static int teardown(void **state)
{
    struct ticker *ticker = *state;
    ticker_destroy(&ticker);
    assert_null(ticker);
    return 0;
}

static void test_ticker_repeats_while_the_function_says_so(void **state)
{
    static struct probe probe;
    probe_init(&probe, 1, false);
    ticker_add(*state, run_probe, &probe, 1);
    for (int i = 0; i < 3; i++)
        wait_run(&probe);
}

static void test_ticker_runs_a_sleeping_timer_when_woken(void **state)
{
    static struct probe probe;
    probe_init(&probe, 0, false);
    struct timer *timer = ticker_add(*state, run_probe, &probe, 0);
    timer_wake_in(timer, 0);
    wait_run(&probe);
    timer_wake_in(timer, 1);
    wait_run(&probe);
    timer_cancel(timer);
    assert_int_equal(probe.runs, 2);
}

static void test_ticker_wake_brings_a_late_timer_forward(void **state)
{
    static struct probe probe;
    probe_init(&probe, HOUR_MS, false);
    struct timer *timer = ticker_add(*state, run_probe, &probe, HOUR_MS);
    timer_wake_in(timer, 1);
    wait_run(&probe);
}

static void test_ticker_wake_does_not_put_a_timer_off(void **state)
{
    static struct probe probe;
    probe_init(&probe, HOUR_MS, false);
    struct timer *timer = ticker_add(*state, run_probe, &probe, 1);
    timer_wake_in(timer, HOUR_MS);
    wait_run(&probe);
}

static void test_ticker_runs_what_is_due_first_first(void **state)
{
    static struct probe blocker, late, early;
    probe_init(&blocker, 0, true);
    probe_init(&late, 0, false);
    probe_init(&early, 0, false);
    struct timer *timer = ticker_add(*state, run_probe, &blocker, 1);
    wait_run(&blocker);
    ticker_add(*state, run_probe, &late, HOUR_MS);
    ticker_add(*state, run_probe, &early, 1);
    sem_post(&blocker.gate);
    wait_run(&early);
    assert_int_equal(late.runs, 0);
    timer_cancel(timer);
}

static void test_ticker_keeps_a_wake_that_comes_while_the_function_runs(void **state)
{
    static struct probe probe;
    probe_init(&probe, 0, true);
    struct timer *timer = ticker_add(*state, run_probe, &probe, 1);
    wait_run(&probe);
    timer_wake_in(timer, 0);
    sem_post(&probe.gate);
    wait_run(&probe);
    sem_post(&probe.gate);
}

static void test_ticker_cancelled_timer_is_never_run(void **state)
{
    static struct probe cancelled, other;
    probe_init(&cancelled, 0, false);
    probe_init(&other, 0, false);
    struct timer *timer = ticker_add(*state, run_probe, &cancelled, 0);
    timer_cancel(timer);
    timer_wake_in(timer, 0);
    ticker_add(*state, run_probe, &other, 1);
    wait_run(&other);
    assert_int_equal(cancelled.runs, 0);
}

static void *open_gate(void *arg)
{
    struct probe *probe = arg;
    sem_post(&probe->gate);
    return NULL;
}

static void test_ticker_cancel_waits_for_the_running_function(void **state)
{
    static struct probe probe;
    probe_init(&probe, HOUR_MS, true); /* a second run before the cancelling would wait for ever */
    struct timer *timer = ticker_add(*state, run_probe, &probe, 1);
    wait_run(&probe);
    pthread_t thread;
    pthread_create(&thread, NULL, open_gate, &probe);
    timer_cancel(timer);
    assert_false(probe.inside);
    assert_int_equal(probe.runs, 1);
    pthread_join(thread, NULL);
}

struct chain {
    struct ticker *ticker;
    struct timer *next;
    struct probe added;
};

static int64_t start_others(void *arg, int64_t mono_ns)
{
    struct chain *chain = arg;
    (void)mono_ns;
    timer_wake_in(chain->next, 0);
    ticker_add(chain->ticker, run_probe, &chain->added, 1);
    return 0;
}

static void test_ticker_functions_may_wake_and_add_timers(void **state)
{
    static struct probe probe;
    static struct chain chain;
    probe_init(&probe, 0, false);
    probe_init(&chain.added, 0, false);
    chain.ticker = *state;
    chain.next = ticker_add(*state, run_probe, &probe, 0);
    ticker_add(*state, start_others, &chain, 1);
    wait_run(&probe);
    wait_run(&chain.added);
}

#define UNIT(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(test_ticker_repeats_while_the_function_says_so),
        UNIT(test_ticker_runs_a_sleeping_timer_when_woken),
        UNIT(test_ticker_wake_brings_a_late_timer_forward),
        UNIT(test_ticker_wake_does_not_put_a_timer_off),
        UNIT(test_ticker_runs_what_is_due_first_first),
        UNIT(test_ticker_keeps_a_wake_that_comes_while_the_function_runs),
        UNIT(test_ticker_cancelled_timer_is_never_run),
        UNIT(test_ticker_cancel_waits_for_the_running_function),
        UNIT(test_ticker_functions_may_wake_and_add_timers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
