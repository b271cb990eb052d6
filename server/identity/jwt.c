/* DESIGN. A token passes three gates, the cheapest first: its form and header (the algorithm is the
 * key's, never the token's choice), its signature (jws.c), its claims. The header and the claims
 * are read by our strict JSON reader, which refuses what libjwt lets pass: duplicate members and
 * NUL bytes, so that both see the same header. A token that passed all three is remembered. */
#include "server/identity/jwt_private.h"

#include "base/base64.h"
#include "base/mem.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#define KEY_MIN        32
#define KEY_MAX        1024
#define KEY_ID_SIZE    12 /* base64url of 8 bytes, and its NUL */
#define SIGNATURE_SIZE 32
#define LEEWAY_S       60
#define SECONDS_MAX    INT64_C(253402300799) /* the end of the year 9999 */

struct jwt {
    unsigned char key[KEY_MAX];
    size_t key_len;
    char key_id[KEY_ID_SIZE];
    char *issuer, *audience;
    struct token_memory *memory;
};

/* Names the key without telling anything about it. */
static void make_key_id(struct slice key, char out[KEY_ID_SIZE])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    int done = EVP_Digest(key.ptr, key.len, digest, NULL, EVP_sha256(), NULL);
    assert(done == 1);
    struct buf text = BUF_INIT;
    base64url_append(&text, slice_of(digest, 8));
    assert(text.len == KEY_ID_SIZE - 1);
    memcpy(out, text.data, text.len);
    out[text.len] = '\0';
    buf_release(&text);
}

struct jwt *jwt_create(const struct jwt_options *options)
{
    struct slice key = options->key;
    if (key.len < KEY_MIN || key.len > KEY_MAX || memmem(key.ptr, key.len, "-----BEGIN", 10))
        return NULL;
    struct jwt *jwt = mem_zalloc(sizeof *jwt);
    memcpy(jwt->key, key.ptr, key.len);
    jwt->key_len = key.len;
    make_key_id(key, jwt->key_id);
    jwt->issuer = mem_strdup(options->issuer);
    jwt->audience = mem_strdup(options->audience);
    jwt->memory = token_memory_create();
    return jwt;
}

void jwt_destroy(struct jwt **jwt)
{
    if (!*jwt)
        return;
    token_memory_destroy(&(*jwt)->memory);
    free((*jwt)->issuer);
    free((*jwt)->audience);
    OPENSSL_cleanse((*jwt)->key, sizeof(*jwt)->key);
    free(*jwt);
    *jwt = NULL;
}

static struct slice jwt_key(const struct jwt *jwt)
{
    return slice_of(jwt->key, jwt->key_len);
}

enum err jwt_issue(struct jwt *jwt, const struct principal *user, int64_t now_ms, int64_t ttl_ms,
                   struct buf *out)
{
    struct buf claims = BUF_INIT;
    struct json_writer w = {.out = &claims};
    struct id id = id_make(now_ms);
    char id_text[ID_TEXT_SIZE];
    id_format(&id, id_text);

    jw_begin(&w, '{');
    jw_key(&w, "sub");
    jw_str(&w, slice_str(user->id));
    jw_key(&w, "roles");
    jw_begin(&w, '[');
    for (unsigned i = 0; i < user->role_count; i++)
        jw_str(&w, slice_str(user->roles[i]));
    jw_end(&w, ']');
    jw_key(&w, "iss");
    jw_str(&w, slice_str(jwt->issuer));
    jw_key(&w, "aud");
    jw_str(&w, slice_str(jwt->audience));
    jw_key(&w, "iat");
    jw_i64(&w, now_ms / 1000);
    jw_key(&w, "exp");
    jw_i64(&w, (now_ms + ttl_ms) / 1000);
    jw_key(&w, "jti");
    jw_str(&w, slice_str(id_text));
    if (user->generation > 0) {
        jw_key(&w, "gen");
        jw_i64(&w, user->generation);
    }
    jw_end(&w, '}');
    buf_append_char(&claims, '\0');
    jws_sign(jwt_key(jwt), jwt->key_id, claims.data, out);
    buf_release(&claims);
    return ERR_OK;
}

/* The JSON object in a part of a token; NULL if it is none. The caller owns it. */
static json_t *read_part(struct slice part)
{
    struct buf text = BUF_INIT;
    json_t *json = NULL;
    char why[64];
    if (base64url_decode(part, &text))
        json_read(buf_slice(&text), &json, why, sizeof why);
    buf_release(&text);
    if (json_is_object(json))
        return json;
    json_decref(json);
    return NULL;
}

static bool signature_is_formed(struct slice part)
{
    struct buf bytes = BUF_INIT;
    bool formed = base64url_decode(part, &bytes) && bytes.len == SIGNATURE_SIZE;
    buf_release(&bytes);
    return formed;
}

static bool string_is(const json_t *value, const char *text)
{
    return json_is_string(value) && strcmp(json_string_value(value), text) == 0;
}

/* RFC 7515 makes `crit` a must: what it names has to be understood, and we understand none. The
 * others name or carry keys, or change what is signed. */
static bool header_passes(const struct jwt *jwt, const json_t *header)
{
    static const char *const refused[] = {"crit", "jku", "jwk", "x5u", "x5c", "b64"};
    for (unsigned i = 0; i < sizeof refused / sizeof *refused; i++) {
        if (json_object_get(header, refused[i]))
            return false;
    }
    const json_t *type = json_object_get(header, "typ");
    if (type && !(json_is_string(type) &&
                  slice_eq_nocase(slice_str(json_string_value(type)), slice_str("JWT"))))
        return false;
    return string_is(json_object_get(header, "alg"), "HS256") &&
           string_is(json_object_get(header, "kid"), jwt->key_id);
}

/* A time in whole seconds; a missing one is `fallback`. False if it is anything else. */
static bool read_seconds(const json_t *claims, const char *name, int64_t fallback, int64_t *out)
{
    const json_t *value = json_object_get(claims, name);
    *out = value ? json_integer_value(value) : fallback;
    return !value || (json_is_integer(value) && *out >= 0 && *out <= SECONDS_MAX);
}

static bool read_times(const json_t *claims, struct token_facts *facts)
{
    int64_t expires, not_before, issued;
    if (!read_seconds(claims, "exp", -1, &expires) || expires < 0 ||
        !read_seconds(claims, "nbf", 0, &not_before) || !read_seconds(claims, "iat", 0, &issued))
        return false;
    int64_t begins = not_before > issued ? not_before : issued;
    facts->from_ms = (begins - LEEWAY_S) * 1000;
    facts->until_ms = (expires + LEEWAY_S) * 1000;
    return true;
}

static bool read_text(const json_t *value, char *out, size_t out_size)
{
    size_t len = json_string_length(value);
    if (!json_is_string(value) || len == 0 || len >= out_size)
        return false;
    memcpy(out, json_string_value(value), len + 1);
    return true;
}

/* Ours name themselves. */
static struct id read_token_id(const json_t *claims, struct slice token)
{
    struct id id;
    if (id_parse(slice_str(json_str(claims, "jti", "")), &id))
        return id;
    unsigned char digest[EVP_MAX_MD_SIZE];
    int done = EVP_Digest(token.ptr, token.len, digest, NULL, EVP_sha256(), NULL);
    assert(done == 1);
    memcpy(id.bytes, digest, sizeof id.bytes);
    return id;
}

static bool read_generation(const json_t *claims, int64_t *out)
{
    const json_t *value = json_object_get(claims, "gen");
    *out = json_integer_value(value);
    return !value || (json_is_integer(value) && *out >= 0);
}

static bool read_user(const json_t *claims, struct principal *user)
{
    const json_t *roles = json_object_get(claims, "roles");
    if (!read_generation(claims, &user->generation))
        return false;
    if (!read_text(json_object_get(claims, "sub"), user->id, sizeof user->id))
        return false;
    if (roles && (!json_is_array(roles) || json_array_size(roles) > PRINCIPAL_ROLES_MAX))
        return false;
    user->role_count = (unsigned)json_array_size(roles);
    for (unsigned i = 0; i < user->role_count; i++) {
        if (!read_text(json_array_get(roles, i), user->roles[i], sizeof user->roles[i]))
            return false;
    }
    return true;
}

static bool audience_is_ours(const struct jwt *jwt, const json_t *audience)
{
    for (size_t i = 0; i < json_array_size(audience); i++) {
        if (string_is(json_array_get(audience, i), jwt->audience))
            return true;
    }
    return string_is(audience, jwt->audience);
}

static bool claims_pass(const struct jwt *jwt, const json_t *claims, int64_t now_ms,
                        struct token_facts *facts)
{
    return read_times(claims, facts) && token_facts_hold(facts, now_ms) &&
           string_is(json_object_get(claims, "iss"), jwt->issuer) &&
           audience_is_ours(jwt, json_object_get(claims, "aud")) && read_user(claims, &facts->user);
}

static bool token_passes(const struct jwt *jwt, struct slice token, int64_t now_ms,
                         struct token_facts *facts)
{
    struct slice signature = token;
    struct slice header_part = slice_cut(&signature, '.');
    struct slice claims_part = slice_cut(&signature, '.');
    json_t *header = read_part(header_part);
    json_t *claims = NULL;
    bool passes = header && header_passes(jwt, header) && signature_is_formed(signature) &&
                  jws_verify(jwt_key(jwt), token);
    if (passes) {
        claims = read_part(claims_part);
        passes = claims && claims_pass(jwt, claims, now_ms, facts);
    }
    if (passes) {
        facts->user.until_ms = facts->until_ms;
        facts->user.token = read_token_id(claims, token);
    }
    json_decref(header);
    json_decref(claims);
    return passes;
}

enum err jwt_check(struct jwt *jwt, struct slice token, int64_t now_ms, struct principal *user)
{
    if (token.len == 0 || token.len > JWT_TOKEN_MAX)
        return ERR_UNAUTHENTICATED;
    if (token_memory_find(jwt->memory, token, now_ms, user))
        return ERR_OK;
    struct token_facts facts = {0};
    if (!token_passes(jwt, token, now_ms, &facts))
        return ERR_UNAUTHENTICATED;
    token_memory_put(jwt->memory, token, &facts);
    *user = facts.user;
    return ERR_OK;
}
