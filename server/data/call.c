/* A request that changes something: begun on a worker thread, run by the writer thread, answered by
 * a worker thread again; nobody waits for the commit. */
#include "server/data/data_private.h"

#include "base/mem.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum err data_snapshot(struct data *data, store_fn fn, void *arg)
{
    return store_read(data_store(data), fn, arg);
}

/* ---- The request */

enum err data_not_encoded(struct data_call *call)
{
    struct slice coding = request_header(call->request, "Content-Encoding");
    if (!coding.len || slice_eq_nocase(coding, slice_str("identity")))
        return ERR_OK;
    return fault_set(&call->fault, ERR_MEDIA_TYPE, NULL, "The body must not be encoded.");
}

enum err data_json_type(struct data_call *call)
{
    struct slice rest = request_header(call->request, "Content-Type");
    struct slice type = slice_trim(slice_cut(&rest, ';'));
    if (slice_eq_nocase(type, slice_str("application/json")))
        return data_not_encoded(call);
    return fault_set(&call->fault, ERR_MEDIA_TYPE, NULL, "The body must be application/json.");
}

enum err data_body(struct data_call *call, json_t **out)
{
    char why[200];
    struct request *request = call->request;
    *out = NULL;
    if (request->body.len == 0)
        return fault_set(&call->fault, ERR_MALFORMED, NULL, "A JSON body is required.");
    enum err err = json_read(request->body, out, why, sizeof why);
    return err ? fault_set(&call->fault, err, NULL, "%s", why) : ERR_OK;
}

bool data_wants_minimal(const struct request *request)
{
    for (unsigned i = 0; i < request->header_count; i++) {
        if (!slice_eq_nocase(request->headers[i].name, slice_str("Prefer")))
            continue;
        struct slice rest = request->headers[i].value;
        while (rest.ptr) {
            struct slice one = slice_cut(&rest, ',');
            if (slice_eq_nocase(slice_trim(slice_cut(&one, ';')), slice_str("return=minimal")))
                return true;
        }
    }
    return false;
}

/* ---- The answer */

void data_tag(struct response *response, uint64_t version)
{
    char tag[24];
    int len = snprintf(tag, sizeof tag, "\"%" PRIu64 "\"", version);
    response_header(response, "ETag", slice_of(tag, (size_t)len));
}

/* Who may see it depends on who asks, so no cache on the way keeps it, and a browser asks again. */
void data_answer_document(struct response *response, const struct request *request,
                          const struct data_collection *c, int status, struct slice doc,
                          uint64_t version)
{
    struct buf fields = BUF_INIT;
    struct slice wanted = request_query(request, "fields", &fields);
    document_view(c, doc, wanted, &response->body);
    buf_release(&fields);
    response_json(response, status);
    data_tag(response, version);
    response_header(response, "Cache-Control", slice_str("private, no-cache"));
}

/* ---- The way */

static enum err run(struct txn *txn, void *arg)
{
    struct data_call *call = arg;
    struct request *request = call->request;
    response_reset(call->response);
    fault_clear(&call->fault);
    enum err err = call->run(call, txn);
    if (!err && request->before_commit.fn)
        err = request->before_commit.fn(txn, call->response, request->before_commit.arg);
    return err;
}

static void written(struct pending_write *write)
{
    struct data_call *call = write->arg;
    request_resume(call->request);
}

/* False: it comes to nothing, for *err. */
static bool submit(struct data_call *call, enum err *err)
{
    call->write = (struct pending_write){.fn = run, .arg = call, .done = written};
    call->request->awaited = call;
    request_await(call->request);
    *err = store_submit(data_store(call->data), &call->write);
    if (!*err)
        return true; /* the writer has the call now */
    request_await_no_more(call->request);
    call->request->awaited = NULL;
    return false;
}

static void end(struct data_call *call, enum err err)
{
    if (err && call->explain)
        call->explain(call, err);
    if (err && call->fault.err == err)
        fault_answer(&call->fault, call->request, call->response);
    else if (err)
        response_error(call->response, call->request, err, NULL, NULL, NULL);
    assert(call->response->status != 0);
    if (call->release)
        call->release(call);
    fault_clear(&call->fault);
    caller_release(&call->caller);
    free(call);
}

void data_call_serve(const struct data_target *target, struct data *data, struct request *request,
                     struct response *response, void *arg)
{
    struct data_call *call = request->awaited;
    request->awaited = NULL;
    if (call) {
        enum err result = call->write.result;
        if (!result || !call->again || !call->again(call, result) || !submit(call, &result))
            end(call, result);
        return;
    }
    call = mem_zalloc(target->size);
    call->data = data;
    call->request = request;
    call->response = response;
    caller_init(&call->caller, request, data_now_ms(data));
    bool writes = true;
    enum err err = target->begin(call, arg, &writes);
    if (err || !writes || !submit(call, &err))
        end(call, err);
}
