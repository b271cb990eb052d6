/* Who looks, and what administrators do. */
#include "server/balance/balancer_private.h"

#include "base/log.h"

#include <string.h>

bool balancer_drain(struct balancer *balancer, const char *name, bool drain, int64_t now_ns)
{
    lock_acquire(&balancer->lock);
    struct balancer_server *server = balancer_find(balancer, name);
    if (server && server->drained != drain) {
        server->drained = drain;
        if (!drain)
            server->start_ns = now_ns;
        queue_call_all(balancer);
    }
    lock_leave(&balancer->lock);
    return server;
}

bool balancer_set_weight(struct balancer *balancer, const char *name, unsigned weight)
{
    lock_acquire(&balancer->lock);
    struct balancer_server *server = balancer_find(balancer, name);
    if (server) {
        server->weight = weight > 0 ? weight : server->configured_weight;
        ring_build(balancer);
    }
    lock_leave(&balancer->lock);
    return server;
}

const char *balancer_state_name(enum balancer_state state)
{
    static const char *const names[] = {
        [BALANCER_UP] = "up",           [BALANCER_STARTING] = "starting",
        [BALANCER_DRAINED] = "drained", [BALANCER_FAILING] = "failing",
        [BALANCER_EJECTED] = "ejected", [BALANCER_DOWN] = "down",
    };
    return names[state];
}

const char *balancer_breaker_name(enum balancer_breaker state)
{
    static const char *const names[] = {
        [BALANCER_CLOSED] = "closed",
        [BALANCER_HALF_OPEN] = "half-open",
        [BALANCER_OPENED] = "open",
    };
    return names[state];
}

static int64_t until(const struct balancer *balancer, const struct balancer_server *server,
                     enum balancer_state state)
{
    switch (state) {
    case BALANCER_FAILING:
        return server->failing_until_ns;
    case BALANCER_EJECTED:
        return server->ejected_until_ns;
    case BALANCER_STARTING:
        return server->start_ns + balancer->settings.slow_start_ns;
    default:
        return 0;
    }
}

static void look_at(const struct balancer *balancer, const struct balancer_server *server,
                    int64_t now_ns, struct balancer_server_figures *out)
{
    *out = (struct balancer_server_figures){
        .backup = server->backup,
        .weight = server->weight,
        .configured_weight = server->configured_weight,
        .state = server_state(balancer, server, now_ns),
        .in_flight = server->in_flight,
        .requests = server->requests,
        .errors = server->errors,
        .failures = server->failures,
        .ejections = server->ejections,
        .latency_ns = server->requests > server->failures ? (int64_t)server->latency_ns : 0,
    };
    out->until_ns = until(balancer, server, out->state);
    memcpy(out->name, server->name, sizeof out->name);
    memcpy(out->zone, server->zone, sizeof out->zone);
}

unsigned balancer_servers(struct balancer *balancer, int64_t now_ns,
                          struct balancer_server_figures *out, unsigned room)
{
    lock_acquire(&balancer->lock);
    unsigned count = balancer->server_count;
    for (unsigned i = 0; i < count && i < room; i++)
        look_at(balancer, balancer->servers[i], now_ns, &out[i]);
    lock_leave(&balancer->lock);
    return count;
}

void balancer_figures(struct balancer *balancer, int64_t now_ns, struct balancer_figures *out)
{
    lock_acquire(&balancer->lock);
    bool over = balancer->breaker == BALANCER_OPENED && now_ns >= balancer->breaker_until_ns;
    *out = (struct balancer_figures){
        .breaker = over ? BALANCER_HALF_OPEN : balancer->breaker,
        .breaker_until_ns = balancer->breaker_until_ns,
        .in_flight = balancer->in_flight + balancer->streaming,
        .requests = balancer->requests,
        .refused_open = balancer->refused_open,
        .refused_full = balancer->refused_full,
        .refused_much = balancer->refused_much,
        .queued = balancer->queued,
        .waited = balancer->waited,
        .waited_late = balancer->waited_late,
        .retries = balancer->retries,
        .retries_denied = balancer->retries_denied,
        .hedges = balancer->hedges,
    };
    lock_leave(&balancer->lock);
}
