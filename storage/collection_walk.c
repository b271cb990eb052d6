/* Walking a collection, by id or by an index.
 *
 * DESIGN. Both are a walk over a range of keys of a chained table that share a prefix, in either
 * direction. In the table of documents the entry is the document, in the table of indexes it names
 * the id. The function that is called may write: the walk then seeks its place again. */
#include "storage/collection_private.h"

#include <assert.h>

struct walk {
    struct txn *txn;
    const struct collection *c;
    const struct doc_scan *scan;
    const struct index *index; /* NULL: by id */
    struct key prefix;
    struct key place; /* where to begin behind, later where it stands; empty: at the beginning */
    struct chain_cursor cursor;
    struct chain_ahead ahead;
    unsigned count; /* documents shown */
};

static const struct index *find_index(const struct collection *c, const char *fields)
{
    for (unsigned i = 0; i < c->index_count; i++) {
        if (strcmp(c->list[i].fields, fields) == 0)
            return &c->list[i];
    }
    assert(false); /* a walk by an index that was not declared */
    return NULL;
}

/* The rest is set before it is read: it is large. */
static void walk_init(struct walk *w, struct txn *txn, const struct collection *c,
                      const struct doc_scan *scan)
{
    w->txn = txn;
    w->c = c;
    w->scan = scan;
    w->index = NULL;
    w->count = 0;
}

/* ---- Where to begin. */

/* In the direction of the walk. */
static enum err go_on(struct walk *w)
{
    unsigned wanted = w->scan->limit ? w->scan->limit - w->count : CHAIN_AHEAD_MAX;
    return chain_step(&w->cursor, &w->ahead, w->scan->descending, key_slice(&w->prefix), wanted);
}

static enum err find(struct walk *w, const struct key *key)
{
    w->ahead.at = w->ahead.count = 0;
    return chain_find(&w->cursor, key_slice(key));
}

/* Behind the place, in the direction of the walk. */
static enum err seek_behind(struct walk *w)
{
    enum err err = find(w, &w->place);
    if (err == ERR_NOT_FOUND && w->scan->descending)
        return ERR_OK; /* it stands before */
    return err && err != ERR_NOT_FOUND ? err : go_on(w);
}

/* To the first key that begins with the prefix, or the last. */
static enum err seek_begin(struct walk *w)
{
    struct key begin;
    key_init_from(&begin, &w->prefix);
    if (w->scan->descending)
        key_add_end(&begin);
    enum err err = find(w, &begin);
    if (err != ERR_NOT_FOUND)
        return err;
    return w->scan->descending ? ERR_OK : go_on(w);
}

/* Sets the place to begin behind. */
static enum err find_place(struct walk *w)
{
    const struct doc_scan *scan = w->scan;
    w->place.len = 0;
    if (scan->place && scan->place->len > 0) {
        w->place.len = scan->place->len;
        memcpy(w->place.bytes, scan->place->bytes, scan->place->len);
        return key_has_prefix(key_slice(&w->place), &w->prefix) ? ERR_OK : ERR_VALIDATION;
    }
    if (scan->after.len == 0)
        return ERR_OK;
    assert(!w->index || (scan->equal && !w->index->unique));
    if (!document_id_fits(scan->after))
        return ERR_NOT_FOUND;
    key_init_from(&w->place, &w->prefix);
    key_add_text(&w->place, scan->after, DOC_ID_MAX + 2);
    return ERR_OK;
}

/* ---- What it stands on. */

enum err document_of_index(struct txn *txn, const struct collection *c, const struct index *index,
                           const struct chain_entry *entry, struct slice *id, struct doc *out)
{
    enum err err = entry_id(txn, c, index, entry, id);
    if (err)
        return err;
    struct key key;
    key_init_from(&key, &c->prefix);
    memcpy(key.bytes + key.len, id->ptr, id->len);
    key.len = (uint16_t)(key.len + id->len);
    struct chain_entry found;
    err = chain_get(txn, &c->docs, key_slice(&key), &found);
    if (err == ERR_NOT_FOUND)
        return txn_damaged(txn, "the index %s of %s, an entry without a document", index->fields,
                           c->name);
    return err ? err : document_of(txn, c, &found, out);
}

/* For entries whose value was cut. */
static enum err has_value(struct walk *w, const struct doc *doc, bool *out)
{
    json_t *tree;
    if (json_read_trusted(doc->json, &tree))
        return txn_fail(w->txn, ERR_DAMAGED);
    *out = index_matches(w->index, tree, w->scan->equal);
    json_decref(tree);
    return ERR_OK;
}

static enum err document_here(struct walk *w, char id[DOC_ID_MAX + 1], struct doc *out,
                              bool *matches)
{
    enum err err;
    struct slice rest =
        slice_of(w->cursor.at.key.ptr + w->c->prefix.len, w->cursor.at.key.len - w->c->prefix.len);
    *out = (struct doc){0};
    if (w->index)
        err = document_of_index(w->txn, w->c, w->index, &w->cursor.at, &rest, out);
    else
        err = document_of(w->txn, w->c, &w->cursor.at, out);
    *matches = true;
    if (!err && w->prefix.cut)
        err = has_value(w, out, matches);
    if (!err && !key_take_text(&rest, id, DOC_ID_MAX + 1))
        err = txn_damaged(w->txn, "an id in %s", w->c->name);
    return err;
}

/* ---- The walk. */

static enum err step(struct walk *w, unsigned writes_before)
{
    return txn_writes(w->txn) != writes_before ? seek_behind(w) : go_on(w);
}

static void save_place(struct walk *w)
{
    memcpy(w->place.bytes, w->cursor.at.key.ptr, w->cursor.at.key.len);
    w->place.len = (uint16_t)w->cursor.at.key.len;
}

static enum err visit(struct walk *w, doc_fn each, void *arg, bool *stop, bool *matches)
{
    char id[DOC_ID_MAX + 1];
    struct doc doc;
    enum err err = document_here(w, id, &doc, matches);
    if (!err && *matches)
        *stop = !each(slice_str(id), &doc, arg);
    return err;
}

static enum err walk_all(struct walk *w, doc_fn each, void *arg)
{
    enum err err = w->place.len > 0 ? seek_behind(w) : seek_begin(w);
    bool stop = false, matches;
    while (!err && key_has_prefix(w->cursor.at.key, &w->prefix)) {
        unsigned writes_before = txn_writes(w->txn);
        save_place(w);
        err = visit(w, each, arg, &stop, &matches);
        if (!err && matches && (stop || ++w->count == w->scan->limit))
            break;
        if (!err && w->scan->more && txn_out_of_time(w->txn)) {
            *w->scan->more = true;
            break;
        }
        if (!err)
            err = step(w, writes_before);
    }
    return err;
}

static void hand_out_place(const struct walk *w)
{
    struct doc_place *out = w->scan->place;
    if (!out)
        return;
    out->len = w->place.len;
    memcpy(out->bytes, w->place.bytes, w->place.len);
}

enum err doc_walk(struct txn *txn, const struct collection *c, const struct doc_scan *scan,
                  doc_fn each, void *arg)
{
    struct walk w;
    walk_init(&w, txn, c, scan);
    if (scan->more)
        *scan->more = false;
    key_init_from(&w.prefix, &c->prefix);
    if (scan->index) {
        w.index = find_index(c, scan->index);
        key_init_from(&w.prefix, &w.index->prefix);
        if (scan->equal && !index_prefix(w.index, scan->equal, &w.prefix))
            return txn_error(txn); /* no index holds such a value */
    }
    enum err err = find_place(&w);
    if (err)
        return err;
    chain_open(&w.cursor, txn, w.index ? &c->entries : &c->docs);
    err = txn_error(txn);
    if (!err)
        err = walk_all(&w, each, arg);
    chain_close(&w.cursor);
    hand_out_place(&w);
    return err == ERR_NOT_FOUND ? txn_error(txn) : err; /* the end */
}

/* ---- In as many transactions as it takes. */

struct long_walk {
    const struct collection *c;
    struct doc_scan scan;
    struct doc_place place;
    bool more;
    doc_fn each;
    void *arg;
};

static enum err walk_on(struct txn *txn, void *arg)
{
    struct long_walk *walk = arg;
    return doc_walk(txn, walk->c, &walk->scan, walk->each, walk->arg);
}

enum err doc_walk_all(struct store *store, const struct collection *c, const struct doc_scan *scan,
                      doc_fn each, void *arg)
{
    assert(!scan->place && !scan->more && scan->limit == 0);
    struct long_walk walk = {.c = c, .scan = *scan, .each = each, .arg = arg};
    walk.scan.place = &walk.place;
    walk.scan.more = &walk.more;
    enum err err;
    do {
        err = store_read(store, walk_on, &walk);
    } while (!err && walk.more);
    return err;
}
