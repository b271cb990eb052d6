/* How much the file can still take.
 *
 * DESIGN. LMDB never changes a page in place: also a transaction that only deletes needs pages to
 * copy to, and in a full map none could, for good. So the last part of the map, the reserve, is for
 * transactions that say that they shrink (txn_shrinking) and for those after which the tables have
 * no more pages than before; all others are told earlier that the store is full. What was taken of
 * the reserve to copy to comes back two commits later.
 *
 * Room is the end of the map that the file has not reached yet, and the pages that are free within
 * it: those that no snapshot can see any more. The first is known; the second, a walk over LMDB's
 * list of free pages, is looked at only when the first is not enough. */
#include "storage/engine/engine_private.h"

#include <stdio.h>
#include <string.h>

#define RESERVE_MIN 16 /* pages: three tables deep, twice, for one deletion */
#define RESERVE_MAX 16384

uint64_t store_reserve(uint64_t map_pages)
{
    uint64_t pages = map_pages / 8;
    return pages < RESERVE_MIN ? RESERVE_MIN : pages > RESERVE_MAX ? RESERVE_MAX : pages;
}

/* ---- The oldest snapshot. */

static int note_reader(const char *line, void *arg)
{
    size_t *oldest = arg;
    size_t txnid;
    if (sscanf(line, "%*d %*x %zu", &txnid) == 1 && txnid < *oldest)
        *oldest = txnid;
    return 0;
}

size_t store_oldest_snapshot(MDB_env *env, size_t latest)
{
    size_t oldest = latest;
    mdb_reader_list(env, note_reader, &oldest);
    return oldest;
}

/* ---- Free pages. */

uint64_t store_free_pages(MDB_txn *mdb, size_t before, uint64_t enough)
{
    MDB_cursor *cursor;
    if (mdb_cursor_open(mdb, FREE_LIST, &cursor) != MDB_SUCCESS)
        return 0;
    uint64_t sum = 0;
    MDB_val key, value;
    while (sum < enough && mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == MDB_SUCCESS) {
        size_t txnid, count;
        if (key.mv_size != sizeof txnid || value.mv_size < sizeof count)
            break;
        memcpy(&txnid, key.mv_data, sizeof txnid);
        memcpy(&count, value.mv_data, sizeof count);
        if (txnid >= before)
            break;
        sum += count;
    }
    mdb_cursor_close(cursor);
    return sum;
}

static uint64_t free_pages(struct store *store, const MDB_envinfo *info, uint64_t enough)
{
    MDB_txn *mdb;
    if (mdb_txn_begin(store->env, NULL, MDB_RDONLY, &mdb) != MDB_SUCCESS)
        return 0;
    size_t oldest = store_oldest_snapshot(store->env, info->me_last_txnid);
    uint64_t pages = store_free_pages(mdb, oldest, enough);
    mdb_txn_abort(mdb);
    return pages;
}

uint64_t store_used_pages(struct store *store, MDB_txn *mdb)
{
    uint64_t sum = 0;
    for (MDB_dbi handle = 0; handle < TABLE_SLOTS; handle++) {
        bool open = handle < TABLE_SLOTS - STORE_TABLES_MAX || store->table_names[handle];
        MDB_stat stat;
        if (open && mdb_stat(mdb, handle, &stat) == MDB_SUCCESS)
            sum += stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
    }
    return sum;
}

unsigned store_room(struct store *store)
{
    MDB_envinfo info;
    if (mdb_env_info(store->env, &info) != MDB_SUCCESS)
        return 0;
    uint64_t map_pages = info.me_mapsize / store->page_bytes;
    uint64_t reserve = store_reserve(map_pages), wanted = reserve + TXN_PAGES_MAX;
    uint64_t pages = map_pages > info.me_last_pgno ? map_pages - info.me_last_pgno - 1 : 0;
    if (pages < wanted)
        pages += free_pages(store, &info, wanted - pages);
    pages = pages < wanted ? pages : wanted;
    return pages > reserve ? (unsigned)(pages - reserve) : 0;
}
