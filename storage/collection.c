/* Documents by id: what is written to the tables of collections, in which order. */
#include "storage/collection.h"

#include "base/mem.h"
#include "storage/collection_private.h"
#include "storage/storage_private.h"

#include <assert.h>
#include <stdlib.h>

#define NUMBER_MAX 20 /* characters of an int64 */

/* ---- Opening. */

static enum err register_collection(struct txn *txn, void *arg)
{
    enum err err = catalog_register(txn, arg);
    return err ? err : sizes_begin(txn, arg);
}

static bool name_fits(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len <= NAME_MAX_BYTES;
}

static bool define(struct collection *c, const struct index_spec *indexes, unsigned index_count)
{
    bool good = name_fits(c->name) && index_count <= COLLECTION_INDEXES_MAX;
    for (unsigned i = 0; good && i < index_count; i++)
        good = index_define(&c->list[c->index_count++], &indexes[i]);
    return good;
}

enum err collection_open_tables(struct store *store, struct collection *c)
{
    c->entries.covers_body = true;
    enum err err = store_table(store, "meta", &c->meta);
    if (!err)
        err = store_table(store, "docs", &c->docs.table);
    if (!err)
        err = store_table(store, "doc_texts", &c->texts);
    if (!err)
        err = store_table(store, "doc_index", &c->entries.table);
    if (!err)
        err = store_table(store, "sums", &c->sums);
    return err;
}

enum err collection_open(struct store *store, const char *name, const struct index_spec *indexes,
                         unsigned index_count, struct collection **out)
{
    struct collection *c = mem_zalloc(sizeof *c);
    c->name = mem_strdup(name);
    enum err err = define(c, indexes, index_count) ? ERR_OK : ERR_VALIDATION;
    if (!err)
        err = collection_open_tables(store, c);
    if (!err)
        err = store_write(store, register_collection, c);
    if (err == ERR_CONFLICT)
        err = collection_reindex(store, c);
    if (!err)
        err = collection_tidy(store, c);
    if (err)
        collection_close(&c);
    *out = c;
    return err;
}

void collection_close(struct collection **collection)
{
    struct collection *c = *collection;
    if (!c)
        return;
    for (unsigned i = 0; i < c->index_count; i++)
        index_release(&c->list[i]);
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
    key_add_text(key, id, DOC_ID_MAX + 2);
}

/* The id in a document's key, as it stands in the keys of its index entries. */
static struct slice id_part(const struct key *key, const struct collection *c)
{
    return slice_of(key->bytes + c->prefix.len, key->len - c->prefix.len);
}

/* A long text has the version of its record, so that they belong together. */
static enum err read_elsewhere(struct txn *txn, const struct collection *c, struct slice key,
                               struct doc *doc)
{
    struct record text;
    enum err err = record_get(txn, c->texts, key, &text);
    if (err == ERR_NOT_FOUND || (!err && text.version != doc->version))
        err = txn_damaged(txn, "a document of %s, its text is lost", c->name);
    if (!err)
        doc->json = text.payload;
    return err;
}

enum err document_of(struct txn *txn, const struct collection *c, const struct chain_entry *entry,
                     struct doc *out)
{
    struct record record;
    enum err err = record_decode(txn, c->docs.table, entry->key, entry->body, &record);
    *out = (struct doc){record.payload, record.version};
    if (err)
        return err;
    return slice_is(out->json, TEXT_ELSEWHERE) ? read_elsewhere(txn, c, entry->key, out) : ERR_OK;
}

enum err doc_get(struct txn *txn, const struct collection *c, struct slice id, struct doc *out)
{
    *out = (struct doc){0};
    if (!document_id_fits(id))
        return txn_error(txn) ? txn_error(txn) : ERR_NOT_FOUND;
    struct key key;
    document_key(&key, c, id);
    struct chain_entry entry;
    enum err err = chain_get(txn, &c->docs, key_slice(&key), &entry);
    return err ? err : document_of(txn, c, &entry, out);
}

enum err doc_load(struct txn *txn, const struct collection *c, struct slice id, json_t **out,
                  uint64_t *version)
{
    *out = NULL;
    struct doc doc;
    enum err err = doc_get(txn, c, id, &doc);
    if (err)
        return err;
    if (version)
        *version = doc.version;
    err = json_read_trusted(doc.json, out);
    return err ? txn_fail(txn, ERR_DAMAGED) : ERR_OK;
}

/* ---- Drafts. */

struct doc_draft {
    const struct collection *c;
    struct slice json;
    struct key key;
    struct entry_set entries;
};

/* ERR_VALIDATION if the text has no id that fits, or too many index entries. */
static enum err draft_init(struct doc_draft *draft, const struct collection *c, struct slice json)
{
    draft->c = c;
    draft->json = json;
    draft->entries = (struct entry_set){0};
    struct slice value;
    if (!json_find(json, "id", &value) || value.len < 3 || value.ptr[0] != '"')
        return ERR_VALIDATION;
    struct buf unescaped = BUF_INIT;
    struct slice id = slice_of(value.ptr + 1, value.len - 2);
    if (memchr(id.ptr, '\\', id.len) && json_append_unescaped(&unescaped, value))
        id = buf_slice(&unescaped);
    bool fits = document_id_fits(id);
    if (fits)
        document_key(&draft->key, c, id);
    buf_release(&unescaped);
    return fits ? index_entries(c, id_part(&draft->key, c), json, &draft->entries) : ERR_VALIDATION;
}

static void draft_release(struct doc_draft *draft)
{
    entry_set_release(&draft->entries);
}

enum err doc_draft_create(const struct collection *c, struct slice json, struct doc_draft **out)
{
    struct doc_draft *draft = mem_alloc(sizeof *draft);
    enum err err = draft_init(draft, c, json);
    *out = draft;
    if (err)
        doc_draft_destroy(out);
    return err;
}

void doc_draft_destroy(struct doc_draft **draft)
{
    if (!*draft)
        return;
    draft_release(*draft);
    free(*draft);
    *draft = NULL;
}

/* ---- Writing. */

static bool is_long(struct slice json)
{
    return json.len > TEXT_INLINE_MAX;
}

/* What stands in the leaf page for the text. */
static struct slice inline_part(struct slice json)
{
    return is_long(json) ? slice_str(TEXT_ELSEWHERE) : json;
}

/* The text's other place, if it needs or needed one. */
static enum err write_elsewhere(struct txn *txn, const struct collection *c, const struct key *key,
                                uint64_t version, bool was_long, struct slice json)
{
    if (is_long(json))
        return record_put(txn, c->texts, key_slice(key), version, json);
    return was_long ? txn_del(txn, c->texts, key_slice(key)) : ERR_OK;
}

static enum err insert_document(struct txn *txn, const struct doc_draft *draft, uint64_t version)
{
    const struct collection *c = draft->c;
    struct slice key = key_slice(&draft->key), part = inline_part(draft->json);
    uint8_t *place;
    enum err err = chain_reserve(txn, &c->docs, key, record_size(part), &place);
    if (!err)
        record_write(place, key, version, part);
    return err ? err : write_elsewhere(txn, c, &draft->key, version, false, draft->json);
}

/* Everything that may be refused is asked before the first write: a duplicate spoils no batch. */
static enum err insert_draft(struct txn *txn, const struct doc_draft *draft, uint64_t version)
{
    static const struct entry_set none;
    const struct collection *c = draft->c;
    enum err err = change_feed_fits(c, draft->json) ? ERR_OK : ERR_BODY_TOO_LARGE;
    if (!err)
        err = entries_check(txn, c, &none, &draft->entries);
    if (!err)
        err = insert_document(txn, draft, version);
    if (!err)
        err = entries_change(txn, c, id_part(&draft->key, c), &none, &draft->entries);
    if (!err)
        err = sizes_add(txn, c, 1, (int64_t)draft->json.len);
    if (!err && c->feed)
        err = change_feed_add(txn, c, DOCUMENT_CREATED, version, draft->json, slice_of(NULL, 0));
    return err ? txn_fail(txn, err) : ERR_OK;
}

enum err doc_insert_draft(struct txn *txn, const struct doc_draft *draft)
{
    return insert_draft(txn, draft, 1);
}

enum err doc_restore(struct txn *txn, const struct collection *c, struct slice json,
                     uint64_t version)
{
    struct doc_draft draft;
    enum err err = draft_init(&draft, c, json);
    err = err ? txn_fail(txn, err) : insert_draft(txn, &draft, version);
    draft_release(&draft);
    return err;
}

enum err doc_insert_text(struct txn *txn, const struct collection *c, struct slice json)
{
    return doc_restore(txn, c, json, 1);
}

enum err doc_insert(struct txn *txn, const struct collection *c, const json_t *doc)
{
    struct buf text = BUF_INIT;
    json_append(&text, doc);
    enum err err = doc_insert_text(txn, c, buf_slice(&text));
    buf_release(&text);
    return err;
}

/* The document that is there before a change. */
struct present {
    struct chain_entry entry;
    struct doc doc;
    bool is_long;
};

static enum err find_present(struct txn *txn, const struct collection *c, const struct key *key,
                             struct present *out)
{
    enum err err = chain_get(txn, &c->docs, key_slice(key), &out->entry);
    if (!err)
        err = document_of(txn, c, &out->entry, &out->doc);
    out->is_long = !err && slice_is(record_parts(out->entry.body).payload, TEXT_ELSEWHERE);
    return err;
}

/* For the feed, which is told when the transaction was written to. */
static struct slice copy_before(struct txn *txn, struct slice json)
{
    char *copy = txn_alloc(txn, json.len);
    memcpy(copy, json.ptr, json.len);
    return slice_of(copy, json.len);
}

/* The text is `json` from now on; what was borrowed of the present one is void. */
static enum err overwrite(struct txn *txn, const struct collection *c, const struct key *key,
                          const struct present *present, struct slice json)
{
    uint64_t version = present->doc.version + 1;
    struct slice before = {0};
    if (c->feed && c->feeds_before)
        before = copy_before(txn, present->doc.json);
    struct slice part = inline_part(json);
    uint8_t *place;
    enum err err = sizes_add(txn, c, 0, (int64_t)json.len - (int64_t)present->doc.json.len);
    if (!err)
        err = chain_replace(txn, &c->docs, key_slice(key), present->entry.link, record_size(part),
                            &place);
    if (!err)
        record_write(place, key_slice(key), version, part);
    if (!err)
        err = write_elsewhere(txn, c, key, version, present->is_long, json);
    if (!err && c->feed)
        err = change_feed_add(txn, c, DOCUMENT_REPLACED, version, json, before);
    return err;
}

static enum err replace_checked(struct txn *txn, const struct doc_draft *draft,
                                const struct present *present)
{
    const struct collection *c = draft->c;
    struct slice id = id_part(&draft->key, c);
    struct entry_set before;
    enum err err = index_entries(c, id, present->doc.json, &before);
    if (!err)
        err = entries_check(txn, c, &before, &draft->entries);
    if (!err)
        err = overwrite(txn, c, &draft->key, present, draft->json);
    if (!err)
        err = entries_change(txn, c, id, &before, &draft->entries);
    entry_set_release(&before);
    return err;
}

enum err doc_replace_draft(struct txn *txn, const struct doc_draft *draft, uint64_t if_version)
{
    struct present present;
    enum err err = find_present(txn, draft->c, &draft->key, &present);
    if (err == ERR_NOT_FOUND)
        return err;
    if (!err && !change_feed_fits(draft->c, draft->json))
        err = ERR_BODY_TOO_LARGE;
    if (!err && if_version != 0 && if_version != present.doc.version)
        err = ERR_PRECONDITION;
    if (!err)
        err = replace_checked(txn, draft, &present);
    return err ? txn_fail(txn, err) : ERR_OK;
}

enum err doc_replace_text(struct txn *txn, const struct collection *c, struct slice json,
                          uint64_t if_version)
{
    struct doc_draft draft;
    enum err err = draft_init(&draft, c, json);
    err = err ? txn_fail(txn, err) : doc_replace_draft(txn, &draft, if_version);
    draft_release(&draft);
    return err;
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
        for (unsigned field = 0; field < c->list[i].field_count; field++) {
            if (strcmp(c->list[i].list[field].steps[0].member, member) == 0)
                return true;
        }
    }
    return false;
}

/* The document's text with another number in the place of `old`, which is a part of it, in the
 * transaction's memory. */
static struct slice text_with(struct txn *txn, struct slice json, struct slice old, int64_t number)
{
    const char *behind = old.ptr + old.len;
    size_t room = json.len + NUMBER_MAX;
    struct buf text = {.data = txn_alloc(txn, room), .cap = room};
    buf_append(&text, json.ptr, (size_t)(old.ptr - json.ptr));
    buf_append_i64(&text, number);
    buf_append(&text, behind, (size_t)(json.ptr + json.len - behind));
    return buf_slice(&text);
}

enum err doc_add(struct txn *txn, const struct collection *c, struct slice id, const char *member,
                 int64_t by, int64_t min, int64_t *value, struct doc *doc)
{
    assert(!is_indexed(c, member));
    *value = 0;
    if (doc)
        *doc = (struct doc){0};
    if (!document_id_fits(id))
        return ERR_NOT_FOUND;
    struct key key;
    document_key(&key, c, id);
    struct present present;
    enum err err = find_present(txn, c, &key, &present);
    if (err)
        return err;
    if (doc)
        *doc = present.doc;
    struct slice old;
    if (!json_find(present.doc.json, member, &old) || !slice_to_i64(old, value))
        return txn_fail(txn, ERR_VALIDATION);
    int64_t sum;
    if (__builtin_add_overflow(*value, by, &sum) || sum < min)
        return ERR_PRECONDITION;
    *value = sum;
    struct slice text = text_with(txn, present.doc.json, old, sum);
    if (doc)
        *doc = (struct doc){text, present.doc.version + 1};
    return overwrite(txn, c, &key, &present, text);
}

enum err doc_delete(struct txn *txn, const struct collection *c, struct slice id)
{
    static const struct entry_set none;
    if (!document_id_fits(id))
        return txn_error(txn) ? txn_error(txn) : ERR_NOT_FOUND;
    struct key key;
    document_key(&key, c, id);
    struct present present;
    enum err err = find_present(txn, c, &key, &present);
    if (err)
        return err;
    struct entry_set before;
    int64_t len = (int64_t)present.doc.json.len;
    struct slice last = {0};
    if (c->feed) {
        txn_shrinking(txn); /* the event goes in time */
        last = copy_before(txn, present.doc.json);
    }
    err = index_entries(c, id_part(&key, c), present.doc.json, &before);
    if (!err)
        err = entries_change(txn, c, id_part(&key, c), &before, &none);
    if (!err)
        err = chain_delete(txn, &c->docs, key_slice(&key));
    if (!err)
        err = write_elsewhere(txn, c, &key, 0, present.is_long, slice_of(NULL, 0));
    if (!err)
        err = sizes_add(txn, c, -1, -len);
    if (!err && c->feed)
        err =
            change_feed_add(txn, c, DOCUMENT_DELETED, present.doc.version, last, slice_of(NULL, 0));
    entry_set_release(&before);
    return err ? txn_fail(txn, err) : ERR_OK;
}
