/* What an address may send in all, whatever becomes of it. */
#include "tests/unit/gateway/gateway_fixture.h"

static void target_ok(struct request *request, struct response *response, void *arg)
{
    (void)request;
    (void)arg;
    response->status = 200;
}

static const struct rate_limit thrice = {.count = 3, .window_s = 60, .burst = 3, .by = RATE_BY_IP};

static void swap(struct fixture *f, struct rate_limit limit)
{
    struct route_spec routes[] = {
        {METHOD_GET, "/open", .target = target_ok},
        {METHOD_GET, "/closed", .signed_in = true, .target = target_ok},
    };
    struct plan_options options = {.routes = routes, .route_count = 2, .address_limit = limit};
    struct plan *plan;
    char why[200];
    assert_int_equal(plan_create(f->gateway, &options, &plan, why, sizeof why), ERR_OK);
    gateway_swap(f->gateway, plan);
}

static int setup(void **state)
{
    struct fixture *f = fixture_create();
    fixture_open_gateway(f, NULL, 0);
    swap(f, thrice);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture_destroy(*state);
    return 0;
}

static int get_from(struct fixture *f, const char *path, const char *address)
{
    struct call call;
    call_init(&call, METHOD_GET, path);
    call.request.network = slice_str(address);
    int status = call_send(&call, f);
    call_release(&call);
    return status;
}

static int get(struct fixture *f, const char *path)
{
    return get_from(f, path, "192.0.2.1");
}

/* What the front does before it refuses a request by itself. */
static bool front_may_refuse(struct fixture *f)
{
    struct call call;
    call_init(&call, METHOD_GET, "");
    call.request.started_ns = clock_mono_ns(&f->time.clock);
    bool over = gateway_over_limit(f->gateway, &call.request, &call.response);
    assert_int_equal(call.response.status, over ? 429 : 0);
    call_release(&call);
    return !over;
}

static void test_address_limit_counts_answers_of_every_kind(void **state)
{
    assert_int_equal(get(*state, "/open"), 200);
    assert_int_equal(get(*state, "/closed"), 401);
    assert_int_equal(get(*state, "/nowhere"), 404);
    assert_int_equal(get(*state, "/open"), 429);
    assert_int_equal(get(*state, "/nowhere"), 429);
}

static void test_address_limit_counts_what_the_front_refuses(void **state)
{
    for (int i = 0; i < 3; i++)
        assert_true(front_may_refuse(*state));
    assert_false(front_may_refuse(*state));
    assert_int_equal(get(*state, "/open"), 429);
}

static void test_address_limit_knows_addresses_apart(void **state)
{
    while (get(*state, "/open") != 429)
        continue;
    assert_int_equal(get_from(*state, "/open", "192.0.2.2"), 200);
}

static void test_address_limit_says_when_to_come_again_and_closes(void **state)
{
    struct fixture *f = *state;
    while (get(f, "/open") != 429)
        continue;
    struct call call;
    call_init(&call, METHOD_GET, "/open");
    assert_int_equal(call_send(&call, f), 429);
    assert_answer_header(&call, "Retry-After", "20");
    assert_answer_error(&call, "RATE_LIMITED");
    assert_true(call.response.close);
    call_release(&call);
    clock_fake_advance(&f->time, 20000);
    assert_int_equal(get(f, "/open"), 200);
}

static void test_address_limit_outlasts_a_plan_and_can_be_taken_away(void **state)
{
    while (get(*state, "/open") != 429)
        continue;
    swap(*state, thrice);
    assert_int_equal(get(*state, "/open"), 429);
    swap(*state, (struct rate_limit){0});
    assert_int_equal(get(*state, "/open"), 200);
}

static void test_address_limit_leaves_the_control_socket_alone(void **state)
{
    for (int i = 0; i < 5; i++) {
        struct call call;
        call_init(&call, METHOD_GET, "/open");
        call.request.local = true;
        assert_int_equal(call_send(&call, *state), 200);
        call_release(&call);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(test_address_limit_counts_answers_of_every_kind),
        CLAIM(test_address_limit_counts_what_the_front_refuses),
        CLAIM(test_address_limit_knows_addresses_apart),
        CLAIM(test_address_limit_says_when_to_come_again_and_closes),
        CLAIM(test_address_limit_outlasts_a_plan_and_can_be_taken_away),
        CLAIM(test_address_limit_leaves_the_control_socket_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
