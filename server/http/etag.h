/* Validators: ETag, If-None-Match, If-Match (RFC 9110 sections 8.8.3 and 13.1). Pure. Threads: any.
 */
#ifndef GALLEY_SERVER_HTTP_ETAG_H
#define GALLEY_SERVER_HTTP_ETAG_H

#include "server/http/accept.h"

#define ETAG_SIZE 18  /* of ours: quotes and 16 digits */
#define ETAG_MAX  128 /* bytes; longer ones are handed on and not looked at */

/* Writes the strong tag of a hash: "\"0123456789abcdef\"", not terminated. */
void etag_format(uint64_t hash, char out[ETAG_SIZE]);

/* The tag of the same bytes in a coding: "a-gzip" for "a". The tag itself for identity, where it is
 * weak, which stands for all codings, and where that would be longer than ETAG_MAX. */
struct slice etag_coded(struct slice etag, enum coding coding, char out[ETAG_MAX]);

/* True if the list of a field (`"a", W/"b"`, or `*`) has the tag. Weakly compared, W/ does not
 * matter: enough to say that nothing has changed. Strongly, neither may be weak: needed before
 * something is changed; a tag of etag_coded then stands for the plain one. False, beyond that
 * point, where the list is not one. */
bool etag_list_has_weakly(struct slice list, struct slice etag);
bool etag_list_has_strongly(struct slice list, struct slice etag);

/* True if the request is a GET or HEAD of somebody who knows this answer already (If-None-Match):
 * the answer is 304. */
bool request_knows(const struct request *request, struct slice etag);

#endif
