/* A configuration in a directory of its own, and what loading it said. */
#ifndef GALLEY_TESTS_UNIT_CONFIG_FIXTURE_H
#define GALLEY_TESTS_UNIT_CONFIG_FIXTURE_H

#include "server/config/config.h"
#include "server/config/schema.h"
#include "server/galley.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* One configuration: its file, what loading gave, and the errors with the directory cut off. */
struct fixture {
    char dir[256];
    char path[300];
    struct config *config;
    struct buf errors;
};

static inline int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    const char *tmp = getenv("TMPDIR");
    snprintf(f->dir, sizeof f->dir, "%s/galley-config-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof f->path, "%s/config.ini", f->dir);
    *state = f;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;
    config_destroy(&f->config);
    buf_release(&f->errors);
    unlink(f->path);
    rmdir(f->dir);
    free(f);
    return 0;
}

static inline void write_bytes(const char *path, struct slice bytes)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes.ptr, 1, bytes.len, file), bytes.len);
    assert_int_equal(fclose(file), 0);
}

/* The errors without the directory, so that they read as the user sees them. */
static inline const char *errors_of(struct fixture *f)
{
    struct buf seen = BUF_INIT;
    struct slice rest = buf_slice(&f->errors);
    size_t prefix = strlen(f->dir) + 1;
    while (rest.len > 0) {
        struct slice line = slice_cut(&rest, '\n');
        if (slice_starts(line, slice_str(f->dir)))
            line = slice_of(line.ptr + prefix, line.len - prefix);
        buf_append_slice(&seen, line);
        buf_append_char(&seen, '\n');
    }
    buf_append_char(&seen, '\0');
    buf_release(&f->errors);
    f->errors = seen;
    return seen.data;
}

/* Loads `text`; of the source, the file's path is filled in, and the build's modules unless it has
 * some. */
static inline enum err load_source(struct fixture *f, struct slice text,
                                   struct config_source source)
{
    config_destroy(&f->config);
    buf_release(&f->errors);
    write_bytes(f->path, text);
    source.path = f->path;
    if (!source.modules)
        source.modules = galley_sections();
    return config_load(&source, &f->config, &f->errors);
}

static inline enum err load(struct fixture *f, struct slice text)
{
    return load_source(f, text, (struct config_source){0});
}

static inline void assert_loads(struct fixture *f, const char *text)
{
    enum err err = load(f, slice_str(text));
    assert_string_equal(errors_of(f), "");
    assert_int_equal(err, ERR_OK);
    assert_non_null(f->config);
}

static inline void assert_errors(struct fixture *f, const char *text, const char *expected)
{
    enum err err = load(f, slice_str(text));
    assert_string_equal(errors_of(f), expected);
    assert_int_equal(err, ERR_VALIDATION);
    assert_null(f->config);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
