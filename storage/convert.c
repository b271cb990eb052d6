/* Conversion of format 1, in which collections and indexes stood in keys by their names
 * (docs/format.md, "Format 1").
 *
 * DESIGN. Documents move from the table `documents` to the tables of today, some thousand in each
 * transaction, and are deleted where they were: what is still there is what is left to do, so a
 * start that is interrupted goes on at the next one. Index entries are made anew of the documents;
 * the old ones go with their table. A document that is damaged stays behind, counted and named, and
 * keeps the old table alive: no part of the program looks into it any more, but it is not thrown
 * away. */
#include "storage/convert_private.h"

#include "base/log.h"
#include "base/mem.h"
#include "storage/engine/engine.h"

#include <stdlib.h>

#define CHUNK_DOCUMENTS 1000
#define CHUNK_BYTES     (4u << 20)
#define TELL_EVERY      100000 /* documents */

/* ---- The catalog. */

/* {"member":"mail","unique":true} */
static json_t *convert_index(const json_t *old)
{
    return json_pack("{s:s, s:b, s:b}", "fields", json_str(old, "member", ""), "unique",
                     json_is_true(json_object_get(old, "unique")), "sparse", 1);
}

static json_t *convert_indexes(const json_t *old)
{
    json_t *indexes = json_array();
    const json_t *list = json_object_get(old, "indexes");
    for (size_t i = 0; i < json_array_size(list); i++)
        json_array_append_new(indexes, convert_index(json_array_get(list, i)));
    return indexes;
}

/* Declares the collection to the new catalog, as opening it would. */
static enum err convert_collection(struct txn *txn, struct table meta, const char *name,
                                   struct slice text)
{
    json_t *old;
    if (json_read_trusted(text, &old))
        return txn_fail(txn, ERR_DAMAGED);
    json_t *indexes = convert_indexes(old);
    enum err err = catalog_add(txn, meta, name, indexes);
    json_decref(indexes);
    json_decref(old);
    return err;
}

/* Takes the first old entry out of the catalog; ERR_NOT_FOUND if there is none. */
static enum err convert_first(struct txn *txn, struct table meta, const struct key *prefix)
{
    struct cursor cursor;
    cursor_open(&cursor, txn, meta);
    enum err err = cursor_seek(&cursor, key_slice(prefix));
    if (!err && !key_has_prefix(cursor.key, prefix))
        err = ERR_NOT_FOUND;
    struct record record;
    if (!err)
        err = record_decode(txn, meta, cursor.key, cursor.value, &record);
    struct key key;
    char name[NAME_MAX_BYTES + 1];
    if (!err) {
        memcpy(key.bytes, cursor.key.ptr, cursor.key.len);
        key.len = (uint16_t)cursor.key.len;
        struct slice rest = slice_of(cursor.key.ptr + prefix->len, cursor.key.len - prefix->len);
        err = key_take_string(&rest, name, sizeof name) ? ERR_OK : txn_fail(txn, ERR_DAMAGED);
    }
    cursor_close(&cursor);
    if (!err)
        err = convert_collection(txn, meta, name, record.payload);
    return err ? err : txn_del(txn, meta, key_slice(&key));
}

enum err convert_catalog(struct txn *txn, struct table meta)
{
    struct key prefix;
    key_init(&prefix);
    key_add_string(&prefix, slice_str("collection"));
    enum err err = catalog_create(txn, meta);
    while (!err)
        err = convert_first(txn, meta, &prefix);
    return err == ERR_NOT_FOUND ? txn_error(txn) : err;
}

/* ---- The documents. */

struct conversion {
    struct store *store;
    const struct collection *tables;
    struct table old;       /* documents of format 1 */
    struct collection *now; /* where the present document goes; by itself for each run of them */
    struct key place;       /* behind which to go on: what is before is damaged */
    uint64_t moved, damaged;
    bool end;
};

/* One document, copied, as its table is written to. */
struct moving {
    struct key key;
    char collection[NAME_MAX_BYTES + 1];
    struct slice json;
    uint64_t version;
};

static enum err find_next(struct txn *txn, struct conversion *conversion, struct moving *out)
{
    struct cursor cursor;
    cursor_open(&cursor, txn, conversion->old);
    const struct key *place = &conversion->place;
    enum err err = cursor_seek(&cursor, key_slice(place));
    if (!err && place->len > 0 && slice_eq(cursor.key, key_slice(place)))
        err = cursor_next(&cursor);
    if (!err) {
        memcpy(out->key.bytes, cursor.key.ptr, cursor.key.len);
        out->key.len = (uint16_t)cursor.key.len;
    }
    cursor_close(&cursor);
    return err;
}

/* False if the document is damaged. */
static bool read_old(struct txn *txn, const struct conversion *conversion, struct moving *out)
{
    struct record record;
    struct slice rest = key_slice(&out->key);
    if (record_try(txn, conversion->old, key_slice(&out->key), &record) ||
        !key_take_string(&rest, out->collection, sizeof out->collection))
        return false;
    char *copy = txn_alloc(txn, record.payload.len + 1);
    memcpy(copy, record.payload.ptr, record.payload.len);
    out->json = slice_of(copy, record.payload.len);
    out->version = record.version;
    return true;
}

static void leave_behind(struct conversion *conversion, const struct moving *moving)
{
    struct buf text = BUF_INIT;
    key_print(&text, key_slice(&moving->key));
    log_write(LOG_ERROR, "store", "The document %.*s is damaged and cannot be converted.",
              SLICE_ARG(buf_slice(&text)));
    buf_release(&text);
    conversion->place = moving->key;
    conversion->damaged++;
}

/* The collection as the catalog has it. */
static enum err enter_collection(struct txn *txn, struct conversion *conversion, const char *name)
{
    if (conversion->now && strcmp(conversion->now->name, name) == 0)
        return ERR_OK;
    collection_close(&conversion->now);
    return catalog_find(txn, conversion->tables, name, &conversion->now);
}

static enum err move(struct txn *txn, struct conversion *conversion, const struct moving *moving)
{
    enum err err = enter_collection(txn, conversion, moving->collection);
    if (err == ERR_NOT_FOUND) { /* and it was never seen: there is no such collection */
        leave_behind(conversion, moving);
        return ERR_OK;
    }
    if (!err)
        err = doc_restore(txn, conversion->now, moving->json, moving->version);
    conversion->moved++;
    return err ? err : txn_del(txn, conversion->old, key_slice(&moving->key));
}

static enum err move_chunk(struct txn *txn, void *arg)
{
    struct conversion *conversion = arg;
    struct conversion before = *conversion;
    size_t bytes = 0;
    enum err err = ERR_OK;
    for (int i = 0; i < CHUNK_DOCUMENTS && bytes < CHUNK_BYTES && !err; i++) {
        struct moving moving;
        err = find_next(txn, conversion, &moving);
        if (err)
            break;
        if (!read_old(txn, conversion, &moving)) {
            leave_behind(conversion, &moving);
            continue;
        }
        err = move(txn, conversion, &moving);
        bytes += moving.json.len;
    }
    conversion->end = err == ERR_NOT_FOUND && !txn_error(txn);
    if (err && !conversion->end) { /* it may run again */
        conversion->moved = before.moved;
        conversion->damaged = before.damaged;
        conversion->place = before.place;
        return err;
    }
    return ERR_OK;
}

static enum err move_all(struct conversion *conversion)
{
    enum err err = ERR_OK;
    uint64_t told = 0;
    while (!err && !conversion->end) {
        err = store_write(conversion->store, move_chunk, conversion);
        if (conversion->moved - told < TELL_EVERY)
            continue;
        told = conversion->moved;
        log_write(LOG_INFO, "store", "Converted %llu documents so far.", (unsigned long long)told);
    }
    collection_close(&conversion->now);
    return err;
}

/* ---- The end. */

static enum err finish(struct txn *txn, void *arg)
{
    const struct conversion *conversion = arg;
    return format_write(txn, conversion->tables->meta, false);
}

static enum err drop_old(struct conversion *conversion)
{
    struct table indexes;
    enum err err = store_table(conversion->store, "indexes", &indexes);
    if (!err)
        err = engine_drop(conversion->store, &indexes);
    if (!err && conversion->damaged == 0)
        err = engine_drop(conversion->store, &conversion->old);
    return err;
}

enum err convert(struct store *store, const struct collection *tables)
{
    struct conversion conversion = {.store = store, .tables = tables};
    log_write(LOG_INFO, "store", "The data directory becomes one of format %d.", STORE_FORMAT);
    enum err err = store_table(store, "documents", &conversion.old);
    if (!err)
        err = move_all(&conversion);
    if (!err)
        err = drop_old(&conversion);
    if (!err)
        err = store_write(store, finish, &conversion);
    if (!err)
        log_write(conversion.damaged ? LOG_ERROR : LOG_INFO, "store",
                  "The data directory is one of format %d: %llu documents converted, %llu damaged "
                  "ones left in the table \"documents\".",
                  STORE_FORMAT, (unsigned long long)conversion.moved,
                  (unsigned long long)conversion.damaged);
    return err;
}
