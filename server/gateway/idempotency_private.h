/* The two memories of idempotency.c: keys in flight, and answers that were given. */
#ifndef GALLEY_SERVER_GATEWAY_IDEMPOTENCY_PRIVATE_H
#define GALLEY_SERVER_GATEWAY_IDEMPOTENCY_PRIVATE_H

#include "server/gateway/exchange.h"

#include <stdatomic.h>

/* ---- keys_in_flight.c: which scopes are being executed. Threads: any. */

struct keys_in_flight;

struct keys_in_flight *keys_in_flight_create(void);
void keys_in_flight_destroy(struct keys_in_flight **keys);

/* Adds the request, which stays the caller's and must stay where it is until it leaves. False if
 * its scope is in already. */
bool keys_in_flight_enter(struct keys_in_flight *keys, struct keyed_request *keyed);
void keys_in_flight_leave(struct keys_in_flight *keys, struct keyed_request *keyed);

/* ---- answer_records.c: answers in the store, for a time (docs/format.md). */

struct answer_limits {
    int64_t keep_ms;
    uint64_t bytes_max; /* of the file, for all; the oldest go when it is more */
};

struct answer_records {
    struct store *store;
    struct table answers, keys;
    struct table format_1; /* is emptied */
    struct answer_limits limits;
    _Atomic uint64_t shelf_min; /* a shelf that began before is full */
    /* of who sweeps */
    uint64_t keys_bytes; /* when the last shelf was full */
    unsigned step;
};

/* Before threads start. */
enum err answer_records_open(struct store *store, const struct answer_limits *limits,
                             struct answer_records *out);

/* Answers the keyed request with what was answered before. ERR_NOT_FOUND if nothing was, or too
 * long before now_ms; ERR_KEY_REUSED if the request was another. Threads: any. */
enum err answer_records_replay(const struct answer_records *records,
                               const struct keyed_request *keyed, int64_t now_ms,
                               struct response *response);

/* Stores the answer for the keyed request, within the write transaction that it reports on. */
enum err answer_records_put(struct txn *txn, const struct answer_records *records,
                            const struct keyed_request *keyed, const struct response *response);

/* Drops what is too old or too much, a bounded number in one transaction; *more if there is more.
 * Threads: one at a time, not the store's writer. */
enum err answer_records_sweep(struct answer_records *records, int64_t now_ms, bool *more);

/* ---- What answer_check.c needs of it. */

#define SCOPE_ENOUGH 12 /* bytes of the digest that find the answer, which has the rest */

/* Keys; both big-endian. */
struct number_key {
    uint64_t number;
};

struct scope_key {
    uint8_t shelf[sizeof(uint64_t)]; /* the number of its first answer */
    uint8_t scope[SCOPE_ENOUGH];
};
struct scope_key answer_scope_key(uint64_t shelf, const uint8_t *scope);

struct answer {
    int status;
    bool json;
    const uint8_t *scope, *print;
    struct slice headers, body;
};
/* Takes a record's payload apart, in place; false if it is not one. */
bool answer_decode(struct slice payload, struct answer *out);

/* The number that a table's first key at or behind `from` begins with; 0 if there is none. */
enum err answer_first(struct txn *txn, struct table table, uint64_t from, uint64_t *number);
/* The one of the last key whose number is below `before` (0: of all); 0 if there is none. */
enum err answer_last(struct txn *txn, struct table table, uint64_t before, uint64_t *number);
/* The latest answer of the scope: on the newest shelf that knows it. */
enum err answer_find(struct txn *txn, struct table keys, const uint8_t *scope, uint64_t *number);

#endif
