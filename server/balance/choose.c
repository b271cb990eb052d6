/* The algorithms. Each chooses among those that can be asked, by their share: the weight, less
 * while a server starts slowly. */
#include "server/balance/balancer_private.h"

/* Smooth weighted round robin: nginx, src/http/ngx_http_upstream_round_robin.c. Everybody gains
 * their share, the richest is chosen and pays for all. */
static struct balancer_server *choose_in_turn(struct balancer *balancer, struct choice *choice)
{
    (void)balancer;
    struct balancer_server *best = choice->servers[0];
    int64_t sum = 0;
    for (unsigned i = 0; i < choice->count; i++) {
        struct balancer_server *server = choice->servers[i];
        server->turn += choice->shares[i];
        sum += choice->shares[i];
        if (server->turn > best->turn)
            best = server;
    }
    best->turn -= sum;
    return best;
}

/* Below 0 if the i-th has fewer requests in flight for its share than the k-th, 0 if as many. */
static int64_t compare_load(const struct choice *choice, unsigned i, unsigned k)
{
    return choice->servers[i]->in_flight * choice->shares[k] -
           choice->servers[k]->in_flight * choice->shares[i];
}

/* nginx, ngx_http_upstream_least_conn_module.c: those that are equal take turns. */
static struct balancer_server *choose_least(struct balancer *balancer, struct choice *choice)
{
    unsigned least = 0; /* so many at the beginning are the least of those seen */
    for (unsigned i = 0; i < choice->count; i++) {
        int64_t more = least > 0 ? compare_load(choice, i, 0) : 0;
        if (more > 0)
            continue;
        if (more < 0)
            least = 0;
        choice->servers[least] = choice->servers[i];
        choice->shares[least++] = choice->shares[i];
    }
    choice->count = least;
    return choose_in_turn(balancer, choice);
}

/* xorshift64* (Vigna). */
static uint64_t draw(struct balancer *balancer)
{
    balancer->random ^= balancer->random >> 12;
    balancer->random ^= balancer->random << 25;
    balancer->random ^= balancer->random >> 27;
    return balancer->random * UINT64_C(2685821657736338717);
}

/* By share, out of a sum of shares that leaves out the place `other`. */
static unsigned draw_place(struct balancer *balancer, const struct choice *choice, int64_t sum,
                           unsigned other)
{
    int64_t at = (int64_t)(((draw(balancer) >> 32) * (uint64_t)sum) >> 32);
    unsigned drawn = 0;
    for (unsigned i = 0; i < choice->count && at >= 0; i++) {
        if (i == other)
            continue;
        drawn = i;
        at -= choice->shares[i];
    }
    return drawn;
}

/* The power of two choices (Mitzenmacher 2001): nearly as good as the least of all, without
 * everybody running to the same one. */
static struct balancer_server *choose_of_two(struct balancer *balancer, struct choice *choice)
{
    int64_t sum = 0;
    for (unsigned i = 0; i < choice->count; i++)
        sum += choice->shares[i];
    unsigned a = draw_place(balancer, choice, sum, choice->count);
    unsigned b = draw_place(balancer, choice, sum - choice->shares[a], a);
    return choice->servers[compare_load(choice, b, a) < 0 ? b : a];
}

/* Finagle's PeakEwma: the expected wait, latency times those before us. One whose latency is not
 * known gets one request to learn it. */
static double expected_wait(const struct balancer_server *server, int64_t share, int64_t now_ns)
{
    static const double unknown = 1e18;
    if (server->latency_ns <= 0)
        return server->in_flight == 0 ? 0 : unknown + server->in_flight;
    return server_latency(server, now_ns) * (server->in_flight + 1) / (double)share;
}

static struct balancer_server *choose_fastest(struct balancer *balancer, struct choice *choice)
{
    (void)balancer;
    struct balancer_server *best = choice->servers[0];
    double least = expected_wait(best, choice->shares[0], choice->now_ns);
    for (unsigned i = 1; i < choice->count; i++) {
        double wait = expected_wait(choice->servers[i], choice->shares[i], choice->now_ns);
        if (wait >= least)
            continue;
        best = choice->servers[i];
        least = wait;
    }
    return best;
}

struct balancer_server *choose(struct balancer *balancer, struct choice *choice)
{
    static struct balancer_server *(*const algorithms[])(struct balancer *, struct choice *) = {
        [BALANCER_ROUND_ROBIN] = choose_in_turn, [BALANCER_LEAST_CONN] = choose_least,
        [BALANCER_RANDOM] = choose_of_two,       [BALANCER_HASH] = ring_choose,
        [BALANCER_EWMA] = choose_fastest,
    };
    if (choice->count == 1)
        return choice->servers[0];
    for (unsigned i = 0; i < choice->count; i++)
        choice->shares[i] = server_share(balancer, choice->servers[i], choice->now_ns);
    return algorithms[balancer->settings.algorithm](balancer, choice);
}
