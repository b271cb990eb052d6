#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "server/front/front_private.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define SECOND_NS     INT64_C(1000000000)
#define HEAD_LIMIT_NS (1 * SECOND_NS)
#define BODY_LIMIT_NS (2 * SECOND_NS)

/* A table without workers: the tests take their part. One connection an address. */
struct fixture {
    struct clock_fake time;
    struct front front;
    int client_fds[8];
    unsigned clients;
};

static void count_refused(const struct request *request, const struct response *response, void *arg)
{
    (void)request;
    (void)response;
    (void)arg;
}

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);

    clock_fake_init(&f->time, 0);
    f->front.options = (struct front_options){
        .workers = 16,
        .connections_per_address = 1,
        .head_timeout_ms = HEAD_LIMIT_NS / 1000000,
        .body_timeout_ms = BODY_LIMIT_NS / 1000000,
        .clock = &f->time.clock,
        .refused = count_refused,
    };
    f->front.capacity = 8;
    f->front.connections = mem_zalloc(f->front.capacity * sizeof *f->front.connections);
    lock_init(&f->front.lock, LOCK_RANK_FRONT);
    lock_cond_init(&f->front.empty);
    lock_cond_init(&f->front.left);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    for (unsigned i = 0; i < f->clients; i++)
        close(f->client_fds[i]);
    for (unsigned i = 0; i < f->front.touched; i++)
        close(f->front.connections[i].fd);
    buf_release(&f->front.turned_away.out);
    buf_release(&f->front.turned_away.response.headers);
    buf_release(&f->front.turned_away.response.body);
    lock_cond_release(&f->front.left);
    lock_cond_release(&f->front.empty);
    lock_release(&f->front.lock);
    free(f->front.connections);
    free(f);
    return 0;
}

/* NULL if it has been turned away. */
static struct connection *connect_client(struct fixture *f)
{
    struct sockaddr_in peer = {.sin_family = AF_INET};
    struct connection *c;
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    f->client_fds[f->clients++] = fds[1];
    c = table_admit(&f->front, fds[0], (struct sockaddr *)&peer);
    if (c == NULL)
        close(fds[0]);
    return c;
}

static struct connection *connect_later(struct fixture *f)
{
    clock_fake_advance(&f->time, 1000);
    return connect_client(f);
}

static bool can_receive(const struct connection *c)
{
    char byte;

    return recv(c->fd, &byte, 1, MSG_DONTWAIT) != 0;
}

static bool can_send(const struct connection *c)
{
    return send(c->fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1;
}

static void test_sweep_ends_an_overdue_wait_but_lets_an_answer_out(void **state)
{
    struct fixture *f = *state;
    struct connection *c = connect_client(f);

    connection_enter(c, PHASE_HEAD, 0);
    table_sweep(&f->front, HEAD_LIMIT_NS);
    assert_true(can_receive(c));
    table_sweep(&f->front, HEAD_LIMIT_NS + SECOND_NS);
    assert_false(can_receive(c));
    assert_true(can_send(c));
}

static void test_sweep_ends_a_send_that_is_overdue_after_a_cut(void **state)
{
    struct fixture *f = *state;
    struct connection *c = connect_client(f);

    connection_enter(c, PHASE_HEAD, 0);
    table_sweep(&f->front, HEAD_LIMIT_NS + SECOND_NS);
    connection_enter(c, PHASE_SENDING, HEAD_LIMIT_NS + SECOND_NS);
    table_sweep(&f->front, HEAD_LIMIT_NS + BODY_LIMIT_NS);
    assert_true(can_send(c));
    table_sweep(&f->front, HEAD_LIMIT_NS + BODY_LIMIT_NS + 2 * SECOND_NS);
    assert_false(can_send(c));
}

static void test_admit_evicts_who_waits_longest(void **state)
{
    struct fixture *f = *state;
    struct connection *c = connect_client(f);

    connection_enter(c, PHASE_IDLE, 0);
    assert_non_null(connect_later(f));
    assert_false(can_receive(c));
}

static void test_admit_evicts_a_busy_client_when_nobody_is_idle(void **state)
{
    struct fixture *f = *state;
    struct connection *c = connect_client(f);

    f->front.options.workers = 2;
    f->front.options.connections_per_address = 8;
    connection_enter(c, PHASE_IDLE, SECOND_NS);
    assert_non_null(connect_later(f));
    assert_false(can_receive(c));
}

static void test_admit_turns_away_when_nobody_waits_for_its_client(void **state)
{
    struct fixture *f = *state;

    connection_enter(connect_client(f), PHASE_SERVING, 0);
    assert_null(connect_later(f));
}

static void test_admit_hardly_waits_for_an_address_at_its_cap(void **state)
{
    struct fixture *f = *state;
    struct connection *c = connect_client(f);

    connection_enter(c, PHASE_IDLE, 0);
    assert_non_null(connect_client(f));
    assert_false(can_receive(c));
}

static void test_admit_counts_who_was_evicted_and_still_sends(void **state)
{
    struct fixture *f = *state;
    struct connection *first = connect_client(f), *second;

    connection_enter(first, PHASE_IDLE, 0);
    second = connect_later(f);
    connection_enter(first, PHASE_SENDING, 0);
    connection_enter(second, PHASE_SERVING, 0);
    assert_non_null(connect_later(f));
    assert_false(can_send(first));
    assert_null(connect_later(f));
}

#define CLAIM(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(test_sweep_ends_an_overdue_wait_but_lets_an_answer_out),
        CLAIM(test_sweep_ends_a_send_that_is_overdue_after_a_cut),
        CLAIM(test_admit_evicts_who_waits_longest),
        CLAIM(test_admit_evicts_a_busy_client_when_nobody_is_idle),
        CLAIM(test_admit_turns_away_when_nobody_waits_for_its_client),
        CLAIM(test_admit_hardly_waits_for_an_address_at_its_cap),
        CLAIM(test_admit_counts_who_was_evicted_and_still_sends),
    };
    return cmocka_run_group_tests_name("connection", tests, NULL, NULL);
}
