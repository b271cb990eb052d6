/* DESIGN. LMDB lets several processes read one environment, so a copy is made by another process
 * than the one that serves: it needs no thread, no memory and no permission of the server. What is
 * copied is a snapshot: commits go on meanwhile, but the pages that they free cannot be used again
 * before the copy has ended, and the file grows instead.
 *
 * LMDB writes the two meta pages, 8 KiB, while it holds the lock of writers: `fd` is a pipe, which
 * has room for them, so that a slow disk for the copy never holds the server's writer. */
#include "storage/engine/engine_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int open_beside(const char *dir, MDB_env **env)
{
    *env = NULL;
    int rc = mdb_env_create(env);
    if (rc == 0)
        rc = mdb_env_set_maxreaders(*env, READERS_MAX + READERS_BESIDE);
    return rc == 0 ? mdb_env_open(*env, dir, MDB_NOTLS | MDB_NORDAHEAD | MDB_RDONLY, 0600) : rc;
}

struct first_damage {
    char what[STORE_DAMAGE_SIZE];
};

static void note_first(const char *what, void *arg)
{
    struct first_damage *first = arg;
    if (!first->what[0])
        snprintf(first->what, sizeof first->what, "%s", what);
}

/* A copy of the pages as they are believes none of them; a compact one follows them, which takes a
 * look at them first. Ours is a snapshot at least as old, so that none of them is used again. */
static bool may_follow(MDB_env *env, const char *path, char *why, size_t why_size)
{
    struct first_damage first = {0};
    MDB_txn *txn;
    if (mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) != MDB_SUCCESS)
        return true; /* the copy says why */
    store_check_file(path, false, note_first, &first);
    mdb_txn_abort(txn);
    if (first.what[0])
        snprintf(why, why_size, "%s: %s; without --compact it is copied as it is", path,
                 first.what);
    return !first.what[0];
}

enum err store_copy(const char *dir, int fd, bool compact, char *why, size_t why_size)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/data.mdb", dir);
    if (access(path, R_OK) != 0) {
        snprintf(why, why_size, "%s: %s", path, strerror(errno));
        return ERR_NOT_FOUND;
    }
    MDB_env *env;
    int rc = open_beside(dir, &env);
    if (rc == 0 && compact && !may_follow(env, path, why, why_size)) {
        mdb_env_close(env);
        return ERR_DAMAGED;
    }
    if (rc == 0)
        rc = mdb_env_copyfd2(env, fd, compact ? MDB_CP_COMPACT : 0);
    if (rc != 0)
        snprintf(why, why_size, "%s: %s", path, mdb_strerror(rc));
    mdb_env_close(env);
    return rc == 0 ? ERR_OK : rc == EPIPE ? ERR_INTERNAL : ERR_DAMAGED;
}
