#include "server/identity/password.h"

#include "base/base64.h"
#include "base/hash.h"

#include <assert.h>
#include <stdio.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#define SALT_SIZE 16
#define HASH_SIZE 32

/* The most that a stored hash may ask for: it costs what it says before anybody is known. */
#define LOG_N_MAX  17
#define R_MAX      8
#define P_MAX      16
#define MEMORY_MAX (UINT64_C(160) << 20)

struct cost {
    unsigned log_n, r, p;
};

struct parsed {
    struct cost cost;
    uint8_t salt[SALT_SIZE];
    uint8_t hash[HASH_SIZE];
};

static const struct cost present_cost = {14, 8, 5};

static void derive(struct slice password, const struct cost *cost, const uint8_t *salt,
                   uint8_t *hash)
{
    int ok =
        EVP_PBE_scrypt(password.len > 0 ? password.ptr : "", password.len, salt, SALT_SIZE,
                       UINT64_C(1) << cost->log_n, cost->r, cost->p, MEMORY_MAX, hash, HASH_SIZE);
    assert(ok == 1);
}

void password_hash(struct slice password, char out[PASSWORD_HASH_SIZE])
{
    assert(password.len <= PASSWORD_MAX);
    uint8_t salt[SALT_SIZE];
    random_bytes(salt, sizeof salt);
    uint8_t hash[HASH_SIZE];
    derive(password, &present_cost, salt, hash);
    struct buf text = BUF_INIT;
    buf_printf(&text, "scrypt$%u$%u$%u$", present_cost.log_n, present_cost.r, present_cost.p);
    base64_append(&text, slice_of(salt, sizeof salt));
    buf_append_char(&text, '$');
    base64_append(&text, slice_of(hash, sizeof hash));
    buf_append_char(&text, '\0');
    assert(text.len <= PASSWORD_HASH_SIZE);
    memcpy(out, text.data, text.len);
    buf_release(&text);
}

static bool read_number(struct slice *rest, unsigned max, unsigned *out)
{
    int64_t value;
    if (!slice_to_i64(slice_cut(rest, '$'), &value) || value < 1 || value > max)
        return false;
    *out = (unsigned)value;
    return true;
}

static bool read_bytes(struct slice *rest, uint8_t *out, size_t size)
{
    struct buf bytes = BUF_INIT;
    bool ok = base64_decode(slice_cut(rest, '$'), &bytes) && bytes.len == size;
    if (ok)
        memcpy(out, bytes.data, size);
    buf_release(&bytes);
    return ok;
}

static bool parse(const char *text, struct parsed *out)
{
    struct slice rest = slice_str(text);
    return slice_is(slice_cut(&rest, '$'), "scrypt") &&
           read_number(&rest, LOG_N_MAX, &out->cost.log_n) &&
           read_number(&rest, R_MAX, &out->cost.r) && read_number(&rest, P_MAX, &out->cost.p) &&
           out->cost.log_n < 16 * out->cost.r && /* a condition of RFC 7914 */
           read_bytes(&rest, out->salt, SALT_SIZE) && read_bytes(&rest, out->hash, HASH_SIZE) &&
           !rest.ptr;
}

enum err password_verify(struct slice password, const char *hash)
{
    struct parsed stored;
    bool known = hash && parse(hash, &stored);
    if (password.len > PASSWORD_MAX)
        return ERR_UNAUTHENTICATED;
    if (!known)
        stored = (struct parsed){.cost = present_cost};
    uint8_t made[HASH_SIZE];
    derive(password, &stored.cost, stored.salt, made);
    bool right = (CRYPTO_memcmp(made, stored.hash, HASH_SIZE) == 0) & known;
    return right ? ERR_OK : ERR_UNAUTHENTICATED;
}
