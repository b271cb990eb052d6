/* The documents in a plan's segments, one snapshot after the other. */
#include "storage/query_private.h"

static int compare(struct slice a, const struct key *b)
{
    size_t len = a.len < b->len ? a.len : b->len;
    int order = len > 0 ? memcmp(a.ptr, b->bytes, len) : 0;
    return order ? order : (a.len > b->len) - (a.len < b->len);
}

/* To the first entry behind the place or, without one there, to the first of the segment. */
static enum err seek_up(struct chain_cursor *c, const struct segment *segment,
                        const struct key *place)
{
    bool from_place = place->len > 0 && compare(key_slice(place), &segment->low) >= 0;
    enum err err = chain_find(c, key_slice(from_place ? place : &segment->low));
    if (err && err != ERR_NOT_FOUND)
        return err;
    return err || from_place ? chain_next(c) : ERR_OK;
}

static enum err seek_down(struct chain_cursor *c, const struct segment *segment,
                          const struct key *place)
{
    bool from_place = place->len > 0 && compare(key_slice(place), &segment->high) < 0;
    enum err err = chain_find(c, key_slice(from_place ? place : &segment->high));
    if (err == ERR_NOT_FOUND)
        return ERR_OK; /* it stands before */
    return err ? err : chain_prev(c);
}

static bool is_done(const struct plan *plan, const struct segment *segment, const struct key *place)
{
    if (place->len == 0)
        return false;
    return plan->descending ? compare(key_slice(place), &segment->low) < 0
                            : compare(key_slice(place), &segment->high) >= 0;
}

static bool is_within(const struct plan *plan, const struct segment *segment, struct slice key)
{
    return plan->descending ? compare(key, &segment->low) >= 0 : compare(key, &segment->high) < 0;
}

static enum err visit(struct txn *txn, struct walk_state *walk, const struct chain_entry *entry)
{
    const struct plan *plan = walk->plan;
    const struct collection *c = plan->c;
    struct slice id = slice_of(entry->key.ptr + c->prefix.len, entry->key.len - c->prefix.len);
    struct doc doc = {0};
    enum err err = plan->index ? document_of_index(txn, c, plan->index, entry, &id, &doc)
                               : document_of(txn, c, entry, &doc);
    if (err)
        return err;
    memcpy(walk->place.bytes, entry->key.ptr, entry->key.len);
    walk->place.len = (uint16_t)entry->key.len;
    walk->stopped = !walk->each(id, &doc, walk->arg);
    return ERR_OK;
}

/* *late: the transaction has lasted long enough. */
static enum err walk_segment(struct txn *txn, struct walk_state *walk, struct chain_cursor *c,
                             const struct segment *segment, bool *late)
{
    const struct plan *plan = walk->plan;
    enum err err =
        plan->descending ? seek_down(c, segment, &walk->place) : seek_up(c, segment, &walk->place);
    while (!err && is_within(plan, segment, c->at.key)) {
        err = visit(txn, walk, &c->at);
        *late = !err && txn_out_of_time(txn);
        if (err || walk->stopped || *late)
            return err;
        err = plan->descending ? chain_prev(c) : chain_next(c);
    }
    return err == ERR_NOT_FOUND ? txn_error(txn) : err; /* the end */
}

enum err query_plan_walk(struct txn *txn, struct walk_state *walk)
{
    const struct plan *plan = walk->plan;
    struct chain_cursor c;
    bool late = false;
    chain_open(&c, txn, plan->index ? &plan->c->entries : &plan->c->docs);
    enum err err = txn_error(txn);
    for (unsigned i = 0; !err && !walk->stopped && !late && i < plan->segment_count; i++) {
        const struct segment *segment =
            &plan->segments[plan->descending ? plan->segment_count - 1 - i : i];
        if (!is_done(plan, segment, &walk->place))
            err = walk_segment(txn, walk, &c, segment, &late);
    }
    walk->ended = !err && !walk->stopped && !late;
    chain_close(&c);
    return err;
}
