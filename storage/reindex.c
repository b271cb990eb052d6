/* Other indexes for a collection that has documents.
 *
 * DESIGN. Fresh indexes are built beside those that there are, in chunks, under numbers that the
 * catalog has among the leftovers: a crash leaves entries that belong to no index, and which are
 * deleted at the next opening. Once all are there, one record of the catalog makes them the
 * collection's indexes, and those that are gone leftovers. */
#include "base/log.h"
#include "base/mem.h"
#include "storage/collection_private.h"

#include <stdlib.h>

#define CHUNK 250 /* documents, or entries, in a transaction */

struct build {
    struct collection *c;
    bool fresh[COLLECTION_INDEXES_MAX];
    struct collection part; /* c with its fresh indexes alone, borrowed */
    struct doc_place place, begin;
    unsigned seen;
    uint64_t documents;
};

static enum err begin(struct txn *txn, void *arg)
{
    struct build *build = arg;
    return catalog_begin_change(txn, build->c, build->fresh);
}

static enum err end(struct txn *txn, void *arg)
{
    enum err err = catalog_end_change(txn, arg);
    return err ? err : sizes_begin(txn, arg);
}

/* ---- Building */

struct addition {
    struct txn *txn;
    struct build *build;
    enum err err;
};

/* The entries are worked out before the first is written: the text is borrowed. */
static bool add_entries(struct slice id, const struct doc *doc, void *arg)
{
    static const struct entry_set none;
    struct addition *addition = arg;
    const struct collection *part = &addition->build->part;
    struct key key;
    key_init_from(&key, &part->prefix);
    key_add_text(&key, id, DOC_ID_MAX + 2);
    struct slice id_part = slice_of(key.bytes + part->prefix.len, key.len - part->prefix.len);
    struct entry_set set;
    enum err err = index_entries(part, id_part, doc->json, &set);
    if (!err)
        err = entries_check(addition->txn, part, &none, &set);
    if (!err)
        err = entries_change(addition->txn, part, id_part, &none, &set);
    entry_set_release(&set);
    addition->build->seen++;
    addition->err = err;
    return !err;
}

static enum err build_chunk(struct txn *txn, void *arg)
{
    struct build *build = arg;
    struct addition addition = {.txn = txn, .build = build};
    build->place = build->begin; /* it may run again */
    build->seen = 0;
    struct doc_scan scan = {.place = &build->place, .limit = CHUNK};
    enum err err = doc_walk(txn, &build->part, &scan, add_entries, &addition);
    return addition.err ? txn_fail(txn, addition.err) : err;
}

/* The part shares the steps of its indexes with c. */
static void choose_fresh(struct build *build)
{
    const struct collection *c = build->c;
    build->part = *c;
    build->part.index_count = 0;
    for (unsigned i = 0; i < c->index_count; i++) {
        if (build->fresh[i])
            build->part.list[build->part.index_count++] = c->list[i];
    }
}

static enum err build_all(struct store *store, struct build *build)
{
    enum err err = ERR_OK;
    choose_fresh(build);
    if (build->part.index_count == 0)
        return ERR_OK;
    do {
        err = store_write(store, build_chunk, build);
        build->begin = build->place;
        build->documents += build->seen;
    } while (!err && build->seen == CHUNK);
    return err;
}

enum err collection_reindex(struct store *store, struct collection *c)
{
    struct build *build = mem_zalloc(sizeof *build);
    build->c = c;
    enum err err = collection_tidy(store, c); /* so that there are never many leftovers */
    if (!err)
        err = store_write(store, begin, build);
    if (!err)
        err = build_all(store, build);
    if (!err)
        err = store_write(store, end, c);
    if (!err)
        log_write(LOG_INFO, "store", "the indexes of %s are others now; documents indexed: %llu",
                  c->name, (unsigned long long)build->documents);
    free(build);
    return err;
}

/* ---- What is left */

struct tidying {
    struct collection *c;
    unsigned number;
    bool more;
};

static enum err find_leftover(struct txn *txn, void *arg)
{
    struct tidying *tidying = arg;
    return catalog_leftover(txn, tidying->c, &tidying->number);
}

/* The first entry with the prefix; ERR_NOT_FOUND if there is none. */
static enum err first_entry(struct txn *txn, const struct collection *c, const struct key *prefix,
                            struct key *out)
{
    struct chain_cursor cursor;
    chain_open(&cursor, txn, &c->entries);
    enum err err = chain_find(&cursor, key_slice(prefix));
    if (err == ERR_NOT_FOUND)
        err = chain_next(&cursor);
    if (!err && !key_has_prefix(cursor.at.key, prefix))
        err = ERR_NOT_FOUND;
    if (!err) {
        memcpy(out->bytes, cursor.at.key.ptr, cursor.at.key.len);
        out->len = (uint16_t)cursor.at.key.len;
    }
    chain_close(&cursor);
    return err;
}

static enum err delete_chunk(struct txn *txn, void *arg)
{
    struct tidying *tidying = arg;
    struct key prefix, key;
    txn_shrinking(txn);
    key_init(&prefix);
    key_add_index(&prefix, tidying->number);
    enum err err = ERR_OK;
    for (unsigned i = 0; !err && i < CHUNK; i++) {
        err = first_entry(txn, tidying->c, &prefix, &key);
        if (!err)
            err = chain_delete(txn, &tidying->c->entries, key_slice(&key));
    }
    tidying->more = !err;
    if (err != ERR_NOT_FOUND)
        return err;
    return catalog_forget_leftover(txn, tidying->c, tidying->number);
}

enum err collection_tidy(struct store *store, struct collection *c)
{
    struct tidying tidying = {.c = c};
    enum err err = store_read(store, find_leftover, &tidying);
    while (!err && tidying.number > 0) {
        do {
            err = store_write(store, delete_chunk, &tidying);
        } while (!err && tidying.more);
        if (!err)
            err = store_read(store, find_leftover, &tidying);
    }
    return err;
}
