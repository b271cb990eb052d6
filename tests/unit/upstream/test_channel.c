#include "server/upstream/channel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <unistd.h>

/* A socket that listens on a port of its own. */
static int listening(struct server_address *out)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof name;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    char text[32], why[160];
    assert_int_equal(bind(fd, (struct sockaddr *)&name, len), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &len), 0);
    snprintf(text, sizeof text, "127.0.0.1:%u", ntohs(name.sin_port));
    assert_true(server_address_read(text, out, why, sizeof why));
    return fd;
}

static int option(const struct channel *channel, int level, int name)
{
    int value = 0;
    socklen_t len = sizeof value;
    assert_int_equal(getsockopt(channel->fd, level, name, &value, &len), 0);
    return value;
}

/* A stream may be silent for as long as it likes, but not the machine that it comes from. */
static void test_a_server_that_vanishes_is_noticed(void **state)
{
    (void)state;
    struct server_address address;
    int listener = listening(&address);
    struct channel *channel = channel_open(&address, NULL);
    assert_non_null(channel);
    assert_int_equal(option(channel, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_in_range(option(channel, IPPROTO_TCP, TCP_KEEPIDLE), 1, 60);
    assert_in_range(option(channel, IPPROTO_TCP, TCP_KEEPINTVL), 1, 60);
    assert_in_range(option(channel, IPPROTO_TCP, TCP_USER_TIMEOUT), 1, 120000);
    channel_close(&channel);
    close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_server_that_vanishes_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
