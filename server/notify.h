/* Telling the service manager how we are: the protocol of sd_notify(3), one datagram a message to
 * the socket that $NOTIFY_SOCKET names. Without that variable nothing is sent. */
#ifndef GALLEY_SERVER_NOTIFY_H
#define GALLEY_SERVER_NOTIFY_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct notify {
    int fd; /* negative: nobody wants to know */
    struct sockaddr_un address;
    socklen_t length;
    int64_t watchdog_ms; /* how often it must be fed; 0: never */
};

/* Reads the environment, and takes the variables away from whatever we might start.
 * Threads: main, while there is no other. */
void notify_open(struct notify *notify);
void notify_close(struct notify *notify);

/* Sends "READY=1", or several such lines; waits for room. What fails is logged.
 * Threads: any, none that may not wait. */
void notify_tell(const struct notify *notify, const char *lines);

/* Feeds the watchdog; waits for nothing. Threads: any. */
void notify_feed(const struct notify *notify);

#endif
