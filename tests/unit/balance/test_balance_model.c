/* Random schedules of servers that fail, err, drain and come back, under requests that are retried,
 * against what has to hold whatever happens:
 *
 * - A request is lost only when its retries or the budget are used up, or every server that may be
 *   asked has been tried: none that a healthy server could have answered.
 * - No retry goes beyond the budget, no server gets more at once than it takes, nobody drained any.
 * - Once all is well the weights hold. */
#include "tests/unit/balance/balance_fixture.h"

#include "base/log.h"

#define SCHEDULES 10000
#define STEPS     150
#define SERVERS   6
#define GOING     24
#define BUCKETS   4096 /* seconds of a schedule at most */

enum truth { WELL, FAILS, ERRS };

struct model {
    uint64_t random;
    int64_t now;
    struct balancer *balancer;
    struct balancer_settings settings;
    struct balancer_server_spec specs[SERVERS];
    unsigned count; /* of servers */
    enum truth truth[SERVERS];
    bool drained[SERVERS];
    unsigned in_flight[SERVERS];
    struct going going[GOING];
    unsigned going_count;
    unsigned requests[BUCKETS], retries[BUCKETS]; /* by second */
    uint64_t lost, answered;
};

static const char *const names[SERVERS] = {"a", "b", "c", "d", "e", "f"};

static unsigned below(struct model *m, unsigned n)
{
    m->random ^= m->random << 13;
    m->random ^= m->random >> 7;
    m->random ^= m->random << 17;
    return (unsigned)(m->random >> 11) % n;
}

static void set_up(struct model *m, uint64_t seed)
{
    *m = (struct model){.random = seed * UINT64_C(0x9e3779b97f4a7c15) | 1, .now = START};
    m->settings = defaults();
    m->count = 1 + below(m, SERVERS);
    for (unsigned i = 0; i < m->count; i++) {
        m->specs[i] = server_spec(names[i]);
        m->specs[i].weight = 1 + below(m, 4);
        m->specs[i].zone = below(m, 3) ? "here" : "there";
        m->specs[i].backup = i > 0 && below(m, 5) == 0;
        m->specs[i].max_conns = below(m, 3) ? 0 : 1 + below(m, 5);
        m->specs[i].max_fails = below(m, 3);
    }
    m->settings.algorithm = (enum balancer_algorithm)below(m, BALANCER_EWMA + 1);
    m->settings.zone = below(m, 2) ? "here" : "";
    m->settings.retries = below(m, 2) ? m->count : below(m, 4);
    m->settings.retry_percent = below(m, 2) ? 100 : 20;
    m->settings.breaker_percent = below(m, 4) ? 0 : 50;
    m->settings.servers = m->specs;
    m->settings.server_count = m->count;
    m->balancer = balancer_create(&m->settings, m->now);
}

static unsigned place_of(const struct balancer_server *server)
{
    return (unsigned)(balancer_server_name(server)[0] - 'a');
}

static bool can_be_asked(const struct model *m, unsigned i)
{
    return !m->drained[i] &&
           (m->specs[i].max_conns == 0 || m->in_flight[i] < m->specs[i].max_conns);
}

static bool all_drained(const struct model *m)
{
    for (unsigned i = 0; i < m->count; i++)
        if (!m->drained[i])
            return false;
    return true;
}

/* The ids of servers are their places and one, as none ever goes. */
static bool was_tried(const struct balancer_request *request, unsigned i)
{
    for (unsigned t = 0; t < request->tried_count; t++)
        if (request->tried[t] == i + 1)
            return true;
    return false;
}

/* True if a server has it now; everything that a pick must keep is asserted. */
static bool pick(struct model *m, struct going *going)
{
    struct balancer_request before = going->request;
    enum balancer_verdict verdict =
        balancer_pick(m->balancer, &going->request, m->now, &going->server, &going->again);
    unsigned askable = 0, untried = 0;
    for (unsigned i = 0; i < m->count; i++) {
        askable += can_be_asked(m, i);
        untried += can_be_asked(m, i) && !was_tried(&before, i);
    }
    if (verdict != BALANCER_OK) {
        assert_int_equal(askable, 0);
        assert_int_equal(verdict, all_drained(m) ? BALANCER_NONE : BALANCER_FULL);
        return false;
    }
    unsigned at = place_of(going->server);
    assert_true(can_be_asked(m, at));
    assert_int_equal(going->again, untried == 0);
    assert_int_equal(going->again, was_tried(&before, at));
    m->in_flight[at]++;
    return true;
}

static unsigned bucket(const struct model *m)
{
    return (unsigned)((m->now - START) / SECOND);
}

static unsigned of_late(const unsigned *counts, unsigned at)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < 10 && i <= at; i++)
        sum += counts[at - i];
    return sum;
}

/* True if the budget has one more, by the model's own counting. */
static bool budget_has(const struct model *m)
{
    unsigned most = of_late(m->requests, bucket(m)) * m->settings.retry_percent / 100;
    return of_late(m->retries, bucket(m)) < (most > 3 ? most : 3);
}

static void start(struct model *m)
{
    if (m->going_count == GOING)
        return;
    struct going *going = &m->going[m->going_count];
    *going = (struct going){.request = {.hash = m->random}};
    enum balancer_verdict verdict = balancer_enter(m->balancer, &going->request, m->now);
    if (verdict != BALANCER_OK) {
        assert_int_equal(verdict, BALANCER_OPEN);
        assert_true(m->settings.breaker_percent > 0);
        return;
    }
    m->requests[bucket(m)]++;
    if (pick(m, going))
        m->going_count++;
    else
        balancer_leave(m->balancer, &going->request, BALANCER_ABANDONED, m->now);
}

/* Whether the failed one goes on; if not, that was right. */
static bool retry(struct model *m, struct going *going)
{
    bool has = budget_has(m), may = going->request.tried_count <= m->settings.retries;
    bool granted = balancer_retry(m->balancer, &going->request, m->now);
    assert_int_equal(granted, has && may);
    if (!granted)
        return false;
    m->retries[bucket(m)]++;
    return pick(m, going); /* false: nobody can be asked, which pick() has seen to be true */
}

static void end(struct model *m)
{
    if (m->going_count == 0)
        return;
    unsigned which = below(m, m->going_count);
    struct going *going = &m->going[which];
    unsigned at = place_of(going->server);
    static const enum balancer_outcome outcomes[] = {
        [WELL] = BALANCER_ANSWERED, [FAILS] = BALANCER_FAILED, [ERRS] = BALANCER_SERVER_ERROR};
    enum balancer_outcome outcome = below(m, 20) ? outcomes[m->truth[at]] : BALANCER_ABANDONED;
    m->in_flight[at]--;
    balancer_ended(m->balancer, going->server, outcome, (1 + below(m, 50)) * MS, m->now);
    bool bad = outcome == BALANCER_FAILED || outcome == BALANCER_SERVER_ERROR;
    if (bad && retry(m, going))
        return;
    m->lost += bad;
    m->answered += outcome == BALANCER_ANSWERED;
    balancer_leave(m->balancer, &going->request, outcome, m->now);
    *going = m->going[--m->going_count];
}

static void check_all(struct model *m)
{
    for (unsigned i = 0; i < m->count; i++)
        balancer_checked(m->balancer, names[i], m->truth[i] != FAILS, m->now);
}

static void change_something(struct model *m)
{
    unsigned at = below(m, m->count);
    switch (below(m, 4)) {
    case 0:
    case 1:
        m->truth[at] = (enum truth)below(m, 3);
        break;
    case 2:
        m->drained[at] = below(m, 3) == 0;
        balancer_drain(m->balancer, names[at], m->drained[at], m->now);
        break;
    default:
        balancer_configure(m->balancer, &m->settings, m->now);
    }
}

static void step(struct model *m)
{
    unsigned what = below(m, 20);
    if (what < 7)
        start(m);
    else if (what < 15)
        end(m);
    else if (what < 17)
        m->now += below(m, 3000) * MS;
    else if (what < 19)
        check_all(m);
    else
        change_something(m);
}

static void settle(struct model *m)
{
    while (m->going_count > 0)
        end(m);
    m->now += 400 * SECOND; /* beyond every ejection, and slow starts */
    for (unsigned i = 0; i < m->count; i++) {
        m->truth[i] = WELL;
        m->drained[i] = false;
        balancer_drain(m->balancer, names[i], false, m->now);
    }
    check_all(m);
    check_all(m);
    m->now += 20 * SECOND;
}

/* Those that are asked when all is well: of our zone, if anybody is; no backup. */
static bool is_first(const struct model *m, unsigned i)
{
    bool zone = false;
    for (unsigned s = 0; s < m->count; s++)
        zone |= !m->specs[s].backup && strcmp(m->specs[s].zone, m->settings.zone) == 0;
    bool ours =
        m->settings.zone[0] == '\0' || !zone || strcmp(m->specs[i].zone, m->settings.zone) == 0;
    return !m->specs[i].backup && ours;
}

static void assert_fair(struct model *m)
{
    unsigned asked[SERVERS] = {0}, weights = 0;
    for (unsigned i = 0; i < m->count; i++)
        weights += is_first(m, i) ? m->specs[i].weight : 0;
    for (unsigned i = 0; i < weights * 20; i++)
        asked[ask(m->balancer, BALANCER_ANSWERED, m->now) - 'a']++;
    for (unsigned i = 0; i < m->count; i++) {
        int expected = is_first(m, i) ? (int)m->specs[i].weight * 20 : 0;
        assert_in_range((int)asked[i] - expected + 10, 10 - (expected ? 6 : 0),
                        10 + (expected ? 6 : 0));
    }
}

static void test_balancer_keeps_its_promises_in_random_schedules(void **state)
{
    (void)state;
    static struct model m;
    uint64_t lost = 0, answered = 0;
    for (uint64_t seed = 1; seed <= SCHEDULES; seed++) {
        set_up(&m, seed);
        for (unsigned i = 0; i < STEPS; i++)
            step(&m);
        settle(&m);
        if (m.settings.algorithm == BALANCER_ROUND_ROBIN && m.settings.breaker_percent == 0)
            assert_fair(&m);
        balancer_destroy(&m.balancer);
        lost += m.lost;
        answered += m.answered;
    }
    assert_true(answered > 100000 && lost > 1000); /* or it has tried nothing */
}

int main(void)
{
    log_open(
        &(struct log_options){.path = "/dev/null", .level = LOG_OFF}); /* it has a lot to say */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_balancer_keeps_its_promises_in_random_schedules),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
