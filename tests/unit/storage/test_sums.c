#include "tests/unit/storage/store_fixture.h"

/* What one transaction does, and what it has seen. */
struct adding {
    struct fixture *f;
    int64_t delta;
    uint64_t take;   /* numbers of the sequence */
    bool writes;     /* something else, so that failing spoils the batch */
    enum err result; /* of the closure */
    struct sum seen; /* behind the addition */
    uint64_t first;
};

static struct slice sum_key(void)
{
    return slice_str("a sum");
}

static struct slice sequence_key(void)
{
    return slice_str("a sequence");
}

static enum err add(struct txn *txn, void *arg)
{
    struct adding *adding = arg;
    struct table table = adding->f->table;
    if (adding->delta)
        txn_add(txn, table, sum_key(), adding->delta);
    if (adding->take)
        txn_sequence(txn, table, sequence_key(), adding->take, &adding->first);
    if (adding->writes)
        txn_put(txn, table, slice_str("something else"), slice_str("x"));
    txn_sum(txn, table, sum_key(), &adding->seen);
    return adding->result;
}

static enum err begin_sequence(struct txn *txn, void *arg)
{
    const struct fixture *f = arg;
    return txn_add(txn, f->table, sequence_key(), 0);
}

static int setup_sequence(void **state)
{
    setup(state);
    struct fixture *f = *state;
    return store_write(f->store, begin_sequence, f) ? -1 : 0;
}

/* In one batch; the results are compared. */
static void add_as_batch(struct fixture *f, struct adding *list, unsigned count)
{
    struct call calls[8];
    struct gate gate;
    gate_close(&gate, f->store);
    for (unsigned i = 0; i < count; i++) {
        list[i].f = f;
        call_queue(&calls[i], f->store, add, &list[i]);
    }
    gate_open(&gate);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(call_finish(&calls[i]), list[i].result);
}

struct look {
    struct fixture *f;
    struct sum sum;
};

static enum err look(struct txn *txn, void *arg)
{
    struct look *l = arg;
    return txn_sum(txn, l->f->table, sum_key(), &l->sum);
}

static struct sum sum_of(struct fixture *f)
{
    struct look l = {.f = f};
    assert_int_equal(store_read(f->store, look, &l), ERR_OK);
    return l.sum;
}

static void test_sum_that_nobody_added_to_is_not_there(void **state)
{
    struct look l = {.f = *state};
    assert_int_equal(store_read(l.f->store, look, &l), ERR_NOT_FOUND);
    struct adding none = {.f = l.f, .result = ERR_CONFLICT, .delta = 1};
    assert_int_equal(store_write(l.f->store, add, &none), ERR_CONFLICT);
    assert_int_equal(store_read(l.f->store, look, &l), ERR_NOT_FOUND);
}

static void test_transactions_of_a_commit_add_to_a_sum_that_is_written_once(void **state)
{
    struct fixture *f = *state;
    struct adding list[4] = {{.delta = 5}, {.delta = 7}, {.delta = -2}, {.delta = 1}};
    add_as_batch(f, list, 4);
    assert_int_equal(sum_of(f).value, 11);
    assert_int_equal(sum_of(f).version, 1);
    reopen_store(f);
    assert_int_equal(sum_of(f).value, 11);
}

static void test_transaction_sees_what_it_and_those_before_have_added(void **state)
{
    struct fixture *f = *state;
    struct adding list[3] = {{.delta = 5}, {.delta = 7}, {.delta = 0}};
    add_as_batch(f, list, 3);
    assert_int_equal(list[0].seen.value, 5);
    assert_int_equal(list[1].seen.value, 12);
    assert_int_equal(list[2].seen.value, 12);
}

static void test_transaction_that_fails_adds_nothing(void **state)
{
    struct fixture *f = *state;
    struct adding list[3] = {{.delta = 5}, {.delta = 100, .result = ERR_CONFLICT}, {.delta = 7}};
    uint64_t before = commits(f);
    add_as_batch(f, list, 3);
    assert_int_equal(sum_of(f).value, 12);
    assert_int_equal(commits(f) - before, 2); /* the gate's and theirs: the batch was not spoiled */
}

/* One that fails behind a write makes the batch run again, each with its own transaction. */
static void test_nothing_counts_twice_when_a_batch_runs_again(void **state)
{
    struct fixture *f = *state;
    struct adding list[4] = {{.delta = 5, .take = 2},
                             {.delta = 100, .take = 50, .writes = true, .result = ERR_CONFLICT},
                             {.delta = 7, .take = 1},
                             {.delta = 1, .writes = true, .take = 1}};
    add_as_batch(f, list, 4);
    assert_int_equal(sum_of(f).value, 13);
    assert_int_equal(list[3].seen.value, 13);
    assert_int_equal(list[3].first, 4);
}

static void test_sequence_gives_out_each_number_once(void **state)
{
    struct fixture *f = *state;
    struct adding list[4] = {
        {.take = 1}, {.take = 3}, {.take = 9, .result = ERR_CONFLICT}, {.take = 2}};
    add_as_batch(f, list, 4);
    assert_int_equal(list[0].first, 1);
    assert_int_equal(list[1].first, 2);
    assert_int_equal(list[3].first, 5);
    reopen_store(f);
    struct adding next = {.f = f, .take = 1};
    assert_int_equal(store_write(f->store, add, &next), ERR_OK);
    assert_int_equal(next.first, 7);
}

static void test_sequence_that_was_not_begun_gives_out_nothing(void **state)
{
    struct adding adding = {.f = *state, .take = 1};
    assert_int_equal(store_write(adding.f->store, add, &adding), ERR_DAMAGED);
}

static void test_additions_in_vain_are_seen_by_the_version(void **state)
{
    struct fixture *f = *state;
    struct adding first = {.f = f, .delta = 3};
    assert_int_equal(store_write(f->store, add, &first), ERR_OK);
    uint64_t before = sum_of(f).version;
    struct adding list[2] = {{.delta = 1}, {.delta = -1}};
    add_as_batch(f, list, 2);
    assert_int_equal(sum_of(f).value, 3);
    assert_int_not_equal(sum_of(f).version, before);
}

/* ---- Damage. */

static enum err damage(struct txn *txn, void *arg)
{
    const struct fixture *f = arg;
    txn_put(txn, f->table, sequence_key(), slice_str("no number"));
    return txn_put(txn, f->table, sum_key(), slice_str("no sum"));
}

static enum err make_anew(struct txn *txn, void *arg)
{
    const struct fixture *f = arg;
    txn_del(txn, f->table, sum_key());
    return txn_add(txn, f->table, sum_key(), 40);
}

static void test_damaged_sum_stops_nobody_and_is_made_anew(void **state)
{
    struct look l = {.f = *state};
    assert_int_equal(store_write(l.f->store, damage, l.f), ERR_OK);
    struct adding adding = {.f = l.f, .delta = 1, .writes = true};
    assert_int_equal(store_write(l.f->store, add, &adding), ERR_OK);
    assert_value(l.f, "something else", "x");
    assert_int_equal(store_read(l.f->store, look, &l), ERR_DAMAGED);
    assert_int_equal(store_write(l.f->store, make_anew, l.f), ERR_OK);
    assert_int_equal(store_write(l.f->store, add, &adding), ERR_OK);
    assert_int_equal(sum_of(l.f).value, 41);
}

static void test_damaged_sequence_gives_out_nothing(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(store_write(f->store, damage, f), ERR_OK);
    struct adding adding = {.f = f, .take = 1};
    assert_int_equal(store_write(f->store, add, &adding), ERR_DAMAGED);
    assert_int_equal(adding.first, 0);
}

int main(void)
{
    silence_log();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sum_that_nobody_added_to_is_not_there, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            test_transactions_of_a_commit_add_to_a_sum_that_is_written_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_transaction_sees_what_it_and_those_before_have_added,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_transaction_that_fails_adds_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_counts_twice_when_a_batch_runs_again,
                                        setup_sequence, teardown),
        cmocka_unit_test_setup_teardown(test_sequence_gives_out_each_number_once, setup_sequence,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_additions_in_vain_are_seen_by_the_version, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_damaged_sum_stops_nobody_and_is_made_anew, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_sequence_that_was_not_begun_gives_out_nothing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_damaged_sequence_gives_out_nothing, setup_sequence,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
