/* What choosing a server costs: a whole turn of enter, pick, ended and leave, of each algorithm,
 * with ten servers. */
#include "base/clock.h"
#include "server/balance/balancer.h"

#include <stdio.h>

#define SERVERS 10
#define TURNS   2000000

static const struct {
    enum balancer_algorithm algorithm;
    const char *name;
} algorithms[] = {
    {BALANCER_ROUND_ROBIN, "round_robin"},
    {BALANCER_LEAST_CONN, "least_conn"},
    {BALANCER_RANDOM, "random"},
    {BALANCER_HASH, "hash"},
    {BALANCER_EWMA, "ewma"},
};

static struct balancer *make(enum balancer_algorithm algorithm)
{
    static char names[SERVERS][32];
    struct balancer_server_spec servers[SERVERS];
    for (unsigned i = 0; i < SERVERS; i++) {
        snprintf(names[i], sizeof names[i], "10.0.0.%u:80", i + 1);
        servers[i] = (struct balancer_server_spec){
            .name = names[i], .weight = 1 + i % 3, .zone = "", .max_fails = 1};
    }
    struct balancer_settings settings = {
        .name = "bench",
        .algorithm = algorithm,
        .zone = "",
        .servers = servers,
        .server_count = SERVERS,
        .slow_start_ns = 10000000000,
        .breaker_percent = 50,
        .breaker_requests = 20,
        .breaker_window_ns = 10000000000,
        .requests_max = 256,
    };
    return balancer_create(&settings, 1);
}

static void turn(struct balancer *balancer, uint64_t i)
{
    struct balancer_request request = {.hash = i * UINT64_C(0x9e3779b97f4a7c15)};
    int64_t now_ns = 1000000000 + (int64_t)i * 1000;
    struct balancer_server *server;
    bool again;
    balancer_enter(balancer, &request, now_ns);
    if (balancer_pick(balancer, &request, now_ns, &server, &again) == BALANCER_OK)
        balancer_ended(balancer, server, BALANCER_ANSWERED, 1000000, now_ns);
    balancer_leave(balancer, &request, BALANCER_ANSWERED, now_ns);
}

int main(void)
{
    for (unsigned a = 0; a < sizeof algorithms / sizeof algorithms[0]; a++) {
        struct balancer *balancer = make(algorithms[a].algorithm);
        int64_t begin_ns = clock_mono_ns(&clock_system);
        for (uint64_t i = 0; i < TURNS; i++)
            turn(balancer, i);
        double each_ns = (double)(clock_mono_ns(&clock_system) - begin_ns) / TURNS;
        printf("balance = %s, ten servers, a request: %.0f ns\n", algorithms[a].name, each_ns);
        balancer_destroy(&balancer);
    }
}
