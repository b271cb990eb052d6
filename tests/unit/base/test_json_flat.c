/* The quick reader of plain objects says nothing that jansson does not say too. */
#include "base/json_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

static json_t *flat(const char *text)
{
    return json_read_flat(slice_str(text));
}

static void test_json_flat_reads_plain_objects(void **state)
{
    (void)state;
    json_t *read =
        flat(" {\"productId\" : 17,\n\"name\":\"a b\",\"on\":true,\"off\":false,\"no\":null}\t");
    json_t *wanted = json_pack("{s:i, s:s, s:b, s:b, s:n}", "productId", 17, "name", "a b", "on", 1,
                               "off", 0, "no");
    assert_true(json_equal(read, wanted));
    json_decref(read);
    json_decref(wanted);
}

static void test_json_flat_leaves_the_rest_to_others(void **state)
{
    static const char *const others[] = {
        "{\"a\":1.5}",
        "{\"a\":1e3}",
        "{\"a\":[1]}",
        "{\"a\":{}}",
        "{\"a\":\"\\n\"}",
        "{\"a\":\"\xc3\xa4\"}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":1,}",
        "{\"a\":9223372036854775808}",
        "{}",
        "[]",
        "1",
        "{\"a\":1} x",
        "{\"a\":01}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_null(flat(others[i]));
}

static void test_json_flat_agrees_with_jansson(void **state)
{
    static const char *const pieces[] = {"{",     "}",       "\"",     ":",    ",",    "\"a\"",
                                         "\"b\"", "\"a\":",  "\"b\":", "1",    "-",    "0",
                                         "12",    ".",       "e",      "true", "null", "nul",
                                         " ",     "\n",      "[",      "]",    "\\",   "\"x y\"",
                                         "\x7f",  "\xc3\xa4"};
    (void)state;
    unsigned read = 0;
    srand(4);
    for (int i = 0; i < 400000; i++) {
        char text[256] = "{";
        for (int k = rand() % 9; k > 0; k--)
            strcat(text, pieces[(size_t)rand() % (sizeof pieces / sizeof *pieces)]);
        strcat(text, rand() % 8 ? "}" : "");
        json_t *mine = flat(text);
        if (!mine)
            continue;
        json_t *theirs = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
        assert_true(json_equal(mine, theirs));
        json_decref(mine);
        json_decref(theirs);
        read++;
    }
    assert_true(read > 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_flat_reads_plain_objects),
        cmocka_unit_test(test_json_flat_leaves_the_rest_to_others),
        cmocka_unit_test(test_json_flat_agrees_with_jansson),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
