#include "server/balance/balancer.h"

#include "tests/unit/balance/balance_fixture.h"

/* Requests that wait, and how often each was woken. */
struct guest {
    struct balancer_request request;
    struct balancer_server *server;
    unsigned woken;
};

static void wake(struct balancer_waiter *waiter)
{
    struct balancer_request *request =
        (struct balancer_request *)((char *)waiter - offsetof(struct balancer_request, waiter));
    ((struct guest *)((char *)request - offsetof(struct guest, request)))->woken++;
}

static struct guest guest(uint64_t client)
{
    return (struct guest){.request = {.client = client, .waiter = {.wake = wake}}};
}

static struct balancer *create(unsigned requests_max, unsigned max_conns, unsigned queue_max)
{
    struct balancer_server_spec server = server_spec("a");
    struct balancer_settings settings = defaults();
    server.max_conns = max_conns;
    settings.servers = &server;
    settings.server_count = 1;
    settings.requests_max = requests_max;
    settings.queue_max = queue_max;
    settings.client_max = 3;
    return balancer_create(&settings, START);
}

static void expect_enter(struct balancer *balancer, struct guest *guest,
                         enum balancer_verdict verdict)
{
    assert_int_equal(balancer_enter(balancer, &guest->request, START), verdict);
}

static void expect_pick(struct balancer *balancer, struct guest *guest,
                        enum balancer_verdict verdict)
{
    bool again;
    assert_int_equal(balancer_pick(balancer, &guest->request, START, &guest->server, &again),
                     verdict);
}

static void leave(struct balancer *balancer, struct guest *guest)
{
    if (guest->server)
        balancer_ended(balancer, guest->server, BALANCER_ANSWERED, MS, START);
    balancer_leave(balancer, &guest->request, BALANCER_ANSWERED, START);
}

static void test_queue_is_first_come_first_served(void **state)
{
    (void)state;
    struct balancer *balancer = create(1, 0, 2);
    struct guest in = guest(0), first = guest(0), second = guest(0), third = guest(0);
    expect_enter(balancer, &in, BALANCER_OK);
    expect_enter(balancer, &first, BALANCER_WAIT);
    expect_enter(balancer, &second, BALANCER_WAIT);
    expect_enter(balancer, &third, BALANCER_FULL);
    leave(balancer, &in);
    assert_int_equal(first.woken, 1);
    assert_int_equal(second.woken, 0);
    expect_enter(balancer, &third, BALANCER_WAIT); /* behind the second, though a place is free */
    expect_enter(balancer, &first, BALANCER_OK);
    leave(balancer, &first);
    expect_enter(balancer, &second, BALANCER_OK);
    leave(balancer, &second);
    expect_enter(balancer, &third, BALANCER_OK);
    leave(balancer, &third);
    balancer_destroy(&balancer);
}

static void test_queue_without_a_bell_says_that_one_is_needed(void **state)
{
    (void)state;
    struct balancer *balancer = create(1, 0, 1);
    struct guest in = guest(0), out = guest(0);
    expect_enter(balancer, &in, BALANCER_OK);
    out.request.waiter.wake = NULL;
    expect_enter(balancer, &out, BALANCER_WAIT);
    leave(balancer, &in); /* wakes nobody */
    expect_enter(balancer, &out, BALANCER_OK);
    leave(balancer, &out);
    balancer_destroy(&balancer);
}

static void test_queue_who_is_called_and_leaves_calls_the_next(void **state)
{
    (void)state;
    struct balancer *balancer = create(1, 0, 3);
    struct guest in = guest(7), first = guest(7), second = guest(0);
    expect_enter(balancer, &in, BALANCER_OK);
    expect_enter(balancer, &first, BALANCER_WAIT);
    expect_enter(balancer, &second, BALANCER_WAIT);
    leave(balancer, &in);
    balancer_unwait(balancer, &first.request, false);
    assert_int_equal(second.woken, 1);
    balancer_unwait(balancer, &second.request, true);
    struct balancer_figures figures;
    balancer_figures(balancer, START, &figures);
    assert_int_equal(figures.queued, 0);
    assert_int_equal(figures.waited, 2);
    assert_int_equal(figures.waited_late, 1);
    balancer_destroy(&balancer);
}

static void test_queue_who_was_quicker_costs_nobody_his_place(void **state)
{
    (void)state;
    struct balancer *balancer = create(1, 0, 3);
    struct guest in = guest(0), first = guest(0), second = guest(0), quick = guest(0);
    expect_enter(balancer, &in, BALANCER_OK);
    expect_enter(balancer, &first, BALANCER_WAIT);
    leave(balancer, &in);
    expect_enter(balancer, &quick, BALANCER_OK); /* before the one that was called looks */
    expect_enter(balancer, &second, BALANCER_WAIT);
    expect_enter(balancer, &first, BALANCER_WAIT);
    leave(balancer, &quick);
    assert_int_equal(first.woken, 2);
    assert_int_equal(second.woken, 0);
    expect_enter(balancer, &first, BALANCER_OK);
    leave(balancer, &first);
    expect_enter(balancer, &second, BALANCER_OK);
    leave(balancer, &second);
    balancer_destroy(&balancer);
}

static void test_queue_a_server_that_is_full_is_waited_for(void **state)
{
    (void)state;
    struct balancer *balancer = create(10, 1, 2);
    struct guest in = guest(0), first = guest(0), second = guest(0), third = guest(0);
    struct guest *all[] = {&in, &first, &second, &third};
    for (unsigned i = 0; i < 4; i++)
        expect_enter(balancer, all[i], BALANCER_OK);
    expect_pick(balancer, &in, BALANCER_OK);
    expect_pick(balancer, &first, BALANCER_WAIT);
    expect_pick(balancer, &second, BALANCER_WAIT);
    expect_pick(balancer, &third, BALANCER_FULL);
    leave(balancer, &third);
    leave(balancer, &in);
    assert_int_equal(first.woken, 1);
    expect_pick(balancer, &first, BALANCER_OK);
    leave(balancer, &first);
    assert_int_equal(second.woken, 1);
    balancer_drain(balancer, "a", true, START);
    expect_pick(balancer, &second, BALANCER_NONE);
    balancer_unwait(balancer, &second.request, false);
    leave(balancer, &second);
    balancer_destroy(&balancer);
}

static void test_hedge_asks_whoever_is_well_and_untried_within_the_budget(void **state)
{
    (void)state;
    struct balancer_server_spec servers[] = {server_spec("a"), server_spec("b"), server_spec("c")};
    struct balancer_settings settings = defaults();
    settings.servers = servers;
    settings.server_count = 3;
    settings.retry_percent = 0;
    struct balancer *balancer = balancer_create(&settings, START);
    struct guest one = guest(0);
    balancer_checked(balancer, "c", false, START);
    balancer_checked(balancer, "c", false, START);
    balancer_checked(balancer, "c", false, START);
    expect_enter(balancer, &one, BALANCER_OK);
    expect_pick(balancer, &one, BALANCER_OK);
    struct balancer_server *other = balancer_hedge(balancer, &one.request, START);
    assert_non_null(other);
    assert_ptr_not_equal(other, one.server);
    assert_null(balancer_hedge(balancer, &one.request, START)); /* c is down */
    balancer_ended(balancer, other, BALANCER_ABANDONED, MS, START);
    leave(balancer, &one);
    for (unsigned i = 0; i < 3; i++) { /* three are always allowed, and one was */
        struct guest next = guest(0);
        expect_enter(balancer, &next, BALANCER_OK);
        expect_pick(balancer, &next, BALANCER_OK);
        other = balancer_hedge(balancer, &next.request, START);
        assert_true(!other == (i >= 2));
        if (other)
            balancer_ended(balancer, other, BALANCER_ABANDONED, MS, START);
        leave(balancer, &next);
    }
    balancer_destroy(&balancer);
}

static void test_share_bounds_what_one_client_has_and_waits_for(void **state)
{
    (void)state;
    struct balancer *balancer = create(2, 0, 10);
    struct guest mine[4] = {guest(1), guest(1), guest(1), guest(1)};
    struct guest other = guest(2);
    expect_enter(balancer, &mine[0], BALANCER_OK);
    expect_enter(balancer, &mine[1], BALANCER_OK);
    expect_enter(balancer, &mine[2], BALANCER_WAIT);
    expect_enter(balancer, &mine[3], BALANCER_MUCH);
    expect_enter(balancer, &other, BALANCER_WAIT);
    balancer_unwait(balancer, &mine[2].request, false);
    mine[2] = guest(1);
    expect_enter(balancer, &mine[2], BALANCER_WAIT); /* what waited in vain counts no more */
    expect_enter(balancer, &mine[3], BALANCER_MUCH);
    balancer_streams(balancer, &mine[0].request); /* nor what streams */
    assert_int_equal(other.woken, 1);
    expect_enter(balancer, &mine[3], BALANCER_WAIT);
    balancer_unwait(balancer, &mine[3].request, false);
    balancer_unwait(balancer, &mine[2].request, false);
    balancer_unwait(balancer, &other.request, false);
    leave(balancer, &mine[0]);
    leave(balancer, &mine[1]);
    balancer_destroy(&balancer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queue_is_first_come_first_served),
        cmocka_unit_test(test_queue_without_a_bell_says_that_one_is_needed),
        cmocka_unit_test(test_queue_who_is_called_and_leaves_calls_the_next),
        cmocka_unit_test(test_queue_who_was_quicker_costs_nobody_his_place),
        cmocka_unit_test(test_queue_a_server_that_is_full_is_waited_for),
        cmocka_unit_test(test_hedge_asks_whoever_is_well_and_untried_within_the_budget),
        cmocka_unit_test(test_share_bounds_what_one_client_has_and_waits_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
