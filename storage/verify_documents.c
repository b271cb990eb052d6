/* What verifying means for collections (collection_private.h says where they lie), in the order in
 * which repairing has to go: documents, their long texts, index entries that say what no document
 * does, entries that are missing, how much there is. */
#include "base/mem.h"
#include "storage/collection_private.h"
#include "storage/storage_private.h"
#include "storage/verify_private.h"

#include <stdlib.h>

static void forget_list(struct document_parts *parts)
{
    for (unsigned i = 0; i < parts->count; i++)
        collection_close(&parts->list[i]);
    free(parts->list);
    parts->list = NULL;
    parts->count = 0;
}

enum err document_parts_read(struct txn *txn, struct document_parts *parts)
{
    forget_list(parts);
    return catalog_find_all(txn, &parts->tables, &parts->list, &parts->count);
}

/* ---- Whose a key is. */

static const struct collection *collection_of(const struct document_parts *parts, struct slice key)
{
    for (unsigned i = 0; i < parts->count; i++) {
        if (key_has_prefix(key, &parts->list[i]->prefix))
            return parts->list[i];
    }
    return NULL;
}

static const struct index *index_of(const struct document_parts *parts, struct slice key,
                                    const struct collection **of)
{
    for (unsigned i = 0; i < parts->count; i++) {
        *of = parts->list[i];
        for (unsigned k = 0; k < (*of)->index_count; k++) {
            if (key_has_prefix(key, &(*of)->list[k].prefix))
                return &(*of)->list[k];
        }
    }
    return NULL;
}

/* Whether it is of an index that is being built or deleted. */
static bool is_leftover(const struct document_parts *parts, struct slice key)
{
    for (unsigned i = 0; i < parts->count; i++) {
        const struct collection *c = parts->list[i];
        for (unsigned k = 0; k < c->leftover_count; k++) {
            struct key prefix;
            key_init(&prefix);
            key_add_index(&prefix, c->leftovers[k]);
            if (key_has_prefix(key, &prefix))
                return true;
        }
    }
    return false;
}

/* ---- Documents. */

/* The document's text, wherever it lies; NULL if there is none, and then `how`. */
static struct slice text_of(struct txn *txn, const struct document_parts *parts, struct slice key,
                            struct slice body, const char **how)
{
    struct slice nothing = slice_of(NULL, 0), value;
    *how = record_fault(key, body);
    if (*how)
        return nothing;
    struct record record = record_parts(body);
    if (!slice_is(record.payload, TEXT_ELSEWHERE))
        return record.payload;
    *how = "its text is lost";
    if (txn_get(txn, parts->tables.texts, key, &value) || record_fault(key, value))
        return nothing;
    struct record text = record_parts(value);
    if (text.version != record.version)
        return nothing;
    *how = NULL;
    return text.payload;
}

/* The same for whoever knows the key alone. */
static struct slice find_text(struct txn *txn, const struct document_parts *parts, struct slice key)
{
    struct slice value = {NULL, 0};
    struct chain_entry entry;
    const char *how;
    if (txn_get(txn, parts->tables.docs.table, key, &value))
        return slice_of(NULL, 0);
    chain_take(&parts->tables.docs, key, value, &entry);
    return text_of(txn, parts, key, entry.body, &how);
}

static const char *fault_of_text(struct slice text)
{
    json_t *tree;
    if (json_read_trusted(text, &tree))
        return "it is no JSON";
    json_decref(tree);
    return NULL;
}

/* Takes away what cannot be mended. */
static enum err give_up(struct verifier *v, struct cursor *at, struct document_parts *parts,
                        bool *gone)
{
    struct txn *txn = at->txn;
    struct slice text = {NULL, 0};
    if (!verify_salvage(v, txn, parts->tables.docs.table, at->key, at->value))
        return ERR_OK;
    char *copy = txn_alloc(txn, at->key.len);
    struct slice key = slice_of(memcpy(copy, at->key.ptr, at->key.len), at->key.len);
    enum err err = txn_get(txn, parts->tables.texts, key, &text);
    if (!err && !verify_salvage(v, txn, parts->tables.texts, key, text))
        return ERR_OK;
    *gone = parts->took = true;
    err = cursor_del(at);
    if (!err && text.ptr)
        err = txn_del(txn, parts->tables.texts, key);
    return err == ERR_NOT_FOUND ? txn_error(txn) : err;
}

/* Whether its check is right is looked at with its link. */
static enum err check_document(struct verifier *v, struct cursor *at,
                               const struct chain_entry *entry, bool whole, bool *gone, void *arg)
{
    struct document_parts *parts = arg;
    (void)whole;
    const struct collection *c = collection_of(parts, at->key);
    const char *how = NULL;
    struct slice text = text_of(at->txn, parts, at->key, entry->body, &how);
    if (!how && !c)
        how = "there is no such collection";
    if (!how)
        how = fault_of_text(text);
    if (!how)
        return ERR_OK;
    char key[VERIFY_SHOWN_SIZE];
    verify_show(key, at->key);
    bool mend =
        verify_found(v, "a document of %s, %s: %s%s", c ? c->name : "an unknown collection", key,
                     how, c && c->index_count > 0 ? "; lists by index run into it" : "");
    return mend ? give_up(v, at, parts, gone) : ERR_OK;
}

static enum err documents_step(struct txn *txn, struct verifier *v, struct verify_place *place,
                               bool *end, void *arg)
{
    struct document_parts *parts = arg;
    if (place->len == 0)
        parts->took = false;
    enum err err = document_parts_read(txn, parts);
    return err ? err : verify_chain(txn, v, &parts->tables.docs, check_document, parts, place, end);
}

/* ---- Long texts. */

static enum err check_text(struct verifier *v, struct cursor *at, void *arg)
{
    const struct document_parts *parts = arg;
    struct slice value = {NULL, 0};
    struct chain_entry entry;
    enum err err = txn_get(at->txn, parts->tables.docs.table, at->key, &value);
    if (err && err != ERR_NOT_FOUND)
        return err;
    chain_take(&parts->tables.docs, at->key, value, &entry);
    bool wanted = !err && !record_fault(at->key, entry.body) &&
                  slice_is(record_parts(entry.body).payload, TEXT_ELSEWHERE);
    const char *how = record_fault(at->key, at->value);
    if (!how && !wanted)
        how = "no document has it";
    if (!how || wanted)
        return ERR_OK; /* else it was found with its document */
    char key[VERIFY_SHOWN_SIZE];
    verify_show(key, at->key);
    bool mend = verify_found(v, "a long text, %s: %s", key, how);
    if (!mend || !verify_salvage(v, at->txn, parts->tables.texts, at->key, at->value))
        return ERR_OK;
    return cursor_del(at);
}

static enum err texts_step(struct txn *txn, struct verifier *v, struct verify_place *place,
                           bool *end, void *arg)
{
    struct document_parts *parts = arg;
    return verify_walk(txn, v, parts->tables.texts, place, end, check_text, parts);
}

/* ---- Index entries. */

/* The document's key: the collection and the id part. */
static void document_key(struct key *key, const struct collection *c, struct slice id)
{
    key_init_from(key, &c->prefix);
    if (id.len > sizeof key->bytes - key->len)
        id.len = 0; /* finds nothing */
    memcpy(key->bytes + key->len, id.ptr, id.len);
    key->len = (uint16_t)(key->len + id.len);
}

static bool has_entry(const struct collection *c, struct slice id, struct slice text,
                      struct slice wanted)
{
    struct entry_set set;
    bool has = false;
    if (!index_entries(c, id, text, &set)) {
        for (unsigned i = 0; i < set.count; i++)
            has = has || slice_eq(entry_key(&set, i), wanted);
    }
    entry_set_release(&set);
    return has;
}

/* What is wrong with the entry; NULL if nothing is. */
static const char *fault_of_entry(struct txn *txn, const struct chain_entry *entry,
                                  const struct document_parts *parts)
{
    const struct collection *c;
    const struct index *index = index_of(parts, entry->key, &c);
    if (!index)
        return is_leftover(parts, entry->key) ? NULL : "there is no such index";
    struct slice id = slice_of(NULL, 0);
    if (entry_id(txn, c, index, entry, &id))
        return "it has no id";
    struct key key;
    document_key(&key, c, id);
    struct slice text = find_text(txn, parts, key_slice(&key));
    if (!text.ptr)
        return "it has no document";
    return has_entry(c, id, text, entry->key) ? NULL : "its document does not have this value";
}

static enum err check_entry(struct verifier *v, struct cursor *at, const struct chain_entry *entry,
                            bool whole, bool *gone, void *arg)
{
    const struct document_parts *parts = arg;
    const char *how = whole ? fault_of_entry(at->txn, entry, parts) : "its checksum is wrong";
    if (!how)
        return txn_error(at->txn);
    char key[VERIFY_SHOWN_SIZE];
    verify_show(key, at->key);
    *gone = verify_found(v, "an index entry, %s: %s", key, how);
    return *gone ? cursor_del(at) : ERR_OK;
}

static enum err entries_step(struct txn *txn, struct verifier *v, struct verify_place *place,
                             bool *end, void *arg)
{
    struct document_parts *parts = arg;
    enum err err = document_parts_read(txn, parts);
    return err ? err : verify_chain(txn, v, &parts->tables.entries, check_entry, parts, place, end);
}

/* ---- Entries that are not there. */

static const char *fault_of_place(struct txn *txn, const struct collection *c,
                                  const struct entry *entry, struct slice key, struct slice id)
{
    struct slice value = {NULL, 0};
    enum err err = txn_get(txn, c->entries.table, key, &value);
    if (err == ERR_NOT_FOUND)
        return "is missing";
    struct chain_entry there;
    if (err || !chain_take(&c->entries, key, value, &there))
        return NULL; /* found with the entry itself */
    struct slice owner;
    if (entry_id(txn, c, entry->index, &there, &owner) || slice_eq(owner, id))
        return NULL;
    return "is another document's";
}

static enum err check_place(struct verifier *v, struct txn *txn, const struct collection *c,
                            const struct entry *entry, struct slice key, struct slice id)
{
    const char *how = fault_of_place(txn, c, entry, key, id);
    if (!how)
        return txn_error(txn);
    char text[VERIFY_SHOWN_SIZE];
    verify_show(text, key);
    bool mend = verify_found(v, "the index %s of %s: the entry %s %s", entry->index->fields,
                             c->name, text, how);
    if (!mend)
        return ERR_OK;
    if (strcmp(how, "is missing") == 0)
        return entry_add(txn, c, entry, key, id);
    verify_not_mended(v);
    return ERR_OK;
}

static enum err check_places(struct verifier *v, struct cursor *at, void *arg)
{
    struct document_parts *parts = arg;
    const struct collection *c = collection_of(parts, at->key);
    struct txn *txn = at->txn;
    struct slice text = c ? find_text(txn, parts, at->key) : slice_of(NULL, 0);
    if (!text.ptr)
        return txn_error(txn); /* the anchor, or found already */
    char *copy = txn_alloc(txn, at->key.len);
    memcpy(copy, at->key.ptr, at->key.len);
    struct slice id = slice_of(copy + c->prefix.len, at->key.len - c->prefix.len);
    struct entry_set set;
    enum err err = index_entries(c, id, text, &set);
    if (err)
        verify_found(v, "a document of %s has no index entries: %s", c->name, err_text(err));
    for (unsigned i = 0; !err && i < set.count; i++)
        err = check_place(v, txn, c, &set.list[i], entry_key(&set, i), id);
    entry_set_release(&set);
    return txn_error(txn);
}

static enum err places_step(struct txn *txn, struct verifier *v, struct verify_place *place,
                            bool *end, void *arg)
{
    struct document_parts *parts = arg;
    enum err err = document_parts_read(txn, parts);
    return err ? err
               : verify_walk(txn, v, parts->tables.docs.table, place, end, check_places, parts);
}

/* ---- All of it. */

enum err document_parts_create(struct store *store, struct document_parts **out)
{
    *out = mem_zalloc(sizeof **out);
    enum err err = collection_open_tables(store, &(*out)->tables);
    if (err)
        document_parts_destroy(out);
    return err;
}

void document_parts_destroy(struct document_parts **parts)
{
    if (!*parts)
        return;
    forget_list(*parts);
    free(*parts);
    *parts = NULL;
}

void document_parts_add(struct document_parts *parts, struct verifier *v)
{
    const struct verify_part list[] = {
        {"documents", documents_step, parts, {"docs", "meta"}, MENDS_ON_REPAIR},
        {"long texts", texts_step, parts, {"doc_texts"}, MENDS_ON_REPAIR},
        {"index entries", entries_step, parts, {"doc_index"}, MENDS_ON_REPAIR},
        {"documents' entries", places_step, parts, {NULL}, MENDS_ON_REPAIR},
        {"sizes of collections", verify_sizes, parts, {"sums"}, MENDS_AT_ONCE},
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        verifier_add(v, &list[i]);
}
