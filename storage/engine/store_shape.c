/* What of the file's pages is damaged: of a snapshot, in steps, or of a file that is not open yet.
 */
#include "base/mem.h"
#include "storage/engine/engine_private.h"
#include "storage/engine/store_tree.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define STEP_LEAVES 256

static void describe(const struct tree_leaf *leaf, struct slice table, char out[STORE_DAMAGE_SIZE])
{
    snprintf(out, STORE_DAMAGE_SIZE, "the table %.*s: page %" PRIu64 " %s",
             table.len < TABLE_NAME_MAX ? (int)table.len : TABLE_NAME_MAX, table.ptr, leaf->number,
             leaf->fault);
}

/* ---- A snapshot's. */

/* Pages behind the end of the file are those that nobody has written yet, or that a damaged page
 * speaks of. */
static bool open_snapshot(struct txn *txn, struct tree_file *file, struct tree_roots *roots)
{
    const char *begin, *end;
    int fd;
    struct stat st;
    if (!store_fault_map(txn->store, &begin, &end) ||
        mdb_env_get_fd(txn->store->env, &fd) != MDB_SUCCESS || fstat(fd, &st) != 0)
        return false;
    size_t bytes =
        (size_t)(end - begin) < (size_t)st.st_size ? (size_t)(end - begin) : (size_t)st.st_size;
    *file = (struct tree_file){.begin = (const uint8_t *)begin,
                               .page_bytes = txn->store->page_bytes,
                               .pages = bytes / txn->store->page_bytes};
    if (!tree_roots(file, mdb_txn_id(txn->mdb), roots))
        return false;
    file->pages = roots->pages;
    return true;
}

struct look {
    struct tree_file file;
    struct tree tree;
    struct slice name;
    unsigned left; /* leaves, in this step */
    bool (*wanted)(const char *table, void *arg);
    void (*found)(const char *what, void *arg);
    void *arg;
};

static bool is_wanted(const struct look *look, unsigned number)
{
    char name[TABLE_NAME_MAX + 1];
    snprintf(name, sizeof name, "%.*s", SLICE_ARG(look->name));
    return number < TREE_FIRST_TABLE || look->wanted(name, look->arg);
}

/* False at the tree's end. What was damaged leads nowhere, so nothing is written any more. */
static bool look_at_leaf(struct txn *txn, struct look *look, struct pages_place *place)
{
    struct tree_leaf leaf;
    look->left--;
    tree_find_leaf(&look->file, &look->tree, place, &leaf);
    if (leaf.fault) {
        char what[STORE_DAMAGE_SIZE];
        describe(&leaf, look->name, what);
        look->found(what, look->arg);
        store_latch(txn->store, "%s", what);
    }
    return tree_go_on(&leaf, place);
}

static void look_at_tree(struct txn *txn, struct look *look, struct pages_place *place)
{
    bool more = is_wanted(look, place->tree);
    while (more && look->left > 0 && !txn_out_of_time(txn))
        more = look_at_leaf(txn, look, place);
    if (more)
        return;
    place->tree++;
    place->len = 0;
}

enum err txn_check_shape(struct txn *txn, struct pages_place *place, bool *end,
                         bool (*wanted)(const char *table, void *arg),
                         void (*found)(const char *what, void *arg), void *arg)
{
    struct look look = {.left = STEP_LEAVES, .wanted = wanted, .found = found, .arg = arg};
    struct tree_roots roots;
    *end = false;
    if (!open_snapshot(txn, &look.file, &roots)) /* it was overtaken: the next step's is newer */
        return txn->err;
    while (look.left > 0 && !txn_out_of_time(txn) && !*end) {
        *end = !tree_find(&look.file, &roots, place->tree, &look.tree, &look.name);
        if (!*end)
            look_at_tree(txn, &look, place);
    }
    return txn->err;
}

/* ---- A file's. */

struct look_at_file {
    struct slice table;
    bool order; /* keys that are out of order are damage too */
    uint64_t count;
    void (*found)(const char *what, void *arg);
    void *arg;
};

static int note_leaf(const struct tree_leaf *leaf, void *arg)
{
    struct look_at_file *look = arg;
    char what[STORE_DAMAGE_SIZE];
    struct tree_leaf told = *leaf;
    if (!told.fault && look->order && told.out_of_order)
        told.fault = "has keys that are out of order";
    if (!told.fault)
        return 0;
    describe(&told, look->table, what);
    look->found(what, look->arg);
    look->count++;
    return 0;
}

uint64_t store_check_file(const char *path, bool order, void (*found)(const char *what, void *arg),
                          void *arg)
{
    struct tree_mapping mapping;
    struct tree tree;
    struct look_at_file look = {.order = order, .found = found, .arg = arg};
    if (!tree_map(path, &mapping))
        return 0; /* LMDB says why */
    uint8_t *seen = mem_zalloc(mapping.file.pages / 8 + 1);
    for (unsigned i = 0; tree_find(&mapping.file, &mapping.roots, i, &tree, &look.table); i++)
        tree_walk(&mapping.file, &tree, seen, note_leaf, &look);
    free(seen);
    tree_unmap(&mapping);
    return look.count;
}
