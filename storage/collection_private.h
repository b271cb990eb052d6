/* What the files about collections share.
 *
 * A document lies in up to three tables, all of format 2 (docs/format.md):
 * - docs, chained: (collection, id) -> a record of the document's text, or of TEXT_ELSEWHERE if it
 * is long;
 * - doc_texts: (collection, id) -> a record of the long text, of the same version;
 * - doc_index, chained: what index_entries says of definition and document, (index, values, id). In
 * a unique index the id stands in the value. */
#ifndef GALLEY_STORAGE_COLLECTION_PRIVATE_H
#define GALLEY_STORAGE_COLLECTION_PRIVATE_H

#include "storage/chain_private.h"
#include "storage/change_feed.h"
#include "storage/collection.h"
#include "storage/key.h"

#define TEXT_INLINE_MAX 1600 /* bytes of text that stand in the leaf page */
#define TEXT_ELSEWHERE  "\1" /* no text begins so */
#define NAME_MAX_BYTES  64
#define FIELDS_MAX      4    /* of an index */
#define STEPS_MAX       8    /* of a field: address.city has 2 */
#define ENTRIES_MAX     1000 /* of one document in all indexes */
#define LEFTOVERS_MAX   (2 * COLLECTION_INDEXES_MAX)

/* One field of an index: the way from the document to its values. */
struct field {
    unsigned depth;
    struct field_step {
        const char *member;
        bool each; /* the member is an array, and the way goes on from each element */
    } steps[STEPS_MAX];
};

struct index {
    char *fields; /* as declared, and its name */
    char *names;  /* the same in pieces, for the steps */
    unsigned number;
    bool unique, sparse;
    unsigned field_count;
    struct field list[FIELDS_MAX];
    struct key prefix;
};

/* What is counted of a collection, in the table `sums`: an addition for each change. */
enum collection_sum { SUM_DOCUMENTS, SUM_BYTES, COLLECTION_SUMS };

struct collection {
    char *name;
    unsigned number;
    struct table meta;
    struct chain docs, entries;
    struct table texts, sums;
    struct key prefix;
    struct key sum_keys[COLLECTION_SUMS];
    unsigned index_count;
    struct index list[COLLECTION_INDEXES_MAX];
    /* Of the catalog, for verifying: numbers of indexes that are being built or deleted. */
    unsigned leftover_count, leftovers[LEFTOVERS_MAX];
    struct change_feed *feed; /* that is told of its documents, or NULL; the writer thread's */
    bool feeds_before;
};

/* ---- catalog.c: names and numbers. */

/* The catalog of a directory without collections. */
enum err catalog_create(struct txn *txn, struct table meta);

/* Gives c and its indexes their numbers, new ones if it is new or has other indexes and no
 * documents; ERR_CONFLICT if it has. */
enum err catalog_register(struct txn *txn, struct collection *c);

/* reindex.c: gives c the numbers of its indexes; which of them are fresh, and leftovers until
 * catalog_end_change, which makes those of c the collection's and leftovers of all others. */
enum err catalog_begin_change(struct txn *txn, struct collection *c,
                              bool fresh[COLLECTION_INDEXES_MAX]);
enum err catalog_end_change(struct txn *txn, const struct collection *c);
/* The first number of which entries may be left; 0: there is none. */
enum err catalog_leftover(struct txn *txn, const struct collection *c, unsigned *number);
enum err catalog_forget_leftover(struct txn *txn, const struct collection *c, unsigned number);

/* The number of a journal, given to it if it is new. *is_first: the catalog has had none yet. */
enum err catalog_journal(struct txn *txn, struct table meta, const char *name, unsigned *number,
                         bool *is_new, bool *is_first);

/* A collection with indexes as in the catalog, without their numbers; and a collection as it stands
 * there. ERR_NOT_FOUND if it does not. */
enum err catalog_add(struct txn *txn, struct table meta, const char *name, json_t *indexes);
enum err catalog_find(struct txn *txn, const struct collection *tables, const char *name,
                      struct collection **out);
/* All of them; the caller closes each and frees the list. */
enum err catalog_find_all(struct txn *txn, const struct collection *tables,
                          struct collection ***out, unsigned *count);

/* ---- sizes.c: how much there is. */

/* Makes the keys of a collection that has its number. */
void sizes_init(struct collection *c);

/* How many of its sums there are. None: it was never counted, as in an older program's directory.
 */
unsigned sizes_there(struct txn *txn, const struct collection *c);

/* Counts a collection whose sums are not there. */
enum err sizes_begin(struct txn *txn, const struct collection *c);

/* A change has so many more documents, and bytes of text. */
enum err sizes_add(struct txn *txn, const struct collection *c, int documents, int64_t bytes);

/* The length of the text that an entry of the table docs stands for, be it sound or not. */
int64_t sizes_text_len(struct txn *txn, const struct collection *c,
                       const struct chain_entry *entry);

/* Makes the sums what was counted, whatever they are. */
enum err sizes_set(struct txn *txn, const struct collection *c, const struct doc_count *counted);

/* ---- index.c: what an index holds, a function of its definition and a document. */

/* Reads "address.city,tags[]". False if it is none. */
bool index_define(struct index *index, const struct index_spec *spec);
void index_release(struct index *index);

/* An index entry's key, (index, values, id) or, if unique, (index, values), in a set's bytes. */
struct entry {
    const struct index *index;
    uint32_t at;
    uint16_t len;
};

/* Entries, in the order of their keys, each once. */
struct entry_set {
    struct buf bytes;
    struct entry *list;
    unsigned count, capacity;
};

static inline struct slice entry_key(const struct entry_set *set, unsigned i)
{
    return slice_of(set->bytes.data + set->list[i].at, set->list[i].len);
}

/* Fills an empty set with the document's entries in all indexes. `id` is the last part of its key.
 * ERR_VALIDATION if there are too many. Threads: any. */
enum err index_entries(const struct collection *c, struct slice id, struct slice json,
                       struct entry_set *out);
void entry_set_release(struct entry_set *set);

/* What the keys of all documents with this value, or these first values, begin with; false if there
 * can be none. */
bool index_prefix(const struct index *index, const json_t *equal, struct key *out);

/* The most bytes that a string takes in the index's keys. */
unsigned index_value_max(const struct index *index);

/* Whether the document's strings are those of `equal`: for prefixes whose strings were cut. */
bool index_matches(const struct index *index, const json_t *doc, const json_t *equal);

/* ---- entries.c: index entries in the table. */

/* One entry that is not there. */
enum err entry_add(struct txn *txn, const struct collection *c, const struct entry *entry,
                   struct slice key, struct slice id);

/* Makes the entries of the document `id` those of `now` instead of those of `before`; either may be
 * empty. First all that unique indexes have to say: ERR_EXISTS, sticky, before anything is written.
 */
enum err entries_check(struct txn *txn, const struct collection *c, const struct entry_set *before,
                       const struct entry_set *now);
enum err entries_change(struct txn *txn, const struct collection *c, struct slice id,
                        const struct entry_set *before, const struct entry_set *now);

/* The id part in an entry. */
enum err entry_id(struct txn *txn, const struct collection *c, const struct index *index,
                  const struct chain_entry *entry, struct slice *out);

/* ---- reindex.c */

/* Makes the indexes of a collection, which has documents, those that c declares; nobody writes to
 * it meanwhile. ERR_EXISTS: documents have the same of what is to be unique. */
enum err collection_reindex(struct store *store, struct collection *c);
/* Deletes what is left of indexes that are no more. */
enum err collection_tidy(struct store *store, struct collection *c);

/* ---- change_feed.c: of a collection with a feed. */

/* Whether an event of the document fits, if there has to be one. */
bool change_feed_fits(const struct collection *c, struct slice json);
/* After the document was written: neither text is borrowed from the transaction. */
enum err change_feed_add(struct txn *txn, const struct collection *c, enum document_event_kind kind,
                         uint64_t version, struct slice json, struct slice before);

/* ---- collection.c */

/* The tables that all collections share. */
enum err collection_open_tables(struct store *store, struct collection *c);

bool document_id_fits(struct slice id);

/* doc_insert_text with a version of its own. */
enum err doc_restore(struct txn *txn, const struct collection *c, struct slice json,
                     uint64_t version);

/* The document that a checked entry of the table docs is. */
enum err document_of(struct txn *txn, const struct collection *c, const struct chain_entry *entry,
                     struct doc *out);

/* The document that a checked entry of an index is about, and the id as it stands in keys. */
enum err document_of_index(struct txn *txn, const struct collection *c, const struct index *index,
                           const struct chain_entry *entry, struct slice *id, struct doc *out);

#endif
