/* What the files that read expressions share. */
#ifndef GALLEY_BASE_EXPR_PARSE_PRIVATE_H
#define GALLEY_BASE_EXPR_PARSE_PRIVATE_H

#include "base/expr_private.h"

struct parser {
    const char *begin, *at, *end;
    struct expr *expr;
    unsigned variables, depth, terms;
    size_t bytes_used; /* of expr->bytes */
    bool failed;
    char *why;
    size_t why_size;
};

/* Says what is wrong, with the column of `at`, unless something was already. Returns false. */
bool parse_fail(struct parser *p, const char *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void parse_space(struct parser *p);
bool parse_take(struct parser *p, const char *text); /* behind space */

static inline bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' || (c & 0x80);
}

static inline bool is_name_char(char c)
{
    return is_name_start(c) || (c >= '0' && c <= '9') || c == '-';
}

/* ---- expr_operand.c. False if what is there is none: that was said. */
bool parse_operand(struct parser *p, bool may_be_pattern, unsigned *out);
unsigned operand_add_literal(struct parser *p, struct value value);

/* Makes the path `a` to `a[]`. */
bool operand_any(struct parser *p, unsigned operand, const char *at);

#endif
