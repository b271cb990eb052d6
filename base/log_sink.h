/* Where the log's lines go: a file, a pipe, a terminal. A pipe that nobody reads holds its writer
 * for a bounded time only, and what a full disk does not take is counted. Threads: owner. */
#ifndef GALLEY_BASE_LOG_SINK_H
#define GALLEY_BASE_LOG_SINK_H

#include "base/slice.h"

struct log_sink {
    int fd;
    bool regular;   /* a file on a disk: never waits for a reader */
    bool cut;       /* what was written last ends within a line */
    int last_errno; /* why lines were lost */
};

/* `path` is appended to; NULL or "-" is standard error. False with errno. */
bool log_sink_open(struct log_sink *sink, const char *path);
void log_sink_close(struct log_sink *sink);

/* Writes whole lines and returns how many of them were lost. Where a reader has to make room, waits
 * for it until the monotonic time *give_up_ns, which another thread may change meanwhile. */
uint64_t log_sink_write(struct log_sink *sink, struct slice lines,
                        const _Atomic int64_t *give_up_ns);

#endif
