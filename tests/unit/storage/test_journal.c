#include "storage/journal.h"
#include "storage/verify.h"

#include "tests/unit/storage/store_fixture.h"

struct feed {
    struct fixture *f;
    struct journal *j;
};

static int setup_feed(void **state)
{
    struct feed *feed = calloc(1, sizeof *feed);
    setup((void **)state);
    feed->f = *state;
    assert_int_equal(journal_open(feed->f->store, "feed", &feed->j), ERR_OK);
    *state = feed;
    return 0;
}

static int teardown_feed(void **state)
{
    struct feed *feed = *state;
    void *f = feed->f;
    journal_close(&feed->j);
    teardown(&f);
    free(feed);
    return 0;
}

/* ---- Steps. */

struct append {
    struct feed *feed;
    const char *text;
    enum err after; /* what the closure returns when the write worked */
    uint64_t sequence;
};

static enum err run_append(struct txn *txn, void *arg)
{
    struct append *a = arg;
    enum err err = journal_append(txn, a->feed->j, slice_str(a->text), &a->sequence);
    return err ? err : a->after;
}

static uint64_t append(struct feed *feed, const char *text)
{
    struct append a = {feed, text, ERR_OK, 0};
    assert_int_equal(store_write(feed->f->store, run_append, &a), ERR_OK);
    return a.sequence;
}

struct read {
    struct feed *feed;
    uint64_t from;
    unsigned limit;
    char text[512]; /* "1:a 2:b " */
    struct journal_span span;
};

static bool note(const struct journal_entry *entry, void *arg)
{
    struct read *read = arg;
    size_t len = strlen(read->text);
    snprintf(read->text + len, sizeof read->text - len, "%llu:%.*s ",
             (unsigned long long)entry->sequence, SLICE_ARG(entry->payload));
    return true;
}

static enum err run_read(struct txn *txn, void *arg)
{
    struct read *read = arg;
    enum err err = journal_span(txn, read->feed->j, &read->span);
    return err ? err : journal_read(txn, read->feed->j, read->from, read->limit, note, read);
}

static void assert_read(struct feed *feed, uint64_t from, unsigned limit, const char *text)
{
    struct read read = {.feed = feed, .from = from, .limit = limit};
    assert_int_equal(store_read(feed->f->store, run_read, &read), ERR_OK);
    assert_string_equal(read.text, text);
}

static enum err try_read(struct feed *feed, uint64_t from)
{
    struct read read = {.feed = feed, .from = from};
    return store_read(feed->f->store, run_read, &read);
}

static void assert_span(struct feed *feed, uint64_t first, uint64_t next, uint64_t bytes)
{
    struct read read = {.feed = feed, .from = next};
    assert_int_equal(store_read(feed->f->store, run_read, &read), ERR_OK);
    assert_int_equal(read.span.first, first);
    assert_int_equal(read.span.next, next);
    assert_int_equal(read.span.bytes, bytes);
}

struct trim {
    struct feed *feed;
    struct journal_bounds bounds;
    unsigned limit;
    bool more;
};

static enum err run_trim(struct txn *txn, void *arg)
{
    struct trim *trim = arg;
    return journal_trim(txn, trim->feed->j, &trim->bounds, trim->limit, &trim->more);
}

static bool trim(struct feed *feed, struct journal_bounds bounds, unsigned limit)
{
    struct trim trim = {feed, bounds, limit, false};
    assert_int_equal(store_write(feed->f->store, run_trim, &trim), ERR_OK);
    return trim.more;
}

static void reopen(struct feed *feed)
{
    journal_close(&feed->j);
    reopen_store(feed->f);
    assert_int_equal(journal_open(feed->f->store, "feed", &feed->j), ERR_OK);
}

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

struct cursor_step {
    struct feed *feed;
    const char *name;
    uint64_t next;
};

static enum err set_cursor(struct txn *txn, void *arg)
{
    const struct cursor_step *step = arg;
    return journal_cursor_set(txn, step->feed->j, step->name, step->next);
}

static enum err drop_cursor(struct txn *txn, void *arg)
{
    const struct cursor_step *step = arg;
    return journal_cursor_drop(txn, step->feed->j, step->name);
}

static enum err get_cursor(struct txn *txn, void *arg)
{
    struct cursor_step *step = arg;
    return journal_cursor_get(txn, step->feed->j, step->name, &step->next);
}

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

/* ---- Damage. */

struct spoil {
    struct fixture *f;
    unsigned which; /* in the order of keys: 0 is the head */
    bool lose;
};

static enum err run_spoil(struct txn *txn, void *arg)
{
    const struct spoil *spoil = arg;
    struct table table;
    store_table(txn_store(txn), "journals", &table);
    struct cursor cursor;
    cursor_open(&cursor, txn, table);
    cursor_seek(&cursor, slice_str(""));
    for (unsigned i = 0; i < spoil->which; i++)
        cursor_next(&cursor);
    char key[STORE_KEY_MAX];
    size_t len = cursor.key.len;
    memcpy(key, cursor.key.ptr, len);
    cursor_close(&cursor);
    return spoil->lose ? txn_del(txn, table, slice_of(key, len))
                       : txn_put(txn, table, slice_of(key, len), slice_str("this is no record"));
}

static void spoil(struct feed *feed, unsigned which, bool lose)
{
    struct spoil spoil = {feed->f, which, lose};
    for (int i = 0; i < 4; i++)
        append(feed, "x");
    assert_int_equal(store_write(feed->f->store, run_spoil, &spoil), ERR_OK);
}

static void assert_damage(struct feed *feed, const char *text)
{
    struct store_stats stats;
    store_stats(feed->f->store, &stats);
    assert_non_null(strstr(stats.damage, text));
}

static void test_journal_entry_that_is_lost_is_damage(void **state)
{
    struct feed *feed = *state;
    spoil(feed, 2, true);
    assert_int_equal(try_read(feed, 1), ERR_DAMAGED);
    assert_damage(feed, "the journal feed, an entry is lost");
    assert_read(feed, 3, 0, "3:x 4:x ");
}

static void test_journal_end_that_is_lost_is_damage(void **state)
{
    struct feed *feed = *state;
    spoil(feed, 4, true);
    assert_int_equal(try_read(feed, 3), ERR_DAMAGED);
    assert_damage(feed, "the journal feed");
    assert_int_equal(append(feed, "y"), 5);
    assert_read(feed, 5, 0, "5:y ");
}

static void test_journal_head_that_is_lost_does_not_begin_anew(void **state)
{
    struct feed *feed = *state;
    spoil(feed, 0, true);
    struct append a = {feed, "x", ERR_OK, 0};
    assert_int_equal(store_write(feed->f->store, run_append, &a), ERR_DAMAGED);
    assert_damage(feed, "the journal feed, its head");
}

static void test_journal_is_trimmed_past_what_is_damaged(void **state)
{
    struct feed *feed = *state;
    spoil(feed, 1, false);
    assert_int_equal(try_read(feed, 1), ERR_DAMAGED);
    assert_false(trim(feed, (struct journal_bounds){.count = 4}, 100));
    assert_read(feed, 2, 0, "2:x 3:x 4:x ");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_feed, teardown_feed)

/* ---- Verifying. */

static void note_what(const char *what, bool mended, void *arg)
{
    char *text = arg;
    assert_false(mended);
    snprintf(text + strlen(text), 500 - strlen(text), "%s; ", what);
}

static const char *verify(struct feed *feed)
{
    static char text[500];
    struct verify_options options = {
        .store = feed->f->store, .repair = true, .found = note_what, .arg = text};
    struct journal_parts *parts;
    assert_int_equal(journal_parts_create(feed->f->store, &parts), ERR_OK);
    struct verifier *v = verifier_create(&options);
    journal_parts_add(parts, v);
    text[0] = '\0';
    for (bool end = false; !end;)
        assert_int_equal(verifier_step(v, &end), ERR_OK);
    verifier_destroy(&v);
    journal_parts_destroy(&parts);
    return text;
}

static void test_verifying_a_journal_that_is_whole_finds_nothing(void **state)
{
    struct feed *feed = *state;
    assert_string_equal(verify(feed), "");
    struct feed other = {.f = feed->f};
    assert_int_equal(journal_open(feed->f->store, "other", &other.j), ERR_OK);
    for (int i = 0; i < 1200; i++)
        append(i % 2 ? feed : &other, "x");
    assert_true(trim(feed, (struct journal_bounds){.count = 500}, 50));
    assert_string_equal(verify(feed), "");
    journal_close(&other.j);
}

static void test_verifying_names_what_a_journal_has_lost(void **state)
{
    struct feed *feed = *state;
    spoil(feed, 2, true);
    assert_non_null(strstr(verify(feed), ": entries behind it are lost; "));
    assert_int_equal(append(feed, "more"), 5);
    spoil(feed, 8, true); /* the last one */
    assert_non_null(strstr(verify(feed), "lost; a journal's entry, "));
}

static void test_verifying_names_a_damaged_entry(void **state)
{
    struct feed *feed = *state;
    spoil(feed, 3, false);
    assert_non_null(strstr(verify(feed), ": it is too short; "));
}

int main(void)
{
    silence_log();
    const struct CMUnitTest tests[] = {
        TEST(test_journal_is_read_in_the_order_of_appending),
        TEST(test_journal_numbers_have_no_gap_where_transactions_failed),
        TEST(test_journal_goes_on_counting_after_a_restart),
        TEST(test_journals_do_not_see_each_other),
        TEST(test_journal_shows_a_transaction_its_own_entries),
        TEST(test_journal_may_be_appended_to_while_it_is_read),
        TEST(test_journal_is_trimmed_by_count_bytes_and_age),
        TEST(test_journal_is_trimmed_in_steps),
        TEST(test_journal_keeps_how_far_its_readers_are),
        TEST(test_journal_entry_that_is_lost_is_damage),
        TEST(test_journal_end_that_is_lost_is_damage),
        TEST(test_journal_head_that_is_lost_does_not_begin_anew),
        TEST(test_journal_is_trimmed_past_what_is_damaged),
        TEST(test_verifying_a_journal_that_is_whole_finds_nothing),
        TEST(test_verifying_names_what_a_journal_has_lost),
        TEST(test_verifying_names_a_damaged_entry),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
