/* The front alone, in this process: what may go on while it closes. */
#include "server/front/front.h"

#include "base/log.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct stage {
    struct ticker *ticker;
    struct front *front;
    struct request *later;
    sem_t awaited;
};

/* Each request has its answer later. */
static void handle(struct request *request, struct response *response, void *arg)
{
    struct stage *s = arg;
    if (request->awaited) {
        response->status = 204;
        return;
    }
    request->awaited = s;
    request_await(request);
    s->later = request;
    sem_post(&s->awaited);
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
    const struct front_listener listener = {.address = "127.0.0.1:0"};
    char why[256];
    log_open(&(struct log_options){.path = "/dev/null", .level = LOG_OFF});
    sem_init(&s->awaited, 0, 0);
    s->ticker = ticker_create("ticker");
    s->front = front_create(&(struct front_options){
        .listeners = &listener,
        .listener_count = 1,
        .connections = 10,
        .connections_per_address = 10,
        .workers = 4,
        .requests_per_address = 10,
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
    assert_int_equal(front_listen(s->front, why, sizeof why), ERR_OK);
    front_serve(s->front);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct stage *s = *state;
    front_close(&s->front);
    ticker_destroy(&s->ticker);
    sem_destroy(&s->awaited);
    log_close();
    free(s);
    return 0;
}

static int ask(const struct stage *s)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons(front_port(s->front, 0)),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(send(fd, request, sizeof request - 1, 0), sizeof request - 1);
    return fd;
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
    assert_answered(ask(s));
    front_drain(s->front, 1000, &drained);
    assert_int_equal(drained.cut + drained.running, 0);
    front_close(&s->front);
    pthread_join(thread, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_front_may_close_as_soon_as_all_answers_have_come,
                                        setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
