/* Collections: JSON documents with versions, by id, with secondary indexes. A document's id is a
 * string of 1 to 200 bytes and is stored in the document as its member "id". Where it lies on the
 * disk: collection_private.h. Whatever was damaged there is ERR_DAMAGED, also where only its
 * absence would be seen (chain_private.h). */
#ifndef GALLEY_STORAGE_COLLECTION_H
#define GALLEY_STORAGE_COLLECTION_H

#include "base/json.h"
#include "storage/store.h"

#define DOC_ID_MAX             200
#define COLLECTION_INDEXES_MAX 8

struct collection;

/* Strings, numbers and booleans are indexed, all else counts as null. Order: null, false, true,
 * numbers, strings by their bytes, UUIDs; a string above 160 bytes is among those that begin as it
 * does. */
struct index_spec {
    const char *fields; /* "userId", "address.city", "userId,createdAt" (up to 4), "items[].sku": an
                           entry for each element. It is also the index's name. */
    bool unique;        /* a second document with the same values, nulls too, is ERR_EXISTS */
    bool sparse;        /* documents with all fields null are not in the index */
};

/* Whether there can be such an index. */
bool index_spec_good(const struct index_spec *spec);

/* Declares a collection; the specs are copied. The first before threads start, others at any time,
 * one at a time. If its documents were stored with other indexes, those that are new are built and
 * those that are gone deleted, before it returns: some ten microseconds a document. A crash
 * meanwhile leaves it with the indexes that it had. ERR_EXISTS: documents have the same of what is
 * to be unique. */
enum err collection_open(struct store *store, const char *name, const struct index_spec *indexes,
                         unsigned index_count, struct collection **out);
void collection_close(struct collection **collection);

/* How many documents there are, and bytes of their texts: exact, and committed with them.
 * ERR_DAMAGED, which does not stick: not known, until the next check (verify.h) has counted. */
struct doc_count {
    uint64_t documents, bytes;
};
enum err collection_count(struct txn *txn, const struct collection *c, struct doc_count *out);

/* What there is of one. */
struct collection_size {
    const char *name;
    uint64_t documents, bytes; /* of their text */
    struct index_spec indexes[COLLECTION_INDEXES_MAX];
    unsigned index_count;
};
typedef void (*collection_size_fn)(const struct collection_size *size, void *arg);

/* Says of each collection that there is, open or not. One whose sums are not known is read for it.
 * Borrows for the call. Threads: any. */
enum err collections_measure(struct store *store, collection_size_fn each, void *arg);

struct doc {
    struct slice json; /* compact text, borrowed from the transaction */
    uint64_t version;
};

/* ERR_NOT_FOUND if there is none. */
enum err doc_get(struct txn *txn, const struct collection *c, struct slice id, struct doc *out);

/* doc_get, parsed; the caller owns *out (json_decref). `version` may be NULL. */
enum err doc_load(struct txn *txn, const struct collection *c, struct slice id, json_t **out,
                  uint64_t *version);

/* A new document; its "id" member says which. ERR_EXISTS if there is one or a unique index objects.
 * Does not take ownership. */
enum err doc_insert(struct txn *txn, const struct collection *c, const json_t *doc);

/* The same of compact text that we wrote ourselves (json_printf), not read by anybody: it is stored
 * as it is. It must not be borrowed from the transaction. */
enum err doc_insert_text(struct txn *txn, const struct collection *c, struct slice json);

/* Replaces the document of the same "id" and counts its version up. if_version 0: whatever is
 * there; else ERR_PRECONDITION when the present version is another. ERR_NOT_FOUND if there is none.
 */
enum err doc_replace(struct txn *txn, const struct collection *c, const json_t *doc,
                     uint64_t if_version);
enum err doc_replace_text(struct txn *txn, const struct collection *c, struct slice json,
                          uint64_t if_version);

/* A document ready to be written: what can be worked out of its text (its key, its index entries)
 * is, so that the writer thread need not. Borrows the text until destroyed. May be written again
 * and again (a transaction may run up to three times). ERR_VALIDATION, and *out NULL, if the text
 * has no id that fits or more than 1000 index entries. Threads: any. */
struct doc_draft;
enum err doc_draft_create(const struct collection *c, struct slice json, struct doc_draft **out);
void doc_draft_destroy(struct doc_draft **draft);
enum err doc_insert_draft(struct txn *txn, const struct doc_draft *draft);
enum err doc_replace_draft(struct txn *txn, const struct doc_draft *draft, uint64_t if_version);

/* Adds `by` to an integer member, unless the sum would be below `min`: ERR_PRECONDITION then, which
 * does not stick. *value is the member's value afterwards, *doc, if it is not NULL, all of the
 * document, valid until the transaction ends, or until its next write after an error. Nothing else
 * of the document is looked at, so the member must not be indexed (asserted). ERR_VALIDATION if it
 * is not an integer. */
enum err doc_add(struct txn *txn, const struct collection *c, struct slice id, const char *member,
                 int64_t by, int64_t min, int64_t *value, struct doc *doc);

enum err doc_delete(struct txn *txn, const struct collection *c, struct slice id);

/* Walks documents in the order of ids, or of one index. Return false from `each` to stop. */
struct doc_place {
    uint16_t len; /* 0: the beginning */
    uint8_t bytes[STORE_KEY_MAX];
};
struct doc_scan {
    const char *index;   /* the fields of an index, or NULL: by id */
    const json_t *equal; /* with index: only documents with this value, or in an array with these
                            values of the first fields */
    struct slice
        after; /* id to begin behind, or empty; with an index all its values must be given */
    struct doc_place *place; /* or NULL: to begin behind, instead of `after`, whatever has become of
                                the document there; then set to where the walk has stopped.
                                ERR_VALIDATION if it is of another walk. */
    bool *more;              /* or NULL: set to whether the walk has stopped, behind one document at
                                least, because the transaction has lasted long enough
                                (txn_out_of_time): it goes on behind the place in another */
    bool descending;
    unsigned limit; /* 0: none */
};
typedef bool (*doc_fn)(struct slice id, const struct doc *doc, void *arg);
enum err doc_walk(struct txn *txn, const struct collection *c, const struct doc_scan *scan,
                  doc_fn each, void *arg);

/* doc_walk, without a limit, in as many snapshots as it takes: what is changed meanwhile behind the
 * walk may be seen or not, all else is seen once. scan->place and ->more are its own. Threads: any.
 */
enum err doc_walk_all(struct store *store, const struct collection *c, const struct doc_scan *scan,
                      doc_fn each, void *arg);

#endif
