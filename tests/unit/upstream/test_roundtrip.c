#include "server/upstream/roundtrip.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A channel whose other end is the test's. */
struct fixture {
    struct channel *channel;
    int server;
    struct roundtrip trip;
    struct buf body;
};

static void open_channel(struct fixture *f)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    f->channel = mem_zalloc(sizeof *f->channel);
    f->channel->fd = ends[0];
    f->channel->connected = true;
    f->server = ends[1];
}

static void close_channel(struct fixture *f)
{
    channel_close(&f->channel);
    if (f->server >= 0)
        close(f->server);
}

static int begin(void **state)
{
    struct fixture *f = *state = mem_zalloc(sizeof *f);
    open_channel(f);
    return 0;
}

static int end(void **state)
{
    struct fixture *f = *state;
    close_channel(f);
    buf_release(&f->body);
    free(f);
    return 0;
}

static void say(struct fixture *f, const char *bytes, size_t len)
{
    assert_int_equal(write(f->server, bytes, len), len);
}

static void ask(struct fixture *f, enum method method)
{
    char request[64];
    buf_clear(&f->channel->out);
    buf_append_str(&f->channel->out, "GET / HTTP/1.1\r\n\r\n");
    roundtrip_begin(&f->trip, f->channel, method, false);
    assert_int_equal(roundtrip_step(&f->trip), STEP_WANTS_READ);
    assert_int_equal(read(f->server, request, sizeof request), f->channel->out.len);
    buf_clear(&f->body);
}

/* The answer in pieces of at most so many bytes; the last step's word. */
static enum step answer(struct fixture *f, const char *text, size_t piece, bool ends)
{
    enum step step = STEP_WANTS_READ;
    bool head = false;
    for (size_t left = strlen(text); left > 0 || ends;) {
        size_t len = left < piece ? left : piece;
        say(f, text, len);
        text += len;
        left -= len;
        if (left == 0 && ends) {
            close(f->server);
            f->server = -1;
            ends = false;
        }
        if (!head)
            step = roundtrip_step(&f->trip);
        head = head || step == STEP_DONE;
        if (head)
            step = roundtrip_read(&f->trip, &f->body, 1000);
        if (step == STEP_FAILED)
            break;
    }
    return step;
}

static const struct {
    const char *text;
    enum method asked;
    bool ends; /* with its connection */
    enum step step;
    const char *body;
    bool clean; /* and the connection may be used again */
} answers[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", METHOD_GET, false, STEP_DONE, "hello",
     true},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", METHOD_HEAD, false, STEP_DONE, "", true},
    {"HTTP/1.1 304 \r\nContent-Length: 5\r\n\r\n", METHOD_GET, false, STEP_DONE, "", true},
    {"HTTP/1.1 204 No Content\r\n\r\n", METHOD_GET, false, STEP_DONE, "", true},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
     METHOD_GET, false, STEP_DONE, "hello", true},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n",
     METHOD_GET, false, STEP_DONE, "hello", true},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 \r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\n"
     "Content-Length: 2\r\n\r\nok",
     METHOD_GET, false, STEP_DONE, "ok", true},
    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", METHOD_GET, false,
     STEP_DONE, "ok", false},
    {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", METHOD_GET, false, STEP_DONE, "ok", false},
    {"HTTP/1.1 200 OK\r\n\r\nuntil it closes", METHOD_GET, true, STEP_DONE, "until it closes",
     false},
    {"HTTP/1.1 200 OK\r\n\r\nand not yet", METHOD_GET, false, STEP_WANTS_READ, "and not yet",
     false},
    {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", METHOD_GET, true, STEP_FAILED, "short",
     false},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", METHOD_GET, true,
     STEP_FAILED, "hello", false},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello!\r\n", METHOD_GET, false,
     STEP_FAILED, "hello", false},
    {"HTTP/1.1 101 Switching Protocols\r\n\r\n", METHOD_GET, false, STEP_FAILED, "", false},
    {"HTTP/1.1 200 OK\nContent-Length: 0\n\n", METHOD_GET, false, STEP_FAILED, "", false},
};

static void test_answers_are_the_same_in_whatever_pieces_they_come(void **state)
{
    struct fixture *f = *state;
    static const size_t pieces[] = {1, 2, 3, 7, 64, 4096};
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        for (size_t j = 0; j < sizeof pieces / sizeof *pieces; j++) {
            close_channel(f);
            open_channel(f);
            ask(f, answers[i].asked);
            enum step step = answer(f, answers[i].text, pieces[j], answers[i].ends);
            assert_int_equal(step, answers[i].step);
            assert_int_equal(f->body.len, strlen(answers[i].body));
            if (f->body.len > 0)
                assert_memory_equal(f->body.data, answers[i].body, f->body.len);
            assert_int_equal(roundtrip_is_clean(&f->trip), answers[i].clean);
        }
    }
}

static void test_bytes_behind_an_answer_spoil_the_connection(void **state)
{
    struct fixture *f = *state;
    ask(f, METHOD_GET);
    static const char two[] = "HTTP/1.1 204 \r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    say(f, two, sizeof two - 1);
    assert_int_equal(roundtrip_step(&f->trip), STEP_DONE);
    assert_int_equal(roundtrip_read(&f->trip, &f->body, 100), STEP_DONE);
    assert_false(roundtrip_is_clean(&f->trip));
    close_channel(f);
    open_channel(f);
    ask(f, METHOD_GET);
    say(f, two, 17);
    assert_int_equal(roundtrip_step(&f->trip), STEP_DONE);
    assert_int_equal(roundtrip_read(&f->trip, &f->body, 100), STEP_DONE);
    assert_true(roundtrip_is_clean(&f->trip));
    assert_true(channel_is_clean(f->channel));
    say(f, two + 17, 5);
    assert_false(channel_is_clean(f->channel));
}

static void test_interim_answers_are_bounded(void **state)
{
    struct fixture *f = *state;
    static const char interim[] = "HTTP/1.1 100 Continue\r\n\r\n";
    ask(f, METHOD_GET);
    for (unsigned i = 0; i < INTERIM_MAX; i++) {
        say(f, interim, sizeof interim - 1);
        assert_int_equal(roundtrip_step(&f->trip), STEP_WANTS_READ);
    }
    say(f, interim, sizeof interim - 1);
    assert_int_equal(roundtrip_step(&f->trip), STEP_FAILED);
    assert_true(f->trip.malformed);
}

/* More than the socket takes, to a server that reads nothing and answers. */
static void test_an_answer_may_come_before_the_request_is_sent(void **state)
{
    struct fixture *f = *state;
    static char bytes[4 << 20];
    buf_clear(&f->channel->out);
    buf_append(&f->channel->out, bytes, sizeof bytes);
    roundtrip_begin(&f->trip, f->channel, METHOD_PUT, true);
    assert_int_equal(roundtrip_step(&f->trip), STEP_WANTS_WRITE);
    static const char refusal[] = "HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n";
    say(f, refusal, sizeof refusal - 1);
    assert_int_equal(roundtrip_step(&f->trip), STEP_DONE);
    assert_int_equal(f->trip.head.status, 413);
    assert_int_equal(roundtrip_read(&f->trip, &f->body, 100), STEP_DONE);
    assert_false(roundtrip_is_clean(&f->trip));
}

/* What it takes of a large body at once is bounded by who asks. */
static void test_a_body_is_read_in_pieces_of_the_size_that_is_asked_for(void **state)
{
    struct fixture *f = *state;
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n";
    static char bytes[100000];
    ask(f, METHOD_GET);
    say(f, head, sizeof head - 1);
    assert_int_equal(roundtrip_step(&f->trip), STEP_DONE);
    assert_int_equal(roundtrip_read(&f->trip, &f->body, 1000), STEP_WANTS_READ);
    assert_int_equal(f->body.len, 0);
    say(f, bytes, sizeof bytes);
    size_t whole = 0;
    enum step step = STEP_WANTS_READ;
    while (step == STEP_WANTS_READ) {
        buf_clear(&f->body);
        step = roundtrip_read(&f->trip, &f->body, 30000);
        assert_in_range(f->body.len, 1, 30000);
        whole += f->body.len;
    }
    assert_int_equal(step, STEP_DONE);
    assert_int_equal(whole, sizeof bytes);
    assert_true(roundtrip_is_clean(&f->trip));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answers_are_the_same_in_whatever_pieces_they_come,
                                        begin, end),
        cmocka_unit_test_setup_teardown(test_bytes_behind_an_answer_spoil_the_connection, begin,
                                        end),
        cmocka_unit_test_setup_teardown(test_interim_answers_are_bounded, begin, end),
        cmocka_unit_test_setup_teardown(test_an_answer_may_come_before_the_request_is_sent, begin,
                                        end),
        cmocka_unit_test_setup_teardown(test_a_body_is_read_in_pieces_of_the_size_that_is_asked_for,
                                        begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
