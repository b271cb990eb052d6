/* Simultaneous misses wait for one request. */
#include "response_cache_fixture.h"

/* ---- Waiting for another */

static struct call *resumed[8];
static unsigned resumed_count;

static void note_resumed(struct request *request)
{
    request->awaiting = false;
    resumed[resumed_count++] = (struct call *)((char *)request - offsetof(struct call, request));
}

/* Leaves the answer for later. */
static void wait_for_it(struct request *request, struct response *response, void *arg)
{
    (void)arg;
    if (!request->awaited) {
        request->awaited = request;
        request_await(request);
        return;
    }
    request->awaited = NULL;
    answer(request, response, NULL);
}

static void begin_call(struct fixture *f, struct call *call, const char *name, const char *value)
{
    call_init(call, METHOD_GET, "/a");
    call->request.resume = note_resumed;
    if (name)
        call_header(call, name, value);
    gateway_handle(f->gateway, &call->request, &call->response);
}

static void end_call(struct fixture *f, struct call *call)
{
    const struct sent sent = {0};
    call->request.awaiting = false;
    gateway_handle(f->gateway, &call->request, &call->response);
    assert_false(call->request.awaiting);
    gateway_sent(f->gateway, &call->request, &call->response, &sent);
}

static void use_slow_origin(struct fixture *f)
{
    static const struct route_spec routes[] = {
        {METHOD_GET, "/a", .cache = {.enabled = true}, .target = wait_for_it}};
    fixture_swap(f, routes, 1);
    resumed_count = 0;
}

static void test_simultaneous_misses_are_one_request(void **state)
{
    struct fixture *f = *state;
    struct call first, others[3];
    use_slow_origin(f);
    begin_call(f, &first, NULL, NULL);
    for (int i = 0; i < 3; i++) {
        begin_call(f, &others[i], NULL, NULL);
        assert_true(others[i].request.awaiting);
    }
    end_call(f, &first);
    assert_int_equal(resumed_count, 3);
    for (int i = 0; i < 3; i++) {
        end_call(f, &others[i]);
        assert_answer_header(&others[i], "Cache-Status", "galley; fwd=uri-miss; collapsed; ttl=60");
        assert_true(slice_is(response_bytes(&others[i].response), "body"));
        call_release(&others[i]);
    }
    call_release(&first);
    assert_int_equal(origin.asked, 1);
}

static void test_those_who_wait_for_another_variant_send_one_request_more(void **state)
{
    struct fixture *f = *state;
    struct call first, same, other, third;
    use_slow_origin(f);
    origin.headers = "Cache-Control: max-age=60\r\nVary: Foo\r\n";
    begin_call(f, &first, "Foo", "1");
    begin_call(f, &same, "Foo", "1");
    begin_call(f, &other, "Foo", "2");
    begin_call(f, &third, "Foo", "2");
    end_call(f, &first);
    assert_int_equal(resumed_count, 3);
    end_call(f, &same);
    assert_int_equal(origin.asked, 1);
    other.request.awaiting = third.request.awaiting = false;
    gateway_handle(f->gateway, &other.request, &other.response); /* goes */
    gateway_handle(f->gateway, &third.request, &third.response); /* waits for it */
    assert_int_equal(resumed_count, 3);
    end_call(f, &other);
    assert_int_equal(resumed_count, 4);
    end_call(f, &third);
    assert_int_equal(origin.asked, 2);
    call_release(&first);
    call_release(&same);
    call_release(&other);
    call_release(&third);
}

static void test_who_has_waited_for_nothing_goes_alone(void **state)
{
    struct fixture *f = *state;
    struct call first, second, third;
    use_slow_origin(f);
    origin.headers = "Cache-Control: no-store\r\n";
    begin_call(f, &first, NULL, NULL);
    begin_call(f, &second, NULL, NULL);
    begin_call(f, &third, NULL, NULL);
    end_call(f, &first);
    second.request.awaiting = third.request.awaiting = false;
    gateway_handle(f->gateway, &second.request, &second.response);
    gateway_handle(f->gateway, &third.request, &third.response);
    assert_int_equal(resumed_count, 2); /* side by side */
    end_call(f, &second);
    end_call(f, &third);
    assert_int_equal(origin.asked, 3);
    call_release(&first);
    call_release(&second);
    call_release(&third);
}

static void test_nobody_waits_long_for_one_that_streams(void **state)
{
    struct fixture *f = *state;
    struct call first, second, third;
    use_slow_origin(f);
    origin.streams = true;
    begin_call(f, &first, NULL, NULL);
    begin_call(f, &second, NULL, NULL);
    end_call(f, &first); /* it begins to stream, and its client takes nothing */
    gateway_wake_waiting(f->gateway);
    assert_int_equal(resumed_count, 0);
    clock_fake_advance(&f->time, 2000);
    gateway_wake_waiting(f->gateway);
    assert_int_equal(resumed_count, 1);
    second.request.awaiting = false;
    gateway_handle(f->gateway, &second.request, &second.response);
    begin_call(f, &third, NULL, NULL); /* nor does who comes later */
    assert_int_equal(resumed_count, 1);
    end_call(f, &second);
    end_call(f, &third);
    assert_int_equal(origin.asked, 3);
    call_release(&first);
    call_release(&second);
    call_release(&third);
}

static void test_a_part_of_an_answer_that_others_wait_for_waits_for_nobody(void **state)
{
    struct fixture *f = *state;
    struct call whole, part, other;
    use_slow_origin(f);
    begin_call(f, &whole, NULL, NULL);
    call_init(&part, METHOD_GET, "/a");
    part.request = whole.request; /* as compose makes one */
    part.request.depth = 1;
    part.request.route = NULL;
    part.request.plan = NULL;
    part.request.exchange = NULL;
    part.request.awaited = NULL;
    part.request.awaiting = false;
    gateway_handle(f->gateway, &part.request, &part.response);
    assert_ptr_equal(part.request.awaited, &part.request); /* the target has it */
    begin_call(f, &other, NULL, NULL);
    assert_null(other.request.awaited);
    end_call(f, &part);
    end_call(f, &whole);
    end_call(f, &other);
    assert_int_equal(origin.asked, 2);
    call_release(&whole);
    call_release(&part);
    call_release(&other);
}

static void test_who_leads_and_goes_lets_another_lead(void **state)
{
    struct fixture *f = *state;
    struct call first, second;
    const struct sent sent = {0};
    use_slow_origin(f);
    begin_call(f, &first, NULL, NULL);
    begin_call(f, &second, NULL, NULL);
    first.request.awaited = NULL;
    response_error(&first.response, &first.request, ERR_DRAINING, NULL, NULL, NULL);
    gateway_sent(f->gateway, &first.request, &first.response, &sent);
    assert_int_equal(resumed_count, 1);
    second.request.awaiting = false;
    gateway_handle(f->gateway, &second.request, &second.response);
    end_call(f, &second);
    assert_int_equal(second.response.status, 200);
    call_release(&first);
    call_release(&second);
}

static void test_an_answer_that_was_asked_for_before_a_change_is_not_stored(void **state)
{
    struct fixture *f = *state;
    struct call slow, change;
    static const struct route_spec routes[] = {
        {METHOD_GET, "/a", .cache = {.enabled = true}, .target = wait_for_it},
        {METHOD_POST, "/a", .target = answer}};
    fixture_swap(f, routes, 2);
    begin_call(f, &slow, NULL, NULL);
    call_init(&change, METHOD_POST, "/a");
    assert_int_equal(call_send(&change, f), 200);
    end_call(f, &slow);
    assert_answer_header(&slow, "Cache-Status", "galley; fwd=uri-miss");
    call_release(&slow);
    call_release(&change);
}

static void test_what_is_confirmed_after_a_change_is_not_stored(void **state)
{
    struct fixture *f = *state;
    struct call slow, change;
    static const struct route_spec routes[] = {
        {METHOD_GET, "/a", .cache = {.enabled = true}, .target = wait_for_it},
        {METHOD_POST, "/a", .target = answer}};
    origin.headers = "Cache-Control: max-age=60\r\nETag: \"1\"\r\n";
    assert_get(f, "/a", NULL, NULL, 200, "body", "galley; fwd=uri-miss; stored");
    clock_fake_advance(&f->time, 60000);
    fixture_swap(f, routes, 2);
    begin_call(f, &slow, NULL, NULL);
    call_init(&change, METHOD_POST, "/a");
    assert_int_equal(call_send(&change, f), 200);
    origin.status = 304;
    origin.body = "";
    end_call(f, &slow);
    assert_int_equal(slow.response.status, 200);
    assert_answer_header(&slow, "Cache-Status", "galley; fwd=stale; fwd-status=304; ttl=60");
    call_release(&slow);
    call_release(&change);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(test_simultaneous_misses_are_one_request),
        CLAIM(test_those_who_wait_for_another_variant_send_one_request_more),
        CLAIM(test_who_has_waited_for_nothing_goes_alone),
        CLAIM(test_nobody_waits_long_for_one_that_streams),
        CLAIM(test_a_part_of_an_answer_that_others_wait_for_waits_for_nobody),
        CLAIM(test_who_leads_and_goes_lets_another_lead),
        CLAIM(test_an_answer_that_was_asked_for_before_a_change_is_not_stored),
        CLAIM(test_what_is_confirmed_after_a_change_is_not_stored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
