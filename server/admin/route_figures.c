#include "server/admin/route_figures.h"

#include "base/lock.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

#define NOTES 3 /* the oldest is one to one and a half minutes old */

/* What had passed a route. */
struct note {
    uint64_t by_class[6];
    uint64_t bytes;
    struct histogram_snapshot duration;
};

struct figures {
    struct note notes[NOTES];
};

struct route_figures {
    struct gateway *gateway;
    struct lock lock;
    /* guarded by lock */
    struct figures *routes; /* by gateway_route.index; those that came later are zero */
    unsigned count;
    int64_t noted_ns[NOTES];
    unsigned oldest;                    /* the note that is compared with and replaced next */
    struct histogram_snapshot interval; /* scratch */
};

struct route_figures *route_figures_create(struct gateway *gateway)
{
    struct route_figures *figures = mem_zalloc(sizeof *figures);
    figures->gateway = gateway;
    int64_t now_ns = clock_mono_ns(&clock_system);
    for (unsigned i = 0; i < NOTES; i++)
        figures->noted_ns[i] = now_ns;
    lock_init(&figures->lock, LOCK_RANK_ADMIN);
    return figures;
}

void route_figures_destroy(struct route_figures **figures)
{
    if (!*figures)
        return;
    lock_release(&(*figures)->lock);
    free((*figures)->routes);
    free(*figures);
    *figures = NULL;
}

static struct note *note_of(struct route_figures *figures, const struct gateway_route *route)
{
    lock_assert_held(&figures->lock);
    if (route->index >= figures->count) {
        unsigned count = route->index + 1;
        figures->routes = mem_realloc(figures->routes, count * sizeof *figures->routes);
        memset(&figures->routes[figures->count], 0,
               (count - figures->count) * sizeof *figures->routes);
        figures->count = count;
    }
    return &figures->routes[route->index].notes[figures->oldest];
}

static void count_classes(const struct gateway_route *route, uint64_t by_class[6])
{
    memset(by_class, 0, 6 * sizeof by_class[0]);
    for (int status = 100; status < 600; status++)
        by_class[status / 100] += route->by_status[status];
}

static void note_route(const struct gateway_route *route, void *arg)
{
    struct note *note = note_of(arg, route);
    count_classes(route, note->by_class);
    note->bytes = route->bytes;
    note->duration = route->duration;
}

void route_figures_note(struct route_figures *figures, int64_t mono_ns)
{
    lock_acquire(&figures->lock);
    gateway_each_route(figures->gateway, note_route, figures);
    figures->noted_ns[figures->oldest] = mono_ns;
    figures->oldest = (figures->oldest + 1) % NOTES;
    lock_leave(&figures->lock);
}

/* ---- Writing */

struct writing {
    struct route_figures *figures;
    struct json_writer *w;
};

static void write_codes(const struct gateway_route *route, struct json_writer *w)
{
    jw_key(w, "codes");
    jw_begin(w, '{');
    for (int status = 100; status < 600; status++) {
        if (route->by_status[status] == 0)
            continue;
        char code[4] = {(char)('0' + status / 100), (char)('0' + status / 10 % 10),
                        (char)('0' + status % 10), '\0'};
        jw_key(w, code);
        jw_i64(w, (int64_t)route->by_status[status]);
    }
    jw_end(w, '}');
}

static void write_quantile(struct json_writer *w, const char *key,
                           const struct histogram_snapshot *snapshot, double q)
{
    jw_key(w, key);
    if (snapshot->count == 0)
        jw_null(w);
    else
        jw_f64(w, round((double)histogram_quantile(snapshot, q) / 1e3) / 1e3);
}

/* Of the last minute. */
static void write_recent(const struct gateway_route *route, const struct note *before,
                         struct histogram_snapshot *interval, struct json_writer *w)
{
    uint64_t by_class[6], sum = 0;
    count_classes(route, by_class);
    for (int class = 1; class < 6; class ++) {
        by_class[class] -= before->by_class[class];
        sum += by_class[class];
    }
    *interval = route->duration;
    histogram_subtract(interval, &before->duration);
    jw_key(w, "recent");
    jw_begin(w, '{');
    jw_key(w, "requests");
    jw_i64(w, (int64_t)sum);
    jw_key(w, "refused");
    jw_i64(w, (int64_t)by_class[4]);
    jw_key(w, "failed");
    jw_i64(w, (int64_t)by_class[5]);
    jw_key(w, "bytes");
    jw_i64(w, (int64_t)(route->bytes - before->bytes));
    write_quantile(w, "p50", interval, 0.50);
    write_quantile(w, "p95", interval, 0.95);
    write_quantile(w, "p99", interval, 0.99);
    jw_end(w, '}');
}

static void write_route(const struct gateway_route *route, void *arg)
{
    struct writing *writing = arg;
    struct json_writer *w = writing->w;
    jw_begin(w, '{');
    jw_key(w, "method");
    jw_str(w, slice_str(route->pattern ? method_name(route->method) : ""));
    jw_key(w, "pattern");
    jw_str(w, slice_str(route->pattern ? route->pattern : ""));
    jw_key(w, "own");
    jw_bool(w, route->own);
    write_codes(route, w);
    jw_key(w, "bytes");
    jw_i64(w, (int64_t)route->bytes);
    write_recent(route, note_of(writing->figures, route), &writing->figures->interval, w);
    jw_end(w, '}');
}

void route_figures_write(struct route_figures *figures, int64_t mono_ns, struct json_writer *w)
{
    struct writing writing = {figures, w};
    lock_acquire(&figures->lock);
    jw_key(w, "seconds");
    jw_f64(w, round((double)(mono_ns - figures->noted_ns[figures->oldest]) / 1e6) / 1e3);
    jw_key(w, "data");
    jw_begin(w, '[');
    gateway_each_route(figures->gateway, write_route, &writing);
    jw_end(w, ']');
    lock_leave(&figures->lock);
}
