#include "crowd.h"

#include <stdlib.h>
#include <time.h>

#define DELAYS_MAX (1 << 24) /* 64 MiB; later ones are left out */

static uint32_t *delays_us;
static size_t count, room;
static bool sorted;

int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void stats_add(int64_t delay_ns)
{
    if (crowd.measured_from_ns == 0 || count == DELAYS_MAX)
        return;
    if (count == room) {
        room = room == 0 ? 65536 : room * 2;
        delays_us = realloc(delays_us, room * sizeof *delays_us);
        if (!delays_us)
            give_up("realloc");
    }
    int64_t us = delay_ns / 1000;
    delays_us[count++] = us < 0 ? 0 : us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
    sorted = false;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

double stats_quantile_ms(double quantile)
{
    if (count == 0)
        return 0;
    if (!sorted)
        qsort(delays_us, count, sizeof *delays_us, compare);
    sorted = true;
    return delays_us[(size_t)(quantile * (double)(count - 1))] / 1000.0;
}
