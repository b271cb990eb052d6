/* Certificates in a directory of their own, a server's struct tls over them, and OpenSSL as the
 * client at the other end of a socket pair. */
#ifndef GALLEY_TESTS_UNIT_FRONT_TLS_FIXTURE_H
#define GALLEY_TESTS_UNIT_FRONT_TLS_FIXTURE_H

#include "base/mem.h"
#include "server/front/tls_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLAIM(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define DAY_S       86400
#define NOW_MS      INT64_C(1800000000000)

struct fixture {
    char dir[64];
    struct clock_fake time;
    EVP_PKEY *ca_key;
    X509 *ca;
    struct tls_pair pairs[4];
    struct tls_options options;
    struct tls *tls;
    char why[TLS_WHY_SIZE];
};

/* ---- Certificates. */

/* The path of a file in the fixture's directory. To be freed. */
static inline char *path_of(const struct fixture *f, const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", f->dir, name);
    return mem_strdup(path);
}

static inline void write_file(const struct fixture *f, const char *name, const char *text)
{
    char *path = path_of(f, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    free(path);
}

static inline EVP_PKEY *make_key(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    assert_non_null(key);
    return key;
}

static inline void add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

/* `san` as OpenSSL writes it ("DNS:a.test,DNS:*.a.test"); NULL makes an authority. Signed by
 * `issuer_key`, or by its own key if that is NULL. Valid until `days` from now. */
static inline X509 *make_certificate(EVP_PKEY *key, const char *common_name, const char *san,
                                     X509 *issuer, EVP_PKEY *issuer_key, int days)
{
    static long serial;
    X509 *certificate = X509_new();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -100 * DAY_S);
    X509_gmtime_adj(X509_getm_notAfter(certificate), (long)days * DAY_S);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               (const unsigned char *)common_name, -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(issuer ? issuer : certificate));
    X509_set_pubkey(certificate, key);
    if (san)
        add_extension(certificate, issuer, NID_subject_alt_name, san);
    else
        add_extension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE");
    assert_true(X509_sign(certificate, issuer_key ? issuer_key : key, EVP_sha256()) > 0);
    return certificate;
}

static inline void write_certificate(const struct fixture *f, const char *name, X509 *certificate)
{
    char *path = path_of(f, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, certificate), 1);
    fclose(file);
    free(path);
}

static inline void write_key(const struct fixture *f, const char *name, EVP_PKEY *key)
{
    char *path = path_of(f, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(file);
    chmod(path, 0600);
    free(path);
}

/* Makes NAME.crt and NAME.key, signed by the fixture's authority. */
static inline void write_pair(const struct fixture *f, const char *name, const char *san, int days)
{
    char file[64];
    EVP_PKEY *key = make_key();
    X509 *certificate = make_certificate(key, name, san, f->ca, f->ca_key, days);
    snprintf(file, sizeof file, "%s.crt", name);
    write_certificate(f, file, certificate);
    snprintf(file, sizeof file, "%s.key", name);
    write_key(f, file, key);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static inline struct tls_pair pair_of(const struct fixture *f, const char *name)
{
    char file[64];
    snprintf(file, sizeof file, "%s.crt", name);
    char *cert = path_of(f, file);
    snprintf(file, sizeof file, "%s.key", name);
    return (struct tls_pair){cert, path_of(f, file)};
}

/* Adds a pair to what the server is created with. */
static inline void add_pair(struct fixture *f, const char *name, const char *san, int days)
{
    write_pair(f, name, san, days);
    f->pairs[f->options.count++] = pair_of(f, name);
}

/* ---- Setup. */

static inline struct fixture *fixture_create(void)
{
    struct fixture *f = mem_zalloc(sizeof *f);
    const char *parent = getenv("TMPDIR");
    snprintf(f->dir, sizeof f->dir, "%s/galley-XXXXXX", parent ? parent : "/tmp");
    assert_non_null(mkdtemp(f->dir));
    clock_fake_init(&f->time, NOW_MS);
    f->ca_key = make_key();
    f->ca = make_certificate(f->ca_key, "test authority", NULL, NULL, NULL, 1000);
    write_certificate(f, "ca.crt", f->ca);
    f->options.pairs = f->pairs;
    f->options.clock = &f->time.clock;
    return f;
}

static inline void fixture_destroy(struct fixture *f)
{
    char command[100];
    tls_destroy(&f->tls);
    for (size_t i = 0; i < f->options.count; i++) {
        free((char *)f->pairs[i].cert);
        free((char *)f->pairs[i].key);
    }
    free((char *)f->options.client_ca);
    X509_free(f->ca);
    EVP_PKEY_free(f->ca_key);
    snprintf(command, sizeof command, "rm -rf '%s'", f->dir);
    assert_int_equal(system(command), 0);
    free(f);
}

static inline void create(struct fixture *f)
{
    if (tls_create(&f->options, &f->tls, f->why, sizeof f->why) != ERR_OK)
        fail_msg("%s", f->why);
}

/* ---- Two ends of a connection. */

struct pair {
    struct tls_link *link; /* ours */
    int server_fd;
    SSL_CTX *ctx; /* the client's */
    SSL *ssl;
    int client_fd;
    enum tls_result result; /* of our side's last step of the handshake */
};

/* The client's context, for a test to change before pair_open. */
static inline SSL_CTX *client_context(struct fixture *f)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    assert_int_equal(X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), f->ca), 1);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    return ctx;
}

/* Takes the context. `name` may be NULL. No byte has been sent yet. */
static inline void pair_open(struct pair *p, struct fixture *f, SSL_CTX *ctx, const char *name)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    *p = (struct pair){.server_fd = fds[0], .client_fd = fds[1], .ctx = ctx};
    fcntl(p->client_fd, F_SETFL, O_NONBLOCK);
    p->link = tls_accept(f->tls, p->server_fd);
    p->ssl = SSL_new(ctx);
    SSL_set_fd(p->ssl, p->client_fd);
    SSL_set_connect_state(p->ssl);
    if (name)
        SSL_set_tlsext_host_name(p->ssl, name);
}

static inline void pair_close(struct pair *p)
{
    tls_close(&p->link, true);
    SSL_free(p->ssl);
    SSL_CTX_free(p->ctx);
    close(p->server_fd);
    close(p->client_fd);
}

/* Lets both sides talk until each has finished or failed. True if both have finished. */
static inline bool pair_shake(struct pair *p)
{
    bool client_done = false;
    p->result = TLS_WANT_READ;
    for (int i = 0; i < 50; i++) {
        ERR_clear_error();
        client_done = client_done || SSL_do_handshake(p->ssl) == 1;
        if (p->result == TLS_WANT_READ || p->result == TLS_WANT_WRITE)
            p->result = tls_handshake(p->link, false);
        if (p->result == TLS_FAILED || p->result == TLS_GONE)
            return false;
    }
    return client_done && p->result == TLS_DONE;
}

/* What the client sent arrives as it is. */
static inline void assert_client_says(struct pair *p, const char *text)
{
    char got[200];
    size_t length;
    ERR_clear_error();
    assert_int_equal(SSL_write(p->ssl, text, (int)strlen(text)), strlen(text));
    assert_int_equal(tls_receive(p->link, got, sizeof got, false, &length), TLS_DONE);
    assert_int_equal(length, strlen(text));
    assert_memory_equal(got, text, length);
}

static inline void assert_server_says(struct pair *p, const char *text)
{
    char got[200];
    size_t sent;
    assert_int_equal(tls_send(p->link, slice_str(text), false, &sent), TLS_DONE);
    assert_int_equal(sent, strlen(text));
    ERR_clear_error();
    assert_int_equal(SSL_read(p->ssl, got, sizeof got), strlen(text));
    assert_memory_equal(got, text, strlen(text));
}

/* A full handshake with the client's defaults. */
static inline void pair_connect(struct pair *p, struct fixture *f, const char *name)
{
    pair_open(p, f, client_context(f), name);
    if (!pair_shake(p))
        fail_msg("%s", tls_reason(p->link));
}

/* The common name of the certificate that the client was shown. */
static inline void assert_shown(const struct pair *p, const char *common_name)
{
    char name[64] = "";
    X509 *certificate = SSL_get0_peer_certificate(p->ssl);
    assert_non_null(certificate);
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name,
                              sizeof name);
    assert_string_equal(name, common_name);
}

/* Moves one byte from a memory BIO to a socket. */
static inline bool trickle(BIO *from, int fd)
{
    char byte;
    return BIO_read(from, &byte, 1) == 1 && send(fd, &byte, 1, 0) == 1;
}

#endif
