/* What a document is apart from what its author writes: its id, owner and times, what is hidden of
 * it, and the schema that it has to fit. */
#include "server/data/data_private.h"

#include "base/id.h"

#include <stdio.h>

bool document_id_good(struct slice id)
{
    for (size_t i = 0; i < id.len; i++) {
        if ((unsigned char)id.ptr[i] < ' ' || id.ptr[i] == 0x7f || strchr("/\\", id.ptr[i]))
            return false;
    }
    return id.len > 0 && id.len <= DOC_ID_MAX && slice_is_utf8(id) && !slice_is(id, ".") &&
           !slice_is(id, "..");
}

/* ---- Bounds */

static bool count_values(const json_t *value, unsigned depth, unsigned *left)
{
    if (depth > JSON_DEPTH_MAX || *left == 0)
        return false;
    --*left;
    if (json_is_object(value)) {
        const char *key;
        json_t *member;
        json_object_foreach((json_t *)value, key, member) {
            if (!count_values(member, depth + 1, left))
                return false;
        }
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        if (!count_values(json_array_get(value, i), depth + 1, left))
            return false;
    }
    return true;
}

bool values_are_bounded(const json_t *value, unsigned *room)
{
    return count_values(value, 0, room);
}

bool document_is_bounded(const json_t *doc)
{
    unsigned room = DOCUMENT_VALUES_MAX;
    return values_are_bounded(doc, &room);
}

/* ---- Members of the server's own */

static bool string_is(const json_t *value, struct slice text)
{
    return json_is_string(value) &&
           slice_eq(slice_of(json_string_value(value), json_string_length(value)), text);
}

/* With the id in front. */
static void put_id(json_t **doc, struct slice id)
{
    json_t *whole = json_object();
    json_object_set_new(whole, "id", json_stringn(id.ptr, id.len));
    json_object_del(*doc, "id");
    json_object_update(whole, *doc);
    json_decref(*doc);
    *doc = whole;
}

static void settle_new_id(const struct data_collection *c, json_t **doc, struct slice id,
                          const struct caller *caller, struct fault *fault)
{
    const json_t *given = json_object_get(*doc, "id");
    if (c->client_ids) {
        struct slice text = id;
        if (!id.len && json_is_string(given))
            text = slice_of(json_string_value(given), json_string_length(given));
        if (!text.ptr)
            fault_field(fault, "id", given ? "type" : "required");
        else if (!document_id_good(text) || (given && !string_is(given, text)))
            fault_field(fault, "id", "id");
        else
            put_id(doc, text);
        return;
    }
    if (given)
        fault_field(fault, "id", "generated");
    char text[ID_TEXT_SIZE];
    struct id made = id_make(caller->env.now_ms);
    id_format(&made, text);
    put_id(doc, slice_str(text));
}

static void settle_id(json_t **doc, struct slice id, struct fault *fault)
{
    const json_t *given = json_object_get(*doc, "id");
    if (given && !string_is(given, id))
        fault_field(fault, "id", "id");
    else if (!given)
        put_id(doc, id);
}

static void settle_owner(const struct data_collection *c, json_t *doc, const json_t *old,
                         const struct caller *caller, struct fault *fault)
{
    const json_t *given = json_object_get(doc, c->owner);
    json_t *owner = NULL;
    if (old)
        owner = json_incref(json_object_get(old, c->owner));
    else if (caller->user->id[0])
        owner = json_string(caller->user->id);
    if (given && !(owner && json_equal(given, owner)))
        fault_field(fault, c->owner, "owner");
    else if (owner && !given)
        json_object_set(doc, c->owner, owner);
    json_decref(owner);
}

/* Whatever the client says they are. */
static void settle_times(json_t *doc, const json_t *old, int64_t now_ms)
{
    char now[CLOCK_RFC3339_SIZE];
    clock_rfc3339(now_ms, now);
    json_t *created = json_object_get(old, "createdAt");
    if (created)
        json_object_set(doc, "createdAt", created);
    else
        json_object_set_new(doc, "createdAt", json_string(now));
    json_object_set_new(doc, "updatedAt", json_string(now));
}

static void settle_hidden(const struct data_collection *c, json_t *doc, const json_t *old,
                          struct fault *fault)
{
    for (unsigned i = 0; i < c->hidden_count; i++) {
        json_t *kept = json_object_get(old, c->hidden[i]);
        if (json_object_get(doc, c->hidden[i]))
            fault_field(fault, c->hidden[i], "hidden");
        else if (kept)
            json_object_set(doc, c->hidden[i], kept);
    }
}

/* ---- The schema */

/* What the schema is about: a copy without what it does not describe. */
static json_t *described(const struct data_collection *c, json_t *doc)
{
    json_t *copy = json_copy(doc);
    if (c->strip & STRIP_ID)
        json_object_del(copy, "id");
    if (c->strip & STRIP_CREATED)
        json_object_del(copy, "createdAt");
    if (c->strip & STRIP_UPDATED)
        json_object_del(copy, "updatedAt");
    if (c->strip & STRIP_OWNER)
        json_object_del(copy, c->owner);
    document_hide(c, copy);
    return copy;
}

static void check_schema(const struct data_collection *c, json_t *doc, struct fault *fault)
{
    if (!c->schema)
        return;
    json_t *violations = NULL, *copy = described(c, doc);
    enum err err = schema_check(c->schema, copy, &violations);
    if (err && fault->details)
        json_array_extend(fault->details, violations);
    else if (err)
        fault->details = json_incref(violations);
    if (err)
        fault->err = err;
    json_decref(violations);
    json_decref(copy);
}

enum err document_settle(const struct data_collection *c, json_t **doc, const json_t *old,
                         struct slice id, const struct caller *caller, struct fault *fault)
{
    if (!json_is_object(*doc))
        return fault_field(fault, "", "type");
    if (old)
        settle_id(doc, id, fault);
    else
        settle_new_id(c, doc, id, caller, fault);
    if (c->owner[0])
        settle_owner(c, *doc, old, caller, fault);
    if (c->timestamps)
        settle_times(*doc, old, caller->env.now_ms);
    if (c->schema && !old)
        schema_fill(c->schema, *doc);
    check_schema(c, *doc, fault);
    settle_hidden(c, *doc, old, fault);
    if (!fault->err && !document_is_bounded(*doc))
        fault_set(fault, ERR_VALIDATION, NULL, "The document is nested too deep, or too large.");
    return fault->err;
}

/* ---- What clients see */

void document_hide(const struct data_collection *c, json_t *doc)
{
    for (unsigned i = 0; i < c->hidden_count; i++)
        json_object_del(doc, c->hidden[i]);
}

/* Whether a name stands in the list before `here`: it is written once. */
static bool stands_before(struct slice list, const char *here, struct slice name)
{
    while (list.ptr && list.ptr < here) {
        struct slice other = slice_trim(slice_cut(&list, ','));
        if (other.ptr < here && slice_eq(other, name))
            return true;
    }
    return false;
}

static void view_fields(const struct data_collection *c, struct slice doc, struct slice fields,
                        struct buf *out)
{
    struct json_writer w = {.out = out};
    struct slice all = fields;
    jw_begin(&w, '{');
    while (fields.ptr) {
        struct slice name = slice_trim(slice_cut(&fields, ',')), value;
        char key[MEMBER_NAME_MAX + 1];
        if (name.len > MEMBER_NAME_MAX || member_is_hidden(c, name))
            continue;
        snprintf(key, sizeof key, "%.*s", SLICE_ARG(name));
        if (json_find(doc, key, &value) && !stands_before(all, name.ptr, name)) {
            jw_name(&w, name);
            jw_raw(&w, value);
        }
    }
    jw_end(&w, '}');
}

void document_view(const struct data_collection *c, struct slice doc, struct slice fields,
                   struct buf *out)
{
    if (fields.len) {
        view_fields(c, doc, fields, out);
        return;
    }
    struct buf shown[2] = {BUF_INIT, BUF_INIT};
    for (unsigned i = 0; i < c->hidden_count; i++) {
        struct buf *next = &shown[i % 2];
        buf_clear(next);
        json_append_without(next, doc, c->hidden[i]);
        doc = buf_slice(next);
    }
    buf_append_slice(out, doc);
    buf_release(&shown[0]);
    buf_release(&shown[1]);
}
