#include "server/admin/history.h"

#include "base/json.h"
#include "base/lock.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

static const char *const series_names[SERIES_COUNT] = {
    [SERIES_TIME] = "t",
    [SERIES_2XX] = "ok",
    [SERIES_3XX] = "redirect",
    [SERIES_4XX] = "clientError",
    [SERIES_5XX] = "serverError",
    [SERIES_P50] = "p50",
    [SERIES_P95] = "p95",
    [SERIES_P99] = "p99",
    [SERIES_LOOKUPS] = "lookups",
    [SERIES_HIT_RATIO] = "hitRatio",
    [SERIES_CACHE_BYTES] = "cacheBytes",
    [SERIES_READY] = "ready",
    [SERIES_SCHEDULED] = "scheduled",
    [SERIES_RUNNING] = "running",
    [SERIES_RETRYING] = "retrying",
    [SERIES_DEAD] = "dead",
    [SERIES_DONE] = "done",
    [SERIES_WRITES] = "writes",
    [SERIES_COMMIT_P50] = "commitP50",
    [SERIES_COMMIT_P99] = "commitP99",
    [SERIES_BATCH] = "batch",
    [SERIES_STORE_BYTES] = "storeBytes",
    [SERIES_BUSY] = "busy",
    [SERIES_CONNECTIONS] = "connections",
    [SERIES_USED] = "used",
    [SERIES_OWN] = "own",
};

static const struct {
    int64_t step_ms;
    unsigned samples;
} grains[GRAINS] = {
    [GRAIN_SECOND] = {1000, 600},
    [GRAIN_TEN_SECONDS] = {10000, 360},
    [GRAIN_TWO_MINUTES] = {120000, 720},
};

int64_t grain_step_ms(enum grain grain)
{
    return grains[grain].step_ms;
}

unsigned grain_samples(enum grain grain)
{
    return grains[grain].samples;
}

struct ring {
    uint64_t pushed; /* sample n is in samples[n % the grain's number] */
    struct sample samples[HISTORY_SAMPLES_MAX];
};

struct history {
    struct lock lock;
    /* guarded by lock */
    int64_t latest_ns;
    struct buf load;
    struct ring rings[GRAINS];
};

struct history *history_create(void)
{
    struct history *history = mem_zalloc(sizeof *history);
    lock_init(&history->lock, LOCK_RANK_ADMIN);
    return history;
}

void history_destroy(struct history **history)
{
    if (!*history)
        return;
    lock_release(&(*history)->lock);
    buf_release(&(*history)->load);
    free(*history);
    *history = NULL;
}

void history_push(struct history *history, enum grain grain, const struct sample *sample)
{
    lock_acquire(&history->lock);
    struct ring *ring = &history->rings[grain];
    ring->samples[ring->pushed++ % grain_samples(grain)] = *sample;
    lock_leave(&history->lock);
}

void history_set_load(struct history *history, struct slice load, int64_t mono_ns)
{
    lock_acquire(&history->lock);
    history->latest_ns = mono_ns;
    buf_clear(&history->load);
    buf_append_slice(&history->load, load);
    lock_leave(&history->lock);
}

unsigned history_read(struct history *history, enum grain grain, uint64_t *next, struct sample *out,
                      unsigned max)
{
    unsigned kept = grain_samples(grain);
    lock_acquire(&history->lock);
    const struct ring *ring = &history->rings[grain];
    if (ring->pushed > *next + kept)
        *next = ring->pushed - kept;
    unsigned count = 0;
    while (*next < ring->pushed && count < max)
        out[count++] = ring->samples[(*next)++ % kept];
    lock_leave(&history->lock);
    return count;
}

void history_read_load(struct history *history, struct buf *out)
{
    lock_acquire(&history->lock);
    buf_append_slice(out, buf_slice(&history->load));
    lock_leave(&history->lock);
}

int64_t history_latest_ns(struct history *history)
{
    lock_acquire(&history->lock);
    int64_t latest_ns = history->latest_ns;
    lock_leave(&history->lock);
    return latest_ns;
}

/* Most values are whole numbers: two bytes less for each. */
static void write_value(struct json_writer *w, double value)
{
    if (value == floor(value) && fabs(value) < 1e15)
        jw_i64(w, (int64_t)value);
    else
        jw_f64(w, value);
}

void history_json_columns(struct buf *out, const struct sample *samples, unsigned count)
{
    struct json_writer w = {.out = out};
    jw_begin(&w, '{');
    for (unsigned series = 0; series < SERIES_COUNT; series++) {
        jw_key(&w, series_names[series]);
        jw_begin(&w, '[');
        for (unsigned i = 0; i < count; i++)
            write_value(&w, samples[i].values[series]);
        jw_end(&w, ']');
    }
    jw_end(&w, '}');
}

void history_json_sample(struct buf *out, const struct sample *sample)
{
    struct json_writer w = {.out = out};
    jw_begin(&w, '{');
    for (unsigned series = 0; series < SERIES_COUNT; series++) {
        jw_key(&w, series_names[series]);
        write_value(&w, sample->values[series]);
    }
    jw_end(&w, '}');
}
