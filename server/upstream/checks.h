/* Asking servers whether they are well, before anybody needs them: by connecting, or by a GET whose
 * status, and text perhaps, must be as expected. One thread asks all servers of all upstreams, and
 * waits for none: a check that takes too long has failed. What comes of it is the balancer's. */
#ifndef GALLEY_SERVER_UPSTREAM_CHECKS_H
#define GALLEY_SERVER_UPSTREAM_CHECKS_H

#include "server/upstream/upstream.h"

struct checks;

/* Starts the thread; the upstreams live longer. */
struct checks *checks_create(struct upstreams *upstreams);
/* Stops it in the midst of what it does; NULL is fine. Sets NULL. */
void checks_destroy(struct checks **checks);

/* The upstreams are others now. Threads: any. */
void checks_look_again(struct checks *checks);

#endif
