#include "server/upstream/pool.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <unistd.h>

#define IDLE_NS 1000

struct fixture {
    struct pool pool;
    int servers[8]; /* the other ends */
    unsigned count;
};

static int begin(void **state)
{
    struct fixture *f = *state = mem_zalloc(sizeof *f);
    pool_init(&f->pool);
    return 0;
}

static int end(void **state)
{
    struct fixture *f = *state;
    pool_release(&f->pool);
    for (unsigned i = 0; i < f->count; i++)
        close(f->servers[i]);
    free(f);
    return 0;
}

static struct channel *make(struct fixture *f)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    struct channel *channel = mem_zalloc(sizeof *channel);
    channel->fd = ends[0];
    channel->connected = true;
    f->servers[f->count++] = ends[1];
    return channel;
}

/* The descriptor of the one that was put in. */
static int put(struct fixture *f, unsigned most, int64_t now_ns)
{
    struct channel *channel = make(f);
    int fd = channel->fd;
    pool_put(&f->pool, &channel, most, now_ns);
    assert_null(channel);
    return fd;
}

/* The descriptor of the one that comes out, which is closed; -1: none. */
static int take(struct fixture *f, unsigned generation, int64_t now_ns)
{
    struct channel *channel = pool_take(&f->pool, generation, IDLE_NS, now_ns);
    int fd = channel ? channel->fd : -1;
    channel_close(&channel);
    return fd;
}

/* Whether our end has been closed. */
static bool has_ended(const struct fixture *f, unsigned i)
{
    char byte;
    return read(f->servers[i], &byte, 1) == 0;
}

static void test_the_last_one_put_in_is_taken_first(void **state)
{
    struct fixture *f = *state;
    int first = put(f, 8, 0), second = put(f, 8, 0);
    assert_int_equal(take(f, 0, 1), second);
    assert_int_equal(take(f, 0, 1), first);
    assert_int_equal(take(f, 0, 1), -1);
}

static void test_a_full_pool_closes_what_comes(void **state)
{
    struct fixture *f = *state;
    put(f, 2, 0);
    put(f, 2, 0);
    put(f, 2, 0);
    assert_int_equal(f->pool.count, 2);
    assert_true(has_ended(f, 2));
    put(f, 0, 0);
    assert_true(has_ended(f, 3));
}

static void test_old_ones_are_closed_and_not_taken(void **state)
{
    struct fixture *f = *state;
    put(f, 8, 0);
    int young = put(f, 8, 500);
    pool_sweep(&f->pool, IDLE_NS, IDLE_NS);
    assert_true(has_ended(f, 0));
    assert_int_equal(f->pool.count, 1);
    assert_int_equal(take(f, 0, 500 + IDLE_NS - 1), young);
    put(f, 8, 0);
    assert_int_equal(take(f, 0, IDLE_NS), -1);
    assert_true(has_ended(f, 2));
}

static void test_one_of_other_settings_is_not_taken(void **state)
{
    struct fixture *f = *state;
    put(f, 8, 0);
    assert_int_equal(take(f, 1, 1), -1);
    assert_true(has_ended(f, 0));
}

static void test_one_that_is_not_clean_is_not_taken(void **state)
{
    struct fixture *f = *state;
    int good = put(f, 8, 0);
    put(f, 8, 0);
    put(f, 8, 0);
    assert_int_equal(write(f->servers[1], "H", 1), 1);
    shutdown(f->servers[2], SHUT_RDWR);
    assert_int_equal(take(f, 0, 1), good);
    assert_int_equal(f->pool.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_last_one_put_in_is_taken_first, begin, end),
        cmocka_unit_test_setup_teardown(test_a_full_pool_closes_what_comes, begin, end),
        cmocka_unit_test_setup_teardown(test_old_ones_are_closed_and_not_taken, begin, end),
        cmocka_unit_test_setup_teardown(test_one_of_other_settings_is_not_taken, begin, end),
        cmocka_unit_test_setup_teardown(test_one_that_is_not_clean_is_not_taken, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
