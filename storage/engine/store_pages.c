/* What the file holds: its tables, and whether its pages add up. */
#include "storage/engine/engine_private.h"

#include <string.h>

#define TABLE_LIST 1 /* the handle of LMDB's list of tables */

#define NAME_MAX_BYTES 64

/* ---- Tables. */

static enum err each_name(struct txn *txn, MDB_cursor *cursor,
                          void (*each)(const char *name, void *arg), void *arg)
{
    MDB_val key, value;
    int rc;
    while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == MDB_SUCCESS) {
        char name[NAME_MAX_BYTES + 1] = "";
        size_t len = key.mv_size < NAME_MAX_BYTES ? key.mv_size : NAME_MAX_BYTES;
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
