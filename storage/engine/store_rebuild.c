/* Writing a damaged file anew.
 *
 * DESIGN. What can be read of each tree, leaf by leaf (store_tree.h), goes into a new file beside
 * the old one, which takes its name only when all is on the disk; the old one stays, under another.
 *
 * Leaves that a damaged page has led to are found by looking at all pages of the file: those that
 * are leaves, that are not free, and that no sound page leads to. They are the table's whose page
 * is damaged, if it is only one. What was lost shows to whoever owns the table. */
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
    bool is_free_known;           /* the list of free pages is whole */
    char cut[TABLE_NAME_MAX + 1]; /* the table that a damaged page cuts leaves off */
    unsigned cuts;                /* so many such tables */
    bool cuts_this;               /* the table that is copied */
    unsigned waiting;             /* entries that are not committed, */
    size_t bytes;                 /* and theirs */
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
    if (rc == 0)
        rc = mdb_put(it->txn, it->table, &k, &v, MDB_NOOVERWRITE);
    return rc == MDB_KEYEXIST ? 0 : rc; /* on a page that is there twice */
}

static int copy_leaf(const struct tree_leaf *leaf, void *arg)
{
    struct rebuild *it = arg;
    int rc = 0;
    it->cuts_this |= leaf->is_above;
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
    it->cuts_this = false;
    int rc = begin(it);
    if (rc == 0)
        rc = tree_walk(&it->from.file, tree, it->seen, copy_leaf, it);
    if (it->cuts_this)
        memcpy(it->cut, it->name, sizeof it->cut);
    it->cuts += it->cuts_this;
    return rc == 0 ? commit(it) : rc;
}

/* ---- Leaves that nothing leads to. */

static bool is_seen(const struct rebuild *it, uint64_t page)
{
    return it->seen[page / 8] >> (page & 7) & 1;
}

/* A count, and so many numbers. */
static int note_free(const struct tree_leaf *leaf, void *arg)
{
    struct rebuild *it = arg;
    it->is_free_known = it->is_free_known && !leaf->fault;
    for (unsigned i = 0; i < tree_entry_count(leaf); i++) {
        struct slice key, value;
        uint64_t page;
        tree_entry(&it->from.file, leaf, i, &key, &value);
        for (size_t at = sizeof page; at + sizeof page <= value.len; at += sizeof page) {
            memcpy(&page, value.ptr + at, sizeof page);
            if (page < it->from.file.pages)
                it->seen[page / 8] |= (uint8_t)(1u << (page & 7));
        }
    }
    return 0;
}

static int copy_cut_off(struct rebuild *it)
{
    int rc = 0;
    memcpy(it->name, it->cut, sizeof it->name);
    for (uint64_t page = 2; rc == 0 && page < it->from.file.pages; page++) {
        uint64_t more = is_seen(it, page) ? 0 : tree_long_pages(&it->from.file, page);
        struct tree_leaf leaf;
        tree_leaf_at(&it->from.file, page, &leaf);
        if (more > 0)
            page += more - 1; /* what lies in a long value is no page */
        else if (!is_seen(it, page) && !leaf.fault)
            rc = copy_leaf(&leaf, it);
    }
    return rc == 0 ? commit(it) : rc;
}

/* ---- All of it. */

/* A table that is not in the list would be made anew when it is opened, empty, and nobody the
 * wiser. */
static int refuse_damage(const struct tree_leaf *leaf, void *arg)
{
    (void)arg;
    return leaf->fault ? MDB_CORRUPTED : 0;
}

static int copy_all(struct rebuild *it)
{
    struct tree tree;
    struct slice name;
    int rc = tree_walk(&it->from.file, &it->from.roots.tables, it->seen, refuse_damage, NULL);
    for (unsigned i = TREE_FIRST_TABLE;
         rc == 0 && tree_find(&it->from.file, &it->from.roots, i, &tree, &name); i++)
        rc = copy_table(it, &tree, name);
    it->is_free_known = true;
    tree_walk(&it->from.file, &it->from.roots.free, it->seen, note_free, it);
    if (rc == 0 && it->cuts == 1 && it->is_free_known)
        rc = copy_cut_off(it);
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
