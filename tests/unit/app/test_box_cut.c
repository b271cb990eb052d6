/* A power cut, at any moment: the mail box has what was acknowledged as sent, and goes on.
 *
 * The functions below are found before the C library's: each write to the box and each fdatasync
 * goes into a log. The disk of the test keeps what was written before the last fdatasync; of what
 * came later each sector arrives or not, and the mark of what was synced, which never is itself, is
 * any that was written so far, or none. The control takes the same log without its fdatasyncs, and
 * must lose. (A turn-over to a new file is not cut here.) */
#include "modules/mail/box.h"

#include "base/buf.h"
#include "base/log.h"

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

#define SECTOR   512
#define SYNCS    200
#define CUTS     300
#define BOX_MAX  (1LL << 30)
#define MARK_MAX 32

enum kind { DATA, MARK, SYNC };

struct event {
    enum kind kind;
    off_t at;
    size_t size;
    char *bytes;
};

static struct {
    bool on;
    struct event *events;
    size_t count, capacity;
} journal;

static bool is_file(int fd, const char *name)
{
    char link[40], path[300];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    path[len > 0 ? len : 0] = '\0';
    const char *last = strrchr(path, '/');
    return last && strcmp(last + 1, name) == 0;
}

static void note(enum kind kind, off_t at, const void *bytes, size_t size)
{
    if (journal.count == journal.capacity) {
        journal.capacity = journal.capacity * 2 + 256;
        journal.events = realloc(journal.events, journal.capacity * sizeof *journal.events);
    }
    struct event *event = &journal.events[journal.count++];
    *event = (struct event){kind, at, size, malloc(size + 1)};
    if (size > 0)
        memcpy(event->bytes, bytes, size);
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    if (journal.on && is_file(fd, "outbox.mbox"))
        note(DATA, lseek(fd, 0, SEEK_END), bytes, size);
    return syscall(SYS_write, fd, bytes, size);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    if (journal.on && is_file(fd, "outbox.synced"))
        note(MARK, offset, bytes, size);
    return syscall(SYS_pwrite64, fd, bytes, size, offset);
}

int fdatasync(int fd)
{
    if (journal.on && is_file(fd, "outbox.mbox"))
        note(SYNC, 0, NULL, 0);
    return 0; /* the test's disk is memory */
}

/* ---- The life that is cut. */

struct life {
    struct buf sent;                  /* all messages, as they should lie there */
    size_t acknowledged[SYNCS];       /* length of the journal when a sync had returned */
    size_t acknowledged_bytes[SYNCS]; /* that it had made durable */
};

static void add_message(struct buf *out, unsigned number)
{
    struct buf body = BUF_INIT;
    unsigned lines = 1 + number * 7919 % 60;
    for (unsigned i = 0; i < lines; i++)
        buf_printf(&body, "Line %u of message %u, which is not to be lost.\n", i, number);
    buf_printf(out,
               "From shop@example.com Thu Jan  1 00:00:00 1970\nSubject: %u\n"
               "Content-Length: %zu\n\n%.*s\n",
               number, body.len, SLICE_ARG(buf_slice(&body)));
    buf_release(&body);
}

static void append(struct mail_box *box, struct buf *sent, unsigned number)
{
    char why[200];
    size_t before = sent->len;
    add_message(sent, number);
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
    journal.on = true;
    for (unsigned i = 0; i < SYNCS; i++) {
        for (unsigned k = 0; k <= i % 4; k++)
            append(box, &life->sent, number++);
        assert_int_equal(mail_box_sync(box), ERR_OK);
        life->acknowledged[i] = journal.count;
        life->acknowledged_bytes[i] = life->sent.len;
    }
    journal.on = false;
    mail_box_close(&box);
}

/* ---- What the disk has after the cut. */

struct image {
    char *bytes;
    size_t size;
    char mark[MARK_MAX];
};

static void image_put(struct image *image, off_t at, const char *bytes, size_t size)
{
    size_t end = (size_t)at + size;
    if (end > image->size) {
        memset(image->bytes + image->size, 0, end - image->size);
        image->size = end;
    }
    memcpy(image->bytes + at, bytes, size);
}

/* Whole, not at all, or some of its sectors. */
static void image_gamble(struct image *image, const struct event *event)
{
    int luck = rand() % 3;
    for (size_t done = 0; done < event->size;) {
        size_t left = SECTOR - ((size_t)event->at + done) % SECTOR;
        size_t size = event->size - done < left ? event->size - done : left;
        if (luck == 0 || (luck == 1 && rand() % 2))
            image_put(image, event->at + (off_t)done, event->bytes + done, size);
        done += size;
    }
}

static size_t last_sync(size_t cut)
{
    while (cut > 0 && journal.events[cut - 1].kind != SYNC)
        cut--;
    return cut;
}

/* When the first `cut` events are over and the next is under way; all before `safe` have arrived.
 */
static struct image image_after(const struct life *life, size_t cut, size_t safe)
{
    struct image image = {.bytes = malloc(life->sent.len)};
    for (size_t i = 0; i <= cut && i < journal.count; i++) {
        const struct event *event = &journal.events[i];
        if (event->kind == MARK && rand() % 3)
            snprintf(image.mark, sizeof image.mark, "%.*s", (int)event->size, event->bytes);
        if (event->kind == DATA && i < safe)
            image_put(&image, event->at, event->bytes, event->size);
        else if (event->kind == DATA)
            image_gamble(&image, event);
    }
    return image;
}

static void put_file(const char *dir, const char *name, const char *bytes, size_t size)
{
    char path[400];
    snprintf(path, sizeof path, "%s/mail/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), size);
    close(fd);
}

static void read_box(const char *dir, struct buf *out)
{
    char path[400];
    snprintf(path, sizeof path, "%s/mail/outbox.mbox", dir);
    struct stat st;
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    buf_clear(out);
    buf_reserve(out, (size_t)st.st_size + 1);
    assert_int_equal(read(fd, out->data, (size_t)st.st_size), st.st_size);
    out->len = (size_t)st.st_size;
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

/* The box opens, has what was acknowledged, and a message that is sent now stands behind a whole
 * one. */
static bool survives(const char *dir, const struct life *life, const struct image *image,
                     size_t acknowledged)
{
    struct buf found = BUF_INIT, later = BUF_INIT;
    put_file(dir, "outbox.mbox", image->bytes, image->size);
    put_file(dir, "outbox.synced", image->mark, strlen(image->mark));
    struct mail_box *box = open_box(dir);
    append(box, &later, 1000000);
    assert_int_equal(mail_box_sync(box), ERR_OK);
    mail_box_close(&box);
    read_box(dir, &found);
    size_t end = found.len - later.len;
    bool good = found.len >= later.len && end >= acknowledged &&
                memcmp(found.data, life->sent.data, acknowledged) == 0 &&
                memcmp(found.data + end, later.data, later.len) == 0 &&
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
        struct image image = image_after(life, cut, synced ? last_sync(cut) : 0);
        lost += !survives(dir, life, &image, acknowledged_before(life, cut));
        free(image.bytes);
    }
    return lost;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void test_mail_box_survives_power_cuts_and_the_control_does_not(void **state)
{
    (void)state;
    char dir[256];
    snprintf(dir, sizeof dir, "%s/galley-box-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(dir));
    static struct life life;
    live(dir, &life);
    assert_true(journal.count >= 3 * SYNCS);
    assert_int_equal(cut_often(dir, &life, true), 0);
    unsigned lost = cut_often(dir, &life, false);
    print_message("%zu events; of %d cuts 0 lost a message, and %u without fdatasync\n",
                  journal.count, CUTS, lost);
    assert_true(lost > CUTS / 2);
    nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    buf_release(&life.sent);
    for (size_t i = 0; i < journal.count; i++)
        free(journal.events[i].bytes);
    free(journal.events);
}

int main(void)
{
    const struct log_options options = {.level = LOG_OFF};
    assert_true(log_open(&options));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mail_box_survives_power_cuts_and_the_control_does_not),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
