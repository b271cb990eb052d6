/* Conditional and partial requests about an answer that is there as a whole (RFC 9110 sections 13
 * and 14; RFC 9111 section 4.3.2). Pure. Threads: any. */
#ifndef GALLEY_SERVER_HTTP_CONDITIONAL_H
#define GALLEY_SERVER_HTTP_CONDITIONAL_H

#include "server/http/message.h"

/* Of the answer; NULL where it has none. */
struct validators {
    struct slice etag, last_modified, date;
};

/* True if the client has it already: 304. If-None-Match, weakly compared, alone counts where there
 * is one; else If-Modified-Since, against Last-Modified or, without, Date. */
bool request_has_current(const struct request *request, const struct validators *validators,
                         int64_t now_ms);

/* True if the request has a condition that only the origin may judge: If-Match,
 * If-Unmodified-Since. */
bool request_asks_origin(const struct request *request);

/* False if If-Match or, without it, If-Unmodified-Since forbids to go on: 412. */
bool request_precondition_holds(const struct request *request, const struct validators *validators,
                                int64_t now_ms);

enum range_result {
    RANGE_NONE,  /* the whole: no range, none that we serve, or If-Range is of another answer */
    RANGE_PART,  /* 206 with these bytes */
    RANGE_WRONG, /* 416: nothing is there */
};

struct byte_range {
    uint64_t begin, length;
};

/* What part of `size` bytes a GET asks for. One range is served; of several the whole goes out,
 * which RFC 9110 section 14.2 leaves open. */
enum range_result request_range(const struct request *request, const struct validators *validators,
                                uint64_t size, int64_t now_ms, struct byte_range *out);

#define RANGES_MAX 16

/* The same with several ranges, in the order in which they are asked for. More than RANGES_MAX, and
 * more bytes than there are, are answered with the whole. *count is 0 unless RANGE_PART. */
enum range_result request_ranges(const struct request *request, const struct validators *validators,
                                 uint64_t size, int64_t now_ms, struct byte_range out[RANGES_MAX],
                                 unsigned *count);

#define CONTENT_RANGE_SIZE 72

/* "bytes 0-4/10", or for no range a star in its place; returns the length. */
size_t content_range_format(const struct byte_range *range, uint64_t size,
                            char out[CONTENT_RANGE_SIZE]);

#endif
