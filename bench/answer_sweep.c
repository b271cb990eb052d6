/* answer_sweep DIR ANSWERS: fills the data directory DIR with so many answers for idempotency keys,
 * as orders leave them, lets them expire, and has them swept as the maintenance thread does. Prints
 * "answers swept a second: NUMBER", by the wall clock. */
#include "server/gateway/idempotency_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define IN_A_TRANSACTION 500
#define KEEP_MS          (3600 * 1000LL)
#define MAP_BYTES        (UINT64_C(16) << 30)

struct bench {
    struct answer_records records;
    struct response response;
    uint64_t next, end; /* of a transaction */
};

static void fail(const char *why)
{
    fprintf(stderr, "answer_sweep: %s\n", why);
    exit(1);
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Scopes are spread as digests are. */
static enum err put_some(struct txn *txn, void *arg)
{
    struct bench *bench = arg;
    for (uint64_t i = bench->next; i < bench->end; i++) {
        struct keyed_request keyed = {0};
        uint64_t spread[] = {i * UINT64_C(0x9e3779b97f4a7c15), i};
        memcpy(keyed.scope, spread, sizeof spread);
        if (answer_records_put(txn, &bench->records, &keyed, &bench->response))
            break;
    }
    return txn_error(txn);
}

static void fill(struct bench *bench, struct store *store, uint64_t answers)
{
    for (; bench->next < answers; bench->next = bench->end) {
        bench->end = bench->next + IN_A_TRANSACTION;
        if (store_write(store, put_some, bench))
            fail("a transaction failed");
    }
}

static void sweep(struct bench *bench)
{
    int64_t later_ms = clock_wall_ms(&clock_system) + 2 * KEEP_MS;
    bool more = true;
    while (more)
        if (answer_records_sweep(&bench->records, later_ms, &more))
            fail("a sweep failed");
}

int main(int argc, char **argv)
{
    struct store *store;
    struct bench bench = {.response = {.status = 201}};
    struct answer_limits limits = {.keep_ms = KEEP_MS, .bytes_max = MAP_BYTES};
    char why[256] = "the answers cannot be opened";
    if (argc != 3)
        fail("usage: answer_sweep DIR ANSWERS");
    struct store_options options = {
        .dir = argv[1], .map_size_bytes = MAP_BYTES, .clock = &clock_system};
    if (store_open(&options, &store, why, sizeof why) ||
        answer_records_open(store, &limits, &bench.records))
        fail(why);
    buf_append_str(&bench.response.headers,
                   "Location: /orders/0192f0c1-0000-7000-8000-000000000000\r\n"
                   "Content-Type: application/json\r\n");
    for (int i = 0; i < 25; i++)
        buf_append_str(&bench.response.body, "12345678");
    uint64_t answers = strtoull(argv[2], NULL, 10);
    fill(&bench, store, answers);
    double begin = now_s();
    sweep(&bench);
    printf("answers swept a second: %.0f\n", (double)answers / (now_s() - begin));
    buf_release(&bench.response.headers);
    buf_release(&bench.response.body);
    store_close(&store);
    return 0;
}
