/* What the files of queries share. */
#ifndef GALLEY_STORAGE_QUERY_PRIVATE_H
#define GALLEY_STORAGE_QUERY_PRIVATE_H

#include "storage/collection_private.h"
#include "storage/query.h"

#define SEGMENTS_MAX EXPR_IN_MAX

/* The keys from low up to high, without high. */
struct segment {
    struct key low, high;
};

/* A sort is an index that exists nowhere: its entry for a document, without a prefix, is the
 * document's place in the order. */
struct sort {
    unsigned count;
    struct slice paths[QUERY_SORT_MAX];
    bool descending[QUERY_SORT_MAX];
    bool by_id_descending;     /* documents that are equal */
    struct collection virtual; /* with that index alone */
};

/* How a query goes. */
struct plan {
    const struct collection *c;
    const struct index *index; /* NULL: the documents themselves, by id */
    unsigned segment_count;    /* 0: there can be no such document */
    struct segment *segments;  /* in order; room for SEGMENTS_MAX */
    bool descending;
    bool is_sorted; /* in memory, by `sort` */
    struct sort sort;
    struct buf range;  /* in words */
    uint64_t identity; /* of index and order; a cursor is of one plan */
};

/* ---- query_sort.c */

/* ERR_VALIDATION with a sentence. To be released whatever it returns. */
enum err query_sort_read(struct slice text, struct sort *out, char *why);
void query_sort_release(struct sort *sort);

/* Where the document stands: values and id. `id` as in its key. */
bool query_sort_place(const struct sort *sort, struct slice id, struct slice json, struct key *out);
int query_sort_compare(const struct sort *sort, struct slice a, struct slice b);
/* Whether bytes of a stranger are such a place. */
bool query_sort_place_good(const struct sort *sort, struct slice place);

/* ---- query_plan.c: the best plan; or that with this identity, if it is not 0; or the best of
 * those that need not sort in memory. ERR_VALIDATION with a sentence, ERR_NOT_FOUND if there is
 * none such. To be released whatever it returns. */
struct plan_choice {
    uint64_t identity;
    bool in_order;
};
enum err query_plan_make(const struct query *query, struct plan_choice choice, struct plan *out,
                         char *why);
void query_plan_release(struct plan *plan);

/* ---- query_range.c */

/* The segments of an index whose first fields are in the key and whose next one is between these;
 * a bound may be NULL, and bounds are of one type. Returns how many. */
struct range {
    const struct expr_term *low, *high; /* or NULL */
    const struct expr_term *in;         /* or NULL: instead of both */
};
void query_range_narrow(struct range *range, const struct expr_term *term);
unsigned query_range_make(const struct key *prefix, const struct range *range, unsigned value_max,
                          struct segment *out);
void query_range_add_value(struct key *key, const struct expr_value *value, unsigned value_max);

/* ---- query_walk.c: what lies in a plan's segments, in its direction. */

struct walk_state {
    const struct plan *plan;
    struct key place; /* behind which it goes on; empty: the beginning */
    /* `id` as it stands in keys. */
    bool (*each)(struct slice id, const struct doc *doc, void *arg);
    void *arg;
    bool ended;   /* there is nothing behind */
    bool stopped; /* each() has returned false */
};

/* Goes on until the end, or each() stops it, or the transaction has lasted long enough. */
enum err query_plan_walk(struct txn *txn, struct walk_state *walk);

/* ---- query.c: each() gets all documents that the query finds, in any order, and ends the walk by
 * false. *out as of query_run; it has to be empty, but for `why`. */
enum err query_each(struct store *store, const struct query *query, doc_fn each, void *arg,
                    struct query_page *out);

#endif
