/* Writing a damaged file anew.
 *
 * DESIGN. What can be read of each tree, leaf by leaf (store_tree.h), goes into a new file beside
 * the old one, which takes its name only when all is on the disk; the old one stays, under another.
 * What was lost shows to whoever owns the table. */
#include "base/mem.h"
#include "storage/engine/engine_private.h"
#include "storage/engine/store_tree.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COMMIT_ENTRIES 1000
#define COMMIT_BYTES   (64u << 20)

struct rebuild {
    struct tree_mapping from;
    uint8_t *seen; /* a bit for each page */
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi table;
    char name[TABLE_NAME_MAX + 1];
    unsigned waiting; /* entries that are not committed, */
    size_t bytes;     /* and theirs */
};

static int open_new(struct rebuild *it, const char *path, size_t map_bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    int rc = mdb_env_create(&it->env);
    if (rc == 0)
        rc = mdb_env_set_mapsize(it->env, (map_bytes + page - 1) / page * page);
    if (rc == 0)
        rc = mdb_env_set_maxdbs(it->env, STORE_TABLES_MAX);
    if (rc == 0)
        rc = mdb_env_open(it->env, path, MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOSYNC, 0600);
    return rc;
}

static int commit(struct rebuild *it)
{
    int rc = it->txn ? mdb_txn_commit(it->txn) : 0;
    it->txn = NULL;
    it->waiting = 0;
    it->bytes = 0;
    return rc;
}

/* The table's handle lasts as long as the transaction that has opened it, if that made it. */
static int begin(struct rebuild *it)
{
    int rc = mdb_txn_begin(it->env, NULL, 0, &it->txn);
    return rc == 0 ? mdb_dbi_open(it->txn, it->name, MDB_CREATE, &it->table) : rc;
}

static int put(struct rebuild *it, struct slice key, struct slice value)
{
    MDB_val k = {key.len, (void *)key.ptr}, v = {value.len, (void *)value.ptr};
    if (key.len == 0)
        return 0; /* none of ours */
    int rc = it->waiting >= COMMIT_ENTRIES || it->bytes >= COMMIT_BYTES ? commit(it) : 0;
    if (rc == 0 && !it->txn)
        rc = begin(it);
    it->waiting++;
    it->bytes += key.len + value.len;
    return rc == 0 ? mdb_put(it->txn, it->table, &k, &v, 0) : rc;
}

static int copy_leaf(const struct tree_leaf *leaf, void *arg)
{
    struct rebuild *it = arg;
    int rc = 0;
    for (unsigned i = 0; rc == 0 && i < tree_entry_count(leaf); i++) {
        struct slice key, value;
        tree_entry(&it->from.file, leaf, i, &key, &value);
        rc = put(it, key, value);
    }
    return rc;
}

static int copy_table(struct rebuild *it, const struct tree *tree, struct slice name)
{
    if (name.len > TABLE_NAME_MAX)
        return 0; /* none of ours */
    snprintf(it->name, sizeof it->name, "%.*s", SLICE_ARG(name));
    int rc = begin(it);
    if (rc == 0)
        rc = tree_walk(&it->from.file, tree, it->seen, copy_leaf, it);
    return rc == 0 ? commit(it) : rc;
}

static int copy_all(struct rebuild *it)
{
    struct tree tree;
    struct slice name;
    int rc = 0;
    for (unsigned i = TREE_FIRST_TABLE;
         rc == 0 && tree_find(&it->from.file, &it->from.roots, i, &tree, &name); i++)
        rc = copy_table(it, &tree, name);
    return rc == 0 ? mdb_env_sync(it->env, 1) : rc;
}

static int write_new(const char *path, const char *new_path, size_t map_bytes)
{
    struct rebuild it = {0};
    if (unlink(new_path) != 0 && errno != ENOENT)
        return errno;
    if (!tree_map(path, &it.from))
        return MDB_INVALID;
    it.seen = mem_zalloc(it.from.file.pages / 8 + 1);
    int rc = open_new(&it, new_path, map_bytes);
    if (rc == 0)
        rc = copy_all(&it);
    mdb_txn_abort(it.txn);
    mdb_env_close(it.env);
    tree_unmap(&it.from);
    free(it.seen);
    return rc;
}

int store_rebuild(const char *path, size_t map_bytes, const char *kept)
{
    char new_path[4200];
    snprintf(new_path, sizeof new_path, "%s.new", path);
    int rc = write_new(path, new_path, map_bytes);
    if (rc == 0 && (link(path, kept) != 0 || rename(new_path, path) != 0))
        rc = errno;
    if (rc != 0)
        unlink(new_path);
    return rc;
}
