/* GET /api/v1/feed: who reads what from where, and who wakes them.
 *
 * DESIGN. A commit raises one event, at most every few milliseconds: under load a reader gets what
 * has gathered meanwhile in one piece, and writers do not pay for waking five hundred of them each
 * time. */
#include "server/changes/changes_private.h"

#include "base/mem.h"

#include <stdlib.h>

#define RAISE_EVERY_NS 10000000L
#define WAIT_MAX_S     60
#define LIMIT_MAX      1000
#define LIMIT          100

/* ---- Waking. */

static void raise_now(struct changes *changes)
{
    changes->raised_ns = clock_mono_ns(changes->options.clock);
    event_raise(changes->news);
}

static int64_t raise_later(void *arg, int64_t mono_ns)
{
    (void)mono_ns;
    struct changes *changes = arg;
    changes->told = false;
    raise_now(changes);
    return 0;
}

/* In the store's writer thread, for each event. */
static void on_commit(void *arg, const char *collection, uint64_t sequence)
{
    struct changes *changes = arg;
    changes->last[changes_slot(slice_str(collection))] = sequence;
    changes->latest = sequence;
    if (changes->readers == 0 || changes->told)
        return;
    int64_t since_ns = clock_mono_ns(changes->options.clock) - changes->raised_ns;
    if (since_ns >= RAISE_EVERY_NS) {
        raise_now(changes);
    } else if (!atomic_exchange(&changes->told, true)) {
        timer_wake_in(changes->timer, (RAISE_EVERY_NS - since_ns) / 1000000 + 1);
    }
}

static enum err read_span(struct txn *txn, void *arg)
{
    struct changes *changes = ((void **)arg)[0];
    return change_feed_span(txn, changes->options.feed, ((void **)arg)[1]);
}

struct changes *changes_create(const struct changes_options *options)
{
    struct changes *changes = mem_zalloc(sizeof *changes);
    changes->options = *options;
    changes->news = event_create();
    changes->timer = ticker_add(options->ticker, raise_later, changes, 0);
    struct journal_span span;
    enum err err = store_read(options->store, read_span, (void *[]){changes, &span});
    changes->began = err ? UINT64_MAX : span.next; /* then everybody reads */
    change_feed_watch(options->feed, on_commit, changes);
    return changes;
}

void changes_destroy(struct changes **changes)
{
    if (!*changes)
        return;
    timer_cancel((*changes)->timer);
    event_destroy(&(*changes)->news);
    free(*changes);
    *changes = NULL;
}

void changes_restart(struct changes *changes)
{
    changes->restarts++;
    event_raise(changes->news);
}

void changes_stop(struct changes *changes)
{
    changes->stopping = true;
    event_raise(changes->news);
}

void changes_figures(const struct changes *changes, struct changes_figures *out)
{
    *out = (struct changes_figures){changes->readers, changes->events};
}

/* ---- Wrong requests. Each answers, and is false. */

static bool refuse(const struct request *request, struct response *response, const char *field,
                   const char *message)
{
    json_t *details = json_pack("[{s:s, s:s}]", "field", field, "reason", "invalid");
    response_error(response, request, ERR_VALIDATION, NULL, message, details);
    json_decref(details);
    return false;
}

static bool refuse_gone(const struct request *request, struct response *response,
                        const struct journal_span *span)
{
    json_t *details =
        json_pack("[{s:s, s:s, s:I, s:I}]", "field", "since", "reason", "gone", "oldest",
                  (json_int_t)span->first - 1, "latest", (json_int_t)span->next - 1);
    response_error(response, request, ERR_GONE, "FEED_GONE",
                   "The feed does not go back that far: read the documents anew, and the feed from "
                   "`latest` on.",
                   details);
    json_decref(details);
    return false;
}

/* ---- What is asked for. */

/* A whole number in the query; `fallback` if it is not there. */
static bool read_number(const struct request *request, const char *name, int64_t max, int64_t *out)
{
    struct buf scratch = BUF_INIT;
    struct slice text = request_query(request, name, &scratch);
    bool good = !text.ptr || (slice_to_i64(text, out) && *out >= 0 && *out <= max);
    buf_release(&scratch);
    return good;
}

/* Where it begins: behind Last-Event-ID, behind `since`, or now. */
static bool read_place(const struct request *request, struct response *response,
                       struct reader *reader)
{
    int64_t since = -1;
    struct slice last = request_header(request, "Last-Event-ID");
    if (last.len > 0 ? !slice_to_i64(last, &since) || since < 0
                     : !read_number(request, "since", INT64_MAX - 1, &since))
        return refuse(request, response, last.len > 0 ? "Last-Event-ID" : "since",
                      "This is no number of an event.");
    struct journal_span span;
    enum err err =
        store_read(reader->changes->options.store, read_span, (void *[]){reader->changes, &span});
    if (err) {
        response_error(response, request, err, NULL, NULL, NULL);
        return false;
    }
    reader->next = since < 0 ? span.next : (uint64_t)since + 1;
    return (reader->next >= span.first && reader->next <= span.next) ||
           refuse_gone(request, response, &span);
}

static bool add_collection(const struct request *request, struct response *response,
                           const struct changes_place *place, struct reader *reader,
                           struct slice name)
{
    if (reader->count == COLLECTIONS_MAX)
        return refuse(request, response, "collections", "These are more than 16 collections.");
    enum err err =
        name.len == 0 || name.len >= sizeof reader->list[0].name ? ERR_NOT_FOUND : ERR_OK;
    if (!err)
        err = place->find(place->arg, request, name, &reader->list[reader->count].view);
    if (err) {
        response_error(response, request, err, NULL,
                       err == ERR_NOT_FOUND ? "There is no such collection with a feed." : NULL,
                       NULL);
        return false;
    }
    struct watched *watched = &reader->list[reader->count++];
    memcpy(watched->name, name.ptr, name.len);
    watched->slot = changes_slot(slice_str(watched->view.stored));
    return true;
}

static bool read_collections(const struct request *request, struct response *response,
                             const struct changes_place *place, struct reader *reader)
{
    struct buf scratch = BUF_INIT;
    struct slice rest = request_query(request, "collections", &scratch);
    bool good = rest.len > 0;
    if (!good)
        refuse(request, response, "collections", "Which collections? ?collections=NAME,NAME.");
    while (good && rest.ptr)
        good = add_collection(request, response, place, reader, slice_cut(&rest, ','));
    buf_release(&scratch);
    return good;
}

static bool read_filter(const struct request *request, struct response *response,
                        struct reader *reader)
{
    struct buf scratch = BUF_INIT;
    char why[EXPR_WHY_SIZE];
    struct slice text = request_query(request, "filter", &scratch);
    bool good = !text.ptr || !expr_compile(text, 0, &reader->filter, why, sizeof why);
    if (!good)
        refuse(request, response, "filter", why);
    buf_release(&scratch);
    return good;
}

/* ---- Serving. */

static void reader_release(void *arg)
{
    struct reader *reader = arg;
    for (unsigned i = 0; i < reader->count; i++) {
        if (reader->list[i].view.release)
            reader->list[i].view.release(reader->list[i].view.arg);
    }
    reader->changes->readers--;
    expr_destroy(&reader->filter);
    buf_release(&reader->page);
    buf_release(&reader->now);
    buf_release(&reader->before);
    free(reader);
}

static struct reader *reader_create(const struct request *request, struct changes *changes)
{
    struct reader *reader = mem_zalloc(sizeof *reader);
    reader->changes = changes;
    reader->restarts = changes->restarts;
    reader->user = request->user;
    changes->readers++; /* before it looks at what there is: it misses no news */
    return reader;
}

static void answer(struct response *response, struct reader *reader, int64_t wait_s)
{
    bool polls = wait_s >= 0;
    int64_t now_ns = clock_mono_ns(reader->changes->options.clock);
    reader->alive_ns = now_ns + (polls ? wait_s * 1000000000L : 0);
    response->status = 200;
    response->feed = (struct feed){.fill = polls ? reader_poll : reader_stream,
                                   .arg = reader,
                                   .event = reader->changes->news,
                                   .finite = polls};
    response->release = reader_release;
    response->release_arg = reader;
    response_header(response, "Content-Type",
                    slice_str(polls ? "application/json" : "text/event-stream"));
    response_header(response, "Cache-Control", slice_str("no-store"));
    response_header(response, "X-Accel-Buffering", slice_str("no"));
}

void changes_target(struct request *request, struct response *response, void *arg)
{
    const struct changes_place *place = arg;
    struct reader *reader = reader_create(request, place->changes);
    int64_t wait_s = -1, limit = LIMIT;
    bool good = read_collections(request, response, place, reader) &&
                read_filter(request, response, reader);
    if (good && !read_number(request, "wait", WAIT_MAX_S, &wait_s))
        good = refuse(request, response, "wait", "This is no number of seconds from 0 to 60.");
    if (good && (!read_number(request, "limit", LIMIT_MAX, &limit) || limit == 0))
        good = refuse(request, response, "limit", "This is no number from 1 to 1000.");
    reader->limit = (unsigned)limit;
    if (good && read_place(request, response, reader))
        answer(response, reader, wait_s);
    else
        reader_release(reader);
}
