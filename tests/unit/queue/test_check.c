/* Verifying: what is wrong between the three tables is said, for each queue that there is. */
#include "tests/unit/queue/fixture.h"

#include "base/log.h"

#include <string.h>

struct told {
    unsigned findings, mended;
    char what[2000]; /* a line each */
};

static void note(const char *what, bool mended, void *arg)
{
    struct told *told = arg;
    size_t len = strlen(told->what);
    told->findings++;
    told->mended += mended;
    snprintf(told->what + len, sizeof told->what - len, "%s\n", what);
}

static struct told told_by(struct fixture *f, enum verify_how how)
{
    struct told told = {0};
    verify_with(f, how, note, &told);
    return told;
}

static void assert_told(const struct told *told, const char *what)
{
    if (!strstr(told->what, what))
        fail_msg("not \"%s\" but:\n%s", what, told->what);
}

/* ---- Harm, past those who know better. */

struct harm {
    struct table table;
    struct key key;
    struct slice value; /* no pointer: deleted */
};

static enum err harm_fn(struct txn *txn, void *arg)
{
    struct harm *harm = arg;
    return harm->value.ptr ? txn_put(txn, harm->table, key_slice(&harm->key), harm->value)
                           : txn_del(txn, harm->table, key_slice(&harm->key));
}

static void put(struct fixture *f, struct table table, struct key key, const char *value)
{
    struct harm harm = {table, key, slice_str(value)};
    assert_int_equal(store_write(f->store, harm_fn, &harm), ERR_OK);
}

static void take(struct fixture *f, struct table table, struct key key)
{
    struct harm harm = {table, key, {NULL, 0}};
    assert_int_equal(store_write(f->store, harm_fn, &harm), ERR_OK);
}

static struct key name_key(const char *name)
{
    struct key key;
    key_init(&key);
    key_add_string(&key, slice_str(name));
    return key;
}

static struct key entry_key(struct fixture *f, struct id id)
{
    struct index_entry entry = {JOB_READY, 0, id};
    return job_index_key(f->queues->queues[0], &entry);
}

static enum err wrong_counts(struct txn *txn, void *arg)
{
    struct fixture *f = arg;
    struct counts counts;
    counts_get(f->queues->queues[0], txn, &counts);
    counts.jobs[JOB_READY] += 5;
    counts_put(f->queues->queues[0], txn, &counts);
    return txn_error(txn);
}

/* ---- Tests. */

static void test_sound_jobs_in_all_states_are_no_finding(void **state)
{
    struct fixture *f = *state;
    struct hand hand;
    for (int i = 0; i < 6; i++)
        enqueue(f, spec_of("t", "{}"));
    struct job_spec later = spec_of("t", "{}");
    later.delay_ms = 1000;
    enqueue(f, later);
    lease(&hand, f, 4);
    ack(f, &hand.leases[0]);
    fail_job(f, &hand.leases[1], "no");
    for (int i = 0; i < 3; i++)
        verify(f, VERIFY_LOOK);
    struct told told = told_by(f, VERIFY_LOOK);
    assert_string_equal(told.what, "");
}

static void test_looking_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct id id = enqueue(f, spec_of("t", "{}"));
    take(f, f->index, entry_key(f, id));
    for (int i = 0; i < 2; i++) {
        struct told told = told_by(f, VERIFY_LOOK);
        assert_told(&told, ": its index entry is missing\n");
        assert_told(&told, "the counts of the queue mail are not those of its index\n");
        assert_int_equal(told.findings, 2);
        assert_int_equal(told.mended, 0);
    }
}

static void test_wrong_counts_are_found_and_made_anew(void **state)
{
    struct fixture *f = *state;
    enqueue(f, spec_of("t", "{}"));
    assert_int_equal(store_write(f->store, wrong_counts, f), ERR_OK);
    struct told told = told_by(f, VERIFY_MEND);
    assert_string_equal(told.what, "the counts of the queue mail are not those of its index\n");
    assert_int_equal(told.mended, 1);
    assert_int_equal(counted(f, JOB_READY), 1);
    assert_int_equal(verify(f, VERIFY_LOOK), 0);
}

/* ---- Counts of many jobs. */

#define MANY 5000

static enum err enqueue_many(struct txn *txn, void *arg)
{
    struct fixture *f = arg;
    struct job_spec spec = spec_of("t", "{}");
    struct id id;
    for (unsigned i = 0; i < MANY; i++) {
        spec.priority = i % 3;
        queue_enqueue(f->queues, txn, &spec, &id);
    }
    return txn_error(txn);
}

static enum err compare_counts(struct txn *txn, void *arg)
{
    struct fixture *f = arg;
    struct counts counts = {0};
    counts_make(f->queues->queues[0], txn, &counts, false);
    return counts_eq(&counts, &f->queues->queues[0]->counts) ? ERR_OK : ERR_CONFLICT;
}

/* Jobs move in each state between any two steps. Returns how many steps the counts have taken. */
static unsigned pass_over_moving_jobs(struct fixture *f, struct verify_figures *figures)
{
    struct verify_options options = {.store = f->store, .mend = true};
    struct verifier *v = verifier_create(&options);
    queues_verify(f->queues, v);
    unsigned steps = 0;
    for (bool end = false; !end;) {
        verifier_figures(v, figures);
        steps += strcmp(figures->part, "counts of jobs") == 0;
        assert_int_equal(verifier_step(v, &end), ERR_OK);
        struct job_spec spec = spec_of("t", "{}");
        spec.priority = steps % 3;
        struct hand hand;
        enqueue(f, spec);
        lease(&hand, f, 4);
        ack(f, &hand.leases[0]);
        fail_job(f, &hand.leases[1], "no");
        spec.delay_ms = 1000;
        enqueue(f, spec);
        clock_fake_advance(&f->clock, 100);
    }
    verifier_figures(v, figures);
    verifier_destroy(&v);
    return steps;
}

static void test_counts_of_many_jobs_are_compared_while_they_move(void **state)
{
    struct fixture *f = *state;
    struct verify_figures figures;
    assert_int_equal(store_write(f->store, enqueue_many, f), ERR_OK);
    assert_true(pass_over_moving_jobs(f, &figures) >= 3);
    assert_int_equal(figures.found, 0);
    assert_int_equal(store_read(f->store, compare_counts, f), ERR_OK);
}

static void test_wrong_counts_of_many_jobs_are_found_and_mended_while_they_move(void **state)
{
    struct fixture *f = *state;
    struct verify_figures figures;
    assert_int_equal(store_write(f->store, enqueue_many, f), ERR_OK);
    f->queues->queues[0]->counts.jobs[JOB_READY] += 5; /* nobody else runs */
    pass_over_moving_jobs(f, &figures);
    assert_int_equal(figures.found, 1);
    assert_int_equal(figures.mended, 1);
    assert_int_equal(store_read(f->store, compare_counts, f), ERR_OK);
    pass_over_moving_jobs(f, &figures);
    assert_int_equal(figures.found, 0);
}

/* The queue's jobs are there, and nobody has configured it. */
static void test_a_queue_that_is_not_configured_any_more_is_verified(void **state)
{
    struct fixture *f = *state;
    struct id ids[4];
    for (int i = 0; i < 4; i++)
        ids[i] = enqueue(f, spec_of("t", "{}"));
    take(f, f->index, entry_key(f, ids[1]));
    put(f, f->jobs, id_key(&ids[2]), "not what was written");
    fixture_close(f);
    f->queue.name = "letters";
    fixture_open(f);
    struct told told = told_by(f, VERIFY_REPAIR);
    assert_told(&told, "a job of mail, ");
    assert_told(&told, ": its index entry is missing\n");
    assert_told(&told, ": its job is damaged\n");
    assert_int_equal(told.mended, told.findings);
    assert_int_equal(verify(f, VERIFY_LOOK), 0);

    fixture_close(f);
    f->queue.name = "mail";
    fixture_open(f);
    assert_int_equal(counted(f, JOB_READY), 3);
    assert_int_equal(counted(f, JOB_DEAD), 1);
    struct hand hand;
    assert_int_equal(lease(&hand, f, 4), 3);
}

static void test_damaged_counts_of_a_former_queue_are_made_anew(void **state)
{
    struct fixture *f = *state;
    enqueue(f, spec_of("t", "{}"));
    put(f, f->states, name_key("mail"), "not what was written");
    fixture_close(f);
    f->queue.name = "letters";
    fixture_open(f);
    struct told told = told_by(f, VERIFY_REPAIR);
    assert_told(&told, "the counts of the queue mail are damaged\n");
    assert_int_equal(verify(f, VERIFY_LOOK), 0);
}

static void test_an_entry_with_the_name_of_another_queue_is_taken_out(void **state)
{
    struct fixture *f = *state;
    struct queue_options letters = {.name = "letters"};
    assert_int_equal(queue_add(f->queues, &letters), ERR_OK);
    struct id id = enqueue(f, spec_of("t", "{}"));
    struct index_entry entry = {JOB_READY, 0, id};
    put(f, f->index, job_index_key(f->queues->queues[1], &entry), "");
    put(f, f->index, (struct key){.bytes = {0x40, 'x', 0, 7}, .len = 4}, "");
    struct told told = told_by(f, VERIFY_MEND);
    assert_told(&told, ": its job is in another queue\n");
    assert_told(&told, ": it cannot be read\n");
    assert_int_equal(told.mended, told.findings);
    assert_int_equal(verify(f, VERIFY_LOOK), 0);
    assert_int_equal(counted(f, JOB_READY), 1);
}

static void test_what_is_no_jobs_is_moved_out_by_a_repair_only(void **state)
{
    struct fixture *f = *state;
    put(f, f->jobs, name_key("nobody"), "something");
    assert_int_equal(told_by(f, VERIFY_MEND).mended, 0);
    struct told told = told_by(f, VERIFY_REPAIR);
    assert_string_equal(told.what, "the table jobs has a key that is no job's, nobody\n");
    assert_int_equal(told.mended, 1);
    assert_int_equal(verify(f, VERIFY_LOOK), 0);
}

static void test_a_damaged_payload_that_a_finished_job_keeps_is_found(void **state)
{
    struct fixture *f = *state;
    struct id id = enqueue(f, spec_of("t", "{}"));
    struct hand hand;
    for (int i = 0; i < 3; i++) {
        clock_fake_advance(&f->clock, 86400000);
        assert_int_equal(lease(&hand, f, 1), 1);
        fail_job(f, &hand.leases[0], "no");
    }
    assert_int_equal(state_of(f, id), JOB_DEAD);
    put(f, f->jobs, id_key(&id), "not what was written");
    struct told told = told_by(f, VERIFY_MEND);
    assert_told(&told, ": the payload that it keeps is damaged\n");
    assert_int_equal(told.mended, 0);
    assert_int_equal(told_by(f, VERIFY_REPAIR).mended, 1);
    assert_int_equal(verify(f, VERIFY_LOOK), 0);
    assert_int_equal(state_of(f, id), JOB_DEAD);
}

static void count_call(void *arg)
{
    ++*(unsigned *)arg;
}

static void test_met_damage_is_told_so_that_more_is_looked_for(void **state)
{
    struct fixture *f = *state;
    unsigned calls = 0;
    queues_on_damage(f->queues, count_call, &calls);
    struct id id = enqueue(f, spec_of("t", "{}"));
    assert_int_equal(calls, 0);
    put(f, f->jobs, id_key(&id), "not what was written");
    struct hand hand;
    assert_int_equal(lease(&hand, f, 1), 0);
    assert_int_equal(calls, 1);
}

int main(void)
{
    const struct log_options options = {.level = LOG_OFF};
    assert_true(log_open(&options));
    const struct CMUnitTest tests[] = {
        TEST(test_sound_jobs_in_all_states_are_no_finding),
        TEST(test_looking_changes_nothing),
        TEST(test_wrong_counts_are_found_and_made_anew),
        TEST(test_counts_of_many_jobs_are_compared_while_they_move),
        TEST(test_wrong_counts_of_many_jobs_are_found_and_mended_while_they_move),
        TEST(test_a_queue_that_is_not_configured_any_more_is_verified),
        TEST(test_damaged_counts_of_a_former_queue_are_made_anew),
        TEST(test_an_entry_with_the_name_of_another_queue_is_taken_out),
        TEST(test_what_is_no_jobs_is_moved_out_by_a_repair_only),
        TEST(test_a_damaged_payload_that_a_finished_job_keeps_is_found),
        TEST(test_met_damage_is_told_so_that_more_is_looked_for),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
