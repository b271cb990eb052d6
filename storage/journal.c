/* Logs. A journal's head and its entries are records in the table `journals` (docs/format.md); what
 * is missing between the first and the last is seen by the numbers. These are a sequence, and the
 * bytes a sum, so that those who append do not meet at the head. Cursors are in a chained table of
 * their own, as nothing else would tell one that was lost. The journal's number is in the catalog.
 */
#include "storage/journal.h"

#include "base/mem.h"
#include "storage/collection_private.h"
#include "storage/storage_private.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>

struct journal {
    char *name;
    unsigned number;
    struct table meta, table, sums;
    struct chain cursors;
    struct key prefix, sequence, payloads; /* the latter two are sums */
};

/* ---- Numbers: the head says which entry is the first, two sums which was the last and how many
 * bytes there are. */

#define OLD_HEAD 3 /* numbers: first, next, bytes */

struct key journal_sum_key(const struct key *prefix, enum journal_sum which)
{
    struct key key;
    key_init_from(&key, prefix);
    key_add_string(&key, slice_str(which == SUM_SEQUENCE ? "sequence" : "bytes"));
    return key;
}

static enum err get_sum(struct txn *txn, struct table sums, const struct key *prefix,
                        enum journal_sum which, uint64_t *out)
{
    struct key key = journal_sum_key(prefix, which);
    struct sum sum;
    enum err err = txn_sum(txn, sums, key_slice(&key), &sum);
    *out = (uint64_t)sum.value;
    return err == ERR_NOT_FOUND ? ERR_DAMAGED : err;
}

enum err journal_numbers_get(struct txn *txn, struct table table, struct table sums,
                             const struct key *prefix, struct journal_span *out, bool *is_old)
{
    struct record record;
    uint64_t head[OLD_HEAD] = {0}, last = 0;
    *out = (struct journal_span){0};
    enum err err = record_try(txn, table, key_slice(prefix), &record);
    *is_old = !err && record.payload.len == sizeof head;
    if (err == ERR_NOT_FOUND || (!err && !*is_old && record.payload.len != sizeof head[0]))
        err = ERR_DAMAGED;
    if (err)
        return err;
    memcpy(head, record.payload.ptr, record.payload.len);
    *out = (struct journal_span){le64toh(head[0]), le64toh(head[1]), le64toh(head[2])};
    if (*is_old)
        return ERR_OK;
    err = get_sum(txn, sums, prefix, SUM_SEQUENCE, &last);
    out->next = last + 1;
    return err ? err : get_sum(txn, sums, prefix, SUM_PAYLOADS, &out->bytes);
}

enum err journal_numbers_set(struct txn *txn, struct table table, struct table sums,
                             const struct key *prefix, const struct journal_span *span)
{
    struct key sequence = journal_sum_key(prefix, SUM_SEQUENCE);
    struct key payloads = journal_sum_key(prefix, SUM_PAYLOADS);
    uint64_t first = htole64(span->first);
    enum err err = record_put(txn, table, key_slice(prefix), 1, slice_of(&first, sizeof first));
    if (!err)
        err = sum_set(txn, sums, key_slice(&sequence), span->next - 1);
    return err ? err : sum_set(txn, sums, key_slice(&payloads), span->bytes);
}

/* ---- Opening. */

static enum err write_numbers(struct txn *txn, const struct journal *journal,
                              const struct journal_span *span)
{
    return journal_numbers_set(txn, journal->table, journal->sums, &journal->prefix, span);
}

/* A damaged head is for those who read it. */
static enum err convert(struct txn *txn, const struct journal *journal)
{
    struct journal_span span;
    bool is_old;
    enum err err =
        journal_numbers_get(txn, journal->table, journal->sums, &journal->prefix, &span, &is_old);
    return !err && is_old ? write_numbers(txn, journal, &span) : txn_error(txn);
}

static enum err register_journal(struct txn *txn, void *arg)
{
    static const struct journal_span empty = {.first = 1, .next = 1};
    struct journal *journal = arg;
    bool is_new, is_first;
    enum err err =
        catalog_journal(txn, journal->meta, journal->name, &journal->number, &is_new, &is_first);
    if (err)
        return err;
    key_init(&journal->prefix);
    key_add_journal(&journal->prefix, journal->number);
    journal->sequence = journal_sum_key(&journal->prefix, SUM_SEQUENCE);
    journal->payloads = journal_sum_key(&journal->prefix, SUM_PAYLOADS);
    if (is_first)
        err = chain_begin(txn, &journal->cursors);
    if (err)
        return err;
    return is_new ? write_numbers(txn, journal, &empty) : convert(txn, journal);
}

static bool name_fits(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len <= JOURNAL_NAME_MAX;
}

enum err journal_open(struct store *store, const char *name, struct journal **out)
{
    *out = NULL;
    if (!name_fits(name))
        return ERR_VALIDATION;
    struct journal *journal = mem_zalloc(sizeof *journal);
    journal->name = mem_strdup(name);
    enum err err = store_table(store, "meta", &journal->meta);
    if (!err)
        err = store_table(store, "journals", &journal->table);
    if (!err)
        err = store_table(store, "journal_cursors", &journal->cursors.table);
    if (!err)
        err = store_table(store, "sums", &journal->sums);
    if (!err) {
        store_table_in_order(store, journal->table);
        err = store_write(store, register_journal, journal);
    }
    if (err)
        journal_close(&journal);
    *out = journal;
    return err;
}

void journal_close(struct journal **journal)
{
    if (!*journal)
        return;
    free((*journal)->name);
    free(*journal);
    *journal = NULL;
}

/* ---- What there is. */

static enum err damaged(struct txn *txn, const struct journal *journal, const char *what)
{
    return txn_damaged(txn, "the journal %s, %s", journal->name, what);
}

enum err journal_span(struct txn *txn, const struct journal *journal, struct journal_span *out)
{
    bool is_old;
    enum err err =
        journal_numbers_get(txn, journal->table, journal->sums, &journal->prefix, out, &is_old);
    return err == ERR_DAMAGED ? damaged(txn, journal, "its head or its numbers") : err;
}

/* ---- Entries. */

static struct key entry_key_of(const struct journal *journal, uint64_t sequence)
{
    struct key key;
    key_init_from(&key, &journal->prefix);
    key_add_i64(&key, (int64_t)sequence);
    return key;
}

enum err journal_append(struct txn *txn, const struct journal *journal, struct slice payload,
                        uint64_t *sequence)
{
    uint64_t number;
    enum err err = txn_sequence(txn, journal->sums, key_slice(&journal->sequence), 1, &number);
    if (err)
        return err;
    struct key key = entry_key_of(journal, number);
    if (sequence)
        *sequence = number;
    txn_add(txn, journal->sums, key_slice(&journal->payloads), (int64_t)payload.len);
    return record_put(txn, journal->table, key_slice(&key), (uint64_t)txn_now_ms(txn), payload);
}

/* What the cursor stands on, if it is the entry of this number. */
static enum err entry_here(struct cursor *cursor, const struct journal *journal, uint64_t sequence,
                           struct journal_entry *out)
{
    struct key key = entry_key_of(journal, sequence);
    *out = (struct journal_entry){.sequence = sequence};
    if (!slice_eq(cursor->key, key_slice(&key)))
        return damaged(cursor->txn, journal, "an entry is lost");
    struct record record;
    enum err err = record_decode(cursor->txn, journal->table, cursor->key, cursor->value, &record);
    *out = (struct journal_entry){sequence, (int64_t)record.version, record.payload};
    return err;
}

/* A repair has marked the place of one that was damaged or missing. */
static bool is_lost(const struct journal_entry *entry)
{
    return entry->time_ms == JOURNAL_LOST && entry->payload.len == 0;
}

/* From one entry to the next; by a search where the table was written to meanwhile. */
static enum err go_to(struct cursor *cursor, const struct journal *journal, uint64_t sequence,
                      unsigned *writes)
{
    bool searching = *writes != txn_writes(cursor->txn);
    *writes = txn_writes(cursor->txn);
    if (!searching)
        return cursor_next(cursor);
    struct key key = entry_key_of(journal, sequence);
    return cursor_seek(cursor, key_slice(&key));
}

static enum err read_all(struct cursor *cursor, const struct journal *journal, uint64_t from,
                         uint64_t end, journal_fn each, void *arg)
{
    unsigned writes = txn_writes(cursor->txn) + 1; /* a search at first */
    for (uint64_t sequence = from; sequence < end; sequence++) {
        struct journal_entry entry;
        enum err err = go_to(cursor, journal, sequence, &writes);
        if (err)
            return err == ERR_NOT_FOUND ? damaged(cursor->txn, journal, "its end is lost") : err;
        err = entry_here(cursor, journal, sequence, &entry);
        if (err)
            return err;
        if (!is_lost(&entry) && !each(&entry, arg))
            break;
    }
    return txn_error(cursor->txn);
}

enum err journal_read(struct txn *txn, const struct journal *journal, uint64_t from, unsigned limit,
                      journal_fn each, void *arg)
{
    struct journal_span span;
    enum err err = journal_span(txn, journal, &span);
    if (err)
        return err;
    if (from < span.first)
        return ERR_NOT_FOUND;
    uint64_t end = limit && span.next - from > limit && from < span.next ? from + limit : span.next;
    struct cursor cursor;
    cursor_open(&cursor, txn, journal->table);
    err = txn_error(txn);
    if (!err)
        err = read_all(&cursor, journal, from, end, each, arg);
    cursor_close(&cursor);
    return err;
}

/* ---- Retention. */

/* The bytes of a record's payload, whether or not it can be read. */
static size_t bytes_of(struct txn *txn, const struct journal *journal, const struct key *key)
{
    size_t head = record_size(slice_of(NULL, 0));
    struct slice value;
    txn_get(txn, journal->table, key_slice(key), &value);
    return value.len > head ? value.len - head : 0;
}

/* Whether the oldest entry is to go. One that is damaged or lost is, or it would be the oldest for
 * ever. */
static bool is_beyond(struct txn *txn, const struct journal *journal, const struct key *oldest,
                      const struct journal_span *span, const struct journal_bounds *bounds)
{
    struct record record;
    if (record_try(txn, journal->table, key_slice(oldest), &record))
        return true;
    return (bounds->age_ms && txn_now_ms(txn) - (int64_t)record.version > bounds->age_ms) ||
           (bounds->count && span->next - span->first > bounds->count) ||
           (bounds->bytes && span->bytes > bounds->bytes);
}

enum err journal_trim(struct txn *txn, const struct journal *journal,
                      const struct journal_bounds *bounds, unsigned limit, bool *more)
{
    *more = false;
    struct journal_span span;
    enum err err = journal_span(txn, journal, &span);
    if (err)
        return err;
    uint64_t first = span.first;
    while (span.first < span.next && !txn_error(txn)) {
        struct key oldest = entry_key_of(journal, span.first);
        if (!is_beyond(txn, journal, &oldest, &span, bounds))
            break;
        *more = span.first - first == limit;
        if (*more)
            break;
        size_t bytes = bytes_of(txn, journal, &oldest);
        txn_del(txn, journal->table, key_slice(&oldest));
        span.first++;
        span.bytes -= bytes < span.bytes ? bytes : span.bytes;
    }
    return span.first == first ? txn_error(txn) : write_numbers(txn, journal, &span);
}

/* ---- Cursors. */

static struct key cursor_key(const struct journal *journal, const char *name)
{
    assert(name_fits(name));
    struct key key;
    key_init_from(&key, &journal->prefix);
    key_add_string(&key, slice_str(name));
    return key;
}

enum err journal_cursor_get(struct txn *txn, const struct journal *journal, const char *name,
                            uint64_t *next)
{
    struct key key = cursor_key(journal, name);
    struct chain_entry entry;
    enum err err = chain_get(txn, &journal->cursors, key_slice(&key), &entry);
    if (err)
        return err;
    struct record record;
    err = record_decode(txn, journal->cursors.table, entry.key, entry.body, &record);
    if (err)
        return err;
    struct slice payload = record.payload;
    if (payload.len != sizeof *next)
        return damaged(txn, journal, "a cursor");
    memcpy(next, payload.ptr, sizeof *next);
    *next = le64toh(*next);
    return ERR_OK;
}

enum err journal_cursor_set(struct txn *txn, const struct journal *journal, const char *name,
                            uint64_t next)
{
    struct key key = cursor_key(journal, name);
    next = htole64(next);
    struct slice payload = slice_of(&next, sizeof next);
    struct chain_entry present;
    uint8_t *place;
    enum err err = chain_get(txn, &journal->cursors, key_slice(&key), &present);
    if (!err)
        err = chain_replace(txn, &journal->cursors, key_slice(&key), present.link,
                            record_size(payload), &place);
    else if (err == ERR_NOT_FOUND)
        err = chain_reserve(txn, &journal->cursors, key_slice(&key), record_size(payload), &place);
    if (!err)
        record_write(place, key_slice(&key), 1, payload);
    return err;
}

enum err journal_cursor_drop(struct txn *txn, const struct journal *journal, const char *name)
{
    struct key key = cursor_key(journal, name);
    return chain_delete(txn, &journal->cursors, key_slice(&key));
}
