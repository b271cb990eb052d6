/* From comparisons to ranges of keys. A range may hold more than what the comparison is true of,
 * never less: each document is asked anyway. */
#include "base/clock.h"
#include "storage/query_private.h"

#define DAY_S 86400

enum kind { NUMBERS, STRINGS, TIMES, OTHERS };

static enum kind kind_of(const struct expr_term *term)
{
    static const enum kind kinds[] = {
        [EXPR_NULL] = OTHERS,  [EXPR_BOOL] = OTHERS,    [EXPR_INT] = NUMBERS,
        [EXPR_REAL] = NUMBERS, [EXPR_STRING] = STRINGS, [EXPR_TIME] = TIMES,
    };
    return kinds[term->value.type];
}

void query_range_narrow(struct range *range, const struct expr_term *term)
{
    const struct expr_term *present = range->low ? range->low : range->high;
    enum kind kind = kind_of(term);
    if (kind == OTHERS || (present && kind_of(present) != kind))
        return;
    bool equal = term->op == EXPR_EQ && kind == TIMES;
    if ((equal || term->op == EXPR_GT || term->op == EXPR_GE) && !range->low)
        range->low = term;
    if ((equal || term->op == EXPR_LT || term->op == EXPR_LE) && !range->high)
        range->high = term;
}

static void add_number(struct key *key, const struct expr_value *value)
{
    if (value->type == EXPR_INT)
        key_add_i64(key, value->integer);
    else
        key_add_f64(key, value->real);
}

void query_range_add_value(struct key *key, const struct expr_value *value, unsigned value_max)
{
    if (value->type == EXPR_NULL)
        key_add_null(key);
    else if (value->type == EXPR_BOOL)
        key_add_bool(key, value->integer != 0);
    else if (value->type == EXPR_STRING)
        key_add_text(key, value->string, value_max);
    else
        add_number(key, value);
}

static void add_low(struct key *key, const struct expr_term *low, enum key_type type,
                    unsigned value_max)
{
    if (!low) {
        key_add_before(key, type);
    } else if (type == KEY_STRINGS) {
        key_add_string_begin(key, low->value.string, value_max);
    } else {
        add_number(key, &low->value);
        if (low->op == EXPR_GT)
            key_add_end(key);
    }
}

static void add_high_string(struct key *key, const struct expr_term *high, unsigned value_max)
{
    struct key begin;
    key_init_from(&begin, key);
    bool was_cut = key_add_string_begin(&begin, high->value.string, value_max);
    if (was_cut)
        key_init_from(key, &begin);
    else
        key_add_string_within(key, high->value.string, value_max);
    if (was_cut || high->op != EXPR_LT)
        key_add_end(key);
}

static void add_high(struct key *key, const struct expr_term *high, enum key_type type,
                     unsigned value_max)
{
    if (!high) {
        key_add_behind(key, type);
    } else if (type == KEY_STRINGS) {
        add_high_string(key, high, value_max);
    } else {
        add_number(key, &high->value);
        if (high->op != EXPR_LT)
            key_add_end(key);
    }
}

/* A timestamp is written in local time, which is less than a day away from the moment. Seconds are
 * as far as all forms of it agree. */
static void add_time(struct key *key, int64_t seconds, unsigned value_max)
{
    enum { TO_SECONDS = 19 };
    char text[CLOCK_RFC3339_SIZE];
    clock_rfc3339(seconds * 1000, text);
    key_add_string_begin(key, slice_of(text, TO_SECONDS), value_max);
}

static void make_times(const struct range *range, unsigned value_max, struct segment *out)
{
    if (range->low)
        add_time(&out->low, range->low->value.integer - DAY_S, value_max);
    else
        key_add_before(&out->low, KEY_STRINGS);
    if (range->high)
        add_time(&out->high, range->high->value.integer + DAY_S + 2, value_max);
    else
        key_add_behind(&out->high, KEY_STRINGS);
}

static void begin_segment(struct segment *segment, const struct key *prefix)
{
    key_init_from(&segment->low, prefix);
    key_init_from(&segment->high, prefix);
}

unsigned query_range_make(const struct key *prefix, const struct range *range, unsigned value_max,
                          struct segment *out)
{
    enum kind kind = kind_of(range->low ? range->low : range->high);
    enum key_type type = kind == NUMBERS ? KEY_NUMBERS : KEY_STRINGS;
    begin_segment(out, prefix);
    if (kind == TIMES) {
        make_times(range, value_max, out);
        return 1;
    }
    add_low(&out->low, range->low, type, value_max);
    add_high(&out->high, range->high, type, value_max);
    if (kind == NUMBERS)
        return 1;
    begin_segment(++out, prefix); /* UUIDs are strings, and lie elsewhere */
    key_add_before(&out->low, KEY_IDS);
    key_add_behind(&out->high, KEY_IDS);
    return 2;
}
