/* Whatever was written, the memory that it took is given back. */
#include "tests/unit/storage/store_fixture.h"

#include "base/mem.h"
#include "tests/unit/memory.h"

#include <string.h>

#define KEPT_MAX (8 * MIB)

static int setup_large(void **state)
{
    return setup_with(state, UINT64_C(2) << 30);
}

struct bulk {
    struct fixture *f;
    unsigned from, count;
    size_t size; /* of each value */
};

static enum err put_bulk(struct txn *txn, void *arg)
{
    const struct bulk *bulk = arg;
    char *value = txn_alloc(txn, bulk->size);
    memset(value, 'x', bulk->size);
    for (unsigned i = bulk->from; i < bulk->from + bulk->count; i++) {
        char key[16];
        snprintf(key, sizeof key, "%08x", i * 2654435761u);
        txn_put(txn, bulk->f->table, slice_str(key), slice_of(value, bulk->size));
    }
    return txn_error(txn);
}

/* What the timers of the server do. */
static void calm_down(struct fixture *f)
{
    for (int i = 0; i < 3; i++) {
        store_watch(f->store);
        mem_trim();
    }
}

static void check(struct fixture *f, struct bulk bulk, enum err expected)
{
    put(f, "a", "1");
    calm_down(f);
    long before = anonymous_bytes();
    assert_int_equal(store_write(f->store, put_bulk, &bulk), expected);
    long peak = anonymous_bytes();
    calm_down(f);
    long after = anonymous_bytes();
    print_message("%u values of %zu bytes: %ld MiB, then %ld, then %ld\n", bulk.count, bulk.size,
                  before / MIB, peak / MIB, after / MIB);
    if (MEMORY_IS_OURS)
        assert_true(after - before < KEPT_MAX);
    assert_value(f, "a", "1");
    assert_int_equal(put(f, "b", "1"), ERR_OK);
    reopen_store(f);
    assert_value(f, "b", "1");
}

static void test_store_gives_back_what_a_transaction_at_its_limit_took(void **state)
{
    struct fixture *f = *state;
    check(f, (struct bulk){f, 0, TXN_PAGES_MAX, 1500}, ERR_OK);
}

static void test_store_gives_back_what_a_transaction_above_its_limit_took(void **state)
{
    struct fixture *f = *state;
    check(f, (struct bulk){f, 0, TXN_PAGES_MAX + 1, 1500}, ERR_TXN_TOO_LARGE);
}

static void test_store_gives_back_what_a_large_value_took(void **state)
{
    struct fixture *f = *state;
    check(f, (struct bulk){f, 0, 1, 15 * 1000 * 1000}, ERR_OK);
}

/* As large batches do it: scattered pages, again and again. */
static void test_store_keeps_little_while_it_writes(void **state)
{
    struct fixture *f = *state;
    struct bulk bulk = {f, 0, BATCH_PAGES_MAX, 100};
    put(f, "a", "1");
    long before = anonymous_bytes();
    for (int i = 0; i < 20; i++, bulk.from += bulk.count)
        assert_int_equal(store_write(f->store, put_bulk, &bulk), ERR_OK);
    long after = anonymous_bytes();
    print_message("20 scattered batches: %ld MiB, then %ld\n", before / MIB, after / MIB);
    if (MEMORY_IS_OURS)
        assert_true(after - before < 24 * MIB);
}

/* The environment is opened anew beside readers, who notice nothing. */
struct reading {
    struct fixture *f;
    _Atomic bool stop;
    _Atomic unsigned reads;
};

static void *read_on(void *arg)
{
    struct reading *r = arg;
    struct pair pair = {r->f, "a", "1", ERR_OK};
    while (!r->stop) {
        if (store_read(r->f->store, match_pair, &pair) != ERR_OK)
            abort();
        r->reads++;
    }
    return NULL;
}

static void test_store_is_read_while_memory_is_given_back(void **state)
{
    struct fixture *f = *state;
    put(f, "a", "1");
    struct reading r = {.f = f};
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, read_on, &r);
    for (unsigned i = 0; i < 20; i++) {
        struct bulk bulk = {f, i, KEPT_PAGES_MAX + 1, 10};
        assert_int_equal(store_write(f->store, put_bulk, &bulk), ERR_OK);
        store_watch(f->store);
        store_watch(f->store);
        unsigned seen = r.reads;
        while (r.reads == seen)
            sched_yield();
    }
    r.stop = true;
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(put(f, "b", "1"), ERR_OK);
    assert_value(f, "b", "1");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_large, teardown)

int main(void)
{
    mem_tune();
    silence_log();
    const struct CMUnitTest tests[] = {
        TEST(test_store_gives_back_what_a_transaction_at_its_limit_took),
        TEST(test_store_gives_back_what_a_transaction_above_its_limit_took),
        TEST(test_store_gives_back_what_a_large_value_took),
        TEST(test_store_keeps_little_while_it_writes),
        TEST(test_store_is_read_while_memory_is_given_back),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
