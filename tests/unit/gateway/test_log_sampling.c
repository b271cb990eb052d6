/* Few lines of many refusals, and a word about the others. */
#include "server/gateway/log_sampling.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#define SECOND INT64_C(1000000000)
#define START  (1000 * SECOND)

#define CLAIM(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

static int setup(void **state)
{
    *state = log_sampling_create();
    return 0;
}

static int teardown(void **state)
{
    log_sampling_destroy((struct log_sampling **)state);
    return 0;
}

/* How many of so many lines are written. */
static unsigned write_from(void **state, unsigned count, int status, const void *route,
                           const char *address, int64_t now_ns)
{
    unsigned written = 0;
    for (unsigned i = 0; i < count; i++)
        written += log_sampling_takes(*state, status, route, slice_str(address), now_ns);
    return written;
}

static unsigned write_lines(void **state, unsigned count, int status, int64_t now_ns)
{
    return write_from(state, count, status, NULL, "192.0.2.1", now_ns);
}

static void assert_told(void **state, const char *expected)
{
    struct buf out = BUF_INIT;
    assert_int_equal(log_sampling_tell(*state, &out), !!expected);
    buf_append_char(&out, '\0');
    assert_string_equal(out.data, expected ? expected : "");
    buf_release(&out);
}

static void test_log_sampling_writes_a_hundred_of_a_kind_each_second(void **state)
{
    assert_int_equal(write_lines(state, 150, 404, START), 100);
    assert_int_equal(write_lines(state, 150, 404, START + SECOND - 1), 0);
    assert_int_equal(write_lines(state, 150, 404, START + SECOND), 100);
}

static void test_log_sampling_kinds_are_a_status_of_a_route(void **state)
{
    static const struct {
        char padding[16];
    } routes[2];
    assert_int_equal(write_from(state, 150, 401, &routes[0], "a", START), 100);
    assert_int_equal(write_from(state, 150, 401, &routes[1], "a", START), 100);
    assert_int_equal(write_from(state, 150, 429, &routes[1], "a", START), 100);
}

static void test_log_sampling_writes_all_that_is_no_refusal(void **state)
{
    static const int statuses[] = {200, 201, 304, 409, 412, 422, 500, 504, 507};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        assert_int_equal(write_lines(state, 500, statuses[i], START), 500);
    assert_told(state, NULL);
}

static void test_log_sampling_tells_what_was_left_out_once(void **state)
{
    write_lines(state, 103, 404, START);
    write_lines(state, 110, 401, START);
    assert_told(state, "13 more requests were refused: 10 with 401, 3 with 404, most of them from "
                       "192.0.2.1.");
    assert_told(state, NULL);
    assert_int_equal(log_sampling_left_out(*state), 13);
}

static void test_log_sampling_names_who_sends_the_most_among_many(void **state)
{
    write_lines(state, 100, 404, START);
    for (unsigned i = 0; i < 1000; i++) {
        char address[16];
        snprintf(address, sizeof address, "10.0.%u.%u", i / 256, i % 256);
        write_from(state, 1, 404, NULL, address, START);
        if (i % 4 == 0)
            write_from(state, 1, 404, NULL, "198.51.100.7", START);
    }
    struct buf out = BUF_INIT;
    log_sampling_tell(*state, &out);
    assert_non_null(memmem(out.data, out.len, "from 198.51.100.7.", 18));
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(test_log_sampling_writes_a_hundred_of_a_kind_each_second),
        CLAIM(test_log_sampling_kinds_are_a_status_of_a_route),
        CLAIM(test_log_sampling_writes_all_that_is_no_refusal),
        CLAIM(test_log_sampling_tells_what_was_left_out_once),
        CLAIM(test_log_sampling_names_who_sends_the_most_among_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
