/* What an operator does with jobs. */
#include "tests/unit/queue/fixture.h"

struct listing {
    struct fixture *f;
    struct queue_page page;
    bool more;
    unsigned count;
    struct id ids[16];
    char reasons[16][REASON_MAX + 1];
};

static void note(const struct job_info *info, void *arg)
{
    struct listing *listing = arg;
    snprintf(listing->reasons[listing->count], REASON_MAX + 1, "%.*s", SLICE_ARG(info->reason));
    listing->ids[listing->count++] = info->id;
}

static enum err list_fn(struct txn *txn, void *arg)
{
    struct listing *listing = arg;
    listing->count = 0;
    return queue_list(listing->f->queues, txn, &listing->page, note, listing, &listing->more);
}

static void list(struct listing *listing)
{
    assert_int_equal(store_read(listing->f->store, list_fn, listing), ERR_OK);
}

struct act {
    struct fixture *f;
    enum err (*fn)(struct queues *queues, struct txn *txn, const struct id *id);
    struct id id;
};

static enum err act_fn(struct txn *txn, void *arg)
{
    struct act *act = arg;
    return act->fn(act->f->queues, txn, &act->id);
}

static enum err retry(struct fixture *f, struct id id)
{
    struct act act = {f, queue_retry, id};
    return store_write(f->store, act_fn, &act);
}

static enum err forget(struct fixture *f, struct id id)
{
    struct act act = {f, queue_delete, id};
    return store_write(f->store, act_fn, &act);
}

/* One that has failed all its attempts, of which it had one. */
static struct id dead_job(struct fixture *f, const char *reason)
{
    struct job_spec spec = spec_of("greet", "{\"to\":1}");
    static struct hand hand;
    spec.attempts_max = 1;
    struct id id = enqueue(f, spec);
    assert_int_equal(lease(&hand, f, 1), 1);
    assert_int_equal(fail_job(f, &hand.leases[0], reason), ERR_OK);
    clock_fake_advance(&f->clock, 1000);
    return id;
}

static bool is(struct id a, struct id b)
{
    return id_compare(&a, &b) == 0;
}

static void test_list_shows_finished_jobs_latest_first_page_by_page(void **state)
{
    struct fixture *f = *state;
    struct id ids[5];
    for (int i = 0; i < 5; i++)
        ids[i] = dead_job(f, "no route");
    struct listing listing = {.f = f, .page = {.queue = "mail", .state = JOB_DEAD, .max = 3}};
    list(&listing);
    assert_int_equal(listing.count, 3);
    assert_true(listing.more && is(listing.ids[0], ids[4]) && is(listing.ids[2], ids[2]));
    assert_string_equal(listing.reasons[0], "no route");
    list(&listing);
    assert_int_equal(listing.count, 2);
    assert_true(!listing.more && is(listing.ids[1], ids[0]));
}

static void test_list_shows_waiting_jobs_in_their_order_page_by_page(void **state)
{
    struct fixture *f = *state;
    struct id ids[4];
    for (int i = 0; i < 4; i++)
        ids[i] = enqueue(f, spec_of("greet", "{}"));
    struct listing listing = {.f = f, .page = {.queue = "mail", .state = JOB_READY, .max = 3}};
    list(&listing);
    assert_true(listing.count == 3 && listing.more && is(listing.ids[0], ids[0]));
    list(&listing);
    assert_true(listing.count == 1 && !listing.more && is(listing.ids[0], ids[3]));
    listing.page.queue = "none";
    assert_int_equal(store_read(f->store, list_fn, &listing), ERR_NOT_FOUND);
}

static void test_retry_gives_a_dead_job_all_its_attempts_again(void **state)
{
    struct fixture *f = *state;
    static struct hand hand;
    struct id id = dead_job(f, "no route");
    assert_int_equal(retry(f, id), ERR_OK);
    assert_int_equal(state_of(f, id), JOB_READY);
    assert_int_equal(counted(f, JOB_DEAD), 0);
    assert_int_equal(lease(&hand, f, 1), 1);
    assert_int_equal(hand.leases[0].attempt, 1);
    assert_int_equal(retry(f, id), ERR_CONFLICT);
    assert_int_equal(ack(f, &hand.leases[0]), ERR_OK);
    assert_int_equal(retry(f, id), ERR_CONFLICT);
}

static void test_retry_lets_a_scheduled_job_run_now(void **state)
{
    struct fixture *f = *state;
    struct job_spec spec = spec_of("greet", "{}");
    spec.delay_ms = 3600000;
    struct id id = enqueue(f, spec);
    assert_int_equal(retry(f, id), ERR_OK);
    assert_int_equal(state_of(f, id), JOB_READY);
}

static void test_delete_forgets_a_job_unless_it_runs(void **state)
{
    struct fixture *f = *state;
    static struct hand hand;
    struct look look;
    struct id dead = dead_job(f, "no route");
    assert_int_equal(forget(f, dead), ERR_OK);
    assert_int_equal(look_at(&look, f, dead), ERR_NOT_FOUND);
    assert_int_equal(forget(f, dead), ERR_NOT_FOUND);
    struct id ready = enqueue(f, spec_of("greet", "{}"));
    assert_int_equal(forget(f, ready), ERR_OK);
    assert_int_equal(counted(f, JOB_READY), 0);
    struct id running = enqueue(f, spec_of("greet", "{}"));
    assert_int_equal(lease(&hand, f, 1), 1);
    assert_int_equal(forget(f, running), ERR_CONFLICT);
    struct queue_stats stats;
    queue_stats(f->queues, 0, &stats);
    assert_int_equal(stats.damaged, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_list_shows_finished_jobs_latest_first_page_by_page),
        TEST(test_list_shows_waiting_jobs_in_their_order_page_by_page),
        TEST(test_retry_gives_a_dead_job_all_its_attempts_again),
        TEST(test_retry_lets_a_scheduled_job_run_now),
        TEST(test_delete_forgets_a_job_unless_it_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
