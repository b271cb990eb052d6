/* Looks names up and files through as often as they want it, and gives upstreams the servers that
 * it finds. One thread, as a name server may take its time; nobody waits for it but a start or a
 * reload that brings something new, and they not for long. */
#ifndef GALLEY_SERVER_UPSTREAM_DISCOVERY_H
#define GALLEY_SERVER_UPSTREAM_DISCOVERY_H

#include "server/upstream/upstream.h"

struct discovery;

/* Starts the thread, NULL if that fails; the upstreams live longer. */
struct discovery *discovery_create(struct upstreams *upstreams);
/* Stops it, after what it is asking now. NULL is fine. Sets NULL. */
void discovery_destroy(struct discovery **discovery);

/* The upstreams are others now: returns when all that is new has been looked at, or after two
 * seconds. Threads: any. */
void discovery_look_again(struct discovery *discovery);

#endif
