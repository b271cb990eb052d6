/* The worker threads. */
#include "tests/unit/queue/fixture.h"

#include "storage/engine/engine_private.h"

#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

/* What the handlers of these tests share with them. */
struct scene {
    struct fixture *f;
    atomic_uint runs, syncs;
    sem_t ran;
    enum err result, sync_result;
    bool stopped;
    struct look look;
};

static void scene_init(struct scene *scene, struct fixture *f)
{
    *scene = (struct scene){.f = f};
    sem_init(&scene->ran, 0, 0);
}

static enum err run_note(const struct job *job, void *arg, char *why, size_t why_size)
{
    struct scene *scene = arg;
    (void)job;
    scene->runs++;
    if (scene->result != ERR_OK)
        snprintf(why, why_size, "the server says no");
    enum err result = scene->result;
    sem_post(&scene->ran);
    return result;
}

static enum err sync_note(void *arg)
{
    struct scene *scene = arg;
    scene->syncs++;
    return scene->sync_result;
}

static void test_job_runs_once_and_is_completed(void **state)
{
    struct fixture *f = *state;
    struct scene scene;
    scene_init(&scene, f);
    handle(f, "note", run_note, sync_note, &scene);
    start(f);
    struct id id = enqueue(f, spec_of("note", "{}"));
    wait_for(&scene.ran);
    wait_idle(f);
    assert_int_equal(scene.runs, 1);
    assert_int_equal(scene.syncs, 1);
    assert_int_equal(state_of(f, id), JOB_COMPLETED);
}

static void test_every_job_of_many_runs_once(void **state)
{
    struct fixture *f = *state;
    struct scene scene;
    scene_init(&scene, f);
    handle(f, "note", run_note, NULL, &scene);
    for (int i = 0; i < 50; i++)
        enqueue(f, spec_of("note", "{}"));
    start(f);
    for (int i = 0; i < 50; i++)
        enqueue(f, spec_of("note", "{}"));
    wait_idle(f);
    assert_int_equal(scene.runs, 100);
    assert_int_equal(counted(f, JOB_COMPLETED), 100);
}

static void test_aborted_enqueue_runs_nothing(void **state)
{
    struct fixture *f = *state;
    struct scene scene;
    scene_init(&scene, f);
    handle(f, "note", run_note, NULL, &scene);
    start(f);
    struct enqueue e = {.f = f, .spec = spec_of("note", "{}"), .end = ERR_CONFLICT};
    assert_int_equal(store_write(f->store, enqueue_fn, &e), ERR_CONFLICT);
    enqueue(f, spec_of("note", "{}"));
    wait_idle(f);
    assert_int_equal(scene.runs, 1);
}

static enum err run_look(const struct job *job, void *arg, char *why, size_t why_size)
{
    struct scene *scene = arg;
    (void)why, (void)why_size;
    enum err err = look_at(&scene->look, scene->f, job->id);
    sem_post(&scene->ran);
    return err;
}

static void test_attempt_is_durable_before_the_run(void **state)
{
    struct fixture *f = *state;
    struct scene scene;
    scene_init(&scene, f);
    handle(f, "look", run_look, NULL, &scene);
    start(f);
    enqueue(f, spec_of("look", "{}"));
    wait_for(&scene.ran);
    assert_int_equal(scene.look.info.attempt, 1);
    assert_int_equal(scene.look.info.state, JOB_RUNNING);
}

static enum err run_compare(const struct job *job, void *arg, char *why, size_t why_size)
{
    struct scene *scene = arg;
    (void)why, (void)why_size;
    bool same = strcmp(job->queue, "mail") == 0 && strcmp(job->type, "compare") == 0 &&
                slice_is(job->payload, "{\"to\":\"alice\"}") && job->attempt == 1 &&
                job->attempts_max == 3 && job->enqueued_ms == T0;
    scene->runs += same;
    sem_post(&scene->ran);
    return ERR_OK;
}

static void test_handler_gets_the_job_as_enqueued(void **state)
{
    struct fixture *f = *state;
    struct scene scene;
    scene_init(&scene, f);
    handle(f, "compare", run_compare, NULL, &scene);
    for (int i = 0; i < 20; i++)
        enqueue(f, spec_of("compare", "{\"to\":\"alice\"}"));
    start(f);
    wait_idle(f);
    assert_int_equal(scene.runs, 20);
}

/* Runs a job once, with this result, and looks at it afterwards. */
static struct id run_one(struct fixture *f, struct scene *scene, enum err result, struct look *look)
{
    scene_init(scene, f);
    scene->result = result;
    handle(f, "note", run_note, NULL, scene);
    start(f);
    struct id id = enqueue(f, spec_of("note", "{}"));
    wait_for(&scene->ran);
    wait_idle(f);
    assert_int_equal(look_at(look, f, id), ERR_OK);
    return id;
}

static void test_failed_job_runs_again_after_its_backoff(void **state)
{
    struct fixture *f = *state;
    struct scene scene;
    struct look look;
    struct id id = run_one(f, &scene, ERR_TIMEOUT, &look);
    assert_int_equal(look.info.state, JOB_RETRYING);
    assert_string_equal(look.reason, "the server says no");
    scene.result = ERR_OK;
    clock_fake_advance(&f->clock, look.info.due_ms - T0);
    queues_wake(f->queues);
    wait_for(&scene.ran);
    wait_idle(f);
    assert_int_equal(state_of(f, id), JOB_COMPLETED);
}

static void test_job_that_can_never_be_done_is_dead_at_once(void **state)
{
    struct fixture *f = *state;
    struct scene scene;
    struct look look;
    run_one(f, &scene, ERR_MALFORMED, &look);
    assert_int_equal(look.info.state, JOB_DEAD);
    assert_int_equal(look.info.attempt, 1);
    assert_string_equal(look.reason, "the server says no");
}

static void test_delayed_job_runs_at_its_time(void **state)
{
    struct fixture *f = *state;
    struct scene scene;
    scene_init(&scene, f);
    handle(f, "note", run_note, NULL, &scene);
    start(f);
    struct job_spec spec = spec_of("note", "{}");
    spec.delay_ms = 3600000;
    struct id id = enqueue(f, spec);
    queues_wake(f->queues);
    assert_int_equal(state_of(f, id), JOB_SCHEDULED);
    clock_fake_advance(&f->clock, 3600000);
    queues_wake(f->queues);
    wait_for(&scene.ran);
    wait_idle(f);
    assert_int_equal(state_of(f, id), JOB_COMPLETED);
}

static void test_timer_alone_wakes_for_a_delayed_job(void **state)
{
    struct fixture *f = *state;
    struct scene scene;
    scene_init(&scene, f);
    fixture_close(f);
    f->clock.clock = clock_system;
    fixture_open(f);
    handle(f, "note", run_note, NULL, &scene);
    start(f);
    struct job_spec spec = spec_of("note", "{}");
    spec.delay_ms = 20;
    enqueue(f, spec);
    wait_for(&scene.ran);
}

static void test_job_without_a_handler_fails_with_the_reason(void **state)
{
    struct fixture *f = *state;
    struct job_spec spec = spec_of("mystery", "{}");
    spec.attempts_max = 1;
    struct id id = enqueue(f, spec);
    start(f);
    wait_idle(f);
    struct look look;
    assert_int_equal(look_at(&look, f, id), ERR_OK);
    assert_int_equal(look.info.state, JOB_DEAD);
    assert_string_equal(look.reason, "no handler for type mystery");
}

static void test_sync_failure_fails_the_whole_batch(void **state)
{
    struct fixture *f = *state;
    struct scene scene;
    scene_init(&scene, f);
    scene.sync_result = ERR_STORE_FULL;
    handle(f, "note", run_note, sync_note, &scene);
    for (int i = 0; i < 6; i++)
        enqueue(f, spec_of("note", "{}"));
    start(f);
    wait_idle(f);
    assert_int_equal(scene.runs, 6);
    assert_int_equal(counted(f, JOB_RETRYING), 6);
    assert_int_equal(counted(f, JOB_COMPLETED), 0);
}

static void test_leases_of_a_former_process_are_ready_again_at_start(void **state)
{
    struct fixture *f = *state;
    struct scene scene;
    scene_init(&scene, f);
    for (unsigned i = 0; i < 600; i++)
        enqueue(f, spec_of("note", "{}"));
    struct hand *hand = calloc(1, sizeof *hand);
    assert_int_equal(lease_as(hand, f, 600, true), 600);
    free(hand);
    fixture_close(f);
    fixture_open(f);
    assert_int_equal(counted(f, JOB_RUNNING), 600);
    handle(f, "note", run_note, NULL, &scene);
    start(f);
    wait_idle(f);
    assert_int_equal(scene.runs, 600);
    assert_int_equal(counted(f, JOB_COMPLETED), 600);
}

static enum err run_kill(const struct job *job, void *arg, char *why, size_t why_size)
{
    (void)job, (void)arg, (void)why, (void)why_size;
    _exit(9);
}

static int die_once(struct fixture *f)
{
    pid_t pid = fork();
    if (pid == 0) {
        fixture_open(f);
        handle(f, "kill", run_kill, NULL, NULL);
        start(f);
        wait_idle(f);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WEXITSTATUS(status);
}

static void test_job_that_kills_the_process_dies_after_its_attempts(void **state)
{
    struct fixture *f = *state;
    struct scene scene;
    scene_init(&scene, f);
    struct id killer = enqueue(f, spec_of("kill", "{}"));
    fixture_close(f);
    for (int i = 0; i < 3; i++)
        assert_int_equal(die_once(f), 9);
    fixture_open(f);
    handle(f, "kill", run_note, NULL, &scene);
    start(f);
    wait_idle(f);
    assert_int_equal(state_of(f, killer), JOB_DEAD);
    assert_int_equal(scene.runs, 0);
}

static enum err run_stop(const struct job *job, void *arg, char *why, size_t why_size)
{
    struct scene *scene = arg;
    (void)job, (void)why, (void)why_size;
    scene->runs++;
    scene->stopped = queues_stop(scene->f->queues, 0); /* cannot end while this job runs */
    sem_post(&scene->ran);
    return ERR_OK;
}

static void test_stop_gives_jobs_that_have_not_begun_back(void **state)
{
    struct fixture *f = *state;
    struct scene scene;
    scene_init(&scene, f);
    fixture_close(f);
    f->queue.concurrency = 1;
    fixture_open(f);
    handle(f, "stop", run_stop, NULL, &scene);
    struct id last;
    for (int i = 0; i < 5; i++)
        last = enqueue(f, spec_of("stop", "{}"));
    start(f);
    wait_for(&scene.ran);
    assert_false(scene.stopped);
    assert_true(queues_stop(f->queues, PATIENCE_S * 1000));
    assert_int_equal(scene.runs, 1);
    assert_int_equal(counted(f, JOB_COMPLETED), 1);
    assert_int_equal(counted(f, JOB_READY), 4);
    struct look look;
    assert_int_equal(look_at(&look, f, last), ERR_OK);
    assert_int_equal(look.info.attempt, 0);
}

static enum err run_until_stopped(const struct job *job, void *arg, char *why, size_t why_size)
{
    struct scene *scene = arg;
    (void)job, (void)why, (void)why_size;
    sem_post(&scene->ran);
    while (!queues_stopping(scene->f->queues))
        sched_yield();
    return ERR_DRAINING;
}

static void test_job_that_gives_up_for_a_stop_is_given_back_uncounted(void **state)
{
    struct fixture *f = *state;
    struct scene scene;
    scene_init(&scene, f);
    handle(f, "long", run_until_stopped, NULL, &scene);
    start(f);
    struct id id = enqueue(f, spec_of("long", "{}"));
    wait_for(&scene.ran);
    assert_true(queues_stop(f->queues, PATIENCE_S * 1000));
    struct look look;
    assert_int_equal(look_at(&look, f, id), ERR_OK);
    assert_int_equal(look.info.state, JOB_READY);
    assert_int_equal(look.info.attempt, 0);
}

static enum err run_meet(const struct job *job, void *arg, char *why, size_t why_size)
{
    pthread_barrier_t *both = arg;
    (void)job, (void)why, (void)why_size;
    pthread_barrier_wait(both); /* passes only when two jobs run at once */
    return ERR_OK;
}

static void test_workers_share_what_is_ready(void **state)
{
    struct fixture *f = *state;
    pthread_barrier_t both;
    pthread_barrier_init(&both, NULL, 2);
    handle(f, "meet", run_meet, NULL, &both);
    enqueue(f, spec_of("meet", "{}"));
    enqueue(f, spec_of("meet", "{}"));
    start(f);
    wait_idle(f);
    assert_int_equal(counted(f, JOB_COMPLETED), 2);
    pthread_barrier_destroy(&both);
}

static enum err run_slow(const struct job *job, void *arg, char *why, size_t why_size)
{
    struct scene *scene = arg;
    (void)why, (void)why_size;
    scene->runs += job->attempt == 1;
    clock_fake_advance(&scene->f->clock, 2000);
    return ERR_OK;
}

static void test_slow_batch_gives_its_rest_back_uncounted(void **state)
{
    struct fixture *f = *state;
    struct scene scene;
    scene_init(&scene, f);
    fixture_close(f);
    f->queue.concurrency = 1;
    fixture_open(f);
    handle(f, "slow", run_slow, sync_note, &scene);
    for (int i = 0; i < 5; i++)
        enqueue(f, spec_of("slow", "{}"));
    start(f);
    wait_idle(f);
    assert_int_equal(scene.runs, 5);
    assert_int_equal(scene.syncs, 5); /* batches */
}

struct harm {
    struct table table;
    struct id id;
};

static enum err harm_fn(struct txn *txn, void *arg)
{
    struct harm *harm = arg;
    struct key key;
    key_init(&key);
    key_add_id(&key, &harm->id);
    return txn_put(txn, harm->table, key_slice(&key), slice_str("not what was written"));
}

static void damage_record(struct fixture *f, struct table table, struct id id)
{
    struct harm harm = {table, id};
    assert_int_equal(store_write(f->store, harm_fn, &harm), ERR_OK);
}

static void test_damaged_job_dies_and_lets_the_others_run(void **state)
{
    struct fixture *f = *state;
    struct scene scene;
    scene_init(&scene, f);
    handle(f, "note", run_note, NULL, &scene);
    for (int i = 0; i < 9; i++) {
        struct id id = enqueue(f, spec_of("note", "{}"));
        if (i % 4 == 2)
            damage_record(f, f->jobs, id);
    }
    start(f);
    wait_idle(f);
    assert_int_equal(scene.runs, 7);
    assert_int_equal(counted(f, JOB_COMPLETED), 7);
    assert_int_equal(counted(f, JOB_DEAD), 2);
}

static void test_damaged_state_does_not_stop_the_start(void **state)
{
    struct fixture *f = *state;
    struct scene scene;
    scene_init(&scene, f);
    handle(f, "note", run_note, NULL, &scene);
    enqueue(f, spec_of("note", "{}"));
    enqueue(f, spec_of("note", "{}"));
    struct hand hand;
    lease_as(&hand, f, 2, true);
    damage_record(f, f->states, hand.leases[0].job);
    start(f);
    wait_idle(f);
    assert_int_equal(scene.runs, 1);
    assert_int_equal(counted(f, JOB_DEAD), 1);
}

static enum err run_latch(const struct job *job, void *arg, char *why, size_t why_size)
{
    struct scene *scene = arg;
    (void)job, (void)why, (void)why_size;
    store_latch(scene->f->store, "testing");
    sem_post(&scene->ran);
    return ERR_OK;
}

static void test_workers_of_a_read_only_store_still_stop(void **state)
{
    struct fixture *f = *state;
    struct scene scene;
    scene_init(&scene, f);
    handle(f, "latch", run_latch, NULL, &scene);
    start(f);
    struct id id = enqueue(f, spec_of("latch", "{}"));
    wait_for(&scene.ran);
    assert_true(queues_stop(f->queues, PATIENCE_S * 1000));
    assert_int_equal(state_of(f, id), JOB_RUNNING);
}

/* liblmdb finds these before the C library's. */
static _Atomic bool disk_full;

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    errno = ENOSPC;
    return disk_full ? -1 : syscall(SYS_pwrite64, fd, bytes, size, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    errno = ENOSPC;
    return disk_full ? -1 : syscall(SYS_writev, fd, parts, count);
}

static void test_leases_found_on_a_full_disk_run_out_later(void **state)
{
    struct fixture *f = *state;
    struct scene scene;
    scene_init(&scene, f);
    handle(f, "note", run_note, NULL, &scene);
    struct id id = enqueue(f, spec_of("note", "{}"));
    struct hand hand;
    lease_as(&hand, f, 1, true);
    disk_full = true;
    enum err err = queues_start(f->queues);
    disk_full = false;
    assert_int_equal(err, ERR_OK);
    assert_int_equal(state_of(f, id), JOB_RUNNING);
    clock_fake_advance(&f->clock, LEASE_MS_T);
    queues_wake(f->queues);
    wait_for(&scene.ran);
    wait_idle(f);
    assert_int_equal(state_of(f, id), JOB_COMPLETED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_job_runs_once_and_is_completed),
        TEST(test_every_job_of_many_runs_once),
        TEST(test_aborted_enqueue_runs_nothing),
        TEST(test_attempt_is_durable_before_the_run),
        TEST(test_handler_gets_the_job_as_enqueued),
        TEST(test_failed_job_runs_again_after_its_backoff),
        TEST(test_job_that_can_never_be_done_is_dead_at_once),
        TEST(test_job_that_gives_up_for_a_stop_is_given_back_uncounted),
        TEST(test_delayed_job_runs_at_its_time),
        TEST(test_timer_alone_wakes_for_a_delayed_job),
        TEST(test_job_without_a_handler_fails_with_the_reason),
        TEST(test_sync_failure_fails_the_whole_batch),
        TEST(test_leases_of_a_former_process_are_ready_again_at_start),
        TEST(test_job_that_kills_the_process_dies_after_its_attempts),
        TEST(test_stop_gives_jobs_that_have_not_begun_back),
        TEST(test_workers_share_what_is_ready),
        TEST(test_slow_batch_gives_its_rest_back_uncounted),
        TEST(test_damaged_job_dies_and_lets_the_others_run),
        TEST(test_damaged_state_does_not_stop_the_start),
        TEST(test_workers_of_a_read_only_store_still_stop),
        TEST(test_leases_found_on_a_full_disk_run_out_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
