/* GET of a collection: a page of the documents that its caller may read.
 *
 * DESIGN. Documents come in the order of their ids, or of a declared index. The filter and the two
 * rules (list and read) are asked of each document on the way, of which there may be so many and no
 * more: what would look at the whole of a large collection is refused. The cursor is the place in
 * that order behind which the next page begins, and a hash of what the list was asked for. */
#include "server/data/data_private.h"

#include "base/base64.h"
#include "base/hash.h"

#include <stdio.h>

#define LIMIT_DEFAULT 30
#define LIMIT_MAX     1000
#define LOOKED_AT_MAX 10000
#define CURSOR_MAX    1024

struct list {
    const struct data_collection *c;
    struct request *request;
    struct response *response;
    struct caller caller;
    struct fault fault;

    /* What is asked for. */
    struct buf sort, filter_text, fields, after;
    struct expr *filter;
    int64_t limit;
    struct doc_scan scan;
    struct doc_place place;
    uint64_t query; /* its hash */

    /* What has been found. */
    int64_t rows;
    unsigned looked_at;
    bool has_next;
};

/* ---- The query */

static bool is_known(struct slice name)
{
    static const char *const known[] = {"limit", "after", "sort", "filter", "fields"};
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
                                                 list->limit < 1 || list->limit > LIMIT_MAX))
        fault_field(&list->fault, "limit", "range");
    buf_release(&text);
}

/* "-author,-createdAt" without its signs; false if they are not all the same. */
static bool plain_sort(const char *text, struct buf *out, bool *descending)
{
    struct slice rest = slice_str(text);
    *descending = text[0] == '-';
    while (rest.ptr) {
        struct slice field = slice_trim(slice_cut(&rest, ','));
        bool minus = field.len > 0 && field.ptr[0] == '-';
        if (minus != *descending)
            return false;
        if (out->len > 0)
            buf_append_char(out, ',');
        buf_append(out, field.ptr + minus, field.len - minus);
    }
    return true;
}

/* Whether the index has all documents, each once, in this order. */
static bool sorts_by(const struct data_collection *c, const struct index_spec *spec,
                     struct slice fields)
{
    struct slice whole = slice_str(spec->fields), rest = whole;
    if (spec->unique || strchr(spec->fields, '[') || !slice_starts(whole, fields))
        return false;
    while (rest.ptr) {
        struct slice path = slice_cut(&rest, ',');
        if (member_is_hidden(c, slice_cut(&path, '.')))
            return false;
    }
    return whole.len == fields.len || whole.ptr[fields.len] == ',';
}

static void read_sort(struct list *list)
{
    struct buf fields = BUF_INIT;
    if (!read_parameter(list, "sort", &list->sort))
        return;
    bool good = plain_sort(list->sort.data, &fields, &list->scan.descending) && fields.len > 0;
    bool found = good && slice_is(buf_slice(&fields), "id");
    for (unsigned i = 0; good && !found && i < list->c->index_count; i++) {
        const struct index_spec *spec = &list->c->indexes[i];
        found = sorts_by(list->c, spec, buf_slice(&fields));
        if (found)
            list->scan.index = spec->fields;
    }
    if (!found)
        fault_field(&list->fault, "sort", "index");
    buf_release(&fields);
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

static uint64_t query_hash(const struct list *list)
{
    struct buf all = BUF_INIT;
    buf_append_str(&all, list->c->name);
    buf_append_char(&all, '\0');
    buf_append_slice(&all, buf_slice(&list->sort));
    buf_append_char(&all, '\0');
    buf_append_slice(&all, buf_slice(&list->filter_text));
    uint64_t hash = hash_bytes(buf_slice(&all));
    buf_release(&all);
    return hash;
}

static void read_cursor(struct list *list)
{
    struct buf bytes = BUF_INIT;
    list->query = query_hash(list);
    if (!read_parameter(list, "after", &list->after))
        return;
    bool good = list->after.len <= CURSOR_MAX && base64url_decode(buf_slice(&list->after), &bytes);
    size_t head = sizeof list->query;
    good = good && bytes.len > head && bytes.len - head <= sizeof list->place.bytes &&
           memcmp(bytes.data, &list->query, head) == 0;
    if (good) {
        list->place.len = (uint16_t)(bytes.len - head);
        memcpy(list->place.bytes, bytes.data + head, bytes.len - head);
    } else {
        fault_field(&list->fault, "after", "cursor");
    }
    buf_release(&bytes);
}

static enum err read_query(struct list *list)
{
    check_names(list);
    read_limit(list);
    read_sort(list);
    read_filter(list);
    read_cursor(list);
    read_parameter(list, "fields", &list->fields);
    return list->fault.err;
}

/* ---- The walk */

/* The filter sees what its author may see. */
static bool passes_filter(const struct list *list, struct slice doc)
{
    if (!list->filter)
        return true;
    struct buf seen = BUF_INIT;
    if (list->c->hidden_count > 0) {
        document_view(list->c, doc, slice_of(NULL, 0), &seen);
        doc = buf_slice(&seen);
    }
    bool passes = expr_holds(list->filter, doc, &list->caller.env);
    buf_release(&seen);
    return passes;
}

static bool is_listed(const struct list *list, struct slice doc)
{
    struct slice none = slice_of(NULL, 0);
    return passes_filter(list, doc) &&
           rule_allows(list->c, ACTION_LIST, &list->caller, doc, none) &&
           rule_allows(list->c, ACTION_READ, &list->caller, doc, none);
}

static bool take(struct slice id, const struct doc *doc, void *arg)
{
    (void)id;
    struct list *list = arg;
    struct buf *out = &list->response->body;
    if (++list->looked_at > LOOKED_AT_MAX)
        return false;
    if (!is_listed(list, doc->json))
        return true;
    if (list->rows++ > 0)
        buf_append_char(out, ',');
    document_view(list->c, doc->json, buf_slice(&list->fields), out);
    return list->rows < list->limit;
}

static bool look_for_next(struct slice id, const struct doc *doc, void *arg)
{
    (void)id;
    struct list *list = arg;
    list->has_next = ++list->looked_at > LOOKED_AT_MAX || is_listed(list, doc->json);
    return !list->has_next;
}

/* Behind the last row, from the same place, in a walk of its own: the page's place stays. */
static enum err find_next(struct txn *txn, struct list *list)
{
    struct doc_place place = list->place;
    struct doc_scan scan = list->scan;
    scan.place = &place;
    return doc_walk(txn, list->c->stored, &scan, look_for_next, list);
}

static enum err walk(struct txn *txn, void *arg)
{
    struct list *list = arg;
    bool late = false;
    list->scan.place = &list->place;
    list->scan.more = &late;
    buf_append_str(&list->response->body, "{\"data\":[");
    enum err err = doc_walk(txn, list->c->stored, &list->scan, take, list);
    if (err == ERR_VALIDATION)
        return fault_field(&list->fault, "after", "cursor");
    if (!err && list->looked_at > LOOKED_AT_MAX)
        return fault_set(&list->fault, ERR_VALIDATION, "SCAN_TOO_LARGE",
                         "More than %d documents would be looked at: sort by an index, or filter "
                         "less.",
                         LOOKED_AT_MAX);
    if (!err && late)
        err = ERR_OVERLOADED;
    return err || list->rows < list->limit ? err : find_next(txn, list);
}

/* ---- The answer */

static void write_cursor(const struct list *list, struct buf *out)
{
    struct buf bytes = BUF_INIT;
    buf_append(&bytes, &list->query, sizeof list->query);
    buf_append(&bytes, list->place.bytes, list->place.len);
    base64url_append(out, buf_slice(&bytes));
    buf_release(&bytes);
}

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

static void answer(struct list *list)
{
    struct buf cursor = BUF_INIT, *out = &list->response->body;
    buf_append_str(out, "],\"pagination\":{\"limit\":");
    buf_append_i64(out, list->limit);
    if (list->has_next) {
        write_cursor(list, &cursor);
        add_link(list, buf_slice(&cursor));
        buf_append_str(out, ",\"nextCursor\":\"");
        buf_append_slice(out, buf_slice(&cursor));
        buf_append_str(out, "\",\"hasNext\":true}}");
    } else {
        buf_append_str(out, ",\"nextCursor\":null,\"hasNext\":false}}");
    }
    response_json(list->response, 200);
    response_revalidate(list->response, hash_bytes(buf_slice(out)), false);
    buf_release(&cursor);
}

static enum err serve(struct list *list)
{
    const struct data_collection *c = list->c;
    if (!rule_may_allow(c, ACTION_LIST, &list->caller) ||
        !rule_may_allow(c, ACTION_READ, &list->caller))
        return fault_denied(&list->fault, &list->caller);
    enum err err = read_query(list);
    if (!err)
        err = data_snapshot(c->set->data, walk, list);
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
    expr_destroy(&list->filter);
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
