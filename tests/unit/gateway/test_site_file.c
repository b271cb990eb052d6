/* Files are found below a folder and nowhere else, with openat2 and without it. */
#include "server/gateway/site_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct fixture {
    char dir[64];
    int folder;
};

static void make_file(const char *dir, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, name, strlen(name)), strlen(name));
    close(fd);
}

static void make_link(const char *dir, const char *to, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_int_equal(symlink(to, path), 0);
}

static int setup(void **state)
{
    static struct fixture f;
    char path[200];
    snprintf(f.dir, sizeof f.dir, "%s/galley-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(f.dir));
    make_file(f.dir, "secret.txt");
    snprintf(path, sizeof path, "%s/site", f.dir);
    assert_int_equal(mkdir(path, 0755), 0);
    make_file(path, "a.txt");
    make_link(path, "../secret.txt", "up.txt");
    make_link(path, "/etc/passwd", "absolute.txt");
    make_link(path, "a.txt", "inside.txt");
    make_link(path, "..", "out");
    f.folder = open(path, O_RDONLY | O_DIRECTORY);
    assert_true(f.folder >= 0);
    strcat(path, "/sub");
    assert_int_equal(mkdir(path, 0755), 0);
    make_file(path, "b.txt");
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char command[100];
    close(f->folder);
    snprintf(command, sizeof command, "rm -r %s", f->dir);
    return system(command);
}

static enum site_found find(const struct fixture *f, const char *path)
{
    static struct site_file file;
    enum site_found found = site_find(f->folder, slice_str(path), &file);
    assert_int_equal(found == SITE_FILE, file.fd >= 0);
    site_close(&file);
    return found;
}

/* Whether all is found, and nothing else; a link that stays inside is followed only where the
 * system keeps it there. */
static bool finds_right(const struct fixture *f, bool follows)
{
    static const char *const nothing[] = {"up.txt",     "absolute.txt",     "out",
                                          "out/secret", "../secret.txt",    "sub/../../secret.txt",
                                          "none",       "a.txt/x",          "out/site/a.txt",
                                          "/a.txt",     "sub/../../site/.."};
    for (unsigned i = 0; i < sizeof nothing / sizeof *nothing; i++) {
        if (find(f, nothing[i]) == SITE_FILE)
            return false;
    }
    return find(f, "a.txt") == SITE_FILE && find(f, "sub/b.txt") == SITE_FILE &&
           find(f, "") == SITE_FOLDER && find(f, "sub/") == SITE_FOLDER &&
           find(f, "sub") == SITE_FOLDER && (find(f, "inside.txt") == SITE_FILE) == follows;
}

static void test_site_finds_what_is_below_its_folder_alone(void **state)
{
    assert_true(finds_right(*state, true));
}

/* As kernels before 5.6 and some sandboxes do. */
static bool forbid_openat2(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void test_site_finds_the_same_without_openat2(void **state)
{
    pid_t child = fork();
    if (child == 0)
        _exit(!forbid_openat2() ? 2 : finds_right(*state, false) ? 0 : 1);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
        skip(); /* nothing can be forbidden here */
    assert_int_equal(status, 0);
}

static void test_site_hides_what_begins_with_a_dot(void **state)
{
    (void)state;
    static const char *const good[] = {"", "a", "a/b.txt", "a/", ".well-known/x", "a.b/c..d"};
    static const char *const bad[] = {".a", "a/.b", "a//b", "/a", "a/.well-known/x", "..", "."};
    for (unsigned i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(site_path_ok(slice_str(good[i])));
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(site_path_ok(slice_str(bad[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_site_finds_what_is_below_its_folder_alone),
        cmocka_unit_test(test_site_finds_the_same_without_openat2),
        cmocka_unit_test(test_site_hides_what_begins_with_a_dot),
    };
    return cmocka_run_group_tests_name("site_file", tests, setup, teardown);
}
