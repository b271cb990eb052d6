/* The format of the data directory (docs/format.md): a new one gets its record, another is read
 * before anything else of it is believed, and an older one becomes one of today. */
#include "base/json.h"
#include "storage/convert_private.h"
#include "storage/engine/engine.h"

#include <stdio.h>

struct opening {
    struct store *store;
    bool repair; /* of a file that may have been written anew */
    bool is_new;
    bool converting;
    json_int_t format;        /* of the directory; 0: nothing says so */
    struct table opened[5];   /* meta, docs, doc_texts, doc_index, sums */
    struct collection tables; /* the same */
};

/* ---- The format record. */

static void format_key(struct key *key)
{
    key_init(key);
    key_add_string(key, slice_str("format"));
}

enum err format_write(struct txn *txn, struct table meta, bool converting)
{
    struct key key;
    format_key(&key);
    char text[64];
    snprintf(text, sizeof text, "{\"format\":%d%s}", STORE_FORMAT,
             converting ? ",\"converting\":true" : "");
    return record_put(txn, meta, key_slice(&key), 1, slice_str(text));
}

static enum err read_format(struct txn *txn, struct opening *opening)
{
    struct key key;
    format_key(&key);
    struct record record;
    enum err err = record_get(txn, opening->tables.meta, key_slice(&key), &record);
    json_t *json;
    if (err || (err = json_read_trusted(record.payload, &json)))
        return err;
    opening->format = json_int(json, "format", 0);
    opening->converting = json_is_true(json_object_get(json, "converting"));
    json_decref(json);
    return ERR_OK;
}

/* ---- What is found. */

static enum err begin_tables(struct txn *txn, const struct opening *opening)
{
    enum err err = chain_begin(txn, &opening->tables.docs);
    return err ? err : chain_begin(txn, &opening->tables.entries);
}

static enum err create(struct txn *txn, struct opening *opening)
{
    opening->format = STORE_FORMAT;
    enum err err = format_write(txn, opening->tables.meta, false);
    if (!err)
        err = catalog_create(txn, opening->tables.meta);
    return err ? err : begin_tables(txn, opening);
}

static enum err begin_conversion(struct txn *txn, struct opening *opening)
{
    opening->converting = true;
    enum err err = format_write(txn, opening->tables.meta, true);
    if (!err)
        err = convert_catalog(txn, opening->tables.meta);
    return err ? err : begin_tables(txn, opening);
}

/* A table that was lost would be opened anew, and empty, and nobody the wiser. */
static enum err find_anchor(struct txn *txn, const struct chain *chain, bool repair)
{
    struct chain_entry anchor;
    struct slice value;
    enum err err = repair ? txn_get(txn, chain->table, chain_anchor(), &value)
                          : chain_get(txn, chain, chain_anchor(), &anchor);
    if (repair && err == ERR_NOT_FOUND) /* what it led to is found by verifying */
        return chain_begin(txn, chain);
    if (!err || txn_error(txn))
        return err;
    return txn_damaged(txn, "the table %s is lost, or its beginning",
                       store_table_name(txn_store(txn), chain->table));
}

static void use_tables(struct opening *opening)
{
    opening->tables = (struct collection){
        .meta = opening->opened[0],
        .docs = {.table = opening->opened[1]},
        .texts = opening->opened[2],
        .entries = {opening->opened[3], .covers_body = true},
        .sums = opening->opened[4],
    };
}

static enum err open_directory(struct txn *txn, void *arg)
{
    struct opening *opening = arg;
    use_tables(opening);
    if (opening->is_new)
        return create(txn, opening);
    enum err err = read_format(txn, opening);
    if (err)
        return err;
    if (opening->format == 1)
        return begin_conversion(txn, opening);
    if (opening->format != STORE_FORMAT)
        return ERR_CONFLICT;
    err = find_anchor(txn, &opening->tables.docs, opening->repair);
    return err ? err : find_anchor(txn, &opening->tables.entries, opening->repair);
}

/* ---- Opening. */

static void explain(const struct opening *opening, enum err err, const char *dir, char *why,
                    size_t why_size)
{
    if (err == ERR_NOT_FOUND || err == ERR_MALFORMED)
        snprintf(why, why_size, "%s/data.mdb is not a Galley database", dir);
    else if (err == ERR_CONFLICT)
        snprintf(why, why_size, "%s/data.mdb has format %lld, this program knows %d", dir,
                 (long long)opening->format, STORE_FORMAT);
    else
        snprintf(why, why_size, "cannot read %s/data.mdb: %s", dir,
                 err == ERR_DAMAGED ? "it is damaged" : err_text(err));
}

static enum err open_format(struct store *store, const char *dir, bool repair, char *why,
                            size_t why_size)
{
    static const char *const names[] = {"meta", "docs", "doc_texts", "doc_index", "sums"};
    struct opening opening = {.store = store, .is_new = engine_is_new(store), .repair = repair};
    enum err err = engine_tables(store, names, 5, opening.opened, open_directory, &opening);
    if (err) {
        explain(&opening, err, dir, why, why_size);
        return err == ERR_STORE_FULL ? err : ERR_DAMAGED;
    }
    if (!opening.converting)
        return ERR_OK;
    err = convert(store, &opening.tables);
    if (err)
        snprintf(why, why_size, "cannot convert %s/data.mdb to format %d: %s", dir, STORE_FORMAT,
                 err_text(err));
    return err;
}

enum err store_open(const struct store_options *options, struct store **out, char *why,
                    size_t why_size)
{
    enum err err = engine_open(options, out, why, why_size);
    if (err)
        return err;
    err = open_format(*out, options->dir, options->keep_damaged, why, why_size);
    if (err)
        store_close(out);
    return err;
}
