/* Random filters, sorts and pages on documents that change, against a list in memory that is
 * filtered and sorted. */
#include "storage/query.h"

#include "store_fixture.h"

#define DOCS    70
#define QUERIES 10000
#define CHANGES 4 /* of a hundred queries' time */

static uint64_t random_state = 20261122;

static unsigned below(unsigned limit)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(random_state >> 33) % limit;
}

static const struct index_spec indexes[] = {
    {.fields = "a"},
    {.fields = "b,a"},
    {.fields = "c.d"},
    {.fields = "tags[]"},
    {.fields = "tags[],b"},
    {.fields = "t", .sparse = true},
    {.fields = "u", .unique = true, .sparse = true},
};
#define INDEXES (unsigned)(sizeof indexes / sizeof indexes[0])

/* ---- The model. */

struct item {
    char id[40];
    char *json; /* NULL: there is none */
    json_t *tree;
};

struct model {
    struct fixture *f;
    struct collection *c;
    struct item items[DOCS];
    struct item change; /* under way */
    bool is_new;
};

#define LONG                                                                                       \
    "a text that is longer than what an index holds of one, and that begins as another does, so "  \
    "that it is cut, and its order with others that begin so is that of a hash, which is why "     \
    "there is one"

static const char *const values[] = {"null",
                                     "true",
                                     "false",
                                     "0",
                                     "1",
                                     "2",
                                     "-1",
                                     "1.5",
                                     "9007199254740993",
                                     "9007199254740992.0",
                                     "\"\"",
                                     "\"a\"",
                                     "\"ab\"",
                                     "\"m\"",
                                     "\"\\u00e4\"",
                                     "\"01a1f9ea-8b00-72c4-8b10-f30790fb3a08\"",
                                     "\"f1a1f9ea-8b00-72c4-8b10-f30790fb3a08\"",
                                     "\"" LONG "\"",
                                     "\"2026-01-31\""};
#define VALUES (unsigned)(sizeof values / sizeof values[0])

static const char *const times[] = {
    "\"2026-01-31T10:30:00Z\"",      "\"2026-01-31T11:30:00.000+01:00\"",
    "\"2026-02-01T10:29:00+23:59\"", "\"2026-01-30T10:31:01-23:59\"",
    "\"2026-01-31T10:30:00.25Z\"",   "\"2026-01-29T00:00:00Z\"",
    "\"2026-02-02T00:00:00Z\""};
#define TIMES (unsigned)(sizeof times / sizeof times[0])

static const char *value(void)
{
    return values[below(VALUES)];
}

static void append_document(struct buf *out, const char *id)
{
    static const char *const tags[] = {"[]",    "[\"x\"]",  "[\"x\",\"y\"]", "[\"y\",1,\"x\",null]",
                                       "\"x\"", "[[\"x\"]]"};
    buf_printf(out, "{\"id\":\"%s\"", id);
    if (below(8))
        buf_printf(out, ",\"a\":%s", below(12) ? value() : below(2) ? "[1]" : "{}");
    if (below(8))
        buf_printf(out, ",\"b\":%u", below(4));
    if (below(4))
        buf_printf(out, ",\"c\":{\"d\":%s}", value());
    if (below(4))
        buf_printf(out, ",\"tags\":%s", tags[below(6)]);
    if (below(3))
        buf_printf(out, ",\"t\":%s", times[below(TIMES)]);
    if (below(2))
        buf_printf(out, ",\"u\":\"u%s\"", id);
    buf_append_str(out, "}");
    buf_append_char(out, '\0');
}

static void name_items(struct model *m)
{
    for (unsigned i = 0; i < DOCS; i++) {
        if (i % 3 == 0)
            snprintf(m->items[i].id, sizeof m->items[i].id, "%08x-8b00-72c4-8b10-f30790fb3a08",
                     below(1u << 30));
        else
            snprintf(m->items[i].id, sizeof m->items[i].id, "%s%u", i % 2 ? "doc" : "\xc3\xa4", i);
    }
}

static void forget(struct item *item)
{
    free(item->json);
    json_decref(item->tree);
    item->json = NULL;
    item->tree = NULL;
}

static enum err write_change(struct txn *txn, void *arg)
{
    struct model *m = arg;
    if (!m->change.json)
        return doc_delete(txn, m->c, slice_str(m->change.id));
    return m->is_new ? doc_insert_text(txn, m->c, slice_str(m->change.json))
                     : doc_replace_text(txn, m->c, slice_str(m->change.json), 0);
}

static void change(struct model *m, struct item *item)
{
    struct buf text = BUF_INIT;
    m->change = *item;
    m->is_new = !item->json;
    if (m->is_new || below(4))
        append_document(&text, item->id);
    m->change.json = text.data;
    assert_int_equal(store_write(m->f->store, write_change, m), ERR_OK);
    forget(item);
    item->json = text.data;
    item->tree = text.data ? json_loads(text.data, 0, NULL) : NULL;
}

/* ---- Its order: null < false < true < numbers < strings < UUIDs. */

static bool is_uuid(const char *text)
{
    return strlen(text) == 36 && text[8] == '-' && text[23] == '-';
}

static int rank(const json_t *value)
{
    if (json_is_boolean(value))
        return json_is_true(value) ? 2 : 1;
    if (json_is_number(value))
        return 3;
    return json_is_string(value) ? is_uuid(json_string_value(value)) ? 5 : 4 : 0;
}

static long double number_of(const json_t *value)
{
    return json_is_integer(value) ? (long double)json_integer_value(value)
                                  : (long double)json_real_value(value);
}

static int compare_values(const json_t *a, const json_t *b)
{
    int x = rank(a), y = rank(b);
    if (x != y)
        return x < y ? -1 : 1;
    if (x == 3)
        return (number_of(a) > number_of(b)) - (number_of(a) < number_of(b));
    return x >= 4 ? strcmp(json_string_value(a), json_string_value(b)) : 0;
}

static int compare_ids(const struct item *a, const struct item *b)
{
    if (is_uuid(a->id) != is_uuid(b->id))
        return is_uuid(a->id) ? 1 : -1;
    return strcmp(a->id, b->id);
}

static const json_t *member(const json_t *doc, const char *path)
{
    const json_t *first = json_object_get(doc, path[0] == 'c' ? "c" : path);
    return path[0] == 'c' ? json_object_get(first, "d") : first;
}

struct order {
    unsigned count;
    const char *paths[3];
    bool descending[3], by_id_descending;
    char text[80];
};

static struct order present;

static int compare_items(const void *a, const void *b)
{
    const struct item *x = *(const struct item *const *)a, *y = *(const struct item *const *)b;
    for (unsigned i = 0; i < present.count; i++) {
        int order =
            compare_values(member(x->tree, present.paths[i]), member(y->tree, present.paths[i]));
        if (order)
            return present.descending[i] ? -order : order;
    }
    return present.by_id_descending ? -compare_ids(x, y) : compare_ids(x, y);
}

/* ---- Queries. */

static void random_order(void)
{
    static const char *const paths[] = {"a", "b", "c.d", "t", "u"};
    bool same = below(3) > 0, first = below(2);
    struct buf text = BUF_INIT;
    present = (struct order){.count = below(4)};
    for (unsigned i = 0; i < present.count; i++) {
        present.paths[i] = paths[below(5)];
        present.by_id_descending = present.descending[i] = same ? first : below(2);
        buf_printf(&text, "%s%s%s", i ? "," : "", present.descending[i] ? "-" : "",
                   present.paths[i]);
    }
    if (text.len == 0 || below(5) == 0) {
        present.by_id_descending = below(2);
        buf_printf(&text, "%s%s", text.len ? "," : "", present.by_id_descending ? "-id" : "id");
    }
    snprintf(present.text, sizeof present.text, "%.*s", SLICE_ARG(buf_slice(&text)));
    buf_release(&text);
}

static const char *operator(bool ordered)
{
    static const char *const ops[] = {"=", "=", "=", "!=", "<", "<=", ">", ">="};
    return ops[below(ordered ? 8 : 4)];
}

static void append_comparison(struct buf *out, const struct model *m)
{
    static const char *const paths[] = {"a", "a", "b", "c.d", "tags[]", "id"};
    const char *path = paths[below(6)], *literal = value();
    if (below(6) == 0)
        buf_printf(out, "t %s %s", operator(true), times[below(TIMES)]);
    else if (below(12) == 0)
        buf_printf(out, "u = \"u%s\"", m->items[below(DOCS)].id);
    else if (path[0] == 'i')
        buf_printf(out, "id %s \"%s\"", operator(true), m->items[below(DOCS)].id);
    else if (below(6) == 0)
        buf_printf(out, "%s in (%s, %s, %s)", path, literal, value(), value());
    else if (path[0] == 't')
        buf_printf(out, "tags ?= %s", below(3) ? "\"x\"" : literal);
    else if (path[0] == 'b')
        buf_printf(out, "b %s %u", operator(true), below(4));
    else
        buf_printf(out, "%s %s %s", path, operator(!strchr("ntf", literal[0])), literal);
}

static void append_filter(struct buf *out, const struct model *m)
{
    for (unsigned i = below(4); i > 0; i--) {
        unsigned form = below(10);
        buf_append_str(out, out->len ? " && " : "");
        buf_append_str(out, form == 0 ? "!(" : form == 1 ? "(" : "");
        append_comparison(out, m);
        buf_append_str(out, form == 0 ? ")" : form == 1 ? " || b = 1)" : "");
    }
}

struct found {
    unsigned count;
    char ids[DOCS + 1][40];
};

static bool note(struct slice id, const struct doc *doc, void *arg)
{
    struct found *found = arg;
    struct slice written;
    assert_true(found->count < DOCS && json_find(doc->json, "id", &written));
    assert_true(written.len == id.len + 2);
    snprintf(found->ids[found->count++], sizeof found->ids[0], "%.*s", SLICE_ARG(id));
    return true;
}

static void run_pages(const struct model *m, struct query *query, struct found *found)
{
    struct query_page page;
    struct buf cursor = BUF_INIT;
    bool more;
    do {
        unsigned before = found->count;
        enum err err = query_run(m->f->store, query, note, found, &page);
        if (err)
            fail_msg("%s: %s: %s", present.text, err_text(err), page.why);
        assert_int_equal(page.report.returned, found->count - before);
        more = page.has_next;
        assert_true(!more || found->count - before == query->limit);
        buf_clear(&cursor);
        buf_append_slice(&cursor, buf_slice(&page.cursor));
        query->after = buf_slice(&cursor);
        query_page_release(&page);
    } while (more);
    buf_release(&cursor);
}

static unsigned expect(struct model *m, const struct expr *filter, const struct item **out)
{
    unsigned count = 0;
    for (unsigned i = 0; i < DOCS; i++) {
        const struct item *item = &m->items[i];
        if (item->json && expr_holds(filter, slice_str(item->json), NULL))
            out[count++] = item;
    }
    qsort(out, count, sizeof *out, compare_items);
    return count;
}

static int compare_found(const void *a, const void *b)
{
    struct item x, y;
    snprintf(x.id, sizeof x.id, "%s", (const char *)a);
    snprintf(y.id, sizeof y.id, "%s", (const char *)b);
    return compare_ids(&x, &y);
}

static void compare_pages(struct model *m, struct query *query, const char *filter, bool unsorted)
{
    const struct item *wanted[DOCS];
    struct found found = {0};
    if (unsorted)
        present = (struct order){0};
    unsigned count = expect(m, query->filter, wanted);
    query->sort = slice_str(present.text);
    run_pages(m, query, &found);
    if (unsorted)
        qsort(found.ids, found.count, sizeof found.ids[0], compare_found);
    if (found.count != count)
        fail_msg("%s by %s: %u instead of %u", filter, present.text, found.count, count);
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(found.ids[i], wanted[i]->id) != 0)
            fail_msg("%s by %s: %u. is %s instead of %s", filter, present.text, i, found.ids[i],
                     wanted[i]->id);
    }
}

static void compare_count(struct model *m, struct query *query)
{
    const struct item *wanted[DOCS];
    struct query_page page;
    uint64_t count;
    assert_int_equal(query_count(m->f->store, query, &count, &page), ERR_OK);
    assert_int_equal(count, expect(m, query->filter, wanted));
    query_page_release(&page);
}

/* Groups by "b", which is missing or 0 to 3. */
static void compare_figures(struct model *m, struct query *query)
{
    const struct item *wanted[DOCS];
    unsigned count = expect(m, query->filter, wanted), counts[5] = {0};
    struct buf expected = BUF_INIT, out = BUF_INIT;
    struct query_page page;
    for (unsigned i = 0; i < count; i++) {
        const json_t *b = json_object_get(wanted[i]->tree, "b");
        counts[b ? json_integer_value(b) + 1 : 0]++;
    }
    for (unsigned i = 0; i < 5; i++) {
        char group[16] = "null";
        if (i > 0)
            snprintf(group, sizeof group, "%u", i - 1);
        if (counts[i] > 0)
            buf_printf(&expected, "%s{\"b\":%s,\"count\":%u,\"sum(b)\":%u}",
                       expected.len > 0 ? "," : "[", group, counts[i],
                       i > 0 ? counts[i] * (i - 1) : 0);
    }
    buf_append_str(&expected, expected.len > 0 ? "]" : "[]");
    assert_int_equal(
        query_aggregate(m->f->store, query, slice_str("count,sum(b)"), slice_str("b"), &out, &page),
        ERR_OK);
    assert_true(slice_eq(buf_slice(&out), buf_slice(&expected)));
    query_page_release(&page);
    buf_release(&out);
    buf_release(&expected);
}

static void ask(struct model *m)
{
    struct buf text = BUF_INIT;
    struct expr *filter = NULL;
    char why[EXPR_WHY_SIZE];
    append_filter(&text, m);
    if (text.len > 0 && expr_compile(buf_slice(&text), 0, &filter, why, sizeof why))
        fail_msg("%.*s: %s", SLICE_ARG(buf_slice(&text)), why);
    buf_append_char(&text, '\0');
    struct query query = {.collection = m->c,
                          .filter = filter,
                          .clock = &m->f->clock.clock,
                          .limit = 1 + below(below(2) ? 10 : 60)};
    random_order();
    compare_pages(m, &query, text.data, below(10) == 0);
    if (below(10) == 0)
        compare_count(m, &query);
    if (below(10) == 0)
        compare_figures(m, &query);
    expr_destroy(&filter);
    buf_release(&text);
}

static void test_queries_find_what_the_model_says_in_its_order(void **state)
{
    struct model m = {.f = *state};
    assert_int_equal(collection_open(m.f->store, "things", indexes, INDEXES, &m.c), ERR_OK);
    name_items(&m);
    for (unsigned i = 0; i < DOCS; i++)
        change(&m, &m.items[i]);
    for (unsigned i = 0; i < QUERIES; i++) {
        if (below(100) < CHANGES)
            change(&m, &m.items[below(DOCS)]);
        ask(&m);
    }
    for (unsigned i = 0; i < DOCS; i++)
        forget(&m.items[i]);
    collection_close(&m.c);
}

int main(void)
{
    silence_log();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_queries_find_what_the_model_says_in_its_order, setup,
                                        teardown),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
