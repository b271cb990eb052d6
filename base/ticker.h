/* One thread that calls timers when they are due. A process has two: "ticker", whose functions are
 * short and neither block nor commit, so that every timer runs when it is due; and "maintenance",
 * whose functions may wait for the disk: whatever commits in the background runs there, one after
 * the other. */
#ifndef GALLEY_BASE_TICKER_H
#define GALLEY_BASE_TICKER_H

#include <stdint.h>

struct ticker;
struct timer;

/* `name` is the thread's, static, at most 15 bytes. */
struct ticker *ticker_create(const char *name);

/* Stops the thread, waits for a running timer function, frees all timers. */
void ticker_destroy(struct ticker **ticker);

/* The function gets its argument and the monotonic time, and returns when it wants to run next, in
 * milliseconds from now; 0 for only when woken by timer_wake_in. The first call comes after
 * `first_ms` (0: not before timer_wake_in). Timers live as long as the ticker. Threads: any. */
typedef int64_t (*timer_fn)(void *arg, int64_t mono_ns);
struct timer *ticker_add(struct ticker *ticker, timer_fn fn, void *arg, int64_t first_ms);

/* Runs the timer in `ms` milliseconds unless it is due earlier anyway. Threads: any. */
void timer_wake_in(struct timer *timer, int64_t ms);

/* Ends the timer; once this returns its function neither runs nor will run again.
 * Threads: any but its ticker's. */
void timer_cancel(struct timer *timer);

#endif
