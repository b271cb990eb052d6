#include "server/front/front_private.h"

#include "base/mem.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#define GRACE_NS    INT64_C(500000000)
#define SPARE_FILES 256 /* the store, the log, the mail box and what else the process opens */

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

static struct front *create(const struct front_options *options)
{
    struct front *front = mem_zalloc(sizeof *front);

    front->options = *options;
    front->workers = mem_zalloc(options->workers * sizeof *front->workers);
    /* One more than fit in the queue: the acceptor holds it while the queue is full. */
    front->capacity = options->workers + QUEUE_MAX + 1;
    front->connections = mem_zalloc(front->capacity * sizeof *front->connections);
    lock_init(&front->lock, LOCK_RANK_FRONT);
    lock_cond_init(&front->empty);
    lock_cond_init(&front->left);
    front->wake_fd = eventfd(0, EFD_CLOEXEC);
    assert(front->wake_fd >= 0); /* the limit has been raised */
    return front;
}

static void release_buffers(struct connection *c)
{
    buf_release(&c->in);
    buf_release(&c->body);
    buf_release(&c->out);
    buf_release(&c->response.headers);
    buf_release(&c->response.body);
}

static void destroy(struct front *front)
{
    for (unsigned i = 0; i < front->touched; i++) {
        if (connection_phase(&front->connections[i]) != PHASE_FREE)
            close(front->connections[i].fd); /* no worker ever took it */
        release_buffers(&front->connections[i]);
    }
    release_buffers(&front->turned_away);
    close(front->wake_fd);
    lock_cond_release(&front->left);
    lock_cond_release(&front->empty);
    lock_release(&front->lock);
    free(front->connections);
    free(front->workers);
    free(front);
}

enum err front_open(const struct front_options *options, struct front **out, char *why,
                    size_t why_size)
{
    struct front *front;
    enum err err;

    assert(options->workers > 0 && options->connections_per_address > 0);
    *out = NULL;
    err = raise_file_limit(options->workers + QUEUE_MAX + 1, why, why_size);
    if (err != ERR_OK)
        return err;
    front = create(options);
    err = transport_open(front, why, why_size);
    if (err != ERR_OK) {
        destroy(front);
        return err;
    }
    front->timer = ticker_add(options->ticker, table_sweep, front, SWEEP_MS);
    *out = front;
    return ERR_OK;
}

uint16_t front_port(const struct front *front)
{
    return front->port;
}

/* ---- Stopping */

static void wait_until_empty(struct front *front, int64_t deadline_ns)
{
    lock_acquire(&front->lock);
    while (front->live > 0 && lock_cond_wait_until(&front->empty, &front->lock, deadline_ns)) {
    }
    lock_leave(&front->lock);
}

/* A client that was served a moment ago may be sending its next request just now, and would lose it
 * if the connection were closed at once. It gets time to do so, and then its last answer. */
unsigned front_drain(struct front *front, int64_t timeout_ms)
{
    int64_t start_ns = clock_mono_ns(&clock_system);
    int64_t deadline_ns = start_ns + timeout_ms * 1000000;
    int64_t grace_ns = start_ns + GRACE_NS;

    atomic_store(&front->draining, true);
    eventfd_write(front->wake_fd, 1);
    transport_stop_accepting(front);
    table_cut_idle(front, clock_mono_ns(front->options.clock) - GRACE_NS);
    wait_until_empty(front, grace_ns < deadline_ns ? grace_ns : deadline_ns);
    atomic_store(&front->closing, true);
    table_cut_idle(front, INT64_MAX);
    wait_until_empty(front, deadline_ns);
    return table_cut_all(front);
}

void front_close(struct front **front)
{
    if (*front == NULL)
        return;
    timer_cancel((*front)->timer);
    table_cut_all(*front);
    transport_close(*front);
    destroy(*front);
    *front = NULL;
}

/* ---- Figures */

static unsigned count_busy(struct front *front)
{
    unsigned busy = 0;

    lock_acquire(&front->lock);
    for (unsigned i = 0; i < front->touched; i++) {
        enum phase phase = connection_phase(&front->connections[i]);

        busy += phase == PHASE_SERVING || phase == PHASE_SENDING || phase == PHASE_STREAMING;
    }
    lock_leave(&front->lock);
    return busy;
}

void front_stats(struct front *front, struct front_stats *out)
{
    *out = (struct front_stats){
        .workers = front->options.workers,
        .connections = front->live,
        .busy = count_busy(front),
        .accepted = front->accepted,
        .evicted = front->evicted,
        .refused = front->refused,
    };
    for (unsigned i = 0; i < front->options.workers; i++) {
        out->bytes_in += front->workers[i].bytes_in;
        out->bytes_out += front->workers[i].bytes_out;
    }
}

uint64_t front_worker_busy_ns(struct front *front, unsigned i)
{
    assert(i < front->options.workers);
    return front->workers[i].busy_ns;
}
