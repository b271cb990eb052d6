/* Jobs and leases without worker threads. */
#include "tests/unit/queue/fixture.h"

static void test_enqueue_in_an_aborted_transaction_leaves_no_job(void **state)
{
    struct fixture *f = *state;
    struct enqueue e = {.f = f, .spec = spec_of("t", "{}"), .end = ERR_CONFLICT};
    assert_int_equal(store_write(f->store, enqueue_fn, &e), ERR_CONFLICT);
    struct look look;
    assert_int_equal(look_at(&look, f, e.id), ERR_NOT_FOUND);
    assert_int_equal(counted(f, JOB_READY), 0);
    struct hand hand;
    assert_int_equal(lease(&hand, f, 10), 0);
}

static enum err enqueue_and_ignore(struct txn *txn, void *arg)
{
    struct enqueue *e = arg;
    queue_enqueue(e->f->queues, txn, &e->spec, NULL);
    return ERR_OK;
}

static void test_enqueue_that_fails_fails_the_transaction(void **state)
{
    struct fixture *f = *state;
    struct enqueue e = {.f = f, .spec = spec_of("t", "{}")};
    e.spec.queue = "none";
    assert_int_equal(store_write(f->store, enqueue_and_ignore, &e), ERR_NOT_FOUND);
    e.spec = spec_of("t", "{}");
    e.spec.priority = 10;
    assert_int_equal(store_write(f->store, enqueue_and_ignore, &e), ERR_VALIDATION);
    e.spec = spec_of("", "{}");
    assert_int_equal(store_write(f->store, enqueue_and_ignore, &e), ERR_VALIDATION);
    e.spec = spec_of("t", "{}");
    e.spec.payload.len = QUEUE_PAYLOAD_MAX + 1;
    assert_int_equal(store_write(f->store, enqueue_and_ignore, &e), ERR_BODY_TOO_LARGE);
}

static void test_job_is_seen_as_it_was_enqueued(void **state)
{
    struct fixture *f = *state;
    struct job_spec spec = spec_of("send", "{\"a\":1}");
    spec.priority = 4;
    spec.attempts_max = 7;
    struct look look;
    assert_int_equal(look_at(&look, f, enqueue(f, spec)), ERR_OK);
    assert_string_equal(look.info.queue, "mail");
    assert_string_equal(look.info.type, "send");
    assert_int_equal(look.info.state, JOB_READY);
    assert_int_equal(look.info.priority, 4);
    assert_int_equal(look.info.attempt, 0);
    assert_int_equal(look.info.attempts_max, 7);
    assert_int_equal(look.info.enqueued_ms, T0);
    assert_int_equal(look.reason[0], 0);
}

static void test_jobs_are_leased_by_priority_then_in_order(void **state)
{
    struct fixture *f = *state;
    struct job_spec late = spec_of("t", "late"), soon = spec_of("t", "soon");
    late.priority = 9;
    enqueue(f, late);
    enqueue(f, spec_of("t", "1"));
    enqueue(f, spec_of("t", "2"));
    soon.priority = 1;
    enqueue(f, soon);
    struct hand hand;
    assert_int_equal(lease(&hand, f, 10), 4);
    assert_string_equal(hand.payloads[0], "1");
    assert_string_equal(hand.payloads[1], "2");
    assert_string_equal(hand.payloads[2], "soon");
    assert_string_equal(hand.payloads[3], "late");
}

static void test_lease_counts_the_attempt_and_excludes_others(void **state)
{
    struct fixture *f = *state;
    struct id id = enqueue(f, spec_of("t", "{}"));
    struct hand hand;
    assert_int_equal(lease(&hand, f, 1), 1);
    assert_int_equal(hand.leases[0].attempt, 1);
    struct hand other;
    assert_int_equal(lease(&other, f, 1), 0);
    struct look look;
    assert_int_equal(look_at(&look, f, id), ERR_OK);
    assert_int_equal(look.info.state, JOB_RUNNING);
    assert_int_equal(look.info.attempt, 1);
}

static void test_acknowledged_job_is_completed(void **state)
{
    struct fixture *f = *state;
    struct id id = enqueue(f, spec_of("t", "{}"));
    struct hand hand;
    lease(&hand, f, 1);
    clock_fake_advance(&f->clock, 5);
    assert_int_equal(ack(f, &hand.leases[0]), ERR_OK);
    struct look look;
    assert_int_equal(look_at(&look, f, id), ERR_OK);
    assert_int_equal(look.info.state, JOB_COMPLETED);
    assert_int_equal(look.info.finished_ms, T0 + 5);
    assert_int_equal(counted(f, JOB_COMPLETED), 1);
}

static void test_stale_lease_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct id id = enqueue(f, spec_of("t", "{}"));
    struct hand hand;
    lease(&hand, f, 1);
    struct job_lease forged = hand.leases[0], older = hand.leases[0], unknown = hand.leases[0];
    forged.token ^= 1;
    older.attempt--;
    unknown.job = id_make(T0);
    assert_int_equal(ack(f, &forged), ERR_STALE);
    assert_int_equal(fail_job(f, &older, "no"), ERR_STALE);
    assert_int_equal(ack(f, &unknown), ERR_STALE);
    assert_int_equal(state_of(f, id), JOB_RUNNING);
    assert_int_equal(ack(f, &hand.leases[0]), ERR_OK);
    assert_int_equal(ack(f, &hand.leases[0]), ERR_STALE);
    assert_int_equal(fail_job(f, &hand.leases[0], "no"), ERR_STALE);
    assert_int_equal(state_of(f, id), JOB_COMPLETED);
}

static enum err stale_then_enqueue(struct txn *txn, void *arg)
{
    struct enqueue *e = arg;
    struct job_lease none = {.job = id_make(T0)};
    if (queue_ack(e->f->queues, txn, &none) != ERR_STALE)
        return ERR_INTERNAL;
    return queue_enqueue(e->f->queues, txn, &e->spec, &e->id);
}

static void test_stale_lease_does_not_fail_the_transaction(void **state)
{
    struct fixture *f = *state;
    struct enqueue e = {.f = f, .spec = spec_of("t", "{}")};
    assert_int_equal(store_write(f->store, stale_then_enqueue, &e), ERR_OK);
    assert_int_equal(state_of(f, e.id), JOB_READY);
}

static void test_expired_lease_is_given_to_others(void **state)
{
    struct fixture *f = *state;
    struct id id = enqueue(f, spec_of("t", "{}"));
    struct hand first;
    lease(&first, f, 1);
    clock_fake_advance(&f->clock, LEASE_MS_T - 1);
    struct hand second;
    assert_int_equal(lease(&second, f, 1), 0);
    clock_fake_advance(&f->clock, 1);
    assert_int_equal(lease(&second, f, 1), 1);
    assert_int_equal(second.leases[0].attempt, 2);
    assert_int_equal(ack(f, &first.leases[0]), ERR_STALE);
    assert_int_equal(fail_job(f, &first.leases[0], "late"), ERR_STALE);
    assert_int_equal(state_of(f, id), JOB_RUNNING);
    assert_int_equal(ack(f, &second.leases[0]), ERR_OK);
}

static void test_lost_jobs_are_leased_alone(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++)
        enqueue(f, spec_of("t", "{}"));
    struct hand hand;
    assert_int_equal(lease(&hand, f, 2), 2);
    clock_fake_advance(&f->clock, LEASE_MS_T);
    assert_int_equal(lease(&hand, f, 10), 1);
    assert_int_equal(hand.leases[0].attempt, 2);
    assert_int_equal(lease(&hand, f, 10), 1);
    assert_int_equal(hand.leases[0].attempt, 2);
    assert_int_equal(lease(&hand, f, 10), 1);
    assert_int_equal(hand.leases[0].attempt, 1);
}

static void test_failed_job_waits_for_its_backoff(void **state)
{
    struct fixture *f = *state;
    struct id id = enqueue(f, spec_of("t", "{}"));
    struct hand hand;
    lease(&hand, f, 1);
    assert_int_equal(fail_job(f, &hand.leases[0], "no network"), ERR_OK);
    struct look look;
    assert_int_equal(look_at(&look, f, id), ERR_OK);
    assert_int_equal(look.info.state, JOB_RETRYING);
    assert_string_equal(look.reason, "no network");
    assert_in_range(look.info.due_ms, T0 + 16000, T0 + 36000);
    clock_fake_advance(&f->clock, look.info.due_ms - T0 - 1);
    assert_int_equal(lease(&hand, f, 1), 0);
    clock_fake_advance(&f->clock, 1);
    assert_int_equal(lease(&hand, f, 1), 1);
    assert_int_equal(hand.leases[0].attempt, 2);
}

static void test_backoff_grows_with_the_fourth_power(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= ATTEMPTS_LIMIT; n++) {
        int64_t least = ((int64_t)n * n * n * n + 15) * 1000;
        assert_in_range(job_backoff_ms(n), least, least + 10000LL * (n + 1));
    }
}

static void test_job_is_dead_after_its_attempts(void **state)
{
    struct fixture *f = *state;
    struct id id = enqueue(f, spec_of("t", "{}"));
    struct hand hand;
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(lease(&hand, f, 1), 1);
        assert_int_equal(hand.leases[0].attempt, i);
        assert_int_equal(fail_job(f, &hand.leases[0], "never works"), ERR_OK);
        clock_fake_advance(&f->clock, job_backoff_ms(i) + 50000);
    }
    assert_int_equal(lease(&hand, f, 1), 0);
    assert_int_equal(state_of(f, id), JOB_DEAD);
    struct queue_stats stats;
    queue_stats(f->queues, 0, &stats);
    assert_int_equal(stats.failed, 3);
    assert_int_equal(stats.died, 1);
}

static void test_lease_lost_at_the_last_attempt_is_death(void **state)
{
    struct fixture *f = *state;
    struct job_spec spec = spec_of("t", "{}");
    spec.attempts_max = 1;
    struct id id = enqueue(f, spec);
    struct hand hand;
    assert_int_equal(lease(&hand, f, 1), 1);
    clock_fake_advance(&f->clock, LEASE_MS_T);
    assert_int_equal(lease(&hand, f, 1), 0);
    assert_int_equal(state_of(f, id), JOB_DEAD);
}

static void test_delayed_job_is_not_leased_before_its_time(void **state)
{
    struct fixture *f = *state;
    struct job_spec spec = spec_of("t", "{}");
    spec.delay_ms = 1000;
    struct id id = enqueue(f, spec);
    assert_int_equal(state_of(f, id), JOB_SCHEDULED);
    clock_fake_advance(&f->clock, 999);
    struct hand hand;
    assert_int_equal(lease(&hand, f, 1), 0);
    clock_fake_advance(&f->clock, 1);
    assert_int_equal(lease(&hand, f, 1), 1);
}

static void test_reason_is_cut_at_a_character(void **state)
{
    struct fixture *f = *state;
    struct id id = enqueue(f, spec_of("t", "{}"));
    char reason[REASON_MAX + 3];
    memset(reason, 'x', sizeof reason);
    memcpy(reason + REASON_MAX - 1, "\xc3\xa9", 3); /* é over the edge */
    struct hand hand;
    lease(&hand, f, 1);
    assert_int_equal(fail_job(f, &hand.leases[0], reason), ERR_OK);
    struct look look;
    assert_int_equal(look_at(&look, f, id), ERR_OK);
    assert_int_equal(strlen(look.reason), REASON_MAX - 1);
}

static void test_reason_that_is_no_text_becomes_text(void **state)
{
    struct fixture *f = *state;
    struct id id = enqueue(f, spec_of("t", "{}"));
    struct hand hand;
    lease(&hand, f, 1);
    assert_int_equal(fail_job(f, &hand.leases[0], "a\xff\xfe and more"), ERR_OK);
    struct look look;
    assert_int_equal(look_at(&look, f, id), ERR_OK);
    assert_string_equal(look.reason, "a?? and more");
}

static void test_large_payloads_bound_a_lease(void **state)
{
    struct fixture *f = *state;
    struct job_spec spec = spec_of("t", "");
    char *payload = calloc(1, QUEUE_PAYLOAD_MAX);
    spec.payload = slice_of(payload, QUEUE_PAYLOAD_MAX);
    for (int i = 0; i < 6; i++)
        enqueue(f, spec);
    free(payload);
    struct hand hand;
    assert_int_equal(lease(&hand, f, 10), 4);
    assert_int_equal(lease(&hand, f, 10), 2);
}

static void test_jobs_and_counts_survive_a_restart(void **state)
{
    struct fixture *f = *state;
    struct id done = enqueue(f, spec_of("t", "1")), waits = enqueue(f, spec_of("t", "2"));
    struct hand hand;
    lease(&hand, f, 1);
    ack(f, &hand.leases[0]);
    fixture_close(f);
    fixture_open(f);
    assert_int_equal(state_of(f, done), JOB_COMPLETED);
    assert_int_equal(state_of(f, waits), JOB_READY);
    assert_int_equal(counted(f, JOB_COMPLETED), 1);
    assert_int_equal(counted(f, JOB_READY), 1);
    assert_int_equal(lease(&hand, f, 1), 1);
    assert_string_equal(hand.payloads[0], "2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_enqueue_in_an_aborted_transaction_leaves_no_job),
        TEST(test_enqueue_that_fails_fails_the_transaction),
        TEST(test_job_is_seen_as_it_was_enqueued),
        TEST(test_jobs_are_leased_by_priority_then_in_order),
        TEST(test_lease_counts_the_attempt_and_excludes_others),
        TEST(test_acknowledged_job_is_completed),
        TEST(test_stale_lease_changes_nothing),
        TEST(test_stale_lease_does_not_fail_the_transaction),
        TEST(test_expired_lease_is_given_to_others),
        TEST(test_lost_jobs_are_leased_alone),
        TEST(test_failed_job_waits_for_its_backoff),
        cmocka_unit_test(test_backoff_grows_with_the_fourth_power),
        TEST(test_job_is_dead_after_its_attempts),
        TEST(test_lease_lost_at_the_last_attempt_is_death),
        TEST(test_delayed_job_is_not_leased_before_its_time),
        TEST(test_reason_is_cut_at_a_character),
        TEST(test_reason_that_is_no_text_becomes_text),
        TEST(test_large_payloads_bound_a_lease),
        TEST(test_jobs_and_counts_survive_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
