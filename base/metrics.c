#include "base/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define STEPS       32 /* linear steps in a power of two */
#define STEPS_BITS  5
#define VALUE_LIMIT (UINT64_C(1) << 40)

struct shard {
    _Alignas(64) _Atomic uint64_t sum;
    _Atomic uint64_t buckets[HISTOGRAM_BUCKETS];
};

struct histogram {
    struct shard shards[METRICS_SHARDS];
};

/* Threads are dealt out over the shards in the order in which they first count something. */
static size_t shard_index(void)
{
    static _Atomic size_t dealt;
    static _Thread_local size_t mine; /* one more than the index; 0 before the first use */
    if (mine == 0)
        mine = atomic_fetch_add_explicit(&dealt, 1, memory_order_relaxed) % METRICS_SHARDS + 1;
    return mine - 1;
}

static void add(_Atomic uint64_t *cell, uint64_t n)
{
    atomic_fetch_add_explicit(cell, n, memory_order_relaxed);
}

static uint64_t load(const _Atomic uint64_t *cell)
{
    return atomic_load_explicit(cell, memory_order_relaxed);
}

/* Straight from the kernel: aligned, zero, and pages that are never hit cost nothing. */
static void *map_zeroed(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        perror("galley: no memory for metrics");
        abort();
    }
    return memory;
}

static void unmap(void *memory, size_t size)
{
    if (memory)
        munmap(memory, size);
}

struct counter *counters_create(size_t count)
{
    return map_zeroed(count * sizeof(struct counter));
}

void counters_destroy(struct counter **counters, size_t count)
{
    unmap(*counters, count * sizeof **counters);
    *counters = NULL;
}

void counter_add(struct counter *counter, uint64_t n)
{
    add(&counter->shards[shard_index()].value, n);
}

uint64_t counter_sum(const struct counter *counter)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < METRICS_SHARDS; i++)
        sum += load(&counter->shards[i].value);
    return sum;
}

struct histogram *histogram_create(void)
{
    return map_zeroed(sizeof(struct histogram));
}

void histogram_destroy(struct histogram **histogram)
{
    unmap(*histogram, sizeof **histogram);
    *histogram = NULL;
}

/* Bucket i below STEPS holds the value i alone. From there on each power of two 2^e is cut into
 * STEPS buckets of width 2^(e - STEPS_BITS). */
static size_t bucket_of(uint64_t value)
{
    if (value < STEPS)
        return value;
    if (value >= VALUE_LIMIT)
        return HISTOGRAM_BUCKETS - 1;
    int shift = 63 - __builtin_clzll(value) - STEPS_BITS;
    return (size_t)shift * STEPS + (size_t)(value >> shift);
}

static uint64_t bucket_middle(size_t bucket)
{
    if (bucket < STEPS)
        return bucket;
    size_t shift = bucket / STEPS - 1;
    uint64_t low = (uint64_t)(bucket % STEPS + STEPS) << shift;
    return low + (UINT64_C(1) << shift) / 2;
}

_Static_assert((40 - STEPS_BITS + 1) * STEPS == HISTOGRAM_BUCKETS, "one bucket for every value");

void histogram_record(struct histogram *histogram, uint64_t value)
{
    struct shard *shard = &histogram->shards[shard_index()];
    add(&shard->sum, value < VALUE_LIMIT ? value : VALUE_LIMIT);
    add(&shard->buckets[bucket_of(value)], 1);
}

void histogram_read(const struct histogram *histogram, struct histogram_snapshot *out)
{
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < METRICS_SHARDS; i++) {
        const struct shard *shard = &histogram->shards[i];
        out->sum += load(&shard->sum);
        for (size_t b = 0; b < HISTOGRAM_BUCKETS; b++)
            out->buckets[b] += load(&shard->buckets[b]);
    }
    for (size_t b = 0; b < HISTOGRAM_BUCKETS; b++)
        out->count += out->buckets[b];
}

void histogram_subtract(struct histogram_snapshot *now, const struct histogram_snapshot *before)
{
    now->count -= before->count;
    now->sum -= before->sum;
    for (size_t b = 0; b < HISTOGRAM_BUCKETS; b++)
        now->buckets[b] -= before->buckets[b];
}

uint64_t histogram_quantile(const struct histogram_snapshot *snapshot, double q)
{
    uint64_t rank = (uint64_t)ceil(q * (double)snapshot->count);
    assert(q > 0 && q <= 1);
    uint64_t seen = 0;
    for (size_t b = 0; b < HISTOGRAM_BUCKETS; b++) {
        seen += snapshot->buckets[b];
        if (seen > 0 && seen >= rank)
            return bucket_middle(b);
    }
    return 0;
}

void metrics_write_help(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void write_name(struct buf *out, const char *name, const char *labels)
{
    buf_append_str(out, name);
    if (labels[0] != '\0')
        buf_printf(out, "{%s}", labels);
    buf_append_char(out, ' ');
}

void metrics_write_u64(struct buf *out, const char *name, const char *labels, uint64_t value)
{
    write_name(out, name, labels);
    buf_append_u64(out, value);
    buf_append_char(out, '\n');
}

void metrics_write_f64(struct buf *out, const char *name, const char *labels, double value)
{
    write_name(out, name, labels);
    buf_printf(out, "%.9g\n", value);
}

/* Buckets of ours are finer than those asked for; each counts where its middle lies. */
static void write_buckets(struct buf *out, const char *name, const char *labels,
                          const struct histogram_snapshot *snapshot, double scale, double lowest,
                          int steps)
{
    const char *comma = labels[0] != '\0' ? "," : "";
    double bound = lowest;
    uint64_t below = 0;
    size_t b = 0;
    for (int i = 0; i <= steps; i++, bound *= 2) {
        for (; b < HISTOGRAM_BUCKETS && (double)bucket_middle(b) * scale <= bound; b++)
            below += snapshot->buckets[b];
        buf_printf(out, "%s_bucket{%s%sle=\"%.9g\"} %" PRIu64 "\n", name, labels, comma, bound,
                   below);
    }
    buf_printf(out, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", name, labels, comma,
               snapshot->count);
}

void metrics_write_histogram(struct buf *out, const char *name, const char *labels,
                             const struct histogram_snapshot *snapshot, double scale, double lowest,
                             int steps)
{
    write_buckets(out, name, labels, snapshot, scale, lowest, steps);
    char part[128];
    snprintf(part, sizeof part, "%s_sum", name);
    metrics_write_f64(out, part, labels, (double)snapshot->sum * scale);
    snprintf(part, sizeof part, "%s_count", name);
    metrics_write_u64(out, part, labels, snapshot->count);
}
