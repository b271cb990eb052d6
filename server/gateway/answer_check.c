/* Verifying the answers that are kept for idempotency keys (storage/verify.h, docs/format.md): each
 * can be read and is found by its scope, each key leads to an answer of its scope, or to one that
 * has been swept. Keys are made anew from the answers, at once. */
#include "base/mem.h"
#include "server/gateway/gateway.h"
#include "server/gateway/idempotency_private.h"
#include "storage/verify.h"

#include <endian.h>
#include <stdlib.h>

struct answer_parts {
    struct table answers, keys, format_1;
};

static uint64_t number_of(const void *bytes)
{
    uint64_t number;
    memcpy(&number, bytes, sizeof number);
    return be64toh(number);
}

/* ---- Keys. */

/* What is wrong with what a key leads to; NULL if nothing is. */
static const char *fault_of_lead(struct txn *txn, const struct answer_parts *parts,
                                 const struct scope_key *key, uint64_t number)
{
    struct number_key at = {htobe64(number)};
    uint64_t oldest;
    struct record record;
    struct answer answer;
    if (answer_first(txn, parts->answers, 0, &oldest) || oldest == 0 || number < oldest)
        return NULL; /* swept */
    enum err err = record_try(txn, parts->answers, slice_of(&at, sizeof at), &record);
    if (err == ERR_NOT_FOUND)
        return "there is no such answer";
    if (err || !answer_decode(record.payload, &answer))
        return NULL; /* found with the answer */
    return memcmp(answer.scope, key->scope, SCOPE_ENOUGH) == 0 ? NULL
                                                               : "its answer is another request's";
}

static enum err check_key(struct verifier *v, struct cursor *at, void *arg)
{
    const char *how = "it cannot be read";
    struct scope_key key;
    if (at->key.len == sizeof key && at->value.len == sizeof(uint64_t)) {
        memcpy(&key, at->key.ptr, sizeof key);
        how = fault_of_lead(at->txn, arg, &key, number_of(at->value.ptr));
    }
    if (how && verify_found(v, "the key of an idempotent answer: %s", how))
        return cursor_del(at);
    return txn_error(at->txn);
}

static enum err keys_step(struct txn *txn, struct verifier *v, struct verify_place *place,
                          bool *end, void *arg)
{
    const struct answer_parts *parts = arg;
    return verify_walk(txn, v, parts->keys, place, end, check_key, arg);
}

/* ---- Answers. */

/* On the newest shelf: no newer answer has the scope. */
static enum err put_key(struct txn *txn, const struct answer_parts *parts, const uint8_t *scope,
                        uint64_t number)
{
    uint64_t shelf;
    enum err err = answer_last(txn, parts->keys, 0, &shelf);
    if (err)
        return err;
    struct scope_key key = answer_scope_key(shelf && shelf < number ? shelf : number, scope);
    number = htobe64(number);
    return txn_put(txn, parts->keys, slice_of(&key, sizeof key), slice_of(&number, sizeof number));
}

static enum err check_way(struct verifier *v, struct txn *txn, const struct answer_parts *parts,
                          const struct answer *answer, uint64_t number)
{
    uint64_t latest;
    enum err err = answer_find(txn, parts->keys, answer->scope, &latest);
    if (err && err != ERR_NOT_FOUND)
        return txn_error(txn);
    if (!err && latest >= number)
        return ERR_OK;
    uint8_t scope[SCOPE_ENOUGH];
    memcpy(scope, answer->scope, sizeof scope);
    return verify_found(v,
                        "an idempotent answer, %llu: no key leads to it, so that its request, "
                        "repeated, would run again",
                        (unsigned long long)number)
               ? put_key(txn, parts, scope, number)
               : ERR_OK;
}

static enum err check_answer(struct verifier *v, struct cursor *at, void *arg)
{
    const struct answer_parts *parts = arg;
    bool is_number = at->key.len == sizeof(uint64_t);
    uint64_t number = is_number ? number_of(at->key.ptr) : 0;
    struct record record;
    struct answer answer;
    if (is_number && record_try(at->txn, parts->answers, at->key, &record) == ERR_OK &&
        answer_decode(record.payload, &answer))
        return check_way(v, at->txn, parts, &answer, number);
    if (verify_found(v,
                     "an idempotent answer, %llu: it is damaged, and its request, repeated, is "
                     "refused",
                     (unsigned long long)number) &&
        verify_salvage(v, at->txn, parts->answers, at->key, at->value))
        return cursor_del(at);
    return txn_error(at->txn);
}

static enum err answers_step(struct txn *txn, struct verifier *v, struct verify_place *place,
                             bool *end, void *arg)
{
    const struct answer_parts *parts = arg;
    return verify_walk(txn, v, parts->answers, place, end, check_answer, arg);
}

/* ---- All of it. */

enum err answer_parts_create(struct store *store, struct answer_parts **out)
{
    struct answer_parts *parts = *out = mem_zalloc(sizeof *parts);
    enum err err = store_table(store, "answers", &parts->answers);
    if (!err)
        err = store_table(store, "answer_keys", &parts->keys);
    if (!err)
        err = store_table(store, "idempotency", &parts->format_1);
    if (err)
        answer_parts_destroy(out);
    return err;
}

void answer_parts_destroy(struct answer_parts **parts)
{
    free(*parts);
    *parts = NULL;
}

void answer_parts_add(struct answer_parts *parts, struct verifier *v)
{
    verifier_add(v, &(struct verify_part){.name = "keys of idempotent answers",
                                          .step = keys_step,
                                          .arg = parts,
                                          .tables = {"answer_keys"},
                                          .mends = MENDS_AT_ONCE});
    verifier_add(v, &(struct verify_part){.name = "idempotent answers",
                                          .step = answers_step,
                                          .arg = parts,
                                          /* format 1 is emptied without being read */
                                          .tables = {"answers", "idempotency"},
                                          .mends = MENDS_AT_ONCE});
}
