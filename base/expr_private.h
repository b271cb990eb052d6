/* What the files of expressions share. */
#ifndef GALLEY_BASE_EXPR_PRIVATE_H
#define GALLEY_BASE_EXPR_PRIVATE_H

#include "base/expr.h"
#include "base/moment.h"
#include "base/pattern.h"

#define STEPS_MAX 8

enum value_kind {
    VALUE_ABSENT, /* of a variable */
    VALUE_NULL,
    VALUE_BOOL,
    VALUE_INT,
    VALUE_REAL,
    VALUE_STRING,
    VALUE_TIME, /* now() */
    VALUE_ARRAY,
    VALUE_OBJECT,
};

struct value {
    enum value_kind kind;
    bool is_literal; /* written in the expression */
    bool is_moment;  /* of a literal string and a time: `moment` is what it says */
    bool escaped;    /* of a string: `text` is as JSON has it, with quotes and escapes */
    int64_t integer; /* of a bool, too */
    double real;
    struct slice text; /* of a string, without quotes; JSON's of an array and an object */
    struct moment moment;
};

enum root { ROOT_DOC, ROOT_OLD, ROOT_USER, ROOT_REQUEST };

/* The way to a value. */
struct path {
    enum root root;
    bool has_each;     /* it leads to several values */
    bool is_plain;     /* `text` is how an index has it */
    struct slice text; /* a.b[].c */
    unsigned depth;
    struct step {
        struct slice name;
        bool each; /* the member is an array, and the way goes on from each element */
    } steps[STEPS_MAX];
    unsigned name; /* of ROOT_DOC: which of the names in the document the first step is */
};

enum operand_kind { OPERAND_LITERAL, OPERAND_NOW, OPERAND_PATH, OPERAND_PATTERN };

struct operand {
    enum operand_kind kind;
    struct value value; /* of a literal */
    struct path path;
    struct pattern *pattern;
};

enum node_kind { NODE_OR, NODE_AND, NODE_NOT, NODE_COMPARE, NODE_IN };

/* The first ones are those of enum expr_op. */
enum op { OP_EQ, OP_LT, OP_LE, OP_GT, OP_GE, OP_CONTAINS, OP_HAS };

struct node {
    enum node_kind kind;
    unsigned left, right; /* nodes; of NODE_COMPARE and NODE_IN operands */
    enum op op;           /* of NODE_COMPARE */
    unsigned count;       /* of NODE_IN: of operands from `right` on */
};

/* Either the conjunction of two others or a tree of nodes. */
struct expr {
    _Atomic unsigned references;
    struct expr *first, *second;
    char *bytes; /* strings, names and paths */
    struct node *nodes;
    unsigned node_count, root;
    struct operand *operands;
    unsigned operand_count;
    struct slice names[EXPR_TERMS_MAX * 2]; /* first steps in the document, each once */
    unsigned name_count;
};

/* ---- expr_parse.c: fills an empty one. */
enum err expr_parse(struct slice text, unsigned variables, struct expr *out, char *why,
                    size_t why_size);

/* ---- expr_value.c */

/* The value that JSON's text is; of none null. */
struct value value_of(struct slice json);
struct value value_of_string(struct slice text); /* a literal */

/* Appends the string without its escapes. */
void value_append_string(struct buf *out, const struct value *value);

enum order { ORDER_LESS, ORDER_EQUAL, ORDER_GREATER, ORDER_DIFFERENT, ORDER_UNKNOWN };

/* What comparing may still look at, in bytes, before it gives up: whoever writes documents and
 * expressions could make it a long day. And memory for strings with escapes. */
struct scratch {
    int64_t budget;
    struct buf left, right;
};
bool scratch_spend(struct scratch *scratch, size_t bytes); /* false: it is used up */

/* LESS and GREATER only for two numbers and two strings. */
enum order value_compare(const struct value *a, const struct value *b, struct scratch *scratch);
static inline bool value_has_order(const struct value *value)
{
    return value->kind == VALUE_INT || value->kind == VALUE_REAL || value->kind == VALUE_STRING ||
           value->kind == VALUE_TIME;
}

/* Whether it is a string that has the other in it, letters of ASCII without case. */
enum expr_result value_contains(const struct value *value, const struct value *part,
                                struct scratch *scratch);

/* ---- expr_eval.c */

/* The value of an operand that leads to one value and is not in the document. */
struct value operand_constant(const struct operand *operand, const struct expr_env *env);

static inline bool operand_is_constant(const struct operand *operand)
{
    return operand->kind == OPERAND_LITERAL || operand->kind == OPERAND_NOW ||
           (operand->kind == OPERAND_PATH && operand->path.root != ROOT_DOC &&
            !operand->path.has_each);
}

/* `a op b` is `b mirrored(op) a`. */
static inline enum op operator_mirrored(enum op op)
{
    static const enum op mirrored[] = {OP_EQ, OP_GT, OP_GE, OP_LT, OP_LE};
    return mirrored[op];
}

#endif
