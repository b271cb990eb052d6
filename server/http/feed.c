/* DESIGN. Raising an event costs an increment and, if somebody listens and has not been told yet,
 * one call: a thousand raisings between two looks of the listener are one. A feed may be asked just
 * before the news and begin to wait just after: so the listener reads the count before it asks, and
 * again after it has begun to wait. */
#include "server/http/feed.h"

#include "base/mem.h"

#include <stdlib.h>

struct event {
    _Atomic uint64_t count;
    _Atomic(struct event_listener *) listener;
    atomic_bool told;
    struct event_link link;
};

struct event *event_create(void)
{
    return mem_zalloc(sizeof(struct event));
}

void event_destroy(struct event **event)
{
    free(*event);
    *event = NULL;
}

void event_raise(struct event *event)
{
    atomic_fetch_add(&event->count, 1);
    struct event_listener *listener = atomic_load(&event->listener);
    if (listener && !atomic_exchange(&event->told, true))
        listener->raised(listener, event);
}

uint64_t event_count(const struct event *event)
{
    return atomic_load(&event->count);
}

void event_listen(struct event *event, struct event_listener *listener)
{
    if (atomic_load_explicit(&event->listener, memory_order_relaxed) != listener)
        atomic_store(&event->listener, listener);
}

struct event_link *event_link(struct event *event)
{
    return &event->link;
}

void event_rearm(struct event *event)
{
    atomic_store(&event->told, false);
}
