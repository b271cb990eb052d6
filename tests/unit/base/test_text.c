#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_text_takes_names_of_any_language(void **state)
{
    (void)state;
    static const char *const names[] = {"Jörg", "alice", "Łukasz", "山田太郎", "a.b_c@d+e-1", "Ω"};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_true(text_is_name(slice_str(names[i])));
}

static void test_text_refuses_names_that_are_not_what_they_show(void **state)
{
    (void)state;
    static const char *const names[] = {"",
                                        "two words",
                                        "a\nb",
                                        "a\x7f",
                                        "a\xc2\x85"
                                        "b",
                                        "a\xe2\x80\xae"
                                        "b",             /* right-to-left override */
                                        "a\xe2\x80\x8b", /* zero width space */
                                        "a\xc3",
                                        "\xed\xa0\x80",
                                        "a/b",
                                        "\"a\"",
                                        "a<b",
                                        "a\xe3\x80\x80"
                                        "b"};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_false(text_is_name(slice_str(names[i])));
    assert_false(text_is_name(slice_of("a\0b", 3)));
}

static void test_text_takes_lines_with_spaces_inside(void **state)
{
    (void)state;
    assert_true(text_is_line(slice_str("Jörg Müller, \"JM\"")));
    assert_true(text_is_line(slice_str("👩 Alice")));
    assert_false(text_is_line(slice_str(" Alice")));
    assert_false(text_is_line(slice_str("Alice ")));
    assert_false(text_is_line(slice_str("Alice\r\nBcc: bob")));
    assert_false(text_is_line(slice_str("\xe2\x80\xaa"
                                        "Alice")));
    assert_false(text_is_line(slice_str("")));
}

static void test_text_takes_plain_addresses_alone(void **state)
{
    (void)state;
    assert_true(text_is_email(slice_str("alice+tag@example.com")));
    static const char *const bad[] = {"alice",   "@b",   "a@",       "a@b@c",
                                      "a b@c",   "a@b,", "<a@b>",    "a@b\r\nBcc: c@d",
                                      "jörg@ex", "",     "a@exämple"};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(text_is_email(slice_str(bad[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_takes_names_of_any_language),
        cmocka_unit_test(test_text_refuses_names_that_are_not_what_they_show),
        cmocka_unit_test(test_text_takes_lines_with_spaces_inside),
        cmocka_unit_test(test_text_takes_plain_addresses_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
