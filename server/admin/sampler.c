/* DESIGN. Components only ever count up; a sample is the difference of two readings, histograms
 * included, so nothing in the path of a request knows that somebody looks, and percentiles of a
 * longer step are as exact as those of a second. Readings are kept in place: sampling allocates
 * nothing. */
#include "server/admin/sampler.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

struct sampler {
    const struct admin_options *process;
    struct history *history;
    struct reading now;
    struct reading before[GRAINS]; /* where the step that runs began */
    struct histogram_snapshot scratch;
    unsigned workers;
    uint64_t *busy_ns; /* of each worker, at the last reading */
    struct buf load;
};

/* Cuts digits that nobody reads and every viewer would be sent. */
static double rounded(double value, double steps)
{
    return round(value * steps) / steps;
}

static double rate(uint64_t before, uint64_t now, double seconds)
{
    return rounded((double)(now - before) / seconds, 10);
}

static double ratio(uint64_t part, uint64_t whole)
{
    return whole == 0 ? NAN : rounded((double)part / (double)whole, 10000);
}

static double quantile_ms(const struct histogram_snapshot *snapshot, double q)
{
    if (snapshot->count == 0)
        return NAN;
    return rounded((double)histogram_quantile(snapshot, q) / 1e6, 1000);
}

static void requests_between(const struct reading *before, const struct reading *now,
                             double seconds, struct histogram_snapshot *scratch, double *values)
{
    const uint64_t *was = before->gateway.by_class, *is = now->gateway.by_class;
    values[SERIES_2XX] = rate(was[1] + was[2], is[1] + is[2], seconds);
    values[SERIES_3XX] = rate(was[3], is[3], seconds);
    values[SERIES_4XX] = rate(was[4], is[4], seconds);
    values[SERIES_5XX] = rate(was[5], is[5], seconds);
    values[SERIES_OWN] = rate(before->gateway.own, now->gateway.own, seconds);

    *scratch = now->gateway.duration;
    histogram_subtract(scratch, &before->gateway.duration);
    values[SERIES_P50] = quantile_ms(scratch, 0.50);
    values[SERIES_P95] = quantile_ms(scratch, 0.95);
    values[SERIES_P99] = quantile_ms(scratch, 0.99);
    values[SERIES_BUSY] = now->front.busy;
    values[SERIES_CONNECTIONS] = now->front.connections;
    values[SERIES_USED] = now->used;
}

static void cache_between(const struct reading *before, const struct reading *now, double seconds,
                          double *values)
{
    uint64_t hits = now->cache.hits - before->cache.hits;
    uint64_t lookups = hits + now->cache.misses - before->cache.misses;
    values[SERIES_LOOKUPS] = rate(0, lookups, seconds);
    values[SERIES_HIT_RATIO] = ratio(hits, lookups);
    values[SERIES_CACHE_BYTES] = (double)now->cache.bytes;
}

static void jobs_between(const struct reading *before, const struct reading *now, double seconds,
                         double *values)
{
    values[SERIES_READY] = (double)now->jobs[JOB_READY];
    values[SERIES_SCHEDULED] = (double)now->jobs[JOB_SCHEDULED];
    values[SERIES_RUNNING] = (double)now->jobs[JOB_RUNNING];
    values[SERIES_RETRYING] = (double)now->jobs[JOB_RETRYING];
    values[SERIES_DEAD] = (double)now->jobs[JOB_DEAD];
    values[SERIES_DONE] = rate(before->jobs_done, now->jobs_done, seconds);
}

static void store_between(const struct reading *before, const struct reading *now, double seconds,
                          struct histogram_snapshot *scratch, double *values)
{
    values[SERIES_WRITES] = rate(before->store.writes, now->store.writes, seconds);
    values[SERIES_STORE_BYTES] = (double)now->store.used_bytes;

    *scratch = now->commit_ns;
    histogram_subtract(scratch, &before->commit_ns);
    values[SERIES_COMMIT_P50] = quantile_ms(scratch, 0.50);
    values[SERIES_COMMIT_P99] = quantile_ms(scratch, 0.99);

    uint64_t commits = now->batch.count - before->batch.count;
    uint64_t writes = now->batch.sum - before->batch.sum;
    values[SERIES_BATCH] = commits == 0 ? NAN : rounded((double)writes / (double)commits, 10);
}

void sample_between(const struct reading *before, const struct reading *now,
                    struct histogram_snapshot *scratch, struct sample *out)
{
    double seconds = (double)(now->mono_ns - before->mono_ns) / 1e9;
    out->values[SERIES_TIME] = (double)now->wall_ms;
    requests_between(before, now, seconds, scratch, out->values);
    cache_between(before, now, seconds, out->values);
    jobs_between(before, now, seconds, out->values);
    store_between(before, now, seconds, scratch, out->values);
}

char sample_load_digit(uint64_t busy_ns, int64_t interval_ns)
{
    if (busy_ns == 0)
        return '0';
    double tenths = ceil((double)busy_ns * 9 / (double)interval_ns);
    return (char)('0' + (int)fmin(tenths, 9));
}

static void read_jobs(struct queues *queues, struct reading *out)
{
    memset(out->jobs, 0, sizeof out->jobs);
    out->jobs_done = 0;
    for (unsigned i = 0; i < queue_count(queues); i++) {
        struct queue_stats stats;
        queue_stats(queues, i, &stats);
        out->jobs_done += stats.completed;
        for (unsigned state = 0; state < JOB_STATES; state++)
            out->jobs[state] += stats.jobs[state];
    }
}

static void read_all(const struct admin_options *process, struct reading *out)
{
    out->wall_ms = clock_wall_ms(&clock_system);
    out->mono_ns = clock_mono_ns(&clock_system);
    gateway_stats(process->gateway, &out->gateway);
    cache_stats(process->cache, &out->cache);
    store_stats(process->store, &out->store);
    front_stats(process->front, &out->front);
    read_jobs(process->queues, out);
    histogram_read(store_commit_histogram(process->store), &out->commit_ns);
    histogram_read(store_batch_histogram(process->store), &out->batch);
}

/* Each worker's digit for the interval, into sampler->load; returns how many are not 0. */
static unsigned read_load(struct sampler *sampler, int64_t interval_ns)
{
    unsigned used = 0;
    buf_clear(&sampler->load);
    for (unsigned i = 0; i < sampler->workers; i++) {
        uint64_t busy_ns = front_worker_busy_ns(sampler->process->front, i);
        char digit = sample_load_digit(busy_ns - sampler->busy_ns[i], interval_ns);
        sampler->busy_ns[i] = busy_ns;
        buf_append_char(&sampler->load, digit);
        used += digit != '0';
    }
    return used;
}

struct sampler *sampler_create(const struct admin_options *process, struct history *history)
{
    struct sampler *sampler = mem_zalloc(sizeof *sampler);
    sampler->process = process;
    sampler->history = history;
    read_all(process, &sampler->now);
    for (enum grain grain = 0; grain < GRAINS; grain++)
        sampler->before[grain] = sampler->now;
    sampler->workers = sampler->now.front.workers_max;
    sampler->busy_ns = mem_zalloc(sampler->workers * sizeof *sampler->busy_ns);
    return sampler;
}

void sampler_destroy(struct sampler **sampler)
{
    if (!*sampler)
        return;
    free((*sampler)->busy_ns);
    buf_release(&(*sampler)->load);
    free(*sampler);
    *sampler = NULL;
}

/* Steps of more than a second end with the first reading at their end, or a little behind. */
static bool step_is_over(const struct sampler *sampler, enum grain grain)
{
    int64_t passed_ns = sampler->now.mono_ns - sampler->before[grain].mono_ns;
    return grain == GRAIN_SECOND || passed_ns + 500000000 > grain_step_ms(grain) * 1000000;
}

void sampler_run(struct sampler *sampler)
{
    struct reading *now = &sampler->now;
    read_all(sampler->process, now);
    now->used = read_load(sampler, now->mono_ns - sampler->before[GRAIN_SECOND].mono_ns);
    history_set_load(sampler->history, buf_slice(&sampler->load), now->mono_ns);
    for (enum grain grain = 0; grain < GRAINS; grain++) {
        if (!step_is_over(sampler, grain))
            continue;
        struct sample sample;
        sample_between(&sampler->before[grain], now, &sampler->scratch, &sample);
        history_push(sampler->history, grain, &sample);
        sampler->before[grain] = *now;
    }
}
