/* DESIGN. One table holds the answers by scope and an index of them by time, told apart by the
 * first byte of the key; each answer has exactly one entry in the index. An expired answer counts
 * as absent when it is looked up; sweeping walks the index from its oldest entry and needs not read
 * the answers, so that a damaged one goes with the others. */
#include "server/gateway/idempotency_private.h"

#include <endian.h>

#define KEEP_MS      (INT64_C(24) * 3600 * 1000)
#define SWEEP_BATCH  512 /* entries in a transaction */
#define SWEEP_ROUNDS 64  /* transactions in a call */

#define FORMAT 1

/* In front of the header lines and the body in an answer's payload; little-endian. Any change
 * counts FORMAT up; the table then may be emptied, for nobody misses it longer than a day. */
struct answer_head {
    uint16_t format;
    uint16_t status;
    uint32_t headers_len;
    uint64_t answered_ms;
    uint8_t print[DIGEST_SIZE];
};
_Static_assert(sizeof(struct answer_head) == 48, "no padding on disk");

struct answer {
    int status;
    int64_t answered_ms;
    const uint8_t *print;
    struct slice headers, body;
};

struct answer_key {
    char bytes[1 + DIGEST_SIZE];
};

struct time_key {
    char bytes[1 + sizeof(uint64_t) + DIGEST_SIZE];
};

#define KEY_ANSWER 'a'
#define KEY_TIME   't'

static struct answer_key answer_key(const void *scope)
{
    struct answer_key key = {{KEY_ANSWER}};
    memcpy(key.bytes + 1, scope, DIGEST_SIZE);
    return key;
}

static struct time_key time_key(int64_t answered_ms, const void *scope)
{
    struct time_key key = {{KEY_TIME}};
    uint64_t big_endian = htobe64((uint64_t)answered_ms);
    memcpy(key.bytes + 1, &big_endian, sizeof big_endian);
    memcpy(key.bytes + 1 + sizeof big_endian, scope, DIGEST_SIZE);
    return key;
}

static int64_t time_key_ms(const struct time_key *key)
{
    uint64_t big_endian;
    memcpy(&big_endian, key->bytes + 1, sizeof big_endian);
    return (int64_t)be64toh(big_endian);
}

static const void *time_key_scope(const struct time_key *key)
{
    return key->bytes + 1 + sizeof(uint64_t);
}

enum err answer_records_open(struct store *store, struct answer_records *out)
{
    out->store = store;
    return store_table(store, "idempotency", &out->table);
}

/* The answer of a scope, borrowed from the transaction. */
static enum err get_answer(struct txn *txn, struct table table, const void *scope,
                           struct answer *out)
{
    struct answer_key key = answer_key(scope);
    struct record record;
    enum err err = record_get(txn, table, slice_of(&key, sizeof key), &record);
    if (err)
        return err;
    struct answer_head head;
    if (record.payload.len < sizeof head)
        return ERR_DAMAGED;
    memcpy(&head, record.payload.ptr, sizeof head);
    uint32_t headers_len = le32toh(head.headers_len);
    size_t rest = record.payload.len - sizeof head;
    if (le16toh(head.format) != FORMAT || headers_len > rest)
        return ERR_DAMAGED;
    const char *headers = record.payload.ptr + sizeof head;
    *out = (struct answer){
        .status = le16toh(head.status),
        .answered_ms = (int64_t)le64toh(head.answered_ms),
        .print = (const uint8_t *)record.payload.ptr + offsetof(struct answer_head, print),
        .headers = slice_of(headers, headers_len),
        .body = slice_of(headers + headers_len, rest - headers_len),
    };
    return ERR_OK;
}

struct replay {
    const struct answer_records *records;
    struct keyed_request *keyed;
    int64_t now_ms;
    struct response *response;
};

static enum err replay(struct txn *txn, void *arg)
{
    const struct replay *r = arg;
    struct answer answer;
    enum err err = get_answer(txn, r->records->table, r->keyed->scope, &answer);
    if (err)
        return err;
    if (answer.answered_ms + KEEP_MS <= r->now_ms) {
        r->keyed->expired_ms = answer.answered_ms;
        return ERR_NOT_FOUND;
    }
    if (memcmp(answer.print, r->keyed->print, DIGEST_SIZE) != 0)
        return ERR_KEY_REUSED;
    r->response->status = answer.status;
    buf_append_slice(&r->response->headers, answer.headers);
    buf_append_slice(&r->response->body, answer.body);
    return ERR_OK;
}

enum err answer_records_replay(const struct answer_records *records, struct keyed_request *keyed,
                               int64_t now_ms, struct response *response)
{
    struct replay r = {records, keyed, now_ms, response};
    return store_read(records->store, replay, &r);
}

enum err answer_records_put(struct txn *txn, const struct answer_records *records,
                            const struct keyed_request *keyed, const struct response *response)
{
    struct slice headers = buf_slice(&response->headers);
    struct slice body = response->borrowed.ptr ? response->borrowed : buf_slice(&response->body);
    struct answer_head head = {
        .format = htole16(FORMAT),
        .status = htole16((uint16_t)response->status),
        .headers_len = htole32((uint32_t)headers.len),
        .answered_ms = htole64((uint64_t)txn_now_ms(txn)),
    };
    memcpy(head.print, keyed->print, DIGEST_SIZE);

    struct buf payload = {txn_alloc(txn, sizeof head + headers.len + body.len), 0,
                          sizeof head + headers.len + body.len};
    buf_append(&payload, &head, sizeof head);
    buf_append_slice(&payload, headers);
    buf_append_slice(&payload, body);

    if (keyed->expired_ms != 0) {
        struct time_key expired = time_key(keyed->expired_ms, keyed->scope);
        txn_del(txn, records->table, slice_of(&expired, sizeof expired));
    }
    struct answer_key key = answer_key(keyed->scope);
    struct time_key by_time = time_key(txn_now_ms(txn), keyed->scope);
    record_put(txn, records->table, slice_of(&key, sizeof key), 1, buf_slice(&payload));
    return txn_put(txn, records->table, slice_of(&by_time, sizeof by_time), slice_of("", 0));
}

struct sweep {
    struct table table;
    int64_t now_ms;
    unsigned dropped;
};

/* The oldest index entry, if it is expired; else ERR_NOT_FOUND. */
static enum err oldest_expired(struct txn *txn, const struct sweep *sweep, struct time_key *out)
{
    struct cursor cursor;
    cursor_open(&cursor, txn, sweep->table);
    enum err err = cursor_seek(&cursor, slice_of((char[]){KEY_TIME}, 1));
    if (err == ERR_OK && cursor.key.len != sizeof *out)
        err = ERR_DAMAGED;
    if (err == ERR_OK) {
        memcpy(out, cursor.key.ptr, sizeof *out);
        if (time_key_ms(out) + KEEP_MS > sweep->now_ms)
            err = ERR_NOT_FOUND;
    }
    cursor_close(&cursor);
    return err;
}

static enum err drop(struct txn *txn, struct table table, const struct time_key *key)
{
    struct answer_key answer = answer_key(time_key_scope(key));
    txn_del(txn, table, slice_of(&answer, sizeof answer));
    return txn_del(txn, table, slice_of(key, sizeof *key));
}

static enum err sweep_batch(struct txn *txn, void *arg)
{
    struct sweep *sweep = arg;
    sweep->dropped = 0;
    while (sweep->dropped < SWEEP_BATCH) {
        struct time_key key;
        enum err err = oldest_expired(txn, sweep, &key);
        if (err == ERR_OK)
            err = drop(txn, sweep->table, &key);
        if (err)
            return err == ERR_NOT_FOUND ? ERR_OK : err;
        sweep->dropped++;
    }
    return ERR_OK;
}

/* Asked first, so that a sweep with nothing to do costs no commit. */
static enum err is_due(struct txn *txn, void *arg)
{
    struct time_key key;
    return oldest_expired(txn, arg, &key);
}

enum err answer_records_sweep(const struct answer_records *records, int64_t now_ms)
{
    struct sweep sweep = {.table = records->table, .now_ms = now_ms};
    for (unsigned i = 0; i < SWEEP_ROUNDS; i++) {
        enum err err = store_read(records->store, is_due, &sweep);
        if (err == ERR_OK)
            err = store_write(records->store, sweep_batch, &sweep);
        if (err)
            return err == ERR_NOT_FOUND ? ERR_OK : err;
    }
    return ERR_OK;
}
