/* What the files about collections share. */
#ifndef GALLEY_STORAGE_COLLECTION_PRIVATE_H
#define GALLEY_STORAGE_COLLECTION_PRIVATE_H

#include "storage/collection.h"
#include "storage/key.h"

/* The most bytes of an index's value in its key. With two names and an id at their longest there
 * would be room for 177. */
#define INDEX_VALUE_MAX 160
#define NAME_MAX_BYTES  64

struct index {
    char *member;
    bool unique;
    struct key prefix; /* collection, member */
};

struct collection {
    char *name;
    struct table catalog, documents, indexes;
    struct key prefix; /* collection */
    unsigned index_count;
    struct index list[COLLECTION_INDEXES_MAX];
};

/* ---- collection.c */

bool document_id_fits(struct slice id);

/* ---- index.c */

/* (collection, member, value); false if such a value is not indexed. */
bool index_value_key(struct key *key, const struct index *index, const json_t *value);

/* Makes the entries of `id` those of the text `now` instead of those of `before`; either may be
 * empty. Neither is the transaction's memory. ERR_EXISTS, sticky, if a unique index objects. */
enum err index_update(struct txn *txn, const struct collection *c, struct slice id,
                      struct slice before, struct slice now);

/* What an entry, whose key begins with the index's prefix, stands for. */
enum err index_entry_document(struct txn *txn, const struct collection *c,
                              const struct index *index, struct slice entry,
                              char id[DOC_ID_MAX + 1], struct doc *out);

/* Whether the document has the value: for entries whose value was cut. */
enum err index_matches(struct txn *txn, const struct index *index, const struct doc *doc,
                       const json_t *value, bool *out);

#endif
