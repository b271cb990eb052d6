/* The front alone, in this process: who of its threads looks at what, and until when. */
#include "server/front/front.h"

#include "base/log.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <linux/sockios.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define CROWD 500

struct stage {
    struct ticker *ticker;
    struct front *front;
    struct request *later;
    sem_t awaited;      /* /later */
    sem_t held, let_go; /* /hold */
    sem_t asked, said;  /* /feed: the hub waits in it */
    unsigned fills;
    _Atomic bool ended;                  /* the feed */
    _Atomic unsigned served, other_came; /* /small; when 127.0.0.2's came */
};

static void answer_later(struct stage *s, struct request *request, struct response *response)
{
    if (request->awaited) {
        response->status = 204;
        return;
    }
    request->awaited = s;
    request_await(request);
    s->later = request;
    sem_post(&s->awaited);
}

static void answer_small(struct stage *s, const struct request *request, struct response *response)
{
    unsigned before = atomic_fetch_add(&s->served, 1);
    if (slice_is(request->address, "127.0.0.2"))
        atomic_store(&s->other_came, before);
    response->status = 204;
}

/* First on a worker, which goes on; then again and again on the hub, which goes on when it is let.
 */
static int64_t fill(void *arg, struct buf *out, int64_t now_ns)
{
    struct stage *s = arg;
    (void)out;
    (void)now_ns;
    if (s->fills++ == 0)
        return FEED_AGAIN;
    sem_post(&s->asked);
    sem_wait(&s->said);
    return atomic_load(&s->ended) ? FEED_END : FEED_AGAIN;
}

static void handle(struct request *request, struct response *response, void *arg)
{
    struct stage *s = arg;
    if (slice_is(request->path, "/later")) {
        answer_later(s, request, response);
        return;
    }
    if (slice_is(request->path, "/small")) {
        answer_small(s, request, response);
        return;
    }
    if (slice_is(request->path, "/feed")) {
        response->feed = (struct feed){.fill = fill, .arg = s};
        response->status = 200;
        return;
    }
    sem_post(&s->held);
    sem_wait(&s->let_go);
    response->status = 204;
}

static void sent(struct request *request, const struct response *response, const struct sent *sent,
                 void *arg)
{
    (void)request;
    (void)response;
    (void)sent;
    (void)arg;
}

static int setup(void **state)
{
    struct stage *s = mem_zalloc(sizeof *s);
    sem_t *sems[] = {&s->awaited, &s->held, &s->let_go, &s->asked, &s->said};
    const struct front_listener listener = {.address = "127.0.0.1:0"};
    char why[256];
    log_open(&(struct log_options){.path = "/dev/null", .level = LOG_OFF});
    for (size_t i = 0; i < sizeof sems / sizeof *sems; i++)
        sem_init(sems[i], 0, 0);
    s->ticker = ticker_create("ticker");
    s->front = front_create(&(struct front_options){
        .listeners = &listener,
        .listener_count = 1,
        .connections = 3 * CROWD, /* for both ends of them there are descriptors */
        .connections_per_address = 2 * CROWD,
        .workers = 1,
        .requests_per_address = CROWD,
        .queue_timeout_ms = 10000,
        .head_timeout_ms = 10000,
        .body_timeout_ms = 10000,
        .idle_timeout_ms = 10000,
        .body_memory = 1000,
        .ticker = s->ticker,
        .clock = &clock_system,
        .handle = handle,
        .sent = sent,
        .arg = s,
    });
    if (front_listen(s->front, why, sizeof why) != ERR_OK)
        fail_msg("%s", why);
    front_serve(s->front);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct stage *s = *state;
    front_close(&s->front);
    ticker_destroy(&s->ticker);
    log_close();
    free(s);
    return 0;
}

static int connect_from(const struct stage *s, const char *address)
{
    const struct sockaddr_in server = {.sin_family = AF_INET,
                                       .sin_port = htons(front_port(s->front, 0)),
                                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct sockaddr_in client = {.sin_family = AF_INET,
                                       .sin_addr.s_addr = inet_addr(address)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&client, sizeof client), 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&server, sizeof server), 0);
    return fd;
}

static void ask(int fd, const char *path)
{
    char request[100];
    int size = snprintf(request, sizeof request,
                        "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);
    assert_int_equal(send(fd, request, (size_t)size, 0), size);
}

/* The kernel may take its time, also on this machine. */
static void wait_until_delivered(int fd)
{
    int left = 1;
    while (left > 0)
        assert_int_equal(ioctl(fd, SIOCOUTQ, &left), 0);
}

static void assert_answered(int fd)
{
    char answer[4096] = "";
    assert_true(recv(fd, answer, sizeof answer - 1, MSG_WAITALL) > 0);
    assert_memory_equal(answer, "HTTP/1.1 204", 12);
    close(fd);
}

static void *resume(void *arg)
{
    struct stage *s = arg;
    struct front_stats stats = {0};
    sem_wait(&s->awaited);
    while (stats.awaited == 0) /* its worker may not have left it yet, and would be the last */
        front_stats(s->front, &stats);
    request_resume(s->later);
    return NULL;
}

/* Who resumes may still be on its way out of the front when the client has its answer.
 * ThreadSanitizer sees what of the front it touches then. */
static void test_a_front_may_close_as_soon_as_all_answers_have_come(void **state)
{
    struct stage *s = *state;
    pthread_t thread;
    struct front_drained drained;
    assert_int_equal(pthread_create(&thread, NULL, resume, s), 0);
    int fd = connect_from(s, "127.0.0.1");
    ask(fd, "/later");
    assert_answered(fd);
    front_drain(s->front, 1000, &drained);
    assert_int_equal(drained.cut + drained.running, 0);
    front_close(&s->front);
    pthread_join(thread, NULL);
}

/* It asks the feed some times in a row. */
static void let_hub_look_once(struct stage *s)
{
    struct front_stats stats = {0};
    while (stats.queued == 0) {
        sem_post(&s->said);
        sem_wait(&s->asked);
        front_stats(s->front, &stats);
    }
}

/* The hub looks once after the burst, while the only worker is held. */
static void test_a_burst_delays_another_address_by_its_turn(void **state)
{
    struct stage *s = *state;
    int crowd[CROWD], other = connect_from(s, "127.0.0.2");
    int feed = connect_from(s, "127.0.0.3"), hold = connect_from(s, "127.0.0.3");
    for (unsigned i = 0; i < CROWD; i++)
        crowd[i] = connect_from(s, "127.0.0.1");
    ask(feed, "/feed");
    sem_wait(&s->asked);
    ask(hold, "/hold");
    sem_wait(&s->held);
    for (unsigned i = 0; i < CROWD; i++)
        ask(crowd[i], "/small");
    ask(other, "/small");
    for (unsigned i = 0; i < CROWD; i++)
        wait_until_delivered(crowd[i]);
    wait_until_delivered(other);
    let_hub_look_once(s);
    sem_post(&s->let_go);
    assert_answered(hold);
    assert_answered(other);
    for (unsigned i = 0; i < CROWD; i++)
        assert_answered(crowd[i]);
    atomic_store(&s->ended, true);
    sem_post(&s->said);
    close(feed);
    assert_in_range(s->other_came, 0, CROWD / 2); /* a reserved worker reads some heads first */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_front_may_close_as_soon_as_all_answers_have_come,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_burst_delays_another_address_by_its_turn, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
