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
    assert_string_equal(said, "c.ini: module tea and module coffee both have the route GET "
                              "/cups/{id} (/cups/{number}); mount one of them alone, by a [route] "
                              "for each of its paths\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes_of_a_place_are_it_and_what_is_below),
        cmocka_unit_test(test_routes_that_nobody_mounts_are_named),
        cmocka_unit_test(test_routes_that_two_modules_have_are_an_error_with_both_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
