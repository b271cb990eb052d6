/* A hash table of lists: a flight and its key in one allocation, which its leader frees. */
#include "server/gateway/cache_flights.h"

#include "base/hash.h"
#include "base/lock.h"
#include "base/mem.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#define LISTS 256

struct flight {
    struct flight *next; /* these are guarded by the lock */
    struct flight_wait *waiting;
    int64_t until_ms; /* nobody waits from then on */
    uint64_t hash;
    size_t key_len;
    char key[];
};

struct flights {
    struct lock lock;
    atomic_bool over; /* written under the lock */
    struct flight *lists[LISTS];
};

struct flights *flights_create(void)
{
    struct flights *flights = mem_zalloc(sizeof *flights);
    lock_init(&flights->lock, LOCK_RANK_IDEMPOTENCY);
    return flights;
}

void flights_destroy(struct flights **flights)
{
    if (!*flights)
        return;
    lock_release(&(*flights)->lock);
    free(*flights);
    *flights = NULL;
}

static struct flight *create(struct slice key, uint64_t hash)
{
    struct flight *flight = mem_alloc(sizeof *flight + key.len);
    *flight = (struct flight){.until_ms = INT64_MAX, .hash = hash, .key_len = key.len};
    memcpy(flight->key, key.ptr, key.len);
    return flight;
}

static struct flight **list_of(struct flights *flights, uint64_t hash)
{
    lock_assert_held(&flights->lock);
    return &flights->lists[hash % LISTS];
}

static struct flight *find(struct flights *flights, struct slice key, uint64_t hash)
{
    struct flight *flight = *list_of(flights, hash);
    while (flight && !slice_eq(slice_of(flight->key, flight->key_len), key))
        flight = flight->next;
    return flight;
}

static struct flight *add(struct flights *flights, struct slice key, uint64_t hash)
{
    struct flight **list = list_of(flights, hash);
    struct flight *flight = create(key, hash);
    flight->next = *list;
    return *list = flight;
}

struct flight *flights_join(struct flights *flights, struct slice key, struct flight_wait *wait,
                            struct request *request, int64_t now_ms)
{
    uint64_t hash = hash_keyed(key);
    struct flight *begun = NULL;
    lock_acquire(&flights->lock);
    struct flight *flight = find(flights, key, hash);
    if (flight && !flights->over && now_ms < flight->until_ms) {
        request_await(request); /* from here on it may be resumed */
        *wait = (struct flight_wait){.next = flight->waiting, .request = request};
        flight->waiting = wait;
    } else {
        begun = add(flights, key, hash);
    }
    lock_leave(&flights->lock);
    return begun;
}

static void take_out(struct flights *flights, const struct flight *flight)
{
    struct flight **link = list_of(flights, flight->hash);
    while (*link && *link != flight)
        link = &(*link)->next;
    assert(*link);
    *link = flight->next;
}

/* A request that is resumed is another thread's at once, and its wait with it. */
static void wake(struct flight_wait *wait, bool stored)
{
    while (wait) {
        struct flight_wait *next = wait->next;
        wait->landed = stored;
        request_resume(wait->request);
        wait = next;
    }
}

void flight_end(struct flights *flights, struct flight **flight, bool stored)
{
    if (!*flight)
        return;
    lock_acquire(&flights->lock);
    take_out(flights, *flight);
    struct flight_wait *waiting = (*flight)->waiting;
    lock_leave(&flights->lock);
    wake(waiting, stored);
    free(*flight);
    *flight = NULL;
}

/* Moves those who wait for a flight over to a list. */
static void collect(struct flight *flight, struct flight_wait **list)
{
    struct flight_wait **end = &flight->waiting;
    while (*end)
        end = &(*end)->next;
    *end = *list;
    *list = flight->waiting;
    flight->waiting = NULL;
}

/* All flights that nobody waits for from now on. */
static struct flight_wait *collect_until(struct flights *flights, int64_t now_ms)
{
    struct flight_wait *waiting = NULL;
    lock_assert_held(&flights->lock);
    for (unsigned i = 0; i < LISTS; i++) {
        for (struct flight *flight = flights->lists[i]; flight; flight = flight->next) {
            if (now_ms >= flight->until_ms)
                collect(flight, &waiting);
        }
    }
    return waiting;
}

void flight_streams(struct flights *flights, struct flight *flight, int64_t until_ms)
{
    if (!flight)
        return;
    lock_acquire(&flights->lock);
    flight->until_ms = until_ms;
    lock_leave(&flights->lock);
}

void flights_sweep(struct flights *flights, int64_t now_ms)
{
    lock_acquire(&flights->lock);
    struct flight_wait *waiting = collect_until(flights, now_ms);
    lock_leave(&flights->lock);
    wake(waiting, false);
}

void flights_end_all(struct flights *flights)
{
    lock_acquire(&flights->lock);
    flights->over = true;
    struct flight_wait *waiting = collect_until(flights, INT64_MAX);
    lock_leave(&flights->lock);
    wake(waiting, false);
}

bool flights_are_over(const struct flights *flights)
{
    return atomic_load(&flights->over);
}
