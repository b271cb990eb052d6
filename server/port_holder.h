/* Who listens on a port of this machine already. Threads: main. */
#ifndef GALLEY_SERVER_PORT_HOLDER_H
#define GALLEY_SERVER_PORT_HOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* False if nobody listens on the TCP port. Else `who` is "nginx (process 123)", or "another user's
 * process" where we may not look. */
bool port_holder(uint16_t port, char *who, size_t size);

#endif
