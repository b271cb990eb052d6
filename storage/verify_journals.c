/* What verifying means for journals (docs/format.md): each entry is whole, none is missing between
 * the first and the last that a head names, and each cursor is whole. Nothing of it can be derived:
 * a repair leaves what it finds, and journal_trim drops it in time. */
#include "base/mem.h"
#include "storage/key.h"
#include "storage/storage_private.h"
#include "storage/verify_private.h"

#include <endian.h>
#include <stdlib.h>

#define PREFIX_SIZE 4 /* the journal's number; a key of no more is its head's */

struct journal_parts {
    struct table table;
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

/* The numbers that the head says are there; none if it cannot be read. */
static bool read_span(struct txn *txn, const struct journal_parts *parts, struct slice prefix,
                      int64_t *first, int64_t *next)
{
    struct record record;
    uint64_t numbers[3];
    if (record_try(txn, parts->table, prefix, &record) || record.payload.len != sizeof numbers)
        return false;
    memcpy(numbers, record.payload.ptr, sizeof numbers);
    *first = (int64_t)le64toh(numbers[0]);
    *next = (int64_t)le64toh(numbers[1]);
    return true;
}

static void found(struct verifier *v, struct slice key, const char *how)
{
    char text[VERIFY_SHOWN_SIZE];
    if (verify_found(v, "a journal's entry, %s: %s", verify_show(text, key), how))
        verify_not_mended(v);
}

/* ---- Entries. */

/* Is all there that has to be between the last key and this one, of the same journal or the next?
 * `here` is NULL behind the last key of all. */
static void check_gap(struct verifier *v, struct txn *txn, struct journal_parts *parts,
                      const struct place *here)
{
    struct slice key = slice_of((const char *)parts->last.bytes, parts->last.len);
    struct place last;
    int64_t first, next;
    if (parts->last.len == 0 || !read_key(key, &last) ||
        !read_span(txn, parts, last.prefix, &first, &next))
        return;
    bool same = here && slice_eq(here->prefix, last.prefix);
    int64_t expected = last.sequence + 1 > first ? last.sequence + 1 : first;
    int64_t there = same ? here->sequence : next;
    if (there > expected)
        found(v, key, "entries behind it are lost");
}

static enum err check_record(struct verifier *v, struct cursor *at, void *arg)
{
    struct journal_parts *parts = arg;
    struct place here;
    const char *how = record_fault(at->key, at->value);
    if (!read_key(at->key, &here))
        how = "it is no journal's";
    else
        check_gap(v, at->txn, parts, &here);
    if (how)
        found(v, at->key, how);
    parts->last.len = (uint16_t)at->key.len;
    memcpy(parts->last.bytes, at->key.ptr, at->key.len);
    return txn_error(at->txn);
}

static enum err entries_step(struct txn *txn, struct verifier *v, struct verify_place *place,
                             bool *end, void *arg)
{
    struct journal_parts *parts = arg;
    parts->last = *place;
    enum err err = verify_walk(txn, v, parts->table, place, end, check_record, parts);
    if (!err && *end)
        check_gap(v, txn, parts, NULL);
    return err;
}

/* ---- Cursors. */

static enum err check_cursor(struct verifier *v, struct cursor *at, const struct chain_entry *entry,
                             bool whole, bool *gone, void *arg)
{
    (void)whole, (void)gone, (void)arg;
    const char *how = record_fault(at->key, entry->body);
    if (how)
        found(v, at->key, how);
    return ERR_OK;
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
