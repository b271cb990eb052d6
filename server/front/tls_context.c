#include "server/front/tls_private.h"

#include <assert.h>

#include <openssl/err.h>

/* What an attacker who records today's traffic and steals the key tomorrow cannot read: each cipher
 * suite has an ephemeral key exchange, and authenticates what it encrypts. Clients without AES in
 * hardware put ChaCha20 first, and then so do we. */
#define CIPHERS_1_2                                                                                \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                                   \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                                   \
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define CIPHERS_1_3 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define GROUPS      "X25519:P-256:P-384"

#define TICKET_LIFE_S (24 * 3600) /* not longer than their keys live: see tls_tickets.c */
#define CHAIN_MAX     8           /* certificates between a client's and its root */

const char *tls_openssl_reason(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return reason ? reason : "unknown error";
}

/* Of several listeners' certificates the one that has this name. The handshake began with the
 * first's context, which is right for everybody else. */
static int choose_certificate(SSL *ssl, int *alert, void *arg)
{
    (void)alert;
    (void)arg;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    SSL_CTX *ctx = name ? tls_set_find(tls_link_set(ssl), name) : NULL;
    if (!ctx)
        return SSL_TLSEXT_ERR_NOACK;
    SSL_set_SSL_CTX(ssl, ctx);
    return SSL_TLSEXT_ERR_OK;
}

/* RFC 7301: who offers protocols, but not ours, is told so and does not get as far as sending us
 * another one's bytes. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *offered, unsigned offered_len, void *arg)
{
    static const unsigned char ours[] = "\x08http/1.1";
    (void)ssl;
    (void)arg;
    unsigned char *chosen;
    if (SSL_select_next_proto(&chosen, out_len, ours, sizeof ours - 1, offered, offered_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static int use_tickets(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                       EVP_MAC_CTX *mac, int encrypt)
{
    return tls_tickets_use(tls_tickets_of(tls_link_tls(ssl)), name, iv, cipher, mac, encrypt);
}

static void set_ciphers(SSL_CTX *ctx)
{
    SSL_CTX_set_security_level(ctx, 2);
    int ok = SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) &&
             SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) &&
             SSL_CTX_set_cipher_list(ctx, CIPHERS_1_2) &&
             SSL_CTX_set_ciphersuites(ctx, CIPHERS_1_3) && SSL_CTX_set1_groups_list(ctx, GROUPS);
    assert(ok);
}

/* A connection that waits should hold no buffers; read-ahead takes a record in one system call
 * where there would be two; and one message that is no data (a key update) ends a call, so that
 * many of them cannot keep a thread. */
static void set_modes(SSL_CTX *ctx)
{
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_clear_mode(ctx, SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_read_ahead(ctx, 1);
}

static void set_sessions(SSL_CTX *ctx)
{
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(ctx, TICKET_LIFE_S);
    SSL_CTX_set_max_early_data(ctx, 0);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, use_tickets);
}

/* Where clients show certificates there are no tickets: each connection shows its own, so that one
 * which has expired, or whose signer is not trusted any more, ends with its connection. */
static void set_clients(SSL_CTX *ctx, enum tls_client client, X509_STORE *clients,
                        const STACK_OF(X509_NAME) * names)
{
    bool must = client == TLS_CLIENT_REQUIRED;
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | (must ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
    SSL_CTX_set_verify_depth(ctx, CHAIN_MAX);
    SSL_CTX_set1_cert_store(ctx, clients);
    SSL_CTX_set_client_CA_list(ctx, sk_X509_NAME_deep_copy(names, X509_NAME_dup, X509_NAME_free));
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(ctx, 0);
}

SSL_CTX *tls_context_create(enum tls_client client, X509_STORE *clients,
                            const STACK_OF(X509_NAME) * names)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    assert(ctx);
    set_ciphers(ctx);
    set_modes(ctx);
    set_sessions(ctx);
    SSL_CTX_set_tlsext_servername_callback(ctx, choose_certificate);
    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
    if (client != TLS_CLIENT_NONE)
        set_clients(ctx, client, clients, names);
    return ctx;
}
