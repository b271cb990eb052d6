/* DESIGN. If the index has the order, documents are handed out as the walk comes by them, and one
 * more is looked for, to know whether there is a next page; the cursor is the key of the entry of
 * the last one. If not, all that match are looked at and the first ones kept, by their place in the
 * order; the cursor is the last one's place. */
#include "storage/query.h"

#include "base/base64.h"
#include "base/mem.h"
#include "storage/query_private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define CURSOR_MAX  1000 /* characters */
#define CLOCK_EVERY 32   /* documents */

/* A document that is kept until all were looked at. */
struct kept {
    uint16_t place_len, id_len;
    uint8_t bytes[]; /* place and id, as it stands in keys */
};

struct run {
    const struct query *query;
    struct plan plan;
    struct walk_state walk;
    struct query_page *page;
    int64_t begin_ns;
    bool too_large;

    /* What comes of it. */
    doc_fn each;
    void *arg;
    bool ended_by_each;
    struct key last; /* the place of the last one that was handed out */
    struct key after;

    struct kept **kept;
    unsigned kept_count, handed_out;
};

static bool is_kept_before(const struct run *r, struct slice place, const struct kept *kept)
{
    return query_sort_compare(&r->plan.sort, place, slice_of(kept->bytes, kept->place_len)) < 0;
}

static bool passes(const struct query *query, struct slice json)
{
    return expr_holds(query->filter, json, query->env) &&
           (!query->passes || query->passes(json, query->passes_arg));
}

/* Whether one more document may be looked at. */
static bool may_look(struct run *r)
{
    const struct query *query = r->query;
    struct query_report *report = &r->page->report;
    if (query->scan_max > 0 && report->looked_at >= query->scan_max)
        r->too_large = true;
    else if (query->time_max_ms > 0 && report->looked_at % CLOCK_EVERY == CLOCK_EVERY - 1)
        r->too_large = clock_mono_ns(query->clock) - r->begin_ns > query->time_max_ms * 1000000;
    report->looked_at += !r->too_large;
    return !r->too_large;
}

/* ---- In order. */

static bool id_of(struct slice part, char out[DOC_ID_MAX + 1])
{
    return key_take_text(&part, out, DOC_ID_MAX + 1);
}

static void hand_out(struct run *r, struct slice id_part, const struct doc *doc)
{
    char id[DOC_ID_MAX + 1];
    if (!id_of(id_part, id))
        return; /* no key has such an id */
    r->page->report.returned++;
    r->ended_by_each = !r->each(slice_str(id), doc, r->arg);
}

static bool take_in_order(struct slice id, const struct doc *doc, void *arg)
{
    struct run *r = arg;
    bool is_full = r->page->report.returned == r->query->limit || r->ended_by_each;
    if (!may_look(r)) {
        r->page->has_next = is_full;
        r->too_large = !is_full;
        return false;
    }
    if (!passes(r->query, doc->json))
        return true;
    if (is_full) {
        r->page->has_next = true;
        return false;
    }
    key_init_from(&r->last, &r->walk.place);
    hand_out(r, id, doc);
    return true;
}

/* ---- Sorted. */

static struct kept *keep(const struct key *place, struct slice id)
{
    struct kept *kept = mem_alloc(sizeof *kept + place->len + id.len);
    *kept = (struct kept){.place_len = place->len, .id_len = (uint16_t)id.len};
    memcpy(kept->bytes, place->bytes, place->len);
    memcpy(kept->bytes + place->len, id.ptr, id.len);
    return kept;
}

/* Where the place belongs among those that are kept. */
static unsigned position(const struct run *r, struct slice place)
{
    unsigned low = 0, high = r->kept_count;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        if (is_kept_before(r, place, r->kept[middle]))
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* One more than the page has is kept, to know whether there is a next one. */
static void insert(struct run *r, const struct key *place, struct slice id)
{
    unsigned at = position(r, key_slice(place)), most = r->query->limit + 1;
    if (at == most)
        return;
    if (r->kept_count == most)
        free(r->kept[--r->kept_count]);
    memmove(r->kept + at + 1, r->kept + at, (r->kept_count - at) * sizeof(struct kept *));
    r->kept[at] = keep(place, id);
    r->kept_count++;
}

static bool take_to_sort(struct slice id, const struct doc *doc, void *arg)
{
    struct run *r = arg;
    struct key place;
    if (!may_look(r))
        return false;
    if (!passes(r->query, doc->json) || !query_sort_place(&r->plan.sort, id, doc->json, &place))
        return true;
    if (r->after.len == 0 ||
        query_sort_compare(&r->plan.sort, key_slice(&place), key_slice(&r->after)) > 0)
        insert(r, &place, id);
    return true;
}

/* Reads one that was kept; it may have changed or gone since. */
static enum err hand_out_kept(struct txn *txn, struct run *r, const struct kept *kept)
{
    struct slice part = slice_of(kept->bytes + kept->place_len, kept->id_len);
    char id[DOC_ID_MAX + 1];
    struct doc doc;
    enum err err = id_of(part, id) ? doc_get(txn, r->plan.c, slice_str(id), &doc) : ERR_NOT_FOUND;
    if (!err && passes(r->query, doc.json))
        hand_out(r, part, &doc);
    return err == ERR_NOT_FOUND ? txn_error(txn) : err;
}

static enum err hand_out_all(struct txn *txn, void *arg)
{
    struct run *r = arg;
    enum err err = ERR_OK;
    unsigned count = r->kept_count < r->query->limit ? r->kept_count : r->query->limit;
    while (!err && r->handed_out < count && !r->ended_by_each && !txn_out_of_time(txn)) {
        const struct kept *kept = r->kept[r->handed_out++];
        err = hand_out_kept(txn, r, kept);
        memcpy(r->last.bytes, kept->bytes, kept->place_len);
        r->last.len = kept->place_len;
    }
    r->walk.stopped = r->ended_by_each || r->handed_out == count;
    return err;
}

/* ---- Snapshots. */

static enum err walk_on(struct txn *txn, void *arg)
{
    struct run *r = arg;
    return query_plan_walk(txn, &r->walk);
}

static enum err in_snapshots(struct store *store, struct run *r, store_fn fn)
{
    enum err err = ERR_OK;
    r->walk.stopped = r->walk.ended = false;
    while (!err && !r->walk.stopped && !r->walk.ended) {
        err = store_read(store, fn, r);
        r->page->report.snapshots++;
    }
    return err;
}

static enum err run_in_order(struct store *store, struct run *r)
{
    r->walk.each = take_in_order;
    key_init_from(&r->walk.place, &r->after);
    enum err err = in_snapshots(store, r, walk_on);
    return !err && r->too_large ? ERR_SCAN_TOO_LARGE : err;
}

static enum err run_sorted(struct store *store, struct run *r)
{
    r->walk.each = take_to_sort;
    r->kept = mem_zalloc((r->query->limit + 1) * sizeof(struct kept *));
    enum err err = in_snapshots(store, r, walk_on);
    if (!err && r->too_large)
        err = ERR_SCAN_TOO_LARGE;
    if (!err && r->kept_count > 0)
        err = in_snapshots(store, r, hand_out_all);
    r->page->has_next = r->kept_count > r->handed_out;
    while (r->kept_count > 0)
        free(r->kept[--r->kept_count]);
    free(r->kept);
    return err;
}

/* ---- Cursors: the plan's identity and a place. */

static void write_cursor(struct run *r)
{
    struct buf bytes = BUF_INIT;
    buf_append(&bytes, &r->plan.identity, sizeof r->plan.identity);
    buf_append_slice(&bytes, key_slice(&r->last));
    base64url_append(&r->page->cursor, buf_slice(&bytes));
    buf_release(&bytes);
}

static enum err refuse_cursor(char *why)
{
    snprintf(why, QUERY_WHY_SIZE, "The cursor is not one of this list.");
    return ERR_VALIDATION;
}

static enum err read_cursor(struct slice text, uint64_t *identity, struct key *place, char *why)
{
    struct buf bytes = BUF_INIT;
    key_init(place);
    bool good = text.len <= CURSOR_MAX && base64url_decode(text, &bytes) &&
                bytes.len > sizeof *identity && bytes.len - sizeof *identity <= sizeof place->bytes;
    if (good) {
        memcpy(identity, bytes.data, sizeof *identity);
        place->len = (uint16_t)(bytes.len - sizeof *identity);
        memcpy(place->bytes, bytes.data + sizeof *identity, place->len);
    }
    buf_release(&bytes);
    return good && *identity != 0 ? ERR_OK : refuse_cursor(why);
}

/* ---- */

static enum err make_plan(struct run *r, bool in_order)
{
    struct plan_choice choice = {.in_order = in_order};
    char *why = r->page->why;
    enum err err = ERR_OK;
    if (r->query->after.len > 0)
        err = read_cursor(r->query->after, &choice.identity, &r->after, why);
    if (!err)
        err = query_plan_make(r->query, choice, &r->plan, why);
    if (choice.identity && err == ERR_NOT_FOUND)
        err = refuse_cursor(why);
    if (!err && r->after.len > 0 && r->plan.is_sorted &&
        !query_sort_place_good(&r->plan.sort, key_slice(&r->after)))
        err = refuse_cursor(why);
    return err;
}

static void report(struct run *r)
{
    struct query_report *report = &r->page->report;
    report->index = r->plan.index ? r->plan.index->fields : "id";
    report->sorted = r->plan.is_sorted;
    buf_clear(&report->range);
    buf_append_slice(&report->range, buf_slice(&r->plan.range));
    report->time_ns = clock_mono_ns(r->query->clock) - r->begin_ns;
}

static enum err run_plan(struct store *store, struct run *r)
{
    r->walk = (struct walk_state){.plan = &r->plan, .arg = r};
    enum err err = r->plan.is_sorted ? run_sorted(store, r) : run_in_order(store, r);
    if (!err && r->page->has_next)
        write_cursor(r);
    report(r);
    return err;
}

/* What would have to look at too much to sort may look at less along an index that has the order.
 */
static enum err run_otherwise(struct store *store, struct run *r)
{
    struct run other = *r;
    other.plan = (struct plan){0};
    other.too_large = false;
    other.page->report.looked_at = 0;
    enum err err = make_plan(&other, true);
    if (!err)
        err = run_plan(store, &other);
    query_plan_release(&other.plan);
    return err == ERR_NOT_FOUND ? ERR_SCAN_TOO_LARGE : err;
}

enum err query_run(struct store *store, const struct query *query, doc_fn each, void *arg,
                   struct query_page *out)
{
    assert(query->limit > 0 && query->limit <= QUERY_LIMIT_MAX);
    *out = (struct query_page){0};
    struct run run = {.query = query, .page = out, .each = each, .arg = arg};
    run.begin_ns = clock_mono_ns(query->clock);
    enum err err = make_plan(&run, false);
    if (!err)
        err = run_plan(store, &run);
    if (err == ERR_SCAN_TOO_LARGE && run.plan.is_sorted && query->after.len == 0)
        err = run_otherwise(store, &run);
    query_plan_release(&run.plan);
    return err;
}

/* ---- All of them. */

static bool take_each(struct slice id, const struct doc *doc, void *arg)
{
    struct run *r = arg;
    if (!may_look(r))
        return false;
    return !passes(r->query, doc->json) || r->each(id, doc, r->arg);
}

enum err query_each(struct store *store, const struct query *query, doc_fn each, void *arg,
                    struct query_page *out)
{
    struct query unordered = *query;
    unordered.sort = unordered.after = slice_of(NULL, 0);
    struct run run = {.query = &unordered, .page = out, .each = each, .arg = arg};
    run.begin_ns = clock_mono_ns(query->clock);
    enum err err = make_plan(&run, false);
    run.walk = (struct walk_state){.plan = &run.plan, .arg = &run, .each = take_each};
    if (!err)
        err = in_snapshots(store, &run, walk_on);
    if (!err && run.too_large)
        err = ERR_SCAN_TOO_LARGE;
    report(&run);
    query_plan_release(&run.plan);
    return err;
}

static bool count_one(struct slice id, const struct doc *doc, void *arg)
{
    (void)id;
    (void)doc;
    ++*(uint64_t *)arg;
    return true;
}

enum err query_count(struct store *store, const struct query *query, uint64_t *count,
                     struct query_page *out)
{
    *count = 0;
    *out = (struct query_page){0};
    return query_each(store, query, count_one, count, out);
}

void query_page_release(struct query_page *page)
{
    buf_release(&page->cursor);
    buf_release(&page->report.range);
}
