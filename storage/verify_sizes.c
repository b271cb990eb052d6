/* What verifying means for the sizes of collections: they are counted and compared.
 *
 * DESIGN. A collection that is counted in one step is compared as of one moment. One that takes
 * several is compared if nothing has changed it meanwhile, which the version of a sum tells: on a
 * server that is stopped always, and on one that runs at a time at which nobody writes to it. */
#include "storage/verify_private.h"

#define STEP_ENTRIES 20000
#define KEY_KEPT     (STORE_KEY_MAX - 63)

/* How far it is, in the bytes of a verify_place. */
struct counting {
    unsigned number; /* of the collection, or of one before it */
    struct doc_count counted;
    uint64_t version; /* when it began */
    uint16_t key_len; /* 0: at its beginning */
    char key[KEY_KEPT];
};
_Static_assert(sizeof(struct counting) <= STORE_KEY_MAX, "fits");

/* 0: not known. Each change of a collection changes its bytes. */
static uint64_t version_of(struct txn *txn, const struct collection *c)
{
    struct sum sum;
    enum err err = txn_sum(txn, c->sums, key_slice(&c->sum_keys[SUM_BYTES]), &sum);
    return err ? 0 : sum.version;
}

static void count_entry(struct txn *txn, const struct collection *c, const struct cursor *cursor,
                        struct counting *at)
{
    struct chain_entry entry;
    chain_take(&c->docs, cursor->key, cursor->value, &entry);
    at->counted.documents++;
    at->counted.bytes += (uint64_t)sizes_text_len(txn, c, &entry);
}

static enum err seek_behind(struct cursor *cursor, const struct collection *c,
                            const struct counting *at)
{
    struct slice last = slice_of(at->key, at->key_len);
    enum err err = cursor_seek(cursor, last.len > 0 ? last : key_slice(&c->prefix));
    return !err && slice_eq(cursor->key, last) ? cursor_next(cursor) : err;
}

/* *all: that was the rest of the collection. */
static enum err count_some(struct txn *txn, const struct collection *c, struct counting *at,
                           bool *all)
{
    struct cursor cursor;
    cursor_open(&cursor, txn, c->docs.table);
    enum err err = seek_behind(&cursor, c, at);
    bool over = false;
    for (unsigned i = 1; !err && !over && key_has_prefix(cursor.key, &c->prefix); i++) {
        count_entry(txn, c, &cursor, at);
        over = i >= STEP_ENTRIES && cursor.key.len <= sizeof at->key;
        if (over) {
            at->key_len = (uint16_t)cursor.key.len;
            memcpy(at->key, cursor.key.ptr, cursor.key.len);
        } else {
            err = cursor_next(&cursor);
        }
    }
    cursor_close(&cursor);
    *all = !over;
    return err == ERR_NOT_FOUND ? txn_error(txn) : err;
}

static bool is_right(struct txn *txn, const struct collection *c, const struct counting *at,
                     struct doc_count *said)
{
    enum err err = collection_count(txn, c, said);
    return !err && said->documents == at->counted.documents && said->bytes == at->counted.bytes;
}

/* What a repair has taken away itself is no finding, nor what an older program has not counted. */
static bool is_to_mend(struct verifier *v, const struct document_parts *parts,
                       const struct collection *c, const struct counting *at,
                       const struct doc_count *said, bool was_counted)
{
    if (!was_counted)
        return verify_mends(v);
    return parts->took ||
           verify_found(v, "the size of %s, %llu documents of %llu bytes: it has %llu of %llu",
                        c->name, (unsigned long long)said->documents,
                        (unsigned long long)said->bytes, (unsigned long long)at->counted.documents,
                        (unsigned long long)at->counted.bytes);
}

static enum err check(struct txn *txn, struct verifier *v, const struct document_parts *parts,
                      const struct collection *c, const struct counting *at)
{
    struct doc_count said;
    bool in_one_step = at->key_len == 0;
    if ((!in_one_step && at->version != version_of(txn, c)) || is_right(txn, c, at, &said) ||
        !is_to_mend(v, parts, c, at, &said, sizes_there(txn, c) > 0))
        return txn_error(txn);
    return sizes_set(txn, c, &at->counted);
}

/* The collection of this number, or the next one; NULL behind the last. */
static const struct collection *find(const struct document_parts *parts, unsigned number)
{
    const struct collection *found = NULL;
    for (unsigned i = 0; i < parts->count; i++) {
        const struct collection *c = parts->list[i];
        if (c->number >= number && (!found || c->number < found->number))
            found = c;
    }
    return found;
}

/* *at becomes that of what comes next. */
static enum err count_step(struct txn *txn, struct verifier *v, const struct document_parts *parts,
                           const struct collection *c, struct counting *at)
{
    bool all;
    if (at->number != c->number)
        *at = (struct counting){.number = c->number};
    if (at->key_len == 0)
        at->version = version_of(txn, c);
    enum err err = count_some(txn, c, at, &all);
    if (err || !all)
        return err;
    err = check(txn, v, parts, c, at);
    *at = (struct counting){.number = c->number + 1};
    return err;
}

enum err verify_sizes(struct txn *txn, struct verifier *v, struct verify_place *place, bool *end,
                      void *arg)
{
    struct document_parts *parts = arg;
    struct counting at = {0};
    memcpy(&at, place->bytes, place->len);
    enum err err = document_parts_read(txn, parts);
    const struct collection *c = err ? NULL : find(parts, at.number);
    *end = !err && !c;
    if (!c)
        return err;
    err = count_step(txn, v, parts, c, &at);
    place->len = sizeof at;
    memcpy(place->bytes, &at, sizeof at);
    return err;
}
