/* The catalog: which collections and indexes there are, and the numbers that stand for them in
 * keys.
 *
 * DESIGN. It is one record, so that none of it can be lost without all of it being damaged. Numbers
 * are given out once and never again: whatever is left of a collection or index that is no more can
 * never be taken for another's. */
#include "base/mem.h"
#include "storage/collection_private.h"

#include <stdlib.h>

/* ---- The record. */

static void catalog_key(struct key *key)
{
    key_init(key);
    key_add_string(key, slice_str("catalog"));
}

static enum err read_catalog(struct txn *txn, struct table meta, json_t **out)
{
    *out = NULL;
    struct key key;
    catalog_key(&key);
    struct record record;
    enum err err = record_get(txn, meta, key_slice(&key), &record);
    if (err == ERR_NOT_FOUND || (!err && json_read_trusted(record.payload, out)))
        err = txn_damaged(txn, "the catalog of collections");
    return err;
}

static enum err write_catalog(struct txn *txn, struct table meta, const json_t *catalog)
{
    struct key key;
    catalog_key(&key);
    struct buf text = BUF_INIT;
    json_append(&text, catalog);
    enum err err = record_put(txn, meta, key_slice(&key), 1, buf_slice(&text));
    buf_release(&text);
    return err;
}

enum err catalog_create(struct txn *txn, struct table meta)
{
    json_t *catalog =
        json_pack("{s:i, s:i, s:{}}", "lastCollection", 0, "lastIndex", 0, "collections");
    enum err err = write_catalog(txn, meta, catalog);
    json_decref(catalog);
    return err;
}

/* ---- One collection in it. */

static json_t *describe_index(const struct index *index)
{
    return json_pack("{s:s, s:b, s:b}", "fields", index->fields, "unique", index->unique, "sparse",
                     index->sparse);
}

/* {"number":1,"indexes":[{"fields":"mail","unique":true,"sparse":false,"number":1}]}, without the
 * numbers */
static json_t *describe(const struct collection *c)
{
    json_t *indexes = json_array();
    for (unsigned i = 0; i < c->index_count; i++)
        json_array_append_new(indexes, describe_index(&c->list[i]));
    return json_pack("{s:o}", "indexes", indexes);
}

static void take_number(json_t *in, json_t *catalog, const char *last)
{
    json_t *number = json_integer(json_int(catalog, last, 0) + 1);
    json_object_set(catalog, last, number);
    json_object_set_new(in, "number", number);
}

static void number_indexes(json_t *collection, json_t *catalog)
{
    json_t *indexes = json_object_get(collection, "indexes");
    for (size_t i = 0; i < json_array_size(indexes); i++)
        take_number(json_array_get(indexes, i), catalog, "lastIndex");
}

static bool is_same(const json_t *known, const json_t *declared)
{
    json_t *plain = json_deep_copy(known);
    json_object_del(plain, "number");
    json_object_del(plain, "leftovers");
    json_t *indexes = json_object_get(plain, "indexes");
    for (size_t i = 0; i < json_array_size(indexes); i++)
        json_object_del(json_array_get(indexes, i), "number");
    bool same = json_equal(plain, declared);
    json_decref(plain);
    return same;
}

/* Numbers to prefixes. */
static bool adopt(struct collection *c, const json_t *known)
{
    c->number = (unsigned)json_int(known, "number", 0);
    key_init(&c->prefix);
    key_add_collection(&c->prefix, c->number);
    sizes_init(c);
    const json_t *indexes = json_object_get(known, "indexes");
    bool good = c->number > 0 && json_array_size(indexes) == c->index_count;
    for (unsigned i = 0; good && i < c->index_count; i++) {
        struct index *index = &c->list[i];
        index->number = (unsigned)json_int(json_array_get(indexes, i), "number", 0);
        key_init(&index->prefix);
        key_add_index(&index->prefix, index->number);
        good = index->number > 0;
    }
    return good;
}

static enum err has_documents(struct txn *txn, struct collection *c, bool *out)
{
    struct chain_cursor cursor;
    chain_open(&cursor, txn, &c->docs);
    enum err err = chain_find(&cursor, key_slice(&c->prefix));
    if (err == ERR_NOT_FOUND)
        err = chain_next(&cursor);
    *out = !err && key_has_prefix(cursor.at.key, &c->prefix);
    chain_close(&cursor);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* Other indexes than it was made with, which is allowed while there is nothing in them. */
static enum err redefine(struct txn *txn, struct collection *c, json_t *known, json_t *catalog,
                         const json_t *declared)
{
    bool used;
    key_init(&c->prefix);
    key_add_collection(&c->prefix, (unsigned)json_int(known, "number", 0));
    enum err err = has_documents(txn, c, &used);
    if (err || used)
        return err ? err : txn_fail(txn, ERR_CONFLICT);
    json_object_update(known, (json_t *)declared);
    number_indexes(known, catalog);
    return write_catalog(txn, c->meta, catalog);
}

static enum err add_collection(struct txn *txn, struct table meta, const char *name,
                               json_t *catalog, json_t *declared)
{
    json_object_set(json_object_get(catalog, "collections"), name, declared);
    take_number(declared, catalog, "lastCollection");
    number_indexes(declared, catalog);
    if (json_int(catalog, "lastCollection", 0) > KEY_CATALOG_MAX ||
        json_int(catalog, "lastIndex", 0) > KEY_CATALOG_MAX)
        return txn_fail(txn, ERR_CONFLICT); /* after 16 million of them */
    return write_catalog(txn, meta, catalog);
}

enum err catalog_register(struct txn *txn, struct collection *c)
{
    json_t *catalog, *declared = describe(c);
    enum err err = read_catalog(txn, c->meta, &catalog);
    json_t *known = json_object_get(json_object_get(catalog, "collections"), c->name);
    if (!err && !known)
        err = add_collection(txn, c->meta, c->name, catalog, declared);
    else if (!err && !is_same(known, declared))
        err = redefine(txn, c, known, catalog, declared);
    if (!err && !adopt(c, known ? known : declared))
        err = txn_damaged(txn, "the catalog of collections, what it says of %s", c->name);
    json_decref(catalog);
    json_decref(declared);
    return err;
}

/* ---- Other indexes for a collection that has documents (reindex.c). Until they are whole their
 * numbers are among the "leftovers": numbers of which there may be entries that belong to no index.
 */

static json_t *known_collection(json_t *catalog, const struct collection *c)
{
    return json_object_get(json_object_get(catalog, "collections"), c->name);
}

/* The number of an index of this description; 0: there is none. */
static unsigned known_number(const json_t *known, const json_t *declared)
{
    const json_t *indexes = json_object_get(known, "indexes");
    for (size_t i = 0; i < json_array_size(indexes); i++) {
        json_t *index = json_array_get(indexes, i), *plain = json_copy(index);
        json_object_del(plain, "number");
        bool same = json_equal(plain, declared);
        json_decref(plain);
        if (same)
            return (unsigned)json_int(index, "number", 0);
    }
    return 0;
}

static json_t *leftovers_of(json_t *known)
{
    json_t *leftovers = json_object_get(known, "leftovers");
    if (!leftovers)
        json_object_set_new(known, "leftovers", leftovers = json_array());
    return leftovers;
}

static void set_number(struct index *index, unsigned number)
{
    index->number = number;
    key_init(&index->prefix);
    key_add_index(&index->prefix, number);
}

static void number_index(struct index *index, json_t *known, json_t *catalog, bool *fresh)
{
    json_t *declared = describe_index(index);
    unsigned number = known_number(known, declared);
    *fresh = number == 0;
    if (*fresh) {
        take_number(declared, catalog, "lastIndex");
        number = (unsigned)json_int(declared, "number", 0);
        json_array_append_new(leftovers_of(known), json_integer(number));
    }
    set_number(index, number);
    json_decref(declared);
}

enum err catalog_begin_change(struct txn *txn, struct collection *c,
                              bool fresh[COLLECTION_INDEXES_MAX])
{
    json_t *catalog;
    enum err err = read_catalog(txn, c->meta, &catalog);
    json_t *known = known_collection(catalog, c);
    c->number = (unsigned)json_int(known, "number", 0);
    key_init(&c->prefix);
    key_add_collection(&c->prefix, c->number);
    sizes_init(c);
    for (unsigned i = 0; !err && i < c->index_count; i++)
        number_index(&c->list[i], known, catalog, &fresh[i]);
    if (!err && json_int(catalog, "lastIndex", 0) > KEY_CATALOG_MAX)
        err = txn_fail(txn, ERR_CONFLICT);
    if (!err)
        err = write_catalog(txn, c->meta, catalog);
    json_decref(catalog);
    return err;
}

static bool is_index_of(const struct collection *c, int64_t number)
{
    for (unsigned i = 0; i < c->index_count; i++) {
        if (c->list[i].number == number)
            return true;
    }
    return false;
}

static void add_leftover(json_t *leftovers, const struct collection *c, int64_t number)
{
    if (!is_index_of(c, number))
        json_array_append_new(leftovers, json_integer(number));
}

enum err catalog_end_change(struct txn *txn, const struct collection *c)
{
    json_t *catalog;
    enum err err = read_catalog(txn, c->meta, &catalog);
    if (err)
        return err;
    json_t *known = known_collection(catalog, c), *leftovers = json_array();
    const json_t *before = json_object_get(known, "leftovers");
    for (size_t i = 0; i < json_array_size(before); i++)
        add_leftover(leftovers, c, json_integer_value(json_array_get(before, i)));
    before = json_object_get(known, "indexes");
    for (size_t i = 0; i < json_array_size(before); i++)
        add_leftover(leftovers, c, json_int(json_array_get(before, i), "number", 0));
    json_t *declared = describe(c), *indexes = json_object_get(declared, "indexes");
    for (unsigned i = 0; i < c->index_count; i++)
        json_object_set_new(json_array_get(indexes, i), "number", json_integer(c->list[i].number));
    json_object_update(known, declared);
    json_object_set_new(known, "leftovers", leftovers);
    err = write_catalog(txn, c->meta, catalog);
    json_decref(declared);
    json_decref(catalog);
    return err;
}

enum err catalog_leftover(struct txn *txn, const struct collection *c, unsigned *number)
{
    json_t *catalog;
    enum err err = read_catalog(txn, c->meta, &catalog);
    const json_t *list = json_object_get(known_collection(catalog, c), "leftovers");
    *number = (unsigned)json_integer_value(json_array_get(list, 0));
    json_decref(catalog);
    return err;
}

enum err catalog_forget_leftover(struct txn *txn, const struct collection *c, unsigned number)
{
    json_t *catalog;
    enum err err = read_catalog(txn, c->meta, &catalog);
    if (err)
        return err;
    json_t *known = known_collection(catalog, c), *list = json_object_get(known, "leftovers");
    if (json_integer_value(json_array_get(list, 0)) == number)
        json_array_remove(list, 0);
    if (json_array_size(list) == 0)
        json_object_del(known, "leftovers");
    err = write_catalog(txn, c->meta, catalog);
    json_decref(catalog);
    return err;
}

/* ---- Journals: {"lastJournal":1,"journals":{"feed":{"number":1}}} beside the collections. */

enum err catalog_journal(struct txn *txn, struct table meta, const char *name, unsigned *number,
                         bool *is_new, bool *is_first)
{
    json_t *catalog;
    enum err err = read_catalog(txn, meta, &catalog);
    if (err)
        return err;
    json_t *journals = json_object_get(catalog, "journals");
    *is_first = !journals;
    if (!journals)
        json_object_set_new(catalog, "journals", journals = json_object());
    json_t *known = json_object_get(journals, name);
    *is_new = !known;
    if (!known) {
        json_object_set_new(journals, name, known = json_object());
        take_number(known, catalog, "lastJournal");
        err = write_catalog(txn, meta, catalog);
    }
    *number = (unsigned)json_int(known, "number", 0);
    json_decref(catalog);
    if (!err && (*number == 0 || *number > KEY_CATALOG_MAX))
        err = txn_damaged(txn, "the catalog, what it says of the journal %s", name);
    return err;
}

/* ---- For the conversion. */

enum err catalog_add(struct txn *txn, struct table meta, const char *name, json_t *indexes)
{
    json_t *catalog, *declared = json_pack("{s:O}", "indexes", indexes);
    enum err err = read_catalog(txn, meta, &catalog);
    if (!err)
        err = add_collection(txn, meta, name, catalog, declared);
    json_decref(catalog);
    json_decref(declared);
    return err;
}

static bool define_as_known(struct collection *c, const json_t *known)
{
    const json_t *indexes = json_object_get(known, "indexes");
    bool good = json_array_size(indexes) <= COLLECTION_INDEXES_MAX;
    for (size_t i = 0; good && i < json_array_size(indexes); i++) {
        const json_t *index = json_array_get(indexes, i);
        struct index_spec spec = {.fields = json_str(index, "fields", ""),
                                  .unique = json_is_true(json_object_get(index, "unique")),
                                  .sparse = json_is_true(json_object_get(index, "sparse"))};
        good = index_define(&c->list[c->index_count++], &spec);
    }
    const json_t *leftovers = json_object_get(known, "leftovers");
    for (size_t i = 0; i < json_array_size(leftovers) && i < LEFTOVERS_MAX; i++)
        c->leftovers[c->leftover_count++] =
            (unsigned)json_integer_value(json_array_get(leftovers, i));
    return good && adopt(c, known);
}

static enum err find(struct txn *txn, const struct collection *tables, const json_t *catalog,
                     const char *name, struct collection **out)
{
    *out = NULL;
    const json_t *known = json_object_get(json_object_get(catalog, "collections"), name);
    if (!known)
        return ERR_NOT_FOUND;
    *out = mem_dup(tables, sizeof *tables);
    (*out)->name = mem_strdup(name);
    if (define_as_known(*out, known))
        return ERR_OK;
    collection_close(out);
    return txn_damaged(txn, "the catalog of collections, what it says of %s", name);
}

enum err catalog_find(struct txn *txn, const struct collection *tables, const char *name,
                      struct collection **out)
{
    json_t *catalog;
    *out = NULL;
    enum err err = read_catalog(txn, tables->meta, &catalog);
    if (!err)
        err = find(txn, tables, catalog, name, out);
    json_decref(catalog);
    return err;
}

enum err catalog_find_all(struct txn *txn, const struct collection *tables,
                          struct collection ***out, unsigned *count)
{
    json_t *catalog, *known;
    const char *name;
    *out = NULL;
    *count = 0;
    enum err err = read_catalog(txn, tables->meta, &catalog);
    json_t *all = json_object_get(catalog, "collections");
    *out = mem_zalloc((json_object_size(all) + 1) * sizeof **out); /* NOLINT: pointers */
    json_object_foreach(all, name, known) {
        if (!err)
            err = find(txn, tables, catalog, name, &(*out)[*count]);
        *count += !err;
    }
    json_decref(catalog);
    return err;
}
