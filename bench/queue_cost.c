/* queue_cost DIR WAITING...: for each number of waiting jobs, in a new data directory under DIR,
 * the processor time of a job's enqueuing, of its lease and acknowledgement by a worker, and of
 * looking at one: lines of "name: microseconds". */
#include "queue/queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define JOBS_IN_A_TRANSACTION 1000
#define RUNS                  50000 /* jobs that are leased and acknowledged */
#define LOOKS                 200000
#define MAP_BYTES             (UINT64_C(16) << 30)

struct bench {
    struct store *store;
    struct ticker *ticker;
    struct queues *queues;
    struct id *ids; /* of those waiting */
    long waiting, next, runs;
    _Atomic long ran;
};

static void fail(const char *why)
{
    fprintf(stderr, "queue_cost: %s\n", why);
    exit(1);
}

static double cpu_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* ---- What is measured. */

static enum err enqueue_some(struct txn *txn, void *arg)
{
    struct bench *bench = arg;
    struct job_spec spec = {
        .queue = "mail",
        .type = "send-email",
        .payload =
            slice_str("{\"to\":\"a@example.com\",\"subject\":\"Waiting\",\"text\":\"...\"}")};
    long end = bench->next + JOBS_IN_A_TRANSACTION;
    for (long i = bench->next; i < bench->waiting && i < end; i++)
        queue_enqueue(bench->queues, txn, &spec, &bench->ids[i]);
    return txn_error(txn);
}

static void fill(struct bench *bench)
{
    for (; bench->next < bench->waiting; bench->next += JOBS_IN_A_TRANSACTION)
        if (store_write(bench->store, enqueue_some, bench))
            fail("a transaction failed");
}

struct look {
    struct queues *queues;
    const struct id *id;
};

static enum err look_at_one(struct txn *txn, void *arg)
{
    const struct look *look = arg;
    struct job_info info;
    return queue_job(look->queues, txn, look->id, &info);
}

/* Each in a transaction of its own, as requests do. */
static void look_at_some(struct bench *bench)
{
    for (long i = 0; i < LOOKS; i++) {
        struct look look = {bench->queues, &bench->ids[rand() % bench->waiting]};
        if (store_read(bench->store, look_at_one, &look))
            fail("a job is not there");
    }
}

/* A run(): nothing to do. What is beyond the measure is held up until the end. */
static enum err run(const struct job *job, void *arg, char *why, size_t why_size)
{
    struct bench *bench = arg;
    (void)job, (void)why, (void)why_size;
    bench->ran++;
    return ERR_OK;
}

static void drain(struct bench *bench)
{
    struct job_handler handler = {.type = "send-email", .run = run, .arg = bench};
    if (queue_handle(bench->queues, &handler) || queues_start(bench->queues))
        fail("the queue cannot be started");
    struct timespec pause = {0, 1000000};
    while (bench->ran < bench->runs)
        nanosleep(&pause, NULL);
    queues_stop(bench->queues, 60000);
}

/* ---- One size. */

static void open_all(struct bench *bench, const char *parent)
{
    char dir[512], why[256];
    snprintf(dir, sizeof dir, "%s/%ld", parent, bench->waiting);
    struct store_options options = {
        .dir = dir, .map_size_bytes = MAP_BYTES, .clock = &clock_system};
    if (store_open(&options, &bench->store, why, sizeof why))
        fail(why);
    bench->ticker = ticker_create("ticker");
    struct queues_options queues = {
        .store = bench->store, .ticker = bench->ticker, .clock = &clock_system};
    struct queue_options mail = {.name = "mail"};
    if (queues_create(&queues, &bench->queues) || queue_add(bench->queues, &mail))
        fail("the queue cannot be made");
}

static void close_all(struct bench *bench)
{
    queues_destroy(&bench->queues);
    store_close(&bench->store);
    ticker_destroy(&bench->ticker);
    free(bench->ids);
}

static void print(const struct bench *bench, const char *what, double begin_us, long count)
{
    printf("%s, %ld jobs waiting: %.2f\n", what, bench->waiting,
           (cpu_us() - begin_us) / (double)count);
}

static void measure(const char *dir, long waiting)
{
    struct bench bench = {.waiting = waiting, .runs = waiting < RUNS ? waiting : RUNS};
    bench.ids = malloc((size_t)waiting * sizeof *bench.ids);
    if (waiting <= 0 || !bench.ids)
        fail("how many jobs?");
    open_all(&bench, dir);
    double begin_us = cpu_us();
    fill(&bench);
    print(&bench, "enqueue", begin_us, waiting);
    begin_us = cpu_us();
    look_at_some(&bench);
    print(&bench, "get", begin_us, LOOKS);
    begin_us = cpu_us();
    drain(&bench);
    print(&bench, "lease and acknowledge", begin_us, bench.ran);
    close_all(&bench);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        fail("usage: queue_cost DIR WAITING...");
    for (int i = 2; i < argc; i++)
        measure(argv[1], strtol(argv[i], NULL, 10));
    return 0;
}
