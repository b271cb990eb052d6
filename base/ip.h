/* IP addresses, in one shape for both families: the 16 bytes of an IPv6 address, in which an IPv4
 * address is ::ffff:a.b.c.d. Threads: any. */
#ifndef GALLEY_BASE_IP_H
#define GALLEY_BASE_IP_H

#include "base/slice.h"

#include <netinet/in.h>

#define IP_TEXT_SIZE INET6_ADDRSTRLEN /* with the terminator */

/* "192.0.2.1" or "2001:db8::1". False for anything else: brackets, a port, a zone, a mask. */
bool ip_parse(struct slice text, struct in6_addr *out);

/* The shortest form; an IPv4 address as such. Returns its length. */
size_t ip_format(const struct in6_addr *ip, char out[IP_TEXT_SIZE]);

/* True for an IPv4 address. */
bool ip_is_v4(const struct in6_addr *ip);

/* What counts as one client: an IPv4 address, or an IPv6 /64, which is what a customer gets at
 * least. */
struct in6_addr ip_network(const struct in6_addr *ip);

#endif
