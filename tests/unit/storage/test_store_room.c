/* A full map is no trap: what makes room has pages that nothing else may use. */
#include "tests/unit/storage/store_fixture.h"

#include <string.h>

/* Nothing here is about the disk. */
int fdatasync(int fd)
{
    (void)fd;
    return 0;
}

#define SMALL_BYTES (UINT64_C(16) << 20)
#define RECORD      400 /* bytes */
#define LARGE       10000
#define SWEEP       512 /* records in a transaction */

static int setup_small(void **state)
{
    return setup_with(state, SMALL_BYTES);
}

struct run {
    struct fixture *f;
    unsigned from, count;
    bool shrinking;
    unsigned size; /* of each; 0: RECORD */
};

/* Keys that follow each other lie in pages far apart, as random ids do. */
static struct slice spread_key(unsigned i, char out[16])
{
    snprintf(out, 16, "%08x", i * 2654435761u);
    return slice_str(out);
}

static enum err put_run(struct txn *txn, void *arg)
{
    const struct run *run = arg;
    char key[16];
    static char value[LARGE];
    memset(value, 'x', sizeof value);
    if (run->shrinking)
        txn_shrinking(txn);
    for (unsigned i = run->from; i < run->from + run->count; i++)
        txn_put(txn, run->f->table, spread_key(i, key),
                slice_of(value, run->size ? run->size : RECORD));
    return txn_error(txn);
}

static enum err delete_run(struct txn *txn, void *arg)
{
    const struct run *run = arg;
    char key[16];
    for (unsigned i = run->from; i < run->from + run->count; i++)
        txn_del(txn, run->f->table, spread_key(i, key));
    return txn_error(txn);
}

/* Returns how many records there are. */
static unsigned fill(struct fixture *f)
{
    struct run run = {f, 0, SWEEP, false, 0};
    while (run.count > 0) {
        if (store_write(f->store, put_run, &run) == ERR_OK)
            run.from += run.count;
        else
            run.count /= 2; /* a commit for each would take long on a slow disk */
    }
    return run.from;
}

/* As sweeps do: with half as many when they were too many. Returns the size of the last batch. */
static unsigned sweep(struct fixture *f, unsigned count)
{
    struct run run = {f, 0, SWEEP, false, 0};
    while (run.from < count) {
        run.count = run.count < count - run.from ? run.count : count - run.from;
        enum err err = store_write(f->store, delete_run, &run);
        if (err == ERR_OK) {
            run.from += run.count;
        } else {
            assert_int_equal(err, ERR_STORE_FULL);
            run.count /= 2;
            assert_true(run.count > SWEEP / 8);
        }
    }
    return run.count;
}

static void test_full_map_is_emptied_in_large_batches(void **state)
{
    struct fixture *f = *state;
    unsigned count = fill(f);
    assert_in_range(count, 15000, 40000);
    sweep(f, count);
    assert_in_range(fill(f), count * 9 / 10, count * 2);
}

static void test_full_map_takes_what_shrinks_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    unsigned count = fill(f);
    struct run grow = {f, count, 1, false, LARGE}, settle = {f, count, 1, true, LARGE};
    for (int i = 0; i < 20; i++) {
        assert_int_equal(store_write(f->store, put_run, &grow), ERR_STORE_FULL);
        assert_int_equal(store_write(f->store, put_run, &settle), ERR_OK);
        assert_int_equal(store_write(f->store, delete_run, &settle), ERR_OK);
    }
}

static enum err ask_growth(struct txn *txn, void *arg)
{
    *(bool *)arg = txn_may_grow(txn);
    return ERR_OK;
}

static bool may_grow(struct fixture *f)
{
    bool may;
    assert_int_equal(store_write(f->store, ask_growth, &may), ERR_OK);
    return may;
}

static void test_txn_knows_whether_it_may_grow(void **state)
{
    struct fixture *f = *state;
    assert_true(may_grow(f));
    unsigned count = fill(f);
    assert_false(may_grow(f));
    sweep(f, count / 2);
    put(f, "a", "1"); /* what a commit frees is free after the next */
    assert_true(may_grow(f));
}

/* Pages that a snapshot still sees are not free. */
struct snapshot {
    struct gate gate;
    struct store *store;
};

static void *hold_snapshot(void *arg)
{
    struct snapshot *snapshot = arg;
    store_read(snapshot->store, pass_gate, &snapshot->gate);
    return NULL;
}

static void test_store_counts_no_pages_that_a_snapshot_holds(void **state)
{
    struct fixture *f = *state;
    sweep(f, fill(f));
    struct run run = {f, 0, SWEEP * 2, false, 0};
    assert_int_equal(store_write(f->store, put_run, &run), ERR_OK);
    struct snapshot snapshot = {.store = f->store};
    sem_init(&snapshot.gate.entered, 0, 0);
    sem_init(&snapshot.gate.open, 0, 0);
    pthread_t thread;
    pthread_create(&thread, NULL, hold_snapshot, &snapshot);
    sem_wait(&snapshot.gate.entered);
    run.count = 64; /* in about as many pages */
    for (int i = 0; i < 1000 && may_grow(f); i++)
        store_write(f->store, put_run, &run);
    assert_false(may_grow(f));
    sem_post(&snapshot.gate.open);
    pthread_join(thread, NULL);
    assert_true(may_grow(f));
    assert_int_equal(store_write(f->store, put_run, &run), ERR_OK);
    sem_destroy(&snapshot.gate.entered);
    sem_destroy(&snapshot.gate.open);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_small, teardown)

int main(void)
{
    silence_log();
    const struct CMUnitTest tests[] = {
        TEST(test_full_map_is_emptied_in_large_batches),
        TEST(test_full_map_takes_what_shrinks_and_nothing_else),
        TEST(test_txn_knows_whether_it_may_grow),
        TEST(test_store_counts_no_pages_that_a_snapshot_holds),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
