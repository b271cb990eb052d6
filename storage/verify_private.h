/* What verify_*.c share. */
#ifndef GALLEY_STORAGE_VERIFY_PRIVATE_H
#define GALLEY_STORAGE_VERIFY_PRIVATE_H

#include "storage/collection_private.h"
#include "storage/verify.h"

/* `whole`: its check is right. It sets *gone if it takes the entry away. */
typedef enum err (*verify_chained_fn)(struct verifier *v, struct cursor *at,
                                      const struct chain_entry *entry, bool whole, bool *gone,
                                      void *arg);

/* verify_walk over a chained table, but for its anchor. */
enum err verify_chain(struct txn *txn, struct verifier *v, const struct chain *chain,
                      verify_chained_fn each, void *arg, struct verify_place *place, bool *end);

struct document_parts {
    struct collection tables; /* no collection: its tables alone */
    struct collection **list; /* those of the catalog, as of the transaction */
    unsigned count;
    bool took; /* the pass has taken documents away */
};

/* Reads the list; in each transaction, as collections and indexes come while the pass goes on. */
enum err document_parts_read(struct txn *txn, struct document_parts *parts);

/* ---- verify_sizes.c: the step of a part, whose argument is struct document_parts. */
enum err verify_sizes(struct txn *txn, struct verifier *v, struct verify_place *place, bool *end,
                      void *arg);

#endif
