/* Notes: each user has some. A module is one file: docs/module.md. */
#include "server/app/app.h"

#include <stdio.h>

#define PAGE_MAX 100

enum { ENTRIES }; /* the collections below */

struct reminder {
    struct app *app;
    json_t *json; /* the job's payload */
};

/* The owner's alone: somebody else's is as if it did not exist. */
static enum err load_own(struct call *call, struct doc *out)
{
    enum err err = doc_get(call->txn, call_collection(call, ENTRIES), call_param(call, "id"), out);
    if (!err && strcmp(call_text(call, out->json, "owner"), call_user(call)) == 0)
        return ERR_OK;
    return call_fail(call, err ? err : ERR_NOT_FOUND, NULL, "There is no such entry.");
}

/* Runs before the transaction, as it may wait for the disk: the owner's address. */
static enum err look_up_owner(struct call *call)
{
    struct cached owner;
    enum err err = call_profile(call, &owner);
    if (err)
        return err;
    call->prepared = (void *)call_text(call, owner.bytes, "email");
    cached_release(&owner);
    return ERR_OK;
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
    const char *to = call->prepared;
    int64_t delay_s = call_int(call, "remindAfterSeconds");
    if (delay_s > 0 && to[0] != '\0')
        call_enqueue_later(call, delay_s * 1000, "notes", "remind-notes", "{'id':%s,'to':%s}", id,
                           to);
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

/* ---- The job: what comes after the answer */

/* Runs in a transaction too. That it was done commits with the e-mail, so it is sent once however
 * often the job runs. */
static enum err remind_of(struct txn *txn, void *arg)
{
    const struct reminder *reminder = arg;
    struct collection *entries = app_collection(reminder->app, "notes", ENTRIES);
    json_t *entry;
    enum err err =
        doc_load(txn, entries, slice_str(json_str(reminder->json, "id", "")), &entry, NULL);
    if (err)
        return err == ERR_NOT_FOUND ? ERR_OK : err; /* dropped meanwhile */
    if (!json_is_true(json_object_get(entry, "reminded"))) {
        app_enqueue(reminder->app, txn, 0, "mail", "send-email",
                    "{'to':%s,'subject':'You wanted to be reminded','text':%s}",
                    json_str(reminder->json, "to", ""), json_str(entry, "text", ""));
        json_object_set(entry, "reminded", json_true());
        doc_replace(txn, entries, entry, 0);
    }
    json_decref(entry);
    return txn_error(txn);
}

/* Tried again until it is ERR_OK. */
static enum err remind(const struct job *job, void *app, char *why, size_t why_size)
{
    struct reminder reminder = {.app = app};
    if (json_read(job->payload, &reminder.json, why, why_size))
        return ERR_MALFORMED; /* never: we wrote it */
    enum err err = store_write(app_store(app), remind_of, &reminder);
    json_decref(reminder.json);
    return err;
}

/* ---- What the module brings */

/* clang-format off */
static const char schema[] = APP_JSON({
    "type": "object",
    "additionalProperties": false,
    "required": ["text"],
    "properties": {
        "text": {"type": "string", "minLength": 1, "maxLength": 1000},
        "remindAfterSeconds": {"type": "integer", "minimum": 1, "maximum": 31536000}
    }
});

static const struct app_route routes[] = {
    {METHOD_POST, "/notes", APP_PERSONAL, APP_WRITE, schema, add, look_up_owner},
    {METHOD_GET, "/notes", APP_PERSONAL, APP_READ, NULL, list, NULL},
    {METHOD_GET, "/notes/{id}", APP_PERSONAL, APP_READ, NULL, get, NULL},
    {METHOD_DELETE, "/notes/{id}", APP_PERSONAL, APP_WRITE, NULL, drop, NULL},
};

static const struct index_spec by_owner[] = {{.fields = "owner"}};
static const struct app_collection collections[] = {[ENTRIES] = {"notes", by_owner, 1}};
static const struct job_handler jobs[] = {{.type = "remind-notes", .run = remind}};
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
