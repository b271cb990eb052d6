/* Records: what protects a value on disk. The layout is in docs/format.md. */
#include "base/hash.h"
#include "storage/key.h"
#include "storage/storage_private.h"

#include <endian.h>

#define RECORD_FORMAT 1

/* Offsets. All behind the checksum, and the key, is what it is made over; all before it has one
 * valid value: no bit of a record goes unchecked. */
enum { AT_FORMAT = 0, AT_RESERVED = 1, AT_CHECKSUM = 4, AT_VERSION = 12, HEADER_SIZE = 20 };

static void store_u64(uint8_t *at, uint64_t value)
{
    value = htole64(value);
    memcpy(at, &value, sizeof value);
}

static uint64_t load_u64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return le64toh(value);
}

static uint64_t checksum(struct slice key, const uint8_t *record, size_t size)
{
    return hash_bytes2(key, slice_of(record + AT_VERSION, size - AT_VERSION));
}

static enum err damaged(struct txn *txn, struct table table, struct slice key, const char *how)
{
    struct buf text = BUF_INIT;
    key_print(&text, key);
    enum err err =
        txn_damaged(txn, "the record %.*s of the table %s, %s", SLICE_ARG(buf_slice(&text)),
                    store_table_name(txn_store(txn), table), how);
    buf_release(&text);
    return err;
}

const char *record_fault(struct slice key, struct slice value)
{
    static const uint8_t start[AT_CHECKSUM] = {RECORD_FORMAT};
    const uint8_t *record = (const uint8_t *)value.ptr;
    if (value.len < HEADER_SIZE)
        return "it is too short";
    if (memcmp(record, start, sizeof start) != 0)
        return "its format is unknown";
    if (load_u64(record + AT_CHECKSUM) != checksum(key, record, value.len))
        return "its checksum is wrong";
    return NULL;
}

struct record record_parts(struct slice value)
{
    return (struct record){
        .payload = slice_of(value.ptr + HEADER_SIZE, value.len - HEADER_SIZE),
        .version = load_u64((const uint8_t *)value.ptr + AT_VERSION),
    };
}

enum err record_decode(struct txn *txn, struct table table, struct slice key, struct slice value,
                       struct record *out)
{
    *out = (struct record){0};
    if (txn_error(txn) != ERR_OK)
        return txn_error(txn);
    const char *fault = record_fault(key, value);
    if (fault)
        return damaged(txn, table, key, fault);
    *out = record_parts(value);
    return ERR_OK;
}

enum err record_get(struct txn *txn, struct table table, struct slice key, struct record *out)
{
    *out = (struct record){0};
    struct slice value;
    enum err err = txn_get(txn, table, key, &value);
    return err == ERR_OK ? record_decode(txn, table, key, value, out) : err;
}

static enum err try_value(struct slice key, struct slice value, struct record *out)
{
    *out = (struct record){0};
    if (record_fault(key, value))
        return ERR_DAMAGED;
    *out = record_parts(value);
    return ERR_OK;
}

enum err record_try(struct txn *txn, struct table table, struct slice key, struct record *out)
{
    *out = (struct record){0};
    struct slice value;
    enum err err = txn_get(txn, table, key, &value);
    return err != ERR_OK ? err : try_value(key, value, out);
}

#define AT_ONCE 64

enum err record_try_many(struct txn *txn, struct table table, const struct slice *keys,
                         unsigned count, struct record *out, enum err *errs)
{
    struct slice values[AT_ONCE];
    for (unsigned done = 0; done < count; done += AT_ONCE) {
        unsigned some = count - done < AT_ONCE ? count - done : AT_ONCE;
        enum err err = txn_get_many(txn, table, keys + done, some, values);
        for (unsigned i = 0; i < some; i++) {
            unsigned at = done + i;
            errs[at] = err;
            if (!err)
                errs[at] = values[i].ptr ? try_value(keys[at], values[i], &out[at]) : ERR_NOT_FOUND;
        }
    }
    return txn_error(txn);
}

size_t record_size(struct slice payload)
{
    return HEADER_SIZE + payload.len;
}

void record_write(uint8_t *place, struct slice key, uint64_t version, struct slice payload)
{
    memset(place, 0, AT_CHECKSUM);
    place[AT_FORMAT] = RECORD_FORMAT;
    store_u64(place + AT_VERSION, version);
    if (payload.len > 0)
        memcpy(place + HEADER_SIZE, payload.ptr, payload.len);
    store_u64(place + AT_CHECKSUM, checksum(key, place, record_size(payload)));
}

enum err record_put(struct txn *txn, struct table table, struct slice key, uint64_t version,
                    struct slice payload)
{
    if (payload.len > STORE_VALUE_MAX)
        return txn_fail(txn, ERR_BODY_TOO_LARGE);
    uint8_t *place;
    enum err err = txn_reserve(txn, table, key, record_size(payload), &place);
    if (err == ERR_OK)
        record_write(place, key, version, payload);
    return err;
}
