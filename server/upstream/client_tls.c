#include "server/upstream/client_tls.h"

#include "base/ip.h"
#include "base/mem.h"
#include "server/upstream/channel.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

struct client_tls {
    SSL_CTX *context;
    char server_name[256];
    bool name_is_address;
};

struct client_tls_link {
    SSL *ssl;
};

/* ---- Making */

static bool complain(char *why, size_t why_size, const char *what)
{
    snprintf(why, why_size, "%.200s: %s", what, ERR_reason_error_string(ERR_peek_last_error()));
    ERR_clear_error();
    return false;
}

static bool load_authorities(SSL_CTX *context, const char *ca, char *why, size_t why_size)
{
    int good = ca[0] != '\0' ? SSL_CTX_load_verify_file(context, ca)
                             : SSL_CTX_set_default_verify_paths(context);
    return good == 1 || complain(why, why_size, ca[0] != '\0' ? ca : "the system's authorities");
}

static bool load_own(SSL_CTX *context, const struct client_tls_options *options, char *why,
                     size_t why_size)
{
    if (options->cert[0] == '\0')
        return true;
    if (SSL_CTX_use_certificate_chain_file(context, options->cert) != 1)
        return complain(why, why_size, options->cert);
    if (SSL_CTX_use_PrivateKey_file(context, options->key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(context) != 1)
        return complain(why, why_size, options->key);
    return true;
}

static SSL_CTX *make_context(void)
{
    static const unsigned char http11[] = "\x08http/1.1";
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (!context)
        abort();
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_alpn_protos(context, http11, sizeof http11 - 1);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    return context;
}

struct client_tls *client_tls_create(const struct client_tls_options *options, char *why,
                                     size_t why_size)
{
    struct client_tls *tls = mem_zalloc(sizeof *tls);
    struct in6_addr ip;
    tls->context = make_context();
    snprintf(tls->server_name, sizeof tls->server_name, "%s", options->server_name);
    tls->name_is_address = ip_parse(slice_str(tls->server_name), &ip);
    SSL_CTX_set_verify(tls->context, options->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    if ((!options->verify || load_authorities(tls->context, options->ca, why, why_size)) &&
        load_own(tls->context, options, why, why_size))
        return tls;
    client_tls_destroy(&tls);
    return NULL;
}

void client_tls_destroy(struct client_tls **tls)
{
    if (!*tls)
        return;
    SSL_CTX_free((*tls)->context);
    free(*tls);
    *tls = NULL;
}

/* ---- A connection */

static void ask_for(SSL *ssl, const struct client_tls *tls)
{
    if (tls->server_name[0] == '\0')
        return;
    if (tls->name_is_address) {
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), tls->server_name);
        return;
    }
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    SSL_set1_host(ssl, tls->server_name);
    SSL_set_tlsext_host_name(ssl, tls->server_name);
}

struct client_tls_link *client_tls_begin(struct client_tls *tls, int fd)
{
    struct client_tls_link *link = mem_alloc(sizeof *link);
    link->ssl = SSL_new(tls->context);
    if (!link->ssl || SSL_set_fd(link->ssl, fd) != 1)
        abort(); /* no memory */
    SSL_set_connect_state(link->ssl);
    ask_for(link->ssl, tls);
    return link;
}

void client_tls_end(struct client_tls_link **link)
{
    if (!*link)
        return;
    SSL_free((*link)->ssl);
    ERR_clear_error();
    free(*link);
    *link = NULL;
}

/* An end without TLS's own is no end: somebody may have cut it. */
static enum flow flow_of(SSL *ssl, int result)
{
    switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_NONE:
        return FLOW_DONE;
    case SSL_ERROR_WANT_READ:
        return FLOW_WANTS_READ;
    case SSL_ERROR_WANT_WRITE:
        return FLOW_WANTS_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return FLOW_ENDED;
    default:
        return FLOW_FAILED;
    }
}

enum flow client_tls_shake_hands(struct client_tls_link *link)
{
    if (SSL_is_init_finished(link->ssl))
        return FLOW_DONE;
    ERR_clear_error();
    return flow_of(link->ssl, SSL_do_handshake(link->ssl));
}

enum flow client_tls_receive(struct client_tls_link *link, void *out, size_t room, size_t *got)
{
    ERR_clear_error();
    return flow_of(link->ssl, SSL_read_ex(link->ssl, out, room, got));
}

enum flow client_tls_send(struct client_tls_link *link, struct slice bytes, size_t *sent)
{
    *sent = 0;
    while (*sent < bytes.len) {
        size_t n;
        ERR_clear_error();
        int result = SSL_write_ex(link->ssl, bytes.ptr + *sent, bytes.len - *sent, &n);
        if (result != 1)
            return flow_of(link->ssl, result);
        *sent += n;
    }
    return FLOW_DONE;
}

bool client_tls_is_clean(struct client_tls_link *link)
{
    char byte;
    size_t got;
    ERR_clear_error();
    int result = SSL_peek_ex(link->ssl, &byte, 1, &got);
    return flow_of(link->ssl, result) == FLOW_WANTS_READ;
}
