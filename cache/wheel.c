/* DESIGN: a hierarchical timing wheel (Varghese and Lauck, 1987) with ticks of one second.
 *
 * Level 0 has a slot for each of the next 16 ticks, level 1 for each 16 ticks of the next 256, and
 * so on; four levels reach 18 hours, and what lies farther waits in the last slot to be placed
 * again. When the wheel comes to the first tick of a higher slot, it spreads its values over the
 * levels below. A value is touched at most once a level, and a tick without values costs nothing.
 */
#include "cache/cache_private.h"

#define TICK_MS   1000
#define TICKS_MAX ((int64_t)1 << (WHEEL_BITS * WHEEL_LEVELS))

/* The first tick at which the value has expired. */
static int64_t value_tick(const struct cache_value *value)
{
    return value->expires_ms / TICK_MS + (value->expires_ms % TICK_MS != 0);
}

static struct cache_timed *wheel_slot(struct cache_wheel *wheel, int level, int64_t tick)
{
    return &wheel->slots[level][(tick >> (level * WHEEL_BITS)) & (WHEEL_SLOTS - 1)];
}

/* tick: not before the wheel's */
static void wheel_place(struct cache_wheel *wheel, struct cache_value *value, int64_t tick)
{
    int64_t ticks = tick - wheel->tick;
    if (ticks >= TICKS_MAX) {
        ticks = TICKS_MAX - 1;
        tick = wheel->tick + ticks;
    }
    int level = 0;
    while (ticks >= (int64_t)1 << ((level + 1) * WHEEL_BITS))
        level++;
    LIST_INSERT_HEAD(wheel_slot(wheel, level, tick), value, timed);
}

/* The slot of the wheel's own tick may be handed out already: the next is the first to take. */
void cache_wheel_add(struct cache_wheel *wheel, struct cache_value *value, int64_t now_ms)
{
    if (wheel->count++ == 0 && wheel->tick < now_ms / TICK_MS)
        wheel->tick = now_ms / TICK_MS;
    int64_t tick = value_tick(value);
    wheel_place(wheel, value, tick > wheel->tick ? tick : wheel->tick + 1);
}

void cache_wheel_remove(struct cache_wheel *wheel, struct cache_value *value)
{
    LIST_REMOVE(value, timed);
    wheel->count--;
}

static void wheel_spread(struct cache_wheel *wheel, int level)
{
    struct cache_timed *slot = wheel_slot(wheel, level, wheel->tick);
    struct cache_value *value = LIST_FIRST(slot);
    LIST_INIT(slot);
    while (value) {
        struct cache_value *next = LIST_NEXT(value, timed);
        int64_t tick = value_tick(value);
        wheel_place(wheel, value, tick > wheel->tick ? tick : wheel->tick);
        value = next;
    }
}

static void wheel_step(struct cache_wheel *wheel)
{
    wheel->tick++;
    for (int level = WHEEL_LEVELS - 1; level > 0; level--)
        if (wheel->tick % ((int64_t)1 << (level * WHEEL_BITS)) == 0)
            wheel_spread(wheel, level);
}

struct cache_value *cache_wheel_due(struct cache_wheel *wheel, int64_t now_ms)
{
    while (wheel->count > 0) {
        struct cache_value *value = LIST_FIRST(wheel_slot(wheel, 0, wheel->tick));
        if (value)
            return value;
        if (wheel->tick >= now_ms / TICK_MS)
            return NULL;
        wheel_step(wheel);
    }
    return NULL;
}
