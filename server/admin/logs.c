/* GET /_/api/logs?level=&q=: the log's last lines and those to come, as server-sent events: "line"
 * with the line's JSON, and "skipped" with a number of bytes when there were more than a page can
 * show.
 *
 * `level` leaves out what is less important, `q` what does not hold these words, in any case. */
#include "base/log.h"
#include "base/mem.h"
#include "server/admin/admin_private.h"

#include <stdlib.h>
#include <strings.h>

#define WATCHERS_MAX 20
#define QUERY_MAX    100
#define LINES_MAX    200         /* in one go */
#define LOOKS_MAX    4000        /* lines looked at for them */
#define PAUSE_NS     100000000LL /* until the next go, if there is more */
#define BEHIND_MAX   (256 << 10) /* bytes; who is further behind is brought forward */

struct watcher {
    struct admin *admin;
    char token[SESSION_TOKEN_SIZE];
    char query[QUERY_MAX + 1];
    unsigned level; /* place in level_names */
    uint64_t pos;
    bool begun, caught_up;
};

static const char *const level_names[] = {"debug", "info", "warn", "error"};

/* Lines are of our own making: {"time":"...","level":"warn",... */
static unsigned level_of(const char *line)
{
    static const char mark[] = "\"level\":\"";
    const char *at = strstr(line, mark);
    for (unsigned i = 0; at && i < sizeof level_names / sizeof *level_names; i++)
        if (strncmp(at + sizeof mark - 1, level_names[i], strlen(level_names[i])) == 0)
            return i;
    return 0;
}

static bool wanted(const struct watcher *watcher, const char *line)
{
    return level_of(line) >= watcher->level &&
           (watcher->query[0] == '\0' || strcasestr(line, watcher->query));
}

static void skip_if_too_far_behind(struct watcher *watcher, struct buf *out)
{
    uint64_t behind = log_tail_behind(watcher->pos);
    if (!watcher->caught_up || behind <= BEHIND_MAX)
        return;
    uint64_t skipped = behind - BEHIND_MAX / 4;
    struct buf rest = BUF_INIT;
    watcher->pos += skipped;
    log_tail_line(&watcher->pos, &rest); /* of the line that it stands in */
    buf_release(&rest);
    buf_printf(out, "event: skipped\ndata: %llu\n\n", (unsigned long long)skipped);
}

/* Returns whether there may be more. */
static bool append_lines(struct watcher *watcher, struct buf *out)
{
    struct buf line = BUF_INIT;
    unsigned taken = 0, looked = 0;
    bool more = true;
    while (more && taken < LINES_MAX && looked++ < LOOKS_MAX) {
        buf_clear(&line);
        more = log_tail_line(&watcher->pos, &line);
        buf_append_char(&line, '\0');
        if (!more || !wanted(watcher, line.data))
            continue;
        buf_printf(out, "event: line\ndata: %s\n\n", line.data);
        taken++;
    }
    buf_release(&line);
    return more;
}

static bool still_signed_in(struct watcher *watcher)
{
    return watcher->token[0] == '\0' ||
           sessions_use(watcher->admin->sessions, slice_str(watcher->token),
                        clock_wall_ms(&clock_system), NULL);
}

static int64_t fill_logs(void *arg, struct buf *out, int64_t now_ns)
{
    struct watcher *watcher = arg;
    if (!still_signed_in(watcher))
        return FEED_END;
    if (!watcher->begun)
        buf_append_str(out, "retry: 2000\n\n");
    watcher->begun = true;
    skip_if_too_far_behind(watcher, out);
    if (append_lines(watcher, out))
        return now_ns + PAUSE_NS;
    watcher->caught_up = true;
    return FEED_WAIT;
}

static void watcher_release(void *arg)
{
    struct watcher *watcher = arg;
    watcher->admin->watchers--;
    free(watcher);
}

/* False if a parameter is none. */
static bool read_filter(const struct request *request, struct watcher *watcher)
{
    struct buf scratch = BUF_INIT;
    struct slice level = request_query(request, "level", &scratch);
    bool good = !level.len;
    for (unsigned i = 0; i < sizeof level_names / sizeof *level_names; i++) {
        if (!slice_is(level, level_names[i]))
            continue;
        watcher->level = i;
        good = true;
    }
    buf_clear(&scratch);
    struct slice query = request_query(request, "q", &scratch);
    good = good && query.len <= QUERY_MAX;
    if (good && query.len > 0)
        memcpy(watcher->query, query.ptr, query.len);
    buf_release(&scratch);
    return good;
}

void serve_logs(struct visit *visit)
{
    struct response *response = visit->response;
    struct watcher *watcher = mem_zalloc(sizeof *watcher);
    watcher->admin = visit->admin;
    bool room = visit->admin->watchers++ < WATCHERS_MAX;
    if (!room || !read_filter(visit->request, watcher)) {
        watcher_release(watcher);
        response_error(response, visit->request, room ? ERR_VALIDATION : ERR_OVERLOADED, NULL,
                       room ? NULL : "Too many people look at the log.", NULL);
        return;
    }
    if (visit->signed_in) /* else it came over the control socket, which has no session */
        memcpy(watcher->token, visit->token.ptr, visit->token.len);
    response->status = 200;
    response->feed =
        (struct feed){.fill = fill_logs, .arg = watcher, .event = visit->admin->log_news};
    response->release = watcher_release;
    response->release_arg = watcher;
    response_header(response, "Content-Type", slice_str("text/event-stream"));
}
