#include "base/expr.h"

#include "base/expr_private.h"
#include "base/mem.h"

#include <stdlib.h>

enum err expr_compile(struct slice text, unsigned variables, struct expr **out, char *why,
                      size_t why_size)
{
    struct expr *expr = mem_zalloc(sizeof *expr);
    expr->references = 1;
    enum err err = expr_parse(text, variables, expr, why, why_size);
    if (err)
        expr_destroy(&expr);
    *out = expr;
    return err;
}

static void release(struct expr *expr)
{
    expr_destroy(&expr->first);
    expr_destroy(&expr->second);
    for (unsigned i = 0; i < expr->operand_count; i++)
        pattern_destroy(&expr->operands[i].pattern);
    free(expr->operands);
    free(expr->nodes);
    free(expr->bytes);
    free(expr);
}

void expr_destroy(struct expr **expr)
{
    struct expr *gone = *expr;
    *expr = NULL;
    if (gone && --gone->references == 0)
        release(gone);
}

static struct expr *shared(struct expr *expr)
{
    if (expr)
        expr->references++;
    return expr;
}

struct expr *expr_and(struct expr *a, struct expr *b)
{
    if (!a || !b)
        return shared(a ? a : b);
    struct expr *both = mem_zalloc(sizeof *both);
    both->references = 1;
    both->first = shared(a);
    both->second = shared(b);
    return both;
}

/* ---- What must be true. */

struct search {
    const struct expr *expr;
    const struct expr_env *env;
    struct expr_terms *out;
    bool impossible;
};

/* Strings of variables, too, compare as moments, with those that are some. */
static bool is_hidden_moment(const struct value *value)
{
    struct buf text = BUF_INIT;
    struct moment moment;
    if (value->kind != VALUE_STRING || value->is_literal)
        return false;
    value_append_string(&text, value);
    bool is_one = moment_parse(buf_slice(&text), &moment);
    buf_release(&text);
    return is_one;
}

static struct expr_value plain_value(const struct value *value, struct expr_terms *out)
{
    static const enum expr_type types[] = {
        [VALUE_NULL] = EXPR_NULL, [VALUE_BOOL] = EXPR_BOOL,     [VALUE_INT] = EXPR_INT,
        [VALUE_REAL] = EXPR_REAL, [VALUE_STRING] = EXPR_STRING, [VALUE_TIME] = EXPR_TIME,
    };
    struct expr_value plain = {
        .type = types[value->kind], .integer = value->integer, .real = value->real};
    if (value->kind == VALUE_STRING) {
        size_t at = out->texts.len;
        value_append_string(&out->texts, value);
        plain.string = slice_of(NULL, out->texts.len - at); /* see expr_terms */
    }
    if (value->is_moment) {
        plain.type = EXPR_TIME;
        plain.integer = value->moment.seconds;
    }
    return plain;
}

static void add_term(struct search *s, const struct path *path, enum op op,
                     const struct operand *operand)
{
    struct value value = operand_constant(operand, s->env);
    bool is_order = op != OP_EQ;
    if (value.kind == VALUE_ABSENT || (is_order && !value_has_order(&value))) {
        s->impossible = true;
        return;
    }
    if (value.kind >= VALUE_ARRAY || is_hidden_moment(&value) || !path->is_plain ||
        s->out->count == EXPR_TERMS_MAX)
        return;
    s->out->list[s->out->count++] =
        (struct expr_term){path->text, (enum expr_op)op, plain_value(&value, s->out), 0, 0};
}

static bool is_member(const struct operand *operand)
{
    return operand->kind == OPERAND_PATH && operand->path.root == ROOT_DOC;
}

static void search_compare(struct search *s, const struct node *node)
{
    const struct operand *left = &s->expr->operands[node->left];
    const struct operand *right = &s->expr->operands[node->right];
    if (node->kind == NODE_COMPARE && node->op > OP_GE)
        return;
    if (is_member(left) && operand_is_constant(right))
        add_term(s, &left->path, node->op, right);
    else if (is_member(right) && operand_is_constant(left))
        add_term(s, &right->path, operator_mirrored(node->op), left);
}

/* What of a list a planner can look for: a variable without a value is equal to nothing. */
static bool list_fits(const struct search *s, const struct node *node)
{
    const struct operand *list = &s->expr->operands[node->right];
    bool fits = s->out->count < EXPR_TERMS_MAX;
    for (unsigned i = 0; fits && i < node->count; i++) {
        if (!operand_is_constant(&list[i]))
            return false;
        struct value value = operand_constant(&list[i], s->env);
        fits = value.kind < VALUE_ARRAY && !value.is_moment && !is_hidden_moment(&value);
    }
    return fits && s->out->value_count + node->count <= EXPR_IN_MAX;
}

static void search_in(struct search *s, const struct node *node)
{
    const struct operand *left = &s->expr->operands[node->left];
    struct expr_terms *out = s->out;
    if (!is_member(left) || !left->path.is_plain || !list_fits(s, node))
        return;
    struct expr_term *term = &out->list[out->count++];
    *term = (struct expr_term){left->path.text, EXPR_IN, .first = out->value_count};
    for (unsigned i = 0; i < node->count; i++) {
        struct value value = operand_constant(&s->expr->operands[node->right + i], s->env);
        if (value.kind != VALUE_ABSENT)
            out->values[out->value_count++] = plain_value(&value, out);
    }
    term->count = out->value_count - term->first;
    s->impossible |= term->count == 0;
}

static void search_node(struct search *s, unsigned index)
{
    const struct node *node = &s->expr->nodes[index];
    if (node->kind == NODE_AND) {
        search_node(s, node->left);
        search_node(s, node->right);
    } else if (node->kind == NODE_COMPARE || (node->kind == NODE_IN && node->count == 1)) {
        search_compare(s, node);
    } else if (node->kind == NODE_IN) {
        search_in(s, node);
    }
}

static bool search_expr(const struct expr *expr, const struct expr_env *env, struct expr_terms *out)
{
    if (expr->first) {
        bool first = search_expr(expr->first, env, out);
        return search_expr(expr->second, env, out) && first;
    }
    struct search s = {.expr = expr, .env = env, .out = out};
    search_node(&s, expr->root);
    return !s.impossible;
}

/* The texts lie one behind the other, and have moved while they grew. */
static void set_texts(struct expr_terms *out)
{
    size_t at = 0;
    for (unsigned i = 0; i < out->count; i++) {
        struct expr_term *term = &out->list[i];
        bool is_in = term->op == EXPR_IN;
        for (unsigned k = 0; k < (is_in ? term->count : 1); k++) {
            struct slice *text = is_in ? &out->values[term->first + k].string : &term->value.string;
            text->ptr = out->texts.data + at;
            at += text->len;
        }
    }
}

bool expr_terms(const struct expr *expr, const struct expr_env *env, struct expr_terms *out)
{
    out->count = out->value_count = 0;
    out->texts = (struct buf)BUF_INIT;
    bool possible = search_expr(expr, env, out);
    set_texts(out);
    return possible;
}

void expr_terms_release(struct expr_terms *terms)
{
    buf_release(&terms->texts);
}
