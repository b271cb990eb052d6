/* DESIGN. All members of the document that the expression names by their first step are found in
 * one walk over its text; what lies deeper is found within them. A value is compared where it
 * stands: only strings with escapes are copied. Nested arrays make for many values, so what an
 * evaluation may look at is bounded; above that the answer is unknown. */
#include "base/expr_private.h"
#include "base/json_private.h"

#define BUDGET (INT64_C(16) << 20) /* bytes, besides four times the document */

struct evaluation {
    const struct expr *expr;
    const struct expr_env *env;
    struct slice doc;
    struct slice *found; /* of the expression's names */
    struct scratch scratch;
};

/* ---- Three-valued logic. */

static enum expr_result negated(enum expr_result result)
{
    return result == EXPR_TRUE ? EXPR_FALSE : result == EXPR_FALSE ? EXPR_TRUE : EXPR_UNKNOWN;
}

static enum expr_result either(enum expr_result a, enum expr_result b)
{
    if (a == EXPR_TRUE || b == EXPR_TRUE)
        return EXPR_TRUE;
    return a == EXPR_UNKNOWN ? a : b;
}

static enum expr_result yes(bool answer)
{
    return answer ? EXPR_TRUE : EXPR_FALSE;
}

/* ---- Where values are. */

static void find_names(struct evaluation *e)
{
    struct json_members members = json_members_of(e->doc);
    unsigned missing = e->expr->name_count;
    for (unsigned i = 0; i < e->expr->name_count; i++)
        e->found[i] = slice_of(NULL, 0);
    while (missing > 0 && json_next_member(&members)) {
        for (unsigned i = 0; i < e->expr->name_count; i++) {
            if (e->found[i].ptr || !json_name_is(members.name, e->expr->names[i]))
                continue;
            e->found[i] = members.value;
            missing--;
        }
    }
}

static struct slice member_of(struct slice object, struct slice name)
{
    struct slice value;
    return json_find_member(object, name, &value) ? value : slice_of(NULL, 0);
}

static struct slice text_of_root(enum root root, const struct expr_env *env)
{
    if (!env)
        return slice_of(NULL, 0);
    return root == ROOT_OLD ? env->old : root == ROOT_USER ? env->user : env->request;
}

/* What the first step leads to. */
static struct slice first_of(const struct evaluation *e, const struct path *path)
{
    if (path->root == ROOT_DOC)
        return e->found[path->name];
    return member_of(text_of_root(path->root, e->env), path->steps[0].name);
}

/* A variable without a value is absent, but for members that the old document lacks. */
static struct value value_at(const struct path *path, struct slice text, const struct expr_env *env)
{
    bool is_absent = !text.ptr && path->root != ROOT_DOC &&
                     (path->root != ROOT_OLD || !env || env->old.len == 0);
    if (is_absent)
        return (struct value){.kind = VALUE_ABSENT};
    return value_of(text);
}

static struct value value_of_now(const struct expr_env *env)
{
    return (struct value){
        .kind = VALUE_TIME, .is_moment = true, .moment = moment_of_ms(env ? env->now_ms : 0)};
}

static struct value value_of_path(const struct path *path, struct slice text,
                                  const struct expr_env *env)
{
    for (unsigned i = 1; i < path->depth; i++)
        text = member_of(text, path->steps[i].name);
    return value_at(path, text, env);
}

struct value operand_constant(const struct operand *operand, const struct expr_env *env)
{
    if (operand->kind == OPERAND_NOW)
        return value_of_now(env);
    if (operand->kind == OPERAND_LITERAL)
        return operand->value;
    const struct path *path = &operand->path;
    struct slice first = member_of(text_of_root(path->root, env), path->steps[0].name);
    return value_of_path(path, first, env);
}

static struct value single_value(const struct evaluation *e, const struct operand *operand)
{
    if (operand->kind != OPERAND_PATH || operand->path.root != ROOT_DOC)
        return operand_constant(operand, e->env);
    return value_of_path(&operand->path, first_of(e, &operand->path), e->env);
}

/* ---- Comparing two values. */

static enum expr_result matches(struct evaluation *e, const struct value *value,
                                const struct pattern *pattern)
{
    if (value->kind != VALUE_STRING)
        return value->kind == VALUE_ABSENT ? EXPR_UNKNOWN : EXPR_FALSE;
    buf_clear(&e->scratch.left);
    struct slice text = value->text;
    if (value->escaped) {
        value_append_string(&e->scratch.left, value);
        text = buf_slice(&e->scratch.left);
    }
    if (!scratch_spend(&e->scratch, text.len * 16)) /* it takes longer than comparing */
        return EXPR_UNKNOWN;
    size_t steps = 0;
    enum pattern_result result = pattern_match(pattern, text, &steps);
    scratch_spend(&e->scratch, steps * 16); /* what is left is too little for the next hard one */
    return result == PATTERN_TOO_HARD ? EXPR_UNKNOWN : yes(result == PATTERN_YES);
}

static enum expr_result equals(struct evaluation *e, const struct value *a, const struct value *b)
{
    enum order order = value_compare(a, b, &e->scratch);
    return order == ORDER_UNKNOWN ? EXPR_UNKNOWN : yes(order == ORDER_EQUAL);
}

static enum expr_result is_ordered(struct evaluation *e, enum op op, const struct value *a,
                                   const struct value *b)
{
    enum order order = value_compare(a, b, &e->scratch);
    if (order >= ORDER_DIFFERENT || !value_has_order(a))
        return EXPR_UNKNOWN;
    if (order == ORDER_EQUAL)
        return yes(op == OP_LE || op == OP_GE);
    return yes(order == ORDER_LESS ? op == OP_LT || op == OP_LE : op == OP_GT || op == OP_GE);
}

static enum expr_result has_element(struct evaluation *e, struct slice array,
                                    const struct value *wanted)
{
    struct json_elements elements = json_elements_of(array);
    enum expr_result result = EXPR_FALSE;
    while (result != EXPR_TRUE && json_next_element(&elements)) {
        struct value element = value_of(elements.value);
        result = either(result, equals(e, &element, wanted));
        if (!scratch_spend(&e->scratch, elements.value.len))
            return EXPR_UNKNOWN;
    }
    return result;
}

static enum expr_result has_member(struct evaluation *e, struct slice object,
                                   const struct value *wanted)
{
    if (wanted->kind != VALUE_STRING)
        return EXPR_FALSE;
    struct slice unused;
    buf_clear(&e->scratch.right);
    value_append_string(&e->scratch.right, wanted);
    if (!scratch_spend(&e->scratch, object.len))
        return EXPR_UNKNOWN;
    return yes(json_find_member(object, buf_slice(&e->scratch.right), &unused));
}

static enum expr_result has(struct evaluation *e, const struct value *value,
                            const struct value *wanted)
{
    if (value->kind == VALUE_ABSENT || wanted->kind == VALUE_ABSENT)
        return EXPR_UNKNOWN;
    if (value->kind == VALUE_ARRAY)
        return has_element(e, value->text, wanted);
    return value->kind == VALUE_OBJECT ? has_member(e, value->text, wanted) : EXPR_FALSE;
}

/* What each value on the left is asked. */
struct question {
    enum op op;
    struct value right;
    const struct pattern *pattern;
};

static enum expr_result ask(struct evaluation *e, const struct question *q,
                            const struct value *left)
{
    if (q->pattern)
        return matches(e, left, q->pattern);
    switch (q->op) {
    case OP_EQ:
        return equals(e, left, &q->right);
    case OP_CONTAINS:
        return value_contains(left, &q->right, &e->scratch);
    case OP_HAS:
        return has(e, left, &q->right);
    default:
        return is_ordered(e, q->op, left, &q->right);
    }
}

/* ---- Any of several values. */

static enum expr_result go_on(struct evaluation *e, const struct question *q,
                              const struct path *path, unsigned step, struct slice from);

/* `text` is the member that the step leads to. */
static enum expr_result ask_below(struct evaluation *e, const struct question *q,
                                  const struct path *path, unsigned step, struct slice text)
{
    if (!path->steps[step].each)
        return go_on(e, q, path, step + 1, text);
    struct json_elements elements = json_elements_of(text);
    enum expr_result result = EXPR_FALSE;
    bool is_empty = true;
    while (result != EXPR_TRUE && json_next_element(&elements)) {
        is_empty = false;
        if (!scratch_spend(&e->scratch, elements.value.len))
            return EXPR_UNKNOWN;
        result = either(result, go_on(e, q, path, step + 1, elements.value));
    }
    if (!is_empty)
        return result;
    struct value nothing = value_at(path, text.ptr ? slice_str("null") : text, e->env);
    return ask(e, q, &nothing);
}

static enum expr_result go_on(struct evaluation *e, const struct question *q,
                              const struct path *path, unsigned step, struct slice from)
{
    if (step < path->depth)
        return ask_below(e, q, path, step, member_of(from, path->steps[step].name));
    struct value value = value_at(path, from, e->env);
    return ask(e, q, &value);
}

static enum expr_result compare(struct evaluation *e, enum op op, const struct operand *left,
                                const struct operand *right)
{
    if (right->kind == OPERAND_PATH && right->path.has_each)
        return compare(e, operator_mirrored(op), right, left); /* only one of them has */
    struct question q = {.op = op};
    if (right->kind == OPERAND_PATTERN)
        q.pattern = right->pattern;
    else
        q.right = single_value(e, right);
    if (left->kind == OPERAND_PATH && left->path.has_each)
        return ask_below(e, &q, &left->path, 0, first_of(e, &left->path));
    struct value value = single_value(e, left);
    return ask(e, &q, &value);
}

/* ---- The tree. */

static enum expr_result is_in(struct evaluation *e, const struct node *node)
{
    const struct operand *operands = e->expr->operands;
    enum expr_result result = EXPR_FALSE;
    for (unsigned i = 0; i < node->count && result != EXPR_TRUE; i++)
        result =
            either(result, compare(e, OP_EQ, &operands[node->left], &operands[node->right + i]));
    return result;
}

static enum expr_result eval_node(struct evaluation *e, unsigned index)
{
    const struct node *node = &e->expr->nodes[index];
    const struct operand *operands = e->expr->operands;
    enum expr_result first;
    switch (node->kind) {
    case NODE_NOT:
        return negated(eval_node(e, node->left));
    case NODE_IN:
        return is_in(e, node);
    case NODE_COMPARE:
        return compare(e, node->op, &operands[node->left], &operands[node->right]);
    case NODE_AND:
        first = eval_node(e, node->left);
        return first == EXPR_FALSE
                   ? first
                   : negated(either(negated(first), negated(eval_node(e, node->right))));
    default:
        first = eval_node(e, node->left);
        return first == EXPR_TRUE ? first : either(first, eval_node(e, node->right));
    }
}

static enum expr_result eval_tree(const struct expr *expr, struct slice doc,
                                  const struct expr_env *env)
{
    struct slice found[EXPR_TERMS_MAX * 2];
    struct evaluation e = {.expr = expr, .env = env, .doc = doc, .found = found};
    e.scratch = (struct scratch){.budget = BUDGET + 4 * (int64_t)doc.len};
    find_names(&e);
    enum expr_result result = eval_node(&e, expr->root);
    buf_release(&e.scratch.left);
    buf_release(&e.scratch.right);
    return result;
}

enum expr_result expr_eval(const struct expr *expr, struct slice doc, const struct expr_env *env)
{
    if (!expr->first)
        return eval_tree(expr, doc, env);
    enum expr_result first = expr_eval(expr->first, doc, env);
    if (first == EXPR_FALSE)
        return first;
    enum expr_result second = expr_eval(expr->second, doc, env);
    return second == EXPR_TRUE ? first : second;
}
