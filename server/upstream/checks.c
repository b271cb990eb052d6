/* DESIGN. When a server is to be asked next stands beside it (struct server). The thread looks for
 * those that are due, begins a probe for each, and sleeps in poll() for the sockets of the probes
 * that run, the next one that is due, and a word from outside. A probe holds the settings that it
 * began with and knows its server by name: both may be gone before it ends. */
#include "server/upstream/checks.h"

#include "base/hash.h"
#include "base/mem.h"
#include "server/upstream/roundtrip.h"
#include "server/upstream/upstream_private.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define PROBES_MAX 256   /* at once */
#define BODY_MAX   16384 /* of an answer that is looked through */

struct probe {
    struct upstream *upstream;
    struct upstream_settings *settings; /* held */
    struct server_address address;
    struct channel *channel;
    int64_t until_ns;
    short events;    /* of poll() */
    bool has_head;   /* of the answer */
    struct buf body; /* as far as it is wanted */
    struct roundtrip trip;
};

struct checks {
    struct upstreams *upstreams;
    pthread_t thread;
    int wake_fd;
    _Atomic bool stopping;
    /* the thread's */
    struct probe *probes[PROBES_MAX];
    unsigned count;
};

/* ---- Beginning and end of a probe */

static void write_request(struct probe *probe)
{
    const struct upstream_settings *settings = probe->settings;
    const char *host = settings->check_host[0] ? settings->check_host : probe->address.text;
    if (strncmp(host, "unix:", 5) == 0)
        host = "localhost";
    buf_printf(
        &probe->channel->out,
        "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: galley-check\r\nConnection: close\r\n\r\n",
        settings->check_path, host);
    roundtrip_begin(&probe->trip, probe->channel, METHOD_GET, false);
}

static void probe_destroy(struct probe *probe)
{
    channel_close(&probe->channel);
    upstream_settings_let_go(probe->settings);
    buf_release(&probe->body);
    free(probe);
}

/* `said`: what came of it, for who looks. */
static void probe_end(struct probe *probe, bool well, const char *said, int64_t now_ns)
{
    struct server *server;
    lock_acquire(&probe->upstream->lock);
    LIST_FOREACH(server, &probe->upstream->servers, link) {
        if (strcmp(server->address.text, probe->address.text) != 0)
            continue;
        server->check_due_ns = now_ns + probe->settings->check_interval_ns;
        snprintf(server->check_said, sizeof server->check_said, "%s", said);
    }
    lock_leave(&probe->upstream->lock);
    balancer_checked(upstream_balancer(probe->upstream), probe->address.text, well, now_ns);
    probe_destroy(probe);
}

static void probe_fail(struct probe *probe, int64_t now_ns)
{
    bool connected = probe->channel && probe->channel->connected;
    const char *said = !connected ? "no connection" : "no answer";
    if (probe->trip.malformed)
        said = "an answer that is no HTTP";
    probe_end(probe, false, said, now_ns);
}

/* ---- Its steps */

static void wait_for(struct probe *probe, bool write)
{
    probe->events = write ? POLLOUT | POLLIN : POLLIN;
}

static void judge(struct probe *probe, int64_t now_ns)
{
    const struct upstream_settings *settings = probe->settings;
    const char *wanted = settings->check_body;
    char said[UPSTREAM_SAID_SIZE];
    unsigned status = (unsigned)probe->trip.head.status;
    bool well = status >= settings->check_least && status <= settings->check_most;
    bool has_text = !wanted[0] || memmem(probe->body.data, probe->body.len, wanted, strlen(wanted));
    snprintf(said, sizeof said, "status %u%s", status,
             well && !has_text ? " without the expected text" : "");
    probe_end(probe, well && has_text, said, now_ns);
}

/* False: it has ended. */
static bool read_answer(struct probe *probe, int64_t now_ns)
{
    enum step step = STEP_DONE;
    if (!probe->has_head)
        step = roundtrip_step(&probe->trip);
    if (step == STEP_DONE)
        probe->has_head = true;
    if (probe->has_head && probe->settings->check_body[0])
        step = roundtrip_read(&probe->trip, &probe->body, BODY_MAX);
    bool enough = probe->body.len >= BODY_MAX;
    if (step == STEP_DONE || (probe->has_head && enough))
        judge(probe, now_ns);
    else if (step == STEP_FAILED)
        probe_fail(probe, now_ns);
    else
        wait_for(probe, step == STEP_WANTS_WRITE);
    return step != STEP_DONE && step != STEP_FAILED && !enough;
}

static bool try_to_connect(struct probe *probe, int64_t now_ns)
{
    enum flow flow = channel_connect(probe->channel);
    if (flow == FLOW_DONE)
        probe_end(probe, true, "connected", now_ns);
    else if (flow == FLOW_WANTS_READ || flow == FLOW_WANTS_WRITE)
        wait_for(probe, flow == FLOW_WANTS_WRITE);
    else
        probe_fail(probe, now_ns);
    return flow == FLOW_WANTS_READ || flow == FLOW_WANTS_WRITE;
}

/* False: it has ended. */
static bool probe_step(struct probe *probe, int64_t now_ns)
{
    if (!probe->channel) {
        probe_fail(probe, now_ns);
        return false;
    }
    if (now_ns >= probe->until_ns) {
        probe_end(probe, false, "took too long", now_ns);
        return false;
    }
    return probe->settings->check == UPSTREAM_CHECK_HTTP ? read_answer(probe, now_ns)
                                                         : try_to_connect(probe, now_ns);
}

/* ---- Who is due */

static void begin_probe(struct checks *checks, struct upstream *upstream,
                        struct upstream_settings *settings, const struct server *server,
                        int64_t now_ns)
{
    struct probe *probe = mem_zalloc(sizeof *probe);
    probe->upstream = upstream;
    probe->settings = settings;
    probe->address = server->address;
    atomic_fetch_add_explicit(&settings->holders, 1, memory_order_relaxed);
    probe->until_ns = now_ns + settings->check_timeout_ns;
    probe->channel = channel_open(&probe->address, settings->tls);
    if (probe->channel)
        channel_introduce(probe->channel, settings->preface, NULL);
    if (probe->channel && settings->check == UPSTREAM_CHECK_HTTP)
        write_request(probe);
    checks->probes[checks->count++] = probe;
}

/* The first time each has a moment of its own within the interval, so that not all are asked at
 * once. */
static int64_t first_due_ns(const struct server *server, int64_t interval_ns, int64_t now_ns)
{
    uint64_t hash = hash_bytes(slice_str(server->address.text));
    return now_ns + (int64_t)(hash % (uint64_t)interval_ns);
}

/* Begins probes of those that are due; returns when the next one is. Those for which there is no
 * place are not waited for: a probe that ends makes one. */
static int64_t begin_due(struct checks *checks, struct upstream *upstream, int64_t now_ns)
{
    struct upstream_settings *settings = upstream_hold_settings(upstream);
    struct server *server;
    int64_t next_ns = INT64_MAX;
    if (settings && settings->check != UPSTREAM_CHECK_NO) {
        lock_acquire(&upstream->lock);
        LIST_FOREACH(server, &upstream->servers, link) {
            if (server->check_due_ns == 0)
                server->check_due_ns = first_due_ns(server, settings->check_interval_ns, now_ns);
            if (server->check_due_ns <= now_ns && checks->count < PROBES_MAX) {
                begin_probe(checks, upstream, settings, server, now_ns);
                server->check_due_ns = /* unless it ends before */
                    now_ns + settings->check_timeout_ns + settings->check_interval_ns;
            }
            if (server->check_due_ns > now_ns && server->check_due_ns < next_ns)
                next_ns = server->check_due_ns;
        }
        lock_leave(&upstream->lock);
    }
    upstream_settings_let_go(settings);
    return next_ns;
}

/* ---- The thread */

static void step_all(struct checks *checks, int64_t now_ns)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < checks->count; i++) {
        if (probe_step(checks->probes[i], now_ns))
            checks->probes[kept++] = checks->probes[i];
    }
    checks->count = kept;
}

static void sleep_until(struct checks *checks, int64_t until_ns, int64_t now_ns)
{
    struct pollfd fds[PROBES_MAX + 1] = {{.fd = checks->wake_fd, .events = POLLIN}};
    for (unsigned i = 0; i < checks->count; i++) {
        const struct probe *probe = checks->probes[i];
        fds[i + 1] = (struct pollfd){.fd = probe->channel->fd, .events = probe->events};
        if (probe->until_ns < until_ns)
            until_ns = probe->until_ns;
    }
    int64_t wait_ns = until_ns > now_ns ? until_ns - now_ns : 0;
    struct timespec wait = {.tv_sec = wait_ns / 1000000000, .tv_nsec = wait_ns % 1000000000};
    uint64_t words;
    if (ppoll(fds, checks->count + 1, until_ns == INT64_MAX ? NULL : &wait, NULL) > 0 &&
        fds[0].revents && read(checks->wake_fd, &words, sizeof words) < 0)
        return; /* somebody has read it before: nobody else does */
}

static void *run(void *arg)
{
    struct checks *checks = arg;
    pthread_setname_np(pthread_self(), "checks");
    while (!atomic_load(&checks->stopping)) {
        int64_t now_ns = clock_mono_ns(&clock_system), next_ns = INT64_MAX;
        struct upstream *upstream = upstreams_first(checks->upstreams);
        for (; upstream; upstream = upstream->next) {
            int64_t due_ns = begin_due(checks, upstream, now_ns);
            next_ns = due_ns < next_ns ? due_ns : next_ns;
        }
        unsigned going = checks->count;
        step_all(checks, now_ns);
        if (checks->count == going) /* or there is room again, and another time to wait for */
            sleep_until(checks, next_ns, now_ns);
    }
    for (unsigned i = 0; i < checks->count; i++)
        probe_destroy(checks->probes[i]);
    return NULL;
}

struct checks *checks_create(struct upstreams *upstreams)
{
    struct checks *checks = mem_zalloc(sizeof *checks);
    checks->upstreams = upstreams;
    checks->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (checks->wake_fd >= 0 && pthread_create(&checks->thread, NULL, run, checks) == 0)
        return checks;
    if (checks->wake_fd >= 0)
        close(checks->wake_fd);
    free(checks);
    return NULL;
}

void checks_look_again(struct checks *checks)
{
    uint64_t one = 1;
    ssize_t done = write(checks->wake_fd, &one, sizeof one);
    (void)done; /* full: it is awake */
}

void checks_destroy(struct checks **checks)
{
    if (!*checks)
        return;
    atomic_store(&(*checks)->stopping, true);
    checks_look_again(*checks);
    pthread_join((*checks)->thread, NULL);
    close((*checks)->wake_fd);
    free(*checks);
    *checks = NULL;
}
