/* fill_jobs DIR COUNT: puts COUNT waiting e-mail jobs into the queue "mail" of a new data
 * directory, for measuring how fast a server starts with them. */
#include "queue/queue.h"

#include <stdio.h>
#include <stdlib.h>

#define JOBS_IN_A_TRANSACTION 2000

struct fill {
    struct queues *queues;
    long left;
};

static enum err enqueue_some(struct txn *txn, void *arg)
{
    const struct fill *fill = arg;
    struct job_spec spec = {
        .queue = "mail",
        .type = "send-email",
        .payload =
            slice_str("{\"to\":\"a@example.com\",\"subject\":\"Waiting\",\"text\":\"...\"}")};
    for (long i = 0; i < fill->left && i < JOBS_IN_A_TRANSACTION; i++)
        queue_enqueue(fill->queues, txn, &spec, NULL);
    return txn_error(txn);
}

static void fail(const char *why)
{
    fprintf(stderr, "fill_jobs: %s\n", why);
    exit(1);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        fail("usage: fill_jobs DIR COUNT");
    char why[256];
    struct store_options options = {.dir = argv[1], .clock = &clock_system};
    struct store *store;
    if (store_open(&options, &store, why, sizeof why))
        fail(why);
    struct ticker *ticker = ticker_create("ticker");
    struct queues_options queues = {.store = store, .ticker = ticker, .clock = &clock_system};
    struct fill fill = {.left = strtol(argv[2], NULL, 10)};
    struct queue_options mail = {.name = "mail"};
    if (queues_create(&queues, &fill.queues) || queue_add(fill.queues, &mail))
        fail("the queue cannot be made");
    for (; fill.left > 0; fill.left -= JOBS_IN_A_TRANSACTION) {
        if (store_write(store, enqueue_some, &fill))
            fail("a transaction failed");
    }
    queues_destroy(&fill.queues);
    store_close(&store);
    ticker_destroy(&ticker);
    return 0;
}
