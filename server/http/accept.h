/* Which content coding an answer gets: Accept-Encoding (RFC 9110 section 12.5.3). Pure. Threads:
 * any. */
#ifndef GALLEY_SERVER_HTTP_ACCEPT_H
#define GALLEY_SERVER_HTTP_ACCEPT_H

#include "server/http/message.h"

enum coding { CODING_IDENTITY, CODING_GZIP, CODING_BR, CODING_COUNT };

/* What a client makes of each coding: 0 (not acceptable) to 1000 (best). */
struct accept_encoding {
    uint16_t quality[CODING_COUNT];
};

/* Reads all Accept-Encoding fields of a request as one list. Without any, and with an empty one,
 * only identity is acceptable. What cannot be read counts as not said. */
void accept_encoding_read(const struct header *headers, unsigned count,
                          struct accept_encoding *out);

/* The best of identity and the codings in `offered` (1 << CODING_GZIP | ...): the one of the
 * highest quality, of equal ones the smallest answer (br, gzip, identity). Identity where the
 * client accepts none: an answer that it did not ask for is better than none. */
enum coding accept_encoding_choose(const struct accept_encoding *accept, unsigned offered);

/* As Content-Encoding says it: "gzip", "br", "identity". */
const char *coding_name(enum coding coding);

#endif
