/* Mail: the job type "send-email" {"to", "subject", "text"}. In development a message goes to the
 * mail box, DATA/mail/outbox.mbox.
 *
 * DESIGN. A job runs at least once, so a message may be there twice; its Message-ID is made from
 * the job's id, by which a reader tells. Each message is one write at the end of the file, and a
 * batch of jobs is acknowledged only after an fdatasync. The kernel reports a failed one once, and
 * forgets what it could not write: nobody's messages count any more, those of other batches that
 * were written before included, and none is taken until a restart. */
#include "server/app/modules.h"

#include "base/base64.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct mail {
    const struct clock *clock;
    int fd;
    struct lock lock;      /* rank MAIL; guards the end of the file */
    struct lock sync_lock; /* rank MAIL; the others' syncs wait for the outcome of this one */
    _Atomic bool lost;     /* a sync has failed; set under sync_lock */
};

/* ---- Writing a message: RFC 5322, in the mboxrd form (RFC 4155 names the default mbox). */

/* A header's text: as it is if it is plain ASCII, else an encoded word (RFC 2047). Control
 * characters, which could end the header, become spaces. */
static void append_header_text(struct buf *out, struct slice text)
{
    bool plain = true;
    struct buf clean = BUF_INIT;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        plain = plain && c < 0x80;
        buf_append(&clean, c < ' ' || c == 0x7f ? " " : &text.ptr[i], 1);
    }
    if (plain) {
        buf_append_slice(out, buf_slice(&clean));
    } else {
        buf_append_str(out, "=?utf-8?B?");
        base64_append(out, buf_slice(&clean));
        buf_append_str(out, "?=");
    }
    buf_release(&clean);
}

static bool is_from_line(struct slice line)
{
    while (line.len && *line.ptr == '>')
        line = slice_of(line.ptr + 1, line.len - 1);
    return slice_starts(line, slice_str("From "));
}

/* mboxrd: a line that could be taken for the next message's first gets one more '>'. */
static void append_body(struct buf *out, struct slice text)
{
    while (text.len) {
        struct slice line = slice_cut(&text, '\n');
        if (is_from_line(line))
            buf_append_char(out, '>');
        buf_append_slice(out, line);
        buf_append_char(out, '\n');
    }
}

static void append_dates(struct buf *out, const char *format, int64_t now_ms)
{
    char text[64];
    struct tm tm;
    time_t seconds = now_ms / 1000;
    gmtime_r(&seconds, &tm);
    strftime(text, sizeof text, format, &tm);
    buf_append_str(out, text);
}

struct mail_text {
    struct buf to, subject, body;
};

static bool read_mail(struct slice payload, struct mail_text *out)
{
    *out = (struct mail_text){0};
    return json_find_str(payload, "to", &out->to) &&
           json_find_str(payload, "subject", &out->subject) &&
           json_find_str(payload, "text", &out->body);
}

static void release_mail(struct mail_text *mail)
{
    buf_release(&mail->to);
    buf_release(&mail->subject);
    buf_release(&mail->body);
}

static void append_message(struct buf *out, const struct job *job, const struct mail_text *mail,
                           int64_t now_ms)
{
    char id[ID_TEXT_SIZE];
    id_format(&job->id, id);
    append_dates(out, "From galley@localhost %a %b %e %H:%M:%S %Y\n", now_ms);
    append_dates(out, "Date: %a, %d %b %Y %H:%M:%S +0000\n", now_ms);
    buf_append_str(out, "From: Galley <galley@localhost>\nTo: ");
    append_header_text(out, buf_slice(&mail->to));
    buf_append_str(out, "\nSubject: ");
    append_header_text(out, buf_slice(&mail->subject));
    buf_append_str(out, "\nMessage-ID: <");
    buf_append_str(out, id);
    buf_append_str(out, "@galley>\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
                        "Content-Transfer-Encoding: 8bit\n\n");
    append_body(out, buf_slice(&mail->body));
    buf_append_char(out, '\n');
}

/* ---- The job */

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

/* A message that does not fit (the disk is full) leaves nothing behind. Where the file ends is
 * asked each time: people empty their mail boxes. */
static enum err append_to_box(struct mail *mail, struct slice message, char *why, size_t why_size)
{
    lock_acquire(&mail->lock);
    off_t end = lseek(mail->fd, 0, SEEK_END);
    enum err err = end < 0 ? ERR_INTERNAL : write_all(mail->fd, message);
    if (err) {
        snprintf(why, why_size, "outbox.mbox: %s", strerror(errno));
        if (end >= 0 && ftruncate(mail->fd, end) != 0)
            log_write(LOG_ERROR, "mail", "outbox.mbox holds a cut message: %s", strerror(errno));
    }
    lock_leave(&mail->lock);
    return err;
}

static enum err send_email(const struct job *job, void *arg, char *why, size_t why_size)
{
    struct mail *mail = arg;
    struct mail_text text;
    struct buf message = BUF_INIT;
    enum err err = ERR_MALFORMED;
    if (!read_mail(job->payload, &text)) {
        snprintf(why, why_size, "the payload lacks one of to, subject, text");
    } else if (mail->lost) {
        err = ERR_INTERNAL;
        snprintf(why, why_size, "outbox.mbox takes no messages until a restart");
    } else {
        append_message(&message, job, &text, clock_wall_ms(mail->clock));
        err = append_to_box(mail, buf_slice(&message), why, why_size);
    }
    buf_release(&message);
    release_mail(&text);
    return err;
}

static enum err sync_mail_box(void *arg)
{
    struct mail *mail = arg;
    lock_acquire(&mail->sync_lock);
    if (!mail->lost && fdatasync(mail->fd) != 0) {
        log_write(LOG_ERROR, "mail", "outbox.mbox takes no messages until a restart: %s",
                  strerror(errno));
        mail->lost = true;
    }
    enum err err = mail->lost ? ERR_INTERNAL : ERR_OK;
    lock_leave(&mail->sync_lock);
    return err;
}

/* ---- The module */

/* A crash may have cut the last message: end it, so that the next one begins on a line of its own.
 */
static enum err end_last_message(struct mail *mail)
{
    char last[2] = "";
    off_t end = lseek(mail->fd, 0, SEEK_END);
    if (end < 0 || (end >= 2 && pread(mail->fd, last, 2, end - 2) != 2))
        return ERR_INTERNAL;
    if (end == 0 || memcmp(last, "\n\n", 2) == 0)
        return ERR_OK;
    return write_all(mail->fd, slice_str("\n\n"));
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

static enum err open_box(struct mail *mail, const char *data_dir, const char *dir, const char *path)
{
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return ERR_INTERNAL;
    mail->fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (mail->fd < 0 || !sync_dir(dir) || !sync_dir(data_dir))
        return ERR_INTERNAL;
    return end_last_message(mail);
}

static enum err open_mail(struct app *app, const struct config_section *settings, void **state,
                          char *why, size_t why_size)
{
    (void)settings;
    struct mail *mail = mem_alloc(sizeof *mail);
    *state = mail;
    *mail = (struct mail){.clock = app_clock(app), .fd = -1};
    lock_init(&mail->lock, LOCK_RANK_MAIL);
    lock_init(&mail->sync_lock, LOCK_RANK_MAIL);
    char dir[4128], path[4160];
    snprintf(dir, sizeof dir, "%s/mail", app_data_dir(app));
    snprintf(path, sizeof path, "%s/outbox.mbox", dir);
    enum err err = open_box(mail, app_data_dir(app), dir, path);
    if (err)
        snprintf(why, why_size, "%s: %s", path, strerror(errno));
    return err;
}

static void close_mail(void *state)
{
    struct mail *mail = state;
    if (!mail)
        return;
    if (mail->fd >= 0)
        close(mail->fd);
    lock_release(&mail->sync_lock);
    lock_release(&mail->lock);
    free(mail);
}

static const struct job_handler jobs[] = {
    {.type = "send-email", .run = send_email, .sync = sync_mail_box},
};

const struct app_module mail_module = {
    .name = "mail",
    .jobs = jobs,
    .job_count = sizeof jobs / sizeof jobs[0],
    .queue = "mail",
    .open = open_mail,
    .close = close_mail,
};
