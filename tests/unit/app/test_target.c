/* What a handler's errors become outside. */
#include "server/app/app_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static enum err refuse_silently(struct call *call)
{
    return *(enum err *)call->state;
}

static enum err refuse(struct call *call)
{
    return call_fail_field(call, "cups", "many", "So many cups there are not.");
}

/* The status and body of a handler that returns err. */
static int answer_of(app_handler handler, enum err err, char *body, size_t size)
{
    struct app app = {0};
    struct app_route route = {METHOD_GET, "/cups", APP_ANYONE, APP_PLAIN, NULL, handler, NULL};
    struct app_module tea = {.name = "tea"};
    void *state = &err;
    struct app_entry entry = {.app = &app, .module = &tea, .route = &route, .state = &state};
    struct request request = {.path = slice_str("/cups")};
    struct response response = {0};
    app_target(&request, &response, &entry);
    int status = response.status;
    snprintf(body, size, "%.*s", SLICE_ARG(buf_slice(&response.body)));
    response_reset(&response);
    buf_release(&response.headers);
    buf_release(&response.body);
    return status;
}

static void test_app_tells_a_client_of_its_own_mistakes(void **state)
{
    (void)state;
    char body[500];
    assert_int_equal(answer_of(refuse, ERR_OK, body, sizeof body), 422);
    assert_non_null(strstr(body, "\"cups\""));
    assert_int_equal(answer_of(refuse_silently, ERR_NOT_FOUND, body, sizeof body), 404);
    assert_int_equal(answer_of(refuse_silently, ERR_EXISTS, body, sizeof body), 409);
}

/* A document without an id, say. */
static void test_app_takes_what_the_store_refuses_for_a_fault_of_the_module(void **state)
{
    (void)state;
    char body[500];
    assert_int_equal(answer_of(refuse_silently, ERR_VALIDATION, body, sizeof body), 500);
    assert_non_null(strstr(body, "INTERNAL_ERROR"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_app_tells_a_client_of_its_own_mistakes),
        cmocka_unit_test(test_app_takes_what_the_store_refuses_for_a_fault_of_the_module),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
