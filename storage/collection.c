/* Documents by id. Every collection is a range of the table "documents": a key is (collection, id),
 * its value a record of the document's compact text. */
#include "storage/collection.h"

#include "base/mem.h"
#include "storage/collection_private.h"

#include <assert.h>
#include <stdlib.h>

/* ---- Opening. */

static void catalog_key(struct key *key, const struct collection *c)
{
    key_init(key);
    key_add_string(key, slice_str("collection"));
    key_add_string(key, slice_str(c->name));
}

/* What the catalog keeps of a collection: {"indexes":[{"member":"email","unique":true}]}. */
static json_t *describe(const struct collection *c)
{
    json_t *indexes = json_array();
    for (unsigned i = 0; i < c->index_count; i++)
        json_array_append_new(indexes, json_pack("{s:s, s:b}", "member", c->list[i].member,
                                                 "unique", c->list[i].unique));
    return json_pack("{s:o}", "indexes", indexes);
}

static enum err has_documents(struct txn *txn, const struct collection *c, bool *out)
{
    struct cursor cursor;
    cursor_open(&cursor, txn, c->documents);
    enum err err = cursor_seek(&cursor, key_slice(&c->prefix));
    *out = err == ERR_OK && key_has_prefix(cursor.key, &c->prefix);
    cursor_close(&cursor);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static enum err write_catalog(struct txn *txn, const struct collection *c, const json_t *now)
{
    struct key key;
    catalog_key(&key, c);
    struct buf text = BUF_INIT;
    json_append(&text, now);
    enum err err = record_put(txn, c->catalog, key_slice(&key), 1, buf_slice(&text));
    buf_release(&text);
    return err;
}

/* The indexes may change only while there is nothing in them. */
static enum err check_catalog(struct txn *txn, const struct collection *c, const json_t *now)
{
    struct key key;
    catalog_key(&key, c);
    struct record record;
    enum err err = record_get(txn, c->catalog, key_slice(&key), &record);
    if (err == ERR_NOT_FOUND)
        return write_catalog(txn, c, now);
    json_t *before;
    if (err != ERR_OK || (err = json_read_trusted(record.payload, &before)) != ERR_OK)
        return txn_fail(txn, err);
    bool same = json_equal(before, now);
    json_decref(before);
    if (same)
        return ERR_OK;
    bool used;
    err = has_documents(txn, c, &used);
    if (err == ERR_OK && used)
        err = txn_fail(txn, ERR_CONFLICT);
    return err == ERR_OK ? write_catalog(txn, c, now) : err;
}

static enum err register_collection(struct txn *txn, void *arg)
{
    json_t *now = describe(arg);
    enum err err = check_catalog(txn, arg, now);
    json_decref(now);
    return err;
}

static bool name_fits(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len <= NAME_MAX_BYTES;
}

static bool specs_fit(const char *name, const struct index_spec *indexes, unsigned index_count)
{
    bool fit = name_fits(name) && index_count <= COLLECTION_INDEXES_MAX;
    for (unsigned i = 0; fit && i < index_count; i++)
        fit = name_fits(indexes[i].member);
    return fit;
}

static struct collection *collection_create(const char *name, const struct index_spec *indexes,
                                            unsigned index_count)
{
    struct collection *c = mem_zalloc(sizeof *c);
    c->name = mem_strdup(name);
    key_init(&c->prefix);
    key_add_string(&c->prefix, slice_str(name));
    c->index_count = index_count;
    for (unsigned i = 0; i < index_count; i++) {
        struct index *index = &c->list[i];
        index->member = mem_strdup(indexes[i].member);
        index->unique = indexes[i].unique;
        key_init_from(&index->prefix, &c->prefix);
        key_add_string(&index->prefix, slice_str(index->member));
    }
    return c;
}

enum err collection_open(struct store *store, const char *name, const struct index_spec *indexes,
                         unsigned index_count, struct collection **out)
{
    *out = NULL;
    if (!specs_fit(name, indexes, index_count))
        return ERR_VALIDATION;
    struct collection *c = collection_create(name, indexes, index_count);
    enum err err = store_table(store, "meta", &c->catalog);
    if (err == ERR_OK)
        err = store_table(store, "documents", &c->documents);
    if (err == ERR_OK)
        err = store_table(store, "indexes", &c->indexes);
    if (err == ERR_OK)
        err = store_write(store, register_collection, c);
    if (err == ERR_OK)
        *out = c;
    else
        collection_close(&c);
    return err;
}

void collection_close(struct collection **collection)
{
    struct collection *c = *collection;
    if (!c)
        return;
    for (unsigned i = 0; i < c->index_count; i++)
        free(c->list[i].member);
    free(c->name);
    free(c);
    *collection = NULL;
}

/* ---- Reading. */

bool document_id_fits(struct slice id)
{
    return id.len > 0 && id.len <= DOC_ID_MAX && !memchr(id.ptr, 0, id.len);
}

static void document_key(struct key *key, const struct collection *c, struct slice id)
{
    key_init_from(key, &c->prefix);
    key_add_string(key, id);
}

enum err doc_get(struct txn *txn, const struct collection *c, struct slice id, struct doc *out)
{
    *out = (struct doc){0};
    if (!document_id_fits(id))
        return txn_error(txn) != ERR_OK ? txn_error(txn) : ERR_NOT_FOUND;
    struct key key;
    document_key(&key, c, id);
    struct record record;
    enum err err = record_get(txn, c->documents, key_slice(&key), &record);
    if (err == ERR_OK)
        *out = (struct doc){record.payload, record.version};
    return err;
}

enum err doc_load(struct txn *txn, const struct collection *c, struct slice id, json_t **out,
                  uint64_t *version)
{
    *out = NULL;
    struct doc doc;
    enum err err = doc_get(txn, c, id, &doc);
    if (err != ERR_OK)
        return err;
    if (version)
        *version = doc.version;
    err = json_read_trusted(doc.json, out);
    return err == ERR_OK ? ERR_OK : txn_fail(txn, ERR_DAMAGED);
}

/* ---- Writing. */

/* The document's own id, in memory of the transaction; empty if it has none. */
static struct slice id_of(struct txn *txn, struct slice json)
{
    struct slice value;
    if (!json_find(json, "id", &value))
        return slice_of(NULL, 0);
    struct buf id = BUF_INIT;
    json_append_unescaped(&id, value);
    char *copy = txn_alloc(txn, id.len);
    if (id.len > 0)
        memcpy(copy, id.data, id.len);
    struct slice out = slice_of(copy, id.len);
    buf_release(&id);
    return out;
}

enum err doc_insert_text(struct txn *txn, const struct collection *c, struct slice json)
{
    struct slice id = id_of(txn, json);
    if (!document_id_fits(id))
        return txn_fail(txn, ERR_VALIDATION);
    struct key key;
    document_key(&key, c, id);
    enum err err = record_insert(txn, c->documents, key_slice(&key), json);
    if (err == ERR_OK)
        err = index_update(txn, c, id, slice_of(NULL, 0), json);
    return err == ERR_OK ? ERR_OK : txn_fail(txn, err);
}

enum err doc_insert(struct txn *txn, const struct collection *c, const json_t *doc)
{
    struct buf text = BUF_INIT;
    json_append(&text, doc);
    enum err err = doc_insert_text(txn, c, buf_slice(&text));
    buf_release(&text);
    return err;
}

/* The present document as far as its replacement or removal needs it: its text, copied, only for
 * indexes. */
static enum err load_before(struct txn *txn, const struct collection *c, struct slice id,
                            struct doc *out)
{
    enum err err = doc_get(txn, c, id, out);
    if (err != ERR_OK || c->index_count == 0)
        return err;
    char *copy = txn_alloc(txn, out->json.len);
    memcpy(copy, out->json.ptr, out->json.len);
    out->json.ptr = copy;
    return ERR_OK;
}

enum err doc_replace_text(struct txn *txn, const struct collection *c, struct slice json,
                          uint64_t if_version)
{
    struct slice id = id_of(txn, json);
    struct doc before;
    enum err err = load_before(txn, c, id, &before);
    if (err != ERR_OK)
        return err;
    if (if_version != 0 && if_version != before.version)
        return txn_fail(txn, ERR_PRECONDITION);
    err = index_update(txn, c, id, before.json, json);
    if (err != ERR_OK)
        return err;
    struct key key;
    document_key(&key, c, id);
    return record_put(txn, c->documents, key_slice(&key), before.version + 1, json);
}

enum err doc_replace(struct txn *txn, const struct collection *c, const json_t *doc,
                     uint64_t if_version)
{
    struct buf text = BUF_INIT;
    json_append(&text, doc);
    enum err err = doc_replace_text(txn, c, buf_slice(&text), if_version);
    buf_release(&text);
    return err;
}

static bool is_indexed(const struct collection *c, const char *member)
{
    for (unsigned i = 0; i < c->index_count; i++) {
        if (strcmp(c->list[i].member, member) == 0)
            return true;
    }
    return false;
}

/* The document's text with another number in the place of `old`, which is a part of it. */
static void append_with(struct buf *out, struct slice json, struct slice old, int64_t number)
{
    const char *behind = old.ptr + old.len;
    buf_reserve(out, json.len + 20);
    buf_append(out, json.ptr, (size_t)(old.ptr - json.ptr));
    buf_append_i64(out, number);
    buf_append(out, behind, (size_t)(json.ptr + json.len - behind));
}

enum err doc_add(struct txn *txn, const struct collection *c, struct slice id, const char *member,
                 int64_t by, int64_t min, int64_t *value)
{
    assert(!is_indexed(c, member));
    *value = 0;
    struct doc doc;
    enum err err = doc_get(txn, c, id, &doc);
    if (err != ERR_OK)
        return err;
    struct slice old;
    if (!json_find(doc.json, member, &old) || !slice_to_i64(old, value))
        return txn_fail(txn, ERR_VALIDATION);
    int64_t sum;
    if (__builtin_add_overflow(*value, by, &sum) || sum < min)
        return ERR_PRECONDITION;
    *value = sum;
    struct key key;
    document_key(&key, c, id);
    struct buf text = BUF_INIT;
    append_with(&text, doc.json, old, sum);
    err = record_put(txn, c->documents, key_slice(&key), doc.version + 1, buf_slice(&text));
    buf_release(&text);
    return err;
}

enum err doc_delete(struct txn *txn, const struct collection *c, struct slice id)
{
    struct doc before;
    enum err err = load_before(txn, c, id, &before);
    if (err == ERR_OK)
        err = index_update(txn, c, id, before.json, slice_of(NULL, 0));
    if (err != ERR_OK)
        return err;
    struct key key;
    document_key(&key, c, id);
    return txn_del(txn, c->documents, key_slice(&key));
}
