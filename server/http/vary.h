/* The second level of a cache's key (RFC 9111 section 4.1): what a request says in the fields that
 * an answer's Vary names. Pure. Threads: any. */
#ifndef GALLEY_SERVER_HTTP_VARY_H
#define GALLEY_SERVER_HTTP_VARY_H

#include "server/http/fields.h"

/* Appends the names of all Vary fields, in lower case, sorted, each once, with commas: "" if there
 * are none. "*" is left to caching_read. */
void vary_names(const struct fields *answer, struct buf *out);

/* Appends what the request says in those fields, so that requests that an origin must answer alike
 * give the same bytes: lines of one name in one list, no white space around commas, letters of
 * negotiation in lower case, codings in order. A field that is missing is not one that is empty. */
void vary_key(struct slice names, const struct request *request, struct buf *out);

#endif
