/* How much there is of each collection. */
#include "storage/collection_private.h"

#include <stdlib.h>

struct all {
    struct collection tables, **list;
    unsigned count;
};

static enum err find_all(struct txn *txn, void *arg)
{
    struct all *all = arg;
    return catalog_find_all(txn, &all->tables, &all->list, &all->count);
}

struct counting {
    const struct collection *c;
    struct doc_count count;
};

static enum err read_count(struct txn *txn, void *arg)
{
    struct counting *counting = arg;
    return collection_count(txn, counting->c, &counting->count);
}

static bool add_document(struct slice id, const struct doc *doc, void *arg)
{
    (void)id;
    struct doc_count *count = arg;
    count->documents++;
    count->bytes += doc->json.len;
    return true;
}

static enum err measure(struct store *store, const struct collection *c, collection_size_fn each,
                        void *arg)
{
    struct collection_size size = {.name = c->name, .index_count = c->index_count};
    for (unsigned i = 0; i < c->index_count; i++)
        size.indexes[i] = (struct index_spec){
            .fields = c->list[i].fields, .unique = c->list[i].unique, .sparse = c->list[i].sparse};
    struct counting counting = {.c = c};
    const struct doc_scan scan = {0};
    enum err err = store_read(store, read_count, &counting);
    if (err == ERR_DAMAGED) {
        counting.count = (struct doc_count){0};
        err = doc_walk_all(store, c, &scan, add_document, &counting.count);
    }
    size.documents = counting.count.documents;
    size.bytes = counting.count.bytes;
    if (!err)
        each(&size, arg);
    return err;
}

enum err collections_measure(struct store *store, collection_size_fn each, void *arg)
{
    struct all all = {.count = 0};
    enum err err = collection_open_tables(store, &all.tables);
    if (!err)
        err = store_read(store, find_all, &all);
    for (unsigned i = 0; !err && i < all.count; i++)
        err = measure(store, all.list[i], each, arg);
    for (unsigned i = 0; i < all.count; i++)
        collection_close(&all.list[i]);
    free(all.list);
    return err;
}
