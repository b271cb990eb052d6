/* How much there is of each collection: two sums, to which each change of a document adds. */
#include "storage/collection_private.h"
#include "storage/storage_private.h"

void sizes_init(struct collection *c)
{
    static const char *const names[] = {"documents", "bytes"};
    for (int i = 0; i < COLLECTION_SUMS; i++) {
        key_init_from(&c->sum_keys[i], &c->prefix);
        key_add_string(&c->sum_keys[i], slice_str(names[i]));
    }
}

static enum err add(struct txn *txn, const struct collection *c, enum collection_sum which,
                    int64_t delta)
{
    return txn_add(txn, c->sums, key_slice(&c->sum_keys[which]), delta);
}

enum err sizes_add(struct txn *txn, const struct collection *c, int documents, int64_t bytes)
{
    if (documents != 0)
        add(txn, c, SUM_DOCUMENTS, documents);
    return bytes != 0 ? add(txn, c, SUM_BYTES, bytes) : txn_error(txn);
}

static enum err read_sum(struct txn *txn, const struct collection *c, enum collection_sum which,
                         uint64_t *out)
{
    struct sum sum;
    enum err err = txn_sum(txn, c->sums, key_slice(&c->sum_keys[which]), &sum);
    *out = (uint64_t)sum.value;
    return err == ERR_NOT_FOUND || (!err && sum.value < 0) ? ERR_DAMAGED : err;
}

enum err collection_count(struct txn *txn, const struct collection *c, struct doc_count *out)
{
    *out = (struct doc_count){0};
    enum err err = read_sum(txn, c, SUM_DOCUMENTS, &out->documents);
    return err ? err : read_sum(txn, c, SUM_BYTES, &out->bytes);
}

/* ---- Counting. */

int64_t sizes_text_len(struct txn *txn, const struct collection *c, const struct chain_entry *entry)
{
    size_t head = record_size(slice_of(NULL, 0));
    struct slice value = entry->body;
    if (value.len > head && slice_is(record_parts(value).payload, TEXT_ELSEWHERE))
        txn_get(txn, c->texts, entry->key, &value);
    return value.len > head ? (int64_t)(value.len - head) : 0;
}

static enum err count(struct txn *txn, const struct collection *c, struct doc_count *out)
{
    struct cursor cursor;
    *out = (struct doc_count){0};
    cursor_open(&cursor, txn, c->docs.table);
    enum err err = cursor_seek(&cursor, key_slice(&c->prefix));
    for (; !err && key_has_prefix(cursor.key, &c->prefix); err = cursor_next(&cursor)) {
        struct chain_entry entry;
        chain_take(&c->docs, cursor.key, cursor.value, &entry);
        out->documents++;
        out->bytes += (uint64_t)sizes_text_len(txn, c, &entry);
    }
    cursor_close(&cursor);
    return err == ERR_NOT_FOUND ? txn_error(txn) : err;
}

enum err sum_set(struct txn *txn, struct table table, struct slice key, uint64_t value)
{
    struct sum sum;
    enum err err = txn_sum(txn, table, key, &sum);
    if (err == ERR_DAMAGED) {
        txn_del(txn, table, key);
        err = txn_sum(txn, table, key, &sum);
    }
    if (err && err != ERR_NOT_FOUND)
        return err;
    return txn_add(txn, table, key, (int64_t)(value - (uint64_t)sum.value));
}

static enum err set(struct txn *txn, const struct collection *c, enum collection_sum which,
                    uint64_t counted)
{
    return sum_set(txn, c->sums, key_slice(&c->sum_keys[which]), counted);
}

enum err sizes_set(struct txn *txn, const struct collection *c, const struct doc_count *counted)
{
    enum err err = set(txn, c, SUM_DOCUMENTS, counted->documents);
    return err ? err : set(txn, c, SUM_BYTES, counted->bytes);
}

unsigned sizes_there(struct txn *txn, const struct collection *c)
{
    unsigned there = 0;
    for (int i = 0; i < COLLECTION_SUMS; i++) {
        struct sum sum;
        there += txn_sum(txn, c->sums, key_slice(&c->sum_keys[i]), &sum) != ERR_NOT_FOUND;
    }
    return there;
}

enum err sizes_begin(struct txn *txn, const struct collection *c)
{
    struct doc_count counted;
    if (sizes_there(txn, c) == COLLECTION_SUMS)
        return txn_error(txn);
    enum err err = count(txn, c, &counted);
    return err ? err : sizes_set(txn, c, &counted);
}
