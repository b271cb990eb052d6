/* JSON patch (RFC 6902): add, remove, replace, move, copy, test. */
#include "server/data/data_private.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define STEPS_MAX 1000

struct step {
    json_t **doc;
    struct pointer path, from;
    json_t *value; /* borrowed */
    unsigned number;
    unsigned *room; /* for values that are copied */
    struct fault *fault;
};

/* "3.path" */
static enum err refuse(struct step *step, const char *member, const char *reason)
{
    char field[40];
    snprintf(field, sizeof field, "%u.%s", step->number, member);
    return fault_field(step->fault, field, reason);
}

/* ---- Values */

static bool are_equal(const json_t *a, const json_t *b);

static bool are_equal_objects(const json_t *a, const json_t *b)
{
    const char *key;
    json_t *value;
    bool equal = json_object_size(a) == json_object_size(b);
    json_object_foreach((json_t *)a, key, value) {
        const json_t *other = json_object_get(b, key);
        equal = equal && other && are_equal(value, other);
    }
    return equal;
}

static bool are_equal_arrays(const json_t *a, const json_t *b)
{
    bool equal = json_array_size(a) == json_array_size(b);
    for (size_t i = 0; equal && i < json_array_size(a); i++)
        equal = are_equal(json_array_get(a, i), json_array_get(b, i));
    return equal;
}

/* 1 and 1.0 are. */
static bool are_equal(const json_t *a, const json_t *b)
{
    if (json_is_object(a) && json_is_object(b))
        return are_equal_objects(a, b);
    if (json_is_array(a) && json_is_array(b))
        return are_equal_arrays(a, b);
    if (json_is_number(a) && json_is_number(b) && json_typeof(a) != json_typeof(b))
        return fabs(json_number_value(a) - json_number_value(b)) <= 0;
    return json_equal(a, b);
}

/* ---- Steps; each takes over the value that it is given. */

static enum err put_in_array(struct step *step, json_t *array, json_t *value, bool insert)
{
    const char *token = step->path.tokens[step->path.count - 1];
    size_t size = json_array_size(array), index = size;
    bool good = (insert && strcmp(token, "-") == 0) || pointer_index(token, size + insert, &index);
    if (good && insert)
        json_array_insert_new(array, index, value);
    else if (good)
        json_array_set_new(array, index, value);
    else
        json_decref(value);
    return good ? ERR_OK : refuse(step, "path", "missing");
}

/* insert: it may be new, and moves what is behind it in an array. */
static enum err put(struct step *step, json_t *value, bool insert)
{
    const struct pointer *path = &step->path;
    if (path->count == 0) {
        json_decref(*step->doc);
        *step->doc = value;
        return ERR_OK;
    }
    json_t *parent = pointer_find(*step->doc, path, path->count - 1);
    if (json_is_array(parent))
        return put_in_array(step, parent, value, insert);
    const char *name = path->tokens[path->count - 1];
    if (json_is_object(parent) && (insert || json_object_get(parent, name))) {
        json_object_set_new(parent, name, value);
        return ERR_OK;
    }
    json_decref(value);
    return refuse(step, "path", "missing");
}

static bool take_away(struct step *step, const struct pointer *path)
{
    size_t index;
    if (path->count == 0) {
        json_decref(*step->doc);
        *step->doc = json_null();
        return true;
    }
    json_t *parent = pointer_find(*step->doc, path, path->count - 1);
    const char *name = path->tokens[path->count - 1];
    if (json_is_array(parent))
        return pointer_index(name, json_array_size(parent), &index) &&
               json_array_remove(parent, index) == 0;
    return json_object_del(parent, name) == 0;
}

static enum err step_add(struct step *step)
{
    return put(step, json_deep_copy(step->value), true);
}

static enum err step_remove(struct step *step)
{
    return take_away(step, &step->path) ? ERR_OK : refuse(step, "path", "missing");
}

static enum err step_replace(struct step *step)
{
    return put(step, json_deep_copy(step->value), false);
}

/* A copy of what is there: the whole must not grow beyond what a document may have. */
static enum err copy_from(struct step *step, json_t **out)
{
    const json_t *there = pointer_find(*step->doc, &step->from, step->from.count);
    *out = NULL;
    if (!there)
        return refuse(step, "from", "missing");
    if (!values_are_bounded(there, step->room))
        return refuse(step, "from", "size");
    *out = json_deep_copy(there);
    return ERR_OK;
}

static enum err step_copy(struct step *step)
{
    json_t *value;
    enum err err = copy_from(step, &value);
    return err ? err : put(step, value, true);
}

static bool is_within(const struct pointer *outer, const struct pointer *inner)
{
    bool within = outer->count < inner->count;
    for (unsigned i = 0; within && i < outer->count; i++)
        within = strcmp(outer->tokens[i], inner->tokens[i]) == 0;
    return within;
}

static enum err step_move(struct step *step)
{
    json_t *value;
    if (is_within(&step->from, &step->path))
        return refuse(step, "path", "within");
    enum err err = copy_from(step, &value);
    if (err)
        return err;
    take_away(step, &step->from);
    return put(step, value, true);
}

static enum err step_test(struct step *step)
{
    const json_t *there = pointer_find(*step->doc, &step->path, step->path.count);
    if (there && are_equal(there, step->value))
        return ERR_OK;
    refuse(step, "path", "test");
    return fault_set(step->fault, ERR_CONFLICT, "TEST_FAILED", "A test of the patch fails.");
}

static const struct operation {
    const char *name;
    bool needs_value, needs_from;
    enum err (*apply)(struct step *step);
} operations[] = {
    {"add", true, false, step_add},         {"remove", false, false, step_remove},
    {"replace", true, false, step_replace}, {"move", false, true, step_move},
    {"copy", false, true, step_copy},       {"test", true, false, step_test},
};

/* ---- The patch */

static const struct operation *find_operation(const char *name)
{
    for (unsigned i = 0; i < sizeof operations / sizeof *operations; i++) {
        if (strcmp(operations[i].name, name) == 0)
            return &operations[i];
    }
    return NULL;
}

static enum err read_pointer(struct step *step, const json_t *from, const char *member,
                             struct pointer *out)
{
    const json_t *text = json_object_get(from, member);
    if (!text)
        return refuse(step, member, "required");
    return pointer_read(text, out) ? ERR_OK : refuse(step, member, "pointer");
}

static enum err apply(struct step *step, const json_t *text)
{
    const struct operation *operation = find_operation(json_str(text, "op", ""));
    if (!operation)
        return refuse(step, "op", json_object_get(text, "op") ? "enum" : "required");
    enum err err = read_pointer(step, text, "path", &step->path);
    if (!err && operation->needs_from)
        err = read_pointer(step, text, "from", &step->from);
    step->value = json_object_get(text, "value");
    if (!err && operation->needs_value && !step->value)
        err = refuse(step, "value", "required");
    if (!err)
        err = operation->apply(step);
    pointer_release(&step->path);
    pointer_release(&step->from);
    return err;
}

enum err patch_json(json_t **doc, json_t *patch, const struct patch_context *context)
{
    unsigned room = DOCUMENT_VALUES_MAX;
    if (!json_is_array(patch))
        return fault_field(context->fault, "", "type");
    if (json_array_size(patch) > STEPS_MAX)
        return fault_field(context->fault, "", "maxItems");
    enum err err = ERR_OK;
    for (unsigned i = 0; !err && i < json_array_size(patch); i++) {
        struct step step = {.doc = doc, .number = i, .room = &room, .fault = context->fault};
        err = apply(&step, json_array_get(patch, i));
    }
    return err;
}
