/* What the log's ring (log.c) and its formats (log_format.c) share. */
#ifndef GALLEY_BASE_LOG_PRIVATE_H
#define GALLEY_BASE_LOG_PRIVATE_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"

/* The texts of a line. A plain line has only the first. */
enum { LOG_MESSAGE, LOG_REQUEST_ID = LOG_MESSAGE, LOG_METHOD, LOG_PATH, LOG_USER, LOG_ADDRESS };
#define LOG_TEXTS 5

#define LOG_MESSAGE_MAX 400
#define LOG_TEXT_MAX    256 /* of every text of an access line */

/* What a line knows without its texts. */
struct log_facts {
    int64_t wall_ms;
    const char *component;
    const char *route;   /* NULL for a plain line */
    const char *outcome; /* of an access line */
    uint64_t duration_ns;
    uint64_t bytes_out;
    int status;
    enum log_level level;
};

struct log_line {
    struct log_facts facts;
    struct slice texts[LOG_TEXTS];
};

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
