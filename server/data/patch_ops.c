/* Operators: {"$inc":{"stock":-2},"$if":"stock >= 2"}, in the order in which they are written. */
#include "server/data/data_private.h"

#include <math.h>
#include <stdio.h>

/* One value at one place. */
struct place {
    json_t *parent; /* the object that has it, or is to have it */
    char name[MEMBER_NAME_MAX + 1];
    json_t *present;   /* or NULL */
    const json_t *arg; /* what the operator says of it */
};

/* What becomes of it: a reason if that cannot be. */
typedef const char *(*operator_fn)(struct place *place);

/* ---- Operators */

static const char *op_set(struct place *place)
{
    json_object_set_new(place->parent, place->name, json_deep_copy(place->arg));
    return NULL;
}

static const char *op_unset(struct place *place)
{
    json_object_del(place->parent, place->name);
    return NULL;
}

/* Nothing counts as 0. */
static const char *op_inc(struct place *place)
{
    json_int_t sum = json_integer_value(place->present);
    bool none = !place->present || json_is_null(place->present);
    if (!json_is_number(place->arg) || !(none || json_is_number(place->present)))
        return "type";
    if (json_is_integer(place->arg) && (none || json_is_integer(place->present))) {
        if (__builtin_add_overflow(sum, json_integer_value(place->arg), &sum))
            return "range";
        json_object_set_new(place->parent, place->name, json_integer(sum));
        return NULL;
    }
    double real = (none ? 0 : json_number_value(place->present)) + json_number_value(place->arg);
    if (!isfinite(real))
        return "range";
    json_object_set_new(place->parent, place->name, json_real(real));
    return NULL;
}

/* Below, equal or above 0; numbers with numbers, strings with strings. */
static bool compare(const json_t *a, const json_t *b, int *out)
{
    if (json_is_integer(a) && json_is_integer(b)) {
        json_int_t x = json_integer_value(a), y = json_integer_value(b);
        *out = (x > y) - (x < y);
    } else if (json_is_number(a) && json_is_number(b)) {
        double x = json_number_value(a), y = json_number_value(b);
        *out = (x > y) - (x < y);
    } else if (json_is_string(a) && json_is_string(b)) {
        *out = strcmp(json_string_value(a), json_string_value(b));
    } else {
        return false;
    }
    return true;
}

static const char *set_if(struct place *place, int sign)
{
    int order;
    if (!json_is_number(place->arg) && !json_is_string(place->arg))
        return "type";
    if (!place->present || json_is_null(place->present))
        return op_set(place);
    if (!compare(place->arg, place->present, &order))
        return "type";
    return order * sign > 0 ? op_set(place) : NULL;
}

static const char *op_min(struct place *place)
{
    return set_if(place, -1);
}

static const char *op_max(struct place *place)
{
    return set_if(place, 1);
}

static const char *op_push(struct place *place)
{
    if (!place->present || json_is_null(place->present)) {
        place->present = json_array();
        json_object_set_new(place->parent, place->name, place->present);
    }
    if (!json_is_array(place->present))
        return "type";
    json_array_append_new(place->present, json_deep_copy(place->arg));
    return NULL;
}

static const char *op_add_to_set(struct place *place)
{
    for (size_t i = 0; i < json_array_size(place->present); i++) {
        if (json_equal(json_array_get(place->present, i), place->arg))
            return NULL;
    }
    return op_push(place);
}

static const struct {
    const char *name;
    operator_fn apply;
} operators[] = {
    {"$set", op_set},
    {"$unset", op_unset},
    {"$inc", op_inc},
    {"$min", op_min},
    {"$max", op_max},
    {"$push", op_push},
    {"$addToSet", op_add_to_set},
};

/* ---- Places */

/* Finds "address.city", making the objects on the way if `make`. False: there is something else on
 * the way, or it is no path. */
static bool find_place(json_t *doc, const char *path, bool make, struct place *out)
{
    struct slice rest = slice_str(path);
    out->parent = doc;
    for (unsigned depth = 0; rest.ptr; depth++) {
        struct slice step = slice_cut(&rest, '.');
        if (step.len == 0 || step.len > MEMBER_NAME_MAX || depth == JSON_DEPTH_MAX)
            return false;
        snprintf(out->name, sizeof out->name, "%.*s", SLICE_ARG(step));
        out->present = json_object_get(out->parent, out->name);
        if (!rest.ptr)
            break;
        if (!out->present && make)
            json_object_set_new(out->parent, out->name, out->present = json_object());
        if (!json_is_object(out->present))
            return false;
        out->parent = out->present;
    }
    return true;
}

static enum err apply_at(json_t *doc, operator_fn operator, const char * path, const json_t *arg,
                         struct fault *fault)
{
    struct place place = {.arg = arg};
    bool unset = operator== op_unset;
    if (!find_place(doc, path, !unset, &place))
        return unset ? ERR_OK : fault_field(fault, path, "path");
    const char *reason = operator(&place);
    return reason ? fault_field(fault, path, reason) : ERR_OK;
}

/* ---- The patch */

/* {"$unset":["a","b.c"]} is as {"$unset":{"a":1,"b.c":1}}. */
static json_t *as_object(json_t *arg)
{
    if (!json_is_array(arg))
        return json_incref(arg);
    json_t *object = json_object();
    for (size_t i = 0; i < json_array_size(arg); i++) {
        const json_t *path = json_array_get(arg, i);
        if (json_is_string(path))
            json_object_set_new(object, json_string_value(path), json_true());
    }
    return object;
}

static enum err apply(json_t *doc, const char *name, json_t *arg, struct fault *fault)
{
    operator_fn operator= NULL;
    for (unsigned i = 0; i < sizeof operators / sizeof *operators; i++) {
        if (strcmp(operators[i].name, name) == 0)
            operator= operators[i].apply;
    }
    if (!operator)
        return fault_field(fault, name, "unknown");
    json_t *paths = operator== op_unset ? as_object(arg) : json_incref(arg), *value;
    const char *path;
    enum err err = json_is_object(paths) ? ERR_OK : fault_field(fault, name, "type");
    json_object_foreach(paths, path, value) {
        enum err one = apply_at(doc, operator, path, value, fault);
        err = err ? err : one;
    }
    json_decref(paths);
    return err;
}

/* Asked of the document as it was. */
static enum err ask(const json_t *text, const struct patch_context *context)
{
    char why[EXPR_WHY_SIZE];
    struct fault *fault = context->fault;
    if (!json_is_string(text))
        return fault_field(fault, "$if", "type");
    if (!*context->condition &&
        expr_compile(slice_of(json_string_value(text), json_string_length(text)), EXPR_USER,
                     context->condition, why, sizeof why)) {
        fault_field(fault, "$if", "expression");
        return fault_set(fault, ERR_VALIDATION, NULL, "$if: %s", why);
    }
    if (expr_holds(*context->condition, context->before, &context->caller->env))
        return ERR_OK;
    return fault_set(fault, ERR_PRECONDITION, "CONDITION_FAILED", "The condition does not hold.");
}

enum err patch_ops(json_t **doc, json_t *patch, const struct patch_context *context)
{
    const char *name;
    json_t *arg;
    if (!json_is_object(patch))
        return fault_field(context->fault, "", "type");
    const json_t *condition = json_object_get(patch, "$if");
    enum err err = condition ? ask(condition, context) : ERR_OK;
    if (err)
        return err;
    json_object_foreach(patch, name, arg) {
        if (strcmp(name, "$if") != 0)
            apply(*doc, name, arg, context->fault);
    }
    return context->fault->err;
}
