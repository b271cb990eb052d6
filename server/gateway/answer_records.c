/* DESIGN. Answers lie in the order in which they were given, one behind the other in full pages:
 * a number that only grows, its upper part the time, is the key. Sweeping is cutting off the
 * beginning, by time or by the bytes that all may take.
 *
 * A second table leads from scope to number. Its keys begin with the number at which their shelf
 * was opened; now and then a new shelf is. So what leads to answers that are gone is gone as one
 * range too, and nothing has to be looked for one by one. A look-up asks each shelf, of which there
 * are two or three. An answer says which scope it is for: an entry that leads astray finds nothing.
 */
#include "server/gateway/idempotency_private.h"

#include <endian.h>

#define STEP_MAX 2048 /* entries of a table that a sweep drops in a transaction */

#define SHELVES_PER_KEEP   2  /* a new one after so much of the time */
#define SHELVES_PER_BUDGET 16 /* or when the newest one takes so much of the bytes */

#define FORMAT     2
#define SCOPE_KEPT 16 /* bytes of the digest: one user cannot make it another's */
#define PRINT_KEPT 8  /* likewise: who makes two requests that have it misleads himself */

static const char json_line[] = "Content-Type: application/json\r\n";

/* In front of the header lines and the body in an answer's payload; little-endian. Any change
 * counts FORMAT up; the tables then may be emptied, for nobody misses them for long. */
struct answer_head {
    uint16_t status;
    uint16_t headers_len;
    uint8_t format;
    uint8_t json; /* 1: json_line is left out */
    uint8_t scope[SCOPE_KEPT];
    uint8_t print[PRINT_KEPT];
};
_Static_assert(sizeof(struct answer_head) == 30, "no padding on disk");

/* Milliseconds since 1970, and 16 bits that tell those of one apart. */
static uint64_t number_at(int64_t ms)
{
    return (uint64_t)ms << 16;
}

static int64_t ms_of(uint64_t number)
{
    return (int64_t)(number >> 16);
}

static struct slice bytes_of(const uint64_t *number)
{
    return slice_of(number, sizeof *number);
}

struct scope_key answer_scope_key(uint64_t shelf, const uint8_t *scope)
{
    struct scope_key key;
    shelf = htobe64(shelf);
    memcpy(key.shelf, &shelf, sizeof key.shelf);
    memcpy(key.scope, scope, sizeof key.scope);
    return key;
}

enum err answer_records_open(struct store *store, const struct answer_limits *limits,
                             struct answer_records *out)
{
    *out = (struct answer_records){.store = store, .limits = *limits, .step = STEP_MAX};
    enum err err = store_table(store, "answers", &out->answers);
    if (err == ERR_OK)
        err = store_table(store, "answer_keys", &out->keys);
    if (err == ERR_OK)
        err = store_table(store, "idempotency", &out->format_1);
    if (err == ERR_OK)
        store_table_in_order(store, out->answers);
    return err;
}

/* ---- The ends of a table. */

enum err answer_first(struct txn *txn, struct table table, uint64_t from, uint64_t *number)
{
    struct cursor cursor;
    cursor_open(&cursor, txn, table);
    uint64_t key = htobe64(from);
    enum err err = cursor_seek(&cursor, bytes_of(&key));
    *number = 0;
    if (err == ERR_OK && cursor.key.len >= sizeof *number) {
        memcpy(number, cursor.key.ptr, sizeof *number);
        *number = be64toh(*number);
    }
    cursor_close(&cursor);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

enum err answer_last(struct txn *txn, struct table table, uint64_t before, uint64_t *number)
{
    struct cursor cursor;
    cursor_open(&cursor, txn, table);
    uint64_t key = htobe64(before);
    enum err err = cursor_seek_before(&cursor, before ? bytes_of(&key) : slice_of("", 0));
    *number = 0;
    if (err == ERR_OK && cursor.key.len >= sizeof *number) {
        memcpy(number, cursor.key.ptr, sizeof *number);
        *number = be64toh(*number);
    }
    cursor_close(&cursor);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* ---- Looking up. */

bool answer_decode(struct slice payload, struct answer *out)
{
    struct answer_head head;
    if (payload.len < sizeof head)
        return false;
    memcpy(&head, payload.ptr, sizeof head);
    uint16_t headers_len = le16toh(head.headers_len);
    size_t rest = payload.len - sizeof head;
    if (head.format != FORMAT || headers_len > rest)
        return false;
    const uint8_t *bytes = (const uint8_t *)payload.ptr;
    const char *headers = payload.ptr + sizeof head;
    *out = (struct answer){
        .status = le16toh(head.status),
        .json = head.json == 1,
        .scope = bytes + offsetof(struct answer_head, scope),
        .print = bytes + offsetof(struct answer_head, print),
        .headers = slice_of(headers, headers_len),
        .body = slice_of(headers + headers_len, rest - headers_len),
    };
    return true;
}

/* Borrowed from the transaction. */
static enum err get_answer(struct txn *txn, struct table table, uint64_t number, struct answer *out)
{
    struct number_key key = {htobe64(number)};
    struct record record;
    enum err err = record_get(txn, table, slice_of(&key, sizeof key), &record);
    if (err)
        return err;
    return answer_decode(record.payload, out) ? ERR_OK : ERR_DAMAGED;
}

enum err answer_find(struct txn *txn, struct table keys, const uint8_t *scope, uint64_t *number)
{
    uint64_t shelf = 0;
    enum err err;
    while ((err = answer_last(txn, keys, shelf, &shelf)) == ERR_OK && shelf != 0) {
        struct scope_key key = answer_scope_key(shelf, scope);
        struct slice value;
        err = txn_get(txn, keys, slice_of(&key, sizeof key), &value);
        if (err == ERR_OK && value.len == sizeof *number) {
            memcpy(number, value.ptr, sizeof *number);
            *number = be64toh(*number);
            return ERR_OK;
        }
        if (err != ERR_NOT_FOUND)
            return err ? err : ERR_DAMAGED;
    }
    return err ? err : ERR_NOT_FOUND;
}

struct replay {
    const struct answer_records *records;
    const struct keyed_request *keyed;
    int64_t now_ms;
    struct response *response;
};

static enum err replay(struct txn *txn, void *arg)
{
    const struct replay *r = arg;
    uint64_t number;
    struct answer answer;
    enum err err = answer_find(txn, r->records->keys, r->keyed->scope, &number);
    if (err == ERR_OK && ms_of(number) + r->records->limits.keep_ms <= r->now_ms)
        err = ERR_NOT_FOUND;
    if (err == ERR_OK)
        err = get_answer(txn, r->records->answers, number, &answer);
    if (err)
        return err;
    if (memcmp(answer.scope, r->keyed->scope, SCOPE_KEPT) != 0)
        return ERR_NOT_FOUND;
    if (memcmp(answer.print, r->keyed->print, PRINT_KEPT) != 0)
        return ERR_KEY_REUSED;
    r->response->status = answer.status;
    buf_append_slice(&r->response->headers, answer.headers);
    if (answer.json)
        buf_append_str(&r->response->headers, json_line);
    buf_append_slice(&r->response->body, answer.body);
    return ERR_OK;
}

enum err answer_records_replay(const struct answer_records *records,
                               const struct keyed_request *keyed, int64_t now_ms,
                               struct response *response)
{
    struct replay r = {records, keyed, now_ms, response};
    return store_read(records->store, replay, &r);
}

/* ---- Putting away. */

/* Cuts json_line out of the lines: what is before it and what is behind. */
static bool split_at_json(struct slice headers, struct slice *before, struct slice *behind)
{
    const size_t len = sizeof json_line - 1;
    const char *at = headers.len < len ? NULL : memmem(headers.ptr, headers.len, json_line, len);
    bool line = at && (at == headers.ptr || at[-1] == '\n');
    size_t first = line ? (size_t)(at - headers.ptr) : headers.len;
    size_t second = line ? first + len : headers.len;
    *before = slice_of(headers.ptr, first);
    *behind = slice_of(headers.ptr + second, headers.len - second);
    return line;
}

/* Above all that there are; by the clock, unless that was set back. */
static enum err next_number(struct txn *txn, struct table answers, uint64_t *number)
{
    uint64_t last;
    enum err err = answer_last(txn, answers, 0, &last);
    uint64_t now = number_at(txn_now_ms(txn));
    *number = now > last ? now : last + 1;
    return err;
}

static enum err put_key(struct txn *txn, const struct answer_records *records, const uint8_t *scope,
                        uint64_t number)
{
    uint64_t shelf;
    enum err err = answer_last(txn, records->keys, 0, &shelf);
    if (err)
        return err;
    int64_t shelf_ms = records->limits.keep_ms / SHELVES_PER_KEEP;
    if (shelf == 0 || ms_of(shelf) + shelf_ms <= ms_of(number) ||
        shelf < atomic_load(&records->shelf_min))
        shelf = number;
    struct scope_key key = answer_scope_key(shelf, scope);
    uint64_t value = htobe64(number);
    return txn_put(txn, records->keys, slice_of(&key, sizeof key), bytes_of(&value));
}

enum err answer_records_put(struct txn *txn, const struct answer_records *records,
                            const struct keyed_request *keyed, const struct response *response)
{
    uint64_t number;
    enum err err = next_number(txn, records->answers, &number);
    if (err)
        return err;
    struct slice before, behind;
    bool json = split_at_json(buf_slice(&response->headers), &before, &behind);
    struct slice body = response->borrowed.ptr ? response->borrowed : buf_slice(&response->body);
    size_t headers_len = before.len + behind.len;
    if (headers_len > UINT16_MAX)
        return txn_fail(txn, ERR_INTERNAL);
    struct answer_head head = {
        .status = htole16((uint16_t)response->status),
        .headers_len = htole16((uint16_t)headers_len),
        .format = FORMAT,
        .json = json,
    };
    memcpy(head.scope, keyed->scope, SCOPE_KEPT);
    memcpy(head.print, keyed->print, PRINT_KEPT);

    size_t size = sizeof head + headers_len + body.len;
    struct buf payload = {txn_alloc(txn, size), 0, size};
    buf_append(&payload, &head, sizeof head);
    buf_append_slice(&payload, before);
    buf_append_slice(&payload, behind);
    buf_append_slice(&payload, body);
    struct number_key key = {htobe64(number)};
    record_put(txn, records->answers, slice_of(&key, sizeof key), 1, buf_slice(&payload));
    return put_key(txn, records, keyed->scope, number);
}

/* ---- Sweeping. */

struct sweep {
    struct answer_records *records;
    int64_t now_ms;
    bool more; /* there is to drop after this step */
};

static uint64_t bytes_taken(struct txn *txn, const struct answer_records *records)
{
    return txn_table_bytes(txn, records->answers) + txn_table_bytes(txn, records->keys);
}

/* Whether what begins with this number may go. Asked for each: as answers go, the bytes do. */
static bool answer_is_over(struct txn *txn, const struct sweep *sweep, uint64_t number)
{
    const struct answer_limits *limits = &sweep->records->limits;
    return ms_of(number) + limits->keep_ms <= sweep->now_ms ||
           bytes_taken(txn, sweep->records) > limits->bytes_max;
}

/* The oldest shelf, if it leads only to answers that are gone: the next one began with the oldest
 * that is left, or before. Else 0. */
static enum err shelf_that_is_over(struct txn *txn, const struct answer_records *records,
                                   uint64_t *out)
{
    uint64_t shelf = 0, next = 0, oldest = 0;
    enum err err = answer_first(txn, records->keys, 0, &shelf);
    if (err == ERR_OK)
        err = answer_first(txn, records->keys, shelf + 1, &next);
    if (err == ERR_OK)
        err = answer_first(txn, records->answers, 0, &oldest);
    bool over = shelf != 0 && (oldest == 0 || (next != 0 && next <= oldest));
    *out = over ? shelf : 0;
    return err;
}

/* What there is to do, in the order in which it is done; false if nothing is. */
static enum err look(struct txn *txn, const struct sweep *sweep, struct table *table,
                     uint64_t *prefix)
{
    const struct answer_records *records = sweep->records;
    uint64_t oldest;
    *prefix = 0;
    *table = records->format_1;
    if (txn_table_bytes(txn, *table) > 0)
        return ERR_OK;
    *table = records->answers;
    enum err err = answer_first(txn, *table, 0, &oldest);
    if (err || (oldest != 0 && answer_is_over(txn, sweep, oldest)))
        return err;
    *table = records->keys;
    err = shelf_that_is_over(txn, records, prefix);
    return err ? err : *prefix != 0 ? ERR_OK : ERR_NOT_FOUND;
}

/* Asked first, so that a sweep with nothing to do costs no commit. */
static enum err is_due(struct txn *txn, void *arg)
{
    struct table table;
    uint64_t prefix;
    return look(txn, arg, &table, &prefix);
}

/* Drops what a table begins with, as long as it is to go. */
static enum err drop_some(struct txn *txn, const struct sweep *sweep, struct table table,
                          uint64_t shelf, unsigned *budget)
{
    struct cursor cursor;
    cursor_open(&cursor, txn, table);
    enum err err = ERR_OK;
    for (; *budget > 0; --*budget) {
        err = cursor_seek(&cursor, slice_of("", 0));
        if (err)
            break;
        uint64_t number = 0;
        if (cursor.key.len >= sizeof number)
            memcpy(&number, cursor.key.ptr, sizeof number);
        number = be64toh(number);
        if (table.handle == sweep->records->answers.handle && !answer_is_over(txn, sweep, number))
            break;
        if (table.handle == sweep->records->keys.handle && number != shelf)
            break;
        err = cursor_del(&cursor);
        if (err)
            break;
    }
    cursor_close(&cursor);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static enum err sweep_step(struct txn *txn, void *arg)
{
    struct sweep *sweep = arg;
    txn_shrinking(txn);
    unsigned budget = sweep->records->step;
    enum err err;
    struct table table;
    uint64_t shelf;
    while ((err = look(txn, sweep, &table, &shelf)) == ERR_OK && budget > 0) {
        err = drop_some(txn, sweep, table, shelf, &budget);
        if (err)
            return err;
    }
    sweep->more = err == ERR_OK;
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* A shelf that has grown large is closed, lest it outlives by far the answers that it leads to. */
static enum err close_large_shelf(struct txn *txn, void *arg)
{
    struct answer_records *records = arg;
    uint64_t bytes = txn_table_bytes(txn, records->keys);
    uint64_t most = records->limits.bytes_max / SHELVES_PER_BUDGET;
    if (bytes < records->keys_bytes)
        records->keys_bytes = bytes;
    if (bytes - records->keys_bytes <= most)
        return ERR_OK;
    records->keys_bytes = bytes;
    uint64_t last;
    enum err err = answer_last(txn, records->answers, 0, &last);
    atomic_store(&records->shelf_min, last + 1);
    return err;
}

enum err answer_records_sweep(struct answer_records *records, int64_t now_ms, bool *more)
{
    struct sweep sweep = {.records = records, .now_ms = now_ms};
    *more = false;
    enum err err = store_read(records->store, close_large_shelf, records);
    if (err == ERR_OK)
        err = store_read(records->store, is_due, &sweep);
    if (err)
        return err == ERR_NOT_FOUND ? ERR_OK : err;
    err = store_write(records->store, sweep_step, &sweep);
    bool smaller = err == ERR_STORE_FULL && records->step > 1;
    *more = smaller || (err == ERR_OK && sweep.more);
    if (err == ERR_OK)
        records->step = records->step < STEP_MAX / 2 ? records->step * 2 : STEP_MAX;
    else if (smaller)
        records->step /= 2;
    return smaller ? ERR_OK : err;
}
