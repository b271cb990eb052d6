/* One reader: what it is told of the events, and how that is written.
 *
 * DESIGN. To a reader a collection is what he may see of it. A document that comes into his view is
 * created, one that leaves it is deleted, whatever was done to it: so who keeps a copy by the feed
 * has what a list would show him. That takes the document before; where the feed does not have it,
 * one that is replaced is told of if he may see it afterwards. */
#include "server/changes/changes_private.h"

#define TURN_NS  INT64_C(2000000) /* of a stream in the hub */
#define LOOK_MAX 512              /* events at once */
#define PAGE_MAX (1u << 20)       /* bytes of a poll's answer, about */
#define ALIVE_NS 15000000000L     /* between two signs of life */

/* ---- One event. */

static const char *const change_names[] = {
    [DOCUMENT_CREATED] = "created",
    [DOCUMENT_REPLACED] = "replaced",
    [DOCUMENT_DELETED] = "deleted",
};

/* What it sees of a document, if it passes the filter. */
static bool shows(const struct reader *reader, const struct change_view *view, struct slice json,
                  struct buf *out)
{
    struct expr_env env = {.now_ms = clock_wall_ms(reader->changes->options.clock)};
    buf_clear(out);
    if (view->show(view->arg, json, out) && expr_holds(reader->filter, buf_slice(out), &env))
        return true;
    buf_clear(out);
    return false;
}

/* What the event is to this reader; 0: nothing. */
static enum document_event_kind look(struct reader *reader, const struct change_view *view,
                                     const struct document_event *event)
{
    bool deleted = event->kind == DOCUMENT_DELETED;
    struct slice past = deleted ? event->json : event->before;
    buf_clear(&reader->before);
    bool is = !deleted && shows(reader, view, event->json, &reader->now);
    bool was = past.len > 0 && shows(reader, view, past, &reader->before);
    if (is)
        return was || past.len == 0 ? event->kind : DOCUMENT_CREATED;
    return was ? DOCUMENT_DELETED : 0;
}

static void write_raw(struct json_writer *w, const char *key, struct slice json)
{
    jw_key(w, key);
    jw_raw(w, json);
}

static void write_event(const struct reader *reader, const struct watched *watched,
                        enum document_event_kind kind, const struct document_event *event,
                        struct buf *out)
{
    struct json_writer w = {.out = out};
    char time[CLOCK_RFC3339_SIZE];
    struct slice id = slice_str("null");
    clock_rfc3339(event->time_ms, time);
    json_find(event->json, "id", &id);
    jw_begin(&w, '{');
    jw_key(&w, "sequence");
    jw_i64(&w, (int64_t)event->sequence);
    jw_key(&w, "collection");
    jw_str(&w, slice_str(watched->name));
    write_raw(&w, "id", id);
    jw_key(&w, "change");
    jw_str(&w, slice_str(change_names[kind]));
    jw_key(&w, "version");
    jw_i64(&w, (int64_t)event->version);
    jw_key(&w, "time");
    jw_str(&w, slice_str(time));
    if (kind != DOCUMENT_DELETED)
        write_raw(&w, "document", buf_slice(&reader->now));
    if (reader->before.len > 0)
        write_raw(&w, "before", buf_slice(&reader->before));
    jw_end(&w, '}');
}

/* ---- Reading on. */

struct reading {
    struct reader *reader;
    struct buf *out;
    bool stream;
    int64_t until_ns; /* of a stream: it runs on the hub, and others wait */
    bool full;        /* `out` has enough, or it has taken long enough */
    bool more;        /* there are events that were not looked at */
};

static void append_event(struct reading *reading, const struct watched *watched,
                         enum document_event_kind kind, const struct document_event *event)
{
    struct buf *out = reading->out;
    if (reading->stream)
        buf_printf(out, "id: %llu\ndata: ", (unsigned long long)event->sequence);
    else if (reading->reader->events > 0)
        buf_append_char(out, ',');
    write_event(reading->reader, watched, kind, event, out);
    if (reading->stream)
        buf_append_str(out, "\n\n");
    reading->reader->events++;
    reading->reader->changes->events++;
}

static bool take_event(const struct document_event *event, void *arg)
{
    struct reading *reading = arg;
    struct reader *reader = reading->reader;
    for (unsigned i = 0; i < reader->count; i++) {
        const struct watched *watched = &reader->list[i];
        if (!slice_is(event->collection, watched->view.stored))
            continue;
        enum document_event_kind kind = look(reader, &watched->view, event);
        if (kind)
            append_event(reading, watched, kind, event);
        break;
    }
    reader->next = event->sequence + 1;
    reading->full = reading->stream
                        ? reading->out->len >= FEED_ROOM / 2 ||
                              clock_mono_ns(reader->changes->options.clock) > reading->until_ns
                        : reader->events == reader->limit || reading->out->len >= PAGE_MAX;
    return !reading->full;
}

static enum err read_events(struct txn *txn, void *arg)
{
    struct reading *reading = arg;
    struct reader *reader = reading->reader;
    const struct change_feed *feed = reader->changes->options.feed;
    struct journal_span span;
    enum err err = change_feed_span(txn, feed, &span);
    if (err)
        return err;
    uint64_t from = reader->next;
    err = change_feed_read(txn, feed, from, LOOK_MAX, take_event, reading);
    if (!err && !reading->full) /* also behind what a repair has taken away */
        reader->next = span.next - from > LOOK_MAX ? from + LOOK_MAX : span.next;
    reading->more = reader->next < span.next;
    return err;
}

/* Whether what has come is of other collections, all of it: then it goes on behind that. */
static bool has_no_news(struct reader *reader)
{
    const struct changes *changes = reader->changes;
    uint64_t latest = changes->latest; /* first: what it counts stands below by then */
    if (reader->next < changes->began || reader->next > latest)
        return false;
    for (unsigned i = 0; i < reader->count; i++) {
        if (changes->last[reader->list[i].slot] >= reader->next)
            return false;
    }
    reader->next = latest + 1;
    return true;
}

static enum err read_on(struct reading *reading)
{
    if (has_no_news(reading->reader))
        return ERR_OK;
    return store_read(reading->reader->changes->options.store, read_events, reading);
}

/* ---- Answers. */

/* Whether the reader has to come back, or cannot any more. */
static bool is_over(const struct reader *reader)
{
    const struct changes_options *options = &reader->changes->options;
    const struct principal *user = &reader->user;
    if (reader->restarts != reader->changes->restarts || reader->changes->stopping)
        return true;
    return user->id[0] && (clock_wall_ms(options->clock) >= user->until_ms ||
                           (options->users && !users_admit(options->users, user)));
}

/* The time to look again, when its token ends at the latest. */
static int64_t look_again(const struct reader *reader, int64_t now_ns)
{
    int64_t left_ms = reader->user.until_ms - clock_wall_ms(reader->changes->options.clock);
    int64_t end_ns = now_ns + left_ms * 1000000;
    bool ends = reader->user.id[0] && left_ms < 86400000 && end_ns < reader->alive_ns;
    return ends ? end_ns : reader->alive_ns;
}

/* An id without data tells nobody anything, and yet a client that comes back begins behind it. */
static void append_sign(const struct reader *reader, struct buf *out)
{
    buf_printf(out, "id: %llu\n\n", (unsigned long long)reader->next - 1);
}

int64_t reader_stream(void *arg, struct buf *out, int64_t now_ns)
{
    struct reader *reader = arg;
    size_t begin = out->len;
    if (is_over(reader))
        return FEED_END;
    if (!reader->begun) {
        buf_append_str(out, "retry: 2000\n");
        append_sign(reader, out);
    }
    reader->begun = true;
    struct reading reading = {.reader = reader,
                              .out = out,
                              .stream = true,
                              .until_ns = clock_mono_ns(reader->changes->options.clock) + TURN_NS};
    enum err err = read_on(&reading);
    if (err) /* whoever is behind the oldest event is told so when he comes back */
        return err == ERR_GONE ? FEED_END : FEED_FAILED;
    if (out->len == begin && now_ns >= reader->alive_ns)
        append_sign(reader, out);
    if (out->len > begin)
        reader->alive_ns = now_ns + ALIVE_NS;
    return reading.more ? FEED_AGAIN : look_again(reader, now_ns);
}

static int64_t end_poll(const struct reader *reader, bool more, struct buf *out)
{
    buf_append_str(out, "{\"data\":[");
    buf_append_slice(out, buf_slice(&reader->page));
    buf_printf(out, "],\"since\":%llu,\"hasMore\":%s}", (unsigned long long)reader->next - 1,
               more ? "true" : "false");
    return FEED_END;
}

int64_t reader_poll(void *arg, struct buf *out, int64_t now_ns)
{
    struct reader *reader = arg;
    struct reading reading = {.reader = reader, .out = &reader->page};
    bool over = is_over(reader);
    enum err err = over ? ERR_OK : read_on(&reading);
    if (err && err != ERR_GONE)
        return FEED_FAILED;
    if (over || err || reading.full || now_ns >= reader->alive_ns ||
        (reader->events > 0 && !reading.more))
        return end_poll(reader, reading.more, out);
    return reading.more ? FEED_AGAIN : look_again(reader, now_ns);
}
