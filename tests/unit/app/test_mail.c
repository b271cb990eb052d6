/* The mail box when the disk fails: write and fdatasync are found here before the C library's. */
#include "base/log.h"
#include "server/app/app_private.h"

extern const struct app_module mail_module;

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fail_sync;  /* errno of the next one, 0: none */
static int fail_write; /* likewise, of one that has written a part */
static _Atomic int syncs, writes;

ssize_t write(int fd, const void *bytes, size_t size)
{
    writes++;
    if (fail_write != 0 && size == 1) {
        errno = fail_write;
        fail_write = 0;
        return -1;
    }
    return syscall(SYS_write, fd, bytes, fail_write != 0 ? size - 1 : size);
}

int fdatasync(int fd)
{
    syncs++;
    errno = fail_sync;
    fail_sync = 0;
    return errno != 0 ? -1 : fsync(fd);
}

struct fixture {
    char dir[256];
    struct app app;
    struct config *config;
    void *mail;
};

static void load_config(struct fixture *f)
{
    static struct config_kind kinds[2];
    kinds[0] = (struct config_kind){.name = "mail",
                                    .help = mail_module.help,
                                    .keys = mail_module.settings,
                                    .key_count = mail_module.setting_count};
    char path[300];
    struct buf errors = BUF_INIT;
    snprintf(path, sizeof path, "%s/config.ini", f->dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("[mail]\nbox_size = 16KiB\n", file);
    fclose(file);
    struct config_source source = {.path = path, .modules = kinds};
    assert_int_equal(config_load(&source, &f->config, &errors), ERR_OK);
}

static void open_mail(struct fixture *f)
{
    char why[200];
    const struct config_section *settings = config_section(f->config, "mail");
    assert_int_equal(mail_module.open(&f->app, settings, &f->mail, why, sizeof why), ERR_OK);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    const char *tmp = getenv("TMPDIR");
    snprintf(f->dir, sizeof f->dir, "%s/galley-mail-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(f->dir));
    f->app.options = (struct app_options){.clock = &clock_system, .data_dir = f->dir};
    load_config(f);
    open_mail(f);
    *state = f;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    mail_module.close(f->mail);
    config_destroy(&f->config);
    nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(f);
    return 0;
}

static enum err send_text(struct fixture *f, const char *payload)
{
    char why[200];
    struct job job = {.payload = slice_str(payload)};
    return mail_module.jobs[0].run(&job, f->mail, why, sizeof why);
}

static enum err send(struct fixture *f)
{
    return send_text(f, "{\"to\":\"a@x\",\"subject\":\"s\",\"text\":\"t\"}");
}

static void read_box(struct fixture *f, char *out, size_t size)
{
    char path[300];
    snprintf(path, sizeof path, "%s/mail/outbox.mbox", f->dir);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    out[fread(out, 1, size - 1, file)] = '\0';
    fclose(file);
}

static enum err sync_all(struct fixture *f)
{
    return mail_module.jobs[0].sync(f->mail);
}

static void test_mail_is_sent_and_synced(void **state)
{
    assert_int_equal(send(*state), ERR_OK);
    assert_int_equal(sync_all(*state), ERR_OK);
}

static void test_mail_text_like_the_beginning_of_a_message_stays_within_its_own(void **state)
{
    char box[4096];
    assert_int_equal(send_text(*state, "{\"to\":\"a@x\",\"subject\":\"s\",\"text\":"
                                       "\"Eve\\nFrom eve@x\\n>From Adam\\n\\nTo: b@x\"}"),
                     ERR_OK);
    assert_int_equal(sync_all(*state), ERR_OK);
    read_box(*state, box, sizeof box);
    assert_non_null(strstr(box, "\n>From eve@x"));
    assert_non_null(strstr(box, "\n>>From Adam"));
    assert_memory_equal(strstr(box, "\nTo:"), "\nTo: a@x\n", 9);
}

static void test_mail_sync_that_failed_once_fails_every_batch(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(send(f), ERR_OK); /* of one worker */
    assert_int_equal(send(f), ERR_OK); /* of another */
    fail_sync = EIO;
    assert_int_equal(sync_all(f), ERR_INTERNAL);
    assert_int_equal(sync_all(f), ERR_INTERNAL);
    assert_int_equal(send(f), ERR_INTERNAL);
    mail_module.close(f->mail);
    open_mail(f);
    assert_int_equal(send(f), ERR_OK);
    assert_int_equal(sync_all(f), ERR_OK);
}

/* ---- Sharing. */

static void *send_and_sync(void *arg)
{
    return (void *)(uintptr_t)(send(arg) != ERR_OK || sync_all(arg) != ERR_OK);
}

static bool another_sends(struct fixture *f)
{
    pthread_t other;
    void *failed;
    pthread_create(&other, NULL, send_and_sync, f);
    pthread_join(other, &failed);
    return !failed;
}

static void test_mail_of_several_workers_is_written_and_synced_once(void **state)
{
    struct fixture *f = *state;
    char box[4096];
    send(f);
    send(f);
    syncs = writes = 0;
    assert_true(another_sends(f));
    assert_int_equal(sync_all(f), ERR_OK);
    assert_int_equal(syncs, 1);
    assert_int_equal(writes, 1);
    read_box(f, box, sizeof box);
    int messages = 0;
    for (const char *at = box; (at = strstr(at, "Message-ID: ")); at++)
        messages++;
    assert_int_equal(messages, 3);
}

static void test_mail_that_came_after_the_others_sync_is_synced_by_its_own(void **state)
{
    struct fixture *f = *state;
    send(f);
    assert_true(another_sends(f));
    send(f);
    syncs = 0;
    assert_int_equal(sync_all(f), ERR_OK);
    assert_int_equal(syncs, 1);
    assert_int_equal(sync_all(f), ERR_OK);
    assert_int_equal(syncs, 1);
}

/* ---- A full disk. */

static long box_size(struct fixture *f)
{
    char path[300];
    struct stat st;
    snprintf(path, sizeof path, "%s/mail/outbox.mbox", f->dir);
    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

static void test_mail_goes_on_when_a_full_disk_has_room_again(void **state)
{
    struct fixture *f = *state;
    send(f);
    sync_all(f);
    long one = box_size(f);
    assert_null(mail_module.trouble(f->mail));
    send(f);
    fail_sync = ENOSPC;
    assert_int_equal(sync_all(f), ERR_INTERNAL);
    assert_non_null(strstr(mail_module.trouble(f->mail), "the disk is full"));
    assert_int_equal(box_size(f), one); /* what the kernel may have forgotten is gone */
    assert_int_equal(send(f), ERR_OK);
    assert_int_equal(sync_all(f), ERR_OK);
    assert_null(mail_module.trouble(f->mail));
    assert_int_equal(box_size(f), 2 * one);
}

static void *send_and_fail(void *arg)
{
    struct fixture *f = arg;
    send(f);
    fail_sync = EDQUOT;
    return (void *)(uintptr_t)sync_all(f);
}

static void test_mail_that_another_batch_wrote_before_a_full_disk_does_not_count(void **state)
{
    struct fixture *f = *state;
    send(f);
    pthread_t other;
    pthread_create(&other, NULL, send_and_fail, f);
    pthread_join(other, NULL);
    assert_int_equal(box_size(f), 0);
    assert_int_equal(sync_all(f), ERR_INTERNAL);
    assert_int_equal(send(f), ERR_OK);
    assert_int_equal(sync_all(f), ERR_OK);
}

static void test_mail_that_is_half_written_does_not_stay(void **state)
{
    struct fixture *f = *state;
    send(f);
    sync_all(f);
    long one = box_size(f);
    send(f);
    fail_write = ENOSPC;
    assert_int_equal(sync_all(f), ERR_INTERNAL);
    assert_int_equal(box_size(f), one);
    send(f);
    assert_int_equal(sync_all(f), ERR_OK);
    assert_int_equal(box_size(f), 2 * one);
}

static void test_mail_box_that_fails_says_so_until_a_restart(void **state)
{
    struct fixture *f = *state;
    send(f);
    fail_sync = EIO;
    sync_all(f);
    assert_non_null(strstr(mail_module.trouble(f->mail), "until a restart"));
    sync_all(f);
    assert_non_null(mail_module.trouble(f->mail));
}

/* ---- A full box. */

static long old_size(struct fixture *f)
{
    char path[300];
    struct stat st;
    snprintf(path, sizeof path, "%s/mail/outbox.old.mbox", f->dir);
    return stat(path, &st) == 0 ? st.st_size : -1;
}

static void test_mail_box_that_is_full_becomes_the_former_one(void **state)
{
    struct fixture *f = *state;
    const long most = 16 << 10;
    long all = 0, one = 0;
    for (int i = 0; i < 200; i++) {
        send(f);
        assert_int_equal(sync_all(f), ERR_OK);
        one = one ? one : box_size(f);
        all += one;
        assert_true(box_size(f) <= most && old_size(f) <= most);
        assert_int_equal(box_size(f) % one, 0);
        if (all <= 2 * most - 2 * one)
            assert_int_equal(box_size(f) + (old_size(f) > 0 ? old_size(f) : 0), all);
    }
    assert_true(old_size(f) > most - 2 * one);
    long size = box_size(f);
    mail_module.close(f->mail);
    open_mail(f);
    assert_int_equal(box_size(f), size);
}

static void test_mail_larger_than_the_box_is_kept_whole(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 100; i++)
        send(f);
    assert_int_equal(sync_all(f), ERR_OK);
    long large = box_size(f);
    assert_true(large > 16 << 10);
    send(f);
    assert_int_equal(sync_all(f), ERR_OK);
    assert_int_equal(old_size(f), large);
}

/* ---- The start. */

static void write_at(struct fixture *f, const char *name, long at, const char *bytes, size_t size)
{
    char path[300];
    snprintf(path, sizeof path, "%s/mail/%s", f->dir, name);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(pwrite(fd, bytes, size, at), size);
    close(fd);
}

/* A power cut may leave holes before what it left whole. */
static void test_mail_box_checks_all_that_was_not_synced(void **state)
{
    struct fixture *f = *state;
    send(f);
    sync_all(f);
    long one = box_size(f);
    for (int i = 0; i < 3; i++)
        send(f);
    sync_all(f);
    char mark[21];
    snprintf(mark, sizeof mark, "%-20ld", one);
    write_at(f, "outbox.synced", 0, mark, 20);
    static const char hole[40];
    write_at(f, "outbox.mbox", 2 * one + 100, hole, sizeof hole);
    write_at(f, "outbox.mbox", 2 * one, hole, 5);
    mail_module.close(f->mail);
    open_mail(f);
    assert_int_equal(box_size(f), 2 * one);
}

static void test_mail_box_believes_no_mark_where_no_message_begins(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++)
        send(f);
    sync_all(f);
    long all = box_size(f);
    mail_module.close(f->mail);
    write_at(f, "outbox.synced", 0, "17                  ", 20);
    open_mail(f);
    assert_int_equal(box_size(f), all);
    mail_module.close(f->mail);
    write_at(f, "outbox.synced", 0, "99999999            ", 20);
    open_mail(f);
    assert_int_equal(box_size(f), all);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_mail_of_several_workers_is_written_and_synced_once),
        TEST(test_mail_that_came_after_the_others_sync_is_synced_by_its_own),
        TEST(test_mail_that_is_half_written_does_not_stay),
        TEST(test_mail_goes_on_when_a_full_disk_has_room_again),
        TEST(test_mail_that_another_batch_wrote_before_a_full_disk_does_not_count),
        TEST(test_mail_box_that_fails_says_so_until_a_restart),
        TEST(test_mail_box_that_is_full_becomes_the_former_one),
        TEST(test_mail_larger_than_the_box_is_kept_whole),
        TEST(test_mail_box_checks_all_that_was_not_synced),
        TEST(test_mail_box_believes_no_mark_where_no_message_begins),
        cmocka_unit_test_setup_teardown(test_mail_is_sent_and_synced, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_mail_text_like_the_beginning_of_a_message_stays_within_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mail_sync_that_failed_once_fails_every_batch, setup,
                                        teardown),
    };
    assert_true(log_open(&(struct log_options){.level = LOG_OFF}));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
