/* The pages for whoever operates the process: alive, ready, metrics. */
#include "server/galley_private.h"

#include "base/log.h"
#include "server/changes/changes.h"
#include "server/listeners.h"
#include "server/scrub.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#define LONG_READ_MS 5000
#define MODULES_MAX  16

#define SECONDS 1e-9 /* metrics are in base units; we measure nanoseconds */

void ops_healthz(struct request *request, struct response *response, void *galley)
{
    (void)request;
    (void)galley;
    buf_append_str(&response->body, "{\"status\":\"ok\"}");
    response_json(response, 200);
    response->quiet = true;
}

static const char *why_not_ready(const struct galley *galley, struct store_stats *store)
{
    store_stats(galley->store, store);
    if (store->read_only)
        return store->cause;
    return galley->draining ? "the server is stopping" : NULL;
}

/* What is served all the same, but should be looked at. Returns how many there are; writes them
 * into an array that is open, if there is one. */
static unsigned write_alarms(struct json_writer *w, const struct galley *galley,
                             const struct store_stats *store)
{
    char long_read[100];
    snprintf(long_read, sizeof long_read, "a read has lasted %d s and makes the store grow",
             (int)(store->oldest_read_ms / 1000));
    const char *alarms[MODULES_MAX + 2];
    unsigned count = 0;
    if (store->nearly_full)
        alarms[count++] = "the store is nearly full: [storage] map_size";
    if (store->oldest_read_ms >= LONG_READ_MS)
        alarms[count++] = long_read;
    for (unsigned i = 0; i < app_module_count(galley->app) && i < MODULES_MAX; i++) {
        const char *trouble = app_module_trouble(galley->app, i);
        if (trouble)
            alarms[count++] = trouble;
    }
    for (unsigned i = 0; w && i < count; i++)
        jw_str(w, slice_str(alarms[i]));
    return count;
}

void ops_write_alarms(void *arg, struct json_writer *w)
{
    const struct galley *galley = arg;
    struct store_stats store;
    store_stats(galley->store, &store);
    write_alarms(w, galley, &store);
}

/* What the slow walk has found, whether or not anybody has needed it yet. */
static uint64_t scrub_damaged(const struct galley *galley)
{
    struct scrub_figures figures;
    scrub_figures(galley->scrub, &figures);
    return figures.damaged;
}

void ops_readyz(struct request *request, struct response *response, void *arg)
{
    (void)request;
    struct store_stats store;
    const char *cause = why_not_ready(arg, &store);
    struct json_writer w = {.out = &response->body};
    jw_begin(&w, '{');
    jw_key(&w, "status");
    uint64_t found = scrub_damaged(arg);
    bool alarmed = write_alarms(NULL, arg, &store) > 0;
    bool degraded = store.damaged > 0 || found > 0 || alarmed;
    jw_str(&w, slice_str(cause ? "unavailable" : degraded ? "degraded" : "ready"));
    if (cause) {
        jw_key(&w, "cause");
        jw_str(&w, slice_str(cause));
        response_header(response, "Retry-After", slice_str("1"));
    } else if (store.damaged > 0) { /* all but that is served */
        jw_key(&w, "damaged");
        jw_str(&w, slice_str(store.damage));
    } else if (found > 0) {
        jw_key(&w, "damaged");
        jw_str(&w, slice_str("the scrub has found damage: galley verify lists it"));
    }
    if (alarmed) {
        jw_key(&w, "alarms");
        jw_begin(&w, '[');
        write_alarms(&w, arg, &store);
        jw_end(&w, ']');
    }
    jw_end(&w, '}');
    response_json(response, cause ? 503 : 200);
    response->quiet = true;
}

/* ---- /metrics */

static void write_one(struct buf *out, const char *name, const char *type, const char *help,
                      uint64_t value)
{
    metrics_write_help(out, name, type, help);
    metrics_write_u64(out, name, "", value);
}

static void write_histogram(struct buf *out, const char *name, const char *help,
                            const struct histogram *histogram, double scale, double lowest)
{
    struct histogram_snapshot snapshot;
    histogram_read(histogram, &snapshot);
    metrics_write_help(out, name, "histogram", help);
    metrics_write_histogram(out, name, "", &snapshot, scale, lowest, 14);
}

static void write_feed(const struct galley *galley, struct buf *out)
{
    struct changes_figures figures;
    changes_figures(galley->changes, &figures);
    write_one(out, "galley_feed_readers", "gauge", "Who reads the change feed, or waits for it.",
              figures.readers);
    write_one(out, "galley_lock_waits", "gauge", "Requests that wait for a lock, without a thread.",
              app_waiting(galley->app));
    write_one(out, "galley_feed_events_total", "counter",
              "Events of the change feed that were sent, each as often as it was.", figures.events);
}

static void write_cache(const struct galley *galley, struct buf *out)
{
    struct cache_stats stats;
    cache_stats(galley->cache, &stats);
    write_one(out, "galley_cache_hits_total", "counter", "Look-ups that found a value.",
              stats.hits);
    write_one(out, "galley_cache_misses_total", "counter", "Look-ups that found none.",
              stats.misses);
    write_one(out, "galley_cache_evictions_total", "counter", "Values dropped for room.",
              stats.evictions);
    write_one(out, "galley_cache_expirations_total", "counter", "Values dropped for age.",
              stats.expirations);
    write_one(out, "galley_cache_bytes", "gauge", "Bytes in use.", stats.bytes);
    write_one(out, "galley_cache_entries", "gauge", "Values held.", stats.entries);
}

static void write_queue_damage(const struct galley *galley, struct buf *out)
{
    metrics_write_help(out, "galley_queue_damaged_total", "counter",
                       "Damaged records and index entries of jobs that were met, and mended.");
    for (unsigned i = 0; i < queue_count(galley->queues); i++) {
        struct queue_stats stats;
        queue_stats(galley->queues, i, &stats);
        char labels[100];
        snprintf(labels, sizeof labels, "queue=\"%s\"", stats.name);
        metrics_write_u64(out, "galley_queue_damaged_total", labels, stats.damaged);
    }
}

static void write_queues(const struct galley *galley, struct buf *out)
{
    metrics_write_help(out, "galley_queue_jobs", "gauge", "Jobs by queue and state.");
    for (unsigned i = 0; i < queue_count(galley->queues); i++) {
        struct queue_stats stats;
        queue_stats(galley->queues, i, &stats);
        for (enum job_state state = 0; state < JOB_STATES; state++) {
            char labels[160];
            snprintf(labels, sizeof labels, "queue=\"%s\",state=\"%s\"", stats.name,
                     job_state_name(state));
            metrics_write_u64(out, "galley_queue_jobs", labels, stats.jobs[state]);
        }
    }
    write_queue_damage(galley, out);
    write_histogram(out, "galley_job_duration_seconds", "Time that jobs ran.",
                    queue_run_histogram(galley->queues), SECONDS, 1e-5);
}

static void write_scrub(const struct galley *galley, struct buf *out)
{
    struct scrub_figures figures;
    scrub_figures(galley->scrub, &figures);
    write_one(out, "galley_scrub_entries_total", "counter", "Stored entries that were verified.",
              figures.looked_at);
    write_one(out, "galley_scrub_passes_total", "counter",
              "How often everything stored was verified.", figures.passes);
    write_one(out, "galley_scrub_damaged", "gauge",
              "What the present or the last pass has found damaged.", figures.damaged);
}

static void write_store(const struct galley *galley, struct buf *out)
{
    struct store_stats stats;
    store_stats(galley->store, &stats);
    write_one(out, "galley_store_bytes", "gauge", "Bytes of the file in use.", stats.used_bytes);
    write_one(out, "galley_store_file_bytes", "gauge", "Length of the file.", stats.file_bytes);
    write_one(out, "galley_store_free_bytes", "gauge", "Bytes of the file that new data can take.",
              stats.free_bytes);
    metrics_write_help(out, "galley_store_oldest_read_seconds", "gauge",
                       "How long the longest present read has lasted.");
    metrics_write_f64(out, "galley_store_oldest_read_seconds", "",
                      (double)stats.oldest_read_ms / 1000);
    write_one(out, "galley_store_nearly_full", "gauge",
              "1 when little more than the reserve for deletes is left.", stats.nearly_full);
    write_one(out, "galley_store_read_only", "gauge", "1 after a failed commit.", stats.read_only);
    write_one(out, "galley_store_damaged_total", "counter",
              "Times that a damaged record or index entry was met.", stats.damaged);
    write_one(out, "galley_store_commits_total", "counter", "Durable commits.", stats.commits);
    write_one(out, "galley_store_writes_total", "counter", "Write transactions.", stats.writes);
    write_histogram(out, "galley_store_commit_seconds", "Time of a commit, its fsync included.",
                    store_commit_histogram(galley->store), SECONDS, 1e-4);
    write_histogram(out, "galley_store_batch_size", "Write transactions in a commit.",
                    store_batch_histogram(galley->store), 1, 1);
}

static void write_modules(const struct galley *galley, struct buf *out)
{
    metrics_write_help(out, "galley_module_trouble", "gauge",
                       "1 while a module is not as it should be; /readyz says how.");
    for (unsigned i = 0; i < app_module_count(galley->app); i++) {
        char labels[100];
        snprintf(labels, sizeof labels, "module=\"%s\"", app_module_name(galley->app, i));
        metrics_write_u64(out, "galley_module_trouble", labels,
                          app_module_trouble(galley->app, i) ? 1 : 0);
    }
}

static const char *const login_doors[LOGIN_DOORS] = {"users", "administrators"};

static void write_logins(const struct galley *galley, struct buf *out)
{
    metrics_write_help(out, "galley_logins_total", "counter", "Passwords offered, by outcome.");
    for (enum login_door door = 0; door < LOGIN_DOORS; door++) {
        struct logins_stats stats;
        logins_stats(galley->logins, door, &stats);
        const struct {
            const char *outcome;
            uint64_t count;
        } rows[] = {{"right", stats.right},
                    {"wrong", stats.wrong},
                    {"limited", stats.limited},
                    {"overloaded", stats.overloaded}};
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            char labels[64];
            snprintf(labels, sizeof labels, "door=\"%s\",outcome=\"%s\"", login_doors[door],
                     rows[i].outcome);
            metrics_write_u64(out, "galley_logins_total", labels, rows[i].count);
        }
    }
}

static void write_logins_waiting(const struct galley *galley, struct buf *out)
{
    metrics_write_help(out, "galley_logins_waiting", "gauge", "Passwords that wait to be checked.");
    for (enum login_door door = 0; door < LOGIN_DOORS; door++) {
        struct logins_stats stats;
        logins_stats(galley->logins, door, &stats);
        char labels[64];
        snprintf(labels, sizeof labels, "door=\"%s\"", login_doors[door]);
        metrics_write_u64(out, "galley_logins_waiting", labels, stats.waiting);
    }
}

static void write_front(const struct galley *galley, struct buf *out)
{
    struct front_stats stats;
    front_stats(galley->front, &stats);
    write_one(out, "galley_workers", "gauge", "Worker threads.", stats.workers);
    write_one(out, "galley_workers_busy", "gauge", "Worker threads that serve a request.",
              stats.busy);
    write_one(out, "galley_requests_awaiting_commit", "gauge",
              "Requests whose answer waits for a commit; no thread does.", stats.awaited);
    write_one(out, "galley_requests_waiting", "gauge", "Requests that wait for a worker.",
              stats.queued);
    write_one(out, "galley_requests_shed_total", "counter",
              "Requests answered with 503 for want of a worker or a place.", stats.shed);
    write_one(out, "galley_request_body_bytes", "gauge", "Memory that bodies take now.",
              stats.body_bytes);
    write_one(out, "galley_streams", "gauge", "Streams of events.", stats.feeds);
    write_one(out, "galley_received_bytes_total", "counter", "From clients.", stats.bytes_in);
    write_one(out, "galley_sent_bytes_total", "counter", "To clients.", stats.bytes_out);
    write_one(out, "galley_connections", "gauge", "Open connections.", stats.connections);
    write_one(out, "galley_connections_evicted_total", "counter",
              "Connections closed to make room for others.", stats.evicted);
}

static void write_config(const struct galley *galley, struct buf *out)
{
    static const char name[] = "galley_config_reloads_total";
    metrics_write_help(out, name, "counter", "Times that the configuration was read anew.");
    metrics_write_u64(out, name, "outcome=\"done\"", galley->reloads[0]);
    metrics_write_u64(out, name, "outcome=\"refused\"", galley->reloads[1]);
    write_one(out, "galley_config_plans", "gauge",
              "Plans of routes in use: the present one, and those that older requests hold.",
              gateway_plans(galley->gateway));
}

static uint64_t resident_bytes(void)
{
    unsigned long total = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file)
        return 0;
    if (fscanf(file, "%lu %lu", &total, &resident) != 2)
        resident = 0;
    fclose(file);
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t open_files(void)
{
    uint64_t count = 0;
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return 0;
    while (readdir(dir))
        count++;
    closedir(dir);
    return count - 3; /* ".", ".." and the directory itself */
}

static double cpu_seconds(const struct timeval *time)
{
    return (double)time->tv_sec + (double)time->tv_usec / 1e6;
}

static void write_process(const struct galley *galley, struct buf *out)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    metrics_write_help(out, "process_cpu_seconds_total", "counter", "User and system time.");
    metrics_write_f64(out, "process_cpu_seconds_total", "",
                      cpu_seconds(&usage.ru_utime) + cpu_seconds(&usage.ru_stime));
    write_one(out, "process_resident_memory_bytes", "gauge", "Resident memory.", resident_bytes());
    write_one(out, "process_open_fds", "gauge", "Open file descriptors.", open_files());
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    write_one(out, "process_max_fds", "gauge", "File descriptors that may be open.",
              files.rlim_cur);
    metrics_write_help(out, "process_start_time_seconds", "gauge", "Start, since 1970.");
    metrics_write_f64(out, "process_start_time_seconds", "", (double)galley->started_ms / 1000);
}

void ops_metrics(struct request *request, struct response *response, void *arg)
{
    (void)request;
    const struct galley *galley = arg;
    struct buf *out = &response->body;
    gateway_metrics(galley->gateway, out);
    upstreams_metrics(galley->upstreams, out);
    upstreams_balance_metrics(galley->upstreams, out);
    write_cache(galley, out);
    write_queues(galley, out);
    write_store(galley, out);
    write_modules(galley, out);
    write_feed(galley, out);
    write_scrub(galley, out);
    write_logins(galley, out);
    write_logins_waiting(galley, out);
    write_front(galley, out);
    write_config(galley, out);
    listeners_metrics(galley->listeners, out);
    write_one(out, "galley_log_left_out_total", "counter",
              "Access lines of refused requests that were too many.",
              gateway_lines_left_out(galley->gateway));
    write_one(out, "galley_log_dropped_total", "counter", "Log lines lost to a full ring or disk.",
              log_dropped());
    write_process(galley, out);
    response_header(response, "Content-Type",
                    slice_str("text/plain; version=0.0.4; charset=utf-8"));
    response->status = 200;
}
