/* GET of one document. */
#include "server/data/data_private.h"

struct look {
    const struct data_collection *c;
    struct request *request;
    struct response *response;
    struct caller caller;
    struct fault fault;
};

static enum err look(struct txn *txn, void *arg)
{
    struct look *l = arg;
    struct doc doc;
    enum err err = doc_get(txn, l->c->stored, request_param(l->request, "id"), &doc);
    if (err && err != ERR_NOT_FOUND)
        return err;
    if (err || !rule_allows(l->c, ACTION_READ, &l->caller, doc.json, slice_of(NULL, 0)))
        return fault_not_found(&l->fault);
    data_answer_document(l->response, l->request, l->c, 200, doc.json, doc.version);
    return ERR_OK;
}

/* Who may read none is told so, whether the document is there or not. */
void target_get(struct request *request, struct response *response, void *arg)
{
    const struct data_collection *c = arg;
    struct data *data = c->set->data;
    struct look l = {.c = c, .request = request, .response = response};
    caller_init(&l.caller, request, data_now_ms(data));
    enum err err = rule_may_allow(c, ACTION_READ, &l.caller) ? data_snapshot(data, look, &l)
                                                             : fault_denied(&l.fault, &l.caller);
    if (err && err == l.fault.err)
        fault_answer(&l.fault, request, response);
    else if (err)
        response_error(response, request, err, NULL, NULL, NULL);
    fault_clear(&l.fault);
    caller_release(&l.caller);
}
