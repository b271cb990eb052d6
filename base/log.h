/* The log: one JSON object a line, or coloured columns when it goes to a terminal.
 *
 * DESIGN. A caller copies its line's facts into a ring of fixed memory and goes on; a writer thread
 * formats and writes. A full ring drops the line and counts it (the count is logged when there is
 * room again): logging never blocks a request. The log is process-wide; before log_open and after
 * log_close lines go straight to standard error, one write each. */
#ifndef GALLEY_BASE_LOG_H
#define GALLEY_BASE_LOG_H

#include "base/slice.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_OFF };
enum log_format { LOG_AUTO /* text on a terminal, else JSON */, LOG_JSON, LOG_TEXT };

struct log_options {
    const char *path; /* appended to; NULL or "-" for standard error */
    enum log_level level;
    enum log_format format;
    bool access; /* whether access lines are written */
};

/* Starts the writer thread. False with errno when the file cannot be opened. Threads: main. */
bool log_open(const struct log_options *options);

/* Takes other options over; opens the file also if its name is the same, as it may be another now
 * (logrotate). Lines that are on their way may still go to the old one. False with errno when it
 * cannot be opened: nothing has changed then. Threads: one at a time, while the log is open. */
bool log_reopen(const struct log_options *options);

/* Writes everything that is in the ring, then stops. Nothing if it is not open. Threads: main. */
void log_close(void);

/* `component` is a static word ("store"); `format` makes one sentence of at most 400 bytes, longer
 * ones are cut. Threads: any, also within locks. */
void log_write(enum log_level level, const char *component, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* True if lines of this level are kept: lets callers skip expensive arguments. */
bool log_wants(enum log_level level);

/* One served request. Slices are copied (cut to 256 bytes for the path). Threads: any. */
struct log_access {
    int64_t wall_ms;
    struct slice request_id;
    struct slice method;
    struct slice path; /* normalised, without the query */
    const char *route; /* pattern, or "" ; static for the process's life */
    struct slice user; /* may be empty */
    struct slice address;
    int status;
    const char *outcome; /* what became of the answer; "" if it arrived; static */
    uint64_t duration_ns;
    uint64_t bytes_out;
};

void log_access(const struct log_access *line);

/* Lines dropped since log_open. */
uint64_t log_dropped(void);

#endif
