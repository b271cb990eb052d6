#include "server/http/path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

static void check(const char *raw, const char *expected)
{
    size_t len = strlen(raw);
    char bytes[256];
    memcpy(bytes, raw, len);
    struct slice path;
    if (!path_normalise(bytes, len, &path)) {
        if (expected)
            fail_msg("%s is refused", raw);
        return;
    }
    if (!expected || !slice_is(path, expected))
        fail_msg("%s became %.*s", raw, SLICE_ARG(path));
}

static void test_path_keeps_what_is_normal(void **state)
{
    (void)state;
    check("/", "/");
    check("/products/17", "/products/17");
    check("/a.b/c..d/.well-known", "/a.b/c..d/.well-known");
    check("/...", "/...");
}

static void test_path_decodes_once(void **state)
{
    (void)state;
    check("/caf%C3%a9", "/caf\xC3\xA9");
    check("/a%20b+c", "/a b+c");
    check("/%2541", "/%41");
    check("/%252e%252e/x", "/%2e%2e/x");
}

static void test_path_removes_dot_segments(void **state)
{
    (void)state;
    check("/a/./b", "/a/b");
    check("/a/../b", "/b");
    check("/a/b/c/../../d", "/a/d");
    check("/a/b/..", "/a/");
    check("/a/.", "/a/");
    check("/.", "/");
    check("/..", "/");
    check("/../../etc", "/etc");
    check("/a/../..", "/");
    check("/%2e%2E/a/%2e/b", "/a/b");
    check("/mid/content=5/../6", "/mid/6");
}

static void test_path_keeps_empty_segments(void **state)
{
    (void)state;
    check("//", "//");
    check("/a//b", "/a//b");
    check("/a//../b", "/a/b");
    check("//../a", "/a");
}

static void test_path_refuses_hidden_separators_and_controls(void **state)
{
    (void)state;
    check("/a%2Fb", NULL);
    check("/a%2fb", NULL);
    check("/a\\b", NULL);
    check("/a%5Cb", NULL);
    check("/a%00", NULL);
    check("/a%0d%0aX", NULL);
    check("/%7F", NULL);
}

static void test_path_refuses_broken_escapes(void **state)
{
    (void)state;
    check("/%", NULL);
    check("/%4", NULL);
    check("/%zz", NULL);
    check("/%4g", NULL);
    check("/% 41", NULL);
}

static void test_path_refuses_what_is_not_utf8(void **state)
{
    (void)state;
    check("/%ff", NULL);
    check("/%C0%AF", NULL);
    check("/%ED%A0%80", NULL);
    check("/%C3", NULL);
}

/* What servers that merge slashes and drop parameters read, or NULL. */
static const char *plain(const char *path)
{
    static char text[64];
    struct buf out = BUF_INIT;
    bool read = path_plain(slice_str(path), &out);
    snprintf(text, sizeof text, "%.*s", SLICE_ARG(buf_slice(&out)));
    buf_release(&out);
    return read ? text : NULL;
}

static void test_path_knows_what_others_would_read(void **state)
{
    (void)state;
    assert_string_equal(plain("/a/b"), "/a/b");
    assert_string_equal(plain("//a///b/"), "/a/b/");
    assert_string_equal(plain("/a;x=1/b;y"), "/a/b");
    assert_string_equal(plain("/;/a"), "/a");
    assert_string_equal(plain("/"), "/");
    assert_string_equal(plain("//"), "/");
    assert_null(plain("/a/..;/b"));
    assert_null(plain("/.;x"));
    assert_true(path_is_ambiguous(slice_str("/a;b")));
    assert_true(path_is_ambiguous(slice_str("/a//")));
    assert_false(path_is_ambiguous(slice_str("/a/b/")));
}

static void test_path_begins_with_a_slash(void **state)
{
    (void)state;
    check("", NULL);
    check("a", NULL);
    check("%2fa", NULL);
}

static void test_decode_appends(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    buf_append_str(&out, "x=");
    assert_true(path_decode(slice_str("a%2Fb+c"), true, &out));
    assert_true(slice_is(buf_slice(&out), "x=a/b c"));
    assert_true(path_decode(slice_str("+"), false, &out));
    assert_true(slice_is(buf_slice(&out), "x=a/b c+"));
    assert_false(path_decode(slice_str("%4"), true, &out));
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_path_keeps_what_is_normal),
        cmocka_unit_test(test_path_decodes_once),
        cmocka_unit_test(test_path_removes_dot_segments),
        cmocka_unit_test(test_path_keeps_empty_segments),
        cmocka_unit_test(test_path_refuses_hidden_separators_and_controls),
        cmocka_unit_test(test_path_refuses_broken_escapes),
        cmocka_unit_test(test_path_refuses_what_is_not_utf8),
        cmocka_unit_test(test_path_knows_what_others_would_read),
        cmocka_unit_test(test_path_begins_with_a_slash),
        cmocka_unit_test(test_decode_appends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
