#include "server/http/accept.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#define ALL (1U << CODING_GZIP | 1U << CODING_BR)

static const char *chosen_of(const struct header *headers, unsigned count, unsigned offered)
{
    struct accept_encoding accept;
    accept_encoding_read(headers, count, &accept);
    return coding_name(accept_encoding_choose(&accept, offered));
}

static const char *chosen(const char *value)
{
    struct header header = {slice_str("accept-encoding"), slice_str(value)};
    return chosen_of(&header, 1, ALL);
}

static void test_identity_is_for_who_asks_for_nothing(void **state)
{
    (void)state;
    assert_string_equal(chosen_of(NULL, 0, ALL), "identity");
    assert_string_equal(chosen(""), "identity");
    assert_string_equal(chosen("deflate, zstd"), "identity");
}

static void test_the_smallest_of_the_equally_good_wins(void **state)
{
    (void)state;
    assert_string_equal(chosen("gzip, deflate, br"), "br");
    assert_string_equal(chosen("gzip"), "gzip");
    assert_string_equal(chosen("X-GZip, deflate"), "gzip");
    assert_string_equal(chosen("*"), "br");
    assert_string_equal(chosen("gzip, identity"), "gzip");
}

static void test_the_highest_quality_wins(void **state)
{
    (void)state;
    assert_string_equal(chosen("br;q=0.5, gzip;q=0.501"), "gzip");
    assert_string_equal(chosen("gzip;q=1.0, br ; Q=1.000"), "br");
    assert_string_equal(chosen("gzip;q=0.5, identity"), "identity");
    assert_string_equal(chosen("gzip;q=0.001"), "gzip");
    assert_string_equal(chosen("br;q=0.9, *;q=1"), "gzip");
}

static void test_quality_zero_is_a_refusal(void **state)
{
    (void)state;
    assert_string_equal(chosen("br;q=0, *"), "gzip");
    assert_string_equal(chosen("gzip;q=0"), "identity");
    assert_string_equal(chosen("*;q=0"), "identity");
    assert_string_equal(chosen("identity;q=0, gzip;q=0.1"), "gzip");
    assert_string_equal(chosen("*;q=0, br;q=0.1"), "br");
    assert_string_equal(chosen("identity;q=0"), "identity"); /* better than nothing */
}

static void test_only_what_is_offered_is_chosen(void **state)
{
    struct header header = {slice_str("Accept-Encoding"), slice_str("br, gzip;q=0.5")};
    (void)state;
    assert_string_equal(chosen_of(&header, 1, 1U << CODING_GZIP), "gzip");
    assert_string_equal(chosen_of(&header, 1, 0), "identity");
}

static void test_several_fields_are_one_list(void **state)
{
    struct header headers[] = {
        {slice_str("Accept-Encoding"), slice_str("br;q=0")},
        {slice_str("Accept"), slice_str("gzip")},
        {slice_str("ACCEPT-ENCODING"), slice_str("gzip")},
    };
    (void)state;
    assert_string_equal(chosen_of(headers, 3, ALL), "gzip");
    assert_string_equal(chosen_of(headers, 2, ALL), "identity");
}

static void test_what_cannot_be_read_counts_as_not_said(void **state)
{
    static const char *const members[] = {
        "gzip;q=1.1",    "gzip;q=2",  "gzip;q=",   "gzip;q",       "gzip;q=.5",
        "gzip;q=0.1234", "gzip;q=-1", "gzip;q=1e", "gzip;level=1", "gzip;q=1;x",
        "gzip q=1",      "gzip;",     "gzip;q=10", "gz ip",        "\"gzip\"",
    };
    (void)state;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (strcmp(chosen(members[i]), "identity") != 0)
            fail_msg("%s is taken", members[i]);
    assert_string_equal(chosen(",, br;q=x ,gzip;q=0.5,"), "gzip");
    assert_string_equal(chosen("gzip;q=1."), "gzip"); /* as the standard has it */
}

static void test_any_bytes_are_survived(void **state)
{
    static const char likely[] = "gzipbridentity*;q=01.5, \t";
    (void)state;
    srand(1);
    for (int round = 0; round < 200000; round++) {
        size_t len = (size_t)rand() % 30 + 1;
        char *text = malloc(len);
        for (size_t i = 0; i < len; i++)
            text[i] = likely[(size_t)rand() % (sizeof likely - 1)];
        struct header header = {slice_str("Accept-Encoding"), slice_of(text, len)};
        struct accept_encoding accept;
        accept_encoding_read(&header, 1, &accept);
        for (int coding = 0; coding < CODING_COUNT; coding++)
            assert_in_range(accept.quality[coding], 0, 1000);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity_is_for_who_asks_for_nothing),
        cmocka_unit_test(test_the_smallest_of_the_equally_good_wins),
        cmocka_unit_test(test_the_highest_quality_wins),
        cmocka_unit_test(test_quality_zero_is_a_refusal),
        cmocka_unit_test(test_only_what_is_offered_is_chosen),
        cmocka_unit_test(test_several_fields_are_one_list),
        cmocka_unit_test(test_what_cannot_be_read_counts_as_not_said),
        cmocka_unit_test(test_any_bytes_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
