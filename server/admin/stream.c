/* The live stream (server-sent events): "history" once, then "sample" each second, until the
 * viewer leaves, signs out, or the server drains; and what was before. */
#include "base/log.h"
#include "base/mem.h"
#include "server/admin/admin_private.h"
#include "server/listeners.h"

#include <stdlib.h>

#define VIEWERS_MAX 100

struct viewer {
    struct admin *admin;
    char token[SESSION_TOKEN_SIZE];
    uint64_t next; /* number of the sample to send next */
    bool begun;
};

static void append_history(struct viewer *viewer, struct buf *out)
{
    struct sample *samples = mem_alloc(HISTORY_SAMPLES_MAX * sizeof *samples);
    unsigned count = history_read(viewer->admin->history, GRAIN_SECOND, &viewer->next, samples,
                                  HISTORY_SAMPLES_MAX);
    buf_append_str(out, "retry: 2000\nevent: history\ndata: ");
    history_json_columns(out, samples, count);
    buf_append_str(out, "\n\n");
    free(samples);
}

/* What was met last, or that the slow walk has found what nobody has needed yet. */
static void write_damage(const struct admin_options *process, const struct store_stats *store,
                         struct json_writer *w)
{
    struct scrub_figures found;
    scrub_figures(process->scrub, &found);
    bool only_found = store->damage[0] == '\0' && found.damaged > 0;
    jw_str(w, slice_str(only_found ? "A check has found it: the page Storage lists what."
                                   : store->damage));
}

static void append_state(struct json_writer *w, const struct admin_options *process)
{
    struct store_stats store;
    store_stats(process->store, &store);
    jw_key(w, "state");
    jw_str(w, slice_str(*process->draining ? "draining" : store.read_only ? "read-only" : "ready"));
    jw_key(w, "cause");
    jw_str(w, slice_str(store.cause));
    jw_key(w, "damage");
    write_damage(process, &store, w);
    jw_key(w, "warnings");
    jw_begin(w, '[');
    listeners_write_warnings(process->listeners, clock_wall_ms(&clock_system), w);
    process->write_alarms(process->galley, w);
    jw_end(w, ']');
}

static void append_sample(struct viewer *viewer, const struct sample *sample, struct buf *out)
{
    struct json_writer w = {.out = out};
    buf_append_str(out, "event: sample\ndata: ");
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
    append_state(&w, &viewer->admin->options);
    jw_end(&w, '}');
    buf_append_str(out, "\n\n");
}

/* An open dashboard keeps its session alive, and one whose session ended is cut. */
static bool still_signed_in(struct viewer *viewer)
{
    return viewer->token[0] == '\0' ||
           sessions_use(viewer->admin->sessions, slice_str(viewer->token),
                        clock_wall_ms(&clock_system), NULL);
}

static int64_t fill_live(void *arg, struct buf *out, int64_t now_ns)
{
    (void)now_ns;
    struct viewer *viewer = arg;
    struct sample sample;
    if (!viewer->begun)
        append_history(viewer, out);
    else if (!still_signed_in(viewer))
        return FEED_END;
    viewer->begun = true;
    while (history_read(viewer->admin->history, GRAIN_SECOND, &viewer->next, &sample, 1) == 1)
        append_sample(viewer, &sample, out);
    return FEED_WAIT;
}

static void viewer_release(void *arg)
{
    struct viewer *viewer = arg;
    viewer->admin->viewers--;
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
    if (visit->signed_in) /* else it came over the control socket, which has no session */
        memcpy(viewer->token, visit->token.ptr, visit->token.len);
    response->status = 200;
    response->feed = (struct feed){.fill = fill_live, .arg = viewer, .event = visit->admin->news};
    response->release = viewer_release;
    response->release_arg = viewer;
    response_header(response, "Content-Type", slice_str("text/event-stream"));
}

/* ---- GET /_/api/history?step=10s|2min: the longer steps, as one answer. */

void serve_history(struct visit *visit)
{
    struct buf scratch = BUF_INIT;
    struct slice step = request_query(visit->request, "step", &scratch);
    enum grain grain = slice_is(step, "2min")  ? GRAIN_TWO_MINUTES
                       : slice_is(step, "10s") ? GRAIN_TEN_SECONDS
                                               : GRAIN_SECOND;
    buf_release(&scratch);
    uint64_t next = 0;
    struct sample *samples = mem_alloc(HISTORY_SAMPLES_MAX * sizeof *samples);
    unsigned count =
        history_read(visit->admin->history, grain, &next, samples, HISTORY_SAMPLES_MAX);
    history_json_columns(&visit->response->body, samples, count);
    free(samples);
    response_json(visit->response, 200);
}
