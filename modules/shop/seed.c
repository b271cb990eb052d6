/* The development data of the shop. Its password is known to everyone, so a server that listens
 * beyond loopback refuses to seed (server/config/check.c). */
#include "modules/shop/shop.h"

#include <stdio.h>

#define PRODUCTS 1000
#define STOCK    1000000

/* "secret", hashed once (see base/password.h) so that the first start does not wait for scrypt. */
#define SECRET_HASH                                                                                \
    "scrypt$14$8$5$Z2FsbGV5LWRldi1zZWVkIQ==$71FIe9PqDbiQSnpSsOYxRf9sfg1xgHVBrtwsiMM//U8="

static bool stop_at_first(struct slice id, const struct doc *doc, void *arg)
{
    (void)id;
    (void)doc;
    *(bool *)arg = true;
    return false;
}

static void insert_product(struct txn *txn, const struct shop *shop, int number)
{
    char id[SHOP_PRODUCT_ID_SIZE], name[32];
    shop_product_id(number, id);
    snprintf(name, sizeof name, "Product %d", number);
    json_t *product = json_pack("{s:s, s:s, s:i, s:i}", "id", id, "name", name, "price",
                                100 + number, "stock", STOCK);
    doc_insert(txn, shop->products, product);
    json_decref(product);
}

struct seeding {
    struct app *app;
    const struct shop *shop;
};

static enum err seed(struct txn *txn, void *arg)
{
    const struct seeding *seeding = arg;
    bool seeded = false;
    struct doc_scan scan = {.limit = 1};
    enum err err = doc_walk(txn, seeding->shop->products, &scan, stop_at_first, &seeded);
    if (err || seeded)
        return err;
    app_seed_user(seeding->app, txn, "alice", "Alice", "alice@example.com", "customer",
                  SECRET_HASH);
    for (int number = 1; number <= PRODUCTS; number++)
        insert_product(txn, seeding->shop, number);
    return txn_error(txn);
}

enum err shop_seed(struct app *app, const struct shop *shop)
{
    struct seeding seeding = {app, shop};
    return store_write(app_store(app), seed, &seeding);
}
