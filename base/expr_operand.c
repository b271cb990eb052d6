/* The operands of expressions: values, members, variables, regular expressions. */
#include "base/expr_parse_private.h"
#include "base/json.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

static struct operand *add_operand(struct parser *p, enum operand_kind kind, unsigned *out)
{
    struct expr *expr = p->expr;
    if (expr->operand_count % 16 == 0)
        expr->operands =
            mem_realloc(expr->operands, (expr->operand_count + 16) * sizeof *expr->operands);
    *out = expr->operand_count++;
    expr->operands[*out] = (struct operand){.kind = kind};
    return &expr->operands[*out];
}

unsigned operand_add_literal(struct parser *p, struct value value)
{
    unsigned out;
    value.is_literal = true;
    add_operand(p, OPERAND_LITERAL, &out)->value = value;
    return out;
}

/* Bytes that live as long as the expression. */
static struct slice keep(struct parser *p, struct slice text)
{
    char *at = p->expr->bytes + p->bytes_used;
    memcpy(at, text.ptr, text.len);
    p->bytes_used += text.len;
    return slice_of(at, text.len);
}

static bool is_digit(const struct parser *p, const char *at)
{
    return at < p->end && *at >= '0' && *at <= '9';
}

/* ---- Numbers, as JSON has them. */

static const char *skip_digits(const struct parser *p, const char *at)
{
    while (is_digit(p, at))
        at++;
    return at;
}

/* Behind the number that begins at p->at; NULL if there is none. */
static const char *end_of_number(const struct parser *p, bool *is_real)
{
    const char *at = p->at + (*p->at == '-');
    if (!is_digit(p, at))
        return NULL;
    at = *at == '0' ? at + 1 : skip_digits(p, at);
    *is_real = at < p->end && (*at == '.' || *at == 'e' || *at == 'E');
    if (at < p->end && *at == '.') {
        if (!is_digit(p, ++at))
            return NULL;
        at = skip_digits(p, at);
    }
    if (at < p->end && (*at == 'e' || *at == 'E')) {
        at++;
        at += at < p->end && (*at == '+' || *at == '-');
        if (!is_digit(p, at))
            return NULL;
        at = skip_digits(p, at);
    }
    return at < p->end && is_name_char(*at) ? NULL : at;
}

static bool parse_number(struct parser *p, unsigned *out)
{
    bool is_real;
    const char *begin = p->at, *end = end_of_number(p, &is_real);
    if (!end)
        return parse_fail(p, begin, "expected a number as JSON has it");
    struct value value = value_of(slice_of(begin, (size_t)(end - begin)));
    if (value.kind == VALUE_REAL && !is_real && value.real != 0)
        return parse_fail(p, begin, "expected an integer of 64 bits");
    if (value.kind == VALUE_REAL && isinf(value.real))
        return parse_fail(p, begin, "expected a number that a double can hold");
    p->at = end;
    *out = operand_add_literal(p, value);
    return true;
}

/* ---- Strings. */

/* The code of the four digits behind \u; -1 if they are none. */
static long hex4(const struct parser *p, const char *at)
{
    long code = 0;
    for (int i = 0; i < 4; i++, at++) {
        if (at >= p->end)
            return -1;
        char c = (char)(*at | 0x20);
        if (!is_digit(p, at) && (c < 'a' || c > 'f'))
            return -1;
        code = code << 4 | (*at <= '9' ? *at - '0' : c - 'a' + 10);
    }
    return code;
}

/* How long the escape at the backslash is; 0 if it is none. */
static size_t escape_length(const struct parser *p, const char *at)
{
    if (at + 1 >= p->end)
        return 0;
    if (at[1] != 'u')
        return at[1] && strchr("\"'\\/bfnrt", at[1]) ? 2 : 0;
    long code = hex4(p, at + 2);
    if (code <= 0 || (code >= 0xDC00 && code <= 0xDFFF))
        return 0;
    if (code < 0xD800 || code > 0xDBFF)
        return 6;
    long low = p->end - at >= 8 && at[6] == '\\' && at[7] == 'u' ? hex4(p, at + 8) : -1;
    return low >= 0xDC00 && low <= 0xDFFF ? 12 : 0;
}

/* The quote that ends the string behind `at`; NULL if something is wrong, which was said. */
static const char *end_of_string(struct parser *p, char quote, bool *has_escapes)
{
    *has_escapes = false;
    for (const char *at = p->at + 1; at < p->end;) {
        if (*at == quote)
            return at;
        size_t len = 1;
        if (*at == '\\') {
            *has_escapes = true;
            len = escape_length(p, at);
        }
        if (len == 0 || (unsigned char)*at < ' ') {
            parse_fail(p, at, len ? "expected no control character" : "expected an escape of JSON");
            return NULL;
        }
        at += len;
    }
    parse_fail(p, p->end, "expected the %c that ends the string", quote);
    return NULL;
}

static struct slice unescaped(struct parser *p, struct slice body)
{
    struct buf quoted = BUF_INIT, text = BUF_INIT;
    buf_append_char(&quoted, '"');
    buf_append_slice(&quoted, body);
    buf_append_char(&quoted, '"');
    json_append_unescaped(&text, buf_slice(&quoted));
    struct slice kept = keep(p, buf_slice(&text));
    buf_release(&quoted);
    buf_release(&text);
    return kept;
}

static bool parse_string(struct parser *p, unsigned *out)
{
    bool has_escapes;
    const char *end = end_of_string(p, *p->at, &has_escapes);
    if (!end)
        return false;
    struct slice body = slice_of(p->at + 1, (size_t)(end - p->at) - 1);
    p->at = end + 1;
    *out =
        operand_add_literal(p, value_of_string(has_escapes ? unescaped(p, body) : keep(p, body)));
    return true;
}

/* ---- Regular expressions. */

/* The / that ends it: one that is not escaped and not within brackets. */
static const char *end_of_pattern(const struct parser *p)
{
    bool in_class = false;
    for (const char *at = p->at + 1; at < p->end; at++) {
        if (*at == '/' && !in_class)
            return at;
        if (*at == '[' || *at == ']')
            in_class = *at == '[';
        at += *at == '\\';
    }
    return NULL;
}

static bool parse_pattern(struct parser *p, unsigned *out)
{
    const char *begin = p->at, *end = end_of_pattern(p);
    if (!end)
        return parse_fail(p, p->end, "expected the / that ends the regular expression");
    char why[EXPR_WHY_SIZE];
    struct slice text = slice_of(begin + 1, (size_t)(end - begin) - 1);
    struct pattern *pattern = pattern_compile(text, why, sizeof why);
    if (!pattern)
        return parse_fail(p, begin, "expected a regular expression: %s", why);
    add_operand(p, OPERAND_PATTERN, out)->pattern = pattern;
    p->at = end + 1;
    if (p->at < p->end && is_name_char(*p->at))
        return parse_fail(p, p->at, "expected no letters behind a regular expression");
    return true;
}

/* ---- Ways to members. */

static bool is_quotable(char c)
{
    return (unsigned char)c >= ' ' && c != '"' && c != '\\' && c != '`';
}

/* A name in backticks may have other characters than letters. */
static bool parse_quoted_name(struct parser *p, struct slice *out)
{
    const char *begin = ++p->at;
    while (p->at < p->end && is_quotable(*p->at))
        p->at++;
    *out = slice_of(begin, (size_t)(p->at - begin));
    if (p->at == p->end || *p->at != '`' || out->len == 0)
        return parse_fail(p, p->at, "expected a name and the ` that ends it");
    p->at++;
    return true;
}

static bool parse_name(struct parser *p, struct slice *out)
{
    *out = slice_str("");
    if (p->at < p->end && *p->at == '`')
        return parse_quoted_name(p, out);
    const char *begin = p->at;
    if (p->at == p->end || !is_name_start(*p->at))
        return parse_fail(p, begin, "expected the name of a member");
    while (p->at < p->end && is_name_char(*p->at))
        p->at++;
    *out = slice_of(begin, (size_t)(p->at - begin));
    return true;
}

static bool is_in_index(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (strchr(".,[]", name.ptr[i]))
            return false;
    }
    return true;
}

/* Takes the name over as the next step. */
static void add_step(struct parser *p, struct path *path, struct slice name)
{
    if (path->depth > 0)
        keep(p, slice_str("."));
    struct step *step = &path->steps[path->depth++];
    step->name = keep(p, name);
    path->is_plain = path->is_plain && is_in_index(name);
    if ((size_t)(p->end - p->at) >= 2 && p->at[0] == '[' && p->at[1] == ']') {
        step->each = path->has_each = true;
        keep(p, slice_str("[]"));
        p->at += 2;
    }
}

/* Which of the document's members, as they are looked for, the first step is. */
static bool find_name(struct parser *p, struct path *path, const char *at)
{
    struct expr *expr = p->expr;
    struct slice name = path->steps[0].name;
    for (path->name = 0; path->name < expr->name_count; path->name++) {
        if (slice_eq(expr->names[path->name], name))
            return true;
    }
    if (expr->name_count == sizeof expr->names / sizeof expr->names[0])
        return parse_fail(p, at, "expected no more than %u different members", expr->name_count);
    expr->names[expr->name_count++] = name;
    return true;
}

/* The steps from the first name on, which was read. */
static bool parse_steps(struct parser *p, enum root root, struct slice name, unsigned *out)
{
    struct path path = {.root = root, .is_plain = root == ROOT_DOC};
    const char *begin = p->expr->bytes + p->bytes_used, *at = p->at - name.len;
    add_step(p, &path, name);
    while (p->at < p->end && *p->at == '.') {
        p->at++;
        if (path.depth == STEPS_MAX)
            return parse_fail(p, p->at, "expected no more than %d names", STEPS_MAX);
        if (!parse_name(p, &name))
            return false;
        add_step(p, &path, name);
    }
    path.text = slice_of(begin, (size_t)(p->expr->bytes + p->bytes_used - begin));
    if (root == ROOT_DOC && !find_name(p, &path, at))
        return false;
    add_operand(p, OPERAND_PATH, out)->path = path;
    return true;
}

bool operand_any(struct parser *p, unsigned operand, const char *at)
{
    struct operand *left = &p->expr->operands[operand];
    if (left->kind != OPERAND_PATH)
        return parse_fail(p, at, "expected a member with an array");
    struct path *path = &left->path;
    struct step *last = &path->steps[path->depth - 1];
    if (last->each)
        return true;
    last->each = path->has_each = true;
    keep(p, slice_str("[]")); /* what was kept last is this path */
    path->text.len += 2;
    return true;
}

static bool parse_variable(struct parser *p, unsigned *out)
{
    static const struct {
        const char *name;
        unsigned flag;
        enum root root;
    } variables[] = {{"@user", EXPR_USER, ROOT_USER},
                     {"@request", EXPR_REQUEST, ROOT_REQUEST},
                     {"@old", EXPR_OLD, ROOT_OLD}};
    const char *begin = p->at++;
    while (p->at < p->end && is_name_char(*p->at))
        p->at++;
    struct slice name = slice_of(begin, (size_t)(p->at - begin));
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        if (!slice_is(name, variables[i].name))
            continue;
        if (!(p->variables & variables[i].flag))
            return parse_fail(p, begin, "expected no %s: there is none here", variables[i].name);
        struct slice first;
        if (p->at == p->end || *p->at != '.')
            return parse_fail(p, p->at, "expected . and the name of a member");
        p->at++;
        return parse_name(p, &first) && parse_steps(p, variables[i].root, first, out);
    }
    return parse_fail(p, begin, "expected @user, @request or @old");
}

/* ---- Words. */

static bool is_word(const struct parser *p, struct slice name, const char *word)
{
    return slice_is(name, word) && p->at[-1] != '`';
}

static bool parse_word(struct parser *p, unsigned *out)
{
    struct slice name;
    if (!parse_name(p, &name))
        return false;
    bool yes = is_word(p, name, "true");
    if (yes || is_word(p, name, "false"))
        *out = operand_add_literal(p, (struct value){.kind = VALUE_BOOL, .integer = yes});
    else if (is_word(p, name, "null"))
        *out = operand_add_literal(p, (struct value){.kind = VALUE_NULL});
    else if (is_word(p, name, "now") && parse_take(p, "(")) {
        if (!parse_take(p, ")"))
            return parse_fail(p, p->at, "expected )");
        add_operand(p, OPERAND_NOW, out);
    } else
        return parse_steps(p, ROOT_DOC, name, out);
    return true;
}

bool parse_operand(struct parser *p, bool may_be_pattern, unsigned *out)
{
    parse_space(p);
    if (p->at == p->end)
        return parse_fail(p, p->at, "expected a value or the name of a member");
    char c = *p->at;
    if (c == '"' || c == '\'')
        return parse_string(p, out);
    if (c == '-' || (c >= '0' && c <= '9'))
        return parse_number(p, out);
    if (c == '@')
        return parse_variable(p, out);
    if (c == '/' && may_be_pattern)
        return parse_pattern(p, out);
    if (c == '`' || is_name_start(c))
        return parse_word(p, out);
    return parse_fail(p, p->at, "expected a value or the name of a member");
}
