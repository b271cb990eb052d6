#include "server/app/mail_box.h"

#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MESSAGE_MAX (4 << 20) /* bytes; a job's payload is at most 1 MiB */

struct mail_box {
    int fd;
    struct lock lock;      /* rank MAIL; guards the end of the file */
    struct lock sync_lock; /* rank MAIL; the others' syncs wait for the outcome of this one */
    _Atomic bool lost;     /* a sync has failed; set under sync_lock */
};

/* ---- Writing */

static enum err write_all(int fd, struct slice bytes)
{
    while (bytes.len) {
        ssize_t written = write(fd, bytes.ptr, bytes.len);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return ERR_INTERNAL;
        bytes = slice_of(bytes.ptr + written, bytes.len - (size_t)written);
    }
    return ERR_OK;
}

/* Where the file ends is asked each time: people empty their mail boxes. */
enum err mail_box_append(struct mail_box *box, struct slice message, char *why, size_t why_size)
{
    if (box->lost) {
        snprintf(why, why_size, "outbox.mbox takes no messages until a restart");
        return ERR_INTERNAL;
    }
    lock_acquire(&box->lock);
    off_t end = lseek(box->fd, 0, SEEK_END);
    enum err err = end < 0 ? ERR_INTERNAL : write_all(box->fd, message);
    if (err) {
        snprintf(why, why_size, "outbox.mbox: %s", strerror(errno));
        if (end >= 0 && ftruncate(box->fd, end) != 0)
            log_write(LOG_ERROR, "mail", "outbox.mbox holds a cut message: %s", strerror(errno));
    }
    lock_leave(&box->lock);
    return err;
}

/* The kernel reports a failed sync once, and forgets what it could not write: so nobody's messages
 * count any more, those of other batches that were written before included. */
enum err mail_box_sync(struct mail_box *box)
{
    lock_acquire(&box->sync_lock);
    if (!box->lost && fdatasync(box->fd) != 0) {
        log_write(LOG_ERROR, "mail", "outbox.mbox takes no messages until a restart: %s",
                  strerror(errno));
        box->lost = true;
    }
    enum err err = box->lost ? ERR_INTERNAL : ERR_OK;
    lock_leave(&box->sync_lock);
    return err;
}

/* ---- Opening */

/* Where the last line that begins with "From " begins; false if there is none. */
static bool find_last_message(struct slice text, size_t *start)
{
    const struct slice from = slice_str("From ");
    for (size_t at = text.len; at-- > 0;) {
        bool line = at == 0 || text.ptr[at - 1] == '\n';
        if (line && slice_starts(slice_of(text.ptr + at, text.len - at), from)) {
            *start = at;
            return true;
        }
    }
    return false;
}

/* How many bytes the message takes by its own account, 0 if not even its headers are whole. */
static size_t message_length(struct slice message)
{
    static const char length_field[] = "\nContent-Length: ";
    const char *end = memmem(message.ptr, message.len, "\n\n", 2);
    if (!end)
        return 0;
    struct slice head = slice_of(message.ptr, (size_t)(end - message.ptr));
    const char *field = memmem(head.ptr, head.len, length_field, sizeof length_field - 1);
    if (!field)
        return message.len; /* not ours: left as it is */
    return head.len + 2 + strtoul(field + sizeof length_field - 1, NULL, 10) + 1;
}

/* `tail` is the end of the file: what of it is whole. */
static size_t whole_part(struct slice tail)
{
    size_t start;
    if (!find_last_message(tail, &start))
        return tail.len; /* nothing of ours */
    size_t length = message_length(slice_of(tail.ptr + start, tail.len - start));
    return length == 0 || length > tail.len - start ? start : start + length;
}

static enum err cut_off_rest(struct mail_box *box)
{
    off_t end = lseek(box->fd, 0, SEEK_END);
    if (end < 0)
        return ERR_INTERNAL;
    size_t len = end < MESSAGE_MAX ? (size_t)end : MESSAGE_MAX;
    char *tail = mem_alloc(len + 1);
    enum err err = ERR_INTERNAL;
    if (pread(box->fd, tail, len, end - (off_t)len) == (ssize_t)len) {
        tail[len] = '\0'; /* ends the last number, should it be cut there */
        off_t whole = end - (off_t)len + (off_t)whole_part(slice_of(tail, len));
        err = whole == end || ftruncate(box->fd, whole) == 0 ? ERR_OK : ERR_INTERNAL;
    }
    free(tail);
    return err;
}

/* The name in a directory is as durable as its file only once the directory is synced. */
static bool sync_dir(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return synced;
}

static enum err open_file(struct mail_box *box, const char *data_dir, const char *dir,
                          const char *path)
{
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return ERR_INTERNAL;
    box->fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (box->fd < 0 || !sync_dir(dir) || !sync_dir(data_dir))
        return ERR_INTERNAL;
    return cut_off_rest(box);
}

enum err mail_box_open(const char *data_dir, struct mail_box **out, char *why, size_t why_size)
{
    struct mail_box *box = mem_zalloc(sizeof *box);
    char dir[4128], path[4160];
    snprintf(dir, sizeof dir, "%s/mail", data_dir);
    snprintf(path, sizeof path, "%s/outbox.mbox", dir);
    box->fd = -1;
    lock_init(&box->lock, LOCK_RANK_MAIL);
    lock_init(&box->sync_lock, LOCK_RANK_MAIL);
    enum err err = open_file(box, data_dir, dir, path);
    if (err) {
        snprintf(why, why_size, "%s: %s", path, strerror(errno));
        mail_box_close(&box);
    }
    *out = box;
    return err;
}

void mail_box_close(struct mail_box **box)
{
    if (!*box)
        return;
    if ((*box)->fd >= 0)
        close((*box)->fd);
    lock_release(&(*box)->sync_lock);
    lock_release(&(*box)->lock);
    free(*box);
    *box = NULL;
}
