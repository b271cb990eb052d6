/* Walking a collection, by id or by an index.
 *
 * DESIGN. Both are a walk over a range of keys that share a prefix, in either direction. What a
 * document's id and record are is the only difference: in the table of documents the entry is the
 * record, in the table of indexes the entry names the id. The function that is called may write:
 * the walk then seeks its place again. */
#include "storage/collection_private.h"

#include <assert.h>

struct walk {
    struct txn *txn;
    const struct collection *c;
    const struct doc_scan *scan;
    const struct index *index; /* NULL: by id */
    struct table table;
    struct key prefix;
    struct key place; /* where to begin, later where it stands */
    struct cursor cursor;
};

static const struct index *find_index(const struct collection *c, const char *member)
{
    for (unsigned i = 0; i < c->index_count; i++) {
        if (strcmp(c->list[i].member, member) == 0)
            return &c->list[i];
    }
    assert(false); /* a walk by an index that was not declared */
    return NULL;
}

/* ---- Where to begin. */

/* To the last key that begins with the prefix. */
static enum err seek_end(struct walk *w)
{
    struct key end;
    key_init_from(&end, &w->prefix);
    key_add_end(&end);
    return cursor_seek_before(&w->cursor, key_slice(&end));
}

/* Behind the place, in the direction of the walk. */
static enum err seek_behind(struct walk *w)
{
    if (w->scan->descending)
        return cursor_seek_before(&w->cursor, key_slice(&w->place));
    enum err err = cursor_seek(&w->cursor, key_slice(&w->place));
    if (err == ERR_OK && slice_eq(w->cursor.key, key_slice(&w->place)))
        err = cursor_next(&w->cursor);
    return err;
}

/* The key of the document to begin behind. In an index without a fixed value its own value says
 * where that is. */
static enum err find_after(struct walk *w)
{
    if (!document_id_fits(w->scan->after))
        return ERR_NOT_FOUND;
    key_init_from(&w->place, &w->prefix);
    json_t *doc;
    bool indexed = true;
    if (w->index && !w->scan->equal) {
        enum err err = doc_load(w->txn, w->c, w->scan->after, &doc, NULL);
        if (err != ERR_OK)
            return err;
        const json_t *value = json_object_get(doc, w->index->member);
        indexed = index_value_key(&w->place, w->index, value);
        json_decref(doc);
    }
    key_add_string(&w->place, w->scan->after);
    return indexed ? ERR_OK : ERR_NOT_FOUND;
}

static enum err seek_begin(struct walk *w)
{
    if (w->scan->after.len > 0)
        return seek_behind(w);
    return w->scan->descending ? seek_end(w) : cursor_seek(&w->cursor, key_slice(&w->prefix));
}

/* ---- What it stands on. */

static enum err document_here(struct walk *w, char id[DOC_ID_MAX + 1], struct doc *out)
{
    struct slice rest = w->cursor.key;
    struct record record;
    enum err err = record_decode(w->txn, w->table, w->cursor.key, w->cursor.value, &record);
    if (err != ERR_OK)
        return err;
    *out = (struct doc){record.payload, record.version};
    bool sound = key_skip(&rest) && key_take_string(&rest, id, DOC_ID_MAX + 1);
    return sound ? ERR_OK : txn_fail(w->txn, ERR_DAMAGED);
}

static enum err entry_here(struct walk *w, char id[DOC_ID_MAX + 1], struct doc *out, bool *matches)
{
    enum err err = index_entry_document(w->txn, w->c, w->index, w->cursor.key, id, out);
    if (err == ERR_OK && w->prefix.cut)
        err = index_matches(w->txn, w->index, out, w->scan->equal, matches);
    return err;
}

/* ---- The walk. */

static enum err step(struct walk *w, unsigned writes_before)
{
    if (txn_writes(w->txn) != writes_before)
        return seek_behind(w); /* written to since */
    return w->scan->descending ? cursor_prev(&w->cursor) : cursor_next(&w->cursor);
}

static void save_place(struct walk *w)
{
    memcpy(w->place.bytes, w->cursor.key.ptr, w->cursor.key.len);
    w->place.len = (uint16_t)w->cursor.key.len;
}

static enum err visit(struct walk *w, doc_fn each, void *arg, bool *stop, bool *matches)
{
    *matches = true;
    char id[DOC_ID_MAX + 1];
    struct doc doc;
    enum err err = w->index ? entry_here(w, id, &doc, matches) : document_here(w, id, &doc);
    if (err == ERR_OK && *matches)
        *stop = !each(slice_str(id), &doc, arg);
    return err;
}

static enum err walk_all(struct walk *w, doc_fn each, void *arg)
{
    enum err err = seek_begin(w);
    unsigned count = 0;
    bool stop = false, matches;
    while (err == ERR_OK && key_has_prefix(w->cursor.key, &w->prefix)) {
        unsigned writes_before = txn_writes(w->txn);
        save_place(w);
        err = visit(w, each, arg, &stop, &matches);
        if (err == ERR_OK && matches && (stop || ++count == w->scan->limit))
            break;
        if (err == ERR_OK)
            err = step(w, writes_before);
    }
    return err;
}

enum err doc_walk(struct txn *txn, const struct collection *c, const struct doc_scan *scan,
                  doc_fn each, void *arg)
{
    struct walk w = {.txn = txn, .c = c, .scan = scan, .table = c->documents};
    key_init_from(&w.prefix, &c->prefix);
    if (scan->index) {
        w.index = find_index(c, scan->index);
        w.table = c->indexes;
        key_init_from(&w.prefix, &w.index->prefix);
        if (scan->equal && !index_value_key(&w.prefix, w.index, scan->equal))
            return txn_error(txn); /* no index holds such a value */
    }
    enum err err = scan->after.len > 0 ? find_after(&w) : ERR_OK;
    if (err != ERR_OK)
        return err;
    cursor_open(&w.cursor, txn, w.table);
    err = walk_all(&w, each, arg);
    cursor_close(&w.cursor);
    return err == ERR_NOT_FOUND ? txn_error(txn) : err; /* the end */
}
