/* Bars: tokens that are signed and not yet over, and yet do not pass any more, because their user
 * was disabled, has another password or other roles, is gone, or signed out.
 *
 * DESIGN. A token cannot be taken back, so what is refused is remembered: for a user the generation
 * that a token must have at least, for a single token its name. A bar is a document (it outlives
 * the process) and an entry in memory, where each request looks: first at a filter, whose bits tell
 * without a lock that there is none, which is nearly always so. What has lasted as long as any
 * token can is swept.
 *
 * Threads: any, after opening. */
#ifndef GALLEY_SERVER_IDENTITY_BARS_H
#define GALLEY_SERVER_IDENTITY_BARS_H

#include "server/http/message.h"
#include "storage/store.h"

#define BAR_ALL     INT64_MAX                 /* no token of the user passes */
#define BAR_USER_MS (31 * 24 * 3600 * 1000LL) /* longer than any token of ours lasts */

struct bars;

/* Reads those of the last run. Threads: main. */
enum err bars_open(struct store *store, struct bars **out, char *why, size_t why_size);
void bars_close(struct bars **bars);

/* Whether this token of this user is barred. */
bool bars_stop(struct bars *bars, const struct principal *user);

/* In a write: from the commit on, tokens of the user of a generation below this one are barred, and
 * no others; until then, wall clock, or for good with INT64_MAX. */
enum err bars_put_user(struct bars *bars, struct txn *txn, const char *user_id, int64_t generation,
                       int64_t until_ms);

/* In a write: the token that has signed this user in is barred. */
enum err bars_put_token(struct bars *bars, struct txn *txn, const struct principal *user);

/* Drops what is over. Commits. */
enum err bars_sweep(struct bars *bars, int64_t now_ms);

/* How many there are. */
unsigned bars_count(struct bars *bars);

#endif
