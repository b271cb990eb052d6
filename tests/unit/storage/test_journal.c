#include "tests/unit/storage/feed.h"

/* ---- Appending and reading. */

static void test_journal_is_read_in_the_order_of_appending(void **state)
{
    struct feed *feed = *state;
    assert_read(feed, 1, 0, "");
    assert_int_equal(append(feed, "a"), 1);
    assert_int_equal(append(feed, "b"), 2);
    assert_int_equal(append(feed, ""), 3);
    assert_read(feed, 1, 0, "1:a 2:b 3: ");
    assert_read(feed, 1, 2, "1:a 2:b ");
    assert_read(feed, 2, 0, "2:b 3: ");
    assert_read(feed, 4, 0, "");
    assert_read(feed, 99, 5, "");
    assert_span(feed, 1, 4, 2);
}

static void test_journal_numbers_have_no_gap_where_transactions_failed(void **state)
{
    struct feed *feed = *state;
    struct append appends[4] = {{feed, "a", ERR_OK, 0},
                                {feed, "b", ERR_CONFLICT, 0},
                                {feed, "c", ERR_OK, 0},
                                {feed, "d", ERR_CONFLICT, 0}};
    struct call calls[4];
    struct gate gate;
    gate_close(&gate, feed->f->store);
    for (int i = 0; i < 4; i++)
        call_queue(&calls[i], feed->f->store, run_append, &appends[i]);
    gate_open(&gate);
    for (int i = 0; i < 4; i++)
        assert_int_equal(call_finish(&calls[i]), appends[i].after);
    assert_int_equal(append(feed, "e"), 3);
    assert_read(feed, 1, 0, "1:a 2:c 3:e ");
}

static void test_journal_goes_on_counting_after_a_restart(void **state)
{
    struct feed *feed = *state;
    append(feed, "a");
    append(feed, "b");
    reopen(feed);
    assert_read(feed, 1, 0, "1:a 2:b ");
    clock_fake_advance(&feed->f->clock, 1000);
    assert_false(trim(feed, (struct journal_bounds){.age_ms = 999}, 10));
    reopen(feed);
    assert_span(feed, 3, 3, 0);
    assert_int_equal(append(feed, "c"), 3);
}

/* Of an older program: all numbers stand in the head. */
static enum err make_old(struct txn *txn, void *arg)
{
    const uint64_t *numbers = arg;
    struct table table, sums;
    struct slice keys[8];
    unsigned count;
    store_table(txn_store(txn), "journals", &table);
    store_table(txn_store(txn), "sums", &sums);
    txn_claim(txn, sums, slice_of(NULL, 0), 8, keys, &count);
    txn_claim(txn, table, slice_of(NULL, 0), 1, keys, &count);
    return record_put(txn, table, keys[0], 1, slice_of(numbers, 3 * sizeof *numbers));
}

static void test_journal_of_an_older_program_goes_on(void **state)
{
    struct feed *feed = *state;
    append(feed, "a");
    append(feed, "bc");
    uint64_t numbers[] = {1, 3, 3}; /* first, next, bytes; tests run on little endian */
    assert_int_equal(store_write(feed->f->store, make_old, numbers), ERR_OK);
    assert_read(feed, 1, 0, "1:a 2:bc ");
    reopen(feed);
    assert_span(feed, 1, 3, 3);
    assert_int_equal(append(feed, "d"), 3);
    assert_read(feed, 1, 0, "1:a 2:bc 3:d ");
    assert_span(feed, 1, 4, 4);
}

static void test_journals_do_not_see_each_other(void **state)
{
    struct feed *feed = *state;
    struct feed other = {.f = feed->f};
    assert_int_equal(journal_open(feed->f->store, "feed2", &other.j), ERR_OK);
    append(feed, "a");
    assert_int_equal(append(&other, "x"), 1);
    append(feed, "b");
    assert_read(feed, 1, 0, "1:a 2:b ");
    assert_read(&other, 1, 0, "1:x ");
    journal_close(&other.j);
    assert_int_equal(journal_open(feed->f->store, "", &other.j), ERR_VALIDATION);
    assert_null(other.j);
}

static bool note_three(const struct journal_entry *entry, void *arg)
{
    struct read *read = arg;
    note(entry, read);
    return entry->sequence < 3;
}

static enum err append_and_read(struct txn *txn, void *arg)
{
    struct read *read = arg;
    for (int i = 0; i < 3; i++)
        journal_append(txn, read->feed->j, slice_str("own"), NULL);
    return journal_read(txn, read->feed->j, 1, 0, note_three, read);
}

static void test_journal_shows_a_transaction_its_own_entries(void **state)
{
    struct feed *feed = *state;
    append(feed, "a");
    struct read read = {.feed = feed};
    assert_int_equal(store_write(feed->f->store, append_and_read, &read), ERR_OK);
    assert_string_equal(read.text, "1:a 2:own 3:own ");
}

/* Who reads and writes in one transaction finds its place again. */
struct copy {
    struct read read;
    struct txn *txn;
};

static bool copy_entry(const struct journal_entry *entry, void *arg)
{
    struct copy *copy = arg;
    char text[64];
    int len = snprintf(text, sizeof text, "copy of %.*s", SLICE_ARG(entry->payload));
    note(entry, &copy->read);
    return !journal_append(copy->txn, copy->read.feed->j, slice_of(text, (size_t)len), NULL);
}

static enum err run_copy(struct txn *txn, void *arg)
{
    struct copy *copy = arg;
    copy->txn = txn;
    return journal_read(txn, copy->read.feed->j, 1, 0, copy_entry, copy);
}

static void test_journal_may_be_appended_to_while_it_is_read(void **state)
{
    struct feed *feed = *state;
    append(feed, "a");
    append(feed, "b");
    struct copy copy = {.read = {.feed = feed}};
    assert_int_equal(store_write(feed->f->store, run_copy, &copy), ERR_OK);
    assert_string_equal(copy.read.text, "1:a 2:b ");
    assert_read(feed, 1, 0, "1:a 2:b 3:copy of a 4:copy of b ");
}

/* ---- Retention. */

static void test_journal_is_trimmed_by_count_bytes_and_age(void **state)
{
    struct feed *feed = *state;
    for (int i = 0; i < 10; i++) {
        append(feed, "four");
        clock_fake_advance(&feed->f->clock, 1000);
    }
    assert_false(trim(feed, (struct journal_bounds){.count = 9}, 100));
    assert_span(feed, 2, 11, 36);
    assert_false(trim(feed, (struct journal_bounds){.bytes = 30}, 100));
    assert_span(feed, 4, 11, 28);
    assert_false(trim(feed, (struct journal_bounds){.age_ms = 5000}, 100));
    assert_span(feed, 6, 11, 20);
    assert_false(trim(feed, (struct journal_bounds){0}, 100));
    assert_span(feed, 6, 11, 20);
    assert_int_equal(try_read(feed, 5), ERR_NOT_FOUND);
    assert_read(feed, 6, 1, "6:four ");
}

static void test_journal_is_trimmed_in_steps(void **state)
{
    struct feed *feed = *state;
    for (int i = 0; i < 10; i++)
        append(feed, "x");
    struct journal_bounds bounds = {.count = 3};
    assert_true(trim(feed, bounds, 4));
    assert_span(feed, 5, 11, 6);
    assert_false(trim(feed, bounds, 4));
    assert_span(feed, 8, 11, 3);
}

/* ---- Cursors. */

static void test_journal_keeps_how_far_its_readers_are(void **state)
{
    struct feed *feed = *state;
    struct cursor_step a = {feed, "a", 7}, b = {feed, "b", 1};
    assert_int_equal(store_read(feed->f->store, get_cursor, &a), ERR_NOT_FOUND);
    assert_int_equal(store_write(feed->f->store, set_cursor, &a), ERR_OK);
    assert_int_equal(store_write(feed->f->store, set_cursor, &b), ERR_OK);
    b.next = 2;
    assert_int_equal(store_write(feed->f->store, set_cursor, &b), ERR_OK);
    reopen(feed);
    a.next = b.next = 0;
    assert_int_equal(store_read(feed->f->store, get_cursor, &a), ERR_OK);
    assert_int_equal(store_read(feed->f->store, get_cursor, &b), ERR_OK);
    assert_int_equal(a.next, 7);
    assert_int_equal(b.next, 2);
    assert_int_equal(store_write(feed->f->store, drop_cursor, &a), ERR_OK);
    assert_int_equal(store_read(feed->f->store, get_cursor, &a), ERR_NOT_FOUND);
    assert_int_equal(store_write(feed->f->store, drop_cursor, &a), ERR_NOT_FOUND);
    append(feed, "x");
    assert_read(feed, 1, 0, "1:x ");
}

int main(void)
{
    silence_log();
    const struct CMUnitTest tests[] = {
        TEST(test_journal_is_read_in_the_order_of_appending),
        TEST(test_journal_numbers_have_no_gap_where_transactions_failed),
        TEST(test_journal_goes_on_counting_after_a_restart),
        TEST(test_journal_of_an_older_program_goes_on),
        TEST(test_journals_do_not_see_each_other),
        TEST(test_journal_shows_a_transaction_its_own_entries),
        TEST(test_journal_may_be_appended_to_while_it_is_read),
        TEST(test_journal_is_trimmed_by_count_bytes_and_age),
        TEST(test_journal_is_trimmed_in_steps),
        TEST(test_journal_keeps_how_far_its_readers_are),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
