/* What verify_*.c share. */
#ifndef GALLEY_STORAGE_VERIFY_PRIVATE_H
#define GALLEY_STORAGE_VERIFY_PRIVATE_H

#include "storage/chain_private.h"
#include "storage/verify.h"

/* `whole`: its check is right. It sets *gone if it takes the entry away. */
typedef enum err (*verify_chained_fn)(struct verifier *v, struct cursor *at,
                                      const struct chain_entry *entry, bool whole, bool *gone,
                                      void *arg);

/* verify_walk over a chained table, but for its anchor. */
enum err verify_chain(struct txn *txn, struct verifier *v, const struct chain *chain,
                      verify_chained_fn each, void *arg, struct verify_place *place, bool *end);

#endif
