#include "server/account.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

static enum err refuse_user(const char *user, const char *what, char *why, size_t why_size)
{
    snprintf(why, why_size, "[server] user = %s: %s", user, what);
    return ERR_VALIDATION;
}

enum err account_find(const char *user, struct account *out, char *why, size_t why_size)
{
    *out = (struct account){.uid = geteuid(), .gid = getegid()};
    if (!user[0])
        return ERR_OK;
    struct passwd entry, *found = NULL;
    char room[16384];
    int failure = getpwnam_r(user, &entry, room, sizeof room, &found);
    if (!found)
        return refuse_user(user, failure ? strerror(failure) : "there is no such user", why,
                           why_size);
    if (entry.pw_uid == geteuid())
        return ERR_OK;
    if (geteuid() != 0)
        return refuse_user(user, "only root can become another user", why, why_size);
    *out = (struct account){.changes = true, .uid = entry.pw_uid, .gid = entry.pw_gid};
    snprintf(out->name, sizeof out->name, "%s", user);
    return ERR_OK;
}

/* ---- Files */

static enum err refuse_dir(const char *path, const char *what, char *why, size_t why_size)
{
    snprintf(why, why_size, "data directory %s: %s", path, what);
    return ERR_INTERNAL;
}

static enum err check_dir(const struct account *account, const char *path, char *why,
                          size_t why_size)
{
    struct stat info;
    char what[160];
    if (stat(path, &info) != 0)
        return refuse_dir(path, strerror(errno), why, why_size);
    if (!S_ISDIR(info.st_mode))
        return refuse_dir(path, "is no directory", why, why_size);
    if (info.st_uid != account->uid) {
        snprintf(what, sizeof what, "belongs to user %u, but user %u runs this", info.st_uid,
                 account->uid);
        return refuse_dir(path, what, why, why_size);
    }
    if (info.st_mode & 077) {
        snprintf(what, sizeof what, "is open to others (mode %04o); chmod 700 %.100s",
                 info.st_mode & 07777, path);
        return refuse_dir(path, what, why, why_size);
    }
    return ERR_OK;
}

enum err account_open_data_dir(const struct account *account, const char *path, char *real,
                               size_t size, char *why, size_t why_size)
{
    bool made = mkdir(path, 0700) == 0;
    if (!made && errno != EEXIST)
        return refuse_dir(path, strerror(errno), why, why_size);
    if (made && account->changes && chown(path, account->uid, account->gid) != 0)
        return refuse_dir(path, strerror(errno), why, why_size);
    char resolved[PATH_MAX];
    if (!realpath(path, resolved))
        return refuse_dir(path, strerror(errno), why, why_size);
    if (strlen(resolved) >= size)
        return refuse_dir(path, strerror(ENAMETOOLONG), why, why_size);
    memcpy(real, resolved, strlen(resolved) + 1);
    return check_dir(account, real, why, why_size);
}

void account_take_file(const struct account *account, const char *path)
{
    struct stat info;
    if (!account->changes || lstat(path, &info) != 0 || info.st_uid != 0)
        return;
    if ((S_ISREG(info.st_mode) && info.st_nlink == 1) || S_ISSOCK(info.st_mode))
        (void)!lchown(path, account->uid, account->gid); /* what fails shows when it is opened */
}

/* ---- Becoming */

enum err account_become(const struct account *account, char *why, size_t why_size)
{
    if (!account->changes)
        return ERR_OK;
    bool done = initgroups(account->name, account->gid) == 0 && setgid(account->gid) == 0 &&
                setuid(account->uid) == 0;
    if (!done)
        return refuse_user(account->name, strerror(errno), why, why_size);
    if (setuid(0) == 0 || setgid(0) == 0) /* there must be no way back */
        return refuse_user(account->name, "root's rights cannot be given up", why, why_size);
    prctl(PR_SET_DUMPABLE, 0); /* becoming another has set it anew */
    return ERR_OK;
}

enum err account_become_owner(const char *dir, char *why, size_t why_size)
{
    struct stat info;
    if (geteuid() != 0 || stat(dir, &info) != 0 || info.st_uid == 0)
        return ERR_OK;
    bool done =
        setgroups(1, &info.st_gid) == 0 && setgid(info.st_gid) == 0 && setuid(info.st_uid) == 0;
    return done ? ERR_OK : refuse_dir(dir, strerror(errno), why, why_size);
}
