/* Heads of HTTP/1 messages: from bytes to fields. Pure: knows no socket. Threads: any.
 *
 * RFC 9112, read strictly: whatever two parsers could take in two ways is refused, because a proxy
 * in front of us may have taken it the other way, and then one request hides in another. */
#ifndef GALLEY_SERVER_HTTP_HEAD_H
#define GALLEY_SERVER_HTTP_HEAD_H

#include "server/http/message.h"

#define HEAD_MAX   16384 /* bytes of request line and fields */
#define TARGET_MAX 8192

/* Where the search for the end of a head has got to. Zeroed: nothing seen. */
struct head_scan {
    size_t start; /* behind empty lines, which are allowed before a request */
    size_t line;  /* where the present line begins */
    size_t at;    /* what is before has been looked at */
    size_t end;   /* behind the empty line that ends the head; 0: not seen yet */
};

/* Goes on searching in `bytes`, which has grown since the last call. */
enum err head_find_end(struct head_scan *scan, struct slice bytes);

struct head {
    enum method method;
    bool http10, asterisk;  /* OPTIONS *: the path is "*" */
    struct slice path;      /* normalised */
    struct slice query;     /* raw */
    struct slice authority; /* of an absolute target; stands in the Host field too */
    bool has_length, chunked, close, keep_alive, expect_continue;
    int64_t content_length;
    unsigned host_count, field_count;
    struct header fields[HEADERS_MAX]; /* last: the rest is zeroed for each request */
};

/* Parses a head with its empty line; the path is normalised in place. Refuses what two parsers
 * could read in two ways: ERR_MALFORMED, ERR_HEADER_TOO_LARGE, ERR_URI_TOO_LONG,
 * ERR_NOT_IMPLEMENTED (the method), ERR_EXPECTATION. */
enum err head_parse(char *bytes, size_t len, struct head *out);

/* "name: value" without its line end. */
enum err head_parse_field(struct slice line, struct header *out);

/* Cuts the first of several such lines, which end with CRLF, off *lines. */
enum err head_take_field(struct slice *lines, struct header *out);

/* True if a field's value, or a reason, may consist of these bytes: no control characters. */
bool head_is_value(struct slice text);

/* The value of a Content-Length: 1 to 18 digits, nothing else. */
bool head_read_length(struct slice value, int64_t *out);

/* Sets what a Connection field asks for; leaves alone what it does not name. */
void head_read_connection(struct slice value, bool *close, bool *keep_alive);

#endif
