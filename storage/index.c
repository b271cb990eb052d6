/* What an index holds: a function of its definition and a document, and of nothing else. Whoever
 * writes a document compares what the function says before and after (entries.c).
 *
 * DESIGN. A field is a way through the document (a.b, tags[], items[].sku) and leads to some
 * values: strings, numbers, booleans. All else, and nothing, is null. There is an entry for each
 * combination of the fields' values, and none at all in a sparse index if every field is null. What
 * most documents have, a plain string or an integer at the top, is read from the text, all else by
 * way of a tree. */
#include "base/mem.h"
#include "storage/collection_private.h"

#include <stdlib.h>
#include <string.h>

/* The most bytes of the strings in a key. With a unique index's number, its values and an id at
 * their longest there is room for 305. */
#define VALUE_MAX(field_count) ((field_count) == 1 ? 160u : 300u / (field_count))

/* ---- Definitions. */

/* Cuts the next step off the field's text, in place. */
static bool define_step(struct field *field, char **rest)
{
    if (field->depth == STEPS_MAX)
        return false;
    struct field_step *step = &field->steps[field->depth++];
    char *text = *rest, *end = text + strcspn(text, ".");
    *rest = *end ? end + 1 : NULL;
    *end = '\0';
    size_t len = (size_t)(end - text);
    step->each = len > 2 && strcmp(end - 2, "[]") == 0;
    if (step->each)
        end[-2] = '\0';
    step->member = text;
    for (const char *c = text; *c; c++) {
        if ((unsigned char)*c < ' ' || strchr("\"\\[]", *c))
            return false;
    }
    return text[0] != '\0';
}

static bool define_field(struct index *index, char *text)
{
    if (index->field_count == FIELDS_MAX)
        return false;
    struct field *field = &index->list[index->field_count++];
    while (text) {
        if (!define_step(field, &text))
            return false;
    }
    return true;
}

bool index_define(struct index *index, const struct index_spec *spec)
{
    *index = (struct index){.fields = mem_strdup(spec->fields),
                            .names = mem_strdup(spec->fields),
                            .unique = spec->unique,
                            .sparse = spec->sparse};
    bool good = spec->fields[0] && strlen(spec->fields) <= NAME_MAX_BYTES * FIELDS_MAX;
    for (char *rest = index->names; good && rest;) {
        char *field = strsep(&rest, ",");
        good = define_field(index, field);
    }
    return good;
}

bool index_spec_good(const struct index_spec *spec)
{
    struct index index;
    bool good = index_define(&index, spec);
    index_release(&index);
    return good;
}

void index_release(struct index *index)
{
    free(index->fields);
    free(index->names);
}

/* ---- Values as parts of a key. */

unsigned index_value_max(const struct index *index)
{
    return VALUE_MAX(index->field_count);
}

static void add_string(struct key *key, const struct index *index, struct slice text)
{
    key_add_text(key, text, index_value_max(index));
}

/* What is indexed of a value; null for the rest. Returns whether there is something. */
static bool add_value(struct key *key, const struct index *index, const json_t *value)
{
    if (json_is_string(value))
        add_string(key, index, slice_of(json_string_value(value), json_string_length(value)));
    else if (json_is_integer(value))
        key_add_i64(key, json_integer_value(value));
    else if (json_is_real(value))
        key_add_f64(key, json_real_value(value));
    else if (json_is_boolean(value))
        key_add_bool(key, json_is_true(value));
    else
        key_add_null(key);
    return json_is_string(value) || json_is_number(value) || json_is_boolean(value);
}

/* The same of a plain value's text; false, and nothing added, if it needs a tree. */
static bool add_plain(struct key *key, const struct index *index, struct slice text)
{
    int64_t number;
    bool is_string = text.len > 1 && text.ptr[0] == '"' && !memchr(text.ptr, '\\', text.len);
    if (is_string)
        add_string(key, index, slice_of(text.ptr + 1, text.len - 2));
    else if (slice_to_i64(text, &number))
        key_add_i64(key, number);
    else
        return false;
    return true;
}

/* ---- Sets. */

static void add_entry(struct entry_set *set, const struct index *index, const struct key *key)
{
    if (set->count == set->capacity) {
        set->capacity = set->capacity ? set->capacity * 2 : 4;
        set->list = mem_realloc(set->list, set->capacity * sizeof *set->list);
    }
    set->list[set->count++] = (struct entry){index, (uint32_t)set->bytes.len, key->len};
    buf_append(&set->bytes, key->bytes, key->len);
}

static int compare(const void *a, const void *b, void *arg)
{
    const struct entry_set *set = arg;
    const struct entry *x = a, *y = b;
    size_t len = x->len < y->len ? x->len : y->len;
    int order = memcmp(set->bytes.data + x->at, set->bytes.data + y->at, len);
    return order ? order : (int)x->len - (int)y->len;
}

static void sort(struct entry_set *set)
{
    if (set->count < 2)
        return;
    qsort_r(set->list, set->count, sizeof *set->list, compare, set);
    unsigned kept = 1;
    for (unsigned i = 1; i < set->count; i++) {
        if (compare(&set->list[i], &set->list[kept - 1], set) != 0)
            set->list[kept++] = set->list[i];
    }
    set->count = kept;
}

void entry_set_release(struct entry_set *set)
{
    buf_release(&set->bytes);
    free(set->list);
    *set = (struct entry_set){0};
}

/* ---- From a document to its entries. */

/* One document in one index. */
struct extraction {
    const struct index *index;
    struct slice json, id;
    json_t *tree; /* once it is needed */
    bool found;   /* a field of the present combination is there */
    struct entry_set *out;
};

static bool add_field(struct extraction *x, unsigned field, const struct key *key);

/* The field's value is in the key: on to the next field, or the entry is whole. */
static bool add_rest(struct extraction *x, unsigned field, struct key *key)
{
    if (field + 1 < x->index->field_count)
        return add_field(x, field + 1, key);
    if (x->index->sparse && !x->found)
        return true;
    if (x->out->count == ENTRIES_MAX)
        return false;
    if (!x->index->unique)
        memcpy(key->bytes + key->len, x->id.ptr, x->id.len);
    key->len = (uint16_t)(key->len + (x->index->unique ? 0 : x->id.len));
    add_entry(x->out, x->index, key);
    return true;
}

static bool add_tree_value(struct extraction *x, unsigned field, const struct key *key,
                           const json_t *value)
{
    struct key longer;
    key_init_from(&longer, key);
    bool found = x->found;
    x->found |= add_value(&longer, x->index, value);
    bool good = add_rest(x, field, &longer);
    x->found = found;
    return good;
}

/* Follows the field from `value` on, which its first `step` steps have led to. */
static bool follow(struct extraction *x, unsigned field, unsigned step, const struct key *key,
                   const json_t *value)
{
    const struct field *way = &x->index->list[field];
    if (step == way->depth)
        return add_tree_value(x, field, key, value);
    const json_t *member = json_object_get(value, way->steps[step].member);
    if (!way->steps[step].each)
        return follow(x, field, step + 1, key, member);
    if (json_array_size(member) == 0)
        return add_tree_value(x, field, key, NULL);
    bool good = true;
    for (size_t i = 0; good && i < json_array_size(member); i++)
        good = follow(x, field, step + 1, key, json_array_get(member, i));
    return good;
}

static bool add_field(struct extraction *x, unsigned field, const struct key *key)
{
    const struct field *way = &x->index->list[field];
    if (way->depth == 1 && !way->steps[0].each) {
        struct key longer;
        key_init_from(&longer, key);
        struct slice value;
        if (!json_find(x->json, way->steps[0].member, &value))
            return add_tree_value(x, field, key, NULL);
        if (add_plain(&longer, x->index, value)) {
            bool found = x->found;
            x->found = true;
            bool good = add_rest(x, field, &longer);
            x->found = found;
            return good;
        }
    }
    if (!x->tree && json_read_trusted(x->json, &x->tree))
        return false;
    return follow(x, field, 0, key, x->tree);
}

enum err index_entries(const struct collection *c, struct slice id, struct slice json,
                       struct entry_set *out)
{
    *out = (struct entry_set){0};
    struct extraction x = {.json = json, .id = id, .out = out};
    bool good = true;
    for (unsigned i = 0; good && i < c->index_count; i++) {
        x.index = &c->list[i];
        good = add_field(&x, 0, &x.index->prefix);
    }
    json_decref(x.tree);
    sort(out);
    return good ? ERR_OK : ERR_VALIDATION;
}

/* ---- Values that are looked for. */

/* An array stands for the first fields' values. */
static const json_t *wanted(const json_t *equal, unsigned field)
{
    return json_is_array(equal) ? json_array_get(equal, field) : field == 0 ? equal : NULL;
}

bool index_prefix(const struct index *index, const json_t *equal, struct key *out)
{
    key_init_from(out, &index->prefix);
    unsigned field = 0;
    for (const json_t *value; (value = wanted(equal, field)); field++) {
        if (field == index->field_count)
            return false;
        if (!add_value(out, index, value) && !json_is_null(value))
            return false;
    }
    return field > 0;
}

static bool leads_to(const struct field *way, unsigned step, const json_t *value,
                     const json_t *string)
{
    if (step == way->depth)
        return json_equal(value, string);
    const json_t *member = json_object_get(value, way->steps[step].member);
    if (!way->steps[step].each)
        return leads_to(way, step + 1, member, string);
    for (size_t i = 0; i < json_array_size(member); i++) {
        if (leads_to(way, step + 1, json_array_get(member, i), string))
            return true;
    }
    return false;
}

bool index_matches(const struct index *index, const json_t *doc, const json_t *equal)
{
    const json_t *value;
    for (unsigned field = 0; (value = wanted(equal, field)); field++) {
        if (json_is_string(value) && !leads_to(&index->list[field], 0, doc, value))
            return false;
    }
    return true;
}
