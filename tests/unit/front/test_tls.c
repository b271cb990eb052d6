#include "tests/unit/front/tls_fixture.h"

#include <pthread.h>

static int setup(void **state)
{
    struct fixture *f = fixture_create();
    add_pair(f, "first", "DNS:first.test", 90);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture_destroy(*state);
    return 0;
}

/* ---- The handshake. */

static void test_handshake_and_bytes_both_ways(void **state)
{
    struct fixture *f = *state;
    struct pair p;
    create(f);
    pair_connect(&p, f, "first.test");
    assert_client_says(&p, "GET / HTTP/1.1\r\n\r\n");
    assert_server_says(&p, "HTTP/1.1 200 OK\r\n\r\n");
    struct tls_facts facts;
    tls_read_facts(p.link, &facts);
    assert_string_equal(facts.version, "TLSv1.3");
    assert_string_equal(facts.server_name, "first.test");
    assert_false(facts.resumed);
    pair_close(&p);
}

static void test_handshake_in_version_1_2(void **state)
{
    struct fixture *f = *state;
    struct pair p;
    create(f);
    SSL_CTX *ctx = client_context(f);
    SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
    pair_open(&p, f, ctx, "first.test");
    assert_true(pair_shake(&p));
    assert_client_says(&p, "GET / HTTP/1.1\r\n\r\n");
    assert_server_says(&p, "HTTP/1.1 200 OK\r\n\r\n");
    pair_close(&p);
}

static void receive_into(int fd, BIO *to)
{
    char bytes[4096];
    ssize_t n;
    while ((n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
        BIO_write(to, bytes, (int)n);
}

static void test_handshake_takes_one_byte_at_a_time(void **state)
{
    struct fixture *f = *state;
    struct pair p;
    create(f);
    pair_open(&p, f, client_context(f), "first.test");
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    SSL_set_bio(p.ssl, in, out);
    enum tls_result result = TLS_WANT_READ;
    for (int i = 0; i < 10 && result == TLS_WANT_READ; i++) {
        SSL_do_handshake(p.ssl);
        while (result == TLS_WANT_READ && trickle(out, p.client_fd)) {
            result = tls_handshake(p.link, false);
            assert_false(tls_has_pending(p.link));
        }
        receive_into(p.client_fd, in);
    }
    assert_int_equal(result, TLS_DONE);
    pair_close(&p);
}

static void *shake_blocking(void *arg)
{
    struct pair *p = arg;
    p->result = tls_handshake(p->link, true);
    return NULL;
}

static void test_handshake_that_may_wait_blocks_until_it_is_done(void **state)
{
    struct fixture *f = *state;
    struct pair p;
    pthread_t thread;
    create(f);
    pair_open(&p, f, client_context(f), "first.test");
    assert_int_equal(pthread_create(&thread, NULL, shake_blocking, &p), 0);
    fcntl(p.client_fd, F_SETFL, 0);
    assert_int_equal(SSL_do_handshake(p.ssl), 1);
    pthread_join(thread, NULL);
    assert_int_equal(p.result, TLS_DONE);
    pair_close(&p);
}

static void test_handshake_that_may_wait_ends_when_the_socket_is_shut_down(void **state)
{
    struct fixture *f = *state;
    struct pair p;
    pthread_t thread;
    create(f);
    pair_open(&p, f, client_context(f), "first.test");
    assert_int_equal(pthread_create(&thread, NULL, shake_blocking, &p), 0);
    shutdown(p.server_fd, SHUT_RDWR);
    pthread_join(thread, NULL);
    assert_int_equal(p.result, TLS_GONE);
    pair_close(&p);
}

/* Expects that the handshake fails at our side for this reason. */
static void assert_refused(struct fixture *f, SSL_CTX *ctx, const char *reason)
{
    struct pair p;
    struct tls_status status;
    pair_open(&p, f, ctx, "first.test");
    assert_false(pair_shake(&p));
    assert_int_equal(p.result, TLS_FAILED);
    assert_string_equal(tls_reason(p.link), reason);
    tls_read_status(f->tls, &status);
    assert_int_equal(status.failed, 1);
    assert_int_equal(status.handshakes, 0);
    pair_close(&p);
}

static void test_refuses_version_1_1(void **state)
{
    struct fixture *f = *state;
    create(f);
    SSL_CTX *ctx = client_context(f);
    SSL_CTX_set_security_level(ctx, 0);
    SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(ctx, TLS1_1_VERSION);
    assert_refused(f, ctx, "unsupported protocol");
}

static void test_refuses_ciphers_without_forward_secrecy(void **state)
{
    struct fixture *f = *state;
    create(f);
    SSL_CTX *ctx = client_context(f);
    SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
    assert_int_equal(SSL_CTX_set_cipher_list(ctx, "AES128-GCM-SHA256:AES256-SHA"), 1);
    assert_refused(f, ctx, "no shared cipher");
}

static void test_refuses_ciphers_that_do_not_authenticate(void **state)
{
    struct fixture *f = *state;
    create(f);
    SSL_CTX *ctx = client_context(f);
    SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
    assert_int_equal(SSL_CTX_set_cipher_list(ctx, "ECDHE-ECDSA-AES128-SHA256"), 1);
    assert_refused(f, ctx, "no shared cipher");
}

static void test_refuses_renegotiation(void **state)
{
    struct fixture *f = *state;
    struct pair p;
    char got[10];
    size_t length;
    create(f);
    SSL_CTX *ctx = client_context(f);
    SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
    pair_open(&p, f, ctx, "first.test");
    assert_true(pair_shake(&p));
    SSL_renegotiate(p.ssl);
    SSL_do_handshake(p.ssl);
    tls_receive(p.link, got, sizeof got, false, &length);
    ERR_clear_error();
    assert_int_equal(SSL_do_handshake(p.ssl), -1);
    assert_int_equal(ERR_GET_REASON(ERR_peek_last_error()), SSL_R_NO_RENEGOTIATION);
    pair_close(&p);
}

static void test_tells_plain_http_from_broken_tls(void **state)
{
    struct fixture *f = *state;
    struct pair p;
    create(f);
    const struct {
        const char *bytes;
        bool is_http;
    } cases[] = {{"GET / HTTP/1.1\r\n\r\n", true},
                 {"DELETE /x HTTP/1.1\r\n\r\n", true},
                 {"\x16\x03\x01\x00\x05xxxxx", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pair_open(&p, f, client_context(f), NULL);
        send(p.client_fd, cases[i].bytes, i == 2 ? 10 : strlen(cases[i].bytes), 0);
        assert_int_equal(tls_handshake(p.link, false), TLS_FAILED);
        assert_int_equal(tls_is_plain_http(p.link), cases[i].is_http);
        assert_int_equal(tls_handshake(p.link, false), TLS_FAILED);
        pair_close(&p);
    }
}

static void test_client_that_leaves_in_the_handshake_is_gone(void **state)
{
    struct fixture *f = *state;
    struct pair p;
    create(f);
    pair_open(&p, f, client_context(f), "first.test");
    SSL_do_handshake(p.ssl);
    assert_int_equal(tls_handshake(p.link, false), TLS_WANT_READ);
    shutdown(p.client_fd, SHUT_WR);
    assert_int_equal(tls_handshake(p.link, false), TLS_GONE);
    pair_close(&p);
}

/* ---- ALPN. */

static bool shake_offering(struct fixture *f, struct pair *p, const char *protocols)
{
    SSL_CTX *ctx = client_context(f);
    SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)protocols, (unsigned)strlen(protocols));
    pair_open(p, f, ctx, "first.test");
    return pair_shake(p);
}

static void test_alpn_chooses_http_1_1(void **state)
{
    struct fixture *f = *state;
    struct pair p;
    const unsigned char *chosen;
    unsigned length;
    create(f);
    assert_true(shake_offering(f, &p, "\x02h2\x08http/1.1"));
    SSL_get0_alpn_selected(p.ssl, &chosen, &length);
    assert_int_equal(length, 8);
    assert_memory_equal(chosen, "http/1.1", 8);
    pair_close(&p);
}

static void test_alpn_refuses_who_speaks_only_another_protocol(void **state)
{
    struct fixture *f = *state;
    struct pair p;
    create(f);
    assert_false(shake_offering(f, &p, "\x02h2"));
    assert_int_equal(p.result, TLS_FAILED);
    assert_string_equal(tls_reason(p.link), "no application protocol");
    ERR_clear_error();
    SSL_do_handshake(p.ssl);
    assert_int_equal(ERR_GET_REASON(ERR_peek_last_error()),
                     SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL);
    pair_close(&p);
}

/* ---- Which certificate. */

static void assert_name_gets(struct fixture *f, const char *name, const char *common_name)
{
    struct pair p;
    pair_connect(&p, f, name);
    assert_shown(&p, common_name);
    pair_close(&p);
}

static void test_sni_chooses_the_certificate_with_the_name(void **state)
{
    struct fixture *f = *state;
    add_pair(f, "second", "DNS:second.test,DNS:www.second.test", 90);
    create(f);
    assert_name_gets(f, "first.test", "first");
    assert_name_gets(f, "second.test", "second");
    assert_name_gets(f, "WWW.Second.TEST", "second");
}

static void test_sni_prefers_the_exact_name_to_a_wildcard(void **state)
{
    struct fixture *f = *state;
    add_pair(f, "wild", "DNS:*.second.test", 90);
    add_pair(f, "exact", "DNS:www.second.test", 90);
    create(f);
    assert_name_gets(f, "www.second.test", "exact");
    assert_name_gets(f, "shop.second.test", "wild");
}

static void test_sni_wildcard_stands_for_one_label(void **state)
{
    struct fixture *f = *state;
    add_pair(f, "wild", "DNS:*.second.test", 90);
    create(f);
    assert_name_gets(f, "a.b.second.test", "first");
    assert_name_gets(f, "second.test", "first");
    assert_name_gets(f, ".second.test", "first");
}

static void test_sni_unknown_or_no_name_gets_the_first(void **state)
{
    struct fixture *f = *state;
    add_pair(f, "second", "DNS:second.test", 90);
    create(f);
    assert_name_gets(f, "third.test", "first");
    assert_name_gets(f, NULL, "first");
}

static void test_sni_of_two_certificates_with_a_name_takes_the_first(void **state)
{
    struct fixture *f = *state;
    add_pair(f, "second", "DNS:second.test", 90);
    add_pair(f, "third", "DNS:second.test", 90);
    create(f);
    assert_name_gets(f, "second.test", "second");
}

/* ---- Client certificates. */

static void ask_clients(struct fixture *f, enum tls_client client)
{
    f->options.client = client;
    f->options.client_ca = path_of(f, "ca.crt");
    create(f);
}

/* A client with a certificate of its own. */
static SSL_CTX *identified_client(struct fixture *f, X509 *issuer, EVP_PKEY *issuer_key, int days)
{
    SSL_CTX *ctx = client_context(f);
    EVP_PKEY *key = make_key();
    X509 *certificate = make_certificate(key, "alice", "DNS:alice", issuer, issuer_key, days);
    assert_int_equal(SSL_CTX_use_certificate(ctx, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return ctx;
}

static void test_client_certificate_is_told(void **state)
{
    struct fixture *f = *state;
    struct pair p;
    struct tls_client_certificate client;
    ask_clients(f, TLS_CLIENT_REQUIRED);
    pair_open(&p, f, identified_client(f, f->ca, f->ca_key, 10), "first.test");
    assert_true(pair_shake(&p));
    assert_true(tls_read_client(p.link, &client));
    assert_string_equal(client.subject, "CN=alice");
    assert_int_equal(strlen(client.fingerprint), 64);
    pair_close(&p);
}

static void test_required_client_certificate_refuses_who_has_none(void **state)
{
    struct fixture *f = *state;
    ask_clients(f, TLS_CLIENT_REQUIRED);
    assert_refused(f, client_context(f), "peer did not return a certificate");
}

static void test_optional_client_certificate_lets_in_who_has_none(void **state)
{
    struct fixture *f = *state;
    struct pair p;
    struct tls_client_certificate client;
    ask_clients(f, TLS_CLIENT_OPTIONAL);
    pair_connect(&p, f, "first.test");
    assert_false(tls_read_client(p.link, &client));
    pair_close(&p);
}

static void test_client_certificate_of_a_stranger_is_refused(void **state)
{
    struct fixture *f = *state;
    ask_clients(f, TLS_CLIENT_OPTIONAL);
    assert_refused(f, identified_client(f, NULL, NULL, 10), "self-signed certificate");
}

static void test_client_certificate_that_has_expired_is_refused(void **state)
{
    struct fixture *f = *state;
    ask_clients(f, TLS_CLIENT_OPTIONAL);
    assert_refused(f, identified_client(f, f->ca, f->ca_key, -1), "certificate has expired");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(test_handshake_and_bytes_both_ways),
        CLAIM(test_handshake_in_version_1_2),
        CLAIM(test_handshake_takes_one_byte_at_a_time),
        CLAIM(test_handshake_that_may_wait_blocks_until_it_is_done),
        CLAIM(test_handshake_that_may_wait_ends_when_the_socket_is_shut_down),
        CLAIM(test_refuses_version_1_1),
        CLAIM(test_refuses_ciphers_without_forward_secrecy),
        CLAIM(test_refuses_ciphers_that_do_not_authenticate),
        CLAIM(test_refuses_renegotiation),
        CLAIM(test_tells_plain_http_from_broken_tls),
        CLAIM(test_client_that_leaves_in_the_handshake_is_gone),
        CLAIM(test_alpn_chooses_http_1_1),
        CLAIM(test_alpn_refuses_who_speaks_only_another_protocol),
        CLAIM(test_sni_chooses_the_certificate_with_the_name),
        CLAIM(test_sni_prefers_the_exact_name_to_a_wildcard),
        CLAIM(test_sni_wildcard_stands_for_one_label),
        CLAIM(test_sni_unknown_or_no_name_gets_the_first),
        CLAIM(test_sni_of_two_certificates_with_a_name_takes_the_first),
        CLAIM(test_client_certificate_is_told),
        CLAIM(test_required_client_certificate_refuses_who_has_none),
        CLAIM(test_optional_client_certificate_lets_in_who_has_none),
        CLAIM(test_client_certificate_of_a_stranger_is_refused),
        CLAIM(test_client_certificate_that_has_expired_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
