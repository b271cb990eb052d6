/* What a handler, or a job, may do with jobs: add more of them. */
#include "server/app/app_private.h"

#include "base/log.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

/* Not ERR_NOT_FOUND, which would tell a client that what it asks for is not there. */
static enum err refuse_queue(struct txn *txn, const struct job_spec *spec)
{
    log_write(LOG_ERROR, "app",
              "a job %s is for the queue %s, but there is none: a [queue %s] section makes it, or "
              ".queue of the module",
              spec->type, spec->queue, spec->queue);
    return txn_fail(txn, ERR_INTERNAL);
}

static enum err enqueue(struct app *app, struct txn *txn, struct job_spec spec, const char *pattern,
                        va_list args)
{
    if (!queues_have(app->options.queues, spec.queue))
        return refuse_queue(txn, &spec);
    struct buf text = BUF_INIT;
    json_vprintf(&text, pattern, args);
    spec.payload = buf_slice(&text);
    enum err err = queue_enqueue(app->options.queues, txn, &spec, NULL);
    buf_release(&text);
    return err;
}

enum err call_enqueue(struct call *call, const char *queue, const char *type, const char *pattern,
                      ...)
{
    va_list args;
    va_start(args, pattern);
    struct job_spec spec = {.queue = queue, .type = type};
    enum err err = enqueue(call->app, call->txn, spec, pattern, args);
    va_end(args);
    return err;
}

enum err call_enqueue_later(struct call *call, int64_t delay_ms, const char *queue,
                            const char *type, const char *pattern, ...)
{
    va_list args;
    va_start(args, pattern);
    struct job_spec spec = {.queue = queue, .type = type, .delay_ms = delay_ms};
    enum err err = enqueue(call->app, call->txn, spec, pattern, args);
    va_end(args);
    return err;
}

enum err app_enqueue(struct app *app, struct txn *txn, int64_t delay_ms, const char *queue,
                     const char *type, const char *pattern, ...)
{
    va_list args;
    va_start(args, pattern);
    struct job_spec spec = {.queue = queue, .type = type, .delay_ms = delay_ms};
    enum err err = enqueue(app, txn, spec, pattern, args);
    va_end(args);
    return err;
}

struct collection *app_collection(struct app *app, const char *module, unsigned i)
{
    const struct app_opened *opened = app->modules;
    while (strcmp(opened->module->name, module) != 0)
        opened++; /* a module that asks is there */
    assert(i < opened->module->collection_count);
    return opened->collections[i];
}
