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

/* The same of a value's text. What most documents have, a plain string or an integer, is read from
 * it, all else by way of a tree. */
static bool index_text_key(struct key *key, const struct index *index, struct slice text)
{
    bool is_string = text.len > 0 && text.ptr[0] == '"';
    int64_t number;
    key_init_from(key, &index->prefix);
    if (is_string && !memchr(text.ptr, '\\', text.len)) {
        key_add_string_within(key, slice_of(text.ptr + 1, text.len - 2), INDEX_VALUE_MAX);
        return true;
    }
    if (slice_to_i64(text, &number)) {
        key_add_i64(key, number);
        return true;
    }
    json_t *value;
    bool indexed = json_read_trusted(text, &value) == ERR_OK && index_value_key(key, index, value);
    json_decref(value);
    return indexed;
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
                         struct slice entry, const struct key *key, struct slice text, bool *out)
{
    *out = true;
    if (!key->cut)
        return ERR_OK;
    char id[DOC_ID_MAX + 1];
    struct doc doc;
    json_t *value;
    enum err err = index_entry_document(txn, c, index, entry, id, &doc);
    if (err == ERR_OK)
        err = json_read_trusted(text, &value);
    if (err != ERR_OK)
        return err;
    err = index_matches(txn, index, &doc, value, out);
    json_decref(value);
    return err;
}

/* ERR_EXISTS if any document has the value, whose key is given. */
static enum err check_unique(struct txn *txn, const struct collection *c, const struct index *index,
                             const struct key *key, struct slice text)
{
    struct cursor cursor;
    cursor_open(&cursor, txn, c->indexes);
    enum err err = cursor_seek(&cursor, key_slice(key));
    bool taken = false;
    while (err == ERR_OK && key_has_prefix(cursor.key, key)) {
        err = is_taken(txn, c, index, cursor.key, key, text, &taken);
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
                          struct slice id, struct slice value)
{
    struct key key;
    if (!index_text_key(&key, index, value))
        return ERR_OK;
    if (index->unique && check_unique(txn, c, index, &key, value) != ERR_OK)
        return txn_error(txn);
    key_add_string(&key, id);
    return txn_put(txn, c->indexes, key_slice(&key), slice_of(NULL, 0));
}

static enum err remove_entry(struct txn *txn, const struct collection *c, const struct index *index,
                             struct slice id, struct slice value)
{
    struct key key;
    if (!index_text_key(&key, index, value))
        return ERR_OK;
    key_add_string(&key, id);
    enum err err = txn_del(txn, c->indexes, key_slice(&key));
    return err == ERR_NOT_FOUND ? damaged(txn, c, index, "lacks an entry") : err;
}

enum err index_update(struct txn *txn, const struct collection *c, struct slice id,
                      struct slice before, struct slice now)
{
    for (unsigned i = 0; i < c->index_count; i++) {
        const struct index *index = &c->list[i];
        struct slice old = {0}, new = {0};
        bool had = json_find(before, index->member, &old);
        bool has = json_find(now, index->member, &new);
        if (had == has && slice_eq(old, new))
            continue;
        enum err err = had ? remove_entry(txn, c, index, id, old) : ERR_OK;
        if (err == ERR_OK && has)
            err = add_entry(txn, c, index, id, new);
        if (err != ERR_OK)
            return err;
    }
    return txn_error(txn);
}
