/* Figures over the documents that a query finds.
 *
 * DESIGN. A group is known by its values as they stand in a key, so that 1 and 1.0 are one group;
 * groups are kept in that order, each with the text of the first values that were met. Least and
 * greatest are by keys, too. */
#include "base/mem.h"
#include "storage/query_private.h"

#include <stdio.h>
#include <stdlib.h>

#define FUNCTIONS_MAX 16

enum function_kind { COUNT, SUM, AVG, MIN, MAX };

struct function {
    enum function_kind kind;
    struct slice name; /* as it was written */
    struct sort value; /* of one member; none of COUNT */
};

/* What becomes of one function in one group. */
struct figure {
    uint64_t count; /* of values that it is made of */
    __int128 whole; /* the sum of integers, that of the others is `real` */
    long double real;
    bool has_reals;
    struct key best; /* the least or greatest value, and its text */
    struct buf text;
};

struct group {
    struct key key;
    struct buf values; /* "status":"open", */
    uint64_t count;
    struct figure figures[];
};

struct aggregation {
    unsigned function_count;
    struct function functions[FUNCTIONS_MAX];
    struct sort by;
    struct group **groups; /* in the order of keys */
    unsigned group_count;
    bool too_many;
};

/* ---- What is asked for. */

static const char *const names[] = {"count", "sum", "avg", "min", "max"};

static bool read_kind(struct slice name, enum function_kind *out)
{
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        *out = (enum function_kind)i;
        if (slice_is(name, names[i]))
            return true;
    }
    return false;
}

/* "sum(total)" */
static bool read_function(struct slice text, struct function *out, char *why)
{
    struct slice rest = text, name = slice_cut(&rest, '(');
    *out = (struct function){.name = text};
    if (!read_kind(name, &out->kind))
        return false;
    if (out->kind == COUNT)
        return !rest.ptr;
    if (!rest.ptr || rest.len < 2 || rest.ptr[rest.len - 1] != ')')
        return false;
    struct slice member = slice_of(rest.ptr, rest.len - 1);
    return query_sort_read(member, &out->value, why) == ERR_OK && out->value.count == 1 &&
           !out->value.descending[0];
}

static enum err read_functions(struct slice text, struct aggregation *a, char *why)
{
    do {
        struct slice one = slice_trim(slice_cut(&text, ','));
        struct function *function = &a->functions[a->function_count];
        if (a->function_count == FUNCTIONS_MAX || !read_function(one, function, why)) {
            if (a->function_count < FUNCTIONS_MAX)
                query_sort_release(&function->value);
            snprintf(
                why, QUERY_WHY_SIZE,
                "Expected count, sum(MEMBER), avg(MEMBER), min(MEMBER) or max(MEMBER), at most "
                "%d of them, at \"%.*s\".",
                FUNCTIONS_MAX, (int)(one.len < 64 ? one.len : 64), one.ptr ? one.ptr : "");
            return ERR_VALIDATION;
        }
        a->function_count++;
    } while (text.ptr);
    return ERR_OK;
}

static enum err read_group(struct slice text, struct aggregation *a, char *why)
{
    enum err err = query_sort_read(text, &a->by, why);
    bool good = text.len == 0 || (a->by.count > 0 && !a->by.by_id_descending);
    for (unsigned i = 0; i < a->by.count; i++)
        good = good && !a->by.descending[i];
    if (err || !good)
        snprintf(why, QUERY_WHY_SIZE, "Expected one to four members to group by, not the id.");
    return good ? err : ERR_VALIDATION;
}

/* ---- Values of a document. */

static struct slice value_at(const struct field *field, struct slice json)
{
    for (unsigned i = 0; i < field->depth; i++) {
        struct slice value;
        if (!json_find(json, field->steps[i].member, &value))
            return slice_str("null");
        json = value;
    }
    return json;
}

static const struct field *field_of(const struct sort *sort, unsigned i)
{
    return &sort->virtual.list[0].list[i];
}

static void add_number(struct figure *figure, struct slice text)
{
    int64_t whole;
    char digits[64];
    if (slice_to_i64(text, &whole)) {
        figure->whole += whole;
    } else {
        snprintf(digits, sizeof digits, "%.*s", SLICE_ARG(text));
        figure->real += strtod(digits, NULL);
        figure->has_reals = true;
    }
    figure->count++;
}

static int compare_keys(const struct key *a, const struct key *b)
{
    size_t len = a->len < b->len ? a->len : b->len;
    int order = memcmp(a->bytes, b->bytes, len);
    return order ? order : (int)a->len - (int)b->len;
}

static void keep_best(struct figure *figure, enum function_kind kind, const struct key *key,
                      struct slice text)
{
    int order = figure->count > 0 ? compare_keys(key, &figure->best) : 0;
    if (figure->count++ > 0 && (kind == MIN ? order >= 0 : order <= 0))
        return;
    key_init_from(&figure->best, key);
    buf_clear(&figure->text);
    buf_append_slice(&figure->text, text);
}

static void add_value(const struct function *function, struct figure *figure, struct slice json)
{
    struct key key;
    if (function->kind == COUNT)
        return;
    struct slice text = value_at(field_of(&function->value, 0), json);
    bool is_number = text.ptr[0] == '-' || (text.ptr[0] >= '0' && text.ptr[0] <= '9');
    if (function->kind == SUM || function->kind == AVG) {
        if (is_number)
            add_number(figure, text);
    } else if ((is_number || text.ptr[0] == '"') &&
               query_sort_place(&function->value, slice_str(""), json, &key)) {
        keep_best(figure, function->kind, &key, text);
    }
}

/* ---- Groups. */

static struct group *group_create(const struct aggregation *a, const struct key *key,
                                  struct slice json)
{
    struct group *group = mem_zalloc(sizeof *group + a->function_count * sizeof group->figures[0]);
    struct json_writer w = {.out = &group->values};
    key_init_from(&group->key, key);
    for (unsigned i = 0; i < a->by.count; i++) {
        jw_name(&w, a->by.paths[i]);
        jw_raw(&w, value_at(field_of(&a->by, i), json));
    }
    return group;
}

static void group_destroy(const struct aggregation *a, struct group *group)
{
    for (unsigned i = 0; i < a->function_count; i++)
        buf_release(&group->figures[i].text);
    buf_release(&group->values);
    free(group);
}

static struct group *find_group(struct aggregation *a, const struct key *key, struct slice json)
{
    unsigned low = 0, high = a->group_count;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        int order = compare_keys(key, &a->groups[middle]->key);
        if (order == 0)
            return a->groups[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    a->too_many = a->group_count == QUERY_GROUPS_MAX;
    if (a->too_many)
        return NULL;
    memmove(a->groups + low + 1, a->groups + low, (a->group_count - low) * sizeof(struct group *));
    a->groups[low] = group_create(a, key, json);
    a->group_count++;
    return a->groups[low];
}

static bool add_document(struct slice id, const struct doc *doc, void *arg)
{
    struct aggregation *a = arg;
    struct key key;
    (void)id;
    if (!query_sort_place(&a->by, slice_str(""), doc->json, &key))
        return true;
    struct group *group = find_group(a, &key, doc->json);
    if (!group)
        return false;
    group->count++;
    for (unsigned i = 0; i < a->function_count; i++)
        add_value(&a->functions[i], &group->figures[i], doc->json);
    return true;
}

/* ---- The answer. */

/* An integer if it is one that fits, and all values were integers. */
static void write_sum(struct json_writer *w, const struct figure *figure)
{
    bool fits = figure->whole >= INT64_MIN && figure->whole <= INT64_MAX;
    if (fits && !figure->has_reals)
        jw_i64(w, (int64_t)figure->whole);
    else
        jw_f64(w, (double)((long double)figure->whole + figure->real));
}

static void write_figure(struct json_writer *w, enum function_kind kind,
                         const struct figure *figure, uint64_t count)
{
    if (kind == COUNT)
        jw_i64(w, (int64_t)count);
    else if (kind == SUM)
        write_sum(w, figure);
    else if (figure->count == 0)
        jw_null(w);
    else if (kind == AVG)
        jw_f64(w, (double)(((long double)figure->whole + figure->real) / figure->count));
    else
        jw_raw(w, buf_slice(&figure->text));
}

static void write_group(struct json_writer *w, const struct aggregation *a,
                        const struct group *group)
{
    jw_begin(w, '{');
    buf_append_slice(w->out, buf_slice(&group->values));
    w->comma = group->values.len > 0;
    for (unsigned i = 0; i < a->function_count; i++) {
        jw_name(w, a->functions[i].name);
        write_figure(w, a->functions[i].kind, &group->figures[i], group->count);
    }
    jw_end(w, '}');
}

static void write_groups(const struct aggregation *a, struct buf *out)
{
    struct json_writer w = {.out = out};
    jw_begin(&w, '[');
    for (unsigned i = 0; i < a->group_count; i++)
        write_group(&w, a, a->groups[i]);
    jw_end(&w, ']');
}

static void release(struct aggregation *a)
{
    for (unsigned i = 0; i < a->group_count; i++)
        group_destroy(a, a->groups[i]);
    free(a->groups);
    for (unsigned i = 0; i < a->function_count; i++)
        query_sort_release(&a->functions[i].value);
    query_sort_release(&a->by);
}

/* Without a group there is one, also of no documents. */
static void add_only_group(struct aggregation *a)
{
    struct key none;
    key_init(&none);
    if (a->by.count == 0)
        find_group(a, &none, slice_str(""));
}

enum err query_aggregate(struct store *store, const struct query *query, struct slice functions,
                         struct slice group, struct buf *out, struct query_page *page)
{
    struct aggregation *a = mem_zalloc(sizeof *a);
    *page = (struct query_page){0};
    enum err err = read_functions(functions, a, page->why);
    if (!err)
        err = read_group(group, a, page->why);
    if (!err) {
        a->groups = mem_alloc(QUERY_GROUPS_MAX * sizeof(struct group *));
        add_only_group(a);
        err = query_each(store, query, add_document, a, page);
    }
    if (!err && a->too_many)
        err = ERR_SCAN_TOO_LARGE;
    if (!err)
        write_groups(a, out);
    release(a);
    free(a);
    return err;
}
