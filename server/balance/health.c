/* Who can be asked, and what is learned from checks and answers. max_fails is nginx's; ejecting
 * those whose answers are errors, for longer each time and never more than a share of the servers,
 * is Envoy's outlier detection. */
#include "server/balance/balancer_private.h"

#include "base/log.h"

#include <string.h>

#define SHARE_ONE    256              /* of a weight of 1 */
#define LATENCY_TAU  (10 * SECOND_NS) /* then half of a latency is forgotten */
#define LATENCY_FAIL SECOND_NS        /* what no answer counts as at least: failing is not fast */

static bool is_out(const struct balancer_server *server, int64_t now_ns)
{
    return now_ns < server->failing_until_ns || now_ns < server->ejected_until_ns;
}

unsigned server_class(const struct balancer *balancer, const struct balancer_server *server,
                      int64_t now_ns)
{
    if (server->drained || (server->max_conns > 0 && server->in_flight >= server->max_conns))
        return CLASS_NEVER;
    if (server->down)
        return CLASS_DOWN;
    if (is_out(server, now_ns))
        return CLASS_FAILING;
    if (server->backup)
        return CLASS_BACKUP;
    bool ours = balancer->zone[0] == '\0' || strcmp(server->zone, balancer->zone) == 0;
    return ours ? CLASS_ZONE : CLASS_ELSEWHERE;
}

static bool is_starting(const struct balancer *balancer, const struct balancer_server *server,
                        int64_t now_ns)
{
    return server->start_ns > 0 && now_ns < server->start_ns + balancer->settings.slow_start_ns;
}

int64_t server_share(const struct balancer *balancer, const struct balancer_server *server,
                     int64_t now_ns)
{
    int64_t share = (int64_t)server->weight * SHARE_ONE;
    if (!is_starting(balancer, server, now_ns))
        return share;
    int64_t since = now_ns > server->start_ns ? now_ns - server->start_ns : 0;
    int64_t part =
        (int64_t)((double)share * (double)since / (double)balancer->settings.slow_start_ns);
    return part > 1 ? part : 1;
}

enum balancer_state server_state(const struct balancer *balancer,
                                 const struct balancer_server *server, int64_t now_ns)
{
    if (server->drained)
        return BALANCER_DRAINED;
    if (server->down)
        return BALANCER_DOWN;
    if (now_ns < server->ejected_until_ns)
        return BALANCER_EJECTED;
    if (now_ns < server->failing_until_ns)
        return BALANCER_FAILING;
    return is_starting(balancer, server, now_ns) ? BALANCER_STARTING : BALANCER_UP;
}

/* ---- Latency */

/* Peak EWMA (Finagle): a slower answer counts at once, faster ones in time. tau / (tau + t) stands
 * for e^(-t/tau), which would cost more than the whole pick. */
double server_latency(const struct balancer_server *server, int64_t now_ns)
{
    int64_t past = now_ns > server->latency_at_ns ? now_ns - server->latency_at_ns : 0;
    return server->latency_ns * (double)LATENCY_TAU / (double)(LATENCY_TAU + past);
}

static void learn_latency(struct balancer_server *server, int64_t latency_ns, int64_t now_ns)
{
    double seen = (double)(latency_ns > 0 ? latency_ns : 1);
    double before = server->latency_ns, kept = server_latency(server, now_ns);
    server->latency_ns = seen > before ? seen : kept + seen * (1 - kept / before);
    server->latency_at_ns = now_ns;
}

/* ---- Failures */

static void log_out(const struct balancer *balancer, const struct balancer_server *server,
                    const char *what, int64_t for_ns)
{
    log_write(LOG_WARN, "balance", "upstream %s: %s is out for %lld ms: %s", balancer->name,
              server->name, (long long)(for_ns / 1000000), what);
}

/* It comes back at that time. */
static void start_at(struct balancer_server *server, int64_t at_ns)
{
    if (at_ns > server->start_ns)
        server->start_ns = at_ns;
}

static void count_fail(const struct balancer *balancer, struct balancer_server *server,
                       int64_t now_ns)
{
    if (server->max_fails == 0)
        return;
    if (server->fails == 0 || now_ns - server->fails_since_ns > server->fail_timeout_ns) {
        server->fails = 0;
        server->fails_since_ns = now_ns;
    }
    if (++server->fails < server->max_fails)
        return;
    server->fails = 0;
    if (now_ns >= server->failing_until_ns)
        log_out(balancer, server, "it failed max_fails times", server->fail_timeout_ns);
    server->failing_until_ns = now_ns + server->fail_timeout_ns;
    start_at(server, server->failing_until_ns);
}

/* True if so many others may be asked that this one need not. */
static bool may_eject(const struct balancer *balancer, int64_t now_ns)
{
    unsigned ejected = 1, asked = 0;
    for (unsigned i = 0; i < balancer->server_count; i++) {
        const struct balancer_server *server = balancer->servers[i];
        ejected += now_ns < server->ejected_until_ns;
        asked += !server->drained && !server->down && !is_out(server, now_ns);
    }
    return asked > 1 &&
           ejected * 100 <= balancer->settings.outlier_percent * balancer->server_count;
}

static void count_error(struct balancer *balancer, struct balancer_server *server, int64_t now_ns)
{
    const struct balancer_settings *settings = &balancer->settings;
    if (settings->outlier_errors == 0 || ++server->errors_in_row < settings->outlier_errors ||
        now_ns < server->ejected_until_ns || !may_eject(balancer, now_ns))
        return;
    if (now_ns - server->ejected_until_ns > settings->outlier_time_max_ns)
        server->ejections_in_row = 0; /* it has been well for long */
    server->ejections_in_row++;
    server->ejections++;
    server->errors_in_row = 0;
    int64_t for_ns = settings->outlier_time_ns * server->ejections_in_row;
    if (for_ns > settings->outlier_time_max_ns)
        for_ns = settings->outlier_time_max_ns;
    server->ejected_until_ns = now_ns + for_ns;
    start_at(server, server->ejected_until_ns);
    log_out(balancer, server, "too many errors in a row", for_ns);
}

void server_learn(struct balancer *balancer, struct balancer_server *server,
                  enum balancer_outcome outcome, int64_t latency_ns, int64_t now_ns)
{
    if (outcome == BALANCER_ABANDONED)
        return;
    server->requests++;
    if (outcome == BALANCER_ANSWERED) {
        server->errors_in_row = server->fails = 0;
        learn_latency(server, latency_ns, now_ns);
        return;
    }
    learn_latency(server, latency_ns > LATENCY_FAIL ? latency_ns : LATENCY_FAIL, now_ns);
    if (outcome == BALANCER_SERVER_ERROR) {
        server->errors++;
    } else {
        server->failures++;
        count_fail(balancer, server, now_ns);
    }
    count_error(balancer, server, now_ns);
}

/* ---- Checks */

static void turn(struct balancer *balancer, struct balancer_server *server, bool well,
                 int64_t now_ns)
{
    server->down = !well;
    server->checks_in_row = 0;
    if (well) {
        server->failing_until_ns = server->ejected_until_ns = now_ns;
        server->errors_in_row = server->fails = 0;
        server->start_ns = now_ns;
    }
    bool checked = balancer->settings.check_rise > 0;
    log_write(well ? LOG_INFO : LOG_WARN, "balance", "upstream %s: %s is %s: its checks %s",
              balancer->name, server->name, well ? "up" : "down",
              !checked ? "are off"
              : well   ? "succeed"
                       : "fail");
}

void server_uncheck(struct balancer *balancer, struct balancer_server *server, int64_t now_ns)
{
    server->checks_in_row = 0;
    if (server->down)
        turn(balancer, server, true, now_ns);
}

bool balancer_checked(struct balancer *balancer, const char *name, bool well, int64_t now_ns)
{
    const struct balancer_settings *settings = &balancer->settings;
    lock_acquire(&balancer->lock);
    struct balancer_server *server = balancer_find(balancer, name);
    bool counts = server && settings->check_rise > 0; /* one may be under way when they end */
    if (counts && server->down != well)
        server->checks_in_row = 0;
    else if (counts &&
             ++server->checks_in_row >= (well ? settings->check_rise : settings->check_fall))
        turn(balancer, server, well, now_ns);
    lock_leave(&balancer->lock);
    return server;
}
