/* The table against what it should be in the plainest words: of the routes that fit, the first when
 * sorted by precedence. 10 000 random sets of routes and 16 requests to each. */
#include "server/gateway/route_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#define SETS     10000
#define REQUESTS 16
#define ROUTES   12

static uint64_t seed = 20260131;

static unsigned below(unsigned bound)
{
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    return (unsigned)(seed >> 33) % bound;
}

static const char *const hosts[] = {NULL, "a.b.c", "x.b.c", "*.b.c", "*.c", "c"};
static const char *const asked_hosts[] = {"a.b.c", "x.b.c", "y.b.c", "b.c", "c", "other", ""};
static const char *const segments[] = {"", "a", "b", "{x}", "{y}", "a"};
static const char *const values[] = {"", "a", "b", "c"};
static const enum method methods[] = {METHOD_GET, METHOD_HEAD, METHOD_POST};
static const struct route_condition conditions[] = {
    {CONDITION_HEADER, "X: 1"}, {CONDITION_HEADER, "Y"},    {CONDITION_QUERY, "q=1"},
    {CONDITION_QUERY, "!r"},    {CONDITION_CLIENT, "::/0"}, {CONDITION_DEVICE, "desktop"}};

/* A route as the model sees it; its spec is made of it. */
struct plain {
    char path[64];
    struct route_condition conditions[3];
    struct route_spec spec;
};

static void random_route(struct plain *out)
{
    *out = (struct plain){0};
    unsigned count = 1 + below(3);
    for (unsigned i = 0; i < count; i++) {
        strcat(out->path, "/");
        strcat(out->path, i + 1 == count && below(3) == 0 ? "*" : segments[below(6)]);
    }
    struct route_spec *spec = &out->spec;
    spec->pattern = out->path;
    spec->method = methods[below(3)];
    spec->any_method = below(3) == 0;
    spec->place = below(2) == 0;
    spec->host = hosts[below(6)];
    unsigned first = below(6);
    spec->condition_count = below(2) * below(4);
    spec->conditions = out->conditions;
    for (unsigned i = 0; i < spec->condition_count; i++)
        out->conditions[i] = conditions[(first + i) % 6];
}

/* ---- The plain words */

static bool holds(const struct route_condition *condition, const struct request *request)
{
    if (condition->kind == CONDITION_HEADER)
        return condition->text[0] == 'X' ? slice_is(request_header(request, "X"), "1")
                                         : !!request_header(request, "Y").ptr;
    if (condition->kind == CONDITION_QUERY)
        return condition->text[0] == 'q' ? slice_is(request->query, "q=1")
                                         : !slice_is(request->query, "r");
    return condition->kind == CONDITION_DEVICE; /* IPv4 is not in ::/0 */
}

static int host_rank(const struct plain *route, const char *host)
{
    const char *own = route->spec.host;
    if (!own)
        return 0;
    if (own[0] != '*')
        return strcmp(own, host) == 0 ? 1000 : -1;
    size_t len = strlen(host), tail = strlen(own + 1);
    return len > tail && strcmp(host + len - tail, own + 1) == 0 ? (int)tail : -1;
}

/* Splits a copy of a path into its segments. */
static unsigned split(const char *path, char out[8][16])
{
    unsigned count = 0;
    for (const char *at = path; at; at = strchr(at + 1, '/')) {
        size_t len = strcspn(at + 1, "/");
        memcpy(out[count], at + 1, len);
        out[count++][len] = '\0';
    }
    return count;
}

/* Writes what sorts as the path's precedence: smaller comes first. False: it does not fit. */
static bool path_rank(const struct plain *route, const char *path, char out[32])
{
    char own[8][16], its[8][16], *at = out + 1;
    unsigned own_count = split(route->path, own), its_count = split(path, its);
    bool prefix = strcmp(own[own_count - 1], "*") == 0;
    unsigned fixed = own_count - prefix;
    if (prefix ? its_count < fixed + (route->spec.place ? 0 : 1) : its_count != fixed)
        return false;
    out[0] = prefix ? '2' : '1';
    if (prefix)
        *at++ = (char)('9' - fixed);
    for (unsigned i = 0; i < fixed; i++) {
        bool param = own[i][0] == '{';
        if (param ? its[i][0] == '\0' : strcmp(own[i], its[i]) != 0)
            return false;
        *at++ = param ? '2' : '1';
    }
    *at = '\0';
    return true;
}

static unsigned count_kind(const struct plain *route, enum condition_kind from,
                           enum condition_kind to)
{
    unsigned count = 0;
    for (unsigned i = 0; i < route->spec.condition_count; i++)
        count += route->conditions[i].kind >= from && route->conditions[i].kind <= to;
    return count;
}

/* The whole precedence as text that sorts. */
static bool rank(const struct plain *route, unsigned index, const char *host, const char *path,
                 enum method method, const struct request *request, char out[128])
{
    char by_path[32];
    int by_host = host_rank(route, host);
    const struct route_spec *spec = &route->spec;
    bool same = spec->method == method, get = spec->method == METHOD_GET && method == METHOD_HEAD;
    if (by_host < 0 || !path_rank(route, path, by_path))
        return false;
    if (!spec->any_method && !same && !get)
        return false;
    for (unsigned i = 0; i < spec->condition_count; i++) {
        if (!holds(&route->conditions[i], request))
            return false;
    }
    snprintf(out, 128, "%04d %-12s %d %u%u%u %02u", 1000 - by_host, by_path,
             spec->any_method ? 2
             : same           ? 0
                              : 1,
             9 - count_kind(route, CONDITION_HEADER, CONDITION_HEADER),
             9 - count_kind(route, CONDITION_QUERY, CONDITION_QUERY),
             9 - count_kind(route, CONDITION_DEVICE, CONDITION_CLIENT), index);
    return true;
}

static int model(const struct plain *routes, unsigned count, const char *host, const char *path,
                 enum method method, const struct request *request)
{
    char best[128] = "~", one[128];
    int taken = -1;
    for (unsigned i = 0; i < count; i++) {
        if (rank(&routes[i], i, host, path, method, request, one) && strcmp(one, best) < 0) {
            strcpy(best, one);
            taken = (int)i;
        }
    }
    return taken;
}

/* ---- The comparison */

static void ask(const struct route_table *table, const struct plain *routes, unsigned count)
{
    char path[64] = "";
    unsigned parts = 1 + below(4);
    for (unsigned i = 0; i < parts; i++) {
        strcat(path, "/");
        strcat(path, values[below(4)]);
    }
    const char *host = asked_hosts[below(7)];
    const struct header fields[] = {{slice_str("Host"), slice_str(host)},
                                    {slice_str("X"), slice_str(below(2) ? "1" : "2")},
                                    {slice_str("Y"), slice_str("")}};
    struct request request = {.path = slice_str(path),
                              .query = slice_str(below(2) ? "q=1" : "r"),
                              .headers = fields,
                              .header_count = 2 + below(2),
                              .address = slice_str("192.0.2.1")};
    enum method method = methods[below(3)];
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(!!(route_table_methods(table, &request) & 1U << methods[i]),
                         !!route_table_find(table, &request, methods[i]));
    const struct route *route = route_table_find(table, &request, method);
    int found = route ? (int)route->index : -1;
    int expected = model(routes, count, host, path, method, &request);
    if (found != expected)
        fail_msg("%s %s at %s: %d (%s), not %d (%s)", method_name(method), path, host, found,
                 found < 0 ? "" : routes[found].path, expected,
                 expected < 0 ? "" : routes[expected].path);
}

/* Adds random routes to a set for as long as the table takes them: of two that are equal the
 * second is left out. */
static unsigned random_set(struct plain routes[ROUTES], struct route_table **table)
{
    struct route_spec specs[ROUTES];
    unsigned wanted = 1 + below(ROUTES), count = 0;
    *table = NULL;
    while (wanted-- > 0) {
        char why[200];
        struct route_table *more;
        random_route(&routes[count]);
        for (unsigned i = 0; i <= count; i++)
            specs[i] = routes[i].spec;
        if (route_table_create(specs, count + 1, &more, why, sizeof why))
            continue;
        route_table_destroy(table);
        *table = more;
        count++;
    }
    return count;
}

static void test_route_table_takes_the_first_by_precedence_of_those_that_fit(void **state)
{
    (void)state;
    static struct plain routes[ROUTES];
    for (unsigned set = 0; set < SETS; set++) {
        struct route_table *table;
        unsigned count = random_set(routes, &table);
        for (unsigned i = 0; i < REQUESTS; i++)
            ask(table, routes, count);
        route_table_destroy(&table);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_route_table_takes_the_first_by_precedence_of_those_that_fit),
    };
    return cmocka_run_group_tests_name("route_model", tests, NULL, NULL);
}
