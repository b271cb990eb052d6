/* Calls that do many things at once, as an engine that is far away needs them. */
#include "tests/unit/storage/store_fixture.h"

/* Sixteen keys: a00 to a07 and b00 to b07. */
static enum err put_all(struct txn *txn, void *arg)
{
    const struct fixture *f = arg;
    for (int i = 0; i < 16; i++) {
        char key[8];
        snprintf(key, sizeof key, "%c%02d", i < 8 ? 'a' : 'b', i % 8);
        txn_put(txn, f->table, slice_str(key), slice_str(key));
    }
    return txn_error(txn);
}

static int setup_keys(void **state)
{
    setup(state);
    struct fixture *f = *state;
    return store_write(f->store, put_all, f) ? -1 : 0;
}

/* ---- Fetching. */

struct fetch {
    struct fixture *f;
    const char *from, *prefix;
    bool back;
    unsigned max, count;
    enum err err;
    char keys[16][4];
};

static enum err fetch_keys(struct txn *txn, void *arg)
{
    struct fetch *fetch = arg;
    struct cursor_entry entries[16];
    struct cursor cursor;
    cursor_open(&cursor, txn, fetch->f->table);
    enum err err = cursor_seek(&cursor, slice_str(fetch->from));
    if (!err)
        fetch->err = cursor_fetch(&cursor, fetch->back, slice_str(fetch->prefix), fetch->max,
                                  entries, &fetch->count);
    for (unsigned i = 0; !err && i < fetch->count; i++) {
        bool same = slice_eq(entries[i].key, entries[i].value) && entries[i].key.len == 3;
        snprintf(fetch->keys[i], sizeof fetch->keys[i], "%.3s", same ? entries[i].key.ptr : "?");
    }
    cursor_close(&cursor);
    return err;
}

static void fetch(struct fetch *fetch)
{
    assert_int_equal(store_read(fetch->f->store, fetch_keys, fetch), ERR_OK);
}

static void test_fetch_shows_so_many_of_the_next(void **state)
{
    struct fetch some = {.f = *state, .from = "a02", .prefix = "a", .max = 3};
    fetch(&some);
    assert_int_equal(some.count, 3);
    assert_string_equal(some.keys[0], "a03");
    assert_string_equal(some.keys[2], "a05");
}

static void test_fetch_ends_soon_behind_the_range(void **state)
{
    struct fetch some = {.f = *state, .from = "a05", .prefix = "a", .max = 16};
    fetch(&some);
    assert_in_range(some.count, 3, 4);
    assert_string_equal(some.keys[1], "a07");
    assert_string_equal(some.keys[2], "b00");
}

static void test_fetch_goes_back_as_well(void **state)
{
    struct fetch some = {.f = *state, .from = "b01", .prefix = "b", .back = true, .max = 16};
    fetch(&some);
    assert_int_equal(some.count, 2);
    assert_string_equal(some.keys[0], "b00");
    assert_string_equal(some.keys[1], "a07");
}

static void test_fetch_ends_with_the_table(void **state)
{
    struct fetch some = {.f = *state, .from = "b05", .prefix = "", .max = 16};
    fetch(&some);
    assert_int_equal(some.err, ERR_OK);
    assert_int_equal(some.count, 2);
    struct fetch none = {.f = *state, .from = "b07", .prefix = "", .max = 16};
    fetch(&none);
    assert_int_equal(none.err, ERR_NOT_FOUND);
    assert_int_equal(none.count, 0);
}

/* ---- Claiming. */

struct claim {
    struct fixture *f;
    const char *prefix;
    unsigned max, count;
    enum err result;
    char keys[16][4];
};

static enum err claim_keys(struct txn *txn, void *arg)
{
    struct claim *claim = arg;
    struct slice keys[16];
    enum err err =
        txn_claim(txn, claim->f->table, slice_str(claim->prefix), claim->max, keys, &claim->count);
    for (unsigned i = 0; i < claim->count; i++) {
        txn_put(txn, claim->f->table, slice_str("z"), slice_str("a write that moves what is near"));
        snprintf(claim->keys[i], sizeof claim->keys[i], "%.*s", SLICE_ARG(keys[i]));
    }
    return err ? err : claim->result;
}

static void test_claim_takes_the_first_of_the_range(void **state)
{
    struct claim claim = {.f = *state, .prefix = "a", .max = 3};
    assert_int_equal(store_write(claim.f->store, claim_keys, &claim), ERR_OK);
    assert_int_equal(claim.count, 3);
    assert_string_equal(claim.keys[0], "a00");
    assert_string_equal(claim.keys[2], "a02");
    assert_absent(claim.f, "a00");
    assert_absent(claim.f, "a02");
    assert_value(claim.f, "a03", "a03");
}

static void test_claim_takes_nothing_behind_the_range(void **state)
{
    struct claim claim = {.f = *state, .prefix = "a", .max = 16};
    assert_int_equal(store_write(claim.f->store, claim_keys, &claim), ERR_OK);
    assert_int_equal(claim.count, 8);
    assert_string_equal(claim.keys[7], "a07");
    assert_value(claim.f, "b00", "b00");
    claim.prefix = "b";
    assert_int_equal(store_write(claim.f->store, claim_keys, &claim), ERR_OK);
    assert_int_equal(claim.count, 8);
    claim.prefix = "c";
    assert_int_equal(store_write(claim.f->store, claim_keys, &claim), ERR_OK);
    assert_int_equal(claim.count, 0);
}

static void test_who_claims_next_in_the_same_commit_gets_others(void **state)
{
    struct claim claims[3];
    struct call calls[3];
    struct gate gate;
    struct fixture *f = *state;
    gate_close(&gate, f->store);
    for (int i = 0; i < 3; i++) {
        claims[i] = (struct claim){.f = f, .prefix = "a", .max = 3};
        call_queue(&calls[i], f->store, claim_keys, &claims[i]);
    }
    gate_open(&gate);
    for (int i = 0; i < 3; i++)
        assert_int_equal(call_finish(&calls[i]), ERR_OK);
    assert_string_equal(claims[0].keys[0], "a00");
    assert_string_equal(claims[1].keys[0], "a03");
    assert_string_equal(claims[2].keys[0], "a06");
    assert_int_equal(claims[2].count, 2);
}

static void test_claim_of_a_transaction_that_fails_takes_nothing(void **state)
{
    struct claim claim = {.f = *state, .prefix = "a", .max = 3, .result = ERR_CONFLICT};
    assert_int_equal(store_write(claim.f->store, claim_keys, &claim), ERR_CONFLICT);
    assert_int_equal(claim.count, 3);
    assert_value(claim.f, "a00", "a00");
    assert_value(claim.f, "a02", "a02");
}

/* Many pages of keys, of which whole pages become empty. */
static struct slice long_key(char out[STORE_KEY_MAX], unsigned number)
{
    memset(out, 'x', STORE_KEY_MAX);
    snprintf(out, STORE_KEY_MAX, "c%04u", number);
    return slice_of(out, 100);
}

static enum err put_thousands(struct txn *txn, void *arg)
{
    const struct fixture *f = arg;
    char bytes[STORE_KEY_MAX];
    for (unsigned i = 0; i < 3000; i++)
        txn_put(txn, f->table, long_key(bytes, i), slice_str(""));
    return txn_error(txn);
}

static enum err claim_thousands(struct txn *txn, void *arg)
{
    const struct fixture *f = arg;
    struct slice *keys = txn_alloc(txn, 2000 * sizeof(struct slice)), value;
    char bytes[STORE_KEY_MAX];
    unsigned count, right = 0;
    enum err err = txn_claim(txn, f->table, slice_str("c"), 2000, keys, &count);
    for (unsigned i = 0; i < count; i++)
        right += slice_eq(keys[i], long_key(bytes, i));
    if (!err && right == 2000 && txn_table_count(txn, f->table) == 1000 + 16)
        err = txn_get(txn, f->table, long_key(bytes, 2000), &value);
    return right == 2000 ? err : ERR_CONFLICT;
}

static void test_claim_empties_pages(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(store_write(f->store, put_thousands, f), ERR_OK);
    assert_int_equal(store_write(f->store, claim_thousands, f), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_fetch_shows_so_many_of_the_next, setup_keys, teardown),
        cmocka_unit_test_setup_teardown(test_fetch_ends_soon_behind_the_range, setup_keys,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_fetch_goes_back_as_well, setup_keys, teardown),
        cmocka_unit_test_setup_teardown(test_fetch_ends_with_the_table, setup_keys, teardown),
        cmocka_unit_test_setup_teardown(test_claim_takes_the_first_of_the_range, setup_keys,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_claim_takes_nothing_behind_the_range, setup_keys,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_who_claims_next_in_the_same_commit_gets_others,
                                        setup_keys, teardown),
        cmocka_unit_test_setup_teardown(test_claim_of_a_transaction_that_fails_takes_nothing,
                                        setup_keys, teardown),
        cmocka_unit_test_setup_teardown(test_claim_empties_pages, setup_keys, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
