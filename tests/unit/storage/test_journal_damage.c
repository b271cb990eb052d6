#include "tests/unit/storage/feed.h"

#include "storage/verify.h"

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

static enum err lose_numbers(struct txn *txn, void *arg)
{
    (void)arg;
    struct table table;
    struct slice keys[8];
    unsigned count;
    store_table(txn_store(txn), "sums", &table);
    return txn_claim(txn, table, slice_of(NULL, 0), 8, keys, &count);
}

static void test_journal_head_that_is_lost_is_damage(void **state)
{
    struct feed *feed = *state;
    spoil(feed, 0, true);
    assert_int_equal(try_read(feed, 1), ERR_DAMAGED);
    assert_damage(feed, "the journal feed, its head");
    assert_int_equal(append(feed, "y"), 5);
}

static void test_journal_whose_numbers_are_lost_does_not_begin_anew(void **state)
{
    struct feed *feed = *state;
    append(feed, "x");
    assert_int_equal(store_write(feed->f->store, lose_numbers, NULL), ERR_OK);
    assert_int_equal(try_read(feed, 1), ERR_DAMAGED);
    struct append a = {feed, "x", ERR_OK, 0};
    assert_int_equal(store_write(feed->f->store, run_append, &a), ERR_DAMAGED);
    assert_damage(feed, "a sequence of numbers");
}

static void test_journal_is_trimmed_past_what_is_damaged(void **state)
{
    struct feed *feed = *state;
    spoil(feed, 1, false);
    assert_int_equal(try_read(feed, 1), ERR_DAMAGED);
    assert_false(trim(feed, (struct journal_bounds){.count = 4}, 100));
    assert_read(feed, 2, 0, "2:x 3:x 4:x ");
}

/* ---- Verifying. */

struct told {
    char what[500];
    unsigned mended, salvaged;
};

static void note_what(const char *what, bool mended, void *arg)
{
    struct told *told = arg;
    told->mended += mended;
    snprintf(told->what + strlen(told->what), sizeof told->what - strlen(told->what), "%s; ", what);
}

static bool note_salvaged(const char *table, struct slice key, struct slice value, void *arg)
{
    struct told *told = arg;
    (void)table, (void)key, (void)value;
    told->salvaged++;
    return true;
}

static struct told pass(struct feed *feed, bool repair)
{
    struct told told = {0};
    struct verify_options options = {.store = feed->f->store,
                                     .repair = repair,
                                     .found = note_what,
                                     .salvage = repair ? note_salvaged : NULL,
                                     .arg = &told};
    struct journal_parts *parts;
    assert_int_equal(journal_parts_create(feed->f->store, &parts), ERR_OK);
    struct verifier *v = verifier_create(&options);
    journal_parts_add(parts, v);
    for (bool end = false; !end;)
        assert_int_equal(verifier_step(v, &end), ERR_OK);
    verifier_destroy(&v);
    journal_parts_destroy(&parts);
    return told;
}

static const char *verify(struct feed *feed)
{
    static struct told told;
    told = pass(feed, false);
    assert_int_equal(told.mended, 0);
    return told.what;
}

/* Everything that was found is mended, and that was all. */
static void repair(struct feed *feed, unsigned salvaged)
{
    struct told told = pass(feed, true);
    assert_true(told.mended > 0);
    assert_int_equal(told.salvaged, salvaged);
    assert_string_equal(verify(feed), "");
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

/* ---- Repairing. */

static void test_repairing_a_journal_costs_the_damaged_entry_alone(void **state)
{
    struct feed *feed = *state;
    spoil(feed, 3, false);
    repair(feed, 1);
    assert_read(feed, 1, 0, "1:x 2:x 4:x ");
    assert_read(feed, 3, 1, "");
    assert_int_equal(append(feed, "y"), 5);
    assert_read(feed, 3, 0, "4:x 5:y ");
    assert_false(trim(feed, (struct journal_bounds){.count = 2}, 100));
    assert_read(feed, 4, 0, "4:x 5:y ");
}

static void test_repairing_a_journal_goes_past_what_was_lost(void **state)
{
    struct feed *feed = *state;
    spoil(feed, 2, true);
    spoil(feed, 7, true); /* the last one: number 8 */
    repair(feed, 0);
    assert_read(feed, 1, 0, "1:x 3:x 4:x 5:x 6:x 7:x ");
    assert_int_equal(append(feed, "y"), 9);
}

static void test_repairing_a_journal_makes_its_head_anew(void **state)
{
    struct feed *feed = *state;
    for (int lose = 0; lose < 2; lose++) {
        spoil(feed, 0, lose);
        assert_int_equal(try_read(feed, 1), ERR_DAMAGED);
        repair(feed, !lose);
        assert_span(feed, 1, 5 + 4u * (unsigned)lose, 4 + 4u * (unsigned)lose);
    }
    assert_read(feed, 7, 0, "7:x 8:x ");
}

static void test_repairing_makes_numbers_anew(void **state)
{
    struct feed *feed = *state;
    append(feed, "x");
    append(feed, "yz");
    assert_int_equal(store_write(feed->f->store, lose_numbers, NULL), ERR_OK);
    assert_non_null(strstr(verify(feed), ": its numbers are damaged; "));
    repair(feed, 0);
    assert_span(feed, 1, 3, 3);
    assert_int_equal(append(feed, "y"), 3);
}

/* Else those who have read it would take new entries for old ones. */
static void test_repairing_a_head_goes_on_behind_its_readers(void **state)
{
    struct feed *feed = *state;
    struct cursor_step reader = {feed, "reader", 6};
    assert_int_equal(store_write(feed->f->store, set_cursor, &reader), ERR_OK);
    append(feed, "x");
    spoil(feed, 5, true);
    struct spoil head = {feed->f, 0, false};
    assert_int_equal(store_write(feed->f->store, run_spoil, &head), ERR_OK);
    repair(feed, 1);
    assert_read(feed, 1, 0, "1:x 2:x 3:x 4:x ");
    assert_int_equal(append(feed, "y"), 6);
}

/* The last byte of the last cursor. */
static enum err spoil_cursor(struct txn *txn, void *arg)
{
    (void)arg;
    struct table table;
    store_table(txn_store(txn), "journal_cursors", &table);
    struct cursor cursor;
    cursor_open(&cursor, txn, table);
    cursor_seek_before(&cursor, slice_str(""));
    char *value = txn_alloc(txn, cursor.value.len);
    memcpy(value, cursor.value.ptr, cursor.value.len);
    value[cursor.value.len - 1] ^= 1;
    enum err err = cursor_put(&cursor, slice_of(value, cursor.value.len));
    cursor_close(&cursor);
    return err;
}

static void test_repairing_forgets_a_damaged_cursor_and_no_other(void **state)
{
    struct feed *feed = *state;
    struct cursor_step a = {feed, "a", 3}, b = {feed, "b", 4};
    assert_int_equal(store_write(feed->f->store, set_cursor, &a), ERR_OK);
    assert_int_equal(store_write(feed->f->store, set_cursor, &b), ERR_OK);
    assert_int_equal(store_write(feed->f->store, spoil_cursor, NULL), ERR_OK);
    assert_int_equal(store_read(feed->f->store, get_cursor, &b), ERR_DAMAGED);
    repair(feed, 1);
    assert_int_equal(store_read(feed->f->store, get_cursor, &a), ERR_OK);
    assert_int_equal(a.next, 3);
    assert_int_equal(store_read(feed->f->store, get_cursor, &b), ERR_NOT_FOUND);
    assert_int_equal(store_write(feed->f->store, set_cursor, &b), ERR_OK);
}

int main(void)
{
    silence_log();
    const struct CMUnitTest tests[] = {
        TEST(test_journal_entry_that_is_lost_is_damage),
        TEST(test_journal_end_that_is_lost_is_damage),
        TEST(test_journal_head_that_is_lost_is_damage),
        TEST(test_journal_whose_numbers_are_lost_does_not_begin_anew),
        TEST(test_journal_is_trimmed_past_what_is_damaged),
        TEST(test_verifying_a_journal_that_is_whole_finds_nothing),
        TEST(test_verifying_names_what_a_journal_has_lost),
        TEST(test_verifying_names_a_damaged_entry),
        TEST(test_repairing_a_journal_costs_the_damaged_entry_alone),
        TEST(test_repairing_a_journal_goes_past_what_was_lost),
        TEST(test_repairing_a_journal_makes_its_head_anew),
        TEST(test_repairing_makes_numbers_anew),
        TEST(test_repairing_a_head_goes_on_behind_its_readers),
        TEST(test_repairing_forgets_a_damaged_cursor_and_no_other),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
