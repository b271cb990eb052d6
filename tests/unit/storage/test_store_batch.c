#include "tests/unit/storage/store_fixture.h"

/* ---- Batches. */

static void test_store_waiting_writes_share_one_commit(void **state)
{
    struct fixture *f = *state;
    struct pair pairs[3] = {{f, "a", "1", ERR_OK}, {f, "b", "2", ERR_OK}, {f, "c", "3", ERR_OK}};
    uint64_t before = commits(f);
    enum err results[3];
    write_as_batch(f, pairs, 3, results);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(results[i], ERR_OK);
        assert_value(f, pairs[i].key, pairs[i].value);
    }
    assert_int_equal(commits(f) - before, 2); /* the gate's and theirs */
}

static void test_store_failing_closure_leaves_no_trace_while_batch_mates_commit(void **state)
{
    struct fixture *f = *state;
    struct pair pairs[3] = {
        {f, "a", "1", ERR_OK}, {f, "b", "2", ERR_VALIDATION}, {f, "c", "3", ERR_OK}};
    enum err results[3];
    write_as_batch(f, pairs, 3, results);
    assert_int_equal(results[0], ERR_OK);
    assert_int_equal(results[1], ERR_VALIDATION);
    assert_int_equal(results[2], ERR_OK);
    reopen_store(f);
    assert_value(f, "a", "1");
    assert_absent(f, "b");
    assert_value(f, "c", "3");
}

static enum err note_turn(struct txn *txn, void *arg)
{
    (void)txn;
    *(*(char **)arg)++ = 'a';
    return ERR_OK;
}

static enum err note_last(struct txn *txn, void *arg)
{
    (void)txn;
    *(*(char **)arg)++ = 'z';
    return ERR_OK;
}

static void test_store_last_write_runs_behind_those_that_come_after_it(void **state)
{
    struct fixture *f = *state;
    char turns[8] = "", *at = turns;
    struct gate gate;
    gate_close(&gate, f->store);
    struct call calls[4];
    for (int i = 0; i < 4; i++) {
        bool last = i % 2 == 0;
        call_queue_as(&calls[i], (struct call){.store = f->store,
                                               .fn = last ? note_last : note_turn,
                                               .arg = &at,
                                               .last = last});
    }
    gate_open(&gate);
    for (int i = 0; i < 4; i++)
        assert_int_equal(call_finish(&calls[i]), ERR_OK);
    assert_string_equal(turns, "aazz");
}

struct tally {
    struct pair pair;
    bool write;
    unsigned runs;
};

static enum err write_tally(struct txn *txn, void *arg)
{
    struct tally *tally = arg;
    tally->runs++;
    return tally->write ? write_pair(txn, &tally->pair) : tally->pair.result;
}

/* The first and the third succeed, the second fails, behind a write or without one. */
static void run_tallies(struct fixture *f, struct tally tallies[3], bool fail_behind_write)
{
    static const char *const keys[3] = {"a", "b", "c"};
    struct gate gate;
    gate_close(&gate, f->store);
    struct call calls[3];
    for (int i = 0; i < 3; i++) {
        enum err result = i == 1 ? ERR_CONFLICT : ERR_OK;
        tallies[i] = (struct tally){{f, keys[i], "1", result}, i != 1 || fail_behind_write, 0};
        call_queue(&calls[i], f->store, write_tally, &tallies[i]);
    }
    gate_open(&gate);
    for (int i = 0; i < 3; i++)
        assert_int_equal(call_finish(&calls[i]), tallies[i].pair.result);
    assert_value(f, "a", "1");
    assert_absent(f, "b");
    assert_value(f, "c", "1");
}

static void test_store_closure_that_fails_before_it_writes_costs_its_mates_nothing(void **state)
{
    struct tally tallies[3];
    run_tallies(*state, tallies, false);
    for (int i = 0; i < 3; i++)
        assert_int_equal(tallies[i].runs, 1);
}

static void test_store_closure_that_fails_behind_a_write_makes_one_batch_run_again(void **state)
{
    struct tally tallies[3];
    run_tallies(*state, tallies, true);
    assert_int_equal(tallies[0].runs, 2);
    assert_int_equal(tallies[1].runs, 2);
    assert_int_equal(tallies[2].runs, 1);
    run_tallies(*state, tallies, true); /* the next batches are prepared */
    for (int i = 0; i < 3; i++)
        assert_int_equal(tallies[i].runs, 1);
}

static void test_store_later_closure_of_a_batch_sees_the_earlier_ones(void **state)
{
    struct fixture *f = *state;
    struct pair pairs[3] = {{f, "a", "1", ERR_OK}, {f, "a", NULL, ERR_OK}, {f, "a", NULL, ERR_OK}};
    enum err results[3];
    write_as_batch(f, pairs, 3, results);
    assert_int_equal(results[1], ERR_OK);
    assert_int_equal(results[2], ERR_NOT_FOUND);
    assert_absent(f, "a");
}

/* A number that closures count in memory, and the commit writes. */
struct shared_count {
    struct fixture *f;
    unsigned now, written; /* in memory; how often it was written */
    uint64_t attempt;
    enum err fail;
};

static enum err write_shared(struct txn *txn, void *arg)
{
    struct shared_count *count = arg;
    count->written++;
    char text[16];
    snprintf(text, sizeof text, "%u", count->now);
    enum err err = txn_put(txn, count->f->table, slice_str("count"), slice_str(text));
    return count->fail ? count->fail : err;
}

struct counting {
    struct shared_count *count;
    enum err result;
};

static enum err count_one(struct txn *txn, void *arg)
{
    struct counting *counting = arg;
    struct shared_count *count = counting->count;
    struct slice value;
    if (txn_attempt(txn) == 0 || txn_attempt(txn) != count->attempt) {
        int64_t stored = 0;
        if (txn_get(txn, count->f->table, slice_str("count"), &value) == ERR_OK)
            slice_to_i64(value, &stored);
        count->now = (unsigned)stored;
    }
    count->attempt = txn_attempt(txn);
    count->now++;
    if (count->attempt == 0)
        write_shared(txn, count);
    else
        txn_before_commit(txn, write_shared, count);
    return counting->result;
}

static void run_counting(struct counting counting[3], struct store *store, enum err results[3])
{
    struct gate gate;
    gate_close(&gate, store);
    struct call calls[3];
    for (int i = 0; i < 3; i++)
        call_queue(&calls[i], store, count_one, &counting[i]);
    gate_open(&gate);
    for (int i = 0; i < 3; i++)
        results[i] = call_finish(&calls[i]);
}

static void test_store_last_step_of_a_batch_is_done_once(void **state)
{
    struct fixture *f = *state;
    struct shared_count count = {.f = f};
    struct counting counting[3] = {{&count, ERR_OK}, {&count, ERR_OK}, {&count, ERR_OK}};
    enum err results[3];
    run_counting(counting, f->store, results);
    for (int i = 0; i < 3; i++)
        assert_int_equal(results[i], ERR_OK);
    assert_int_equal(count.written, 1);
    assert_value(f, "count", "3");
}

static void test_store_last_step_knows_nothing_of_a_closure_that_failed(void **state)
{
    struct fixture *f = *state;
    struct shared_count count = {.f = f};
    struct counting counting[3] = {{&count, ERR_OK}, {&count, ERR_CONFLICT}, {&count, ERR_OK}};
    enum err results[3];
    run_counting(counting, f->store, results);
    assert_int_equal(results[1], ERR_CONFLICT);
    assert_value(f, "count", "2");
}

static void test_store_last_step_that_fails_commits_nothing(void **state)
{
    struct fixture *f = *state;
    struct shared_count count = {.f = f, .fail = ERR_CONFLICT};
    struct counting counting = {&count, ERR_OK};
    assert_int_equal(store_write(f->store, count_one, &counting), ERR_CONFLICT);
    assert_absent(f, "count");
}

static void test_store_batch_of_many_bytes_is_ended_early(void **state)
{
    struct fixture *f = *state;
    enum { WRITES = 40 };
    uint64_t before = commits(f);
    struct gate gate;
    gate_close(&gate, f->store);
    struct call calls[WRITES];
    struct pair pairs[WRITES];
    char keys[WRITES][12];
    for (int i = 0; i < WRITES; i++) {
        snprintf(keys[i], sizeof keys[i], "%d", i);
        pairs[i] = (struct pair){.f = f, .key = keys[i]};
        call_queue(&calls[i], f->store, put_megabyte, &pairs[i]);
    }
    gate_open(&gate);
    for (int i = 0; i < WRITES; i++)
        assert_int_equal(call_finish(&calls[i]), ERR_OK);
    assert_int_equal(commits(f) - before, 4); /* the gate's, two of 16 MiB, the rest */
}

static enum err increment(struct txn *txn, void *arg)
{
    struct fixture *f = arg;
    struct slice value;
    uint64_t count = 0;
    if (txn_get(txn, f->table, slice_str("counter"), &value) == ERR_OK)
        memcpy(&count, value.ptr, sizeof count);
    count++;
    return txn_put(txn, f->table, slice_str("counter"), slice_of(&count, sizeof count));
}

static void *increment_main(void *arg)
{
    struct fixture *f = arg;
    for (int i = 0; i < 25; i++)
        assert_int_equal(store_write(f->store, increment, f), ERR_OK);
    return NULL;
}

static enum err read_counter(struct txn *txn, void *arg)
{
    struct fixture *f = arg;
    struct slice value;
    uint64_t count = 0;
    if (txn_get(txn, f->table, slice_str("counter"), &value) == ERR_OK)
        memcpy(&count, value.ptr, sizeof count);
    return count == 16 * 25 ? ERR_OK : ERR_CONFLICT;
}

static void test_store_many_threads_lose_no_update(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[16];
    for (int i = 0; i < 16; i++)
        pthread_create(&threads[i], NULL, increment_main, f);
    for (int i = 0; i < 16; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(store_read(f->store, read_counter, f), ERR_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    silence_log();
    const struct CMUnitTest tests[] = {
        TEST(test_store_waiting_writes_share_one_commit),
        TEST(test_store_last_write_runs_behind_those_that_come_after_it),
        TEST(test_store_failing_closure_leaves_no_trace_while_batch_mates_commit),
        TEST(test_store_closure_that_fails_before_it_writes_costs_its_mates_nothing),
        TEST(test_store_closure_that_fails_behind_a_write_makes_one_batch_run_again),
        TEST(test_store_later_closure_of_a_batch_sees_the_earlier_ones),
        TEST(test_store_last_step_of_a_batch_is_done_once),
        TEST(test_store_last_step_knows_nothing_of_a_closure_that_failed),
        TEST(test_store_last_step_that_fails_commits_nothing),
        TEST(test_store_batch_of_many_bytes_is_ended_early),
        TEST(test_store_many_threads_lose_no_update),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
