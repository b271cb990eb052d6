/* The queues and their jobs: how many are in which state, the jobs of one state, one job whole; to
 * run one again or to forget it. */
#include "base/log.h"
#include "server/admin/admin_private.h"

#include <stdio.h>

#define PAGE_MAX     200
#define PAGE_DEFAULT 50
#define PAYLOAD_MAX  65536 /* of a payload that is shown */

const char job_schema_text[] = "{\"type\": \"object\","
                               " \"properties\": {\"id\": {\"type\": \"string\"}},"
                               " \"required\": [\"id\"], \"additionalProperties\": false}";

/* ---- GET /_/api/queues */

static void write_queue(struct json_writer *w, const struct queue_stats *stats)
{
    jw_begin(w, '{');
    jw_key(w, "name");
    jw_str(w, slice_str(stats->name));
    jw_key(w, "workers");
    jw_i64(w, stats->workers);
    jw_key(w, "jobs");
    jw_begin(w, '{');
    for (enum job_state state = 0; state < JOB_STATES; state++) {
        jw_key(w, job_state_name(state));
        jw_i64(w, (int64_t)stats->jobs[state]);
    }
    jw_end(w, '}');
    jw_end(w, '}');
}

void serve_queues(struct visit *visit)
{
    struct queues *queues = visit->admin->options.queues;
    struct json_writer w = {.out = &visit->response->body};
    jw_begin(&w, '{');
    jw_key(&w, "data");
    jw_begin(&w, '[');
    for (unsigned i = 0; i < queue_count(queues); i++) {
        struct queue_stats stats;
        queue_stats(queues, i, &stats);
        write_queue(&w, &stats);
    }
    jw_end(&w, ']');
    jw_end(&w, '}');
    response_json(visit->response, 200);
}

/* ---- GET /_/api/jobs?queue=&state=&limit=&after= */

static void write_time(struct json_writer *w, const char *key, int64_t ms)
{
    jw_key(w, key);
    if (ms > 0)
        jw_i64(w, ms);
    else
        jw_null(w);
}

static void write_number(struct json_writer *w, const char *key, int64_t value)
{
    jw_key(w, key);
    jw_i64(w, value);
}

static void write_text(struct json_writer *w, const char *key, struct slice text)
{
    jw_key(w, key);
    jw_str(w, text);
}

/* The members that a list shows as well. */
static void write_members(struct json_writer *w, const struct job_info *info)
{
    char id[ID_TEXT_SIZE];
    id_format(&info->id, id);
    write_text(w, "id", slice_str(id));
    write_text(w, "queue", slice_str(info->queue));
    write_text(w, "type", slice_str(info->type));
    write_text(w, "state", slice_str(job_state_name(info->state)));
    write_number(w, "priority", info->priority);
    write_number(w, "attempt", info->attempt);
    write_number(w, "attemptsMax", info->attempts_max);
    write_time(w, "enqueuedAt", info->enqueued_ms);
    write_time(w, "dueAt", info->due_ms);
    write_time(w, "finishedAt", info->finished_ms);
    write_text(w, "reason", info->reason);
}

static void write_row(const struct job_info *info, void *w)
{
    jw_begin(w, '{');
    write_members(w, info);
    jw_end(w, '}');
}

struct listing {
    struct queues *queues;
    struct queue_page page;
    struct buf rows; /* a JSON array */
    bool more;
};

static enum err list_jobs(struct txn *txn, void *arg)
{
    struct listing *listing = arg;
    struct json_writer w = {.out = &listing->rows};
    buf_clear(&listing->rows);
    jw_begin(&w, '[');
    enum err err = queue_list(listing->queues, txn, &listing->page, write_row, &w, &listing->more);
    jw_end(&w, ']');
    return err;
}

/* A page's place as text and back: "ORDER.ID". */
static void write_place(struct json_writer *w, const struct listing *listing)
{
    char id[ID_TEXT_SIZE], text[32 + ID_TEXT_SIZE];
    id_format(&listing->page.after.id, id);
    snprintf(text, sizeof text, "%lld.%s", (long long)listing->page.after.order, id);
    jw_key(w, "after");
    if (listing->more)
        jw_str(w, slice_str(text));
    else
        jw_null(w);
}

static bool read_place(struct slice text, struct job_place *out)
{
    if (!text.len)
        return true;
    struct slice order = slice_cut(&text, '.');
    return slice_to_i64(order, &out->order) && id_parse(text, &out->id);
}

/* False if a parameter is none. `queue` gets the name, which the page borrows. */
static bool read_page(const struct request *request, struct buf *queue, struct queue_page *out)
{
    struct buf scratch = BUF_INIT;
    request_query(request, "queue", queue);
    buf_append_char(queue, '\0');
    *out = (struct queue_page){.queue = queue->data, .max = PAGE_DEFAULT};
    bool good = !job_state_parse(request_query(request, "state", &scratch), &out->state);
    buf_clear(&scratch);
    struct slice limit = request_query(request, "limit", &scratch);
    int64_t max = PAGE_DEFAULT;
    good = good && (!limit.len || slice_to_i64(limit, &max)) && max >= 1 && max <= PAGE_MAX;
    out->max = (unsigned)max;
    buf_clear(&scratch);
    good = good && read_place(request_query(request, "after", &scratch), &out->after);
    buf_release(&scratch);
    return good;
}

static void refuse(struct visit *visit, enum err err, const char *message)
{
    response_error(visit->response, visit->request, err, NULL, message, NULL);
}

void serve_jobs(struct visit *visit)
{
    struct buf queue = BUF_INIT;
    struct listing listing = {.queues = visit->admin->options.queues};
    enum err err = read_page(visit->request, &queue, &listing.page) ? ERR_OK : ERR_VALIDATION;
    if (!err)
        err = store_read(visit->admin->options.store, list_jobs, &listing);
    if (err) {
        refuse(visit, err, err == ERR_NOT_FOUND ? "There is no such queue." : NULL);
    } else {
        struct json_writer w = {.out = &visit->response->body};
        jw_begin(&w, '{');
        jw_key(&w, "data");
        jw_raw(&w, buf_slice(&listing.rows));
        write_place(&w, &listing);
        jw_end(&w, '}');
        response_json(visit->response, 200);
    }
    buf_release(&listing.rows);
    buf_release(&queue);
}

/* ---- GET /_/api/jobs/ID */

struct look {
    struct queues *queues;
    struct id id;
    struct buf json;
};

/* A payload is the module's; it is shown as the text that it is. */
static enum err look_at_job(struct txn *txn, void *arg)
{
    struct look *look = arg;
    struct job_info info;
    enum err err = queue_job(look->queues, txn, &look->id, &info);
    if (err)
        return err;
    buf_clear(&look->json);
    struct json_writer w = {.out = &look->json};
    bool cut = info.payload.len > PAYLOAD_MAX;
    jw_begin(&w, '{');
    write_members(&w, &info);
    write_number(&w, "payloadBytes", (int64_t)info.payload.len);
    jw_key(&w, "payload");
    if (info.payload.len > 0 && !cut)
        jw_str(&w, info.payload);
    else
        jw_null(&w);
    jw_end(&w, '}');
    return ERR_OK;
}

void serve_job(struct visit *visit)
{
    struct look look = {.queues = visit->admin->options.queues};
    struct slice path = visit->request->path;
    size_t skip = sizeof "/_/api/jobs/" - 1;
    enum err err = id_parse(slice_of(path.ptr + skip, path.len - skip), &look.id)
                       ? store_read(visit->admin->options.store, look_at_job, &look)
                       : ERR_NOT_FOUND;
    if (err) {
        refuse(visit, err, err == ERR_NOT_FOUND ? "There is no such job, or no longer." : NULL);
    } else {
        buf_append_slice(&visit->response->body, buf_slice(&look.json));
        response_json(visit->response, 200);
    }
    buf_release(&look.json);
}

/* ---- POST /_/api/jobs/retry, /_/api/jobs/delete */

struct act {
    struct queues *queues;
    enum err (*fn)(struct queues *queues, struct txn *txn, const struct id *id);
    struct id id;
};

static enum err act_on_job(struct txn *txn, void *arg)
{
    struct act *act = arg;
    return act->fn(act->queues, txn, &act->id);
}

static void act(struct visit *visit, const char *verb,
                enum err (*fn)(struct queues *queues, struct txn *txn, const struct id *id))
{
    json_t *body = NULL;
    if (!request_read_json(visit->request, visit->admin->job_schema, visit->response, &body))
        return;
    struct act act = {.queues = visit->admin->options.queues, .fn = fn};
    const char *id = json_str(body, "id", "");
    enum err err = id_parse(slice_str(id), &act.id)
                       ? store_write(visit->admin->options.store, act_on_job, &act)
                       : ERR_NOT_FOUND;
    if (err) {
        refuse(visit, err,
               err == ERR_NOT_FOUND  ? "There is no such job, or no longer."
               : err == ERR_CONFLICT ? "The job is not in a state in which that can be done."
                                     : NULL);
    } else {
        log_write(LOG_INFO, "admin", "%s: job %s is %s", visit_who(visit), id, verb);
        visit->response->status = 204;
    }
    json_decref(body);
}

void serve_job_retry(struct visit *visit)
{
    act(visit, "to run again", queue_retry);
}

void serve_job_delete(struct visit *visit)
{
    act(visit, "deleted", queue_delete);
}
