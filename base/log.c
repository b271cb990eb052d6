/* DESIGN. The ring is of bytes: a record is its facts, the lengths of its texts and the texts, so
 * that short lines take little room. Producers copy a record in under a short lock. What lies
 * between tail and the head that the writer has seen is the writer's to read without the lock.
 *
 * A line must not cost a wake-up: the idle writer is woken by the first line only, then gathers for
 * a few milliseconds, or until the ring is half full, and writes all that came with few calls. */
#include "base/log_private.h"

#include "base/lock.h"
#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define RING_SIZE (UINT64_C(1) << 20)
#define GATHER_NS INT64_C(5000000)
#define CHUNK     65536 /* bytes of text after which the writer writes and frees ring */

struct record {
    struct log_facts facts;
    uint16_t lens[LOG_TEXTS];
};

enum writer_state { WRITER_BUSY, WRITER_IDLE, WRITER_GATHERING };

static struct {
    _Atomic enum log_level level;
    _Atomic bool access;

    struct lock lock;
    /* guarded by lock */
    char *ring;    /* NULL while the log is not open */
    uint64_t head; /* bytes ever put in and taken out: positions modulo RING_SIZE */
    uint64_t tail;
    uint64_t dropped;
    enum writer_state state;
    bool closing;
    int next_fd; /* for the writer to take over, with next_format; -1: none */
    enum log_format next_format;
    struct lock_cond wake; /* for the writer */

    /* the writer's own, and main's while there is no writer */
    pthread_t thread;
    int fd;
    struct log_style style;
    uint64_t dropped_told;
} logger = {.level = LOG_INFO, .next_fd = -1, .lock = LOCK_INIT(LOCK_RANK_LOG)};

/* What cannot be written is lost: there is nobody to tell. */
static void write_fully(int fd, struct slice text)
{
    while (text.len > 0) {
        ssize_t done = write(fd, text.ptr, text.len);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return;
        text = slice_of(text.ptr + done, text.len - (size_t)done);
    }
}

static void write_directly(const struct log_line *line)
{
    struct log_style style;
    log_style_init(&style, LOG_AUTO, STDERR_FILENO);
    struct buf out = BUF_INIT;
    log_format_line(&out, &style, line);
    write_fully(STDERR_FILENO, buf_slice(&out));
    buf_release(&out);
}

static void ring_put(const void *bytes, size_t len)
{
    size_t at = logger.head % RING_SIZE;
    size_t first = len < RING_SIZE - at ? len : RING_SIZE - at;
    lock_assert_held(&logger.lock);
    if (len == 0)
        return;
    memcpy(logger.ring + at, bytes, first);
    memcpy(logger.ring, (const char *)bytes + first, len - first);
    logger.head += len;
}

static uint64_t ring_get(uint64_t pos, void *bytes, size_t len)
{
    size_t at = pos % RING_SIZE;
    size_t first = len < RING_SIZE - at ? len : RING_SIZE - at;
    memcpy(bytes, logger.ring + at, first);
    memcpy((char *)bytes + first, logger.ring, len - first);
    return pos + len;
}

static bool half_full(void)
{
    return logger.head - logger.tail >= RING_SIZE / 2;
}

static void wake_writer_if_due(void)
{
    if (logger.state == WRITER_BUSY || (logger.state == WRITER_GATHERING && !half_full()))
        return;
    logger.state = WRITER_BUSY;
    lock_cond_signal(&logger.wake);
}

/* False if the log is not open. */
static bool push(const struct log_line *line)
{
    struct record record = {.facts = line->facts};
    size_t size = sizeof record;
    for (size_t i = 0; i < LOG_TEXTS; i++) {
        record.lens[i] = (uint16_t)line->texts[i].len;
        size += line->texts[i].len;
    }
    lock_acquire(&logger.lock);
    bool open = logger.ring && !logger.closing;
    if (open && RING_SIZE - (logger.head - logger.tail) < size) {
        logger.dropped++;
    } else if (open) {
        ring_put(&record, sizeof record);
        for (size_t i = 0; i < LOG_TEXTS; i++)
            ring_put(line->texts[i].ptr, line->texts[i].len);
        wake_writer_if_due();
    }
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

static struct slice cut(struct slice s)
{
    return slice_of(s.ptr, s.len < LOG_TEXT_MAX ? s.len : LOG_TEXT_MAX);
}

void log_access(const struct log_access *access)
{
    assert(access->route);
    if (!atomic_load_explicit(&logger.access, memory_order_relaxed))
        return;
    submit(&(struct log_line){
        .facts = {.wall_ms = access->wall_ms,
                  .component = "access",
                  .route = access->route,
                  .outcome = access->outcome ? access->outcome : "",
                  .duration_ns = access->duration_ns,
                  .bytes_out = access->bytes_out,
                  .status = access->status,
                  .level = LOG_INFO},
        .texts = {[LOG_REQUEST_ID] = cut(access->request_id),
                  [LOG_METHOD] = cut(access->method),
                  [LOG_PATH] = cut(access->path),
                  [LOG_USER] = cut(access->user),
                  [LOG_ADDRESS] = cut(access->address)},
    });
}

uint64_t log_dropped(void)
{
    lock_acquire(&logger.lock);
    uint64_t dropped = logger.dropped;
    lock_leave(&logger.lock);
    return dropped;
}

/* Formats the record at `pos` and returns where the next one begins. */
static uint64_t format_record(uint64_t pos, struct buf *out)
{
    struct record record;
    pos = ring_get(pos, &record, sizeof record);
    struct log_line line;
    line.facts = record.facts;
    char texts[LOG_TEXTS * LOG_TEXT_MAX];
    size_t used = 0;
    for (size_t i = 0; i < LOG_TEXTS; i++) {
        line.texts[i] = slice_of(texts + used, record.lens[i]);
        used += record.lens[i];
    }
    assert(used <= sizeof texts);
    pos = ring_get(pos, texts, used);
    log_format_line(out, &logger.style, &line);
    return pos;
}

static void format_loss(uint64_t lost, struct buf *out)
{
    struct log_line line = {
        .facts = {.wall_ms = clock_wall_ms(&clock_system), .level = LOG_WARN, .component = "log"}};
    char message[80];
    snprintf(message, sizeof message, "%" PRIu64 " lines were lost, the log could not keep up.",
             lost);
    line.texts[LOG_MESSAGE] = slice_str(message);
    log_format_line(out, &logger.style, &line);
}

/* Writes what is in `out` and the ring up to `head`, giving its room back by the chunk. */
static void write_up_to(uint64_t head, struct buf *out)
{
    uint64_t pos = logger.tail; /* only this thread changes it */
    do {
        while (pos != head && out->len < CHUNK)
            pos = format_record(pos, out);
        write_fully(logger.fd, buf_slice(out));
        buf_clear(out);
        lock_acquire(&logger.lock);
        logger.tail = pos;
        lock_leave(&logger.lock);
    } while (pos != head);
}

/* A loss is told without waiting for the next line: there may be none. */
static bool has_news(void)
{
    return logger.next_fd >= 0 || logger.head != logger.tail ||
           logger.dropped != logger.dropped_told;
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
    while (waiting && !half_full() && !logger.closing)
        waiting = lock_cond_wait_until(&logger.wake, &logger.lock, deadline_ns);
    logger.state = WRITER_BUSY;
    return has_news();
}

static void close_file(int fd)
{
    if (fd >= 0 && fd != STDERR_FILENO)
        close(fd);
}

/* What log_reopen has left. */
static void take_file_over(void)
{
    lock_assert_held(&logger.lock);
    if (logger.next_fd < 0)
        return;
    if (logger.next_fd != logger.fd)
        close_file(logger.fd);
    logger.fd = logger.next_fd;
    logger.next_fd = -1;
    log_style_init(&logger.style, logger.next_format, logger.fd);
}

static void *write_lines(void *arg)
{
    (void)arg;
    pthread_setname_np(pthread_self(), "log");
    lock_acquire(&logger.lock);
    struct buf out = BUF_INIT;
    while (wait_for_lines()) {
        take_file_over();
        uint64_t head = logger.head;
        uint64_t lost = logger.dropped - logger.dropped_told;
        lock_leave(&logger.lock);
        if (lost > 0)
            format_loss(lost, &out);
        logger.dropped_told += lost;
        write_up_to(head, &out);
        lock_acquire(&logger.lock);
    }
    lock_leave(&logger.lock);
    buf_release(&out);
    return NULL;
}

/* Negative with errno if it cannot be opened. */
static int open_file(const char *path)
{
    if (!path || strcmp(path, "-") == 0)
        return STDERR_FILENO;
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
}

static void set_filters(const struct log_options *options)
{
    logger.level = options->level;
    logger.access = options->access && options->level < LOG_OFF;
}

bool log_open(const struct log_options *options)
{
    assert(!logger.ring);
    logger.fd = open_file(options->path);
    if (logger.fd < 0)
        return false;
    log_style_init(&logger.style, options->format, logger.fd);
    lock_cond_init(&logger.wake);
    lock_acquire(&logger.lock);
    logger.ring = mem_alloc(RING_SIZE);
    logger.head = logger.tail = 0;
    logger.dropped = logger.dropped_told = 0;
    logger.closing = false;
    logger.state = WRITER_BUSY;
    lock_leave(&logger.lock);
    set_filters(options);
    int rc = pthread_create(&logger.thread, NULL, write_lines, NULL);
    assert(rc == 0);
    return true;
}

bool log_reopen(const struct log_options *options)
{
    assert(logger.ring);
    int fd = open_file(options->path);
    if (fd < 0)
        return false;
    lock_acquire(&logger.lock);
    close_file(logger.next_fd); /* of one just before, that the writer has not come to */
    logger.next_fd = fd;
    logger.next_format = options->format;
    wake_writer_if_due();
    lock_leave(&logger.lock);
    set_filters(options);
    return true;
}

void log_close(void)
{
    if (!logger.ring)
        return;
    lock_acquire(&logger.lock);
    logger.closing = true;
    lock_cond_signal(&logger.wake);
    lock_leave(&logger.lock);
    pthread_join(logger.thread, NULL);

    lock_acquire(&logger.lock);
    free(logger.ring);
    logger.ring = NULL;
    lock_leave(&logger.lock);
    lock_cond_release(&logger.wake);
    close_file(logger.next_fd);
    logger.next_fd = -1;
    close_file(logger.fd);
}
