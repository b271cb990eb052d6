/* The two memories of idempotency.c: keys in flight, and answers that were given. */
#ifndef GALLEY_SERVER_GATEWAY_IDEMPOTENCY_PRIVATE_H
#define GALLEY_SERVER_GATEWAY_IDEMPOTENCY_PRIVATE_H

#include "server/gateway/exchange.h"

/* ---- keys_in_flight.c: which scopes are being executed. Threads: any. */

struct keys_in_flight;

struct keys_in_flight *keys_in_flight_create(void);
void keys_in_flight_destroy(struct keys_in_flight **keys);

/* Adds the request, which stays the caller's and must stay where it is until it leaves. False if
 * its scope is in already. */
bool keys_in_flight_enter(struct keys_in_flight *keys, struct keyed_request *keyed);
void keys_in_flight_leave(struct keys_in_flight *keys, struct keyed_request *keyed);

/* ---- answer_records.c: answers in the store, kept for 24 h (docs/format.md). */

struct answer_records {
    struct store *store;
    struct table table;
};

/* Before threads start. */
enum err answer_records_open(struct store *store, struct answer_records *out);

/* Answers the keyed request with what was answered before. ERR_NOT_FOUND if nothing was, or longer
 * than 24 h before now_ms, which keyed->expired_ms then remembers for answer_records_put;
 * ERR_KEY_REUSED if the request was another. Threads: any. */
enum err answer_records_replay(const struct answer_records *records, struct keyed_request *keyed,
                               int64_t now_ms, struct response *response);

/* Stores the answer for the keyed request, within the write transaction that it reports on. */
enum err answer_records_put(struct txn *txn, const struct answer_records *records,
                            const struct keyed_request *keyed, const struct response *response);

/* Drops records older than 24 h, a bounded number. Threads: any but the store's writer. */
enum err answer_records_sweep(const struct answer_records *records, int64_t now_ms);

#endif
