/* Asking an origin anew while its stale answer is being given: stale-while-revalidate (RFC 5861).
 *
 * DESIGN. A refresh is a request like any other, that comes in through the control socket: so it
 * passes the same stages to the same target, holds no thread while that is silent, and is limited,
 * logged and stopped as requests are. A token of this process tells it from what others send. The
 * answer goes to the cache; what is left of it to say fits into the socket's buffer, so nobody has
 * to read it: our end is closed when it has been sent. Threads: any. */
#ifndef GALLEY_SERVER_GATEWAY_CACHE_REFRESH_H
#define GALLEY_SERVER_GATEWAY_CACHE_REFRESH_H

#include "server/http/message.h"

#define REFRESH_MARK "X-Galley-Refresh" /* "12.0123456789abcdef0123456789abcdef" */

struct refreshes;

/* A connection to ourselves that does not block; -1: there is none. */
typedef int (*refresh_connect_fn)(void *arg);

struct refreshes *refreshes_create(refresh_connect_fn connect, void *arg);
void refreshes_destroy(struct refreshes **refreshes);

/* Sends the request again, without its conditions, unless that is under way for this key, or too
 * much is. The first `primary_len` bytes of the key are the primary one. */
void refreshes_begin(struct refreshes *refreshes, const struct request *request, struct slice key,
                     size_t primary_len, int64_t now_ns);

/* Whether the request is one of ours; then the primary key that it refreshes is appended. */
bool refreshes_find(struct refreshes *refreshes, const struct request *request, struct buf *key);

/* Its answer has been sent. */
void refreshes_end(struct refreshes *refreshes, const struct request *request);

#endif
