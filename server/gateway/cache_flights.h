/* Requests to origins that others wait for: of simultaneous misses one goes, and the rest hold no
 * thread until it is back. Threads: any. */
#ifndef GALLEY_SERVER_GATEWAY_CACHE_FLIGHTS_H
#define GALLEY_SERVER_GATEWAY_CACHE_FLIGHTS_H

#include "server/gateway/response_cache.h"

struct flights;
struct flight; /* its leader's, until flight_end */

/* One that waits, in memory of its exchange. */
struct flight_wait {
    struct flight_wait *next;
    struct request *request;
    bool landed; /* with something that was stored; else everybody goes alone */
};

struct flights *flights_create(void);
void flights_destroy(struct flights **flights); /* none is in the air */

/* Begins a flight for the key, or waits for the one that there is: NULL, and then the request has
 * been given away (request_await), and is resumed when the flight ends. */
struct flight *flights_join(struct flights *flights, struct slice key, struct flight_wait *wait,
                            struct request *request, int64_t now_ms);

/* Wakes all who wait; nobody waits any more from here on: before a stop. */
void flights_end_all(struct flights *flights);
bool flights_are_over(const struct flights *flights);

/* The answer has begun to stream, at the pace of whoever has asked for it: from `until_ms` on
 * nobody waits for its end any more. NULL-safe. */
void flight_streams(struct flights *flights, struct flight *flight, int64_t until_ms);

/* Wakes those who have waited for a stream for too long. Call it about once a second. */
void flights_sweep(struct flights *flights, int64_t now_ms);

/* Wakes who waits. Sets NULL; NULL-safe. */
void flight_end(struct flights *flights, struct flight **flight, bool stored);

#endif
