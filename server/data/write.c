/* POST, PUT, PATCH and DELETE of one document. */
#include "server/data/data_private.h"

#include "server/http/media_type.h"
#include "server/http/path.h"

#include <string.h>

struct change_call {
    struct data_call call;
    struct change change;
    bool minimal;
};

static struct change_call *of(struct data_call *call)
{
    return (struct change_call *)call;
}

/* ---- Answering, in the transaction */

static void add_location(struct response *response, const struct change *change)
{
    struct buf location = BUF_INIT;
    buf_append_str(&location, DATA_PATH);
    buf_append_str(&location, change->c->name);
    buf_append_char(&location, '/');
    path_encode(buf_slice(&change->named), &location);
    response_header(response, "Location", buf_slice(&location));
    buf_release(&location);
}

/* Who may not read what he has made gets its id. */
static void answer_id(struct response *response, const struct change *change)
{
    struct json_writer w = {.out = &response->body};
    jw_begin(&w, '{');
    jw_key(&w, "id");
    jw_str(&w, buf_slice(&change->named));
    jw_end(&w, '}');
    response_json(response, change->creates ? 201 : 200);
    data_tag(response, change_version(change));
}

static void answer(struct data_call *call)
{
    const struct change *change = &of(call)->change;
    struct response *response = call->response;
    if (change->kind == CHANGE_DELETE) {
        response->status = 204;
        return;
    }
    if (change->creates)
        add_location(response, change);
    if (of(call)->minimal) {
        response->status = change->creates ? 201 : 204;
        data_tag(response, change_version(change));
        response_header(response, "Preference-Applied", slice_str("return=minimal"));
    } else if (change->readable) {
        data_answer_document(response, call->request, change->c, change->creates ? 201 : 200,
                             buf_slice(&change->text), change_version(change));
    } else {
        answer_id(response, change);
    }
}

static enum err run(struct data_call *call, struct txn *txn)
{
    enum err err = change_apply(&of(call)->change, txn);
    if (!err)
        answer(call);
    return err;
}

/* ---- When it comes to nothing */

static enum err explain_in(struct txn *txn, void *arg)
{
    return change_explain(arg, txn);
}

static void explain(struct data_call *call, enum err err)
{
    struct change *change = &of(call)->change;
    if (err == ERR_EXISTS && !change->fault.err && change->draft)
        data_snapshot(call->data, explain_in, change);
    if (change->fault.err == err) {
        fault_clear(&call->fault);
        call->fault = change->fault;
        change->fault = (struct fault){0};
    }
}

static void release(struct data_call *call)
{
    change_release(&of(call)->change);
}

/* ---- Beginning, on the worker thread */

static enum err prepare_in(struct txn *txn, void *arg)
{
    return change_prepare(arg, txn);
}

static bool is_type(struct slice type, const char *name)
{
    return slice_eq_nocase(type, slice_str(name));
}

#define PATCH_TYPES                                                                                \
    "application/merge-patch+json (or application/json), application/json-patch+json or "          \
    "application/vnd.galley.ops+json"

static const struct {
    const char *type;
    enum patch_kind kind;
} patches[] = {{"application/merge-patch+json", PATCH_MERGE},
               {"application/json", PATCH_MERGE},
               {"application/json-patch+json", PATCH_JSON},
               {"application/vnd.galley.ops+json", PATCH_OPS}};

static enum err read_type(struct data_call *call, struct change *change)
{
    if (change->kind != CHANGE_PATCH)
        return data_json_type(call);
    struct slice rest = request_header(call->request, "Content-Type");
    struct slice type = slice_trim(slice_cut(&rest, ';'));
    for (unsigned i = 0; i < sizeof patches / sizeof *patches; i++) {
        if (is_type(type, patches[i].type)) {
            change->patch = patches[i].kind;
            return data_not_encoded(call);
        }
    }
    return fault_set(&call->fault, ERR_MEDIA_TYPE, NULL, "The body must be %s.", PATCH_TYPES);
}

static enum err read_body(struct data_call *call, struct change *change)
{
    enum err err = read_type(call, change);
    return err ? err : data_body(call, &change->body);
}

static enum err begin(struct data_call *call, void *arg, enum change_kind kind)
{
    struct change *change = &of(call)->change;
    struct request *request = call->request;
    *change = (struct change){
        .c = arg,
        .caller = &call->caller,
        .kind = kind,
        .id = request_param(request, "id"),
        .if_match = request_header(request, "If-Match"),
        .if_none_match = request_header(request, "If-None-Match"),
    };
    call->run = run;
    call->explain = explain;
    call->release = release;
    of(call)->minimal = data_wants_minimal(request);
    enum err err = kind == CHANGE_DELETE ? ERR_OK : read_body(call, change);
    if (err)
        return err;
    return kind == CHANGE_CREATE ? change_prepare(change, NULL)
                                 : data_snapshot(call->data, prepare_in, change);
}

static enum err begin_create(struct data_call *call, void *arg, bool *writes)
{
    (void)writes;
    return begin(call, arg, CHANGE_CREATE);
}

static enum err begin_replace(struct data_call *call, void *arg, bool *writes)
{
    (void)writes;
    return begin(call, arg, CHANGE_REPLACE);
}

static enum err begin_patch(struct data_call *call, void *arg, bool *writes)
{
    (void)writes;
    return begin(call, arg, CHANGE_PATCH);
}

static enum err begin_delete(struct data_call *call, void *arg, bool *writes)
{
    (void)writes;
    return begin(call, arg, CHANGE_DELETE);
}

static void serve(enum err (*first)(struct data_call *, void *, bool *), struct request *request,
                  struct response *response, void *arg)
{
    const struct data_collection *c = arg;
    const struct data_target target = {sizeof(struct change_call), first};
    data_call_serve(&target, c->set->data, request, response, arg);
}

void target_create(struct request *request, struct response *response, void *arg)
{
    serve(begin_create, request, response, arg);
}

void target_replace(struct request *request, struct response *response, void *arg)
{
    serve(begin_replace, request, response, arg);
}

void target_patch(struct request *request, struct response *response, void *arg)
{
    serve(begin_patch, request, response, arg);
}

void target_delete(struct request *request, struct response *response, void *arg)
{
    serve(begin_delete, request, response, arg);
}
