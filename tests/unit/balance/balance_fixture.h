/* A balancer of servers that are named in one text, and requests through it. */
#ifndef GALLEY_TESTS_UNIT_BALANCE_FIXTURE_H
#define GALLEY_TESTS_UNIT_BALANCE_FIXTURE_H

#include "server/balance/balancer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MS     INT64_C(1000000)
#define SECOND (1000 * MS)
#define START  (1000 * SECOND)

/* The defaults of [upstream NAME], without servers. */
static inline struct balancer_settings defaults(void)
{
    return (struct balancer_settings){
        .name = "u",
        .zone = "",
        .check_rise = 2,
        .check_fall = 3,
        .outlier_errors = 5,
        .outlier_time_ns = 30 * SECOND,
        .outlier_time_max_ns = 300 * SECOND,
        .outlier_percent = 50,
        .slow_start_ns = 10 * SECOND,
        .retries = 1,
        .retry_percent = 20,
        .breaker_percent = 50,
        .breaker_requests = 20,
        .breaker_window_ns = 10 * SECOND,
        .breaker_time_ns = 10 * SECOND,
        .breaker_probes = 3,
        .requests_max = 256,
    };
}

static inline struct balancer_server_spec server_spec(const char *name)
{
    return (struct balancer_server_spec){
        .name = name, .weight = 1, .zone = "", .max_fails = 1, .fail_timeout_ns = 10 * SECOND};
}

/* A request that is under way. */
struct going {
    struct balancer_request request;
    struct balancer_server *server;
    bool again;
};

static inline struct going begin_hashed(struct balancer *balancer, uint64_t hash, int64_t now)
{
    struct going going = {.request = {.hash = hash}};
    assert_int_equal(balancer_enter(balancer, &going.request, now), BALANCER_OK);
    assert_int_equal(balancer_pick(balancer, &going.request, now, &going.server, &going.again),
                     BALANCER_OK);
    return going;
}

static inline struct going begin(struct balancer *balancer, int64_t now)
{
    return begin_hashed(balancer, 0, now);
}

static inline void finish(struct balancer *balancer, struct going *going,
                          enum balancer_outcome outcome, int64_t now)
{
    balancer_ended(balancer, going->server, outcome, MS, now);
    balancer_leave(balancer, &going->request, outcome, now);
}

/* Sends one request and returns the name of its server, of one letter. */
static inline char ask(struct balancer *balancer, enum balancer_outcome outcome, int64_t now)
{
    struct going going = begin(balancer, now);
    char name = balancer_server_name(going.server)[0];
    finish(balancer, &going, outcome, now);
    return name;
}

/* As many requests, all answered: the names of their servers. Valid until the next call. */
static inline const char *ask_all(struct balancer *balancer, unsigned count, int64_t now)
{
    static char names[1000];
    for (unsigned i = 0; i < count; i++)
        names[i] = ask(balancer, BALANCER_ANSWERED, now);
    names[count] = '\0';
    return names;
}

static inline unsigned count_of(const char *names, char name)
{
    unsigned count = 0;
    for (; *names; names++)
        count += *names == name;
    return count;
}

static inline struct balancer_server_figures look(struct balancer *balancer, const char *name,
                                                  int64_t now)
{
    static struct balancer_server_figures all[BALANCER_SERVERS_MAX];
    unsigned count = balancer_servers(balancer, now, all, BALANCER_SERVERS_MAX);
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(all[i].name, name) == 0)
            return all[i];
    }
    fail_msg("there is no server %s", name);
    return all[0];
}

#endif
