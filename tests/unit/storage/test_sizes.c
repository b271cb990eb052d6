/* How much there is of each collection. */
#include "tests/unit/storage/people.h"

struct look {
    struct people *p;
    struct doc_count size;
};

static enum err look(struct txn *txn, void *arg)
{
    struct look *l = arg;
    return collection_count(txn, l->p->c, &l->size);
}

static void assert_size(struct people *p, uint64_t documents, uint64_t bytes)
{
    struct look l = {.p = p};
    assert_int_equal(store_read(p->f->store, look, &l), ERR_OK);
    assert_int_equal(l.size.documents, documents);
    assert_int_equal(l.size.bytes, bytes);
}

static const char small[] = "{\"id\":\"a\",\"age\":9}", other[] = "{\"id\":\"b\",\"age\":10}";

static void test_new_collection_has_nothing(void **state)
{
    assert_size(*state, 0, 0);
}

static void test_size_follows_each_change(void **state)
{
    struct people *p = *state;
    insert(p, small);
    insert(p, other);
    assert_size(p, 2, strlen(small) + strlen(other));
    assert_int_equal(run(p, REPLACE, "{\"id\":\"a\"}", 0), ERR_OK);
    assert_size(p, 2, strlen("{\"id\":\"a\"}") + strlen(other));
    assert_int_equal(run(p, DELETE, "a", 0), ERR_OK);
    assert_size(p, 1, strlen(other));
}

static void test_change_that_is_refused_counts_nothing(void **state)
{
    struct people *p = *state;
    insert(p, small);
    assert_int_equal(run(p, INSERT, small, 0), ERR_EXISTS);
    assert_int_equal(run(p, REPLACE, "{\"id\":\"a\",\"age\":1000}", 7), ERR_PRECONDITION);
    assert_int_equal(run(p, DELETE, "b", 0), ERR_NOT_FOUND);
    assert_size(p, 1, strlen(small));
}

static enum err add_to_age(struct txn *txn, void *arg)
{
    const struct people *p = arg;
    int64_t value;
    return doc_add(txn, p->c, slice_str("a"), "coins", 91, 0, &value, NULL);
}

static void test_size_follows_what_is_added_to_a_member(void **state)
{
    struct people *p = *state;
    insert(p, "{\"id\":\"a\",\"coins\":9}");
    assert_int_equal(store_write(p->f->store, add_to_age, p), ERR_OK);
    assert_size(p, 1, strlen("{\"id\":\"a\",\"coins\":100}"));
}

static void test_long_texts_count_in_full(void **state)
{
    struct people *p = *state;
    char text[5000];
    int len = snprintf(text, sizeof text, "{\"id\":\"a\",\"text\":\"%04000d\"}", 7);
    insert(p, text);
    assert_size(p, 1, (uint64_t)len);
    assert_int_equal(run(p, REPLACE, small, 0), ERR_OK);
    assert_size(p, 1, strlen(small));
    assert_int_equal(run(p, REPLACE, text, 0), ERR_OK);
    assert_int_equal(run(p, DELETE, "a", 0), ERR_OK);
    assert_size(p, 0, 0);
}

/* ---- Directories that do not have it. */

static enum err forget_sums(struct txn *txn, void *arg)
{
    const struct table *sums = arg;
    struct slice keys[8];
    unsigned count;
    return txn_claim(txn, *sums, slice_of(NULL, 0), 8, keys, &count);
}

static void test_documents_of_an_older_program_are_counted_at_the_start(void **state)
{
    struct people *p = *state;
    char text[5000];
    int len = snprintf(text, sizeof text, "{\"id\":\"c\",\"text\":\"%04000d\"}", 7);
    insert(p, small);
    insert(p, other);
    insert(p, text);
    struct table sums;
    assert_int_equal(store_table(p->f->store, "sums", &sums), ERR_OK);
    assert_int_equal(store_write(p->f->store, forget_sums, &sums), ERR_OK);
    struct look l = {.p = p};
    assert_int_equal(store_read(p->f->store, look, &l), ERR_DAMAGED);
    collection_close(&p->c);
    reopen_store(p->f);
    assert_int_equal(open_people(p, 3), ERR_OK);
    assert_size(p, 3, strlen(small) + strlen(other) + (size_t)len);
    assert_int_equal(run(p, DELETE, "a", 0), ERR_OK);
    assert_size(p, 2, strlen(other) + (size_t)len);
}

static void test_other_indexes_leave_the_size_as_it_is(void **state)
{
    struct people *p = *state;
    struct table sums;
    insert(p, small);
    insert(p, other);
    for (unsigned indexes = 2; indexes > 0; indexes--) {
        collection_close(&p->c);
        assert_int_equal(open_people(p, indexes), ERR_OK);
        assert_size(p, 2, strlen(small) + strlen(other));
        assert_int_equal(store_table(p->f->store, "sums", &sums), ERR_OK);
        assert_int_equal(store_write(p->f->store, forget_sums, &sums), ERR_OK);
    }
    collection_close(&p->c);
    assert_int_equal(open_people(p, 3), ERR_OK);
    assert_int_equal(run(p, DELETE, "a", 0), ERR_OK);
    assert_size(p, 1, strlen(other));
}

/* ---- All of them. */

struct tour_of_all {
    char text[200];
};

static void note_collection(const struct collection_size *size, void *arg)
{
    struct tour_of_all *tour = arg;
    size_t len = strlen(tour->text);
    snprintf(tour->text + len, sizeof tour->text - len, "%s %d %d ", size->name,
             (int)size->documents, (int)size->bytes);
}

static void test_all_collections_are_measured_be_their_sums_known_or_not(void **state)
{
    struct people *p = *state;
    struct collection *animals;
    struct table sums;
    assert_int_equal(collection_open(p->f->store, "animals", NULL, 0, &animals), ERR_OK);
    collection_close(&animals);
    insert(p, small);
    assert_int_equal(store_table(p->f->store, "sums", &sums), ERR_OK);
    for (int i = 0; i < 2; i++) {
        struct tour_of_all tour = {{0}};
        assert_int_equal(collections_measure(p->f->store, note_collection, &tour), ERR_OK);
        assert_string_equal(tour.text, "people 1 18 animals 0 0 ");
        assert_int_equal(store_write(p->f->store, forget_sums, &sums), ERR_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_new_collection_has_nothing),
        TEST(test_size_follows_each_change),
        TEST(test_change_that_is_refused_counts_nothing),
        TEST(test_size_follows_what_is_added_to_a_member),
        TEST(test_long_texts_count_in_full),
        TEST(test_documents_of_an_older_program_are_counted_at_the_start),
        TEST(test_other_indexes_leave_the_size_as_it_is),
        TEST(test_all_collections_are_measured_be_their_sums_known_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
