#include "server/app/modules.h"
#include "server/galley_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static enum err answer(struct call *call)
{
    return call_answer_text(call, 200, slice_str("{}"));
}

static const struct app_route tea_routes[] = {
    {METHOD_GET, "/cups", APP_ANYONE, APP_PLAIN, NULL, answer, NULL},
    {METHOD_GET, "/cups/{id}", APP_ANYONE, APP_PLAIN, NULL, answer, NULL},
    {METHOD_POST, "/cups", APP_ANYONE, APP_PLAIN, NULL, answer, NULL},
};

static const struct app_route coffee_routes[] = {
    {METHOD_GET, "/cups/{number}", APP_ANYONE, APP_PLAIN, NULL, answer, NULL},
    {METHOD_GET, "/cupsful", APP_ANYONE, APP_PLAIN, NULL, answer, NULL},
};

static const struct app_module tea = {.name = "tea", .routes = tea_routes, .route_count = 3};
static const struct app_module coffee = {
    .name = "coffee", .routes = coffee_routes, .route_count = 2};
static const struct app_module *const both[] = {&tea, &coffee, NULL};

static const struct config_kind kinds[] = {
    {.name = "tea", .flags = CONFIG_MODULE}, {.name = "coffee", .flags = CONFIG_MODULE}, {0}};

/* What is said about a file with this text: errors, then warnings. */
static bool say(const char *text, char *out, size_t size)
{
    char path[] = "/tmp/galley-routes-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    struct config *config;
    struct buf said = BUF_INIT;
    struct config_source source = {.path = path, .modules = kinds};
    assert_int_equal(config_load(&source, &config, &said), ERR_OK);
    bool good = routes_check(config, both, "c.ini", &said);
    routes_warn(config, both, "c.ini", &said);
    snprintf(out, size, "%.*s", SLICE_ARG(buf_slice(&said)));
    buf_release(&said);
    config_destroy(&config);
    unlink(path);
    return good;
}

static void test_routes_of_a_place_are_it_and_what_is_below(void **state)
{
    (void)state;
    char said[2000];
    assert_true(say("[route tea]\npath = /cups/*\ntarget = app:tea\n", said, sizeof said));
    assert_string_equal(said,
                        "c.ini: warning: no [route] mounts module coffee, so none of its 2 routes "
                        "is served; allowed: [route coffee], path = /*, target = app:coffee\n");
}

static void test_routes_of_modules_are_not_missed_by_a_gateway_alone(void **state)
{
    (void)state;
    char said[2000];
    static const char gateway[] = "[route all]\npath = /*\ntarget = respond:404\n";
    assert_true(say(gateway, said, sizeof said));
    assert_string_equal(said, "");
    assert_true(say("", said, sizeof said));
    assert_non_null(strstr(said, "no [route] mounts module tea"));
}

static void test_routes_that_nobody_mounts_are_named(void **state)
{
    (void)state;
    char said[2000];
    assert_true(say("[route tea]\npath = /cups\ntarget = app:tea\n[route c]\npath = /*\n"
                    "target = app:coffee\n",
                    said, sizeof said));
    assert_string_equal(said, "c.ini: warning: no [route] mounts GET /cups/{id} of module tea\n");
}

static void test_routes_that_two_modules_have_are_an_error_with_both_names(void **state)
{
    (void)state;
    char said[2000];
    assert_false(say("[route tea]\npath = /*\ntarget = app:tea\n[route c]\npath = /*\n"
                     "target = app:coffee\n",
                     said, sizeof said));
    assert_string_equal(said,
                        "c.ini: module tea and module coffee both have the route GET /cups/{id} "
                        "(/cups/{number}): line 1 [route tea], line 4 [route c]; one of them needs "
                        "another path, host or condition\n");
}

static void test_routes_of_two_modules_may_meet_where_a_place_differs(void **state)
{
    (void)state;
    char said[2000];
    assert_true(say("[route tea]\npath = /*\ntarget = app:tea\n[route c]\npath = /*\n"
                    "host = coffee.example\ntarget = app:coffee\n",
                    said, sizeof said));
    assert_true(say("[route tea]\npath = /*\ntarget = app:tea\n[route c]\npath = /*\n"
                    "header = X-Coffee\ntarget = app:coffee\n",
                    said, sizeof said));
    assert_true(say("[route tea]\npath = /*\ntarget = app:tea\n[route c]\n"
                    "path = /cups/{number}\ntarget = app:coffee\n"
                    "[route d]\npath = /cupsful\ntarget = app:coffee\n",
                    said, sizeof said)); /* the closer section has it */
}

static void test_routes_that_are_equal_name_both_lines(void **state)
{
    (void)state;
    char said[2000];
    assert_false(say("[route a]\npath = /a/{x}\ntarget = respond:200\n"
                     "[route b]\npath = /a/{y}\ntarget = respond:204\n",
                     said, sizeof said));
    assert_non_null(strstr(said, "line 1 [route a], line 4 [route b]"));
}

static void test_routes_of_a_section_that_another_outdoes_are_an_error(void **state)
{
    (void)state;
    char said[2000];
    assert_false(say("[route a]\npath = /cups\ntarget = app:tea\n"
                     "[route b]\npath = /cups\ntarget = app:tea\n",
                     said, sizeof said));
    assert_non_null(strstr(said, "c.ini:4: [route b] mounts nothing"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes_of_a_place_are_it_and_what_is_below),
        cmocka_unit_test(test_routes_of_modules_are_not_missed_by_a_gateway_alone),
        cmocka_unit_test(test_routes_that_nobody_mounts_are_named),
        cmocka_unit_test(test_routes_that_two_modules_have_are_an_error_with_both_names),
        cmocka_unit_test(test_routes_of_two_modules_may_meet_where_a_place_differs),
        cmocka_unit_test(test_routes_that_are_equal_name_both_lines),
        cmocka_unit_test(test_routes_of_a_section_that_another_outdoes_are_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
