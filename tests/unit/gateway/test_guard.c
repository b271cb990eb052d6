/* Who gets to see what operates the server, where, and under which name. */
#include "tests/unit/gateway/gateway_fixture.h"

static void target_ok(struct request *request, struct response *response, void *arg)
{
    (void)request;
    (void)arg;
    response->status = 200;
}

static const struct route_spec routes[] = {
    {METHOD_GET, "/all", .target = target_ok},
    {METHOD_GET, "/public", .reach = REACH_PUBLIC, .target = target_ok},
    {METHOD_GET, "/figures", .reach = REACH_ADMIN, .target = target_ok},
    {METHOD_GET, "/pages", .reach = REACH_ADMIN, .known_host = true, .target = target_ok},
};

/* A plan that lets `allow` in, under the host "Admin.Example.org", and listens for the
 * administration at a place of its own if that is not 0. */
static void guard(struct fixture *f, const char *allow, unsigned listener)
{
    static const char *const hosts[] = {"Admin.Example.org"};
    char why[200] = "";
    struct plan *plan;
    struct plan_options options = {
        .routes = routes,
        .route_count = sizeof routes / sizeof *routes,
        .guard = {.hosts = hosts, .host_count = 1, .listener = listener},
    };
    assert_true(cidr_list_parse(&options.guard.allow, slice_str(allow), why, sizeof why));
    assert_int_equal(plan_create(f->gateway, &options, &plan, why, sizeof why), ERR_OK);
    gateway_swap(f->gateway, plan);
}

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

/* What is asked for; NULL: 127.0.0.1, no Host. */
struct asked {
    const char *path, *address, *host;
    unsigned listener;
};

static int ask(struct fixture *f, struct asked asked)
{
    struct call call;
    call_init(&call, METHOD_GET, asked.path);
    call.request.address = slice_str(asked.address ? asked.address : "127.0.0.1");
    call.request.listener = asked.listener;
    if (asked.host)
        call_header(&call, "Host", asked.host);
    int status = call_send(&call, f);
    call_release(&call);
    return status;
}

/* ---- From where */

static void test_guard_lets_only_the_networks_in_that_are_allowed(void **state)
{
    struct fixture *f = *state;
    guard(f, "127.0.0.0/8, fd00::/8", 0);
    assert_int_equal(ask(f, (struct asked){"/figures", .address = "127.0.0.1"}), 200);
    assert_int_equal(ask(f, (struct asked){"/figures", .address = "fd00::1"}), 200);
    assert_int_equal(ask(f, (struct asked){"/figures", .address = "192.0.2.1"}), 403);
    assert_int_equal(ask(f, (struct asked){"/figures", .address = "2001:db8::1"}), 403);
    assert_int_equal(ask(f, (struct asked){"/public", .address = "192.0.2.1"}), 200);
    assert_int_equal(ask(f, (struct asked){"/all", .address = "192.0.2.1"}), 200);
}

static void test_guard_takes_a_unix_socket_for_this_machine(void **state)
{
    struct fixture *f = *state;
    guard(f, "loopback", 0);
    assert_int_equal(ask(f, (struct asked){"/figures", .address = "local"}), 200);
    guard(f, "10.0.0.0/8", 0);
    assert_int_equal(ask(f, (struct asked){"/figures", .address = "local"}), 403);
}

static void test_guard_lets_the_control_socket_in_always(void **state)
{
    struct fixture *f = *state;
    guard(f, "10.0.0.0/8", 3);
    struct call call;
    call_init(&call, METHOD_GET, "/pages");
    call.request.local = true;
    call_header(&call, "Host", "wherever.example");
    assert_int_equal(call_send(&call, f), 200);
    call_release(&call);
}

static void test_guard_refuses_what_an_untrusted_proxy_has_handed_on(void **state)
{
    struct fixture *f = *state;
    guard(f, "loopback", 0);
    static const char *const names[] = {"X-Forwarded-For", "Forwarded"};
    for (unsigned i = 0; i < 2; i++) {
        struct call call;
        call_init(&call, METHOD_GET, "/figures");
        call.request.address = slice_str("127.0.0.1");
        call_header(&call, names[i], "for=127.0.0.1");
        assert_int_equal(call_send(&call, f), 403);
        call_release(&call);
        call.request.peer_trusted = true; /* and what it says has become the address */
        assert_int_equal(call_send(&call, f), 200);
        call_release(&call);
    }
}

/* ---- Under which name */

static void test_guard_answers_pages_under_names_that_are_known(void **state)
{
    static const char *const good[] = {"localhost",          "LOCALHOST:8080",
                                       "galley.localhost",   "127.0.0.1:80",
                                       "192.0.2.7",          "[::1]:8080",
                                       "admin.example.org",  "ADMIN.example.org:443",
                                       "admin.example.org.", NULL};
    struct fixture *f = *state;
    guard(f, "loopback", 0);
    for (unsigned i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_int_equal(ask(f, (struct asked){"/pages", .host = good[i]}), 200);
}

static void test_guard_refuses_pages_under_other_names(void **state)
{
    static const char *const bad[] = {"evil.example",
                                      "example.org",
                                      "notlocalhost",
                                      "localhost.evil",
                                      "xadmin.example.org",
                                      "127.0.0.1.evil.example",
                                      ""};
    struct fixture *f = *state;
    guard(f, "loopback", 0);
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(ask(f, (struct asked){"/pages", .host = bad[i]}), 421);
        assert_int_equal(ask(f, (struct asked){"/figures", .host = bad[i]}), 200);
        assert_int_equal(ask(f, (struct asked){"/public", .host = bad[i]}), 200);
    }
}

static void test_guard_believes_a_trusted_proxy_about_the_name(void **state)
{
    struct fixture *f = *state;
    guard(f, "loopback", 0);
    struct call call;
    call_init(&call, METHOD_GET, "/pages");
    call.request.address = slice_str("127.0.0.1");
    call.request.forwarded_host = slice_str("evil.example");
    call_header(&call, "Host", "localhost");
    assert_int_equal(call_send(&call, f), 421);
    call_release(&call);
}

/* ---- On which listener */

static void test_guard_keeps_the_administration_to_its_own_listener(void **state)
{
    struct fixture *f = *state;
    guard(f, "loopback", 2);
    assert_int_equal(ask(f, (struct asked){"/figures", .listener = 0}), 404);
    assert_int_equal(ask(f, (struct asked){"/pages", .listener = 1}), 404);
    assert_int_equal(ask(f, (struct asked){"/figures", .listener = 2}), 200);
    assert_int_equal(ask(f, (struct asked){"/pages", .listener = 2}), 200);
}

static void test_guard_serves_nothing_public_on_the_administrations_listener(void **state)
{
    struct fixture *f = *state;
    guard(f, "loopback", 2);
    assert_int_equal(ask(f, (struct asked){"/public", .listener = 2}), 404);
    assert_int_equal(ask(f, (struct asked){"/public", .listener = 1}), 200);
    assert_int_equal(ask(f, (struct asked){"/all", .listener = 2}), 200);
    assert_int_equal(ask(f, (struct asked){"/all", .listener = 0}), 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(test_guard_lets_only_the_networks_in_that_are_allowed),
        CLAIM(test_guard_takes_a_unix_socket_for_this_machine),
        CLAIM(test_guard_lets_the_control_socket_in_always),
        CLAIM(test_guard_refuses_what_an_untrusted_proxy_has_handed_on),
        CLAIM(test_guard_answers_pages_under_names_that_are_known),
        CLAIM(test_guard_refuses_pages_under_other_names),
        CLAIM(test_guard_believes_a_trusted_proxy_about_the_name),
        CLAIM(test_guard_keeps_the_administration_to_its_own_listener),
        CLAIM(test_guard_serves_nothing_public_on_the_administrations_listener),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
