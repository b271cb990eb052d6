/* The routes, compiled: a trie over path segments for each host, and in each place of it the routes
 * that end there, the most particular first. Immutable after creating. Threads: any.
 *
 * Of the routes whose host, path, method and conditions all fit a request, it takes the one with
 *   1. the exact host, then the longest suffix, then any host;
 *   2. the exact path, then the pattern with parameters whose literals are further to the left,
 *      then the longest prefix;
 *   3. a method of its own (HEAD is also answered by GET's routes);
 *   4. more conditions on headers, then more on the query, then more others;
 *   5. the earlier place in the list.
 * The server's own routes come before all of that, under every host, whatever the method: nothing
 * else is found at their paths. */
#ifndef GALLEY_SERVER_GATEWAY_ROUTE_TABLE_H
#define GALLEY_SERVER_GATEWAY_ROUTE_TABLE_H

#include "server/gateway/gateway.h"
#include "server/http/condition.h"

struct route {
    struct route_spec spec;        /* its texts are copies that live as long as the process */
    struct route_traffic *traffic; /* these two are tied to it by its plan (plan.c) */
    uint64_t limit_scope;
    _Atomic(struct route_traffic *) *by_method; /* instead of `traffic`, of one for any method */
    struct condition *conditions;
    unsigned condition_count;
    unsigned index;                  /* in the order of the specs */
    struct cors *cors;               /* or NULL */
    struct address_rules *addresses; /* or NULL */
    /* Of the limit, and of each tier's: the part of its headers that never changes (rate_limit.c).
     */
    struct buf limit_heads[1 + ROUTE_TIERS_MAX];
};

struct route_table;

/* Takes the specs' args over (route_spec.drop), whatever it returns. ERR_VALIDATION for a pattern,
 * host or condition that is none, ERR_EXISTS for two routes of one host, method, shape and
 * conditions; why[why_size] names them. */
enum err route_table_create(const struct route_spec *specs, unsigned count,
                            struct route_table **out, char *why, size_t why_size);
void route_table_destroy(struct route_table **table);

unsigned route_table_count(const struct route_table *table);

/* In the order of the specs; for whoever fills in what is missing before the table is shared. */
struct route *route_table_at(const struct route_table *table, unsigned index);

/* The route that a request takes if its method is `method`, or NULL. */
const struct route *route_table_find(const struct route_table *table, const struct request *request,
                                     enum method method);

/* The methods that would find one, 1 << METHOD_GET | ...; 0: there is nothing at this path. */
unsigned route_table_methods(const struct route_table *table, const struct request *request);

/* Appends methods as Allow has them, and OPTIONS, which every path answers. */
void route_methods_list(unsigned methods, struct buf *out);

/* Fills the request's params from its path, which fits the route's pattern. The rest that a final
 * "*" stands for is the parameter "*". */
void route_bind_params(const struct route *route, struct request *request);

/* ---- Why */

enum route_verdict {
    ROUTE_TAKEN,
    ROUTE_OUTDONE,   /* all of it fits, but a more particular one is taken */
    ROUTE_HOST,      /* is another */
    ROUTE_PATH,      /* does not fit */
    ROUTE_METHOD,    /* is another */
    ROUTE_CONDITION, /* does not hold */
};

/* Says of each route, in the order of the specs, why the request takes it or does not; `failed` is
 * the condition of ROUTE_CONDITION, else NULL. Returns what route_table_find does. */
typedef void (*route_explain_fn)(const struct route *route, enum route_verdict verdict,
                                 const struct condition *failed, void *arg);
const struct route *route_table_explain(const struct route_table *table,
                                        const struct request *request, route_explain_fn explain,
                                        void *arg);

#endif
