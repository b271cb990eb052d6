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
    if (rc == 0)
        rc = mdb_env_copyfd2(env, fd, compact ? MDB_CP_COMPACT : 0);
    if (rc != 0)
        snprintf(why, why_size, "%s: %s", path, mdb_strerror(rc));
    mdb_env_close(env);
    return rc == 0 ? ERR_OK : rc == EPIPE ? ERR_INTERNAL : ERR_DAMAGED;
}
