/* From text to nodes: docs/expressions.md has the grammar. One function for each of its rules; the
 * first thing that is wrong is told with its column. Operands: expr_operand.c. */
#include "base/expr_parse_private.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

bool parse_fail(struct parser *p, const char *at, const char *format, ...)
{
    if (p->failed)
        return false;
    p->failed = true;
    int len = snprintf(p->why, p->why_size, "column %zu: ", (size_t)(at - p->begin) + 1);
    if (len < 0 || (size_t)len >= p->why_size)
        return false;
    va_list args;
    va_start(args, format);
    vsnprintf(p->why + len, p->why_size - (size_t)len, format, args);
    va_end(args);
    return false;
}

void parse_space(struct parser *p)
{
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r'))
        p->at++;
}

bool parse_take(struct parser *p, const char *text)
{
    size_t len = strlen(text);
    parse_space(p);
    if ((size_t)(p->end - p->at) < len || memcmp(p->at, text, len) != 0)
        return false;
    p->at += len;
    return true;
}

/* A word, and not the beginning of a longer one. */
static bool take_word(struct parser *p, const char *word)
{
    const char *before = p->at;
    if (parse_take(p, word) && (p->at == p->end || !is_name_char(*p->at)))
        return true;
    p->at = before;
    return false;
}

/* ---- Nodes. */

static unsigned add_node(struct parser *p, struct node node)
{
    struct expr *expr = p->expr;
    if (expr->node_count % 16 == 0)
        expr->nodes = mem_realloc(expr->nodes, (expr->node_count + 16) * sizeof *expr->nodes);
    expr->nodes[expr->node_count] = node;
    return expr->node_count++;
}

static unsigned add_not(struct parser *p, unsigned node)
{
    return add_node(p, (struct node){.kind = NODE_NOT, .left = node});
}

static unsigned add_compare(struct parser *p, enum op op, unsigned left, unsigned right)
{
    return add_node(p, (struct node){.kind = NODE_COMPARE, .op = op, .left = left, .right = right});
}

/* ---- Comparisons. */

static const struct symbol {
    const char *text;
    enum op op;
    bool negated, any;
} symbols[] = {
    {"?=", OP_EQ, false, true},  {"!=", OP_EQ, true, false},       {">=", OP_GE, false, false},
    {"<=", OP_LE, false, false}, {"!~", OP_CONTAINS, true, false}, {"=", OP_EQ, false, false},
    {">", OP_GT, false, false},  {"<", OP_LT, false, false},       {"~", OP_CONTAINS, false, false},
};

static const struct symbol *take_symbol(struct parser *p)
{
    static const struct symbol word = {"has", OP_HAS, false, false};
    for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
        if (parse_take(p, symbols[i].text))
            return &symbols[i];
    }
    return take_word(p, word.text) ? &word : NULL;
}

static const struct operand *operand_at(const struct parser *p, unsigned index)
{
    return &p->expr->operands[index];
}

static bool has_each(const struct parser *p, unsigned index)
{
    return operand_at(p, index)->kind == OPERAND_PATH && operand_at(p, index)->path.has_each;
}

static bool literal_fits(const struct operand *operand, enum op op)
{
    if (operand->kind != OPERAND_LITERAL)
        return op != OP_CONTAINS || operand->kind != OPERAND_NOW;
    if (op == OP_CONTAINS)
        return operand->value.kind == VALUE_STRING;
    return op == OP_EQ || op == OP_HAS || value_has_order(&operand->value);
}

/* Whether the operator can be between the two; the right one is written at `at`. */
static bool check_sides(struct parser *p, const struct symbol *symbol, unsigned left,
                        unsigned right, const char *left_at, const char *at)
{
    bool is_order = symbol->op >= OP_LT && symbol->op <= OP_GE;
    if (has_each(p, right) && (has_each(p, left) || symbol->op >= OP_CONTAINS))
        return parse_fail(p, at, "expected one value here, not those of an array");
    if (is_order && !literal_fits(operand_at(p, left), symbol->op))
        return parse_fail(p, left_at, "expected a number, a string or a member");
    if (literal_fits(operand_at(p, right), symbol->op))
        return true;
    return parse_fail(p, at,
                      is_order ? "expected a number, a string or a member"
                               : "expected a string, a /regular expression/ or a member");
}

static bool parse_compare(struct parser *p, const struct symbol *symbol, unsigned left,
                          const char *left_at, unsigned *out)
{
    unsigned right;
    if (symbol->any && !operand_any(p, left, left_at))
        return false;
    parse_space(p);
    const char *at = p->at;
    if (!parse_operand(p, symbol->op == OP_CONTAINS, &right) ||
        !check_sides(p, symbol, left, right, left_at, at))
        return false;
    *out = add_compare(p, symbol->op, left, right);
    if (symbol->negated)
        *out = add_not(p, *out);
    return true;
}

/* Behind `in`. The list's operands follow each other. */
static bool parse_in(struct parser *p, unsigned left, unsigned *out)
{
    struct node node = {.kind = NODE_IN, .left = left};
    if (!parse_take(p, "("))
        return parse_fail(p, p->at, "expected ( and a list of values");
    do {
        unsigned operand;
        parse_space(p);
        const char *at = p->at;
        if (!parse_operand(p, false, &operand))
            return false;
        if (has_each(p, left) && has_each(p, operand))
            return parse_fail(p, at, "expected one value here, not those of an array");
        node.right = node.count == 0 ? operand : node.right;
        node.count++;
    } while (parse_take(p, ","));
    if (!parse_take(p, ")"))
        return parse_fail(p, p->at, "expected , or )");
    *out = add_node(p, node);
    return true;
}

/* A member or true or false alone asks whether it is true. */
static bool parse_alone(struct parser *p, unsigned left, unsigned *out)
{
    const struct operand *operand = operand_at(p, left);
    bool fits = operand->kind == OPERAND_PATH ||
                (operand->kind == OPERAND_LITERAL && operand->value.kind == VALUE_BOOL);
    if (!fits || (p->at < p->end && !strchr("&|)", *p->at)))
        return parse_fail(p, p->at, "expected one of = != > >= < <= ~ !~ ?= in has");
    struct value yes = {.kind = VALUE_BOOL, .is_literal = true, .integer = 1};
    *out = add_compare(p, OP_EQ, left, operand_add_literal(p, yes));
    return true;
}

static bool parse_comparison(struct parser *p, unsigned *out)
{
    unsigned left;
    const char *at = p->at;
    if (++p->terms > EXPR_TERMS_MAX)
        return parse_fail(p, at, "expected no more than %d comparisons", EXPR_TERMS_MAX);
    if (!parse_operand(p, false, &left))
        return false;
    const struct symbol *symbol = take_symbol(p);
    if (symbol)
        return parse_compare(p, symbol, left, at, out);
    return take_word(p, "in") ? parse_in(p, left, out) : parse_alone(p, left, out);
}

/* ---- What joins them. */

static bool parse_or(struct parser *p, unsigned *out);

static bool parse_group(struct parser *p, unsigned *out)
{
    if (!parse_or(p, out))
        return false;
    return parse_take(p, ")") || parse_fail(p, p->at, "expected && or || or )");
}

static bool parse_unary(struct parser *p, unsigned *out)
{
    parse_space(p);
    *out = 0;
    bool is_not = parse_take(p, "!"), is_group = !is_not && parse_take(p, "(");
    if (!is_not && !is_group)
        return parse_comparison(p, out);
    if (++p->depth > EXPR_DEPTH_MAX)
        return parse_fail(p, p->at - 1, "expected no more than %d ( and ! within each other",
                          EXPR_DEPTH_MAX);
    bool good = is_not ? parse_unary(p, out) : parse_group(p, out);
    p->depth--;
    if (good && is_not)
        *out = add_not(p, *out);
    return good;
}

static bool parse_and(struct parser *p, unsigned *out)
{
    unsigned right;
    if (!parse_unary(p, out))
        return false;
    while (parse_take(p, "&&")) {
        if (!parse_unary(p, &right))
            return false;
        *out = add_node(p, (struct node){.kind = NODE_AND, .left = *out, .right = right});
    }
    return true;
}

static bool parse_or(struct parser *p, unsigned *out)
{
    unsigned right;
    if (!parse_and(p, out))
        return false;
    while (parse_take(p, "||")) {
        if (!parse_and(p, &right))
            return false;
        *out = add_node(p, (struct node){.kind = NODE_OR, .left = *out, .right = right});
    }
    return true;
}

static bool check_text(struct parser *p)
{
    const char *at = p->begin;
    if ((size_t)(p->end - at) > EXPR_BYTES_MAX)
        return parse_fail(p, at + EXPR_BYTES_MAX, "expected no more than %d bytes", EXPR_BYTES_MAX);
    while (at < p->end) {
        size_t len = slice_utf8_length(slice_of(at, (size_t)(p->end - at)));
        if (len == 0)
            return parse_fail(p, at, "expected UTF-8");
        at += len;
    }
    return true;
}

enum err expr_parse(struct slice text, unsigned variables, struct expr *out, char *why,
                    size_t why_size)
{
    const char *begin = text.len > 0 ? text.ptr : "";
    struct parser p = {.begin = begin,
                       .at = begin,
                       .end = begin + text.len,
                       .expr = out,
                       .variables = variables,
                       .why = why,
                       .why_size = why_size};
    if (!check_text(&p))
        return ERR_VALIDATION;
    out->bytes = mem_alloc(text.len + 2 * EXPR_TERMS_MAX + 1);
    if (!parse_or(&p, &out->root))
        return ERR_VALIDATION;
    parse_space(&p);
    if (p.at < p.end)
        parse_fail(&p, p.at, "expected && or || or the end");
    return p.failed ? ERR_VALIDATION : ERR_OK;
}
