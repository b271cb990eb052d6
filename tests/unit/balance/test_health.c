/* What is learned from answers and checks, the breaker, the budget. */
#include "tests/unit/balance/balance_fixture.h"

static struct balancer *make_of(struct balancer_settings settings, unsigned count)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    struct balancer_server_spec servers[4];
    for (unsigned i = 0; i < count; i++)
        servers[i] = server_spec(names[i]);
    settings.servers = servers;
    settings.server_count = count;
    return balancer_create(&settings, START);
}

static struct balancer *make(unsigned count)
{
    return make_of(defaults(), count);
}

/* Without a breaker. */
static struct balancer *make_plain(unsigned count)
{
    struct balancer_settings settings = defaults();
    settings.breaker_percent = 0;
    return make_of(settings, count);
}

static void test_health_a_failure_takes_a_server_out_for_its_time(void **state)
{
    (void)state;
    struct balancer *balancer = make(2);
    assert_int_equal(ask(balancer, BALANCER_FAILED, START), 'a');
    assert_string_equal(ask_all(balancer, 3, START + 9 * SECOND), "bbb");
    assert_int_equal(look(balancer, "a", START).state, BALANCER_FAILING);
    assert_int_equal(look(balancer, "a", START).until_ns, START + 10 * SECOND);
    assert_int_equal(look(balancer, "a", START + 11 * SECOND).state, BALANCER_STARTING);
    assert_int_equal(count_of(ask_all(balancer, 100, START + 20 * SECOND), 'a'), 50);
    balancer_destroy(&balancer);
}

static void test_health_max_fails_counts_within_its_time_alone(void **state)
{
    (void)state;
    struct balancer_server_spec servers[] = {server_spec("a"), server_spec("b")};
    servers[0].max_fails = 2;
    servers[1].backup = true;
    struct balancer_settings settings = defaults();
    settings.servers = servers;
    settings.server_count = 2;
    struct balancer *balancer = balancer_create(&settings, START);
    assert_int_equal(ask(balancer, BALANCER_FAILED, START), 'a');
    assert_int_equal(ask(balancer, BALANCER_FAILED, START + 11 * SECOND), 'a');
    assert_int_equal(ask(balancer, BALANCER_FAILED, START + 12 * SECOND), 'a');
    assert_int_equal(ask(balancer, BALANCER_ANSWERED, START + 12 * SECOND), 'b');
    balancer_destroy(&balancer);
}

/* Asks until `name` has answered with so many errors; the others answer well. */
static void err_at(struct balancer *balancer, char name, unsigned errors, int64_t now)
{
    for (unsigned asked = 0; errors > 0; asked++) {
        assert_true(asked < 100);
        struct going going = begin(balancer, now);
        bool its = balancer_server_name(going.server)[0] == name;
        finish(balancer, &going, its ? BALANCER_SERVER_ERROR : BALANCER_ANSWERED, now);
        errors -= its;
    }
}

static void test_health_errors_in_a_row_eject_for_longer_each_time(void **state)
{
    (void)state;
    struct balancer *balancer = make_plain(2);
    err_at(balancer, 'a', 4, START);
    assert_int_equal(look(balancer, "a", START).state, BALANCER_UP);
    err_at(balancer, 'a', 1, START);
    assert_int_equal(look(balancer, "a", START).state, BALANCER_EJECTED);
    assert_string_equal(ask_all(balancer, 3, START), "bbb");
    int64_t now = START;
    for (int64_t seconds = 30; seconds <= 420; seconds += 30) {
        int64_t expected = seconds > 300 ? 300 : seconds;
        assert_int_equal(look(balancer, "a", now).until_ns, now + expected * SECOND);
        now += (expected + 20) * SECOND;
        err_at(balancer, 'a', 5, now);
    }
    now += 700 * SECOND; /* forgiven */
    err_at(balancer, 'a', 5, now);
    assert_int_equal(look(balancer, "a", now).until_ns, now + 30 * SECOND);
    balancer_destroy(&balancer);
}

static void test_health_an_answer_between_errors_begins_anew(void **state)
{
    (void)state;
    struct balancer *balancer = make_plain(2);
    for (unsigned i = 0; i < 5; i++) {
        err_at(balancer, 'a', 4, START);
        ask_all(balancer, 2, START);
    }
    assert_int_equal(look(balancer, "a", START).state, BALANCER_UP);
    balancer_destroy(&balancer);
}

static void test_health_ejects_no_more_than_its_share_and_never_the_last(void **state)
{
    (void)state;
    struct balancer *four = make_plain(4);
    err_at(four, 'a', 5, START);
    err_at(four, 'b', 5, START);
    err_at(four, 'c', 20, START);
    assert_int_equal(look(four, "b", START).state, BALANCER_EJECTED);
    assert_int_equal(look(four, "c", START).state, BALANCER_UP);
    balancer_destroy(&four);

    struct balancer_settings settings = defaults();
    settings.outlier_percent = 100;
    settings.breaker_percent = 0;
    struct balancer *two = make_of(settings, 2);
    err_at(two, 'a', 5, START);
    err_at(two, 'b', 20, START);
    assert_int_equal(look(two, "b", START).state, BALANCER_UP);
    balancer_destroy(&two);
}

static void test_health_a_failed_probe_never_takes_the_last_server(void **state)
{
    (void)state;
    struct balancer *balancer = make(1);
    for (unsigned i = 0; i < 10; i++)
        balancer_checked(balancer, "a", false, START);
    assert_int_equal(look(balancer, "a", START).state, BALANCER_DOWN);
    assert_string_equal(ask_all(balancer, 3, START), "aaa");
    balancer_destroy(&balancer);
}

static void test_health_checks_have_to_agree_in_a_row(void **state)
{
    (void)state;
    struct balancer *balancer = make(2);
    static const bool results[] = {false, false, true, false, false};
    for (unsigned i = 0; i < 5; i++)
        balancer_checked(balancer, "a", results[i], START);
    assert_int_equal(look(balancer, "a", START).state, BALANCER_UP);
    balancer_checked(balancer, "a", false, START);
    assert_int_equal(look(balancer, "a", START).state, BALANCER_DOWN);
    balancer_checked(balancer, "a", true, START);
    balancer_checked(balancer, "a", false, START);
    balancer_checked(balancer, "a", true, START);
    assert_int_equal(look(balancer, "a", START).state, BALANCER_DOWN);
    balancer_checked(balancer, "a", true, START);
    assert_int_equal(look(balancer, "a", START).state, BALANCER_STARTING);
    assert_false(balancer_checked(balancer, "nobody", true, START));
    balancer_destroy(&balancer);
}

static void test_health_a_client_that_goes_says_nothing_of_the_server(void **state)
{
    (void)state;
    struct balancer *balancer = make(2);
    for (unsigned i = 0; i < 30; i++)
        ask(balancer, BALANCER_ABANDONED, START);
    assert_int_equal(look(balancer, "a", START).state, BALANCER_UP);
    assert_int_equal(look(balancer, "a", START).requests, 0);
    struct balancer_figures figures;
    balancer_figures(balancer, START, &figures);
    assert_int_equal(figures.breaker, BALANCER_CLOSED);
    balancer_destroy(&balancer);
}

/* ---- The breaker */

static enum balancer_breaker breaker_of(struct balancer *balancer, int64_t now)
{
    struct balancer_figures figures;
    balancer_figures(balancer, now, &figures);
    return figures.breaker;
}

static void assert_refused(struct balancer *balancer, int64_t now)
{
    struct balancer_request request = {.hash = 0};
    assert_int_equal(balancer_enter(balancer, &request, now), BALANCER_OPEN);
}

/* Opens it; returns when. */
static int64_t break_open(struct balancer *balancer)
{
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(breaker_of(balancer, START), BALANCER_CLOSED);
        ask(balancer, i < 10 ? BALANCER_ANSWERED : BALANCER_SERVER_ERROR, START);
    }
    assert_int_equal(breaker_of(balancer, START), BALANCER_OPENED);
    return START;
}

static void test_breaker_opens_at_half_of_twenty_and_refuses(void **state)
{
    (void)state;
    struct balancer *balancer = make(2);
    int64_t now = break_open(balancer);
    assert_refused(balancer, now);
    assert_refused(balancer, now + 10 * SECOND - 1);
    struct balancer_figures figures;
    balancer_figures(balancer, now, &figures);
    assert_int_equal(figures.refused_open, 2);
    balancer_destroy(&balancer);
}

static void test_breaker_forgets_what_is_older_than_its_window(void **state)
{
    (void)state;
    struct balancer *balancer = make(2);
    for (unsigned i = 0; i < 60; i++)
        ask(balancer, BALANCER_SERVER_ERROR, START + i * SECOND);
    assert_int_equal(breaker_of(balancer, START + 60 * SECOND), BALANCER_CLOSED);
    balancer_destroy(&balancer);
}

static void test_breaker_half_open_lets_three_try_and_closes(void **state)
{
    (void)state;
    struct balancer *balancer = make(2);
    int64_t now = break_open(balancer) + 10 * SECOND;
    assert_int_equal(breaker_of(balancer, now), BALANCER_HALF_OPEN);
    struct going probes[3];
    for (unsigned i = 0; i < 3; i++)
        probes[i] = begin(balancer, now);
    assert_refused(balancer, now);
    for (unsigned i = 0; i < 3; i++)
        finish(balancer, &probes[i], BALANCER_ANSWERED, now);
    assert_int_equal(breaker_of(balancer, now), BALANCER_CLOSED);
    assert_int_equal(strlen(ask_all(balancer, 5, now)), 5);
    balancer_destroy(&balancer);
}

static void test_breaker_half_open_opens_again_at_one_failure(void **state)
{
    (void)state;
    struct balancer *balancer = make(2);
    int64_t now = break_open(balancer) + 10 * SECOND;
    struct going late = begin(balancer, now);
    ask(balancer, BALANCER_FAILED, now);
    assert_refused(balancer, now + 9 * SECOND);
    now += 10 * SECOND;
    struct going probe = begin(balancer, now);
    finish(balancer, &late, BALANCER_FAILED, now); /* of the phase before: it says nothing */
    assert_int_equal(breaker_of(balancer, now), BALANCER_HALF_OPEN);
    finish(balancer, &probe, BALANCER_ANSWERED, now);
    balancer_destroy(&balancer);
}

static void test_breaker_half_open_waits_no_longer_than_its_time_for_an_answer(void **state)
{
    (void)state;
    struct balancer *balancer = make(2);
    int64_t now = break_open(balancer) + 10 * SECOND;
    struct going slow[3], more[3];
    for (unsigned i = 0; i < 3; i++)
        slow[i] = begin(balancer, now);
    assert_refused(balancer, now + 10 * SECOND - 1);
    now += 10 * SECOND;
    for (unsigned i = 0; i < 3; i++)
        more[i] = begin(balancer, now);
    assert_refused(balancer, now);
    finish(balancer, &more[0], BALANCER_ANSWERED, now);
    for (unsigned i = 0; i < 3; i++)
        finish(balancer, &slow[i], BALANCER_ABANDONED, now);
    finish(balancer, &more[1], BALANCER_ANSWERED, now);
    assert_int_equal(breaker_of(balancer, now), BALANCER_HALF_OPEN);
    finish(balancer, &more[2], BALANCER_ANSWERED, now);
    assert_int_equal(breaker_of(balancer, now), BALANCER_CLOSED);
    balancer_destroy(&balancer);
}

static void test_breaker_half_open_closes_by_answers_that_take_longer_than_its_time(void **state)
{
    (void)state;
    struct balancer *balancer = make(2);
    int64_t now = break_open(balancer) + 10 * SECOND;
    struct going probes[6];
    for (unsigned i = 0; i < 3; i++)
        probes[i] = begin(balancer, now);
    for (unsigned i = 3; i < 6; i++)
        probes[i] = begin(balancer, now + 11 * SECOND);
    for (unsigned i = 0; i < 3; i++)
        finish(balancer, &probes[i], BALANCER_ANSWERED, now + 12 * SECOND);
    assert_int_equal(breaker_of(balancer, now + 12 * SECOND), BALANCER_CLOSED);
    for (unsigned i = 3; i < 6; i++)
        finish(balancer, &probes[i], BALANCER_ANSWERED, now + 23 * SECOND);
    balancer_destroy(&balancer);
}

static void test_breaker_gives_the_place_of_a_client_that_went_to_another(void **state)
{
    (void)state;
    struct balancer *balancer = make(2);
    int64_t now = break_open(balancer) + 10 * SECOND;
    for (unsigned i = 0; i < 10; i++)
        ask(balancer, BALANCER_ABANDONED, now);
    ask_all(balancer, 3, now);
    assert_int_equal(breaker_of(balancer, now), BALANCER_CLOSED);
    balancer_destroy(&balancer);
}

/* ---- The budget */

static void test_budget_lets_three_retries_and_then_a_fifth_of_the_requests(void **state)
{
    (void)state;
    struct balancer *balancer = make_plain(2);
    struct balancer_request request = {.tried_count = 1};
    ask_all(balancer, 5, START);
    for (unsigned i = 0; i < 3; i++)
        assert_true(balancer_retry(balancer, &request, START));
    assert_false(balancer_retry(balancer, &request, START));
    ask_all(balancer, 95, START);
    for (unsigned i = 3; i < 20; i++)
        assert_true(balancer_retry(balancer, &request, START));
    assert_false(balancer_retry(balancer, &request, START + 9 * SECOND));
    assert_true(balancer_retry(balancer, &request, START + 10 * SECOND));
    struct balancer_figures figures;
    balancer_figures(balancer, START, &figures);
    assert_int_equal(figures.retries, 21);
    assert_int_equal(figures.retries_denied, 2);
    balancer_destroy(&balancer);
}

static void test_budget_a_request_has_so_many_retries(void **state)
{
    (void)state;
    struct balancer *balancer = make(2);
    struct balancer_request once = {.tried_count = 1}, twice = {.tried_count = 2};
    assert_true(balancer_retry(balancer, &once, START));
    assert_false(balancer_retry(balancer, &twice, START));
    balancer_destroy(&balancer);
}

static void test_health_without_checks_nobody_is_down(void **state)
{
    (void)state;
    struct balancer_server_spec server = server_spec("a");
    struct balancer_settings settings = defaults();
    settings.servers = &server;
    settings.server_count = 1;
    struct balancer *balancer = balancer_create(&settings, START);
    for (unsigned i = 0; i < 3; i++)
        balancer_checked(balancer, "a", false, START);
    assert_int_equal(look(balancer, "a", START).state, BALANCER_DOWN);
    settings.check_rise = 0;
    balancer_configure(balancer, &settings, START);
    assert_int_equal(look(balancer, "a", START).state, BALANCER_STARTING);
    for (unsigned i = 0; i < 3; i++) /* that were under way */
        balancer_checked(balancer, "a", false, START);
    assert_int_equal(look(balancer, "a", START).state, BALANCER_STARTING);
    balancer_destroy(&balancer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_health_a_failure_takes_a_server_out_for_its_time),
        cmocka_unit_test(test_health_max_fails_counts_within_its_time_alone),
        cmocka_unit_test(test_health_errors_in_a_row_eject_for_longer_each_time),
        cmocka_unit_test(test_health_an_answer_between_errors_begins_anew),
        cmocka_unit_test(test_health_ejects_no_more_than_its_share_and_never_the_last),
        cmocka_unit_test(test_health_a_failed_probe_never_takes_the_last_server),
        cmocka_unit_test(test_health_checks_have_to_agree_in_a_row),
        cmocka_unit_test(test_health_without_checks_nobody_is_down),
        cmocka_unit_test(test_health_a_client_that_goes_says_nothing_of_the_server),
        cmocka_unit_test(test_breaker_opens_at_half_of_twenty_and_refuses),
        cmocka_unit_test(test_breaker_forgets_what_is_older_than_its_window),
        cmocka_unit_test(test_breaker_half_open_lets_three_try_and_closes),
        cmocka_unit_test(test_breaker_half_open_opens_again_at_one_failure),
        cmocka_unit_test(test_breaker_half_open_waits_no_longer_than_its_time_for_an_answer),
        cmocka_unit_test(test_breaker_half_open_closes_by_answers_that_take_longer_than_its_time),
        cmocka_unit_test(test_breaker_gives_the_place_of_a_client_that_went_to_another),
        cmocka_unit_test(test_budget_lets_three_retries_and_then_a_fifth_of_the_requests),
        cmocka_unit_test(test_budget_a_request_has_so_many_retries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
