/* Heads of responses, as a server that we ask sends them. Pure. Threads: any.
 *
 * Read as strictly as requests (head.h): what two parsers could take in two ways would let one
 * answer hide in another, and the next client on the connection get it. */
#ifndef GALLEY_SERVER_HTTP_RESPONSE_HEAD_H
#define GALLEY_SERVER_HTTP_RESPONSE_HEAD_H

#include "server/http/head.h"

/* How the end of the body shows. */
enum framing {
    FRAMING_NONE, /* there is no body: HEAD, 1xx, 204, 304, or a length of 0 */
    FRAMING_LENGTH,
    FRAMING_CHUNKED,
    FRAMING_UNTIL_CLOSE,
};

struct response_head {
    int status; /* 100 to 599; below 200 another head follows, but behind 101 */
    struct slice reason;
    bool http10;
    bool close; /* the connection cannot be used again */
    enum framing framing;
    int64_t content_length; /* as said; of what GET would get behind HEAD or 304; -1: not said */
    unsigned field_count;
    struct header fields[HEADERS_MAX];
};

/* As head_find_end, but nothing may stand before the status line. */
enum err response_head_find_end(struct head_scan *scan, struct slice bytes);

/* Parses a head that response_head_find_end has found, with its empty line; slices point into
 * `bytes`. `asked` is the method of the request that it answers. ERR_MALFORMED,
 * ERR_HEADER_TOO_LARGE. */
enum err response_head_parse(struct slice bytes, enum method asked, struct response_head *out);

#endif
