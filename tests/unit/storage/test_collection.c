#include "tests/unit/storage/people.h"

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
        TEST(test_collection_adding_changes_the_member_alone),
        TEST(test_collection_adding_stops_at_the_minimum),
        TEST(test_collection_adding_needs_a_document_and_an_integer),
        TEST(test_collection_damage_in_a_text_costs_that_document_and_no_insertion),
        TEST(test_collection_is_found_again_after_a_restart),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
