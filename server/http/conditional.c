#include "server/http/conditional.h"

#include "server/http/date.h"
#include "server/http/etag.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- 304 */

/* Seconds count: what is between two of them is lost on the way. */
static bool unmodified_since(struct slice since, const struct validators *validators,
                             int64_t now_ms)
{
    struct slice changed =
        validators->last_modified.ptr ? validators->last_modified : validators->date;
    int64_t since_ms, changed_ms;
    return changed.ptr && http_date_parse(since, now_ms, &since_ms) &&
           http_date_parse(changed, now_ms, &changed_ms) && changed_ms <= since_ms;
}

bool request_has_current(const struct request *request, const struct validators *validators,
                         int64_t now_ms)
{
    if (request->method != METHOD_GET && request->method != METHOD_HEAD)
        return false;
    if (request_header(request, "If-None-Match").ptr)
        return validators->etag.ptr && request_knows(request, validators->etag);
    struct slice since = request_header(request, "If-Modified-Since");
    return since.ptr && unmodified_since(since, validators, now_ms);
}

bool request_precondition_holds(const struct request *request, const struct validators *validators,
                                int64_t now_ms)
{
    struct slice match = request_header(request, "If-Match");
    if (match.ptr)
        return etag_list_has_strongly(match, validators->etag);
    struct slice since = request_header(request, "If-Unmodified-Since");
    int64_t since_ms;
    return !http_date_parse(since, now_ms, &since_ms) ||
           unmodified_since(since, validators, now_ms);
}

bool request_asks_origin(const struct request *request)
{
    return request_header(request, "If-Match").ptr ||
           request_header(request, "If-Unmodified-Since").ptr;
}

/* ---- Ranges */

/* If-Range: a strong tag that is the answer's, or the very date of a strong Last-Modified. */
static bool is_of_this(struct slice if_range, const struct validators *validators, int64_t now_ms)
{
    int64_t said_ms, changed_ms, date_ms;
    if (!if_range.ptr)
        return true;
    if (if_range.len > 0 && if_range.ptr[0] == '"')
        return slice_eq(if_range, validators->etag);
    return validators->last_modified.ptr && validators->date.ptr &&
           http_date_parse(if_range, now_ms, &said_ms) &&
           http_date_parse(validators->last_modified, now_ms, &changed_ms) &&
           http_date_parse(validators->date, now_ms, &date_ms) && said_ms == changed_ms &&
           date_ms - changed_ms >= 1000; /* RFC 9110 section 8.8.2.2: else it could be weak */
}

/* UINT64_MAX for what is too large; false without a digit or with anything else. */
static bool read_position(struct slice text, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(text.ptr[i] - '0');
        *out = *out > (UINT64_MAX - digit) / 10 ? UINT64_MAX : *out * 10 + digit;
    }
    return text.len > 0;
}

static enum range_result take_suffix(struct slice text, uint64_t size, struct byte_range *out)
{
    uint64_t length;
    if (!read_position(text, &length))
        return RANGE_NONE;
    out->length = length < size ? length : size;
    out->begin = size - out->length;
    return out->length > 0 ? RANGE_PART : RANGE_WRONG;
}

static enum range_result take_spec(struct slice spec, uint64_t size, struct byte_range *out)
{
    struct slice last = spec;
    struct slice first = slice_cut(&last, '-');
    uint64_t end = UINT64_MAX;
    if (!last.ptr)
        return RANGE_NONE;
    if (first.len == 0)
        return take_suffix(last, size, out);
    if (!read_position(first, &out->begin) || (last.len > 0 && !read_position(last, &end)) ||
        end < out->begin)
        return RANGE_NONE;
    if (out->begin >= size)
        return RANGE_WRONG;
    out->length = (end < size ? end + 1 : size) - out->begin;
    return RANGE_PART;
}

/* What stands behind "bytes="; a NULL slice: nothing that is served. */
static struct slice range_set(const struct request *request, const struct validators *validators,
                              int64_t now_ms)
{
    struct slice range = request_header(request, "Range");
    if (request->method != METHOD_GET || !range.ptr ||
        !is_of_this(request_header(request, "If-Range"), validators, now_ms))
        return slice_of(NULL, 0);
    struct slice unit = slice_cut(&range, '=');
    return slice_eq_nocase(slice_trim(unit), slice_str("bytes")) ? range : slice_of(NULL, 0);
}

enum range_result request_range(const struct request *request, const struct validators *validators,
                                uint64_t size, int64_t now_ms, struct byte_range *out)
{
    struct slice range = range_set(request, validators, now_ms);
    *out = (struct byte_range){0};
    if (!range.ptr || memchr(range.ptr, ',', range.len))
        return RANGE_NONE;
    return take_spec(slice_trim(range), size, out);
}

enum range_result request_ranges(const struct request *request, const struct validators *validators,
                                 uint64_t size, int64_t now_ms, struct byte_range out[RANGES_MAX],
                                 unsigned *count)
{
    struct slice rest = range_set(request, validators, now_ms);
    enum range_result result = rest.ptr ? RANGE_WRONG : RANGE_NONE;
    uint64_t bytes = 0;
    unsigned found = 0;
    *count = 0;
    while (rest.ptr) {
        struct byte_range one = {0};
        enum range_result taken = take_spec(slice_trim(slice_cut(&rest, ',')), size, &one);
        if (taken == RANGE_WRONG)
            continue;
        bytes += one.length;
        if (taken == RANGE_NONE || found == RANGES_MAX || bytes > size)
            return RANGE_NONE;
        out[found++] = one;
        result = RANGE_PART;
    }
    *count = found;
    return result;
}

size_t content_range_format(const struct byte_range *range, uint64_t size,
                            char out[CONTENT_RANGE_SIZE])
{
    int len;
    if (range)
        len = snprintf(out, CONTENT_RANGE_SIZE, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64,
                       range->begin, range->begin + range->length - 1, size);
    else
        len = snprintf(out, CONTENT_RANGE_SIZE, "bytes */%" PRIu64, size);
    return (size_t)len;
}
