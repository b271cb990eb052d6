/* Who a request comes from when proxies stand before us: `Forwarded` (RFC 7239) and
 * `X-Forwarded-For`, `-Proto`, `-Host`. Pure. Threads: any. */
#ifndef GALLEY_SERVER_HTTP_FORWARDED_H
#define GALLEY_SERVER_HTTP_FORWARDED_H

#include "base/cidr.h"
#include "server/http/message.h"

#define FORWARDED_HOPS_MAX 32 /* proxies in a row that are believed */

struct forwarded {
    struct in6_addr client; /* the nearest address that is not a trusted proxy's */
    bool proto_said, https; /* how the client spoke to the outermost trusted proxy that says it */
    struct slice host;      /* whom it asked for, "host[:port]"; empty: not said */
};

/* Reads from the right, where the nearest proxy wrote, and goes on as long as who wrote is in
 * `trusted`: what a client made up stands further left and is not looked at. Fields of one name are
 * one list. An address that is hidden ("unknown", "_abc") or missing ends the walk: the client is
 * then whom the last believed proxy wrote about, or that proxy itself.
 *
 * If there is `Forwarded` and there are `X-Forwarded-` fields, they must not contradict each other:
 * a proxy that writes the one hands the other on as the client sent it, and nobody can tell which.
 *
 * ERR_MALFORMED: a contradiction, syntax that cannot be read, more hops than FORWARDED_HOPS_MAX.
 * out->host points into the headers. */
enum err forwarded_read(const struct header *headers, unsigned header_count,
                        const struct in6_addr *peer, const struct cidr_list *trusted,
                        struct forwarded *out);

#endif
