/* See signing_key.h. */
#include "server/identity/signing_key.h"

#include "base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static enum err fail(const char *path, const char *what, char *why, size_t why_size)
{
    snprintf(why, why_size, "%s: %s", path, what);
    return ERR_INTERNAL;
}

/* Under another name first: a crash in between leaves no half key. */
static enum err make_key(const char *data_dir, const char *path, char *why, size_t why_size)
{
    char temporary[4200];
    char key[SIGNING_KEY_SIZE];
    snprintf(temporary, sizeof temporary, "%s.new", path);
    random_bytes(key, sizeof key);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(temporary, strerror(errno), why, why_size);
    bool good = write(fd, key, sizeof key) == sizeof key && fsync(fd) == 0;
    good = close(fd) == 0 && good && rename(temporary, path) == 0;
    int dir = good ? open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    good = dir >= 0 && fsync(dir) == 0;
    if (dir >= 0)
        close(dir);
    return good ? ERR_OK : fail(path, strerror(errno), why, why_size);
}

static enum err read_key(int fd, const char *path, struct buf *out, char *why, size_t why_size)
{
    struct stat info;
    char what[100];
    if (fstat(fd, &info) != 0)
        return fail(path, strerror(errno), why, why_size);
    if (!S_ISREG(info.st_mode))
        return fail(path, S_ISDIR(info.st_mode) ? "it is a directory, not a key" : "it is no file",
                    why, why_size);
    if (info.st_uid != geteuid())
        return fail(path, "it belongs to another user", why, why_size);
    if (info.st_mode & 077)
        return fail(path, "others may read it; make its mode 0600", why, why_size);
    snprintf(what, sizeof what, "it has %lld bytes; a key has 64, all of them random",
             (long long)info.st_size);
    ssize_t got = read(fd, buf_reserve(out, SIGNING_KEY_SIZE), SIGNING_KEY_SIZE);
    if (got < 0)
        return fail(path, strerror(errno), why, why_size);
    if (got >= 5 && memcmp(out->data + out->len, "-----", 5) == 0)
        return fail(path, "it is a PEM file; a key is 64 random bytes", why, why_size);
    if (got != SIGNING_KEY_SIZE || info.st_size != SIGNING_KEY_SIZE)
        return fail(path, what, why, why_size);
    out->len += SIGNING_KEY_SIZE;
    return ERR_OK;
}

enum err signing_key_load(const char *data_dir, struct buf *out, char *why, size_t why_size)
{
    char path[4150];
    snprintf(path, sizeof path, "%s/signing.key", data_dir);
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        enum err err = make_key(data_dir, path, why, why_size);
        if (err)
            return err;
        fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    }
    if (fd < 0)
        return fail(path, strerror(errno), why, why_size);
    enum err err = read_key(fd, path, out, why, why_size);
    close(fd);
    return err;
}
