#include "storage/key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

/* ---- Values, and how they compare by what they mean. */

enum kind { KIND_NULL, KIND_FALSE, KIND_TRUE, KIND_I64, KIND_F64, KIND_STRING, KIND_ID, KINDS };

struct part {
    enum kind kind;
    int64_t i64;
    double f64;
    struct slice string;
    struct id id;
};

static void add_part(struct key *key, const struct part *part)
{
    switch (part->kind) {
    case KIND_NULL:
        key_add_null(key);
        break;
    case KIND_FALSE:
    case KIND_TRUE:
        key_add_bool(key, part->kind == KIND_TRUE);
        break;
    case KIND_I64:
        key_add_i64(key, part->i64);
        break;
    case KIND_F64:
        key_add_f64(key, part->f64);
        break;
    case KIND_STRING:
        key_add_string(key, part->string);
        break;
    default:
        key_add_id(key, &part->id);
    }
}

static int sign(int difference)
{
    return (difference > 0) - (difference < 0);
}

static int compare_bytes(struct slice a, struct slice b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len > 0 ? memcmp(a.ptr, b.ptr, len) : 0;
    return order != 0 ? sign(order) : (a.len > b.len) - (a.len < b.len);
}

/* A double is some integer and a fraction: both compare without rounding. */
static int compare_i64_f64(int64_t i, double f)
{
    if (f >= 0x1p63)
        return -1;
    if (f < -0x1p63)
        return 1;
    double whole = floor(f);
    if (i != (int64_t)whole)
        return i < (int64_t)whole ? -1 : 1;
    return f > whole ? -1 : 0;
}

static int compare_numbers(const struct part *a, const struct part *b)
{
    if (a->kind == KIND_I64 && b->kind == KIND_I64)
        return (a->i64 > b->i64) - (a->i64 < b->i64);
    if (a->kind == KIND_F64 && b->kind == KIND_F64)
        return (a->f64 > b->f64) - (a->f64 < b->f64);
    return a->kind == KIND_I64 ? compare_i64_f64(a->i64, b->f64) : -compare_i64_f64(b->i64, a->f64);
}

static int compare_parts(const struct part *a, const struct part *b)
{
    static const int ranks[KINDS] = {0, 1, 2, 3, 3, 4, 5};
    if (ranks[a->kind] != ranks[b->kind])
        return sign(ranks[a->kind] - ranks[b->kind]);
    if (ranks[a->kind] == 3)
        return compare_numbers(a, b);
    if (a->kind == KIND_STRING)
        return compare_bytes(a->string, b->string);
    return a->kind == KIND_ID ? sign(id_compare(&a->id, &b->id)) : 0;
}

static int compare_keys(const struct key *a, const struct key *b)
{
    return compare_bytes(key_slice(a), key_slice(b));
}

/* ---- Random values, close to each other and to the edges so that they meet. */

static const int64_t integers[] = {INT64_MIN,
                                   INT64_MIN + 1,
                                   -(INT64_C(1) << 53) - 1,
                                   -(INT64_C(1) << 53),
                                   -1,
                                   0,
                                   1,
                                   2,
                                   1000,
                                   (INT64_C(1) << 53) - 1,
                                   INT64_C(1) << 53,
                                   (INT64_C(1) << 53) + 1,
                                   (INT64_C(1) << 62) + 1,
                                   (INT64_C(1) << 62) + 511,
                                   (INT64_C(1) << 62) + 512,
                                   (INT64_C(1) << 62) + 513,
                                   INT64_MAX - 1024,
                                   INT64_MAX - 512,
                                   INT64_MAX - 511,
                                   INT64_MAX - 1,
                                   INT64_MAX};

static const double reals[] = {-INFINITY,
                               -DBL_MAX,
                               -0x1p63,
                               -9007199254740993.0,
                               -1.5,
                               -DBL_MIN,
                               -4.9e-324,
                               -0.0,
                               0.0,
                               4.9e-324,
                               0.5,
                               1.0,
                               1.5,
                               2.0,
                               0x1p53,
                               0x1p53 + 2,
                               0x1p62,
                               0x1p62 + 1024,
                               0x1.fffffffffffffp62,
                               0x1p63,
                               0x1p64,
                               DBL_MAX,
                               INFINITY};

#define PICK(list) (list)[(size_t)rand() % (sizeof(list) / sizeof((list)[0]))]

static struct part random_part(char bytes[8])
{
    struct part part = {.kind = (enum kind)(rand() % KINDS)};
    part.i64 = PICK(integers) / (rand() % 4 == 0 ? rand() % 1000 + 1 : 1);
    part.f64 = PICK(reals);
    part.string = slice_of(bytes, (size_t)(rand() % 5));
    for (size_t i = 0; i < part.string.len; i++)
        bytes[i] = PICK("\0\0\1a\xfe\xff");
    memset(part.id.bytes, rand() % 2 * 255, sizeof part.id.bytes);
    part.id.bytes[rand() % 16] = (uint8_t)rand();
    return part;
}

static void test_key_bytes_order_as_the_values(void **state)
{
    (void)state;
    srand(1);
    for (int round = 0; round < 200000; round++) {
        int lens[2], expected = 0;
        char bytes[2][3][8];
        struct key keys[2];
        struct part parts[2][3];
        for (int k = 0; k < 2; k++) {
            key_init(&keys[k]);
            lens[k] = rand() % 4;
            for (int i = 0; i < lens[k]; i++) {
                parts[k][i] = random_part(bytes[k][i]);
                add_part(&keys[k], &parts[k][i]);
            }
        }
        for (int i = 0; i < lens[0] && i < lens[1] && expected == 0; i++)
            expected = compare_parts(&parts[0][i], &parts[1][i]);
        if (expected == 0)
            expected = sign(lens[0] - lens[1]);
        assert_int_equal(compare_keys(&keys[0], &keys[1]), expected);
    }
}

/* ---- Numbers. */

static void test_key_integers_and_reals_share_one_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof integers / sizeof integers[0]; i++) {
        for (size_t j = 0; j < sizeof reals / sizeof reals[0]; j++) {
            struct key whole;
            key_init(&whole);
            struct key real;
            key_init(&real);
            key_add_i64(&whole, integers[i]);
            key_add_f64(&real, reals[j]);
            assert_int_equal(compare_keys(&whole, &real), compare_i64_f64(integers[i], reals[j]));
        }
    }
}

static void test_key_integers_keep_all_their_bits(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof integers / sizeof integers[0]; i++) {
        for (int64_t near = -2; near <= 2; near++) {
            int64_t value;
            if (__builtin_add_overflow(integers[i], near, &value))
                continue;
            struct key key;
            key_init(&key);
            key_add_i64(&key, value);
            struct slice rest = key_slice(&key);
            int64_t out;
            assert_true(key_take_i64(&rest, &out));
            assert_int_equal(out, value);
            assert_int_equal(rest.len, 0);
        }
    }
}

static void test_key_reals_come_back_and_fractions_are_no_integers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof reals / sizeof reals[0]; i++) {
        struct key key;
        key_init(&key);
        key_add_f64(&key, reals[i]);
        struct slice rest = key_slice(&key);
        bool fits = reals[i] >= -0x1p63 && reals[i] < 0x1p63 && floor(reals[i]) == reals[i];
        int64_t whole;
        assert_int_equal(key_take_i64(&rest, &whole), fits);
        rest = key_slice(&key);
        double out;
        assert_true(key_take_f64(&rest, &out));
        assert_true(out == reals[i]);
    }
}

/* ---- Strings. */

static void test_key_strings_with_zero_bytes_come_back(void **state)
{
    (void)state;
    static const char text[] = {'a', 0, 0, (char)0xff, 0, 'b', 0};
    struct key key;
    key_init(&key);
    key_add_string(&key, slice_of(text, sizeof text));
    key_add_i64(&key, 7);
    struct slice rest = key_slice(&key);
    char out[16];
    assert_true(key_take_string(&rest, out, sizeof out));
    assert_memory_equal(out, text, sizeof text);
    int64_t after;
    assert_true(key_take_i64(&rest, &after));
    assert_int_equal(after, 7);
}

static void test_key_take_string_refuses_what_does_not_fit(void **state)
{
    (void)state;
    struct key key;
    key_init(&key);
    key_add_string(&key, slice_str("four"));
    struct slice rest = key_slice(&key);
    char out[4];
    assert_false(key_take_string(&rest, out, sizeof out));
    key_init(&key);
    key_add_string(&key, slice_str("abc"));
    rest = key_slice(&key);
    assert_true(key_take_string(&rest, out, sizeof out));
    assert_string_equal(out, "abc");
}

static void test_key_string_part_is_a_prefix_only_of_keys_that_begin_with_it(void **state)
{
    (void)state;
    struct key prefix;
    key_init(&prefix);
    key_add_string(&prefix, slice_str("order"));
    struct key same;
    key_init_from(&same, &prefix);
    key_add_i64(&same, 1);
    struct key longer;
    key_init(&longer);
    key_add_string(&longer, slice_str("orders"));
    assert_true(key_has_prefix(key_slice(&same), &prefix));
    assert_false(key_has_prefix(key_slice(&longer), &prefix));
}

/* The zero behind "order" is the end of one string and within the other. */
static void assert_apart(struct slice value, size_t max_bytes)
{
    struct key prefix;
    key_init(&prefix);
    key_add_string(&prefix, slice_of(value.ptr, 5));
    struct key own;
    key_init_from(&own, &prefix);
    key_add_id(&own, &(struct id){{0xff}});
    struct key end;
    key_init_from(&end, &prefix);
    key_add_end(&end);
    struct key other;
    key_init(&other);
    key_add_string_within(&other, value, max_bytes);
    assert_memory_equal(other.bytes, prefix.bytes, prefix.len);
    assert_false(key_has_prefix(key_slice(&other), &prefix));
    assert_true(memcmp(own.bytes, end.bytes, end.len) < 0);
    assert_true(memcmp(other.bytes, end.bytes, end.len) >= 0);
}

static void test_key_string_part_is_no_prefix_of_a_string_that_goes_on_behind_a_zero(void **state)
{
    (void)state;
    assert_apart(slice_of("order\0s", 7), 100);
    assert_apart(slice_str("order number seventeen"), 16);
}

static struct key long_key(size_t len, char last)
{
    char text[2000];
    memset(text, 'x', len);
    text[len - 1] = last;
    struct key key;
    key_init(&key);
    key_add_string_within(&key, slice_of(text, len), 100);
    return key;
}

static void test_key_long_strings_are_cut_and_hashed(void **state)
{
    (void)state;
    struct key fits = long_key(98, 'a'), cut = long_key(99, 'a');
    struct key other = long_key(1500, 'a'), differs = long_key(1500, 'b');
    assert_int_equal(fits.len, 100);
    assert_false(fits.cut);
    assert_int_equal(cut.len, 100);
    assert_true(cut.cut && other.cut && differs.cut);
    assert_int_not_equal(compare_keys(&cut, &other), 0);
    assert_int_not_equal(compare_keys(&other, &differs), 0);
    struct key again = long_key(1500, 'b');
    assert_int_equal(compare_keys(&differs, &again), 0);
}

static void test_key_cut_string_is_skipped_but_not_taken(void **state)
{
    (void)state;
    struct key key = long_key(200, 'a');
    key_add_i64(&key, 7);
    struct slice rest = key_slice(&key);
    char out[500];
    assert_false(key_take_string(&rest, out, sizeof out));
    assert_true(key_skip(&rest));
    int64_t after;
    assert_true(key_take_i64(&rest, &after));
    assert_int_equal(after, 7);
}

static void test_key_string_of_zero_bytes_is_cut_between_escapes(void **state)
{
    (void)state;
    static const char zeros[600];
    struct key key;
    key_init(&key);
    key_add_bool(&key, true); /* an odd place to begin */
    key_add_string(&key, slice_of(zeros, sizeof zeros));
    assert_true(key.cut);
    assert_in_range(key.len, STORE_KEY_MAX - 1, STORE_KEY_MAX);
    struct slice rest = key_slice(&key);
    assert_true(key_skip(&rest) && key_skip(&rest));
    assert_int_equal(rest.len, 0);
}

/* ---- The rest. */

static void test_key_parts_are_taken_only_as_their_type(void **state)
{
    (void)state;
    struct id id = id_make(1700000000000), id_out;
    struct key key;
    key_init(&key);
    key_add_id(&key, &id);
    struct slice rest = key_slice(&key);
    int64_t i64;
    assert_false(key_take_i64(&rest, &i64));
    double f64;
    assert_false(key_take_f64(&rest, &f64));
    char text[16];
    assert_false(key_take_string(&rest, text, sizeof text));
    assert_true(key_take_id(&rest, &id_out));
    assert_int_equal(id_compare(&id, &id_out), 0);
    assert_false(key_take_id(&rest, &id_out));
}

static void test_key_damaged_bytes_are_refused_and_never_overrun(void **state)
{
    (void)state;
    srand(2);
    for (int round = 0; round < 200000; round++) {
        size_t len = (size_t)(rand() % 24);
        char *exact = malloc(len > 0 ? len : 1); /* so that a sanitizer sees an overrun */
        for (size_t i = 0; i < len; i++)
            exact[i] = PICK("\x10\x20\x30\x40\x50\x40\x40zz\x00\x00\xff\xfe");
        struct slice a = slice_of(exact, len), b = a, c = a, d = a, e = a;
        int64_t i64;
        key_take_i64(&a, &i64);
        double f64;
        key_take_f64(&b, &f64);
        char out[8];
        key_take_string(&c, out, sizeof out);
        struct id id;
        key_take_id(&d, &id);
        while (key_skip(&e))
            assert_true(e.len < len);
        free(exact);
    }
}

static void test_key_prints_for_people(void **state)
{
    (void)state;
    struct key key;
    key_init(&key);
    key_add_string(&key, slice_str("orders"));
    key_add_i64(&key, -17);
    key_add_f64(&key, 2.5);
    key_add_bool(&key, true);
    key_add_null(&key);
    key_add_string(&key, slice_of("a\0b", 3));
    struct buf out = BUF_INIT;
    key_print(&out, key_slice(&key));
    buf_append_char(&out, 0);
    assert_string_equal(out.data, "orders/-17/2.5/true/null/a\\x00\\xffb");
    buf_clear(&out);
    key_print(&out, slice_str("\x01raw"));
    buf_append_char(&out, 0);
    assert_string_equal(out.data, "\\x01raw");
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key_bytes_order_as_the_values),
        cmocka_unit_test(test_key_integers_and_reals_share_one_order),
        cmocka_unit_test(test_key_integers_keep_all_their_bits),
        cmocka_unit_test(test_key_reals_come_back_and_fractions_are_no_integers),
        cmocka_unit_test(test_key_strings_with_zero_bytes_come_back),
        cmocka_unit_test(test_key_take_string_refuses_what_does_not_fit),
        cmocka_unit_test(test_key_string_part_is_a_prefix_only_of_keys_that_begin_with_it),
        cmocka_unit_test(test_key_string_part_is_no_prefix_of_a_string_that_goes_on_behind_a_zero),
        cmocka_unit_test(test_key_long_strings_are_cut_and_hashed),
        cmocka_unit_test(test_key_cut_string_is_skipped_but_not_taken),
        cmocka_unit_test(test_key_string_of_zero_bytes_is_cut_between_escapes),
        cmocka_unit_test(test_key_parts_are_taken_only_as_their_type),
        cmocka_unit_test(test_key_damaged_bytes_are_refused_and_never_overrun),
        cmocka_unit_test(test_key_prints_for_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
