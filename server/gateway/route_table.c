/* DESIGN. A pattern is cut at its slashes into segments; each segment is an edge of the trie: a
 * literal, a {param} (any one segment that is not empty) or a final "*" (all that remains, at least
 * an empty segment: "/files/" + "*" takes "/files/" but not "/files", unless the route is of the
 * place "/files" itself). A search goes down in the order of precedence and takes the first route
 * that it meets, but for those behind a "*": of them it keeps the deepest, for when no pattern fits
 * the whole path. Where a method or condition does not fit it goes on, as the next may.
 *
 * Each host that a route names has a trie of its own, with the server's own routes in each; without
 * hosts there is one trie and nobody looks at the name. Params are not gathered while searching:
 * once a route is found, its pattern and the path are walked side by side. */
#include "server/gateway/route_table.h"

#include "server/gateway/gateway_private.h"
#include "server/gateway/respond.h"
#include "server/gateway/route_pattern.h"

#include "base/mem.h"
#include "server/http/host.h"
#include "server/transform/transform.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define ANY_METHOD METHOD_COUNT

struct node {
    struct slice segment;   /* a literal's text, borrowed from the pattern of the first route */
    struct node **literals; /* sorted by length, then bytes */
    unsigned literal_count;
    struct node *param;
    struct node *rest;
    bool ends_here; /* at least one route */
    bool own;       /* all are the server's own: the search ends here */
    /* Those that may answer a method, the most particular first; ends with NULL. NULL: none. Of
     * ANY_METHOD all. */
    const struct route **by_method[METHOD_COUNT + 1];
};

struct host_routes {
    char name[HOST_NAME_MAX + 1]; /* in its normal form; ".example.org" is all that ends so */
    struct node root;
};

struct route_table {
    struct node root;           /* of any host */
    struct host_routes **hosts; /* sorted */
    unsigned host_count;
    struct route *routes;
    unsigned count;
};

/* Patterns outlive the table: lines in the log's ring point at them (log.h). One copy of each text
 * is kept, however many tables come and go. Threads: one at a time (plan_create). */
static const char *keep_text(const char *text)
{
    static struct kept {
        struct kept *next;
        char text[];
    } * all;
    if (!text)
        return NULL;
    for (struct kept *kept = all; kept; kept = kept->next) {
        if (strcmp(kept->text, text) == 0)
            return kept->text;
    }
    size_t size = strlen(text) + 1;
    struct kept *kept = mem_alloc(sizeof *kept + size);
    kept->next = all;
    memcpy(kept->text, text, size);
    all = kept;
    return kept->text;
}

/* ---- The trie */

static int compare_segments(struct slice a, struct slice b)
{
    if (a.len != b.len)
        return a.len < b.len ? -1 : 1;
    return a.len == 0 ? 0 : memcmp(a.ptr, b.ptr, a.len);
}

/* Where the literal is among the node's children, or would be: *found says which. */
static unsigned literal_position(const struct node *node, struct slice segment, bool *found)
{
    unsigned low = 0, high = node->literal_count;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        int order = compare_segments(node->literals[middle]->segment, segment);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found = false;
    return low;
}

static struct node *literal_child(struct node *node, struct slice segment)
{
    bool found;
    unsigned at = literal_position(node, segment, &found);
    if (found)
        return node->literals[at];
    struct node *child = mem_zalloc(sizeof *child);
    child->segment = segment;
    node->literals = mem_realloc(node->literals, (node->literal_count + 1) * sizeof(struct node *));
    memmove(node->literals + at + 1, node->literals + at,
            (node->literal_count - at) * sizeof(struct node *));
    node->literals[at] = child;
    node->literal_count++;
    return child;
}

static struct node *only_child(struct node **child)
{
    if (!*child)
        *child = mem_zalloc(sizeof **child);
    return *child;
}

/* The node that a pattern leads to, made as needed. */
static struct node *plant(struct node *root, const char *pattern)
{
    struct node *node = root;
    struct slice rest = slice_str(pattern + 1);
    while (rest.ptr) {
        struct slice segment = slice_cut(&rest, '/');
        enum segment_kind kind = segment_kind(segment, !rest.ptr);
        if (kind == SEGMENT_LITERAL)
            node = literal_child(node, segment);
        else
            node = only_child(kind == SEGMENT_PARAM ? &node->param : &node->rest);
    }
    return node;
}

static void release_below(struct node *node)
{
    for (unsigned i = 0; i <= ANY_METHOD; i++)
        free(node->by_method[i]);
    for (unsigned i = 0; i < node->literal_count; i++) {
        release_below(node->literals[i]);
        free(node->literals[i]);
    }
    free(node->literals);
    struct node *const others[] = {node->param, node->rest};
    for (unsigned i = 0; i < 2; i++) {
        if (others[i])
            release_below(others[i]);
        free(others[i]);
    }
}

/* ---- What is more particular */

static unsigned conditions_of(const struct route *route, enum condition_kind first,
                              enum condition_kind last)
{
    unsigned count = 0;
    for (unsigned i = 0; i < route->condition_count; i++)
        count += route->conditions[i].kind >= first && route->conditions[i].kind <= last;
    return count;
}

/* 0: the method itself; 1: GET's for HEAD; 2: any. */
static int method_distance(const struct route *route, enum method method)
{
    return route->spec.any_method ? 2 : route->spec.method != method;
}

/* Below 0 if `a` comes before `b`, which ends in the same place of the same trie. */
static int compare_routes(const struct route *a, const struct route *b, enum method method)
{
    static const enum condition_kind ranks[][2] = {
        {CONDITION_HEADER, CONDITION_HEADER},
        {CONDITION_QUERY, CONDITION_QUERY},
        {CONDITION_QUERY + 1, CONDITION_KINDS - 1},
    };
    int order = (int)b->spec.own - (int)a->spec.own;
    if (order == 0)
        order = method_distance(a, method) - method_distance(b, method);
    for (unsigned i = 0; order == 0 && i < sizeof ranks / sizeof *ranks; i++)
        order = (int)conditions_of(b, ranks[i][0], ranks[i][1]) -
                (int)conditions_of(a, ranks[i][0], ranks[i][1]);
    return order ? order : (int)a->index - (int)b->index;
}

static bool has_condition(const struct route *route, const struct condition *condition)
{
    for (unsigned i = 0; i < route->condition_count; i++) {
        if (condition_same(&route->conditions[i], condition))
            return true;
    }
    return false;
}

/* True if every request that one of them fits, the other fits as well. */
static bool is_equal(const struct route *a, const struct route *b)
{
    bool equal = a->condition_count == b->condition_count &&
                 a->spec.any_method == b->spec.any_method &&
                 (a->spec.any_method || a->spec.method == b->spec.method);
    for (unsigned i = 0; equal && i < a->condition_count; i++)
        equal = has_condition(b, &a->conditions[i]) && has_condition(a, &b->conditions[i]);
    return equal;
}

/* ---- Making */

static bool answers(const struct route *route, enum method method)
{
    return route->spec.any_method || route->spec.method == method || method == ANY_METHOD ||
           (method == METHOD_HEAD && route->spec.method == METHOD_GET);
}

/* Puts a route in its place of a list. Returns the one that is the same, if there is one. */
static const struct route *insert(const struct route ***list, const struct route *route,
                                  enum method method)
{
    const struct route **at = *list;
    unsigned count = 0, place = 0;
    for (; at && at[count]; count++) {
        if (is_equal(at[count], route))
            return at[count];
        place += compare_routes(at[count], route, method) < 0;
    }
    at = *list = mem_realloc(at, (count + 2) * sizeof(const struct route *));
    memmove(at + place + 1, at + place, (count - place) * sizeof(const struct route *));
    at[place] = route;
    at[count + 1] = NULL;
    return NULL;
}

static const struct route *add_at(struct node *root, const struct route *route)
{
    struct node *node = plant(root, route->spec.pattern);
    const struct route *same = NULL;
    for (unsigned method = 0; !same && method <= ANY_METHOD; method++) {
        if (answers(route, method))
            same = insert(&node->by_method[method], route, method);
    }
    node->ends_here = true;
    node->own |= route->spec.own;
    return same;
}

/* Where the name is among the hosts, or would be: *found says which. */
static unsigned host_position(const struct route_table *table, const char *name, bool *found)
{
    unsigned low = 0, high = table->host_count;
    *found = false;
    while (low < high && !*found) {
        unsigned middle = low + (high - low) / 2;
        int order = strcmp(table->hosts[middle]->name, name);
        *found = order == 0;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return high;
}

static struct node *host_root(struct route_table *table, const char *name)
{
    bool found;
    unsigned at = host_position(table, name, &found);
    if (found)
        return &table->hosts[at]->root;
    struct host_routes *host = mem_zalloc(sizeof *host);
    memcpy(host->name, name, strlen(name) + 1);
    table->hosts =
        mem_realloc(table->hosts, (table->host_count + 1) * sizeof(struct host_routes *));
    memmove(table->hosts + at + 1, table->hosts + at,
            (table->host_count - at) * sizeof(struct host_routes *));
    table->hosts[at] = host;
    table->host_count++;
    return &host->root;
}

/* "*.Example.org" is ".example.org". */
static bool host_key(const char *text, char out[HOST_NAME_MAX + 1])
{
    bool suffix = strncmp(text, "*.", 2) == 0;
    struct host host;
    if (!host_parse(slice_str(suffix ? text + 2 : text), &host) || host.port ||
        (suffix && host.ipv6))
        return false;
    size_t len = host_normalise(&host, out + suffix);
    if (suffix)
        out[0] = '.';
    return len + suffix <= HOST_NAME_MAX;
}

static enum err add_route(struct route_table *table, const struct route *route, char *why,
                          size_t why_size)
{
    const struct route_spec *spec = &route->spec;
    char name[HOST_NAME_MAX + 2];
    struct node *root = &table->root;
    if (spec->host && !host_key(spec->host, name)) {
        snprintf(why, why_size, "%s is not a host", spec->host);
        return ERR_VALIDATION;
    }
    if (spec->host)
        root = host_root(table, name);
    const struct route *same = add_at(root, route);
    if (!same)
        return ERR_OK;
    snprintf(why, why_size, "two routes for %s %s",
             spec->any_method ? "any method and" : method_name(spec->method), spec->pattern);
    return ERR_EXISTS;
}

static enum err read_conditions(struct route *route, char *why, size_t why_size)
{
    const struct route_spec *spec = &route->spec;
    route->conditions = mem_zalloc((spec->condition_count + 1) * sizeof *route->conditions);
    for (unsigned i = 0; i < spec->condition_count; i++) {
        char reason[160];
        route->condition_count++;
        if (!condition_parse(spec->conditions[i].kind, slice_str(spec->conditions[i].text),
                             &route->conditions[i], reason, sizeof reason)) {
            snprintf(why, why_size, "%s: %s", spec->conditions[i].text, reason);
            return ERR_VALIDATION;
        }
    }
    route->spec.conditions = NULL; /* the caller's */
    return ERR_OK;
}

static enum err take_over(struct route *route, char *why, size_t why_size)
{
    struct route_spec *spec = &route->spec;
    assert(spec->limit.count == 0 || spec->limit.burst > 0);
    const char **const texts[] = {&spec->pattern,  &spec->host,  &spec->section,
                                  &spec->leads_to, &spec->label, &spec->rewrite};
    for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++)
        *texts[i] = keep_text(*texts[i]);
    if (!spec->label)
        spec->label = spec->pattern;
    for (unsigned role = 0; role < spec->role_count; role++)
        spec->roles[role] = keep_text(spec->roles[role]);
    for (unsigned key = 0; key < spec->cache.key_count; key++)
        spec->cache.keys[key] = keep_text(spec->cache.keys[key]);
    route->addresses = address_rules_create(&spec->addresses);
    spec->addresses = (struct address_lists){0};
    route->cors = cors_create(spec->cors);
    spec->cors = NULL; /* the caller's */
    rate_limit_write_head(NULL, &spec->limit, &route->limit_heads[0]);
    for (unsigned i = 0; i < spec->tier_count; i++)
        rate_limit_write_head(spec->tiers[i].role, &spec->tiers[i].limit,
                              &route->limit_heads[1 + i]);
    if (spec->any_method)
        route->by_method = mem_zalloc(METHOD_COUNT * sizeof *route->by_method);
    if (!pattern_ok(spec->pattern)) {
        snprintf(why, why_size,
                 "%s is not a path pattern (literals, {param}, a final *, at most %d"
                 " of the latter two)",
                 spec->pattern, PARAMS_MAX);
        return ERR_VALIDATION;
    }
    return read_conditions(route, why, why_size);
}

/* The server's own routes are found under every host. */
static void add_own_to_hosts(struct route_table *table)
{
    for (unsigned i = 0; i < table->host_count; i++) {
        for (unsigned at = 0; at < table->count; at++) {
            const struct route *route = &table->routes[at];
            if (route->spec.own && !route->spec.host)
                add_at(&table->hosts[i]->root, route);
        }
    }
}

enum err route_table_create(const struct route_spec *specs, unsigned count,
                            struct route_table **out, char *why, size_t why_size)
{
    struct route_table *table = mem_zalloc(sizeof *table);
    table->routes = mem_zalloc((count + 1) * sizeof *table->routes);
    table->count = count;
    for (unsigned i = 0; i < count; i++)
        table->routes[i] = (struct route){.spec = specs[i], .index = i};
    enum err err = ERR_OK;
    for (unsigned i = 0; !err && i < count; i++) {
        err = take_over(&table->routes[i], why, why_size);
        if (!err)
            err = add_route(table, &table->routes[i], why, why_size);
    }
    if (err)
        route_table_destroy(&table);
    else
        add_own_to_hosts(table);
    *out = table;
    return err;
}

static void release_route(struct route *route)
{
    for (unsigned i = 0; i < route->condition_count; i++)
        condition_release(&route->conditions[i]);
    free(route->conditions);
    free(route->by_method);
    for (unsigned tier = 0; tier <= ROUTE_TIERS_MAX; tier++)
        buf_release(&route->limit_heads[tier]);
    cors_destroy(&route->cors);
    address_rules_destroy(&route->addresses);
    cidr_list_release(&route->spec.addresses.allow);
    cidr_list_release(&route->spec.addresses.deny);
    if (route->spec.fallback)
        respond_drop(route->spec.fallback);
    transform_destroy(&route->spec.transform);
    if (route->spec.drop)
        route->spec.drop(route->spec.arg);
}

void route_table_destroy(struct route_table **table)
{
    struct route_table *t = *table;
    if (!t)
        return;
    release_below(&t->root);
    for (unsigned i = 0; i < t->host_count; i++) {
        release_below(&t->hosts[i]->root);
        free(t->hosts[i]);
    }
    free(t->hosts);
    for (unsigned i = 0; i < t->count; i++)
        release_route(&t->routes[i]);
    free(t->routes);
    free(t);
    *table = NULL;
}

unsigned route_table_count(const struct route_table *table)
{
    return table->count;
}

struct route *route_table_at(const struct route_table *table, unsigned index)
{
    assert(index < table->count);
    return &table->routes[index];
}

/* ---- Finding */

struct search {
    const struct request *request;
    enum method method;
    bool over;                  /* at a path of the server's own */
    const struct route *prefix; /* behind the deepest "*" so far */
    unsigned depth;             /* of that */
};

static bool conditions_hold(const struct route *route, const struct request *request)
{
    for (unsigned i = 0; i < route->condition_count; i++) {
        if (!condition_holds(&route->conditions[i], request))
            return false;
    }
    return true;
}

/* `placed`: only those that are of the place itself. */
static const struct route *pick(const struct node *node, const struct search *search, bool placed)
{
    const struct route *const *at = node->by_method[search->method];
    for (; at && *at; at++) {
        if ((!placed || (*at)->spec.place) && conditions_hold(*at, search->request))
            return *at;
    }
    return NULL;
}

static void look_at_prefix(const struct node *rest, unsigned depth, struct search *search,
                           bool placed)
{
    if (search->prefix && depth <= search->depth)
        return;
    const struct route *route = pick(rest, search, placed);
    if (!route)
        return;
    search->prefix = route;
    search->depth = depth;
}

static const struct route *arrive(const struct node *node, unsigned depth, struct search *search)
{
    const struct route *route = node->ends_here ? pick(node, search, false) : NULL;
    search->over = node->own;
    if (!route && node->rest)
        look_at_prefix(node->rest, depth, search, true);
    return route;
}

/* The first route whose pattern fits the whole path. A node has one parent, so however the search
 * turns back it looks at each node at most once. */
static const struct route *descend(const struct node *node, struct slice rest, unsigned depth,
                                   struct search *search)
{
    if (!rest.ptr)
        return arrive(node, depth, search);
    if (node->rest && node->rest->own) {
        search->over = true;
        return pick(node->rest, search, false);
    }
    if (node->rest)
        look_at_prefix(node->rest, depth, search, false);
    struct slice segment = slice_cut(&rest, '/');
    bool found;
    unsigned at = literal_position(node, segment, &found);
    const struct route *route = NULL;
    if (found)
        route = descend(node->literals[at], rest, depth + 1, search);
    if (!route && !search->over && node->param && segment.len > 0)
        route = descend(node->param, rest, depth + 1, search);
    return route;
}

static const struct route *find_below(const struct node *root, struct search *search)
{
    struct slice path = search->request->path;
    search->prefix = NULL;
    const struct route *route = descend(root, slice_of(path.ptr + 1, path.len - 1), 0, search);
    return route || search->over ? route : search->prefix;
}

/* Under the host itself, then under what it ends in, the longest first. */
static const struct route *find_under_host(const struct route_table *table, struct search *search)
{
    struct host host;
    char name[HOST_NAME_MAX + 1];
    if (!host_parse(request_host(search->request), &host))
        return NULL;
    host_normalise(&host, name);
    const struct route *route = NULL;
    for (const char *at = name; at && !route && !search->over; at = strchr(at + 1, '.')) {
        bool found;
        unsigned place = host_position(table, at, &found);
        if (found)
            route = find_below(&table->hosts[place]->root, search);
    }
    return route;
}

const struct route *route_table_find(const struct route_table *table, const struct request *request,
                                     enum method method)
{
    assert(request->path.len > 0 && request->path.ptr[0] == '/');
    struct search search = {.request = request, .method = method};
    const struct route *route = NULL;
    if (table->host_count > 0)
        route = find_under_host(table, &search);
    return route || search.over ? route : find_below(&table->root, &search);
}

/* Most of those who ask have a path at which there is nothing. */
unsigned route_table_methods(const struct route_table *table, const struct request *request)
{
    unsigned methods = 0;
    if (!route_table_find(table, request, ANY_METHOD))
        return 0;
    for (enum method method = 0; method < METHOD_COUNT; method++) {
        if (route_table_find(table, request, method))
            methods |= 1U << method;
    }
    return methods;
}
