#include "server/notify.h"

#include "base/log.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A path, or "@name" in the abstract name space, whose address begins with a NUL. */
static bool set_address(struct notify *notify, const char *name)
{
    size_t len = name ? strlen(name) : 0;
    if (len < 2 || len >= sizeof notify->address.sun_path || (name[0] != '/' && name[0] != '@'))
        return false;
    notify->address.sun_family = AF_UNIX;
    memcpy(notify->address.sun_path, name, len);
    if (name[0] == '@')
        notify->address.sun_path[0] = '\0';
    notify->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    return true;
}

/* The watchdog may be meant for another process, whose child we are. */
static int64_t watchdog_ms(void)
{
    const char *every = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    if (!every || (pid && strtol(pid, NULL, 10) != getpid()))
        return 0;
    int64_t ms = strtoll(every, NULL, 10) / 1000;
    return ms > 0 ? ms : 0;
}

void notify_open(struct notify *notify)
{
    *notify = (struct notify){.fd = -1};
    if (set_address(notify, getenv("NOTIFY_SOCKET"))) {
        notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        notify->watchdog_ms = watchdog_ms();
    }
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

void notify_close(struct notify *notify)
{
    if (notify->fd >= 0)
        close(notify->fd);
    notify->fd = -1;
}

static void send_lines(const struct notify *notify, const char *lines, int flags)
{
    if (notify->fd < 0)
        return;
    ssize_t sent = sendto(notify->fd, lines, strlen(lines), MSG_NOSIGNAL | flags,
                          (const struct sockaddr *)&notify->address, notify->length);
    if (sent < 0)
        log_write(LOG_WARN, "notify", "the service manager cannot be told %.20s: %s", lines,
                  strerror(errno));
}

void notify_tell(const struct notify *notify, const char *lines)
{
    send_lines(notify, lines, 0);
}

void notify_feed(const struct notify *notify)
{
    send_lines(notify, "WATCHDOG=1", MSG_DONTWAIT);
}
