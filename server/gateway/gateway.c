/* DESIGN. One exchange walks the table of stages until one of them answers; then, whoever answered,
 * the closing stages run. To add a stage, add its file, its line in exchange.h and its row here. */
#include "server/gateway/exchange.h"
#include "server/gateway/gateway_private.h"
#include "server/gateway/timing.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static const stage_fn stages[] = {
    stage_request_id,   stage_address_limit, stage_route, stage_guard,
    stage_authenticate, stage_rate_limit,    stage_body,  stage_transform,
    stage_validate,     stage_idempotency,   stage_cache, stage_target,
};

/* As Server-Timing calls them. */
static const char *const stage_names[] = {
    "id",   "address_limit", "route",    "guard",       "auth",  "limit",
    "body", "transform",     "validate", "idempotency", "cache", "target",
};

static void (*const closing_stages[])(struct exchange *exchange) = {
    stage_cache_end,      stage_target_end, stage_idempotency_end, stage_transform_end,
    stage_rate_limit_end, stage_cors_end,   stage_encode_end,
};

#define ANSWERS_KEEP_MS   (INT64_C(6) * 3600 * 1000)
#define ANSWERS_BYTES_MAX (UINT64_C(1) << 30)

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

_Static_assert(COUNT_OF(stage_names) == COUNT_OF(stages) && COUNT_OF(stages) <= TIMING_STAGES_MAX,
               "each stage has a name");

enum err gateway_create(const struct gateway_options *options, struct gateway **out, char *why,
                        size_t why_size)
{
    struct gateway *gateway = mem_zalloc(sizeof *gateway);
    gateway->clock = options->clock;
    gateway->jwt = options->jwt;
    gateway->users = options->users;
    lock_init(&gateway->lock, LOCK_RANK_PLANS);
    gateway->rates = rate_table_create();
    gateway->address_scope =
        hash_keyed(slice_str("[server] address_limit")); /* no section's name */
    gateway->in_flight = keys_in_flight_create();
    gateway->traffic = traffic_create();
    gateway->sampling = log_sampling_create();
    gateway->notables = notables_create();
    if (options->cache) {
        gateway->responses = response_cache_create(options->cache);
        gateway->flights = flights_create();
        if (options->connect_inside)
            gateway->refreshes = refreshes_create(options->connect_inside, options->connect_arg);
    }
    gateway->unsent = counters_create(OUTCOMES);
    gateway->denied = counters_create(DENIED_BY_COUNT);
    struct plan *plan = NULL;
    struct answer_limits limits = {
        .keep_ms = options->answers_keep_ms ? options->answers_keep_ms : ANSWERS_KEEP_MS,
        .bytes_max = options->answers_bytes_max ? options->answers_bytes_max : ANSWERS_BYTES_MAX,
    };
    enum err err = answer_records_open(options->store, &limits, &gateway->answers);
    if (err)
        snprintf(why, why_size, "the table of idempotency records: %s", err_text(err));
    else
        err = plan_create(gateway, &(struct plan_options){0}, &plan, why, why_size);
    if (err)
        gateway_destroy(&gateway);
    else
        gateway_swap(gateway, plan);
    *out = gateway;
    return err;
}

void gateway_destroy(struct gateway **gateway)
{
    if (!*gateway)
        return;
    plans_destroy(*gateway);
    refreshes_destroy(&(*gateway)->refreshes);
    flights_destroy(&(*gateway)->flights);
    response_cache_destroy(&(*gateway)->responses);
    notables_destroy(&(*gateway)->notables);
    counters_destroy(&(*gateway)->unsent, OUTCOMES);
    counters_destroy(&(*gateway)->denied, DENIED_BY_COUNT);
    log_sampling_destroy(&(*gateway)->sampling);
    traffic_destroy(&(*gateway)->traffic);
    keys_in_flight_destroy(&(*gateway)->in_flight);
    rate_table_destroy(&(*gateway)->rates);
    lock_release(&(*gateway)->lock);
    free(*gateway);
    *gateway = NULL;
}

/* Nothing of the request before on the same connection may show through. */
static void clear_findings(struct request *request)
{
    request->param_count = 0;
    request->user.id[0] = '\0';
    request->user.role_count = 0;
    request->json = NULL;
    request->before_commit = (struct commit_hook){0};
    request->route = NULL;
    request->inner = slice_of(NULL, 0);
    request->choice = 0;
    request->json_max = 0;
    request->mirrored = false;
    request->preflight = false;
}

static struct exchange *begin(struct gateway *gateway, struct request *request,
                              struct response *response)
{
    struct exchange *exchange = mem_alloc(sizeof *exchange);
    *exchange = (struct exchange){.gateway = gateway, .request = request, .response = response};
    clear_findings(request);
    request->plan = plan_hold(gateway);
    if (request->plan->development)
        exchange->timing = timing_begin(exchange);
    return request->exchange = exchange;
}

void exchange_forget(struct request *request)
{
    json_decref(request->json);
    request->json = NULL;
    if (request->exchange) {
        if (request->exchange->lent)
            transform_return(request->exchange);
        cache_visit_forget(request->exchange);
        if (request->exchange->plain)
            transform_forget(request->exchange);
        buf_release(&request->exchange->inner);
        free(request->exchange->timing);
        request->inner = slice_of(NULL, 0);
    }
    free(request->exchange);
    request->exchange = NULL;
}

static void end(struct exchange *exchange)
{
    for (size_t i = 0; i < COUNT_OF(closing_stages); i++)
        closing_stages[i](exchange);
    if (exchange->timing)
        timing_tell(exchange, stage_names, COUNT_OF(stage_names));
    exchange_forget(exchange->request);
}

static enum stage_result walk(struct exchange *exchange)
{
    enum stage_result result = stages[exchange->stage](exchange);
    while (result == STAGE_NEXT) {
        exchange->stage++;
        assert(exchange->stage < COUNT_OF(stages)); /* the last one answers */
        result = stages[exchange->stage](exchange);
    }
    return result;
}

/* The same, in development. */
static STAGE_RARE enum stage_result walk_timed(struct exchange *exchange)
{
    for (;;) {
        enum stage_result result = stages[exchange->stage](exchange);
        if (result == STAGE_WAIT)
            return result;
        timing_stage_ends(exchange);
        if (result == STAGE_ANSWERED)
            return result;
        exchange->stage++;
        assert(exchange->stage < COUNT_OF(stages));
    }
}

void gateway_handle(struct gateway *gateway, struct request *request, struct response *response)
{
    struct exchange *exchange = request->exchange;
    if (!exchange)
        exchange = begin(gateway, request, response);
    enum stage_result result = exchange->timing ? walk_timed(exchange) : walk(exchange);
    if (result == STAGE_ANSWERED)
        end(exchange);
}

enum stage_result exchange_refuse(struct exchange *exchange, enum err err, const char *message)
{
    response_error(exchange->response, exchange->request, err, NULL, message, NULL);
    return STAGE_ANSWERED;
}

bool gateway_sweep(struct gateway *gateway, int64_t now_ms)
{
    bool more;
    enum err err = answer_records_sweep(&gateway->answers, now_ms, &more);
    if (err)
        log_write(LOG_WARN, "gateway", "cannot drop old idempotency records: %s", err_text(err));
    gateway_plans(gateway);
    return more;
}

void gateway_wake_waiting(struct gateway *gateway)
{
    if (gateway->flights)
        flights_sweep(gateway->flights, clock_mono_ns(gateway->clock) / 1000000);
}

void gateway_stop_waiting(struct gateway *gateway)
{
    if (gateway->flights)
        flights_end_all(gateway->flights);
}
