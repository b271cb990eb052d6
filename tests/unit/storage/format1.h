/* Writes a data directory of store format 1 as docs/format.md, "Format 1", has it: without a line
 * of the program's, so that it stays what it was. */
#ifndef GALLEY_TESTS_FORMAT1_H
#define GALLEY_TESTS_FORMAT1_H

#include <assert.h>
#include <lmdb.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

struct format1 {
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi meta, documents, indexes, other;
};

struct format1_key {
    uint8_t bytes[511];
    size_t len;
};

static inline void format1_string(struct format1_key *key, const char *text)
{
    key->bytes[key->len++] = 0x40;
    memcpy(key->bytes + key->len, text, strlen(text) + 1);
    key->len += strlen(text) + 1;
}

/* Whole numbers that a double has. */
static inline void format1_number(struct format1_key *key, double number)
{
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    bits = bits >> 63 ? ~bits : bits | UINT64_C(1) << 63;
    key->bytes[key->len++] = 0x30;
    for (int shift = 56; shift >= 0; shift -= 8)
        key->bytes[key->len++] = (uint8_t)(bits >> shift);
    key->bytes[key->len++] = 0x80;
    key->bytes[key->len++] = 0x00;
}

static inline void format1_put(struct format1 *f, MDB_dbi table, const struct format1_key *key,
                               const void *value, size_t len)
{
    MDB_val k = {key->len, (void *)key->bytes}, v = {len, (void *)value};
    int rc = mdb_put(f->txn, table, &k, &v, 0);
    assert(rc == 0);
}

static inline void format1_record(struct format1 *f, MDB_dbi table, const struct format1_key *key,
                                  uint64_t version, const char *text)
{
    static uint8_t record[20 + (1 << 20)];
    size_t len = strlen(text);
    assert(len <= 1 << 20);
    memset(record, 0, 20);
    record[0] = 1;
    memcpy(record + 12, &version, sizeof version);
    memcpy(record + 20, text, len);
    static uint8_t summed[511 + 8 + (1 << 20)];
    memcpy(summed, key->bytes, key->len);
    memcpy(summed + key->len, record + 12, 8 + len);
    uint64_t sum = XXH3_64bits(summed, key->len + 8 + len);
    memcpy(record + 4, &sum, sizeof sum);
    format1_put(f, table, key, record, 20 + len);
}

static inline void format1_begin(struct format1 *f, const char *dir)
{
    int rc = mkdir(dir, 0700);
    rc = mdb_env_create(&f->env);
    assert(rc == 0);
    mdb_env_set_mapsize(f->env, 64 << 20);
    mdb_env_set_maxdbs(f->env, 16);
    rc = mdb_env_open(f->env, dir, MDB_NOTLS, 0600);
    assert(rc == 0);
    rc = mdb_txn_begin(f->env, NULL, 0, &f->txn);
    assert(rc == 0);
    mdb_dbi_open(f->txn, "meta", MDB_CREATE, &f->meta);
    mdb_dbi_open(f->txn, "documents", MDB_CREATE, &f->documents);
    mdb_dbi_open(f->txn, "indexes", MDB_CREATE, &f->indexes);
    mdb_dbi_open(f->txn, "jobs", MDB_CREATE, &f->other);
    struct format1_key key = {.len = 0};
    format1_string(&key, "format");
    format1_record(f, f->meta, &key, 1, "{\"format\":1}");
}

static inline void format1_collection(struct format1 *f, const char *name, const char *catalog)
{
    struct format1_key key = {.len = 0};
    format1_string(&key, "collection");
    format1_string(&key, name);
    format1_record(f, f->meta, &key, 1, catalog);
}

static inline void format1_document(struct format1 *f, const char *collection, const char *id,
                                    uint64_t version, const char *text)
{
    struct format1_key key = {.len = 0};
    format1_string(&key, collection);
    format1_string(&key, id);
    format1_record(f, f->documents, &key, version, text);
}

/* (collection, member, value, id): `value` is a string, or NULL and it is the number. */
static inline void format1_entry(struct format1 *f, const char *collection, const char *member,
                                 const char *value, double number, const char *id)
{
    struct format1_key key = {.len = 0};
    format1_string(&key, collection);
    format1_string(&key, member);
    if (value)
        format1_string(&key, value);
    else
        format1_number(&key, number);
    format1_string(&key, id);
    format1_put(f, f->indexes, &key, "", 0);
}

static inline void format1_end(struct format1 *f)
{
    int rc = mdb_txn_commit(f->txn);
    assert(rc == 0);
    mdb_env_close(f->env);
}

#endif
