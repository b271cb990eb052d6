#include "tests/unit/base/log_fixture.h"

#include <pthread.h>
#include <sys/stat.h>

static struct log_access order(void)
{
    return (struct log_access){
        .level = LOG_INFO,
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

static void test_log_access_line_names_the_servers_that_were_asked(void **state)
{
    struct log_access access = order();
    access.tried = slice_str("10.0.0.1:80 unreachable, 10.0.0.2:80 201");
    open_log(*state, LOG_INFO, LOG_JSON, true);
    log_access(&access);
    struct slice rest = read_log(*state);
    json_t *line = next_line(&rest);
    assert_string_equal(json_str(line, "upstream", ""), "10.0.0.1:80 unreachable, 10.0.0.2:80 201");
    json_decref(line);
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

static void test_log_keeps_access_lines_of_its_level_and_above(void **state)
{
    struct log_access access = order();
    open_log(*state, LOG_INFO, LOG_JSON, true);
    access.level = LOG_DEBUG;
    log_access(&access);
    assert_int_equal(read_log(*state).len, 0);
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

static void test_log_settles_once_what_was_said_is_written(void **state)
{
    struct fixture *f = *state;
    open_log(f, LOG_INFO, LOG_JSON, false);
    log_settle(); /* nothing to wait for */
    for (int i = 0; i < 100; i++)
        log_write(LOG_INFO, "test", "%d", i);
    log_settle();
    struct stat info;
    assert_int_equal(stat(f->path, &info), 0);
    off_t written = info.st_size;
    struct slice rest = read_log(f);
    assert_int_equal(written, rest.len);
    log_settle(); /* closed */
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(test_log_writes_straight_to_standard_error_when_closed),
        UNIT(test_log_line_is_a_json_object),
        UNIT(test_log_access_line_has_the_facts_of_the_request),
        UNIT(test_log_access_line_names_the_servers_that_were_asked),
        UNIT(test_log_access_lines_are_dropped_when_not_wanted),
        UNIT(test_log_keeps_its_level_and_above),
        UNIT(test_log_keeps_access_lines_of_its_level_and_above),
        UNIT(test_log_escapes_what_a_client_sent),
        UNIT(test_log_cuts_long_texts),
        UNIT(test_log_text_moves_no_cursor),
        UNIT(test_log_appends_to_the_file),
        UNIT(test_log_open_tells_when_the_file_cannot_be_opened),
        UNIT(test_log_keeps_every_thread_in_order),
        UNIT(test_log_settles_once_what_was_said_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
