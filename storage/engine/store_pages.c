/* What the file holds: its tables, and whether its pages add up. */
#include "base/mem.h"
#include "storage/engine/engine_private.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_LIST 1 /* the handle of LMDB's list of tables */

/* ---- Tables. */

static enum err each_name(struct txn *txn, MDB_cursor *cursor,
                          void (*each)(const char *name, void *arg), void *arg)
{
    MDB_val key, value;
    int rc;
    while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == MDB_SUCCESS) {
        char name[TABLE_NAME_MAX + 1] = "";
        size_t len = key.mv_size < TABLE_NAME_MAX ? key.mv_size : TABLE_NAME_MAX;
        memcpy(name, key.mv_data, len);
        each(name, arg);
    }
    return rc == MDB_NOTFOUND ? ERR_OK : txn_fail(txn, store_err(txn->store, rc, "listing tables"));
}

enum err store_each_table(struct txn *txn, void (*each)(const char *name, void *arg), void *arg)
{
    if (txn->err != ERR_OK)
        return txn->err;
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(txn->mdb, TABLE_LIST, &cursor);
    if (rc != MDB_SUCCESS)
        return txn_fail(txn, store_err(txn->store, rc, "listing tables"));
    enum err err = each_name(txn, cursor, each, arg);
    mdb_cursor_close(cursor);
    return err;
}

/* ---- Pages.
 *
 * Leaf pages and those of long values are known one by one, by where keys and values lie in the
 * map; of branch pages LMDB says only how many there are. So a page that is in two places is found
 * if it is no branch page, and that any is nowhere is found by counting. */

struct page_map {
    struct txn *txn;
    const char *begin, *end; /* the map */
    size_t last;             /* the last page */
    uint8_t *free, *used;    /* a bit for each page */
    uint64_t free_pages, table_pages;
    uint64_t leaf_pages, long_pages; /* of the table that is walked */
    const char *table;
    void (*found)(const char *what, void *arg);
    void *arg;
};

__attribute__((format(printf, 2, 3))) static void tell(const struct page_map *map,
                                                       const char *format, ...)
{
    char what[STORE_DAMAGE_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    map->found(what, map->arg);
}

/* Sets the bit; false if it was set. */
static bool set_bit(uint8_t *bits, size_t page)
{
    uint8_t bit = (uint8_t)(1u << (page & 7));
    bool was = bits[page / 8] & bit;
    bits[page / 8] |= bit;
    return !was;
}

static bool has_bit(const uint8_t *bits, size_t page)
{
    return bits[page / 8] >> (page & 7) & 1;
}

static bool is_page(const struct page_map *map, size_t page)
{
    return page > 1 && page <= map->last; /* the first two are LMDB's meta pages */
}

/* ---- The list of free pages: records of a count and so many numbers. */

static void note_free(struct page_map *map, size_t page)
{
    if (!is_page(map, page))
        tell(map, "the list of free pages has page %zu, which is not in the file", page);
    else if (has_bit(map->used, page))
        tell(map, "page %zu is free and in a table", page);
    else if (!set_bit(map->free, page))
        tell(map, "the list of free pages has page %zu twice", page);
    else
        map->free_pages++;
}

static void note_free_list(struct page_map *map, MDB_val value)
{
    size_t count = 0, page;
    if (value.mv_size >= sizeof count)
        memcpy(&count, value.mv_data, sizeof count);
    if (value.mv_size / sizeof page < count + 1) {
        tell(map, "a record of the list of free pages is cut short");
        return;
    }
    for (size_t i = 1; i <= count; i++) {
        memcpy(&page, (const char *)value.mv_data + i * sizeof page, sizeof page);
        note_free(map, page);
    }
}

/* ---- Tables. */

static void note_used(struct page_map *map, size_t page)
{
    if (!is_page(map, page))
        tell(map, "the table %s has a page beyond the end, %zu", map->table, page);
    else if (has_bit(map->free, page))
        tell(map, "page %zu is free and in the table %s", page, map->table);
    else if (!set_bit(map->used, page))
        tell(map, "page %zu is twice in tables, the last is %s", page, map->table);
}

/* The page of the value begins with a head; those behind it do not. */
static void note_entry(struct page_map *map, MDB_val key, MDB_val value, size_t *leaf)
{
    const size_t size = map->txn->store->page_bytes;
    size_t key_page = (size_t)((const char *)key.mv_data - map->begin) / size;
    size_t at = (size_t)((const char *)value.mv_data - map->begin);
    if (key_page != *leaf) {
        note_used(map, key_page);
        map->leaf_pages++;
    }
    *leaf = key_page;
    if (at / size == key_page)
        return;
    size_t pages = (at % size + value.mv_size + size - 1) / size;
    for (size_t i = 0; i < pages; i++)
        note_used(map, at / size + i);
    map->long_pages += pages;
}

static int walk_table(struct page_map *map, MDB_dbi handle)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    size_t leaf = 0;
    int rc = mdb_cursor_open(map->txn->mdb, handle, &cursor);
    if (rc != MDB_SUCCESS)
        return rc;
    while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == MDB_SUCCESS) {
        note_entry(map, key, value, &leaf);
        if (handle == FREE_LIST)
            note_free_list(map, value);
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

static int check_table(struct page_map *map, MDB_dbi handle, const char *name)
{
    MDB_stat stat;
    map->table = name;
    map->leaf_pages = map->long_pages = 0;
    int rc = mdb_stat(map->txn->mdb, handle, &stat);
    if (rc == MDB_SUCCESS)
        rc = walk_table(map, handle);
    if (rc != MDB_SUCCESS)
        return rc;
    if (map->leaf_pages != stat.ms_leaf_pages || map->long_pages != stat.ms_overflow_pages)
        tell(map, "the table %s counts %zu and %zu pages, and has %" PRIu64 " and %" PRIu64, name,
             stat.ms_leaf_pages, stat.ms_overflow_pages, map->leaf_pages, map->long_pages);
    map->table_pages += stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
    return rc;
}

static void check_named(const char *name, void *arg)
{
    struct page_map *map = arg;
    MDB_dbi handle;
    int rc = mdb_dbi_open(map->txn->mdb, name, 0, &handle);
    if (rc == MDB_SUCCESS)
        rc = check_table(map, handle, name);
    if (rc != MDB_SUCCESS)
        txn_fail(map->txn, store_err(map->txn->store, rc, "walking the pages of a table"));
}

static void check_all(struct page_map *map)
{
    int rc = check_table(map, FREE_LIST, "of free pages");
    if (rc == MDB_SUCCESS)
        rc = check_table(map, TABLE_LIST, "of tables");
    if (rc != MDB_SUCCESS)
        txn_fail(map->txn, store_err(map->txn->store, rc, "walking pages"));
    else
        store_each_table(map->txn, check_named, map);
    uint64_t sum = 2 + map->free_pages + map->table_pages;
    if (map->txn->err == ERR_OK && sum != map->last + 1)
        tell(map, "of %zu pages %" PRIu64 " are in tables and %" PRIu64 " free: %lld are nowhere",
             map->last + 1, map->table_pages, map->free_pages,
             (long long)(map->last + 1) - (long long)sum);
}

enum err txn_check_pages(struct txn *txn, void (*found)(const char *what, void *arg), void *arg)
{
    MDB_envinfo info;
    struct page_map map = {.txn = txn, .found = found, .arg = arg};
    if (txn->err != ERR_OK)
        return txn->err;
    if (mdb_env_info(txn->store->env, &info) != MDB_SUCCESS ||
        !store_fault_map(txn->store, &map.begin, &map.end))
        return txn_fail(txn, ERR_INTERNAL);
    map.last = info.me_last_pgno;
    map.free = mem_zalloc(map.last / 8 + 1);
    map.used = mem_zalloc(map.last / 8 + 1);
    check_all(&map);
    free(map.free);
    free(map.used);
    return txn->err;
}
