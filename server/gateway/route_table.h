/* The routes, compiled into a trie over path segments. Immutable after creating. Threads: any. */
#ifndef GALLEY_SERVER_GATEWAY_ROUTE_TABLE_H
#define GALLEY_SERVER_GATEWAY_ROUTE_TABLE_H

#include "server/gateway/gateway.h"

struct route {
    struct route_spec spec;        /* spec.pattern is a copy that lives as long as the process */
    struct route_traffic *traffic; /* these two are tied to it by its plan (plan.c) */
    uint64_t limit_scope;
    struct cors *cors;     /* or NULL */
    struct buf limit_head; /* rate_limit.c: the part of the limit's headers that never changes */
};

/* The routes of one path pattern, by method. */
struct route_set {
    const struct route *by_method[METHOD_COUNT];
};

/* The route for the method, or NULL; HEAD is answered by GET's. */
const struct route *route_set_find(const struct route_set *routes, enum method method);

/* Appends the methods that the path answers: "GET, HEAD, OPTIONS". */
void route_set_list(const struct route_set *routes, struct buf *out);

struct route_table;

/* ERR_VALIDATION for a pattern that is none, ERR_EXISTS for two routes of one method and shape;
 * why[why_size] names the pattern. */
enum err route_table_create(const struct route_spec *specs, unsigned count,
                            struct route_table **out, char *why, size_t why_size);
void route_table_destroy(struct route_table **table);

/* In the order of the specs; for whoever fills in what is missing before the table is shared. */
struct route *route_table_at(struct route_table *table, unsigned index);

/* The routes whose pattern fits the path best, or NULL if none fits. */
const struct route_set *route_table_find(const struct route_table *table, struct slice path);

/* Fills the request's params from its path, which fits the route's pattern. The rest that a final
 * "*" stands for is the parameter "*". */
void route_bind_params(const struct route *route, struct request *request);

#endif
