/* Consistent hashing: each server has points on a ring by its weight (ketama: Jones 2007), a
 * request goes to the first point behind its hash. When a server goes, only what was its moves.
 * With bounded load (Mirrokni, Thorup, Zadimoghaddam 2016; HAProxy's hash-balance-factor): a server
 * that has more than its share of all requests in flight and a quarter is passed over. */
#include "server/balance/balancer_private.h"

#include "base/hash.h"
#include "base/mem.h"

#include <stdlib.h>

#define POINTS       100   /* of a weight of 1 */
#define POINTS_TOTAL 32768 /* about: with great weights each has fewer */
#define LOAD_NUM     5     /* 5/4 of its share */
#define LOAD_DEN     4

static int by_hash(const void *a, const void *b)
{
    const struct ring_point *x = a, *y = b;
    return x->hash < y->hash ? -1 : x->hash > y->hash;
}

/* The same in every process: hash_bytes has no secret. */
static uint64_t point_hash(const struct balancer_server *server, unsigned i)
{
    return hash_bytes2(slice_str(server->name), slice_of(&i, sizeof i));
}

/* Hashes are spread evenly: the place where one would be if they were so exactly. */
static unsigned guess(const struct balancer *balancer, uint64_t hash)
{
    return (unsigned)(((hash >> 32) * balancer->ring_count) >> 32);
}

/* For each guess the first point that would not be guessed lower. */
static void make_index(struct balancer *balancer)
{
    balancer->ring_index = mem_alloc(balancer->ring_count * sizeof *balancer->ring_index);
    unsigned at = 0;
    for (unsigned i = 0; i < balancer->ring_count; i++) {
        while (at < balancer->ring_count && guess(balancer, balancer->ring[at].hash) < i)
            at++;
        balancer->ring_index[i] = at;
    }
}

static void make_points(struct balancer *balancer)
{
    unsigned weights = 0;
    for (unsigned i = 0; i < balancer->server_count; i++)
        weights += balancer->servers[i]->weight;
    double each = weights * POINTS > POINTS_TOTAL ? (double)POINTS_TOTAL / weights : POINTS;
    size_t room = (size_t)(each * weights) + balancer->server_count + 1;
    balancer->ring = mem_alloc(room * sizeof *balancer->ring);
    for (unsigned i = 0; i < balancer->server_count; i++) {
        unsigned points = (unsigned)(each * balancer->servers[i]->weight) + 1;
        for (unsigned p = 0; p < points && balancer->ring_count < room; p++)
            balancer->ring[balancer->ring_count++] =
                (struct ring_point){point_hash(balancer->servers[i], p), i};
    }
    qsort(balancer->ring, balancer->ring_count, sizeof *balancer->ring, by_hash);
}

void ring_release(struct balancer *balancer)
{
    free(balancer->ring);
    free(balancer->ring_index);
    balancer->ring = NULL;
    balancer->ring_index = NULL;
    balancer->ring_count = 0;
}

void ring_build(struct balancer *balancer)
{
    lock_assert_held(&balancer->lock);
    ring_release(balancer);
    if (balancer->settings.algorithm != BALANCER_HASH || balancer->server_count == 0)
        return;
    make_points(balancer);
    make_index(balancer);
}

/* The first point at or behind the hash, or the first of all. */
static unsigned find_point(const struct balancer *balancer, uint64_t hash)
{
    unsigned at = balancer->ring_index[guess(balancer, hash)];
    while (at < balancer->ring_count && balancer->ring[at].hash < hash)
        at++;
    return at < balancer->ring_count ? at : 0;
}

/* The most that each may have: more than its part of all and this one, and a quarter. -1: it cannot
 * be asked. */
static void bound_loads(const struct balancer *balancer, const struct choice *choice, int most[])
{
    int64_t shares = 0, in_flight = 1;
    for (unsigned i = 0; i < choice->count; i++) {
        shares += choice->shares[i];
        in_flight += choice->servers[i]->in_flight;
    }
    for (unsigned i = 0, at = 0; i < balancer->server_count; i++) { /* both in the same order */
        bool asked = at < choice->count && balancer->servers[i] == choice->servers[at];
        int64_t part = asked ? LOAD_NUM * in_flight * choice->shares[at++] : 0;
        int64_t whole = LOAD_DEN * shares;
        most[i] = asked ? (int)((part + whole - 1) / whole) : -1;
    }
}

struct balancer_server *ring_choose(struct balancer *balancer, struct choice *choice)
{
    int most[BALANCER_SERVERS_MAX];
    bound_loads(balancer, choice, most);
    struct balancer_server *first = NULL;
    unsigned start = find_point(balancer, choice->hash);
    for (unsigned i = 0; i < balancer->ring_count; i++) {
        unsigned at =
            start + i < balancer->ring_count ? start + i : start + i - balancer->ring_count;
        unsigned place = balancer->ring[at].server;
        struct balancer_server *server = balancer->servers[place];
        if (most[place] < 0)
            continue;
        if (!first)
            first = server;
        if ((int)server->in_flight < most[place])
            return server;
    }
    return first ? first : choice->servers[0];
}
