#include "server/http/etag.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

static bool weakly(const char *list, const char *etag)
{
    return etag_list_has_weakly(slice_str(list), slice_str(etag));
}

static bool strongly(const char *list, const char *etag)
{
    return etag_list_has_strongly(slice_str(list), slice_str(etag));
}

static void test_a_tag_is_a_hash_in_quotes(void **state)
{
    (void)state;
    char out[ETAG_SIZE];
    etag_format(0x0123456789abcdef, out);
    assert_memory_equal(out, "\"0123456789abcdef\"", ETAG_SIZE);
    etag_format(0, out);
    assert_memory_equal(out, "\"0000000000000000\"", ETAG_SIZE);
}

static void test_a_coded_form_has_a_tag_of_its_own(void **state)
{
    char out[ETAG_MAX], long_tag[ETAG_MAX + 1] = "\"";
    (void)state;
    assert_true(slice_is(etag_coded(slice_str("\"a\""), CODING_BR, out), "\"a-br\""));
    assert_true(slice_is(etag_coded(slice_str("\"a\""), CODING_IDENTITY, out), "\"a\""));
    assert_true(slice_is(etag_coded(slice_str("W/\"a\""), CODING_GZIP, out), "W/\"a\""));
    for (size_t len = 2; len <= ETAG_MAX; len++) {
        memset(long_tag + 1, 'a', len - 2);
        long_tag[len - 1] = '"';
        struct slice tag = etag_coded(slice_of(long_tag, len), CODING_GZIP, out);
        assert_in_range(tag.len, len, ETAG_MAX);
        assert_int_equal(tag.ptr[tag.len - 1], '"');
    }
}

static void test_lists_are_searched_as_a_whole(void **state)
{
    (void)state;
    assert_true(weakly("\"a\"", "\"a\""));
    assert_true(weakly("\"b\", \"a\"", "\"a\""));
    assert_true(weakly(" ,\"b\",, \"a\" ,", "\"a\""));
    assert_true(weakly("\"x,\", \"a\"", "\"a\""));
    assert_true(weakly("\"\"", "\"\""));
    assert_true(weakly("*", "\"a\""));
    assert_false(weakly("\"b\"", "\"a\""));
    assert_false(weakly("", "\"a\""));
    assert_false(weakly("\"x, \"a\"\"", "\"a\""));
}

static void test_what_is_no_list_has_nothing_from_there_on(void **state)
{
    (void)state;
    assert_false(weakly("a", "\"a\""));
    assert_false(weakly("\"a", "\"a\""));
    assert_false(weakly("\"b\" \"a\"", "\"a\""));
    assert_false(weakly("\"a\"x", "\"a\""));
    assert_false(weakly("w/\"a\"", "\"a\""));
    assert_false(weakly("W/ \"a\"", "\"a\""));
    assert_false(weakly("*, \"a\"", "\"a\""));
    assert_false(weakly("b, \"a\"", "\"a\""));
}

static void test_weak_tags_are_equal_only_weakly(void **state)
{
    (void)state;
    assert_true(weakly("W/\"a\"", "\"a\"") && weakly("\"a\"", "W/\"a\""));
    assert_true(weakly("W/\"a\"", "W/\"a\""));
    assert_false(strongly("W/\"a\"", "\"a\"") || strongly("\"a\"", "W/\"a\""));
    assert_false(strongly("W/\"a\"", "W/\"a\""));
    assert_true(strongly("W/\"a\", \"a\"", "\"a\""));
    assert_true(strongly("*", "\"a\""));
}

static void test_a_coded_tag_stands_for_the_plain_one_only_strongly(void **state)
{
    (void)state;
    assert_true(strongly("\"a-gzip\"", "\"a\"") && strongly("\"a-br\"", "\"a\""));
    assert_false(strongly("\"a-gzi\"", "\"a\"") || strongly("\"a\"", "\"a-gzip\""));
    assert_false(strongly("W/\"a-gzip\"", "\"a\"") || strongly("\"ab\"", "\"a\""));
    assert_false(weakly("\"a-gzip\"", "\"a\""));
}

static bool knows(enum method method, const char *name, const char *value)
{
    const struct header headers[] = {{slice_str("If-None-Match"), slice_str("\"x\"")},
                                     {slice_str(name), slice_str(value)}};
    const struct request request = {.method = method, .headers = headers, .header_count = 2};
    return request_knows(&request, slice_str("\"a\""));
}

static void test_who_reads_may_know_the_answer(void **state)
{
    (void)state;
    assert_true(knows(METHOD_GET, "if-none-match", "\"a\""));
    assert_true(knows(METHOD_HEAD, "If-None-Match", "W/\"a\""));
    assert_false(knows(METHOD_GET, "If-Match", "\"a\""));
    assert_false(knows(METHOD_GET, "If-None-Match", "\"b\""));
    assert_false(knows(METHOD_POST, "If-None-Match", "\"a\""));
}

static void test_any_bytes_are_survived(void **state)
{
    static const char likely[] = "\"aW/,* \t";
    (void)state;
    srand(1);
    for (int round = 0; round < 200000; round++) {
        size_t len = (size_t)rand() % 20 + 1;
        char *text = malloc(len);
        for (size_t i = 0; i < len; i++)
            text[i] = likely[(size_t)rand() % (sizeof likely - 1)];
        bool strong = etag_list_has_strongly(slice_of(text, len), slice_str("\"a\""));
        assert_true(!strong || etag_list_has_weakly(slice_of(text, len), slice_str("\"a\"")));
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_tag_is_a_hash_in_quotes),
        cmocka_unit_test(test_a_coded_form_has_a_tag_of_its_own),
        cmocka_unit_test(test_lists_are_searched_as_a_whole),
        cmocka_unit_test(test_what_is_no_list_has_nothing_from_there_on),
        cmocka_unit_test(test_weak_tags_are_equal_only_weakly),
        cmocka_unit_test(test_a_coded_tag_stands_for_the_plain_one_only_strongly),
        cmocka_unit_test(test_who_reads_may_know_the_answer),
        cmocka_unit_test(test_any_bytes_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
