/* Lists of networks, as a configuration names them: "10.0.0.0/8, ::1, fc00::/7, loopback".
 * Immutable after parsing. Threads: any. */
#ifndef GALLEY_BASE_CIDR_H
#define GALLEY_BASE_CIDR_H

#include "base/ip.h"

#define CIDR_LIST_MAX 256

struct cidr; /* cidr.c */

/* Zeroed: the empty list, which has nobody. */
struct cidr_list {
    struct cidr *networks; /* owned */
    unsigned count;
};

/* Reads networks, separated by commas, into *list, which may hold some already: a repeated key adds
 * to it. An address alone is a network of one. Names stand for several:
 *   loopback  127.0.0.0/8, ::1
 *   private   10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 169.254.0.0/16, fc00::/7, fe80::/10
 *   all       0.0.0.0/0, ::/0
 * False, with one line in `why`, for anything else: an address with bits beyond its prefix, an
 * empty place in the list, more than CIDR_LIST_MAX. The caller releases the list in any case. */
bool cidr_list_parse(struct cidr_list *list, struct slice text, char *why, size_t why_size);

/* True if one of the networks has the address. IPv4 addresses are in IPv4 networks alone: ::/0
 * does not have them. */
bool cidr_list_has(const struct cidr_list *list, const struct in6_addr *ip);

void cidr_list_release(struct cidr_list *list);

#endif
