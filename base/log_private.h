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
    LOG_TARGET,
    LOG_REFERER,
    LOG_USER_AGENT,
    LOG_TEXTS
};

#define LOG_MESSAGE_MAX 400
#define LOG_TEXT_MAX    256 /* of every text of an access line */

/* What a line knows without its texts. */
struct log_facts {
    int64_t wall_ms;
    const char *component;
    const char *outcome; /* of an access line; NULL for a plain one */
    const char *cache;   /* likewise; "": no cache had a part in it */
    uint64_t duration_ns;
    uint64_t first_byte_ns; /* 0: no server has answered */
    uint64_t bytes_out;
    unsigned tries;
    int status;
    bool http10;
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

/* ---- log_template.c: access lines as somebody wants them. */

#define LOG_PIECES_MAX 40

/* A field, and the text behind it. */
struct log_piece {
    const struct log_field *field;
    struct slice after;
    bool quoted; /* there is an odd number of quotes before it */
};

struct log_template {
    struct slice before; /* the first field; the slices point into `text` */
    struct log_piece pieces[LOG_PIECES_MAX];
    unsigned count;
    char text[1];
};

/* "combined", or text with fields; NULL, with why. The caller's, to free. */
struct log_template *log_template_create(const char *text, struct buf *why);

/* Whether it has a field of what clients say of themselves. */
bool log_template_asks_client(const struct log_template *template);

/* ---- log_format.c */

struct log_style {
    bool text;                     /* columns for people, else JSON */
    bool access_text;              /* likewise, of access lines, */
    struct log_template *template; /* unless this says how they look */
    bool colour;
    /* The last time stamp, of whose 25 characters most stay for a second. */
    int64_t second_ms;
    char stamp[CLOCK_RFC3339_SIZE];
};

/* `access_format` as in log_options; `template` is what it says, or NULL. */
void log_style_init(struct log_style *style, enum log_format format, const char *access_format,
                    struct log_template *template, int fd);

/* Whether all lines are JSON. */
bool log_style_is_json(const struct log_style *style);

/* The time as it stands in lines; valid until the next call. */
struct slice log_style_stamp(struct log_style *style, int64_t wall_ms);

/* Milliseconds with three decimals. */
void log_append_ms(struct buf *out, uint64_t duration_ns);

/* How many bytes the first character of a text has that is not empty; 0: it is one that moves the
 * reader's cursor or breaks the line (C0, C1), or none of UTF-8. */
size_t log_visible_length(struct slice text);

/* Appends the line and its newline. Threads: owner of style. */
void log_format_line(struct buf *out, struct log_style *style, const struct log_line *line);

/* Appends an access line as style->template says, without a newline (log_template.c). */
void log_template_line(struct buf *out, struct log_style *style, const struct log_line *line);

#endif
