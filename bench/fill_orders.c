/* fill_orders DIR COUNT USER: puts COUNT orders of that user into the shop's collection, with the
 * ids 00000000-0000-7000-8000-000000000000 and on, counted in the first eight digits: ids are in
 * the order of their making, as all are that the shop makes. For measuring what looking at one of
 * so many costs. */
#include "storage/collection.h"

#include <stdio.h>
#include <stdlib.h>

#define ORDERS_IN_A_TRANSACTION 2000

struct fill {
    const struct collection *orders;
    const char *user;
    unsigned next, count;
};

static void fail(const char *why)
{
    fprintf(stderr, "fill_orders: %s\n", why);
    exit(1);
}

static enum err insert_some(struct txn *txn, void *arg)
{
    const struct fill *fill = arg;
    for (unsigned i = 0; i < ORDERS_IN_A_TRANSACTION && fill->next + i < fill->count; i++) {
        char json[400];
        int len = snprintf(json, sizeof json,
                           "{\"id\":\"%08x-0000-7000-8000-000000000000\",\"userId\":\"%s\","
                           "\"productId\":17,\"qty\":1,\"total\":117,\"status\":\"placed\","
                           "\"createdAt\":\"2026-01-02T03:04:05.678Z\"}",
                           fill->next + i, fill->user);
        doc_insert_text(txn, fill->orders, slice_of(json, (size_t)len));
    }
    return txn_error(txn);
}

int main(int argc, char **argv)
{
    if (argc != 4)
        fail("usage: fill_orders DIR COUNT USER");
    char why[256];
    struct store_options options = {.dir = argv[1], .clock = &clock_system};
    struct store *store;
    if (store_open(&options, &store, why, sizeof why))
        fail(why);
    struct index_spec by_owner = {.fields = "userId", .sparse = true};
    struct collection *orders;
    if (collection_open(store, "orders", &by_owner, 1, &orders))
        fail("the collection cannot be opened");
    struct fill fill = {orders, argv[3], 0, (unsigned)strtoul(argv[2], NULL, 10)};
    for (; fill.next < fill.count; fill.next += ORDERS_IN_A_TRANSACTION) {
        if (store_write(store, insert_some, &fill))
            fail("a transaction failed");
    }
    collection_close(&orders);
    store_close(&store);
    return 0;
}
