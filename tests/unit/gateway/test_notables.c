/* Which answers are held for whoever asks about them. */
#include "server/gateway/gateway_private.h"
#include "server/gateway/route_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#define T0 INT64_C(1700000000000)
#define MS UINT64_C(1000000)

static const struct route shop = {.spec = {.label = "/products/{id}"}};
static const struct route own = {.spec = {.label = "/_/*", .own = true}};

static struct notable list[NOTABLES_MAX];

static int setup(void **state)
{
    *state = notables_create();
    return 0;
}

static int teardown(void **state)
{
    notables_destroy((struct notables **)state);
    return 0;
}

/* An answer that was asked for at that time. */
static void look(void **state, const struct route *route, int64_t at_ms, int status,
                 uint64_t duration_ns)
{
    struct request request = {
        .path = slice_str("/products/1"), .received_ms = at_ms, .route = route};
    snprintf(request.id, sizeof request.id, "%lld", (long long)(at_ms - T0));
    notables_look(*state, &request, status, duration_ns);
}

static void test_notables_hold_the_slowest_of_many(void **state)
{
    for (unsigned i = 0; i < 1000; i++)
        look(state, &shop, T0 + i, 200, (i * 7919 % 1000) * MS);
    assert_int_equal(notables_slowest(*state, list), NOTABLES_MAX);
    for (unsigned i = 0; i < NOTABLES_MAX; i++)
        assert_int_equal(list[i].duration_ns, (999 - i) * MS);
    assert_string_equal(list[0].pattern, "/products/{id}");
    assert_string_equal(list[0].path, "/products/1");
}

static void test_notables_let_go_of_slow_ones_after_an_hour(void **state)
{
    for (unsigned i = 0; i < NOTABLES_MAX; i++)
        look(state, &shop, T0, 200, 1000 * MS);
    look(state, &shop, T0 + 1000, 200, 1 * MS);
    notables_slowest(*state, list);
    assert_int_equal(list[NOTABLES_MAX - 1].duration_ns, 1000 * MS);
    for (unsigned i = 0; i < NOTABLES_MAX; i++)
        look(state, &shop, T0 + 3700000, 200, 1 * MS);
    notables_slowest(*state, list);
    assert_int_equal(list[0].duration_ns, 1 * MS);
}

static void test_notables_hold_the_last_errors_with_their_request(void **state)
{
    look(state, &shop, T0, 200, 1);
    look(state, &shop, T0 + 1, 409, 1);
    look(state, &shop, T0 + 2, 500, 1);
    look(state, NULL, T0 + 3, 404, 1);
    look(state, NULL, T0 + 4, 503, 1);
    assert_int_equal(notables_errors(*state, list), 3);
    assert_int_equal(list[0].status, 503);
    assert_string_equal(list[1].request_id, "2");
    assert_int_equal(list[2].status, 409);
}

static void test_notables_do_not_drown_in_refusals(void **state)
{
    look(state, &shop, T0, 500, 1);
    for (unsigned i = 0; i < 1000; i++)
        look(state, &shop, T0 + 1, 429, 1);
    assert_int_equal(notables_errors(*state, list), 6);
    assert_int_equal(list[5].status, 500);
}

static void test_notables_leave_the_servers_own_pages_out(void **state)
{
    look(state, &own, T0, 500, 1000 * MS);
    assert_int_equal(notables_slowest(*state, list), 0);
    assert_int_equal(notables_errors(*state, list), 0);
}

#define CLAIM(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(test_notables_hold_the_slowest_of_many),
        CLAIM(test_notables_let_go_of_slow_ones_after_an_hour),
        CLAIM(test_notables_hold_the_last_errors_with_their_request),
        CLAIM(test_notables_do_not_drown_in_refusals),
        CLAIM(test_notables_leave_the_servers_own_pages_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
