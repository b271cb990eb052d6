/* The change feed over HTTP: GET /api/v1/feed (docs/feed.md), as server-sent events or as a long
 * poll. A reader is a feed (http/feed.h): parked, without a thread, until a commit wakes all of
 * them; it reads the store's change feed (storage/change_feed.h) from where it stands, so that one
 * that is slow or was away costs nothing but its place. What a reader may see of a document is said
 * by whom the collection belongs to. */
#ifndef GALLEY_SERVER_CHANGES_CHANGES_H
#define GALLEY_SERVER_CHANGES_CHANGES_H

#include "base/clock.h"
#include "base/ticker.h"
#include "server/http/message.h"
#include "server/identity/users.h"
#include "storage/change_feed.h"

#define CHANGES_PATH "/api/v1/feed"

struct changes;

struct changes_options {
    struct store *store;
    struct change_feed *feed; /* watched from now on */
    const struct clock *clock;
    struct ticker *ticker;
    struct users *users; /* a token that they stop ends its streams */
};

/* Threads: main. */
struct changes *changes_create(const struct changes_options *options);
/* Nothing is being served any more, and nothing written. NULL-safe; sets NULL. */
void changes_destroy(struct changes **changes);

/* All that read end in good order, and come back where they stood: what they may see may have
 * changed. Threads: any. */
void changes_restart(struct changes *changes);
/* The same, and whoever comes from now on has an answer at once: the front is about to drain, and
 * waits for long polls. */
void changes_stop(struct changes *changes);

/* ---- Serving */

/* One reader's eyes for one collection. */
struct change_view {
    char stored[80]; /* what it is called in the store */
    /* Appends what he sees of the document's text; false, and nothing appended, if that is nothing
     * at all. On a worker or the front's hub, one at a time: must not block. */
    bool (*show)(void *arg, struct slice json, struct buf *out);
    void (*release)(void *arg); /* or NULL */
    void *arg;
};

/* Where a route leads: the argument of changes_target. Lives as long as the route. */
struct changes_place {
    struct changes *changes;
    /* ERR_NOT_FOUND: there is no such collection, or it has no feed, or he is not to know.
     * ERR_UNAUTHENTICATED, ERR_FORBIDDEN: who asks may see none of it. */
    enum err (*find)(void *arg, const struct request *request, struct slice name,
                     struct change_view *out);
    void *arg;
};

void changes_target(struct request *request, struct response *response, void *place);

struct changes_figures {
    unsigned readers;
    uint64_t events; /* that were sent */
};
void changes_figures(const struct changes *changes, struct changes_figures *out);

#endif
