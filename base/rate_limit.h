/* Rate limits of three kinds, in a sharded table bounded in size; a key that has used nothing of
 * its limit needs no entry.
 *
 * token    a bucket that fills at the rate and holds `burst`, kept as one number (the "theoretical
 *          arrival time" of the GCRA, ITU-T I.371)
 * sliding  at most `count` in the present window and the share of the one before that the last
 *          window_s seconds still reach: the sliding window counter, two numbers for a log of all
 * fixed    at most `count` in a window, which begins with its first request */
#ifndef GALLEY_BASE_RATE_LIMIT_H
#define GALLEY_BASE_RATE_LIMIT_H

#include "base/slice.h"

enum rate_kind { RATE_TOKEN, RATE_SLIDING, RATE_FIXED };

/* Who shares one: without a user or that header, who has the address. */
enum rate_by {
    RATE_BY_USER,
    RATE_BY_IP, /* an IPv6 customer has a /64: that is one */
    RATE_BY_HEADER,
    RATE_BY_ROUTE /* all */
};

#define RATE_HEADER_MAX 63

struct rate_limit {
    uint32_t count;    /* requests ... */
    uint32_t window_s; /* ... in this many seconds; 0 count: no limit */
    uint32_t burst;    /* at once; at least 1; of windows: the count */
    enum rate_kind kind;
    enum rate_by by;
    char header[RATE_HEADER_MAX + 1]; /* of RATE_BY_HEADER */
};

/* "100/min by user burst 20", "sliding 100/min by ip", "fixed 1000/h by header X-Tenant": token
 * (without a word) | sliding | fixed, count / s|min|h|d, then optionally by user|ip|route|header
 * NAME (ip) and, of tokens, burst N (the count). False with a sentence in why. */
bool rate_limit_parse(struct slice text, struct rate_limit *out, char *why, size_t why_size);

struct rate_table;

struct rate_table *rate_table_create(void);
void rate_table_destroy(struct rate_table **table);

struct rate_verdict {
    bool allowed;
    uint32_t remaining;     /* requests that would pass at once now */
    uint32_t retry_after_s; /* rounded up; 0 when allowed */
    uint32_t reset_s;       /* until all of it may be used again, rounded up */
};

/* Lets one request of (scope, key) pass, or not. scope tells limits apart, and their kinds.
 * Threads: any; what passes is exact however many ask at once. */
struct rate_verdict rate_table_take(struct rate_table *table, const struct rate_limit *limit,
                                    uint64_t scope, struct slice key, int64_t mono_ns);

/* What taking one would say, without taking it. Threads: any. */
struct rate_verdict rate_table_look(struct rate_table *table, const struct rate_limit *limit,
                                    uint64_t scope, struct slice key, int64_t mono_ns);

#endif
