#include "base/err.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_err_ok_is_zero_and_200(void **state)
{
    (void)state;
    assert_int_equal(ERR_OK, 0);
    assert_int_equal(err_status(ERR_OK), 200);
}

static void test_err_every_row_has_code_status_and_sentence(void **state)
{
    (void)state;
    for (enum err err = ERR_OK + 1; err < ERR_COUNT; err++) {
        const char *text = err_text(err);
        assert_in_range(err_status(err), 400, 599);
        assert_true(strspn(err_code(err), "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") == strlen(err_code(err)));
        assert_int_equal(text[strlen(text) - 1], '.');
    }
}

static void test_err_rows_are_those_of_the_enum(void **state)
{
    (void)state;
    assert_string_equal(err_code(ERR_STORE_FULL), "STORE_FULL");
    assert_int_equal(err_status(ERR_STORE_FULL), 507);
    assert_string_equal(err_code(ERR_MALFORMED), "MALFORMED_REQUEST");
    assert_int_equal(err_status(ERR_VALIDATION), 422);
}

static void test_err_corruption_looks_like_any_internal_error(void **state)
{
    (void)state;
    assert_string_equal(err_code(ERR_DAMAGED), err_code(ERR_INTERNAL));
    assert_string_equal(err_text(ERR_DAMAGED), err_text(ERR_INTERNAL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_err_ok_is_zero_and_200),
        cmocka_unit_test(test_err_every_row_has_code_status_and_sentence),
        cmocka_unit_test(test_err_rows_are_those_of_the_enum),
        cmocka_unit_test(test_err_corruption_looks_like_any_internal_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
