#include "server/front/front_private.h"

#include <arpa/inet.h>
#include <assert.h>
#include <sys/socket.h>

#define PHASE_MASK UINT64_C(15) /* of the word; the time loses 16 ns of precision */

/* Room is kept for newcomers, so that a connection that has something to say finds a worker at
 * once, whoever sits on the others. */
static unsigned reserve(const struct front *front)
{
    unsigned share = front->options.workers / 16;

    return share > 0 ? share : 1;
}

static const bool waits_for_client[PHASE_COUNT] = {
    [PHASE_FRESH] = true, [PHASE_IDLE] = true,    [PHASE_HEAD] = true,
    [PHASE_BODY] = true,  [PHASE_SENDING] = true, [PHASE_LINGERING] = true,
};

void connection_enter(struct connection *c, enum phase phase, int64_t now_ns)
{
    atomic_store(&c->phase, ((uint64_t)now_ns & ~PHASE_MASK) | phase);
}

static enum phase phase_of(uint64_t word)
{
    return (enum phase)(word & PHASE_MASK);
}

static int64_t since_of(uint64_t word)
{
    return (int64_t)(word & ~PHASE_MASK);
}

void connection_enter_idle(struct connection *c)
{
    connection_enter(c, PHASE_IDLE, since_of(atomic_load(&c->phase)));
}

enum phase connection_phase(const struct connection *c)
{
    return phase_of(atomic_load(&c->phase));
}

/* ---- Addresses */

/* One client is one IPv4 address or one IPv6 /64, which is what a customer gets at least. */
static struct in6_addr network_of(const struct sockaddr *peer)
{
    struct in6_addr network = IN6ADDR_ANY_INIT;

    if (peer->sa_family == AF_INET6) {
        network = ((const struct sockaddr_in6 *)peer)->sin6_addr;
        if (!IN6_IS_ADDR_V4MAPPED(&network))
            memset(network.s6_addr + 8, 0, 8);
    } else {
        network.s6_addr[10] = network.s6_addr[11] = 0xFF;
        memcpy(network.s6_addr + 12, &((const struct sockaddr_in *)peer)->sin_addr, 4);
    }
    return network;
}

static void format_address(const struct sockaddr *peer, char out[INET6_ADDRSTRLEN])
{
    const void *ip = peer->sa_family == AF_INET6
                         ? (const void *)&((const struct sockaddr_in6 *)peer)->sin6_addr
                         : (const void *)&((const struct sockaddr_in *)peer)->sin_addr;

    if (inet_ntop(peer->sa_family, ip, out, INET6_ADDRSTRLEN) == NULL)
        out[0] = '\0';
}

/* ---- Cutting */

/* Wakes the worker out of the receive or, with what is unsent lost, out of the send that it was
 * seen in. If a request has come in the meantime its answer still goes out: who was seen receiving
 * may send. */
static void cut(struct connection *c, enum cut why, enum phase seen)
{
    lock_assert_held(&c->front->lock);
    atomic_store(&c->cut, why);
    c->ended = c->ended || seen >= PHASE_SERVING;
    shutdown(c->fd, c->ended ? SHUT_RDWR : SHUT_RD);
}

/* Its worker will be free in a moment. Who was cut and sends nevertheless is not leaving. */
static bool is_leaving(const struct connection *c, enum phase phase)
{
    return c->ended || (phase < PHASE_SERVING && atomic_load(&c->cut) != CUT_NOT);
}

/* A connection as it was seen. */
struct sighting {
    struct connection *c;
    uint64_t phase;
};

/* Those may be evicted that wait for their client and are ripe: each has a moment from its coming
 * to say something, or a crowd that comes again as soon as it is cut would displace everybody else
 * before they can. */
struct census {
    unsigned staying, queued;
    unsigned same;                       /* of the network asked for */
    struct sighting oldest, oldest_same; /* of those that may be evicted */
    struct sighting unripe_same;         /* the oldest of the others */
    int64_t ripe_at_ns;                  /* when the first of the others may; INT64_MAX: none */
};

static void keep_older(struct sighting *oldest, struct sighting other)
{
    if (oldest->c == NULL || since_of(other.phase) < since_of(oldest->phase))
        *oldest = other;
}

/* Looks at every connection that is not leaving already. */
static struct census take_census(struct front *front, const struct in6_addr *network,
                                 int64_t now_ns)
{
    struct census census = {.ripe_at_ns = INT64_MAX};

    lock_assert_held(&front->lock);
    for (unsigned i = 0; i < front->touched; i++) {
        struct connection *c = &front->connections[i];
        struct sighting seen = {c, atomic_load(&c->phase)};
        enum phase phase = phase_of(seen.phase);
        bool same;

        if (phase == PHASE_FREE || is_leaving(c, phase))
            continue;
        same = network != NULL && memcmp(&c->network, network, sizeof *network) == 0;
        census.staying++;
        census.same += same;
        census.queued += phase == PHASE_QUEUED;
        if (!waits_for_client[phase])
            continue;
        if (c->ripe_at_ns > now_ns) {
            if (c->ripe_at_ns < census.ripe_at_ns)
                census.ripe_at_ns = c->ripe_at_ns;
            if (same)
                keep_older(&census.unripe_same, seen);
            continue;
        }
        keep_older(&census.oldest, seen);
        if (same)
            keep_older(&census.oldest_same, seen);
    }
    return census;
}

/* Evicts if there is somebody. */
static bool evict(struct front *front, struct sighting oldest)
{
    if (oldest.c == NULL)
        return false;
    cut(oldest.c, CUT_EVICTED, phase_of(oldest.phase));
    front->evicted++;
    return true;
}

/* True if a connection of this network may come in. If one has to go for it, waits until one is
 * ripe or has left; but hardly for an address at its cap, as all the others wait too.
 * Threads: the acceptor, holds front->lock. */
static bool make_room(struct front *front, const struct in6_addr *network)
{
    int64_t began_ns = clock_mono_ns(front->options.clock);
    bool in_time = true;

    for (;;) {
        int64_t now_ns = clock_mono_ns(front->options.clock), until_ns;
        struct census census = take_census(front, network, now_ns);

        if (census.same >= front->options.connections_per_address) {
            until_ns = began_ns + CAPPED_NS;
            if (evict(front, census.oldest_same))
                return true;
            if (census.unripe_same.c == NULL || !in_time)
                return evict(front, census.unripe_same);
        } else {
            until_ns = census.ripe_at_ns;
            if (census.staying + 1 + reserve(front) <= front->options.workers ||
                evict(front, census.oldest) || until_ns == INT64_MAX)
                return true;
        }
        in_time = lock_cond_wait_until(&front->left, &front->lock, until_ns);
    }
}

/* ---- Coming and going */

static struct connection *take_free(struct front *front)
{
    struct connection *c = front->first_free;

    lock_assert_held(&front->lock);
    if (c != NULL)
        front->first_free = c->next_free;
    else if (front->touched < front->capacity)
        c = &front->connections[front->touched++];
    return c;
}

static void fill(struct connection *c, struct front *front, int fd, const struct sockaddr *peer)
{
    c->front = front;
    c->fd = fd;
    c->network = network_of(peer);
    c->served = 0;
    c->ended = false;
    format_address(peer, c->address);
    atomic_store(&c->cut, CUT_NOT);
}

struct connection *table_admit(struct front *front, int fd, const struct sockaddr *peer)
{
    struct in6_addr network = network_of(peer);
    struct connection *c = NULL;

    lock_acquire(&front->lock);
    if (make_room(front, &network))
        c = take_free(front);
    if (c != NULL) {
        int64_t now_ns = clock_mono_ns(front->options.clock);

        fill(c, front, fd, peer);
        c->ripe_at_ns = now_ns + RIPE_NS;
        connection_enter(c, PHASE_QUEUED, now_ns);
        front->accepted++;
        front->live++;
    }
    lock_leave(&front->lock);
    if (c == NULL) {
        fill(&front->turned_away, front, fd, peer);
        turn_away(&front->turned_away);
    }
    return c;
}

void table_remove(struct connection *c)
{
    struct front *front = c->front;

    lock_acquire(&front->lock);
    assert(connection_phase(c) != PHASE_FREE);
    connection_enter(c, PHASE_FREE, 0);
    c->next_free = front->first_free;
    front->first_free = c;
    front->live--;
    lock_cond_signal(&front->left);
    if (front->live == 0)
        lock_cond_broadcast(&front->empty);
    lock_leave(&front->lock);
}

bool table_crowded(struct front *front)
{
    return atomic_load_explicit(&front->live, memory_order_relaxed) > front->options.workers;
}

/* ---- The sweep */

static int64_t limit_ns(const struct front *front, enum phase phase)
{
    switch (phase) {
    case PHASE_FRESH:
    case PHASE_HEAD:
        return front->options.head_timeout_ms * 1000000;
    case PHASE_BODY:
    case PHASE_SENDING:
        return front->options.body_timeout_ms * 1000000;
    case PHASE_IDLE:
        return front->options.idle_timeout_ms * 1000000;
    case PHASE_LINGERING:
        return LINGER_NS;
    default:
        return INT64_MAX;
    }
}

/* The word is read once: a phase and its time belong together. Who has been cut has deadlines too:
 * the answer that says so, or to a request that came just then, may find a client that takes
 * nothing. */
static void check_deadline(struct connection *c, int64_t now_ns)
{
    uint64_t word = atomic_load(&c->phase);

    if (now_ns - since_of(word) > limit_ns(c->front, phase_of(word)))
        cut(c, CUT_DEADLINE, phase_of(word));
}

/* Handlers may have held all workers when connections came; now that they wait for their clients,
 * those without a worker go first. */
static void relieve_queue(struct front *front, int64_t now_ns)
{
    struct census census;

    do
        census = take_census(front, NULL, now_ns);
    while (census.queued > 0 && census.staying + reserve(front) > front->options.workers &&
           evict(front, census.oldest));
}

int64_t table_sweep(void *arg, int64_t now_ns)
{
    struct front *front = arg;

    lock_acquire(&front->lock);
    for (unsigned i = 0; i < front->touched; i++)
        check_deadline(&front->connections[i], now_ns);
    relieve_queue(front, now_ns);
    lock_leave(&front->lock);
    return SWEEP_MS;
}

void table_cut_idle(struct front *front, int64_t since_ns)
{
    lock_acquire(&front->lock);
    for (unsigned i = 0; i < front->touched; i++) {
        struct connection *c = &front->connections[i];
        uint64_t word = atomic_load(&c->phase);

        if ((phase_of(word) == PHASE_FRESH || phase_of(word) == PHASE_IDLE) &&
            since_of(word) <= since_ns)
            cut(c, CUT_STOPPING, phase_of(word));
    }
    lock_leave(&front->lock);
}

unsigned table_cut_all(struct front *front)
{
    unsigned count = 0;

    lock_acquire(&front->lock);
    for (unsigned i = 0; i < front->touched; i++) {
        struct connection *c = &front->connections[i];

        if (connection_phase(c) == PHASE_FREE)
            continue;
        atomic_store(&c->cut, CUT_STOPPING);
        shutdown(c->fd, SHUT_RDWR);
        count++;
    }
    lock_leave(&front->lock);
    return count;
}
