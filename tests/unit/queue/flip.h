/* Where the tables' keys and values lie in the file, and a bit of it turned over. */
#ifndef GALLEY_TESTS_QUEUE_FLIP_H
#define GALLEY_TESTS_QUEUE_FLIP_H

#include "tests/unit/queue/fixture.h"

#include <fcntl.h>
#include <sys/stat.h>

/* Nothing here is about power cuts, and thousands of commits are made. */
static inline void use_memory_for_files(void)
{
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 1);
}

#define SPANS_MAX 4096

struct span {
    off_t at;
    size_t len;
    bool key;
};

struct spans {
    struct fixture *f;
    struct table table;
    const char *map; /* where the file begins in memory */
    struct span list[SPANS_MAX];
    unsigned count;
};

static inline const char *find_map(const char *dir)
{
    char line[4400], path[300];
    snprintf(path, sizeof path, "%s/data.mdb", dir);
    unsigned long begin = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (begin == 0 && fgets(line, sizeof line, maps))
        if (strstr(line, path))
            sscanf(line, "%lx", &begin);
    fclose(maps);
    assert_true(begin != 0);
    return (const char *)begin;
}

static inline void add_span(struct spans *spans, struct slice bytes, bool key)
{
    assert_true(spans->count < SPANS_MAX);
    if (bytes.len > 0)
        spans->list[spans->count++] = (struct span){bytes.ptr - spans->map, bytes.len, key};
}

static inline enum err list_spans(struct txn *txn, void *arg)
{
    struct spans *spans = arg;
    struct cursor cursor;
    cursor_open(&cursor, txn, spans->table);
    for (enum err err = cursor_seek(&cursor, slice_of("", 0)); err == ERR_OK;
         err = cursor_next(&cursor)) {
        add_span(spans, cursor.key, true);
        add_span(spans, cursor.value, false);
    }
    cursor_close(&cursor);
    return ERR_OK;
}

/* All keys and values of the table, as they lie in the file now. */
static inline void spans_of(struct spans *spans, struct fixture *f, struct table table)
{
    spans->f = f;
    spans->table = table;
    spans->map = find_map(f->dir);
    spans->count = 0;
    assert_int_equal(store_read(f->store, list_spans, spans), ERR_OK);
}

static inline void flip_bit(const char *dir, off_t at, unsigned bit)
{
    char path[300];
    snprintf(path, sizeof path, "%s/data.mdb", dir);
    int fd = open(path, O_RDWR);
    unsigned char byte;
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= (unsigned char)(1u << bit);
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static inline void copy_file(const char *from, const char *to)
{
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(in >= 0 && out >= 0);
    struct stat st;
    assert_int_equal(fstat(in, &st), 0);
    off_t left = st.st_size;
    while (left > 0) {
        ssize_t n = copy_file_range(in, NULL, out, NULL, (size_t)left, 0);
        assert_true(n > 0);
        left -= n;
    }
    close(in);
    close(out);
}

#endif
