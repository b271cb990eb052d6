/* A pass over everything stored: what it says, and what repairing leaves. */
#include "storage/verify.h"

#include "storage/collection.h"

#include "tests/unit/storage/store_fixture.h"

#define DOCUMENTS 60

static const struct index_spec indexes[] = {{.fields = "owner"},
                                            {.fields = "mail", .unique = true}};

struct shop {
    struct fixture *f;
    struct collection *people;
    struct document_parts *parts;
    struct table docs, texts, entries, sums;
    struct doc_count size;
    unsigned found, mended, salvaged;
    char what[4096]; /* all findings, a line each */
};

/* One in ten has a long text. */
static enum err insert_all(struct txn *txn, void *arg)
{
    const struct shop *s = arg;
    struct buf json = BUF_INIT;
    for (unsigned i = 0; i < DOCUMENTS; i++) {
        buf_clear(&json);
        buf_printf(&json, "{\"id\":\"p%u\",\"owner\":\"o%u\",\"mail\":\"m%u@x\",\"text\":\"%0*u\"}",
                   i, i % 7, i, i % 10 == 3 ? 3000 : 1, i);
        doc_insert_text(txn, s->people, buf_slice(&json));
    }
    buf_release(&json);
    return txn_error(txn);
}

static int setup_shop(void **state)
{
    struct shop *s = calloc(1, sizeof *s);
    void *f;
    setup(&f);
    s->f = f;
    assert_int_equal(collection_open(s->f->store, "people", indexes, 2, &s->people), ERR_OK);
    assert_int_equal(document_parts_create(s->f->store, &s->parts), ERR_OK);
    assert_int_equal(store_table(s->f->store, "docs", &s->docs), ERR_OK);
    assert_int_equal(store_table(s->f->store, "doc_texts", &s->texts), ERR_OK);
    assert_int_equal(store_table(s->f->store, "doc_index", &s->entries), ERR_OK);
    assert_int_equal(store_table(s->f->store, "sums", &s->sums), ERR_OK);
    assert_int_equal(store_write(s->f->store, insert_all, s), ERR_OK);
    *state = s;
    return 0;
}

static int teardown_shop(void **state)
{
    struct shop *s = *state;
    void *f = s->f;
    document_parts_destroy(&s->parts);
    collection_close(&s->people);
    teardown(&f);
    free(s);
    return 0;
}

/* ---- Passes. */

static void note_finding(const char *what, bool mended, void *arg)
{
    struct shop *s = arg;
    size_t len = strlen(s->what);
    s->found++;
    s->mended += mended;
    snprintf(s->what + len, sizeof s->what - len, "%s\n", what);
}

static bool keep(const char *table, struct slice key, struct slice value, void *arg)
{
    struct shop *s = arg;
    assert_true(table[0] && key.len && value.len);
    s->salvaged++;
    return true;
}

/* Returns how many entries it looked at. */
static uint64_t pass(struct shop *s, bool repair)
{
    struct verify_options options = {
        .store = s->f->store, .repair = repair, .found = note_finding, .salvage = keep, .arg = s};
    struct verifier *v = verifier_create(&options);
    document_parts_add(s->parts, v);
    s->found = s->mended = s->salvaged = 0;
    s->what[0] = '\0';
    bool end = false;
    unsigned steps = 0;
    while (!end) {
        assert_int_equal(verifier_step(v, &end), ERR_OK);
        assert_true(++steps < 1000);
    }
    struct verify_figures figures;
    verifier_figures(v, &figures);
    assert_int_equal(figures.passes, 1);
    assert_int_equal(figures.found, s->found);
    verifier_destroy(&v);
    return figures.looked_at;
}

/* ---- Damage, by writing past those who know better. */

struct damage {
    struct table table;
    unsigned entry; /* the so-many-eth of the table */
    unsigned byte;  /* of its value */
    unsigned flip;  /* bits; 0: the entry is taken out */
};

static enum err do_damage(struct txn *txn, void *arg)
{
    const struct damage *d = arg;
    struct cursor cursor;
    cursor_open(&cursor, txn, d->table);
    enum err err = cursor_seek(&cursor, slice_of(NULL, 0));
    for (unsigned i = 0; !err && i < d->entry; i++)
        err = cursor_next(&cursor);
    if (!err && d->flip == 0) {
        err = cursor_del(&cursor);
    } else if (!err) {
        size_t len = cursor.value.len;
        char *copy = txn_alloc(txn, len);
        memcpy(copy, cursor.value.ptr, len);
        copy[d->byte % len] ^= (char)d->flip;
        err = cursor_put(&cursor, slice_of(copy, len));
    }
    cursor_close(&cursor);
    return err;
}

/* False: there is no such entry. */
static bool damage(struct shop *s, struct damage d)
{
    return store_write(s->f->store, do_damage, &d) == ERR_OK;
}

struct count {
    struct shop *s;
    const char *index;
    unsigned documents;
};

static bool count_one(struct slice id, const struct doc *doc, void *arg)
{
    (void)id, (void)doc;
    ((struct count *)arg)->documents++;
    return true;
}

static enum err run_count(struct txn *txn, void *arg)
{
    struct count *count = arg;
    struct doc_scan scan = {.index = count->index};
    return doc_walk(txn, count->s->people, &scan, count_one, count);
}

static unsigned count(struct shop *s, const char *index)
{
    struct count all = {s, index, 0};
    assert_int_equal(store_read(s->f->store, run_count, &all), ERR_OK);
    return all.documents;
}

/* Repairing mends all there is, keeps what cannot be mended, and leaves so many documents. */
static void expect_repaired(struct shop *s, unsigned documents)
{
    pass(s, true);
    assert_true(s->found > 0);
    assert_int_equal(s->mended, s->found);
    pass(s, false);
    assert_string_equal(s->what, "");
    assert_int_equal(count(s, NULL), documents);
    assert_int_equal(count(s, "owner"), documents);
    assert_int_equal(count(s, "mail"), documents);
}

/* ---- */

static void test_verify_finds_nothing_in_what_is_whole(void **state)
{
    struct shop *s = *state;
    uint64_t looked_at = pass(s, false);
    assert_string_equal(s->what, "");
    /* Documents twice, each with its anchor; long texts; entries with theirs. */
    assert_int_equal(looked_at, 2 * (DOCUMENTS + 1) + 6 + 2 * DOCUMENTS + 1);
}

static void test_verify_names_a_damaged_document_and_what_depends_on_it(void **state)
{
    struct shop *s = *state;
    damage(s, (struct damage){s->docs, 5, 30, 1});
    pass(s, false);
    assert_non_null(strstr(s->what, "a document of people, "));
    assert_non_null(strstr(s->what, "checksum"));
    assert_non_null(strstr(s->what, "by index"));
    assert_non_null(strstr(s->what, "an index entry"));
    assert_int_equal(s->mended, 0);
    expect_repaired(s, DOCUMENTS - 1);
}

static void test_verify_keeps_what_it_takes_away(void **state)
{
    struct shop *s = *state;
    damage(s, (struct damage){s->docs, 5, 30, 1});
    pass(s, true);
    assert_int_equal(s->salvaged, 1);
    pass(s, true);
    assert_int_equal(s->salvaged, 0);
}

static void test_verify_makes_entries_and_links_anew(void **state)
{
    struct shop *s = *state;
    damage(s, (struct damage){s->entries, 9, 0, 0});   /* gone */
    damage(s, (struct damage){s->entries, 20, 1, 64}); /* its link */
    damage(s, (struct damage){s->entries, 40, 6, 2});  /* its checksum */
    damage(s, (struct damage){s->docs, 30, 2, 8});     /* its link */
    expect_repaired(s, DOCUMENTS);
}

static void test_verify_long_text_goes_with_its_document(void **state)
{
    struct shop *s = *state;
    damage(s, (struct damage){s->texts, 2, 500, 16});
    expect_repaired(s, DOCUMENTS - 1);
    damage(s, (struct damage){s->texts, 0, 0, 0});
    expect_repaired(s, DOCUMENTS - 2);
}

static void test_verify_repairs_whatever_byte_was_hit(void **state)
{
    struct shop *s = *state;
    const struct table tables[] = {s->docs, s->texts, s->entries};
    const unsigned entries[] = {DOCUMENTS / 2, 3, DOCUMENTS};
    unsigned hits = 0;
    srand(17);
    for (int i = 0; i < 60; i++) {
        unsigned table = (unsigned)i % 3;
        hits +=
            damage(s, (struct damage){tables[table], 1 + (unsigned)rand() % (entries[table] - 1),
                                      (unsigned)rand(), 1u << (rand() % 8)});
        if (i % 4 != 3)
            continue; /* several at once */
        pass(s, true);
        pass(s, true);
        pass(s, false);
        assert_string_equal(s->what, "");
        assert_int_equal(count(s, NULL), count(s, "owner"));
    }
    assert_true(hits > 30);
}

static void test_verify_says_the_same_until_it_is_repaired(void **state)
{
    struct shop *s = *state;
    damage(s, (struct damage){s->entries, 9, 0, 0});
    char before[sizeof s->what];
    pass(s, false);
    memcpy(before, s->what, sizeof before);
    pass(s, false);
    assert_string_equal(s->what, before);
}

/* ---- Sizes: the table has the sum of bytes and that of documents, in this order. */

static enum err read_size(struct txn *txn, void *arg)
{
    struct shop *s = arg;
    return collection_count(txn, s->people, &s->size);
}

static void expect_size_repaired(struct shop *s, const struct doc_count *right)
{
    pass(s, true);
    assert_int_equal(s->found, 1);
    assert_int_equal(s->mended, 1);
    assert_non_null(strstr(s->what, "the size of people"));
    assert_int_equal(store_read(s->f->store, read_size, s), ERR_OK);
    assert_int_equal(s->size.documents, right->documents);
    assert_int_equal(s->size.bytes, right->bytes);
    pass(s, false);
    assert_int_equal(s->found, 0);
}

static void test_verify_counts_sizes_that_are_damaged_or_lost(void **state)
{
    struct shop *s = *state;
    assert_int_equal(store_read(s->f->store, read_size, s), ERR_OK);
    struct doc_count right = s->size;
    assert_int_equal(right.documents, DOCUMENTS);
    damage(s, (struct damage){s->sums, 1, 22, 4});
    assert_int_equal(store_read(s->f->store, read_size, s), ERR_DAMAGED);
    expect_size_repaired(s, &right);
    damage(s, (struct damage){s->sums, 0, 0, 0});
    expect_size_repaired(s, &right);
    damage(s, (struct damage){s->sums, 1, 0, 0});
    expect_size_repaired(s, &right);
}

static enum err add_wrongly(struct txn *txn, void *arg)
{
    const struct shop *s = arg;
    struct cursor cursor;
    cursor_open(&cursor, txn, s->sums);
    enum err err = cursor_seek(&cursor, slice_of(NULL, 0));
    if (!err)
        err = txn_add(txn, s->sums, cursor.key, -3);
    cursor_close(&cursor);
    return err;
}

static void test_verify_finds_a_size_that_is_wrong(void **state)
{
    struct shop *s = *state;
    assert_int_equal(store_read(s->f->store, read_size, s), ERR_OK);
    struct doc_count right = s->size;
    assert_int_equal(store_write(s->f->store, add_wrongly, s), ERR_OK);
    expect_size_repaired(s, &right);
}

/* A repair that takes documents away says so, and not that they are fewer. */
static void test_verify_counts_what_a_repair_has_left(void **state)
{
    struct shop *s = *state;
    damage(s, (struct damage){s->docs, 5, 30, 1});
    pass(s, true);
    assert_null(strstr(s->what, "the size of"));
    pass(s, false);
    assert_string_equal(s->what, "");
    assert_int_equal(store_read(s->f->store, read_size, s), ERR_OK);
    assert_int_equal(s->size.documents, DOCUMENTS - 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_shop, teardown_shop)

static void test_a_table_that_no_part_reads_is_named(void **state)
{
    struct shop *s = *state;
    struct verify_options options = {
        .store = s->f->store, .repair = true, .found = note_finding, .arg = s};
    struct verifier *v = verifier_create(&options);
    document_parts_add(s->parts, v);
    verifier_add_rest(v);
    s->what[0] = '\0';
    for (bool end = false; !end;)
        assert_int_equal(verifier_step(v, &end), ERR_OK);
    verifier_destroy(&v);
    assert_string_equal(s->what, "the table test: nobody knows what belongs into it\n");
    assert_int_equal(s->mended, 0);
}

int main(void)
{
    silence_log();
    const struct CMUnitTest tests[] = {
        TEST(test_verify_finds_nothing_in_what_is_whole),
        TEST(test_verify_names_a_damaged_document_and_what_depends_on_it),
        TEST(test_verify_keeps_what_it_takes_away),
        TEST(test_verify_makes_entries_and_links_anew),
        TEST(test_verify_long_text_goes_with_its_document),
        TEST(test_verify_repairs_whatever_byte_was_hit),
        TEST(test_verify_says_the_same_until_it_is_repaired),
        TEST(test_verify_counts_sizes_that_are_damaged_or_lost),
        TEST(test_verify_finds_a_size_that_is_wrong),
        TEST(test_verify_counts_what_a_repair_has_left),
        TEST(test_a_table_that_no_part_reads_is_named),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
