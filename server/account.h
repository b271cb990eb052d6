/* Whom the process runs as: root only until it has what needs root, and files that are nobody
 * else's. Threads: main, before others start. */
#ifndef GALLEY_SERVER_ACCOUNT_H
#define GALLEY_SERVER_ACCOUNT_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct account {
    bool changes; /* root is to become: */
    char name[33];
    uid_t uid; /* of who will run it, whether that changes or not */
    gid_t gid;
};

/* Whom the process is to become: [server] user, or "" for who it is. ERR_VALIDATION when there is
 * no such user, or when only root could become that one. */
enum err account_find(const char *user, struct account *out, char *why, size_t why_size);

/* Makes the data directory (0700) for the account if it is missing, and puts its path from the root
 * into real[size]. Refused when it is another's, or when group or others may use it. */
enum err account_open_data_dir(const struct account *account, const char *path, char *real,
                               size_t size, char *why, size_t why_size);

/* Gives a file that root has made to the account; nothing if there is none, or if it is no plain
 * file or socket of root's. */
void account_take_file(const struct account *account, const char *path);

/* Becomes the account, for good, with its groups and no capabilities. */
enum err account_become(const struct account *account, char *why, size_t why_size);

/* Root becomes the owner of the directory, for good and without other groups, so that nothing it
 * makes there is root's and no link leads root elsewhere. Others stay who they are, and so does
 * root in its own directory or in none. */
enum err account_become_owner(const char *dir, char *why, size_t why_size);

#endif
