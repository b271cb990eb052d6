/* A copy of a request, from its making to its end. */
#ifndef GALLEY_SERVER_UPSTREAM_MIRROR_PRIVATE_H
#define GALLEY_SERVER_UPSTREAM_MIRROR_PRIVATE_H

#include "server/upstream/mirror.h"

#include <sys/queue.h>

struct copy {
    struct copy *next;     /* of those that the thread has not seen yet */
    LIST_ENTRY(copy) link; /* the thread's */
    struct upstream *upstream;
    struct request request; /* points into text and headers */
    struct response response;
    int fd;           /* that it awaits; or -1 */
    bool feeding;     /* its answer streams */
    int64_t until_ns; /* what it awaits is due */
    int64_t ends_ns;  /* it is over, at the latest */
    uint64_t bytes;   /* of the answer that have streamed */
    struct header headers[HEADERS_MAX];
    char text[];
};

/* ---- copies.c */

/* The thread runs, or will not. Threads: one at a time. */
bool copies_start(struct mirrors *mirrors);

/* Whether there is room for one more, which then has to be sent. Threads: any, as the next. */
bool copies_reserve(struct mirrors *mirrors);
/* Takes the copy over. */
void copies_send(struct mirrors *mirrors, struct copy *copy);

#endif
