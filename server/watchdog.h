/* Feeding the service manager's watchdog, as long as the server really serves: a question for
 * /healthz is answered, and a write comes back from the store's writer thread. Whoever starves is
 * killed and started anew by the service manager. */
#ifndef GALLEY_SERVER_WATCHDOG_H
#define GALLEY_SERVER_WATCHDOG_H

#include "base/ticker.h"
#include "server/notify.h"
#include "storage/store.h"

#include <stdbool.h>

/* In its owner's memory, which outlives the store: a write may still be under way. */
struct watchdog {
    const struct notify *notify;
    struct store *store;
    int data_fd;
    struct timer *timer; /* NULL: nobody wants to be fed */
    struct pending_write write;
    _Atomic bool writing;
    int health_fd;  /* on which /healthz was asked; negative: it is not */
    bool healthy;   /* the last answer was right */
    bool told;      /* that it starves */
    int64_t ate_ns; /* monotonic */
};

/* Begins, if the service manager has a watchdog. The server serves already. Threads: main. */
void watchdog_begin(struct watchdog *watchdog, struct ticker *ticker);
void watchdog_end(struct watchdog *watchdog); /* also without watchdog_begin */

#endif
