/* Secondary indexes. An entry is a key (collection, member, value, id) with nothing as its value:
 * the entries of one value stand together, ordered by id. */
#include "base/log.h"
#include "storage/collection_private.h"

static bool is_indexed(const json_t *value)
{
    return json_is_string(value) || json_is_number(value) || json_is_boolean(value);
}

bool index_value_key(struct key *key, const struct index *index, const json_t *value)
{
    if (!is_indexed(value))
        return false;
    key_init_from(key, &index->prefix);
    if (json_is_integer(value))
        key_add_i64(key, json_integer_value(value));
    else if (json_is_real(value))
        key_add_f64(key, json_real_value(value));
    else if (json_is_boolean(value))
        key_add_bool(key, json_is_true(value));
    else
        key_add_string_within(key, slice_of(json_string_value(value), json_string_length(value)),
                              INDEX_VALUE_MAX);
    return true;
}

/* ---- From an entry to its document. */

static enum err damaged(struct txn *txn, const struct collection *c, const struct index *index,
                        const char *how)
{
    log_write(LOG_ERROR, "store", "The index %s of %s %s.", index->member, c->name, how);
    return txn_fail(txn, ERR_DAMAGED);
}

enum err index_entry_document(struct txn *txn, const struct collection *c,
                              const struct index *index, struct slice entry,
                              char id[DOC_ID_MAX + 1], struct doc *out)
{
    struct slice rest = slice_of(entry.ptr + index->prefix.len, entry.len - index->prefix.len);
    *out = (struct doc){0};
    if (!key_skip(&rest) || !key_take_string(&rest, id, DOC_ID_MAX + 1))
        return damaged(txn, c, index, "has an entry without an id");
    enum err err = doc_get(txn, c, slice_str(id), out);
    return err == ERR_NOT_FOUND ? damaged(txn, c, index, "has an entry without a document") : err;
}

enum err index_matches(struct txn *txn, const struct index *index, const struct doc *doc,
                       const json_t *value, bool *out)
{
    *out = false;
    json_t *tree;
    if (json_read_trusted(doc->json, &tree) != ERR_OK)
        return txn_fail(txn, ERR_DAMAGED);
    *out = json_equal(json_object_get(tree, index->member), value);
    json_decref(tree);
    return ERR_OK;
}

/* ---- Keeping entries. */

/* Whether the entry's document has the value of the key that the entry begins with. */
static enum err is_taken(struct txn *txn, const struct collection *c, const struct index *index,
                         struct slice entry, const struct key *key, const json_t *value, bool *out)
{
    *out = true;
    if (!key->cut)
        return ERR_OK;
    char id[DOC_ID_MAX + 1];
    struct doc doc;
    enum err err = index_entry_document(txn, c, index, entry, id, &doc);
    return err == ERR_OK ? index_matches(txn, index, &doc, value, out) : err;
}

/* ERR_EXISTS if any document has the value, whose key is given. */
static enum err check_unique(struct txn *txn, const struct collection *c, const struct index *index,
                             const struct key *key, const json_t *value)
{
    struct cursor cursor;
    cursor_open(&cursor, txn, c->indexes);
    enum err err = cursor_seek(&cursor, key_slice(key));
    bool taken = false;
    while (err == ERR_OK && key_has_prefix(cursor.key, key)) {
        err = is_taken(txn, c, index, cursor.key, key, value, &taken);
        if (err != ERR_OK || taken)
            break;
        err = cursor_next(&cursor);
    }
    cursor_close(&cursor);
    if (taken)
        return txn_fail(txn, ERR_EXISTS);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static enum err add_entry(struct txn *txn, const struct collection *c, const struct index *index,
                          struct slice id, const json_t *value)
{
    struct key key;
    if (!index_value_key(&key, index, value))
        return ERR_OK;
    if (index->unique && check_unique(txn, c, index, &key, value) != ERR_OK)
        return txn_error(txn);
    key_add_string(&key, id);
    return txn_put(txn, c->indexes, key_slice(&key), slice_of(NULL, 0));
}

static enum err remove_entry(struct txn *txn, const struct collection *c, const struct index *index,
                             struct slice id, const json_t *value)
{
    struct key key;
    if (!index_value_key(&key, index, value))
        return ERR_OK;
    key_add_string(&key, id);
    enum err err = txn_del(txn, c->indexes, key_slice(&key));
    return err == ERR_NOT_FOUND ? damaged(txn, c, index, "lacks an entry") : err;
}

enum err index_update(struct txn *txn, const struct collection *c, struct slice id,
                      const json_t *before, const json_t *now)
{
    for (unsigned i = 0; i < c->index_count; i++) {
        const struct index *index = &c->list[i];
        const json_t *old = json_object_get(before, index->member);
        const json_t *new = json_object_get(now, index->member);
        if (json_equal(old, new))
            continue;
        enum err err = remove_entry(txn, c, index, id, old);
        if (err == ERR_OK)
            err = add_entry(txn, c, index, id, new);
        if (err != ERR_OK)
            return err;
    }
    return txn_error(txn);
}
