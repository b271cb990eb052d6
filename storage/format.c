/* The format of the data directory (docs/format.md): a new one gets its record, another is read
 * before anything else of it is believed. */
#include "base/json.h"
#include "storage/engine/engine.h"
#include "storage/key.h"

#include <stdio.h>

/* Of the whole directory; docs/format.md says when it is counted up. */
#define STORE_FORMAT 1

struct format {
    struct table *meta;
    json_int_t number;
};

static void format_key(struct key *key)
{
    key_init(key);
    key_add_string(key, slice_str("format"));
}

static enum err write_format(struct txn *txn, void *arg)
{
    struct format *format = arg;
    struct key key;
    format_key(&key);
    char text[32];
    snprintf(text, sizeof text, "{\"format\":%d}", STORE_FORMAT);
    format->number = STORE_FORMAT;
    return record_put(txn, *format->meta, key_slice(&key), 1, slice_str(text));
}

static enum err read_format(struct txn *txn, void *arg)
{
    struct format *format = arg;
    struct key key;
    format_key(&key);
    struct record record;
    enum err err = record_get(txn, *format->meta, key_slice(&key), &record);
    json_t *json;
    if (err || (err = json_read_trusted(record.payload, &json)))
        return err;
    format->number = json_int(json, "format", 0);
    json_decref(json);
    return ERR_OK;
}

static enum err open_format(struct store *store, const char *dir, char *why, size_t why_size)
{
    static const char *const name = "meta";
    struct table meta;
    struct format format = {.meta = &meta};
    store_fn fn = engine_is_new(store) ? write_format : read_format;
    enum err err = engine_tables(store, &name, 1, &meta, fn, &format);
    if (err == ERR_NOT_FOUND || err == ERR_MALFORMED) {
        snprintf(why, why_size, "%s/data.mdb is not a Galley database", dir);
        return ERR_DAMAGED;
    }
    if (err) {
        snprintf(why, why_size, "cannot read the format of %s/data.mdb: %s", dir,
                 err == ERR_DAMAGED ? "it is damaged" : err_text(err));
        return err;
    }
    if (format.number == STORE_FORMAT)
        return ERR_OK;
    snprintf(why, why_size, "%s/data.mdb has format %lld, this program knows %d", dir,
             (long long)format.number, STORE_FORMAT);
    return ERR_DAMAGED;
}

enum err store_open(const struct store_options *options, struct store **out, char *why,
                    size_t why_size)
{
    enum err err = engine_open(options, out, why, why_size);
    if (err)
        return err;
    err = open_format(*out, options->dir, why, why_size);
    if (err)
        store_close(out);
    return err;
}
