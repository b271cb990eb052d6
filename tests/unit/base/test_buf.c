#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>

static void test_buf_appends_and_keeps_what_was_there(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT;
    for (int i = 0; i < 1000; i++)
        buf_append_str(&buf, "0123456789");
    buf_append_char(&buf, '!');
    buf_append(&buf, NULL, 0);
    assert_int_equal(buf.len, 10001);
    for (size_t i = 0; i < 10000; i++)
        assert_int_equal(buf.data[i], '0' + (int)(i % 10));
    buf_release(&buf);
}

static void test_buf_writes_numbers_at_their_borders(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT;
    buf_append_i64(&buf, INT64_MIN);
    buf_append_char(&buf, ' ');
    buf_append_i64(&buf, INT64_MAX);
    buf_append_char(&buf, ' ');
    buf_append_u64(&buf, UINT64_MAX);
    buf_append_char(&buf, ' ');
    buf_append_i64(&buf, 0);
    assert_true(slice_is(buf_slice(&buf), "-9223372036854775808 9223372036854775807 "
                                          "18446744073709551615 0"));
    buf_release(&buf);
}

static void test_buf_writes_numbers_of_every_length(void **state)
{
    (void)state;
    uint64_t value = 1;
    for (size_t digits = 1; digits <= 20; digits++, value *= 10) {
        char expected[64];
        snprintf(expected, sizeof expected, "%" PRIu64 " %" PRIu64, value, value - 1);
        struct buf buf = BUF_INIT;
        buf_append_u64(&buf, value);
        buf_append_char(&buf, ' ');
        buf_append_u64(&buf, value - 1);
        assert_true(slice_is(buf_slice(&buf), expected));
        buf_release(&buf);
    }
}

static void test_buf_printf_writes_texts_longer_than_the_room(void **state)
{
    (void)state;
    char text[501];
    memset(text, 'x', 500);
    text[500] = '\0';
    struct buf buf = BUF_INIT;
    buf_printf(&buf, "%s", "");
    buf_printf(&buf, "<%s>%d", text, 7);
    assert_int_equal(buf.len, 503);
    assert_int_equal(buf.data[0], '<');
    assert_int_equal(buf.data[502], '7');
    buf_release(&buf);
}

static void test_buf_clear_keeps_the_memory(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT;
    buf_append_str(&buf, "something");
    char *data;
    data = buf.data;
    buf_clear(&buf);
    buf_append_str(&buf, "else");
    assert_ptr_equal(buf.data, data);
    assert_true(slice_is(buf_slice(&buf), "else"));
    buf_release(&buf);
}

static void test_buf_shrink_gives_back_what_is_above(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT;
    buf_reserve(&buf, 100000);
    buf.len = 100000;
    buf_shrink(&buf, 4096);
    assert_int_equal(buf.len, 0);
    assert_int_equal(buf.cap, 4096);
    buf_shrink(&buf, 8192);
    assert_int_equal(buf.cap, 4096);
    buf_shrink(&buf, 0);
    assert_null(buf.data);
}

static void test_buf_release_leaves_an_empty_buffer(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT;
    buf_append_str(&buf, "x");
    buf_release(&buf);
    assert_null(buf.data);
    assert_int_equal(buf.cap, 0);
    buf_release(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buf_appends_and_keeps_what_was_there),
        cmocka_unit_test(test_buf_writes_numbers_at_their_borders),
        cmocka_unit_test(test_buf_writes_numbers_of_every_length),
        cmocka_unit_test(test_buf_printf_writes_texts_longer_than_the_room),
        cmocka_unit_test(test_buf_clear_keeps_the_memory),
        cmocka_unit_test(test_buf_shrink_gives_back_what_is_above),
        cmocka_unit_test(test_buf_release_leaves_an_empty_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
