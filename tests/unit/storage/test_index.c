/* Indexes over more than a member at the top: dotted, compound, of arrays, sparse or not; and
 * drafts. */
#include "storage/collection.h"

#include "tests/unit/storage/store_fixture.h"

struct shelf {
    struct fixture *f;
    struct collection *c;
};

static void open_shelf(struct shelf *s, struct index_spec spec)
{
    collection_close(&s->c);
    assert_int_equal(collection_open(s->f->store, "books", &spec, 1, &s->c), ERR_OK);
}

static int setup_shelf(void **state)
{
    struct shelf *s = calloc(1, sizeof *s);
    setup((void **)state);
    s->f = *state;
    *state = s;
    return 0;
}

static int teardown_shelf(void **state)
{
    struct shelf *s = *state;
    void *f = s->f;
    collection_close(&s->c);
    teardown(&f);
    free(s);
    return 0;
}

/* ---- Steps. */

struct job {
    struct shelf *s;
    const char *text;
    enum err (*write)(struct txn *txn, const struct collection *c, struct slice json);
};

static enum err run_job(struct txn *txn, void *arg)
{
    const struct job *job = arg;
    return job->write(txn, job->s->c, slice_str(job->text));
}

static enum err insert(struct shelf *s, const char *text)
{
    struct job job = {s, text, doc_insert_text};
    return store_write(s->f->store, run_job, &job);
}

static enum err replace_text(struct txn *txn, const struct collection *c, struct slice json)
{
    return doc_replace_text(txn, c, json, 0);
}

static void replace(struct shelf *s, const char *text)
{
    struct job job = {s, text, replace_text};
    assert_int_equal(store_write(s->f->store, run_job, &job), ERR_OK);
}

static void put_book(struct shelf *s, const char *text)
{
    assert_int_equal(insert(s, text), ERR_OK);
}

struct list {
    struct shelf *s;
    struct doc_scan scan;
    char ids[1024];
};

static bool note_id(struct slice id, const struct doc *doc, void *arg)
{
    (void)doc;
    struct list *list = arg;
    size_t len = strlen(list->ids);
    snprintf(list->ids + len, sizeof list->ids - len, "%.*s ", SLICE_ARG(id));
    return true;
}

static enum err walk(struct txn *txn, void *arg)
{
    struct list *list = arg;
    return doc_walk(txn, list->s->c, &list->scan, note_id, list);
}

/* The ids of the documents whose values in the index are `equal`, a text of JSON; NULL: all of it.
 */
static void assert_found(struct shelf *s, const char *index, const char *equal, const char *ids)
{
    json_t *value = equal ? json_loads(equal, JSON_DECODE_ANY, NULL) : NULL;
    struct list list = {.s = s, .scan = {.index = index, .equal = value}};
    assert_int_equal(store_read(s->f->store, walk, &list), ERR_OK);
    assert_string_equal(list.ids, ids);
    json_decref(value);
}

/* ---- Fields. */

static void test_index_follows_dots(void **state)
{
    struct shelf *s = *state;
    open_shelf(s, (struct index_spec){.fields = "at.city", .sparse = true});
    put_book(s, "{\"id\":\"a\",\"at\":{\"city\":\"Bonn\"}}");
    put_book(s, "{\"id\":\"b\",\"at\":{\"city\":7}}");
    put_book(s, "{\"id\":\"c\",\"at\":\"Bonn\",\"city\":\"Bonn\"}");
    put_book(s, "{\"id\":\"d\",\"at\":[{\"city\":\"Bonn\"}]}");
    assert_found(s, "at.city", "\"Bonn\"", "a ");
    assert_found(s, "at.city", NULL, "b a ");
}

static void test_index_has_an_entry_for_each_element(void **state)
{
    struct shelf *s = *state;
    open_shelf(s, (struct index_spec){.fields = "tags[]", .sparse = true});
    put_book(s, "{\"id\":\"a\",\"tags\":[\"x\",\"y\",\"x\"]}");
    put_book(s, "{\"id\":\"b\",\"tags\":[\"y\",1]}");
    put_book(s, "{\"id\":\"c\",\"tags\":[]}");
    put_book(s, "{\"id\":\"d\",\"tags\":\"x\"}");
    assert_found(s, "tags[]", "\"x\"", "a ");
    assert_found(s, "tags[]", "\"y\"", "a b ");
    assert_found(s, "tags[]", NULL, "b a a b ");
    replace(s, "{\"id\":\"a\",\"tags\":[\"y\",\"z\"]}");
    assert_found(s, "tags[]", "\"x\"", "");
    assert_found(s, "tags[]", NULL, "b a b a ");
}

static void test_index_goes_through_arrays_of_objects(void **state)
{
    struct shelf *s = *state;
    open_shelf(s, (struct index_spec){.fields = "items[].sku", .sparse = true});
    put_book(s, "{\"id\":\"a\",\"items\":[{\"sku\":\"p\"},{\"sku\":\"q\"},{}]}");
    put_book(s, "{\"id\":\"b\",\"items\":[{\"sku\":\"q\"}]}");
    assert_found(s, "items[].sku", "\"q\"", "a b ");
}

static void test_index_of_several_fields_orders_by_each(void **state)
{
    struct shelf *s = *state;
    open_shelf(s, (struct index_spec){.fields = "user,year,tags[]"});
    put_book(s, "{\"id\":\"a\",\"user\":\"u\",\"year\":2,\"tags\":[\"x\"]}");
    put_book(s, "{\"id\":\"b\",\"user\":\"u\",\"year\":1,\"tags\":[\"y\",\"x\"]}");
    put_book(s, "{\"id\":\"c\",\"user\":\"t\",\"year\":9,\"tags\":[\"x\"]}");
    put_book(s, "{\"id\":\"d\",\"user\":\"u\"}");
    assert_found(s, "user,year,tags[]", NULL, "c d b b a ");
    assert_found(s, "user,year,tags[]", "\"u\"", "d b b a ");
    assert_found(s, "user,year,tags[]", "[\"u\",1]", "b b ");
    assert_found(s, "user,year,tags[]", "[\"u\",1,\"y\"]", "b ");
    assert_found(s, "user,year,tags[]", "[\"u\",null]", "d ");
    assert_found(s, "user,year,tags[]", "[\"u\",1,\"y\",2]", "");
}

static void test_index_counts_what_is_missing_as_null_unless_it_is_sparse(void **state)
{
    struct shelf *s = *state;
    open_shelf(s, (struct index_spec){.fields = "n"});
    put_book(s, "{\"id\":\"a\"}");
    put_book(s, "{\"id\":\"b\",\"n\":null}");
    put_book(s, "{\"id\":\"c\",\"n\":{}}");
    put_book(s, "{\"id\":\"d\",\"n\":0}");
    assert_found(s, "n", "null", "a b c ");
    assert_found(s, "n", NULL, "a b c d ");
}

static void test_index_that_is_sparse_leaves_out_who_has_none_of_its_fields(void **state)
{
    struct shelf *s = *state;
    open_shelf(s, (struct index_spec){.fields = "m,n", .sparse = true});
    put_book(s, "{\"id\":\"a\"}");
    put_book(s, "{\"id\":\"b\",\"n\":1}");
    put_book(s, "{\"id\":\"c\",\"m\":true}");
    assert_found(s, "m,n", NULL, "b c ");
}

static void test_index_that_is_unique_takes_each_combination_once(void **state)
{
    struct shelf *s = *state;
    open_shelf(s, (struct index_spec){.fields = "user,slug", .unique = true});
    put_book(s, "{\"id\":\"a\",\"user\":\"u\",\"slug\":\"x\"}");
    put_book(s, "{\"id\":\"b\",\"user\":\"u\",\"slug\":\"y\"}");
    put_book(s, "{\"id\":\"c\",\"user\":\"v\",\"slug\":\"x\"}");
    assert_int_equal(insert(s, "{\"id\":\"d\",\"user\":\"v\",\"slug\":\"x\"}"), ERR_EXISTS);
    assert_found(s, "user,slug", "[\"v\",\"x\"]", "c ");
    assert_found(s, "user,slug", NULL, "a b c ");
    replace(s, "{\"id\":\"c\",\"user\":\"v\",\"slug\":\"x\",\"more\":1}");
}

static void test_index_that_is_unique_over_elements_shares_none(void **state)
{
    struct shelf *s = *state;
    open_shelf(s, (struct index_spec){.fields = "names[]", .unique = true, .sparse = true});
    put_book(s, "{\"id\":\"a\",\"names\":[\"x\",\"y\"]}");
    assert_int_equal(insert(s, "{\"id\":\"b\",\"names\":[\"z\",\"y\"]}"), ERR_EXISTS);
    replace(s, "{\"id\":\"a\",\"names\":[\"x\"]}");
    put_book(s, "{\"id\":\"b\",\"names\":[\"z\",\"y\"]}");
    put_book(s, "{\"id\":\"c\"}");
    put_book(s, "{\"id\":\"d\"}");
}

static void test_index_definitions_that_mean_nothing_are_refused(void **state)
{
    struct shelf *s = *state;
    static const char *const wrong[] = {"",
                                        "a,",
                                        ",a",
                                        "a..b",
                                        ".a",
                                        "a.",
                                        "[]",
                                        "a[b]",
                                        "a[]b",
                                        "a,b,c,d,e",
                                        "a\"b",
                                        "a\\b",
                                        "a.b.c.d.e.f.g.h.i"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct index_spec spec = {.fields = wrong[i]};
        assert_int_equal(collection_open(s->f->store, "wrong", &spec, 1, &s->c), ERR_VALIDATION);
        assert_null(s->c);
    }
}

static void test_index_of_a_thousand_elements_is_the_most(void **state)
{
    struct shelf *s = *state;
    open_shelf(s, (struct index_spec){.fields = "n[]"});
    struct buf text = BUF_INIT;
    buf_append_str(&text, "{\"id\":\"a\",\"n\":[0");
    for (int i = 1; i < 1000; i++)
        buf_printf(&text, ",%d", i);
    size_t len = text.len;
    buf_append(&text, "]}", 3);
    put_book(s, text.data);
    text.len = len;
    text.data[7] = 'b';
    buf_append(&text, ",1000]}", 8);
    assert_int_equal(insert(s, text.data), ERR_VALIDATION);
    buf_release(&text);
    assert_found(s, "n[]", "999", "a ");
}

/* ---- UUIDs stand in keys as 16 bytes, and come back as they were. */

static void test_index_keeps_ids_that_are_uuids_apart_from_texts(void **state)
{
    struct shelf *s = *state;
    open_shelf(s, (struct index_spec){.fields = "by"});
    static const char lower[] = "018f0000-0000-7000-8000-00000000000a",
                      upper[] = "018F0000-0000-7000-8000-00000000000A";
    char text[200];
    snprintf(text, sizeof text, "{\"id\":\"%s\",\"by\":\"%s\"}", lower, upper);
    put_book(s, text);
    snprintf(text, sizeof text, "{\"id\":\"%s\",\"by\":\"%s\"}", upper, lower);
    put_book(s, text);
    char found[100];
    snprintf(found, sizeof found, "%s ", upper);
    snprintf(text, sizeof text, "\"%s\"", lower);
    assert_found(s, "by", text, found);
    snprintf(found, sizeof found, "%s ", lower);
    snprintf(text, sizeof text, "\"%s\"", upper);
    assert_found(s, "by", text, found);
    snprintf(found, sizeof found, "%s %s ", upper, lower);
    assert_found(s, NULL, NULL, found);
}

/* ---- Long texts. */

struct doc_check {
    struct shelf *s;
    const char *id;
    size_t len;
};

static enum err check_length(struct txn *txn, void *arg)
{
    const struct doc_check *check = arg;
    struct doc doc;
    enum err err = doc_get(txn, check->s->c, slice_str(check->id), &doc);
    return !err && doc.json.len != check->len ? ERR_CONFLICT : err;
}

static void test_index_and_document_change_with_a_text_that_grows_and_shrinks(void **state)
{
    struct shelf *s = *state;
    open_shelf(s, (struct index_spec){.fields = "n"});
    put_book(s, "{\"id\":\"a\",\"n\":0}");
    static const size_t sizes[] = {1599, 1600, 1601, 100000, 1601, 40, 1 << 20, 1600};
    for (int i = 0; i < 8; i++) {
        char *text = malloc(sizes[i] + 1);
        memset(text, ' ', sizes[i]);
        int head = snprintf(text, sizes[i], "{\"id\":\"a\",\"n\":%d", i + 1);
        text[head] = ' ';
        text[sizes[i] - 1] = '}';
        text[sizes[i]] = '\0';
        replace(s, text);
        struct doc_check check = {s, "a", sizes[i]};
        assert_int_equal(store_read(s->f->store, check_length, &check), ERR_OK);
        char n[16];
        snprintf(n, sizeof n, "%d", i + 1);
        assert_found(s, "n", n, "a ");
        assert_found(s, "n", NULL, "a ");
        free(text);
    }
}

/* ---- Drafts. */

struct draft_job {
    const struct doc_draft *draft;
    enum err after; /* what the closure returns when the write worked */
    unsigned runs;
};

static enum err write_draft(struct txn *txn, void *arg)
{
    struct draft_job *job = arg;
    job->runs++;
    enum err err = doc_insert_draft(txn, job->draft);
    return err ? err : job->after;
}

static void test_draft_may_be_written_again(void **state)
{
    struct shelf *s = *state;
    open_shelf(s, (struct index_spec){.fields = "n", .unique = true});
    struct doc_draft *draft;
    struct slice json = slice_str("{\"id\":\"a\",\"n\":1}");
    assert_int_equal(doc_draft_create(s->c, json, &draft), ERR_OK);
    struct draft_job job = {.draft = draft, .after = ERR_CONFLICT};
    assert_int_equal(store_write(s->f->store, write_draft, &job), ERR_CONFLICT);
    assert_found(s, "n", NULL, "");
    job.after = ERR_OK;
    assert_int_equal(store_write(s->f->store, write_draft, &job), ERR_OK);
    assert_int_equal(store_write(s->f->store, write_draft, &job), ERR_EXISTS);
    assert_found(s, "n", NULL, "a ");
    doc_draft_destroy(&draft);
    assert_int_equal(doc_draft_create(s->c, slice_str("{\"n\":1}"), &draft), ERR_VALIDATION);
    assert_null(draft);
}

/* Its mates would run twice if it had written anything before it failed. */
static void test_duplicate_spoils_no_batch(void **state)
{
    struct shelf *s = *state;
    open_shelf(s, (struct index_spec){.fields = "n", .unique = true});
    static const char *const texts[] = {"{\"id\":\"a\",\"n\":1}", "{\"id\":\"b\",\"n\":1}",
                                        "{\"id\":\"a\",\"n\":2}", "{\"id\":\"c\",\"n\":3}"};
    static const enum err results[] = {ERR_OK, ERR_EXISTS, ERR_EXISTS, ERR_OK};
    struct doc_draft *drafts[4];
    struct draft_job jobs[4];
    struct call calls[4];
    struct gate gate;
    gate_close(&gate, s->f->store);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(doc_draft_create(s->c, slice_str(texts[i]), &drafts[i]), ERR_OK);
        jobs[i] = (struct draft_job){.draft = drafts[i]};
        call_queue(&calls[i], s->f->store, write_draft, &jobs[i]);
    }
    gate_open(&gate);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(call_finish(&calls[i]), results[i]);
        assert_int_equal(jobs[i].runs, 1);
        doc_draft_destroy(&drafts[i]);
    }
    assert_found(s, "n", NULL, "a c ");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_shelf, teardown_shelf)

int main(void)
{
    silence_log();
    const struct CMUnitTest tests[] = {
        TEST(test_index_follows_dots),
        TEST(test_index_has_an_entry_for_each_element),
        TEST(test_index_goes_through_arrays_of_objects),
        TEST(test_index_of_several_fields_orders_by_each),
        TEST(test_index_counts_what_is_missing_as_null_unless_it_is_sparse),
        TEST(test_index_that_is_sparse_leaves_out_who_has_none_of_its_fields),
        TEST(test_index_that_is_unique_takes_each_combination_once),
        TEST(test_index_that_is_unique_over_elements_shares_none),
        TEST(test_index_definitions_that_mean_nothing_are_refused),
        TEST(test_index_of_a_thousand_elements_is_the_most),
        TEST(test_index_keeps_ids_that_are_uuids_apart_from_texts),
        TEST(test_index_and_document_change_with_a_text_that_grows_and_shrinks),
        TEST(test_draft_may_be_written_again),
        TEST(test_duplicate_spoils_no_batch),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
