/* Random documents and expressions. */
#ifndef GALLEY_TESTS_EXPR_RANDOM_H
#define GALLEY_TESTS_EXPR_RANDOM_H

#include "base/buf.h"

#include <jansson.h>
#include <stdlib.h>

static uint64_t random_state = 20261122;

static inline unsigned below(unsigned limit)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(random_state >> 33) % limit;
}

/* ---- Values, and their text in a document and in an expression. */

static const struct scalar {
    const char *text;
    int64_t moment_ms; /* of a timestamp, -1 else */
} scalars[] = {
    {"null", -1},
    {"true", -1},
    {"false", -1},
    {"0", -1},
    {"1", -1},
    {"-1", -1},
    {"2", -1},
    {"1.0", -1},
    {"1.5", -1},
    {"-1.5", -1},
    {"9007199254740993", -1},
    {"9007199254740992.0", -1},
    {"9223372036854775807", -1},
    {"9.3e18", -1},
    {"\"\"", -1},
    {"\"a\"", -1},
    {"\"A\"", -1},
    {"\"ab\"", -1},
    {"\"b\\\"\\\\c\"", -1},
    {"\"\\u00e4\"", -1},
    {"\"\\ud83d\\ude00a\"", -1},
    {"\"1\"", -1},
    {"\"2026-01-31T10:30:00Z\"", 1769855400000},
    {"\"2026-01-31T11:30:00.000+01:00\"", 1769855400000},
    {"\"2026-01-31T10:30:00.25Z\"", 1769855400250},
    {"\"2026-01-31\"", -1},
};
#define SCALARS (unsigned)(sizeof scalars / sizeof scalars[0])

static inline json_t *tree_of(const char *text)
{
    return json_loads(text, JSON_DECODE_ANY, NULL);
}

static inline json_t *random_tree(unsigned depth)
{
    static const char *const names[] = {"a", "b", "c"};
    unsigned kind = depth == 0 ? 9 : below(10);
    if (kind > 3)
        return tree_of(scalars[below(SCALARS)].text);
    json_t *out = kind < 2 ? json_array() : json_object();
    for (unsigned i = below(4); i > 0; i--) {
        json_t *child = random_tree(depth - 1);
        if (kind < 2)
            json_array_append_new(out, child);
        else
            json_object_set_new(out, names[below(3)], child);
    }
    return out;
}

static inline json_t *random_document(void)
{
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    json_t *out = json_object();
    for (unsigned i = below(6); i > 0; i--)
        json_object_set_new(out, names[below(5)], random_tree(2));
    return out;
}

/* ---- Expressions: a tree, and its text. */

enum kind { OR, AND, NOT, COMPARE, IN, ALONE };
enum { EQ, NE, LT, LE, GT, GE, CONTAINS, LACKS, ANY, HAS, OPS };

struct side {
    bool is_path, is_now;
    const struct scalar *scalar;
    unsigned depth;
    char names[3];
    bool each[3];
};

struct tree {
    enum kind kind;
    struct tree *left, *right;
    unsigned op, count;
    struct side sides[4]; /* of COMPARE two, of IN one and the list */
};

static inline bool side_has_each(const struct side *side)
{
    return side->is_path && (side->each[0] || side->each[1] || side->each[2]);
}

static inline struct side random_side(bool with_each)
{
    struct side side = {.is_path = below(3) > 0};
    side.scalar = &scalars[below(SCALARS)];
    side.is_now = !side.is_path && below(20) == 0;
    side.depth = side.is_path ? 1 + below(3) : 0;
    for (unsigned i = 0; i < side.depth; i++) {
        side.names[i] = (char)("abcde"[i == 0 ? below(5) : below(3)]);
        side.each[i] = with_each && below(3) == 0;
    }
    return side;
}

static inline bool is_string(const struct side *side)
{
    return !side->is_path && !side->is_now && side->scalar->text[0] == '"';
}

static inline bool is_ordered(const struct side *side)
{
    return side->is_path || side->is_now || !strchr("ntf", side->scalar->text[0]);
}

/* What the grammar does not let pass. */
static inline bool is_wrong(const struct tree *tree)
{
    const struct side *left = &tree->sides[0], *right = &tree->sides[1];
    bool contains = tree->op == CONTAINS || tree->op == LACKS;
    if (tree->op == ANY && !left->is_path)
        return true;
    bool left_each = side_has_each(left) || tree->op == ANY;
    if (side_has_each(right) && (left_each || contains || tree->op == HAS))
        return true;
    if (tree->op >= LT && tree->op <= GE)
        return !is_ordered(left) || !is_ordered(right);
    return contains && !right->is_path && !is_string(right);
}

static inline struct tree *random_compare(void)
{
    struct tree *tree = calloc(1, sizeof *tree);
    tree->kind = COMPARE;
    do {
        tree->op = below(OPS);
        tree->sides[0] = random_side(true);
        tree->sides[1] = random_side(below(4) == 0);
    } while (is_wrong(tree));
    return tree;
}

static inline struct tree *random_leaf(void)
{
    if (below(6) > 1)
        return random_compare();
    struct tree *tree = calloc(1, sizeof *tree);
    tree->kind = below(2) ? IN : ALONE;
    do {
        tree->sides[0] = random_side(true);
    } while (tree->kind == ALONE && !tree->sides[0].is_path);
    tree->count = 1 + below(3);
    for (unsigned i = 1; i <= tree->count; i++)
        tree->sides[i] = random_side(!side_has_each(&tree->sides[0]) && below(3) == 0);
    return tree;
}

static inline struct tree *random_expression(unsigned depth)
{
    unsigned kind = depth == 0 ? 9 : below(6);
    if (kind > NOT)
        return random_leaf();
    struct tree *tree = calloc(1, sizeof *tree);
    tree->kind = kind;
    tree->left = random_expression(depth - 1);
    tree->right = kind == NOT ? NULL : random_expression(depth - 1);
    return tree;
}

static inline void free_tree(struct tree *tree)
{
    if (!tree)
        return;
    free_tree(tree->left);
    free_tree(tree->right);
    free(tree);
}

static inline void print_side(struct buf *out, const struct side *side)
{
    if (side->is_now)
        buf_append_str(out, "now()");
    else if (!side->is_path)
        buf_append_str(out, side->scalar->text);
    for (unsigned i = 0; i < side->depth; i++)
        buf_printf(out, "%s%c%s", i ? "." : "", side->names[i], side->each[i] ? "[]" : "");
}

static inline void print_tree(struct buf *out, const struct tree *tree);

/* In parentheses if it binds less, and now and then if it does not. */
static inline void print_child(struct buf *out, const struct tree *child, enum kind within)
{
    bool needed = child->kind < within || below(4) == 0;
    buf_append_str(out, needed ? "(" : "");
    print_tree(out, child);
    buf_append_str(out, needed ? ")" : "");
}

static inline void print_list(struct buf *out, const struct tree *tree)
{
    buf_append_str(out, " in (");
    for (unsigned i = 1; i <= tree->count; i++) {
        buf_append_str(out, i > 1 ? "," : "");
        print_side(out, &tree->sides[i]);
    }
    buf_append_char(out, ')');
}

static inline void print_tree(struct buf *out, const struct tree *tree)
{
    static const char *const ops[] = {"=", "!=", "<", "<=", ">", ">=", "~", "!~", "?=", " has "};
    const char *space = below(2) ? " " : "";
    if (tree->kind == NOT) {
        buf_append_str(out, "!");
        print_child(out, tree->left, NOT);
    } else if (tree->left) {
        print_child(out, tree->left, tree->kind);
        buf_printf(out, "%s%s%s", space, tree->kind == OR ? "||" : "&&", space);
        print_child(out, tree->right, tree->kind);
    } else {
        print_side(out, &tree->sides[0]);
        if (tree->kind == IN)
            print_list(out, tree);
        if (tree->kind != COMPARE)
            return;
        buf_printf(out, "%s%s%s", space, ops[tree->op], space);
        print_side(out, &tree->sides[1]);
    }
}

static inline char *random_text(json_t *doc)
{
    static const size_t flags[] = {JSON_COMPACT, JSON_COMPACT | JSON_ENSURE_ASCII, JSON_INDENT(2),
                                   JSON_SORT_KEYS};
    return json_dumps(doc, flags[below(4)]);
}

#endif
