#include "server/gateway/route_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#define WHY_SIZE 200

/* A table of GET routes. */
static struct route_table *table_of(const char *const *patterns)
{
    struct route_spec specs[16] = {0};
    unsigned count = 0;
    for (; patterns[count]; count++)
        specs[count].pattern = patterns[count];
    struct route_table *table;
    char why[WHY_SIZE];
    assert_int_equal(route_table_create(specs, count, &table, why, sizeof why), ERR_OK);
    return table;
}

#define TABLE(...) table_of((const char *const[]){__VA_ARGS__, NULL})

/* The pattern that a path finds, or NULL. */
static const char *find(const struct route_table *table, const char *path)
{
    const struct route_set *routes = route_table_find(table, slice_str(path));
    return routes ? routes->by_method[METHOD_GET]->spec.pattern : NULL;
}

static void assert_finds(const struct route_table *table, const char *path, const char *pattern)
{
    const char *found = find(table, path);
    assert_non_null(found);
    assert_string_equal(found, pattern);
}

static void test_route_table_finds_exact_paths(void **state)
{
    (void)state;
    struct route_table *table = TABLE("/", "/users", "/users/", "/users/me", "/b", "/a", "/cc");
    assert_finds(table, "/", "/");
    assert_finds(table, "/users", "/users");
    assert_finds(table, "/users/", "/users/");
    assert_finds(table, "/users/me", "/users/me");
    assert_finds(table, "/a", "/a");
    assert_finds(table, "/b", "/b");
    assert_finds(table, "/cc", "/cc");
    route_table_destroy(&table);
}

static void test_route_table_finds_nothing_for_other_paths(void **state)
{
    (void)state;
    struct route_table *table = TABLE("/users/me", "/users/{id}/orders");
    assert_null(find(table, "/"));
    assert_null(find(table, "/users"));
    assert_null(find(table, "/users/m"));
    assert_null(find(table, "/users/mee"));
    assert_null(find(table, "/users/me/"));
    assert_null(find(table, "/Users/me"));
    assert_null(find(table, "/users/7"));
    assert_null(find(table, "/users/7/orders/1"));
    assert_null(find(table, "//users/me"));
    route_table_destroy(&table);
}

static void test_route_table_prefers_literals_to_params(void **state)
{
    (void)state;
    struct route_table *table = TABLE("/users/{id}", "/users/me");
    assert_finds(table, "/users/me", "/users/me");
    assert_finds(table, "/users/you", "/users/{id}");
    route_table_destroy(&table);
}

static void test_route_table_turns_back_from_a_literal_that_leads_nowhere(void **state)
{
    (void)state;
    struct route_table *table = TABLE("/users/me/keys", "/users/{id}/orders");
    assert_finds(table, "/users/me/orders", "/users/{id}/orders");
    assert_finds(table, "/users/me/keys", "/users/me/keys");
    route_table_destroy(&table);
}

static void test_route_table_prefers_whole_patterns_to_prefixes(void **state)
{
    (void)state;
    struct route_table *table = TABLE("/a/*", "/{x}/b");
    assert_finds(table, "/a/b", "/{x}/b");
    assert_finds(table, "/a/c", "/a/*");
    route_table_destroy(&table);
}

static void test_route_table_prefers_the_longest_prefix(void **state)
{
    (void)state;
    struct route_table *table = TABLE("/*", "/files/*", "/files/public/*");
    assert_finds(table, "/files/public/x/y", "/files/public/*");
    assert_finds(table, "/files/private/x", "/files/*");
    assert_finds(table, "/other", "/*");
    assert_finds(table, "/", "/*");
    route_table_destroy(&table);
}

static void test_route_table_prefix_needs_its_slash(void **state)
{
    (void)state;
    struct route_table *table = TABLE("/files/*");
    assert_finds(table, "/files/", "/files/*");
    assert_null(find(table, "/files"));
    assert_null(find(table, "/filesystem"));
    route_table_destroy(&table);
}

static void test_route_table_param_needs_a_value(void **state)
{
    (void)state;
    struct route_table *table = TABLE("/users/{id}");
    assert_null(find(table, "/users/"));
    assert_null(find(table, "/users//"));
    route_table_destroy(&table);
}

static void test_route_table_keeps_methods_of_a_pattern_together(void **state)
{
    (void)state;
    const struct route_spec specs[] = {{.method = METHOD_GET, .pattern = "/users/{id}"},
                                       {.method = METHOD_PATCH, .pattern = "/users/{name}"}};
    struct route_table *table;
    char why[WHY_SIZE];
    assert_int_equal(route_table_create(specs, 2, &table, why, sizeof why), ERR_OK);
    const struct route_set *routes = route_table_find(table, slice_str("/users/7"));
    assert_string_equal(routes->by_method[METHOD_GET]->spec.pattern, "/users/{id}");
    assert_string_equal(routes->by_method[METHOD_PATCH]->spec.pattern, "/users/{name}");
    assert_null(routes->by_method[METHOD_POST]);
    route_table_destroy(&table);
}

static void test_route_table_binds_params_and_the_rest(void **state)
{
    (void)state;
    struct route_table *table = TABLE("/a/{first}/b/{second}/*");
    struct request request = {.path = slice_str("/a/1/b/two/x/y/")};
    const struct route_set *routes = route_table_find(table, request.path);
    route_bind_params(routes->by_method[METHOD_GET], &request);
    assert_int_equal(request.param_count, 3);
    assert_true(slice_is(request.params[0].name, "first"));
    assert_true(slice_is(request.params[0].value, "1"));
    assert_true(slice_is(request.params[1].name, "second"));
    assert_true(slice_is(request.params[1].value, "two"));
    assert_true(slice_is(request.params[2].name, "*"));
    assert_true(slice_is(request.params[2].value, "x/y/"));
    route_table_destroy(&table);
}

static void test_route_table_refuses_two_routes_of_one_shape_and_method(void **state)
{
    (void)state;
    const struct route_spec specs[] = {{.method = METHOD_GET, .pattern = "/users/{id}"},
                                       {.method = METHOD_GET, .pattern = "/users/{name}"}};
    struct route_table *table;
    char why[WHY_SIZE];
    assert_int_equal(route_table_create(specs, 2, &table, why, sizeof why), ERR_EXISTS);
    assert_null(table);
    assert_string_equal(why, "two routes for GET /users/{name}");
}

static void test_route_table_refuses_what_is_no_pattern(void **state)
{
    static const char *const wrong[] = {"",
                                        "users",
                                        "/users/{}",
                                        "/users/{a b}",
                                        "/users/x{id}",
                                        "/users/{id",
                                        "/*/a",
                                        "/a*",
                                        "/a/**",
                                        "/a?b",
                                        "/a#b",
                                        "/a\"b",
                                        "/a\\b",
                                        "/a\nb",
                                        "/{id}}",
                                        "/{{id}",
                                        "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}",
                                        "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/*"};
    (void)state;
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const struct route_spec spec = {.method = METHOD_GET, .pattern = wrong[i]};
        struct route_table *table;
        char why[WHY_SIZE];
        assert_int_equal(route_table_create(&spec, 1, &table, why, sizeof why), ERR_VALIDATION);
        assert_null(table);
        assert_non_null(strstr(why, wrong[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_route_table_finds_exact_paths),
        cmocka_unit_test(test_route_table_finds_nothing_for_other_paths),
        cmocka_unit_test(test_route_table_prefers_literals_to_params),
        cmocka_unit_test(test_route_table_turns_back_from_a_literal_that_leads_nowhere),
        cmocka_unit_test(test_route_table_prefers_whole_patterns_to_prefixes),
        cmocka_unit_test(test_route_table_prefers_the_longest_prefix),
        cmocka_unit_test(test_route_table_prefix_needs_its_slash),
        cmocka_unit_test(test_route_table_param_needs_a_value),
        cmocka_unit_test(test_route_table_keeps_methods_of_a_pattern_together),
        cmocka_unit_test(test_route_table_binds_params_and_the_rest),
        cmocka_unit_test(test_route_table_refuses_two_routes_of_one_shape_and_method),
        cmocka_unit_test(test_route_table_refuses_what_is_no_pattern),
    };
    return cmocka_run_group_tests_name("route_table", tests, NULL, NULL);
}
