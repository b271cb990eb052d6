/* A bounded list of header fields, as a message is handed on: read from one side, changed, written
 * to the other. Names compare without case; the order is kept. The list owns nothing: names and
 * values stay whose they are. Threads: owner. */
#ifndef GALLEY_SERVER_HTTP_FIELDS_H
#define GALLEY_SERVER_HTTP_FIELDS_H

#include "server/http/message.h"

#define FIELDS_MAX             (HEADERS_MAX + 32) /* a message's and what is added on the way */
#define CONNECTION_OPTIONS_MAX 32

struct fields {
    unsigned count;
    struct header items[FIELDS_MAX];
};

/* The fields of a message; `count` is at most HEADERS_MAX. */
void fields_init(struct fields *fields, const struct header *headers, unsigned count);

/* The value of the first field of that name, or a NULL slice. */
struct slice fields_get(const struct fields *fields, const char *name);

/* Adds a field behind all others. False, and nothing done, when the list is full. */
bool fields_add(struct fields *fields, const char *name, struct slice value);

/* Puts the field in the place of the first of that name, removes the others of that name, or adds
 * it. False when the list is full. */
bool fields_set(struct fields *fields, const char *name, struct slice value);

/* Removes all fields of that name; returns how many there were. */
unsigned fields_remove(struct fields *fields, const char *name);

/* Removes what is for the next hop alone (RFC 9110 section 7.6.1): Connection and the fields that
 * it names, Keep-Alive, TE, Trailer, Transfer-Encoding, Upgrade, and what is said to a proxy. Host,
 * Content-Length and Content-Type stay even if Connection names them: without them the message
 * would be another. Do this before adding fields of our own, or a client removes those.
 * False, and nothing done, when Connection names more than CONNECTION_OPTIONS_MAX. */
bool fields_remove_hop_by_hop(struct fields *fields);

/* True if Connection names a field of the message that would go on otherwise: whoever is next sees
 * another message than we do. */
bool fields_connection_hides(const struct header *headers, unsigned count);

/* Reads lines as fields_write writes them. False, and as many as there is room for, when there are
 * more. */
bool fields_read(struct fields *fields, struct slice lines);

/* Appends the fields as lines, each with its CRLF. */
void fields_write(const struct fields *fields, struct buf *out);

#endif
