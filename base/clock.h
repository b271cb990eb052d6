/* Time. Components are given a clock and pass `now` values down as parameters; tests give a fake
 * one and move it by hand, so that no test ever sleeps. */
#ifndef GALLEY_BASE_CLOCK_H
#define GALLEY_BASE_CLOCK_H

#include <stdint.h>

struct clock {
    int64_t (*wall_ms)(const struct clock *clock); /* milliseconds since 1970, may jump */
    int64_t (*mono_ns)(const struct clock *clock); /* nanoseconds, never backwards */
};

/* The machine's clock. Threads: any. */
extern const struct clock clock_system;

static inline int64_t clock_wall_ms(const struct clock *clock)
{
    return clock->wall_ms(clock);
}

static inline int64_t clock_mono_ns(const struct clock *clock)
{
    return clock->mono_ns(clock);
}

/* A clock that stands still until it is moved. Threads: any. */
struct clock_fake {
    struct clock clock; /* hand out &fake.clock */
    _Atomic int64_t wall_ms;
    _Atomic int64_t mono_ns;
};

void clock_fake_init(struct clock_fake *fake, int64_t wall_ms);
void clock_fake_advance(struct clock_fake *fake, int64_t ms); /* both times */

#define CLOCK_RFC3339_SIZE 25 /* "2026-01-31T10:30:00.123Z" and its NUL */

/* UTC with milliseconds, RFC 3339. */
void clock_rfc3339(int64_t wall_ms, char out[CLOCK_RFC3339_SIZE]);

#define CLOCK_HTTP_SIZE 30 /* "Sun, 06 Nov 1994 08:49:37 GMT" and its NUL */

/* IMF-fixdate of RFC 9110. */
void clock_http_date(int64_t wall_ms, char out[CLOCK_HTTP_SIZE]);

#endif
