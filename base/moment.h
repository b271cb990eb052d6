/* Moments, as RFC 3339 writes them: 2026-01-31T10:30:00Z, 2026-01-31T11:30:00.000+01:00. */
#ifndef GALLEY_BASE_MOMENT_H
#define GALLEY_BASE_MOMENT_H

#include "base/slice.h"

struct moment {
    int64_t seconds; /* since 1970, rounded down */
    uint32_t ns;     /* behind them; what a text says beyond nine digits is dropped */
};

/* False if the whole text is no date with a time and an offset, in capital letters. A leap second
 * is the first one of the minute behind it. Threads: any. */
bool moment_parse(struct slice text, struct moment *out);

struct moment moment_of_ms(int64_t wall_ms);

/* Below, equal to or above 0, as a is before, the same as or behind b. */
int moment_compare(struct moment a, struct moment b);

#endif
