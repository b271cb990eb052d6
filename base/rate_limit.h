/* Rate limits: token buckets, kept as one number each (the "theoretical arrival time" of the GCRA,
 * ITU-T I.371), in a sharded table bounded in size; a full bucket needs no entry. */
#ifndef GALLEY_BASE_RATE_LIMIT_H
#define GALLEY_BASE_RATE_LIMIT_H

#include "base/slice.h"

enum rate_by { RATE_BY_USER, RATE_BY_IP /* an IPv6 customer has a /64: that is one */ };

struct rate_limit {
    uint32_t count;    /* requests ... */
    uint32_t window_s; /* ... in this many seconds; 0 count: no limit */
    uint32_t burst;    /* at once; at least 1 */
    enum rate_by by;   /* without a user, by address */
};

/* "100/min by user burst 20": count / s|min|h|d, then optionally by user|ip (ip) and burst N (the
 * count). False with a sentence in why. */
bool rate_limit_parse(struct slice text, struct rate_limit *out, char *why, size_t why_size);

struct rate_table;

struct rate_table *rate_table_create(void);
void rate_table_destroy(struct rate_table **table);

struct rate_verdict {
    bool allowed;
    uint32_t remaining;     /* requests that would pass at once now */
    uint32_t retry_after_s; /* rounded up; 0 when allowed */
    uint32_t reset_s;       /* until the bucket is full again, rounded up */
};

/* Takes one token of the bucket (scope, key). scope tells limits apart. Threads: any. */
struct rate_verdict rate_table_take(struct rate_table *table, const struct rate_limit *limit,
                                    uint64_t scope, struct slice key, int64_t mono_ns);

/* What taking one would say, without taking it. Threads: any. */
struct rate_verdict rate_table_look(struct rate_table *table, const struct rate_limit *limit,
                                    uint64_t scope, struct slice key, int64_t mono_ns);

#endif
