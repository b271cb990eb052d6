#include "base/log_sink.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK_MS 100 /* a writer without a reader looks this often whether to give up */

bool log_sink_open(struct log_sink *sink, const char *path)
{
    bool is_stderr = !path || strcmp(path, "-") == 0;
    *sink = (struct log_sink){.fd = STDERR_FILENO};
    /* Without O_NONBLOCK a FIFO would wait here for its reader. */
    if (!is_stderr)
        sink->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640);
    struct stat info;
    sink->regular = sink->fd >= 0 && fstat(sink->fd, &info) == 0 && S_ISREG(info.st_mode);
    return sink->fd >= 0;
}

void log_sink_close(struct log_sink *sink)
{
    if (sink->fd != STDERR_FILENO)
        close(sink->fd);
}

static bool wait_for_room(const struct log_sink *sink, const _Atomic int64_t *give_up_ns)
{
    struct pollfd poller = {.fd = sink->fd, .events = POLLOUT};
    for (;;) {
        int64_t left_ms = (*give_up_ns - clock_mono_ns(&clock_system)) / 1000000;
        left_ms = left_ms < 0 ? 0 : left_ms < LOOK_MS ? left_ms : LOOK_MS;
        int ready = poll(&poller, 1, (int)left_ms);
        if (ready > 0)
            return true;
        if (ready < 0 && errno != EINTR)
            return false;
        errno = ETIMEDOUT;
        if (left_ms == 0)
            return false;
    }
}

/* Standard error is shared with other processes, so it is not made non-blocking: a pipe that polls
 * writable takes PIPE_BUF bytes without waiting. */
static ssize_t write_some(const struct log_sink *sink, struct slice text,
                          const _Atomic int64_t *give_up_ns)
{
    if (sink->regular)
        return write(sink->fd, text.ptr, text.len);
    if (!wait_for_room(sink, give_up_ns))
        return -1;
    return write(sink->fd, text.ptr, text.len < PIPE_BUF ? text.len : PIPE_BUF);
}

/* Returns what was not written, with errno. */
static struct slice write_fully(const struct log_sink *sink, struct slice text,
                                const _Atomic int64_t *give_up_ns)
{
    while (text.len > 0) {
        ssize_t done = write_some(sink, text, give_up_ns);
        if (done <= 0 && errno != EINTR && errno != EAGAIN)
            break;
        if (done > 0)
            text = slice_of(text.ptr + done, text.len - (size_t)done);
    }
    return text;
}

static uint64_t count_lines(struct slice text)
{
    uint64_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += text.ptr[i] == '\n';
    return count;
}

uint64_t log_sink_write(struct log_sink *sink, struct slice lines,
                        const _Atomic int64_t *give_up_ns)
{
    if (sink->cut && write_fully(sink, slice_str("\n"), give_up_ns).len == 0)
        sink->cut = false;
    struct slice rest = sink->cut ? lines : write_fully(sink, lines, give_up_ns);
    if (rest.len == 0)
        return 0;
    sink->last_errno = errno;
    if (rest.len < lines.len)
        sink->cut = rest.ptr[-1] != '\n';
    return count_lines(rest);
}
