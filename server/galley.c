/* Starting and stopping: each component is a step with its opposite; a failed start undoes the
 * steps that were taken, a stop undoes them all. */
#include "server/galley_private.h"

#include "base/log.h"
#include "base/mem.h"
#include "server/admin/admin.h"
#include "server/app/modules.h"
#include "server/changes/changes.h"
#include "server/control.h"
#include "server/data/data.h"
#include "server/identity/signing_key.h"
#include "server/listeners.h"
#include "server/scrub.h"
#include "server/stored.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define STORE_WATCH_MS   500
#define TRIM_MS          2000
#define CACHE_SWEEP_MS   1000
#define GATEWAY_SWEEP_MS 1000
#define EACH_SECOND_MS   1000
#define USERS_SWEEP_MS   3600000
#define STEP_STOP_MIN_MS 1000

static int64_t setting(const struct galley *galley, const char *section, const char *key)
{
    return config_int(config_section(galley->config, section), key);
}

/* ---- Store, cache, queues */

static int64_t watch_store(void *arg, int64_t mono_ns)
{
    (void)mono_ns;
    store_watch(arg);
    return STORE_WATCH_MS;
}

static enum err open_store(struct galley *galley, char *why, size_t why_size)
{
    struct store_options options = {.dir = galley->data_dir,
                                    .map_size_bytes =
                                        (uint64_t)setting(galley, "storage", "map_size"),
                                    .batch_max = (unsigned)setting(galley, "storage", "batch_max"),
                                    .clock = &clock_system};
    enum err err = data_dir_check(galley, why, why_size);
    if (err == ERR_OK)
        err = store_open(&options, &galley->store, why, why_size);
    if (err == ERR_OK)
        galley->store_timer = ticker_add(galley->maintenance, watch_store, galley->store, 1);
    return err;
}

static int64_t sweep_cache(void *arg, int64_t mono_ns)
{
    cache_sweep(arg, mono_ns / 1000000);
    return CACHE_SWEEP_MS;
}

static int64_t trim_memory(void *arg, int64_t mono_ns)
{
    (void)arg, (void)mono_ns;
    mem_trim();
    return TRIM_MS;
}

static enum err open_cache(struct galley *galley, char *why, size_t why_size)
{
    (void)why;
    (void)why_size;
    struct cache_options options = {.budget_bytes = (size_t)setting(galley, "cache", "size")};
    galley->cache = cache_create(&options);
    galley->cache_timer = ticker_add(galley->ticker, sweep_cache, galley->cache, CACHE_SWEEP_MS);
    return ERR_OK;
}

static void close_cache(struct galley *galley)
{
    if (galley->cache_timer)
        timer_cancel(galley->cache_timer);
    cache_destroy(&galley->cache);
}

static enum err add_queue(struct galley *galley, const struct config_section *section)
{
    struct queue_options options = {.name = config_name(section),
                                    .concurrency = (unsigned)config_int(section, "concurrency"),
                                    .batch = (unsigned)config_int(section, "batch"),
                                    .attempts_max = (unsigned)config_int(section, "attempts"),
                                    .lease_ms = config_int(section, "lease"),
                                    .keep_payload = config_bool(section, "keep_payload")};
    return queue_add(galley->queues, &options);
}

static enum err open_queues(struct galley *galley, char *why, size_t why_size)
{
    struct queues_options options = {.store = galley->store,
                                     .ticker = galley->ticker,
                                     .maintenance = galley->maintenance,
                                     .clock = &clock_system};
    enum err err = queues_create(&options, &galley->queues);
    for (unsigned i = 0; !err && i < config_named_count(galley->config, "queue"); i++)
        err = add_queue(galley, config_named(galley->config, "queue", i));
    if (err) {
        queues_destroy(&galley->queues);
        snprintf(why, why_size, "the queues cannot be opened (%s)", err_code(err));
    }
    return err;
}

/* ---- Tokens */

static enum err open_jwt(struct galley *galley, char *why, size_t why_size)
{
    const struct config_section *auth = config_section(galley->config, "auth");
    struct buf made = BUF_INIT;
    struct slice key = slice_str(config_text(auth, "key"));
    if (!key.len) {
        enum err err = signing_key_load(galley->data_dir, &made, why, why_size);
        if (err) {
            buf_release(&made);
            return err;
        }
        key = buf_slice(&made);
    }
    struct jwt_options options = {.key = key,
                                  .issuer = config_text(auth, "issuer"),
                                  .audience = config_text(auth, "audience")};
    galley->jwt = jwt_create(&options);
    buf_release(&made);
    if (galley->jwt)
        return ERR_OK;
    snprintf(why, why_size, "[auth] key: a secret of at least 32 bytes is needed, not a PEM file");
    return ERR_VALIDATION;
}

static enum err open_logins(struct galley *galley, char *why, size_t why_size)
{
    (void)why;
    (void)why_size;
    galley->logins = logins_create((unsigned)setting(galley, "server", "workers"), &clock_system);
    return ERR_OK;
}

static int64_t sweep_users(void *arg, int64_t mono_ns)
{
    (void)mono_ns;
    enum err err = users_sweep(arg, clock_wall_ms(&clock_system));
    if (err)
        log_write(LOG_WARN, "users", "cannot forget barred tokens: %s", err_text(err));
    return USERS_SWEEP_MS;
}

static enum err open_users(struct galley *galley, char *why, size_t why_size)
{
    enum err err = users_open(galley->store, &galley->users, why, why_size);
    if (!err)
        galley->users_timer =
            ticker_add(galley->maintenance, sweep_users, galley->users, USERS_SWEEP_MS);
    return err;
}

static void close_users(struct galley *galley)
{
    if (galley->users_timer)
        timer_cancel(galley->users_timer);
    users_close(&galley->users);
}

static enum err open_administrators(struct galley *galley, char *why, size_t why_size)
{
    return administrators_open(galley->store, galley->started_ms, &galley->administrators, why,
                               why_size);
}

static void close_administrators(struct galley *galley)
{
    administrators_close(&galley->administrators);
}

static enum err issue_token(void *arg, const struct principal *user, struct buf *out,
                            int64_t *expires_in_s)
{
    struct galley *galley = arg;
    int64_t ttl_ms = galley->token_ttl_ms;
    *expires_in_s = ttl_ms / 1000;
    return jwt_issue(galley->jwt, user, clock_wall_ms(&clock_system), ttl_ms, out);
}

/* ---- App, admin, gateway, front */

static enum err open_app(struct galley *galley, char *why, size_t why_size)
{
    struct app_options options = {.store = galley->store,
                                  .cache = galley->cache,
                                  .queues = galley->queues,
                                  .ticker = galley->ticker,
                                  .clock = &clock_system,
                                  .config = galley->config,
                                  .data_dir = galley->data_dir,
                                  .logins = galley->logins,
                                  .users = galley->users,
                                  .modules = app_modules,
                                  .issue_token = issue_token,
                                  .issue_token_arg = galley};
    return app_open(&options, &galley->app, why, why_size);
}

static enum err open_data(struct galley *galley, char *why, size_t why_size)
{
    (void)why;
    (void)why_size;
    galley->data = data_create(&(struct data_options){
        .store = galley->store, .queues = galley->queues, .clock = &clock_system});
    return ERR_OK;
}

static enum err reload_for_admin(void *arg, struct buf *report)
{
    return galley_reload(arg, report);
}

static void each_setting_for_admin(void *arg, config_setting_fn show, void *show_arg)
{
    galley_each_setting(arg, show, show_arg);
}

static enum err open_admin(struct galley *galley, char *why, size_t why_size)
{
    (void)why;
    (void)why_size;
    struct admin_options options = {.ticker = galley->ticker,
                                    .maintenance = galley->maintenance,
                                    .store = galley->store,
                                    .cache = galley->cache,
                                    .queues = galley->queues,
                                    .logins = galley->logins,
                                    .users = galley->users,
                                    .administrators = galley->administrators,
                                    .gateway = galley->gateway,
                                    .listeners = galley->listeners,
                                    .front = galley->front,
                                    .authority = galley->authority,
                                    .started_ms = galley->started_ms,
                                    .draining = &galley->draining,
                                    .scrub = galley->scrub,
                                    .upstreams = galley->upstreams,
                                    .reload = reload_for_admin,
                                    .each_setting = each_setting_for_admin,
                                    .write_alarms = ops_write_alarms,
                                    .galley = galley,
                                    .config_path = galley->source.path,
                                    .data_dir = galley->data_dir};
    galley->admin = admin_create(&options);
    return ERR_OK;
}

static int64_t sweep_gateway(void *arg, int64_t mono_ns)
{
    (void)mono_ns;
    return gateway_sweep(arg, clock_wall_ms(&clock_system)) ? 1 : GATEWAY_SWEEP_MS;
}

static int64_t each_second(void *arg, int64_t mono_ns)
{
    (void)mono_ns;
    gateway_tell_refused(arg);
    gateway_wake_waiting(arg);
    return EACH_SECOND_MS;
}

static int connect_inside(void *arg)
{
    const struct galley *galley = arg;
    return control_connect(galley->data_fd, SOCK_NONBLOCK);
}

static enum err open_gateway(struct galley *galley, char *why, size_t why_size)
{
    struct gateway_options options = {
        .store = galley->store,
        .jwt = galley->jwt,
        .users = galley->users,
        .clock = &clock_system,
        .cache = galley->cache,
        .connect_inside = connect_inside,
        .connect_arg = galley,
        .answers_keep_ms = setting(galley, "storage", "idempotency_keep"),
        .answers_bytes_max = (uint64_t)setting(galley, "storage", "idempotency_size")};
    enum err err = gateway_create(&options, &galley->gateway, why, why_size);
    if (err)
        return err;
    galley->gateway_timer =
        ticker_add(galley->maintenance, sweep_gateway, galley->gateway, GATEWAY_SWEEP_MS);
    galley->gateway_second_timer =
        ticker_add(galley->ticker, each_second, galley->gateway, EACH_SECOND_MS);
    return ERR_OK;
}

/* The routes lead to the app and the admin. */
static enum err open_plan(struct galley *galley, char *why, size_t why_size)
{
    struct plan *plan;
    enum err err = routes_plan(galley, galley->config, &plan, why, why_size);
    if (!err)
        gateway_swap(galley->gateway, plan);
    return err;
}

static void close_gateway(struct galley *galley)
{
    if (galley->gateway_timer)
        timer_cancel(galley->gateway_timer);
    if (galley->gateway_second_timer) {
        timer_cancel(galley->gateway_second_timer);
        gateway_tell_refused(galley->gateway);
    }
    gateway_destroy(&galley->gateway);
}

static enum err start_workers(struct galley *galley, char *why, size_t why_size)
{
    enum err err = queues_start(galley->queues);
    if (err)
        snprintf(why, why_size, "the queues cannot be started (%s)", err_code(err));
    return err;
}

/* ---- Start and stop */

static void close_store(struct galley *galley)
{
    timer_cancel(galley->store_timer);
    store_close(&galley->store);
}

static void close_queues(struct galley *galley)
{
    queues_destroy(&galley->queues);
}

static void close_jwt(struct galley *galley)
{
    jwt_destroy(&galley->jwt);
}

static void close_logins(struct galley *galley)
{
    logins_destroy(&galley->logins);
}

static void close_app(struct galley *galley)
{
    app_close(&galley->app);
}

static void close_data(struct galley *galley)
{
    data_destroy(&galley->data);
}

static void close_admin(struct galley *galley)
{
    admin_destroy(&galley->admin);
}

int64_t galley_remaining_ms(const struct galley *galley)
{
    int64_t left_ms = (galley->stop_by_ns - clock_mono_ns(&clock_system)) / 1000000;
    return left_ms > STEP_STOP_MIN_MS ? left_ms : STEP_STOP_MIN_MS;
}

/* A job that does not end in time still uses the store, so nothing below it can be closed: the
 * process ends as if killed, and the next start gives the job another attempt. */
static void stop_workers(struct galley *galley)
{
    if (queues_stop(galley->queues, galley_remaining_ms(galley)))
        return;
    log_write(LOG_WARN, "galley", "stopped; a job still ran and will run again");
    log_close();
    _exit(1);
}

static void add_all_parts(struct verifier *v, void *arg)
{
    const struct galley *galley = arg;
    verifier_add_shape(v);
    stored_verify(galley->stored, v);
}

static void add_queue_parts(struct verifier *v, void *arg)
{
    const struct galley *galley = arg;
    verifier_add_shape(v);
    queues_verify(galley->queues, v);
}

static void read_soon(void *arg)
{
    const struct galley *galley = arg;
    scrub_soon(galley->scrub);
}

static enum err open_scrub(struct galley *galley, char *why, size_t why_size)
{
    enum err err = stored_open(galley->store, galley->queues, &galley->stored);
    if (err) {
        snprintf(why, why_size, "what is stored cannot be opened (%s)", err_text(err));
        return err;
    }
    struct scrub_options options = {.store = galley->store,
                                    .maintenance = galley->maintenance,
                                    .percent = (unsigned)setting(galley, "storage", "scrub"),
                                    .add_all = add_all_parts,
                                    .add_soon = add_queue_parts,
                                    .arg = galley};
    galley->scrub = scrub_create(&options);
    queues_on_damage(galley->queues, read_soon, galley);
    return ERR_OK;
}

static enum err start_scrub(struct galley *galley, char *why, size_t why_size)
{
    (void)why, (void)why_size;
    scrub_start(galley->scrub);
    return ERR_OK;
}

static void close_scrub(struct galley *galley)
{
    scrub_destroy(&galley->scrub);
    stored_close(&galley->stored);
}

/* The last step of all: who waits for us to be ready may send requests. */
static enum err tell_ready(struct galley *galley, char *why, size_t why_size)
{
    (void)why;
    (void)why_size;
    galley->watchdog.notify = &galley->notify;
    galley->watchdog.store = galley->store;
    galley->watchdog.data_fd = galley->data_fd;
    watchdog_begin(&galley->watchdog, galley->ticker);
    notify_tell(&galley->notify, "READY=1");
    return ERR_OK;
}

static void tell_no_more(struct galley *galley)
{
    watchdog_end(&galley->watchdog);
}

static const struct step {
    enum err (*start)(struct galley *galley, char *why, size_t why_size);
    void (*stop)(struct galley *galley); /* or NULL */
} steps[] = {
    {data_dir_open, data_dir_close},
    {serving_load, serving_unload},
    {serving_open, serving_close},
    {data_dir_become_user, NULL},
    {open_store, close_store},
    {open_cache, close_cache},
    {open_queues, close_queues},
    {open_jwt, close_jwt},
    {open_logins, close_logins},
    {open_users, close_users},
    {open_administrators, close_administrators},
    {feeding_open, feeding_close},
    {open_app, close_app},
    {open_data, close_data},
    {proxying_open, proxying_close},
    {open_gateway, close_gateway},
    {open_scrub, close_scrub},
    {open_admin, close_admin},
    {open_plan, NULL},
    {feeding_begin, NULL},
    {start_scrub, NULL},
    {start_workers, stop_workers},
    {serving_begin, serving_end},
    {tell_ready, tell_no_more},
};

#define STEPS (sizeof steps / sizeof steps[0])

static void undo(struct galley *galley, size_t taken)
{
    const struct config_section *server = config_section(galley_config(galley), "server");
    galley->stop_by_ns =
        clock_mono_ns(&clock_system) + config_int(server, "drain_timeout") * 1000000;
    while (taken-- > 0) {
        if (steps[taken].stop)
            steps[taken].stop(galley);
    }
    ticker_destroy(&galley->maintenance);
    ticker_destroy(&galley->ticker);
    config_destroy(&galley->reloaded);
    notify_close(&galley->notify);
    lock_release(&galley->reload_lock);
}

enum err galley_start(const struct config_source *source, const struct config *config,
                      struct galley **out, char *why, size_t why_size)
{
    struct galley *galley = mem_zalloc(sizeof *galley);
    galley->source = *source;
    galley->config = config;
    notify_open(&galley->notify);
    lock_init(&galley->reload_lock, LOCK_RANK_RELOAD);
    reload_settings(galley, config);
    galley->started_ms = clock_wall_ms(&clock_system);
    galley->ticker = ticker_create("ticker");
    galley->maintenance = ticker_create("maintenance");
    ticker_add(galley->maintenance, trim_memory, NULL, TRIM_MS);
    for (size_t i = 0; i < STEPS; i++) {
        enum err err = steps[i].start(galley, why, why_size);
        if (err) {
            undo(galley, i);
            free(galley);
            *out = NULL;
            return err;
        }
    }
    log_write(LOG_INFO, "galley", "started on %s with %s", galley->authority, galley->data_dir);
    *out = galley;
    return ERR_OK;
}

/* A balancer that looks at /readyz sends nobody any more before accepting ends. */
static void serve_on(const struct galley *galley)
{
    int64_t delay_ms = config_int(config_section(galley_config(galley), "server"), "drain_delay");
    struct timespec delay = {delay_ms / 1000, delay_ms % 1000 * 1000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &delay, &delay) == EINTR) {
    }
}

bool galley_stop(struct galley **galley_ptr)
{
    struct galley *galley = *galley_ptr;
    lock_acquire(&galley->reload_lock); /* one that runs is let through, the next are refused */
    galley->draining = true;
    lock_leave(&galley->reload_lock);
    log_write(LOG_INFO, "galley", "stopping");
    notify_tell(&galley->notify, "STOPPING=1");
    serve_on(galley);
    changes_stop(galley->changes);
    app_wait_no_more(galley->app);
    undo(galley, STEPS);
    unsigned cut = galley->connections_cut;
    if (cut)
        log_write(LOG_WARN, "galley", "stopped; %u connections had to be cut", cut);
    else
        log_write(LOG_INFO, "galley", "stopped");
    free(galley);
    *galley_ptr = NULL;
    return cut == 0;
}

/* ---- What the banner says */

const char *galley_data_dir(const struct galley *galley)
{
    return galley->data_dir;
}

const char *galley_setup_path(const struct galley *galley)
{
    return admin_setup_path(galley->admin);
}
