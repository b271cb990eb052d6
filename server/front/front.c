#include "server/front/front_private.h"

#include "base/mem.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#define GRACE_NS     INT64_C(500000000)
#define SPARE_FILES  256 /* the store, the log, the mail box and what else the process opens */
#define RESERVED_MAX 4   /* workers for what is critical */

/* ---- Making */

static void note_listener(struct listener *listener, const struct front_listener *option,
                          unsigned index)
{
    listener->index = index;
    static const char unix_prefix[] = "unix:";
    size_t skip = sizeof unix_prefix - 1;
    listener->unix_socket = strncmp(option->address, unix_prefix, skip) == 0;
    listener->local = option->local;
    listener->proxy_protocol = option->proxy_protocol;
    listener->tls = option->tls ? tls_hold(option->tls) : NULL;
    const char *address = option->address + (listener->unix_socket ? skip : 0);
    listener->too_long = strlen(address) >= sizeof listener->address;
    if (!listener->too_long)
        memcpy(listener->address, address, strlen(address) + 1);
}

/* A small front keeps one worker, a large one a few. */
static unsigned reserved_of(unsigned workers)
{
    unsigned share = workers / 16;
    return share < 1 ? 1 : share > RESERVED_MAX ? RESERVED_MAX : share;
}

struct front *front_create(const struct front_options *options)
{
    assert(options->workers > 0 && options->connections > 0 && options->listener_count > 0);
    assert(options->listener_count <= FRONT_LISTENERS_MAX && options->requests_per_address > 0);
    struct front *front = mem_zalloc(sizeof *front);
    front->options = *options;
    front->reserved_workers = reserved_of(options->workers);
    front->niceness = getpriority(PRIO_PROCESS, 0);
    front->options.workers += front->reserved_workers;
    front->workers = mem_zalloc(front->options.workers * sizeof *front->workers);
    front->listener_count = options->listener_count;
    front->listeners = mem_zalloc(options->listener_count * sizeof *front->listeners);
    for (unsigned i = 0; i < options->listener_count; i++)
        note_listener(&front->listeners[i], &options->listeners[i], i);
    table_init(front);
    ready_init(front);
    bool good = poll_open(&front->poller);
    assert(good); /* at the start there are descriptors */
    front->hub = hub_create(front);
    return front;
}

static void destroy(struct front *front)
{
    table_release(front);
    hub_destroy(&front->hub);
    poll_close(&front->poller);
    ready_release(front);
    for (unsigned i = 0; i < front->listener_count; i++)
        tls_destroy(&front->listeners[i].tls);
    free(front->listeners);
    free(front->workers);
    free(front);
}

/* ---- Listening */

/* A connection is a descriptor, and the usual soft limit is 1024. */
static enum err raise_file_limit(unsigned connections, char *why, size_t why_size)
{
    rlim_t wanted = connections + SPARE_FILES;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return ERR_OK;
    limit.rlim_cur = wanted;
    if (wanted <= limit.rlim_max && setrlimit(RLIMIT_NOFILE, &limit) == 0)
        return ERR_OK;
    snprintf(why, why_size, "%llu open files are needed for %u connections, %llu are allowed",
             (unsigned long long)wanted, connections, (unsigned long long)limit.rlim_max);
    return ERR_INTERNAL;
}

static enum err check_listeners(const struct front *front, char *why, size_t why_size)
{
    for (unsigned i = 0; i < front->listener_count; i++) {
        if (!front->listeners[i].too_long)
            continue;
        snprintf(why, why_size, "the path of a Unix socket is longer than %zu characters",
                 sizeof front->listeners[i].address - 1);
        return ERR_VALIDATION;
    }
    return ERR_OK;
}

/* The hub last: it starts workers too, and that is for one at a time. */
static enum err start_threads(struct front *front, char *why, size_t why_size)
{
    bool good = true;
    for (unsigned i = 0; good && i < front->reserved_workers; i++)
        good = transport_start_worker(front);
    if (good && ready_begin(front) && hub_start(front->hub))
        return ERR_OK;
    snprintf(why, why_size, "there are no threads to be had");
    return ERR_INTERNAL;
}

enum err front_listen(struct front *front, char *why, size_t why_size)
{
    enum err err = check_listeners(front, why, why_size);
    if (!err)
        err = raise_file_limit(front->capacity, why, why_size);
    if (!err)
        err = transport_open(front, why, why_size);
    if (!err)
        err = start_threads(front, why, why_size);
    if (err)
        return err;
    front->timer = ticker_add(front->options.ticker, table_sweep, front, SWEEP_MS);
    return ERR_OK;
}

void front_serve(struct front *front)
{
    transport_accept(front);
}

uint16_t front_port(const struct front *front, unsigned i)
{
    assert(i < front->listener_count);
    return front->listeners[i].port;
}

/* ---- Stopping */

static void wait_until_empty(struct front *front, int64_t deadline_ns)
{
    lock_acquire(&front->lock);
    while (front->live > 0 && lock_cond_wait_until(&front->changed, &front->lock, deadline_ns)) {
    }
    lock_leave(&front->lock);
}

/* A client that was served a moment ago may be sending its next request just now, and would lose it
 * if the connection were closed at once. It gets time to do so, and then its last answer. */
void front_drain(struct front *front, int64_t timeout_ms, struct front_drained *out)
{
    int64_t start_ns = clock_mono_ns(&clock_system);
    int64_t deadline_ns = start_ns + timeout_ms * 1000000;
    int64_t grace_ns = start_ns + GRACE_NS < deadline_ns ? start_ns + GRACE_NS : deadline_ns;
    *out = (struct front_drained){0};
    atomic_store(&front->draining, true);
    hub_wake(front->hub);
    transport_stop_accepting(front, (grace_ns - start_ns) / 1000000);
    table_cut_idle(front, front_now_ns(front) - GRACE_NS);
    wait_until_empty(front, grace_ns);
    atomic_store(&front->closing, true);
    table_cut_idle(front, INT64_MAX);
    wait_until_empty(front, deadline_ns);
    out->cut = table_cut_all(front);
    if (out->cut > 0)
        wait_until_empty(front, clock_mono_ns(&clock_system) + GRACE_NS);
    table_look_at_handlers(front, out);
}

void front_close(struct front **front)
{
    struct front *f = *front;
    if (!f)
        return;
    if (f->timer)
        timer_cancel(f->timer);
    table_cut_all(f);
    ready_close(f);
    hub_stop(f->hub);
    transport_close(f);
    ready_wait_for_awaited(f);
    lines_empty(f);
    destroy(f);
    *front = NULL;
}

/* ---- Figures */

void front_stats(struct front *front, struct front_stats *out)
{
    *out = (struct front_stats){
        .workers = front->workers_started,
        .workers_max = front->queue.most,
        .connections = front->live,
        .awaited = front->queue.awaited,
        .queued = front->queue.waiting + front->queue.held_back,
        .feeds = hub_feeds(front->hub),
        .accepted = front->accepted,
        .evicted = front->evicted,
        .refused = front->refused,
        .shed = front->shed,
        .bytes_in = front->hub_bytes_in,
        .bytes_out = front->hub_bytes_out,
        .body_bytes = front->body_bytes,
    };
    for (unsigned i = 0; i < front->options.workers; i++) {
        struct worker *worker = &front->workers[i];
        out->bytes_in += worker->bytes_in;
        out->bytes_out += worker->bytes_out;
        out->busy += atomic_load_explicit(&worker->serving_since_ns, memory_order_relaxed) != 0;
    }
}

uint64_t front_worker_busy_ns(struct front *front, unsigned i)
{
    assert(i < front->queue.most);
    return front->workers[front->reserved_workers + i].busy_ns;
}
