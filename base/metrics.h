/* Counters and histograms that many threads write without contention.
 *
 * DESIGN. Each is split over METRICS_SHARDS cache-line-aligned shards; a thread always uses the
 * same shard and adds with relaxed atomics; a reader sums the shards. A sum is a moment's picture,
 * not a consistent cut. Histograms are log-linear (the idea of HdrHistogram): 32 linear steps in
 * every power of two, which bounds the error of any quantile by 1/64 of its value. */
#ifndef GALLEY_BASE_METRICS_H
#define GALLEY_BASE_METRICS_H

#include "base/buf.h"

#define METRICS_SHARDS 8

struct counter {
    struct {
        _Alignas(64) _Atomic uint64_t value;
    } shards[METRICS_SHARDS];
};

/* `count` counters at zero. Memory for those that never count is not taken up. */
struct counter *counters_create(size_t count);
void counters_destroy(struct counter **counters, size_t count);

/* A counter may also live in zeroed memory aligned to 64 bytes; no init. Threads: any. */
void counter_add(struct counter *counter, uint64_t n);
uint64_t counter_sum(const struct counter *counter);

struct histogram; /* of non-negative integers, here nanoseconds or plain numbers */

struct histogram *histogram_create(void);
void histogram_destroy(struct histogram **histogram);

/* Values above about 2^40 count as that. Threads: any. */
void histogram_record(struct histogram *histogram, uint64_t value);

#define HISTOGRAM_BUCKETS 1152 /* 32 for each of 35 powers of two, and 32 for what is below */

/* A summed copy. Subtracting an older snapshot of the same histogram gives an interval's. */
struct histogram_snapshot {
    uint64_t count;
    uint64_t sum;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_read(const struct histogram *histogram, struct histogram_snapshot *out);
void histogram_subtract(struct histogram_snapshot *now, const struct histogram_snapshot *before);

/* The value at quantile 0 < q <= 1, within 2 %; 0 when the snapshot is empty. */
uint64_t histogram_quantile(const struct histogram_snapshot *snapshot, double q);

/* Prometheus text 0.0.4. `labels` is "" or `route="/x",method="GET"`, already escaped. */
void metrics_write_help(struct buf *out, const char *name, const char *type, const char *help);
void metrics_write_u64(struct buf *out, const char *name, const char *labels, uint64_t value);
void metrics_write_f64(struct buf *out, const char *name, const char *labels, double value);

/* _bucket (a fixed set of bounds from `lowest` on, doubling `steps` times, +Inf), _sum and _count;
 * recorded values are multiplied by `scale` (1e-9 turns nanoseconds into seconds). */
void metrics_write_histogram(struct buf *out, const char *name, const char *labels,
                             const struct histogram_snapshot *snapshot, double scale, double lowest,
                             int steps);

#endif
