/* POST of several operations on documents and queues that commit together, or not at all.
 *
 * DESIGN. Operations are prepared on a snapshot, as single changes are. Inside the transaction an
 * operation that stands on another one ($from), or whose document an earlier one has changed, is
 * prepared anew. What fails on the snapshot is only believed if no earlier operation could have
 * made it good. */
#include "server/data/data_private.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

#define OPERATIONS_MAX 100
#define DELAY_MAX_MS   (INT64_C(3650) * 86400 * 1000)

struct operation {
    const json_t *text;
    struct change change;               /* of a document, */
    const struct queue_declared *queue; /* or NULL: a job */
    struct job_spec job;
    struct buf payload;
    struct id job_id;
    json_t *id;            /* of the document, resolved */
    bool stands_on_others; /* $from */
    bool may_change;       /* an earlier operation is about the same collection */
    json_t *result;        /* for later operations, once one has asked for it; or NULL */
};

struct transaction_call {
    struct data_call call;
    struct data_set *set;
    json_t *body;
    struct operation *list;
    unsigned count;
    size_t room; /* for values from earlier operations, see take_room */
    bool minimal;
};

static struct transaction_call *of(struct data_call *call)
{
    return (struct transaction_call *)call;
}

/* ---- Faults say which operation */

static enum err fault_at(struct transaction_call *t, unsigned i, const char *field,
                         const char *reason)
{
    char path[160];
    snprintf(path, sizeof path, "operations.%u%s%s", i, field[0] ? "." : "", field);
    return fault_field(&t->call.fault, path, reason);
}

/* Takes the operation's fault over. */
static enum err fault_of(struct transaction_call *t, unsigned i, enum err err)
{
    struct fault *own = &t->list[i].change.fault, *fault = &t->call.fault;
    fault_clear(fault);
    for (size_t at = 0; at < json_array_size(own->details); at++) {
        json_t *detail = json_array_get(own->details, at);
        char path[160];
        snprintf(path, sizeof path, "operations.%u.%s", i, json_str(detail, "field", ""));
        json_object_set_new(detail, "field", json_string(path));
    }
    if (!own->details)
        own->details = json_pack("[{s:o}]", "field", json_sprintf("operations.%u", i));
    if (own->err != err)
        own->err = err;
    *fault = *own;
    fault->version = 0;
    *own = (struct fault){0};
    return err;
}

/* ---- Values from earlier operations */

/* {"$from":0,"path":"/id"}, or NULL. */
static const json_t *reference(const json_t *value)
{
    const json_t *from = json_object_get(value, "$from");
    return from && json_object_size(value) <= 2 ? from : NULL;
}

static bool has_reference(const json_t *value)
{
    const char *key;
    json_t *member;
    bool found = reference(value);
    if (json_is_object(value)) {
        json_object_foreach((json_t *)value, key, member)
            found = found || has_reference(member);
    }
    for (size_t i = 0; !found && i < json_array_size(value); i++)
        found = has_reference(json_array_get(value, i));
    return found;
}

/* What an operation has made, as its caller may see it. */
static json_t *result_of(const struct operation *op)
{
    json_t *result = NULL;
    if (op->queue) {
        char id[ID_TEXT_SIZE];
        id_format(&op->job_id, id);
        return json_pack("{s:s}", "jobId", id);
    }
    if (op->change.kind == CHANGE_DELETE || !op->change.prepared)
        return NULL;
    if (op->change.readable)
        json_read_trusted(buf_slice(&op->change.text), &result);
    else
        result = json_pack("{s:s%}", "id", op->change.named.data, op->change.named.len);
    document_hide(op->change.c, result);
    return result;
}

/* Each value counts, and so do the bytes of texts: a short request cannot multiply a large
 * document.
 */
static bool take_room(const json_t *value, size_t *room)
{
    const char *key;
    json_t *member;
    size_t cost = 1 + json_string_length(value) / 16;
    bool good = cost <= *room;
    *room -= good ? cost : 0;
    json_object_foreach((json_t *)value, key, member)
        good = good && take_room(member, room);
    for (size_t i = 0; good && i < json_array_size(value); i++)
        good = take_room(json_array_get(value, i), room);
    return good;
}

static const json_t *kept_result(struct operation *op)
{
    if (!op->result)
        op->result = result_of(op);
    return op->result;
}

static void forget_result(struct operation *op)
{
    json_decref(op->result);
    op->result = NULL;
}

static json_t *look_up(struct transaction_call *t, unsigned at, const json_t *value)
{
    const json_t *from = reference(value);
    struct pointer path;
    json_t *found = NULL;
    if (!json_is_integer(from) || json_integer_value(from) < 0 || json_integer_value(from) >= at)
        return NULL;
    if (pointer_read(json_object_get(value, "path"), &path)) {
        const json_t *result = kept_result(&t->list[json_integer_value(from)]);
        found = pointer_find((json_t *)result, &path, path.count);
        found = found && take_room(found, &t->room) ? json_deep_copy(found) : NULL;
    }
    pointer_release(&path);
    return found;
}

/* A copy in which they stand; NULL if one leads nowhere. Of the operation number `at`. */
static json_t *resolve(struct transaction_call *t, unsigned at, const json_t *value)
{
    const char *key;
    json_t *member;
    if (reference(value))
        return look_up(t, at, value);
    if (!json_is_object(value) && !json_is_array(value))
        return json_incref((json_t *)value);
    json_t *copy = json_is_object(value) ? json_object() : json_array();
    bool good = true;
    json_object_foreach((json_t *)value, key, member)
        good = good && json_object_set_new(copy, key, resolve(t, at, member)) == 0;
    for (size_t i = 0; good && i < json_array_size(value); i++)
        good = json_array_append_new(copy, resolve(t, at, json_array_get(value, i))) == 0;
    if (good)
        return copy;
    json_decref(copy);
    return NULL;
}

/* ---- Reading an operation */

static const struct {
    const char *name, *body;
    enum change_kind kind;
    bool has_id;
} kinds[] = {
    {"create", "document", CHANGE_CREATE, false},
    {"replace", "document", CHANGE_REPLACE, true},
    {"patch", "patch", CHANGE_PATCH, true},
    {"delete", NULL, CHANGE_DELETE, true},
};

static enum err read_patch_type(struct transaction_call *t, unsigned i)
{
    static const char *const types[] = {"merge", "json", "ops"};
    struct operation *op = &t->list[i];
    const char *type = json_str(op->text, "type", "merge");
    for (unsigned at = 0; at < sizeof types / sizeof *types; at++) {
        if (strcmp(type, types[at]) == 0) {
            op->change.patch = (enum patch_kind)at;
            return ERR_OK;
        }
    }
    return fault_at(t, i, "type", "enum");
}

static enum err read_change(struct transaction_call *t, unsigned i, unsigned kind)
{
    struct operation *op = &t->list[i];
    const char *name = json_str(op->text, "collection", "");
    const struct data_collection *c = data_set_find(t->set, name);
    op->change = (struct change){
        .c = c,
        .caller = &t->call.caller,
        .kind = kinds[kind].kind,
        .if_version = (uint64_t)json_int(op->text, "ifVersion", 0),
    };
    if (!c)
        return fault_at(t, i, "collection",
                        json_object_get(op->text, "collection") ? "enum" : "required");
    if (kinds[kind].body && !json_object_get(op->text, kinds[kind].body))
        return fault_at(t, i, kinds[kind].body, "required");
    if (kinds[kind].has_id && !json_object_get(op->text, "id"))
        return fault_at(t, i, "id", "required");
    if (json_object_get(op->text, "ifVersion") && json_int(op->text, "ifVersion", 0) <= 0)
        return fault_at(t, i, "ifVersion", "type"); /* an ETag in quotes is none */
    for (unsigned before = 0; before < i; before++)
        op->may_change |= t->list[before].change.c == c;
    return read_patch_type(t, i);
}

static enum err read_job(struct transaction_call *t, unsigned i)
{
    struct operation *op = &t->list[i];
    op->job = (struct job_spec){
        .queue = json_str(op->text, "queue", ""),
        .type = json_str(op->text, "type", ""),
        .priority = (unsigned)json_int(op->text, "priority", 0),
        .delay_ms = json_int(op->text, "delayMs", 0),
    };
    op->queue = data_set_find_queue(t->set, op->job.queue);
    if (!op->queue)
        return fault_at(t, i, "queue", op->job.queue[0] ? "enum" : "required");
    if (!op->job.type[0])
        return fault_at(t, i, "type", "required");
    if (op->job.priority > 9)
        return fault_at(t, i, "priority", "range");
    if (op->job.delay_ms < 0 || op->job.delay_ms > DELAY_MAX_MS)
        return fault_at(t, i, "delayMs", "range");
    return ERR_OK;
}

static enum err read_operation(struct transaction_call *t, unsigned i)
{
    struct operation *op = &t->list[i];
    const char *name = json_str(op->text, "op", "");
    op->stands_on_others = has_reference(op->text);
    for (unsigned kind = 0; kind < sizeof kinds / sizeof *kinds; kind++) {
        if (strcmp(name, kinds[kind].name) == 0)
            return read_change(t, i, kind);
    }
    if (strcmp(name, "enqueue") == 0)
        return read_job(t, i);
    return fault_at(t, i, "op", json_object_get(op->text, "op") ? "enum" : "required");
}

static enum err read_operations(struct transaction_call *t)
{
    const json_t *list = json_object_get(t->body, "operations");
    size_t count = json_array_size(list);
    if (!json_is_array(list) || count == 0)
        return fault_field(&t->call.fault, "operations", list ? "minItems" : "required");
    if (count > OPERATIONS_MAX)
        return fault_field(&t->call.fault, "operations", "maxItems");
    t->list = mem_zalloc(count * sizeof *t->list);
    t->count = (unsigned)count;
    for (unsigned i = 0; i < count; i++) {
        t->list[i].text = json_array_get(list, i);
        read_operation(t, i);
    }
    return t->call.fault.err;
}

/* ---- Preparing; on the snapshot, or in the transaction */

/* The body and the id of an operation, with what they take from others. */
static enum err fill_in(struct transaction_call *t, unsigned i)
{
    struct operation *op = &t->list[i];
    struct change *change = &op->change;
    const char *body = op->queue                       ? "payload"
                       : change->kind == CHANGE_DELETE ? NULL
                       : change->kind == CHANGE_PATCH  ? "patch"
                                                       : "document";
    const json_t *text = body ? json_object_get(op->text, body) : NULL;
    const json_t *id = op->queue ? NULL : json_object_get(op->text, "id");
    json_decref(change->body);
    json_decref(op->id);
    change->body = text ? resolve(t, i, text) : NULL;
    op->id = id ? resolve(t, i, id) : NULL;
    if (text && !change->body)
        return fault_at(t, i, body, "from");
    if (id && !json_is_string(op->id))
        return fault_at(t, i, "id", op->id ? "type" : "from");
    if (op->id)
        change->id = slice_of(json_string_value(op->id), json_string_length(op->id));
    return ERR_OK;
}

static enum err prepare_job(struct transaction_call *t, unsigned i)
{
    struct operation *op = &t->list[i];
    buf_clear(&op->payload);
    if (op->change.body)
        json_append(&op->payload, op->change.body);
    else
        buf_append_str(&op->payload, "{}");
    op->job.payload = buf_slice(&op->payload);
    if (!json_is_object(op->change.body) && op->change.body)
        return fault_at(t, i, "payload", "type");
    if (rule_allows_job(op->queue, &t->call.caller, op->job.payload))
        return ERR_OK;
    fault_at(t, i, "queue", "rule");
    return fault_denied(&t->call.fault, &t->call.caller);
}

static enum err prepare(struct transaction_call *t, unsigned i, struct txn *txn)
{
    enum err err = fill_in(t, i);
    if (err)
        return err;
    if (t->list[i].queue)
        return prepare_job(t, i);
    err = change_prepare(&t->list[i].change, txn);
    return err ? fault_of(t, i, err) : ERR_OK;
}

static enum err prepare_in(struct txn *txn, void *arg)
{
    struct transaction_call *t = arg;
    enum err err = ERR_OK;
    for (unsigned i = 0; !err && i < t->count; i++) {
        const struct operation *op = &t->list[i];
        if (op->stands_on_others)
            continue;
        err = prepare(t, i, txn);
        if (err && op->may_change) {
            fault_clear(&t->call.fault);
            err = ERR_OK;
        }
    }
    return err;
}

/* ---- The transaction */

static enum err apply(struct transaction_call *t, unsigned i, struct txn *txn)
{
    struct operation *op = &t->list[i];
    forget_result(op);
    enum err err = op->stands_on_others ? prepare(t, i, txn) : ERR_OK;
    if (err)
        return err;
    if (op->queue)
        return queue_enqueue(data_queues(t->call.data), txn, &op->job, &op->job_id);
    op->change.careful = true;
    err = change_apply(&op->change, txn);
    return err ? fault_of(t, i, err) : ERR_OK;
}

static void write_result(struct json_writer *w, const struct transaction_call *t,
                         const struct operation *op)
{
    const struct change *change = &op->change;
    char job[ID_TEXT_SIZE];
    jw_begin(w, '{');
    if (op->queue) {
        id_format(&op->job_id, job);
        jw_key(w, "jobId");
        jw_str(w, slice_str(job));
    } else {
        jw_key(w, "id");
        jw_str(w, buf_slice(&change->named));
    }
    if (!op->queue && change->kind != CHANGE_DELETE) {
        jw_key(w, "version");
        jw_i64(w, (int64_t)change_version(change));
        if (change->readable && !t->minimal) {
            jw_key(w, "document");
            document_view(change->c, buf_slice(&change->text), slice_of(NULL, 0), w->out);
            w->comma = true;
        }
    }
    jw_end(w, '}');
}

static void answer(struct transaction_call *t)
{
    struct json_writer w = {.out = &t->call.response->body};
    jw_begin(&w, '{');
    jw_key(&w, "results");
    jw_begin(&w, '[');
    for (unsigned i = 0; i < t->count; i++)
        write_result(&w, t, &t->list[i]);
    jw_end(&w, ']');
    jw_end(&w, '}');
    response_json(t->call.response, 200);
}

static enum err run(struct data_call *call, struct txn *txn)
{
    struct transaction_call *t = of(call);
    enum err err = ERR_OK;
    t->room = DOCUMENT_VALUES_MAX;
    for (unsigned i = 0; !err && i < t->count; i++)
        err = apply(t, i, txn);
    if (!err)
        answer(t);
    return err;
}

/* ---- The request */

static void release(struct data_call *call)
{
    struct transaction_call *t = of(call);
    for (unsigned i = 0; i < t->count; i++) {
        change_release(&t->list[i].change);
        buf_release(&t->list[i].payload);
        json_decref(t->list[i].id);
        forget_result(&t->list[i]);
    }
    free(t->list);
    json_decref(t->body);
}

static enum err begin(struct data_call *call, void *arg, bool *writes)
{
    struct transaction_call *t = of(call);
    (void)writes;
    t->set = arg;
    t->minimal = data_wants_minimal(call->request);
    call->run = run;
    call->release = release;
    enum err err = data_json_type(call);
    if (!err)
        err = data_body(call, &t->body);
    if (!err)
        err = read_operations(t);
    return err ? err : data_snapshot(call->data, prepare_in, t);
}

void target_transaction(struct request *request, struct response *response, void *arg)
{
    struct data_set *set = arg;
    static const struct data_target target = {sizeof(struct transaction_call), begin};
    data_call_serve(&target, set->data, request, response, arg);
}
