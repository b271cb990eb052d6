/* The change feed: an event for each document that is written, in the transaction that writes it,
 * so that documents and feed cannot come apart. It is a journal (journal.h): sequence numbers begin
 * with 1 and have no gaps, and whoever was away goes on behind the number that he has seen last,
 * as long as it has not been dropped for its age or the feed's size.
 *
 * Which collections it tells of is said by change_feed_cover. Of what was written while a
 * collection was not covered, and of what a repair takes away, there are no events. Lifetime: open
 * before threads start; close after the collections that it covers. */
#ifndef GALLEY_STORAGE_CHANGE_FEED_H
#define GALLEY_STORAGE_CHANGE_FEED_H

#include "storage/collection.h"
#include "storage/journal.h"

struct change_feed;

/* Threads: main. */
enum err change_feed_open(struct store *store, struct change_feed **out);
void change_feed_close(struct change_feed **feed);

/* What stands in an event besides the document as it is afterwards: with COVER_BEFORE also the
 * document before it was replaced, unless both together exceed STORE_VALUE_MAX. */
enum cover { COVER_NONE, COVER_AFTER, COVER_BEFORE };

/* From the next transaction on. Costs a covered write about what a second document of the same size
 * does. A deletion may use the reserve of a full store for its event. Threads: any but the writer.
 */
enum err change_feed_cover(struct change_feed *feed, struct collection *c, enum cover cover);

/* fn runs in the store's writer thread for each event that has become durable, in their order: it
 * must not block and not write. `collection` is borrowed for the call. Once, before threads start.
 */
typedef void (*change_feed_fn)(void *arg, const char *collection, uint64_t sequence);
void change_feed_watch(struct change_feed *feed, change_feed_fn fn, void *arg);

/* ---- Reading. */

enum document_event_kind { DOCUMENT_CREATED = 1, DOCUMENT_REPLACED, DOCUMENT_DELETED };

struct document_event {
    uint64_t sequence;
    int64_t time_ms; /* of the transaction */
    enum document_event_kind kind;
    uint64_t version;                      /* of the document; deleted: the last one it had */
    struct slice collection, json, before; /* borrowed as txn_get's. Deleted: json is what the
                                              document was. before: empty if there is none */
};

/* The events `first` to `next` - 1 are there; none if the two are equal. */
enum err change_feed_span(struct txn *txn, const struct change_feed *feed,
                          struct journal_span *out);

/* Up to `limit` events (0: all) from the number `from` on, until each() returns false. ERR_GONE,
 * and nothing read, if `from` is before the first that is still there, or behind the one that comes
 * next, as for who has read a feed that was put back since. Such of them as a repair has taken away
 * are left out. */
typedef bool (*document_event_fn)(const struct document_event *event, void *arg);
enum err change_feed_read(struct txn *txn, const struct change_feed *feed, uint64_t from,
                          unsigned limit, document_event_fn each, void *arg);

/* Drops some of the events beyond the bounds. *more: there are others. Threads: any but the writer.
 */
enum err change_feed_sweep(struct change_feed *feed, const struct journal_bounds *bounds,
                           bool *more);

#endif
