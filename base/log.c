/* DESIGN. Producers copy a line into the ring (log_ring.c) under a short lock. A line must not cost
 * a wake-up: the idle writer is woken by the first line only, then gathers for a few milliseconds,
 * or until the ring is half full, and writes all that came with few calls. */
#include "base/log_private.h"

#include "base/lock.h"
#include "base/log_sink.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define GATHER_NS   INT64_C(5000000)
#define PATIENCE_NS (INT64_C(1000000) * LOG_PATIENCE_MS)
#define DIRECT_NS   INT64_C(100000000) /* for a line that goes straight to standard error */
#define SETTLE_NS   INT64_C(1000000000)
#define CHUNK       65536 /* bytes of text after which the writer writes and frees ring */

enum writer_state { WRITER_BUSY, WRITER_IDLE, WRITER_GATHERING, WRITER_ENDED };

static struct {
    _Atomic enum log_level level;
    _Atomic bool access;
    _Atomic bool client;        /* and what clients say of themselves */
    _Atomic int64_t give_up_ns; /* when the writer waits no longer for its reader */
    _Atomic uint64_t unwritten; /* lines that the disk did not take */

    struct lock lock;
    /* guarded by lock */
    struct log_ring ring;
    uint64_t dropped; /* lines for which it had no room */
    enum writer_state state;
    bool closing;
    bool reopened; /* the writer goes on with `next` */
    struct log_sink next;
    struct log_style next_style;
    struct lock_cond wake;  /* for the writer */
    struct lock_cond ended; /* for who closes, or waits until all is written */
    bool awaited;           /* somebody does */

    /* the writer's own, and main's while there is no writer */
    pthread_t thread;
    struct log_sink sink;
    struct log_style style;
    struct log_style json_style; /* of the tail's copy, if the log's own is text */
    uint64_t dropped_told;
    uint64_t unwritten_told;
} logger = {.level = LOG_INFO, .lock = LOCK_INIT(LOCK_RANK_LOG)};

/* ---- Whoever has something to say */

static void write_directly(const struct log_line *line)
{
    _Atomic int64_t give_up_ns = clock_mono_ns(&clock_system) + DIRECT_NS;
    struct log_sink sink;
    struct log_style style;
    log_sink_open(&sink, NULL);
    log_style_init(&style, LOG_AUTO, "auto", NULL, sink.fd);
    struct buf out = BUF_INIT;
    log_format_line(&out, &style, line);
    log_sink_write(&sink, buf_slice(&out), &give_up_ns); /* what is lost has nobody to be told to */
    buf_release(&out);
}

static void wake_writer_if_due(void)
{
    lock_assert_held(&logger.lock);
    bool due = logger.state == WRITER_IDLE ||
               (logger.state == WRITER_GATHERING && log_ring_half_full(&logger.ring));
    if (!due)
        return;
    logger.state = WRITER_BUSY;
    lock_cond_signal(&logger.wake);
}

/* False if the log is not open. */
static bool push(const struct log_line *line)
{
    lock_acquire(&logger.lock);
    bool open = logger.ring.bytes && !logger.closing;
    if (open && log_ring_put(&logger.ring, line))
        wake_writer_if_due();
    else if (open)
        logger.dropped++;
    lock_leave(&logger.lock);
    return open;
}

static void submit(const struct log_line *line)
{
    if (!push(line))
        write_directly(line);
}

bool log_wants(enum log_level level)
{
    return level >= atomic_load_explicit(&logger.level, memory_order_relaxed);
}

void log_write(enum log_level level, const char *component, const char *format, ...)
{
    struct log_line line = {.facts = {.level = level, .component = component}};
    assert(level < LOG_OFF);
    if (!log_wants(level))
        return;
    va_list args;
    va_start(args, format);
    char message[LOG_MESSAGE_MAX + 1];
    int len = vsnprintf(message, sizeof message, format, args);
    va_end(args);
    assert(len >= 0);
    line.facts.wall_ms = clock_wall_ms(&clock_system);
    line.texts[LOG_MESSAGE] =
        slice_of(message, len < LOG_MESSAGE_MAX ? (size_t)len : LOG_MESSAGE_MAX);
    submit(&line);
}

static void write_last(int fd, struct slice text)
{
    while (text.len > 0) {
        ssize_t done = write(fd, text.ptr, text.len);
        if (done <= 0)
            return;
        text = slice_of(text.ptr + done, text.len - (size_t)done);
    }
}

void log_last_words(const char *component, struct slice message)
{
    static char memory[4096];
    bool open = logger.ring.bytes;
    int fd = open ? logger.sink.fd : STDERR_FILENO;
    struct log_style style;
    log_style_init(&style, LOG_AUTO, "auto", NULL, fd);
    style.text = open ? logger.style.text : style.text;
    struct log_line line = {.facts = {.wall_ms = clock_wall_ms(&clock_system),
                                      .component = component,
                                      .level = LOG_ERROR}};
    line.texts[LOG_MESSAGE] =
        slice_of(message.ptr, message.len < LOG_MESSAGE_MAX ? message.len : LOG_MESSAGE_MAX);
    struct buf out = {memory, 0, sizeof memory}; /* six bytes for each of the message fit in */
    log_format_line(&out, &style, &line);
    write_last(fd, buf_slice(&out));
    if (fd != STDERR_FILENO)
        write_last(STDERR_FILENO, buf_slice(&out));
}

bool log_wants_client(void)
{
    return atomic_load_explicit(&logger.client, memory_order_relaxed);
}

static struct slice cut(struct slice s)
{
    return slice_of(s.ptr, s.len < LOG_TEXT_MAX ? s.len : LOG_TEXT_MAX);
}

void log_access(const struct log_access *access)
{
    assert(access->route);
    if (!atomic_load_explicit(&logger.access, memory_order_relaxed) || !log_wants(access->level))
        return;
    submit(&(struct log_line){
        .facts = {.wall_ms = access->wall_ms,
                  .component = "access",
                  .outcome = access->outcome ? access->outcome : "",
                  .cache = access->cache ? access->cache : "",
                  .duration_ns = access->duration_ns,
                  .first_byte_ns = access->first_byte_ns,
                  .bytes_out = access->bytes_out,
                  .tries = access->tries,
                  .status = access->status,
                  .http10 = access->http10,
                  .level = access->level},
        .texts = {[LOG_REQUEST_ID] = cut(access->request_id),
                  [LOG_METHOD] = cut(access->method),
                  [LOG_PATH] = cut(access->path),
                  [LOG_ROUTE] = cut(slice_str(access->route)),
                  [LOG_USER] = cut(access->user),
                  [LOG_ADDRESS] = cut(access->address),
                  [LOG_TRIED] = cut(access->tried),
                  [LOG_TARGET] = cut(slice_str(access->target ? access->target : "")),
                  [LOG_REFERER] = cut(access->referer),
                  [LOG_USER_AGENT] = cut(access->user_agent)},
    });
}

uint64_t log_dropped(void)
{
    lock_acquire(&logger.lock);
    uint64_t dropped = logger.dropped;
    lock_leave(&logger.lock);
    return dropped + logger.unwritten;
}

/* ---- The writer */

static void format_loss(struct buf *out, uint64_t lost, const char *why)
{
    char message[160];
    int len = snprintf(message, sizeof message, "%" PRIu64 " lines were lost: %s.", lost, why);
    struct log_line line = {
        .facts = {.wall_ms = clock_wall_ms(&clock_system), .level = LOG_WARN, .component = "log"},
        .texts = {[LOG_MESSAGE] = slice_of(message, (size_t)len)},
    };
    log_format_line(out, &logger.style, &line);
}

/* By itself, in front of what the disk may take again. */
static void tell_unwritten(void)
{
    uint64_t unwritten = logger.unwritten;
    if (unwritten == logger.unwritten_told)
        return;
    struct buf out = BUF_INIT;
    format_loss(&out, unwritten - logger.unwritten_told, strerror(logger.sink.last_errno));
    if (log_sink_write(&logger.sink, buf_slice(&out), &logger.give_up_ns) == 0)
        logger.unwritten_told = unwritten;
    buf_release(&out);
}

/* A copy for those who look. */
static void take_tail(struct slice written, struct buf *json)
{
    if (!log_tail_is_open())
        return;
    log_tail_take(log_style_is_json(&logger.style) ? written : buf_slice(json));
    log_tail_tell();
    buf_clear(json);
}

static void write_out(struct buf *out, struct buf *json)
{
    take_tail(buf_slice(out), json);
    tell_unwritten();
    logger.unwritten += log_sink_write(&logger.sink, buf_slice(out), &logger.give_up_ns);
    buf_clear(out);
}

/* Writes what is in `out` and the ring up to `head`, giving its room back by the chunk. */
static void write_up_to(uint64_t head, struct buf *out)
{
    uint64_t pos = logger.ring.tail; /* only this thread changes it */
    struct buf json = BUF_INIT;
    do {
        while (pos != head && out->len < CHUNK) {
            struct log_line line;
            pos = log_ring_line(&logger.ring, pos, &line);
            log_format_line(out, &logger.style, &line);
            if (!log_style_is_json(&logger.style) && log_tail_is_open())
                log_format_line(&json, &logger.json_style, &line);
        }
        write_out(out, &json);
        lock_acquire(&logger.lock);
        logger.ring.tail = pos;
        lock_leave(&logger.lock);
    } while (pos != head);
    buf_release(&json);
}

/* A loss is told without waiting for the next line: there may be none. */
static bool has_news(void)
{
    return logger.ring.head != logger.ring.tail || logger.dropped != logger.dropped_told ||
           logger.reopened;
}

/* Waits for a first line and then for more. False when the log closes and all is written. */
static bool wait_for_lines(void)
{
    logger.state = WRITER_IDLE;
    while (!has_news() && !logger.closing)
        lock_cond_wait(&logger.wake, &logger.lock);
    logger.state = WRITER_GATHERING;
    int64_t deadline_ns = clock_mono_ns(&clock_system) + GATHER_NS;
    bool waiting = true;
    while (waiting && !log_ring_half_full(&logger.ring) && !logger.closing)
        waiting = lock_cond_wait_until(&logger.wake, &logger.lock, deadline_ns);
    logger.state = WRITER_BUSY;
    return has_news();
}

static void take_next_sink(void)
{
    lock_assert_held(&logger.lock);
    log_sink_close(&logger.sink);
    logger.sink = logger.next;
    logger.reopened = false;
    free(logger.style.template);
    logger.style = logger.next_style;
    if (!logger.closing)
        logger.give_up_ns = INT64_MAX;
}

static void *write_lines(void *arg)
{
    (void)arg;
    pthread_setname_np(pthread_self(), "log");
    lock_acquire(&logger.lock);
    struct buf out = BUF_INIT;
    while (wait_for_lines()) {
        uint64_t head = logger.ring.head;
        uint64_t lost = logger.dropped - logger.dropped_told;
        if (logger.reopened)
            take_next_sink();
        lock_leave(&logger.lock);
        if (lost > 0)
            format_loss(&out, lost, "the log could not keep up");
        logger.dropped_told += lost;
        write_up_to(head, &out);
        lock_acquire(&logger.lock);
        if (logger.awaited)
            lock_cond_signal(&logger.ended);
    }
    buf_release(&out);
    logger.state = WRITER_ENDED;
    lock_cond_signal(&logger.ended);
    lock_leave(&logger.lock);
    return NULL;
}

/* ---- Opening and closing */

static void set_wanted(const struct log_options *options, const struct log_template *template)
{
    logger.level = options->level;
    logger.access = options->access && options->level < LOG_OFF;
    logger.client = template && log_template_asks_client(template);
}

static const char *access_format_of(const struct log_options *options)
{
    return options->access_format ? options->access_format : "auto";
}

/* NULL: access lines need none. */
static struct log_template *template_of(const struct log_options *options)
{
    static const char *const others[] = {"auto", "json", "text"};
    const char *format = access_format_of(options);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (strcmp(format, others[i]) == 0)
            return NULL;
    }
    struct buf why = BUF_INIT;
    struct log_template *template = log_template_create(format, &why);
    assert(template); /* as log_access_format_check has said */
    buf_release(&why);
    return template;
}

/* False with errno. */
static bool open_sink(const struct log_options *options, struct log_sink *sink,
                      struct log_style *style)
{
    if (!log_sink_open(sink, options->path))
        return false;
    struct log_template *template = template_of(options);
    log_style_init(style, options->format, access_format_of(options), template, sink->fd);
    set_wanted(options, template);
    return true;
}

bool log_open(const struct log_options *options)
{
    assert(!logger.ring.bytes);
    if (!open_sink(options, &logger.sink, &logger.style))
        return false;
    log_style_init(&logger.json_style, LOG_JSON, "json", NULL, logger.sink.fd);
    lock_cond_init(&logger.wake);
    lock_cond_init(&logger.ended);
    lock_acquire(&logger.lock);
    log_ring_init(&logger.ring);
    logger.dropped = logger.dropped_told = 0;
    logger.unwritten = logger.unwritten_told = 0;
    logger.give_up_ns = INT64_MAX;
    logger.closing = logger.reopened = false;
    logger.state = WRITER_BUSY;
    lock_leave(&logger.lock);
    int rc = pthread_create(&logger.thread, NULL, write_lines, NULL);
    assert(rc == 0);
    return true;
}

/* A writer whose reader is stuck soon gives up: the new file may be where the lines can go. */
bool log_reopen(const struct log_options *options)
{
    struct log_sink next;
    struct log_style style;
    if (!open_sink(options, &next, &style))
        return false;
    lock_acquire(&logger.lock);
    assert(logger.ring.bytes && !logger.closing);
    if (logger.reopened) {
        log_sink_close(&logger.next);
        free(logger.next_style.template);
    }
    logger.next = next;
    logger.next_style = style;
    logger.reopened = true;
    logger.give_up_ns = clock_mono_ns(&clock_system) + PATIENCE_NS;
    wake_writer_if_due();
    lock_leave(&logger.lock);
    return true;
}

void log_settle(void)
{
    int64_t deadline_ns = clock_mono_ns(&clock_system) + SETTLE_NS;
    bool waiting = true;
    lock_acquire(&logger.lock);
    uint64_t head = logger.ring.head;
    logger.awaited = true;
    while (waiting && logger.ring.bytes && logger.ring.tail < head)
        waiting = lock_cond_wait_until(&logger.ended, &logger.lock, deadline_ns);
    logger.awaited = false;
    lock_leave(&logger.lock);
}

/* False if the writer is stuck where no patience of its own helps: in a write to a disk, say. */
static bool end_writer(void)
{
    int64_t now_ns = clock_mono_ns(&clock_system);
    bool waiting = true;
    lock_acquire(&logger.lock);
    logger.closing = true;
    logger.give_up_ns = now_ns + PATIENCE_NS;
    lock_cond_signal(&logger.wake);
    while (waiting && logger.state != WRITER_ENDED)
        waiting = lock_cond_wait_until(&logger.ended, &logger.lock, now_ns + 2 * PATIENCE_NS);
    bool ended = logger.state == WRITER_ENDED;
    lock_leave(&logger.lock);
    return ended;
}

/* A stuck writer keeps what it uses: the process ends without it. */
void log_close(void)
{
    if (!logger.ring.bytes || logger.closing || !end_writer())
        return;
    pthread_join(logger.thread, NULL);
    lock_acquire(&logger.lock);
    log_ring_release(&logger.ring);
    lock_leave(&logger.lock);
    lock_cond_release(&logger.wake);
    lock_cond_release(&logger.ended);
    log_sink_close(&logger.sink);
    free(logger.style.template);
    logger.style.template = NULL;
}
