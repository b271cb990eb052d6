/* Messages on their way through us: what of a request goes on to a server, and what of its answer
 * goes back. Pure. Threads: any. */
#ifndef GALLEY_SERVER_UPSTREAM_FORWARD_H
#define GALLEY_SERVER_UPSTREAM_FORWARD_H

#include "server/http/message.h"
#include "server/http/response_head.h"

/* How a request goes on. */
struct forward {
    bool chunked;         /* its body in chunks */
    int64_t body_length;  /* else; -1: it has none */
    struct slice upgrade; /* the protocol that the client wants to go on with; empty: HTTP */
    bool close;           /* the connection is for this request alone */
    bool trailers;        /* the client takes them of the answer */
};

/* Appends the head of the request: without what is for us alone (RFC 9110 section 7.6.1) and
 * without what a client must not say of itself; with who it is and where it comes from:
 * X-Forwarded-For, -Proto, -Host and Forwarded (RFC 7239), X-Request-Id, traceparent (W3C), Via,
 * and X-User-Id, X-User-Roles and X-Credential-Id if it has signed in. False: Connection names too
 * much. */
bool forward_request(const struct request *request, const struct forward *forward, struct buf *out);

/* Sets the status and the headers of a response: without what is for us alone and what we say
 * ourselves, with the security headers that the server has not sent. False: as above. */
bool forward_response(const struct response_head *head, const struct request *request,
                      struct response *response);

/* Appends the head of an answer below 200, likewise. False: as above. */
bool forward_interim(const struct response_head *head, struct buf *out);

/* Appends the names of fields that are announced to follow a body, a list; none: nothing. */
void forward_announced(const struct header *fields, unsigned count, struct buf *out);

/* Appends those of the lines behind a body that `announced` (values of Trailer) names, but for
 * fields that say what a message is, where it goes or who may have it: whoever looks at those has
 * done so before the body (RFC 9110 section 6.5.1). */
void forward_trailers(struct slice announced, struct slice lines, struct buf *out);

/* May it be sent a second time without doing its work twice (RFC 9110 section 9.2.2)? */
bool forward_is_repeatable(const struct request *request);

#endif
