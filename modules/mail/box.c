#include "modules/mail/box.h"

#include "base/buf.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PENDING_MAX  (4u << 20)   /* bytes; from then on they are written at once */
#define PENDING_KEEP (256u << 10) /* of memory, over a batch of small messages */

/* DESIGN. Workers add messages to a buffer. Whoever syncs first writes all of it with one write and
 * one fdatasync, while the others wait; what they had added is mostly on disk when it is their
 * turn, which their position tells. What could not be written or synced is cut off the file again,
 * and everything that waits goes with it: it counts for nobody, and its jobs write it anew. */
struct mail_box {
    int dir_fd;  /* DATA/mail */
    int fd;      /* outbox.mbox in it */
    int mark_fd; /* outbox.synced: how much of that is surely on disk */
    off_t max;   /* bytes that it may have */

    struct lock lock;   /* rank MAIL; guards these three */
    struct buf pending; /* messages that are not in the file yet */
    uint64_t appended;  /* bytes of messages so far: the position behind the last one */
    uint64_t cuts;      /* how often what was not synced was dropped; set under both */

    struct lock sync_lock; /* rank MAIL_SYNC; guards these, and the file */
    struct buf writing;    /* what was pending and is being written */
    uint64_t durable;      /* the position up to which all is on disk */

    _Atomic bool lost;   /* the file takes no more */
    _Atomic int trouble; /* errno of what failed last; 0 since something has worked */
};

/* What a thread has appended and not yet synced: sound only if nothing was dropped since. */
static _Thread_local struct {
    const struct mail_box *box; /* NULL: nothing */
    uint64_t cuts;              /* as its first message was appended */
    uint64_t end;               /* the position behind its last */
} unsynced;

static bool is_full(int code)
{
    return code == ENOSPC || code == EDQUOT;
}

/* Says it once, however often it is tried again. */
static void note_trouble(struct mail_box *box, int code)
{
    if (atomic_exchange(&box->trouble, code) == code)
        return;
    if (code == 0)
        log_write(LOG_INFO, "mail", "outbox.mbox takes messages again");
    else
        log_write(LOG_ERROR, "mail", "outbox.mbox takes no messages%s: %s",
                  is_full(code) ? "" : " until a restart", strerror(code));
}

const char *mail_box_trouble(const struct mail_box *box)
{
    int code = atomic_load(&box->trouble);
    if (code == 0)
        return NULL;
    return is_full(code) ? "the mail box takes no messages: the disk is full"
                         : "the mail box takes no messages until a restart: a write failed";
}

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

/* A message that is not whole must not stay: what follows it would be taken for a part of it. */
static void cut_at(struct mail_box *box, off_t end)
{
    lock_assert_held(&box->sync_lock);
    if (end >= 0 && ftruncate(box->fd, end) == 0)
        return;
    log_write(LOG_ERROR, "mail", "outbox.mbox holds a cut message: %s", strerror(errno));
    box->lost = true;
}

/* Not synced itself: one that is older costs a longer look at the start. */
static void note_synced(struct mail_box *box, off_t length)
{
    char text[32];
    int len = snprintf(text, sizeof text, "%-20lld\n", (long long)length);
    if (pwrite(box->mark_fd, text, (size_t)len, 0) != len)
        log_write(LOG_WARN, "mail", "outbox.synced: %s", strerror(errno));
}

static int open_in(const struct mail_box *box, const char *name, int flags)
{
    return openat(box->dir_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | flags, 0600);
}

static bool give_name(const struct mail_box *box, const char *old, const char *now)
{
    return renameat(box->dir_fd, old, box->dir_fd, now) == 0;
}

/* The file is full: it takes the place of the former one, and an empty one its own. */
static bool turn_over(struct mail_box *box, int fd)
{
    if (!give_name(box, "outbox.mbox", "outbox.old.mbox"))
        return false;
    if (!give_name(box, "outbox.new", "outbox.mbox")) {
        give_name(box, "outbox.old.mbox", "outbox.mbox");
        return false;
    }
    close(box->fd);
    box->fd = fd;
    return true;
}

/* Should that fail, the file grows. */
static void make_room(struct mail_box *box, size_t bytes)
{
    off_t end = lseek(box->fd, 0, SEEK_END);
    if (end <= 0 || end + (off_t)bytes <= box->max)
        return;
    int fd = open_in(box, "outbox.new", O_APPEND | O_TRUNC);
    /* Whichever of the two a crash leaves, its beginning is a good place. Synced, as the one before
     * may be the end of a message in the new file too, with something torn before it. */
    note_synced(box, 0);
    bool turned = fd >= 0 && fdatasync(box->mark_fd) == 0 && turn_over(box, fd);
    if (turned && fsync(box->dir_fd) == 0)
        return;
    log_write(LOG_WARN, "mail", "outbox.mbox is full and cannot be put aside: %s", strerror(errno));
    if (fd >= 0 && !turned)
        close(fd);
}

/* Takes what is pending for writing; returns the position behind it. */
static uint64_t take_pending(struct mail_box *box)
{
    lock_acquire(&box->lock);
    struct buf emptied = box->writing;
    box->writing = box->pending;
    box->pending = emptied;
    uint64_t position = box->appended;
    lock_leave(&box->lock);
    return position;
}

static void drop_pending(struct mail_box *box)
{
    lock_acquire(&box->lock);
    buf_shrink(&box->pending, PENDING_KEEP);
    box->cuts++;
    lock_leave(&box->lock);
}

/* The kernel reports a failed sync once, and forgets what it could not write. What lay before `end`
 * is on disk, so all the rest is cut off. */
static void drop_unsynced(struct mail_box *box, off_t end, int code)
{
    cut_at(box, end);
    drop_pending(box);
    if (!is_full(code))
        box->lost = true;
}

/* 0, or errno; then nothing counts that was not on disk before. Where the file ends is asked each
 * time: people empty their mail boxes. */
static int flush(struct mail_box *box)
{
    lock_assert_held(&box->sync_lock);
    if (box->lost)
        return EIO;
    uint64_t position = take_pending(box);
    if (box->writing.len == 0)
        return 0;
    make_room(box, box->writing.len);
    off_t end = lseek(box->fd, 0, SEEK_END);
    bool written = end >= 0 && write_all(box->fd, buf_slice(&box->writing)) == ERR_OK &&
                   fdatasync(box->fd) == 0;
    int code = written ? 0 : errno;
    if (written) {
        note_synced(box, end + (off_t)box->writing.len);
        box->durable = position;
    } else {
        drop_unsynced(box, end, code);
    }
    buf_shrink(&box->writing, PENDING_KEEP);
    note_trouble(box, code);
    return code;
}

enum err mail_box_append(struct mail_box *box, struct slice message, char *why, size_t why_size)
{
    if (box->lost) {
        snprintf(why, why_size, "outbox.mbox takes no messages until a restart");
        return ERR_INTERNAL;
    }
    lock_acquire(&box->lock);
    buf_append_slice(&box->pending, message);
    box->appended += message.len;
    if (unsynced.box != box) {
        unsynced.box = box;
        unsynced.cuts = box->cuts;
    }
    unsynced.end = box->appended;
    bool much = box->pending.len >= PENDING_MAX;
    lock_leave(&box->lock);
    if (!much)
        return ERR_OK;
    lock_acquire(&box->sync_lock);
    flush(box); /* a failure is a cut, of which the sync tells */
    lock_leave(&box->sync_lock);
    return ERR_OK;
}

/* A thread that has appended nothing syncs for another one, whose position it does not know. */
enum err mail_box_sync(struct mail_box *box)
{
    lock_acquire(&box->sync_lock);
    bool own = unsynced.box == box;
    bool cut = own && unsynced.cuts != box->cuts;
    bool durable = own && !cut && unsynced.end <= box->durable;
    bool failed = !durable && flush(box) != 0;
    unsynced.box = NULL;
    lock_leave(&box->sync_lock);
    return failed || cut ? ERR_INTERNAL : ERR_OK;
}

/* ---- Opening */

/* How many bytes the message at the beginning takes, with the empty line behind it; 0 if it is not
 * whole. One of another program, without Content-Length, goes on to the next. */
static size_t message_length(struct slice text)
{
    static const char length_field[] = "\nContent-Length: ";
    const char *end = memmem(text.ptr, text.len, "\n\n", 2);
    if (!end || !slice_starts(text, slice_str("From ")))
        return 0;
    struct slice head = slice_of(text.ptr, (size_t)(end - text.ptr));
    const char *field = memmem(head.ptr, head.len, length_field, sizeof length_field - 1);
    if (!field) {
        const char *next = memmem(end, text.len - head.len, "\nFrom ", 6);
        return next ? (size_t)(next + 1 - text.ptr) : text.len;
    }
    unsigned long body = strtoul(field + sizeof length_field - 1, NULL, 10);
    if (body >= text.len - head.len - 2)
        return 0;
    size_t length = head.len + 2 + body + 1;
    return text.ptr[length - 1] == '\n' ? length : 0;
}

/* How much of the text is whole messages. */
static size_t whole_part(struct slice text)
{
    size_t at = 0;
    while (at < text.len) {
        size_t length = message_length(slice_of(text.ptr + at, text.len - at));
        if (length == 0)
            break;
        at += length;
    }
    return at;
}

/* Where the last line that begins with "From " begins; 0 if there is none. */
static off_t last_message(const char *text, off_t size)
{
    for (off_t at = size - 5; at > 0; at--) {
        if (text[at - 1] == '\n' && memcmp(text + at, "From ", 5) == 0)
            return at;
    }
    return 0;
}

static bool begins_message(const char *text, off_t size, off_t at)
{
    return size - at >= 5 && memcmp(text + at, "From ", 5) == 0 &&
           (at == 0 || text[at - 1] == '\n');
}

/* Where to begin looking: a place that was synced, if a message begins there, or none was. Somebody
 * may have changed the file since; then false, and only the last message is looked at. */
static bool first_doubtful(struct mail_box *box, const char *text, off_t size, off_t *from)
{
    char mark[32] = "";
    if (pread(box->mark_fd, mark, sizeof mark - 1, 0) < 0)
        mark[0] = '\0';
    *from = strtoll(mark, NULL, 10);
    if (mark[0] != '\0' && (*from == 0 || *from == size ||
                            (*from > 0 && *from < size && begins_message(text, size, *from))))
        return true;
    *from = last_message(text, size);
    return false;
}

static enum err put_aside(struct mail_box *box, struct slice rest)
{
    int fd = open_in(box, "outbox.rest", O_APPEND);
    if (fd < 0)
        return ERR_INTERNAL;
    enum err err = write_all(fd, rest);
    close(fd);
    return err;
}

/* What a kill or a power cut has left half written was not acknowledged; its job writes it again.
 */
static enum err check_end(struct mail_box *box)
{
    off_t size = lseek(box->fd, 0, SEEK_END);
    if (size <= 0)
        return size == 0 ? ERR_OK : ERR_INTERNAL;
    char *text = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, box->fd, 0);
    if (text == MAP_FAILED)
        return ERR_INTERNAL;
    off_t from, whole = size;
    if (first_doubtful(box, text, size, &from) || begins_message(text, size, from))
        whole = from + (off_t)whole_part(slice_of(text + from, (size_t)(size - from)));
    enum err err = ERR_OK;
    if (whole < size) {
        log_write(LOG_WARN, "mail",
                  "The last %lld bytes of outbox.mbox are no whole message and go "
                  "to outbox.rest.",
                  (long long)(size - whole));
        err = put_aside(box, slice_of(text + whole, (size_t)(size - whole)));
    }
    munmap(text, (size_t)size);
    if (!err && whole < size && ftruncate(box->fd, whole) != 0)
        err = ERR_INTERNAL;
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

/* All of the file, and then that all of it is. */
static bool sync_all(struct mail_box *box)
{
    off_t size = lseek(box->fd, 0, SEEK_END);
    if (size < 0 || fdatasync(box->fd) != 0)
        return false;
    note_synced(box, size);
    return fdatasync(box->mark_fd) == 0;
}

static enum err open_files(struct mail_box *box, const char *data_dir, const char *dir)
{
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return ERR_INTERNAL;
    box->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (box->dir_fd < 0)
        return ERR_INTERNAL;
    box->fd = open_in(box, "outbox.mbox", O_APPEND);
    box->mark_fd = open_in(box, "outbox.synced", 0);
    if (box->fd < 0 || box->mark_fd < 0 || fsync(box->dir_fd) != 0 || !sync_dir(data_dir))
        return ERR_INTERNAL;
    enum err err = check_end(box);
    return err || sync_all(box) ? err : ERR_INTERNAL;
}

enum err mail_box_open(const char *data_dir, int64_t max_bytes, struct mail_box **out, char *why,
                       size_t why_size)
{
    struct mail_box *box = mem_zalloc(sizeof *box);
    char dir[4128];
    snprintf(dir, sizeof dir, "%s/mail", data_dir);
    box->dir_fd = box->fd = box->mark_fd = -1;
    box->max = max_bytes;
    lock_init(&box->lock, LOCK_RANK_MAIL);
    lock_init(&box->sync_lock, LOCK_RANK_MAIL_SYNC);
    enum err err = open_files(box, data_dir, dir);
    if (err) {
        snprintf(why, why_size, "%s/outbox.mbox: %s", dir, strerror(errno));
        mail_box_close(&box);
    }
    *out = box;
    return err;
}

static void close_file(int fd)
{
    if (fd >= 0)
        close(fd);
}

void mail_box_close(struct mail_box **box)
{
    if (!*box)
        return;
    close_file((*box)->fd);
    close_file((*box)->mark_fd);
    close_file((*box)->dir_fd);
    buf_release(&(*box)->pending);
    buf_release(&(*box)->writing);
    lock_release(&(*box)->sync_lock);
    lock_release(&(*box)->lock);
    free(*box);
    *box = NULL;
}
