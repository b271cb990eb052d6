#include "tests/unit/storage/store_fixture.h"

/* ---- Actions. */

struct trace {
    struct fixture *f;
    char text[16]; /* a letter for each action that ran */
    enum err visible;
    enum err result;
};

static void note(struct trace *trace, char letter)
{
    size_t len = strlen(trace->text);
    trace->text[len] = letter;
    trace->text[len + 1] = 0;
}

static void note_1(void *arg)
{
    struct trace *trace = arg;
    struct pair pair = {trace->f, "a", "1", ERR_OK};
    trace->visible = store_read(trace->f->store, match_pair, &pair);
    note(trace, '1');
}

static void note_2(void *arg)
{
    note(arg, '2');
}

static void note_drop(void *arg)
{
    note(arg, 'd');
}

static enum err put_with_actions(struct txn *txn, void *arg)
{
    struct trace *trace = arg;
    struct pair pair = {trace->f, "a", "1", trace->result};
    txn_on_commit(txn, note_1, note_drop, trace);
    txn_on_commit(txn, note_2, NULL, trace);
    return write_pair(txn, &pair);
}

static void test_store_actions_run_after_the_commit_in_order_before_the_writer_returns(void **state)
{
    struct fixture *f = *state;
    struct trace trace = {.f = f, .visible = ERR_INTERNAL};
    assert_int_equal(store_write(f->store, put_with_actions, &trace), ERR_OK);
    assert_string_equal(trace.text, "12");
    assert_int_equal(trace.visible, ERR_OK);
}

static void test_store_actions_of_a_failed_closure_are_dropped(void **state)
{
    struct fixture *f = *state;
    struct trace trace = {.f = f, .result = ERR_CONFLICT};
    assert_int_equal(store_write(f->store, put_with_actions, &trace), ERR_CONFLICT);
    assert_string_equal(trace.text, "d");
    assert_absent(f, "a");
}

static void copy_text(void *arg)
{
    char **text = arg;
    snprintf(text[1], 16, "%s", text[0]);
}

static enum err alloc_for_action(struct txn *txn, void *arg)
{
    char **text = txn_alloc(txn, 2 * sizeof *text);
    text[0] = txn_alloc(txn, 100000); /* more than a block */
    text[1] = arg;
    snprintf(text[0], 16, "kept");
    txn_on_commit(txn, copy_text, NULL, text);
    return ERR_OK;
}

static void test_txn_memory_lives_until_the_actions_have_run(void **state)
{
    struct fixture *f = *state;
    char out[16] = "";
    assert_int_equal(store_write(f->store, alloc_for_action, out), ERR_OK);
    assert_string_equal(out, "kept");
}

/* ---- Errors. */

static enum err fail_and_go_on(struct txn *txn, void *arg)
{
    struct fixture *f = arg;
    txn_put(txn, f->table, slice_str("a"), slice_str("1"));
    assert_int_equal(txn_fail(txn, ERR_LIMITED), ERR_LIMITED);
    assert_int_equal(txn_fail(txn, ERR_INTERNAL), ERR_LIMITED);
    assert_int_equal(txn_put(txn, f->table, slice_str("b"), slice_str("1")), ERR_LIMITED);
    struct slice value;
    assert_int_equal(txn_get(txn, f->table, slice_str("a"), &value), ERR_LIMITED);
    assert_int_equal(txn_del(txn, f->table, slice_str("a")), ERR_LIMITED);
    struct cursor cursor;
    cursor_open(&cursor, txn, f->table);
    assert_int_equal(cursor_seek(&cursor, slice_str("a")), ERR_LIMITED);
    cursor_close(&cursor);
    return ERR_OK;
}

static void test_txn_first_error_sticks_and_nothing_commits(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(store_write(f->store, fail_and_go_on, f), ERR_LIMITED);
    assert_absent(f, "a");
    assert_absent(f, "b");
}

static enum err miss_and_go_on(struct txn *txn, void *arg)
{
    struct fixture *f = arg;
    struct slice value;
    assert_int_equal(txn_get(txn, f->table, slice_str("x"), &value), ERR_NOT_FOUND);
    assert_int_equal(txn_del(txn, f->table, slice_str("x")), ERR_NOT_FOUND);
    return txn_put(txn, f->table, slice_str("a"), slice_str("1"));
}

static void test_txn_not_found_does_not_stick(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(store_write(f->store, miss_and_go_on, f), ERR_OK);
    assert_value(f, "a", "1");
}

static enum err watch_clock(struct txn *txn, void *arg)
{
    struct fixture *f = arg;
    int64_t begin = txn_now_ms(txn);
    clock_fake_advance(&f->clock, 5000);
    return txn_now_ms(txn) == begin ? ERR_OK : ERR_CONFLICT;
}

static void test_txn_time_stands_still(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(store_write(f->store, watch_clock, f), ERR_OK);
}

/* ---- Too much for one commit. */

struct much {
    struct fixture *f;
    unsigned pages; /* written before it was refused */
};

static enum err write_too_much(struct txn *txn, void *arg)
{
    struct much *much = arg;
    char value[PAGE_BYTES * 3 / 4]; /* two do not fit into a page */
    memset(value, 'x', sizeof value);
    enum err err = ERR_OK;
    for (much->pages = 0; err == ERR_OK; much->pages++) {
        char key[16];
        snprintf(key, sizeof key, "%08u", much->pages);
        err = txn_put(txn, much->f->table, slice_str(key), slice_of(value, sizeof value));
    }
    return err;
}

static int setup_large(void **state)
{
    return setup_with(state, UINT64_C(1) << 30);
}

static void test_txn_that_writes_too_many_pages_is_refused_and_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct much much = {.f = f};
    assert_int_equal(store_write(f->store, write_too_much, &much), ERR_TXN_TOO_LARGE);
    assert_in_range(much.pages, TXN_PAGES_MAX / 2, TXN_PAGES_MAX + 1);
    assert_absent(f, "00000000");
    assert_int_equal(put(f, "a", "1"), ERR_OK);
}

/* ---- Cursors. */

static enum err walk(struct txn *txn, void *arg)
{
    struct fixture *f = arg;
    struct cursor c;
    cursor_open(&c, txn, f->table);
    assert_int_equal(cursor_seek(&c, slice_str("")), ERR_OK);
    assert_true(slice_is(c.key, "b") && slice_is(c.value, "1"));
    assert_int_equal(cursor_seek(&c, slice_str("c")), ERR_OK);
    assert_true(slice_is(c.key, "d"));
    assert_int_equal(cursor_next(&c), ERR_OK);
    assert_true(slice_is(c.key, "f"));
    assert_int_equal(cursor_next(&c), ERR_NOT_FOUND);
    assert_int_equal(cursor_seek(&c, slice_str("g")), ERR_NOT_FOUND);
    assert_int_equal(cursor_seek_before(&c, slice_str("d")), ERR_OK);
    assert_true(slice_is(c.key, "b"));
    assert_int_equal(cursor_prev(&c), ERR_NOT_FOUND);
    assert_int_equal(cursor_seek_before(&c, slice_str("b")), ERR_NOT_FOUND);
    assert_int_equal(cursor_seek_before(&c, slice_str("z")), ERR_OK);
    assert_true(slice_is(c.key, "f"));
    assert_int_equal(cursor_seek_before(&c, slice_str("")), ERR_OK);
    assert_true(slice_is(c.key, "f"));
    assert_int_equal(cursor_prev(&c), ERR_OK);
    assert_true(slice_is(c.key, "d"));
    cursor_close(&c);
    return ERR_OK;
}

static void test_cursor_walks_both_ways(void **state)
{
    struct fixture *f = *state;
    put(f, "d", "2");
    put(f, "b", "1");
    put(f, "f", "3");
    assert_int_equal(store_read(f->store, walk, f), ERR_OK);
    assert_int_equal(store_write(f->store, walk, f), ERR_OK);
}

static enum err walk_nothing(struct txn *txn, void *arg)
{
    struct fixture *f = arg;
    struct cursor c;
    cursor_open(&c, txn, f->table);
    assert_int_equal(cursor_seek(&c, slice_str("")), ERR_NOT_FOUND);
    assert_int_equal(cursor_seek(&c, slice_str("a")), ERR_NOT_FOUND);
    assert_int_equal(cursor_seek_before(&c, slice_str("")), ERR_NOT_FOUND);
    assert_int_equal(cursor_seek_before(&c, slice_str("a")), ERR_NOT_FOUND);
    cursor_close(&c);
    return ERR_OK;
}

static void test_cursor_finds_nothing_in_an_empty_table(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(store_read(f->store, walk_nothing, f), ERR_OK);
}

static enum err delete_second(struct txn *txn, void *arg)
{
    struct fixture *f = arg;
    struct cursor c;
    cursor_open(&c, txn, f->table);
    assert_int_equal(cursor_seek(&c, slice_str("b")), ERR_OK);
    assert_int_equal(cursor_del(&c), ERR_OK);
    assert_int_equal(cursor_seek(&c, slice_str("b")), ERR_OK);
    assert_true(slice_is(c.key, "c"));
    cursor_close(&c);
    return ERR_OK;
}

static void test_cursor_deletes_what_it_stands_on(void **state)
{
    struct fixture *f = *state;
    put(f, "a", "1");
    put(f, "b", "2");
    put(f, "c", "3");
    assert_int_equal(store_write(f->store, delete_second, f), ERR_OK);
    assert_value(f, "a", "1");
    assert_absent(f, "b");
    assert_value(f, "c", "3");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    silence_log();
    const struct CMUnitTest tests[] = {
        TEST(test_store_actions_run_after_the_commit_in_order_before_the_writer_returns),
        TEST(test_store_actions_of_a_failed_closure_are_dropped),
        TEST(test_txn_memory_lives_until_the_actions_have_run),
        TEST(test_txn_first_error_sticks_and_nothing_commits),
        TEST(test_txn_not_found_does_not_stick),
        TEST(test_txn_time_stands_still),
        cmocka_unit_test_setup_teardown(
            test_txn_that_writes_too_many_pages_is_refused_and_leaves_nothing, setup_large,
            teardown),
        TEST(test_cursor_walks_both_ways),
        TEST(test_cursor_finds_nothing_in_an_empty_table),
        TEST(test_cursor_deletes_what_it_stands_on),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
