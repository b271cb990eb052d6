/* The last lines of the log, for who looks. */
#include "base/log_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

static void no_news(void *arg)
{
    ++*(unsigned *)arg;
}

static unsigned news;

static int setup(void **state)
{
    (void)state;
    news = 0;
    log_tail_begin(no_news, &news);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    log_tail_end();
    return 0;
}

static void take(const char *lines)
{
    log_tail_take(slice_str(lines));
}

static void assert_line(uint64_t *pos, const char *wanted)
{
    struct buf line = BUF_INIT;
    assert_true(log_tail_line(pos, &line));
    assert_true(slice_is(buf_slice(&line), wanted));
    buf_release(&line);
}

static void assert_no_line(uint64_t *pos)
{
    struct buf line = BUF_INIT;
    assert_false(log_tail_line(pos, &line));
    buf_release(&line);
}

static void test_tail_gives_lines_one_by_one_and_goes_on(void **state)
{
    uint64_t pos = 0;
    (void)state;
    assert_no_line(&pos);
    take("one\ntwo\n");
    assert_line(&pos, "one");
    assert_int_equal(log_tail_behind(pos), 4);
    assert_line(&pos, "two");
    assert_no_line(&pos);
    take("three\n");
    assert_line(&pos, "three");
    log_tail_tell();
    assert_int_equal(news, 1);
}

static void test_tail_forgets_whole_lines(void **state)
{
    char line[64];
    uint64_t pos = 0;
    (void)state;
    for (unsigned i = 0; i < 50000; i++) {
        snprintf(line, sizeof line, "line %u\n", i);
        take(line);
    }
    struct buf out = BUF_INIT;
    unsigned first = 0, count = 0;
    while (log_tail_line(&pos, &out)) {
        buf_append_char(&out, '\0');
        unsigned number;
        assert_int_equal(sscanf(out.data, "line %u", &number), 1);
        if (count++ == 0)
            first = number;
        assert_int_equal(number, first + count - 1);
        buf_clear(&out);
    }
    assert_true(first > 0);
    assert_int_equal(first + count, 50000);
    buf_release(&out);
}

static void test_tail_that_is_closed_takes_nothing(void **state)
{
    uint64_t pos = 0;
    (void)state;
    assert_false(log_tail_is_open());
    take("one\n");
    log_tail_tell();
    assert_no_line(&pos);
}

#define CLAIM(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(test_tail_gives_lines_one_by_one_and_goes_on),
        CLAIM(test_tail_forgets_whole_lines),
        cmocka_unit_test(test_tail_that_is_closed_takes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
