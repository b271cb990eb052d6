#include "tests/unit/storage/store_fixture.h"

#include "storage/collection.h"

/* ---- A collection of people: by mail (unique), by age, by city. */

struct people {
    struct fixture *f;
    struct collection *c;
};

static const struct index_spec people_indexes[] = {
    {.fields = "mail", .unique = true, .sparse = true},
    {.fields = "age", .sparse = true},
    {.fields = "city", .sparse = true}};

static enum err open_people(struct people *p, unsigned index_count)
{
    return collection_open(p->f->store, "people", people_indexes, index_count, &p->c);
}

static int setup_people(void **state)
{
    struct people *p = calloc(1, sizeof *p);
    setup((void **)state);
    p->f = *state;
    assert_int_equal(open_people(p, 3), ERR_OK);
    *state = p;
    return 0;
}

static int teardown_people(void **state)
{
    struct people *p = *state;
    void *f = p->f;
    collection_close(&p->c);
    teardown(&f);
    free(p);
    return 0;
}

/* ---- One step in a transaction of its own. */

enum step { INSERT, REPLACE, DELETE, CHECK };

struct change {
    struct people *p;
    enum step step;
    const char *text; /* a document, or an id to delete */
    uint64_t version; /* for REPLACE: if_version; for CHECK: what it is */
};

static enum err check(struct txn *txn, const struct change *change, const json_t *doc)
{
    struct slice id = slice_str(json_str(doc, "id", ""));
    json_t *found;
    uint64_t version;
    enum err err = doc_load(txn, change->p->c, id, &found, &version);
    if (err != ERR_OK)
        return err;
    bool same = json_equal(found, doc) && version == change->version;
    json_decref(found);
    return same ? ERR_OK : ERR_CONFLICT;
}

static enum err apply(struct txn *txn, void *arg)
{
    const struct change *change = arg;
    const struct collection *c = change->p->c;
    if (change->step == DELETE)
        return doc_delete(txn, c, slice_str(change->text));
    json_t *doc;
    assert_int_equal(json_read_trusted(slice_str(change->text), &doc), ERR_OK);
    enum err err;
    if (change->step == INSERT)
        err = doc_insert(txn, c, doc);
    else if (change->step == REPLACE)
        err = doc_replace(txn, c, doc, change->version);
    else
        err = check(txn, change, doc);
    json_decref(doc);
    return err;
}

static enum err run(struct people *p, enum step step, const char *text, uint64_t version)
{
    struct change change = {p, step, text, version};
    store_fn fn = apply;
    return step == CHECK ? store_read(p->f->store, fn, &change)
                         : store_write(p->f->store, fn, &change);
}

static void insert(struct people *p, const char *text)
{
    assert_int_equal(run(p, INSERT, text, 0), ERR_OK);
}

/* ---- Walks, written down as the ids that they came by. */

struct tour {
    struct people *p;
    struct doc_scan scan;
    char ids[1024]; /* "a b c " */
    unsigned stop_after;
    unsigned count;
    bool delete_all;
    struct txn *txn;
};

static bool note_id(struct slice id, const struct doc *doc, void *arg)
{
    struct tour *tour = arg;
    json_t *tree;
    assert_int_equal(json_read_trusted(doc->json, &tree), ERR_OK);
    assert_true(slice_is(id, json_str(tree, "id", "")));
    json_decref(tree);
    size_t len = strlen(tour->ids);
    snprintf(tour->ids + len, sizeof tour->ids - len, "%.*s ", SLICE_ARG(id));
    if (tour->delete_all)
        assert_int_equal(doc_delete(tour->txn, tour->p->c, id), ERR_OK);
    return ++tour->count != tour->stop_after;
}

static enum err walk(struct txn *txn, void *arg)
{
    struct tour *tour = arg;
    tour->txn = txn;
    return doc_walk(txn, tour->p->c, &tour->scan, note_id, tour);
}

static void assert_walk(struct people *p, struct doc_scan scan, const char *ids)
{
    struct tour tour = {.p = p, .scan = scan};
    assert_int_equal(store_read(p->f->store, walk, &tour), ERR_OK);
    assert_string_equal(tour.ids, ids);
}

static void assert_mail(struct people *p, const char *mail, const char *ids)
{
    json_t *value = json_string(mail);
    assert_walk(p, (struct doc_scan){.index = "mail", .equal = value}, ids);
    assert_walk(p, (struct doc_scan){.index = "mail", .equal = value, .descending = true}, ids);
    json_decref(value);
}

/* ---- By id. */

static void test_collection_keeps_a_document(void **state)
{
    struct people *p = *state;
    insert(p, "{\"id\":\"a\",\"name\":\"Ann\"}");
    assert_int_equal(run(p, CHECK, "{\"id\":\"a\",\"name\":\"Ann\"}", 1), ERR_OK);
    assert_int_equal(run(p, CHECK, "{\"id\":\"b\"}", 1), ERR_NOT_FOUND);
}

static void test_collection_second_insert_of_an_id_is_refused(void **state)
{
    struct people *p = *state;
    insert(p, "{\"id\":\"a\",\"n\":1}");
    assert_int_equal(run(p, INSERT, "{\"id\":\"a\",\"n\":2}", 0), ERR_EXISTS);
    assert_int_equal(run(p, CHECK, "{\"id\":\"a\",\"n\":1}", 1), ERR_OK);
}

static void test_collection_insert_needs_a_fitting_id(void **state)
{
    struct people *p = *state;
    assert_int_equal(run(p, INSERT, "{\"n\":1}", 0), ERR_VALIDATION);
    assert_int_equal(run(p, INSERT, "{\"id\":\"\"}", 0), ERR_VALIDATION);
    assert_int_equal(run(p, INSERT, "{\"id\":1}", 0), ERR_VALIDATION);
    char id[DOC_ID_MAX + 2];
    memset(id, 'x', sizeof id);
    id[DOC_ID_MAX + 1] = 0;
    char text[300];
    snprintf(text, sizeof text, "{\"id\":\"%s\"}", id);
    assert_int_equal(run(p, INSERT, text, 0), ERR_VALIDATION);
    id[DOC_ID_MAX] = 0;
    snprintf(text, sizeof text, "{\"id\":\"%s\"}", id);
    insert(p, text);
    assert_int_equal(run(p, CHECK, text, 1), ERR_OK);
    assert_int_equal(run(p, DELETE, id, 0), ERR_OK);
}

static void test_collection_replacing_counts_the_version_up(void **state)
{
    struct people *p = *state;
    insert(p, "{\"id\":\"a\",\"n\":1}");
    assert_int_equal(run(p, REPLACE, "{\"id\":\"a\",\"n\":2}", 0), ERR_OK);
    assert_int_equal(run(p, REPLACE, "{\"id\":\"a\",\"n\":3}", 2), ERR_OK);
    assert_int_equal(run(p, CHECK, "{\"id\":\"a\",\"n\":3}", 3), ERR_OK);
}

static void test_collection_replacing_another_version_fails_its_precondition(void **state)
{
    struct people *p = *state;
    insert(p, "{\"id\":\"a\",\"n\":1}");
    assert_int_equal(run(p, REPLACE, "{\"id\":\"a\",\"n\":2}", 2), ERR_PRECONDITION);
    assert_int_equal(run(p, CHECK, "{\"id\":\"a\",\"n\":1}", 1), ERR_OK);
}

static void test_collection_changing_what_is_not_there_is_not_found(void **state)
{
    struct people *p = *state;
    assert_int_equal(run(p, REPLACE, "{\"id\":\"a\"}", 0), ERR_NOT_FOUND);
    assert_int_equal(run(p, REPLACE, "{}", 0), ERR_VALIDATION);
    assert_int_equal(run(p, DELETE, "a", 0), ERR_NOT_FOUND);
}

static void test_collection_delete_leaves_nothing_behind(void **state)
{
    struct people *p = *state;
    insert(p, "{\"id\":\"a\",\"mail\":\"a@x\",\"age\":3}");
    assert_int_equal(run(p, DELETE, "a", 0), ERR_OK);
    assert_int_equal(run(p, CHECK, "{\"id\":\"a\"}", 1), ERR_NOT_FOUND);
    assert_walk(p, (struct doc_scan){0}, "");
    assert_mail(p, "a@x", "");
    insert(p, "{\"id\":\"b\",\"mail\":\"a@x\"}");
}

static void test_collections_do_not_see_each_other(void **state)
{
    struct people *p = *state;
    struct people q = {.f = p->f};
    assert_int_equal(collection_open(p->f->store, "peoples", NULL, 0, &q.c), ERR_OK);
    insert(p, "{\"id\":\"a\"}");
    insert(&q, "{\"id\":\"a\"}");
    insert(&q, "{\"id\":\"b\"}");
    assert_walk(p, (struct doc_scan){0}, "a ");
    assert_walk(&q, (struct doc_scan){0}, "a b ");
    collection_close(&q.c);
}

/* ---- Unique indexes. */

static void test_collection_unique_value_is_taken_once(void **state)
{
    struct people *p = *state;
    insert(p, "{\"id\":\"a\",\"mail\":\"a@x\"}");
    insert(p, "{\"id\":\"b\",\"mail\":\"b@x\"}");
    assert_int_equal(run(p, INSERT, "{\"id\":\"c\",\"mail\":\"a@x\"}", 0), ERR_EXISTS);
    assert_int_equal(run(p, CHECK, "{\"id\":\"c\",\"mail\":\"a@x\"}", 1), ERR_NOT_FOUND);
    assert_int_equal(run(p, REPLACE, "{\"id\":\"b\",\"mail\":\"a@x\"}", 0), ERR_EXISTS);
    assert_mail(p, "a@x", "a ");
    assert_mail(p, "b@x", "b ");
}

struct racer {
    struct people *p;
    char text[64];
    enum err err;
};

static void *race_main(void *arg)
{
    struct racer *racer = arg;
    racer->err = run(racer->p, INSERT, racer->text, 0);
    return NULL;
}

static void test_collection_of_many_who_want_a_unique_value_at_once_one_gets_it(void **state)
{
    struct people *p = *state;
    struct racer racers[16];
    pthread_t threads[16];
    for (int i = 0; i < 16; i++) {
        racers[i].p = p;
        snprintf(racers[i].text, sizeof racers[i].text, "{\"id\":\"p%d\",\"mail\":\"a@x\"}", i);
        pthread_create(&threads[i], NULL, race_main, &racers[i]);
    }
    unsigned winners = 0, losers = 0;
    for (int i = 0; i < 16; i++) {
        pthread_join(threads[i], NULL);
        winners += racers[i].err == ERR_OK;
        losers += racers[i].err == ERR_EXISTS;
    }
    assert_int_equal(winners, 1);
    assert_int_equal(losers, 15);
}

static void test_collection_replacing_moves_the_index_entries(void **state)
{
    struct people *p = *state;
    insert(p, "{\"id\":\"a\",\"mail\":\"a@x\",\"age\":3}");
    assert_int_equal(run(p, REPLACE, "{\"id\":\"a\",\"mail\":\"a@x\",\"age\":4}", 0), ERR_OK);
    assert_int_equal(run(p, REPLACE, "{\"id\":\"a\",\"mail\":\"new@x\",\"age\":4.0}", 0), ERR_OK);
    assert_mail(p, "a@x", "");
    assert_mail(p, "new@x", "a ");
    assert_walk(p, (struct doc_scan){.index = "age"}, "a ");
    assert_int_equal(run(p, REPLACE, "{\"id\":\"a\"}", 0), ERR_OK);
    assert_mail(p, "new@x", "");
    assert_walk(p, (struct doc_scan){.index = "age"}, "");
}

/* Two mails that differ behind what fits into a key, and share a hash with nobody. */
static void insert_long(struct people *p, const char *id, char last, enum err expected)
{
    char mail[400];
    memset(mail, 'm', sizeof mail);
    mail[398] = last;
    mail[399] = 0;
    char text[1000];
    snprintf(text, sizeof text, "{\"id\":\"%s\",\"mail\":\"%s\",\"city\":\"%s\"}", id, mail, mail);
    assert_int_equal(run(p, INSERT, text, 0), expected);
    if (expected == ERR_OK)
        assert_mail(p, mail, (char[]){id[0], ' ', 0});
}

static void test_collection_long_values_are_told_apart(void **state)
{
    struct people *p = *state;
    insert_long(p, "a", '1', ERR_OK);
    insert_long(p, "b", '2', ERR_OK);
    insert_long(p, "c", '1', ERR_EXISTS);
    assert_int_equal(run(p, DELETE, "a", 0), ERR_OK);
    insert_long(p, "c", '1', ERR_OK);
}

/* One of these is what the index keeps of the long one. */
static void test_collection_beginnings_of_a_long_value_are_other_values(void **state)
{
    struct people *p = *state;
    char mail[300];
    memset(mail, 'm', sizeof mail);
    char text[400];
    for (int len = 299; len > 0; len--) {
        mail[len] = 0;
        snprintf(text, sizeof text, "{\"id\":\"%d\",\"mail\":\"%s\"}", len, mail);
        insert(p, text);
    }
    for (int len = 299; len > 0; len--) {
        memset(mail, 'm', (size_t)len);
        mail[len] = 0;
        snprintf(text, sizeof text, "%d ", len);
        assert_mail(p, mail, text);
    }
}

/* ---- Walking. */

static void insert_crowd(struct people *p)
{
    insert(p, "{\"id\":\"d\",\"age\":30,\"city\":\"Bonn\"}");
    insert(p, "{\"id\":\"a\",\"age\":9,\"city\":\"Bonn\"}");
    insert(p, "{\"id\":\"c\",\"age\":30.5,\"city\":\"Aachen\"}");
    insert(p, "{\"id\":\"e\",\"age\":-1,\"city\":\"Bonn\"}");
    insert(p, "{\"id\":\"b\",\"age\":30,\"city\":null}");
    insert(p, "{\"id\":\"f\",\"age\":[1],\"city\":true}");
}

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

/* ---- Damage. */

/* The last document's text, which does not end as it did. */
static enum err spoil_last_text(struct txn *txn, void *arg)
{
    (void)arg;
    struct table docs;
    store_table(txn_store(txn), "docs", &docs);
    struct cursor cursor;
    cursor_open(&cursor, txn, docs);
    cursor_seek_before(&cursor, slice_str(""));
    size_t len = cursor.value.len;
    char *value = txn_alloc(txn, len);
    memcpy(value, cursor.value.ptr, len);
    value[len - 1] ^= 1;
    enum err err = cursor_put(&cursor, slice_of(value, len));
    cursor_close(&cursor);
    return err;
}

static void test_collection_damage_in_a_text_costs_that_document_and_no_insertion(void **state)
{
    struct people *p = *state;
    insert(p, "{\"id\":\"a\"}");
    insert(p, "{\"id\":\"b\"}");
    assert_int_equal(store_write(p->f->store, spoil_last_text, NULL), ERR_OK);
    assert_int_equal(run(p, CHECK, "{\"id\":\"b\"}", 1), ERR_DAMAGED);
    assert_int_equal(run(p, INSERT, "{\"id\":\"b\"}", 0), ERR_EXISTS);
    insert(p, "{\"id\":\"c\"}");
    assert_int_equal(run(p, CHECK, "{\"id\":\"a\"}", 1), ERR_OK);
    assert_int_equal(run(p, CHECK, "{\"id\":\"bb\"}", 1), ERR_NOT_FOUND);
    struct store_stats stats;
    store_stats(p->f->store, &stats);
    assert_string_equal(stats.damage,
                        "the record collection 1/b of the table docs, its checksum is wrong");
}

/* ---- The catalog. */

static void test_collection_is_found_again_after_a_restart(void **state)
{
    struct people *p = *state;
    insert_crowd(p);
    collection_close(&p->c);
    reopen_store(p->f);
    assert_int_equal(open_people(p, 3), ERR_OK);
    assert_walk(p, (struct doc_scan){.index = "age"}, "e a b d c ");
}

static void test_collection_with_documents_keeps_its_indexes(void **state)
{
    struct people *p = *state;
    collection_close(&p->c);
    assert_int_equal(open_people(p, 2), ERR_OK); /* empty as yet */
    insert(p, "{\"id\":\"a\"}");
    collection_close(&p->c);
    assert_int_equal(open_people(p, 3), ERR_CONFLICT);
    assert_null(p->c);
    assert_int_equal(open_people(p, 2), ERR_OK);
}

/* ---- Adding to a member. */

struct addition {
    struct people *p;
    const char *id, *member;
    int64_t by, min, value;
    char json[100]; /* the document afterwards */
    uint64_t version;
};

static enum err apply_addition(struct txn *txn, void *arg)
{
    struct addition *a = arg;
    struct doc doc;
    enum err err =
        doc_add(txn, a->p->c, slice_str(a->id), a->member, a->by, a->min, &a->value, &doc);
    snprintf(a->json, sizeof a->json, "%.*s", SLICE_ARG(doc.json));
    a->version = doc.version;
    return err;
}

static enum err add(struct addition *a)
{
    return store_write(a->p->f->store, apply_addition, a);
}

static void test_collection_adding_changes_the_member_alone(void **state)
{
    struct people *p = *state;
    insert(p, "{\"id\":\"a\",\"deep\":{\"coins\":1},\"coins\":9,\"age\":3}");
    struct addition a = {.p = p, .id = "a", .member = "coins", .by = -2};
    assert_int_equal(add(&a), ERR_OK);
    assert_int_equal(a.value, 7);
    assert_string_equal(a.json, "{\"id\":\"a\",\"deep\":{\"coins\":1},\"coins\":7,\"age\":3}");
    assert_int_equal(a.version, 2);
    assert_int_equal(run(p, CHECK, a.json, a.version), ERR_OK);
}

static void test_collection_adding_stops_at_the_minimum(void **state)
{
    struct people *p = *state;
    insert(p, "{\"id\":\"a\",\"coins\":3}");
    struct addition a = {.p = p, .id = "a", .member = "coins", .by = -4, .min = 0};
    assert_int_equal(add(&a), ERR_PRECONDITION);
    assert_int_equal(a.value, 3);
    assert_string_equal(a.json, "{\"id\":\"a\",\"coins\":3}");
    assert_int_equal(run(p, CHECK, a.json, 1), ERR_OK);
    a.by = -3;
    assert_int_equal(add(&a), ERR_OK);
    assert_int_equal(a.value, 0);
}

static void test_collection_adding_needs_a_document_and_an_integer(void **state)
{
    struct people *p = *state;
    insert(p, "{\"id\":\"a\",\"coins\":\"many\",\"most\":9223372036854775807}");
    struct addition a = {.p = p, .id = "b", .member = "coins", .by = 1};
    assert_int_equal(add(&a), ERR_NOT_FOUND);
    assert_string_equal(a.json, "");
    a.id = "a";
    assert_int_equal(add(&a), ERR_VALIDATION);
    a.member = "none";
    assert_int_equal(add(&a), ERR_VALIDATION);
    a.member = "most";
    assert_int_equal(add(&a), ERR_PRECONDITION);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_people, teardown_people)

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
        TEST(test_collection_keeps_a_document),
        TEST(test_collection_second_insert_of_an_id_is_refused),
        TEST(test_collection_insert_needs_a_fitting_id),
        TEST(test_collection_replacing_counts_the_version_up),
        TEST(test_collection_replacing_another_version_fails_its_precondition),
        TEST(test_collection_changing_what_is_not_there_is_not_found),
        TEST(test_collection_delete_leaves_nothing_behind),
        TEST(test_collections_do_not_see_each_other),
        TEST(test_collection_unique_value_is_taken_once),
        TEST(test_collection_of_many_who_want_a_unique_value_at_once_one_gets_it),
        TEST(test_collection_replacing_moves_the_index_entries),
        TEST(test_collection_long_values_are_told_apart),
        TEST(test_collection_beginnings_of_a_long_value_are_other_values),
        TEST(test_collection_walks_by_id),
        TEST(test_collection_walks_by_index),
        TEST(test_collection_walks_the_documents_of_one_value),
        TEST(test_collection_walk_goes_on_where_it_stopped_whatever_has_become_of_the_document),
        TEST(test_collection_place_of_another_walk_is_refused),
        TEST(test_collection_walk_stops_when_told),
        TEST(test_collection_may_be_changed_while_it_is_walked),
        TEST(test_collection_adding_changes_the_member_alone),
        TEST(test_collection_adding_stops_at_the_minimum),
        TEST(test_collection_adding_needs_a_document_and_an_integer),
        TEST(test_collection_damage_in_a_text_costs_that_document_and_no_insertion),
        TEST(test_collection_is_found_again_after_a_restart),
        TEST(test_collection_with_documents_keeps_its_indexes),
        TEST(test_long_walk_goes_on_in_other_snapshots_and_misses_nothing),
        TEST(test_long_walk_ends_where_it_is_told_to),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
