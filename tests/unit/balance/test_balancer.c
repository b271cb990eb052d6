/* Who is chosen. */
#include "tests/unit/balance/balance_fixture.h"

/* Weights a, b, c of three servers of these names; 0: it is not there. */
static struct balancer *make(enum balancer_algorithm algorithm, unsigned a, unsigned b, unsigned c)
{
    const struct balancer_server_spec servers[] = {server_spec("a"), server_spec("b"),
                                                   server_spec("c")};
    const unsigned weights[] = {a, b, c};
    struct balancer_server_spec some[3];
    struct balancer_settings settings = defaults();
    settings.algorithm = algorithm;
    settings.servers = some;
    settings.requests_max = 10000;
    for (unsigned i = 0; i < 3; i++) {
        if (weights[i] == 0)
            continue;
        some[settings.server_count] = servers[i];
        some[settings.server_count++].weight = weights[i];
    }
    return balancer_create(&settings, START);
}

static void test_balancer_round_robin_is_smooth(void **state)
{
    (void)state;
    struct balancer *balancer = make(BALANCER_ROUND_ROBIN, 5, 1, 1);
    assert_string_equal(ask_all(balancer, 14, START), "aabacaaaabacaa"); /* nginx's own example */
    balancer_destroy(&balancer);
}

static void test_balancer_round_robin_keeps_to_the_weights(void **state)
{
    (void)state;
    struct balancer *balancer = make(BALANCER_ROUND_ROBIN, 3, 2, 1);
    const char *names = ask_all(balancer, 600, START);
    assert_int_equal(count_of(names, 'a'), 300);
    assert_int_equal(count_of(names, 'b'), 200);
    assert_int_equal(count_of(names, 'c'), 100);
    balancer_destroy(&balancer);
}

static void test_balancer_least_conn_goes_by_what_is_in_flight_for_the_weight(void **state)
{
    (void)state;
    struct balancer *balancer = make(BALANCER_LEAST_CONN, 2, 1, 0);
    struct going going[9];
    unsigned at_a = 0;
    for (unsigned i = 0; i < 9; i++) {
        going[i] = begin(balancer, START);
        at_a += balancer_server_name(going[i].server)[0] == 'a';
    }
    assert_int_equal(at_a, 6);
    for (unsigned i = 0; i < 9; i++)
        finish(balancer, &going[i], BALANCER_ANSWERED, START);
    balancer_destroy(&balancer);
}

static void test_balancer_least_conn_takes_turns_among_equals(void **state)
{
    (void)state;
    struct balancer *balancer = make(BALANCER_LEAST_CONN, 1, 1, 1);
    const char *names = ask_all(balancer, 300, START);
    assert_int_equal(count_of(names, 'a'), 100);
    assert_int_equal(count_of(names, 'b'), 100);
    balancer_destroy(&balancer);
}

static void test_balancer_random_prefers_the_idle_of_two(void **state)
{
    (void)state;
    struct balancer *balancer = make(BALANCER_RANDOM, 1, 1, 0);
    struct going busy = begin(balancer, START);
    char name = balancer_server_name(busy.server)[0];
    for (unsigned i = 0; i < 20; i++)
        assert_int_not_equal(ask(balancer, BALANCER_ANSWERED, START), name);
    finish(balancer, &busy, BALANCER_ANSWERED, START);
    balancer_destroy(&balancer);
}

static void test_balancer_random_keeps_to_the_weights_about(void **state)
{
    (void)state;
    struct balancer *balancer = make(BALANCER_RANDOM, 3, 1, 0);
    const char *names = ask_all(balancer, 800, START);
    assert_in_range(count_of(names, 'a'), 540, 660);
    balancer_destroy(&balancer);
}

static char server_of_hash(struct balancer *balancer, uint64_t hash)
{
    struct going going = begin_hashed(balancer, hash, START);
    char name = balancer_server_name(going.server)[0];
    finish(balancer, &going, BALANCER_ANSWERED, START);
    return name;
}

/* Well spread, the same in each run (splitmix64). */
static uint64_t key(uint64_t i)
{
    uint64_t z = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void test_balancer_hash_moves_only_what_was_of_a_server_that_goes(void **state)
{
    (void)state;
    struct balancer *all = make(BALANCER_HASH, 1, 1, 1);
    struct balancer *some = make(BALANCER_HASH, 1, 1, 0);
    unsigned of_c = 0;
    for (uint64_t i = 0; i < 3000; i++) {
        char before = server_of_hash(all, key(i));
        assert_int_equal(server_of_hash(all, key(i)), before);
        of_c += before == 'c';
        if (before != 'c')
            assert_int_equal(server_of_hash(some, key(i)), before);
    }
    assert_in_range(of_c, 700, 1300);
    balancer_destroy(&all);
    balancer_destroy(&some);
}

static void test_balancer_hash_bounds_the_load_of_a_hot_key(void **state)
{
    (void)state;
    struct balancer *balancer = make(BALANCER_HASH, 1, 1, 1);
    struct going going[30];
    unsigned at_first = 0;
    for (unsigned i = 0; i < 30; i++) {
        going[i] = begin_hashed(balancer, key(7), START);
        at_first += going[i].server == going[0].server;
    }
    assert_in_range(at_first, 10, 13); /* ceil(5/4 × 10), and not less than its share */
    for (unsigned i = 0; i < 30; i++)
        finish(balancer, &going[i], BALANCER_ANSWERED, START);
    balancer_destroy(&balancer);
}

/* A request that takes so long, alone. */
static char ask_for(struct balancer *balancer, int64_t latency_a, int64_t latency_b, int64_t now)
{
    struct going going = begin(balancer, now);
    char name = balancer_server_name(going.server)[0];
    balancer_ended(balancer, going.server, BALANCER_ANSWERED, name == 'a' ? latency_a : latency_b,
                   now);
    balancer_leave(balancer, &going.request, BALANCER_ANSWERED, now);
    return name;
}

static void test_balancer_ewma_asks_the_fast_and_looks_at_the_slow_again(void **state)
{
    (void)state;
    struct balancer *balancer = make(BALANCER_EWMA, 1, 1, 0);
    unsigned at_a = 0;
    for (unsigned i = 0; i < 1000; i++)
        at_a += ask_for(balancer, MS, 20 * MS, START + i * 10 * MS) == 'a';
    assert_in_range(at_a, 950, 999);
    /* From now on it is the other that is slow: found within ten times of what it took. */
    unsigned late = 0;
    for (unsigned i = 0; i < 1000; i++)
        late += ask_for(balancer, 500 * MS, MS, START + (1000 + i) * 500 * MS) == 'a';
    assert_in_range(late, 1, 100);
    balancer_destroy(&balancer);
}

static void test_balancer_ewma_takes_a_failure_for_slow(void **state)
{
    (void)state;
    struct balancer_server_spec servers[] = {server_spec("a"), server_spec("b")};
    servers[0].max_fails = servers[1].max_fails = 0;
    struct balancer_settings settings = defaults();
    settings.algorithm = BALANCER_EWMA;
    settings.servers = servers;
    settings.server_count = 2;
    settings.outlier_errors = 0;
    struct balancer *balancer = balancer_create(&settings, START);
    char failing = ask(balancer, BALANCER_FAILED, START);
    for (unsigned i = 0; i < 20; i++)
        assert_int_not_equal(ask_for(balancer, 50 * MS, 50 * MS, START + i), failing);
    balancer_destroy(&balancer);
}

/* ---- Zones and backups */

static struct balancer *make_zones(void)
{
    struct balancer_server_spec servers[] = {server_spec("a"), server_spec("b"), server_spec("c")};
    servers[0].zone = "here";
    servers[1].zone = "there";
    servers[2].backup = true;
    struct balancer_settings settings = defaults();
    settings.servers = servers;
    settings.server_count = 3;
    settings.zone = "here";
    return balancer_create(&settings, START);
}

static void set_down(struct balancer *balancer, const char *name, int64_t now)
{
    for (unsigned i = 0; i < 3; i++)
        assert_true(balancer_checked(balancer, name, false, now));
}

static void test_balancer_fails_over_to_other_zones_then_backups_and_back(void **state)
{
    (void)state;
    struct balancer *balancer = make_zones();
    assert_string_equal(ask_all(balancer, 3, START), "aaa");
    set_down(balancer, "a", START);
    assert_string_equal(ask_all(balancer, 3, START), "bbb");
    set_down(balancer, "b", START);
    assert_string_equal(ask_all(balancer, 3, START), "ccc");
    balancer_checked(balancer, "a", true, START);
    assert_string_equal(ask_all(balancer, 3, START), "ccc"); /* rise is 2 */
    balancer_checked(balancer, "a", true, START);
    assert_string_equal(ask_all(balancer, 3, START), "aaa");
    balancer_destroy(&balancer);
}

static void test_balancer_asks_even_those_that_are_down_when_nobody_is_left(void **state)
{
    (void)state;
    struct balancer *balancer = make(BALANCER_ROUND_ROBIN, 1, 1, 0);
    set_down(balancer, "a", START);
    set_down(balancer, "b", START);
    assert_string_equal(ask_all(balancer, 4, START), "abab");
    balancer_destroy(&balancer);
}

static void test_balancer_prefers_the_untried_and_says_when_it_is_one_again(void **state)
{
    (void)state;
    struct balancer *balancer = make(BALANCER_ROUND_ROBIN, 1, 1, 0);
    set_down(balancer, "b", START);
    struct going going = begin(balancer, START);
    assert_string_equal(balancer_server_name(going.server), "a");
    assert_false(going.again);
    balancer_ended(balancer, going.server, BALANCER_FAILED, MS, START);
    balancer_pick(balancer, &going.request, START, &going.server, &going.again);
    assert_string_equal(balancer_server_name(going.server), "b");
    assert_false(going.again);
    balancer_ended(balancer, going.server, BALANCER_FAILED, MS, START);
    balancer_pick(balancer, &going.request, START, &going.server, &going.again);
    assert_string_equal(balancer_server_name(going.server), "a"); /* failing, but not down */
    assert_true(going.again);
    finish(balancer, &going, BALANCER_ANSWERED, START);
    balancer_destroy(&balancer);
}

/* ---- Bounds */

static void test_balancer_a_full_server_is_passed_over_and_all_full_is_said(void **state)
{
    (void)state;
    struct balancer_server_spec servers[] = {server_spec("a"), server_spec("b")};
    servers[0].max_conns = 1;
    servers[1].max_conns = 2;
    struct balancer_settings settings = defaults();
    settings.servers = servers;
    settings.server_count = 2;
    struct balancer *balancer = balancer_create(&settings, START);
    struct going going[3];
    for (unsigned i = 0; i < 3; i++)
        going[i] = begin(balancer, START);
    struct going more = {.again = false};
    assert_int_equal(balancer_enter(balancer, &more.request, START), BALANCER_OK);
    assert_int_equal(balancer_pick(balancer, &more.request, START, &more.server, &more.again),
                     BALANCER_FULL);
    assert_null(more.server);
    balancer_leave(balancer, &more.request, BALANCER_ABANDONED, START);
    for (unsigned i = 0; i < 3; i++)
        finish(balancer, &going[i], BALANCER_ANSWERED, START);
    assert_int_equal(strlen(ask_all(balancer, 4, START)), 4);
    balancer_destroy(&balancer);
}

static void test_balancer_lets_so_many_requests_in_at_once_and_no_more(void **state)
{
    (void)state;
    struct balancer_server_spec server = server_spec("a");
    struct balancer_settings settings = defaults();
    settings.servers = &server;
    settings.server_count = 1;
    settings.requests_max = 2;
    struct balancer *balancer = balancer_create(&settings, START);
    struct going one = begin(balancer, START), two = begin(balancer, START);
    struct balancer_request more = {.hash = 0};
    assert_int_equal(balancer_enter(balancer, &more, START), BALANCER_FULL);
    balancer_streams(balancer, &one.request);
    struct going three = begin(balancer, START);
    assert_int_equal(balancer_enter(balancer, &more, START), BALANCER_FULL);
    finish(balancer, &one, BALANCER_ANSWERED, START);
    assert_int_equal(balancer_enter(balancer, &more, START), BALANCER_FULL);
    finish(balancer, &three, BALANCER_ANSWERED, START);
    assert_int_equal(balancer_enter(balancer, &more, START), BALANCER_OK);
    balancer_leave(balancer, &more, BALANCER_ABANDONED, START);
    finish(balancer, &two, BALANCER_ANSWERED, START);
    struct balancer_figures figures;
    balancer_figures(balancer, START, &figures);
    assert_int_equal(figures.refused_full, 3);
    assert_int_equal(figures.in_flight, 0);
    balancer_destroy(&balancer);
}

/* ---- Draining and weights */

static void test_balancer_drains_a_server_and_takes_it_back_slowly(void **state)
{
    (void)state;
    struct balancer *balancer = make(BALANCER_ROUND_ROBIN, 1, 1, 0);
    assert_true(balancer_drain(balancer, "a", true, START));
    assert_string_equal(ask_all(balancer, 4, START), "bbbb");
    assert_int_equal(look(balancer, "a", START).state, BALANCER_DRAINED);
    balancer_drain(balancer, "b", true, START);
    struct going going = {.again = false};
    assert_int_equal(balancer_enter(balancer, &going.request, START), BALANCER_OK);
    assert_int_equal(balancer_pick(balancer, &going.request, START, &going.server, &going.again),
                     BALANCER_NONE);
    balancer_leave(balancer, &going.request, BALANCER_ABANDONED, START);
    balancer_drain(balancer, "b", false, START - 20 * SECOND);
    balancer_drain(balancer, "a", false, START);
    assert_in_range(count_of(ask_all(balancer, 100, START + SECOND), 'a'), 5, 15);
    assert_in_range(count_of(ask_all(balancer, 100, START + 5 * SECOND), 'a'), 28, 38);
    assert_int_equal(count_of(ask_all(balancer, 100, START + 10 * SECOND), 'a'), 50);
    assert_false(balancer_drain(balancer, "nobody", true, START));
    balancer_destroy(&balancer);
}

static void test_balancer_weights_may_be_changed_while_it_runs(void **state)
{
    (void)state;
    struct balancer *balancer = make(BALANCER_ROUND_ROBIN, 1, 1, 0);
    assert_true(balancer_set_weight(balancer, "a", 3));
    assert_int_equal(count_of(ask_all(balancer, 100, START), 'a'), 75);
    assert_int_equal(look(balancer, "a", START).configured_weight, 1);
    assert_true(balancer_set_weight(balancer, "a", 0));
    assert_int_equal(count_of(ask_all(balancer, 100, START), 'a'), 50);
    balancer_destroy(&balancer);
}

/* ---- Reload */

struct pool {
    unsigned opened, closed;
};

static void *open_pool(const struct balancer_server_spec *spec, void *arg)
{
    (void)spec;
    ((struct pool *)arg)->opened++;
    return arg;
}

static void close_pool(void *data)
{
    ((struct pool *)data)->closed++;
}

static void test_balancer_state_survives_another_configuration_by_name(void **state)
{
    (void)state;
    struct pool pool = {.opened = 0};
    struct balancer_server_spec servers[] = {server_spec("a"), server_spec("b"), server_spec("c")};
    struct balancer_settings settings = defaults();
    settings.servers = servers;
    settings.server_count = 2;
    settings.open = open_pool;
    settings.close = close_pool;
    settings.arg = &pool;
    struct balancer *balancer = balancer_create(&settings, START);
    set_down(balancer, "b", START);
    balancer_set_weight(balancer, "b", 7);
    struct going going = begin(balancer, START);
    assert_string_equal(balancer_server_name(going.server), "a");

    settings.servers = &servers[1]; /* b and c: a has gone, with a request in flight */
    balancer_configure(balancer, &settings, START);
    assert_int_equal(pool.opened, 3);
    assert_int_equal(pool.closed, 0);
    assert_int_equal(look(balancer, "b", START).state, BALANCER_DOWN);
    assert_int_equal(look(balancer, "b", START).weight, 7);
    assert_int_equal(look(balancer, "c", START).state, BALANCER_STARTING);
    assert_string_equal(ask_all(balancer, 3, START), "ccc");

    assert_ptr_equal(balancer_server_data(going.server), &pool);
    finish(balancer, &going, BALANCER_ANSWERED, START);
    assert_int_equal(pool.closed, 1);
    balancer_destroy(&balancer);
    assert_int_equal(pool.closed, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_balancer_round_robin_is_smooth),
        cmocka_unit_test(test_balancer_round_robin_keeps_to_the_weights),
        cmocka_unit_test(test_balancer_least_conn_goes_by_what_is_in_flight_for_the_weight),
        cmocka_unit_test(test_balancer_least_conn_takes_turns_among_equals),
        cmocka_unit_test(test_balancer_random_prefers_the_idle_of_two),
        cmocka_unit_test(test_balancer_random_keeps_to_the_weights_about),
        cmocka_unit_test(test_balancer_hash_moves_only_what_was_of_a_server_that_goes),
        cmocka_unit_test(test_balancer_hash_bounds_the_load_of_a_hot_key),
        cmocka_unit_test(test_balancer_ewma_asks_the_fast_and_looks_at_the_slow_again),
        cmocka_unit_test(test_balancer_ewma_takes_a_failure_for_slow),
        cmocka_unit_test(test_balancer_fails_over_to_other_zones_then_backups_and_back),
        cmocka_unit_test(test_balancer_asks_even_those_that_are_down_when_nobody_is_left),
        cmocka_unit_test(test_balancer_prefers_the_untried_and_says_when_it_is_one_again),
        cmocka_unit_test(test_balancer_a_full_server_is_passed_over_and_all_full_is_said),
        cmocka_unit_test(test_balancer_lets_so_many_requests_in_at_once_and_no_more),
        cmocka_unit_test(test_balancer_drains_a_server_and_takes_it_back_slowly),
        cmocka_unit_test(test_balancer_weights_may_be_changed_while_it_runs),
        cmocka_unit_test(test_balancer_state_survives_another_configuration_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
