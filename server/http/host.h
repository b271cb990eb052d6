/* Hosts as the Host field and absolute targets name them: "shop.example:8080", "192.0.2.1",
 * "[2001:db8::1]:443". Pure. Threads: any.
 *
 * Read more strictly than RFC 3986 section 3.2.2 is: a name has the characters of DNS names and
 * '_', so that nothing in it needs decoding, quoting or guessing further down. */
#ifndef GALLEY_SERVER_HTTP_HOST_H
#define GALLEY_SERVER_HTTP_HOST_H

#include "base/slice.h"

#define HOST_NAME_MAX 255 /* bytes */

struct host {
    struct slice name; /* as it was sent; of an IPv6 address what the brackets hold */
    bool ipv6;
    uint16_t port; /* 0: not said */
};

/* Takes "host" or "host:port" apart; the slices point into `text`. False for anything else: no
 * name, an empty label, an IPv6 address without brackets, a port that is empty, begins with 0 or
 * is above 65535. */
bool host_parse(struct slice text, struct host *out);

/* Writes what two spellings of one host have in common, terminated: lower case, without the dot
 * that may end a name; an IPv6 address in its shortest form and in brackets. Without the port.
 * Returns its length. */
size_t host_normalise(const struct host *host, char out[HOST_NAME_MAX + 1]);

#endif
