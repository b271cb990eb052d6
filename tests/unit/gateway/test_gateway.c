#include "gateway_fixture.h"

/* ---- Targets. */

static void answer_text(struct response *response, struct slice text)
{
    buf_append_slice(&response->body, text);
    response->status = 200;
}

static void target_hello(struct request *request, struct response *response, void *arg)
{
    (void)request;
    answer_text(response, slice_str(arg));
}

static void target_user(struct request *request, struct response *response, void *arg)
{
    (void)arg;
    answer_text(response, slice_str(request->user.id));
}

static void target_id(struct request *request, struct response *response, void *arg)
{
    (void)arg;
    answer_text(response, slice_str(request->id));
}

static void target_param(struct request *request, struct response *response, void *arg)
{
    answer_text(response, request_param(request, arg));
}

static void target_quantity(struct request *request, struct response *response, void *arg)
{
    (void)arg;
    buf_append_i64(&response->body, json_int(request->json, "qty", -1));
    response->status = 200;
}

static void target_broken(struct request *request, struct response *response, void *arg)
{
    (void)arg;
    response_error(response, request, ERR_INTERNAL, NULL, NULL, NULL);
}

/* ---- The gateway of these tests. */

static struct schema *schema;

static int setup(void **state)
{
    char why[200];
    struct fixture *f = fixture_create();
    schema = schema_compile("{\"type\":\"object\",\"required\":[\"qty\"],\"properties\":{\"qty\":"
                            "{\"type\":\"integer\",\"minimum\":1}}}",
                            why, sizeof why);
    assert_non_null(schema);
    const struct rate_limit by_ip = {.count = 60, .window_s = 60, .burst = 2, .by = RATE_BY_IP};
    const struct rate_limit by_user = {.count = 60, .window_s = 60, .burst = 2, .by = RATE_BY_USER};
    const struct route_spec routes[] = {
        {.method = METHOD_GET, .pattern = "/hello", .target = target_hello, .arg = "hello"},
        {.method = METHOD_GET, .pattern = "/me", .signed_in = true, .target = target_user},
        {.method = METHOD_GET, .pattern = "/who", .target = target_user},
        {.method = METHOD_GET, .pattern = "/id", .target = target_id},
        {.method = METHOD_GET, .pattern = "/things/{id}", .target = target_param, .arg = "id"},
        {.method = METHOD_PUT, .pattern = "/things/{id}", .target = target_param, .arg = "id"},
        {.method = METHOD_POST, .pattern = "/order", .schema = schema, .target = target_quantity},
        {.method = METHOD_GET,
         .pattern = "/limited",
         .limit = by_ip,
         .target = target_hello,
         .arg = ""},
        {.method = METHOD_GET,
         .pattern = "/mine",
         .signed_in = true,
         .limit = by_user,
         .limit_name = "mine",
         .target = target_user},
        {.method = METHOD_GET,
         .pattern = "/same-group",
         .limit = by_ip,
         .target = target_hello,
         .arg = ""},
        {.method = METHOD_GET,
         .pattern = "/broken",
         .limit = by_ip,
         .limit_name = "broken",
         .target = target_broken},
    };
    fixture_open_gateway(f, routes, sizeof routes / sizeof *routes);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture_destroy(*state);
    schema_destroy(&schema);
    return 0;
}

/* ---- Routes. */

static void test_gateway_leads_a_request_to_its_target(void **state)
{
    struct call call;
    call_init(&call, METHOD_GET, "/hello");
    assert_int_equal(call_send(&call, *state), 200);
    assert_answer_body(&call, "hello");
    call_release(&call);
}

static void test_gateway_hands_params_to_the_target(void **state)
{
    struct call call;
    call_init(&call, METHOD_PUT, "/things/a b");
    assert_int_equal(call_send(&call, *state), 200);
    assert_answer_body(&call, "a b");
    call_release(&call);
}

static void test_gateway_answers_404_when_no_path_matches(void **state)
{
    struct call call;
    call_init(&call, METHOD_GET, "/nothing");
    assert_int_equal(call_send(&call, *state), 404);
    assert_answer_error(&call, "NOT_FOUND");
    call_release(&call);
}

static void test_gateway_answers_405_with_allow_when_only_the_path_matches(void **state)
{
    struct call call;
    call_init(&call, METHOD_DELETE, "/things/7");
    assert_int_equal(call_send(&call, *state), 405);
    assert_answer_error(&call, "METHOD_NOT_ALLOWED");
    assert_answer_header(&call, "Allow", "GET, HEAD, PUT, OPTIONS");
    call_release(&call);
}

static void test_gateway_answers_options_with_allow(void **state)
{
    struct call call;
    call_init(&call, METHOD_OPTIONS, "/order");
    assert_int_equal(call_send(&call, *state), 204);
    assert_answer_header(&call, "Allow", "POST, OPTIONS");
    call_release(&call);
}

static void test_gateway_answers_head_by_the_route_of_get(void **state)
{
    struct call call;
    call_init(&call, METHOD_HEAD, "/hello");
    assert_int_equal(call_send(&call, *state), 200);
    call_release(&call);
    call_init(&call, METHOD_HEAD, "/order");
    assert_int_equal(call_send(&call, *state), 405);
    call_release(&call);
}

/* ---- Request ids. */

static void assert_request_id(void **state, bool trusted, const char *sent, const char *expected)
{
    struct call call;
    call_init(&call, METHOD_GET, "/id");
    call.request.peer_trusted = trusted;
    call_header(&call, "x-request-id", sent);
    call_send(&call, *state);
    assert_answer_body(&call, expected);
    call_release(&call);
}

#define SIXTY_FOUR "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789.-_xyz"

static void test_gateway_takes_a_request_id_from_a_trusted_peer(void **state)
{
    assert_request_id(state, true, "A", "A");
    assert_request_id(state, true, SIXTY_FOUR, SIXTY_FOUR);
}

static void test_gateway_keeps_its_own_request_id_when_the_one_sent_is_malformed(void **state)
{
    assert_request_id(state, true, "", "made-by-the-front");
    assert_request_id(state, true, "a b", "made-by-the-front");
    assert_request_id(state, true, "a\"b", "made-by-the-front");
    assert_request_id(state, true, SIXTY_FOUR "x", "made-by-the-front");
}

static void test_gateway_ignores_the_request_id_of_a_stranger(void **state)
{
    assert_request_id(state, false, "A", "made-by-the-front");
}

/* ---- Authentication. */

static void test_gateway_lets_a_valid_token_in_and_tells_its_user(void **state)
{
    struct fixture *f = *state;
    struct buf buffer = BUF_INIT;
    struct call call;
    call_init(&call, METHOD_GET, "/me");
    call_as_alice(&call, f, &buffer);
    assert_int_equal(call_send(&call, f), 200);
    assert_answer_body(&call, "alice");
    assert_int_equal(call.request.user.role_count, 1);
    call_release(&call);
    buf_release(&buffer);
}

static void test_gateway_reads_the_scheme_in_any_case(void **state)
{
    struct fixture *f = *state;
    struct buf buffer = BUF_INIT;
    struct call call;
    call_init(&call, METHOD_GET, "/me");
    call_as_alice(&call, f, &buffer);
    memcpy(buffer.data, "bEARER", 6);
    assert_int_equal(call_send(&call, f), 200);
    call_release(&call);
    buf_release(&buffer);
}

static void assert_challenged(void **state, const char *authorization, const char *challenge)
{
    struct call call;
    call_init(&call, METHOD_GET, "/me");
    if (authorization)
        call_header(&call, "Authorization", authorization);
    assert_int_equal(call_send(&call, *state), 401);
    assert_answer_error(&call, "UNAUTHENTICATED");
    assert_answer_header(&call, "WWW-Authenticate", challenge);
    assert_string_equal(call.request.user.id, "");
    call_release(&call);
}

static void test_gateway_challenges_a_request_without_bearer_token(void **state)
{
    assert_challenged(state, NULL, "Bearer realm=\"galley\"");
    assert_challenged(state, "", "Bearer realm=\"galley\"");
    assert_challenged(state, "Basic YWxpY2U6c2VjcmV0", "Bearer realm=\"galley\"");
    assert_challenged(state, "Bearertoken", "Bearer realm=\"galley\"");
}

static void test_gateway_challenges_an_invalid_token(void **state)
{
    const char *challenge = "Bearer realm=\"galley\", error=\"invalid_token\"";
    assert_challenged(state, "Bearer", challenge);
    assert_challenged(state, "Bearer ", challenge);
    assert_challenged(state, "Bearer e30.e30.e30", challenge);
}

static void test_gateway_refuses_two_authorization_headers(void **state)
{
    struct fixture *f = *state;
    struct buf buffer = BUF_INIT;
    struct call call;
    call_init(&call, METHOD_GET, "/me");
    call_as_alice(&call, f, &buffer);
    call_header(&call, "authorization", buffer.data);
    assert_int_equal(call_send(&call, f), 401);
    call_release(&call);
    buf_release(&buffer);
}

static void test_gateway_refuses_a_token_that_has_expired(void **state)
{
    struct fixture *f = *state;
    struct buf buffer = BUF_INIT;
    struct call call;
    clock_fake_advance(&f->time, 1001 * HOUR_MS);
    call_init(&call, METHOD_GET, "/me");
    call_as_alice(&call, f, &buffer);
    assert_int_equal(call_send(&call, f), 401);
    call_release(&call);
    buf_release(&buffer);
}

static void test_gateway_does_not_look_at_tokens_on_public_routes(void **state)
{
    struct call call;
    call_init(&call, METHOD_GET, "/who");
    call_header(&call, "Authorization", "Bearer nonsense");
    assert_int_equal(call_send(&call, *state), 200);
    assert_answer_body(&call, "");
    call_release(&call);
}

static void test_gateway_forgets_who_asked_before_on_the_same_connection(void **state)
{
    struct fixture *f = *state;
    struct buf buffer = BUF_INIT;
    struct call call;
    call_init(&call, METHOD_GET, "/me");
    call_as_alice(&call, f, &buffer);
    assert_int_equal(call_send(&call, f), 200);
    response_reset(&call.response);
    call.request.path = slice_str("/who");
    assert_int_equal(call_send(&call, f), 200);
    assert_answer_body(&call, "");
    call_release(&call);
    buf_release(&buffer);
}

/* ---- Rate limits. */

static int get(struct fixture *f, struct call *call, const char *path)
{
    call_init(call, METHOD_GET, path);
    return call_send(call, f);
}

static void test_gateway_tells_the_limit_on_every_answer(void **state)
{
    struct call call;
    assert_int_equal(get(*state, &call, "/limited"), 200);
    assert_answer_header(&call, "RateLimit-Policy", "\"default\";q=60;w=60");
    assert_answer_header(&call, "RateLimit", "\"default\";r=1;t=1");
    assert_no_answer_header(&call, "X-RateLimit-Limit");
    assert_no_answer_header(&call, "Retry-After");
    call_release(&call);
}

static void test_gateway_tells_the_limit_on_errors_too(void **state)
{
    struct call call;
    assert_int_equal(get(*state, &call, "/broken"), 500);
    assert_answer_header(&call, "RateLimit", "\"default\";r=1;t=1");
    call_release(&call);
}

static void test_gateway_tells_no_limit_where_there_is_none(void **state)
{
    struct call call;
    get(*state, &call, "/hello");
    assert_no_answer_header(&call, "RateLimit-Policy");
    call_release(&call);
}

static void test_gateway_answers_429_with_retry_after_over_the_limit(void **state)
{
    struct call call;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(get(*state, &call, "/limited"), 200);
        call_release(&call);
    }
    assert_int_equal(get(*state, &call, "/limited"), 429);
    assert_answer_error(&call, "RATE_LIMITED");
    assert_answer_header(&call, "Retry-After", "1");
    assert_answer_header(&call, "RateLimit", "\"default\";r=0;t=2");
    call_release(&call);
}

static void test_gateway_lets_in_again_after_retry_after(void **state)
{
    struct fixture *f = *state;
    struct call call;
    for (int i = 0; i < 3; i++) {
        get(f, &call, "/limited");
        call_release(&call);
    }
    clock_fake_advance(&f->time, 1000);
    assert_int_equal(get(f, &call, "/limited"), 200);
    call_release(&call);
}

static void test_gateway_limits_addresses_and_groups_apart(void **state)
{
    struct call call;
    for (int i = 0; i < 3; i++) {
        get(*state, &call, "/limited");
        call_release(&call);
    }
    assert_int_equal(get(*state, &call, "/broken"), 500);
    call_release(&call);
    call_init(&call, METHOD_GET, "/limited");
    call.request.address = call.request.network = slice_str("192.0.2.2");
    assert_int_equal(call_send(&call, *state), 200);
    call_release(&call);
}

static void test_gateway_limits_the_addresses_of_one_network_together(void **state)
{
    static const char *const addresses[] = {"2001:db8::1", "2001:db8::2", "2001:db8::3"};
    int last = 0;
    for (int i = 0; i < 3; i++) {
        struct call call;
        call_init(&call, METHOD_GET, "/limited");
        call.request.address = slice_str(addresses[i]);
        call.request.network = slice_str("2001:db8::/64");
        last = call_send(&call, *state);
        call_release(&call);
    }
    assert_int_equal(last, 429);
}

static void test_gateway_limits_routes_of_one_group_together(void **state)
{
    struct call call;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(get(*state, &call, "/limited"), 200);
        call_release(&call);
    }
    assert_int_equal(get(*state, &call, "/same-group"), 429);
    call_release(&call);
}

static void test_gateway_limits_a_user_across_addresses(void **state)
{
    static const char *const addresses[] = {"192.0.2.1", "192.0.2.2", "192.0.2.3"};
    struct fixture *f = *state;
    struct buf buffer = BUF_INIT;
    int last = 0;
    for (int i = 0; i < 3; i++) {
        struct call call;
        call_init(&call, METHOD_GET, "/mine");
        call_as_alice(&call, f, &buffer);
        call.request.address = call.request.network = slice_str(addresses[i]);
        last = call_send(&call, f);
        call_release(&call);
    }
    assert_int_equal(last, 429);
    buf_release(&buffer);
}

/* ---- Validation. */

static int post_order(void **state, struct call *call, const char *type, const char *body)
{
    call_init(call, METHOD_POST, "/order");
    if (type)
        call_header(call, "Content-Type", type);
    call->request.body = slice_str(body);
    return call_send(call, *state);
}

static void assert_order(void **state, const char *type, const char *body, int status)
{
    struct call call;
    assert_int_equal(post_order(state, &call, type, body), status);
    assert_null(call.request.json);
    call_release(&call);
}

static void test_gateway_hands_the_parsed_body_to_the_target(void **state)
{
    struct call call;
    assert_int_equal(post_order(state, &call, "application/json", "{\"qty\":7}"), 200);
    assert_answer_body(&call, "7");
    call_release(&call);
}

static void test_gateway_takes_json_by_its_media_type_alone(void **state)
{
    assert_order(state, "Application/JSON; charset=utf-8", "{\"qty\":1}", 200);
    assert_order(state, "application/vnd.example+json", "{\"qty\":1}", 200);
    assert_order(state, NULL, "{\"qty\":1}", 415);
    assert_order(state, "", "{\"qty\":1}", 415);
    assert_order(state, "text/plain", "{\"qty\":1}", 415);
    assert_order(state, "application/+json", "{\"qty\":1}", 415);
    assert_order(state, "application/jsonx", "{\"qty\":1}", 415);
    assert_order(state, "text/x+json", "{\"qty\":1}", 415);
}

static void test_gateway_answers_400_to_a_body_that_is_no_json(void **state)
{
    assert_order(state, "application/json", "", 400);
    assert_order(state, "application/json", "{", 400);
    assert_order(state, "application/json", "{\"qty\":1}x", 400);
    assert_order(state, "application/json", "{\"qty\":1,\"qty\":2}", 400);
}

static void test_gateway_answers_422_with_every_violation(void **state)
{
    struct call call;
    assert_int_equal(post_order(state, &call, "application/json", "{\"qty\":0}"), 422);
    assert_answer_error(&call, "VALIDATION_ERROR");
    json_t *json;
    assert_int_equal(json_read_trusted(buf_slice(&call.response.body), &json), ERR_OK);
    const json_t *details = json_object_get(json_object_get(json, "error"), "details");
    assert_int_equal(json_array_size(details), 1);
    assert_string_equal(json_str(json_array_get(details, 0), "field", ""), "qty");
    assert_string_equal(json_str(json_array_get(details, 0), "reason", ""), "minimum");
    json_decref(json);
    call_release(&call);
}

/* ---- Counting. */

static void test_gateway_counts_answers_by_class_and_duration(void **state)
{
    static struct gateway_stats stats;
    struct fixture *f = *state;
    struct call call;
    get(f, &call, "/hello");
    call_release(&call);
    get(f, &call, "/nothing");
    call_release(&call);
    get(f, &call, "/broken");
    call_release(&call);
    gateway_stats(f->gateway, &stats);
    assert_int_equal(stats.by_class[2], 1);
    assert_int_equal(stats.by_class[4], 1);
    assert_int_equal(stats.by_class[5], 1);
    assert_int_equal(stats.duration.count, 3);
}

static void test_gateway_counts_what_the_front_refused(void **state)
{
    static struct gateway_stats stats;
    struct fixture *f = *state;
    struct call call;
    call_init(&call, METHOD_GET, "");
    call.request.started_ns = clock_mono_ns(&f->time.clock);
    call.response.status = 431;
    gateway_sent(f->gateway, &call.request, &call.response, &(struct sent){0});
    gateway_stats(f->gateway, &stats);
    assert_int_equal(stats.by_class[4], 1);
    call_release(&call);
}

static void test_gateway_tells_metrics_by_pattern_never_by_path(void **state)
{
    struct fixture *f = *state;
    struct buf text = BUF_INIT;
    struct call call;
    get(f, &call, "/things/secret");
    call_release(&call);
    get(f, &call, "/unknown/path");
    call_release(&call);
    gateway_metrics(f->gateway, &text);
    buf_append_char(&text, '\0');
    assert_non_null(strstr(text.data, "galley_http_requests_total{route=\"/things/{id}\","
                                      "method=\"GET\",code=\"200\"} 1\n"));
    assert_non_null(strstr(text.data, "galley_http_requests_total{route=\"unmatched\","
                                      "method=\"GET\",code=\"404\"} 1\n"));
    assert_non_null(strstr(text.data, "galley_http_request_duration_seconds_count{"
                                      "route=\"/things/{id}\",method=\"GET\"} 1\n"));
    assert_null(strstr(text.data, "secret"));
    assert_null(strstr(text.data, "/unknown"));
    buf_release(&text);
}

static void test_gateway_refuses_a_plan_with_routes_that_clash(void **state)
{
    struct fixture *f = *state;
    const struct route_spec routes[] = {
        {.method = METHOD_GET, .pattern = "/x", .target = target_hello, .arg = ""},
        {.method = METHOD_GET, .pattern = "/x", .target = target_hello, .arg = ""},
    };
    struct plan_options options = {.routes = routes, .route_count = 2};
    struct plan *plan;
    char why[200];
    assert_int_equal(plan_create(f->gateway, &options, &plan, why, sizeof why), ERR_EXISTS);
    assert_null(plan);
    assert_string_equal(why, "two routes for GET /x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(test_gateway_leads_a_request_to_its_target),
        CLAIM(test_gateway_hands_params_to_the_target),
        CLAIM(test_gateway_answers_404_when_no_path_matches),
        CLAIM(test_gateway_answers_405_with_allow_when_only_the_path_matches),
        CLAIM(test_gateway_answers_options_with_allow),
        CLAIM(test_gateway_answers_head_by_the_route_of_get),
        CLAIM(test_gateway_takes_a_request_id_from_a_trusted_peer),
        CLAIM(test_gateway_keeps_its_own_request_id_when_the_one_sent_is_malformed),
        CLAIM(test_gateway_ignores_the_request_id_of_a_stranger),
        CLAIM(test_gateway_lets_a_valid_token_in_and_tells_its_user),
        CLAIM(test_gateway_reads_the_scheme_in_any_case),
        CLAIM(test_gateway_challenges_a_request_without_bearer_token),
        CLAIM(test_gateway_challenges_an_invalid_token),
        CLAIM(test_gateway_refuses_two_authorization_headers),
        CLAIM(test_gateway_refuses_a_token_that_has_expired),
        CLAIM(test_gateway_does_not_look_at_tokens_on_public_routes),
        CLAIM(test_gateway_forgets_who_asked_before_on_the_same_connection),
        CLAIM(test_gateway_tells_the_limit_on_every_answer),
        CLAIM(test_gateway_tells_the_limit_on_errors_too),
        CLAIM(test_gateway_tells_no_limit_where_there_is_none),
        CLAIM(test_gateway_answers_429_with_retry_after_over_the_limit),
        CLAIM(test_gateway_lets_in_again_after_retry_after),
        CLAIM(test_gateway_limits_addresses_and_groups_apart),
        CLAIM(test_gateway_limits_the_addresses_of_one_network_together),
        CLAIM(test_gateway_limits_routes_of_one_group_together),
        CLAIM(test_gateway_limits_a_user_across_addresses),
        CLAIM(test_gateway_hands_the_parsed_body_to_the_target),
        CLAIM(test_gateway_takes_json_by_its_media_type_alone),
        CLAIM(test_gateway_answers_400_to_a_body_that_is_no_json),
        CLAIM(test_gateway_answers_422_with_every_violation),
        CLAIM(test_gateway_counts_answers_by_class_and_duration),
        CLAIM(test_gateway_counts_what_the_front_refused),
        CLAIM(test_gateway_tells_metrics_by_pattern_never_by_path),
        CLAIM(test_gateway_refuses_a_plan_with_routes_that_clash),
    };
    return cmocka_run_group_tests_name("gateway", tests, NULL, NULL);
}
