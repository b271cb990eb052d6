#include "server/http/vary.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

static void assert_names(const char *first, const char *second, const char *expected)
{
    struct header headers[] = {{slice_str("Vary"), slice_str(first)},
                               {slice_str("vary"), slice_str(second ? second : "")}};
    struct fields fields;
    struct buf out = BUF_INIT;
    fields_init(&fields, headers, second ? 2 : 1);
    vary_names(&fields, &out);
    assert_int_equal(out.len, strlen(expected));
    assert_true(slice_is(buf_slice(&out), expected));
    buf_release(&out);
}

static void test_names_are_one_sorted_list(void **state)
{
    (void)state;
    assert_names("Foo, bar", NULL, "bar,foo");
    assert_names("foo,, Bar ,foo", "BAZ", "bar,baz,foo");
    assert_names("", NULL, "");
}

/* A request with one or two lines of a field. */
static void key_of(const char *name, const char *first, const char *second, struct buf *out)
{
    struct header headers[] = {{slice_str(name), slice_str(first ? first : "")},
                               {slice_str(name), slice_str(second ? second : "")}};
    struct request request = {.headers = headers, .header_count = !first ? 0 : second ? 2 : 1};
    char lower[64];
    size_t len = 0;
    for (; name[len]; len++)
        lower[len] = (char)(name[len] >= 'A' && name[len] <= 'Z' ? name[len] + 32 : name[len]);
    vary_key(slice_of(lower, len), &request, out);
}

static bool same(const char *name, const char *a, const char *b)
{
    struct buf left = BUF_INIT, right = BUF_INIT;
    key_of(name, a, NULL, &left);
    key_of(name, b, NULL, &right);
    bool same = slice_eq(buf_slice(&left), buf_slice(&right));
    buf_release(&left);
    buf_release(&right);
    return same;
}

static void test_requests_that_say_the_same_have_one_key(void **state)
{
    (void)state;
    assert_true(same("Foo", "1,2", " 1 , 2 "));
    assert_true(same("Accept-Language", "en, de", "eN,De"));
    assert_true(same("Accept-Encoding", "gzip, br", "br,GZIP"));
}

static void test_requests_that_differ_have_keys_that_differ(void **state)
{
    (void)state;
    assert_false(same("Foo", "1", "2"));
    assert_false(same("Foo", "1", NULL));
    assert_false(same("Foo", "", NULL));
    assert_false(same("Foo", "a", "A"));
    assert_false(same("Foo", "1,2", "2,1"));
    assert_false(same("Foo", "\"1, 2\"", "\"1,2\""));
    assert_false(same("Accept-Language", "en, de", "de, en"));
}

static void test_lines_are_one_list(void **state)
{
    (void)state;
    struct buf lines = BUF_INIT, list = BUF_INIT;
    key_of("Foo", "1", "2", &lines);
    key_of("Foo", "1, 2", NULL, &list);
    assert_true(slice_eq(buf_slice(&lines), buf_slice(&list)));
    buf_release(&lines);
    buf_release(&list);
}

static void test_no_value_reaches_over_into_the_next_name(void **state)
{
    (void)state;
    struct header one[] = {{slice_str("a"), slice_str("1")}, {slice_str("b"), slice_str("2")}};
    struct header other[] = {{slice_str("a"), slice_str("1 b=2")}};
    struct request left = {.headers = one, .header_count = 2};
    struct request right = {.headers = other, .header_count = 1};
    struct buf left_key = BUF_INIT, right_key = BUF_INIT;
    vary_key(slice_str("a,b"), &left, &left_key);
    vary_key(slice_str("a,b"), &right, &right_key);
    assert_true(slice_is(buf_slice(&left_key), "a=1\nb=2\n"));
    assert_true(slice_is(buf_slice(&right_key), "a=1 b=2\nb\n"));
    buf_release(&left_key);
    buf_release(&right_key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_one_sorted_list),
        cmocka_unit_test(test_requests_that_say_the_same_have_one_key),
        cmocka_unit_test(test_requests_that_differ_have_keys_that_differ),
        cmocka_unit_test(test_lines_are_one_list),
        cmocka_unit_test(test_no_value_reaches_over_into_the_next_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
