#include "base/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct {
    const char *bytes, *padded, *url;
} vectors[] = {
    {"", "", ""},
    {"f", "Zg==", "Zg"},
    {"fo", "Zm8=", "Zm8"},
    {"foo", "Zm9v", "Zm9v"},
    {"foob", "Zm9vYg==", "Zm9vYg"},
    {"fooba", "Zm9vYmE=", "Zm9vYmE"},
    {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
    {"\xFB\xFF\xFE", "+//+", "-__-"},
};

#define VECTORS (sizeof vectors / sizeof vectors[0])

static void test_base64_writes_the_vectors_of_the_rfc(void **state)
{
    (void)state;
    for (size_t i = 0; i < VECTORS; i++) {
        struct buf out = BUF_INIT;
        base64_append(&out, slice_str(vectors[i].bytes));
        assert_true(slice_is(buf_slice(&out), vectors[i].padded));
        buf_clear(&out);
        base64url_append(&out, slice_str(vectors[i].bytes));
        assert_true(slice_is(buf_slice(&out), vectors[i].url));
        buf_release(&out);
    }
}

static void test_base64_reads_the_vectors_of_the_rfc(void **state)
{
    (void)state;
    for (size_t i = 0; i < VECTORS; i++) {
        struct buf out = BUF_INIT;
        assert_true(base64_decode(slice_str(vectors[i].padded), &out));
        assert_true(slice_is(buf_slice(&out), vectors[i].bytes));
        buf_clear(&out);
        assert_true(base64url_decode(slice_str(vectors[i].url), &out));
        assert_true(slice_is(buf_slice(&out), vectors[i].bytes));
        buf_release(&out);
    }
}

static void test_base64_refuses_every_second_spelling(void **state)
{
    static const char *const bad[] = {
        "Zg", "Zg=",    "Zg===", "Zh==", "Zm9=",     "Z===", "====",
        "=",  "Zm9v\n", "Zm 9v", "-__-", "Zg==Zg==", "Z=g=", "Zm9vA",
    };
    (void)state;
    struct buf out = BUF_INIT;
    buf_append_str(&out, "before");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(base64_decode(slice_str(bad[i]), &out));
    assert_true(slice_is(buf_slice(&out), "before"));
    buf_release(&out);
}

static void test_base64url_refuses_padding_and_stray_bits(void **state)
{
    static const char *const bad[] = {"Zg==", "Z", "Zh", "Zm9", "+//+", "Zm9vY", "Zg\n"};
    (void)state;
    struct buf out = BUF_INIT;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(base64url_decode(slice_str(bad[i]), &out));
    assert_int_equal(out.len, 0);
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base64_writes_the_vectors_of_the_rfc),
        cmocka_unit_test(test_base64_reads_the_vectors_of_the_rfc),
        cmocka_unit_test(test_base64_refuses_every_second_spelling),
        cmocka_unit_test(test_base64url_refuses_padding_and_stray_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
