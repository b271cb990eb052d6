#include "server/balance/balancer_private.h"

#include <string.h>

void window_clear(struct window *window)
{
    memset(window->counts, 0, sizeof window->counts);
}

/* Empties the buckets that have come round again. */
static void move_on(struct window *window, int64_t now_ns)
{
    int64_t present = now_ns / window->bucket_ns;
    if (present - window->newest >= WINDOW_BUCKETS)
        window_clear(window);
    else
        for (int64_t i = window->newest + 1; i <= present; i++)
            memset(window->counts[i % WINDOW_BUCKETS], 0, sizeof window->counts[0]);
    if (present > window->newest)
        window->newest = present; /* threads meet: a moment ago may come after now */
}

void window_add(struct window *window, enum window_kind kind, int64_t now_ns)
{
    move_on(window, now_ns);
    window->counts[window->newest % WINDOW_BUCKETS][kind]++;
}

uint64_t window_sum(struct window *window, enum window_kind kind, int64_t now_ns)
{
    move_on(window, now_ns);
    uint64_t sum = 0;
    for (unsigned i = 0; i < WINDOW_BUCKETS; i++)
        sum += window->counts[i][kind];
    return sum;
}
