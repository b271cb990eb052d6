/* Notes: each user has some. A module is one file: docs/module.md. */
#include "base/log.h"
#include "server/app/app.h"

#include <stdio.h>

#define PAGE_MAX 100

enum { ENTRIES }; /* the collections below */

/* The owner's alone: somebody else's is as if it did not exist. */
static enum err load_own(struct call *call, struct doc *out)
{
    enum err err = doc_get(call->txn, call_collection(call, ENTRIES), call_param(call, "id"), out);
    if (!err && strcmp(call_text(call, out->json, "owner"), call_user(call)) == 0)
        return ERR_OK;
    return call_fail(call, err ? err : ERR_NOT_FOUND, NULL, "There is no such entry.");
}

/* Runs in the transaction: the document and the job commit together, before the answer leaves. */
static enum err add(struct call *call)
{
    char id[CALL_ID_SIZE], location[80];
    call_new_id(call, id);
    struct buf json = BUF_INIT;
    json_printf(&json, "{'id':%s,'owner':%s,'text':%s}", id, call_user(call),
                call_str(call, "text"));
    doc_insert_text(call->txn, call_collection(call, ENTRIES), buf_slice(&json));
    buf_release(&json);
    call_enqueue(call, "notes", "count-notes", "{'owner':%s}", call_user(call));
    snprintf(location, sizeof location, "/notes/%s", id);
    return call_created(call, location, "{'id':%s}", id);
}

static enum err get(struct call *call)
{
    struct doc entry;
    enum err err = load_own(call, &entry);
    return err ? err : call_answer_text(call, 200, entry.json);
}

static enum err list(struct call *call)
{
    int64_t limit;
    enum err err = call_query_int(call, "limit", 1, PAGE_MAX, PAGE_MAX, &limit);
    if (err)
        return err;
    json_t *owner = json_string(call_user(call));
    struct doc_scan scan = {.index = "owner", .equal = owner};
    err = call_answer_page(call, call_collection(call, ENTRIES), &scan, limit, NULL);
    json_decref(owner);
    return err;
}

static enum err drop(struct call *call)
{
    struct doc entry;
    enum err err = load_own(call, &entry);
    if (err)
        return err;
    call->response->status = 204;
    return doc_delete(call->txn, call_collection(call, ENTRIES), call_param(call, "id"));
}

/* What comes after the answer: tried again until it is done. */
static enum err count(const struct job *job, void *state, char *why, size_t why_size)
{
    (void)state, (void)why, (void)why_size;
    log_write(LOG_INFO, "notes", "one more: %.*s", SLICE_ARG(job->payload));
    return ERR_OK;
}

/* ---- What the module brings */

/* clang-format off */
static const char schema[] = APP_JSON({
    "type": "object",
    "additionalProperties": false,
    "required": ["text"],
    "properties": {
        "text": {"type": "string", "minLength": 1, "maxLength": 1000}
    }
});

static const struct app_route routes[] = {
    {METHOD_POST, "/notes", APP_PERSONAL, APP_WRITE, schema, add, NULL},
    {METHOD_GET, "/notes", APP_PERSONAL, APP_READ, NULL, list, NULL},
    {METHOD_GET, "/notes/{id}", APP_PERSONAL, APP_READ, NULL, get, NULL},
    {METHOD_DELETE, "/notes/{id}", APP_PERSONAL, APP_WRITE, NULL, drop, NULL},
};

static const struct index_spec by_owner[] = {{.fields = "owner"}};
static const struct app_collection collections[] = {[ENTRIES] = {"notes", by_owner, 1}};
static const struct job_handler jobs[] = {{.type = "count-notes", .run = count}};
/* clang-format on */

const struct app_module notes_module = {
    .name = "notes",
    .help = "Notes of users.",
    .routes = routes,
    .route_count = sizeof routes / sizeof routes[0],
    .collections = collections,
    .collection_count = sizeof collections / sizeof collections[0],
    .jobs = jobs,
    .job_count = sizeof jobs / sizeof jobs[0],
    .queue = "notes",
};
