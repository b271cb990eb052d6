#include "base/log.h"

#include "base/buf.h"
#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

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

static void open_log(struct fixture *f, enum log_level level, enum log_format format, bool access)
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

static struct log_access order(void)
{
    return (struct log_access){
        .wall_ms = 1769855400123,
        .request_id = slice_str("req-1"),
        .method = slice_str("POST"),
        .path = slice_str("/place-order"),
        .route = "/place-order",
        .user = slice_str("alice"),
        .address = slice_str("127.0.0.1"),
        .status = 201,
        .duration_ns = 1234567,
        .bytes_out = 321,
    };
}

static void test_log_line_is_a_json_object(void **state)
{
    open_log(*state, LOG_INFO, LOG_JSON, false);
    log_write(LOG_WARN, "store", "The disk is %d %% full.", 93);
    struct slice rest = read_log(*state);
    json_t *line = next_line(&rest);
    assert_string_equal(json_str(line, "level", ""), "warn");
    assert_string_equal(json_str(line, "component", ""), "store");
    assert_string_equal(json_str(line, "message", ""), "The disk is 93 % full.");
    assert_int_equal(strlen(json_str(line, "time", "")), 24);
    json_decref(line);
    assert_null(next_line(&rest));
}

static void test_log_access_line_has_the_facts_of_the_request(void **state)
{
    struct log_access access = order();
    open_log(*state, LOG_INFO, LOG_JSON, true);
    log_access(&access);
    struct slice text = read_log(*state);
    assert_true(slice_is(text, "{\"time\":\"2026-01-31T10:30:00.123Z\",\"level\":\"info\","
                               "\"component\":\"access\",\"requestId\":\"req-1\","
                               "\"method\":\"POST\",\"path\":\"/place-order\","
                               "\"route\":\"/place-order\",\"status\":201,\"durationMs\":1.234,"
                               "\"bytes\":321,\"user\":\"alice\",\"address\":\"127.0.0.1\"}\n"));
}

static void test_log_access_lines_are_dropped_when_not_wanted(void **state)
{
    struct log_access access = order();
    open_log(*state, LOG_INFO, LOG_JSON, false);
    log_access(&access);
    assert_int_equal(read_log(*state).len, 0);
}

static void test_log_keeps_its_level_and_above(void **state)
{
    open_log(*state, LOG_WARN, LOG_JSON, false);
    assert_false(log_wants(LOG_INFO));
    assert_true(log_wants(LOG_WARN));
    log_write(LOG_INFO, "test", "no");
    log_write(LOG_ERROR, "test", "yes");
    struct slice rest = read_log(*state);
    json_decref(next_line(&rest));
    assert_int_equal(rest.len, 0);
}

static void test_log_escapes_what_a_client_sent(void **state)
{
    struct log_access access = order();
    open_log(*state, LOG_INFO, LOG_JSON, true);
    access.path = slice_of("/\"\n{\xFF\0\x1B[2J", 10);
    log_access(&access);
    log_write(LOG_INFO, "test", "%s", "a\"\n\x01\xE2\x82");
    struct slice rest = read_log(*state);
    for (int i = 0; i < 2; i++) {
        struct slice raw = slice_cut(&rest, '\n');
        json_error_t error;
        json_t *line = json_loadb(raw.ptr, raw.len, JSON_ALLOW_NUL, &error);
        assert_non_null(line);
        json_decref(line);
    }
    assert_int_equal(rest.len, 0);
}

static void test_log_cuts_long_texts(void **state)
{
    struct log_access access = order();
    char longer[1000];
    memset(longer, 'x', sizeof longer);
    open_log(*state, LOG_INFO, LOG_JSON, true);
    access.path = slice_of(longer, sizeof longer);
    log_access(&access);
    log_write(LOG_INFO, "test", "%.*s", (int)sizeof longer, longer);
    struct slice rest = read_log(*state);
    json_t *line = next_line(&rest);
    assert_int_equal(strlen(json_str(line, "path", "")), 256);
    json_decref(line);
    line = next_line(&rest);
    assert_int_equal(strlen(json_str(line, "message", "")), 400);
    json_decref(line);
}

static void test_log_text_moves_no_cursor(void **state)
{
    struct log_access access = order();
    open_log(*state, LOG_INFO, LOG_TEXT, true);
    access.path = slice_str("/\x1B[2J\n\xC2\x9B\xFF\xC3\xA4");
    log_access(&access);
    log_write(LOG_ERROR, "store", "one\ntwo");
    struct slice text = read_log(*state);
    assert_non_null(memmem(text.ptr, text.len, "/?[2J???\xC3\xA4", 10));
    assert_non_null(memmem(text.ptr, text.len, "ERROR store    one?two\n", 23));
    assert_null(memchr(text.ptr, '\x1B', text.len));
}

static void test_log_appends_to_the_file(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 2; i++) {
        open_log(f, LOG_INFO, LOG_JSON, false);
        log_write(LOG_INFO, "test", "run %d", i);
        log_close();
    }
    open_log(f, LOG_INFO, LOG_JSON, false);
    struct slice rest = read_log(f);
    json_decref(next_line(&rest));
    json_decref(next_line(&rest));
    assert_null(next_line(&rest));
}

static void test_log_open_tells_when_the_file_cannot_be_opened(void **state)
{
    struct fixture *f = *state;
    assert_false(log_open(&(struct log_options){.path = f->dir}));
    log_close();
}

#define THREADS 4
#define EACH    2000

static void *write_many(void *arg)
{
    for (int i = 0; i < EACH; i++)
        log_write(LOG_INFO, "test", "%d %d", *(int *)arg, i);
    return NULL;
}

/* As logrotate does: the file is moved away, and the log told to open it anew. */
static void test_log_reopen_goes_on_in_a_file_of_the_same_name(void **state)
{
    struct fixture *f = *state;
    char rotated[96];
    snprintf(rotated, sizeof rotated, "%s.1", f->path);
    open_log(f, LOG_INFO, LOG_JSON, true);
    assert_int_equal(rename(f->path, rotated), 0);
    assert_true(log_reopen(&(struct log_options){.path = f->path, .level = LOG_WARN}));
    log_write(LOG_INFO, "test", "no longer wanted");
    log_write(LOG_WARN, "test", "behind");
    struct slice rest = read_log(f);
    json_t *line = next_line(&rest);
    assert_string_equal(json_str(line, "message", ""), "behind");
    json_decref(line);
    assert_null(next_line(&rest));
    assert_int_equal(unlink(rotated), 0);
}

static void test_log_reopen_that_fails_changes_nothing(void **state)
{
    struct fixture *f = *state;
    open_log(f, LOG_INFO, LOG_JSON, true);
    assert_false(log_reopen(&(struct log_options){.path = "/nonexistent/log", .level = LOG_OFF}));
    assert_int_equal(errno, ENOENT);
    log_write(LOG_INFO, "test", "still here");
    struct slice rest = read_log(f);
    json_t *line = next_line(&rest);
    assert_string_equal(json_str(line, "message", ""), "still here");
    json_decref(line);
}

static void test_log_reopen_may_be_asked_for_many_times_at_once(void **state)
{
    struct fixture *f = *state;
    open_log(f, LOG_INFO, LOG_JSON, true);
    for (unsigned i = 0; i < 100; i++)
        assert_true(log_reopen(&(struct log_options){.path = f->path, .level = LOG_INFO}));
    log_write(LOG_INFO, "test", "once");
    struct slice rest = read_log(f);
    json_decref(next_line(&rest));
    assert_null(next_line(&rest));
}

static void test_log_keeps_every_thread_in_order(void **state)
{
    int numbers[THREADS], next[THREADS] = {0};
    open_log(*state, LOG_INFO, LOG_JSON, false);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        pthread_create(&threads[i], NULL, write_many, &numbers[i]);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(log_dropped(), 0);
    struct slice rest = read_log(*state);
    json_t *line;
    while ((line = next_line(&rest))) {
        int thread, number;
        assert_int_equal(sscanf(json_str(line, "message", ""), "%d %d", &thread, &number), 2);
        assert_int_equal(number, next[thread]++);
        json_decref(line);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(next[i], EACH);
}

static void *drain(void *arg)
{
    struct fixture *f = arg;
    int fd = open(f->path, O_RDONLY);
    read_fd(fd, &f->text);
    close(fd);
    return NULL;
}

/* Of the lines that were sent each has arrived or is counted among the lost. */
static void assert_all_told(struct slice rest, unsigned long long sent)
{
    unsigned long long arrived = 0, lost = 0, told;
    json_t *line;
    while ((line = next_line(&rest))) {
        if (sscanf(json_str(line, "message", ""), "%llu lines were lost", &told) == 1)
            lost += told;
        else
            arrived++;
        json_decref(line);
    }
    assert_int_equal(lost, log_dropped());
    assert_int_equal(arrived + lost, sent);
}

/* A pipe that nobody reads blocks the writer thread until the ring is full. */
static void test_log_drops_and_counts_when_nobody_can_write(void **state)
{
    struct fixture *f = *state;
    int sent = 0, holder;
    assert_int_equal(mkfifo(f->path, 0600), 0);
    holder = open(f->path, O_RDONLY | O_NONBLOCK);
    open_log(f, LOG_INFO, LOG_JSON, false);
    for (; log_dropped() < 10; sent++)
        log_write(LOG_INFO, "test", "line %d", sent);
    pthread_t reader;
    pthread_create(&reader, NULL, drain, f);
    log_close();
    pthread_join(reader, NULL);
    close(holder);
    assert_all_told(buf_slice(&f->text), sent);
}

/* The ring may be full when the writer sets out to empty it, and no line follow those it lost. */
static void test_log_tells_a_loss_that_no_line_follows(void **state)
{
    struct fixture *f = *state;
    for (int round = 0; round < 25; round++) {
        open_log(f, LOG_INFO, LOG_JSON, false);
        for (int i = 0; i < 5000; i++)
            log_write(LOG_INFO, "test", "line %0300d", i);
        log_close();
        buf_clear(&f->text);
        assert_all_told(read_log(f), 5000);
        unlink(f->path);
    }
}

static void test_log_writes_straight_to_standard_error_when_closed(void **state)
{
    struct fixture *f = *state;
    int saved = dup(STDERR_FILENO);
    int file = open(f->path, O_RDWR | O_CREAT, 0600);
    dup2(file, STDERR_FILENO);
    log_write(LOG_INFO, "test", "at once");
    dup2(saved, STDERR_FILENO);
    lseek(file, 0, SEEK_SET);
    read_fd(file, &f->text);
    close(file);
    close(saved);
    struct slice rest = buf_slice(&f->text);
    json_t *line = next_line(&rest);
    assert_string_equal(json_str(line, "message", ""), "at once");
    json_decref(line);
}

#define UNIT(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(test_log_writes_straight_to_standard_error_when_closed),
        UNIT(test_log_line_is_a_json_object),
        UNIT(test_log_access_line_has_the_facts_of_the_request),
        UNIT(test_log_access_lines_are_dropped_when_not_wanted),
        UNIT(test_log_keeps_its_level_and_above),
        UNIT(test_log_escapes_what_a_client_sent),
        UNIT(test_log_cuts_long_texts),
        UNIT(test_log_text_moves_no_cursor),
        UNIT(test_log_appends_to_the_file),
        UNIT(test_log_open_tells_when_the_file_cannot_be_opened),
        UNIT(test_log_reopen_goes_on_in_a_file_of_the_same_name),
        UNIT(test_log_reopen_that_fails_changes_nothing),
        UNIT(test_log_reopen_may_be_asked_for_many_times_at_once),
        UNIT(test_log_keeps_every_thread_in_order),
        UNIT(test_log_drops_and_counts_when_nobody_can_write),
        UNIT(test_log_tells_a_loss_that_no_line_follows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
