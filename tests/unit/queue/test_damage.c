/* Damage costs the job it sits in, is counted and named, and what can be made again is. */
#include "tests/unit/queue/fixture.h"

#include "base/log.h"

struct harm {
    struct table table;
    struct key key;
    const char *value; /* NULL: deleted */
};

static enum err harm_fn(struct txn *txn, void *arg)
{
    struct harm *harm = arg;
    return harm->value ? txn_put(txn, harm->table, key_slice(&harm->key), slice_str(harm->value))
                       : txn_del(txn, harm->table, key_slice(&harm->key));
}

static void harm(struct fixture *f, struct table table, struct key key, const char *value)
{
    struct harm harm = {table, key, value};
    assert_int_equal(store_write(f->store, harm_fn, &harm), ERR_OK);
}

static void damage(struct fixture *f, struct table table, struct id id)
{
    harm(f, table, id_key(&id), "not what was written");
}

static struct key counts_key(const char *queue)
{
    struct key key;
    key_init(&key);
    key_add_string(&key, slice_str(queue));
    return key;
}

static struct key entry_key(struct fixture *f, enum job_state state, int64_t order, struct id id)
{
    struct index_entry entry = {state, order, id};
    return job_index_key(f->queues->queues[0], &entry);
}

static uint64_t damage_counted(struct fixture *f)
{
    struct queue_stats stats;
    queue_stats(f->queues, 0, &stats);
    struct store_stats store;
    store_stats(f->store, &store);
    assert_true(store.damaged >= stats.damaged); /* so that /readyz says it */
    return stats.damaged;
}

static void assert_dead(struct fixture *f, struct id id, const char *why)
{
    struct look look;
    assert_int_equal(look_at(&look, f, id), ERR_OK);
    assert_string_equal(job_state_name(look.info.state), "dead");
    assert_string_equal(look.reason, why);
}

/* Returns what it found. */
static uint64_t check_all(struct fixture *f)
{
    return verify(f, VERIFY_MEND);
}

/* ---- Jobs. */

static void test_damaged_states_do_not_stop_the_start(void **state)
{
    struct fixture *f = *state;
    struct id ids[6];
    for (int i = 0; i < 6; i++)
        ids[i] = enqueue(f, spec_of("t", "{}"));
    struct hand hand;
    lease_as(&hand, f, 6, true);
    for (int i = 1; i < 5; i++)
        damage(f, f->states, ids[i]);
    f->queues->queues[0]->concurrency = 1;
    start(f);
    wait_idle(f);
    for (int i = 1; i < 5; i++)
        assert_dead(f, ids[i], "its state is damaged");
    assert_int_equal(counted(f, JOB_DEAD), 4);
    assert_int_equal(damage_counted(f), 4);
}

static void test_damaged_records_cost_no_other_job(void **state)
{
    struct fixture *f = *state;
    struct id ids[9];
    for (int i = 0; i < 9; i++)
        ids[i] = enqueue(f, spec_of("t", "{}"));
    damage(f, f->jobs, ids[0]);
    damage(f, f->jobs, ids[1]);
    damage(f, f->jobs, ids[8]);
    struct hand hand;
    assert_int_equal(lease(&hand, f, 9), 6);
    assert_dead(f, ids[0], "its record is damaged");
    assert_dead(f, ids[8], "its record is damaged");
    assert_int_equal(damage_counted(f), 3);
}

struct batch_scene {
    struct fixture *f;
    _Atomic unsigned runs;
    struct id victim;
};

static enum err run_damage(const struct job *job, void *arg, char *why, size_t why_size)
{
    struct batch_scene *scene = arg;
    (void)why, (void)why_size;
    if (scene->runs++ == 7) {
        struct harm harm = {scene->f->states, id_key(&job->id), "not what was written"};
        scene->victim = job->id;
        return store_write(scene->f->store, harm_fn, &harm);
    }
    return ERR_OK;
}

static void test_damaged_state_in_a_batch_costs_one_job(void **state)
{
    struct fixture *f = *state;
    fixture_close(f);
    f->queue.concurrency = 1;
    fixture_open(f);
    struct batch_scene scene = {.f = f};
    handle(f, "t", run_damage, NULL, &scene);
    for (int i = 0; i < 50; i++)
        enqueue(f, spec_of("t", "{}"));
    start(f);
    wait_idle(f);
    assert_int_equal(scene.runs, 50);
    assert_int_equal(counted(f, JOB_COMPLETED), 49);
    assert_dead(f, scene.victim, "its state is damaged");
}

static enum err find_bytes(struct txn *txn, void *arg)
{
    struct look *look = arg;
    struct job_status status;
    enum err err = status_get(look->f->queues, txn, &look->id, &status);
    if (err != ERR_OK)
        return err;
    return slice_is(status.fields[FIELD_DAMAGED], "not what was written") ? ERR_OK : ERR_CONFLICT;
}

static void test_damaged_bytes_stay_readable(void **state)
{
    struct fixture *f = *state;
    struct look look = {.f = f, .id = enqueue(f, spec_of("t", "{}"))};
    struct hand hand;
    lease_as(&hand, f, 1, true);
    damage(f, f->states, look.id);
    clock_fake_advance(&f->clock, LEASE_MS_T);
    lease(&hand, f, 1);
    assert_dead(f, look.id, "its state is damaged");
    assert_int_equal(store_read(f->store, find_bytes, &look), ERR_OK);
}

static void test_job_that_cannot_be_read_is_an_error_with_a_name(void **state)
{
    struct fixture *f = *state;
    struct id id = enqueue(f, spec_of("t", "{}"));
    damage(f, f->jobs, id);
    struct look look;
    assert_int_equal(look_at(&look, f, id), ERR_DAMAGED);
    struct store_stats store;
    store_stats(f->store, &store);
    char text[ID_TEXT_SIZE];
    id_format(&id, text);
    assert_non_null(strstr(store.damage, text));
}

/* ---- Counts. */

static void assert_counts_made_again(struct fixture *f)
{
    assert_int_equal(counted(f, JOB_READY), 3);
    assert_int_equal(counted(f, JOB_COMPLETED), 2);
    struct hand hand;
    assert_int_equal(lease(&hand, f, 10), 3);
    assert_int_equal(counted(f, JOB_RUNNING), 3);
    assert_true(damage_counted(f) > 0);
}

static void five_jobs(struct fixture *f)
{
    for (int i = 0; i < 5; i++)
        enqueue(f, spec_of("t", "{}"));
    struct hand hand;
    lease(&hand, f, 2);
    ack(f, &hand.leases[0]);
    ack(f, &hand.leases[1]);
}

static void test_damaged_counts_are_made_again_at_start(void **state)
{
    struct fixture *f = *state;
    five_jobs(f);
    harm(f, f->jobs, counts_key("mail"), "not what was written");
    fixture_close(f);
    fixture_open(f);
    assert_counts_made_again(f);
}

static void test_missing_counts_are_made_again_at_start(void **state)
{
    struct fixture *f = *state;
    five_jobs(f);
    harm(f, f->jobs, counts_key("mail"), NULL);
    fixture_close(f);
    fixture_open(f);
    assert_counts_made_again(f);
}

static void test_counts_damaged_while_running_are_made_again(void **state)
{
    struct fixture *f = *state;
    five_jobs(f);
    harm(f, f->jobs, counts_key("mail"), "not what was written");
    enqueue(f, spec_of("t", "{}"));
    assert_int_equal(counted(f, JOB_READY), 4);
    assert_int_equal(counted(f, JOB_COMPLETED), 2);
}

/* ---- The index. */

static void test_missing_index_entry_is_made_again_by_the_check(void **state)
{
    struct fixture *f = *state;
    struct id ids[5];
    for (int i = 0; i < 5; i++)
        ids[i] = enqueue(f, spec_of("t", "{}"));
    harm(f, f->index, entry_key(f, JOB_READY, 0, ids[2]), NULL);
    assert_int_equal(check_all(f), 1);
    assert_int_equal(check_all(f), 0);
    struct hand hand;
    assert_int_equal(lease(&hand, f, 10), 5);
}

static void test_entry_that_cannot_be_read_does_not_stop_the_queue(void **state)
{
    struct fixture *f = *state;
    struct id first = enqueue(f, spec_of("t", "{}"));
    enqueue(f, spec_of("t", "{}"));
    struct key key = entry_key(f, JOB_READY, 0, first);
    harm(f, f->index, key, NULL);
    key.bytes[key.len - 18 - 10] ^= 0x20; /* the order is no number now */
    harm(f, f->index, key, "");
    struct hand hand;
    unsigned leased = lease(&hand, f, 10);
    leased += lease(&hand, f, 10);
    assert_int_equal(leased, 2);
    assert_true(damage_counted(f) > 0);
}

static void test_entry_of_no_job_is_taken_out(void **state)
{
    struct fixture *f = *state;
    enqueue(f, spec_of("t", "{}"));
    harm(f, f->index, entry_key(f, JOB_READY, 0, id_make(1)), "");
    struct hand hand;
    assert_int_equal(lease(&hand, f, 10), 1);
    assert_int_equal(check_all(f), 0);
    assert_int_equal(counted(f, JOB_READY), 0);
}

static void test_entry_of_another_state_is_put_right(void **state)
{
    struct fixture *f = *state;
    struct id id = enqueue(f, spec_of("t", "{}"));
    harm(f, f->index, entry_key(f, JOB_READY, 0, id), NULL);
    harm(f, f->index, entry_key(f, JOB_RETRYING, 0, id), "");
    assert_int_equal(check_all(f), 1);
    assert_int_equal(counted(f, JOB_RETRYING), 0);
    struct hand hand;
    assert_int_equal(lease(&hand, f, 10), 1);
}

static void test_check_of_sound_jobs_finds_nothing(void **state)
{
    struct fixture *f = *state;
    struct hand hand;
    five_jobs(f);
    lease(&hand, f, 1);
    fail_job(f, &hand.leases[0], "no");
    struct job_spec spec = spec_of("t", "{}");
    spec.delay_ms = 5;
    enqueue(f, spec);
    assert_int_equal(check_all(f), 0);
    assert_int_equal(damage_counted(f), 0);
}

static void test_what_nobody_meets_is_found_and_mended_without_a_repair(void **state)
{
    struct fixture *f = *state;
    struct job_spec spec = spec_of("t", "{}");
    spec.delay_ms = 1000000;
    struct id id = enqueue(f, spec);
    harm(f, f->index, entry_key(f, JOB_SCHEDULED, T0 + 1000000, id), NULL);
    assert_int_equal(check_all(f), 1);
    assert_int_equal(damage_counted(f), 1);
    clock_fake_advance(&f->clock, 1000000);
    struct hand hand;
    assert_int_equal(lease(&hand, f, 1), 1);
}

int main(void)
{
    const struct log_options options = {.level = LOG_OFF};
    assert_true(log_open(&options));
    alarm(300); /* an endless loop is what these are about */
    const struct CMUnitTest tests[] = {
        TEST(test_damaged_states_do_not_stop_the_start),
        TEST(test_damaged_records_cost_no_other_job),
        TEST(test_damaged_state_in_a_batch_costs_one_job),
        TEST(test_damaged_bytes_stay_readable),
        TEST(test_job_that_cannot_be_read_is_an_error_with_a_name),
        TEST(test_damaged_counts_are_made_again_at_start),
        TEST(test_missing_counts_are_made_again_at_start),
        TEST(test_counts_damaged_while_running_are_made_again),
        TEST(test_missing_index_entry_is_made_again_by_the_check),
        TEST(test_entry_that_cannot_be_read_does_not_stop_the_queue),
        TEST(test_entry_of_no_job_is_taken_out),
        TEST(test_entry_of_another_state_is_put_right),
        TEST(test_check_of_sound_jobs_finds_nothing),
        TEST(test_what_nobody_meets_is_found_and_mended_without_a_repair),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
