/* The session's cookie, which a browser must keep to us. */
#include "server/admin/admin_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

static void assert_cookie(struct request request, const char *expected)
{
    struct response response = {0};
    struct visit visit = {.request = &request, .response = &response};
    access_set_cookie(&visit, "token");
    struct slice line = response_header_value(&response, "Set-Cookie");
    assert_int_equal(line.len, strlen(expected));
    assert_memory_equal(line.ptr, expected, line.len);
    buf_release(&response.headers);
}

static void test_access_cookie_is_bound_to_the_host_under_tls(void **state)
{
    (void)state;
    assert_cookie((struct request){.secure = true, .local_port = 8443},
                  "__Host-galley_admin=token; Path=/; Secure; HttpOnly; SameSite=Strict");
}

static void test_access_cookie_names_the_port_without_tls(void **state)
{
    (void)state;
    assert_cookie((struct request){.local_port = 8080},
                  "galley_admin_8080=token; Path=/_/; HttpOnly; SameSite=Strict");
}

static void test_access_cookie_over_a_unix_socket_has_no_port_to_name(void **state)
{
    (void)state;
    assert_cookie((struct request){0}, "galley_admin=token; Path=/_/; HttpOnly; SameSite=Strict");
}

/* Finds the session by the cookie that a request brings; true if it was alive. */
static bool signs_in(struct request request, const char *name)
{
    struct admin admin = {.sessions = sessions_create()};
    char token[SESSION_TOKEN_SIZE], cookie[128];
    sessions_begin(admin.sessions, slice_str("captain"), 0, token);
    snprintf(cookie, sizeof cookie, "other=1; %s=%s", name, token);
    struct header header = {slice_str("Cookie"), slice_str(cookie)};
    request.headers = &header;
    request.header_count = 1;
    struct visit visit = {.admin = &admin, .request = &request};
    access_identify(&visit);
    sessions_destroy(&admin.sessions);
    return visit.signed_in;
}

static void test_access_takes_the_cookie_of_its_own_kind_alone(void **state)
{
    (void)state;
    struct request secure = {.secure = true, .local_port = 8443}, plain = {.local_port = 8080};
    assert_true(signs_in(secure, "__Host-galley_admin"));
    assert_false(signs_in(secure, "galley_admin_8443"));
    assert_true(signs_in(plain, "galley_admin_8080"));
    assert_false(signs_in(plain, "galley_admin_8081"));
    assert_false(signs_in(plain, "__Host-galley_admin"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_access_cookie_is_bound_to_the_host_under_tls),
        cmocka_unit_test(test_access_cookie_names_the_port_without_tls),
        cmocka_unit_test(test_access_cookie_over_a_unix_socket_has_no_port_to_name),
        cmocka_unit_test(test_access_takes_the_cookie_of_its_own_kind_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
