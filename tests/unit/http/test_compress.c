#include "server/http/compress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <brotli/decode.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

static char plain[COMPRESS_MAX + 1];

/* Text of `len` bytes, as lists of documents are. */
static struct slice make_text(size_t len)
{
    size_t at = 0;
    for (int id = 1; at + 100 < len; id++)
        at += (size_t)sprintf(plain + at, "{\"id\":\"%d\",\"price\":%d,\"stock\":%d},", id,
                              rand() % 10000, rand());
    memset(plain + at, ' ', len - at);
    return slice_of(plain, len);
}

static struct slice make_noise(size_t len)
{
    for (size_t i = 0; i < len; i++)
        plain[i] = (char)(rand() >> 7);
    return slice_of(plain, len);
}

static size_t decode_gzip(struct slice coded, char *out, size_t room)
{
    z_stream stream = {.next_in = (z_const Bytef *)coded.ptr,
                       .avail_in = (uInt)coded.len,
                       .next_out = (Bytef *)out,
                       .avail_out = (uInt)room};
    assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    assert_int_equal(stream.avail_in, 0);
    inflateEnd(&stream);
    return room - stream.avail_out;
}

static size_t decode_brotli(struct slice coded, char *out, size_t room)
{
    assert_int_equal(
        BrotliDecoderDecompress(coded.len, (const uint8_t *)coded.ptr, &room, (uint8_t *)out),
        BROTLI_DECODER_RESULT_SUCCESS);
    return room;
}

static bool comes_back(enum coding coding, struct slice bytes)
{
    struct buf coded = BUF_INIT;
    char *out = malloc(bytes.len);
    buf_append_str(&coded, "before");
    assert_true(compress_bytes(coding, bytes, &coded));
    struct slice code = slice_of(coded.data + 6, coded.len - 6);
    assert_true(code.len < bytes.len);
    size_t len = coding == CODING_GZIP ? decode_gzip(code, out, bytes.len)
                                       : decode_brotli(code, out, bytes.len);
    bool same = slice_eq(slice_of(out, len), bytes);
    free(out);
    buf_release(&coded);
    return same;
}

static void test_what_was_compressed_comes_back(void **state)
{
    static const size_t sizes[] = {300, 1024, 2000, 16384, 65537, 100000, 1000000, COMPRESS_MAX};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_true(comes_back(CODING_GZIP, make_text(sizes[i])));
        assert_true(comes_back(CODING_BR, make_text(sizes[i])));
    }
}

static void test_text_of_2_kb_becomes_a_half_at_most(void **state)
{
    struct buf coded = BUF_INIT;
    (void)state;
    assert_true(compress_bytes(CODING_GZIP, make_text(2048), &coded));
    assert_in_range(coded.len, 1, 1024);
    buf_clear(&coded);
    assert_true(compress_bytes(CODING_BR, make_text(2048), &coded));
    assert_in_range(coded.len, 1, 1024);
    buf_release(&coded);
}

static void assert_refused(enum coding coding, struct slice bytes)
{
    struct buf coded = BUF_INIT;
    assert_false(compress_bytes(coding, bytes, &coded));
    assert_int_equal(coded.len, 0);
    buf_release(&coded);
}

static void test_what_does_not_shrink_is_left_alone(void **state)
{
    (void)state;
    for (enum coding coding = CODING_GZIP; coding <= CODING_BR; coding++) {
        assert_refused(coding, make_noise(2000));
        assert_refused(coding, make_noise(300000));
        assert_refused(coding, slice_str(""));
        assert_refused(coding, slice_str("a"));
        assert_refused(coding, slice_str("ab"));
    }
}

static void test_what_is_too_long_is_left_alone(void **state)
{
    (void)state;
    assert_refused(CODING_GZIP, slice_of(plain, sizeof plain));
    assert_refused(CODING_BR, slice_of(plain, sizeof plain));
}

static void *compress_often(void *arg)
{
    const struct slice *bytes = arg;
    for (int i = 0; i < 50; i++) {
        struct buf coded = BUF_INIT;
        char *out = malloc(bytes->len);
        if (compress_bytes(i % 2 ? CODING_BR : CODING_GZIP, *bytes, &coded)) {
            size_t len = i % 2 ? decode_brotli(buf_slice(&coded), out, bytes->len)
                               : decode_gzip(buf_slice(&coded), out, bytes->len);
            assert_true(slice_eq(slice_of(out, len), *bytes));
        }
        free(out);
        buf_release(&coded);
    }
    return NULL;
}

static void test_threads_do_not_disturb_each_other(void **state)
{
    pthread_t threads[2 * COMPRESS_THREADS];
    struct slice bytes = make_text(50000);
    (void)state;
    for (int i = 0; i < 2 * COMPRESS_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, compress_often, &bytes), 0);
    for (int i = 0; i < 2 * COMPRESS_THREADS; i++)
        pthread_join(threads[i], NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_compressed_comes_back),
        cmocka_unit_test(test_text_of_2_kb_becomes_a_half_at_most),
        cmocka_unit_test(test_what_does_not_shrink_is_left_alone),
        cmocka_unit_test(test_what_is_too_long_is_left_alone),
        cmocka_unit_test(test_threads_do_not_disturb_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
