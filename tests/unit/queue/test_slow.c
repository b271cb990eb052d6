/* Jobs that take long: their leases are renewed, and nobody waits for them. */
#include "tests/unit/queue/fixture.h"

#include <stdatomic.h>
#include <sys/syscall.h>

/* A disk whose next sync lasts until it is told to end. */
static struct {
    atomic_bool next;
    sem_t begun, end;
} stall;

int fdatasync(int fd)
{
    if (atomic_exchange(&stall.next, false)) {
        sem_post(&stall.begun);
        wait_for(&stall.end);
    }
    return (int)syscall(SYS_fdatasync, fd);
}

struct scene {
    struct fixture *f;
    sem_t began, go_on;
    atomic_uint runs, slow_runs, syncs;
};

static enum err run(const struct job *job, void *arg, char *why, size_t why_size)
{
    struct scene *scene = arg;
    (void)why, (void)why_size;
    scene->runs++;
    if (!slice_is(job->payload, "slow"))
        return ERR_OK;
    scene->slow_runs++;
    sem_post(&scene->began);
    wait_for(&scene->go_on);
    return ERR_OK;
}

static enum err count_sync(void *arg)
{
    struct scene *scene = arg;
    scene->syncs++;
    return ERR_OK;
}

/* One worker that has begun the slow one of nine jobs, the fifth. */
static void begin(struct scene *scene, struct fixture *f, struct id ids[9])
{
    *scene = (struct scene){.f = f};
    sem_init(&scene->began, 0, 0);
    sem_init(&scene->go_on, 0, 0);
    fixture_close(f);
    f->queue.concurrency = 1;
    f->queue.lease_ms = LEASE_MS_T;
    fixture_open(f);
    handle(f, "t", run, count_sync, scene);
    for (int i = 0; i < 9; i++)
        ids[i] = enqueue(f, spec_of("t", i == 4 ? "slow" : "quick"));
    start(f);
    wait_for(&scene->began);
}

static void end(struct scene *scene)
{
    sem_post(&scene->go_on);
    wait_idle(scene->f);
}

static void test_slow_job_holds_neither_those_before_it_nor_those_behind(void **state)
{
    struct fixture *f = *state;
    struct scene scene;
    struct id ids[9];
    begin(&scene, f, ids);
    assert_int_equal(counted(f, JOB_RUNNING), 9);
    clock_fake_advance(&f->clock, 1000);
    queues_keep(f->queues);
    assert_int_equal(counted(f, JOB_COMPLETED), 4);
    assert_int_equal(counted(f, JOB_RUNNING), 1);
    assert_int_equal(counted(f, JOB_READY), 4);
    assert_int_equal(scene.syncs, 1); /* of those before it */
    assert_int_equal(state_of(f, ids[3]), JOB_COMPLETED);
    assert_int_equal(state_of(f, ids[4]), JOB_RUNNING);
    end(&scene);
    assert_int_equal(counted(f, JOB_COMPLETED), 9);
    assert_int_equal(scene.runs, 9);
}

static void test_lease_of_a_slow_job_is_renewed(void **state)
{
    struct fixture *f = *state;
    struct scene scene;
    struct id ids[9];
    begin(&scene, f, ids);
    for (int i = 0; i < 10; i++) { /* five leases long */
        clock_fake_advance(&f->clock, LEASE_MS_T / 2);
        queues_keep(f->queues);
        struct hand hand;
        lease(&hand, f, 0); /* what is due: would give a lost job to others */
    }
    assert_int_equal(state_of(f, ids[4]), JOB_RUNNING);
    end(&scene);
    assert_int_equal(scene.slow_runs, 1);
    assert_int_equal(state_of(f, ids[4]), JOB_COMPLETED);
    struct look look;
    look_at(&look, f, ids[4]);
    assert_int_equal(look.info.attempt, 1);
}

/* A write in a thread of its own. */
struct aside {
    pthread_t thread;
    struct store *store;
    store_fn fn;
    void *arg;
    enum err result;
};

static void *write_aside(void *arg)
{
    struct aside *aside = arg;
    aside->result = store_write(aside->store, aside->fn, aside->arg);
    return NULL;
}

static void begin_aside(struct aside *aside, struct fixture *f, store_fn fn, void *arg)
{
    *aside = (struct aside){.store = f->store, .fn = fn, .arg = arg};
    assert_int_equal(pthread_create(&aside->thread, NULL, write_aside, aside), 0);
}

static void end_aside(struct aside *aside)
{
    pthread_join(aside->thread, NULL);
    assert_int_equal(aside->result, ERR_OK);
}

static enum err nothing(struct txn *txn, void *arg)
{
    struct fixture *f = arg;
    return txn_put(txn, f->states, slice_str("\177nothing"), slice_str("nothing"));
}

/* The keeper waits for the disk too, and whoever looks for what is due may come before it. */
static void test_lease_is_kept_while_a_sync_lasts_longer_than_it(void **state)
{
    struct fixture *f = *state;
    struct scene scene;
    struct id ids[9];
    begin(&scene, f, ids);
    sem_init(&stall.begun, 0, 0);
    sem_init(&stall.end, 0, 0);
    atomic_store(&stall.next, true);
    struct aside stalled, due;
    begin_aside(&stalled, f, nothing, f);
    wait_for(&stall.begun);
    clock_fake_advance(&f->clock, 2 * LEASE_MS_T);
    struct hand hand = {.f = f, .lease_ms = LEASE_MS_T};
    begin_aside(&due, f, lease_fn, &hand);
    sem_post(&stall.end);
    end_aside(&stalled);
    end_aside(&due);
    assert_int_equal(counted(f, JOB_RUNNING), 9);
    queues_keep(f->queues);
    end(&scene);
    assert_int_equal(scene.runs, 9);
    assert_int_equal(counted(f, JOB_COMPLETED), 9);
    struct look look;
    look_at(&look, f, ids[4]);
    assert_int_equal(look.info.attempt, 1);
}

static void test_quick_batches_need_no_keeper(void **state)
{
    struct fixture *f = *state;
    struct scene scene;
    struct id ids[9];
    begin(&scene, f, ids);
    clock_fake_advance(&f->clock, 999);
    assert_true(queues_keep(f->queues) > 0);
    assert_int_equal(counted(f, JOB_RUNNING), 9);
    end(&scene);
    assert_int_equal(queues_keep(f->queues), 0);
}

static void test_maintenance_thread_keeps_by_itself(void **state)
{
    struct fixture *f = *state;
    struct ticker *maintenance = ticker_create("maintenance");
    f->options.maintenance = maintenance;
    f->clock.clock = clock_system;
    struct scene scene;
    struct id ids[9];
    begin(&scene, f, ids);
    while (counted(f, JOB_COMPLETED) < 4)
        sched_yield();
    end(&scene);
    assert_int_equal(scene.runs, 9);
    assert_true(queues_stop(f->queues, PATIENCE_S * 1000));
    ticker_destroy(&maintenance);
}

/* ---- Quick queues. */

static enum err enqueue_ten(struct txn *txn, void *arg)
{
    struct fixture *f = arg;
    struct job_spec spec = spec_of("t", "quick");
    for (int i = 0; i < 10; i++)
        queue_enqueue(f->queues, txn, &spec, NULL);
    return txn_error(txn);
}

/* Two workers, and a first batch that took no time. */
static struct ticker *begin_quick(struct scene *scene, struct fixture *f, struct clock clock)
{
    *scene = (struct scene){.f = f};
    sem_init(&scene->began, 0, 0);
    sem_init(&scene->go_on, 0, 0);
    fixture_close(f);
    struct ticker *maintenance = ticker_create("maintenance");
    f->options.maintenance = maintenance;
    f->clock.clock = clock;
    f->queue.concurrency = 2;
    fixture_open(f);
    handle(f, "t", run, count_sync, scene);
    start(f);
    enqueue(f, spec_of("t", "quick"));
    wait_idle(f);
    return maintenance;
}

static void end_quick(struct fixture *f, struct ticker *maintenance)
{
    assert_true(queues_stop(f->queues, PATIENCE_S * 1000));
    ticker_destroy(&maintenance);
}

static void test_one_worker_takes_all_that_is_done_at_once(void **state)
{
    struct fixture *f = *state;
    struct scene scene;
    struct ticker *maintenance = begin_quick(&scene, f, f->clock.clock);
    assert_int_equal(store_write(f->store, enqueue_ten, f), ERR_OK);
    wait_idle(f);
    assert_int_equal(scene.runs, 11);
    assert_int_equal(scene.syncs, 2); /* one for each batch */
    end_quick(f, maintenance);
}

static void test_others_take_over_when_a_quick_queue_gets_slow(void **state)
{
    struct fixture *f = *state;
    struct scene scene;
    struct ticker *maintenance = begin_quick(&scene, f, clock_system);
    enqueue(f, spec_of("t", "slow"));
    wait_for(&scene.began);
    enqueue(f, spec_of("t", "quick"));
    while (counted(f, JOB_COMPLETED) < 2)
        sched_yield();
    assert_int_equal(counted(f, JOB_RUNNING), 1);
    end(&scene);
    end_quick(f, maintenance);
}

/* ---- By hand. */

static void test_lease_by_hand_survives_a_restart(void **state)
{
    struct fixture *f = *state;
    struct id by_hand = enqueue(f, spec_of("t", "1")), by_worker = enqueue(f, spec_of("t", "2"));
    struct hand hand, worker;
    assert_int_equal(lease(&hand, f, 1), 1);
    assert_int_equal(lease_as(&worker, f, 1, true), 1);
    fixture_close(f);
    fixture_open(f);
    f->queues->queues[0]->concurrency = 0; /* nobody takes what is ready */
    start(f);
    assert_int_equal(state_of(f, by_hand), JOB_RUNNING);
    assert_int_equal(state_of(f, by_worker), JOB_READY);
    assert_int_equal(ack(f, &hand.leases[0]), ERR_OK);
    assert_int_equal(ack(f, &worker.leases[0]), ERR_STALE);
    assert_int_equal(state_of(f, by_hand), JOB_COMPLETED);
}

static void test_lease_by_hand_runs_out_after_a_restart_too(void **state)
{
    struct fixture *f = *state;
    struct id id = enqueue(f, spec_of("t", "1"));
    struct hand hand;
    lease(&hand, f, 1);
    fixture_close(f);
    fixture_open(f);
    clock_fake_advance(&f->clock, LEASE_MS_T);
    struct hand other;
    assert_int_equal(lease(&other, f, 1), 1);
    assert_int_equal(ack(f, &hand.leases[0]), ERR_STALE);
    assert_int_equal(state_of(f, id), JOB_RUNNING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_slow_job_holds_neither_those_before_it_nor_those_behind),
        TEST(test_lease_of_a_slow_job_is_renewed),
        TEST(test_lease_is_kept_while_a_sync_lasts_longer_than_it),
        TEST(test_quick_batches_need_no_keeper),
        TEST(test_maintenance_thread_keeps_by_itself),
        TEST(test_one_worker_takes_all_that_is_done_at_once),
        TEST(test_others_take_over_when_a_quick_queue_gets_slow),
        TEST(test_lease_by_hand_survives_a_restart),
        TEST(test_lease_by_hand_runs_out_after_a_restart_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
