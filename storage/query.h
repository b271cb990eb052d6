/* Queries: a page of those documents of a collection that an expression holds for, in an order.
 *
 * The planner takes the index whose first fields the filter says to be equal to something, and
 * behind them a range, or the order that is asked for; otherwise it looks at all documents. What
 * the index cannot tell is asked of each document. How many are looked at is bounded, and so is the
 * time; a long query goes through several snapshots, so that none holds pages back.
 *
 * Order: that of storage/key.h, null < false < true < numbers < strings < UUIDs; a long
 * string (of 160 bytes, 75 among four fields) is among those that begin as it does, arrays and
 * objects count as null. Documents that are
 * equal in it come by their ids, in the direction of the last field. Indexes are ascending and are
 * walked either way: "-author,-createdAt" uses the index "author,createdAt", "author,-createdAt" is
 * sorted in memory, unless the filter says which author. A document that changes while its pages
 * are read may be on two of them or on none; all else is on one. */
#ifndef GALLEY_STORAGE_QUERY_H
#define GALLEY_STORAGE_QUERY_H

#include "base/clock.h"
#include "base/expr.h"
#include "storage/collection.h"

#define QUERY_LIMIT_MAX 1000
#define QUERY_SORT_MAX  4 /* fields */
#define QUERY_WHY_SIZE  200

struct query {
    const struct collection *collection;
    const struct expr *filter;                   /* or NULL: all documents */
    const struct expr_env *env;                  /* of the filter's variables, or NULL */
    bool (*passes)(struct slice doc, void *arg); /* asked of each document besides, or NULL */
    void *passes_arg;
    struct slice sort; /* "-price,address.city"; "id". Empty: as the index that is used has it */
    const struct clock *clock;
    unsigned limit;        /* 1 to QUERY_LIMIT_MAX */
    unsigned scan_max;     /* documents that may be looked at; 0: no bound */
    int64_t time_max_ms;   /* 0: no bound */
    struct slice after;    /* the cursor of the page before, or empty */
    struct slice bound_to; /* what else a cursor is bound to: the filter as it was written */
};

/* What it took. */
struct query_report {
    const char *index; /* its fields, "id" for the documents themselves; as the collection lives */
    struct buf range;  /* what of it: `author = "u1", createdAt > 5`; empty: all of it */
    bool sorted;       /* in memory: the index has another order */
    unsigned looked_at, returned, snapshots;
    int64_t time_ns;
};

struct query_page {
    struct buf cursor; /* text of the characters of base64url: where the next page begins */
    bool has_next;
    struct query_report report;
    char why[QUERY_WHY_SIZE]; /* a sentence, of ERR_VALIDATION */
};

/* Calls each() with the documents of the page, in order; it must not write, and false ends the
 * page behind this document. *out is filled whatever is returned, and to be released.
 * ERR_VALIDATION: the sort or the cursor is wrong, or the cursor is one of another query, or its
 * index is gone. ERR_SCAN_TOO_LARGE: the bound of documents or time; each() may have been called.
 * Threads: any. */
enum err query_run(struct store *store, const struct query *query, doc_fn each, void *arg,
                   struct query_page *out);

/* How many there are on all pages; sort, limit and after do not matter. */
enum err query_count(struct store *store, const struct query *query, uint64_t *count,
                     struct query_page *out);

/* Figures over all pages, "count,sum(total),avg(total),min(name)", for all documents together or
 * for each group by up to four members, "status,address.city". Appends an array in the order of
 * groups: [{"status":"held","count":3,"sum(total)":41}]. Sums and averages are of what are numbers,
 * least and greatest of numbers and strings; of none the sum is 0, the rest null. ERR_VALIDATION
 * with a sentence; ERR_SCAN_TOO_LARGE also for more than QUERY_GROUPS_MAX groups. */
#define QUERY_GROUPS_MAX 1000
enum err query_aggregate(struct store *store, const struct query *query, struct slice functions,
                         struct slice group, struct buf *out, struct query_page *page);

void query_page_release(struct query_page *page);

#endif
