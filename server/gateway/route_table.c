/* DESIGN. A pattern is cut at its slashes into segments; each segment is an edge of the trie: a
 * literal, a {param} (any one segment that is not empty) or a final "*" (all that remains, at least
 * an empty segment: "/files/" + "*" takes "/files/" but not "/files"). Precedence: a pattern that
 * fits the whole path wins over one with a "*", literals over params from the left, and among "*"
 * the deepest. Params are not gathered while searching: once a route is found, its pattern and the
 * path are walked side by side. */
#include "server/gateway/route_table.h"

#include "server/gateway/gateway_private.h"

#include "base/mem.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

struct node {
    struct slice segment;   /* a literal's text, borrowed from the pattern of the first route */
    struct node **literals; /* sorted by length, then bytes */
    unsigned literal_count;
    struct node *param;
    struct node *rest;
    bool ends_here; /* `routes` has at least one */
    struct route_set routes;
};

struct route_table {
    struct node root;
    struct route *routes;
    unsigned count;
};

/* Patterns outlive the table: lines in the log's ring point at them (log.h). One copy of each, and
 * of each role, is kept, however many tables come and go. Threads: one at a time (plan_create). */
static const char *keep_text(const char *text)
{
    static struct kept {
        struct kept *next;
        char text[];
    } * all;
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

enum segment_kind { SEGMENT_LITERAL, SEGMENT_PARAM, SEGMENT_REST, SEGMENT_BAD };

static bool is_param_name(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && !(c >= '0' && c <= '9'))
            return false;
    }
    return name.len > 0;
}

static struct slice param_name(struct slice segment)
{
    return slice_of(segment.ptr + 1, segment.len - 2);
}

static enum segment_kind segment_kind(struct slice segment, bool last)
{
    if (slice_is(segment, "*"))
        return last ? SEGMENT_REST : SEGMENT_BAD;
    if (segment.len >= 2 && segment.ptr[0] == '{' && segment.ptr[segment.len - 1] == '}')
        return is_param_name(param_name(segment)) ? SEGMENT_PARAM : SEGMENT_BAD;
    for (size_t i = 0; i < segment.len; i++) {
        unsigned char c = (unsigned char)segment.ptr[i];
        /* Control characters, quotes and backslashes would need escaping in logs and metrics. */
        if (c < ' ' || c == 0x7f || strchr("{}*?#\"\\", c))
            return SEGMENT_BAD;
    }
    return SEGMENT_LITERAL;
}

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

/* The node a pattern leads to, made as needed; NULL if the pattern is none. */
static struct node *plant(struct node *root, const char *pattern)
{
    if (pattern[0] != '/')
        return NULL;
    struct node *node = root;
    unsigned params = 0;
    struct slice rest = slice_str(pattern + 1);
    while (rest.ptr) {
        struct slice segment = slice_cut(&rest, '/');
        enum segment_kind kind = segment_kind(segment, !rest.ptr);
        if (kind == SEGMENT_BAD || (kind != SEGMENT_LITERAL && ++params > PARAMS_MAX))
            return NULL;
        if (kind == SEGMENT_LITERAL)
            node = literal_child(node, segment);
        else
            node = only_child(kind == SEGMENT_PARAM ? &node->param : &node->rest);
    }
    return node;
}

static enum err add_route(struct route_table *table, struct route *route, char *why,
                          size_t why_size)
{
    const char *pattern = route->spec.pattern;
    struct node *node = plant(&table->root, pattern);
    if (!node) {
        snprintf(why, why_size,
                 "%s is not a path pattern (literals, {param}, a final *, at most %d"
                 " of the latter two)",
                 pattern, PARAMS_MAX);
        return ERR_VALIDATION;
    }
    const struct route **place = &node->routes.by_method[route->spec.method];
    if (*place) {
        snprintf(why, why_size, "two routes for %s %s", method_name(route->spec.method), pattern);
        return ERR_EXISTS;
    }
    *place = route;
    node->ends_here = true;
    return ERR_OK;
}

enum err route_table_create(const struct route_spec *specs, unsigned count,
                            struct route_table **out, char *why, size_t why_size)
{
    struct route_table *table = mem_zalloc(sizeof *table);
    table->routes = mem_zalloc((count + 1) * sizeof *table->routes);
    *out = NULL;
    for (unsigned i = 0; i < count; i++) {
        struct route *route = &table->routes[i];
        *route = (struct route){.spec = specs[i]};
        assert(route->spec.limit.count == 0 || route->spec.limit.burst > 0);
        route->spec.pattern = keep_text(specs[i].pattern);
        for (unsigned role = 0; role < specs[i].role_count; role++)
            route->spec.roles[role] = keep_text(specs[i].roles[role]);
        route->cors = cors_create(specs[i].cors);
        route->spec.cors = NULL; /* the caller's */
        rate_limit_write_head(&route->spec.limit, &route->limit_head);
        table->count++;
        enum err err = add_route(table, route, why, why_size);
        if (err) {
            route_table_destroy(&table);
            return err;
        }
    }
    *out = table;
    return ERR_OK;
}

static void release_below(struct node *node)
{
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

void route_table_destroy(struct route_table **table)
{
    struct route_table *t = *table;
    if (!t)
        return;
    release_below(&t->root);
    for (unsigned i = 0; i < t->count; i++) {
        buf_release(&t->routes[i].limit_head);
        cors_destroy(&t->routes[i].cors);
    }
    free(t->routes);
    free(t);
    *table = NULL;
}

struct route *route_table_at(struct route_table *table, unsigned index)
{
    assert(index < table->count);
    return &table->routes[index];
}

/* The deepest "*" seen so far, should no pattern fit the whole path. */
struct fallback {
    const struct node *node;
    unsigned depth;
};

/* The node that the whole path leads to, or NULL. A node has one parent, so however the search
 * turns back it looks at each node at most once. */
static const struct node *descend(const struct node *node, struct slice rest, unsigned depth,
                                  struct fallback *fallback)
{
    if (!rest.ptr)
        return node->ends_here ? node : NULL;
    if (node->rest && (!fallback->node || depth > fallback->depth))
        *fallback = (struct fallback){node->rest, depth};
    struct slice segment = slice_cut(&rest, '/');
    bool found;
    unsigned at = literal_position(node, segment, &found);
    const struct node *end = NULL;
    if (found)
        end = descend(node->literals[at], rest, depth + 1, fallback);
    if (!end && node->param && segment.len > 0)
        end = descend(node->param, rest, depth + 1, fallback);
    return end;
}

const struct route_set *route_table_find(const struct route_table *table, struct slice path)
{
    assert(path.len > 0 && path.ptr[0] == '/');
    struct fallback fallback = {0};
    const struct node *end =
        descend(&table->root, slice_of(path.ptr + 1, path.len - 1), 0, &fallback);
    if (!end)
        end = fallback.node;
    return end ? &end->routes : NULL;
}

void route_bind_params(const struct route *route, struct request *request)
{
    struct slice pattern = slice_str(route->spec.pattern + 1);
    struct slice path = slice_of(request->path.ptr + 1, request->path.len - 1);
    request->param_count = 0;
    while (pattern.ptr) {
        struct slice segment = slice_cut(&pattern, '/');
        if (slice_is(segment, "*")) {
            request->params[request->param_count++] = (struct param){segment, path};
            return;
        }
        struct slice value = slice_cut(&path, '/');
        if (segment.len > 0 && segment.ptr[0] == '{')
            request->params[request->param_count++] = (struct param){param_name(segment), value};
    }
}
