/* DESIGN. The table of connections, and who has to go when there are too many: of one address, or
 * in all. It is not the newcomer who is refused: the connection goes that has waited longest for
 * its client. A newcomer has a moment first, or a crowd that comes again as soon as it is cut would
 * displace everybody else before they can say anything. */
#include "server/front/front_private.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOMENT_NS  INT64_C(1000000)
#define PHASE_MASK UINT64_C(15) /* of the word; the time loses 16 ns of precision */

static const bool waits_for_client[PHASE_COUNT] = {
    [PHASE_FRESH] = true, [PHASE_IDLE] = true,    [PHASE_HEAD] = true,
    [PHASE_BODY] = true,  [PHASE_SENDING] = true, [PHASE_LINGERING] = true,
};

void connection_enter(struct connection *c, enum phase phase, int64_t now_ns)
{
    atomic_store(&c->phase, ((uint64_t)now_ns & ~PHASE_MASK) | phase);
}

enum phase phase_of(uint64_t word)
{
    return (enum phase)(word & PHASE_MASK);
}

int64_t since_of(uint64_t word)
{
    return (int64_t)(word & ~PHASE_MASK);
}

/* ---- Addresses */

/* All that come over Unix sockets are one: the address ::. */
static struct in6_addr ip_of(const struct sockaddr *from)
{
    struct in6_addr ip = IN6ADDR_ANY_INIT;
    if (from->sa_family == AF_INET6) {
        ip = ((const struct sockaddr_in6 *)from)->sin6_addr;
    } else if (from->sa_family == AF_INET) {
        ip.s6_addr[10] = ip.s6_addr[11] = 0xFF;
        memcpy(ip.s6_addr + 12, &((const struct sockaddr_in *)from)->sin_addr, 4);
    }
    return ip;
}

static void note_address(struct connection *c, const struct in6_addr *ip)
{
    c->ip = *ip;
    if (c->listener->unix_socket && IN6_IS_ADDR_UNSPECIFIED(ip))
        memcpy(c->address, "local", sizeof "local");
    else
        ip_format(ip, c->address);
}

/* ---- Peers */

static struct peer **peer_list(struct front *front, const struct in6_addr *network)
{
    lock_assert_held(&front->lock);
    uint64_t hash = hash_keyed(slice_of(network, sizeof *network));
    return &front->peers[hash & (front->peer_lists - 1)];
}

/* Made if it is not there. */
static struct peer *peer_take(struct front *front, const struct in6_addr *network)
{
    struct peer **list = peer_list(front, network);
    for (struct peer *peer = *list; peer; peer = peer->next) {
        if (memcmp(&peer->network, network, sizeof *network) == 0)
            return peer;
    }
    struct peer *peer = mem_zalloc(sizeof *peer);
    peer->network = *network;
    TAILQ_INIT(&peer->connections);
    for (enum line line = 0; line < LINES; line++)
        TAILQ_INIT(&peer->waiting[line]);
    peer->next = *list;
    *list = peer;
    return peer;
}

static void peer_free(struct front *front, struct peer *peer)
{
    struct peer **link = peer_list(front, &peer->network);
    for (enum line line = 0; line < LINES; line++)
        assert(TAILQ_EMPTY(&peer->waiting[line]));
    while (*link != peer)
        link = &(*link)->next;
    *link = peer->next;
    free(peer);
}

/* ---- Cutting */

/* Makes the socket readable, which ends a wait in the hub and a worker's receive; with what is
 * unsent lost, ends the send that it was seen in. If a request has come in the meantime its answer
 * still goes out: who was seen receiving may send. */
static void cut(struct connection *c, enum cut why, enum phase seen)
{
    lock_assert_held(&c->front->lock);
    atomic_store(&c->cut, why);
    c->ended = c->ended || seen >= PHASE_SERVING;
    shutdown(c->fd, c->ended ? SHUT_RDWR : SHUT_RD);
}

/* Its place will be free in a moment. Who was cut and sends nevertheless is not leaving. */
static bool is_leaving(const struct connection *c, enum phase phase)
{
    return c->ended || (phase < PHASE_SERVING && atomic_load(&c->cut) != CUT_NOT);
}

/* A connection as it was seen. */
struct sighting {
    struct connection *c;
    uint64_t word;
};

/* Keeps it if it may be evicted and has waited longer. Who has come just now counts as younger than
 * all who have settled. */
static void consider(struct sighting *oldest, struct connection *c, int64_t now_ns, bool settled)
{
    struct sighting seen = {c, atomic_load(&c->phase)};
    enum phase phase = phase_of(seen.word);
    if (!waits_for_client[phase] || is_leaving(c, phase))
        return;
    if (settled && now_ns - c->came_ns < SETTLED_NS)
        return;
    if (!oldest->c || since_of(seen.word) < since_of(oldest->word))
        *oldest = seen;
}

static bool evict(struct front *front, struct sighting oldest)
{
    if (!oldest.c)
        return false;
    cut(oldest.c, CUT_EVICTED, phase_of(oldest.word));
    front->evicted++;
    return true;
}

static bool evict_any(struct front *front, int64_t now_ns)
{
    struct sighting oldest = {0};
    for (unsigned i = 0; i < front->touched; i++)
        consider(&oldest, &front->connections[i], now_ns, true);
    return evict(front, oldest);
}

static bool evict_of(struct front *front, struct peer *peer, int64_t now_ns)
{
    struct sighting oldest = {0};
    struct connection *c;
    TAILQ_FOREACH(c, &peer->connections, of_peer)
        consider(&oldest, c, now_ns, false);
    return evict(front, oldest);
}

/* Said once a second, however often it happens. */
void table_make_room(struct front *front, const char *why)
{
    int64_t now_ns = front_now_ns(front);
    lock_acquire(&front->lock);
    bool found = evict_any(front, now_ns);
    bool say = now_ns >= front->refusals_quiet_until_ns;
    unsigned times = ++front->refusals;
    if (say) {
        front->refusals_quiet_until_ns = now_ns + INT64_C(1000000000);
        front->refusals = 0;
    }
    lock_leave(&front->lock);
    if (say)
        log_write(LOG_WARN, "front", "cannot accept: %s; %s (%u times since it was said last)", why,
                  found ? "the connection that waited longest is closed" : "nobody can be closed",
                  times);
}

/* ---- Coming and going */

static struct connection *take_free(struct front *front)
{
    lock_assert_held(&front->lock);
    struct connection *c = front->first_free;
    if (c)
        front->first_free = c->next_free;
    else if (front->touched < front->capacity)
        c = &front->connections[front->touched++];
    return c;
}

static bool find_room(struct front *front, struct peer *peer, int64_t now_ns)
{
    if (peer->count > front->options.connections_per_address && !evict_of(front, peer, now_ns))
        return false;
    return front->live < front->options.connections || evict_any(front, now_ns);
}

/* True if there is a place for one more of this peer. Who has just been answered may look busy for
 * a moment; the acceptor waits no longer than that, as all others wait with it. */
static bool make_room(struct front *front, struct peer *peer, int64_t now_ns)
{
    if (find_room(front, peer, now_ns))
        return true;
    lock_cond_wait_until(&front->changed, &front->lock, clock_mono_ns(&clock_system) + MOMENT_NS);
    return find_room(front, peer, now_ns);
}

static void fill(struct connection *c, struct front *front, int fd, struct peer *peer,
                 int64_t now_ns)
{
    uint64_t phase = c->phase;
    memset(c, 0, sizeof *c);
    c->phase = phase;
    c->front = front;
    c->fd = fd;
    c->came_ns = c->fresh_ns = now_ns;
    c->peer = peer;
    TAILQ_INSERT_TAIL(&peer->connections, c, of_peer);
    connection_enter(c, PHASE_FRESH, now_ns);
    front->accepted++;
    front->live++;
}

/* In place of `c`, should it be NULL, *room says why. */
static struct connection *admit(struct front *front, int fd, const struct in6_addr *network,
                                bool *room)
{
    int64_t now_ns = front_now_ns(front);
    struct peer *peer = peer_take(front, network);
    peer->count++; /* so that it stays while we wait */
    *room = make_room(front, peer, now_ns);
    struct connection *c = take_free(front);
    if (c)
        fill(c, front, fd, peer, now_ns);
    else if (peer->count == 1)
        peer_free(front, peer);
    else
        peer->count--;
    return c;
}

struct connection *table_admit(struct front *front, const struct listener *listener, int fd,
                               const struct sockaddr *from)
{
    struct in6_addr ip = ip_of(from), network = ip_network(&ip);
    bool room;
    lock_acquire(&front->lock);
    struct connection *c = admit(front, fd, &network, &room);
    lock_leave(&front->lock);
    if (!c) {
        atomic_fetch_add(&front->shed, 1);
        close(fd);
        return NULL;
    }
    c->listener = listener;
    note_address(c, &ip);
    c->proxy_awaited = listener->proxy_protocol;
    c->tls = listener->tls ? tls_accept(listener->tls, fd) : NULL;
    c->turned_away = !room;
    return c;
}

struct peer *table_hold_peer(struct front *front, const struct in6_addr *ip)
{
    struct in6_addr network = ip_network(ip);
    lock_acquire(&front->lock);
    struct peer *peer = peer_take(front, &network);
    peer->count++;
    lock_leave(&front->lock);
    return peer;
}

static void let_go(struct front *front, struct peer *peer)
{
    lock_assert_held(&front->lock);
    if (--peer->count == 0)
        peer_free(front, peer);
}

void table_let_peer_go(struct front *front, struct peer **peer)
{
    if (!*peer)
        return;
    lock_acquire(&front->lock);
    let_go(front, *peer);
    lock_leave(&front->lock);
    *peer = NULL;
}

bool table_rebind(struct connection *c, const struct in6_addr *ip)
{
    struct front *front = c->front;
    struct in6_addr network = ip_network(ip);
    lock_acquire(&front->lock);
    struct peer *peer = peer_take(front, &network), *before = c->peer;
    bool room = peer->count < front->options.connections_per_address ||
                evict_of(front, peer, front_now_ns(front));
    TAILQ_REMOVE(&before->connections, c, of_peer);
    TAILQ_INSERT_TAIL(&peer->connections, c, of_peer);
    peer->count++;
    c->peer = peer;
    let_go(front, before);
    lock_leave(&front->lock);
    note_address(c, ip);
    return room;
}

static void forget(struct connection *c)
{
    struct front *front = c->front;
    lock_acquire(&front->lock);
    assert(connection_phase(c) != PHASE_FREE);
    TAILQ_REMOVE(&c->peer->connections, c, of_peer);
    let_go(front, c->peer);
    connection_enter(c, PHASE_FREE, 0);
    c->next_free = front->first_free;
    front->first_free = c;
    if (--front->live == 0)
        lock_cond_broadcast(&front->changed);
    lock_leave(&front->lock);
}

void connection_close(struct connection *c)
{
    int fd = c->fd;
    if (c->service && (c->service->answering || c->service->head_parsed))
        serve_abandon(c);
    service_return(c);
    buf_release(&c->in);
    tls_close(&c->tls, true);
    forget(c); /* from here on nobody shuts the descriptor down, whoever may get its number next */
    close(fd);
}

/* ---- The sweep */

static int64_t limit_ns(const struct front *front, enum phase phase)
{
    switch (phase) {
    case PHASE_FRESH:
    case PHASE_HEAD:
    case PHASE_SHAKING:
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

int64_t table_sweep(void *arg, int64_t now_ns)
{
    struct front *front = arg;
    lock_acquire(&front->lock);
    for (unsigned i = 0; i < front->touched; i++)
        check_deadline(&front->connections[i], now_ns);
    await_sweep(front, now_ns);
    lock_leave(&front->lock);
    return SWEEP_MS;
}

void table_relieve(struct front *front, int64_t now_ns)
{
    struct sighting oldest = {0};
    lock_acquire(&front->lock);
    for (unsigned i = 0; i < front->options.workers; i++) {
        struct connection *c = atomic_load(&front->workers[i].at);
        if (c && connection_phase(c) == PHASE_BODY)
            consider(&oldest, c, now_ns, true);
    }
    evict(front, oldest);
    lock_leave(&front->lock);
}

void table_cut_idle(struct front *front, int64_t since_ns)
{
    lock_acquire(&front->lock);
    for (unsigned i = 0; i < front->touched; i++) {
        struct connection *c = &front->connections[i];
        uint64_t word = atomic_load(&c->phase);
        enum phase phase = phase_of(word);
        if ((phase == PHASE_FRESH || phase == PHASE_IDLE) && since_of(word) <= since_ns)
            cut(c, CUT_STOPPING, phase);
    }
    lock_leave(&front->lock);
}

unsigned table_cut_all(struct front *front)
{
    unsigned count = 0;
    lock_acquire(&front->lock);
    for (unsigned i = 0; i < front->touched; i++) {
        struct connection *c = &front->connections[i];
        enum phase phase = connection_phase(c);
        if (phase == PHASE_FREE)
            continue;
        count += phase != PHASE_FRESH && phase != PHASE_IDLE;
        atomic_store(&c->cut, CUT_STOPPING);
        c->ended = true;
        shutdown(c->fd, SHUT_RDWR);
        await_cut(c, WAKE_STOPPING);
    }
    lock_leave(&front->lock);
    return count;
}

/* What it says of a request that another thread serves may be of the next one; it is for the log.
 */
void table_look_at_handlers(struct front *front, struct front_drained *out)
{
    int64_t now_ns = front_now_ns(front);
    lock_acquire(&front->lock);
    for (unsigned i = 0; i < front->touched; i++) {
        uint64_t word = atomic_load(&front->connections[i].phase);
        if (phase_of(word) != PHASE_SERVING)
            continue;
        int64_t for_ms = (now_ns - since_of(word)) / 1000000;
        out->running++;
        out->oldest_ms = for_ms > out->oldest_ms ? for_ms : out->oldest_ms;
    }
    lock_leave(&front->lock);
}

/* ---- Making */

void table_init(struct front *front)
{
    front->capacity = front->options.connections + SPARE_PLACES;
    front->connections = mem_zalloc(front->capacity * sizeof *front->connections);
    for (front->peer_lists = 64; front->peer_lists < front->capacity / 2;)
        front->peer_lists *= 2;
    front->peers =
        mem_zalloc(front->peer_lists * sizeof *front->peers); /* NOLINT: pointers, each to a list */
    lock_init(&front->lock, LOCK_RANK_FRONT);
    lock_cond_init(&front->changed);
}

void table_release(struct front *front)
{
    for (unsigned i = 0; i < front->touched; i++) {
        if (connection_phase(&front->connections[i]) != PHASE_FREE)
            connection_close(&front->connections[i]);
    }
    lock_cond_release(&front->changed);
    lock_release(&front->lock);
    free(front->peers);
    free(front->connections);
}
