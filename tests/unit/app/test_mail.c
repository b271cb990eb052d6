/* The mail box when the disk fails: fdatasync is found here before the C library's. */
#include "base/log.h"
#include "server/app/app_private.h"
#include "server/app/modules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int fail_sync; /* errno of the next one, 0: none */

int fdatasync(int fd)
{
    errno = fail_sync;
    fail_sync = 0;
    return errno != 0 ? -1 : fsync(fd);
}

struct fixture {
    char dir[256];
    struct app app;
    void *mail;
};

static void open_mail(struct fixture *f)
{
    char why[200];
    assert_int_equal(mail_module.open(&f->app, NULL, &f->mail, why, sizeof why), ERR_OK);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    const char *tmp = getenv("TMPDIR");
    snprintf(f->dir, sizeof f->dir, "%s/galley-mail-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(f->dir));
    f->app.options = (struct app_options){.clock = &clock_system, .data_dir = f->dir};
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
    nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(f);
    return 0;
}

static enum err send(struct fixture *f)
{
    char why[200];
    struct job job = {.payload = slice_str("{\"to\":\"a@x\",\"subject\":\"s\",\"text\":\"t\"}")};
    return mail_module.jobs[0].run(&job, f->mail, why, sizeof why);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_mail_is_sent_and_synced, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mail_sync_that_failed_once_fails_every_batch, setup,
                                        teardown),
    };
    assert_true(log_open(&(struct log_options){.level = LOG_OFF}));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
