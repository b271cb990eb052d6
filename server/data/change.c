/* One change of one document.
 *
 * DESIGN. All that takes time (parsing, rules, patching, validation, index entries) is prepared on
 * the worker thread against a snapshot, together with the version that it is about. The write
 * transaction looks whether that is still the present one and writes; if not, it prepares anew by
 * itself: a document that many change at once costs the writer more, and nobody waits for ever. */
#include "server/data/data_private.h"

#include "base/hash.h"
#include "base/mem.h"
#include "server/http/etag.h"

#include <inttypes.h>
#include <stdio.h>

static void forget_prepared(struct change *change)
{
    change->prepared = change->creates = change->readable = false;
    change->seen = change->seen_hash = 0;
    doc_draft_destroy(&change->draft);
    buf_clear(&change->text);
    fault_clear(&change->fault);
}

void change_release(struct change *change)
{
    forget_prepared(change);
    buf_release(&change->text);
    buf_release(&change->named);
    expr_destroy(&change->condition);
    json_decref(change->body);
    change->body = NULL;
}

/* ---- Conditions */

static struct slice tag_of(uint64_t version, char out[ETAG_MAX])
{
    return slice_of(out, (size_t)snprintf(out, ETAG_MAX, "\"%" PRIu64 "\"", version));
}

static enum err refuse_version(struct change *change, uint64_t version)
{
    change->fault.version = version;
    return fault_set(&change->fault, ERR_PRECONDITION, NULL,
                     version ? "The document has another version." : "There is no such document.");
}

/* `version` 0: there is no document. */
static enum err check_conditions(struct change *change, uint64_t version)
{
    char text[ETAG_MAX];
    struct slice tag = tag_of(version, text);
    bool is_any = slice_is(slice_trim(change->if_match), "*");
    if (change->if_match.ptr &&
        (version == 0 || !(is_any || etag_list_has_strongly(change->if_match, tag))))
        return refuse_version(change, version);
    is_any = slice_is(slice_trim(change->if_none_match), "*");
    if (change->if_none_match.ptr && version > 0 &&
        (is_any || etag_list_has_weakly(change->if_none_match, tag)))
        return refuse_version(change, version);
    if (change->if_version > 0 && change->if_version != version)
        return refuse_version(change, version);
    return ERR_OK;
}

/* ---- Preparing */

static void name_document(struct change *change, const json_t *doc)
{
    const json_t *id = json_object_get(doc, "id");
    buf_clear(&change->named);
    buf_append(&change->named, json_string_value(id), json_string_length(id));
}

/* The text and the draft of what the document is to be. */
static enum err draft(struct change *change, const json_t *doc)
{
    json_append(&change->text, doc);
    name_document(change, doc);
    enum err err = change->text.len > STORE_VALUE_MAX ? ERR_BODY_TOO_LARGE : ERR_OK;
    if (err)
        return fault_set(&change->fault, err, NULL, "The document is too large.");
    err = doc_draft_create(change->c->stored, buf_slice(&change->text), &change->draft);
    if (err)
        return fault_set(&change->fault, err, NULL, "The document has too many indexed values.");
    change->readable = rule_allows(change->c, ACTION_READ, change->caller, buf_slice(&change->text),
                                   slice_of(NULL, 0));
    change->prepared = true;
    return ERR_OK;
}

/* A PUT does not tell whether there is a document that its caller may not see. */
static enum err refuse_new(struct change *change)
{
    return change->kind == CHANGE_REPLACE ? fault_not_found(&change->fault)
                                          : fault_denied(&change->fault, change->caller);
}

static enum err prepare_new(struct change *change)
{
    const struct data_collection *c = change->c;
    change->creates = true;
    if (!rule_may_allow(c, ACTION_CREATE, change->caller))
        return refuse_new(change);
    enum err err = check_conditions(change, 0);
    if (err)
        return err;
    json_t *doc = json_deep_copy(change->body);
    err = document_settle(c, &doc, NULL, change->id, change->caller, &change->fault);
    if (!err)
        err = draft(change, doc);
    json_decref(doc);
    if (!err &&
        !rule_allows(c, ACTION_CREATE, change->caller, buf_slice(&change->text), slice_of(NULL, 0)))
        err = refuse_new(change);
    return err;
}

static enum err apply_patch(struct change *change, struct slice old_text, json_t **doc)
{
    static const patch_fn patches[] = {
        [PATCH_MERGE] = patch_merge, [PATCH_JSON] = patch_json, [PATCH_OPS] = patch_ops};
    struct buf before = BUF_INIT;
    if (change->patch == PATCH_OPS)
        document_view(change->c, old_text, slice_of(NULL, 0), &before);
    const struct patch_context context = {.caller = change->caller,
                                          .before = buf_slice(&before),
                                          .condition = &change->condition,
                                          .fault = &change->fault};
    enum err err = patches[change->patch](doc, change->body, &context);
    if (err == ERR_PRECONDITION)
        change->fault.version = change->seen;
    buf_release(&before);
    return err;
}

/* The other state as a tree of its own. */
static enum err other_state(struct change *change, struct slice old_text, const json_t *old,
                            json_t **out)
{
    if (change->kind == CHANGE_REPLACE) {
        *out = json_copy(change->body);
        return ERR_OK;
    }
    *out = json_deep_copy(old);
    document_hide(change->c, *out); /* a patch neither sees nor changes it */
    return apply_patch(change, old_text, out);
}

static enum err prepare_other_state(struct change *change, struct slice old_text)
{
    json_t *old, *doc = NULL;
    if (json_read_trusted(old_text, &old))
        return change->fault.err = ERR_DAMAGED;
    enum err err = other_state(change, old_text, old, &doc);
    if (!err)
        err = document_settle(change->c, &doc, old, change->id, change->caller, &change->fault);
    if (!err)
        err = draft(change, doc);
    if (!err && !rule_allows_after(change->c, change->caller, buf_slice(&change->text), old_text))
        err = fault_denied(&change->fault, change->caller);
    json_decref(doc);
    json_decref(old);
    return err;
}

static enum err prepare_delete(struct change *change)
{
    change->prepared = true;
    buf_clear(&change->named);
    buf_append_slice(&change->named, change->id);
    return ERR_OK;
}

/* Somebody who may not read it does not learn that it is there. */
static enum err prepare_present(struct change *change, const struct doc *doc)
{
    const struct data_collection *c = change->c;
    struct slice none = slice_of(NULL, 0);
    change->seen = doc->version;
    change->seen_hash = hash_bytes(doc->json);
    if (!rule_allows(c, ACTION_READ, change->caller, doc->json, none))
        return fault_not_found(&change->fault);
    bool may = change->kind == CHANGE_DELETE
                   ? rule_allows(c, ACTION_DELETE, change->caller, doc->json, none)
                   : rule_allows_before(c, change->caller, doc->json);
    if (!may)
        return fault_denied(&change->fault, change->caller);
    enum err err = check_conditions(change, doc->version);
    if (err)
        return err;
    return change->kind == CHANGE_DELETE ? prepare_delete(change)
                                         : prepare_other_state(change, doc->json);
}

static enum err prepare(struct change *change, struct txn *txn)
{
    struct doc doc;
    if (change->kind == CHANGE_CREATE)
        return prepare_new(change);
    enum err err = doc_get(txn, change->c->stored, change->id, &doc);
    if (!err)
        return prepare_present(change, &doc);
    if (err != ERR_NOT_FOUND)
        return change->fault.err = err;
    if (change->kind == CHANGE_REPLACE && change->c->client_ids)
        return prepare_new(change);
    err = check_conditions(change, 0);
    return err ? err : fault_not_found(&change->fault);
}

/* What was refused, be it by a rule that looks at the finished document, is not prepared: whoever
 * goes on to apply it is refused again, not believed. */
enum err change_prepare(struct change *change, struct txn *txn)
{
    forget_prepared(change);
    enum err err = prepare(change, txn);
    if (err) {
        change->prepared = false;
        doc_draft_destroy(&change->draft);
    }
    return err;
}

/* ---- A unique index objects */

/* The value of "address.city" in a document; NULL if an array is on the way. */
static json_t *value_at(json_t *doc, struct slice path)
{
    while (path.ptr && doc) {
        struct slice step = slice_cut(&path, '.');
        char name[MEMBER_NAME_MAX * 4];
        snprintf(name, sizeof name, "%.*s", SLICE_ARG(step));
        doc = json_object_get(doc, name);
    }
    return doc;
}

struct other {
    struct slice id; /* of the document that is looked at */
    bool found;
};

static bool note_other(struct slice id, const struct doc *doc, void *arg)
{
    (void)doc;
    struct other *other = arg;
    other->found |= !slice_eq(id, other->id);
    return !other->found;
}

static bool is_taken(const struct change *change, struct txn *txn, json_t *doc,
                     const struct index_spec *spec)
{
    json_t *values = json_array();
    struct slice rest = slice_str(spec->fields);
    while (rest.ptr) {
        json_t *value = value_at(doc, slice_cut(&rest, ','));
        json_array_append_new(values, value ? json_incref(value) : json_null());
    }
    struct other other = {.id = buf_slice(&change->named)};
    struct doc_scan scan = {.index = spec->fields, .equal = values, .limit = 2};
    doc_walk(txn, change->c->stored, &scan, note_other, &other);
    json_decref(values);
    return other.found;
}

static bool has_unique(const struct data_collection *c)
{
    for (unsigned i = 0; i < c->index_count; i++) {
        if (c->indexes[i].unique)
            return true;
    }
    return false;
}

static enum err not_unique(struct change *change)
{
    return fault_set(&change->fault, ERR_EXISTS, NULL,
                     "There is another document with the same of what has to be unique.");
}

static enum err check_unique(struct change *change, struct txn *txn)
{
    json_t *doc;
    const struct data_collection *c = change->c;
    bool taken = false;
    if (!has_unique(c) || json_read_trusted(buf_slice(&change->text), &doc))
        return ERR_OK;
    for (unsigned i = 0; i < c->index_count; i++) {
        const struct index_spec *spec = &c->indexes[i];
        if (spec->unique && is_taken(change, txn, doc, spec)) {
            fault_field(&change->fault, spec->fields, "unique");
            taken = true;
        }
    }
    json_decref(doc);
    return taken ? not_unique(change) : txn_error(txn);
}

enum err change_explain(struct change *change, struct txn *txn)
{
    check_unique(change, txn);
    not_unique(change);
    return ERR_OK;
}

/* ---- Writing */

/* Whether what was prepared is about what is there. */
static enum err is_present(const struct change *change, struct txn *txn, bool *out)
{
    struct doc doc = {0};
    *out = change->prepared;
    if (change->kind == CHANGE_CREATE)
        return ERR_OK; /* the insertion sees whether it is there */
    enum err err = doc_get(txn, change->c->stored, change->id, &doc);
    *out = change->prepared && doc.version == change->seen &&
           (err || hash_bytes(doc.json) == change->seen_hash);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* A client's id that is taken is found out before, so that it spoils no commit. */
static enum err check_free(struct change *change, struct txn *txn)
{
    struct doc doc;
    if (!change->c->client_ids || !change->creates)
        return ERR_OK;
    enum err err = doc_get(txn, change->c->stored, buf_slice(&change->named), &doc);
    if (err == ERR_NOT_FOUND)
        return ERR_OK;
    return err ? err
               : fault_set(&change->fault, ERR_EXISTS, NULL, "There is a document of this id.");
}

static enum err write(struct change *change, struct txn *txn)
{
    enum err err = check_free(change, txn);
    if (!err && change->careful && change->kind != CHANGE_DELETE)
        err = check_unique(change, txn);
    if (err)
        return err;
    if (change->kind == CHANGE_DELETE)
        return doc_delete(txn, change->c->stored, change->id);
    return change->creates ? doc_insert_draft(txn, change->draft)
                           : doc_replace_draft(txn, change->draft, change->seen);
}

enum err change_apply(struct change *change, struct txn *txn)
{
    bool present;
    fault_clear(&change->fault);
    enum err err = is_present(change, txn, &present);
    if (!err && !present)
        err = change_prepare(change, txn);
    return err ? err : write(change, txn);
}
