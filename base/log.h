/* The log: one JSON object a line, or coloured columns when it goes to a terminal.
 *
 * DESIGN. A caller copies its line's facts into a ring of fixed memory and goes on; a writer thread
 * formats and writes. A line that finds the ring full, because a reader is stuck say, is dropped
 * and counted, and so is what a full disk does not take; the count is logged once there is room
 * again. Logging never blocks a request. The log is process-wide; before log_open and after
 * log_close lines go straight to standard error, one write each. */
#ifndef GALLEY_BASE_LOG_H
#define GALLEY_BASE_LOG_H

#include "base/buf.h"

#define LOG_PATIENCE_MS                                                                            \
    1000 /* for a reader who makes no room, where somebody waits for the log                       \
          */

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_OFF };
enum log_format { LOG_AUTO /* text on a terminal, else JSON */, LOG_JSON, LOG_TEXT };

struct log_options {
    const char *path; /* appended to; NULL or "-" for standard error */
    enum log_level level;
    enum log_format format;
    bool access;               /* whether access lines are written, */
    const char *access_format; /* and how: NULL or "auto" as `format`, "json", "text", "combined"
                                  (Apache's), or what log_access_format_check takes */
};

/* Starts the writer thread. False with errno when the file cannot be opened. Threads: main. */
bool log_open(const struct log_options *options);

/* Goes on with these options: opens the file anew, even under the same name, as the old one may
 * have been moved away. False with errno, and nothing changed, when it cannot be opened. The log is
 * open. Threads: one at a time. */
bool log_reopen(const struct log_options *options);

/* Writes everything that is in the ring, then stops; but what a reader has not made room for within
 * LOG_PATIENCE_MS is lost. Nothing if it is not open. Threads: main. */
void log_close(void);

/* Waits, a second at most, until what was said so far is written: for who prints something that is
 * to stand behind it. Threads: main. */
void log_settle(void);

/* `component` is a static word ("store"); `format` makes one sentence of at most 400 bytes, longer
 * ones are cut. Threads: any, also within locks. */
void log_write(enum log_level level, const char *component, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Whether that may be an access_format: text with fields in braces, "{address} {status}"; else
 * appends why not. Threads: any. */
bool log_access_format_check(const char *text, struct buf *why);
/* Appends all fields. */
void log_append_fields(struct buf *out);

/* For a signal handler that is about to end the process: writes the line at once, whatever the
 * level is, without locks or the heap's memory; to standard error too if the log goes elsewhere.
 * Lines that are in the ring may be lost. */
void log_last_words(const char *component, struct slice message);

/* True if lines of this level are kept: lets callers skip expensive arguments. */
bool log_wants(enum log_level level);

/* One served request. The texts are copied, each cut to 256 bytes; what is our own (request_id,
 * route, address, outcome, target, cache) holds nothing that JSON would have to escape. Threads:
 * any. */
struct log_access {
    enum log_level level;
    int64_t wall_ms;
    struct slice request_id;
    struct slice method;
    struct slice path; /* normalised, without the query */
    const char *route; /* pattern, or "" */
    struct slice user; /* may be empty */
    struct slice address;
    struct slice tried;               /* the servers that it was passed on to; empty: none */
    const char *target;               /* the upstream that they are of, or NULL */
    struct slice referer, user_agent; /* wanted if log_wants_client() */
    unsigned tries;                   /* how many servers were asked */
    uint64_t first_byte_ns;           /* that the last one took; 0: it has not answered */
    const char *cache;                /* what the cache did; NULL: nothing; static */
    bool http10;
    int status;
    const char *outcome; /* what became of the answer; "" if it arrived; static */
    uint64_t duration_ns;
    uint64_t bytes_out;
};

void log_access(const struct log_access *line);

/* Whether access lines have what clients say of themselves. Threads: any. */
bool log_wants_client(void);

/* ---- The last lines, for who looks while it runs: JSON, whatever the log's own format is. */

/* Begins to keep them, up to half a MiB; `news` is called by the writer thread when there are more,
 * and must not block. Ends. Threads: main. */
void log_tail_begin(void (*news)(void *arg), void *arg);
void log_tail_end(void);

/* Appends the first line that is at *pos or behind, without its end, and moves *pos behind it;
 * false if there is none. *pos 0: the oldest that is kept; one that is not kept any more likewise.
 */
bool log_tail_line(uint64_t *pos, struct buf *out);

/* How many bytes there are behind a position. Threads: any, as log_tail_line. */
uint64_t log_tail_behind(uint64_t pos);

/* Lines lost since log_open: dropped at a full ring, or not taken by a full disk. */
uint64_t log_dropped(void);

#endif
