#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void expect(struct buf *out, const char *wanted)
{
    if (!slice_is(buf_slice(out), wanted))
        fail_msg("%.*s is not %s", SLICE_ARG(buf_slice(out)), wanted);
    buf_clear(out);
}

static void test_json_printf_writes_what_the_pattern_says(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    json_printf(&out, "{'id':%s,'qty':%d,'total':%ld}", "a1", 2, 3000000000);
    expect(&out, "{\"id\":\"a1\",\"qty\":2,\"total\":3000000000}");
    json_printf(&out, "{'nothing':null,'list':[1,true]}");
    expect(&out, "{\"nothing\":null,\"list\":[1,true]}");
    json_printf(&out, "%.*s", 2, "abc");
    expect(&out, "\"ab\"");
    buf_release(&out);
}

static void test_json_printf_escapes_strings_in_and_out_of_quotes(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    json_printf(&out, "{'a':%s,'b':'x %s y'}", "\"\n'\xFF", "\\\"");
    expect(&out, "{\"a\":\"\\\"\\n'\xEF\xBF\xBD\",\"b\":\"x \\\\\\\" y\"}");
    json_printf(&out, "'%s%.*s'", "", 0, "abc");
    expect(&out, "\"\"");
    buf_release(&out);
}

static void test_json_printf_writes_numbers_at_their_borders(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    json_printf(&out, "[%ld,%ld,%d,%d]", INT64_MIN, INT64_MAX, INT32_MIN, 0);
    expect(&out, "[-9223372036854775808,9223372036854775807,-2147483648,0]");
    json_printf(&out, "'%ld.%02ld %02ld %02ld %03d'", 17L, 0L, 7L, 123L, 9);
    expect(&out, "\"17.00 07 123 009\"");
    buf_release(&out);
}

static void test_json_printf_appends(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    buf_append_char(&out, '[');
    json_printf(&out, "%s", "a");
    buf_append_char(&out, ']');
    expect(&out, "[\"a\"]");
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_printf_writes_what_the_pattern_says),
        cmocka_unit_test(test_json_printf_escapes_strings_in_and_out_of_quotes),
        cmocka_unit_test(test_json_printf_writes_numbers_at_their_borders),
        cmocka_unit_test(test_json_printf_appends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
