/* large_documents DIR COUNT: fills a collection of two indexes with COUNT documents of 300 bytes
 * and measures, at 10 000 and at the end, what one insertion at a random place and one reading cost
 * the processor, and how many bytes an insertion writes; then how long opening takes. Prints "name:
 * value" lines. */
#include "base/hash.h"
#include "base/mem.h"
#include "storage/collection.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define SMALL        10000
#define FILL_AT_ONCE 2000 /* documents in a transaction */
#define BATCH        64   /* as many requests share a commit */
#define INSERTIONS   6400
#define READS        200000

struct bench {
    struct store *store;
    struct collection *c;
    uint64_t count, next;
    uint64_t step; /* of the fill: each, or those that the first pass has left */
    uint64_t random, appended;
};

static void fail(const char *why)
{
    fprintf(stderr, "large_documents: %s\n", why);
    exit(1);
}

static uint64_t next_random(struct bench *b)
{
    b->random = b->random * 6364136223846793005u + 1442695040888963407u;
    return hash_bytes(slice_of(&b->random, sizeof b->random));
}

/* The k-th of `count` ids that are spread evenly. */
static uint64_t place(const struct bench *b, uint64_t k)
{
    return UINT64_MAX / b->count * k;
}

static void id_text(uint64_t place, char out[40])
{
    snprintf(out, 40, "%08" PRIx64 "-%04" PRIx64 "-%04" PRIx64 "-8000-000000000000", place >> 32,
             place >> 16 & 0xffff, place & 0xffff);
}

/* The document's place among ids, and among the values of its indexes. */
static enum err insert_at(struct txn *txn, const struct bench *b, uint64_t place, uint64_t by_value)
{
    static const char text[] =
        "A document of this collection has about as many bytes as one of an average "
        "shop: some numbers, a name, and a text of a line or two that nobody reads.";
    char id[40], json[400];
    id_text(place, id);
    uint64_t rank = by_value / (UINT64_MAX / b->count);
    int len = snprintf(json, sizeof json,
                       "{\"id\":\"%s\",\"rank\":%" PRIu64 ",\"owner\":\"owner-%08" PRIu64
                       "\",\"text\":\"%s\"}",
                       id, rank, rank / 50, text);
    return doc_insert_text(txn, b->c, slice_of(json, (size_t)len));
}

static enum err insert(struct txn *txn, const struct bench *b, uint64_t place)
{
    return insert_at(txn, b, place, place);
}

/* ---- Filling: in the order of ids, first two of three, then the third: pages are as full as
 * random insertions leave them, and the disk is written in order. */

static enum err fill_some(struct txn *txn, void *arg)
{
    struct bench *b = arg;
    uint64_t k = b->next;
    for (unsigned i = 0; i < FILL_AT_ONCE && k < b->count; k++) {
        if ((k % 3 == 0) != (b->step == 3))
            continue;
        enum err err = insert(txn, b, place(b, k));
        if (err)
            return err;
        i++;
    }
    b->next = k;
    return ERR_OK;
}

static void fill(struct bench *b)
{
    for (b->step = 1; b->step <= 3; b->step += 2) {
        for (b->next = 0; b->next < b->count;) {
            if (store_write(b->store, fill_some, b))
                fail("filling failed");
        }
    }
}

/* ---- Measuring. */

/* Of the processor, in user space and in all. */
struct spent {
    double user_us, us;
};

static double in_us(struct timeval time)
{
    return (double)time.tv_sec * 1e6 + (double)time.tv_usec;
}

static struct spent spent_since(struct spent before)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double user_us = in_us(usage.ru_utime), us = user_us + in_us(usage.ru_stime);
    return (struct spent){user_us - before.user_us, us - before.us};
}

static void print_spent(const char *what, const char *at, struct spent spent, int times)
{
    printf("%s at %s (us): %.2f\n", what, at, spent.us / times);
    printf("%s at %s, user (us): %.2f\n", what, at, spent.user_us / times);
}

static double written_bytes(void)
{
    char line[100];
    unsigned long long bytes = 0;
    FILE *io = fopen("/proc/self/io", "re");
    while (io && fgets(line, sizeof line, io) && sscanf(line, "wchar: %llu", &bytes) != 1)
        ;
    if (io)
        fclose(io);
    return (double)bytes;
}

static enum err insert_batch(struct txn *txn, void *arg)
{
    struct bench *b = arg;
    enum err err = ERR_OK;
    for (int i = 0; i < BATCH && !err; i++)
        err = insert(txn, b, next_random(b) | 1);
    return err;
}

/* Ids in the order of time, as those that we make are; the indexed values are spread as before. */
static enum err append_batch(struct txn *txn, void *arg)
{
    struct bench *b = arg;
    enum err err = ERR_OK;
    for (int i = 0; i < BATCH && !err; i++)
        err = insert_at(txn, b, UINT64_MAX - INSERTIONS + b->appended++, next_random(b));
    return err;
}

static enum err get_one(struct txn *txn, void *arg)
{
    struct bench *b = arg;
    char id[40];
    id_text(place(b, next_random(b) % b->count), id);
    struct doc doc;
    return doc_get(txn, b->c, slice_str(id), &doc);
}

static void measure_writing(struct bench *b, const char *what, store_fn batch, const char *at)
{
    struct spent begin = spent_since((struct spent){0});
    double bytes = written_bytes();
    for (int i = 0; i < INSERTIONS / BATCH; i++) {
        if (store_write(b->store, batch, b))
            fail("an insertion failed");
    }
    print_spent(what, at, spent_since(begin), INSERTIONS);
    printf("%s at %s (pages): %.2f\n", what, at, (written_bytes() - bytes) / 4096 / INSERTIONS);
}

static void measure(struct bench *b, const char *at)
{
    for (int i = 0; i < READS / 2; i++)
        store_read(b->store, get_one, b); /* warm */
    struct spent begin = spent_since((struct spent){0});
    for (int i = 0; i < READS; i++) {
        if (store_read(b->store, get_one, b))
            fail("a document is missing");
    }
    print_spent("get", at, spent_since(begin), READS);
    measure_writing(b, "insert", insert_batch, at);
    measure_writing(b, "append", append_batch, at);
}

static void open_bench(struct bench *b, const char *dir)
{
    static const struct index_spec indexes[] = {{.fields = "rank"}, {.fields = "owner"}};
    char why[256];
    struct store_options options = {.dir = dir, .clock = &clock_system};
    if (store_open(&options, &b->store, why, sizeof why))
        fail(why);
    if (collection_open(b->store, "bench", indexes, 2, &b->c))
        fail("the collection cannot be opened");
}

static void close_bench(struct bench *b)
{
    collection_close(&b->c);
    store_close(&b->store);
}

static void run(const char *dir, uint64_t count, const char *at)
{
    struct bench b = {.count = count, .random = 1};
    open_bench(&b, dir);
    fill(&b);
    measure(&b, at);
    close_bench(&b);
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    open_bench(&b, dir);
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("open at %s (ms): %.2f\n", at,
           (double)(end.tv_sec - begin.tv_sec) * 1e3 + (double)(end.tv_nsec - begin.tv_nsec) / 1e6);
    close_bench(&b);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        fail("usage: large_documents DIR COUNT");
    char small[4096], large[4096];
    snprintf(small, sizeof small, "%s/small", argv[1]);
    snprintf(large, sizeof large, "%s/large", argv[1]);
    run(small, SMALL, "small");
    run(large, strtoull(argv[2], NULL, 10), "large");
    return 0;
}
