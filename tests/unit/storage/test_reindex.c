/* Other indexes for a collection that has documents: built, refused, interrupted. */
#include "storage/collection.h"

#include "storage/verify.h"
#include "tests/unit/storage/store_fixture.h"

#define DOCUMENTS 700 /* several chunks */

static const struct index_spec by_owner[] = {{.fields = "owner"}};
static const struct index_spec by_owner_and_mail[] = {
    {.fields = "owner"}, {.fields = "mail", .unique = true}, {.fields = "tags[]", .sparse = true}};
static const struct index_spec by_kind[] = {{.fields = "kind", .unique = true}};

struct box {
    struct fixture *f;
    struct collection *c;
    struct document_parts *parts;
};

static enum err open_with(struct box *b, const struct index_spec *indexes, unsigned count)
{
    if (b->c)
        collection_close(&b->c);
    return collection_open(b->f->store, "things", indexes, count, &b->c);
}

static enum err insert_all(struct txn *txn, void *arg)
{
    const struct box *b = arg;
    for (unsigned i = 0; i < DOCUMENTS; i++) {
        char json[160];
        int len = snprintf(json, sizeof json,
                           "{\"id\":\"t%03u\",\"owner\":\"o%u\",\"mail\":\"m%u\",\"tags\":[%u,%u],"
                           "\"kind\":%u}",
                           i, i % 7, i, i % 3, 7, i < DOCUMENTS - 1 ? i : 0);
        doc_insert_text(txn, b->c, slice_of(json, (size_t)len));
    }
    return txn_error(txn);
}

static int setup_box(void **state)
{
    struct box *b = calloc(1, sizeof *b);
    void *f;
    setup(&f);
    b->f = f;
    assert_int_equal(open_with(b, by_owner, 1), ERR_OK);
    assert_int_equal(document_parts_create(b->f->store, &b->parts), ERR_OK);
    assert_int_equal(store_write(b->f->store, insert_all, b), ERR_OK);
    *state = b;
    return 0;
}

static int teardown_box(void **state)
{
    struct box *b = *state;
    void *f = b->f;
    document_parts_destroy(&b->parts);
    collection_close(&b->c);
    teardown(&f);
    free(b);
    return 0;
}

/* ---- What there is */

static bool count_one(struct slice id, const struct doc *doc, void *arg)
{
    (void)id, (void)doc;
    ++*(unsigned *)arg;
    return true;
}

/* The documents that an index has. */
static unsigned count_by(struct box *b, const char *index, json_t *equal)
{
    unsigned count = 0;
    struct doc_scan scan = {.index = index, .equal = equal};
    assert_int_equal(doc_walk_all(b->f->store, b->c, &scan, count_one, &count), ERR_OK);
    json_decref(equal);
    return count;
}

static void note_finding(const char *what, bool mended, void *arg)
{
    (void)mended;
    ++*(unsigned *)arg;
    print_message("%s\n", what);
}

/* Documents and entries agree, and nothing lies about. */
static void assert_whole(struct box *b)
{
    unsigned found = 0;
    struct verify_options options = {.store = b->f->store, .found = note_finding, .arg = &found};
    struct verifier *v = verifier_create(&options);
    document_parts_add(b->parts, v);
    for (bool end = false; !end;)
        assert_int_equal(verifier_step(v, &end), ERR_OK);
    verifier_destroy(&v);
    assert_int_equal(found, 0);
}

static enum err count_entries(struct txn *txn, void *arg)
{
    struct box *b = arg;
    struct table entries;
    assert_int_equal(store_table(b->f->store, "doc_index", &entries), ERR_OK);
    struct cursor cursor;
    unsigned count = 0;
    cursor_open(&cursor, txn, entries);
    for (enum err err = cursor_seek(&cursor, slice_of(NULL, 0)); !err; err = cursor_next(&cursor))
        count++;
    cursor_close(&cursor);
    b->f->table.handle = count;
    return ERR_OK;
}

static unsigned entries_of(struct box *b)
{
    assert_int_equal(store_read(b->f->store, count_entries, b), ERR_OK);
    return b->f->table.handle - 1; /* the anchor */
}

/* ---- */

static void test_reindex_builds_what_is_new_and_deletes_what_is_gone(void **state)
{
    struct box *b = *state;
    assert_int_equal(open_with(b, by_owner_and_mail, 3), ERR_OK);
    assert_int_equal(count_by(b, "owner", NULL), DOCUMENTS);
    assert_int_equal(count_by(b, "mail", json_string("m699")), 1);
    assert_int_equal(count_by(b, "tags[]", json_integer(7)), DOCUMENTS);
    assert_int_equal(entries_of(b), 4 * DOCUMENTS);
    assert_whole(b);
    assert_int_equal(open_with(b, by_owner_and_mail + 1, 1), ERR_OK);
    assert_int_equal(count_by(b, "mail", NULL), DOCUMENTS);
    assert_int_equal(entries_of(b), DOCUMENTS);
    assert_whole(b);
    assert_int_equal(open_with(b, NULL, 0), ERR_OK);
    assert_int_equal(entries_of(b), 0);
}

static void test_reindex_stays_after_a_restart(void **state)
{
    struct box *b = *state;
    assert_int_equal(open_with(b, by_owner_and_mail, 3), ERR_OK);
    collection_close(&b->c);
    document_parts_destroy(&b->parts);
    reopen_store(b->f);
    assert_int_equal(document_parts_create(b->f->store, &b->parts), ERR_OK);
    assert_int_equal(open_with(b, by_owner_and_mail, 3), ERR_OK);
    assert_int_equal(count_by(b, "mail", NULL), DOCUMENTS);
    assert_whole(b);
}

/* The last document spoils it: what the chunks before have written is not damage, and goes. */
static void test_reindex_that_documents_object_to_changes_nothing(void **state)
{
    struct box *b = *state;
    assert_int_equal(open_with(b, by_kind, 1), ERR_EXISTS);
    assert_null(b->c);
    assert_true(entries_of(b) > DOCUMENTS);
    assert_whole(b);
    assert_int_equal(open_with(b, by_owner, 1), ERR_OK);
    assert_int_equal(entries_of(b), DOCUMENTS);
    assert_int_equal(count_by(b, "owner", NULL), DOCUMENTS);
    assert_whole(b);
}

static void test_reindex_that_was_interrupted_can_be_done_again(void **state)
{
    struct box *b = *state;
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(open_with(b, by_kind, 1), ERR_EXISTS);
    assert_int_equal(open_with(b, by_owner_and_mail, 3), ERR_OK);
    assert_int_equal(entries_of(b), 4 * DOCUMENTS);
    assert_whole(b);
}

static enum err insert_one(struct txn *txn, void *arg)
{
    const struct box *b = arg;
    return doc_insert_text(txn, b->c, slice_str("{\"id\":\"x\",\"owner\":\"o1\",\"mail\":\"mx\"}"));
}

static void test_reindex_is_followed_by_writes_as_ever(void **state)
{
    struct box *b = *state;
    assert_int_equal(open_with(b, by_owner_and_mail, 3), ERR_OK);
    assert_int_equal(store_write(b->f->store, insert_one, b), ERR_OK);
    assert_int_equal(count_by(b, "mail", json_string("mx")), 1);
    assert_int_equal(count_by(b, "owner", NULL), DOCUMENTS + 1);
    assert_whole(b);
}

#define BOX_TEST(name) cmocka_unit_test_setup_teardown(name, setup_box, teardown_box)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOX_TEST(test_reindex_builds_what_is_new_and_deletes_what_is_gone),
        BOX_TEST(test_reindex_stays_after_a_restart),
        BOX_TEST(test_reindex_that_documents_object_to_changes_nothing),
        BOX_TEST(test_reindex_that_was_interrupted_can_be_done_again),
        BOX_TEST(test_reindex_is_followed_by_writes_as_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
