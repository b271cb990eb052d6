/* Cache-Control (RFC 9111 section 5.2) and its form for caches of ours alone, CDN-Cache-Control
 * (RFC 9213). Pure. Threads: any.
 *
 * What cannot be read costs freshness, never safety: a number that is none, and two numbers of one
 * name that differ, count as 0. Names are compared without case, values may be quoted. */
#ifndef GALLEY_SERVER_HTTP_CACHE_CONTROL_H
#define GALLEY_SERVER_HTTP_CACHE_CONTROL_H

#include "server/http/message.h"

#define SECONDS_NONE INT64_C(-1)         /* not said */
#define SECONDS_MAX  INT64_C(2147483648) /* larger numbers are this one */

/* Of a request or of a response: each has directives that the other has not. */
struct cache_control {
    bool present; /* there is such a field */
    bool no_store;
    bool no_cache;   /* without names of fields */
    bool is_private; /* likewise */
    bool is_public;
    bool must_revalidate;
    bool proxy_revalidate;
    bool must_understand;
    bool only_if_cached;
    int64_t max_age_s;
    int64_t s_maxage_s;
    int64_t min_fresh_s;
    int64_t max_stale_s; /* SECONDS_MAX without a number */
    int64_t stale_while_revalidate_s;
    int64_t stale_if_error_s;
};

/* Reads all lines of Cache-Control. */
void cache_control_read(const struct header *headers, unsigned count, struct cache_control *out);

/* Reads all lines of CDN-Cache-Control, which is a dictionary of RFC 8941. False if there are none,
 * or if they are not one: then what it says does not count at all. */
bool cache_control_read_targeted(const struct header *headers, unsigned count,
                                 struct cache_control *out);

/* True if no-cache="..." or private="..." names the field: it is not for a shared cache to keep. */
bool cache_control_withholds(const struct header *headers, unsigned count, struct slice field);

#endif
