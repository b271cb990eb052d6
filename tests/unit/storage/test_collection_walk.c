#include "tests/unit/storage/people.h"

/* ---- Walking. */

static void test_collection_walks_by_id(void **state)
{
    struct people *p = *state;
    insert_crowd(p);
    assert_walk(p, (struct doc_scan){0}, "a b c d e f ");
    assert_walk(p, (struct doc_scan){.descending = true}, "f e d c b a ");
    assert_walk(p, (struct doc_scan){.after = slice_str("c")}, "d e f ");
    assert_walk(p, (struct doc_scan){.after = slice_str("bb")}, "c d e f ");
    assert_walk(p, (struct doc_scan){.after = slice_str("c"), .descending = true}, "b a ");
    assert_walk(p, (struct doc_scan){.after = slice_str("a"), .limit = 2}, "b c ");
}

static void test_collection_walks_by_index(void **state)
{
    struct people *p = *state;
    insert_crowd(p);
    struct doc_scan up = {.index = "age"}, down = {.index = "age", .descending = true};
    assert_walk(p, up, "e a b d c ");
    assert_walk(p, down, "c d b a e ");
    assert_walk(p, (struct doc_scan){.index = "city"}, "f c a d e ");
}

static void test_collection_walks_the_documents_of_one_value(void **state)
{
    struct people *p = *state;
    insert_crowd(p);
    json_t *bonn = json_string("Bonn"), *age = json_integer(30), *list = json_array();
    struct doc_scan scan = {.index = "city", .equal = bonn};
    assert_walk(p, scan, "a d e ");
    scan.descending = true;
    assert_walk(p, scan, "e d a ");
    scan.after = slice_str("c"); /* lives elsewhere: a place between the ids is a place */
    assert_walk(p, scan, "a ");
    assert_walk(p, (struct doc_scan){.index = "age", .equal = age}, "b d ");
    assert_walk(p, (struct doc_scan){.index = "age", .equal = list}, "");
    json_decref(bonn);
    json_decref(age);
    json_decref(list);
}

static void
test_collection_walk_goes_on_where_it_stopped_whatever_has_become_of_the_document(void **state)
{
    struct people *p = *state;
    insert_crowd(p);
    struct doc_place up = {0}, down = {0};
    struct doc_scan ascending = {.index = "age", .place = &up, .limit = 2};
    struct doc_scan descending = {.index = "age", .place = &down, .limit = 2, .descending = true};
    assert_walk(p, ascending, "e a ");
    assert_walk(p, descending, "c d ");
    assert_int_equal(run(p, DELETE, "a", 0), ERR_OK);
    assert_int_equal(run(p, REPLACE, "{\"id\":\"d\",\"age\":99}", 0), ERR_OK);
    assert_walk(p, ascending, "b c ");
    assert_walk(p, descending, "b e ");
    assert_walk(p, ascending, "d ");
    assert_walk(p, ascending, "");
    assert_walk(p, descending, "");
}

static void test_collection_place_of_another_walk_is_refused(void **state)
{
    struct people *p = *state;
    insert_crowd(p);
    struct doc_place place = {0};
    assert_walk(p, (struct doc_scan){.index = "age", .place = &place, .limit = 1}, "e ");
    struct tour tour = {.p = p, .scan = {.index = "city", .place = &place}};
    assert_int_equal(store_read(p->f->store, walk, &tour), ERR_VALIDATION);
}

static void test_collection_walk_stops_when_told(void **state)
{
    struct people *p = *state;
    insert_crowd(p);
    struct tour tour = {.p = p, .stop_after = 3};
    assert_int_equal(store_read(p->f->store, walk, &tour), ERR_OK);
    assert_string_equal(tour.ids, "a b c ");
}

static void test_collection_may_be_changed_while_it_is_walked(void **state)
{
    struct people *p = *state;
    static const struct doc_scan scans[] = {
        {0}, {.descending = true}, {.index = "age"}, {.index = "age", .descending = true}};
    static const char *const ids[] = {"a b c d e f ", "f e d c b a ", "e a b d c ", "c d b a e "};
    for (int i = 0; i < 4; i++) {
        struct tour tour = {.p = p, .scan = scans[i], .delete_all = true};
        insert_crowd(p);
        assert_int_equal(store_write(p->f->store, walk, &tour), ERR_OK);
        assert_string_equal(tour.ids, ids[i]);
        run(p, DELETE, "f", 0);
        assert_walk(p, (struct doc_scan){0}, "");
    }
}

/* ---- Walks that take long. */

#define LONG_WALK 300
#define STEP_MS   10

struct slow_walk {
    struct people *p;
    unsigned seen, wrong;
    int64_t oldest_ms; /* of the reads that the watch saw */
};

static enum err insert_many(struct txn *txn, void *arg)
{
    struct people *p = arg;
    for (unsigned i = 0; i < LONG_WALK; i++) {
        char text[64];
        snprintf(text, sizeof text, "{\"id\":\"p%04u\",\"age\":%u}", i, i % 3);
        doc_insert_text(txn, p->c, slice_str(text));
    }
    return txn_error(txn);
}

/* Time passes, and the watch comes by. */
static bool take_time(struct slice id, const struct doc *doc, void *arg)
{
    (void)doc;
    struct slow_walk *walk = arg;
    char wanted[16];
    snprintf(wanted, sizeof wanted, "p%04u", walk->seen++);
    walk->wrong += !slice_is(id, wanted);
    clock_fake_advance(&walk->p->f->clock, STEP_MS);
    store_watch(walk->p->f->store);
    struct store_stats stats;
    store_stats(walk->p->f->store, &stats);
    if (stats.oldest_read_ms > walk->oldest_ms)
        walk->oldest_ms = stats.oldest_read_ms;
    return true;
}

static void test_long_walk_goes_on_in_other_snapshots_and_misses_nothing(void **state)
{
    struct people *p = *state;
    assert_int_equal(store_write(p->f->store, insert_many, p), ERR_OK);
    store_watch(p->f->store);
    struct slow_walk walk = {.p = p};
    assert_int_equal(doc_walk_all(p->f->store, p->c, &(struct doc_scan){0}, take_time, &walk),
                     ERR_OK);
    assert_int_equal(walk.seen, LONG_WALK);
    assert_int_equal(walk.wrong, 0);
    assert_in_range(walk.oldest_ms, STEP_MS, 600); /* though all of it took three seconds */
}

static bool stop_halfway(struct slice id, const struct doc *doc, void *arg)
{
    struct slow_walk *walk = arg;
    bool more = take_time(id, doc, arg);
    walk->wrong = 0;
    return more && walk->seen < LONG_WALK / 2;
}

static void test_long_walk_ends_where_it_is_told_to(void **state)
{
    struct people *p = *state;
    assert_int_equal(store_write(p->f->store, insert_many, p), ERR_OK);
    store_watch(p->f->store);
    struct slow_walk walk = {.p = p};
    struct doc_scan by_age = {.index = "age"};
    assert_int_equal(doc_walk_all(p->f->store, p->c, &by_age, stop_halfway, &walk), ERR_OK);
    assert_int_equal(walk.seen, LONG_WALK / 2);
}

int main(void)
{
    silence_log();
    const struct CMUnitTest tests[] = {
        TEST(test_collection_walks_by_id),
        TEST(test_collection_walks_by_index),
        TEST(test_collection_walks_the_documents_of_one_value),
        TEST(test_collection_walk_goes_on_where_it_stopped_whatever_has_become_of_the_document),
        TEST(test_collection_place_of_another_walk_is_refused),
        TEST(test_collection_walk_stops_when_told),
        TEST(test_collection_may_be_changed_while_it_is_walked),
        TEST(test_long_walk_goes_on_in_other_snapshots_and_misses_nothing),
        TEST(test_long_walk_ends_where_it_is_told_to),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
