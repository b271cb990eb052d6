/* Turns the components' counters into a sample of the last second. */
#ifndef GALLEY_SERVER_ADMIN_SAMPLER_H
#define GALLEY_SERVER_ADMIN_SAMPLER_H

#include "server/admin/admin.h"
#include "server/admin/history.h"

/* Every counter and histogram that the dashboard shows, at one moment. */
struct reading {
    int64_t wall_ms;
    int64_t mono_ns;
    struct gateway_stats gateway;
    struct cache_stats cache;
    struct store_stats store;
    struct front_stats front;
    uint64_t jobs[JOB_STATES];
    uint64_t jobs_done;
    struct histogram_snapshot commit_ns;
    struct histogram_snapshot batch;
    unsigned used; /* workers that did something in the second before */
};

/* What happened between two readings. `scratch` is room for an interval's histogram. */
void sample_between(const struct reading *before, const struct reading *now,
                    struct histogram_snapshot *scratch, struct sample *out);

/* 0 for a worker that did nothing in the interval, else 1 to 9. */
char sample_load_digit(uint64_t busy_ns, int64_t interval_ns);

struct sampler;

/* All components are open. The interval of the first sample begins now. Threads: main. */
struct sampler *sampler_create(const struct admin_options *process, struct history *history);
void sampler_destroy(struct sampler **sampler);

/* Reads everything and pushes a sample, of the longer steps too when one is over. Threads: one at a
 * time. */
void sampler_run(struct sampler *sampler);

#endif
