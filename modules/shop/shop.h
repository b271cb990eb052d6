/* The shop's own names: what shop.c and shop_seed.c share. */
#ifndef GALLEY_MODULES_SHOP_H
#define GALLEY_MODULES_SHOP_H

#include "server/app/app.h"

struct shop {
    struct collection *products; /* id (ten digits), name, price (cents), stock */
    struct collection
        *orders; /* id (UUID), userId, productId, qty, total (cents), status, createdAt */
};

#define SHOP_PRODUCT_ID_SIZE 11

/* Product ids are numbers outside and ten digits inside, so that both sort alike. */
void shop_product_id(int64_t number, char out[SHOP_PRODUCT_ID_SIZE]);

/* The development data: user alice/secret and products 1 to 1000, if there are no products yet. */
enum err shop_seed(struct app *app, const struct shop *shop);

#endif
