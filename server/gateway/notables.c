/* DESIGN. Nearly every answer is neither slow nor an error, and pays two comparisons. Slow is what
 * is slower than the fastest of those that are held, so the lock is taken less the longer it lasts;
 * what is older than an hour makes room. Errors may come in floods: so many a second are held, the
 * rest only count. */
#include "server/gateway/gateway_private.h"
#include "server/gateway/route_table.h"

#include "base/mem.h"

#include <stdlib.h>

#define HOUR_MS      3600000
#define FAILURES_MAX 50 /* 5xx that are held of one second */
#define REFUSALS_MAX 5  /* 4xx likewise */

struct notables {
    _Atomic uint64_t floor_ns; /* who is not slower is not slow */
    _Atomic int64_t look_ms;   /* when one of the slowest gets too old */
    _Atomic int64_t second;    /* that the errors are counted of */
    _Atomic unsigned failures, refusals;

    struct lock lock;
    /* guarded by lock */
    struct notable slowest[NOTABLES_MAX];
    unsigned slow_count;
    struct notable errors[NOTABLES_MAX];
    uint64_t error_count; /* error n is in errors[n % NOTABLES_MAX] */
};

struct notables *notables_create(void)
{
    struct notables *notables = mem_zalloc(sizeof *notables);
    lock_init(&notables->lock, LOCK_RANK_SAMPLING);
    return notables;
}

void notables_destroy(struct notables **notables)
{
    if (!*notables)
        return;
    lock_release(&(*notables)->lock);
    free(*notables);
    *notables = NULL;
}

static void copy_text(char *out, size_t max, struct slice text)
{
    size_t len = text.len < max ? text.len : max;
    while (len < text.len && len > 0 && ((unsigned char)text.ptr[len] & 0xc0) == 0x80)
        len--; /* not within a character */
    if (len > 0)
        memcpy(out, text.ptr, len);
    out[len] = '\0';
}

static void describe(const struct request *request, int status, uint64_t duration_ns,
                     struct notable *out)
{
    *out = (struct notable){
        .at_ms = request->received_ms,
        .method = request->method,
        .pattern = request->route ? request->route->spec.label : NULL,
        .status = status,
        .duration_ns = duration_ns,
    };
    copy_text(out->path, NOTABLE_PATH_MAX, request->path);
    copy_text(out->request_id, sizeof out->request_id - 1, slice_str(request->id));
    copy_text(out->user, PRINCIPAL_ID_MAX, slice_str(request->user.id));
}

/* ---- Slow ones */

/* One that is too old, else the fastest. */
static struct notable *place_for_slow(struct notables *notables, int64_t now_ms)
{
    if (notables->slow_count < NOTABLES_MAX)
        return &notables->slowest[notables->slow_count++];
    struct notable *fastest = &notables->slowest[0];
    for (unsigned i = 0; i < NOTABLES_MAX; i++) {
        struct notable *one = &notables->slowest[i];
        if (one->at_ms < now_ms - HOUR_MS)
            return one;
        if (one->duration_ns < fastest->duration_ns)
            fastest = one;
    }
    return fastest;
}

static void set_floor(struct notables *notables)
{
    uint64_t floor_ns = notables->slow_count < NOTABLES_MAX ? 0 : UINT64_MAX;
    int64_t oldest_ms = INT64_MAX - HOUR_MS;
    for (unsigned i = 0; i < notables->slow_count; i++) {
        const struct notable *one = &notables->slowest[i];
        floor_ns = one->duration_ns < floor_ns ? one->duration_ns : floor_ns;
        oldest_ms = one->at_ms < oldest_ms ? one->at_ms : oldest_ms;
    }
    notables->floor_ns = floor_ns;
    notables->look_ms = oldest_ms + HOUR_MS;
}

static void hold_slow(struct notables *notables, const struct notable *one)
{
    lock_acquire(&notables->lock);
    struct notable *place = place_for_slow(notables, one->at_ms);
    bool old = place->at_ms < one->at_ms - HOUR_MS; /* a new place is */
    if (old || one->duration_ns > place->duration_ns)
        *place = *one;
    set_floor(notables);
    lock_leave(&notables->lock);
}

/* ---- Errors */

static bool is_error(struct notables *notables, const struct request *request, int status)
{
    int64_t second = request->received_ms / 1000;
    if (status < 400 || (status < 500 && !request->route))
        return false;
    if (atomic_exchange_explicit(&notables->second, second, memory_order_relaxed) != second)
        notables->failures = notables->refusals = 0;
    return status >= 500 ? notables->failures++ < FAILURES_MAX
                         : notables->refusals++ < REFUSALS_MAX;
}

static void hold_error(struct notables *notables, const struct notable *one)
{
    lock_acquire(&notables->lock);
    notables->errors[notables->error_count++ % NOTABLES_MAX] = *one;
    lock_leave(&notables->lock);
}

void notables_look(struct notables *notables, const struct request *request, int status,
                   uint64_t duration_ns)
{
    if (request->route && request->route->spec.own)
        return;
    bool slow =
        duration_ns > atomic_load_explicit(&notables->floor_ns, memory_order_relaxed) ||
        request->received_ms > atomic_load_explicit(&notables->look_ms, memory_order_relaxed);
    bool error = is_error(notables, request, status);
    if (!slow && !error)
        return;
    struct notable one;
    describe(request, status, duration_ns, &one);
    if (slow)
        hold_slow(notables, &one);
    if (error)
        hold_error(notables, &one);
}

/* ---- Looking */

static int slowest_first(const void *a, const void *b)
{
    uint64_t x = ((const struct notable *)a)->duration_ns;
    uint64_t y = ((const struct notable *)b)->duration_ns;
    return (x < y) - (x > y);
}

unsigned notables_slowest(struct notables *notables, struct notable out[NOTABLES_MAX])
{
    lock_acquire(&notables->lock);
    unsigned count = notables->slow_count;
    memcpy(out, notables->slowest, count * sizeof *out);
    lock_leave(&notables->lock);
    qsort(out, count, sizeof *out, slowest_first);
    return count;
}

unsigned notables_errors(struct notables *notables, struct notable out[NOTABLES_MAX])
{
    unsigned count = 0;
    lock_acquire(&notables->lock);
    for (uint64_t n = notables->error_count; n > 0 && count < NOTABLES_MAX; n--)
        out[count++] = notables->errors[(n - 1) % NOTABLES_MAX];
    lock_leave(&notables->lock);
    return count;
}
