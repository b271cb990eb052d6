/* Storing an answer: under its own key, or as a variant behind a signpost; as a whole, or collected
 * while it streams to whoever has asked for it, whose pace it keeps. */
#include "server/gateway/cache_visit.h"

#include "base/hash.h"
#include "base/mem.h"
#include "server/http/vary.h"

#include <stdlib.h>

#define VALIDATED_KEEP_S 86400   /* past its end, what can be confirmed */
#define STREAM_WAIT_MS   2000    /* for one that streams, perhaps to a slow client */
#define COLLECT_MAX_MS   30000   /* for somebody else nobody may store under the key longer */
#define KEEP_MAX_S       2592000 /* of anything; a signpost too */

void landing_drop(struct landing *landing)
{
    if (landing->lease)
        response_cache_lease_end(landing->gateway->responses, landing->lease);
    flight_end(landing->gateway->flights, &landing->flight, false);
    buf_release(&landing->key);
    buf_release(&landing->names);
    landing->lease = NULL;
}

/* For as long as it may be of use. */
static int64_t keep_ms(const struct landing_plan *plan, int64_t now_ms)
{
    const struct caching *caching = &plan->caching;
    int64_t ttl_s = caching_ttl_s(caching, now_ms), more_s = caching->stale_while_revalidate_s;
    if (more_s < caching->stale_if_error_s)
        more_s = caching->stale_if_error_s;
    if (plan->validator && more_s < VALIDATED_KEEP_S)
        more_s = VALIDATED_KEEP_S;
    int64_t keep_s = more_s + ttl_s;
    return (keep_s < KEEP_MAX_S ? keep_s : KEEP_MAX_S) * 1000;
}

/* "host/path?query" of the key's text, for marks. */
static struct slice url_of(const struct landing *landing)
{
    struct slice rest = slice_of(landing->key.data, landing->primary_len);
    slice_cut(&rest, '/');
    slice_cut(&rest, '/');
    return slice_cut(&rest, '\n');
}

static struct slice primary_of(const struct landing *landing)
{
    return slice_of(landing->key.data, landing->primary_len);
}

void visit_set_variant(struct landing *landing, uint64_t generation, struct slice names,
                       const struct request *request)
{
    landing->key.len = landing->primary_len;
    buf_printf(&landing->key, "\n%016llx\n", (unsigned long long)generation);
    vary_key(names, request, &landing->key);
    landing->variant = true;
}

/* The first answer with a Vary: what is under its key from now on are the names, and it goes behind
 * them. */
static bool put_signpost(struct landing *landing, const struct landing_plan *plan, int64_t now_ms)
{
    uint64_t generation;
    struct response_cache *responses = landing->gateway->responses;
    random_bytes(&generation, sizeof generation);
    struct to_store signpost = {.kind = STORED_SIGNPOST,
                                .generation = generation,
                                .purges = landing->purges,
                                .key = primary_of(landing),
                                .url = url_of(landing),
                                .names = plan->names};
    struct cache_lease *lease = landing->lease;
    landing->lease = NULL;
    if (!response_cache_store(responses, lease, &signpost, now_ms, KEEP_MAX_S * INT64_C(1000)))
        return false;
    visit_set_variant(landing, generation, plan->names, plan->request);
    landing->lease = response_cache_lease(responses, buf_slice(&landing->key));
    return landing->lease;
}

/* A signpost that names other fields than its variants do is wrong. */
static bool take_place(struct landing *landing, const struct landing_plan *plan, int64_t now_ms)
{
    if (!landing->lease)
        return false;
    if (!landing->variant)
        return plan->names.len == 0 || put_signpost(landing, plan, now_ms);
    if (slice_eq(plan->names, buf_slice(&landing->names)))
        return true;
    response_cache_invalidate(landing->gateway->responses, primary_of(landing));
    return false;
}

bool landing_store(struct landing *landing, const struct landing_plan *plan, struct slice body,
                   int64_t now_ms)
{
    bool stored = false;
    if (take_place(landing, plan, now_ms)) {
        struct to_store what = {.kind = STORED_ANSWER,
                                .status = plan->status,
                                .passed_on = plan->passed_on,
                                .caching = plan->caching,
                                .purges = landing->purges,
                                .key = buf_slice(&landing->key),
                                .url = url_of(landing),
                                .tags = plan->tags,
                                .fields = plan->fields,
                                .body = body};
        stored = response_cache_store(landing->gateway->responses, landing->lease, &what, now_ms,
                                      keep_ms(plan, now_ms));
        landing->lease = NULL;
    }
    flight_end(landing->gateway->flights, &landing->flight, stored);
    landing_drop(landing);
    return stored;
}

/* ---- Of a stream */

struct collector {
    struct landing landing;
    struct landing_plan plan;
    struct buf texts; /* that the plan points to */
    struct buf body;
    size_t body_max;
    int64_t until_ms; /* it is the client's pace that it is collected at */
    bool over;        /* stored, or not to be */
    struct feed from; /* and how it was to be released */
    void (*release)(void *arg);
    void *release_arg;
};

static struct response_cache *responses_of(const struct collector *collector)
{
    return collector->landing.gateway->responses;
}

/* Of the body is nothing held any more. */
static void be_over(struct collector *collector)
{
    response_cache_give_room(responses_of(collector), collector->body.len);
    buf_release(&collector->body);
    collector->over = true;
}

static void give_up(struct collector *collector)
{
    if (collector->over)
        return;
    landing_drop(&collector->landing);
    be_over(collector);
}

static void take(struct collector *collector, struct slice bytes)
{
    if (bytes.len > collector->body_max - collector->body.len ||
        !response_cache_take_room(responses_of(collector), bytes.len))
        give_up(collector);
    else
        buf_append_slice(&collector->body, bytes);
}

static void end(struct collector *collector, int64_t now_ns)
{
    const struct feed *from = &collector->from;
    if (from->sized && collector->body.len != from->length) {
        give_up(collector);
        return;
    }
    landing_store(&collector->landing, &collector->plan, buf_slice(&collector->body),
                  now_ns / 1000000);
    be_over(collector);
}

static int64_t fill(void *arg, struct buf *out, int64_t now_ns)
{
    struct collector *collector = arg;
    size_t before = out->len;
    int64_t next = collector->from.fill(collector->from.arg, out, now_ns);
    if (!collector->over && out->len > before)
        take(collector, slice_of(out->data + before, out->len - before));
    if (!collector->over && next == FEED_END)
        end(collector, now_ns);
    if (!collector->over && now_ns / 1000000 >= collector->until_ms)
        give_up(collector);
    if (collector->plan.discards) {
        out->len = before;
        next = collector->over ? FEED_END : next;
    }
    return next;
}

static void release(void *arg)
{
    struct collector *collector = arg;
    give_up(collector);
    if (collector->release)
        collector->release(collector->release_arg);
    buf_release(&collector->texts);
    free(collector);
}

static struct slice keep(struct buf *texts, struct slice text)
{
    size_t begin = texts->len;
    buf_append_slice(texts, text);
    return slice_of(texts->data + begin, text.len);
}

/* The texts that a plan points to, in one buffer that does not move any more. */
static void keep_texts(struct collector *collector, const struct landing_plan *plan)
{
    struct buf *texts = &collector->texts;
    buf_reserve(texts, plan->fields.len + plan->tags.len + plan->names.len + 1);
    collector->plan = *plan;
    collector->plan.fields = keep(texts, plan->fields);
    collector->plan.tags = keep(texts, plan->tags);
    collector->plan.names = keep(texts, plan->names);
}

/* A stream without an end of its own is for whoever has asked for it alone. */
static bool ends(const struct feed *feed)
{
    return feed->sized || feed->finite;
}

bool landing_collect(struct landing *landing, const struct landing_plan *plan,
                     struct response *response, int64_t now_ms)
{
    size_t body_max = plan->request->plan->cached_body_max;
    struct feed *feed = &response->feed;
    if (!landing->lease || !ends(feed) || (feed->sized && feed->length > body_max)) {
        landing_drop(landing);
        return false;
    }
    flight_streams(landing->gateway->flights, landing->flight, now_ms + STREAM_WAIT_MS);
    struct collector *collector = mem_zalloc(sizeof *collector);
    collector->landing = *landing;
    collector->body_max = body_max;
    collector->until_ms = plan->discards ? INT64_MAX : now_ms + COLLECT_MAX_MS;
    collector->from = *feed;
    collector->release = response->release;
    collector->release_arg = response->release_arg;
    keep_texts(collector, plan);
    *landing = (struct landing){.gateway = landing->gateway};
    feed->fill = fill;
    feed->arg = collector;
    feed->sized = feed->sized && !plan->discards;
    response->release = release;
    response->release_arg = collector;
    return true;
}
