/* JSON Web Tokens: issuing and checking, HS256 (libjwt), with one key.
 *
 * libjwt accepts more than it should (docs/decisions.md), so the header and every claim are checked
 * here before and after it. Tokens that passed are remembered, whole, until they expire: checking
 * one again is a look-up. Threads: any, after creating. */
#ifndef GALLEY_SERVER_IDENTITY_JWT_H
#define GALLEY_SERVER_IDENTITY_JWT_H

#include "server/http/message.h"

#define JWT_TOKEN_MAX 4096 /* bytes; longer ones are refused unread */

struct jwt;

struct jwt_options {
    struct slice key;     /* at least 32 bytes of secret; copied */
    const char *issuer;   /* "iss", required and compared */
    const char *audience; /* "aud": the string, or a list that holds it */
};

/* NULL if the key is too short or looks like PEM (the algorithm-confusion trap). */
struct jwt *jwt_create(const struct jwt_options *options);
void jwt_destroy(struct jwt **jwt);

/* A token for a user: sub, roles, iss, aud, iat, exp, jti, and gen if it is not 0. Appends to out.
 */
enum err jwt_issue(struct jwt *jwt, const struct principal *user, int64_t now_ms, int64_t ttl_ms,
                   struct buf *out);

/* ERR_UNAUTHENTICATED unless everything holds: three parts; header exactly alg HS256, typ absent or
 * JWT, known kid, no crit, jku, jwk, x5u, x5c, b64; signature; exp present and nbf within 60 s;
 * iss, aud; sub a string of 1 to 128 bytes; roles absent or strings; gen absent or a whole number.
 * Fills *user. */
enum err jwt_check(struct jwt *jwt, struct slice token, int64_t now_ms, struct principal *user);

#endif
