/* Opening the environment anew while the store is in use.
 *
 * DESIGN. When a write to one of its two meta pages fails, LMDB refuses every later transaction of
 * the environment, snapshots too. The other meta page and all that it leads to are whole, so an
 * environment opened anew can read on: the writer thread, which has just closed the latch, waits
 * for the readers to leave, and opens it read-only before it lets them in again. Table handles
 * stay what they were, since LMDB gives them out in the order of opening.
 *
 * The same gives back what LMDB keeps for ever: as many page buffers as its largest transaction
 * had. When that was large and the writer has calmed down, and no reader is in the way, the
 * environment is closed and opened again, which takes less than a millisecond. */
#include "base/log.h"
#include "base/mem.h"
#include "storage/engine/engine_private.h"

#include <stdlib.h>

bool store_is_dead(struct store *store)
{
    MDB_txn *mdb;
    int rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &mdb);
    if (rc == MDB_SUCCESS)
        mdb_txn_abort(mdb);
    return rc == MDB_PANIC;
}

static int open_tables(struct store *store)
{
    MDB_txn *mdb;
    int rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &mdb);
    if (rc != MDB_SUCCESS)
        return rc;
    for (MDB_dbi slot = 0; slot < TABLE_SLOTS && rc == MDB_SUCCESS; slot++) {
        MDB_dbi handle = slot;
        if (store->table_names[slot])
            rc = mdb_dbi_open(mdb, store->table_names[slot], 0, &handle);
        if (rc == MDB_SUCCESS && handle != slot)
            rc = MDB_BAD_DBI;
    }
    if (rc == MDB_SUCCESS)
        return mdb_txn_commit(mdb); /* the handles become the environment's */
    mdb_txn_abort(mdb);
    return rc;
}

/* On failure the store has no environment and every read fails. */
static int open_again(struct store *store, const char *dir, size_t map_bytes, unsigned flags)
{
    mdb_env_close(store->env);
    int rc = store_env_open(store, dir, map_bytes, flags);
    if (rc == MDB_SUCCESS)
        rc = open_tables(store);
    if (rc != MDB_SUCCESS) {
        mdb_env_close(store->env);
        store->env = NULL;
    }
    return rc;
}

/* Nobody reads. */
static int reopen(struct store *store, unsigned flags)
{
    const char *path;
    MDB_envinfo info;
    int rc = mdb_env_get_path(store->env, &path);
    if (rc == MDB_SUCCESS)
        rc = mdb_env_info(store->env, &info);
    if (rc != MDB_SUCCESS)
        return rc;
    char *dir = mem_strdup(path); /* the environment's is freed with it */
    rc = open_again(store, dir, info.me_mapsize, flags);
    free(dir);
    return rc;
}

void store_revive(struct store *store)
{
    if (!store_is_dead(store))
        return;
    readers_stop(&store->readers);
    int rc = reopen(store, MDB_RDONLY);
    readers_resume(&store->readers);
    if (rc != MDB_SUCCESS)
        log_write(LOG_ERROR, "store", "Reading failed too: %s.", mdb_strerror(rc));
}

bool store_slim(struct store *store)
{
    if (atomic_load(&store->read_only) || !readers_try_stop(&store->readers))
        return false;
    int rc = reopen(store, 0);
    if (rc != MDB_SUCCESS)
        store_latch(store, "opening the database anew failed: %s", mdb_strerror(rc));
    readers_resume(&store->readers);
    return true;
}
