#include "base/hash.h"
#include "base/mem.h"
#include "server/front/tls_private.h"

#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

/* DESIGN. A ticket is the client's session, encrypted for ourselves: with AES-256-CBC and then
 * HMAC-SHA-256 as RFC 5077 recommends. The key that encrypts is made new every KEY_AGE_NS; those
 * before it still decrypt, so that a ticket lives for 24 to 36 hours. Who steals the process's
 * memory can read TLS 1.2 sessions resumed in that time, no older ones. Keys change when they are
 * asked for: nobody has to wake up for it. */

#define KEYS       3
#define KEY_AGE_NS (INT64_C(12) * 3600 * 1000000000)
#define NAME_SIZE  16 /* OpenSSL's */

struct ticket_key {
    unsigned char name[NAME_SIZE]; /* goes before each ticket in plain */
    unsigned char aes[32], hmac[32];
    int64_t born_ns;
};

struct tls_tickets {
    const struct clock *clock;
    struct lock lock;
    unsigned count;
    struct ticket_key keys[KEYS]; /* the youngest first */
};

struct tls_tickets *tls_tickets_create(const struct clock *clock)
{
    struct tls_tickets *tickets = mem_zalloc(sizeof *tickets);
    tickets->clock = clock;
    lock_init(&tickets->lock, LOCK_RANK_TLS);
    return tickets;
}

void tls_tickets_destroy(struct tls_tickets **tickets)
{
    if (!*tickets)
        return;
    OPENSSL_cleanse((*tickets)->keys, sizeof(*tickets)->keys);
    lock_release(&(*tickets)->lock);
    free(*tickets);
    *tickets = NULL;
}

/* Drops what is too old and makes a young key if there is none. */
static void rotate(struct tls_tickets *tickets, int64_t now_ns)
{
    lock_assert_held(&tickets->lock);
    struct ticket_key *keys = tickets->keys;
    while (tickets->count > 0 && now_ns - keys[tickets->count - 1].born_ns >= KEYS * KEY_AGE_NS)
        OPENSSL_cleanse(&keys[--tickets->count], sizeof *keys);
    if (tickets->count > 0 && now_ns - keys[0].born_ns < KEY_AGE_NS)
        return;
    if (tickets->count < KEYS)
        tickets->count++;
    memmove(&keys[1], &keys[0], (tickets->count - 1) * sizeof *keys);
    random_bytes(&keys[0], sizeof keys[0]);
    keys[0].born_ns = now_ns;
}

/* A copy of the key with this name, or of the youngest. 0: there is none; 2: it is not the
 * youngest, so the client should get a new ticket; else 1. */
static int find_key(struct tls_tickets *tickets, const unsigned char *name, struct ticket_key *out)
{
    unsigned i = 0;
    lock_acquire(&tickets->lock);
    rotate(tickets, clock_mono_ns(tickets->clock));
    while (name && i < tickets->count && memcmp(tickets->keys[i].name, name, NAME_SIZE) != 0)
        i++;
    bool found = i < tickets->count;
    if (found)
        *out = tickets->keys[i];
    lock_leave(&tickets->lock);
    return !found ? 0 : i == 0 ? 1 : 2;
}

static bool set_mac_key(EVP_MAC_CTX *mac, const struct ticket_key *key)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)key->hmac, sizeof key->hmac),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

int tls_tickets_use(struct tls_tickets *tickets, unsigned char *name, unsigned char *iv,
                    EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypt)
{
    struct ticket_key key;
    int found = find_key(tickets, encrypt ? NULL : name, &key);
    if (found == 0)
        return 0; /* a full handshake follows */
    if (encrypt) {
        memcpy(name, key.name, NAME_SIZE);
        random_bytes(iv, (size_t)EVP_CIPHER_get_iv_length(EVP_aes_256_cbc()));
    }
    bool ready = EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.aes, iv, encrypt) == 1 &&
                 set_mac_key(mac, &key);
    OPENSSL_cleanse(&key, sizeof key);
    return ready ? found : -1;
}
