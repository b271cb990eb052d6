/* DESIGN. A timer that never waits: each time it looks what became of the two questions of the last
 * time, feeds if both were answered, and asks again. One that is unanswered stays asked. /healthz
 * is asked through the control socket, so that acceptor, hub, workers and gateway all take part. A
 * store that is latched read-only is not starved: /readyz and the log say what is wrong, and reads
 * are served. */
#include "server/watchdog.h"

#include "base/clock.h"
#include "base/log.h"
#include "server/control.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOOKS 4 /* in the time in which we must be fed once */

static const char question[] =
    "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
static const char right[] = "HTTP/1.1 200 ";

/* ---- The store's writer */

static enum err write_nothing(struct txn *txn, void *arg)
{
    (void)txn;
    (void)arg;
    return ERR_OK;
}

static void written(struct pending_write *write)
{
    struct watchdog *watchdog = write->arg;
    atomic_store(&watchdog->writing, false);
}

static void ask_writer(struct watchdog *watchdog)
{
    watchdog->write = (struct pending_write){.fn = write_nothing, .arg = watchdog, .done = written};
    atomic_store(&watchdog->writing, true);
    if (store_submit(watchdog->store, &watchdog->write) != ERR_OK)
        atomic_store(&watchdog->writing, false); /* it says no: it is there */
}

/* ---- Health */

static void end_question(struct watchdog *watchdog)
{
    if (watchdog->health_fd >= 0)
        close(watchdog->health_fd);
    watchdog->health_fd = -1;
}

static void ask_health(struct watchdog *watchdog)
{
    watchdog->healthy = false;
    watchdog->health_fd = control_connect(watchdog->data_fd, SOCK_NONBLOCK);
    if (watchdog->health_fd >= 0 &&
        send(watchdog->health_fd, question, sizeof question - 1, MSG_NOSIGNAL) < 0)
        end_question(watchdog);
}

static void hear_health(struct watchdog *watchdog)
{
    char answer[512];
    if (watchdog->health_fd < 0)
        return;
    ssize_t got = recv(watchdog->health_fd, answer, sizeof answer, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    watchdog->healthy =
        got >= (ssize_t)sizeof right && memcmp(answer, right, sizeof right - 1) == 0;
    end_question(watchdog);
}

/* ---- The timer */

static void feed(struct watchdog *watchdog, int64_t mono_ns)
{
    notify_feed(watchdog->notify);
    watchdog->ate_ns = mono_ns;
    if (watchdog->told)
        log_write(LOG_INFO, "watchdog", "is fed again");
    watchdog->told = false;
}

/* Once half of the time has gone: a single late answer is nothing. */
static void tell_hunger(struct watchdog *watchdog, bool writing, int64_t mono_ns)
{
    int64_t hungry_ms = (mono_ns - watchdog->ate_ns) / 1000000;
    if (watchdog->told || hungry_ms < watchdog->notify->watchdog_ms / 2)
        return;
    log_write(LOG_ERROR, "watchdog", "is not fed: %s has had no answer for %d ms",
              writing ? "a write" : "/healthz", (int)hungry_ms);
    watchdog->told = true;
}

static int64_t look(void *arg, int64_t mono_ns)
{
    struct watchdog *watchdog = arg;
    bool writing = atomic_load(&watchdog->writing);
    hear_health(watchdog);
    if (!writing && watchdog->healthy)
        feed(watchdog, mono_ns);
    else
        tell_hunger(watchdog, writing, mono_ns);
    if (!writing)
        ask_writer(watchdog);
    if (watchdog->health_fd < 0)
        ask_health(watchdog);
    int64_t again_ms = watchdog->notify->watchdog_ms / LOOKS;
    return again_ms > 0 ? again_ms : 1;
}

void watchdog_begin(struct watchdog *watchdog, struct ticker *ticker)
{
    watchdog->health_fd = -1;
    watchdog->ate_ns = clock_mono_ns(&clock_system);
    if (watchdog->notify->watchdog_ms > 0)
        watchdog->timer = ticker_add(ticker, look, watchdog, 1);
}

void watchdog_end(struct watchdog *watchdog)
{
    if (!watchdog->timer)
        return;
    timer_cancel(watchdog->timer);
    end_question(watchdog);
}
