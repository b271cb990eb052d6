/* Which index a query walks.
 *
 * DESIGN. Without statistics: each index, and the documents themselves as if they were an index of
 * "id", is weighed by how many of its first fields the filter sets equal to something, whether the
 * next one has a range, and whether it then has the order that is asked for. The choice depends on
 * the query and the indexes alone, and a cursor says which it was. */
#include "storage/query_private.h"

#include "base/hash.h"
#include "base/mem.h"

#include <stdlib.h>

struct candidate {
    const struct index *index; /* NULL: the documents */
    unsigned field_count;
    struct slice fields[FIELDS_MAX];
    const struct expr_term *equal[FIELDS_MAX]; /* of the first fields */
    unsigned equal_count;
    struct range range; /* of the one behind */
    bool in_order, descending;
    unsigned weight; /* 0: it is none */
};

struct planning {
    const struct query *query;
    const struct sort *sort;
    struct expr_terms terms;
    bool is_possible;
};

/* ---- What the filter says of a member. */

static const struct expr_term *equal_term(const struct planning *p, struct slice path)
{
    for (unsigned i = 0; i < p->terms.count; i++) {
        const struct expr_term *term = &p->terms.list[i];
        if (term->op == EXPR_EQ && term->value.type != EXPR_TIME && slice_eq(term->path, path))
            return term;
    }
    return NULL;
}

static struct range range_of(const struct planning *p, struct slice path)
{
    struct range range = {0};
    for (unsigned i = 0; i < p->terms.count; i++) {
        const struct expr_term *term = &p->terms.list[i];
        if (slice_eq(term->path, path) && term->op == EXPR_IN)
            range.in = term;
        else if (slice_eq(term->path, path))
            query_range_narrow(&range, term);
    }
    return range;
}

/* ---- Candidates. */

static bool has_elements(struct slice field)
{
    return memchr(field.ptr, '[', field.len);
}

/* One with several entries for a document. */
static bool repeats(const struct candidate *c)
{
    for (unsigned i = c->equal_count; i < c->field_count; i++) {
        if (has_elements(c->fields[i]))
            return true;
    }
    return false;
}

/* Documents without any of the fields are not in a sparse index. */
static bool lacks_documents(const struct planning *p, const struct candidate *c)
{
    const struct expr_term *in = c->range.in;
    bool found = in || c->range.low || c->range.high;
    for (unsigned i = 0; in && i < in->count; i++)
        found = found && p->terms.values[in->first + i].type != EXPR_NULL;
    for (unsigned i = 0; i < c->equal_count; i++)
        found = found || c->equal[i]->value.type != EXPR_NULL;
    return c->index && c->index->sparse && !found;
}

/* The next field of the order that the filter leaves open. */
static unsigned next_open(const struct planning *p, unsigned at)
{
    while (at < p->sort->count && equal_term(p, p->sort->paths[at]))
        at++;
    return at;
}

/* Whether the entries behind the equal fields have the order. */
static bool has_order(const struct planning *p, struct candidate *c)
{
    const struct sort *sort = p->sort;
    unsigned at = next_open(p, 0);
    c->descending = at < sort->count ? sort->descending[at] : sort->by_id_descending;
    if (p->query->sort.len == 0)
        return true;
    for (unsigned i = c->equal_count; c->index && i < c->field_count; i++) {
        if (equal_term(p, c->fields[i]))
            continue;
        if (at == sort->count || !slice_eq(sort->paths[at], c->fields[i]) ||
            sort->descending[at] != c->descending)
            return false;
        at = next_open(p, at + 1);
    }
    return at == sort->count && sort->by_id_descending == c->descending;
}

static unsigned weigh(const struct planning *p, const struct candidate *c)
{
    if (repeats(c) || lacks_documents(p, c))
        return 0;
    if (c->equal_count == c->field_count && (!c->index || c->index->unique))
        return 10000;
    unsigned ordered = c->in_order && p->query->sort.len > 0 ? 60 : 0;
    unsigned bounds = c->range.in                     ? 90
                      : c->range.low && c->range.high ? 50
                      : c->range.low || c->range.high ? 45
                                                      : 0;
    unsigned weight = c->equal_count * 100 + ordered + bounds;
    return weight + !c->index; /* rather the documents than an index for nothing */
}

static struct candidate candidate_of(const struct planning *p, const struct index *index)
{
    struct candidate c = {.index = index};
    struct slice rest = slice_str(index ? index->fields : "id");
    while (rest.ptr && c.field_count < FIELDS_MAX)
        c.fields[c.field_count++] = slice_cut(&rest, ',');
    while (c.equal_count < c.field_count &&
           (c.equal[c.equal_count] = equal_term(p, c.fields[c.equal_count])))
        c.equal_count++;
    if (c.equal_count < c.field_count)
        c.range = range_of(p, c.fields[c.equal_count]);
    c.in_order = has_order(p, &c);
    c.weight = weigh(p, &c);
    return c;
}

/* ---- From a candidate to a plan. */

static uint64_t identity_of(const struct planning *p, const struct candidate *c)
{
    const struct slice parts[] = {
        slice_str(p->query->collection->name), slice_str(c->index ? c->index->fields : "id"),
        slice_str(c->in_order ? "in order" : "sorted"), p->query->sort, p->query->bound_to};
    struct buf all = BUF_INIT;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        buf_append_u64(&all, parts[i].len);
        buf_append_char(&all, ' ');
        buf_append_slice(&all, parts[i]);
    }
    uint64_t hash = hash_bytes(buf_slice(&all));
    buf_release(&all);
    return hash ? hash : 1;
}

static void print_value(struct buf *out, const struct expr_value *value)
{
    struct json_writer w = {.out = out};
    if (value->type == EXPR_NULL)
        jw_null(&w);
    else if (value->type == EXPR_BOOL)
        jw_bool(&w, value->integer != 0);
    else if (value->type == EXPR_INT)
        jw_i64(&w, value->integer);
    else if (value->type == EXPR_REAL)
        jw_f64(&w, value->real);
    else if (value->type == EXPR_TIME && value->string.len == 0)
        buf_append_str(out, "now()");
    else
        jw_str(&w, value->string);
}

static void print_term(struct buf *out, const struct expr_term *term)
{
    static const char *const ops[] = {"=", "<", "<=", ">", ">=", "in"};
    buf_append_str(out, out->len > 0 ? ", " : "");
    buf_append_slice(out, term->path);
    buf_printf(out, " %s ", ops[term->op]);
    if (term->op != EXPR_IN)
        print_value(out, &term->value);
}

static void print_range(const struct planning *p, const struct candidate *c, struct buf *out)
{
    const struct expr_term *in = c->range.in;
    for (unsigned i = 0; i < c->equal_count; i++)
        print_term(out, c->equal[i]);
    if (in)
        print_term(out, in);
    for (unsigned i = 0; in && i < in->count; i++) {
        buf_append_str(out, i > 0 ? ", " : "(");
        print_value(out, &p->terms.values[in->first + i]);
    }
    buf_append_str(out, in ? ")" : "");
    if (in)
        return;
    if (c->range.low)
        print_term(out, c->range.low);
    if (c->range.high && c->range.high != c->range.low)
        print_term(out, c->range.high);
}

/* All that begins with the prefix. */
static void add_segment(struct plan *out, const struct key *prefix)
{
    struct segment *segment = &out->segments[out->segment_count++];
    key_init_from(&segment->low, prefix);
    key_init_from(&segment->high, prefix);
    key_add_end(&segment->high);
}

static int compare_segments(const void *a, const void *b)
{
    const struct key *x = &((const struct segment *)a)->low, *y = &((const struct segment *)b)->low;
    size_t len = x->len < y->len ? x->len : y->len;
    int order = memcmp(x->bytes, y->bytes, len);
    return order ? order : (int)x->len - (int)y->len;
}

/* One for each value, in the order of the index, each once. */
static void add_values(const struct planning *p, const struct expr_term *in,
                       const struct key *prefix, unsigned value_max, struct plan *out)
{
    for (unsigned i = 0; i < in->count; i++) {
        struct key longer;
        key_init_from(&longer, prefix);
        query_range_add_value(&longer, &p->terms.values[in->first + i], value_max);
        add_segment(out, &longer);
    }
    qsort(out->segments, out->segment_count, sizeof *out->segments, compare_segments);
    unsigned kept = out->segment_count > 0;
    for (unsigned i = 1; i < out->segment_count; i++) {
        if (compare_segments(&out->segments[i], &out->segments[kept - 1]) != 0)
            out->segments[kept++] = out->segments[i];
    }
    out->segment_count = kept;
}

static void make_segments(const struct planning *p, const struct candidate *c, struct plan *out)
{
    unsigned value_max = c->index ? index_value_max(c->index) : DOC_ID_MAX + 2;
    struct key prefix;
    key_init_from(&prefix, c->index ? &c->index->prefix : &out->c->prefix);
    for (unsigned i = 0; i < c->equal_count; i++)
        query_range_add_value(&prefix, &c->equal[i]->value, value_max);
    bool has_values = c->range.in;
    out->segments = mem_alloc((has_values ? SEGMENTS_MAX : 2) * sizeof *out->segments);
    if (has_values)
        add_values(p, c->range.in, &prefix, value_max, out);
    else if (c->range.low || c->range.high)
        out->segment_count = query_range_make(&prefix, &c->range, value_max, out->segments);
    else
        add_segment(out, &prefix);
}

static void fill(const struct planning *p, const struct candidate *c, struct plan *out)
{
    out->index = c->index;
    out->is_sorted = !c->in_order;
    out->descending = c->in_order && c->descending;
    out->identity = identity_of(p, c);
    print_range(p, c, &out->range);
    if (p->is_possible)
        make_segments(p, c, out);
}

static enum err choose(const struct planning *p, struct plan_choice choice, struct plan *out)
{
    const struct collection *c = p->query->collection;
    struct candidate best = {0};
    for (unsigned i = 0; i <= c->index_count; i++) {
        struct candidate other = candidate_of(p, i > 0 ? &c->list[i - 1] : NULL);
        if (choice.identity ? identity_of(p, &other) != choice.identity
                            : choice.in_order && !other.in_order)
            continue;
        if (other.weight > best.weight)
            best = other;
    }
    if (best.weight == 0)
        return ERR_NOT_FOUND;
    fill(p, &best, out);
    return ERR_OK;
}

enum err query_plan_make(const struct query *query, struct plan_choice choice, struct plan *out,
                         char *why)
{
    *out = (struct plan){.c = query->collection};
    enum err err = query_sort_read(query->sort, &out->sort, why);
    if (err)
        return err;
    struct planning p = {.query = query, .sort = &out->sort, .is_possible = true};
    if (query->filter)
        p.is_possible = expr_terms(query->filter, query->env, &p.terms);
    err = choose(&p, choice, out);
    expr_terms_release(&p.terms);
    return err;
}

void query_plan_release(struct plan *plan)
{
    query_sort_release(&plan->sort);
    buf_release(&plan->range);
    free(plan->segments);
    plan->segments = NULL;
}
