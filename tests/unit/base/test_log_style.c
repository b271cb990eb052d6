#include "base/log_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static struct log_style style_on(int fd)
{
    struct log_style style;
    log_style_init(&style, LOG_AUTO, "auto", NULL, fd);
    return style;
}

static void test_log_has_colours_on_a_terminal_unless_they_are_unwanted(void **state)
{
    (void)state;
    int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(terminal >= 0);
    unsetenv("NO_COLOR");
    assert_true(style_on(terminal).text);
    assert_true(style_on(terminal).colour);
    setenv("NO_COLOR", "", 1);
    assert_true(style_on(terminal).colour);
    setenv("NO_COLOR", "1", 1);
    assert_true(style_on(terminal).text);
    assert_false(style_on(terminal).colour);
    close(terminal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_has_colours_on_a_terminal_unless_they_are_unwanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
