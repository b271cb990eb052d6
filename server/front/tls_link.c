#include "base/mem.h"
#include "server/front/tls_private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/err.h>

/* A client may send messages that are no data, key updates above all, for ever. OpenSSL takes all
 * that came together and then returns; so many times without data between are believed to mean
 * harm. */
#define DATALESS_MAX 32

struct tls_link {
    struct tls *tls;
    struct tls_set *set; /* that the handshake chooses from; NULL, like ssl, before it has begun */
    SSL *ssl;
    struct tls_wire wire;
    bool drained;      /* OpenSSL has looked at all it has and waits for the descriptor */
    unsigned dataless; /* times in a row */
    bool failed;
    bool finished; /* the handshake */
    const char *reason;
};

struct tls *tls_link_tls(const SSL *ssl)
{
    return ((const struct tls_link *)SSL_get_app_data(ssl))->tls;
}

struct tls_set *tls_link_set(const SSL *ssl)
{
    return ((const struct tls_link *)SSL_get_app_data(ssl))->set;
}

struct tls_link *tls_accept(struct tls *tls, int fd)
{
    struct tls_link *link = mem_zalloc(sizeof *link);
    link->tls = tls_hold(tls);
    link->wire.fd = fd;
    link->reason = "";
    return link;
}

static void begin(struct tls_link *link)
{
    link->set = tls_present_set(link->tls);
    link->ssl = SSL_new(tls_set_first(link->set));
    BIO *bio = tls_bio_create(&link->wire);
    assert(link->ssl && bio);
    SSL_set_bio(link->ssl, bio, bio);
    SSL_set_app_data(link->ssl, link);
    SSL_set_accept_state(link->ssl);
}

/* ---- What OpenSSL says. */

static void start_call(struct tls_link *link, bool wait)
{
    if (ERR_peek_error()) /* of something else on this thread; clearing costs more than looking */
        ERR_clear_error();
    link->wire.wait = wait;
    link->wire.stop = TLS_STOP_NOT;
}

/* A client certificate that is not good enough has a reason of its own. */
static enum tls_result fail(struct tls_link *link)
{
    long verified = SSL_get_verify_result(link->ssl);
    bool refused = ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_CERTIFICATE_VERIFY_FAILED;
    const char *reason = tls_openssl_reason();
    link->failed = true;
    link->reason = refused ? X509_verify_cert_error_string(verified) : reason;
    return TLS_FAILED;
}

/* OpenSSL would go on. */
static enum tls_result give_up(struct tls_link *link, const char *reason)
{
    link->failed = true;
    link->reason = reason;
    return TLS_FAILED;
}

/* TLS_DONE here: the call did something but has nothing to show; call again. */
static enum tls_result why_stopped(struct tls_link *link, int ret)
{
    int error = SSL_get_error(link->ssl, ret);
    if (error == SSL_ERROR_ZERO_RETURN)
        return TLS_ENDED;
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
        return fail(link);
    switch (link->wire.stop) {
    case TLS_STOP_READ:
        return TLS_WANT_READ;
    case TLS_STOP_WRITE:
        return TLS_WANT_WRITE;
    case TLS_STOP_GONE:
        return TLS_GONE;
    case TLS_STOP_NOT:
        break;
    }
    return TLS_DONE;
}

/* ---- The handshake. */

static enum tls_result finish(struct tls_link *link, bool done)
{
    link->finished = done;
    link->drained = false;
    link->dataless = 0;
    tls_count_handshake(link->tls, done, done && SSL_session_reused(link->ssl));
    return done ? TLS_DONE : TLS_FAILED;
}

enum tls_result tls_handshake(struct tls_link *link, bool wait)
{
    if (link->failed)
        return TLS_FAILED;
    assert(!link->finished);
    if (!link->ssl)
        begin(link);
    for (; link->dataless < DATALESS_MAX; link->dataless++) {
        start_call(link, wait);
        int ret = SSL_accept(link->ssl);
        if (ret == 1)
            return finish(link, true);
        enum tls_result result = why_stopped(link, ret);
        link->drained = result == TLS_WANT_READ;
        if (result == TLS_WANT_READ || result == TLS_WANT_WRITE || result == TLS_GONE)
            return result;
        if (result != TLS_DONE)
            break;
    }
    if (!link->failed)
        give_up(link, "no handshake");
    return finish(link, false);
}

/* ---- Bytes. */

enum tls_result tls_receive(struct tls_link *link, void *out, size_t room, bool wait, size_t *got)
{
    *got = 0;
    if (link->failed)
        return TLS_FAILED;
    assert(link->finished && room > 0);
    while (link->dataless < DATALESS_MAX) {
        start_call(link, wait);
        int ret = SSL_read_ex(link->ssl, out, room, got);
        if (ret == 1) {
            link->drained = false;
            link->dataless = 0;
            return TLS_DONE;
        }
        enum tls_result result = why_stopped(link, ret);
        link->drained = result == TLS_WANT_READ;
        if (result != TLS_DONE)
            return result;
        link->dataless++;
    }
    return give_up(link, "too many messages without data");
}

/* A record takes 16 KiB at most, and OpenSSL returns after each. */
enum tls_result tls_send(struct tls_link *link, struct slice bytes, bool wait, size_t *sent)
{
    *sent = 0;
    if (link->failed)
        return TLS_FAILED;
    assert(link->finished);
    while (*sent < bytes.len) {
        size_t written = 0;
        start_call(link, wait);
        int ret = SSL_write_ex(link->ssl, bytes.ptr + *sent, bytes.len - *sent, &written);
        *sent += written;
        if (ret == 1)
            continue;
        enum tls_result result = why_stopped(link, ret);
        return result == TLS_DONE ? fail(link) : result;
    }
    return TLS_DONE;
}

bool tls_has_pending(const struct tls_link *link)
{
    return link->ssl && !link->drained && SSL_has_pending(link->ssl);
}

void tls_close(struct tls_link **out, bool graceful)
{
    struct tls_link *link = *out;
    *out = NULL;
    if (!link)
        return;
    if (graceful && link->finished && !link->failed) {
        start_call(link, false);
        SSL_shutdown(link->ssl);
    }
    if (link->ssl && !link->finished && !link->failed)
        tls_count_handshake(link->tls, false, false);
    SSL_free(link->ssl);
    ERR_clear_error();
    tls_set_let_go(&link->set);
    tls_destroy(&link->tls);
    free(link);
}

/* ---- Telling. */

const char *tls_reason(const struct tls_link *link)
{
    return link->reason;
}

const char *tls_hsts_line(const struct tls_link *link)
{
    return link->set ? tls_set_hsts_line(link->set) : "";
}

/* What TLS begins with is no letter. */
bool tls_is_plain_http(const struct tls_link *link)
{
    return link->failed && !link->finished && link->wire.first >= 'A' && link->wire.first <= 'Z';
}

void tls_read_facts(const struct tls_link *link, struct tls_facts *out)
{
    assert(link->finished);
    const char *name = SSL_get_servername(link->ssl, TLSEXT_NAMETYPE_host_name);
    *out = (struct tls_facts){
        .version = SSL_get_version(link->ssl),
        .cipher = SSL_get_cipher_name(link->ssl),
        .server_name = name ? name : "",
        .resumed = SSL_session_reused(link->ssl) == 1,
    };
}

static void write_subject(const X509 *certificate, char *out, size_t size)
{
    BIO *text = BIO_new(BIO_s_mem());
    assert(text);
    X509_NAME_print_ex(text, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
    int length = BIO_read(text, out, (int)size - 1);
    out[length > 0 ? length : 0] = '\0';
    BIO_free(text);
    ERR_clear_error();
}

static void write_fingerprint(const X509 *certificate, char *out)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    X509_digest(certificate, EVP_sha256(), digest, &length);
    for (unsigned i = 0; i < length; i++)
        sprintf(out + 2 * i, "%02x", digest[i]);
}

bool tls_read_client(const struct tls_link *link, struct tls_client_certificate *out)
{
    assert(link->finished);
    X509 *certificate = SSL_get0_peer_certificate(link->ssl);
    memset(out, 0, sizeof *out);
    if (!certificate || SSL_get_verify_result(link->ssl) != X509_V_OK)
        return false;
    write_subject(certificate, out->subject, sizeof out->subject);
    write_fingerprint(certificate, out->fingerprint);
    return true;
}

void tls_read_bytes(const struct tls_link *link, uint64_t *received, uint64_t *sent)
{
    *received = link->wire.received;
    *sent = link->wire.sent;
}
