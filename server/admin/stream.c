/* The live stream (server-sent events): "history" once, then "sample" each second, until the
 * viewer leaves, signs out, or the server drains. A stream holds a worker thread, so their number
 * is bounded. */
#include "base/log.h"
#include "base/mem.h"
#include "server/admin/admin_private.h"
#include "server/listeners.h"

#include <stdlib.h>

#define VIEWERS_MAX 32
#define SAMPLE_NS   1000000000LL
#define SLACK_NS    50000000LL /* the ticker needs a moment too */

struct viewer {
    struct admin *admin;
    char token[SESSION_TOKEN_SIZE];
    uint64_t next; /* number of the sample to send next */
    struct buf text;
};

static bool send_event(struct stream *stream, struct viewer *viewer)
{
    buf_append_str(&viewer->text, "\n\n");
    bool sent = stream->write(stream, buf_slice(&viewer->text));
    buf_clear(&viewer->text);
    return sent;
}

static bool send_history(struct stream *stream, struct viewer *viewer)
{
    struct sample *samples = mem_alloc(HISTORY_SAMPLES * sizeof *samples);
    unsigned count = history_read(viewer->admin->history, &viewer->next, samples, HISTORY_SAMPLES);
    buf_append_str(&viewer->text, "retry: 2000\nevent: history\ndata: ");
    history_json_columns(&viewer->text, samples, count);
    free(samples);
    bool sent = send_event(stream, viewer);
    buf_shrink(&viewer->text, 0);
    return sent;
}

static void append_state(struct json_writer *w, struct galley *galley)
{
    struct store_stats store;
    store_stats(galley->store, &store);
    jw_key(w, "state");
    jw_str(w, slice_str(galley->draining ? "draining" : store.read_only ? "read-only" : "ready"));
    jw_key(w, "cause");
    jw_str(w, slice_str(store.cause));
    jw_key(w, "warnings");
    listeners_write_warnings(galley->listeners, clock_wall_ms(&clock_system), w);
}

static void append_sample(struct viewer *viewer, const struct sample *sample)
{
    struct json_writer w = {.out = &viewer->text};
    buf_append_str(&viewer->text, "event: sample\ndata: ");
    jw_begin(&w, '{');
    jw_key(&w, "sample");
    struct buf json = BUF_INIT;
    history_json_sample(&json, sample);
    jw_raw(&w, buf_slice(&json));
    jw_key(&w, "load");
    buf_clear(&json);
    history_read_load(viewer->admin->history, &json);
    jw_str(&w, buf_slice(&json));
    buf_release(&json);
    append_state(&w, viewer->admin->galley);
    jw_end(&w, '}');
}

static bool send_new_samples(struct stream *stream, struct viewer *viewer)
{
    struct sample sample;
    while (history_read(viewer->admin->history, &viewer->next, &sample, 1) == 1) {
        append_sample(viewer, &sample);
        if (!send_event(stream, viewer))
            return false;
    }
    return true;
}

/* Just behind the next sample; a second from now when that is late. */
static int64_t next_look_ns(struct viewer *viewer)
{
    int64_t now_ns = clock_mono_ns(&clock_system);
    int64_t due_ns = history_latest_ns(viewer->admin->history) + SAMPLE_NS + SLACK_NS;
    return due_ns > now_ns ? due_ns : now_ns + SAMPLE_NS;
}

/* An open dashboard keeps its session alive, and one whose session ended is cut. */
static bool still_signed_in(struct viewer *viewer)
{
    int64_t now_ms = clock_mono_ns(&clock_system) / 1000000;
    return sessions_use(viewer->admin->sessions, slice_str(viewer->token), now_ms, NULL);
}

static void stream_live(struct stream *stream, void *arg)
{
    struct viewer *viewer = arg;
    bool there = send_history(stream, viewer);
    while (there && stream->wait_until(stream, next_look_ns(viewer)) && still_signed_in(viewer))
        there = send_new_samples(stream, viewer);
}

static void viewer_release(void *arg)
{
    struct viewer *viewer = arg;
    viewer->admin->viewers--;
    buf_release(&viewer->text);
    free(viewer);
}

void serve_live(struct visit *visit)
{
    struct response *response = visit->response;
    if (visit->admin->viewers++ >= VIEWERS_MAX) {
        visit->admin->viewers--;
        response_error(response, visit->request, ERR_OVERLOADED, NULL, "Too many viewers.", NULL);
        return;
    }
    struct viewer *viewer = mem_zalloc(sizeof *viewer);
    viewer->admin = visit->admin;
    memcpy(viewer->token, visit->token.ptr,
           visit->token.len); /* of a session: its length is right */
    response->status = 200;
    response->stream = visit->request->method == METHOD_HEAD ? NULL : stream_live;
    response->stream_arg = viewer;
    response->release = viewer_release;
    response->release_arg = viewer;
    response_header(response, "Content-Type", slice_str("text/event-stream"));
}
