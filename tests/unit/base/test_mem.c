#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_mem_of_no_bytes_is_not_null(void **state)
{
    void *parts[] = {mem_alloc(0), mem_zalloc(0), mem_realloc(NULL, 0), mem_dup(NULL, 0)};
    (void)state;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        assert_non_null(parts[i]);
        free(parts[i]);
    }
}

static void test_mem_copies_are_their_own(void **state)
{
    char text[] = "text";
    char *copy = mem_strdup(text);
    char *part = mem_dup(text, 2);
    (void)state;
    memset(text, 'x', 4);
    assert_string_equal(copy, "text");
    assert_memory_equal(part, "te", 2);
    free(copy);
    free(part);
}

static void test_mem_exhausted_ends_the_process(void **state)
{
    volatile size_t too_much = SIZE_MAX / 4;
    pid_t pid = fork();
    (void)state;
    if (pid == 0) {
        close(STDERR_FILENO);
        free(mem_alloc(too_much));
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mem_of_no_bytes_is_not_null),
        cmocka_unit_test(test_mem_copies_are_their_own),
        cmocka_unit_test(test_mem_exhausted_ends_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
