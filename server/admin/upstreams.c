/* Upstreams and their servers: how they do; to drain a server, or give it another weight. */
#include "server/admin/admin_private.h"

#include "base/log.h"
#include "base/mem.h"
#include "server/upstream/upstream.h"

#include <math.h>
#include <stdlib.h>

const char drain_schema_text[] = "{\"type\": \"object\","
                                 " \"properties\": {\"upstream\": {\"type\": \"string\"},"
                                 " \"server\": {\"type\": \"string\"},"
                                 " \"drain\": {\"type\": \"boolean\"}},"
                                 " \"required\": [\"upstream\", \"server\", \"drain\"],"
                                 " \"additionalProperties\": false}";

const char weight_schema_text[] = "{\"type\": \"object\","
                                  " \"properties\": {\"upstream\": {\"type\": \"string\"},"
                                  " \"server\": {\"type\": \"string\"},"
                                  " \"weight\": {\"type\": \"integer\", \"minimum\": 0,"
                                  " \"maximum\": 1000}},"
                                  " \"required\": [\"upstream\", \"server\", \"weight\"],"
                                  " \"additionalProperties\": false}";

/* ---- GET /_/api/upstreams */

static void write_number(struct json_writer *w, const char *key, uint64_t value)
{
    jw_key(w, key);
    jw_i64(w, (int64_t)value);
}

static void write_text(struct json_writer *w, const char *key, const char *text)
{
    jw_key(w, key);
    jw_str(w, slice_str(text));
}

/* Null if there is nothing to wait for. */
static void write_wait(struct json_writer *w, const char *key, int64_t until_ns, int64_t now_ns)
{
    jw_key(w, key);
    if (until_ns > now_ns)
        jw_i64(w, (until_ns - now_ns) / 1000000);
    else
        jw_null(w);
}

struct listing {
    struct json_writer *w;
    struct balancer_server_figures *servers; /* room for those of an upstream */
    struct upstream_answers *answers;        /* room for those of a server */
    int64_t now_ns;
};

static void write_quantile(struct json_writer *w, const char *key,
                           const struct histogram_snapshot *snapshot, double q)
{
    jw_key(w, key);
    if (snapshot->count > 0)
        jw_f64(w, round((double)histogram_quantile(snapshot, q) / 1e3) / 1e3);
    else
        jw_null(w);
}

static void write_answers(struct json_writer *w, const struct upstream_answers *answers)
{
    static const char *const keys[UPSTREAM_CLASSES] = {NULL, "1xx", "2xx", "3xx", "4xx", "5xx"};
    jw_key(w, "codes");
    jw_begin(w, '{');
    for (unsigned i = 1; i < UPSTREAM_CLASSES; i++) {
        if (answers->by_class[i] > 0)
            write_number(w, keys[i], answers->by_class[i]);
    }
    jw_end(w, '}');
    write_number(w, "bytes", answers->bytes);
    write_quantile(w, "p50", &answers->first_byte, 0.50);
    write_quantile(w, "p95", &answers->first_byte, 0.95);
    write_quantile(w, "p99", &answers->first_byte, 0.99);
}

static void write_server(const struct listing *listing, struct upstream *upstream,
                         const struct balancer_server_figures *server)
{
    struct json_writer *w = listing->w;
    char said[UPSTREAM_SAID_SIZE];
    upstream_check_said(upstream, server->name, said);
    jw_begin(w, '{');
    write_text(w, "server", server->name);
    write_text(w, "zone", server->zone);
    jw_key(w, "backup");
    jw_bool(w, server->backup);
    write_number(w, "weight", server->weight);
    write_number(w, "configuredWeight", server->configured_weight);
    write_text(w, "state", balancer_state_name(server->state));
    write_wait(w, "stateEndsInMs", server->until_ns, listing->now_ns);
    write_text(w, "lastCheck", said);
    write_number(w, "inFlight", server->in_flight);
    write_number(w, "requests", server->requests);
    write_number(w, "errors", server->errors);
    write_number(w, "failures", server->failures);
    write_number(w, "ejections", server->ejections);
    jw_key(w, "latencyMs");
    if (server->latency_ns > 0)
        jw_f64(w, round((double)server->latency_ns / 1e3) / 1e3);
    else
        jw_null(w);
    upstream_answers(upstream, server->name, listing->answers);
    write_answers(w, listing->answers);
    jw_end(w, '}');
}

static void write_upstream(struct upstream *upstream, void *arg)
{
    const struct listing *listing = arg;
    struct json_writer *w = listing->w;
    struct balancer *balancer = upstream_balancer(upstream);
    struct balancer_figures figures;
    balancer_figures(balancer, listing->now_ns, &figures);
    unsigned count =
        balancer_servers(balancer, listing->now_ns, listing->servers, BALANCER_SERVERS_MAX);
    bool open = figures.breaker == BALANCER_OPENED;
    jw_begin(w, '{');
    write_text(w, "upstream", upstream_known_as(upstream));
    write_text(w, "breaker", balancer_breaker_name(figures.breaker));
    write_wait(w, "breakerEndsInMs", open ? figures.breaker_until_ns : 0, listing->now_ns);
    write_number(w, "inFlight", figures.in_flight);
    write_number(w, "requests", figures.requests);
    write_number(w, "refusedByBreaker", figures.refused_open);
    write_number(w, "refusedAsFull", figures.refused_full);
    write_number(w, "refusedOfClients", figures.refused_much);
    write_number(w, "queued", figures.queued);
    write_number(w, "retries", figures.retries);
    write_number(w, "retriesDenied", figures.retries_denied);
    jw_key(w, "servers");
    jw_begin(w, '[');
    for (unsigned i = 0; i < count; i++)
        write_server(listing, upstream, &listing->servers[i]);
    jw_end(w, ']');
    jw_end(w, '}');
}

void serve_upstreams(struct visit *visit)
{
    struct json_writer w = {.out = &visit->response->body};
    struct listing listing = {.w = &w, .now_ns = clock_mono_ns(&clock_system)};
    listing.servers = mem_alloc(BALANCER_SERVERS_MAX * sizeof *listing.servers);
    listing.answers = mem_alloc(sizeof *listing.answers);
    jw_begin(&w, '{');
    jw_key(&w, "data");
    jw_begin(&w, '[');
    upstreams_each(visit->admin->options.upstreams, write_upstream, &listing);
    jw_end(&w, ']');
    jw_end(&w, '}');
    free(listing.servers);
    free(listing.answers);
    response_json(visit->response, 200);
}

/* ---- POST /_/api/upstreams/drain, /_/api/upstreams/weight */

struct search {
    const char *name;
    struct upstream *found;
};

static void look_at(struct upstream *upstream, void *arg)
{
    struct search *search = arg;
    if (strcmp(upstream_known_as(upstream), search->name) == 0)
        search->found = upstream;
}

/* Of the upstream that the body names; NULL if there is none. */
static struct balancer *find_balancer(struct visit *visit, const json_t *body)
{
    struct search search = {.name = json_str(body, "upstream", "")};
    upstreams_each(visit->admin->options.upstreams, look_at, &search);
    return search.found ? upstream_balancer(search.found) : NULL;
}

static bool drain(struct visit *visit, const json_t *body)
{
    struct balancer *balancer = find_balancer(visit, body);
    const char *server = json_str(body, "server", "");
    bool on = json_is_true(json_object_get(body, "drain"));
    if (!balancer || !balancer_drain(balancer, server, on, clock_mono_ns(&clock_system)))
        return false;
    log_write(LOG_INFO, "admin", "%s: server %.100s of upstream %s %s", visit_who(visit), server,
              json_str(body, "upstream", ""), on ? "is drained" : "gets requests again");
    return true;
}

static bool set_weight(struct visit *visit, const json_t *body)
{
    struct balancer *balancer = find_balancer(visit, body);
    const char *server = json_str(body, "server", "");
    unsigned weight = (unsigned)json_integer_value(json_object_get(body, "weight"));
    if (!balancer || !balancer_set_weight(balancer, server, weight))
        return false;
    log_write(LOG_INFO, "admin", "%s: server %.100s of upstream %s has weight %u%s",
              visit_who(visit), server, json_str(body, "upstream", ""), weight,
              weight == 0 ? ", the configured one" : "");
    return true;
}

static void act(struct visit *visit, const struct schema *schema,
                bool (*fn)(struct visit *visit, const json_t *body))
{
    json_t *body = NULL;
    if (!request_read_json(visit->request, schema, visit->response, &body))
        return;
    if (fn(visit, body))
        visit->response->status = 204;
    else
        response_error(visit->response, visit->request, ERR_NOT_FOUND, NULL,
                       "There is no such upstream, or it has no such server.", NULL);
    json_decref(body);
}

void serve_drain(struct visit *visit)
{
    act(visit, visit->admin->drain_schema, drain);
}

void serve_weight(struct visit *visit)
{
    act(visit, visit->admin->weight_schema, set_weight);
}
