/* Verifying chained tables (chain_private.h): links are checked, and made anew, by the way. */
#include "storage/verify_private.h"

/* A walk over a chained table, with the entry that it came by last. */
struct chain_walk {
    const struct chain *chain;
    verify_chained_fn each;
    void *arg;
    struct verify_place last;
    bool any, gone; /* there is a last one; something behind it was taken away */
    bool whole;     /* the last one */
    uint32_t link;  /* likewise */
};

static void note_last(struct chain_walk *walk, struct slice key, struct slice value)
{
    struct chain_entry entry;
    if (key.len > sizeof walk->last.bytes)
        return; /* verify_walk tells of it */
    walk->any = true;
    walk->gone = false;
    walk->whole = chain_take(walk->chain, key, value, &entry);
    walk->link = entry.link;
    walk->last.len = (uint16_t)key.len;
    memcpy(walk->last.bytes, key.ptr, key.len);
}

static enum err find_last(struct txn *txn, struct chain_walk *walk, struct slice key)
{
    struct cursor cursor;
    cursor_open(&cursor, txn, walk->chain->table);
    enum err err = cursor_seek_before(&cursor, key);
    if (!err)
        note_last(walk, cursor.key, cursor.value);
    cursor_close(&cursor);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* The last one names `next` as its next, and its check is made anew. */
static enum err relink(struct txn *txn, struct verifier *v, struct chain_walk *walk,
                       struct slice next)
{
    struct slice key = slice_of((const char *)walk->last.bytes, walk->last.len), value;
    enum err err = walk->any ? txn_get(txn, walk->chain->table, key, &value) : ERR_NOT_FOUND;
    if (err == ERR_NOT_FOUND || (!err && value.len < CHAIN_HEAD_SIZE)) {
        verify_not_mended(v);
        return ERR_OK;
    }
    if (err)
        return err;
    uint8_t *copy = txn_alloc(txn, value.len);
    memcpy(copy, value.ptr, value.len);
    chain_mend(walk->chain, key, next, copy, value.len);
    return txn_put(txn, walk->chain->table, key, slice_of((char *)copy, value.len));
}

/* Does the last one name this key as its next? What we took away ourselves is no finding. */
static enum err check_link(struct txn *txn, struct verifier *v, struct chain_walk *walk,
                           struct slice next)
{
    bool linked = walk->any && chain_names(walk->link, next);
    if (linked && walk->whole)
        return ERR_OK;
    char text[VERIFY_SHOWN_SIZE];
    bool mend =
        walk->gone ||
        verify_found(v, "the table %s %s %s", store_table_name(txn_store(txn), walk->chain->table),
                     linked ? "has a wrong checksum before" : "has lost entries before",
                     verify_show(text, next));
    return mend ? relink(txn, v, walk, next) : ERR_OK;
}

static enum err chained_entry(struct verifier *v, struct cursor *at, void *arg)
{
    struct chain_walk *walk = arg;
    struct slice anchor = chain_anchor();
    bool is_anchor = slice_eq(at->key, anchor), gone = false;
    enum err err = walk->any || is_anchor ? ERR_OK : find_last(at->txn, walk, at->key);
    struct verify_place key = {.len = (uint16_t)at->key.len}; /* writing makes the borrowed void */
    memcpy(key.bytes, at->key.ptr, at->key.len);
    struct chain_entry entry;
    bool whole = chain_take(walk->chain, at->key, at->value, &entry);
    if (!err && !is_anchor)
        err = walk->each(v, at, &entry, whole, &gone, walk->arg);
    if (gone)
        walk->gone = true;
    if (err || gone)
        return err;
    if (!is_anchor)
        err = check_link(at->txn, v, walk, slice_of((const char *)key.bytes, key.len));
    struct slice value = {NULL, 0};
    if (!err)
        err = txn_get(at->txn, walk->chain->table, slice_of((const char *)key.bytes, key.len),
                      &value);
    if (!err)
        note_last(walk, slice_of((const char *)key.bytes, key.len), value);
    return err == ERR_NOT_FOUND ? ERR_OK : err; /* a search does not find it: it is out of order */
}

enum err verify_chain(struct txn *txn, struct verifier *v, const struct chain *chain,
                      verify_chained_fn each, void *arg, struct verify_place *place, bool *end)
{
    struct chain_walk walk = {.chain = chain, .each = each, .arg = arg};
    enum err err = verify_walk(txn, v, chain->table, place, end, chained_entry, &walk);
    if (!err && *end && !walk.any)
        err = find_last(txn, &walk, slice_of(NULL, 0)); /* the step had nothing to look at */
    if (!err && *end)
        err = check_link(txn, v, &walk, slice_of(NULL, 0));
    return err;
}
