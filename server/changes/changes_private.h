/* What the files of the feed share. */
#ifndef GALLEY_SERVER_CHANGES_CHANGES_PRIVATE_H
#define GALLEY_SERVER_CHANGES_CHANGES_PRIVATE_H

#include "base/expr.h"
#include "base/hash.h"
#include "server/changes/changes.h"

#define COLLECTIONS_MAX 16 /* that one reader names */
#define LASTS           256

struct changes {
    struct changes_options options;
    struct event *news;
    struct timer *timer; /* raises the event when it was raised just before */
    atomic_bool told, stopping;
    _Atomic int64_t raised_ns;
    atomic_uint readers;
    _Atomic uint64_t events, restarts;
    /* So that nobody reads what is not for him: the last event since the start of each collection,
     * or of one with the same remainder; of all, stored behind it; and where that began. */
    _Atomic uint64_t last[LASTS], latest;
    uint64_t began;
};

static inline unsigned changes_slot(struct slice collection)
{
    return (unsigned)(hash_keyed(collection) % LASTS);
}

/* ---- reader.c */

struct reader {
    struct changes *changes;
    uint64_t restarts; /* of the feed, when it began */
    struct principal user;
    uint64_t next;    /* the event to look at next */
    int64_t alive_ns; /* by then a sign of life is due; of a poll: its end */
    bool begun;
    struct expr *filter;    /* of what it sees of documents; or NULL */
    unsigned limit, events; /* of a poll: at most, and what it has */
    struct buf page;        /* of a poll */
    struct buf now, before; /* what it sees of a document */
    unsigned count;
    struct watched {
        char name[65]; /* as it was asked for */
        unsigned slot;
        struct change_view view;
    } list[COLLECTIONS_MAX];
};

int64_t reader_stream(void *reader, struct buf *out, int64_t now_ns);
int64_t reader_poll(void *reader, struct buf *out, int64_t now_ns);

#endif
