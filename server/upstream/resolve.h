/* The addresses behind a name, as DNS has them, and for how long that holds. Blocks for seconds at
 * most: for a thread that has nothing else to do. Threads: any. */
#ifndef GALLEY_SERVER_UPSTREAM_RESOLVE_H
#define GALLEY_SERVER_UPSTREAM_RESOLVE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RESOLVED_MAX 64

struct resolved_server {
    struct in6_addr address; /* base/ip.h */
    uint16_t port;           /* of SRV, as the rest; else 0 */
    uint16_t priority;       /* the lowest is asked first */
    uint16_t weight;
};

struct resolved {
    struct resolved_server servers[RESOLVED_MAX]; /* sorted; those beyond are left out */
    unsigned count;
    uint32_t ttl_s; /* the least of all that was needed; of the system's own files 10 */
};

/* Looks up A and AAAA of the name, or SRV if it begins with '_', at `resolver` (ADDRESS:PORT of
 * IPv4), or NULL: at the system's, whose files (/etc/hosts) are asked too when DNS has nothing.
 * False, with why, if there is none. */
bool resolve(const char *name, const struct sockaddr_in *resolver, struct resolved *out, char *why,
             size_t why_size);

/* Of this machine, or of nobody in particular: loopback, link-local, multicast, unspecified. What a
 * name outside leads to must not be one of these unless that is wanted. */
bool resolved_is_local(const struct in6_addr *address);

#endif
