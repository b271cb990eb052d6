/* One bit is wrong, in any key or record of the three tables: every other job is served as if
 * nothing were, the queue neither stops nor loops, and afterwards all tables agree again. */
#include "tests/unit/queue/flip.h"

#include "base/log.h"

#include <stdatomic.h>

#define JOBS         64
#define FLIPS        250 /* of keys and of values each, in each table */
#define DUE_MS       600000
#define PATIENCE_ALL 600 /* seconds; an endless loop is a failure */

struct life {
    struct fixture *f;
    struct id ids[JOBS];
    enum job_state end[JOBS]; /* what it has to come to */
    atomic_uint runs[JOBS];
    char kept[300]; /* the file before damage */
    struct spans spans;
};

static enum err run_count(const struct job *job, void *arg, char *why, size_t why_size)
{
    struct life *life = arg;
    (void)why, (void)why_size;
    unsigned number = (unsigned)strtoul(job->payload.ptr, NULL, 10);
    if (number < JOBS)
        life->runs[number]++;
    return ERR_OK;
}

/* ---- Jobs in all states. */

static void add_jobs(struct life *life, unsigned from, unsigned to, int64_t delay_ms)
{
    for (unsigned i = from; i < to; i++) {
        char payload[32];
        snprintf(payload, sizeof payload, "%u payload", i);
        struct job_spec spec = spec_of("count", payload);
        spec.priority = delay_ms < 0 ? 0 : i % 3; /* those below are to be leased next */
        spec.delay_ms = delay_ms < 0 ? 0 : delay_ms;
        life->ids[i] = enqueue(life->f, spec);
        life->end[i] = JOB_COMPLETED;
    }
}

static void make_jobs(struct life *life)
{
    struct fixture *f = life->f;
    struct hand *hand = calloc(1, sizeof *hand);
    add_jobs(life, 0, 10, -1);
    assert_int_equal(lease(hand, f, 10), 10);
    for (int i = 0; i < 10; i++)
        assert_int_equal(ack(f, &hand->leases[i]), ERR_OK);
    add_jobs(life, 10, 24, -1);
    assert_int_equal(lease(hand, f, 14), 14);
    for (int i = 0; i < 14; i++)
        assert_int_equal(fail_job(f, &hand->leases[i], "the first time"), ERR_OK);
    add_jobs(life, 24, 30, -1);
    assert_int_equal(lease_as(hand, f, 6, true), 6);
    add_jobs(life, 30, 40, 5000);
    add_jobs(life, 40, JOBS, 0);
    free(hand);
}

static int life_setup(void **state)
{
    fixture_setup(state);
    struct fixture *f = *state;
    fixture_close(f);
    f->queue.lease_ms = 2 * DUE_MS; /* none runs out while its job runs */
    f->options.completed_keep_ms = f->options.dead_keep_ms = 1000LL * 86400000;
    fixture_open(f);
    struct life *life = calloc(1, sizeof *life);
    life->f = f;
    snprintf(life->kept, sizeof life->kept, "%s/kept", f->dir);
    make_jobs(life);
    *state = life;
    return 0;
}

static int life_teardown(void **state)
{
    struct life *life = *state;
    void *fixture = life->f;
    free(life);
    return fixture_teardown(&fixture);
}

/* ---- A run over a damaged file. */

/* What is due, and then all that is ready. */
static void run_due(struct life *life)
{
    struct hand hand;
    lease(&hand, life->f, 0);
    wait_idle(life->f);
}

static void run_all(struct life *life)
{
    struct fixture *f = life->f;
    handle(f, "count", run_count, NULL, life);
    start(f);
    clock_fake_advance(&f->clock, DUE_MS);
    run_due(life);
    for (int i = 0; i < 10 && verify(life->f, VERIFY_REPAIR) > 0; i++)
        run_due(life); /* what was mended */
}

static unsigned count_wrong(struct life *life)
{
    unsigned wrong = 0;
    for (unsigned i = 0; i < JOBS; i++) {
        struct look look;
        bool there = look_at(&look, life->f, life->ids[i]) == ERR_OK;
        bool ran = life->runs[i] == (i >= 10);
        wrong += !there || look.info.state != life->end[i] || !ran;
    }
    return wrong;
}

static enum err count_entries(struct txn *txn, void *arg)
{
    struct life *life = arg;
    struct counts counts = {0};
    counts_make(life->f->queues->queues[0], txn, &counts, false);
    for (enum job_state state = 0; state < JOB_STATES; state++)
        if (counts.jobs[state] != counted(life->f, state))
            return ERR_CONFLICT;
    return ERR_OK;
}

/* The job that the bit belongs to may be lost, no other. */
static void assert_served(struct life *life, off_t at, unsigned bit, uint64_t left_most)
{
    unsigned wrong = count_wrong(life);
    enum err counts = store_read(life->f->store, count_entries, life);
    uint64_t left = verify(life->f, VERIFY_LOOK);
    if (wrong > 1 || counts != ERR_OK || left > left_most)
        fail_msg("bit %u of byte %ld: %u jobs wrong, counts %d, %lu still damaged", bit, (long)at,
                 wrong, counts, (unsigned long)left);
}

/* At most so many findings are left. */
static void run_with_flip(struct life *life, off_t at, unsigned bit, uint64_t left_most)
{
    struct fixture *f = life->f;
    char path[300];
    snprintf(path, sizeof path, "%s/data.mdb", f->dir);
    copy_file(life->kept, path);
    flip_bit(f->dir, at, bit);
    f->clock.wall_ms = T0 + 10;
    for (unsigned i = 0; i < JOBS; i++)
        life->runs[i] = 0;
    fixture_open(f);
    run_all(life);
    assert_served(life, at, bit, left_most);
    fixture_close(f);
}

static void keep_file(struct life *life, struct table table)
{
    char path[300];
    spans_of(&life->spans, life->f, table);
    snprintf(path, sizeof path, "%s/data.mdb", life->f->dir);
    fixture_close(life->f);
    copy_file(path, life->kept);
}

static void flip_spans(struct life *life, struct table table, bool keys)
{
    keep_file(life, table);
    unsigned seed = keys ? 1 : 2;
    for (int flips = 0; flips < FLIPS;) {
        const struct span *span = &life->spans.list[(unsigned)rand_r(&seed) % life->spans.count];
        if (span->key != keys)
            continue;
        run_with_flip(life, span->at + rand_r(&seed) % (off_t)span->len,
                      (unsigned)rand_r(&seed) % 8, 0);
        flips++;
    }
    fixture_open(life->f);
}

static void test_a_wrong_bit_in_a_key_of_the_index_costs_at_most_its_job(void **state)
{
    struct life *life = *state;
    flip_spans(life, life->f->index, true);
}

static void test_a_wrong_bit_in_a_jobs_key_costs_at_most_its_job(void **state)
{
    struct life *life = *state;
    flip_spans(life, life->f->jobs, true);
}

static void test_a_wrong_bit_in_a_jobs_record_costs_at_most_its_job(void **state)
{
    struct life *life = *state;
    flip_spans(life, life->f->jobs, false);
}

static void test_a_wrong_bit_in_a_states_key_costs_at_most_its_job(void **state)
{
    struct life *life = *state;
    flip_spans(life, life->f->states, true);
}

static void test_a_wrong_bit_in_a_states_record_costs_at_most_its_job(void **state)
{
    struct life *life = *state;
    flip_spans(life, life->f->states, false);
}

/* Its length, 16 bits, stands before a key in the page. What is there cannot be taken away, only
 * done without. */
static void test_a_key_of_impossible_length_costs_at_most_its_job(void **state)
{
    struct life *life = *state;
    keep_file(life, life->f->index);
    for (unsigned i = 0; i < life->spans.count; i++) {
        if (life->spans.list[i].key)
            run_with_flip(life, life->spans.list[i].at - 1, 1 + i % 7, 1);
    }
    fixture_open(life->f);
}

#define LIFE(name) cmocka_unit_test_setup_teardown(name, life_setup, life_teardown)

int main(void)
{
    const struct log_options options = {.level = LOG_OFF};
    assert_true(log_open(&options));
    use_memory_for_files();
    alarm(PATIENCE_ALL);
    const struct CMUnitTest tests[] = {
        LIFE(test_a_wrong_bit_in_a_key_of_the_index_costs_at_most_its_job),
        LIFE(test_a_key_of_impossible_length_costs_at_most_its_job),
        LIFE(test_a_wrong_bit_in_a_jobs_key_costs_at_most_its_job),
        LIFE(test_a_wrong_bit_in_a_jobs_record_costs_at_most_its_job),
        LIFE(test_a_wrong_bit_in_a_states_key_costs_at_most_its_job),
        LIFE(test_a_wrong_bit_in_a_states_record_costs_at_most_its_job),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
