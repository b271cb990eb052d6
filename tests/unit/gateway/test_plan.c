/* Plans take each other's place while requests run; what lasts knows nothing of it. */
#include "tests/unit/gateway/gateway_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

static void target_ok(struct request *request, struct response *response, void *arg)
{
    (void)request;
    (void)arg;
    response->status = 200;
}

static const struct rate_limit once = {.count = 1, .window_s = 60, .burst = 1, .by = RATE_BY_IP};

static int setup(void **state)
{
    struct fixture *f = fixture_create();
    fixture_open_gateway(f, NULL, 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture_destroy(*state);
    return 0;
}

static int get(struct fixture *f, const char *path)
{
    struct call call;
    call_init(&call, METHOD_GET, path);
    int status = call_send(&call, f);
    call_release(&call);
    return status;
}

static unsigned plans(struct fixture *f)
{
    return gateway_plans(f->gateway);
}

static void swap(struct fixture *f, struct route_spec route)
{
    fixture_swap(f, &route, 1);
}

/* ---- Routes */

static void test_plan_of_a_new_gateway_has_no_routes(void **state)
{
    assert_int_equal(get(*state, "/"), 404);
}

static void test_plan_swapped_in_brings_and_takes_routes(void **state)
{
    struct fixture *f = *state;
    swap(f, (struct route_spec){METHOD_GET, "/old", .target = target_ok});
    assert_int_equal(get(f, "/old"), 200);
    swap(f, (struct route_spec){METHOD_GET, "/new", .target = target_ok});
    assert_int_equal(get(f, "/old"), 404);
    assert_int_equal(get(f, "/new"), 200);
}

static void test_plan_that_is_wrong_changes_nothing(void **state)
{
    struct fixture *f = *state;
    swap(f, (struct route_spec){METHOD_GET, "/old", .target = target_ok});
    struct route_spec wrong = {METHOD_GET, "no slash", .target = target_ok};
    struct plan *plan;
    char why[200];
    assert_int_equal(plan_create(f->gateway,
                                 &(struct plan_options){.routes = &wrong, .route_count = 1}, &plan,
                                 why, sizeof why),
                     ERR_VALIDATION);
    assert_null(plan);
    assert_int_equal(get(f, "/old"), 200);
    assert_int_equal(plans(f), 1);
}

static void test_plan_never_swapped_in_can_be_dropped(void **state)
{
    struct fixture *f = *state;
    struct route_spec route = {METHOD_GET, "/x", .target = target_ok};
    struct plan *plan;
    char why[200];
    assert_int_equal(plan_create(f->gateway,
                                 &(struct plan_options){.routes = &route, .route_count = 1}, &plan,
                                 why, sizeof why),
                     ERR_OK);
    plan_destroy(f->gateway, &plan);
    assert_null(plan);
    assert_int_equal(get(f, "/x"), 404);
}

/* ---- Holding */

/* Swaps while its own request runs, and says how many plans there are then. */
static void target_swap(struct request *request, struct response *response, void *arg)
{
    struct fixture *f = arg;
    swap(f, (struct route_spec){METHOD_GET, "/other", .target = target_ok});
    assert_string_equal(request->path.ptr, "/swap");
    buf_append_u64(&response->body, plans(f));
    response->status = 200;
}

static void test_plan_is_held_until_the_answer_was_sent(void **state)
{
    struct fixture *f = *state;
    swap(f, (struct route_spec){METHOD_GET, "/swap", .target = target_swap, .arg = f});
    assert_int_equal(plans(f), 1);
    struct call call;
    call_init(&call, METHOD_GET, "/swap");
    assert_int_equal(call_send(&call, f), 200);
    assert_answer_body(&call, "2");
    call_release(&call);
    assert_int_equal(plans(f), 1);
}

/* ---- What lasts */

static void test_plan_keeps_the_counts_of_a_limit_of_the_same_name(void **state)
{
    struct fixture *f = *state;
    struct route_spec route = {METHOD_GET, "/a", .limit = once, .limit_name = "first",
                               .target = target_ok};
    swap(f, route);
    assert_int_equal(get(f, "/a"), 200);
    assert_int_equal(get(f, "/a"), 429);
    const struct route_spec moved[] = {
        {METHOD_GET, "/b", .limit = once, .limit_name = "second", .target = target_ok}, route};
    fixture_swap(f, moved, 2);
    assert_int_equal(get(f, "/a"), 429);
    assert_int_equal(get(f, "/b"), 200);
}

static void test_plan_limits_of_other_names_begin_anew(void **state)
{
    struct fixture *f = *state;
    struct route_spec route = {METHOD_GET, "/a", .limit = once, .limit_name = "first",
                               .target = target_ok};
    swap(f, route);
    assert_int_equal(get(f, "/a"), 200);
    route.limit_name = "other";
    swap(f, route);
    assert_int_equal(get(f, "/a"), 200);
    assert_int_equal(get(f, "/a"), 429);
}

static void assert_metrics_have(struct fixture *f, const char *line)
{
    struct buf text = BUF_INIT;
    gateway_metrics(f->gateway, &text);
    buf_append_char(&text, '\0');
    if (!strstr(text.data, line))
        fail_msg("no %s in\n%s", line, text.data);
    buf_release(&text);
}

static void test_plan_goes_on_counting_the_traffic_of_a_route(void **state)
{
    struct fixture *f = *state;
    struct route_spec route = {METHOD_GET, "/a", .target = target_ok};
    swap(f, route);
    get(f, "/a");
    const struct route_spec moved[] = {{METHOD_GET, "/b", .target = target_ok}, route};
    fixture_swap(f, moved, 2);
    get(f, "/a");
    get(f, "/b");
    assert_metrics_have(f, "galley_http_requests_total{route=\"/a\",method=\"GET\","
                           "code=\"200\"} 2\n");
    assert_metrics_have(f, "galley_http_requests_total{route=\"/b\",method=\"GET\","
                           "code=\"200\"} 1\n");
}

static void test_plan_keeps_the_traffic_of_routes_that_are_gone(void **state)
{
    struct fixture *f = *state;
    swap(f, (struct route_spec){METHOD_GET, "/gone", .target = target_ok});
    get(f, "/gone");
    fixture_swap(f, NULL, 0);
    get(f, "/gone");
    assert_metrics_have(f, "galley_http_requests_total{route=\"/gone\",method=\"GET\","
                           "code=\"200\"} 1\n");
    assert_metrics_have(f, "galley_http_requests_total{route=\"unmatched\",method=\"GET\","
                           "code=\"404\"} 1\n");
}

/* ---- Under fire */

#define ASKERS 4
#define SWAPS  500

struct fire {
    struct fixture *fixture;
    atomic_bool over;
    atomic_uint asked;
};

/* Looks at what its plan alone owns. */
static void target_look(struct request *request, struct response *response, void *arg)
{
    (void)arg;
    assert_string_equal(request_param(request, "id").ptr, "17");
    response->status = 200;
}

static void *ask(void *arg)
{
    struct fire *fire = arg;
    while (!fire->over) {
        assert_int_equal(get(fire->fixture, "/things/17"), 200);
        fire->asked++;
    }
    return NULL;
}

static void test_plan_swaps_under_fire_lose_no_request(void **state)
{
    struct fire fire = {.fixture = *state};
    const struct rate_limit limit = {.count = 1000000, .window_s = 1, .burst = 1000000};
    struct route_spec route = {METHOD_GET, "/things/{id}", .limit = limit, .limit_name = "x",
                               .target = target_look};
    swap(fire.fixture, route);
    pthread_t threads[ASKERS];
    for (unsigned i = 0; i < ASKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask, &fire), 0);
    for (unsigned i = 0; i < SWAPS || fire.asked < SWAPS; i++)
        swap(fire.fixture, route);
    fire.over = true;
    for (unsigned i = 0; i < ASKERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(plans(fire.fixture), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(test_plan_of_a_new_gateway_has_no_routes),
        CLAIM(test_plan_swapped_in_brings_and_takes_routes),
        CLAIM(test_plan_that_is_wrong_changes_nothing),
        CLAIM(test_plan_never_swapped_in_can_be_dropped),
        CLAIM(test_plan_is_held_until_the_answer_was_sent),
        CLAIM(test_plan_keeps_the_counts_of_a_limit_of_the_same_name),
        CLAIM(test_plan_limits_of_other_names_begin_anew),
        CLAIM(test_plan_goes_on_counting_the_traffic_of_a_route),
        CLAIM(test_plan_keeps_the_traffic_of_routes_that_are_gone),
        CLAIM(test_plan_swaps_under_fire_lose_no_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
