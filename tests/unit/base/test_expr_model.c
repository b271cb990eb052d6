/* Random expressions on random documents, against an evaluator that walks trees of both and takes
 * its time; and texts with random bytes in them, of which only the memory is looked at. */
#include "base/expr.h"
#include "base/json.h"

#include "expr_random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#define ROUNDS 20000

/* ---- The slow evaluator. */

#define NOW_MS INT64_C(1769855400250)

enum { NO, YES, UNKNOWN };

struct values {
    json_t *list[200];
    unsigned count;
    bool is_now, is_moment; /* the latter: a timestamp that is written there */
};

static void collect(struct values *out, const struct side *side, unsigned step, json_t *at)
{
    if (step == side->depth) {
        out->list[out->count++] = at ? at : json_null();
        return;
    }
    char name[2] = {side->names[step], '\0'};
    json_t *member = json_object_get(at, name);
    if (!side->each[step]) {
        collect(out, side, step + 1, member);
        return;
    }
    for (size_t i = 0; i < json_array_size(member); i++)
        collect(out, side, step + 1, json_array_get(member, i));
    if (json_array_size(member) == 0)
        out->list[out->count++] = json_null();
}

static struct values values_of(const struct side *side, json_t *doc)
{
    bool is_moment = !side->is_path && !side->is_now && side->scalar->moment_ms >= 0;
    struct values out = {.is_now = side->is_now, .is_moment = is_moment};
    if (side->is_path)
        collect(&out, side, 0, doc);
    else
        out.list[out.count++] = side->is_now ? json_null() : tree_of(side->scalar->text);
    return out;
}

static void release_values(const struct side *side, struct values *values)
{
    if (!side->is_path)
        json_decref(values->list[0]);
}

static int64_t moment_of(const json_t *value, bool is_now)
{
    if (is_now)
        return NOW_MS;
    for (unsigned i = 0; i < SCALARS; i++) {
        json_t *scalar = tree_of(scalars[i].text);
        bool same = json_is_string(value) && json_equal(scalar, value);
        json_decref(scalar);
        if (same)
            return scalars[i].moment_ms;
    }
    return -1;
}

static int sign_of(long double a, long double b)
{
    return (a > b) - (a < b);
}

/* A long double has 64 bits: those of any integer. */
static long double number_of(const json_t *value)
{
    return json_is_integer(value) ? (long double)json_integer_value(value)
                                  : (long double)json_real_value(value);
}

static bool same_tree(const json_t *a, const json_t *b);

/* 2: neither. */
static int order(const json_t *a, bool a_now, const json_t *b, bool b_now)
{
    int64_t x = moment_of(a, a_now), y = moment_of(b, b_now);
    if (x >= 0 && y >= 0)
        return sign_of((long double)x, (long double)y);
    if (a_now || b_now)
        return 2;
    if (json_is_number(a) && json_is_number(b))
        return sign_of(number_of(a), number_of(b));
    if (json_is_string(a) && json_is_string(b)) {
        int sign = strcmp(json_string_value(a), json_string_value(b));
        return (sign > 0) - (sign < 0);
    }
    return 2;
}

static bool same_members(const json_t *a, const json_t *b)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)a, name, value) {
        const json_t *other = json_object_get(b, name);
        if (!other || !same_tree(value, other))
            return false;
    }
    return json_object_size(a) == json_object_size(b);
}

static bool same_tree(const json_t *a, const json_t *b)
{
    if (json_is_object(a) && json_is_object(b))
        return same_members(a, b);
    if (json_is_array(a) && json_is_array(b)) {
        bool same = json_array_size(a) == json_array_size(b);
        for (size_t i = 0; same && i < json_array_size(a); i++)
            same = same_tree(json_array_get(a, i), json_array_get(b, i));
        return same;
    }
    int sign = order(a, false, b, false);
    return sign != 2 ? sign == 0
                     : json_typeof(a) == json_typeof(b) && !json_is_array(a) &&
                           !json_is_object(a) && !json_is_string(a);
}

static bool has(const json_t *a, const json_t *b, bool b_now)
{
    for (size_t i = 0; i < json_array_size(a); i++) {
        const json_t *element = json_array_get(a, i);
        if (b_now ? order(element, false, b, true) == 0 : same_tree(element, b))
            return true;
    }
    return json_is_object(a) && json_is_string(b) && json_object_get(a, json_string_value(b));
}

static int ask_two(unsigned op, const json_t *a, bool a_now, const json_t *b, bool b_now)
{
    int sign = order(a, a_now, b, b_now);
    switch (op) {
    case EQ:
    case NE:
    case ANY:
        return a_now || b_now ? sign == 0 : same_tree(a, b);
    case CONTAINS:
    case LACKS:
        return json_is_string(a) && json_is_string(b) &&
               strcasestr(json_string_value(a), json_string_value(b));
    case HAS:
        return has(a, b, b_now);
    default:
        if (sign == 2)
            return UNKNOWN;
        return op == LT ? sign < 0 : op == LE ? sign <= 0 : op == GT ? sign > 0 : sign >= 0;
    }
}

static int or_of(int a, int b)
{
    return a == YES || b == YES ? YES : a == UNKNOWN || b == UNKNOWN ? UNKNOWN : NO;
}

static int not_of(int a)
{
    return a == UNKNOWN ? a : !a;
}

/* What is written as a timestamp compares with timestamps alone. */
static int ask_pair(unsigned op, const struct values *a, unsigned i, const struct values *b,
                    unsigned k)
{
    bool moments = moment_of(a->list[i], a->is_now) >= 0 && moment_of(b->list[k], b->is_now) >= 0;
    if (op >= LT && op <= GE && (a->is_moment || b->is_moment) && !moments)
        return UNKNOWN;
    return ask_two(op, a->list[i], a->is_now, b->list[k], b->is_now);
}

static int ask_sides(unsigned op, struct side left, const struct side *right, json_t *doc)
{
    if (op == ANY)
        left.each[left.depth - 1] = true;
    struct values a = values_of(&left, doc), b = values_of(right, doc);
    int result = NO;
    for (unsigned i = 0; i < a.count; i++) {
        for (unsigned k = 0; k < b.count; k++)
            result = or_of(result, ask_pair(op, &a, i, &b, k));
    }
    release_values(&left, &a);
    release_values(right, &b);
    return op == NE || op == LACKS ? not_of(result) : result;
}

static int ask(const struct tree *tree, json_t *doc)
{
    static const struct scalar yes = {"true", -1};
    static const struct side truth = {.scalar = &yes};
    int result = NO;
    switch (tree->kind) {
    case OR:
        return or_of(ask(tree->left, doc), ask(tree->right, doc));
    case AND:
        return not_of(or_of(not_of(ask(tree->left, doc)), not_of(ask(tree->right, doc))));
    case NOT:
        return not_of(ask(tree->left, doc));
    case ALONE:
        return ask_sides(EQ, tree->sides[0], &truth, doc);
    case COMPARE:
        return ask_sides(tree->op, tree->sides[0], &tree->sides[1], doc);
    default:
        for (unsigned i = 1; i <= tree->count; i++)
            result = or_of(result, ask_sides(EQ, tree->sides[0], &tree->sides[i], doc));
        return result;
    }
}

/* ---- */

static const struct expr_env env = {.now_ms = NOW_MS};

static void compare(const struct tree *tree, const struct expr *expr, struct slice text,
                    unsigned answers[3])
{
    json_t *doc = random_document();
    char *json = random_text(doc);
    int wanted = ask(tree, doc), result = (int)expr_eval(expr, slice_str(json), &env);
    if (result != wanted)
        fail_msg("%.*s on %s: %d instead of %d", SLICE_ARG(text), json, result, wanted);
    answers[result]++;
    free(json);
    json_decref(doc);
}

static void test_any_expression_says_what_the_model_says(void **state)
{
    (void)state;
    unsigned answers[3] = {0};
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct tree *tree = random_expression(below(4));
        struct buf text = BUF_INIT;
        struct expr *expr;
        char why[EXPR_WHY_SIZE];
        print_tree(&text, tree);
        if (expr_compile(buf_slice(&text), 0, &expr, why, sizeof why))
            fail_msg("%.*s: %s", SLICE_ARG(buf_slice(&text)), why);
        for (unsigned k = 0; k < 5; k++)
            compare(tree, expr, buf_slice(&text), answers);
        expr_destroy(&expr);
        buf_release(&text);
        free_tree(tree);
    }
    assert_true(answers[YES] > ROUNDS / 2 && answers[NO] > ROUNDS / 2);
    assert_true(answers[UNKNOWN] > ROUNDS / 4);
}

/* What the expression can be true of satisfies its terms: a planner loses nothing. */
static bool satisfies(const struct expr_terms *terms, struct slice json)
{
    static const char *const ops[] = {"=", "<", "<=", ">", ">="};
    bool all = true;
    for (unsigned i = 0; i < terms->count; i++) {
        const struct expr_term *term = &terms->list[i];
        if (term->op == EXPR_IN)
            continue; /* the model of queries looks for such */
        struct buf text = BUF_INIT;
        buf_printf(&text, "%.*s %s ", SLICE_ARG(term->path), ops[term->op]);
        struct json_writer w = {.out = &text};
        if (term->value.type >= EXPR_STRING && term->value.string.len > 0)
            jw_str(&w, term->value.string);
        else if (term->value.type == EXPR_STRING)
            buf_append_str(&text, "\"\"");
        else if (term->value.type == EXPR_TIME)
            buf_append_str(&text, "now()");
        else if (term->value.type == EXPR_INT)
            buf_append_i64(&text, term->value.integer);
        else if (term->value.type == EXPR_REAL)
            buf_printf(&text, "%.17e", term->value.real);
        else
            buf_append_str(&text, term->value.type == EXPR_NULL ? "null"
                                  : term->value.integer         ? "true"
                                                                : "false");
        struct expr *expr;
        char why[EXPR_WHY_SIZE];
        assert_int_equal(expr_compile(buf_slice(&text), 0, &expr, why, sizeof why), ERR_OK);
        all = all && expr_eval(expr, json, &env) == EXPR_TRUE;
        expr_destroy(&expr);
        buf_release(&text);
    }
    return all;
}

static void test_what_an_expression_is_true_of_satisfies_its_terms(void **state)
{
    (void)state;
    unsigned terms_seen = 0;
    for (unsigned i = 0; i < ROUNDS / 4; i++) {
        struct tree *tree = random_expression(below(3));
        struct buf text = BUF_INIT;
        struct expr *expr;
        char why[EXPR_WHY_SIZE];
        print_tree(&text, tree);
        assert_int_equal(expr_compile(buf_slice(&text), 0, &expr, why, sizeof why), ERR_OK);
        struct expr_terms terms;
        bool possible = expr_terms(expr, &env, &terms);
        terms_seen += terms.count;
        for (unsigned k = 0; k < 5; k++) {
            json_t *doc = random_document();
            char *json = random_text(doc);
            if (expr_eval(expr, slice_str(json), &env) == EXPR_TRUE)
                assert_true(possible && satisfies(&terms, slice_str(json)));
            free(json);
            json_decref(doc);
        }
        expr_terms_release(&terms);
        expr_destroy(&expr);
        buf_release(&text);
        free_tree(tree);
    }
    assert_true(terms_seen > ROUNDS / 40);
}

/* ---- Texts that are none. The bytes end where their memory ends, which the sanitizer watches. */

static struct slice damaged_copy(struct slice text, char **memory)
{
    static const char alphabet[] = "\"\\{}[](),.:'`/@!=<>~?&|u0a\xc3\xff ";
    size_t len = text.len > 0 && below(3) == 0 ? below((unsigned)text.len) : text.len;
    *memory = malloc(len + 1);
    char *out = realloc(*memory, len ? len : 1);
    *memory = out;
    memcpy(out, text.ptr, len);
    for (unsigned i = len ? below(4) : 0; i > 0; i--)
        out[below((unsigned)len)] = alphabet[below(sizeof alphabet - 1)];
    return slice_of(out, len);
}

static void eval_damaged(const struct expr *expr)
{
    json_t *doc = random_document();
    char *json = random_text(doc), *memory;
    struct slice text = damaged_copy(slice_str(json), &memory);
    expr_eval(expr, text, &(struct expr_env){.user = text, .old = text, .request = text});
    free(memory);
    free(json);
    json_decref(doc);
}

static void test_damaged_texts_do_no_harm(void **state)
{
    (void)state;
    unsigned good = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct tree *tree = random_expression(below(4));
        struct buf text = BUF_INIT;
        struct expr *expr;
        char why[EXPR_WHY_SIZE], *memory;
        print_tree(&text, tree);
        struct slice damaged = damaged_copy(buf_slice(&text), &memory);
        if (!expr_compile(damaged, EXPR_USER | EXPR_OLD, &expr, why, sizeof why)) {
            good++;
            eval_damaged(expr);
        }
        expr_destroy(&expr);
        free(memory);
        buf_release(&text);
        free_tree(tree);
    }
    assert_true(good > ROUNDS / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_expression_says_what_the_model_says),
        cmocka_unit_test(test_what_an_expression_is_true_of_satisfies_its_terms),
        cmocka_unit_test(test_damaged_texts_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
