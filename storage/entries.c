/* Index entries in the chained table doc_index. The body of one is empty; in a unique index it is
 * the id of the document. */
#include "storage/collection_private.h"

enum err entry_id(struct txn *txn, const struct collection *c, const struct index *index,
                  const struct chain_entry *entry, struct slice *out)
{
    *out = entry->body;
    if (index->unique)
        return ERR_OK;
    *out = slice_of(entry->key.ptr + index->prefix.len, entry->key.len - index->prefix.len);
    bool good = true;
    for (unsigned i = 0; i < index->field_count; i++)
        good = good && key_skip(out);
    return good ? ERR_OK
                : txn_damaged(txn, "the index %s of %s, an entry without an id", index->fields,
                              c->name);
}

/* ---- What changes. */

static int compare(const struct entry_set *a, unsigned i, const struct entry_set *b, unsigned k)
{
    if (i == a->count || k == b->count)
        return i == a->count ? 1 : -1;
    struct slice x = entry_key(a, i), y = entry_key(b, k);
    int order = memcmp(x.ptr, y.ptr, x.len < y.len ? x.len : y.len);
    return order ? order : (x.len > y.len) - (x.len < y.len);
}

/* What is done with an entry that only one of the sets has. */
typedef enum err (*entry_fn)(struct txn *txn, const struct collection *c, const struct entry *entry,
                             struct slice key, struct slice id);

/* Goes through both sets in the order of keys; either function may be NULL. */
static enum err compare_sets(struct txn *txn, const struct collection *c, struct slice id,
                             const struct entry_set *before, const struct entry_set *now,
                             entry_fn gone, entry_fn added)
{
    enum err err = ERR_OK;
    for (unsigned i = 0, k = 0; !err && (i < before->count || k < now->count);) {
        int order = compare(before, i, now, k);
        if (order < 0 && gone)
            err = gone(txn, c, &before->list[i], entry_key(before, i), id);
        else if (order > 0 && added)
            err = added(txn, c, &now->list[k], entry_key(now, k), id);
        i += order <= 0;
        k += order >= 0;
    }
    return err;
}

static enum err check_unique(struct txn *txn, const struct collection *c, const struct entry *entry,
                             struct slice key, struct slice id)
{
    (void)id;
    if (!entry->index->unique)
        return ERR_OK;
    struct chain_entry taken;
    enum err err = chain_get(txn, &c->entries, key, &taken);
    if (!err)
        return txn_fail(txn, ERR_EXISTS);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

enum err entries_check(struct txn *txn, const struct collection *c, const struct entry_set *before,
                       const struct entry_set *now)
{
    return compare_sets(txn, c, slice_of(NULL, 0), before, now, NULL, check_unique);
}

enum err entry_add(struct txn *txn, const struct collection *c, const struct entry *entry,
                   struct slice key, struct slice id)
{
    struct slice kept = entry->index->unique ? id : slice_of(NULL, 0);
    enum err err = chain_insert(txn, &c->entries, key, kept);
    if (err == ERR_EXISTS) /* nobody could have added it but this document */
        err = txn_damaged(txn, "the index %s of %s, an entry without a document",
                          entry->index->fields, c->name);
    return err;
}

static enum err take_away(struct txn *txn, const struct collection *c, const struct entry *entry,
                          struct slice key, struct slice id)
{
    (void)id;
    enum err err = chain_delete(txn, &c->entries, key);
    if (err == ERR_NOT_FOUND)
        err = txn_damaged(txn, "the index %s of %s, a document without its entry",
                          entry->index->fields, c->name);
    return err;
}

enum err entries_change(struct txn *txn, const struct collection *c, struct slice id,
                        const struct entry_set *before, const struct entry_set *now)
{
    return compare_sets(txn, c, id, before, now, take_away, entry_add);
}
