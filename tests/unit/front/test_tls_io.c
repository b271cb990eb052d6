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

/* ---- Receiving and sending. */

static void test_receive_without_waiting_wants_to_read(void **state)
{
    struct fixture *f = *state;
    struct pair p;
    char got[10];
    size_t length;
    create(f);
    pair_connect(&p, f, "first.test");
    assert_int_equal(tls_receive(p.link, got, sizeof got, false, &length), TLS_WANT_READ);
    assert_int_equal(length, 0);
    assert_client_says(&p, "hello");
    pair_close(&p);
}

static void test_receive_waits_as_long_as_the_descriptor_lets_it(void **state)
{
    struct fixture *f = *state;
    struct pair p;
    char got[10];
    size_t length;
    struct timeval wait = {0, 1000};
    create(f);
    pair_connect(&p, f, "first.test");
    setsockopt(p.server_fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    assert_int_equal(tls_receive(p.link, got, sizeof got, true, &length), TLS_WANT_READ);
    assert_client_says(&p, "hello");
    pair_close(&p);
}

static void test_what_is_left_of_a_record_is_pending(void **state)
{
    struct fixture *f = *state;
    struct pair p;
    char got[3];
    size_t length;
    create(f);
    pair_connect(&p, f, "first.test");
    SSL_write(p.ssl, "hello", 5);
    assert_int_equal(tls_receive(p.link, got, 3, false, &length), TLS_DONE);
    assert_true(tls_has_pending(p.link));
    assert_int_equal(tls_receive(p.link, got, 3, false, &length), TLS_DONE);
    assert_int_equal(length, 2);
    assert_false(tls_has_pending(p.link));
    pair_close(&p);
}

static void test_a_second_record_that_came_along_is_pending(void **state)
{
    struct fixture *f = *state;
    struct pair p;
    char got[10];
    size_t length;
    create(f);
    pair_connect(&p, f, "first.test");
    SSL_write(p.ssl, "one", 3);
    SSL_write(p.ssl, "two", 3);
    assert_int_equal(tls_receive(p.link, got, sizeof got, false, &length), TLS_DONE);
    assert_memory_equal(got, "one", 3);
    assert_true(tls_has_pending(p.link));
    assert_int_equal(tls_receive(p.link, got, sizeof got, false, &length), TLS_DONE);
    assert_memory_equal(got, "two", 3);
    assert_false(tls_has_pending(p.link));
    pair_close(&p);
}

/* It could wait for ever: a thread must not hold such a connection. */
static void test_half_a_record_is_not_pending_once_it_was_looked_at(void **state)
{
    struct fixture *f = *state;
    struct pair p;
    char got[10];
    size_t length;
    create(f);
    pair_connect(&p, f, "first.test");
    SSL_set_bio(p.ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_write(p.ssl, "hello", 5);
    for (int i = 0; i < 7; i++)
        trickle(SSL_get_wbio(p.ssl), p.client_fd);
    assert_int_equal(tls_receive(p.link, got, sizeof got, false, &length), TLS_WANT_READ);
    assert_false(tls_has_pending(p.link));
    while (trickle(SSL_get_wbio(p.ssl), p.client_fd)) {
    }
    assert_int_equal(tls_receive(p.link, got, sizeof got, false, &length), TLS_DONE);
    assert_int_equal(length, 5);
    pair_close(&p);
}

/* The first request may come in one packet with the end of the handshake. */
static void test_request_right_behind_the_handshake_is_pending(void **state)
{
    struct fixture *f = *state;
    struct pair p;
    char got[10];
    size_t length;
    create(f);
    pair_open(&p, f, client_context(f), "first.test");
    while (SSL_do_handshake(p.ssl) != 1)
        assert_int_equal(tls_handshake(p.link, false), TLS_WANT_READ);
    SSL_write(p.ssl, "hello", 5);
    assert_int_equal(tls_handshake(p.link, false), TLS_DONE);
    assert_true(tls_has_pending(p.link));
    assert_int_equal(tls_receive(p.link, got, sizeof got, false, &length), TLS_DONE);
    assert_memory_equal(got, "hello", 5);
    pair_close(&p);
}

static void test_send_without_waiting_says_how_much_went(void **state)
{
    struct fixture *f = *state;
    struct pair p;
    size_t total = 4 << 20, done = 0, sent, read = 0;
    create(f);
    pair_connect(&p, f, "first.test");
    char *bytes = mem_alloc(total), *got = mem_alloc(total);
    for (size_t i = 0; i < total; i++)
        bytes[i] = (char)(i * 7 / 3);
    bool wanted = false;
    while (read < total) {
        enum tls_result result =
            tls_send(p.link, slice_of(bytes + done, total - done), false, &sent);
        done += sent;
        wanted = wanted || result == TLS_WANT_WRITE;
        assert_int_equal(result, done == total ? TLS_DONE : TLS_WANT_WRITE);
        int n;
        while ((n = SSL_read(p.ssl, got + read, (int)(total - read))) > 0)
            read += (size_t)n;
    }
    assert_true(wanted);
    assert_memory_equal(bytes, got, total);
    free(bytes);
    free(got);
    pair_close(&p);
}

static void *send_blocking(void *arg)
{
    struct pair *p = arg;
    static char bytes[1 << 20];
    size_t sent;
    p->result = tls_send(p->link, slice_of(bytes, sizeof bytes), true, &sent);
    return NULL;
}

static void test_send_that_may_wait_blocks_until_all_is_sent(void **state)
{
    struct fixture *f = *state;
    struct pair p;
    pthread_t thread;
    char got[65536];
    create(f);
    pair_connect(&p, f, "first.test");
    fcntl(p.client_fd, F_SETFL, 0);
    assert_int_equal(pthread_create(&thread, NULL, send_blocking, &p), 0);
    for (int left = 1 << 20, n; left > 0; left -= n)
        assert_true((n = SSL_read(p.ssl, got, sizeof got)) > 0);
    pthread_join(thread, NULL);
    assert_int_equal(p.result, TLS_DONE);
    pair_close(&p);
}

static void test_send_to_who_is_gone_fails_without_a_signal(void **state)
{
    struct fixture *f = *state;
    struct pair p;
    size_t sent;
    create(f);
    pair_connect(&p, f, "first.test");
    shutdown(p.client_fd, SHUT_RDWR);
    assert_int_equal(tls_send(p.link, slice_str("hello"), false, &sent), TLS_GONE);
    pair_close(&p);
}

static void test_key_updates_for_ever_are_cut(void **state)
{
    struct fixture *f = *state;
    struct pair p;
    char got[10];
    size_t length;
    create(f);
    pair_connect(&p, f, "first.test");
    enum tls_result result = TLS_WANT_READ;
    for (int i = 0; i < 40 && result == TLS_WANT_READ; i++) {
        SSL_key_update(p.ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
        SSL_do_handshake(p.ssl);
        result = tls_receive(p.link, got, sizeof got, false, &length);
    }
    assert_int_equal(result, TLS_FAILED);
    assert_string_equal(tls_reason(p.link), "too many messages without data");
    pair_close(&p);
}

static void test_a_key_update_goes_unnoticed(void **state)
{
    struct fixture *f = *state;
    struct pair p;
    create(f);
    pair_connect(&p, f, "first.test");
    SSL_key_update(p.ssl, SSL_KEY_UPDATE_REQUESTED);
    assert_client_says(&p, "hello");
    assert_server_says(&p, "hello");
    pair_close(&p);
}

/* ---- The end. */

static void test_close_notify_is_an_end(void **state)
{
    struct fixture *f = *state;
    struct pair p;
    char got[10];
    size_t length;
    create(f);
    pair_connect(&p, f, "first.test");
    SSL_write(p.ssl, "hello", 5);
    SSL_shutdown(p.ssl);
    assert_int_equal(tls_receive(p.link, got, sizeof got, false, &length), TLS_DONE);
    assert_int_equal(tls_receive(p.link, got, sizeof got, false, &length), TLS_ENDED);
    pair_close(&p);
}

static void test_end_without_close_notify_is_no_end(void **state)
{
    struct fixture *f = *state;
    struct pair p;
    char got[10];
    size_t length;
    create(f);
    pair_connect(&p, f, "first.test");
    shutdown(p.client_fd, SHUT_WR);
    assert_int_equal(tls_receive(p.link, got, sizeof got, false, &length), TLS_GONE);
    pair_close(&p);
}

/* A deadline ends the receiving side; the answer that says so still goes out. */
static void test_after_the_receiving_side_is_shut_down_one_can_send(void **state)
{
    struct fixture *f = *state;
    struct pair p;
    char got[10];
    size_t length;
    create(f);
    pair_connect(&p, f, "first.test");
    shutdown(p.server_fd, SHUT_RD);
    assert_int_equal(tls_receive(p.link, got, sizeof got, true, &length), TLS_GONE);
    assert_server_says(&p, "HTTP/1.1 408");
    pair_close(&p);
}

static void test_close_says_close_notify(void **state)
{
    struct fixture *f = *state;
    struct pair p;
    char got[10];
    create(f);
    pair_connect(&p, f, "first.test");
    tls_close(&p.link, true);
    assert_null(p.link);
    int n = SSL_read(p.ssl, got, sizeof got);
    assert_int_equal(SSL_get_error(p.ssl, n), SSL_ERROR_ZERO_RETURN);
    pair_close(&p);
}

static void test_close_in_the_handshake_says_nothing(void **state)
{
    struct fixture *f = *state;
    struct pair p;
    char got[10];
    create(f);
    pair_open(&p, f, client_context(f), NULL);
    assert_int_equal(tls_handshake(p.link, false), TLS_WANT_READ);
    tls_close(&p.link, true);
    assert_int_equal(recv(p.client_fd, got, sizeof got, MSG_DONTWAIT), -1);
    pair_close(&p);
}

static void test_connections_outlive_the_listener(void **state)
{
    struct fixture *f = *state;
    struct pair p;
    create(f);
    pair_connect(&p, f, "first.test");
    tls_destroy(&f->tls);
    assert_client_says(&p, "hello");
    pair_close(&p);
}

static void test_counts_bytes_on_the_wire(void **state)
{
    struct fixture *f = *state;
    struct pair p;
    uint64_t received, sent, later;
    create(f);
    pair_connect(&p, f, "first.test");
    tls_read_bytes(p.link, &received, &sent);
    assert_true(received > 300 && sent > 600);
    assert_client_says(&p, "hello");
    tls_read_bytes(p.link, &later, &sent);
    assert_int_equal(later - received, 5 + 5 + 1 + 16); /* header, text, type, tag */
    pair_close(&p);
}

static void test_hsts_line_is_the_listeners(void **state)
{
    struct fixture *f = *state;
    struct pair p;
    create(f);
    pair_connect(&p, f, "first.test");
    assert_string_equal(tls_hsts_line(p.link), "");
    pair_close(&p);
    f->options.hsts_s = 86400;
    assert_int_equal(tls_reload(f->tls, &f->options, f->why, sizeof f->why), ERR_OK);
    pair_connect(&p, f, "first.test");
    assert_string_equal(tls_hsts_line(p.link), "Strict-Transport-Security: max-age=86400\r\n");
    pair_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(test_receive_without_waiting_wants_to_read),
        CLAIM(test_receive_waits_as_long_as_the_descriptor_lets_it),
        CLAIM(test_what_is_left_of_a_record_is_pending),
        CLAIM(test_a_second_record_that_came_along_is_pending),
        CLAIM(test_half_a_record_is_not_pending_once_it_was_looked_at),
        CLAIM(test_request_right_behind_the_handshake_is_pending),
        CLAIM(test_send_without_waiting_says_how_much_went),
        CLAIM(test_send_that_may_wait_blocks_until_all_is_sent),
        CLAIM(test_send_to_who_is_gone_fails_without_a_signal),
        CLAIM(test_key_updates_for_ever_are_cut),
        CLAIM(test_a_key_update_goes_unnoticed),
        CLAIM(test_close_notify_is_an_end),
        CLAIM(test_end_without_close_notify_is_no_end),
        CLAIM(test_after_the_receiving_side_is_shut_down_one_can_send),
        CLAIM(test_close_says_close_notify),
        CLAIM(test_close_in_the_handshake_says_nothing),
        CLAIM(test_connections_outlive_the_listener),
        CLAIM(test_counts_bytes_on_the_wire),
        CLAIM(test_hsts_line_is_the_listeners),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
