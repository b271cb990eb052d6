/* The PROXY protocol, versions 1 and 2: how a load balancer that knows no HTTP says, before the
 * first byte of a connection, whose connection it is. Pure. Threads: any.
 *
 * A listener either demands such a header or does not look for one, and it belongs to trusted peers
 * alone: to guess from the first bytes would let anybody pretend to be anybody. */
#ifndef GALLEY_SERVER_HTTP_PROXY_PROTOCOL_H
#define GALLEY_SERVER_HTTP_PROXY_PROTOCOL_H

#include "base/buf.h"
#include "base/err.h"
#include "base/ip.h"

#define PROXY_HEADER_MAX 4096 /* bytes, with the optional parts of version 2 */

struct proxy_header {
    size_t size; /* bytes that it takes; 0: it is not all there yet */
    bool known;  /* false: the balancer's own connection (a health check), or it does not know */
    struct in6_addr source, destination; /* if known; the client and whom it connected to */
    uint16_t source_port, destination_port;
};

/* Reads the header that `bytes` begins with; called again with more as long as out->size is 0.
 * ERR_MALFORMED as soon as it cannot become one. */
enum err proxy_header_parse(struct slice bytes, struct proxy_header *out);

/* Append a header; `size` is not looked at. */
void proxy_header_write_v1(struct buf *out, const struct proxy_header *header);
void proxy_header_write_v2(struct buf *out, const struct proxy_header *header);

#endif
