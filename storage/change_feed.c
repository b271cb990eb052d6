/* The change feed. An event's payload is docs/format.md's: a head, the collection's name, the
 * document's text and the text before. The id is the text's member "id". */
#include "storage/change_feed.h"

#include "base/mem.h"
#include "storage/collection_private.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>

#define EVENT_FORMAT 1
#define KEEP_BYTES   65536 /* of memory, from one event to the next */
#define SWEEP_MAX    256   /* events in one transaction */

struct change_feed {
    struct store *store;
    struct journal *journal;
    struct buf payload; /* the writer thread's */
    change_feed_fn watch;
    void *watch_arg;
};

struct event_head {
    uint8_t format, kind, name_len, zero;
    uint32_t json_len; /* little endian, as all of it */
    uint64_t version;
};
_Static_assert(sizeof(struct event_head) == 16, "on disk");

/* ---- Opening. */

enum err change_feed_open(struct store *store, struct change_feed **out)
{
    struct change_feed *feed = *out = mem_zalloc(sizeof *feed);
    feed->store = store;
    enum err err = journal_open(store, "changes", &feed->journal);
    if (err)
        change_feed_close(out);
    return err;
}

void change_feed_close(struct change_feed **feed)
{
    if (!*feed)
        return;
    journal_close(&(*feed)->journal);
    buf_release(&(*feed)->payload);
    free(*feed);
    *feed = NULL;
}

void change_feed_watch(struct change_feed *feed, change_feed_fn fn, void *arg)
{
    feed->watch = fn;
    feed->watch_arg = arg;
}

struct covering {
    struct change_feed *feed;
    struct collection *c;
    enum cover cover;
};

/* In the writer thread, which alone looks at it. */
static enum err run_cover(struct txn *txn, void *arg)
{
    (void)txn;
    const struct covering *covering = arg;
    covering->c->feed = covering->cover == COVER_NONE ? NULL : covering->feed;
    covering->c->feeds_before = covering->cover == COVER_BEFORE;
    return ERR_OK;
}

enum err change_feed_cover(struct change_feed *feed, struct collection *c, enum cover cover)
{
    struct covering covering = {feed, c, cover};
    return store_write(feed->store, run_cover, &covering);
}

/* ---- Writing. */

struct news {
    const struct change_feed *feed;
    const char *collection;
    uint64_t sequence;
};

static void tell(void *arg)
{
    const struct news *news = arg;
    if (news->feed->watch)
        news->feed->watch(news->feed->watch_arg, news->collection, news->sequence);
}

bool change_feed_fits(const struct collection *c, struct slice json)
{
    size_t beside = c->feed ? sizeof(struct event_head) + NAME_MAX_BYTES : 0;
    return json.len <= STORE_VALUE_MAX - beside;
}

/* Of a document that was stored before its collection was covered, and leaves no room for the head:
 * {"id":...}, so that it can be deleted. */
static struct slice fitting(struct txn *txn, const struct collection *c, struct slice json)
{
    struct slice id = {0};
    if (change_feed_fits(c, json))
        return json;
    json_find(json, "id", &id);
    size_t size = id.len + sizeof "{\"id\":}";
    struct buf text = {.data = txn_alloc(txn, size), .cap = size};
    buf_append_str(&text, "{\"id\":");
    buf_append_slice(&text, id);
    buf_append_char(&text, '}');
    return buf_slice(&text);
}

/* The feed's memory lasts until the next event: it was copied by then. */
static struct slice payload_of(const struct collection *c, enum document_event_kind kind,
                               uint64_t version, struct slice json, struct slice before)
{
    struct buf *out = &c->feed->payload;
    struct slice name = slice_str(c->name);
    struct event_head head = {
        EVENT_FORMAT,    (uint8_t)kind, (uint8_t)name.len, 0, htole32((uint32_t)json.len),
        htole64(version)};
    buf_shrink(out, KEEP_BYTES);
    buf_clear(out);
    buf_append(out, &head, sizeof head);
    buf_append_slice(out, name);
    buf_append_slice(out, json);
    if (before.len <= STORE_VALUE_MAX - out->len)
        buf_append_slice(out, before);
    return buf_slice(out);
}

enum err change_feed_add(struct txn *txn, const struct collection *c, enum document_event_kind kind,
                         uint64_t version, struct slice json, struct slice before)
{
    struct slice payload = payload_of(c, kind, version, fitting(txn, c, json), before);
    struct news *news = txn_alloc(txn, sizeof *news);
    *news = (struct news){c->feed, c->name, 0};
    enum err err = journal_append(txn, c->feed->journal, payload, &news->sequence);
    if (!err)
        txn_on_commit(txn, tell, NULL, news);
    return err;
}

/* ---- Reading. */

enum err change_feed_span(struct txn *txn, const struct change_feed *feed, struct journal_span *out)
{
    return journal_span(txn, feed->journal, out);
}

static bool read_event(const struct journal_entry *entry, struct document_event *out)
{
    struct slice rest = entry->payload;
    struct event_head head;
    if (rest.len < sizeof head)
        return false;
    memcpy(&head, rest.ptr, sizeof head);
    size_t json_at = sizeof head + head.name_len, before_at = json_at + le32toh(head.json_len);
    if (head.format != EVENT_FORMAT || head.kind < DOCUMENT_CREATED ||
        head.kind > DOCUMENT_DELETED || before_at > rest.len)
        return false;
    *out = (struct document_event){entry->sequence,
                                   entry->time_ms,
                                   head.kind,
                                   le64toh(head.version),
                                   slice_of(rest.ptr + sizeof head, head.name_len),
                                   slice_of(rest.ptr + json_at, before_at - json_at),
                                   slice_of(rest.ptr + before_at, rest.len - before_at)};
    return true;
}

struct reading {
    document_event_fn each;
    void *arg;
    bool failed;
};

static bool read_entry(const struct journal_entry *entry, void *arg)
{
    struct reading *reading = arg;
    struct document_event event;
    reading->failed = !read_event(entry, &event);
    return !reading->failed && reading->each(&event, reading->arg);
}

enum err change_feed_read(struct txn *txn, const struct change_feed *feed, uint64_t from,
                          unsigned limit, document_event_fn each, void *arg)
{
    struct journal_span span;
    enum err err = journal_span(txn, feed->journal, &span);
    if (err || from == span.next)
        return err;
    if (from < span.first || from > span.next)
        return ERR_GONE;
    struct reading reading = {each, arg, false};
    err = journal_read(txn, feed->journal, from, limit, read_entry, &reading);
    return reading.failed ? txn_damaged(txn, "an event of the change feed") : err;
}

/* ---- Retention. */

struct sweeping {
    const struct change_feed *feed;
    const struct journal_bounds *bounds;
    bool more;
};

static enum err run_sweep(struct txn *txn, void *arg)
{
    struct sweeping *sweeping = arg;
    txn_shrinking(txn);
    return journal_trim(txn, sweeping->feed->journal, sweeping->bounds, SWEEP_MAX, &sweeping->more);
}

static bool note_oldest(const struct journal_entry *entry, void *arg)
{
    *(int64_t *)arg = entry->time_ms;
    return false;
}

/* On a snapshot: a sweep that finds nothing commits nothing. */
static enum err is_beyond(struct txn *txn, void *arg)
{
    struct sweeping *sweeping = arg;
    const struct journal_bounds *bounds = sweeping->bounds;
    struct journal_span span;
    enum err err = journal_span(txn, sweeping->feed->journal, &span);
    if (err || span.first == span.next)
        return err;
    int64_t oldest_ms = INT64_MIN; /* one that cannot be read is to go as well */
    err = journal_read(txn, sweeping->feed->journal, span.first, 1, note_oldest, &oldest_ms);
    sweeping->more = err || (bounds->age_ms && txn_now_ms(txn) - bounds->age_ms > oldest_ms) ||
                     (bounds->count && span.next - span.first > bounds->count) ||
                     (bounds->bytes && span.bytes > bounds->bytes);
    return ERR_OK;
}

enum err change_feed_sweep(struct change_feed *feed, const struct journal_bounds *bounds,
                           bool *more)
{
    struct sweeping sweeping = {feed, bounds, false};
    *more = false;
    enum err err = store_read(feed->store, is_beyond, &sweeping);
    if (sweeping.more)
        err = store_write(feed->store, run_sweep, &sweeping);
    *more = !err && sweeping.more;
    return err;
}
