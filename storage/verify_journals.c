/* What verifying means for journals (docs/format.md): each entry is whole, none is missing between
 * the first and the last that a head names, and each cursor is whole. A repair hands out what is
 * damaged; in the place of an entry, and of one that is missing, it leaves a mark, so that readers
 * go past it; a head is made anew from the entries and the cursors, and a cursor is forgotten. */
#include "base/mem.h"
#include "storage/journal.h"
#include "storage/key.h"
#include "storage/storage_private.h"
#include "storage/verify_private.h"

#include <endian.h>
#include <stdlib.h>

#define PREFIX_SIZE   4    /* the journal's number; a key of no more is its head's */
#define MARKS_AT_ONCE 2000 /* in a transaction */

struct journal_parts {
    struct table table, sums;
    struct chain cursors;
    /* Of the step: where the walk came by last. */
    struct verify_place last;
};

struct place {
    struct slice prefix;
    int64_t sequence; /* 0: the head's */
};

static bool read_key(struct slice key, struct place *out)
{
    struct key first;
    key_init(&first);
    key_add_journal(&first, 0);
    if (key.len < PREFIX_SIZE || key.ptr[0] != (char)first.bytes[0])
        return false;
    *out = (struct place){.prefix = slice_of(key.ptr, PREFIX_SIZE)};
    struct slice rest = slice_of(key.ptr + PREFIX_SIZE, key.len - PREFIX_SIZE);
    return rest.len == 0 ||
           (key_take_i64(&rest, &out->sequence) && rest.len == 0 && out->sequence > 0);
}

static struct key key_of(struct slice prefix)
{
    struct key key;
    key_init(&key);
    key.len = PREFIX_SIZE;
    memcpy(key.bytes, prefix.ptr, PREFIX_SIZE);
    return key;
}

/* The numbers that are said to be there; none if that cannot be read. */
static bool read_span(struct txn *txn, const struct journal_parts *parts, struct slice prefix,
                      int64_t *first, int64_t *next)
{
    struct key key = key_of(prefix);
    struct journal_span span;
    bool is_old;
    if (journal_numbers_get(txn, parts->table, parts->sums, &key, &span, &is_old))
        return false;
    *first = (int64_t)span.first;
    *next = (int64_t)span.next;
    return true;
}

/* True: mend it. */
static bool found(struct verifier *v, struct slice key, const char *how)
{
    char text[VERIFY_SHOWN_SIZE];
    return verify_found(v, "a journal's entry, %s: %s", verify_show(text, key), how);
}

/* ---- Heads. */

/* Behind the numbers that were given out, or those that a journal's readers have come to, which may
 * be all that is left of it. */
static uint64_t next_by_others(struct txn *txn, const struct journal_parts *parts,
                               const struct key *prefix)
{
    struct key key = journal_sum_key(prefix, SUM_SEQUENCE);
    struct sum sum;
    enum err known = txn_sum(txn, parts->sums, key_slice(&key), &sum);
    uint64_t next = known == ERR_OK ? (uint64_t)sum.value + 1 : 1, read_to;
    struct chain_entry entry;
    struct cursor cursor;
    if (txn_table_bytes(txn, parts->cursors.table) == 0)
        return next;
    cursor_open(&cursor, txn, parts->cursors.table);
    enum err err = cursor_seek(&cursor, key_slice(prefix));
    for (; !err && key_has_prefix(cursor.key, prefix); err = cursor_next(&cursor)) {
        if (!chain_take(&parts->cursors, cursor.key, cursor.value, &entry) ||
            record_fault(cursor.key, entry.body))
            continue;
        struct slice payload = record_parts(entry.body).payload;
        if (payload.len != sizeof read_to)
            continue;
        memcpy(&read_to, payload.ptr, sizeof read_to);
        next = le64toh(read_to) > next ? le64toh(read_to) : next;
    }
    cursor_close(&cursor);
    return next;
}

static enum err make_head(struct txn *txn, const struct journal_parts *parts,
                          const struct key *prefix)
{
    uint64_t first = 0, next = next_by_others(txn, parts, prefix), bytes = 0;
    struct cursor cursor;
    cursor_open(&cursor, txn, parts->table);
    enum err err = cursor_seek(&cursor, key_slice(prefix));
    for (; !err && key_has_prefix(cursor.key, prefix); err = cursor_next(&cursor)) {
        struct place here;
        if (!read_key(cursor.key, &here) || here.sequence == 0)
            continue;
        first = first == 0 ? (uint64_t)here.sequence : first;
        next = (uint64_t)here.sequence >= next ? (uint64_t)here.sequence + 1 : next;
        if (!record_fault(cursor.key, cursor.value))
            bytes += record_parts(cursor.value).payload.len;
    }
    cursor_close(&cursor);
    struct journal_span span = {first == 0 ? next : first, next, bytes};
    return journal_numbers_set(txn, parts->table, parts->sums, prefix, &span);
}

/* A head that is damaged was found as a record. */
static enum err check_head(struct verifier *v, struct txn *txn, struct journal_parts *parts,
                           const struct place *here)
{
    struct key prefix = key_of(here->prefix);
    struct record record;
    int64_t first, next;
    if (read_span(txn, parts, here->prefix, &first, &next))
        return ERR_OK;
    enum err err = record_try(txn, parts->table, key_slice(&prefix), &record);
    if (err && err != ERR_NOT_FOUND)
        return err == ERR_DAMAGED ? ERR_OK : err;
    const char *how = err ? "its head is missing" : "its numbers are damaged";
    return found(v, key_slice(&prefix), how) ? make_head(txn, parts, &prefix) : ERR_OK;
}

/* ---- Entries. */

/* Marks for the numbers of [from, to) that are not there. */
static enum err put_marks(struct txn *txn, const struct journal_parts *parts, struct slice prefix,
                          int64_t from, int64_t to)
{
    for (int64_t sequence = from; sequence < to && !txn_error(txn); sequence++) {
        struct key key = key_of(prefix);
        struct slice value;
        key_add_i64(&key, sequence);
        if (txn_get(txn, parts->table, key_slice(&key), &value) == ERR_NOT_FOUND)
            record_put(txn, parts->table, key_slice(&key), JOURNAL_LOST, slice_of(NULL, 0));
    }
    return txn_error(txn);
}

/* Is all there that has to be between the last key and this one, of the same journal or the next?
 * `here` is NULL behind the last key of all. */
static enum err check_gap(struct verifier *v, struct txn *txn, struct journal_parts *parts,
                          const struct place *here)
{
    struct slice key = slice_of((const char *)parts->last.bytes, parts->last.len);
    struct place last;
    int64_t first, next;
    if (parts->last.len == 0 || !read_key(key, &last) ||
        !read_span(txn, parts, last.prefix, &first, &next))
        return txn_error(txn);
    bool same = here && slice_eq(here->prefix, last.prefix);
    int64_t expected = last.sequence + 1 > first ? last.sequence + 1 : first;
    int64_t there = same && here->sequence < next ? here->sequence : next;
    if (there <= expected || !found(v, key, "entries behind it are lost"))
        return txn_error(txn);
    if (there - expected > MARKS_AT_ONCE)
        verify_not_mended(v); /* not all of it: once more */
    int64_t end = there - expected > MARKS_AT_ONCE ? expected + MARKS_AT_ONCE : there;
    return put_marks(txn, parts, last.prefix, expected, end);
}

/* Hands out what the cursor stands on; `here` is NULL if it is no journal's. */
static enum err take_out(struct verifier *v, struct cursor *at, struct journal_parts *parts,
                         const struct place *here)
{
    struct txn *txn = at->txn;
    int64_t first, next;
    if (!verify_salvage(v, txn, parts->table, at->key, at->value))
        return ERR_OK;
    enum err err = cursor_del(at);
    if (err || !here)
        return err;
    struct key prefix = key_of(here->prefix);
    if (here->sequence == 0)
        return make_head(txn, parts, &prefix);
    bool counted = read_span(txn, parts, here->prefix, &first, &next) && here->sequence >= first &&
                   here->sequence < next;
    return counted ? put_marks(txn, parts, here->prefix, here->sequence, here->sequence + 1)
                   : txn_error(txn);
}

static enum err check_record(struct verifier *v, struct cursor *at, void *arg)
{
    struct journal_parts *parts = arg;
    struct verify_place copy = {.len = (uint16_t)at->key.len}; /* writing makes the borrowed void */
    memcpy(copy.bytes, at->key.ptr, copy.len);
    struct slice key = slice_of((const char *)copy.bytes, copy.len);
    struct place here;
    bool known = read_key(key, &here);
    const char *how = known ? record_fault(at->key, at->value) : "it is no journal's";
    enum err err = ERR_OK;
    if (how && found(v, key, how))
        err = take_out(v, at, parts, known ? &here : NULL);
    if (!known || err)
        return err ? err : txn_error(at->txn);
    err = check_head(v, at->txn, parts, &here);
    if (!err)
        err = check_gap(v, at->txn, parts, &here);
    parts->last = copy;
    return err;
}

static enum err entries_step(struct txn *txn, struct verifier *v, struct verify_place *place,
                             bool *end, void *arg)
{
    struct journal_parts *parts = arg;
    parts->last = *place;
    enum err err = verify_walk(txn, v, parts->table, place, end, check_record, parts);
    return !err && *end ? check_gap(v, txn, parts, NULL) : err;
}

/* ---- Cursors. */

static enum err check_cursor(struct verifier *v, struct cursor *at, const struct chain_entry *entry,
                             bool whole, bool *gone, void *arg)
{
    const struct journal_parts *parts = arg;
    (void)whole;
    const char *how = record_fault(at->key, entry->body);
    if (!how || !found(v, at->key, how) ||
        !verify_salvage(v, at->txn, parts->cursors.table, at->key, at->value))
        return txn_error(at->txn);
    *gone = true;
    return cursor_del(at);
}

static enum err cursors_step(struct txn *txn, struct verifier *v, struct verify_place *place,
                             bool *end, void *arg)
{
    struct journal_parts *parts = arg;
    *end = txn_table_bytes(txn, parts->cursors.table) == 0; /* no journal was ever opened */
    return *end ? ERR_OK : verify_chain(txn, v, &parts->cursors, check_cursor, parts, place, end);
}

/* ---- All of it. */

enum err journal_parts_create(struct store *store, struct journal_parts **out)
{
    struct journal_parts *parts = *out = mem_zalloc(sizeof *parts);
    enum err err = store_table(store, "journals", &parts->table);
    if (!err)
        err = store_table(store, "journal_cursors", &parts->cursors.table);
    if (!err)
        err = store_table(store, "sums", &parts->sums);
    if (err)
        journal_parts_destroy(out);
    return err;
}

void journal_parts_destroy(struct journal_parts **parts)
{
    free(*parts);
    *parts = NULL;
}

void journal_parts_add(struct journal_parts *parts, struct verifier *v)
{
    verifier_add(
        v, &(struct verify_part){
               .name = "journals", .step = entries_step, .arg = parts, .tables = {"journals"}});
    verifier_add(v, &(struct verify_part){.name = "journals' cursors",
                                          .step = cursors_step,
                                          .arg = parts,
                                          .tables = {"journal_cursors"}});
}
