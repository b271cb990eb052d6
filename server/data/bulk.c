/* POST of many documents, one a line (NDJSON), with an answer a line. A line that cannot be is left
 * out, all others commit together. */
#include "server/data/data_private.h"

#include "base/mem.h"

#include <stdlib.h>

#define LINES_MAX 1000

enum bulk_mode { BULK_CREATE, BULK_UPSERT, BULK_DELETE };

struct bulk_call {
    struct data_call call;
    const struct data_collection *c;
    enum bulk_mode mode;
    struct change *lines;
    unsigned count;
    unsigned first_try; /* of the line that spoiled a transaction, one more than its place; or 0 */
    bool careful;       /* it has been spoiled once */
};

static struct bulk_call *of(struct data_call *call)
{
    return (struct bulk_call *)call;
}

/* ---- The answer: {"status":201,"id":"...","version":1} or {"status":422,"error":{...}} */

static void write_error(struct json_writer *w, const struct fault *fault)
{
    jw_key(w, "error");
    jw_begin(w, '{');
    jw_key(w, "code");
    jw_str(w, slice_str(fault->code ? fault->code : err_code(fault->err)));
    jw_key(w, "message");
    jw_str(w, slice_str(fault->message[0] ? fault->message : err_text(fault->err)));
    if (fault->details) {
        jw_key(w, "details");
        json_append(w->out, fault->details);
        w->comma = true;
    }
    jw_end(w, '}');
}

static int status_of(const struct change *line)
{
    if (line->fault.err)
        return err_status(line->fault.err);
    return line->kind == CHANGE_DELETE ? 204 : line->creates ? 201 : 200;
}

static void write_line(struct buf *out, const struct change *line)
{
    struct json_writer w = {.out = out};
    jw_begin(&w, '{');
    jw_key(&w, "status");
    jw_i64(&w, status_of(line));
    if (line->fault.err) {
        write_error(&w, &line->fault);
    } else {
        jw_key(&w, "id");
        jw_str(&w, buf_slice(&line->named));
    }
    if (!line->fault.err && line->kind != CHANGE_DELETE) {
        jw_key(&w, "version");
        jw_i64(&w, (int64_t)change_version(line));
    }
    jw_end(&w, '}');
    buf_append_char(out, '\n');
}

static void answer(struct bulk_call *bulk)
{
    struct response *response = bulk->call.response;
    for (unsigned i = 0; i < bulk->count; i++)
        write_line(&response->body, &bulk->lines[i]);
    response->status = 200;
    response_header(response, "Content-Type", slice_str("application/x-ndjson"));
}

/* ---- The transaction */

static enum err run(struct data_call *call, struct txn *txn)
{
    struct bulk_call *bulk = of(call);
    bulk->first_try = 0;
    for (unsigned i = 0; i < bulk->count; i++) {
        struct change *line = &bulk->lines[i];
        if (line->refused)
            continue;
        line->careful = bulk->careful;
        enum err err = change_apply(line, txn);
        if (txn_error(txn)) {
            bulk->first_try = i + 1;
            return txn_error(txn);
        }
        if (err && !line->fault.err)
            line->fault.err = err;
    }
    answer(bulk);
    return ERR_OK;
}

/* A line that a unique index refuses spoils the transaction; in another all lines are asked about
 * beforehand, and it is left out. */
static bool again(struct data_call *call, enum err err)
{
    struct bulk_call *bulk = of(call);
    bool once_more = err == ERR_EXISTS && bulk->first_try > 0 && !bulk->careful;
    bulk->careful = true;
    return once_more;
}

static void release(struct data_call *call)
{
    struct bulk_call *bulk = of(call);
    for (unsigned i = 0; i < bulk->count; i++)
        change_release(&bulk->lines[i]);
    free(bulk->lines);
}

/* ---- The request */

static enum err read_mode(struct bulk_call *bulk)
{
    static const char *const names[] = {"create", "upsert", "delete"};
    struct buf scratch = BUF_INIT;
    struct slice text = request_query(bulk->call.request, "mode", &scratch);
    bool found = !text.ptr;
    for (unsigned i = 0; text.ptr && i < sizeof names / sizeof *names; i++) {
        if (slice_is(text, names[i])) {
            bulk->mode = (enum bulk_mode)i;
            found = true;
        }
    }
    buf_release(&scratch);
    return found ? ERR_OK : fault_field(&bulk->call.fault, "mode", "enum");
}

/* The id that a line is about, of upsert and delete. */
static struct slice id_in(const json_t *body)
{
    const json_t *id = json_object_get(body, "id");
    return json_is_string(id) ? slice_of(json_string_value(id), json_string_length(id))
                              : slice_of(NULL, 0);
}

static void refuse(struct change *line)
{
    line->refused = true;
}

static void read_line(struct bulk_call *bulk, struct slice text, struct change *line)
{
    static const enum change_kind kinds[] = {CHANGE_CREATE, CHANGE_REPLACE, CHANGE_DELETE};
    char why[160];
    *line = (struct change){.c = bulk->c, .caller = &bulk->call.caller, .kind = kinds[bulk->mode]};
    if (json_read(text, &line->body, why, sizeof why)) {
        fault_set(&line->fault, ERR_MALFORMED, NULL, "%s", why);
        refuse(line);
        return;
    }
    if (bulk->mode == BULK_CREATE)
        return;
    line->id = id_in(line->body);
    if (line->id.len == 0 && bulk->mode == BULK_UPSERT && !bulk->c->client_ids)
        line->kind = CHANGE_CREATE;
    else if (line->id.len == 0) {
        fault_field(&line->fault, "id", "required");
        refuse(line);
    }
}

static enum err read_lines(struct bulk_call *bulk)
{
    struct slice rest = bulk->call.request->body;
    unsigned room = 1;
    for (size_t i = 0; i < rest.len; i++)
        room += rest.ptr[i] == '\n';
    if (room > LINES_MAX + 1)
        return fault_set(&bulk->call.fault, ERR_BODY_TOO_LARGE, NULL, "At most %d lines.",
                         LINES_MAX);
    bulk->lines = mem_zalloc(room * sizeof *bulk->lines);
    while (rest.len) {
        struct slice line = slice_cut(&rest, '\n');
        if (line.len && line.ptr[line.len - 1] == '\r')
            line.len--;
        if (slice_trim(line).len)
            read_line(bulk, line, &bulk->lines[bulk->count++]);
    }
    return bulk->count ? ERR_OK
                       : fault_set(&bulk->call.fault, ERR_MALFORMED, NULL,
                                   "A body is required, a JSON object a line.");
}

static enum err prepare_in(struct txn *txn, void *arg)
{
    struct bulk_call *bulk = arg;
    for (unsigned i = 0; i < bulk->count; i++) {
        struct change *line = &bulk->lines[i];
        /* What is there may be another line's by then: that is asked again in the transaction. */
        if (!line->refused && change_prepare(line, txn) && line->kind == CHANGE_CREATE)
            refuse(line);
    }
    return ERR_OK;
}

static enum err begin(struct data_call *call, void *arg, bool *writes)
{
    struct bulk_call *bulk = of(call);
    (void)writes;
    bulk->c = arg;
    call->run = run;
    call->again = again;
    call->release = release;
    struct slice type = request_header(call->request, "Content-Type");
    type = slice_trim(slice_cut(&type, ';'));
    if (!slice_eq_nocase(type, slice_str("application/x-ndjson")))
        return fault_set(&call->fault, ERR_MEDIA_TYPE, NULL,
                         "The body must be application/x-ndjson.");
    enum err err = data_not_encoded(call);
    if (!err)
        err = read_mode(bulk);
    if (!err)
        err = read_lines(bulk);
    return err ? err : data_snapshot(call->data, prepare_in, bulk);
}

void target_bulk(struct request *request, struct response *response, void *arg)
{
    const struct data_collection *c = arg;
    static const struct data_target target = {sizeof(struct bulk_call), begin};
    data_call_serve(&target, c->set->data, request, response, arg);
}
