/* The last day of the process, for the dashboard: ten minutes by the second, an hour by ten
 * seconds, a day by two minutes. A sample is a row of numbers about one such step; what each means
 * is in the table of history.c, whose names are those of the JSON. All but the seconds are kept
 * over restarts (history_keeper.h). Threads: any; one writer. */
#ifndef GALLEY_SERVER_ADMIN_HISTORY_H
#define GALLEY_SERVER_ADMIN_HISTORY_H

#include "base/buf.h"

/* How finely. */
enum grain { GRAIN_SECOND, GRAIN_TEN_SECONDS, GRAIN_TWO_MINUTES, GRAINS };

#define HISTORY_SAMPLES_MAX 720 /* of one grain */

/* How long a step of it is, and how many of them are kept. */
int64_t grain_step_ms(enum grain grain);
unsigned grain_samples(enum grain grain);

enum series {
    SERIES_TIME, /* wall clock, ms */
    SERIES_2XX,  /* answers a second, 1xx counted in; without the server's own pages */
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
    SERIES_USED, /* workers that did something */
    SERIES_OWN,  /* answers of health, metrics and /_/ a second */
    SERIES_COUNT
};

/* NaN where there is nothing to say (no request in this second): null in JSON, a gap in a chart. */
struct sample {
    double values[SERIES_COUNT];
};

struct history;

struct history *history_create(void);
void history_destroy(struct history **history);

/* Appends, forgetting the oldest. */
void history_push(struct history *history, enum grain grain, const struct sample *sample);

/* Replaces the load: one digit for each worker, 0 idle to 9 busy, of the last second. */
void history_set_load(struct history *history, struct slice load, int64_t mono_ns);

/* Copies up to `max` samples from number *next on (0: the oldest kept), and counts *next up to
 * behind them. Returns how many. */
unsigned history_read(struct history *history, enum grain grain, uint64_t *next, struct sample *out,
                      unsigned max);

/* Appends the load digits. */
void history_read_load(struct history *history, struct buf *out);

/* When the load was set, monotonic; 0 before the first. */
int64_t history_latest_ns(struct history *history);

/* Append JSON: {"t":[..],"ok":[..],..}, one column a series; {"t":1,"ok":2,..}, one sample. */
void history_json_columns(struct buf *out, const struct sample *samples, unsigned count);
void history_json_sample(struct buf *out, const struct sample *sample);

#endif
