/* Reads "sliding 100/min by user". */
#include "base/rate_limit.h"

#include <stdio.h>
#include <string.h>

#define COUNT_MAX 1000000
#define REFILL_S_MAX                                                                               \
    (UINT64_C(366) * 86400) /* both bounds keep the arithmetic of rate_table.c in range */

static bool parse_count(struct slice text, uint32_t *out)
{
    int64_t value;
    if (!slice_to_i64(text, &value) || value < 1 || value > COUNT_MAX)
        return false;
    *out = (uint32_t)value;
    return true;
}

static bool parse_unit(struct slice text, uint32_t *window_s)
{
    static const struct {
        const char *name;
        uint32_t seconds;
    } units[] = {{"s", 1}, {"min", 60}, {"h", 3600}, {"d", 86400}};
    for (unsigned i = 0; i < sizeof units / sizeof *units; i++) {
        if (slice_is(text, units[i].name)) {
            *window_s = units[i].seconds;
            return true;
        }
    }
    return false;
}

static struct slice next_word(struct slice *rest)
{
    *rest = slice_trim(*rest);
    return slice_cut(rest, ' ');
}

static bool parse_kind(struct slice text, enum rate_kind *kind)
{
    static const char *const names[] = {"token", "sliding", "fixed"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        if (slice_is(text, names[i])) {
            *kind = (enum rate_kind)i;
            return true;
        }
    }
    return false;
}

static bool parse_header(struct slice name, struct rate_limit *limit)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && c != '-' && c != '_')
            return false;
    }
    if (name.len == 0 || name.len > RATE_HEADER_MAX)
        return false;
    memcpy(limit->header, name.ptr, name.len);
    limit->header[name.len] = '\0';
    return true;
}

static bool parse_by(struct slice text, struct slice *rest, struct rate_limit *limit)
{
    static const char *const names[] = {"user", "ip", "header", "route"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        if (slice_is(text, names[i])) {
            limit->by = (enum rate_by)i;
            return limit->by != RATE_BY_HEADER || parse_header(next_word(rest), limit);
        }
    }
    return false;
}

static bool parse_burst(struct slice text, struct rate_limit *limit)
{
    return limit->kind == RATE_TOKEN && limit->burst == 0 && parse_count(text, &limit->burst);
}

/* "by user", "burst 20": each at most once. False at the first that is not one of them. */
static bool parse_options(struct slice rest, struct rate_limit *limit)
{
    bool by_given = false;
    for (struct slice word = next_word(&rest); word.len > 0; word = next_word(&rest)) {
        struct slice value = next_word(&rest);
        if (slice_is(word, "by") && !by_given && parse_by(value, &rest, limit))
            by_given = true;
        else if (!(slice_is(word, "burst") && parse_burst(value, limit)))
            return false;
    }
    return true;
}

/* A burst that takes longer than a year to come back is a mistake. */
static bool refills(const struct rate_limit *limit)
{
    return (uint64_t)limit->window_s * limit->burst / limit->count <= REFILL_S_MAX;
}

bool rate_limit_parse(struct slice text, struct rate_limit *out, char *why, size_t why_size)
{
    struct rate_limit limit = {.by = RATE_BY_IP};
    struct slice rest = text;
    struct slice unit = next_word(&rest);
    if (parse_kind(unit, &limit.kind))
        unit = next_word(&rest);
    struct slice count = slice_cut(&unit, '/');
    if (!parse_count(count, &limit.count) || !parse_unit(unit, &limit.window_s) ||
        !parse_options(rest, &limit)) {
        snprintf(why, why_size,
                 "\"%.*s\" is not a rate limit: COUNT/s|min|h|d, after sliding or fixed if it is "
                 "such a window, then by user|ip|route|header NAME if wanted, and burst COUNT "
                 "unless it is a window; counts from 1 to %d",
                 SLICE_ARG(text), COUNT_MAX);
        return false;
    }
    if (limit.burst == 0)
        limit.burst = limit.count;
    if (!refills(&limit)) {
        snprintf(why, why_size, "\"%.*s\": so large a burst takes over a year to come back",
                 SLICE_ARG(text));
        return false;
    }
    *out = limit;
    return true;
}
