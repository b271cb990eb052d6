/* GET of a collection: a page of the documents that its caller may read.
 *
 * DESIGN. What its two rules (list and read) say of documents is joined to the filter, so that the
 * planner can use it: who lists what is his own walks the index by owner. All of it is asked of
 * each document once more on the way. */
#include "server/data/data_private.h"

#include "base/hash.h"
#include "storage/query.h"

#include <stdio.h>

#define LIMIT_DEFAULT  30
#define LOOKED_AT_MAX  10000
#define TIME_MAX_MS    5000
#define LIST_BYTES_MAX ((size_t)8 << 20) /* of a page: the next one goes on behind */

struct list {
    const struct data_collection *c;
    struct request *request;
    struct response *response;
    struct caller caller;
    struct fault fault;

    /* What is asked for. */
    struct buf sort, filter_text, fields, after, aggregate, group, bound_to;
    struct expr *filter, *all; /* of the client; and with the rules */
    int64_t limit;
    bool counts, explains, innocent;

    /* What has been found. */
    unsigned rows;
    uint64_t count;
    struct query_page page;
};

/* ---- The query */

static bool is_known(struct slice name)
{
    static const char *const known[] = {"limit", "after",   "sort",      "filter", "fields",
                                        "count", "explain", "aggregate", "group"};
    for (unsigned i = 0; i < sizeof known / sizeof *known; i++) {
        if (slice_is(name, known[i]))
            return true;
    }
    return false;
}

/* A parameter that means nothing here is rather a mistake than a wish that can be ignored. */
static void check_names(struct list *list)
{
    struct slice rest = list->request->query;
    while (rest.len) {
        struct slice pair = slice_cut(&rest, '&'), name = slice_cut(&pair, '=');
        char text[33];
        snprintf(text, sizeof text, "%.*s", SLICE_ARG(name));
        if (name.len && !is_known(name))
            fault_field(&list->fault, text, "unknown");
    }
}

/* False: there is none. A broken one is "". */
static bool read_parameter(struct list *list, const char *name, struct buf *out)
{
    struct buf scratch = BUF_INIT;
    struct slice value = request_query(list->request, name, &scratch);
    buf_append_slice(out, value);
    buf_append_char(out, '\0');
    out->len--;
    buf_release(&scratch);
    return value.ptr;
}

static void read_limit(struct list *list)
{
    struct buf text = BUF_INIT;
    list->limit = LIMIT_DEFAULT;
    if (read_parameter(list, "limit", &text) && (!slice_to_i64(buf_slice(&text), &list->limit) ||
                                                 list->limit < 1 || list->limit > QUERY_LIMIT_MAX))
        fault_field(&list->fault, "limit", "range");
    buf_release(&text);
}

/* Who sorts by a member finds out what is in it. */
static void read_sort(struct list *list)
{
    if (!read_parameter(list, "sort", &list->sort))
        return;
    struct slice rest = buf_slice(&list->sort);
    bool good = rest.len > 0;
    while (good && rest.ptr) {
        struct slice path = slice_trim(slice_cut(&rest, ','));
        if (path.len && path.ptr[0] == '-')
            path = slice_of(path.ptr + 1, path.len - 1);
        path = slice_cut(&path, '.');
        good = path.len > 0 && !memchr(path.ptr, '[', path.len) && !member_is_hidden(list->c, path);
    }
    if (!good)
        fault_field(&list->fault, "sort", "member");
}

static void read_filter(struct list *list)
{
    char why[EXPR_WHY_SIZE];
    if (!read_parameter(list, "filter", &list->filter_text))
        return;
    if (expr_compile(buf_slice(&list->filter_text), EXPR_USER, &list->filter, why, sizeof why)) {
        fault_field(&list->fault, "filter", "expression");
        fault_set(&list->fault, ERR_VALIDATION, NULL, "filter: %s", why);
    }
}

/* False if it is there and says something else. */
static bool read_flag(struct list *list, const char *name, const char *value)
{
    struct buf text = BUF_INIT;
    bool there = read_parameter(list, name, &text), is = slice_is(buf_slice(&text), value);
    buf_release(&text);
    if (there && !is)
        fault_field(&list->fault, name, "enum");
    return there && is;
}

/* Whether a text, which has no escapes, cannot name a hidden member. */
static bool is_innocent(const struct list *list, const struct buf *text)
{
    for (unsigned i = 0; i < list->c->hidden_count; i++) {
        const char *name = list->c->hidden[i];
        if (text->len > 0 && memmem(text->data, text->len, name, strlen(name)))
            return false;
    }
    return true;
}

static void read_figures(struct list *list)
{
    bool wanted = read_parameter(list, "aggregate", &list->aggregate);
    bool grouped = read_parameter(list, "group", &list->group);
    if (wanted && (list->aggregate.len == 0 || !is_innocent(list, &list->aggregate)))
        fault_field(&list->fault, "aggregate", "member");
    if (grouped && (!wanted || list->group.len == 0 || !is_innocent(list, &list->group)))
        fault_field(&list->fault, "group", "member");
}

static enum err read_query(struct list *list)
{
    check_names(list);
    read_limit(list);
    read_sort(list);
    read_filter(list);
    if (read_parameter(list, "after", &list->after) && list->after.len == 0)
        fault_field(&list->fault, "after", "cursor");
    read_parameter(list, "fields", &list->fields);
    read_figures(list);
    list->counts = read_flag(list, "count", "exact");
    list->explains = read_flag(list, "explain", "1");
    return list->fault.err;
}

/* ---- What is listed */

/* A filter sees what its author may see. */
static bool passes_filter(const struct list *list, struct slice doc)
{
    if (!list->filter || list->innocent)
        return true; /* it is the query's */
    struct buf seen = BUF_INIT;
    document_view(list->c, doc, slice_of(NULL, 0), &seen);
    bool passes = expr_holds(list->filter, buf_slice(&seen), &list->caller.env);
    buf_release(&seen);
    return passes;
}

static bool passes(struct slice doc, void *arg)
{
    const struct list *list = arg;
    struct slice none = slice_of(NULL, 0);
    return rule_allows(list->c, ACTION_LIST, &list->caller, doc, none) &&
           rule_allows(list->c, ACTION_READ, &list->caller, doc, none) && passes_filter(list, doc);
}

static bool take(struct slice id, const struct doc *doc, void *arg)
{
    (void)id;
    struct list *list = arg;
    struct buf *out = &list->response->body;
    if (list->rows++ > 0)
        buf_append_char(out, ',');
    document_view(list->c, doc->json, buf_slice(&list->fields), out);
    return out->len < LIST_BYTES_MAX;
}

static void join(struct list *list, struct expr *more)
{
    struct expr *both = expr_and(list->all, more);
    expr_destroy(&list->all);
    list->all = both;
}

static enum err explain_error(struct list *list, enum err err)
{
    if (err == ERR_SCAN_TOO_LARGE)
        return fault_set(&list->fault, err, NULL,
                         "More than %d documents would be looked at, or for too long: an index of "
                         "what the filter or the sort names would help.",
                         LOOKED_AT_MAX);
    if (err != ERR_VALIDATION)
        return err;
    bool sort = strncmp(list->page.why, "The sort", 8) == 0;
    if (list->aggregate.len > 0)
        fault_field(&list->fault, "aggregate", "figures");
    else
        fault_field(&list->fault, sort ? "sort" : "after", sort ? "member" : "cursor");
    return fault_set(&list->fault, err, NULL, "%s", list->page.why);
}

/* The filter and what the rules say. */
static void join_all(struct list *list)
{
    list->innocent = is_innocent(list, &list->filter_text);
    if (list->innocent)
        join(list, list->filter);
    join(list, rule_expression(list->c, ACTION_LIST, &list->caller));
    join(list, rule_expression(list->c, ACTION_READ, &list->caller));
    buf_printf(&list->bound_to, "%s ", list->c->name);
    buf_append_slice(&list->bound_to, buf_slice(&list->filter_text));
}

static struct query query_of(struct list *list)
{
    return (struct query){
        .collection = list->c->stored,
        .filter = list->all,
        .env = &list->caller.env,
        .passes = passes,
        .passes_arg = list,
        .sort = buf_slice(&list->sort),
        .clock = data_clock(list->c->set->data),
        .limit = (unsigned)list->limit,
        .scan_max = LOOKED_AT_MAX,
        .time_max_ms = TIME_MAX_MS,
        .after = buf_slice(&list->after),
        .bound_to = buf_slice(&list->bound_to),
    };
}

static enum err count(struct list *list, struct store *store, const struct query *query)
{
    struct query_page counted;
    enum err err = query_count(store, query, &list->count, &counted);
    query_page_release(&counted);
    return err;
}

static enum err run(struct list *list)
{
    struct store *store = data_store(list->c->set->data);
    struct buf *out = &list->response->body;
    join_all(list);
    const struct query query = query_of(list);
    enum err err = list->counts ? count(list, store, &query) : ERR_OK;
    buf_append_str(out, "{\"data\":");
    if (!err && list->aggregate.len > 0) {
        err = query_aggregate(store, &query, buf_slice(&list->aggregate), buf_slice(&list->group),
                              out, &list->page);
    } else if (!err) {
        buf_append_char(out, '[');
        err = query_run(store, &query, take, list, &list->page);
        buf_append_char(out, ']');
    }
    return err ? explain_error(list, err) : ERR_OK;
}

/* ---- The answer */

/* The same URL with another `after`. */
static void add_link(const struct list *list, struct slice cursor)
{
    struct buf link = BUF_INIT;
    struct slice rest = list->request->query;
    buf_append_str(&link, "<" DATA_PATH);
    buf_append_str(&link, list->c->name);
    buf_append_char(&link, '?');
    while (rest.len) {
        struct slice pair = slice_cut(&rest, '&');
        if (slice_starts(pair, slice_str("after=")))
            continue;
        buf_append_slice(&link, pair);
        buf_append_char(&link, '&');
    }
    buf_append_str(&link, "after=");
    buf_append_slice(&link, cursor);
    buf_append_str(&link, ">; rel=\"next\"");
    response_header(list->response, "Link", buf_slice(&link));
    buf_release(&link);
}

/* What it took: for who looks after the server, as it tells of documents that others may not see.
 */
static void write_plan(const struct list *list, struct json_writer *w)
{
    const struct query_report *report = &list->page.report;
    jw_key(w, "plan");
    jw_begin(w, '{');
    jw_key(w, "index");
    jw_str(w, slice_str(report->index ? report->index : ""));
    jw_key(w, "range");
    jw_str(w, buf_slice(&report->range));
    jw_key(w, "sorted");
    jw_bool(w, report->sorted);
    jw_key(w, "lookedAt");
    jw_i64(w, report->looked_at);
    jw_key(w, "returned");
    jw_i64(w, report->returned);
    jw_key(w, "ms");
    jw_f64(w, (double)report->time_ns / 1e6);
    jw_end(w, '}');
}

static void write_pagination(const struct list *list, struct json_writer *w)
{
    bool has_next = list->page.has_next;
    jw_key(w, "pagination");
    jw_begin(w, '{');
    jw_key(w, "limit");
    jw_i64(w, list->limit);
    jw_key(w, "nextCursor");
    if (has_next)
        jw_str(w, buf_slice(&list->page.cursor));
    else
        jw_null(w);
    jw_key(w, "hasNext");
    jw_bool(w, has_next);
    if (list->counts) {
        jw_key(w, "count");
        jw_i64(w, (int64_t)list->count);
    }
    jw_end(w, '}');
}

static void answer(struct list *list)
{
    struct buf *out = &list->response->body;
    struct json_writer w = {.out = out, .comma = true};
    if (list->aggregate.len == 0)
        write_pagination(list, &w);
    if (list->explains)
        write_plan(list, &w);
    buf_append_char(out, '}');
    if (list->page.has_next)
        add_link(list, buf_slice(&list->page.cursor));
    response_json(list->response, 200);
    response_revalidate(list->response, hash_bytes(buf_slice(out)), false);
}

static enum err serve(struct list *list)
{
    const struct data_collection *c = list->c;
    if (!rule_may_allow(c, ACTION_LIST, &list->caller) ||
        !rule_may_allow(c, ACTION_READ, &list->caller))
        return fault_denied(&list->fault, &list->caller);
    enum err err = read_query(list);
    if (!err && list->explains && !principal_has_role(list->caller.user, "admin"))
        err = fault_denied(&list->fault, &list->caller);
    if (!err)
        err = run(list);
    if (!err)
        answer(list);
    return err;
}

static void release(struct list *list)
{
    buf_release(&list->sort);
    buf_release(&list->filter_text);
    buf_release(&list->fields);
    buf_release(&list->after);
    buf_release(&list->aggregate);
    buf_release(&list->group);
    buf_release(&list->bound_to);
    expr_destroy(&list->filter);
    expr_destroy(&list->all);
    query_page_release(&list->page);
    fault_clear(&list->fault);
    caller_release(&list->caller);
}

void target_list(struct request *request, struct response *response, void *arg)
{
    const struct data_collection *c = arg;
    struct list list = {.c = c, .request = request, .response = response};
    caller_init(&list.caller, request, data_now_ms(c->set->data));
    enum err err = serve(&list);
    if (err && err == list.fault.err)
        fault_answer(&list.fault, request, response);
    else if (err)
        response_error(response, request, err, NULL, NULL, NULL);
    release(&list);
}
