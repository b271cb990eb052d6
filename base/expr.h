/* Expressions: yes-or-no questions about a JSON document, `price >= 10 && tags ?= "tea"`, wherever
 * Galley asks one: filters, access rules, conditions of a patch, feeds. docs/expressions.md has the
 * grammar and how values compare. An expression is compiled once and never changes: any number of
 * threads evaluate it. It is evaluated on the document's text, without a tree.
 *
 * There are three answers, as in SQL: what compares a number with a string by <, or asks for
 * `@user.id` of nobody, or takes a regular expression too long, is unknown. Unknown is no: a rule
 * denies, a filter leaves the document out; and so is its negation. */
#ifndef GALLEY_BASE_EXPR_H
#define GALLEY_BASE_EXPR_H

#include "base/buf.h"
#include "base/err.h"

#define EXPR_BYTES_MAX 4096
#define EXPR_TERMS_MAX 64 /* comparisons */
#define EXPR_DEPTH_MAX 32 /* of ( and ! */
#define EXPR_WHY_SIZE  160

struct expr;

/* Which variables an expression may name; another one is an error when it is compiled. */
enum expr_variables {
    EXPR_USER = 1,    /* @user.id, @user.role, @user.roles[] ... */
    EXPR_REQUEST = 2, /* @request.method ... */
    EXPR_OLD = 4,     /* @old.status: the document before a change */
};

/* ERR_VALIDATION, *out NULL, and in why[why_size] (EXPR_WHY_SIZE is enough) the column, counted in
 * bytes from 1, and what was expected there. Threads: any. */
enum err expr_compile(struct slice text, unsigned variables, struct expr **out, char *why,
                      size_t why_size);

/* Lets go of it; sets *expr to NULL. NULL-safe. */
void expr_destroy(struct expr **expr);

/* Both: an expression of its own that keeps a and b alive, so that either may be destroyed before
 * it. NULL stands for none: then it is the other once more, or NULL. To be destroyed. Threads: any.
 */
struct expr *expr_and(struct expr *a, struct expr *b);

/* What variables stand for: texts of JSON objects, trusted as the document's. An empty one has no
 * members: what it is asked for is unknown, unless it is compared with the word null, as in
 * `@user.id = null`, which holds for nobody. Borrowed for the call. */
struct expr_env {
    struct slice user;    /* {"id":"u17","role":"editor","roles":["editor","author"]} */
    struct slice request; /* {"method":"GET"} */
    struct slice old;     /* of `@old` a missing member is null if there is a document at all */
    int64_t now_ms;       /* now(), wall time */
};

enum expr_result { EXPR_FALSE, EXPR_TRUE, EXPR_UNKNOWN };

/* What the document's text, an object, says to the expression. `env` may be NULL if it names no
 * variable. Text that is no JSON gives any of the three answers, and nothing behind it is read.
 * Threads: any. */
enum expr_result expr_eval(const struct expr *expr, struct slice doc, const struct expr_env *env);

/* Whether it is true: false and unknown are no. A NULL expression is always true. */
static inline bool expr_holds(const struct expr *expr, struct slice doc, const struct expr_env *env)
{
    return !expr || expr_eval(expr, doc, env) == EXPR_TRUE;
}

/* ---- For planners: what holds of every document that the expression is true of. */

#define EXPR_IN_MAX 64

enum expr_op { EXPR_EQ, EXPR_LT, EXPR_LE, EXPR_GT, EXPR_GE, EXPR_IN };

enum expr_type { EXPR_NULL, EXPR_BOOL, EXPR_INT, EXPR_REAL, EXPR_STRING, EXPR_TIME };

/* A time is a string that is compared as a moment. */
struct expr_value {
    enum expr_type type;
    int64_t integer; /* of a bool 0 or 1, of a time its seconds since 1970, rounded down */
    double real;
    struct slice string; /* also of a time; empty for now() */
};

/* `path op value`, or `path in (values)`: of the terms' values, from `first` on. */
struct expr_term {
    struct slice path; /* as an index has it: address.city, tags[]; valid as the expression is */
    enum expr_op op;
    struct expr_value value;
    unsigned first, count;
};

struct expr_terms {
    unsigned count;
    struct expr_term list[EXPR_TERMS_MAX];
    unsigned value_count;
    struct expr_value
        values[EXPR_IN_MAX]; /* of all EXPR_IN together; what has no room is no term */
    struct buf texts;        /* the strings of the values */
};

/* Fills *out, whatever was in it, with those comparisons of a member with a value that all must be
 * true for the expression to be; of more than EXPR_TERMS_MAX the rest is left out. False if the
 * expression can be true of no document in this env (a comparison with an absent variable). To be
 * released, whatever it returns. Threads: any. */
bool expr_terms(const struct expr *expr, const struct expr_env *env, struct expr_terms *out);
void expr_terms_release(struct expr_terms *terms);

#endif
