/* The last ten minutes of the process, one sample a second, for the dashboard. A sample is a row
 * of numbers; what each means is in the table of history.c, whose names are those of the JSON.
 * Threads: any; one writer. */
#ifndef GALLEY_SERVER_ADMIN_HISTORY_H
#define GALLEY_SERVER_ADMIN_HISTORY_H

#include "base/buf.h"

#define HISTORY_SAMPLES 600

enum series {
    SERIES_TIME, /* wall clock, ms */
    SERIES_2XX,  /* answers a second, 1xx counted in */
    SERIES_3XX,
    SERIES_4XX,
    SERIES_5XX,
    SERIES_P50, /* of answers, ms */
    SERIES_P95,
    SERIES_P99,
    SERIES_LOOKUPS,   /* in the cache, a second */
    SERIES_HIT_RATIO, /* 0 to 1 */
    SERIES_CACHE_BYTES,
    SERIES_READY, /* jobs, now */
    SERIES_SCHEDULED,
    SERIES_RUNNING,
    SERIES_RETRYING,
    SERIES_DEAD,
    SERIES_DONE,       /* jobs completed a second */
    SERIES_WRITES,     /* write transactions a second */
    SERIES_COMMIT_P50, /* ms, fsync included */
    SERIES_COMMIT_P99,
    SERIES_BATCH, /* mean write transactions in a commit */
    SERIES_STORE_BYTES,
    SERIES_BUSY, /* workers, now */
    SERIES_CONNECTIONS,
    SERIES_COUNT
};

/* NaN where there is nothing to say (no request in this second): null in JSON, a gap in a chart. */
struct sample {
    double values[SERIES_COUNT];
};

struct history;

struct history *history_create(void);
void history_destroy(struct history **history);

/* Appends, forgetting the oldest. `load` is one digit for each worker, 0 idle to 9 busy: only the
 * latest is kept. */
void history_push(struct history *history, const struct sample *sample, struct slice load,
                  int64_t mono_ns);

/* Copies up to `max` samples from number *next on (0: the oldest kept), and counts *next up to
 * behind them. Returns how many. */
unsigned history_read(struct history *history, uint64_t *next, struct sample *out, unsigned max);

/* Appends the load digits of the latest sample. */
void history_read_load(struct history *history, struct buf *out);

/* When the latest sample was pushed, monotonic; 0 before the first. */
int64_t history_latest_ns(struct history *history);

/* Append JSON: {"t":[..],"ok":[..],..}, one column a series; {"t":1,"ok":2,..}, one sample. */
void history_json_columns(struct buf *out, const struct sample *samples, unsigned count);
void history_json_sample(struct buf *out, const struct sample *sample);

#endif
