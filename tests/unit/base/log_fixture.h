/* A log in a directory of its own. */
#ifndef GALLEY_TESTS_UNIT_BASE_LOG_FIXTURE_H
#define GALLEY_TESTS_UNIT_BASE_LOG_FIXTURE_H

#include "base/buf.h"
#include "base/json.h"
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct fixture {
    char dir[64];
    char path[80];
    struct buf text; /* what the log has written, after read_log */
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    const char *tmp = getenv("TMPDIR");
    snprintf(f->dir, sizeof f->dir, "%s/galley-log-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof f->path, "%s/log", f->dir);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    unlink(f->path);
    rmdir(f->dir);
    buf_release(&f->text);
    free(f);
    return 0;
}

static inline void open_log(struct fixture *f, enum log_level level, enum log_format format,
                            bool access)
{
    assert_true(log_open(&(struct log_options){
        .path = f->path, .level = level, .format = format, .access = access}));
}

static void read_fd(int fd, struct buf *out)
{
    ssize_t got;
    while ((got = read(fd, buf_reserve(out, 65536), 65536)) > 0)
        out->len += (size_t)got;
}

/* Closes the log, and gives its lines one by one through next_line. */
static struct slice read_log(struct fixture *f)
{
    log_close();
    int fd = open(f->path, O_RDONLY);
    assert_true(fd >= 0);
    read_fd(fd, &f->text);
    close(fd);
    return buf_slice(&f->text);
}

/* The next line as JSON, NULL behind the last; every line must be strict JSON. */
static json_t *next_line(struct slice *rest)
{
    struct slice line = slice_cut(rest, '\n');
    if (line.len == 0)
        return NULL;
    char why[128] = "";
    json_t *value;
    if (json_read(line, &value, why, sizeof why) != ERR_OK)
        fail_msg("%.*s: %s", SLICE_ARG(line), why);
    return value;
}

#define UNIT(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

#endif
