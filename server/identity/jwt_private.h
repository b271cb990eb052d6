/* The two helpers of jwt.c: the signature (jws.c) and the memory of tokens (token_memory.c). */
#ifndef GALLEY_SERVER_IDENTITY_JWT_PRIVATE_H
#define GALLEY_SERVER_IDENTITY_JWT_PRIVATE_H

#include "server/identity/jwt.h"

/* ---- jws.c, the only file that knows libjwt. Threads: any. */

/* Appends the signed token (HS256) of a header with this key id and of claims, JSON text. */
void jws_sign(struct slice key, const char *key_id, const char *claims, struct buf *out);

/* True if libjwt accepts the token of at most JWT_TOKEN_MAX bytes without NUL, as HS256. */
bool jws_verify(struct slice key, struct slice token);

/* ---- token_memory.c: tokens that passed, so that they need not be verified again. */

/* What a token that passed says. */
struct token_facts {
    struct principal user;
    int64_t from_ms, until_ms; /* valid from <= now < until, leeway included */
};

static inline bool token_facts_hold(const struct token_facts *facts, int64_t now_ms)
{
    return now_ms >= facts->from_ms && now_ms < facts->until_ms;
}

struct token_memory;

struct token_memory *token_memory_create(void);
void token_memory_destroy(struct token_memory **memory);

/* True and *user filled if this very token is remembered and valid now. Threads: any. */
bool token_memory_find(struct token_memory *memory, struct slice token, int64_t now_ms,
                       struct principal *user);

/* Threads: any. */
void token_memory_put(struct token_memory *memory, struct slice token,
                      const struct token_facts *facts);

#endif
