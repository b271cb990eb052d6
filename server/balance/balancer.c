#include "server/balance/balancer_private.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Making */

static void server_configure(struct balancer_server *server,
                             const struct balancer_server_spec *spec)
{
    if (server->configured_weight != spec->weight)
        server->weight = spec->weight;
    server->configured_weight = spec->weight;
    snprintf(server->zone, sizeof server->zone, "%s", spec->zone);
    server->backup = spec->backup;
    server->max_conns = spec->max_conns;
    server->max_fails = spec->max_fails;
    server->fail_timeout_ns = spec->fail_timeout_ns;
}

static struct balancer_server *server_create(const struct balancer_settings *settings,
                                             const struct balancer_server_spec *spec, uint32_t id)
{
    struct balancer_server *server = mem_zalloc(sizeof *server);
    assert(strlen(spec->name) < sizeof server->name && spec->weight > 0);
    memcpy(server->name, spec->name, strlen(spec->name) + 1);
    server->id = id;
    server->data = settings->open ? settings->open(spec, settings->arg) : NULL;
    server->close = settings->close;
    server_configure(server, spec);
    return server;
}

static void server_destroy(struct balancer_server *server)
{
    if (server->close)
        server->close(server->data);
    free(server);
}

/* Takes what `settings` says but for the servers. */
static void take_settings(struct balancer *balancer, const struct balancer_settings *settings)
{
    assert(settings->server_count <= BALANCER_SERVERS_MAX &&
           settings->retries < BALANCER_TRIES_MAX);
    balancer->settings = *settings;
    balancer->settings.servers = NULL;
    snprintf(balancer->name, sizeof balancer->name, "%s", settings->name);
    snprintf(balancer->zone, sizeof balancer->zone, "%s", settings->zone);
    balancer->settings.name = balancer->name;
    balancer->settings.zone = balancer->zone;
    int64_t bucket_ns = settings->breaker_window_ns / WINDOW_BUCKETS;
    if (balancer->breaker_window.bucket_ns != bucket_ns)
        balancer->breaker_window = (struct window){.bucket_ns = bucket_ns};
}

struct balancer *balancer_create(const struct balancer_settings *settings, int64_t now_ns)
{
    struct balancer *balancer = mem_zalloc(sizeof *balancer);
    lock_init(&balancer->lock, LOCK_RANK_BALANCE);
    balancer->budget.bucket_ns = 10 * SECOND_NS / WINDOW_BUCKETS;
    balancer->random = hash_bytes(slice_str(settings->name)) | 1;
    TAILQ_INIT(&balancer->door);
    TAILQ_INIT(&balancer->at_servers);
    balancer_configure(balancer, settings, now_ns);
    for (unsigned i = 0; i < balancer->server_count; i++)
        balancer->servers[i]->start_ns = 0; /* nobody is there to take their part meanwhile */
    return balancer;
}

struct balancer_server *balancer_find(const struct balancer *balancer, const char *name)
{
    lock_assert_held(&balancer->lock);
    for (unsigned i = 0; i < balancer->server_count; i++) {
        if (strcmp(balancer->servers[i]->name, name) == 0)
            return balancer->servers[i];
    }
    return NULL;
}

/* Servers that are made before the lock is taken, as open() may do anything. */
struct change {
    struct balancer_server *servers[BALANCER_SERVERS_MAX]; /* as configured; NULL: is there */
    struct balancer_server *idle[BALANCER_SERVERS_MAX];    /* gone, to be destroyed */
    unsigned idle_count;
};

static void make_newcomers(struct balancer *balancer, const struct balancer_settings *settings,
                           struct change *change, int64_t now_ns)
{
    for (unsigned i = 0; i < settings->server_count; i++) {
        lock_acquire(&balancer->lock);
        bool known = balancer_find(balancer, settings->servers[i].name);
        lock_leave(&balancer->lock);
        if (known)
            continue;
        change->servers[i] = server_create(settings, &settings->servers[i], ++balancer->next_id);
        change->servers[i]->start_ns = now_ns;
    }
}

/* Puts those that stay and those that come in the order of the settings. */
static void arrange(struct balancer *balancer, const struct balancer_settings *settings,
                    struct change *change, int64_t now_ns)
{
    for (unsigned i = 0; i < balancer->server_count; i++)
        balancer->servers[i]->gone = true;
    for (unsigned i = 0; i < settings->server_count; i++) {
        struct balancer_server *known = balancer_find(balancer, settings->servers[i].name);
        assert(known || change->servers[i]);
        if (known) {
            server_configure(known, &settings->servers[i]);
            if (settings->check_rise == 0)
                server_uncheck(balancer, known, now_ns);
            change->servers[i] = known;
        }
        change->servers[i]->gone = false;
    }
    for (unsigned i = 0; i < balancer->server_count; i++) {
        struct balancer_server *server = balancer->servers[i];
        if (server->gone && server->in_flight == 0)
            change->idle[change->idle_count++] = server;
    }
    memcpy(balancer->servers, change->servers, sizeof balancer->servers);
    balancer->server_count = settings->server_count;
}

void balancer_configure(struct balancer *balancer, const struct balancer_settings *settings,
                        int64_t now_ns)
{
    struct change change = {.idle_count = 0};
    make_newcomers(balancer, settings, &change, now_ns);
    lock_acquire(&balancer->lock);
    take_settings(balancer, settings);
    arrange(balancer, settings, &change, now_ns);
    ring_build(balancer);
    queue_call_all(balancer);
    lock_leave(&balancer->lock);
    for (unsigned i = 0; i < change.idle_count; i++)
        server_destroy(change.idle[i]);
}

void balancer_destroy(struct balancer **balancer)
{
    if (!*balancer)
        return;
    assert((*balancer)->in_flight == 0 && (*balancer)->streaming == 0);
    for (unsigned i = 0; i < (*balancer)->server_count; i++)
        server_destroy((*balancer)->servers[i]);
    ring_release(*balancer);
    lock_release(&(*balancer)->lock);
    free(*balancer);
    *balancer = NULL;
}

/* ---- A request */

static bool has_much(const struct balancer *balancer, const struct balancer_request *request)
{
    unsigned most = balancer->settings.client_max;
    return most > 0 && request->client != 0 && !request->counted &&
           share_of(&balancer->shares, request->client) >= most;
}

static enum balancer_verdict let_in(struct balancer *balancer, struct balancer_request *request,
                                    int64_t now_ns)
{
    if (has_much(balancer, request))
        return BALANCER_MUCH;
    if (balancer->in_flight >= balancer->settings.requests_max ||
        queue_is_before(balancer, request, BALANCER_AT_DOOR))
        return queue_join(balancer, request, BALANCER_AT_DOOR);
    if (!breaker_lets(balancer, request, now_ns))
        return BALANCER_OPEN;
    queue_pass(request);
    share_add(&balancer->shares, request);
    request->in = true;
    balancer->in_flight++;
    balancer->requests++;
    window_add(&balancer->budget, WINDOW_REQUESTS, now_ns);
    return BALANCER_OK;
}

enum balancer_verdict balancer_enter(struct balancer *balancer, struct balancer_request *request,
                                     int64_t now_ns)
{
    lock_acquire(&balancer->lock);
    enum balancer_verdict verdict = let_in(balancer, request, now_ns);
    balancer->refused_full += verdict == BALANCER_FULL;
    balancer->refused_open += verdict == BALANCER_OPEN;
    balancer->refused_much += verdict == BALANCER_MUCH;
    lock_leave(&balancer->lock);
    return verdict;
}

static bool was_tried(const struct balancer_request *request, const struct balancer_server *server)
{
    for (unsigned i = 0; i < request->tried_count; i++) {
        if (request->tried[i] == server->id)
            return true;
    }
    return false;
}

/* Those of the lowest class, which is returned. */
static unsigned lowest(const struct balancer *balancer, const struct balancer_request *request,
                       struct choice *choice)
{
    unsigned best = CLASS_NEVER;
    for (unsigned i = 0; i < balancer->server_count; i++) {
        struct balancer_server *server = balancer->servers[i];
        unsigned class = server_class(balancer, server, choice->now_ns);
        if (class < CLASS_COUNT && was_tried(request, server))
            class += CLASS_COUNT;
        if (class == CLASS_NEVER || class > best)
            continue;
        if (class < best)
            choice->count = 0;
        best = class;
        choice->servers[choice->count++] = server;
    }
    return best;
}

static bool is_drained(const struct balancer *balancer)
{
    for (unsigned i = 0; i < balancer->server_count; i++) {
        if (!balancer->servers[i]->drained)
            return false;
    }
    return true;
}

static enum balancer_verdict pick_none(struct balancer *balancer, struct balancer_request *request)
{
    if (is_drained(balancer))
        return BALANCER_NONE;
    enum balancer_verdict verdict = queue_join(balancer, request, BALANCER_AT_SERVERS);
    balancer->refused_full += verdict == BALANCER_FULL;
    return verdict;
}

/* Threads: holds the lock. */
static struct balancer_server *take(struct balancer *balancer, struct balancer_request *request,
                                    struct choice *choice)
{
    struct balancer_server *server = choose(balancer, choice);
    server->in_flight++;
    request->tried[request->tried_count++] = server->id;
    return server;
}

enum balancer_verdict balancer_pick(struct balancer *balancer, struct balancer_request *request,
                                    int64_t now_ns, struct balancer_server **server, bool *again)
{
    assert(request->tried_count < BALANCER_TRIES_MAX);
    struct choice choice;
    choice.count = 0;
    choice.hash = request->hash;
    choice.now_ns = now_ns;
    enum balancer_verdict verdict = BALANCER_OK;
    lock_acquire(&balancer->lock);
    unsigned class = CLASS_NEVER;
    if (!queue_is_before(balancer, request, BALANCER_AT_SERVERS))
        class = lowest(balancer, request, &choice);
    if (class == CLASS_NEVER) {
        verdict = pick_none(balancer, request);
        *server = NULL;
    } else {
        queue_pass(request);
        *server = take(balancer, request, &choice);
    }
    *again = class >= CLASS_COUNT;
    lock_leave(&balancer->lock);
    return verdict;
}

void balancer_ended(struct balancer *balancer, struct balancer_server *server,
                    enum balancer_outcome outcome, int64_t latency_ns, int64_t now_ns)
{
    lock_acquire(&balancer->lock);
    assert(server->in_flight > 0);
    server_learn(balancer, server, outcome, latency_ns, now_ns);
    bool last = --server->in_flight == 0 && server->gone;
    queue_call(balancer, BALANCER_AT_SERVERS);
    lock_leave(&balancer->lock);
    if (last)
        server_destroy(server);
}

bool balancer_retry(struct balancer *balancer, struct balancer_request *request, int64_t now_ns)
{
    lock_acquire(&balancer->lock);
    bool may = request->tried_count <= balancer->settings.retries &&
               request->tried_count < BALANCER_TRIES_MAX;
    bool granted = may && budget_take(balancer, now_ns);
    balancer->retries += granted;
    balancer->retries_denied += may && !granted;
    lock_leave(&balancer->lock);
    return granted;
}

struct balancer_server *balancer_hedge(struct balancer *balancer, struct balancer_request *request,
                                       int64_t now_ns)
{
    struct choice choice;
    choice.count = 0;
    choice.hash = request->hash;
    choice.now_ns = now_ns;
    struct balancer_server *server = NULL;
    lock_acquire(&balancer->lock);
    if (request->tried_count < BALANCER_TRIES_MAX && TAILQ_EMPTY(&balancer->at_servers) &&
        lowest(balancer, request, &choice) <= CLASS_BACKUP && budget_take(balancer, now_ns)) {
        server = take(balancer, request, &choice);
        balancer->hedges++;
    }
    lock_leave(&balancer->lock);
    return server;
}

void balancer_streams(struct balancer *balancer, struct balancer_request *request)
{
    lock_acquire(&balancer->lock);
    assert(balancer->in_flight > 0 && !request->streams);
    request->streams = true;
    balancer->in_flight--;
    balancer->streaming++;
    share_remove(&balancer->shares, request);
    queue_call(balancer, BALANCER_AT_DOOR);
    lock_leave(&balancer->lock);
}

void balancer_leave(struct balancer *balancer, struct balancer_request *request,
                    enum balancer_outcome outcome, int64_t now_ns)
{
    lock_acquire(&balancer->lock);
    unsigned *count = request->streams ? &balancer->streaming : &balancer->in_flight;
    assert(*count > 0);
    --*count;
    request->in = false;
    share_remove(&balancer->shares, request);
    if (!request->streams)
        queue_call(balancer, BALANCER_AT_DOOR);
    breaker_learn(balancer, request, outcome, now_ns);
    lock_leave(&balancer->lock);
}

const char *balancer_server_name(const struct balancer_server *server)
{
    return server->name;
}

void *balancer_server_data(const struct balancer_server *server)
{
    return server->data;
}
