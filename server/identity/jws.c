/* Signatures by libjwt 1.10. Its <jwt.h> declares a struct of the same name as ours; nothing here
 * looks into either. */
#include "server/identity/jwt_private.h"

#include <assert.h>
#include <jwt.h>
#include <stdlib.h>

static const unsigned char *key_bytes(struct slice key)
{
    return (const unsigned char *)key.ptr;
}

void jws_sign(struct slice key, const char *key_id, const char *claims, struct buf *out)
{
    jwt_t *token = NULL;
    int rc = jwt_new(&token);
    rc = rc ? rc : jwt_set_alg(token, JWT_ALG_HS256, key_bytes(key), (int)key.len);
    rc = rc ? rc : jwt_add_header(token, "kid", key_id);
    rc = rc ? rc : jwt_add_grants_json(token, claims);
    assert(rc == 0); /* the claims are ours; what remains is memory */
    char *text = jwt_encode_str(token);
    assert(text);
    buf_append_str(out, text);
    free(text);
    jwt_free(token);
}

bool jws_verify(struct slice key, struct slice token)
{
    assert(key.ptr && key.len > 0); /* without a key libjwt accepts anything */
    assert(token.len <= JWT_TOKEN_MAX);
    char text[JWT_TOKEN_MAX + 1];
    memcpy(text, token.ptr, token.len);
    text[token.len] = '\0';
    jwt_t *verified = NULL;
    if (jwt_decode(&verified, text, key_bytes(key), (int)key.len) != 0)
        return false;
    bool hs256 = jwt_get_alg(verified) == JWT_ALG_HS256;
    jwt_free(verified);
    return hs256;
}
