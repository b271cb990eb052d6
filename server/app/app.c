/* Modules: opening them, and running their handlers in the transaction that they ask for. */
#include "server/app/app_private.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/schema.h"
#include "server/identity/users.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>

/* ---- Serving */

/* What a transaction runs: the handler, and for a write what the layers above want to commit with
 * it. It may run again, so it begins with a clean answer. */
static enum err run_handler(struct txn *txn, void *arg)
{
    struct call *call = arg;
    const struct app_entry *entry = call->entry;
    response_reset(call->response);
    call->failed = ERR_OK;
    call->wait.wanted = false;
    call->txn = txn;
    enum err err = entry->route->handler(call);
    if (err == ERR_OK && entry->route->access == APP_WRITE && call->request->before_commit.fn)
        err =
            call->request->before_commit.fn(txn, call->response, call->request->before_commit.arg);
    call->txn = NULL;
    return err;
}

/* It found what it needs taken, and wants to wait for it. */
static bool runs_again(const struct call *call)
{
    return call->wait.wanted && call->write.result == ERR_CONFLICT;
}

static void written(struct pending_write *write)
{
    struct call *call = write->arg;
    if (!runs_again(call) || !waits_add(call->app->waits, call))
        request_resume(call->request);
}

/* False: it comes to nothing, for *err. */
static bool begin_write(struct call *call, enum err *err)
{
    call->write = (struct pending_write){.fn = run_handler, .arg = call, .done = written};
    call->request->awaited = call;
    request_await(call->request);
    *err = store_submit(call->app->options.store, &call->write);
    if (*err == ERR_OK)
        return true; /* the writer has the call now */
    request_await_no_more(call->request);
    return false;
}

static enum err run_unwritten(struct call *call)
{
    if (call->entry->route->access == APP_READ)
        return store_read(call->app->options.store, run_handler, call);
    return call->entry->route->handler(call);
}

static void forbid_keeping(const struct call *call)
{
    if (call->issued || call->entry->route->who == APP_PERSONAL)
        response_header(call->response, "Cache-Control", slice_str("no-store"));
}

/* A client's mistakes the handler says itself: what the store refuses is the handler's own, such as
 * a document without an id. */
static enum err as_fault(const struct call *call, enum err err)
{
    if (err != ERR_VALIDATION)
        return err;
    log_write(LOG_ERROR, "app",
              "module %s, %s %s: the store refuses what it is given, such as a document without id",
              call->entry->module->name, method_name(call->entry->route->method),
              call->entry->route->pattern);
    return ERR_INTERNAL;
}

static void end(struct call *call, enum err err)
{
    if (err && err != call->failed) /* the handler did not say it itself */
        err = as_fault(call, err);
    if (err && err != call->failed)
        response_error(call->response, call->request, err, NULL, NULL, NULL);
    assert(call->response->status != 0);
    forbid_keeping(call);
    call_release(call);
    free(call);
}

static struct call *begin(const struct app_entry *entry, struct request *request,
                          struct response *response)
{
    struct call *call = mem_alloc(sizeof *call);
    memset(call, 0, offsetof(struct call, room));
    call->app = entry->app;
    call->request = request;
    call->response = response;
    call->state = *entry->state;
    call->entry = entry;
    return call;
}

/* No worker waits for a commit: a writing call is gone through twice. */
void app_target(struct request *request, struct response *response, void *arg)
{
    const struct app_entry *entry = arg;
    const struct app_route *route = entry->route;
    struct call *call = request->awaited;
    request->awaited = NULL;
    enum err err = ERR_OK;
    if (call) {
        if (!runs_again(call))
            end(call, call->write.result);
        else if (!begin_write(call, &err))
            end(call, err);
        return;
    }
    call = begin(entry, request, response);
    err = route->before ? route->before(call) : ERR_OK;
    if (!err && route->access == APP_WRITE && begin_write(call, &err))
        return;
    if (!err && route->access != APP_WRITE)
        err = run_unwritten(call);
    end(call, err);
}

/* ---- Opening and closing */

static enum err open_route(struct app *app, struct app_opened *opened,
                           const struct app_route *route, char *why, size_t why_size)
{
    struct app_entry *entry = &app->entries[app->entry_count];
    *entry = (struct app_entry){.app = app,
                                .module = opened->module,
                                .route = route,
                                .state = &opened->state,
                                .collections = opened->collections};
    if (route->schema) {
        char reason[256];
        entry->schema = schema_compile(route->schema, reason, sizeof reason);
        if (!entry->schema) {
            snprintf(why, why_size, "module %s, schema of %s %s: %s", opened->module->name,
                     method_name(route->method), route->pattern, reason);
            return ERR_INTERNAL;
        }
    }
    app->entry_count++;
    return ERR_OK;
}

static enum err open_queue(struct app *app, const struct app_module *module, char *why,
                           size_t why_size)
{
    struct queue_options defaults = {.name = module->queue};
    enum err err = module->queue ? queue_add(app->options.queues, &defaults) : ERR_OK;
    if (!err || err == ERR_EXISTS)
        return ERR_OK;
    snprintf(why, why_size, "module %s: queue %s cannot be added (%s)", module->name, module->queue,
             err_code(err));
    return err;
}

static enum err open_jobs(struct app *app, struct app_opened *opened, char *why, size_t why_size)
{
    enum err err = open_queue(app, opened->module, why, why_size);
    for (unsigned i = 0; !err && i < opened->module->job_count; i++) {
        struct job_handler handler = opened->module->jobs[i];
        handler.arg = opened->module->open ? opened->state : app;
        err = queue_handle(app->options.queues, &handler);
        if (err)
            snprintf(why, why_size, "module %s: job type %s cannot be added (%s)",
                     opened->module->name, handler.type, err_code(err));
    }
    return err;
}

static enum err open_collections(struct app *app, struct app_opened *opened, char *why,
                                 size_t why_size)
{
    const struct app_module *module = opened->module;
    opened->collections = mem_zalloc((module->collection_count + 1) *
                                     sizeof *opened->collections); /* NOLINT: pointers */
    for (unsigned i = 0; i < module->collection_count; i++) {
        const struct app_collection *wanted = &module->collections[i];
        enum err err = collection_open(app->options.store, wanted->name, wanted->indexes,
                                       wanted->index_count, &opened->collections[i]);
        if (err) {
            snprintf(why, why_size, "module %s: collection %s cannot be opened (%s)", module->name,
                     wanted->name, err_code(err));
            return err;
        }
    }
    return ERR_OK;
}

static void close_collections(struct app_opened *opened)
{
    for (unsigned i = 0; i < opened->module->collection_count; i++) {
        if (opened->collections[i])
            collection_close(&opened->collections[i]);
    }
    free(opened->collections);
    opened->collections = NULL;
}

static enum err open_module(struct app *app, const struct app_module *module, char *why,
                            size_t why_size)
{
    struct app_opened *opened = &app->modules[app->module_count];
    *opened = (struct app_opened){.module = module};
    const struct config_section *settings = config_section(app->options.config, module->name);
    enum err err = open_collections(app, opened, why, why_size);
    if (!err && module->open)
        err = module->open(app, settings, &opened->state, why, why_size);
    if (err) {
        if (module->close)
            module->close(opened->state);
        close_collections(opened);
        return err;
    }
    app->module_count++;
    for (unsigned i = 0; i < module->route_count; i++) {
        err = open_route(app, opened, &module->routes[i], why, why_size);
        if (err)
            return err;
    }
    return open_jobs(app, opened, why, why_size);
}

enum err app_open(const struct app_options *options, struct app **out, char *why, size_t why_size)
{
    unsigned modules = 0, routes = 0;
    for (; options->modules[modules]; modules++)
        routes += options->modules[modules]->route_count;
    struct app *app = mem_zalloc(sizeof *app);
    app->options = *options;
    if (options->ticker)
        app->waits = waits_create(options->clock, options->ticker);
    if (options->users)
        users_watch(options->users, app_forget_profile, app);
    app->modules = mem_zalloc(modules * sizeof *app->modules);
    app->entries = mem_zalloc(routes * sizeof *app->entries);
    enum err err = ERR_OK;
    for (unsigned i = 0; i < modules && !err; i++)
        err = open_module(app, options->modules[i], why, why_size);
    if (err)
        app_close(&app);
    *out = app;
    return err;
}

void app_close(struct app **app_ptr)
{
    struct app *app = *app_ptr;
    if (!app)
        return;
    if (app->options.users)
        users_watch(app->options.users, NULL, NULL);
    for (unsigned i = 0; i < app->entry_count; i++)
        schema_destroy(&app->entries[i].schema);
    for (unsigned i = app->module_count; i-- > 0;) {
        if (app->modules[i].module->close)
            app->modules[i].module->close(app->modules[i].state);
        close_collections(&app->modules[i]);
    }
    waits_destroy(&app->waits);
    free(app->entries);
    free(app->modules);
    free(app);
    *app_ptr = NULL;
}

void app_wait_no_more(struct app *app)
{
    if (app->waits)
        waits_stop(app->waits);
}

/* ---- Looking */

struct store *app_store(struct app *app)
{
    return app->options.store;
}

struct users *app_users(struct app *app)
{
    return app->options.users;
}

const struct clock *app_clock(const struct app *app)
{
    return app->options.clock;
}

const char *app_data_dir(const struct app *app)
{
    return app->options.data_dir;
}

bool app_stopping(const struct app *app)
{
    return queues_stopping(app->options.queues);
}

unsigned app_route_count(const struct app *app)
{
    return app->entry_count;
}

struct app_route_info app_route(const struct app *app, unsigned i)
{
    assert(i < app->entry_count);
    struct app_entry *entry = &app->entries[i];
    return (struct app_route_info){entry->module, entry->route, entry->schema, entry};
}

/* ---- For whoever operates the server */

unsigned app_module_count(const struct app *app)
{
    return app->module_count;
}

void app_each_collection(const struct app *app,
                         void (*show)(void *arg, const char *name, struct collection *collection),
                         void *arg)
{
    for (unsigned i = 0; i < app->module_count; i++) {
        const struct app_opened *opened = &app->modules[i];
        for (unsigned at = 0; at < opened->module->collection_count; at++)
            show(arg, opened->module->collections[at].name, opened->collections[at]);
    }
}

const char *app_module_name(const struct app *app, unsigned i)
{
    assert(i < app->module_count);
    return app->modules[i].module->name;
}

const char *app_module_trouble(const struct app *app, unsigned i)
{
    assert(i < app->module_count);
    const struct app_opened *opened = &app->modules[i];
    return opened->module->trouble ? opened->module->trouble(opened->state) : NULL;
}
