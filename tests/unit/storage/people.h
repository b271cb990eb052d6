/* A collection of people for tests of collections, and walks over it as texts. */
#ifndef GALLEY_TESTS_STORAGE_PEOPLE_H
#define GALLEY_TESTS_STORAGE_PEOPLE_H

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

static inline enum err open_people(struct people *p, unsigned index_count)
{
    return collection_open(p->f->store, "people", people_indexes, index_count, &p->c);
}

static inline int setup_people(void **state)
{
    struct people *p = calloc(1, sizeof *p);
    setup((void **)state);
    p->f = *state;
    assert_int_equal(open_people(p, 3), ERR_OK);
    *state = p;
    return 0;
}

static inline int teardown_people(void **state)
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

static inline enum err check(struct txn *txn, const struct change *change, const json_t *doc)
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

static inline enum err apply(struct txn *txn, void *arg)
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

static inline enum err run(struct people *p, enum step step, const char *text, uint64_t version)
{
    struct change change = {p, step, text, version};
    store_fn fn = apply;
    return step == CHECK ? store_read(p->f->store, fn, &change)
                         : store_write(p->f->store, fn, &change);
}

static inline void insert(struct people *p, const char *text)
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

static inline bool note_id(struct slice id, const struct doc *doc, void *arg)
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

static inline enum err walk(struct txn *txn, void *arg)
{
    struct tour *tour = arg;
    tour->txn = txn;
    return doc_walk(txn, tour->p->c, &tour->scan, note_id, tour);
}

static inline void assert_walk(struct people *p, struct doc_scan scan, const char *ids)
{
    struct tour tour = {.p = p, .scan = scan};
    assert_int_equal(store_read(p->f->store, walk, &tour), ERR_OK);
    assert_string_equal(tour.ids, ids);
}

static inline void assert_mail(struct people *p, const char *mail, const char *ids)
{
    json_t *value = json_string(mail);
    assert_walk(p, (struct doc_scan){.index = "mail", .equal = value}, ids);
    assert_walk(p, (struct doc_scan){.index = "mail", .equal = value, .descending = true}, ids);
    json_decref(value);
}

/* ---- Some of them. */

static inline void insert_crowd(struct people *p)
{
    insert(p, "{\"id\":\"d\",\"age\":30,\"city\":\"Bonn\"}");
    insert(p, "{\"id\":\"a\",\"age\":9,\"city\":\"Bonn\"}");
    insert(p, "{\"id\":\"c\",\"age\":30.5,\"city\":\"Aachen\"}");
    insert(p, "{\"id\":\"e\",\"age\":-1,\"city\":\"Bonn\"}");
    insert(p, "{\"id\":\"b\",\"age\":30,\"city\":null}");
    insert(p, "{\"id\":\"f\",\"age\":[1],\"city\":true}");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_people, teardown_people)

#endif
