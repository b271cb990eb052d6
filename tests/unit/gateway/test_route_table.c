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
    struct request request = {.path = slice_str(path)};
    const struct route *route = route_table_find(table, &request, METHOD_GET);
    return route ? route->spec.pattern : NULL;
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
    struct request request = {.path = slice_str("/users/7")};
    const struct route *get = route_table_find(table, &request, METHOD_GET);
    assert_string_equal(get->spec.pattern, "/users/{id}");
    assert_ptr_equal(route_table_find(table, &request, METHOD_HEAD), get);
    assert_string_equal(route_table_find(table, &request, METHOD_PATCH)->spec.pattern,
                        "/users/{name}");
    assert_null(route_table_find(table, &request, METHOD_POST));
    assert_int_equal(route_table_methods(table, &request),
                     1 << METHOD_GET | 1 << METHOD_HEAD | 1 << METHOD_PATCH);
    route_table_destroy(&table);
}

static void test_route_table_binds_params_and_the_rest(void **state)
{
    (void)state;
    struct route_table *table = TABLE("/a/{first}/b/{second}/*");
    struct request request = {.path = slice_str("/a/1/b/two/x/y/")};
    route_bind_params(route_table_find(table, &request, METHOD_GET), &request);
    assert_int_equal(request.param_count, 3);
    assert_true(slice_is(request.params[0].name, "first"));
    assert_true(slice_is(request.params[0].value, "1"));
    assert_true(slice_is(request.params[1].name, "second"));
    assert_true(slice_is(request.params[1].value, "two"));
    assert_true(slice_is(request.params[2].name, "*"));
    assert_true(slice_is(request.params[2].value, "x/y/"));
    route_table_destroy(&table);
}

/* The index of the route that a request takes, or -1. */
static int take(const struct route_table *table, const char *host, const char *path,
                enum method method, const char *header)
{
    struct header headers[] = {{slice_str("Host"), slice_str(host)},
                               {slice_str("X-Beta"), slice_str(header ? header : "")}};
    struct request request = {.path = slice_str(path),
                              .query = slice_str("debug=1"),
                              .headers = headers,
                              .header_count = header ? 2 : 1};
    const struct route *route = route_table_find(table, &request, method);
    return route ? (int)route->index : -1;
}

static struct route_table *make(const struct route_spec *specs, unsigned count)
{
    struct route_table *table;
    char why[WHY_SIZE] = "";
    if (route_table_create(specs, count, &table, why, sizeof why))
        fail_msg("%s", why);
    return table;
}

static void test_route_table_prefers_the_host_then_its_longest_suffix(void **state)
{
    (void)state;
    const struct route_spec specs[] = {{.pattern = "/{x}"},
                                       {.pattern = "/*", .host = "*.example.org"},
                                       {.pattern = "/*", .host = "*.b.example.org"},
                                       {.pattern = "/only", .host = "A.example.org"}};
    struct route_table *table = make(specs, 4);
    assert_int_equal(take(table, "other", "/only", METHOD_GET, NULL), 0);
    assert_int_equal(take(table, "example.org", "/only", METHOD_GET, NULL), 0);
    assert_int_equal(take(table, "a.EXAMPLE.org:8080", "/only", METHOD_GET, NULL), 3);
    assert_int_equal(take(table, "a.example.org.", "/other", METHOD_GET, NULL), 1);
    assert_int_equal(take(table, "x.b.example.org", "/only", METHOD_GET, NULL), 2);
    assert_int_equal(take(table, "b.example.org", "/only", METHOD_GET, NULL), 1);
    assert_int_equal(take(table, "xb.example.org", "/only", METHOD_GET, NULL), 1);
    assert_int_equal(take(table, "evilexample.org", "/only", METHOD_GET, NULL), 0);
    assert_int_equal(take(table, "other", "/a/b", METHOD_GET, NULL), -1);
    route_table_destroy(&table);
}

static void test_route_table_goes_on_where_a_method_or_condition_does_not_fit(void **state)
{
    (void)state;
    const struct route_condition beta = {CONDITION_HEADER, "X-Beta: yes"},
                                 debug = {CONDITION_QUERY, "debug"};
    const struct route_spec specs[] = {
        {.pattern = "/*", .any_method = true},
        {.pattern = "/a/{x}"},
        {.pattern = "/a/b", .method = METHOD_PATCH},
        {.pattern = "/a/{x}", .conditions = &debug, .condition_count = 1},
        {.pattern = "/a/{x}", .conditions = &beta, .condition_count = 1},
        {.pattern = "/a/{x}", .any_method = true, .conditions = &beta, .condition_count = 1},
    };
    struct route_table *table = make(specs, 6);
    assert_int_equal(take(table, "h", "/a/b", METHOD_PATCH, "yes"), 2);
    assert_int_equal(take(table, "h", "/a/b", METHOD_GET, "yes"), 4);
    assert_int_equal(take(table, "h", "/a/b", METHOD_GET, "no"), 3);
    assert_int_equal(take(table, "h", "/a/c", METHOD_POST, "yes"), 5);
    assert_int_equal(take(table, "h", "/a/c", METHOD_POST, NULL), 0);
    route_table_destroy(&table);
}

static void test_route_table_keeps_the_servers_own_paths_for_itself(void **state)
{
    (void)state;
    const struct route_spec specs[] = {{.pattern = "/*", .any_method = true},
                                       {.pattern = "/{a}/{b}", .any_method = true, .host = "h"},
                                       {.pattern = "/_/*", .own = true},
                                       {.pattern = "/healthz", .own = true}};
    struct route_table *table = make(specs, 4);
    assert_int_equal(take(table, "h", "/_/x", METHOD_GET, NULL), 2);
    assert_int_equal(take(table, "h", "/_/x", METHOD_POST, NULL), -1);
    assert_int_equal(take(table, "h", "/healthz", METHOD_GET, NULL), 3);
    assert_int_equal(take(table, "other", "/healthz", METHOD_PUT, NULL), -1);
    assert_int_equal(take(table, "h", "/x/y", METHOD_PUT, NULL), 1);
    assert_int_equal(take(table, "other", "/_", METHOD_PUT, NULL), 0);
    route_table_destroy(&table);
}

static void test_route_table_place_is_the_path_without_its_slash_too(void **state)
{
    (void)state;
    const struct route_spec specs[] = {
        {.pattern = "/files/*", .place = true}, {.pattern = "/*"}, {.pattern = "/{x}/y/*"}};
    struct route_table *table = make(specs, 3);
    assert_int_equal(take(table, "h", "/files", METHOD_GET, NULL), 0);
    assert_int_equal(take(table, "h", "/files/", METHOD_GET, NULL), 0);
    assert_int_equal(take(table, "h", "/files/a", METHOD_GET, NULL), 0);
    assert_int_equal(take(table, "h", "/filesystem", METHOD_GET, NULL), 1);
    assert_int_equal(take(table, "h", "/files/y", METHOD_GET, NULL), 0);
    assert_int_equal(take(table, "h", "/files/y/", METHOD_GET, NULL), 2);
    struct request request = {.path = slice_str("/files")};
    route_bind_params(route_table_at(table, 0), &request);
    assert_true(slice_is(request_param(&request, "*"), ""));
    assert_non_null(request_param(&request, "*").ptr);
    route_table_destroy(&table);
}

static void drop(void *arg)
{
    ++*(int *)arg;
}

static void test_route_table_refuses_equal_routes_and_drops_what_they_brought(void **state)
{
    (void)state;
    int dropped = 0;
    const struct route_condition a[] = {{CONDITION_HEADER, "X-Beta:yes"}, {CONDITION_QUERY, "q"}},
                                 b[] = {{CONDITION_QUERY, "q"}, {CONDITION_HEADER, "x-beta: yes"}};
    const struct route_spec specs[] = {
        {.pattern = "/{a}", .conditions = a, .condition_count = 2, .arg = &dropped, .drop = drop},
        {.pattern = "/{b}", .conditions = b, .condition_count = 2, .arg = &dropped, .drop = drop}};
    struct route_table *table;
    char why[WHY_SIZE];
    assert_int_equal(route_table_create(specs, 2, &table, why, sizeof why), ERR_EXISTS);
    assert_null(table);
    assert_int_equal(dropped, 2);
}

struct told {
    enum route_verdict verdict[8];
    const struct condition *failed;
};

static void tell(const struct route *route, enum route_verdict verdict,
                 const struct condition *failed, void *arg)
{
    struct told *told = arg;
    told->verdict[route->index] = verdict;
    if (failed)
        told->failed = failed;
}

static void test_route_table_explains_why_each_route_is_passed_over(void **state)
{
    (void)state;
    const struct route_condition beta = {CONDITION_HEADER, "X-Beta: yes"};
    const struct route_spec specs[] = {
        {.pattern = "/a/{x}"},
        {.pattern = "/a/b", .host = "*.example.org"},
        {.pattern = "/*", .any_method = true},
        {.pattern = "/a/{x}", .method = METHOD_POST},
        {.pattern = "/a/{x}", .conditions = &beta, .condition_count = 1},
        {.pattern = "/b"},
    };
    struct route_table *table = make(specs, 6);
    struct request request = {.path = slice_str("/a/b")};
    struct told told = {0};
    const struct route *taken = route_table_explain(table, &request, tell, &told);
    assert_int_equal(taken->index, 0);
    static const enum route_verdict expected[] = {ROUTE_TAKEN,  ROUTE_HOST,      ROUTE_OUTDONE,
                                                  ROUTE_METHOD, ROUTE_CONDITION, ROUTE_PATH};
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(told.verdict[i], expected[i]);
    assert_string_equal(told.failed->name, "X-Beta");
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
        cmocka_unit_test(test_route_table_prefers_the_host_then_its_longest_suffix),
        cmocka_unit_test(test_route_table_goes_on_where_a_method_or_condition_does_not_fit),
        cmocka_unit_test(test_route_table_keeps_the_servers_own_paths_for_itself),
        cmocka_unit_test(test_route_table_place_is_the_path_without_its_slash_too),
        cmocka_unit_test(test_route_table_refuses_equal_routes_and_drops_what_they_brought),
        cmocka_unit_test(test_route_table_explains_why_each_route_is_passed_over),
        cmocka_unit_test(test_route_table_refuses_two_routes_of_one_shape_and_method),
        cmocka_unit_test(test_route_table_refuses_what_is_no_pattern),
    };
    return cmocka_run_group_tests_name("route_table", tests, NULL, NULL);
}
