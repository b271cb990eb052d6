#include "server/upstream/proxied_private.h"

#include "base/hash.h"
#include "base/log.h"

#include <stdio.h>
#include <sys/eventfd.h>

#define QUIET_NS INT64_C(1000000000)

/* ---- Answering for a server */

void proxied_answer_error(struct proxied *p, enum err err, const char *message)
{
    struct request *request = p->request;
    struct response *response = p->response;
    bool unread = request->body_source;
    request->awaited = NULL;
    response_error(response, request, err, NULL, message, NULL); /* which drops p */
    response->close = unread;
    response->err = err;
}

static void answer_verdict(struct proxied *p, enum balancer_verdict verdict)
{
    static const char *const messages[] = {
        [BALANCER_OPEN] = "The service has failed too often lately.",
        [BALANCER_FULL] = "The service has too many requests.",
        [BALANCER_NONE] = "The service has no server.",
        [BALANCER_MUCH] = "Too many requests of this client are on their way to the service.",
    };
    enum err err = verdict == BALANCER_MUCH ? ERR_LIMITED : ERR_UNAVAILABLE;
    proxied_answer_error(p, err, messages[verdict]);
}

/* ---- Waiting for a place */

static void ring(struct balancer_waiter *waiter)
{
    const struct proxied *p =
        (struct proxied *)((char *)waiter - offsetof(struct proxied, balance.waiter));
    eventfd_write(p->bell_fd, 1);
}

/* It stands in the queue; or it is to get what it waits with, and to ask again. */
static bool prepare_to_wait(struct proxied *p)
{
    p->queued = true;
    if (p->bell_fd >= 0)
        return false;
    p->bell_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    p->balance.waiter.wake = ring;
    p->queue_until_ns = proxied_now_ns(p) + p->settings->queue_ns;
    return p->bell_fd >= 0;
}

static enum entry take_verdict(struct proxied *p, enum balancer_verdict verdict)
{
    if (verdict == BALANCER_OK)
        return ENTRY_OK;
    if (verdict == BALANCER_WAIT && p->bell_fd >= 0)
        return ENTRY_QUEUED;
    answer_verdict(p, verdict == BALANCER_WAIT ? BALANCER_FULL : verdict); /* which drops p */
    return ENTRY_REFUSED;
}

void proxied_give_up_waiting(struct proxied *p)
{
    p->queued = false;
    balancer_unwait(p->upstream->balancer, &p->balance, true);
    answer_verdict(p, BALANCER_FULL);
}

/* ---- Choosing */

/* Of what is the same for requests that belong together; without it, of who asks. */
static uint64_t hash_of(const struct proxied *p)
{
    const char *key = p->settings->hash_key;
    struct slice text = slice_of(NULL, 0);
    if (strcmp(key, "path") == 0)
        text = p->request->path;
    else if (strncmp(key, "header:", 7) == 0)
        text = request_header(p->request, key + 7);
    else if (strncmp(key, "cookie:", 7) == 0)
        text = request_cookie(p->request, key + 7);
    return hash_bytes(text.len > 0 ? text : p->request->address);
}

/* Who it is counts for what one may have at once; what we ask ourselves is nobody's. */
static void begin(struct proxied *p)
{
    p->started_ns = proxied_now_ns(p);
    if (p->settings && p->settings->hashes)
        p->balance.hash = hash_of(p);
    if (!p->request->local)
        p->balance.client = hash_keyed(p->request->network);
}

enum entry proxied_enter(struct proxied *p)
{
    struct balancer *balancer = p->upstream->balancer;
    enum balancer_verdict verdict = BALANCER_NONE;
    if (p->started_ns == 0)
        begin(p);
    if (p->settings)
        verdict = balancer_enter(balancer, &p->balance, p->started_ns);
    if (verdict == BALANCER_WAIT && prepare_to_wait(p))
        verdict = balancer_enter(balancer, &p->balance, p->started_ns);
    p->entered = verdict == BALANCER_OK;
    return take_verdict(p, verdict);
}

enum entry proxied_pick(struct proxied *p, bool *again)
{
    struct balancer *balancer = p->upstream->balancer;
    p->began_ns = proxied_now_ns(p);
    p->head_ns = 0;
    enum balancer_verdict verdict =
        balancer_pick(balancer, &p->balance, p->began_ns, &p->picked, again);
    if (verdict == BALANCER_WAIT && prepare_to_wait(p))
        verdict = balancer_pick(balancer, &p->balance, p->began_ns, &p->picked, again);
    return take_verdict(p, verdict);
}

/* ---- The end of a try */

/* The server may be gone after this. */
static void tell_balancer(struct proxied *p, enum trip_outcome outcome)
{
    static const enum balancer_outcome outcomes[TRIP_OUTCOMES] = {
        [TRIP_ANSWERED] = BALANCER_ANSWERED, [TRIP_UNREACHABLE] = BALANCER_FAILED,
        [TRIP_TIMEOUT] = BALANCER_FAILED,    [TRIP_MALFORMED] = BALANCER_FAILED,
        [TRIP_BROKEN] = BALANCER_FAILED,     [TRIP_ABANDONED] = BALANCER_ABANDONED,
    };
    int64_t now_ns = proxied_now_ns(p);
    int64_t until_ns = p->head_ns > 0 ? p->head_ns : now_ns;
    bool error = outcome == TRIP_ANSWERED && p->trip.head.status >= 500;
    p->last = error ? BALANCER_SERVER_ERROR : outcomes[outcome];
    balancer_ended(p->upstream->balancer, p->picked, p->last, until_ns - p->began_ns, now_ns);
    p->picked = NULL;
}

void proxied_end_trip(struct proxied *p, enum trip_outcome outcome)
{
    if (!p->picked) {
        channel_close(&p->channel);
        return;
    }
    struct server *server = balancer_server_data(p->picked);
    unsigned keepalive = p->settings->keepalive;
    counter_add(&server->outcomes[outcome], 1);
    counter_add(server->bytes, p->answer_bytes);
    p->answer_bytes = 0; /* the next try may come to no answer */
    if (p->channel && outcome == TRIP_ANSWERED && keepalive > 0 && roundtrip_is_clean(&p->trip)) {
        p->channel->served++;
        pool_put(&server->pool, &p->channel, keepalive, proxied_now_ns(p));
    }
    channel_close(&p->channel);
    tell_balancer(p, outcome);
}

void proxied_leave(struct proxied *p)
{
    struct server *server = balancer_server_data(p->picked);
    counter_add(&server->outcomes[TRIP_ANSWERED], 1);
    tell_balancer(p, TRIP_ANSWERED);
    balancer_leave(p->upstream->balancer, &p->balance, p->last, proxied_now_ns(p));
    p->entered = false;
}

void proxied_note_try(struct proxied *p, const char *outcome)
{
    char *tried = p->request->tried;
    p->request->tries++;
    p->request->upstream = p->upstream->name;
    size_t len = strlen(tried);
    snprintf(tried + len, REQUEST_TRIED_SIZE - len, "%s%s %s", len > 0 ? ", " : "",
             balancer_server_name(p->picked), outcome);
}

void proxied_note_status(struct proxied *p)
{
    struct server *server = balancer_server_data(p->picked);
    int64_t first_byte_ns = p->head_ns - p->began_ns;
    counter_add(&server->classes[p->trip.head.status / 100], 1);
    histogram_record(server->first_byte, (uint64_t)first_byte_ns);
    p->request->first_byte_ns = first_byte_ns;
    char status[8];
    snprintf(status, sizeof status, "%d", p->trip.head.status);
    proxied_note_try(p, status);
}

static enum trip_outcome outcome_of_failure(const struct proxied *p)
{
    if (p->cut)
        return TRIP_TIMEOUT;
    if (p->trip.malformed)
        return TRIP_MALFORMED;
    return p->trip.stretch == STRETCH_CONNECT ? TRIP_UNREACHABLE : TRIP_BROKEN;
}

/* Once a second for each server. */
static void log_failure(struct proxied *p, enum trip_outcome outcome)
{
    static const char *const texts[TRIP_OUTCOMES] = {
        [TRIP_UNREACHABLE] = "cannot be reached",
        [TRIP_TIMEOUT] = "takes too long",
        [TRIP_MALFORMED] = "answers what is no HTTP",
        [TRIP_BROKEN] = "ends the connection before its answer does",
    };
    struct server *server = balancer_server_data(p->picked);
    int64_t now_ns = proxied_now_ns(p), quiet_until_ns = atomic_load(&server->quiet_until_ns);
    if (now_ns >= quiet_until_ns &&
        atomic_compare_exchange_strong(&server->quiet_until_ns, &quiet_until_ns, now_ns + QUIET_NS))
        log_write(LOG_WARN, "upstream", "%s: %s %s (request %s)", p->upstream->name,
                  server->address.text, texts[outcome], p->request->id);
}

/* ---- Trying again */

static bool may_send_again(const struct proxied *p, enum stretch stretch)
{
    bool late = proxied_now_ns(p) >= proxied_whole_until_ns(p);
    if (late || (p->streams && p->pulled))
        return false;
    return stretch == STRETCH_CONNECT || forward_is_repeatable(p->request);
}

/* A server may close a connection just when it is taken out of the pool: that is no failure of its.
 */
static bool is_stale(const struct proxied *p, enum trip_outcome outcome)
{
    return outcome == TRIP_BROKEN && p->channel && p->channel->served > 0 && !p->trip.began;
}

/* Nothing of the answer has gone out. */
static void forget_answer(struct response *response)
{
    response->status = 0;
    response->passed_on = false;
    buf_clear(&response->headers);
    buf_clear(&response->body);
}

static void end_failed(struct proxied *p, enum trip_outcome outcome)
{
    log_failure(p, outcome);
    proxied_note_try(p, trip_outcome_name(outcome));
    proxied_end_trip(p, outcome);
}

void proxied_drop_try(struct proxied *p)
{
    enum trip_outcome outcome = outcome_of_failure(p);
    p->cut = false;
    end_failed(p, outcome);
}

bool proxied_fail(struct proxied *p)
{
    enum trip_outcome outcome = outcome_of_failure(p);
    bool again = may_send_again(p, p->trip.stretch);
    p->cut = false;
    forget_answer(p->response);
    if (again && is_stale(p, outcome)) {
        channel_close(&p->channel);
        p->fresh = true;
        p->state = PROXIED_CONNECT;
        return true;
    }
    end_failed(p, outcome);
    if (again && balancer_retry(p->upstream->balancer, &p->balance, proxied_now_ns(p))) {
        p->state = PROXIED_PICK;
        return true;
    }
    proxied_answer_error(p, outcome == TRIP_TIMEOUT ? ERR_UPSTREAM_TIMEOUT : ERR_UPSTREAM, NULL);
    return false;
}

bool proxied_is_refused(struct proxied *p)
{
    int status = p->trip.head.status;
    if (status < 502 || status > 504 || !may_send_again(p, STRETCH_BODY) ||
        !balancer_retry(p->upstream->balancer, &p->balance, proxied_now_ns(p)))
        return false;
    proxied_end_trip(p, TRIP_ANSWERED);
    p->state = PROXIED_PICK;
    return true;
}
