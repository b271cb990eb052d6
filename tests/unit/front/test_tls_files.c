#include "tests/unit/front/tls_fixture.h"

#include "base/log.h"

#include <pthread.h>
#include <sys/stat.h>

#define SECOND_NS INT64_C(1000000000)

static int setup(void **state)
{
    struct fixture *f = fixture_create();
    add_pair(f, "first", "DNS:first.test,DNS:*.first.test,IP:127.0.0.1", 90);
    log_open(&(struct log_options){.path = "/dev/null", .level = LOG_OFF});
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    log_close();
    fixture_destroy(*state);
    return 0;
}

static struct tls_status status_of(struct fixture *f)
{
    struct tls_status status;
    tls_read_status(f->tls, &status);
    return status;
}

static void assert_name_gets(struct fixture *f, const char *name, const char *common_name)
{
    struct pair p;
    pair_connect(&p, f, name);
    assert_shown(&p, common_name);
    pair_close(&p);
}

/* ---- What is wrong with a file. */

/* Expects that creating fails with "FILE: what". */
static void assert_not_created(struct fixture *f, const char *file, const char *what)
{
    char expected[300];
    snprintf(expected, sizeof expected, "%s/%s: %s", f->dir, file, what);
    assert_int_not_equal(tls_create(&f->options, &f->tls, f->why, sizeof f->why), ERR_OK);
    assert_null(f->tls);
    assert_string_equal(f->why, expected);
}

static void test_a_missing_file_is_named(void **state)
{
    struct fixture *f = *state;
    unlink(f->pairs[0].cert);
    assert_not_created(f, "first.crt", "No such file or directory");
    write_pair(f, "first", "DNS:first.test", 90);
    unlink(f->pairs[0].key);
    assert_not_created(f, "first.key", "No such file or directory");
}

static void test_what_is_no_file_is_refused(void **state)
{
    struct fixture *f = *state;
    unlink(f->pairs[0].key);
    assert_int_equal(mkfifo(f->pairs[0].key, 0600), 0);
    assert_not_created(f, "first.key", "is not a file");
}

static void test_a_file_without_a_certificate_is_refused(void **state)
{
    struct fixture *f = *state;
    write_file(f, "first.crt", "hello\n");
    assert_not_created(f, "first.crt",
                       "holds no certificate (\"-----BEGIN CERTIFICATE-----\" is missing)");
}

static void test_a_file_without_a_key_is_refused(void **state)
{
    struct fixture *f = *state;
    write_file(f, "first.key", "hello\n");
    assert_not_created(f, "first.key", "holds no private key that can be read");
}

static void test_a_key_of_another_certificate_is_refused(void **state)
{
    struct fixture *f = *state;
    char what[200];
    EVP_PKEY *key = make_key();
    write_key(f, "first.key", key);
    EVP_PKEY_free(key);
    snprintf(what, sizeof what, "is not the key of %s/first.crt", f->dir);
    assert_not_created(f, "first.key", what);
}

static void test_a_key_with_a_password_is_refused_without_asking(void **state)
{
    struct fixture *f = *state;
    FILE *file = fopen(f->pairs[0].key, "w");
    EVP_PKEY *key = make_key();
    PEM_write_PrivateKey(file, key, EVP_aes_128_cbc(), (const unsigned char *)"abcd", 4, NULL,
                         NULL);
    fclose(file);
    EVP_PKEY_free(key);
    assert_not_created(f, "first.key", "needs a password; a server's key must be without one");
}

static void test_a_weak_key_is_refused(void **state)
{
    struct fixture *f = *state;
    EVP_PKEY *key = EVP_RSA_gen(1024);
    X509 *certificate = make_certificate(key, "first", "DNS:first.test", f->ca, f->ca_key, 90);
    write_certificate(f, "first.crt", certificate);
    write_key(f, "first.key", key);
    X509_free(certificate);
    EVP_PKEY_free(key);
    assert_not_created(f, "first.crt", "ee key too small");
}

static void test_a_missing_client_ca_is_named(void **state)
{
    struct fixture *f = *state;
    f->options.client = TLS_CLIENT_OPTIONAL;
    f->options.client_ca = path_of(f, "nobody.crt");
    assert_not_created(f, "nobody.crt", "No such file or directory");
}

/* ---- What is told of a certificate. */

static void assert_warning(struct fixture *f, const char *file, const char *what)
{
    char expected[300];
    snprintf(expected, sizeof expected, "%s/%s: %s", f->dir, file, what);
    create(f);
    assert_string_equal(f->why, expected);
}

static void test_an_expired_certificate_is_a_warning(void **state)
{
    struct fixture *f = *state;
    write_pair(f, "first", "DNS:first.test", -1);
    assert_warning(f, "first.crt", "the certificate has expired");
}

static void test_a_key_that_everybody_may_read_is_a_warning(void **state)
{
    struct fixture *f = *state;
    chmod(f->pairs[0].key, 0644);
    assert_warning(f, "first.key", "every user of this machine may read the key");
}

static void test_a_good_certificate_is_no_warning(void **state)
{
    struct fixture *f = *state;
    create(f);
    assert_string_equal(f->why, "");
}

static void test_status_names_certificates_and_their_end(void **state)
{
    struct fixture *f = *state;
    struct tls_certificate_status certificate;
    add_pair(f, "second", "DNS:second.test", 30);
    create(f);
    assert_int_equal(status_of(f).certificates, 2);
    assert_int_equal(status_of(f).loaded_wall_ms, NOW_MS);
    assert_true(tls_read_certificate(f->tls, 0, &certificate));
    assert_string_equal(certificate.name, "first.test");
    assert_string_equal(certificate.names, "first.test, *.first.test, 127.0.0.1");
    assert_string_equal(certificate.path, f->pairs[0].cert);
    assert_in_range(certificate.not_after_s - time(NULL), 90 * DAY_S - 60, 90 * DAY_S);
    assert_true(tls_read_certificate(f->tls, 1, &certificate));
    assert_string_equal(certificate.name, "second.test");
    assert_false(tls_read_certificate(f->tls, 2, &certificate));
}

/* A browser would read no more than the part before the NUL. */
static void test_a_name_with_a_nul_in_it_is_nobodys(void **state)
{
    struct fixture *f = *state;
    struct tls_certificate_status certificate;
    EVP_PKEY *key = make_key();
    X509 *made = make_certificate(key, "first", "DNS:bank.test#.evil.test", f->ca, f->ca_key, 90);
    GENERAL_NAMES *names = X509_get_ext_d2i(made, NID_subject_alt_name, NULL, NULL);
    ASN1_STRING_set(sk_GENERAL_NAME_value(names, 0)->d.dNSName, "bank.test\0.evil.test", 20);
    X509_add1_ext_i2d(made, NID_subject_alt_name, names, 0, X509V3_ADD_REPLACE);
    X509_sign(made, f->ca_key, EVP_sha256());
    write_certificate(f, "first.crt", made);
    write_key(f, "first.key", key);
    create(f);
    assert_true(tls_read_certificate(f->tls, 0, &certificate));
    assert_string_equal(certificate.names, "");
    GENERAL_NAMES_free(names);
    X509_free(made);
    EVP_PKEY_free(key);
}

/* ---- Reload. */

static void test_reload_shows_the_new_certificate(void **state)
{
    struct fixture *f = *state;
    create(f);
    write_pair(f, "new", "DNS:first.test", 90);
    struct tls_pair new = pair_of(f, "new");
    assert_int_equal(rename(new.cert, f->pairs[0].cert), 0);
    assert_int_equal(rename(new.key, f->pairs[0].key), 0);
    assert_true(tls_files_changed(f->tls));
    assert_int_equal(tls_reload(f->tls, NULL, f->why, sizeof f->why), ERR_OK);
    assert_false(tls_files_changed(f->tls));
    assert_name_gets(f, "first.test", "new");
    assert_int_equal(status_of(f).reloads, 1);
    free((char *)new.cert);
    free((char *)new.key);
}

static void test_reload_leaves_connections_alone(void **state)
{
    struct fixture *f = *state;
    struct pair before, during;
    create(f);
    pair_connect(&before, f, "first.test");
    pair_open(&during, f, client_context(f), "first.test");
    SSL_do_handshake(during.ssl);
    assert_int_equal(tls_handshake(during.link, false), TLS_WANT_READ);
    write_pair(f, "first", "DNS:first.test", 90);
    assert_int_equal(tls_reload(f->tls, NULL, f->why, sizeof f->why), ERR_OK);
    assert_true(pair_shake(&during));
    assert_client_says(&before, "hello");
    assert_client_says(&during, "hello");
    pair_close(&before);
    pair_close(&during);
}

static void test_reload_of_a_broken_file_keeps_the_old(void **state)
{
    struct fixture *f = *state;
    create(f);
    write_file(f, "first.crt", "hello\n");
    assert_int_not_equal(tls_reload(f->tls, NULL, f->why, sizeof f->why), ERR_OK);
    assert_name_gets(f, "first.test", "first");
    struct tls_status status = status_of(f);
    assert_int_equal(status.reloads, 0);
    assert_int_equal(status.reload_failures, 1);
    assert_string_equal(status.last_error, f->why);
    write_pair(f, "first", "DNS:first.test", 90);
    assert_int_equal(tls_reload(f->tls, NULL, f->why, sizeof f->why), ERR_OK);
    assert_string_equal(status_of(f).last_error, "");
}

static void test_reload_with_other_files_uses_those_from_then_on(void **state)
{
    struct fixture *f = *state;
    create(f);
    add_pair(f, "second", "DNS:second.test", 90);
    assert_int_equal(tls_reload(f->tls, &f->options, f->why, sizeof f->why), ERR_OK);
    assert_name_gets(f, "second.test", "second");
    write_pair(f, "second", "DNS:third.test", 90);
    assert_true(tls_files_changed(f->tls));
}

static void test_reload_with_broken_other_files_goes_back_to_the_old(void **state)
{
    struct fixture *f = *state;
    create(f);
    add_pair(f, "second", "DNS:second.test", 90);
    unlink(f->pairs[1].key);
    assert_int_not_equal(tls_reload(f->tls, &f->options, f->why, sizeof f->why), ERR_OK);
    assert_false(tls_files_changed(f->tls));
    assert_name_gets(f, "second.test", "first");
    assert_int_equal(tls_reload(f->tls, NULL, f->why, sizeof f->why), ERR_OK);
}

static void test_check_changes_nothing(void **state)
{
    struct fixture *f = *state;
    create(f);
    add_pair(f, "second", "DNS:second.test", 90);
    assert_int_equal(tls_check(&f->options, f->why, sizeof f->why), ERR_OK);
    unlink(f->pairs[1].key);
    assert_int_not_equal(tls_check(&f->options, f->why, sizeof f->why), ERR_OK);
    assert_name_gets(f, "second.test", "first");
    assert_int_equal(status_of(f).reload_failures, 0);
}

#define CLIENTS 3
#define VISITS  20

static void *visit(void *arg)
{
    for (int i = 0; i < VISITS; i++)
        assert_name_gets(arg, i % 2 ? "first.test" : "second.test", i % 2 ? "first" : "second");
    return NULL;
}

/* For the thread sanitizer. */
static void test_reload_while_clients_connect(void **state)
{
    struct fixture *f = *state;
    struct tls_certificate_status certificate;
    pthread_t threads[CLIENTS];
    add_pair(f, "second", "DNS:second.test", 90);
    create(f);
    for (int i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, visit, f), 0);
    for (int i = 0; i < VISITS; i++) {
        assert_int_equal(tls_reload(f->tls, NULL, f->why, sizeof f->why), ERR_OK);
        clock_fake_advance(&f->time, INT64_C(13) * 3600 * 1000);
        tls_watch(f->tls, 0);
        assert_true(tls_read_certificate(f->tls, 0, &certificate));
    }
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(status_of(f).handshakes, CLIENTS * VISITS);
}

/* ---- The watch. */

static void test_watch_does_nothing_while_nothing_changes(void **state)
{
    struct fixture *f = *state;
    create(f);
    assert_false(tls_watch(f->tls, 0));
    assert_int_equal(status_of(f).reloads, 0);
}

static void test_watch_reloads_once_key_and_certificate_fit(void **state)
{
    struct fixture *f = *state;
    create(f);
    write_pair(f, "new", "DNS:first.test", 90);
    struct tls_pair new = pair_of(f, "new");
    assert_int_equal(rename(new.cert, f->pairs[0].cert), 0);
    assert_false(tls_watch(f->tls, 1 * SECOND_NS));
    assert_false(tls_watch(f->tls, 5 * SECOND_NS));
    assert_name_gets(f, "first.test", "first");
    assert_int_equal(rename(new.key, f->pairs[0].key), 0);
    assert_true(tls_watch(f->tls, 10 * SECOND_NS));
    assert_false(tls_watch(f->tls, 11 * SECOND_NS));
    assert_name_gets(f, "first.test", "new");
    assert_int_equal(status_of(f).reload_failures, 0);
    free((char *)new.cert);
    free((char *)new.key);
}

static void test_watch_gives_up_once_on_files_that_stay_broken(void **state)
{
    struct fixture *f = *state;
    create(f);
    write_file(f, "first.crt", "hello\n");
    assert_false(tls_watch(f->tls, 1 * SECOND_NS));
    assert_int_equal(status_of(f).reload_failures, 0);
    assert_false(tls_watch(f->tls, 7 * SECOND_NS));
    assert_false(tls_watch(f->tls, 30 * SECOND_NS));
    assert_int_equal(status_of(f).reload_failures, 1);
    assert_name_gets(f, "first.test", "first");
    write_pair(f, "first", "DNS:first.test", 90);
    assert_true(tls_watch(f->tls, 31 * SECOND_NS));
}

static void test_watch_gives_up_on_a_file_that_stays_away(void **state)
{
    struct fixture *f = *state;
    create(f);
    unlink(f->pairs[0].key);
    assert_false(tls_watch(f->tls, 1 * SECOND_NS));
    assert_false(tls_watch(f->tls, 7 * SECOND_NS));
    assert_int_equal(status_of(f).reload_failures, 1);
    assert_name_gets(f, "first.test", "first");
}

/* ---- Session tickets. */

/* Connects with `session`, if it is given, and takes the one that follows. */
static SSL_SESSION *connect_with(struct fixture *f, SSL_SESSION *session, const char *name,
                                 int version, bool *resumed)
{
    struct pair p;
    char byte;
    SSL_CTX *ctx = client_context(f);
    SSL_CTX_set_max_proto_version(ctx, version);
    pair_open(&p, f, ctx, name);
    if (session)
        SSL_set_session(p.ssl, session);
    assert_true(pair_shake(&p));
    SSL_read(p.ssl, &byte, 1); /* takes the tickets in */
    *resumed = SSL_session_reused(p.ssl) == 1;
    SSL_SESSION *next = SSL_get1_session(p.ssl);
    SSL_shutdown(p.ssl);
    pair_close(&p);
    return next;
}

/* Whether a session taken before `between` happened resumes after it. */
static bool resumes_after(struct fixture *f, void (*between)(struct fixture *), const char *name,
                          int version)
{
    bool resumed;
    SSL_SESSION *session = connect_with(f, NULL, "first.test", version, &resumed);
    assert_false(resumed);
    between(f);
    SSL_SESSION *next = connect_with(f, session, name, version, &resumed);
    SSL_SESSION_free(session);
    SSL_SESSION_free(next);
    return resumed;
}

static void nothing(struct fixture *f)
{
    (void)f;
}

static void reload(struct fixture *f)
{
    write_pair(f, "first", "DNS:first.test", 90);
    assert_int_equal(tls_reload(f->tls, NULL, f->why, sizeof f->why), ERR_OK);
}

static void wait_a_day(struct fixture *f)
{
    clock_fake_advance(&f->time, INT64_C(23) * 3600 * 1000);
}

static void wait_two_days(struct fixture *f)
{
    clock_fake_advance(&f->time, INT64_C(48) * 3600 * 1000);
}

static void test_tickets_resume(void **state)
{
    struct fixture *f = *state;
    create(f);
    assert_true(resumes_after(f, nothing, "first.test", TLS1_3_VERSION));
    assert_true(resumes_after(f, nothing, "first.test", TLS1_2_VERSION));
    assert_int_equal(status_of(f).handshakes, 4);
    assert_int_equal(status_of(f).resumed, 2);
}

static void test_tickets_resume_after_a_reload(void **state)
{
    struct fixture *f = *state;
    create(f);
    assert_true(resumes_after(f, reload, "first.test", TLS1_3_VERSION));
    assert_true(resumes_after(f, reload, "first.test", TLS1_2_VERSION));
}

static void test_tickets_resume_with_another_certificate_of_the_listener(void **state)
{
    struct fixture *f = *state;
    add_pair(f, "second", "DNS:second.test", 90);
    create(f);
    assert_true(resumes_after(f, nothing, "second.test", TLS1_3_VERSION));
}

static void test_tickets_resume_for_a_day_and_no_longer(void **state)
{
    struct fixture *f = *state;
    create(f);
    assert_true(resumes_after(f, wait_a_day, "first.test", TLS1_3_VERSION));
    assert_false(resumes_after(f, wait_two_days, "first.test", TLS1_3_VERSION));
}

static void test_tickets_of_another_listener_lead_to_a_full_handshake(void **state)
{
    struct fixture *f = *state;
    bool resumed;
    create(f);
    SSL_SESSION *session = connect_with(f, NULL, "first.test", TLS1_3_VERSION, &resumed);
    tls_destroy(&f->tls);
    create(f);
    SSL_SESSION *next = connect_with(f, session, "first.test", TLS1_3_VERSION, &resumed);
    assert_false(resumed);
    SSL_SESSION_free(session);
    SSL_SESSION_free(next);
}

static void test_clients_with_certificates_get_no_tickets(void **state)
{
    struct fixture *f = *state;
    f->options.client = TLS_CLIENT_OPTIONAL;
    f->options.client_ca = path_of(f, "ca.crt");
    create(f);
    assert_false(resumes_after(f, nothing, "first.test", TLS1_3_VERSION));
    assert_false(resumes_after(f, nothing, "first.test", TLS1_2_VERSION));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(test_a_missing_file_is_named),
        CLAIM(test_what_is_no_file_is_refused),
        CLAIM(test_a_file_without_a_certificate_is_refused),
        CLAIM(test_a_file_without_a_key_is_refused),
        CLAIM(test_a_key_of_another_certificate_is_refused),
        CLAIM(test_a_key_with_a_password_is_refused_without_asking),
        CLAIM(test_a_weak_key_is_refused),
        CLAIM(test_a_missing_client_ca_is_named),
        CLAIM(test_an_expired_certificate_is_a_warning),
        CLAIM(test_a_key_that_everybody_may_read_is_a_warning),
        CLAIM(test_a_good_certificate_is_no_warning),
        CLAIM(test_status_names_certificates_and_their_end),
        CLAIM(test_a_name_with_a_nul_in_it_is_nobodys),
        CLAIM(test_reload_shows_the_new_certificate),
        CLAIM(test_reload_leaves_connections_alone),
        CLAIM(test_reload_of_a_broken_file_keeps_the_old),
        CLAIM(test_reload_with_other_files_uses_those_from_then_on),
        CLAIM(test_reload_with_broken_other_files_goes_back_to_the_old),
        CLAIM(test_check_changes_nothing),
        CLAIM(test_reload_while_clients_connect),
        CLAIM(test_watch_does_nothing_while_nothing_changes),
        CLAIM(test_watch_reloads_once_key_and_certificate_fit),
        CLAIM(test_watch_gives_up_once_on_files_that_stay_broken),
        CLAIM(test_watch_gives_up_on_a_file_that_stays_away),
        CLAIM(test_tickets_resume),
        CLAIM(test_tickets_resume_after_a_reload),
        CLAIM(test_tickets_resume_with_another_certificate_of_the_listener),
        CLAIM(test_tickets_resume_for_a_day_and_no_longer),
        CLAIM(test_tickets_of_another_listener_lead_to_a_full_handshake),
        CLAIM(test_clients_with_certificates_get_no_tickets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
