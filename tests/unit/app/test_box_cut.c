/* A power cut, at any moment: the mail box has what was acknowledged as sent, and goes on; in the
 * present file, or in the former one when it has been turned over.
 *
 * The functions below are found before the C library's: each write to the box, each fdatasync, and
 * what happens to names goes into a record. The disk of the test keeps what was written to a file
 * before the last fdatasync of it, and of what came later each sector or not; of changes of names
 * those before the last fsync of the directory, and of the later ones as many as it likes, in their
 * order, as file systems with a journal do. The mark of what was synced is any that was written
 * since it was synced itself. The control takes the same record without its fdatasyncs, and must
 * lose. */
#include "modules/mail/box.h"

#include "base/buf.h"
#include "base/log.h"
#include "tests/lib/recorder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SYNCS    300
#define CUTS     400
#define BOX_MAX  (48LL << 10)
#define BATCH    (16 << 10) /* no more than that is synced at once */
#define MARK_MAX 32
#define FILES    64

enum kind { DATA = SYNC + 1, MARK, NEW, RENAME, NAMES_SYNCED };

/* Files are numbered in the order of their making: the box's first is 1. */
static struct recorder journal;
static ino_t inodes[FILES];
static int files = 1;

static bool is_file(int fd, const char *name)
{
    char link[40], path[300];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    path[len > 0 ? len : 0] = '\0';
    const char *last = strrchr(path, '/');
    return last && strcmp(last + 1, name) == 0;
}

/* 0 if it is no file of the box. */
static int file_of(int fd)
{
    struct stat st;
    if (!journal.on || fstat(fd, &st) != 0)
        return 0;
    for (int file = files; file > 0; file--)
        if (inodes[file] == st.st_ino)
            return file;
    return 0;
}

static void note(int kind, int file, off_t at, const void *bytes, size_t size)
{
    recorder_note(&journal, kind, file, at, bytes, size);
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    if (file_of(fd) > 0)
        note(DATA, file_of(fd), lseek(fd, 0, SEEK_END), bytes, size);
    return syscall(SYS_write, fd, bytes, size);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    if (is_file(fd, "outbox.synced"))
        note(MARK, 0, offset, bytes, size);
    return syscall(SYS_pwrite64, fd, bytes, size, offset);
}

int fdatasync(int fd)
{
    if (is_file(fd, "outbox.synced"))
        note(SYNC, 0, 0, NULL, 0);
    else if (file_of(fd) > 0)
        note(SYNC, file_of(fd), 0, NULL, 0);
    return 0; /* the test's disk is memory */
}

int fsync(int fd)
{
    (void)fd; /* the directory */
    note(NAMES_SYNCED, 0, 0, NULL, 0);
    return 0;
}

int openat(int dir, const char *name, int flags, ...)
{
    int fd = (int)syscall(SYS_openat, dir, name, flags, 0600);
    struct stat st;
    if (journal.on && strcmp(name, "outbox.new") == 0 && fstat(fd, &st) == 0) {
        inodes[++files] = st.st_ino;
        note(NEW, files, 0, NULL, 0);
    }
    return fd;
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    char names[100];
    int len = snprintf(names, sizeof names, "%s%c%s", from, '\0', to);
    note(RENAME, 0, 0, names, (size_t)len);
    return (int)syscall(SYS_renameat, from_dir, from, to_dir, to);
}

/* ---- The life that is cut. */

struct life {
    bool even;                        /* all messages have the same length */
    struct buf sent;                  /* all messages, as they should lie there */
    size_t acknowledged[SYNCS];       /* length of the journal when a sync had returned */
    size_t acknowledged_bytes[SYNCS]; /* that it had made durable */
};

static void add_message(struct buf *out, unsigned number, bool even)
{
    struct buf body = BUF_INIT;
    number += 1000; /* of the same length in text, too */
    unsigned lines = even ? 20 : 1 + number * 7919 % 60;
    for (unsigned i = 0; i < lines; i++)
        buf_printf(&body, "Line %u of message %u, which is not to be lost.\n", i, number);
    buf_printf(out,
               "From shop@example.com Thu Jan  1 00:00:00 1970\nSubject: %u\n"
               "Content-Length: %zu\n\n%.*s\n",
               number, body.len, SLICE_ARG(buf_slice(&body)));
    buf_release(&body);
}

static void append(struct mail_box *box, struct buf *sent, unsigned number, bool even)
{
    char why[200];
    size_t before = sent->len;
    add_message(sent, number, even);
    struct slice message = slice_of(sent->data + before, sent->len - before);
    assert_int_equal(mail_box_append(box, message, why, sizeof why), ERR_OK);
}

static struct mail_box *open_box(const char *dir)
{
    char why[200] = "";
    struct mail_box *box;
    if (mail_box_open(dir, BOX_MAX, &box, why, sizeof why))
        fail_msg("%s", why);
    return box;
}

static void live(const char *dir, struct life *life)
{
    struct mail_box *box = open_box(dir);
    unsigned number = 0;
    char path[300];
    struct stat st;
    snprintf(path, sizeof path, "%s/mail/outbox.mbox", dir);
    assert_int_equal(stat(path, &st), 0);
    inodes[files] = st.st_ino;
    journal.on = true;
    for (unsigned i = 0; i < SYNCS; i++) {
        for (unsigned k = 0; k <= i % 4; k++)
            append(box, &life->sent, number++, life->even);
        assert_int_equal(mail_box_sync(box), ERR_OK);
        life->acknowledged[i] = journal.count;
        life->acknowledged_bytes[i] = life->sent.len;
    }
    journal.on = false;
    mail_box_close(&box);
}

/* ---- What the disk has after the cut. */

enum name { PRESENT, FORMER, NEXT, NAMES };

static const char *const names[] = {"outbox.mbox", "outbox.old.mbox", "outbox.new"};

struct disk {
    struct image files[FILES];
    int named[NAMES]; /* which file; 0: none */
    char mark[MARK_MAX];
};

static enum name name_of(const char *text)
{
    enum name name = PRESENT;
    while (name < NAMES && strcmp(names[name], text) != 0)
        name++;
    assert_true(name < NAMES);
    return name;
}

static void disk_name(struct disk *disk, const struct event *event)
{
    if (event->kind == NEW) {
        disk->named[NEXT] = event->file;
        return;
    }
    enum name from = name_of(event->bytes), to = name_of(event->bytes + strlen(event->bytes) + 1);
    disk->named[to] = disk->named[from];
    disk->named[from] = 0;
}

static bool is_naming(const struct event *event)
{
    return event->kind == NEW || event->kind == RENAME;
}

static size_t names_synced(size_t cut)
{
    while (cut > 0 && journal.events[cut - 1].kind != NAMES_SYNCED)
        cut--;
    return cut;
}

/* When the first `cut` events are over and the next is under way. */
static void disk_after(struct disk *disk, size_t cut, bool synced)
{
    *disk = (struct disk){.named = {1, 0, 0}, .mark = "0\n"}; /* as the opening has left it */
    size_t sure = names_synced(cut), mark_sure = recorder_synced(&journal, cut, 0);
    bool naming = true;
    for (size_t i = 0; i <= cut && i < journal.count; i++) {
        const struct event *event = &journal.events[i];
        naming &= i < sure || !is_naming(event) || rand() % 3;
        if (is_naming(event) && naming)
            disk_name(disk, event);
        if (event->kind == MARK && (i < mark_sure || rand() % 3))
            snprintf(disk->mark, sizeof disk->mark, "%.*s", (int)event->size, event->bytes);
        if (event->kind != DATA)
            continue;
        struct image *image = &disk->files[event->file];
        if (synced && i < recorder_synced(&journal, cut, event->file))
            image_put(image, event->at, event->bytes, event->size);
        else
            image_gamble(image, event);
    }
}

static void disk_release(struct disk *disk)
{
    for (int file = 0; file < FILES; file++)
        free(disk->files[file].bytes);
}

static void put_file(const char *dir, const char *name, const char *bytes, size_t size)
{
    char path[400];
    snprintf(path, sizeof path, "%s/mail/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    if (size > 0)
        assert_int_equal(write(fd, bytes, size), size);
    close(fd);
}

static void disk_write(const struct disk *disk, const char *dir)
{
    for (enum name name = 0; name < NAMES; name++) {
        char path[400];
        const struct image *image = &disk->files[disk->named[name]];
        snprintf(path, sizeof path, "%s/mail/%s", dir, names[name]);
        unlink(path);
        if (disk->named[name] > 0)
            put_file(dir, names[name], image->bytes, image->size);
    }
    put_file(dir, "outbox.synced", disk->mark, strlen(disk->mark));
}

/* Appends the file, if it is there. */
static void read_file(const char *dir, const char *name, struct buf *out)
{
    char path[400];
    snprintf(path, sizeof path, "%s/mail/%s", dir, name);
    struct stat st;
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return;
    assert_int_equal(fstat(fd, &st), 0);
    char *to = buf_reserve(out, (size_t)st.st_size + 1);
    assert_int_equal(read(fd, to, (size_t)st.st_size), st.st_size);
    out->len += (size_t)st.st_size;
    close(fd);
}

/* ---- What is found in it. */

static size_t acknowledged_before(const struct life *life, size_t cut)
{
    size_t bytes = 0;
    for (unsigned i = 0; i < SYNCS && life->acknowledged[i] <= cut; i++)
        bytes = life->acknowledged_bytes[i];
    return bytes;
}

/* The files, one behind the other, have what was acknowledged last, without a gap. */
static bool has_acknowledged(const struct life *life, struct slice found, size_t acknowledged)
{
    size_t kept = acknowledged < BOX_MAX - BATCH ? acknowledged : BOX_MAX - BATCH;
    return kept == 0 || (found.len > 0 &&
                         memmem(found.ptr, found.len, life->sent.data + acknowledged - kept, kept));
}

/* The box opens, has what was acknowledged, and a message that is sent now stands behind a whole
 * one. */
static bool survives(const char *dir, const struct life *life, const struct disk *disk,
                     size_t acknowledged)
{
    struct buf found = BUF_INIT, later = BUF_INIT;
    disk_write(disk, dir);
    struct mail_box *box = open_box(dir);
    read_file(dir, names[FORMER], &found);
    read_file(dir, names[PRESENT], &found);
    bool good = has_acknowledged(life, buf_slice(&found), acknowledged);
    append(box, &later, 1000000, false);
    assert_int_equal(mail_box_sync(box), ERR_OK);
    mail_box_close(&box);
    buf_clear(&found);
    read_file(dir, names[PRESENT], &found);
    size_t end = found.len - later.len;
    good &= found.len >= later.len && memcmp(found.data + end, later.data, later.len) == 0 &&
            (end == 0 || found.data[end - 1] == '\n');
    buf_release(&found);
    buf_release(&later);
    return good;
}

/* Returns how many of the cuts it did not survive. */
static unsigned cut_often(const char *dir, const struct life *life, bool synced)
{
    unsigned lost = 0;
    srand(1);
    for (unsigned i = 0; i < CUTS; i++) {
        size_t cut = (size_t)rand() % (journal.count + 1);
        struct disk disk;
        disk_after(&disk, cut, synced);
        lost += !survives(dir, life, &disk, acknowledged_before(life, cut));
        disk_release(&disk);
    }
    return lost;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void cut_life(bool even)
{
    char dir[256];
    snprintf(dir, sizeof dir, "%s/galley-box-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(dir));
    static struct life life;
    life = (struct life){.even = even};
    journal = (struct recorder){0};
    files = 1;
    live(dir, &life);
    assert_true(journal.count >= 3 * SYNCS && files > 10);
    assert_int_equal(cut_often(dir, &life, true), 0);
    unsigned lost = cut_often(dir, &life, false);
    print_message("%zu events; of %d cuts 0 lost a message, and %u without fdatasync\n",
                  journal.count, CUTS, lost);
    assert_true(lost > CUTS / 2);
    nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    buf_release(&life.sent);
    recorder_release(&journal);
}

static void test_mail_box_survives_power_cuts_and_the_control_does_not(void **state)
{
    (void)state;
    cut_life(false);
}

/* What was synced of the former file may be where a message of the present one begins. */
static void test_mail_box_with_messages_of_one_length_survives_power_cuts(void **state)
{
    (void)state;
    cut_life(true);
}

int main(void)
{
    const struct log_options options = {.level = LOG_OFF};
    assert_true(log_open(&options));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mail_box_survives_power_cuts_and_the_control_does_not),
        cmocka_unit_test(test_mail_box_with_messages_of_one_length_survives_power_cuts),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
