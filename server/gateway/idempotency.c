/* DESIGN. A request with an Idempotency-Key first enters the set of keys in flight, so that of two
 * at once one is refused; only then it looks for a stored answer, so that it sees what the one
 * before it committed before leaving the set. The answer is stored by a hook within the handler's
 * own transaction: there is an answer on record if and only if the effect is. What did not commit
 * is not remembered and may be tried again.
 *
 * Scopes and prints are SHA-256: they are made of what strangers choose and decide who gets whose
 * answer. */
#include "server/gateway/exchange.h"
#include "server/gateway/gateway_private.h"
#include "server/gateway/route_table.h"

#include <assert.h>
#include <endian.h>
#include <openssl/evp.h>

#define KEY_MAX 255

static bool key_is_formed(struct slice key)
{
    for (size_t i = 0; i < key.len; i++) {
        if (key.ptr[i] <= ' ' || key.ptr[i] > '~')
            return false;
    }
    return key.len >= 1 && key.len <= KEY_MAX;
}

/* Each field with its length in front, so that no two lists of fields read the same. */
static void digest(const struct slice *fields, unsigned count, uint8_t out[DIGEST_SIZE])
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool done = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL);
    for (unsigned i = 0; i < count; i++) {
        uint64_t len = htole64(fields[i].len);
        done = done && EVP_DigestUpdate(context, &len, sizeof len) &&
               EVP_DigestUpdate(context, fields[i].ptr, fields[i].len);
    }
    done = done && EVP_DigestFinal_ex(context, out, NULL);
    assert(done);
    EVP_MD_CTX_free(context);
}

static void identify(const struct exchange *exchange, struct slice key, struct keyed_request *out)
{
    const struct request *request = exchange->request;
    const struct route_spec *spec = &request->route->spec;
    const struct slice scope[] = {slice_str(method_name(spec->method)), slice_str(spec->pattern),
                                  slice_str(request->user.id), key};
    const struct slice print[] = {slice_str(method_name(request->method)), request->path,
                                  request->query, transform_own_body(exchange)};
    digest(scope, 4, out->scope);
    digest(print, 4, out->print);
}

static enum err store_answer(struct txn *txn, const struct response *response, void *arg)
{
    const struct exchange *exchange = arg;
    assert(!response->feed.fill); /* has no end that could be stored */
    return answer_records_put(txn, &exchange->gateway->answers, &exchange->keyed, response);
}

/* A stored answer if there is one; else the request goes on and its answer will be stored. */
static enum stage_result replay_or_execute(struct exchange *exchange)
{
    struct response *response = exchange->response;
    enum err err = answer_records_replay(&exchange->gateway->answers, &exchange->keyed,
                                         exchange->request->received_ms, response);
    if (err == ERR_NOT_FOUND) {
        exchange->request->before_commit = (struct commit_hook){store_answer, exchange};
        return STAGE_NEXT;
    }
    if (err)
        return exchange_refuse(exchange, err, NULL);
    response_header(response, "Idempotency-Replayed", slice_str("true"));
    return STAGE_ANSWERED;
}

enum stage_result stage_idempotency(struct exchange *exchange)
{
    const struct request *request = exchange->request;
    if (!request->route->spec.idempotent_key)
        return STAGE_NEXT;
    unsigned count = request_header_count(request, "Idempotency-Key");
    if (count == 0)
        return STAGE_NEXT;
    struct slice key = request_header(request, "Idempotency-Key");
    if (count > 1 || !key_is_formed(key))
        return exchange_refuse(exchange, ERR_MALFORMED,
                               "An Idempotency-Key is 1 to 255 visible ASCII characters, once.");
    identify(exchange, key, &exchange->keyed);
    if (!keys_in_flight_enter(exchange->gateway->in_flight, &exchange->keyed))
        return exchange_refuse(exchange, ERR_IN_FLIGHT, NULL);
    return replay_or_execute(exchange);
}

void stage_idempotency_end(struct exchange *exchange)
{
    exchange->request->before_commit = (struct commit_hook){0};
    if (exchange->keyed.held)
        keys_in_flight_leave(exchange->gateway->in_flight, &exchange->keyed);
}
