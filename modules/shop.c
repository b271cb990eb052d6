/* The shop: products with stock, and orders. The reference module: copy from here.
 *
 * Read the table of routes at the end first. A product is read through the cache and sold in a
 * transaction: the stock, the order and the confirmation e-mail commit together, and the cached
 * product is dropped before the buyer hears of it. */
#include "modules/shop/shop.h"

#include "base/mem.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#define HOUR_MS            (3600 * 1000)
#define PRODUCT_NUMBER_MAX 9999999999 /* ten digits */
#define PAGE_DEFAULT       30
#define PAGE_MAX           1000

struct product_ref {
    char id[SHOP_PRODUCT_ID_SIZE];
    char key[48]; /* in the cache */
};

static struct shop *shop_of(const struct call *call)
{
    return call->state;
}

void shop_product_id(int64_t number, char out[SHOP_PRODUCT_ID_SIZE])
{
    out[SHOP_PRODUCT_ID_SIZE - 1] = '\0';
    for (int i = SHOP_PRODUCT_ID_SIZE - 2; i >= 0; i--, number /= 10)
        out[i] = (char)('0' + number % 10);
}

/* ---- Products */

/* A product's number from outside; false for what can be none. */
static bool product_ref(int64_t number, struct product_ref *out)
{
    if (number < 1 || number > PRODUCT_NUMBER_MAX)
        return false;
    shop_product_id(number, out->id);
    static const char prefix[] = "shop:product:";
    memcpy(out->key, prefix, sizeof prefix - 1);
    memcpy(out->key + sizeof prefix - 1, out->id, sizeof out->id);
    return true;
}

/* The stored document as clients see it: its id is a number. */
static void product_outside(struct buf *out, struct slice product)
{
    struct slice id = slice_str("\"\"");
    json_find(product, "id", &id);
    assert(id.len == SHOP_PRODUCT_ID_SIZE + 1); /* as shop_product_id made it */
    struct slice digits = slice_of(id.ptr + 1, id.len - 2);
    while (digits.len > 1 && digits.ptr[0] == '0')
        digits = slice_of(digits.ptr + 1, digits.len - 1);
    json_append_with(out, product, id, digits);
}

static enum err load_product(struct txn *txn, struct call *call, const void *arg, struct buf *out)
{
    const struct product_ref *ref = arg;
    struct doc product;
    enum err err = doc_get(txn, shop_of(call)->products, slice_str(ref->id), &product);
    if (err)
        return err;
    product_outside(out, product.json);
    return ERR_OK;
}

static enum err no_such_product(struct call *call)
{
    return call_fail(call, ERR_NOT_FOUND, NULL, "There is no such product.");
}

static enum err get_product(struct call *call)
{
    int64_t number;
    struct product_ref ref;
    if (!slice_to_i64(call_param(call, "id"), &number) || !product_ref(number, &ref))
        return no_such_product(call);
    struct cached product;
    enum err err = call_cached(call, ref.key, HOUR_MS, load_product, &ref, &product);
    if (err)
        return err == ERR_NOT_FOUND ? no_such_product(call) : err;
    return call_answer_cached(call, 200, &product);
}

static enum err list_products(struct call *call)
{
    int64_t limit, after;
    enum err err = call_query_int(call, "limit", 1, PAGE_MAX, PAGE_DEFAULT, &limit);
    if (!err)
        err = call_query_int(call, "after", 0, PRODUCT_NUMBER_MAX, 0, &after);
    if (err)
        return err;
    char id[SHOP_PRODUCT_ID_SIZE];
    shop_product_id(after, id);
    struct doc_scan scan = {.after = slice_str(id)};
    return call_answer_page(call, shop_of(call)->products, &scan, limit, product_outside);
}

/* ---- Placing an order */

struct order_plan {
    struct product_ref product;
    const char *email, *name; /* the buyer's */
};

static enum err out_of_stock(struct call *call, int64_t stock)
{
    return call_fail(call, ERR_CONFLICT, "OUT_OF_STOCK", "Only %" PRId64 " left in stock.", stock);
}

/* A product that the cache knows to be sold out needs no transaction to say so: what is cached is
 * never older than an acknowledged order. What is not cached is not loaded either, as the order's
 * commit would drop it at once. */
static enum err check_stock(struct call *call, const struct product_ref *ref)
{
    struct cached cached;
    if (!call_peek(call, ref->key, &cached))
        return ERR_OK;
    int64_t stock = json_find_int(cached.bytes, "stock", 0);
    cached_release(&cached);
    return stock < call_int(call, "qty") ? out_of_stock(call, stock) : ERR_OK;
}

static enum err note_buyer(struct call *call, struct order_plan *plan)
{
    struct cached user;
    enum err err = call_profile(call, &user);
    if (err)
        return err;
    static const char *const names[] = {"email", "name"};
    struct slice values[2];
    json_find_all(user.bytes, names, 2, values);
    plan->email = call_string(call, values[0]);
    plan->name = call_string(call, values[1]);
    cached_release(&user);
    return ERR_OK;
}

static enum err prepare_order(struct call *call)
{
    struct order_plan *plan = call->prepared = call_alloc(call, sizeof *plan);
    if (!product_ref(call_int(call, "productId"), &plan->product))
        return no_such_product(call);
    enum err err = check_stock(call, &plan->product);
    return err ? err : note_buyer(call, plan);
}

struct order {
    char id[ID_TEXT_SIZE], created[CLOCK_RFC3339_SIZE];
    int64_t qty, total;
};

static struct order new_order(const struct call *call, int64_t qty, int64_t price)
{
    int64_t now_ms = txn_now_ms(call->txn);
    struct id id = id_make(now_ms);
    struct order order = {.qty = qty, .total = price * qty};
    id_format(&id, order.id);
    clock_rfc3339(now_ms, order.created);
    return order;
}

static void insert_order(struct call *call, const struct order *order)
{
    struct buf json = BUF_INIT;
    json_printf(&json,
                "{'id':%s,'userId':%s,'productId':%" PRId64 ",'qty':%" PRId64 ",'total':%" PRId64
                ",'status':'placed','createdAt':%s}",
                order->id, call_user(call), call_int(call, "productId"), order->qty, order->total,
                order->created);
    doc_insert_text(call->txn, shop_of(call)->orders, buf_slice(&json));
    buf_release(&json);
}

/* Who has no address gets no message. */
static void confirm_order(struct call *call, const struct order *order, const char *product)
{
    const struct order_plan *plan = call->prepared;
    if (plan->email[0] == '\0')
        return;
    call_enqueue(call, "mail", "send-email",
                 "{'to':%s,'subject':'Your order','text':'Hello %s,\\n\\nthank you for your order "
                 "%s:\\n%" PRId64 " x %s, %" PRId64 ".%02" PRId64 " in total.\\n'}",
                 plan->email, plan->name, order->id, order->qty, product, order->total / 100,
                 order->total % 100);
}

static enum err answer_order(struct call *call, const struct order *order)
{
    char location[sizeof "/orders/" + sizeof order->id];
    stpcpy(stpcpy(location, "/orders/"), order->id);
    return call_created(call, location, "{'orderId':%s,'status':'placed'}", order->id);
}

/* The stock, the order and the e-mail commit together. The transaction remembers its first error,
 * so the steps are taken one after the other and the result is asked for once. */
static enum err place_order(struct call *call)
{
    const struct order_plan *plan = call->prepared;
    const struct shop *shop = shop_of(call);
    struct slice product_id = slice_str(plan->product.id);
    int64_t qty = call_int(call, "qty"), price = 0, stock;
    struct doc product;
    enum err err =
        doc_add(call->txn, shop->products, product_id, "stock", -qty, 0, &stock, &product);
    if (err == ERR_PRECONDITION)
        return out_of_stock(call, stock);
    if (err)
        return err == ERR_NOT_FOUND ? no_such_product(call) : err;

    static const char *const names[] = {"name", "price"};
    struct slice values[2];
    json_find_all(product.json, names, 2, values);
    const char *product_name = call_string(call, values[0]);
    slice_to_i64(values[1], &price);
    struct order order = new_order(call, qty, price);
    insert_order(call, &order);
    confirm_order(call, &order, product_name);
    call_invalidate(call, plan->product.key);
    answer_order(call, &order);
    return txn_error(call->txn);
}

/* ---- Looking at orders */

/* Somebody else's order is as if it did not exist. */
static enum err get_order(struct call *call)
{
    struct doc order;
    enum err err = doc_get(call->txn, shop_of(call)->orders, call_param(call, "id"), &order);
    if (err && err != ERR_NOT_FOUND)
        return err;
    if (!err && (strcmp(call_text(call, order.json, "userId"), call_user(call)) == 0 ||
                 call_user_is(call, "admin")))
        return call_answer_text(call, 200, order.json);
    return call_fail(call, ERR_NOT_FOUND, NULL, "There is no such order.");
}

/* The caller's own, the newest first. */
static enum err list_orders(struct call *call)
{
    int64_t limit;
    enum err err = call_query_int(call, "limit", 1, PAGE_MAX, PAGE_DEFAULT, &limit);
    if (err)
        return err;
    struct buf scratch = BUF_INIT;
    json_t *owner = json_string(call_user(call));
    struct doc_scan scan = {.index = "userId",
                            .equal = owner,
                            .after = request_query(call->request, "after", &scratch),
                            .descending = true};
    struct id cursor;
    if (scan.after.ptr && !id_parse(scan.after, &cursor))
        err = call_fail_field(call, "after", "cursor", "This cursor was not handed out.");
    else
        err = call_answer_page(call, shop_of(call)->orders, &scan, limit, NULL);
    json_decref(owner);
    buf_release(&scratch);
    return err;
}

/* ---- The module */

static const struct index_spec by_owner = {.fields = "userId", .sparse = true};

enum { PRODUCTS, ORDERS };

static const struct app_collection collections[] = {
    [PRODUCTS] = {"products", NULL, 0},
    [ORDERS] = {"orders", &by_owner, 1},
};

static enum err open_shop(struct app *app, const struct config_section *section, void **state,
                          char *why, size_t why_size)
{
    struct shop *shop = mem_zalloc(sizeof *shop);
    *state = shop;
    shop->products = app_collection(app, "shop", PRODUCTS);
    shop->orders = app_collection(app, "shop", ORDERS);
    enum err err = config_bool(section, "seed") ? shop_seed(app, shop) : ERR_OK;
    if (err)
        snprintf(why, why_size, "the development data cannot be written (%s)", err_code(err));
    return err;
}

static void close_shop(void *state)
{
    free(state);
}

/* clang-format off */
static const char order_schema[] = APP_JSON({
    "type": "object",
    "additionalProperties": false,
    "required": ["productId", "qty"],
    "properties": {
        "productId": {"type": "integer", "minimum": 1, "maximum": 9999999999},
        "qty": {"type": "integer", "minimum": 1, "maximum": 1000000000}
    }
});

static const struct config_key settings[] = {
    {"seed", CONFIG_BOOL, "no", 0, 0, CONFIG_RESTART, NULL,
     "Development data, with a user whose password is known: only on a loopback address."},
};

static const struct app_route routes[] = {
    {METHOD_GET, "/products", APP_ANYONE, APP_READ, NULL, list_products, NULL},
    {METHOD_GET, "/products/{id}", APP_SIGNED_IN, APP_PLAIN, NULL, get_product, NULL},
    {METHOD_POST, "/place-order", APP_SIGNED_IN, APP_WRITE, order_schema, place_order, prepare_order},
    {METHOD_GET, "/orders", APP_PERSONAL, APP_READ, NULL, list_orders, NULL},
    {METHOD_GET, "/orders/{id}", APP_PERSONAL, APP_READ, NULL, get_order, NULL},
};
/* clang-format on */

const struct app_module shop_module = {
    .name = "shop",
    .help = "The reference application.",
    .settings = settings,
    .setting_count = sizeof settings / sizeof settings[0],
    .routes = routes,
    .route_count = sizeof routes / sizeof routes[0],
    .collections = collections,
    .collection_count = sizeof collections / sizeof collections[0],
    .open = open_shop,
    .close = close_shop,
};
