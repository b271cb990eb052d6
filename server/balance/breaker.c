/* The breaker stops asking an upstream most of whose answers are failures (Nygard, "Release It!"):
 * closed it counts, open it refuses, half-open it lets some through to see. The budget keeps
 * retries from being a multiple of the load (Finagle's RetryBudget; "The Site Reliability
 * Workbook"). */
#include "server/balance/balancer_private.h"

#include "base/log.h"

#define RETRIES_LEAST 3 /* that the budget of any ten seconds has */

static void open_breaker(struct balancer *balancer, int64_t now_ns)
{
    balancer->breaker = BALANCER_OPENED;
    balancer->breaker_until_ns = now_ns + balancer->settings.breaker_time_ns;
    log_write(LOG_WARN, "balance", "upstream %s: the breaker opens for %lld ms", balancer->name,
              (long long)(balancer->settings.breaker_time_ns / 1000000));
}

static void close_breaker(struct balancer *balancer)
{
    balancer->breaker = BALANCER_CLOSED;
    window_clear(&balancer->breaker_window);
    log_write(LOG_INFO, "balance", "upstream %s: the breaker closes", balancer->name);
}

/* What goes on for hours says nothing before it ends: after some time others may try, too. */
static bool let_others_try(struct balancer *balancer, int64_t now_ns)
{
    if (now_ns < balancer->breaker_until_ns)
        return false;
    balancer->breaker_until_ns = now_ns + balancer->settings.breaker_time_ns;
    balancer->probes_let = 0;
    return true;
}

bool breaker_lets(struct balancer *balancer, struct balancer_request *request, int64_t now_ns)
{
    if (balancer->breaker == BALANCER_CLOSED)
        return true;
    if (balancer->breaker == BALANCER_OPENED) {
        if (now_ns < balancer->breaker_until_ns)
            return false;
        balancer->breaker = BALANCER_HALF_OPEN;
        balancer->breaker_until_ns = now_ns + balancer->settings.breaker_time_ns;
        balancer->probes_let = balancer->probes_ok = 0;
        balancer->probe += balancer->probe == UINT32_MAX ? 2 : 1; /* never 0 */
    }
    if (balancer->probes_let >= balancer->settings.breaker_probes &&
        !let_others_try(balancer, now_ns))
        return false;
    balancer->probes_let++;
    request->probe = balancer->probe;
    return true;
}

static void learn_of_probe(struct balancer *balancer, enum balancer_outcome outcome, int64_t now_ns)
{
    if (outcome == BALANCER_ABANDONED)
        balancer->probes_let -= balancer->probes_let > 0; /* another one may see */
    else if (outcome != BALANCER_ANSWERED)
        open_breaker(balancer, now_ns);
    else if (++balancer->probes_ok >= balancer->settings.breaker_probes)
        close_breaker(balancer);
}

void breaker_learn(struct balancer *balancer, const struct balancer_request *request,
                   enum balancer_outcome outcome, int64_t now_ns)
{
    const struct balancer_settings *settings = &balancer->settings;
    if (balancer->breaker == BALANCER_HALF_OPEN && request->probe == balancer->probe)
        learn_of_probe(balancer, outcome, now_ns);
    if (balancer->breaker != BALANCER_CLOSED || settings->breaker_percent == 0 ||
        outcome == BALANCER_ABANDONED || request->probe)
        return;
    struct window *window = &balancer->breaker_window;
    window_add(window, WINDOW_REQUESTS, now_ns);
    if (outcome == BALANCER_ANSWERED)
        return;
    window_add(window, WINDOW_FAILURES, now_ns);
    uint64_t requests = window_sum(window, WINDOW_REQUESTS, now_ns);
    if (requests >= settings->breaker_requests &&
        window_sum(window, WINDOW_FAILURES, now_ns) * 100 >= requests * settings->breaker_percent)
        open_breaker(balancer, now_ns);
}

bool budget_take(struct balancer *balancer, int64_t now_ns)
{
    struct window *window = &balancer->budget;
    uint64_t most =
        window_sum(window, WINDOW_REQUESTS, now_ns) * balancer->settings.retry_percent / 100;
    if (window_sum(window, WINDOW_RETRIES, now_ns) >= (most > RETRIES_LEAST ? most : RETRIES_LEAST))
        return false;
    window_add(window, WINDOW_RETRIES, now_ns);
    return true;
}
