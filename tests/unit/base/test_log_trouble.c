/* Readers that are stuck, disks that are full, files that are moved away. */
#include "base/clock.h"
#include "tests/unit/base/log_fixture.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

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

/* ---- A reader that is stuck */

static void fill(int fd)
{
    char bytes[4096] = {0};
    while (write(fd, bytes, sizeof bytes) > 0) {
    }
}

static int64_t ms_of(void (*call)(void))
{
    int64_t begin_ns = clock_mono_ns(&clock_system);
    call();
    return (clock_mono_ns(&clock_system) - begin_ns) / 1000000;
}

static void test_log_closes_though_its_reader_is_stuck(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(mkfifo(f->path, 0600), 0);
    int reader = open(f->path, O_RDWR | O_NONBLOCK);
    fill(reader);
    open_log(f, LOG_INFO, LOG_JSON, false);
    for (int i = 0; i < 10; i++)
        log_write(LOG_INFO, "test", "nobody reads this");
    assert_in_range(ms_of(log_close), LOG_PATIENCE_MS / 2, 2 * LOG_PATIENCE_MS);
    assert_int_equal(log_dropped(), 10);
    close(reader);
}

static void say_without_a_log(void)
{
    log_write(LOG_INFO, "test", "nobody reads this either");
}

static void test_log_without_a_writer_does_not_wait_for_a_stuck_reader(void **state)
{
    (void)state;
    int ends[2], saved = dup(STDERR_FILENO);
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    fill(ends[1]);
    fcntl(ends[1], F_SETFL, 0); /* as a pipe of another process is */
    dup2(ends[1], STDERR_FILENO);
    int64_t took_ms = ms_of(say_without_a_log);
    dup2(saved, STDERR_FILENO);
    assert_in_range(took_ms, 0, LOG_PATIENCE_MS);
    close(saved);
    close(ends[0]);
    close(ends[1]);
}

/* ---- A disk that is full */

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &limit);
}

static void wait_for_lost(uint64_t lost)
{
    int64_t end_ns = clock_mono_ns(&clock_system) + INT64_C(20000000000);
    while (log_dropped() < lost && clock_mono_ns(&clock_system) < end_ns)
        sched_yield();
}

/* The disk's edge cuts a line, which is lost like those behind it; what follows begins anew. */
static void test_log_counts_what_a_full_disk_does_not_take_and_tells_it_later(void **state)
{
    struct fixture *f = *state;
    size_t len = sizeof "{'time':'2026-01-31T10:30:00.123Z','level':'info','component':'test',"
                        "'message':'line 00'}";
    signal(SIGXFSZ, SIG_IGN);
    limit_files(7 * len + len / 2);
    open_log(f, LOG_INFO, LOG_JSON, false);
    for (int i = 0; i < 20; i++)
        log_write(LOG_INFO, "test", "line %02d", i);
    wait_for_lost(13);
    limit_files(RLIM_INFINITY);
    assert_int_equal(log_dropped(), 13);
    log_write(LOG_INFO, "test", "there is room again");
    struct slice rest = read_log(f), lines[11] = {{0}};
    for (int i = 0; i < 10; i++)
        lines[i] = slice_cut(&rest, '\n');
    assert_int_equal(rest.len, 0);
    assert_int_equal(lines[7].len, len / 2);
    json_t *told = next_line(&lines[8]), *last = next_line(&lines[9]);
    assert_string_equal(json_str(told, "message", ""), "13 lines were lost: File too large.");
    assert_string_equal(json_str(last, "message", ""), "there is room again");
    json_decref(told);
    json_decref(last);
}

static void test_log_counts_what_a_full_device_does_not_take(void **state)
{
    (void)state;
    assert_true(log_open(&(struct log_options){.path = "/dev/full", .level = LOG_INFO}));
    for (int i = 0; i < 3; i++)
        log_write(LOG_INFO, "test", "line %d", i);
    log_close();
    assert_int_equal(log_dropped(), 3);
}

/* ---- A file that is moved away */

static void assert_only_line(const char *path, const char *message)
{
    struct buf text = BUF_INIT;
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    read_fd(fd, &text);
    close(fd);
    struct slice rest = buf_slice(&text);
    json_t *line = next_line(&rest);
    assert_non_null(line);
    assert_string_equal(json_str(line, "message", ""), message);
    assert_null(next_line(&rest));
    json_decref(line);
    buf_release(&text);
}

static void wait_for_text(const char *path)
{
    int64_t end_ns = clock_mono_ns(&clock_system) + INT64_C(20000000000);
    struct stat info = {0};
    while (stat(path, &info) == 0 && info.st_size == 0)
        assert_true(clock_mono_ns(&clock_system) < end_ns);
}

static void test_log_goes_on_in_a_new_file_when_its_own_was_moved_away(void **state)
{
    struct fixture *f = *state;
    struct log_options options = {.path = f->path, .level = LOG_INFO, .format = LOG_JSON};
    char moved[100];
    snprintf(moved, sizeof moved, "%s.1", f->path);
    assert_true(log_open(&options));
    log_write(LOG_INFO, "test", "before");
    wait_for_text(f->path);
    rename(f->path, moved);
    assert_true(log_reopen(&options));
    log_write(LOG_INFO, "test", "after");
    log_close();
    assert_only_line(moved, "before");
    assert_only_line(f->path, "after");
    unlink(moved);
}

static void test_log_reopened_takes_the_new_level_and_format(void **state)
{
    struct fixture *f = *state;
    open_log(f, LOG_INFO, LOG_JSON, false);
    assert_true(
        log_reopen(&(struct log_options){.path = f->path, .level = LOG_ERROR, .format = LOG_TEXT}));
    log_write(LOG_WARN, "test", "not wanted any more");
    log_write(LOG_ERROR, "test", "as text");
    struct slice text = read_log(f);
    assert_non_null(memmem(text.ptr, text.len, "ERROR test     as text\n", 23));
    assert_null(memmem(text.ptr, text.len, "not wanted", 10));
}

static void test_log_keeps_its_file_when_the_new_one_cannot_be_opened(void **state)
{
    struct fixture *f = *state;
    open_log(f, LOG_INFO, LOG_JSON, false);
    assert_false(log_reopen(&(struct log_options){.path = f->dir, .level = LOG_OFF}));
    log_write(LOG_INFO, "test", "still here");
    log_close();
    assert_only_line(f->path, "still here");
}

static void test_log_may_be_reopened_many_times_at_once(void **state)
{
    struct fixture *f = *state;
    open_log(f, LOG_INFO, LOG_JSON, true);
    for (unsigned i = 0; i < 100; i++)
        assert_true(log_reopen(&(struct log_options){.path = f->path, .level = LOG_INFO}));
    log_write(LOG_INFO, "test", "once");
    log_close();
    assert_only_line(f->path, "once");
}

/* What waits for the old reader is lost, what comes afterwards is not. */
static void test_log_reopened_leaves_a_stuck_reader(void **state)
{
    struct fixture *f = *state;
    char fifo[100];
    snprintf(fifo, sizeof fifo, "%s.fifo", f->path);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    int reader = open(fifo, O_RDWR | O_NONBLOCK);
    fill(reader);
    assert_true(log_open(&(struct log_options){.path = fifo, .level = LOG_INFO}));
    log_write(LOG_INFO, "test", "stuck");
    assert_true(log_reopen(&(struct log_options){.path = f->path, .level = LOG_INFO}));
    wait_for_text(f->path);
    log_close();
    struct buf text = BUF_INIT;
    int fd = open(f->path, O_RDONLY);
    read_fd(fd, &text);
    assert_true(text.len > 0);
    buf_release(&text);
    close(fd);
    close(reader);
    unlink(fifo);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(test_log_drops_and_counts_when_nobody_can_write),
        UNIT(test_log_tells_a_loss_that_no_line_follows),
        UNIT(test_log_closes_though_its_reader_is_stuck),
        UNIT(test_log_without_a_writer_does_not_wait_for_a_stuck_reader),
        UNIT(test_log_counts_what_a_full_disk_does_not_take_and_tells_it_later),
        UNIT(test_log_counts_what_a_full_device_does_not_take),
        UNIT(test_log_goes_on_in_a_new_file_when_its_own_was_moved_away),
        UNIT(test_log_reopened_takes_the_new_level_and_format),
        UNIT(test_log_keeps_its_file_when_the_new_one_cannot_be_opened),
        UNIT(test_log_may_be_reopened_many_times_at_once),
        UNIT(test_log_reopened_leaves_a_stuck_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
