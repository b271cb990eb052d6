/* What the log's ring (log_ring.c), its formats (log_format.c) and its writer (log.c) share. */
#ifndef GALLEY_BASE_LOG_PRIVATE_H
#define GALLEY_BASE_LOG_PRIVATE_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"

/* The texts of a line. A plain line has only the first. */
enum {
    LOG_MESSAGE,
    LOG_REQUEST_ID = LOG_MESSAGE,
    LOG_METHOD,
    LOG_PATH,
    LOG_ROUTE,
    LOG_USER,
    LOG_ADDRESS,
    LOG_TRIED,
    LOG_TEXTS
};

#define LOG_MESSAGE_MAX 400
#define LOG_TEXT_MAX    256 /* of every text of an access line */

/* What a line knows without its texts. */
struct log_facts {
    int64_t wall_ms;
    const char *component;
    const char *outcome; /* of an access line; NULL for a plain one */
    uint64_t duration_ns;
    uint64_t bytes_out;
    int status;
    enum log_level level;
};

struct log_line {
    struct log_facts facts;
    struct slice texts[LOG_TEXTS];
};

/* ---- log_ring.c: lines on their way to the writer, in a fixed memory. What lies between tail and
 * a head that the writer has seen is the writer's to read without the lock that guards the rest. */

struct log_ring {
    char *bytes;         /* NULL while the log is not open */
    uint64_t head, tail; /* bytes ever put in and taken out: positions modulo the size */
};

void log_ring_init(struct log_ring *ring);
void log_ring_release(struct log_ring *ring);
bool log_ring_half_full(const struct log_ring *ring);

/* Copies the line in; false if there is no room for it. */
bool log_ring_put(struct log_ring *ring, const struct log_line *line);

/* The line at `pos`, whose texts are the ring's; returns where the next one begins. */
uint64_t log_ring_line(const struct log_ring *ring, uint64_t pos, struct log_line *out);

/* ---- log_tail.c: the last lines. */

/* Whether somebody wants them. */
bool log_tail_is_open(void);
/* Takes whole JSON lines, each with its end; then news, which tells those who look. */
void log_tail_take(struct slice lines);
void log_tail_tell(void);

/* ---- log_format.c */

struct log_style {
    bool text; /* columns for people, else JSON */
    bool colour;
    /* The last time stamp, of whose 25 characters most stay for a second. */
    int64_t second_ms;
    char stamp[CLOCK_RFC3339_SIZE];
};

void log_style_init(struct log_style *style, enum log_format format, int fd);

/* Appends the line and its newline. Threads: owner of style. */
void log_format_line(struct buf *out, struct log_style *style, const struct log_line *line);

#endif
